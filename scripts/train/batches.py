"""Batches without padding on the source side: sentences of one source length, sorted by target length.

A pool of pairs is drawn by weight, grouped by source length and cut into batches; the order of batches is shuffled.
"""
import numpy as np

EOS, UNK = 0, 1


class Pairs:
    """The arrays of prepare.py and the links of align.py."""

    def __init__(self, data):
        arrays = np.load(data / "pairs.npz")
        self.source, self.source_offsets, self.source_units = (arrays["source" + x] for x in ("", "_offsets", "_units"))
        self.target, self.target_offsets, self.target_units = (arrays["target" + x] for x in ("", "_offsets", "_units"))
        self.weights = arrays["weights"].astype(np.float64)
        self.source_lengths, self.target_lengths = np.diff(self.source_offsets), np.diff(self.target_offsets)
        flat, offsets = [], [0]
        for line in (data / "links.txt").open():
            numbers = line.replace("-", " ").split()
            flat.extend(numbers)
            offsets.append(offsets[-1] + len(numbers) // 2)
        self.links, self.link_offsets = np.array(flat, np.uint8).reshape(-1, 2), np.array(offsets)
        if len(offsets) != len(self.weights) + 1:
            raise SystemExit("links.txt does not belong to pairs.npz: run align.py again")

    def attention(self, n):
        """[target pieces, source pieces]: the share of attention each linked source piece should get.

        Between two units of several pieces each, the beginning looks at the beginning and the end at the end: names
        and figures are spelt in order.
        """
        x = self.source_units[self.source_offsets[n]:self.source_offsets[n + 1]]
        y = self.target_units[self.target_offsets[n]:self.target_offsets[n + 1]]
        links = self.links[self.link_offsets[n]:self.link_offsets[n + 1]]
        table = np.zeros((int(y[-1]) + 1, int(x[-1]) + 1), np.float32)
        table[links[:, 1], links[:, 0]] = 1
        (x_place, x_size), (y_place, y_size) = places(x), places(y)
        distance = (y_place[:, None] - x_place[None]) * np.maximum(x_size[None], y_size[:, None])
        spelling = (y_size[:, None] > 1) & (x_size[None] > 1)
        table = table[y][:, x] * np.where(spelling, np.exp(-(distance**2)) + 0.03, 1)
        return table / np.maximum(table.sum(1, keepdims=True), 1e-6)


def places(units):
    """Where in its unit each piece stands, from 0 to 1, and how many pieces the unit has."""
    sizes = np.bincount(units)
    starts = np.cumsum(sizes) - sizes
    return ((np.arange(len(units)) - starts[units] + 0.5) / sizes[units]).astype(np.float32), sizes[units]


def draw(weights, count, rng):
    """`count` indices, each as often as its weight asks for, as evenly as rounding allows."""
    order = rng.permutation(len(weights))
    steps = np.cumsum(weights[order])
    return order[np.searchsorted(steps, (np.arange(count) + rng.random()) * (steps[-1] / count))]


def cut(pairs, pool, tokens, rng):
    """Lists of pair numbers that share a source length, with about `tokens` target pieces each."""
    x, y = pairs.source_lengths[pool], pairs.target_lengths[pool]
    batches = []
    for length in np.unique(x):
        group = pool[x == length]
        group = group[np.argsort(pairs.target_lengths[group], kind="stable")]
        start = 0
        while start < len(group):
            stop = start + 1
            while stop < len(group) and (stop + 1 - start) * (max(length, pairs.target_lengths[group[stop]]) + 1) <= tokens:
                stop += 1
            batches.append(group[start:stop])
            start = stop
    return [batches[i] for i in rng.permutation(len(batches))]


def fill(pairs, numbers, pad, forget, rng):
    """Source, decoder input, expected output (-1 where none), attention shares, as arrays [pair, position]."""
    rows, width = len(numbers), int(pairs.source_lengths[numbers[0]]) + 1
    height = int(pairs.target_lengths[numbers].max()) + 1
    source = np.full((rows, width), EOS, np.int64)
    given, expected = np.full((rows, height), pad, np.int64), np.full((rows, height), -1, np.int64)
    shares = np.zeros((rows, height, width), np.float32)
    for row, n in enumerate(numbers):
        y = pairs.target[pairs.target_offsets[n]:pairs.target_offsets[n + 1]]
        size = len(y)
        source[row, :-1] = pairs.source[pairs.source_offsets[n]:pairs.source_offsets[n + 1]]
        given[row, 1:size + 1], expected[row, :size], expected[row, size] = y, y, EOS
        shares[row, :size, :width - 1] = pairs.attention(n)
        shares[row, size, width - 1] = 1  # the end looks at the end
    if forget:  # a forgotten piece has to be found in the source
        given[(rng.random(given.shape) < forget) & (given != pad)] = UNK
    return source, given, expected, shares


def stream(pairs, plan, tokens, pad, forget, seed, pool=24000):
    """Batches without end. `plan()` tells the weights and the longest target of the moment."""
    rng = np.random.default_rng(seed)
    while True:
        weights, longest, size = plan()
        fitting = np.where((pairs.target_lengths <= longest) & (pairs.source_lengths <= longest), weights, 0)
        for numbers in cut(pairs, draw(fitting, min(pool, size), rng), tokens, rng):
            yield fill(pairs, numbers, pad, forget, rng) + (len(numbers),)

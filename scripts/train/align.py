"""Word links for guided alignment: eflomal in both directions on DATA/units.*, symmetrised, to DATA/links.txt.

align.py DATA [--known OLD]

On little data the aligner counts better over crude stems than over inflected words. A line of links.txt holds
`arabic-english` unit pairs of one sentence pair.

Pairs of a data folder that is aligned already keep their links. Only the others are aligned, and the aligner begins
with what those links count.
"""
import argparse
import io
import pathlib
import re
import tempfile

from eflomal import Aligner, calculate_priors, write_priors

STEM = 5
NEIGHBOURS = [(-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)]


def stem_arabic(word):
    if len(word) > 4:
        word = re.sub("^(و|ف)?(بال|كال|لل|ال)?", "", word)
    return word[:STEM] or "x"


def stem_english(word):
    return word.lower()[:STEM]


def grow_diag(forward, backward):
    """Links both directions share, grown by neighbours that one of them has and that cover a bare word."""
    links, union = forward & backward, forward | backward
    sources, targets = {i for i, _ in links}, {j for _, j in links}
    grown = True
    while grown:
        grown = False
        for i, j in sorted(links):
            for down, right in NEIGHBOURS:
                new = i + down, j + right
                if new in union and new not in links and (new[0] not in sources or new[1] not in targets):
                    links.add(new)
                    sources.add(new[0])
                    targets.add(new[1])
                    grown = True
    return links


def read_links(path):
    for line in path.open():
        yield {tuple(map(int, link.split("-"))) for link in line.split()}


def symmetrised(sources, targets, priors=None):
    """The links of each pair of stemmed sentences."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "source").write_text("\n".join(sources) + "\n", encoding="utf-8")
        (folder / "target").write_text("\n".join(targets) + "\n", encoding="utf-8")
        with (folder / "source").open() as source, (folder / "target").open() as target:
            Aligner().align(source, target, links_filename_fwd=str(folder / "forward"),
                            links_filename_rev=str(folder / "backward"), priors_input=priors)
        yield from map(grow_diag, read_links(folder / "forward"), read_links(folder / "backward"))


def read_stems(data):
    """The stemmed sentences of both sides, pair by pair."""
    stems = lambda path, stem: [" ".join(map(stem, line.split())) for line in path.open(encoding="utf-8")]
    return list(zip(stems(data / "units.ar", stem_arabic), stems(data / "units.en", stem_english)))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("data", type=pathlib.Path)
    arguments.add_argument("--known", type=pathlib.Path, metavar="OLD")
    a = arguments.parse_args()
    pairs, links, priors = read_stems(a.data), {}, None
    if a.known:
        old = read_stems(a.known)
        links = dict(zip(old, (a.known / "links.txt").read_text().splitlines()))  # those of vary.py's copies come after them
        counts = io.StringIO()
        joined = [links[pair] for pair in old]  # the links of both directions
        write_priors(counts, *calculate_priors(*zip(*old), joined, joined))
        priors = counts.getvalue().splitlines()
    new = list(dict.fromkeys(pair for pair in pairs if pair not in links))
    if new:
        for pair, found in zip(new, symmetrised(*zip(*new), priors), strict=True):
            links[pair] = " ".join(f"{i}-{j}" for i, j in sorted(found))
    (a.data / "links.txt").write_text("".join(links[pair] + "\n" for pair in pairs))


if __name__ == "__main__":
    main()

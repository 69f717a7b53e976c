"""Pairs of two sentences, made of the shorter ones: DATA/pairs.npz and DATA/links.txt grow.

join.py DATA [--share 0.05] [--count 40000] [--from 0.5] [--longest 32] [--seed 1]

A model that seldom sees a long sentence forgets the end of it. Two pairs that follow each other at random make one
of twice the length, links and all; together they weigh `--share` of the epoch.
"""
import argparse
import pathlib

import numpy as np

from batches import draw
from prepare import pack


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("data", type=pathlib.Path)
    arguments.add_argument("--share", type=float, default=0.05, help="of the sum of all weights")
    arguments.add_argument("--count", type=int, default=40000)
    arguments.add_argument("--from", dest="least", type=float, default=0.5, help="pairs of a lower weight are left alone")
    arguments.add_argument("--longest", type=int, default=32, help="pieces of either side of a pair to be joined")
    arguments.add_argument("--seed", type=int, default=1)
    a = arguments.parse_args()
    rng = np.random.default_rng(a.seed)
    arrays = dict(np.load(a.data / "pairs.npz"))
    links = (a.data / "links.txt").read_text().splitlines()
    lengths = {side: np.diff(arrays[side + "_offsets"]) for side in ("source", "target")}
    weights = arrays["weights"]
    fit = (weights >= a.least) & (lengths["source"] <= a.longest) & (lengths["target"] <= a.longest) & (lengths["source"] > 5)
    chosen = rng.permutation(draw(np.where(fit, weights, 0), 2 * a.count, rng)).reshape(-1, 2)
    last = {side: arrays[side + "_units"][arrays[side + "_offsets"][1:] - 1].astype(int) + 1 for side in ("source", "target")}
    for side in ("source", "target"):
        offsets, pieces, units = arrays[side + "_offsets"], arrays[side], arrays[side + "_units"]
        of = lambda array, n: array[offsets[n]:offsets[n + 1]]
        joined = [np.concatenate([of(pieces, n), of(pieces, m)]) for n, m in chosen]
        numbers = [np.concatenate([of(units, n), of(units, m) + last[side][n]]) for n, m in chosen]
        more, ends = pack(joined, pieces.dtype)
        arrays[side] = np.concatenate([pieces, more])
        arrays[side + "_offsets"] = np.concatenate([offsets, offsets[-1] + ends[1:]])
        arrays[side + "_units"] = np.concatenate([units, pack(numbers, units.dtype)[0]])
    for n, m in chosen:
        moved = (link.split("-") for link in links[m].split())
        links.append(" ".join([links[n], *(f"{int(x) + last['source'][n]}-{int(y) + last['target'][n]}" for x, y in moved)]).strip())
    share = a.share / (1 - a.share) * weights.sum() / len(chosen)
    arrays["weights"] = np.concatenate([weights, np.full(len(chosen), share, np.float32)])
    np.savez(a.data / "pairs.npz", **arrays)
    (a.data / "links.txt").write_text("\n".join(links) + "\n")
    print(f"{len(chosen)} joined pairs beside {len(weights)} pairs")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes tests/data/symmetry.tsv: random pairs of link sets and how `sil-machine` symmetrises them.

    pip install sil-machine numpy
    python scripts/make_symmetry_reference.py > tests/data/symmetry.tsv

Grow-diag depends on the order in which links are tried. Only cases are kept whose result is the same when the
sentences are mirrored, so that the order cannot matter.
"""
import random

from machine.translation import SymmetrizationHeuristic, WordAlignmentMatrix

HEURISTICS = [
    SymmetrizationHeuristic.INTERSECTION,
    SymmetrizationHeuristic.UNION,
    SymmetrizationHeuristic.GROW_DIAG,
    SymmetrizationHeuristic.GROW_DIAG_FINAL_AND,
]


def joined(forward, reverse, heuristic, rows, columns):
    matrix = WordAlignmentMatrix.from_word_pairs(rows, columns, forward)
    matrix.symmetrize_with(WordAlignmentMatrix.from_word_pairs(rows, columns, reverse), heuristic)
    return {(i, j) for i in range(rows) for j in range(columns) if matrix[i, j]}


def pharaoh(links):
    return " ".join(f"{i}-{j}" for i, j in sorted(links))


def main():
    rng = random.Random(6)
    print("# forward\treverse\tintersection\tunion\tgrow-diag\tgrow-diag-final-and")
    kept = 0
    while kept < 200:
        rows, columns = rng.randint(1, 9), rng.randint(1, 9)
        near = lambda: {(min(rows - 1, max(0, j * rows // columns + rng.randint(-1, 1))), j) for j in range(columns)}
        forward = {link for link in near() | near() if rng.random() < 0.6}
        reverse = {link for link in near() | near() if rng.random() < 0.6}
        flip = lambda links, a, b: {(rows - 1 - i if a else i, columns - 1 - j if b else j) for i, j in links}
        results = []
        for heuristic in HEURISTICS:
            variants = {
                pharaoh(flip(joined(flip(forward, a, b), flip(reverse, a, b), heuristic, rows, columns), a, b))
                for a in (False, True)
                for b in (False, True)
            }
            if len(variants) == 1:
                results.append(variants.pop())
        if len(results) == len(HEURISTICS):
            print("\t".join([pharaoh(forward), pharaoh(reverse), *results]))
            kept += 1


if __name__ == "__main__":
    main()

"""Varied copies of the weighty pairs: DATA/pairs.npz and DATA/links.txt grow, the sum of the weights stays.

vary.py DATA [--copies 2] [--from 1] [--alpha 0.2] [--noise 0.3] [--seed 1]

A pair that is seen twenty times teaches its own wording. The source of a copy is cut into other pieces (sampled
segmentation: Kudo 2018, "Subword Regularization"), and some copies are spelt as the web spells: no hamza under or over
alef, ه for ة and ى for ي at the end of a word, a letter left out. Units stay where they are, so the links of the pair
serve its copies.
"""
import argparse
import pathlib

import numpy as np
import sentencepiece as spm

from prepare import Units, pack


def misspell(word, rng):
    """One slip of the keyboard or of habit in a word of more than three letters."""
    if len(word) < 4:
        return word
    kind = rng.integers(3)
    if kind == 0 and word[-1] in "ةىي":
        return word[:-1] + {"ة": "ه", "ى": "ي", "ي": "ى"}[word[-1]]
    if kind == 1:
        return word.translate({ord(x): "ا" for x in "أإآ"}).replace("ئ", "ء", 1)
    if len(word) > 5 and word.isalpha():
        at = rng.integers(1, len(word) - 1)
        return word[:at] + word[at + 1 + rng.integers(2) :] if rng.random() < 0.5 else word[:at] + word[at] + word[at:]
    return word


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("data", type=pathlib.Path)
    arguments.add_argument("--copies", type=int, default=2)
    arguments.add_argument("--from", dest="least", type=float, default=1.0, help="pairs of a lower weight are left alone")
    arguments.add_argument("--alpha", type=float, default=0.2, help="lower: stranger segmentations")
    arguments.add_argument("--noise", type=float, default=0.3, help="share of the copies with misspelt words")
    arguments.add_argument("--seed", type=int, default=1)
    a = arguments.parse_args()
    rng = np.random.default_rng(a.seed)
    spm.set_random_generator_seed(a.seed)
    processor = spm.SentencePieceProcessor(model_file=str(a.data / "spm.model"))
    units = Units(processor)
    arrays = dict(np.load(a.data / "pairs.npz"))
    links = (a.data / "links.txt").read_text().splitlines()
    rows = {side: [x.tolist() for x in np.split(arrays[side], arrays[side + "_offsets"][1:-1])] for side in ("source", "target")}
    numbers = {side: [x.tolist() for x in np.split(arrays[side + "_units"], arrays[side + "_offsets"][1:-1])] for side in ("source", "target")}
    weights, new_weights = arrays["weights"].copy(), []
    for n in np.flatnonzero(weights >= a.least):
        text = processor.decode(rows["source"][n])
        made = 0
        for _ in range(a.copies):
            words = text.split(" ")
            if rng.random() < a.noise:
                words = [misspell(w, rng) if rng.random() < 0.12 else w for w in words]
            pieces = processor.encode(" ".join(words), enable_sampling=True, alpha=a.alpha, nbest_size=-1)
            number = units.number(pieces).tolist()
            if pieces == rows["source"][n] or number[-1] != numbers["source"][n][-1] or len(pieces) > 110:
                continue
            rows["source"].append(pieces)
            numbers["source"].append(number)
            rows["target"].append(rows["target"][n])
            numbers["target"].append(numbers["target"][n])
            links.append(links[n])
            made += 1
        weights[n] /= made + 1
        new_weights += [weights[n]] * made
    for side in ("source", "target"):
        arrays[side], arrays[side + "_offsets"] = pack(rows[side], np.uint16)
        arrays[side + "_units"], _ = pack(numbers[side], np.uint8)
    arrays["weights"] = np.concatenate([weights, np.array(new_weights, np.float32)])
    np.savez(a.data / "pairs.npz", **arrays)
    (a.data / "links.txt").write_text("\n".join(links) + "\n")
    print(f"{len(new_weights)} copies beside {len(weights)} pairs")


if __name__ == "__main__":
    main()

"""From parallel text to a vocabulary and arrays of pieces.

prepare.py CORPUS DATA [--weights weights.json] [--vocab 12000]

CORPUS holds `arabic<TAB>english` files. The weights say how often the pairs of a file are seen in an epoch; 0 leaves
a file out, and a file without a weight counts once. Writes to DATA:
  spm.model     the shared SentencePiece model
  pairs.npz     pieces of both sides (flat array and offsets), the unit of each piece, the weight of each pair
  units.ar/.en  the same pairs as units (words, with punctuation apart), for the word aligner
"""
import argparse
import json
import pathlib
import unicodedata

import numpy as np
import sentencepiece as spm

import normal

EOS, UNK = 0, 1
UNMARKED = str.maketrans(dict(zip("ıøØłŁđĐðÐ", "ioOlLdDdD")) | {"ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "þ": "th", "Þ": "Th"})


def read(corpus, weights):
    """Distinct pairs with the weight of the file they came from."""
    seen = {}
    for path in sorted(corpus.glob("*.tsv")):
        weight = weights.get(path.stem, 1)
        if path.stem == "SOURCES" or not weight:
            continue
        for line in path.open(encoding="utf-8"):
            fields = [" ".join(x.split()) for x in line.rstrip("\n").split("\t")]
            if len(fields) >= 2 and fields[0] and fields[1]:
                pair = fields[0], fields[1]
                seen[pair] = max(weight, seen.get(pair, 0))
    return list(seen), np.array(list(seen.values()), np.float32)


def learn_vocabulary(out, pairs, weights, size, spell):
    """A unigram model over both languages; pairs of high weight count up to three times."""
    normal.write(out / "rules.tsv")
    text = out / "text.txt"
    with text.open("w", encoding="utf-8") as file:
        for (source, target), weight in zip(pairs, weights):
            if weight < spell:  # lists of names would fill the vocabulary with their syllables
                continue
            file.write(f"{source}\n{target}\n" * max(1, min(3, round(float(weight)))))
    spm.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(out / "spm"), model_type="unigram", vocab_size=size,
        character_coverage=0.9999, normalization_rule_tsv=str(out / "rules.tsv"), split_digits=True,
        bos_id=-1, pad_id=-1, eos_id=EOS, unk_id=UNK, minloglevel=2, num_threads=2, hard_vocab_limit=False,
    )
    text.unlink()


class Units:
    """Where the units of a sentence begin: at a space, and where letters or digits meet punctuation."""

    def __init__(self, processor):
        pieces = [processor.id_to_piece(i) for i in range(processor.get_piece_size())]
        self.space = np.array([p.startswith("▁") for p in pieces])
        self.wordy = np.array([any(c.isalnum() for c in p) for p in pieces])
        self.bare = np.array([p == "▁" for p in pieces])

    def number(self, ids):
        """The unit index of each piece."""
        ids = np.asarray(ids)
        wordy = self.wordy[ids] | (ids == UNK)
        begins = self.space[ids].copy()
        begins[1:] |= (wordy[1:] != wordy[:-1]) & ~self.bare[ids[:-1]]
        begins[0] = True
        return np.cumsum(begins) - 1


def spelt(text, processor):
    """A target with the letters that the vocabulary has: what is not in it can never be produced."""
    known = lambda letter: processor.unk_id() not in processor.encode(letter)
    plain = lambda letter: "".join(x for x in unicodedata.normalize("NFD", letter.translate(UNMARKED)) if not unicodedata.combining(x))
    return "".join(x if x.isascii() or known(x) else plain(x) for x in text)


def pack(rows, dtype):
    """Flat array and offsets of a list of rows."""
    offsets = np.zeros(len(rows) + 1, np.int64)
    offsets[1:] = np.cumsum([len(r) for r in rows])
    return np.concatenate(rows).astype(dtype), offsets


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("corpus", type=pathlib.Path)
    arguments.add_argument("data", type=pathlib.Path)
    arguments.add_argument("--weights", type=pathlib.Path)
    arguments.add_argument("--vocab", type=int, default=12000)
    arguments.add_argument("--spell", type=float, default=0.5, help="files of a lower weight have no say in the vocabulary")
    arguments.add_argument("--longest", type=int, default=100, help="pieces; longer pairs are dropped")
    a = arguments.parse_args()
    a.data.mkdir(parents=True, exist_ok=True)

    pairs, weights = read(a.corpus, json.loads(a.weights.read_text()) if a.weights else {})
    if not (a.data / "spm.model").exists():
        learn_vocabulary(a.data, pairs, weights, a.vocab, a.spell)
    processor = spm.SentencePieceProcessor(model_file=str(a.data / "spm.model"))
    sides = [processor.encode([source for source, _ in pairs]),
             processor.encode([spelt(target, processor) for _, target in pairs])]
    fits = lambda x, y: 0 < len(x) < a.longest and len(x) <= 3 * len(y) + 6
    keep = [i for i, (x, y) in enumerate(zip(*sides)) if fits(x, y) and fits(y, x)]

    units, arrays = Units(processor), {"weights": weights[keep]}
    for ids, name, language in zip(sides, ("source", "target"), ("ar", "en")):
        rows = [ids[i] for i in keep]
        numbers = [units.number(r) for r in rows]
        arrays[name], arrays[name + "_offsets"] = pack(rows, np.uint16)
        arrays[name + "_units"], _ = pack(numbers, np.uint8)
        with (a.data / f"units.{language}").open("w", encoding="utf-8") as file:
            for row, number in zip(rows, numbers):
                words = [""] * (number[-1] + 1)
                for piece, n in zip(row, number):
                    words[n] += processor.id_to_piece(piece)
                file.write(" ".join(w.replace("▁", "") or "_" for w in words) + "\n")
    np.savez(a.data / "pairs.npz", **arrays)
    lengths = [np.mean(np.diff(arrays[n + "_offsets"])) for n in ("source", "target")]
    print(f"{len(keep)} of {len(pairs)} pairs kept, {lengths[0]:.1f} / {lengths[1]:.1f} pieces on average, "
          f"{processor.get_piece_size()} pieces in the vocabulary")


if __name__ == "__main__":
    main()

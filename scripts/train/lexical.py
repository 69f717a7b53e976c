"""What single words translate to, counted over the aligned pairs: DATA/lexical.zst, which `export.py` takes along.

lexical.py DATA [--least 2] [--most 4] [--from 0.1]

To be run before `vary.py`, whose copies would count again. A word is a run of pieces of letters. The probability of a
target word is its links over all of the source word, or over the times that was seen if those are more, and one, so that
a word seen once says little. The form of the file is told in `src/search/lexical/table.rs`.
"""
import argparse
import collections
import pathlib

import numpy as np
import sentencepiece as spm

import listing

LEAST_SHARE = 0.05  # of a word: rarer translations are mostly wrong links
# What Arabic words may have before and behind their stems, with what the stem has in its place.
PREFIXES = "و ف ال ب ل ك س بال:ال كال:ال لل:ال لل وال وال:ال فال:ال وب ول وس فب فل وبال:ال ولل:ال ولل"
SUFFIXES = "ه ها هم هما هن نا ك كم ي ته:ة تها:ة تهم:ة تنا:ة تي:ة ا ين ون ان ات ات:ة ة تين:ة تان:ة ي:ون يه:ي"


def runs(pieces, units):
    """The pieces of each unit."""
    found = {}
    for piece, unit in zip(pieces, units):
        found.setdefault(unit, []).append(piece)
    return found


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("data", type=pathlib.Path)
    arguments.add_argument("--least", type=int, default=2, help="times that a word must have been linked")
    arguments.add_argument("--most", type=int, default=4, help="target words of a source word")
    arguments.add_argument("--from", dest="weighty", type=float, default=0.1, help="pairs of a lower weight are left out")
    a = arguments.parse_args()
    arrays = dict(np.load(a.data / "pairs.npz"))
    processor = spm.SentencePieceProcessor(model_file=str(a.data / "spm.model"))
    names = [processor.id_to_piece(n) for n in range(processor.get_piece_size())]
    letters, begins = [name.replace("▁", "").isalpha() for name in names], [name.startswith("▁") for name in names]
    possible = np.isfinite(np.load(a.data / "prior.npy"))
    between = lambda array, offsets, n: array[offsets[n]:offsets[n + 1]].tolist()
    side = lambda name, n: (between(arrays[name + part], arrays[name + "_offsets"], n) for part in ("", "_units"))
    # A bare ▁ begins words, too.
    word = lambda pieces: begins[pieces[0]] and all(letters[p] or (not at and names[p] == "▁") for at, p in enumerate(pieces))
    seen, linked = collections.Counter(), {}
    for n, line in enumerate((a.data / "links.txt").open()):
        if arrays["weights"][n] < a.weighty:
            continue
        source, target = runs(*side("source", n)), runs(*side("target", n))
        source = {unit: "".join(names[p] for p in pieces).replace("▁", "") for unit, pieces in source.items() if word(pieces)}
        seen.update(source.values())
        for link in line.split():
            x, y = map(int, link.split("-"))
            if x in source and y in target and possible[target[y]].all():
                linked.setdefault(source[x], collections.Counter())[tuple(target[y])] += 1
    lines = []
    for source, targets in linked.items():
        if not source or sum(targets.values()) < a.least:
            continue
        total = max(seen[source], sum(targets.values())) + 1  # some have an article beside their noun
        shares = [(target, round(1000 * count / total)) for target, count in targets.most_common(a.most)]
        shares = [(target, share) for target, share in shares if share >= 1000 * LEAST_SHARE]
        if shares:
            glosses = " ".join(",".join(map(str, target)) + f":{share}" for target, share in shares)
            lines.append(f"{source}\t{glosses}")
    lines.sort(key=lambda line: line.split("\t")[0].encode())
    packed = listing.pack(["tarjim lexical 2", f"prefixes {PREFIXES}", f"suffixes {SUFFIXES}"], [("words", lines)])
    (a.data / "lexical.zst").write_bytes(packed)
    print(f"{len(lines)} words, {len(packed) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()

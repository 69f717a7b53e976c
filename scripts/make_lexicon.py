#!/usr/bin/env python3
"""Counts a lexicon for `tarjim::alignment::Lexicon` on aligned sentence pairs.

    python scripts/make_lexicon.py WORDS.ar WORDS.en LINKS --output models/default/lexicon.zst
    python scripts/make_lexicon.py --weights "lexicon=0.4 ..." LEXICON.zst --output LEXICON.zst     # new weights only

WORDS.* hold one sentence a line, words parted by spaces; LINKS the Pharaoh links of each (eflomal or another aligner, both
directions joined by grow-diag). Words are counted by crude stems, exactly as `src/alignment/stem.rs` makes them. Pairs seen
once are left out. Needs the package zstandard.
"""
import argparse
import collections
import pathlib
import re
import sys
import unicodedata

sys.path.insert(0, str(pathlib.Path(__file__).parent / "train"))
import listing

LISTS = "targets", "sources"
WEIGHTS = "lexicon=0.4 resemblance=4.6 equality=3.1 distance=4 attention=0.65 neighbours=2.5 null=-6 null_count=1"
MARKS = {"،": ",", "؛": ";", "؟": "?", "٪": "%", "“": '"', "”": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "…": "..."}
FOLDED = {**{ord(c): "ا" for c in "أإآٱ"}, ord("ى"): "ي", ord("ـ"): None, 0x670: None, **{c: None for c in range(0x64B, 0x660)}}


def stem_arabic(word):
    word = word.translate(FOLDED)
    if len(word) > 4:
        word = re.sub("^[وف]?(?:بال|كال|لل|ال)?", "", word)
    return MARKS.get(word[:5], word[:5])


def stem_english(word):
    word = re.split("['’]", word)[0] or word
    if "-" in word.strip("-"):
        word = max(word.split("-"), key=len)
    word = word.lower()[:5]
    return MARKS.get(word, word)


def lines(path):
    with open(path, encoding="utf-8") as file:
        yield from file


def linked_pairs(arabic, english, links):
    for a, e, l in zip(lines(arabic), lines(english), lines(links), strict=True):
        stems = [stem_arabic(word) for word in a.split()], [stem_english(word) for word in e.split()]
        yield stems, {tuple(map(int, link.split("-"))) for link in l.split()}


def function_words(bitext):
    """English words that mostly have no partner: articles and their like."""
    seen, linked = collections.Counter(), collections.Counter()
    for (_, english), links in bitext:
        seen.update(english)
        linked.update(english[at] for at in {j for _, j in links})
    return {word for word, n in seen.items() if n >= 50 and linked[word] < n / 2}


def without_strays(links, english, functions):
    """Without links to a function word that stands apart from all other words of the same partner. Aligners give a verb
    that comes first in Arabic the article that comes first in English; counted often enough, that looks like meaning."""
    partners = collections.defaultdict(set)
    for i, j in links:
        partners[i].add(j)

    def stray(i, j):
        content = [other for other in partners[i] if english[other] not in functions]
        return english[j] in functions and bool(content) and j + 1 not in content and j - 1 not in content

    return {(i, j) for i, j in links if not stray(i, j)}


def count(arabic, english, links, least):
    functions = function_words(linked_pairs(arabic, english, links))
    seen = collections.Counter(), collections.Counter()
    linked = collections.Counter(), collections.Counter()
    pairs = collections.Counter()
    for stems, found in linked_pairs(arabic, english, links):
        found = without_strays(found, stems[1], functions)
        for side in (0, 1):
            seen[side].update(stems[side])
            linked[side].update(stems[side][at] for at in {link[side] for link in found})
        pairs.update((stems[0][i], stems[1][j]) for i, j in found)
    kept = collections.defaultdict(list)
    for (a, e), n in pairs.items():
        if n >= least and a and e and "\t" not in a + e:
            kept[a].append((e, n))
    targets = sorted({e for entries in kept.values() for e, _ in entries})
    index = {e: at for at, e in enumerate(targets)}
    targets = [f"{e}\t{seen[1][e]}\t{linked[1][e]}" for e in targets]
    sources = []
    for a in sorted(kept):
        entries = " ".join(f"{index[e]}:{n}" for e, n in sorted(kept[a], key=lambda entry: index[entry[0]]))
        sources.append(f"{a}\t{seen[0][a]}\t{linked[0][a]}\t{entries}")
    print(f"{len(kept)} source stems, {len(targets)} target stems, {sum(map(len, kept.values()))} pairs")
    return targets, sources


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+", help="WORDS.ar WORDS.en LINKS, or one lexicon")
    parser.add_argument("--least", type=int, default=2, help="the smallest count of a pair that is kept")
    parser.add_argument("--weights", default=WEIGHTS)
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    if len(arguments.files) == 1:
        lists = listing.unpack(pathlib.Path(arguments.files[0]).read_bytes(), LISTS)
    else:
        lists = count(*arguments.files, arguments.least)
    heading = ["tarjim lexicon 2", f"weights {arguments.weights}"]
    pathlib.Path(arguments.output).write_bytes(listing.pack(heading, zip(LISTS, lists)))


if __name__ == "__main__":
    main()

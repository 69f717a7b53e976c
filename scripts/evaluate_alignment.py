#!/usr/bin/env python3
"""Word alignment against gold links: precision, recall, F1 and AER of tarjim and of other aligners.

    python scripts/evaluate_alignment.py GOLD.tsv --tarjim "NAME=target/release/tarjim align --pretokenized"
    python scripts/evaluate_alignment.py GOLD.tsv --eflomal CORPUS        # pip install eflomal
    python scripts/evaluate_alignment.py GOLD.tsv --fast-align CORPUS     # pip install sil-thot sil-machine
    python scripts/evaluate_alignment.py GOLD.tsv --links NAME=FILE       # Pharaoh lines of any other program

GOLD.tsv has id, Arabic tokens, English tokens, sure links, possible links. CORPUS is a folder of `arabic<TAB>english`
files, on which the statistical aligners are trained together with the sentences of GOLD.tsv.

With A the links found, S the sure ones and P the sure and possible ones: precision |A∩P|/|A|, recall |A∩S|/|S|,
AER 1 - (|A∩S| + |A∩P|) / (|A| + |S|) (Och and Ney 2003). Seconds are processor time of all threads and children. Pairs a
second of tarjim are those of GOLD.tsv many times over, so that its start counts little.
"""
import argparse
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import unicodedata


def processor_seconds():
    return sum(os.times()[:4])


def read_gold(path):
    gold = []
    for line in path.read_text(encoding="utf-8").splitlines():
        _, arabic, english, sure, possible = (line.split("\t") + [""])[:5]
        gold.append((arabic.split(" "), english.split(" "), links_of(sure), links_of(possible)))
    return gold


def links_of(line):
    return {tuple(map(int, link.split("-"))) for link in line.split()}


def measure(gold, found):
    """Precision, recall, F1 and AER of the links found."""
    if len(gold) != len(found):
        sys.exit(f"{len(found)} lines of links for {len(gold)} sentences")
    links = sure = in_possible = in_sure = 0
    for (_, _, s, p), a in zip(gold, found):
        links += len(a)
        sure += len(s)
        in_possible += len(a & (s | p))
        in_sure += len(a & s)
    precision, recall = in_possible / max(links, 1), in_sure / sure
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9), 1 - (in_sure + in_possible) / (links + sure)


def symmetrize(forward, reverse, final):
    """Grow-diag, then final-and if wanted (Koehn et al. 2005)."""
    links, union = forward & reverse, forward | reverse
    grown = True
    while grown:
        grown = False
        for i, j in sorted(union - links):
            near = any((i + di, j + dj) in links for di in (-1, 0, 1) for dj in (-1, 0, 1))
            free = all(i != s for s, _ in links) or all(j != t for _, t in links)
            if near and free:
                links = links | {(i, j)}
                grown = True
    if final:
        for half in (forward, reverse):
            for i, j in sorted(half - links):
                if all(i != s for s, _ in links) and all(j != t for _, t in links):
                    links = links | {(i, j)}
    return links


def normalized(text):
    """Without vowel marks, with one alif: what helps a statistical aligner."""
    text = "".join(c for c in text if unicodedata.category(c) != "Mn" and c != "ـ")
    return re.sub("[أإآ]", "ا", text)


def stem(word):
    """A crude stem: proclitics and article off, then five letters."""
    if re.match("[ء-ي]", word) and len(word) > 4:
        word = re.sub("^[وف]?(بال|كال|لل|ال)?(?=..)", "", word)
    return word[:5]


def tokens(text):
    return re.findall(r"\w+(?:[-'’.,:]\w+)*|[^\w\s]", text)


def bitext(gold, corpus, stems):
    """The gold sentences first, then the corpus, as lists of words."""
    form = (lambda word: stem(normalized(word).lower())) if stems else (lambda word: normalized(word).lower())
    pairs = [([form(w) or "x" for w in arabic], [form(w) or "x" for w in english]) for arabic, english, _, _ in gold]
    for file in sorted(corpus.glob("*.tsv")):
        for line in file.open(encoding="utf-8"):
            sides = line.rstrip("\n").split("\t")
            if len(sides) < 2 or file.name == "SOURCES.tsv":
                continue
            arabic, english = tokens(normalized(sides[0])), tokens(sides[1])
            if 0 < len(arabic) <= 100 and 0 < len(english) <= 100:
                pairs.append(([form(w) or "x" for w in arabic], [form(w) or "x" for w in english]))
    return pairs


def eflomal(gold, corpus, stems):
    from eflomal import Aligner

    pairs = bitext(gold, corpus, stems)
    with tempfile.TemporaryDirectory() as folder:
        files = {name: pathlib.Path(folder, name) for name in ("source", "target", "forward", "reverse")}
        files["source"].write_text("".join(" ".join(a) + "\n" for a, _ in pairs), encoding="utf-8")
        files["target"].write_text("".join(" ".join(e) + "\n" for _, e in pairs), encoding="utf-8")
        start = processor_seconds()
        with files["source"].open(encoding="utf-8") as source, files["target"].open(encoding="utf-8") as target:
            Aligner().align(source, target, links_filename_fwd=str(files["forward"]), links_filename_rev=str(files["reverse"]))
        seconds = processor_seconds() - start
        read = lambda name: [links_of(line) for line in files[name].read_text().splitlines()[: len(gold)]]
        return read("forward"), read("reverse"), len(pairs), seconds


def fast_align(gold, corpus, stems):
    from machine.translation.thot import ThotWordAlignmentModelType, create_thot_word_alignment_model

    pairs = bitext(gold, corpus, stems)
    start = processor_seconds()
    halves = []
    for flip in (False, True):
        model = create_thot_word_alignment_model(ThotWordAlignmentModelType.FAST_ALIGN)
        from machine.corpora import AlignedWordPair  # noqa: F401  (the package must be whole)
        from machine.corpora import MemoryText, StandardParallelTextCorpus, TextRow, DictionaryTextCorpus

        def text(side):
            rows = [TextRow("t", n + 1, pair[side]) for n, pair in enumerate(pairs)]
            return DictionaryTextCorpus([MemoryText("t", rows)])

        corpus_pair = StandardParallelTextCorpus(text(int(flip)), text(int(not flip)))
        trainer = model.create_trainer(corpus_pair)
        trainer.train()
        trainer.save()
        found = []
        for arabic, english in pairs[: len(gold)]:
            first, second = (english, arabic) if flip else (arabic, english)
            matrix = model.align(first, second)
            links = {(i, j) for i in range(len(first)) for j in range(len(second)) if matrix[i, j]}
            found.append({(j, i) for i, j in links} if flip else links)
        halves.append(found)
    return halves[0], halves[1], len(pairs), processor_seconds() - start


def tarjim(gold, command, times):
    with tempfile.TemporaryDirectory() as folder:
        source, target = pathlib.Path(folder, "source"), pathlib.Path(folder, "target")
        source.write_text("".join(" ".join(a) + "\n" for a, _, _, _ in gold) * times, encoding="utf-8")
        target.write_text("".join(" ".join(e) + "\n" for _, e, _, _ in gold) * times, encoding="utf-8")
        start = processor_seconds()
        done = subprocess.run([*shlex.split(command), str(source), str(target)], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{command}: exit code {done.returncode}\n{done.stderr}")
        return [links_of(line) for line in done.stdout.splitlines()][: len(gold)], processor_seconds() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("gold", type=pathlib.Path)
    parser.add_argument("--tarjim", action="append", default=[], metavar="NAME=COMMAND", help="an align command; may be given several times")
    parser.add_argument("--times", type=int, default=10, help="how often the commands align GOLD.tsv")
    parser.add_argument("--eflomal", type=pathlib.Path, metavar="CORPUS")
    parser.add_argument("--fast-align", type=pathlib.Path, metavar="CORPUS")
    parser.add_argument("--links", action="append", default=[], metavar="NAME=FILE")
    arguments = parser.parse_args()
    gold = read_gold(arguments.gold)
    print("| aligner | precision | recall | F1 | AER | note |\n|---|---|---|---|---|---|")

    def row(name, found, note=""):
        precision, recall, f1, aer = measure(gold, found)
        print(f"| {name} | {precision:.3f} | {recall:.3f} | {f1:.3f} | {aer:.3f} | {note} |", flush=True)

    for given in arguments.tarjim:
        name, command = given.split("=", 1)
        found, seconds = tarjim(gold, command, arguments.times)
        row(name, found, f"{len(gold) * arguments.times / seconds:.0f} pairs/s")
    for given in arguments.links:
        name, file = given.split("=", 1)
        row(name, [links_of(line) for line in pathlib.Path(file).read_text().splitlines()])
    for name, run, corpus in (("eflomal", eflomal, arguments.eflomal), ("fast_align (Thot)", fast_align, arguments.fast_align)):
        if corpus is None:
            continue
        for stems in (False, True):
            forward, reverse, pairs, seconds = run(gold, corpus, stems)
            words = "stems" if stems else "words"
            note = f"{pairs} pairs in {seconds:.0f} s"
            for method, final in (("grow-diag", False), ("grow-diag-final-and", True)):
                row(f"{name}, {words}, {method}", [symmetrize(f, r, final) for f, r in zip(forward, reverse)], note)


if __name__ == "__main__":
    main()

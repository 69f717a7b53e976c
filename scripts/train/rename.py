"""Sentences with other names in them: CORPUS/renamed.tsv out of the names and sentences of CORPUS.

rename.py CORPUS [--share 0.8] [--seed 1] [--names FILE ...] [--in FILE ...]

A list of names teaches how a name is spelt, not where in a sentence one stands or that the words about it stay the
same. Where a pair holds a name of the lists on both sides, once each, both are replaced by another name and its
spelling, behind the same attached و ف ب ل ك.
"""
import argparse
import pathlib
import random
import re

AR_WORD = re.compile(r"[\u0621-\u064a]+")
CALENDAR = set("January February March April May June July August September October November December Monday Tuesday "
               "Wednesday Thursday Friday Saturday Sunday".split())
EN_WORD = re.compile(r"(?<![\w'’-])[A-ZÀ-Þ][\w’'-]*[\w]")


def bare(name):
    """The name without its genitive."""
    return name[:-2] if name.endswith(("'s", "’s")) else name


def lines(path):
    for line in path.open(encoding="utf-8"):
        fields = line.rstrip("\n").split("\t")
        if len(fields) >= 2:
            yield fields[0].strip(), fields[1].strip()


def read_names(paths):
    """Pairs of one word each, and for each Arabic spelling the English ones it may have."""
    names, spellings = [], {}
    for path in paths:
        for source, target in lines(path):
            if AR_WORD.fullmatch(source) and EN_WORD.fullmatch(target) and len(source) > 2 and not source.startswith("ال"):
                names.append((source, target))
                spellings.setdefault(source, set()).add(target)
    return names, spellings


def renamed(source, target, names, spellings, share, rng):
    """The pair with other names, or nothing where no name stands once on each side."""
    words = AR_WORD.findall(source)
    english = EN_WORD.findall(target)
    changed = False
    for word in dict.fromkeys(words):
        for cut in (0, 1):
            stem = word[cut:]
            if cut and (word[0] not in "وفبلك" or len(stem) < 4):
                continue
            known = spellings.get(stem, ())
            found = [e for e in set(english) - CALENDAR if e in known or bare(e) in known]
            if len(found) == 1 and words.count(word) == 1 and english.count(found[0]) == 1 and rng.random() < share:
                new_source, new_target = rng.choice(names)
                tail = found[0][len(bare(found[0])):]
                source = re.sub(rf"(?<![\u0621-\u064a]){word}(?![\u0621-\u064a])", word[:cut] + new_source, source)
                target = re.sub(rf"(?<!\w){re.escape(found[0])}(?!\w)", new_target + tail, target)
                changed = True
                break
    return (source, target) if changed else None


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("corpus", type=pathlib.Path)
    arguments.add_argument("--share", type=float, default=0.8, help="of the names found")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--names", nargs="+", default=["names_google_ar2en", "names_wikidata_coling18", "news_gazetteer"])
    arguments.add_argument("--in", dest="sentences", nargs="+", default=[
        "news_politics", "news_conflict", "news_economy", "news_events", "news_culture", "news_webnews", "news_cover",
        "news_frames", "tatoeba_extra", "xquad", "mlqa_context_sents"])
    a = arguments.parse_args()
    rng = random.Random(a.seed)
    names, spellings = read_names([a.corpus / f"{n}.tsv" for n in a.names])
    made = 0
    with (a.corpus / "renamed.tsv").open("w", encoding="utf-8") as file:
        for name in a.sentences:
            for source, target in lines(a.corpus / f"{name}.tsv"):
                if len(source.split()) < 4:
                    continue
                if pair := renamed(source, target, names, spellings, a.share, rng):
                    file.write("\t".join(pair) + "\n")
                    made += 1
    print(f"{made} pairs with other names, from {len(names)} names")


if __name__ == "__main__":
    main()

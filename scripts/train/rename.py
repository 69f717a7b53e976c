"""Sentences with other names and figures in them: CORPUS/renamed.tsv out of the names and sentences of CORPUS.

rename.py CORPUS [--share 0.8] [--latin 0.15] [--seed 1] [--names FILE ...] [--in PATTERN ...]

A list of names teaches how a name is spelt, not where in a sentence one stands or that the words about it stay the
same. Where a pair holds a name of the lists on both sides, once each, both are replaced by another name and its
spelling, behind the same attached و ف ب ل ك; or both by one word in Latin letters, which is to be copied. A figure
that stands once on both sides becomes another one that asks for the same forms of its noun. And a month gets both of
its Arabic names, as papers write it that are read from Rabat to Baghdad: نيسان/أبريل.
"""
import argparse
import pathlib
import random
import re

AR_WORD = re.compile(r"[\u0621-\u064a]+")
EN_MONTHS = "January February March April May June July August September October November December".split()
CALENDAR = {*EN_MONTHS, *"Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()}
FIGURE = re.compile(r"(?<![\w.,:/-])\d+(?:,\d{3})*(?:\.\d+)?(?![\w:/-]|[.,]\d)")
MONTHS = dict(zip("يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر".split(),
                  "كانون الثاني,شباط,آذار,نيسان,أيار,حزيران,تموز,آب,أيلول,تشرين الأول,تشرين الثاني,كانون الأول".split(",")))
MONTHS |= {other: name for name, other in MONTHS.items()}
MONTH = re.compile(rf"(?<![\u0621-\u064a/])({'|'.join(MONTHS)})(?![\u0621-\u064a/])")
EN_MONTH = re.compile("|".join(EN_MONTHS))
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
    """For each file its pairs of one word each, and for each Arabic spelling the English ones it may have."""
    names, spellings = [], {}
    for path in paths:
        names.append([])
        for source, target in lines(path):
            if AR_WORD.fullmatch(source) and EN_WORD.fullmatch(target) and len(source) > 2 and not source.startswith("ال"):
                names[-1].append((source, target))
                spellings.setdefault(source, set()).add(target)
    return names, spellings


def any_name(names, rng):
    """A name of any of the lists: a short list of known names counts as much as a long one of all kinds."""
    return rng.choice(rng.choice(names))


def latin(names, rng):
    """A word as it stands in Latin letters in an Arabic text: a name, a product with its number, an abbreviation."""
    word = any_name(names, rng)[1]
    kind = rng.random()
    if kind < 0.3:
        return "".join(rng.choice("ABCDEFGHIKLMNOPRSTUVWXZ") for _ in range(rng.randint(2, 5)))
    if kind < 0.45:
        return f"{word}-{rng.randint(1, 99)}" if kind < 0.37 else f"{word} {rng.randint(1, 99)}"
    return word


def other_figure(figure, rng):
    """Another figure that asks for the same forms: a year for a year, three to ten for three to ten, large for large."""
    if "." in figure:
        whole, part = figure.split(".")
        return f"{rng.randint(0, 10 ** len(whole))}.{rng.randint(1, 10 ** len(part) - 1):0{len(part)}d}"
    value = int(figure.replace(",", ""))
    if value < 3:
        return figure
    if value <= 10:
        return str(rng.randint(3, 10))
    if re.fullmatch("1[5-9]..|20[0-3].", figure):
        return str(rng.choice([rng.randint(1500, 1899), rng.randint(1900, 2035), rng.randint(1900, 2035)]))
    length = max(2, len(str(value)) + rng.choice([-1, 0, 0, 0, 1]))
    other = rng.randint(max(11, 10 ** (length - 1)), 10**length - 1)
    if length > 2 and rng.random() < 0.5:  # round figures are as common as others, and their zeros get lost
        other = max(11, round(other, -rng.randint(1, length - 1)))
    return f"{other:,}" if "," in figure and other > 999 else str(other)


def renamed(source, target, names, spellings, share, latin_share, rng):
    """The pair with other names and figures, or nothing where none stands once on each side."""
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
                new_source, new_target = any_name(names, rng)
                if not cut and rng.random() < latin_share:
                    new_source = new_target = latin(names, rng)
                tail = found[0][len(bare(found[0])):]
                source = re.sub(rf"(?<![\u0621-\u064a]){word}(?![\u0621-\u064a])", word[:cut] + new_source, source)
                target = re.sub(rf"(?<!\w){re.escape(found[0])}(?!\w)", new_target + tail, target)
                changed = True
                break
    figures = [FIGURE.findall(source), FIGURE.findall(target)]
    for figure in dict.fromkeys(figures[0]):
        if all(side.count(figure) == 1 for side in figures) and rng.random() < share:
            other = other_figure(figure, rng)
            replace = lambda found: other if found[0] == figure else found[0]
            source, target = FIGURE.sub(replace, source), FIGURE.sub(replace, target)
            changed = True
    return (source, target) if changed else None


def both_months(source, target, rng):
    """The pair with both names of its one month, or nothing."""
    if len(MONTH.findall(source)) != 1 or len(EN_MONTH.findall(target)) != 1:
        return None
    slash = rng.choice(["/", "/", "/ ", " / "])
    return MONTH.sub(lambda month: month[0] + slash + MONTHS[month[0]], source), target


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("corpus", type=pathlib.Path)
    arguments.add_argument("--share", type=float, default=0.8, help="of the names and figures found")
    arguments.add_argument("--latin", type=float, default=0.15, help="of the new names: in Latin letters on both sides")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--names", nargs="+",
                           default=["names_google_ar2en", "names_wikidata_coling18", "news_gazetteer", "places_known", "places_other"])
    arguments.add_argument("--in", dest="sentences", nargs="+", metavar="PATTERN",
                           default=["news_*", "written_*", "tatoeba_extra", "xquad", "mlqa_context_sents"])
    a = arguments.parse_args()
    rng = random.Random(a.seed)
    names, spellings = read_names([a.corpus / f"{n}.tsv" for n in a.names])
    made = 0
    with (a.corpus / "renamed.tsv").open("w", encoding="utf-8") as file:
        for path in (p for pattern in a.sentences for p in sorted(a.corpus.glob(f"{pattern}.tsv"))):
            for source, target in lines(path):
                if len(source.split()) < 4:
                    continue
                for pair in (renamed(source, target, names, spellings, a.share, a.latin, rng), both_months(source, target, rng)):
                    if pair:
                        file.write("\t".join(pair) + "\n")
                        made += 1
    print(f"{made} pairs with other names, figures or months, from {sum(map(len, names))} names")


if __name__ == "__main__":
    main()

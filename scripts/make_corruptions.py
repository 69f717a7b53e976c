#!/usr/bin/env python3
"""Spoils good translations in known ways, and measures which quality flags notice.

    python scripts/make_corruptions.py make SOURCE.ar TARGET.en > pairs.tsv
    cut -f3,4 pairs.tsv > sentences.tsv
    tarjim align --input-format tsv --output-format jsonl sentences.tsv > flags.jsonl
    python scripts/make_corruptions.py measure pairs.tsv flags.jsonl

A line of pairs.tsv: the flag expected (`none` for the good translation itself), how it was spoilt, source, target. Each way
of spoiling is tried on every pair it fits; the choices are drawn from a fixed seed. Precision of a flag counts as right the
pairs spoilt for it, as wrong the good translations it flags, weighed as if half of all pairs were spoilt; a pair spoilt for
another flag is left out, for a cut clause may well lose a number too.
"""
import collections
import json
import random
import re
import sys

NUMBER = re.compile(r"(?<![\w.,])\d[\d.,]*\d(?![\w])|(?<![\w.,])\d(?![\w.,]\d)")
NEGATION = re.compile(r"\b(?:not|never|no longer|no|without|cannot|neither)\b|n[’']t\b", re.I)
DENIES = re.compile(r"(?<!\S)[وف]?(?:لم|لن|لا|ليس|ليست|غير|دون|بدون|عدم)(?!\S)")
NAME = re.compile(r"(?<=[a-z,] )(?:[A-Z][a-z]{2,}(?: [A-Z][a-z]{2,})*)")
LATIN = re.compile(r"[A-Za-z][A-Za-z-]+")


def without(text, start, end):
    return re.sub(r"\s+", " ", text[:start] + " " + text[end:]).strip()


def changed_number(rng, source, target):
    found = list(NUMBER.finditer(target))
    if found:
        match = rng.choice(found)
        digits = list(match.group())
        places = [i for i, c in enumerate(digits) if c.isdigit()]
        place = rng.choice(places)
        digits[place] = rng.choice([d for d in "123456789" if d != digits[place]])
        return target[: match.start()] + "".join(digits) + target[match.end() :]


def dropped_number(rng, source, target):
    found = list(NUMBER.finditer(target))
    if found:
        match = rng.choice(found)
        return without(target, match.start(), match.end())


def invented_number(rng, source, target):
    words = target.split(" ")
    if len(words) > 4:
        words.insert(rng.randrange(2, len(words) - 1), str(rng.randrange(13, 99)))
        return " ".join(words)


def dropped_negation(rng, source, target):
    # Only where every denial can go, so that the sentence does turn round.
    if DENIES.search(source) and 1 <= len(NEGATION.findall(target)) <= 2:
        return re.sub(r"\s+", " ", NEGATION.sub("", target)).strip()


def dropped_name(rng, source, target):
    found = list(NAME.finditer(target))
    if found:
        match = rng.choice(found)
        return without(target, match.start(), match.end())


def dropped_latin(rng, source, target):
    found = [word for word in LATIN.findall(source) if word in target]
    if found:
        return re.sub(r"\s+", " ", target.replace(rng.choice(found), "")).strip()


def repeated_phrase(rng, source, target):
    words = target.split(" ")
    length = rng.randrange(1, 6)
    if len(words) > length + 2:
        at = rng.randrange(len(words) - length)
        phrase = words[at : at + length]
        if any(c.isalpha() for c in "".join(phrase)):
            return " ".join(words[: at + length] + phrase * rng.randrange(1, 4) + words[at + length :])


def cut_clause(rng, source, target):
    words = target.split(" ")
    if len(words) >= 12:
        return " ".join(words[: int(len(words) * rng.uniform(0.35, 0.65))]) + "."


def cut_most(rng, source, target):
    words = target.split(" ")
    if len(words) >= 12:
        return " ".join(words[: max(2, int(len(words) * 0.2))]) + "."


def left_in_arabic(rng, source, target):
    words = target.split(" ")
    arabic = [word for word in source.split() if len(word) > 3 and re.fullmatch("[ء-ي]+", word)]
    if arabic and len(words) > 3:
        words[rng.randrange(1, len(words) - 1)] = rng.choice(arabic)
        return " ".join(words)


WAYS = [
    ("number-mismatch", changed_number),
    ("number-mismatch", dropped_number),
    ("number-mismatch", invented_number),
    ("negation-lost", dropped_negation),
    ("latin-mismatch", dropped_latin),
    ("untranslated", dropped_name),
    ("untranslated", cut_clause),
    ("untranslated", left_in_arabic),
    ("repetition", repeated_phrase),
    ("length-ratio", cut_most),
]


def make(source_file, target_file):
    rng = random.Random(6)
    for source, target in zip(open(source_file, encoding="utf-8"), open(target_file, encoding="utf-8")):
        source, target = (re.sub(r"\s+", " ", side).strip() for side in (source, target))
        print("none", "none", source, target, sep="\t")
        for flag, way in WAYS:
            spoilt = way(rng, source, target)
            if spoilt and spoilt != target:
                print(flag, way.__name__, source, spoilt, sep="\t")
        if rng.random() < 0.2:
            print("not-arabic", "english_source", target, target, sep="\t")


def kinds(line):
    """The flags of one record: kinds, as objects or names."""
    found = set()
    for sentence in json.loads(line).get("sentences", []):
        for flag in sentence.get("flags", []):
            found.add(flag["kind"] if isinstance(flag, dict) else flag)
    return found


def measure(pairs_file, flags_file):
    pairs = [line.rstrip("\n").split("\t") for line in open(pairs_file, encoding="utf-8")]
    flags = [kinds(line) for line in open(flags_file, encoding="utf-8")]
    if len(pairs) != len(flags):
        sys.exit(f"{len(flags)} records for {len(pairs)} pairs")
    good = [found for (expected, *_), found in zip(pairs, flags) if expected == "none"]
    spoilt = collections.defaultdict(list)
    for (expected, way, *_), found in zip(pairs, flags):
        if expected != "none":
            spoilt[expected, way].append(found)
    print("| flag | spoilt by | pairs | recall | false alarms on good pairs | precision at even odds |\n|---|---|---|---|---|---|")
    for (flag, way), found in sorted(spoilt.items()):
        recall = sum(flag in kinds for kinds in found) / len(found)
        alarms = sum(flag in kinds for kinds in good) / len(good)
        precision = recall / (recall + alarms) if recall + alarms else 0.0
        any_flag = sum(bool(kinds) for kinds in found) / len(found)
        print(f"| {flag} | {way} | {len(found)} | {recall:.3f} (any flag {any_flag:.3f}) | {alarms:.4f} | {precision:.3f} |")
    print(f"\ngood pairs with any flag: {sum(bool(kinds) for kinds in good)} of {len(good)}")
    for flag, count in collections.Counter(flag for kinds in good for flag in kinds).most_common():
        print(f"  {flag}: {count}")


if __name__ == "__main__":
    commands = {"make": make, "measure": measure}
    if len(sys.argv) != 4 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])

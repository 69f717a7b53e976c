"""How many figures and Latin words of the sources survive into the translations.

survivors.py SOURCE TRANSLATION
"""
import pathlib
import re
import sys

from normal import table


def main():
    source, output = (pathlib.Path(x).read_text(encoding="utf-8").splitlines() for x in sys.argv[1:3])
    rules = {k: v for k, v in table().items() if len(k) == 1}
    for name, pattern in (("figures", r"\d+(?:[.,:]\d+)*"), ("Latin words", r"[A-Za-z][A-Za-z'-]+")):
        found = kept = 0
        for x, y in zip(source, output):
            x, y = ("".join(rules.get(c, c) for c in text) for text in (x, y))
            theirs = re.findall(pattern, y)
            for item in re.findall(pattern, x):
                found += 1
                if item in theirs:
                    kept += 1
                    theirs.remove(item)
        print(f"{name}: {kept} of {found} survive ({100 * kept / max(found, 1):.0f} %)")


if __name__ == "__main__":
    main()

"""Word links for guided alignment: eflomal in both directions on DATA/units.*, symmetrised, to DATA/links.txt.

align.py DATA

On little data the aligner counts better over crude stems than over inflected words. A line of links.txt holds
`arabic-english` unit pairs of one sentence pair.
"""
import pathlib
import re
import sys
import tempfile

from eflomal import Aligner

STEM = 5
NEIGHBOURS = [(-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)]


def stem_arabic(word):
    if len(word) > 4:
        word = re.sub("^(و|ف)?(بال|كال|لل|ال)?", "", word)
    return word[:STEM] or "x"


def stem_english(word):
    return word.lower()[:STEM]


def grow_diag(forward, backward):
    """Links both directions share, grown by neighbours that one of them has and that cover a bare word."""
    links, union = forward & backward, forward | backward
    sources, targets = {i for i, _ in links}, {j for _, j in links}
    grown = True
    while grown:
        grown = False
        for i, j in sorted(links):
            for down, right in NEIGHBOURS:
                new = i + down, j + right
                if new in union and new not in links and (new[0] not in sources or new[1] not in targets):
                    links.add(new)
                    sources.add(new[0])
                    targets.add(new[1])
                    grown = True
    return links


def read_links(path):
    for line in path.open():
        yield {tuple(map(int, link.split("-"))) for link in line.split()}


def symmetrised(sources, targets):
    """The links of each pair of stemmed sentences."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "source").write_text("\n".join(sources) + "\n", encoding="utf-8")
        (folder / "target").write_text("\n".join(targets) + "\n", encoding="utf-8")
        with (folder / "source").open() as source, (folder / "target").open() as target:
            Aligner().align(source, target, links_filename_fwd=str(folder / "forward"), links_filename_rev=str(folder / "backward"))
        yield from map(grow_diag, read_links(folder / "forward"), read_links(folder / "backward"))


def main():
    data = pathlib.Path(sys.argv[1])
    stems = lambda path, stem: [" ".join(map(stem, line.split())) for line in path.open(encoding="utf-8")]
    sources, targets = stems(data / "units.ar", stem_arabic), stems(data / "units.en", stem_english)
    with (data / "links.txt").open("w") as out:
        for links in symmetrised(sources, targets):
            out.write(" ".join(f"{i}-{j}" for i, j in sorted(links)) + "\n")


if __name__ == "__main__":
    main()

"""Word alignment against gold links: the model by forced decoding, or eflomal trained on the same pairs.

score_alignment.py model DATA RUN GOLD
score_alignment.py eflomal DATA GOLD [SMALLEST-WEIGHT]

GOLD lines: number, Arabic tokens, English tokens, sure links, possible links. The attention of a word pair is the sum
over the pieces of the Arabic word and the mean over those of the English word; each English word takes the Arabic
word it looks at most.
"""
import pathlib
import sys

import numpy as np

import align


def read_gold(path):
    for line in path.open(encoding="utf-8"):
        fields = (line.rstrip("\n").split("\t") + [""] * 5)[:5]
        links = [{tuple(map(int, link.split("-"))) for link in field.split()} for field in fields[3:]]
        yield fields[1].split(), fields[2].split(), links[0], links[0] | links[1]


def report(name, found, gold):
    """Precision against possible links, recall against sure ones."""
    size = sum(map(len, found))
    right = sum(len(a & possible) for a, (*_, possible) in zip(found, gold))
    precision = right / size
    recall = sum(len(a & sure) for a, (_, _, sure, _) in zip(found, gold)) / sum(len(g[2]) for g in gold)
    print(f"{name}: precision {precision:.3f}, recall {recall:.3f}, F1 {2 * precision * recall / (precision + recall):.3f}, {size} links")


def model_links(data, run, gold):
    import sentencepiece as spm
    import torch

    from model import Marian

    torch.set_num_threads(1)
    processor = spm.SentencePieceProcessor(model_file=str(data / "spm.model"))
    kept = torch.load(run / "final.pt", map_location="cpu", weights_only=False)
    o, pad = kept["options"], kept["pieces"]
    model = Marian.of(o, pad)
    model.load_state_dict(kept["model"])
    for arabic, english, *_ in gold:
        x, y = [processor.encode(w) or [1] for w in arabic], [processor.encode(w) or [1] for w in english]
        flat_x, flat_y = sum(x, []), sum(y, [])
        with torch.no_grad():
            memory = model.encode(torch.tensor([flat_x + [0]]))
            _, looks = model.decode(torch.tensor([[pad] + flat_y[:-1]]), memory)
            q, k = (part[0, 0] for part in looks[-1])
            attention = torch.softmax((q @ k.T / q.shape[-1] ** 0.5)[:, :-1], -1).numpy()
        attention = np.add.reduceat(attention, np.cumsum([0] + [len(p) for p in x[:-1]]), axis=1)
        starts = np.cumsum([0] + [len(p) for p in y[:-1]])
        attention = np.add.reduceat(attention, starts, axis=0) / np.array([[len(p)] for p in y])
        yield {(int(row.argmax()), j) for j, row in enumerate(attention)}


def eflomal_links(data, gold, smallest):
    weights = np.load(data / "pairs.npz")["weights"]
    sides = []
    for n, (name, stem) in enumerate((("units.ar", align.stem_arabic), ("units.en", align.stem_english))):
        lines = [l for l, w in zip((data / name).open(encoding="utf-8"), weights) if w >= smallest]
        plain = lambda w: w.translate(str.maketrans("أإآ", "ااا"))
        sides.append([" ".join(map(stem, l.split())) for l in lines] + [" ".join(stem(plain(w)) for w in g[n]) for g in gold])
    print(f"{len(sides[0]) - len(gold)} pairs besides the gold ones", flush=True)
    return list(align.symmetrised(*sides))[-len(gold):]


def main():
    kind, data, *rest = sys.argv[1:]
    data = pathlib.Path(data)
    if kind == "model":
        gold = list(read_gold(pathlib.Path(rest[1])))
        report("model", list(model_links(data, pathlib.Path(rest[0]), gold)), gold)
    else:
        gold = list(read_gold(pathlib.Path(rest[0])))
        report("eflomal", eflomal_links(data, gold, float(rest[1]) if len(rest) > 1 else 0), gold)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Fits a model's confidence to how often human translators agree, and draws the reliability plot.

    tarjim translate --input-format lines --output-format jsonl --alignment-units pieces DEV.ar > dev.jsonl
    python scripts/fit_confidence.py dev.jsonl DEV.en --output models/default/confidence.json --plot reliability.svg

Several pairs of files may be given in a row. A word is right where the reference has it too (each reference word once);
a sentence's truth is its share of right words. Numbers are cross-validated over five parts by sentence; the weights written
come from all of them. Needs numpy.
"""
import argparse
import collections
import json
import math
import re

import numpy as np

LOWEST = -15.0
USUAL_RATIO = 1.2
WORD = ["bias", "log_prob", "null", "mean"]
SENTENCE = ["bias", "mean", "lowest", "null", "length"]


def letters(text):
    return sum(c.isalnum() for c in text)


def examples(record, reference):
    """Features and truth of the words and of the sentence of one record."""
    sentences = record["sentences"]
    wanted = collections.Counter(re.findall(r"\w+", reference.lower()))
    words, log_probs, nulls = [], [], []
    for sentence in sentences:
        target = sentence["target"].encode()
        scores = sentence["pieces"]["scores"]
        mean = max(LOWEST, sum(scores) / max(1, len(scores)))
        log_probs += scores
        for (start, end), score, null in zip(sentence["target_tokens"], sentence["token_scores"], sentence["null_probabilities"]):
            nulls.append(null)
            parts = re.findall(r"\w+", target[start:end].decode().lower())
            if not parts:
                continue
            right = all(wanted[part] > 0 for part in parts)
            if right:
                wanted.subtract(parts)
            words.append(([1.0, min(0.0, max(LOWEST, score)), null, mean], float(right)))
    if not words:
        return None
    source, target = ("".join(s[side] for s in sentences) for side in ("source", "target"))
    features = [
        1.0,
        max(LOWEST, sum(log_probs) / len(log_probs)),
        max(LOWEST, min(0.0, min(log_probs))),
        sum(nulls) / len(nulls),
        abs(math.log((letters(target) + 1) / (letters(source) * USUAL_RATIO + 1))),
    ]
    return words, (features, sum(right for _, right in words) / len(words))


def fit(features, truth, ridge=1e-2):
    """Logistic regression by Newton's method; truth may be a share."""
    weights = np.zeros(features.shape[1])
    penalty = ridge * np.eye(features.shape[1])
    penalty[0, 0] = 0
    for _ in range(50):
        found = predict(features, weights)
        gradient = features.T @ (truth - found) - penalty @ weights
        hessian = (features * (found * (1 - found))[:, None]).T @ features + penalty
        step = np.linalg.solve(hessian + 1e-9 * np.eye(len(weights)), gradient)
        weights += step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def predict(features, weights):
    return 1 / (1 + np.exp(-np.clip(features @ weights, -30, 30)))


def bins(found, truth, count=10):
    """Mean prediction, mean truth and size of ten equally filled bins."""
    order = np.argsort(found)
    return [(found[part].mean(), truth[part].mean(), len(part)) for part in np.array_split(order, count) if len(part)]


def error(rows):
    total = sum(size for _, _, size in rows)
    return sum(size * abs(found - truth) for found, truth, size in rows) / total


def plot(path, curves):
    """Two reliability diagrams side by side."""
    size, gap = 320, 60
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * size + 3 * gap}" height="{size + 2 * gap}" font-family="sans-serif" font-size="12">',
           '<rect width="100%" height="100%" fill="white"/>']
    for at, (title, series) in enumerate(curves):
        left, top = gap + at * (size + gap), gap
        place = lambda x, y: f"{left + x * size:.1f},{top + (1 - y) * size:.1f}"
        out.append(f'<text x="{left}" y="{top - 24}" font-size="15">{title}</text>')
        out.append(f'<rect x="{left}" y="{top}" width="{size}" height="{size}" fill="none" stroke="#bbb"/>')
        out.append(f'<polyline points="{place(0, 0)} {place(1, 1)}" stroke="#bbb" stroke-dasharray="4" fill="none"/>')
        for tick in (0, 0.5, 1):
            out.append(f'<text x="{left + tick * size}" y="{top + size + 16}" text-anchor="middle">{tick}</text>')
            out.append(f'<text x="{left - 8}" y="{top + (1 - tick) * size + 4}" text-anchor="end">{tick}</text>')
        out.append(f'<text x="{left + size / 2}" y="{top + size + 34}" text-anchor="middle">confidence</text>')
        for n, (name, color, rows) in enumerate(series):
            out.append(f'<polyline points="{" ".join(place(x, y) for x, y, _ in rows)}" stroke="{color}" fill="none" stroke-width="2"/>')
            out += [f'<circle cx="{place(x, y).split(",")[0]}" cy="{place(x, y).split(",")[1]}" r="3.5" fill="{color}"/>' for x, y, _ in rows]
            out.append(f'<text x="{left + 10}" y="{top + 20 + 16 * n}" fill="{color}">{name}, calibration error {error(rows):.3f}</text>')
    path.write("\n".join(out + ["</svg>\n"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+", metavar="JSONL REFERENCE", help="pairs of files")
    parser.add_argument("--output", type=argparse.FileType("w"))
    parser.add_argument("--plot", type=argparse.FileType("w"))
    arguments = parser.parse_args()
    words, word_fold, sentences, fold = [], [], [], []
    for translated, reference in zip(arguments.files[::2], arguments.files[1::2]):
        with open(translated, encoding="utf-8") as records, open(reference, encoding="utf-8") as lines:
            for record, line in zip(records, lines, strict=True):
                found = examples(json.loads(record), line)
                if found:
                    words += found[0]
                    word_fold += [len(sentences) % 5] * len(found[0])
                    fold.append(len(sentences) % 5)
                    sentences.append(found[1])
    result, curves = {}, []
    for name, rows, folds, names, raw in (
        ("word", words, word_fold, WORD, lambda x: np.exp(x[:, 1])),
        ("sentence", sentences, fold, SENTENCE, lambda x: np.exp(x[:, 1])),
    ):
        features, truth, folds = np.array([x for x, _ in rows]), np.array([y for _, y in rows]), np.array(folds)
        held_out = np.zeros(len(truth))
        for part in range(5):
            held_out[folds == part] = predict(features[folds == part], fit(features[folds != part], truth[folds != part]))
        result[name] = dict(zip(names, (round(float(w), 4) for w in fit(features, truth))))
        curve = []
        for kind, color, found in (("raw", "#c2410c", raw(features)), ("calibrated", "#0b7a75", held_out)):
            rows = bins(found, truth)
            correlation = np.corrcoef(found, truth)[0, 1]
            print(f"{name}, {kind}: {len(truth)} examples, squared error {np.mean((found - truth) ** 2):.4f}, "
                  f"calibration error {error(rows):.4f}, correlation {correlation:.3f}")
            print("   " + "  ".join(f"{x:.2f}→{y:.2f}" for x, y, _ in rows))
            curve.append((kind, color, rows))
        curves.append((f"Confidence of a {name}", curve))
    print(json.dumps(result, indent=2))
    if arguments.output:
        arguments.output.write(json.dumps(result, indent=2) + "\n")
    if arguments.plot:
        plot(arguments.plot, curves)


if __name__ == "__main__":
    main()

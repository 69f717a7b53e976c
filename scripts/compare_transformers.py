#!/usr/bin/env python3
"""Counts the sentences for which tarjim and transformers find the same ids, and says how far their scores lie apart.

compare_transformers.py MODEL SOURCE.ar [--lines 200] [--max-length 64] [--beams 1 4] [--profile release]

MODEL is a folder that both can load (f32, f16 or bf16 weights, Helsinki-NLP layout). Each line of SOURCE.ar is one
sentence. Needs torch, transformers and sentencepiece; builds and runs examples/search_ids.rs.
"""

import argparse
import json
import pathlib
import subprocess
import time

import sentencepiece
import torch
from transformers import MarianMTModel

ROOT = pathlib.Path(__file__).resolve().parent.parent


def encode(folder, lines):
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "source.spm"))
    end, unknown = vocabulary["</s>"], vocabulary["<unk>"]
    return [[vocabulary.get(piece, unknown) for piece in pieces.encode(line, out_type=str)] + [end] for line in lines]


def theirs(model, sources, beams, max_length):
    """Best hypothesis and score of each sentence, in batches of 20."""
    pad, end = model.generation_config.pad_token_id, model.generation_config.eos_token_id
    found = []
    for first in range(0, len(sources), 20):
        batch = [torch.tensor(source) for source in sources[first : first + 20]]
        ids = torch.nn.utils.rnn.pad_sequence(batch, True, pad)
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(source) for source in batch], True, 0)
        result = model.generate(
            input_ids=ids, attention_mask=mask, num_beams=beams, max_length=max_length, do_sample=False,
            return_dict_in_generate=True, output_scores=True,
        )
        steps = model.compute_transition_scores(
            result.sequences, result.scores, result.get("beam_indices"), normalize_logits=beams == 1
        )
        for row, log_probs in zip(result.sequences.tolist(), steps.tolist()):
            tokens = row[1:]
            tokens = tokens[: tokens.index(end) + 1] if end in tokens else tokens
            found.append((tokens, sum(log_probs[: len(tokens)]) / len(tokens)))
    return found


def ours(folder, sources, beams, max_length, profile):
    command = ["cargo", "run", "--quiet", "--profile", profile, "--example", "search_ids", "--"]
    command += [folder, str(beams), str(max_length)]
    text = "".join(json.dumps(source) + "\n" for source in sources)
    out = subprocess.run(command, input=text, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    return [(found["tokens"], found["score"]) for found in map(json.loads, out.splitlines())]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--max-length", type=int, default=64)
    parser.add_argument("--beams", type=int, nargs="*", default=[1, 4])
    parser.add_argument("--profile", default="release", help="cargo profile; it decides the last column only")
    arguments = parser.parse_args()

    lines = arguments.source.read_text(encoding="utf-8").splitlines()[: arguments.lines]
    sources = encode(arguments.model, lines)
    model = MarianMTModel.from_pretrained(arguments.model, dtype=torch.float32).eval()
    build = ["cargo", "build", "--quiet", "--profile", arguments.profile, "--example", "search_ids"]
    subprocess.run(build, check=True, cwd=ROOT)
    print("| search | ids equal | largest difference of scores | transformers | tarjim |\n|---|---|---|---|---|")
    for beams in arguments.beams:
        start = time.perf_counter()
        with torch.no_grad():
            expected = theirs(model, sources, beams, arguments.max_length)
        middle = time.perf_counter()
        found = ours(arguments.model, sources, beams, arguments.max_length, arguments.profile)
        end = time.perf_counter()
        equal = [i for i in range(len(lines)) if expected[i][0] == found[i][0]]
        apart = max((abs(expected[i][1] - found[i][1]) for i in equal), default=0.0)
        name = "greedy" if beams == 1 else f"beam {beams}"
        print(
            f"| {name} | {len(equal)} of {len(lines)} | {apart:.1e} | {middle - start:.1f} s | {end - middle:.1f} s |",
            flush=True,
        )
        for i in sorted(set(range(len(lines))) - set(equal)):
            print(f"line {i + 1}: {expected[i][1]:.6f} {expected[i][0]}\n        but {found[i][1]:.6f} {found[i][0]}")


if __name__ == "__main__":
    main()

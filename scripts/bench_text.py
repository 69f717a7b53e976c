#!/usr/bin/env python3
"""Times whole programs on real text with one model: tarjim (native and candle), CTranslate2 and transformers.

bench_text.py TARJIM MODEL TEXT [--rounds 3] [--lines N] [--threads 1] [--programs NAME ...]

MODEL is a folder in the Helsinki-NLP layout, f32 or int8; TEXT has a sentence a line. Every program reads the lines
from its standard input and writes translations, with beam 4 and with beam 1, from SentencePiece to plain text. Each is
run on one line and on all of them: the difference is the rate, the first is the start. Times are of the processor, with
all threads; the clock's are printed beside. Needs torch, transformers, ctranslate2 and sentencepiece.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve()
BATCH = 32


def prepare(folder, out):
    """The folder with f32 weights, for programs that don't read int8 ones, and converted for CTranslate2."""
    from ctranslate2.converters import TransformersConverter

    sys.path.insert(0, str(HERE.parent / "train"))
    from quantize import plain_copy

    plain_copy(folder, out)
    TransformersConverter(str(out)).convert(str(out / "ct2"), quantization="int8")


def pieces_of(folder):
    import sentencepiece

    return sentencepiece.SentencePieceProcessor(model_file=str(folder / "source.spm"))


def by_length(sources):
    """Batches of like length, as numbers of sentences."""
    order = sorted(range(len(sources)), key=lambda n: len(sources[n]))
    return [order[start : start + BATCH] for start in range(0, len(order), BATCH)]


def run_ctranslate2(folder, lines, beam, threads):
    import ctranslate2

    pieces = pieces_of(folder)
    translator = ctranslate2.Translator(str(folder / "ct2"), compute_type="int8", inter_threads=1, intra_threads=threads)
    sources = [line + ["</s>"] for line in pieces.encode(lines, out_type=str)]
    output = [""] * len(lines)
    for batch in by_length(sources):
        results = translator.translate_batch(
            [sources[n] for n in batch], beam_size=beam, no_repeat_ngram_size=3, disable_unk=True,
            max_decoding_length=3 * max(len(sources[n]) for n in batch))
        for n, result in zip(batch, results):
            output[n] = pieces.decode(result.hypotheses[0])
    return output


def run_transformers(folder, lines, beam, threads):
    import torch
    from transformers import MarianMTModel, MarianTokenizer

    torch.set_num_threads(threads)
    tokenizer = MarianTokenizer.from_pretrained(folder)
    model = MarianMTModel.from_pretrained(folder).eval()
    sources = tokenizer(lines)["input_ids"]
    output = [""] * len(lines)
    for batch in by_length(sources):
        inputs = tokenizer([lines[n] for n in batch], return_tensors="pt", padding=True)
        with torch.no_grad():
            found = model.generate(**inputs, num_beams=beam, max_new_tokens=3 * max(len(sources[n]) for n in batch))
        for n, text in zip(batch, tokenizer.batch_decode(found, skip_special_tokens=True)):
            output[n] = text
    return output


def child(arguments):
    if arguments[0] == "prepare":
        return prepare(pathlib.Path(arguments[1]), pathlib.Path(arguments[2]))
    run = {"ctranslate2": run_ctranslate2, "transformers": run_transformers}[arguments[0]]
    lines = sys.stdin.read().splitlines()
    print("\n".join(run(pathlib.Path(arguments[1]), lines, int(arguments[2]), int(arguments[3]))))


def measured(command, text, lines):
    """Processor seconds, clock seconds and peak memory in MB of a command that must answer every line."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as given, tempfile.TemporaryFile("w+", encoding="utf-8") as found:
        given.write(text)
        given.seek(0)
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdin=given, stdout=found, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        clock = time.perf_counter() - begun
        found.seek(0)
        answered = len(found.read().splitlines())
    if status or answered != lines:
        raise SystemExit(f"{' '.join(map(str, command))}: status {status}, {answered} lines for {lines}")
    return usage.ru_utime + usage.ru_stime, clock, usage.ru_maxrss / 1024


def main():
    if sys.argv[1:2] == ["--child"]:
        return child(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("tarjim", "model", "text"):
        parser.add_argument(name, type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lines", type=int, default=10**9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--programs", nargs="*", default=["native", "ctranslate2", "candle", "transformers"])
    a = parser.parse_args()
    lines = a.text.read_text(encoding="utf-8").splitlines()[: a.lines]
    words = sum(len(line.split()) for line in lines)
    with tempfile.TemporaryDirectory() as work:
        plain = pathlib.Path(work) / "plain"
        # In a process of its own: a child's peak memory counts what its parent had when it was started.
        subprocess.run([sys.executable, HERE, "--child", "prepare", a.model, plain], check=True, stdout=subprocess.DEVNULL)

        def command(program, beam):
            if program in ("native", "candle"):
                model = a.model if program == "native" else plain
                return [a.tarjim, "translate", "--input-format", "lines", "--model", model.resolve(), "--engine", program,
                        "--beam-size", str(beam), "--threads", str(a.threads), "--quiet"]
            return [sys.executable, HERE, "--child", program, plain, str(beam), str(a.threads)]

        print(f"{len(lines)} lines, {words} words, {a.threads} threads, median of {a.rounds} rounds\n")
        print("| program | beam | words / CPU s | words / s | sentences / CPU s | one line: CPU s | one line: s | peak MB |")
        print("|---|---|---|---|---|---|---|---|")
        for beam in (4, 1):
            taken = {program: [] for program in a.programs}
            for _ in range(a.rounds):  # side by side: what else the machine does meets all of them
                for program in a.programs:
                    one = measured(command(program, beam), lines[0] + "\n", 1)
                    every = measured(command(program, beam), "\n".join(lines) + "\n", len(lines))
                    taken[program].append((every[0] - one[0], every[1] - one[1], one[0], one[1], every[2]))
            for program, rounds in taken.items():
                processor, clock, start, first, memory = (statistics.median(column) for column in zip(*rounds))
                print(f"| {program} | {beam} | {words / processor:.0f} | {words / clock:.0f} | {len(lines) / processor:.1f} "
                      f"| {start:.2f} | {first:.2f} | {memory:.0f} |", flush=True)


main()

"""How tarjim's cost grows with sentence length, rows in flight, beam, threads and vocabulary, as Markdown tables.

bench_growth.py DECODE TOKENIZER_DIR WORK [--python PYTHON]

DECODE is the built benchmark `decode`, TOKENIZER_DIR as for scripts/bench, WORK its work folder with `seeded/`. Models
of other vocabulary sizes are written beside it. Every figure is a sentence's or a target token's processor time with
forced lengths: target as long as source.
"""

import argparse
import pathlib
import subprocess
import sys

from bench_summary import LINE

SCRIPT = pathlib.Path(__file__).resolve().parent / "make_seeded_marian.py"


def decode(binary, model, ids, **options):
    """One run: sentences per processor second, sentences per second of the clock, peak MB."""
    command = [binary, model, ids]
    for name, value in options.items():
        command += ["--" + name.replace("_", "-"), str(value)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = LINE.match(out)
    return float(found["processor"]), float(found["clock"]), float(found["memory"])


def sentences(path, length, count, highest):
    """A file of `count` sentences of `length` pieces, the end among them."""
    step = 7919
    with path.open("w", encoding="ascii") as file:
        for n in range(count):
            print(*(2 + (n * length + i) * step % (highest - 2) for i in range(length - 1)), 0, file=file)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("decode", "tokenizer", "work"):
        parser.add_argument(name, type=pathlib.Path)
    parser.add_argument("--python", default=sys.executable)
    a = parser.parse_args()
    seeded = a.work / "seeded" / "int8"
    ids = a.work / "growth.txt"
    highest = 60000

    print("Source length = target length, greedy, 32 rows\n\n| pieces | ms a sentence | ms a target token | peak MB |\n|---|---|---|---|")
    for length in (5, 10, 20, 40, 80, 160, 320, 400):
        count = max(4, 1600 // length)
        cpu, _, memory = decode(a.decode, seeded, sentences(ids, length, count, highest), beam=1, rows=32, length=length)
        print(f"| {length} | {1000 / cpu:.1f} | {1000 / cpu / length:.2f} | {memory:.0f} |", flush=True)

    sentences(ids, 30, 256, highest)
    print("\nRows in flight, greedy, 30 pieces\n\n| rows | ms a sentence | peak MB |\n|---|---|---|")
    for rows in (1, 2, 4, 8, 16, 32, 64, 128, 256):
        cpu, _, memory = decode(a.decode, seeded, ids, beam=1, rows=rows, length=30, limit=max(8, min(256, 4 * rows)))
        print(f"| {rows} | {1000 / cpu:.1f} | {memory:.0f} |", flush=True)

    print("\nBeam, 32 sentences in flight, 30 pieces\n\n| beam | ms a sentence | ms a hypothesis | peak MB |\n|---|---|---|---|")
    for beam in (1, 2, 3, 4, 6, 8):
        cpu, _, memory = decode(a.decode, seeded, ids, beam=beam, rows=32 * beam, length=30, limit=64)
        print(f"| {beam} | {1000 / cpu:.1f} | {1000 / cpu / beam:.1f} | {memory:.0f} |", flush=True)

    print("\nThreads, greedy, 32 rows each, 30 pieces\n\n| threads | sentences/s of the clock | ms of processors a sentence | peak MB |\n|---|---|---|---|")
    for threads in (1, 2):
        cpu, clock, memory = decode(a.decode, seeded, ids, beam=1, rows=32, length=30, threads=threads)
        print(f"| {threads} | {clock:.1f} | {1000 / cpu:.1f} | {memory:.0f} |", flush=True)

    print("\nVocabulary, greedy, 32 rows, 30 pieces\n\n| pieces | ms a sentence | peak MB |\n|---|---|---|")
    for size in (8000, 16000, 32000, 62834):
        folder = a.work / f"seeded-{size}"
        if not (folder / "int8").exists():
            make = [a.python, SCRIPT, a.tokenizer, folder, "--vocabulary", str(size), "--sentences", "1"]
            subprocess.run(make, check=True, capture_output=True)
            (folder / "f32" / "model.safetensors").unlink()
        cpu, _, memory = decode(a.decode, folder / "int8", sentences(ids, 30, 64, size - 2), beam=1, rows=32, length=30)
        print(f"| {size} | {1000 / cpu:.1f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()

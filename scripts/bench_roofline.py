"""How near tarjim's products come to the processor's peak, and where the rest of the time goes.

bench_roofline.py DECODE MODEL IDS_FILE PEAKS

DECODE is the built benchmark `decode`, MODEL an int8 folder of its seeded model, PEAKS what scripts/bench_peak.c
printed. Runs greedy search with 32 rows, beam 4, and one sentence at a time on one thread, with TARJIM_TIMING, and
prints for each the time by operation with the multiply-adds a second where the operation is a matrix product.
"""

import argparse
import json
import os
import pathlib
import subprocess

LENGTH = 32


def multiply_adds(config, sources, beam):
    """Of one pass over the sentences, by the name of the operation that does them."""
    d, inner = config["d_model"], config["decoder_ffn_dim"]
    pieces = sum(map(len, sources))
    rows = len(sources) * (1 + (LENGTH - 1) * beam)
    return {
        "encoder linear layers": pieces * config["encoder_layers"] * (4 * d * d + 2 * d * config["encoder_ffn_dim"]),
        "cross-attention keys and values": pieces * config["decoder_layers"] * 2 * d * d,
        "decoder linear layers": rows * config["decoder_layers"] * (6 * d * d + 2 * d * inner),
        "output layer and ranking": rows * d * config["vocab_size"],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("decode", "model", "ids", "peaks"):
        parser.add_argument(name, type=pathlib.Path)
    a = parser.parse_args()
    config = json.loads((a.model / "config.json").read_text())
    lines = a.ids.read_text().splitlines()
    print("Peak of one core (scripts/bench_peak.c):\n\n```\n" + a.peaks.read_text() + "```")
    for name, beam, rows, limit in (("greedy, 32 rows", 1, 32, 128), ("beam 4, 128 rows", 4, 128, 64), ("greedy, one sentence", 1, 1, 8)):
        sources = [line.split() for line in lines[:limit]]
        command = [a.decode, a.model, a.ids, "--beam", beam, "--rows", rows, "--limit", limit, "--length", LENGTH, "--threads", 1]
        out = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, check=True, env=os.environ | {"TARJIM_TIMING": "1"}).stdout
        done = multiply_adds(config, [*sources, *sources[:4]], beam)  # the benchmark warms up on the first four
        print(f"\n{name}\n\n| operation | ms | % | G multiply-adds/s |\n|---|---|---|---|")
        for line in out[out.index("operation"):].splitlines()[1:]:
            operation, numbers = line[:32].strip(), line[32:].split()
            rate = f"{done[operation] / float(numbers[0]) * 1e-6:.1f}" if operation in done else ""
            print(f"| {operation} | {numbers[0]} | {numbers[1] if len(numbers) > 1 else ''} | {rate} |")


main()

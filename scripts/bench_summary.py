"""Medians and pairwise ratios of the raw lines of scripts/bench, as a Markdown table.

bench_summary.py RAW_FILE
"""

import re
import statistics
import sys

LINE = re.compile(
    r"^(?P<program>tarjim|ctranslate2) .* beam (?P<beam>\d+) rows (?P<rows>\d+) threads (?P<threads>\d+): "
    r"load (?P<load>\S+) s \(cpu (?P<load_cpu>\S+)\), (?P<clock>\S+) sentences/s, \S+ target tokens/s, "
    r"(?P<processor>\S+) sentences per cpu second, peak RSS (?P<memory>\d+) MB"
)


def main():
    settings = {}
    for line in open(sys.argv[1], encoding="utf-8"):
        found = LINE.match(line)
        if found:
            setting = tuple(int(found[name]) for name in ("beam", "rows", "threads"))
            settings.setdefault(setting, {}).setdefault(found["program"], []).append(found)
    print("| beam | rows | threads | ctranslate2 | tarjim | ratio (range) | per cpu second | ratio (range) | RSS MB | load s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for (beam, rows, threads), programs in sorted(settings.items(), key=lambda item: (item[0][2], item[0][:2])):
        theirs, ours = programs["ctranslate2"], programs["tarjim"]
        cells = [str(beam), str(rows), str(threads)]
        for name in ("clock", "processor"):
            values = [[float(found[name]) for found in side] for side in (theirs, ours)]
            ratios = [b / a for a, b in zip(*values)]
            medians = [f"{statistics.median(side):.2f}" for side in values]
            spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
            cells += [*medians, spread] if name == "clock" else [" / ".join(medians), spread]
        for name in ("memory", "load"):
            cells.append(" / ".join(f"{statistics.median(float(f[name]) for f in side):g}" for side in (theirs, ours)))
        print("| " + " | ".join(cells) + " |")
    print("\nMedians; sentences per second of the clock, then of processor time. Ratios are taken pair by pair.")


if __name__ == "__main__":
    main()

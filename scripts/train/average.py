"""The mean of two runs of one shape that come of each other: OUT/final.pt, to be exported.

average.py RUN OTHER OUT [--share 0.5]

RUN/final.pt counts for what OTHER leaves; OTHER is a run, too, or what `adopt.py` made of a model folder.
"""
import argparse
import pathlib

import torch


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("run", type=pathlib.Path)
    arguments.add_argument("other", type=pathlib.Path)
    arguments.add_argument("out", type=pathlib.Path)
    arguments.add_argument("--share", type=float, default=0.5, help="of OTHER")
    a = arguments.parse_args()
    load = lambda path: torch.load(path, map_location="cpu", weights_only=False)
    kept = load(a.run / "final.pt")
    finished = a.other / "final.pt"
    other = load(finished if finished.exists() else a.other / "last.pt")["model"]
    kept["model"] = {name: torch.lerp(value, other[name], a.share) for name, value in kept["model"].items()}
    a.out.mkdir(parents=True, exist_ok=True)
    torch.save(kept, a.out / "final.pt")


if __name__ == "__main__":
    main()

"""The int8 form of a model folder: matrices as int8 with one scale a row, everything else as it was.

quantize.py MODEL OUT
"""
import json
import pathlib
import shutil
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

GROUP_LIMIT = 258  # 127 · 258 is the largest sum that fits
SMALL_FILES = ("generation_config.json", "source.spm", "target.spm", "vocab.json", "tokenizer_config.json")
SCHEME = {
    "quant_method": "compressed-tensors",
    "format": "int-quantized",
    "quantization_status": "compressed",
    "config_groups": {
        "group_0": {
            "targets": ["Linear", "Embedding"],
            "weights": {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel"},
        }
    },
}


def heaviest_group(rows):
    """Of each row, the largest sum of same-signed weights that the AVX2 kernel adds up in 16 bits."""
    groups = F.pad(rows, (0, -rows.shape[1] % 16)).reshape(len(rows), -1, 4, 2, 2)
    above, below = groups.clamp(min=0).sum((2, 4)), -groups.clamp(max=0).sum((2, 4))
    return torch.maximum(above, below).amax((1, 2))


def quantized(matrix):
    """int8 values and row scales, within the bound of `src/native/quantize.rs`: `tarjim` takes them as they are.

    An empty row keeps the scale one.
    """
    scale = matrix.abs().amax(1, keepdim=True) / 127
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    while True:
        rows = (matrix / scale).round().clamp(-127, 127)
        heaviest = heaviest_group(rows)[:, None]
        if (heaviest <= GROUP_LIMIT).all():
            return rows.to(torch.int8), scale.float()
        scale = torch.where(heaviest > GROUP_LIMIT, scale * (heaviest / GROUP_LIMIT).clamp(min=1.002), scale)


def restored(tensors):
    """The tensors in f32 again, under their plain names."""
    out = {}
    for name, value in tensors.items():
        if name.endswith(".weight_scale"):
            continue
        scale = tensors.get(name + "_scale")
        out[name] = value.float() if scale is None else value.float() * scale
    return out


def plain_copy(folder, out):
    """A copy of a model folder with f32 weights, whatever it has, for programs that read no int8 ones."""
    shutil.copytree(folder, out)
    config = json.loads((out / "config.json").read_text())
    if config.pop("quantization_config", None):
        (out / "config.json").write_text(json.dumps(config))
        save_file(restored(load_file(folder / "model.safetensors")), out / "model.safetensors", metadata={"format": "pt"})


def main():
    source, out = map(pathlib.Path, sys.argv[1:3])
    out.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, value in load_file(source / "model.safetensors").items():
        if value.ndim == 2 and name.endswith(".weight"):
            tensors[name], tensors[name + "_scale"] = quantized(value)
        else:
            tensors[name] = value.float()
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    (out / "model.safetensors").chmod(0o644)
    config = json.loads((source / "config.json").read_text())
    config["quantization_config"] = SCHEME
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    for name in SMALL_FILES:
        shutil.copy(source / name, out / name)
    if (source / "lexical.zst").exists():
        shutil.copy(source / "lexical.zst", out / "lexical.zst")
    print(f"{out}: {sum(f.stat().st_size for f in out.iterdir()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()

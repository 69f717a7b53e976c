"""Writes a Marian model of the shape of opus-mt-ar-en (or another) with seeded random weights: for speed, not for text.

make_seeded_marian.py TOKENIZER_DIR OUT [--d-model 512] [--ffn 2048] [--heads 8] [--encoder-layers 6]
                      [--decoder-layers 6] [--vocabulary N] [--seed 0] [--sentences 256] [--longest 60]

TOKENIZER_DIR holds config.json, source.spm, target.spm and vocab.json of a real model: CTranslate2's converter asks for
them. OUT gets the model in f32 (`f32/`), the same in int8 with one scale per row (`int8/`), and `ids.txt`: sentences of
random pieces whose lengths are spread as those of news are. Needs torch, transformers and safetensors.
"""

import argparse
import json
import pathlib
import random
import shutil
import sys

import torch
from safetensors.torch import save_file
from transformers import MarianConfig, MarianMTModel

sys.path.insert(0, str(pathlib.Path(__file__).parent / "train"))
from quantize import quantized as int8_rows

TOKENIZER_FILES = ("source.spm", "target.spm", "vocab.json", "tokenizer_config.json")


def quantized(tensors):
    """int8 rows and their scales for every matrix, vectors as they are."""
    out = {}
    for name, tensor in tensors.items():
        if tensor.dim() != 2 or tensor.shape[0] == 1 or "embed_positions" in name:
            out[name] = tensor.contiguous()
            continue
        rows, scale = int8_rows(tensor)
        out[name], out[name + "_scale"] = rows.contiguous(), scale[:, 0].contiguous()
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    shape = dict(d_model=512, ffn=2048, heads=8, encoder_layers=6, decoder_layers=6, seed=0, sentences=256, longest=60)
    for name, value in shape.items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=value)
    parser.add_argument("--vocabulary", type=int)
    arguments = parser.parse_args()

    torch.manual_seed(arguments.seed)
    config = MarianConfig.from_pretrained(arguments.tokenizer)
    config.d_model = arguments.d_model
    config.encoder_ffn_dim = config.decoder_ffn_dim = arguments.ffn
    config.encoder_attention_heads = config.decoder_attention_heads = arguments.heads
    config.encoder_layers, config.decoder_layers = arguments.encoder_layers, arguments.decoder_layers
    config.init_std = 0.06
    config.alignment_heads = None  # no head of a random model was trained on word links
    if arguments.vocabulary:
        config.vocab_size = config.decoder_vocab_size = arguments.vocabulary
        config.pad_token_id = config.decoder_start_token_id = arguments.vocabulary - 1
    model = MarianMTModel(config).eval()
    if arguments.vocabulary:
        model.generation_config.bad_words_ids = [[config.pad_token_id]]

    full = arguments.out / "f32"
    model.save_pretrained(full)
    small = arguments.out / "int8"
    small.mkdir(parents=True, exist_ok=True)
    tied = ("model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight")
    tensors = {name: tensor for name, tensor in model.state_dict().items() if name not in tied}
    tensors = {name: tensor for name, tensor in tensors.items() if "embed_positions" not in name}
    save_file(quantized(tensors), small / "model.safetensors")
    for name in ("config.json", "generation_config.json"):
        shutil.copy(full / name, small / name)
    for name in TOKENIZER_FILES:
        if (arguments.tokenizer / name).exists():
            shutil.copy(arguments.tokenizer / name, full / name)
            shutil.copy(arguments.tokenizer / name, small / name)

    numbers = random.Random(arguments.seed)
    size = len(json.loads((arguments.tokenizer / "vocab.json").read_text(encoding="utf-8")))
    highest = min(size, config.vocab_size) - 2
    with open(arguments.out / "ids.txt", "w", encoding="ascii") as file:
        for _ in range(arguments.sentences):
            length = max(4, min(arguments.longest, round(numbers.gauss(30, 12))))
            ids = [numbers.randint(2, highest) for _ in range(length)] + [config.eos_token_id]
            print(*ids, file=file)


main()

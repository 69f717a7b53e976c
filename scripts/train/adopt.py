"""A model folder as the start of a run: RUN/last.pt with the folder's weights, f32 or int8.

adopt.py MODEL RUN [--encoder N] [--inner N]

With more encoder layers than the folder has, the new ones come last and begin as almost nothing: they hand on what
they get. With a wider inner part of the encoder layers, nobody listens to the new units yet. The optimiser starts
afresh; `train.py ... again=1` does the rest.
"""
import argparse
import json
import pathlib

import torch
from safetensors.torch import load_file

from model import Layer
from quantize import restored


def passing(width, inner, heads, gain, bias):
    """An encoder layer that hands on vectors which a norm of that gain and bias made."""
    layer = Layer(width, inner, heads, False, 0.0)
    for linear in (layer.self_attn.out_proj, layer.fc2):
        linear.weight.data *= 0.05
    scale = ((gain**2).mean() + (bias**2).mean() - bias.mean() ** 2).sqrt()
    layer.final_layer_norm.weight.data.fill_(scale)
    layer.final_layer_norm.bias.data.fill_(bias.mean())
    return layer.state_dict()


def widened(state, layer, width, inner):
    """Changes an encoder layer to an inner width: new units see the input, and weigh nothing in the output."""
    first, second = (f"encoder.{layer}.{name}." for name in ("fc1", "fc2"))
    more = inner - len(state[first + "bias"])
    new = torch.nn.init.xavier_uniform_(torch.empty(more, width))
    state[first + "weight"] = torch.cat([state[first + "weight"], new])
    state[first + "bias"] = torch.cat([state[first + "bias"], torch.zeros(more)])
    state[second + "weight"] = torch.cat([state[second + "weight"], torch.zeros(width, more)], 1)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("model", type=pathlib.Path)
    arguments.add_argument("run", type=pathlib.Path)
    arguments.add_argument("--encoder", type=int, help="layers")
    arguments.add_argument("--inner", type=int, help="inner width of the encoder layers")
    a = arguments.parse_args()
    config = json.loads((a.model / "config.json").read_text())
    width, inner, heads = config["d_model"], config["encoder_ffn_dim"], config["encoder_attention_heads"]
    state = {}
    for name, value in restored(load_file(a.model / "model.safetensors")).items():
        name = name.removeprefix("model.")
        if name == "final_logits_bias":
            state[name] = value.reshape(-1)
        elif name == "shared.weight":
            state[name] = value
        elif "embed" not in name and "lm_head" not in name:
            state[name.replace("layers.", "", 1)] = value
    has = config["encoder_layers"]
    if a.inner and a.inner > inner:
        for n in range(has):
            widened(state, n, width, a.inner)
        inner = a.inner
    for n in range(has, a.encoder or has):
        norm = f"encoder.{has - 1}.final_layer_norm."
        layer = passing(width, inner, heads, state[norm + "weight"], state[norm + "bias"])
        state |= {f"encoder.{n}.{name}": value for name, value in layer.items()}
    a.run.mkdir(parents=True, exist_ok=True)
    torch.save(dict(model=state, average=state, optimisers=[], step=0, visits=0, spent=0.0), a.run / "last.pt")
    print(f"{a.run / 'last.pt'}: {sum(v.numel() for v in state.values()) / 1e6:.1f} M parameters, encoder {max(has, a.encoder or 0)}")


if __name__ == "__main__":
    main()

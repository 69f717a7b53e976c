"""The Marian graph in plain PyTorch: post-norm Transformer, sinusoid positions, one embedding for everything.

Computes what `transformers`' MarianMTModel computes. There are no padding masks: a batch holds sources of equal length,
and causality alone keeps the padded ends of targets from mattering.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

HIDDEN = -1e4  # the score of a position that must not be looked at; small enough for bf16, too


def sinusoids(count, width):
    """Position vectors, sines in the first half and cosines in the second."""
    angles = torch.arange(count)[:, None] / 10000 ** (torch.arange(0, width, 2)[None] / width)
    return torch.cat([angles.sin(), angles.cos()], 1)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))

    def split(self, x):
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def forward(self, x, memory, causal=False):
        """The output, with queries and keys for whoever wants to see where it looked."""
        q, k, v = self.split(self.q_proj(x)), self.split(self.k_proj(memory)), self.split(self.v_proj(memory))
        # Written out: on a CPU the backward pass of torch's own attention takes longer than all of this.
        scores = q @ (k.transpose(2, 3) / math.sqrt(q.shape[-1]))
        if causal:
            scores = scores + torch.full(scores.shape[2:], HIDDEN, dtype=scores.dtype, device=x.device).triu(1)
        y = scores.softmax(-1, dtype=scores.dtype) @ v
        return self.out_proj(y.transpose(1, 2).reshape(x.shape)), q, k


class Layer(nn.Module):
    def __init__(self, width, inner, heads, decoder, dropout):
        super().__init__()
        self.decoder, self.dropout = decoder, dropout
        self.self_attn, self.self_attn_layer_norm = Attention(width, heads), nn.LayerNorm(width)
        if decoder:
            self.encoder_attn, self.encoder_attn_layer_norm = Attention(width, heads), nn.LayerNorm(width)
        self.fc1, self.fc2, self.final_layer_norm = nn.Linear(width, inner), nn.Linear(inner, width), nn.LayerNorm(width)

    def drop(self, x):
        return F.dropout(x, self.dropout, True) if self.training and self.dropout else x

    def forward(self, x, memory=None):
        looks = None
        x = self.self_attn_layer_norm(x + self.drop(self.self_attn(x, x, self.decoder)[0]))
        if self.decoder:
            y, *looks = self.encoder_attn(x, memory)
            x = self.encoder_attn_layer_norm(x + self.drop(y))
        return self.final_layer_norm(x + self.drop(self.fc2(F.relu(self.fc1(x))))), looks


class Marian(nn.Module):
    """`vocabulary` counts the padding piece, which comes last; `inner` is the encoder's, `decoder_inner` 0 the same."""

    def __init__(self, vocabulary, width, inner, heads, encoder, decoder, dropout=0.0, decoder_inner=0):
        super().__init__()
        self.width, self.pad = width, vocabulary - 1
        self.shared = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.shared.weight, std=width**-0.5)
        self.shared.weight.data[self.pad] = 0
        self.encoder = nn.ModuleList(Layer(width, inner, heads, False, dropout) for _ in range(encoder))
        self.decoder = nn.ModuleList(Layer(width, decoder_inner or inner, heads, True, dropout) for _ in range(decoder))
        self.final_logits_bias = nn.Parameter(torch.zeros(vocabulary))
        self.register_buffer("positions", sinusoids(512, width), persistent=False)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    @classmethod
    def of(cls, options, pieces, dropout=0.0):
        """The model that options of a run describe, for `pieces` pieces and the padding."""
        shape = (options[name] for name in ("width", "inner", "heads", "encoder", "decoder"))
        return cls(pieces + 1, *shape, dropout, options.get("decoder_inner", 0))

    def embed(self, ids):
        kind = ids.device.type
        x = self.shared(ids) * math.sqrt(self.width) + self.positions[: ids.shape[1]]
        # So that the sums around the layers are in bf16 too, where the products are.
        return x.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else x

    def encode(self, ids):
        x = self.embed(ids)
        for layer in self.encoder:
            x, _ = layer(x)
        return x

    def decode(self, ids, memory):
        """States of all target positions, and the (queries, keys) of each layer's look at the source."""
        y, looks = self.embed(ids), []
        for layer in self.decoder:
            y, look = layer(y, memory)
            looks.append(look)
        return y, looks

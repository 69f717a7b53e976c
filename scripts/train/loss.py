"""What training makes smaller: sampled cross entropy of the pieces, and where the heads look against the links."""
import math

import torch
import torch.nn.functional as F


class ChunkedCrossEntropy(torch.autograd.Function):
    """Mean cross entropy of `states @ weight.T + bias`, a few rows at a time: the scores never leave the cache.

    The products are computed in `precision`, all else in f32. On a GPU as many rows as its memory likes.
    """

    @staticmethod
    def forward(ctx, states, weight, bias, expected, smoothing=0.0, precision=torch.float32):
        rows = 128 if states.device.type == "cpu" else 4096
        to_states, to_weight, to_bias = torch.empty_like(states), torch.zeros_like(weight), torch.zeros_like(bias)
        states, weight, short_bias = states.to(precision), weight.to(precision), bias.to(precision)
        total = torch.zeros((), device=states.device)
        for start in range(0, len(states), rows):
            part, label = states[start:start + rows], expected[start:start + rows, None]
            x = torch.addmm(short_bias, part, weight.T).softmax(1, dtype=torch.float32)
            total -= x.gather(1, label).clamp(min=1e-30).log().sum()
            x.scatter_add_(1, label, torch.full(label.shape, smoothing - 1.0, device=x.device))
            to_bias += x.sum(0)
            x = x.to(precision)
            to_states[start:start + rows] = x @ weight
            to_weight += x.T @ part
        if smoothing:  # the same share for every piece
            share = smoothing / len(weight)
            to_states -= (share * weight.sum(0, dtype=torch.float32)).to(to_states.dtype)
            to_weight -= share * states.sum(0, dtype=torch.float32)
            to_bias -= share * len(states)
        for gradient in (to_states, to_weight, to_bias):
            gradient /= len(states)
        ctx.save_for_backward(to_states, to_weight, to_bias)
        return total / len(states)

    @staticmethod
    def backward(ctx, gradient):
        return *(gradient * x for x in ctx.saved_tensors), None, None, None, None


def sampled_loss(states, expected, model, known, count, generator, smoothing=0.0, precision=torch.float32):
    """Cross entropy over the batch's own pieces and a random sample, which stands for all the others.

    `smoothing` goes into the gradient only: the figure stays comparable.
    """
    device = expected.device
    own = torch.zeros(len(model.final_logits_bias), dtype=torch.bool, device=device)
    own[expected] = True
    others = known[~own[known]]
    own = own.nonzero()[:, 0]
    chosen = others[torch.from_numpy(generator.choice(len(others), min(count, len(others)), replace=False)).to(device)]
    pieces = torch.cat([own, chosen])
    place = torch.zeros(len(model.final_logits_bias), dtype=torch.long, device=device)
    place[pieces] = torch.arange(len(pieces), device=device)
    bias = model.final_logits_bias[pieces].clone()
    bias[len(own):] += math.log(max(len(others), 1) / max(len(chosen), 1))
    return ChunkedCrossEntropy.apply(states, model.shared.weight[pieces], bias, place[expected], smoothing, precision)


def alignment_loss(look, shares, head_list):
    """Cross entropy of where the heads look against where the links say, per linked target piece."""
    queries, keys = look
    q, k = queries[:, head_list].float(), keys[:, head_list].float()
    scores = F.log_softmax(q @ k.transpose(2, 3) / math.sqrt(q.shape[-1]), -1)
    return -(shares[:, None] * scores).sum() / (shares.sum() * len(head_list)).clamp(min=1)

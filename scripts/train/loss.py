"""What training makes smaller: sampled cross entropy of the pieces, and where the heads look against the links."""
import math

import torch
import torch.nn.functional as F


class ChunkedCrossEntropy(torch.autograd.Function):
    """Mean cross entropy of `states @ weight.T + bias`, a few rows at a time: the scores never leave the cache."""

    @staticmethod
    def forward(ctx, states, weight, bias, expected, smoothing=0.0, rows=128):
        to_states, to_weight, to_bias = torch.empty_like(states), torch.zeros_like(weight), torch.zeros_like(bias)
        scores = torch.empty(rows, len(weight))
        total = 0.0
        for start in range(0, len(states), rows):
            part, label = states[start:start + rows], expected[start:start + rows, None]
            x = torch.addmm(bias, part, weight.T, out=scores[: len(part)])
            x -= x.amax(1, keepdim=True)
            at_label = x.gather(1, label)
            sums = x.exp_().sum(1, keepdim=True)
            total += (sums.log() - at_label).sum().item()
            x /= sums
            x.scatter_add_(1, label, torch.full_like(at_label, smoothing - 1.0))
            x -= smoothing / len(weight)
            torch.mm(x, weight, out=to_states[start:start + rows])
            to_weight.addmm_(x.T, part)
            to_bias += x.sum(0)
        for gradient in (to_states, to_weight, to_bias):
            gradient /= len(states)
        ctx.save_for_backward(to_states, to_weight, to_bias)
        return torch.tensor(total / len(states))

    @staticmethod
    def backward(ctx, gradient):
        return *(gradient * x for x in ctx.saved_tensors), None, None, None


def sampled_loss(states, expected, model, known, count, generator, smoothing=0.0):
    """Cross entropy over the batch's own pieces and a random sample, which stands for all the others.

    `smoothing` goes into the gradient only: the figure stays comparable.
    """
    own = torch.zeros(len(model.final_logits_bias), dtype=torch.bool)
    own[expected] = True
    others = known[~own[known]]
    own = own.nonzero()[:, 0]
    chosen = others[torch.from_numpy(generator.choice(len(others), min(count, len(others)), replace=False))]
    pieces = torch.cat([own, chosen])
    place = torch.zeros(len(model.final_logits_bias), dtype=torch.long)
    place[pieces] = torch.arange(len(pieces))
    bias = model.final_logits_bias[pieces].clone()
    bias[len(own):] += math.log(max(len(others), 1) / max(len(chosen), 1))
    return ChunkedCrossEntropy.apply(states, model.shared.weight[pieces], bias, place[expected], smoothing)


def alignment_loss(look, shares, head_list):
    """Cross entropy of where the heads look against where the links say, per linked target piece."""
    queries, keys = look
    q, k = queries[:, head_list].float(), keys[:, head_list].float()
    scores = F.log_softmax(q @ k.transpose(2, 3) / math.sqrt(q.shape[-1]), -1)
    return -(shares[:, None] * scores).sum() / (shares.sum() * len(head_list)).clamp(min=1)

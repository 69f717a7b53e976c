"""Muon: momentum whose matrix updates are made orthogonal, so that every direction of a matrix learns at one pace.

Worth its price on few steps: on a short budget it needs about half the steps of Adam. Only for the matrices inside
the layers; embeddings, biases and norms stay with Adam.
"""
import torch

# Coefficients of the odd polynomial whose iteration drives all singular values towards one.
STEPS = ((4.0848, -6.8946, 2.9270), (3.9505, -6.3029, 2.6377), (3.7418, -5.5913, 2.3037), (2.8769, -3.1427, 1.2046))


def orthogonal(x):
    """An approximation of U V' for x = U S V'; works on a stack of matrices."""
    flat = x.shape[-2] > x.shape[-1]
    x = x.mT if flat else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) * 1.02 + 1e-7)
    for a, b, c in STEPS:
        y = x @ x.mT
        x = a * x + (b * y + c * (y @ y)) @ x
    return x.mT if flat else x


def split(name, matrix, heads):
    """A stack of the parts of a matrix that learn each by itself: those of its heads, if it has any."""
    rows, columns = matrix.shape
    if name.endswith(("q_proj.weight", "k_proj.weight", "v_proj.weight")):
        return matrix.view(heads, rows // heads, columns)
    if name.endswith("out_proj.weight"):
        return matrix.view(rows, heads, columns // heads).transpose(0, 1)
    return matrix[None]


class Muon(torch.optim.Optimizer):
    """`named` gives (name, parameter); attention matrices are made orthogonal head by head, which costs a fifth."""

    def __init__(self, named, heads, rate, lr=0.0, momentum=0.95, weight_decay=0.0, precision=torch.float32):
        named = list(named)
        self.names, self.heads, self.precision = {p: name for name, p in named}, heads, precision
        super().__init__([dict(params=[p for _, p in named], rate=rate)], dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            stacks = {}
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(p)
                momentum = state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                parts = split(self.names[p], p.grad.lerp(momentum, group["momentum"]), self.heads)
                stacks.setdefault(parts.shape[1:], []).append((p, parts))
            for shape, members in stacks.items():
                stack = torch.cat([parts for _, parts in members]).to(self.precision)
                updates = orthogonal(stack).float().split([len(parts) for _, parts in members])
                # An update of Adam has entries near one; this gives Muon's the same size at a fifth of the rate.
                size = group["lr"] * 0.2 * max(shape) ** 0.5
                for (p, _), update in zip(members, updates):
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    split(self.names[p], p, self.heads).sub_(update, alpha=size)

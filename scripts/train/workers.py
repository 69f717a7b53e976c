"""Several processes that train one model: each on its own batches, all on the mean of their weights now and then.

Stich 2019, "Local SGD Converges Fast and Communicates Little". Where matrices are small, two processes of one thread
get more out of two cores than one process of two threads, which waits for itself in every small operation.
"""
import signal
import socket

import torch
import torch.distributed as distributed
import torch.multiprocessing as multiprocessing


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(count, work, *arguments):
    """Runs work(rank, *arguments) in `count` processes, or here if one is enough."""
    if count == 1:
        return work(0, *arguments)
    multiprocessing.spawn(join, (count, free_port(), work, arguments), nprocs=count)


def join(rank, count, port, work, arguments):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what the death of the parent sends; `nohup … &` ignores it
    distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=count)
    work(rank, *arguments)
    distributed.destroy_process_group()


def learnt(model, optimisers):
    """Everything training changes: weights, and the optimisers' memory of them."""
    yield from (p.data for p in model.parameters())
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            for p in group["params"]:
                yield from (x for _, x in sorted(optimiser.state[p].items()) if torch.is_tensor(x) and x.ndim)


@torch.no_grad()
def meet(model, optimisers, number):
    """The mean over all processes of what was learnt, in place, and of `number`, returned: a clock they agree on."""
    if not distributed.is_initialized():
        return number
    tensors = list(learnt(model, optimisers))
    flat = torch.cat([x.flatten() for x in tensors] + [torch.tensor([number])])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    for tensor, part in zip(tensors, flat[:-1].split([x.numel() for x in tensors])):
        tensor.copy_(part.view_as(tensor))
    return flat[-1].item()

"""Training on a small budget: DATA in, RUN/last.pt (resumable) and RUN/final.pt (averaged weights) out.

train.py DATA RUN MINUTES [name=value ...]

The schedule follows the clock, so that the rate has come down when the time is over. A run that was stopped goes on
with the same command; a finished one goes on with `again=1` and new MINUTES. See OPTIONS for what can be set.
"""
import json
import os
import pathlib
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

import batches
import workers
from loss import alignment_loss, sampled_loss
from model import Marian
from muon import Muon

OPTIONS = dict(
    width=256, inner=768, decoder_inner=0, heads=4, encoder=4, decoder=2,  # shape; decoder_inner 0: as inner
    tokens=2500, forget=0.05, dropout=0.0, smoothing=0.0, sampled=2048,  # batch and loss
    optimiser="muon", rate=2e-3, embedding_rate=1e-3, warm=50, decay=0.4, decay_matrices=0.1, average=0.99,
    align=0.8, align_floor=0.1, align_fade=0.3,  # guided alignment: weight at the start, at the end, share of time to fade
    short=0.15, short_length=14, late=0.6, heavy=2.0,  # short pairs first; pairs lighter than `heavy` fade after `late`
    device="cpu", bf16=0,  # products in bf16: for GPUs, and for processors with AMX
    init=1, again=0, seed=1, threads=1, workers=1, meet=10,  # workers: processes that average their weights every `meet` steps
    steps=0, checkpoint=4.0, evaluate=12.0, dev="",
)

AVERAGE_EVERY = 5  # steps: reading and writing all weights takes its time


def read_options(arguments):
    options = dict(OPTIONS)
    for argument in arguments:
        name, value = argument.split("=", 1)
        options[name] = type(OPTIONS[name])(value)
    return options


def start_from_statistics(model, data):
    """Embeddings from counts, and layers that let the attended source vector through to the output."""
    size, width = model.pad, model.width
    model.shared.weight.data[:size] = torch.from_numpy(np.load(data / "embeddings.npy"))
    prior = torch.from_numpy(np.load(data / "prior.npy"))
    model.final_logits_bias.data[:size] = torch.where(prior.isinf(), -20.0, prior + 4).clamp(min=-20)
    model.final_logits_bias.data[size] = 0
    for layer in [*model.encoder, *model.decoder]:
        layer.self_attn.out_proj.weight.data *= 0.3
        layer.fc2.weight.data *= 0.3
    for layer in model.decoder:
        turn = torch.linalg.qr(torch.randn(width, width))[0]
        layer.encoder_attn.v_proj.weight.data = turn
        layer.encoder_attn.out_proj.weight.data = 1.5 * turn.T


@torch.no_grad()
def development_loss(model, files, processor, lines=160):
    """Nats a piece on the first lines of a development set, teacher forced, over the whole vocabulary."""
    device = model.positions.device
    source, target = (pathlib.Path(f).read_text(encoding="utf-8").split("\n")[:lines] for f in files)
    total = count = 0
    for x, y in zip(processor.encode(source), processor.encode(target)):
        memory = model.encode(torch.tensor([x + [batches.EOS]], device=device))
        states, _ = model.decode(torch.tensor([[model.pad] + y], device=device), memory)
        logits = F.linear(states[0], model.shared.weight, model.final_logits_bias)[:, : model.pad]
        total += F.cross_entropy(logits, torch.tensor(y + [batches.EOS], device=device), reduction="sum").item()
        count += len(y) + 1
    return total / count


def main():
    data, run, minutes = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), float(sys.argv[3])
    o = read_options(sys.argv[4:])
    run.mkdir(parents=True, exist_ok=True)
    (run / "options.json").write_text(json.dumps(o, indent=1))
    workers.start(o["workers"], train, data, run, minutes, o)


def train(rank, data, run, minutes, o):
    """The training of one process; that of rank 0 speaks, saves and evaluates for all."""
    torch.set_num_threads(o["threads"])
    torch.set_flush_denormal(True)
    torch.manual_seed(o["seed"])
    import sentencepiece as spm

    processor = spm.SentencePieceProcessor(model_file=str(data / "spm.model"))
    pairs = batches.Pairs(data)
    size = processor.get_piece_size()
    model = Marian.of(o, size, o["dropout"])
    device = torch.device(o["device"])
    precision = torch.bfloat16 if o["bf16"] else torch.float32
    if o["init"]:
        start_from_statistics(model, data)
    model.to(device)
    known = torch.from_numpy(np.flatnonzero(np.isfinite(np.load(data / "prior.npy")))).to(device)

    inside = [(n, p) for n, p in model.named_parameters() if p.ndim == 2 and n != "shared.weight"]
    small = [p for p in model.parameters() if p.ndim == 1]
    adam = [dict(params=[model.shared.weight], rate=o["embedding_rate"]), dict(params=small, rate=1e-3)]
    optimisers = []
    if o["optimiser"] == "muon":
        optimisers.append(Muon(inside, o["heads"], o["rate"], weight_decay=o["decay_matrices"], precision=precision))
    else:
        adam.append(dict(params=[p for _, p in inside], rate=o["rate"]))
    optimisers.append(torch.optim.AdamW(adam, lr=0.0, betas=(0.9, 0.98), weight_decay=0.0, fused=True))

    step, visits, spent = 0, 0, 0.0
    average = {n: v.detach().clone() for n, v in model.state_dict().items()}
    if (run / "last.pt").exists():
        kept = torch.load(run / "last.pt", map_location=device, weights_only=False)
        model.load_state_dict(kept["model"])
        average = {n: kept["average"][n] for n in average}
        for optimiser, state in zip(optimisers, kept["optimisers"]):
            rates = [group["rate"] for group in optimiser.param_groups]
            optimiser.load_state_dict(state)
            for group, rate in zip(optimiser.param_groups, rates):
                group["rate"] = rate
        step, visits, spent = kept["step"], kept["visits"], 0.0 if o["again"] else kept["spent"]

    log = (run / "log.txt").open("a")

    def say(text):
        if rank:
            return
        print(text, flush=True)
        log.write(text + "\n")
        log.flush()

    def save(name, **more):
        if rank:
            return
        torch.save(dict(options=o, pieces=size, step=step, visits=visits, **more), run / "partial")
        os.replace(run / "partial", run / name)

    def save_all():
        save("last.pt", model=model.state_dict(), average=average, optimisers=[x.state_dict() for x in optimisers], spent=spent)
        save("final.pt", model=average)

    def evaluate():
        if rank:
            return
        other = Marian.of(o, size).to(device)
        other.load_state_dict(average)
        for item in filter(None, o["dev"].split(",")):
            say(f"step {step} {item}: {development_loss(other, (item + '.ar', item + '.en'), processor):.3f} nats a piece")

    begun = time.time() - spent

    def progress():
        return step / o["steps"] if o["steps"] else (time.time() - begun) / (60 * minutes)

    def plan():
        now = progress()
        longest = o["short_length"] if now < o["short"] else o["short_length"] + 400 * (now - o["short"])
        weights = pairs.weights
        if now > o["late"]:
            weights = np.where(weights >= o["heavy"], weights, weights * 0.25)
        return weights, longest, 24000 if now < o["late"] + 0.1 else 12000

    parameters = sum(p.numel() for p in model.parameters())
    say(f"{parameters / 1e6:.1f} M parameters, {len(pairs.weights)} pairs, {size} pieces, {len(known)} of them English; step {step}")
    seed = o["seed"] + step + 1_000_003 * rank
    generator = np.random.default_rng(seed)
    mark = saved = evaluated = time.time()
    sums, seen, shown = np.zeros(2), 0, 0
    model.train()
    for source, given, expected, shares, count in batches.stream(pairs, plan, o["tokens"], size, o["forget"], seed):
        now = progress()
        if step % o["meet"] == 0:  # where all the processes stop, or none
            now = workers.meet(model, optimisers, now)
            if now >= 1:
                break
        scale = min(1, (step + 1) / o["warm"], max(0.01, (1 - now) / o["decay"]))
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["rate"] * scale
        source, given, expected, shares = (torch.from_numpy(x).to(device) for x in (source, given, expected, shares))
        with torch.autocast(device.type, precision, enabled=bool(o["bf16"])):
            states, looks = model.decode(given, model.encode(source))
        real = expected >= 0
        loss = piece_loss = sampled_loss(
            states[real], expected[real], model, known, o["sampled"], generator, o["smoothing"], precision)
        fade = max(0.0, 1 - now / o["align_fade"])
        look = alignment_loss(looks[-1], shares, [0])
        loss = loss + (o["align_floor"] + (o["align"] - o["align_floor"]) * fade) * look
        if fade:  # early on every head of the last layer reads where the links say, which is what the start relies on
            loss = loss + o["align"] * fade * alignment_loss(looks[-1], shares, list(range(1, o["heads"])))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        model.shared.weight.grad[size] = 0
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        step, visits, seen, shown = step + 1, visits + count * o["workers"], seen + count * o["workers"], shown + 1
        sums += [piece_loss.item(), look.item()]
        if rank == 0 and step % AVERAGE_EVERY == 0:  # the others' average would go nowhere
            with torch.no_grad():
                keep = min(o["average"], (1 + step) / (10 + step)) ** AVERAGE_EVERY
                torch._foreach_lerp_(list(average.values()), list(model.state_dict().values()), 1 - keep)
        spent = time.time() - begun
        if shown == 50 or step == 3:
            say(f"step {step} {spent / 60:.1f} min, piece {sums[0] / shown:.3f}, attention {sums[1] / shown:.3f}, "
                f"rate {scale:.2f}, {visits} pairs, {seen / (time.time() - mark):.0f} a second")
            mark, seen, shown, sums = time.time(), 0, 0, np.zeros(2)
        if time.time() - saved > 60 * o["checkpoint"]:
            save_all()
            saved = time.time()
        if time.time() - evaluated > 60 * o["evaluate"]:
            evaluate()
            evaluated = mark = time.time()
    save_all()
    evaluate()


if __name__ == "__main__":
    main()

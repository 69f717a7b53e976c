"""Write seeded models of several shapes and what `transformers` computes with them, for the parity tests.

make_reference.py            writes the small ones into tests/data (kept in git)
make_reference.py --large    writes the 6+6 model of the real opus-mt-ar-en shape into tmp/reference (340 MB, not kept);
                             needs ../shared/fixtures/opus-mt-ar-en

Needs torch, transformers and sentencepiece. A reference NAME is a model folder with two more files in it
(for tiny-marian, the model is made by make_tiny_model.py and not touched):

reference.json
    "sources"     source sentences as ids, `</s>` included, of unequal lengths
    "greedy"      per sentence: "tokens" (end included, start not), "log_probs" (of each token, softmax over the whole
                  vocabulary), "renormalized" (the same with the banned tokens taken out), "margin" (smallest
                  distance between best and second-best logit: how near the nearest tie is)
    "beam"        per sentence a list of 4 hypotheses, best first: "tokens", "score" (`sequences_scores`)
    "variants"    further beam searches: "options" (names of `generate`), "beam" as above
    "max_length"  as `generate` counts: start token and end included
reference.safetensors (f32)
    "encoder.I"   [source pieces, d_model]           encoder output of sentence I
    "logits.I"    [target pieces, vocabulary]        logits with the greedy tokens forced
    "attention.I" [target pieces, source pieces]     cross-attention of the last decoder layer, head 0

tests/data/torch holds the same tensors as a zip checkpoint, as a pickle stream and as safetensors, and the tiny model
both ways.
"""

import argparse
import json
import pathlib
import shutil

import sentencepiece
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import MarianConfig, MarianMTModel, MBartConfig, MBartForConditionalGeneration

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data"
VARIANTS = [
    dict(length_penalty=0.6),
    dict(no_repeat_ngram_size=2),
    dict(repetition_penalty=1.3),
    dict(min_length=12),
    dict(early_stopping=True),
    dict(renormalize_logits=False),
]
# Our own lines: some that the tiny model knows, some that it does not.
LINES = [
    "زار الرئيس القاهرة أمس.",
    "قال رئيس الوزراء إن المفاوضات ستبدأ اليوم.",
    "قتل 12 شخصا في بغداد يوم الخميس.",
    "لم يزر الملك تونس صباح الأحد.",
    "الانتخابات تأجلت في بيروت، قال المبعوث.",
    "هل زار السفير الخرطوم قبل أسبوع؟",
    "وقع الوفد مذكرة تفاهم في الرباط.",
    "وصل الطقس إلى بلد لا يعرفه أحد، ثم عاد الوزير!",
    "الرئيس",
]


def pad_batch(sources, pad):
    ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(s) for s in sources], True, pad)
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones(len(s), dtype=torch.long) for s in sources], True, 0)
    return dict(input_ids=ids, attention_mask=mask)


def cut(sequence, end):
    """A generated sequence without its start token and its padding."""
    tokens = sequence.tolist()[1:]
    return tokens[: tokens.index(end) + 1] if end in tokens else tokens


@torch.no_grad()
def beams(model, sources, options):
    config = model.generation_config
    out = model.generate(
        **pad_batch(sources, config.pad_token_id), num_return_sequences=4, output_scores=True,
        return_dict_in_generate=True, do_sample=False, **(dict(num_beams=4) | options),
    )
    lists = [dict(tokens=cut(s, config.eos_token_id), score=round(score.item(), 6)) for s, score in zip(out.sequences, out.sequences_scores)]
    return [lists[i : i + 4] for i in range(0, len(lists), 4)]


@torch.no_grad()
def reference(model, sources, folder, max_length, variants=VARIANTS):
    model.eval()
    config = model.generation_config
    pad, end, start = config.pad_token_id, config.eos_token_id, config.decoder_start_token_id
    config.max_length = max_length
    batch = pad_batch(sources, pad)
    greedy_ids = model.generate(**batch, num_beams=1, do_sample=False)
    greedy, arrays = [], {}
    for i, (source, sequence) in enumerate(zip(sources, greedy_ids)):
        tokens = cut(sequence, end)
        fed = torch.tensor([[start] + tokens[:-1]])
        alone = torch.tensor([source])
        result = model(input_ids=alone, attention_mask=torch.ones_like(alone), decoder_input_ids=fed, output_attentions=True, use_cache=False)
        logits = result.logits[0]
        arrays[f"encoder.{i}"] = result.encoder_last_hidden_state[0].contiguous()
        arrays[f"logits.{i}"] = logits.contiguous()
        arrays[f"attention.{i}"] = result.cross_attentions[-1][0, 0].contiguous()
        picked = torch.tensor(tokens)[:, None]
        allowed = logits.clone()
        for banned in config.bad_words_ids or []:
            allowed[:, banned[0]] = float("-inf")
        top = allowed.topk(2).values
        margin = (top[:, 0] - top[:, 1])[: len(tokens) - (len(tokens) == max_length - 1)].min().item()
        assert margin > 1e-3, f"sentence {i} has a near tie ({margin}): another seed is needed"
        greedy.append(dict(
            tokens=tokens, margin=round(margin, 6),
            log_probs=[round(x, 6) for x in logits.log_softmax(-1).gather(1, picked)[:, 0].tolist()],
            renormalized=[round(x, 6) for x in allowed.log_softmax(-1).gather(1, picked)[:, 0].tolist()],
        ))
    result = dict(
        program=f"transformers {transformers.__version__}, torch {torch.__version__}", max_length=max_length,
        sources=sources, greedy=greedy, beam=beams(model, sources, {}),
        variants=[dict(options=options, beam=beams(model, sources, options)) for options in variants],
    )
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "reference.json").open("w") as out:
        json.dump(result, out, separators=(",", ":"))
        out.write("\n")
    save_file(arrays, folder / "reference.safetensors")
    lengths = [len(g["tokens"]) for g in greedy]
    size = sum(f.stat().st_size for f in folder.iterdir()) // 1000
    print(f"{folder.relative_to(ROOT)}: {size} kB, target lengths {lengths}, smallest margin {min(g['margin'] for g in greedy):.4f}")


def tiny():
    folder = DATA / "tiny-marian"
    model = MarianMTModel.from_pretrained(folder, attn_implementation="eager")
    vocabulary = json.load((folder / "vocab.json").open())
    sp = sentencepiece.SentencePieceProcessor(model_file=str(folder / "source.spm"))
    sources = [[vocabulary.get(p, vocabulary["<unk>"]) for p in sp.encode(line, out_type=str)] + [0] for line in LINES]
    reference(model, sources, folder, 40)


def seed(model, std, generator):
    """Draws every weight anew, wide enough that the output says something."""
    for name, parameter in model.named_parameters():
        if "embed_positions" in name and isinstance(model, MarianMTModel):
            continue
        noise = torch.randn(parameter.shape, generator=generator)
        # Around one for the scales of layer normalisation, around zero for the rest.
        scale = parameter.dim() == 1 and name.endswith("norm.weight") or "layernorm_embedding.weight" in name
        parameter.data = 1 + 0.2 * noise if scale else std * noise
        # A tied output layer sees the last token's own embedding through the residual connections and repeats it
        # for ever, unless the blocks' outputs outweigh it.
        if name.startswith("model.decoder") and ("out_proj.weight" in name or "fc2.weight" in name):
            parameter.data *= 4


def finish(model, pad, end, generator, end_bias):
    """The pad's row and bias are zero, as in converted models; other pieces get a bias, and the end a larger one."""
    width = model.final_logits_bias.shape[1]
    bias = torch.randn(1, width, generator=generator)
    bias[0, pad], bias[0, end] = 0, end_bias
    model.final_logits_bias = bias
    config = model.generation_config
    config.bad_words_ids, config.renormalize_logits, config.num_beams = [[pad]], True, 4
    config.forced_eos_token_id, config.decoder_start_token_id = end, pad


def draw(vocabulary, pad, end, lengths, generator):
    choices = torch.tensor([i for i in range(vocabulary) if i not in (pad, end)])
    return [choices[torch.randint(len(choices), (length,), generator=generator)].tolist() + [end] for length in lengths]


def save(model, folder, dtype):
    """Saves at a number format and loads it again, so that weights are rounded to it and sinusoids are not."""
    model.to(dtype).save_pretrained(folder)
    return MarianMTModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")


def tc_big():
    """The shape of opus-mt-tc-big-ar-en, narrow: relu, 16 heads, an end that is not 0, f16."""
    generator = torch.Generator().manual_seed(6)
    pad, end = 180, 77
    config = MarianConfig(
        vocab_size=181, decoder_vocab_size=181, d_model=64, encoder_layers=3, decoder_layers=3, encoder_attention_heads=16,
        decoder_attention_heads=16, encoder_ffn_dim=96, decoder_ffn_dim=96, activation_function="relu", scale_embedding=True,
        max_position_embeddings=64, pad_token_id=pad, eos_token_id=end, bos_token_id=0, decoder_start_token_id=pad,
        forced_eos_token_id=end, static_position_embeddings=True, normalize_before=False, normalize_embedding=False,
        add_final_layer_norm=False,
    )
    model = MarianMTModel._from_config(config, attn_implementation="eager")
    seed(model, 0.25, generator)
    model.model.shared.weight.data[pad] = 0
    finish(model, pad, end, generator, 1.5)
    folder = DATA / "seeded-tc-big"
    reference(save(model, folder, torch.float16), draw(181, pad, end, [5, 1, 17, 9, 30, 2], generator), folder, 24)


def untied():
    """Separate vocabularies of different sizes, separate head counts, gelu, embeddings not scaled, bf16."""
    generator = torch.Generator().manual_seed(5)
    pad, end = 120, 0
    config = MarianConfig(
        vocab_size=150, decoder_vocab_size=121, d_model=24, encoder_layers=1, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=2, encoder_ffn_dim=40, decoder_ffn_dim=56, activation_function="gelu", scale_embedding=False,
        max_position_embeddings=48, pad_token_id=pad, eos_token_id=end, bos_token_id=0, decoder_start_token_id=pad,
        forced_eos_token_id=end, share_encoder_decoder_embeddings=False, tie_word_embeddings=False, static_position_embeddings=True,
        normalize_before=False, normalize_embedding=False, add_final_layer_norm=False,
    )
    model = MarianMTModel._from_config(config, attn_implementation="eager")
    seed(model, 0.4, generator)
    finish(model, pad, end, generator, 6.0)
    folder = DATA / "seeded-untied"
    reference(save(model, folder, torch.bfloat16), draw(150, pad, end, [4, 12, 1, 7], generator), folder, 20, VARIANTS[:1])


def pre_norm():
    """Pre-norm layers, normalised embeddings, a final norm, learned positions: mBART is that graph, named alike."""
    generator = torch.Generator().manual_seed(7)
    pad, end = 90, 1
    config = MBartConfig(
        vocab_size=91, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=48, decoder_ffn_dim=48, activation_function="relu", scale_embedding=True, max_position_embeddings=40,
        pad_token_id=pad, eos_token_id=end, bos_token_id=0, decoder_start_token_id=pad, forced_eos_token_id=end,
    )
    model = MBartForConditionalGeneration._from_config(config, attn_implementation="eager")
    seed(model, 0.25, generator)
    model.model.shared.weight.data[pad] = 0
    finish(model, pad, end, generator, 5.0)
    model.eval()
    folder = DATA / "seeded-pre-norm"
    reference(model, draw(91, pad, end, [6, 2, 11], generator), folder, 20, [])
    tensors = {k: v.contiguous() for k, v in model.state_dict().items() if "embed_tokens" not in k and "lm_head" not in k}
    for side in ("encoder", "decoder"):  # mBART's table has two rows more in front
        tensors[f"model.{side}.embed_positions.weight"] = tensors[f"model.{side}.embed_positions.weight"][2:].contiguous()
    save_file(tensors, folder / "model.safetensors")
    settings = config.to_dict() | dict(
        model_type="marian", architectures=["MarianMTModel"], normalize_before=True, normalize_embedding=True,
        add_final_layer_norm=True, static_position_embeddings=False, decoder_vocab_size=91, share_encoder_decoder_embeddings=True,
    )
    json.dump(settings, (folder / "config.json").open("w"), indent=1, sort_keys=True)
    model.generation_config.save_pretrained(folder)


def torch_files():
    """One set of tensors, saved in every way that torch.save has."""
    generator = torch.Generator().manual_seed(9)
    folder = DATA / "torch"
    folder.mkdir(parents=True, exist_ok=True)
    base = torch.randn(6, 4, generator=generator)
    linear = torch.nn.Linear(3, 2)
    linear.weight.data, linear.bias.data = torch.randn(2, 3, generator=generator), torch.randn(2, generator=generator)
    tensors = linear.state_dict()  # an OrderedDict with attributes
    tensors["whole"] = base
    tensors["same storage"] = base
    tensors["rows 2 to 4"] = base[2:4]
    tensors["transposed"] = base.t()
    tensors["every other"] = base[::2, 1::2]
    tensors["expanded"] = base[0].expand(3, 4)
    tensors["parameter"] = torch.nn.Parameter(base[5])
    tensors["half"] = base.half()
    tensors["bfloat16"] = base.bfloat16()
    tensors["int8"] = (base * 20).to(torch.int8)
    tensors["scalar"] = torch.tensor(0.5)
    tensors["empty"] = torch.zeros(0, 4)
    tensors["ids"] = torch.arange(3)
    torch.save(tensors, folder / "zip.bin")
    torch.save(tensors, folder / "stream.bin", _use_new_zipfile_serialization=False)
    torch.save(tensors, folder / "protocol4.bin", pickle_protocol=4)
    save_file({k: v.detach().clone().contiguous() for k, v in tensors.items()}, folder / "expected.safetensors")
    torch.save({"answer": 42}, folder / "no_tensors.bin")

    # A whole model as older hubs hold it: tied embeddings under every name they have.
    whole = MarianMTModel.from_pretrained(DATA / "tiny-marian").state_dict()
    torch.save(whole, folder / "tiny_marian_zip.bin")
    torch.save(whole, folder / "tiny_marian_stream.bin", _use_new_zipfile_serialization=False)

    class Hostile:
        def __reduce__(self):
            return print, ("this must not run",)

    torch.save({"weight": Hostile()}, folder / "hostile.bin")
    torch.save({"weight": Hostile()}, folder / "hostile_stream.bin", _use_new_zipfile_serialization=False)
    print("tests/data/torch:", sum(f.stat().st_size for f in folder.iterdir()) // 1000, "kB")


def large():
    real = ROOT.parent / "shared" / "fixtures" / "opus-mt-ar-en"
    generator = torch.Generator().manual_seed(11)
    config = MarianConfig.from_pretrained(real)
    model = MarianMTModel._from_config(config, attn_implementation="eager")
    pad, end = config.pad_token_id, config.eos_token_id
    seed(model, 0.06, generator)
    model.model.shared.weight.data *= 2
    model.model.shared.weight.data[pad] = 0
    finish(model, pad, end, generator, 3.0)
    folder = ROOT / "tmp" / "reference" / "opus-mt-ar-en"
    model.save_pretrained(folder)
    for name in ("source.spm", "target.spm", "vocab.json", "tokenizer_config.json"):
        shutil.copyfile(real / name, folder / name)
    tokenizer = transformers.MarianTokenizer.from_pretrained(folder)
    sources = [tokenizer(line).input_ids for line in LINES]
    reference(model, sources, folder, 48, [])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--only", choices=["tiny", "tc_big", "untied", "pre_norm", "torch_files"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.large:
        large()
        return
    for make in (tiny, tc_big, untied, pre_norm, torch_files):
        if options.only in (None, make.__name__):
            make()


if __name__ == "__main__":
    main()

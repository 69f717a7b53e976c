"""A trained run as a model folder in the Helsinki-NLP layout, checked against transformers; with DATA/lexical.zst if it is there.

export.py DATA RUN MODEL
"""
import json
import pathlib
import re
import shutil
import sys

import numpy as np
import sentencepiece as spm
import torch
from sentencepiece import sentencepiece_model_pb2 as proto
from transformers import GenerationConfig, MarianConfig, MarianMTModel

from batches import EOS, UNK
from model import Marian

GENERATION = dict(num_beams=4, max_length=256, length_penalty=1.0, no_repeat_ngram_size=3, no_doubled_words=True,
                  renormalize_logits=True)
LEXICAL_WEIGHT = 0.5  # of the lexical table in the search


def slim_vocabulary(source, target):
    """The SentencePiece model without what only its training needs."""
    model = proto.ModelProto()
    model.ParseFromString(source.read_bytes())
    for field in ("input", "model_prefix"):
        model.trainer_spec.ClearField(field)
    model.normalizer_spec.ClearField("normalization_rule_tsv")
    target.write_bytes(model.SerializeToString())


def main():
    data, run, out = map(pathlib.Path, sys.argv[1:4])
    out.mkdir(parents=True, exist_ok=True)
    kept = torch.load(run / "final.pt", map_location="cpu", weights_only=False)
    o, pad = kept["options"], kept["pieces"]
    kept["model"]["final_logits_bias"][UNK] = -20  # no translation contains the unknown piece
    for name in ("source.spm", "target.spm"):
        slim_vocabulary(data / "spm.model", out / name)
    processor = spm.SentencePieceProcessor(model_file=str(out / "source.spm"))
    vocabulary = {processor.id_to_piece(i): i for i in range(pad)} | {"<pad>": pad}
    write = lambda name, value: (out / name).write_text(json.dumps(value, ensure_ascii=False, indent=None if name == "vocab.json" else 1) + "\n", encoding="utf-8")
    write("vocab.json", vocabulary)
    write("tokenizer_config.json", dict(
        tokenizer_class="MarianTokenizer", source_lang="ar", target_lang="en", model_max_length=512,
        eos_token="</s>", unk_token="<unk>", pad_token="<pad>"))

    special = dict(pad_token_id=pad, eos_token_id=0, bos_token_id=0, decoder_start_token_id=pad, forced_eos_token_id=0)
    ours = Marian.of(o, pad)
    ours.load_state_dict(kept["model"])
    config = MarianConfig(
        vocab_size=pad + 1, d_model=o["width"], encoder_layers=o["encoder"], decoder_layers=o["decoder"],
        encoder_ffn_dim=o["inner"], decoder_ffn_dim=ours.decoder[0].fc1.out_features, encoder_attention_heads=o["heads"],
        decoder_attention_heads=o["heads"], activation_function="relu", scale_embedding=True,
        static_position_embeddings=True, max_position_embeddings=512, dropout=0.1,
        alignment_heads=[[o["decoder"] - 1, 0]], **special)
    theirs = MarianMTModel(config).eval()
    weights = {}
    for name, value in kept["model"].items():
        if name == "shared.weight":
            value = value.clone()
            value[pad] = 0
            weights["model.shared.weight"] = value
        elif name == "final_logits_bias":
            weights[name] = value[None]
        else:
            part, layer, rest = name.split(".", 2)
            weights[f"model.{part}.layers.{layer}.{rest}"] = value
    missing, unexpected = theirs.load_state_dict(weights, strict=False)
    tied = ("embed_tokens", "embed_positions", "lm_head")
    assert not unexpected and all(any(t in name for t in tied) for name in missing), (missing, unexpected)
    theirs.tie_weights()

    source = torch.tensor([processor.encode("قال الوزير إن المحادثات ستستمر يوم الأحد.") + [0]])
    given = torch.tensor([[pad] + processor.encode("The minister said the talks would continue.")])
    with torch.no_grad():
        states, _ = ours.decode(given, ours.encode(source))
        mine = states @ ours.shared.weight.T + ours.final_logits_bias
        other = theirs(input_ids=source, decoder_input_ids=given).logits
    gap = (mine - other)[..., :pad].abs().max().item()
    assert gap < 1e-3, f"transformers computes something else: {gap}"

    # Pieces that no English sentence of the data holds: half the vocabulary, of which no logit need be computed.
    prior = np.load(data / "prior.npy")
    silent = [int(i) for i in np.flatnonzero(np.isinf(prior)) if i != EOS] + [UNK]
    more = {}
    if (data / "lexical.zst").exists():
        shutil.copy(data / "lexical.zst", out / "lexical.zst")
        more = dict(lexical_weight=LEXICAL_WEIGHT)
    theirs.generation_config = GenerationConfig(
        bad_words_ids=[[pad]], suppress_tokens=sorted(set(silent)), **special, **GENERATION, **more)
    theirs.save_pretrained(out)
    generation = out / "generation_config.json"  # thousands of ids, one a line, else
    generation.write_text(re.sub(r"\[\s+(\d[\d,\s]*?)\s+\]", lambda ids: "[" + ", ".join(ids[1].replace(",", " ").split()) + "]", generation.read_text()))
    print(f"{out}: {sum(p.numel() for p in theirs.parameters()) / 1e6:.1f} M parameters, transformers agrees within {gap:.1e}")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes tests/data/search.json: what transformers' greedy and beam search find on a table of pseudo-random scores.

The scores come from an integer hash of source and prefix (src/search/table.rs computes the same to the bit), so the
file tests search alone, without a model.

    pip install torch transformers
    scripts/make_search_reference.py
"""

import json
import pathlib

import torch
import transformers
from transformers import GenerationConfig, MarianConfig, MarianMTModel
from transformers.modeling_outputs import Seq2SeqLMOutput

END = 0


def mix(state, value):
    state = ((state ^ value) * 0x9E3779B1) & 0xFFFFFFFF
    return state ^ (state >> 15)


class Table(MarianMTModel):
    """A Marian model only in name: its logits are hashes. One source at a time."""

    def __init__(self, vocabulary):
        super().__init__(
            MarianConfig(
                vocab_size=vocabulary, d_model=4, encoder_layers=1, decoder_layers=1, encoder_attention_heads=1,
                decoder_attention_heads=1, encoder_ffn_dim=4, decoder_ffn_dim=4, max_position_embeddings=64,
                pad_token_id=vocabulary - 1, decoder_start_token_id=vocabulary - 1, eos_token_id=END,
                bos_token_id=END, forced_eos_token_id=None,
            )
        )
        self.vocabulary = vocabulary

    def prepare(self, source, seed):
        self.source = source
        self.state = seed
        for token in source:
            self.state = mix(self.state, token + 1)
        self.state = mix(self.state, 0xFFFF)

    def forward(self, input_ids=None, decoder_input_ids=None, encoder_outputs=None, **_):
        rows = []
        for prefix in decoder_input_ids.tolist():
            state = self.state
            for token in prefix:
                state = mix(state, token + 1)
            row = [(mix(mix(state, v + 1), 0x5BD1) >> 12) / 8192 / 16 - 4 for v in range(self.vocabulary)]
            row[END] += (len(prefix) - len(self.source)) * 0.5
            row[-1] = 0.0
            rows.append([row])
        return Seq2SeqLMOutput(logits=torch.tensor(rows), encoder_last_hidden_state=encoder_outputs[0])


def cases():
    """Search options by their names in generation_config.json; ids of start, end and vocabulary are the table's."""
    base = {"max_length": 24, "forced_end": True, "ban_pad": True, "renormalize_logits": True}
    yield base
    for beams in (2, 3, 4, 6):
        yield base | {"num_beams": beams, "num_return_sequences": beams}
    four = base | {"num_beams": 4, "num_return_sequences": 4}
    for penalty in (0.0, 0.6, 1.4, -0.5):
        for stopping in (False, True, "never"):
            yield four | {"length_penalty": penalty, "early_stopping": stopping}
    yield four | {"early_stopping": True}
    yield four | {"early_stopping": "never"}
    yield four | {"num_return_sequences": 2}
    for more in (
        {"repetition_penalty": 1.3},
        {"repetition_penalty": 0.8},
        {"no_repeat_ngram_size": 1},
        {"no_repeat_ngram_size": 2},
        {"no_repeat_ngram_size": 3},
        {"repetition_penalty": 1.2, "no_repeat_ngram_size": 2},
        {"min_length": 9},
        {"min_length": 9, "length_penalty": 0.5, "repetition_penalty": 1.5},
        {"max_length": 5},
        {"max_length": 5, "forced_end": False},
        {"max_length": 2},
        {"ban_pad": False},
        {"renormalize_logits": False},
        {"renormalize_logits": False, "repetition_penalty": 1.3, "no_repeat_ngram_size": 2},
    ):
        yield base | more
        yield four | more


def hypotheses(model, case):
    case = dict(case)
    pad = model.vocabulary - 1
    config = GenerationConfig(
        do_sample=False, use_cache=False, return_dict_in_generate=True, output_scores=True, pad_token_id=pad,
        decoder_start_token_id=pad, eos_token_id=END, forced_eos_token_id=END if case.pop("forced_end") else None,
        bad_words_ids=[[pad]] if case.pop("ban_pad") else None, **{"num_beams": 1, **case},
    )
    model.generation_config = config
    # What the encoder reads is without effect: the scores know the source already.
    result = model.generate(torch.tensor([[END]]), generation_config=config)
    greedy = config.num_beams == 1
    log_probs = model.compute_transition_scores(
        result.sequences, result.scores, None if greedy else result.beam_indices, normalize_logits=greedy
    )
    found = []
    for i, row in enumerate(result.sequences.tolist()):
        tokens = row[1:]
        if END in tokens:
            tokens = tokens[: tokens.index(END) + 1]
        steps = log_probs[i][: len(tokens)].tolist()
        if greedy:
            score = sum(steps) / len(tokens) ** (config.length_penalty if config.length_penalty is not None else 1.0)
        else:
            score = result.sequences_scores[i].item()
        # Places that no hypothesis took are filled up in transformers; ours are left out.
        if score > -1e8 and all(step > -1e8 for step in steps):
            found.append({"tokens": tokens, "score": round(score, 6), "log_probs": [round(s, 6) for s in steps]})
    return found


def main():
    transformers.logging.set_verbosity_error()
    sources = [[5, 9, 3, 0], [17, 2, 40, 8, 11, 0], [6, 0], [1, 2, 3, 4, 5, 6, 7, 8, 0]]
    records = []
    for vocabulary, seed in ((9, 1), (40, 2)):
        model = Table(vocabulary).eval()
        for case in cases():
            for source in sources:
                model.prepare(source, seed)
                found = hypotheses(model, case)
                records.append({"vocabulary": vocabulary, "seed": seed, "source": source, **case, "found": found})
    path = pathlib.Path(__file__).resolve().parent.parent / "tests/data/search.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(record, separators=(",", ":")) for record in records)
    path.write_text(
        f'{{"transformers":"{transformers.__version__}","records":[\n{lines}\n]}}\n', encoding="utf-8"
    )
    print(f"{len(records)} records, {path.stat().st_size} bytes")


if __name__ == "__main__":
    with torch.no_grad():
        main()

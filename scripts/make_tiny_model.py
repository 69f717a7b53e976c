"""Train tests/data/tiny-marian: the small model that the tests and doctests load.

make_tiny_model.py [OUT]        needs torch, transformers and sentencepiece; takes about two minutes on a CPU

A Marian model in the Helsinki-NLP layout (2+2 layers, width 32, about 200 kB) that really translates the few hundred
words of the grammar below, with a guided alignment head (last decoder layer, head 0). Being trained rather than drawn
at random, it is sure of what it says: its greedy output ends by itself and has no near ties, so ids can be compared
exactly with any other program.
"""

import itertools
import json
import pathlib
import random
import sys
import tempfile
import unicodedata

import sentencepiece
import torch
from transformers import MarianConfig, MarianMTModel

HERE = pathlib.Path(__file__).resolve().parent
SEED = 20

# A slot is a list of (Arabic, English) phrases that are each other's translation.
WHO = [
    ("الرئيس", "the president"), ("الوزير", "the minister"), ("الوفد", "the delegation"), ("الملك", "the king"),
    ("السفير", "the ambassador"), ("المبعوث", "the envoy"), ("رئيس الوزراء", "the prime minister"), ("الفريق", "the team"),
]
WENT = [("زار", "visited"), ("غادر", "left"), ("وصل إلى", "arrived in"), ("عاد إلى", "returned to")]
WHERE = [
    ("القاهرة", "Cairo"), ("بغداد", "Baghdad"), ("دمشق", "Damascus"), ("بيروت", "Beirut"),
    ("عمان", "Amman"), ("الرباط", "Rabat"), ("تونس", "Tunis"), ("الخرطوم", "Khartoum"),
]
WHEN = [
    ("أمس", "yesterday"), ("اليوم", "today"), ("يوم الاثنين", "on Monday"), ("يوم الخميس", "on Thursday"),
    ("صباح الأحد", "on Sunday morning"), ("قبل أسبوع", "a week ago"),
]
WHAT = [("المفاوضات", "the negotiations"), ("الانتخابات", "the elections"), ("المباحثات", "the talks"), ("الاجتماعات", "the meetings")]
BECAME = [("ستبدأ", "will begin"), ("انتهت", "have ended"), ("تأجلت", "were postponed"), ("فشلت", "have failed")]
SIGNED = [("اتفاقا", "an agreement"), ("مذكرة تفاهم", "a memorandum of understanding"), ("عقدا جديدا", "a new contract")]
COUNT = [(str(n), str(n)) for n in (2, 3, 7, 12, 15, 20, 34, 50, 68, 100, 250, 2011)]
HURT = [("قتل", "were killed"), ("أصيب", "were injured"), ("اعتقل", "were arrested")]

# A template is the Arabic order of its chunks and the English order; a string is a fixed pair written here.
FIXED = {
    "said": ("قال", "said"), "that": ("إن", "that"), "not": ("لم يزر", "did not visit"), "signed": ("وقع", "signed"),
    "in": ("في", "in"), "people": ("شخصا", "people"), "and": ("و", "and"), "stop": (".", "."), "ask": ("؟", "?"),
    "comma": ("،", ","), "did": ("هل", "did"), "visit": ("زار", "visit"),
}
TEMPLATES = [
    ([WENT, WHO, WHERE, WHEN, "stop"], [1, 0, 2, 3, 4]),
    (["not", WHO, WHERE, WHEN, "stop"], [1, 0, 2, 3, 4]),
    (["said", WHO, "that", WHAT, BECAME, WHEN, "stop"], [1, 0, 2, 3, 4, 5, 6]),
    (["signed", WHO, SIGNED, "in", WHERE, "stop"], [1, 0, 2, 3, 4, 5]),
    ([HURT, COUNT, "people", "in", WHERE, WHEN, "stop"], [1, 2, 0, 3, 4, 5, 6]),
    (["did", "visit", WHO, WHERE, WHEN, "ask"], [0, 2, 1, 3, 4, 5]),
    ([WHAT, BECAME, "in", WHERE, "comma", "said", WHO, "stop"], [0, 1, 2, 3, 4, 6, 5, 7]),
]
GLUED = {".", "؟", "،", "?", ","}

# Free text for the vocabularies only, so that letters outside the grammar are known too.
ARABIC = "أبجد هوز حطي كلمن سعفص قرشت ثخذ ضظغ ى ئ ء ؤ آ ة إ لا ؛ : « » ( ) ! - % 0 1 2 3 4 5 6 7 8 9"
ENGLISH = "The quick brown fox jumps over a lazy dog while five boxing wizards vex just two kings ; : \" ' ( ) ! - % 0 1 2 3 4 5 6 7 8 9"
ENGLISH += " A B C D E F G H I J K L M N O P Q R S T U V W X Y Z"


def sentences():
    """All (source chunks, target chunks, chunk order) of the grammar, written as texts."""
    for slots, order in TEMPLATES:
        choices = [[FIXED[s]] if isinstance(s, str) else s for s in slots]
        for chosen in itertools.product(*choices):
            yield [arabic for arabic, _ in chosen], [chosen[i][1] for i in order], order


def join(chunks, capital):
    """The chunks as one text, and the character span of each."""
    text, spans = "", []
    for chunk in chunks:
        if text and chunk not in GLUED:
            text += " "
        if not text and capital:
            chunk = chunk[0].upper() + chunk[1:]
        spans.append((len(text), len(text) + len(chunk)))
        text += chunk
    return text, spans


def rules(path):
    """A small normalisation table: Arabic presentation forms, full-width forms, marks and controls."""
    with open(path, "w") as out:
        def rule(source, target):
            print(" ".join(f"{ord(c):X}" for c in source), " ".join(f"{ord(c):X}" for c in target), sep="\t", file=out)

        for code in itertools.chain(range(0xFB50, 0xFE00), range(0xFE70, 0xFEFD), range(0xFF01, 0xFF5F), [0x2026, 0xFDFC]):
            folded = unicodedata.normalize("NFKC", chr(code))
            if folded != chr(code):
                rule(chr(code), folded)
        for composed in "أإآؤئ":
            rule(unicodedata.normalize("NFD", composed), composed)
        for code in (0x09, 0x0A, 0x0D, 0xA0, 0x200B, 0x200C, 0x200E, 0x200F, 0x2028, 0x2029, 0x3000, 0xFEFF):
            rule(chr(code), " ")


def train_vocabulary(lines, path, size, rule_file):
    with tempfile.TemporaryDirectory() as folder:
        text = pathlib.Path(folder, "text")
        text.write_text("\n".join(lines))
        sentencepiece.SentencePieceTrainer.train(
            input=str(text), model_prefix=f"{folder}/m", vocab_size=size, model_type="unigram", character_coverage=1.0,
            normalization_rule_tsv=rule_file, bos_id=-1, eos_id=0, unk_id=1, pad_id=-1, hard_vocab_limit=False,
            num_threads=1, minloglevel=2, input_sentence_size=0,
        )
        path.write_bytes(pathlib.Path(folder, "m.model").read_bytes())
    return sentencepiece.SentencePieceProcessor(model_file=str(path))


def pieces_with_chunks(sp, text, spans):
    """Pieces of a text and, for each, the chunk it lies in."""
    pieces, chunk_of, at = sp.encode(text, out_type=str), [], -1  # the first piece begins with a space of its own
    for piece in pieces:
        at += len(piece)
        chunk_of.append(next((i for i, (start, end) in enumerate(spans) if start < at <= end), -1))
    return pieces, chunk_of


def main():
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "tests" / "data" / "tiny-marian"
    out.mkdir(parents=True, exist_ok=True)
    random.seed(SEED)
    torch.manual_seed(SEED)
    torch.set_num_threads(1)

    corpus = []
    for source, target, order in sentences():
        corpus.append((join(source, False), join(target, True), order))
    random.shuffle(corpus)
    with tempfile.NamedTemporaryFile(suffix=".tsv") as table:
        rules(table.name)
        sample = corpus[:1500]
        source_sp = train_vocabulary([s for (s, _), _, _ in sample] + ARABIC.split() * 3, out / "source.spm", 260, table.name)
        target_sp = train_vocabulary([t for _, (t, _), _ in sample] + ENGLISH.split() * 3, out / "target.spm", 260, table.name)

    vocabulary = {"</s>": 0, "<unk>": 1}
    for sp in (source_sp, target_sp):
        for i in range(sp.get_piece_size()):
            vocabulary.setdefault(sp.id_to_piece(i), len(vocabulary))
    pad = vocabulary["<pad>"] = len(vocabulary)
    json.dump(vocabulary, (out / "vocab.json").open("w"), ensure_ascii=False)
    json.dump({"target_lang": "en", "source_lang": "ar"}, (out / "tokenizer_config.json").open("w"))

    examples = []
    for (source, source_spans), (target, target_spans), order in corpus:
        sp, sc = pieces_with_chunks(source_sp, source, source_spans)
        tp, tc = pieces_with_chunks(target_sp, target, target_spans)
        links = torch.zeros(len(tp) + 1, len(sp) + 1)
        for t, chunk in enumerate(tc):
            for s, other in enumerate(sc):
                links[t, s] = float(chunk >= 0 and order[chunk] == other)
        links[-1, -1] = 1
        links /= links.sum(1, keepdim=True).clamp(min=1)
        examples.append(([vocabulary[p] for p in sp] + [0], [vocabulary[p] for p in tp] + [0], links))

    config = MarianConfig(
        vocab_size=pad + 1, decoder_vocab_size=pad + 1, d_model=32, encoder_layers=2, decoder_layers=2,
        encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64,
        activation_function="swish", scale_embedding=True, static_position_embeddings=True, max_position_embeddings=128,
        pad_token_id=pad, eos_token_id=0, bos_token_id=0, decoder_start_token_id=pad, forced_eos_token_id=0,
        dropout=0.0, init_std=0.1, share_encoder_decoder_embeddings=True,
        normalize_before=False, normalize_embedding=False, add_final_layer_norm=False, alignment_heads=[[1, 0]],
    )
    model = MarianMTModel._from_config(config, attn_implementation="eager")
    model.model.shared.weight.data[pad] = 0
    bias = torch.zeros(1, pad + 1, requires_grad=True)
    model.register_buffer("final_logits_bias", bias)
    steps, batch_size = 700, 32
    optimiser = torch.optim.Adam([*model.parameters(), bias], lr=4e-3, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: min((s + 1) / 50, 1.0) * (1 - s / steps) + 0.01)
    pad_rows = torch.nn.utils.rnn.pad_sequence
    for step in range(steps):
        batch = random.sample(examples, batch_size)
        source = pad_rows([torch.tensor(s) for s, _, _ in batch], True, pad)
        target = pad_rows([torch.tensor(t) for _, t, _ in batch], True, -100)
        fed = torch.cat([torch.full((batch_size, 1), pad), target[:, :-1].masked_fill(target[:, :-1] < 0, pad)], 1)
        result = model(input_ids=source, attention_mask=(source != pad).long(), decoder_input_ids=fed, output_attentions=True)
        # The pad keeps its zero row and zero bias, as in converted Marian models.
        loss = torch.nn.functional.cross_entropy(result.logits.flatten(0, 1), target.flatten(), ignore_index=-100)
        attention = result.cross_attentions[-1][:, 0]
        guide = torch.zeros_like(attention)
        for row, (_, _, links) in enumerate(batch):
            guide[row, : links.shape[0], : links.shape[1]] = links
        guided = -(guide * attention.clamp(min=1e-9).log()).sum() / guide.sum()
        optimiser.zero_grad()
        (loss + 0.3 * guided).backward()
        model.model.shared.weight.grad[pad] = 0
        bias.grad[0, pad] = 0
        optimiser.step()
        schedule.step()
        if step % 50 == 0 or step == steps - 1:
            print(step, f"loss {loss.item():.4f} guided {guided.item():.4f}", flush=True)

    model.register_buffer("final_logits_bias", bias.detach())
    model.eval()
    generation = model.generation_config
    generation.bad_words_ids, generation.renormalize_logits = [[pad]], True
    generation.num_beams, generation.max_length = 4, 128
    model.save_pretrained(out)
    for text in ("زار الرئيس القاهرة أمس.", "قال رئيس الوزراء إن المفاوضات ستبدأ اليوم.", "قتل 12 شخصا في بغداد يوم الخميس."):
        ids = torch.tensor([[vocabulary.get(p, 1) for p in source_sp.encode(text, out_type=str)] + [0]])
        got = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids))[0].tolist()
        names = {i: p for p, i in vocabulary.items()}
        print(text, "=>", target_sp.decode_pieces([names[i] for i in got if i not in (0, pad)]))


if __name__ == "__main__":
    main()

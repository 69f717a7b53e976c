"""Write what the `sentencepiece` program makes of hard texts, for tests/integration/vocabulary.rs to compare with.

make_tokenizer_reference.py          needs sentencepiece (0.2.3 was used) and protobuf; run it in the repository's root

tests/data/spm/news.spm, vocab.json  unigram, nmt_nfkc rules, trained on sentences.txt; ids shuffled, one piece missing
tests/data/spm/bytes.spm             unigram, no rules, byte fallback, user-defined and control symbols, spaces kept
tests/data/spm/merges.spm            BPE, spaces at the end of words
tests/data/spm/cases.json            per model: text, ids, pieces, byte offsets, decoded text
tests/data/spm/digests.tsv           per model and file of ../shared/eval: SHA-256 over ids, pieces and decoded text
"""
import hashlib, json, pathlib, random, unicodedata
import sentencepiece

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA, SHARED = ROOT / "tests/data/spm", ROOT / "../shared"
SENTENCES = DATA / "sentences.txt"

HARD = [
    "", " ", "   \t \n ", "\u00a0\u3000", "زار الوزير القاهرة", "  زار   الوزير\tالقاهرة\n", "a", "▁", "▁▁a▁ b", " ▁ ",
    "يُعدّ هٰذا المشروعُ من أكبرِ المشاريعِ", "أُعلِنَ عن اتّفاقٍ جديدٍ بين الطّرفين.",
    unicodedata.normalize("NFD", "أكد المسؤول أن الآثار في القائمة"), unicodedata.normalize("NFD", "Café à la crème, naïve"),
    "ﻗﺎﻝ ﺍﻟﻮﺯﻳﺮ ﺇﻥ ﺍﻻﺗﻔﺎﻕ", "ﻗَﺎﻝَ ﺍﻟﻮَﺯِﻳﺮُ", "ﷺ ﷲ ﷴ ﷻ", "ﻻ ﻵ ﻷ ﻹ ﹰﹱ ﹲ ﹷ", "ﻼً ﻟﻸَﻣﺮ", "كتـــاب ـ هـ",
    "٠١٢٣٤٥٦٧٨٩ ۰۱۲۳ ٪٫٬ 12٫5٪", "قال: «نعم» ثم “لا” – وأضاف… ؟ ؛ ،", "مصر،سوريا؛لبنان؟", "3.5% 1,250 $20 €30 £40 №5",
    "😀😃 👨‍👩‍👧‍👦 🇪🇬🇸🇦 👍🏽 ❤️", "日本語のテキスト ﾊﾝｶｸ 한국어 각", "ﬁnance ﬂow ½ ¼ ² ⅷ Å ™ …", "ＦＵＬＬ ｗｉｄｔｈ　１２３",
    "a\u0000b", "\u0000", "a\u0001\u0007\u001bb\u007f", "\u200e\u200f\u202aقال\u202c \u2067الوزير\u2069", "نص\u200cمقطوع\u200dهنا\u00adو\ufeffهنا\u2060",
    "\ue000\uf8ff\ufffe\uffff\U0010ffff", "\ufffd", "line one\r\nline two\u2028three\u2029four\u0085five",
    "<s> </s> <unk> <pad> <0x41> <sep>", "<mask>القاهرة<mask><mask> <ctrl>", "[NUM] و[NUM]،x[NUM", ">>eng<< زار الوزير", "> >", "⁇ ⁇",
    "zzzzzzzzzzqqqqqqqqqq", "ژگپچڤ ٹڈڑ ںھہے", "Зачем χάρη שלום नमस्ते", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ababababababababababa",
    "ا" * 70, "ووووو" * 9 + " " + "ييي" * 11, "والوزيروالوزيروالوزير", "e\u0301\u0301\u0301 o\u0308\u0304", "\u0301a \u064bب", "\u064b", "ا\u0654\u0655\u0653",
    "Geneva 2023، القاهرة 1,250", "The foreign minister visited Geneva.", "THE MINISTER SAID", "don't “can’t” won´t", "https://example.org/أخبار?q=1&x=%D9%82",
    "قــال الرئيــس", "الـ20 وG20", "ولن\u064f\u0651ا\u0651\u064f", "\u1100\u1161\u11a8", "\u0958\u0344", "̈́", "a\u20dd", "x\u00a8y\u00af z\u00b4",
]

def vowelled(text):
    """A vowel mark after every Arabic letter."""
    out, n = [], 0
    for c in text:
        out.append(c)
        if "\u0621" <= c <= "\u063a" or "\u0641" <= c <= "\u064a":
            out.append(chr(0x64B + n % 8)); n += 1
    return "".join(out)

PRESENTATION = {}
for code in range(0xFE80, 0xFEFD):
    letter = unicodedata.normalize("NFKC", chr(code))
    if len(letter) == 1: PRESENTATION.setdefault(letter, chr(code))

def presentation(text):
    """Every Arabic letter in its first presentation form."""
    return "".join(PRESENTATION.get(c, c) for c in text)

VARIANTS = {
    "plain": lambda text: text, "vowelled": vowelled, "nfd": lambda text: unicodedata.normalize("NFD", text),
    "presentation": presentation, "vowelled-presentation": lambda text: presentation(vowelled(text)),
    "one-line": lambda text: text * (1 + 100_000 // max(1, len(text.encode()))),
}

def train(name, **options):
    sentencepiece.SentencePieceTrainer.train(input=str(SENTENCES), model_prefix=str(DATA / name), num_threads=1, minloglevel=2, **options)
    (DATA / f"{name}.vocab").unlink()
    (DATA / f"{name}.model").rename(DATA / f"{name}.spm")

def case(model, text):
    proto = model.encode(text, return_type="proto")
    pieces = model.encode(text, out_type=str)
    assert [p.piece for p in proto.pieces] == pieces and [p.id for p in proto.pieces] == model.encode(text)
    return {"text": text, "ids": [p.id for p in proto.pieces], "pieces": pieces,
            "offsets": [[p.begin, p.end] for p in proto.pieces], "decoded": model.decode_pieces(pieces)}

def digest(model, lines):
    sha = hashlib.sha256()
    for line in lines:
        ids, pieces = model.encode(line), model.encode(line, out_type=str)
        for id, piece in zip(ids, pieces): sha.update(f"{id}\t{piece}\n".encode())
        sha.update(f"{model.decode_pieces(pieces)}\n\n".encode())
    return sha.hexdigest()

def main():
    train("news", vocab_size=700, model_type="unigram", bos_id=-1, pad_id=-1, eos_id=0, unk_id=1, hard_vocab_limit=False)
    train("bytes", vocab_size=600, model_type="unigram", normalization_rule_name="identity", byte_fallback=True, remove_extra_whitespaces=False,
          user_defined_symbols=["<mask>", "[NUM]", "[NUM", "  "], control_symbols=["<ctrl>"], pad_id=3, hard_vocab_limit=False)
    train("merges", vocab_size=700, model_type="bpe", normalization_rule_name="identity", treat_whitespace_as_suffix=True,
          user_defined_symbols=["<mask>", "[NUM]"])
    models = {name: sentencepiece.SentencePieceProcessor(model_file=str(DATA / f"{name}.spm")) for name in ("news", "bytes", "merges")}

    news, order = models["news"], random.Random(1)
    pieces = [news.id_to_piece(i) for i in range(news.get_piece_size())]
    missing = "▁the"
    kept = [p for p in pieces if p != missing and p not in ("</s>", "<unk>")]
    assert missing in pieces
    order.shuffle(kept)
    vocab = {p: i for i, p in enumerate(["</s>", "<unk>", *kept, "<pad>"])}
    (DATA / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False) + "\n", encoding="utf-8")

    texts = HARD + SENTENCES.read_text(encoding="utf-8").splitlines()[::7]
    texts += [vowelled(t) for t in texts[-4:]] + [presentation(vowelled(t)) for t in texts[-4:]]
    cases = {name: [case(model, t) for t in texts] for name, model in models.items()}
    (DATA / "cases.json").write_text(
        "{\n" + ",\n".join(f'"{n}": [\n' + ",\n".join(json.dumps(c, ensure_ascii=True) for c in cs) + "\n]" for n, cs in cases.items()) + "\n}\n")

    if not SHARED.is_dir(): return
    shared = {f"fixtures/{f}": sentencepiece.SentencePieceProcessor(model_file=str(SHARED / "fixtures" / f))
              for f in ("opus-mt-ar-en/source.spm", "opus-mt-ar-en/target.spm", "bergamot-esen/vocab.esen.spm")}
    rows = []
    for file in sorted([*(SHARED / "eval").glob("*.ar"), *(SHARED / "eval").glob("*.en")]):
        lines = file.read_text(encoding="utf-8").split("\n")
        for variant, change in VARIANTS.items():
            if file.suffix != ".ar" and variant != "plain": continue
            changed = [change(t) for t in (lines[:1] if variant == "one-line" else lines)]
            for name, model in shared.items(): rows.append((name, f"eval/{file.name}", variant, str(len(changed)), digest(model, changed)))
    (DATA / "digests.tsv").write_text("".join("\t".join(r) + "\n" for r in rows))
    print(sum(int(r[3]) for r in rows), "lines in", len(rows), "rows")

main()

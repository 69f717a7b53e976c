"""The text normaliser: the rules SentencePiece stores inside the model, so that every runtime that reads it agrees.

Starts from SentencePiece's own NFKC table and adds what Arabic from the web needs. English is left alone except for
typographic quotes and dashes, which become their plain forms on both sides.
"""
import unicodedata
import sentencepiece as spm

TATWEEL = "\u0640"
VOWEL_MARKS = "".join(map(chr, range(0x64B, 0x653))) + "\u0670"
INVISIBLE = "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff\u00ad"
PLAIN = {
    # Writers use these alefs inconsistently, and the words rarely differ in anything else.
    "أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا",
    # Punctuation becomes the Latin sign, so that the translator copies it instead of learning it.
    "،": ",", "؛": ";", "؟": "?", "٪": "%", "٫": ".", "٬": ",",
    "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "…": "...",
}
# Machine-made Arabic puts a space before the comma; it carries no meaning.
SPACED = {" " + mark: PLAIN.get(mark, mark) for mark in "،؛؟,;"}


def table():
    """{text: replacement}; the longest text that matches wins."""
    nfkc = spm.SentencePieceNormalizer(
        rule_name="nmt_nfkc", add_dummy_prefix=False, escape_whitespaces=False, remove_extra_whitespaces=False
    )
    out = {}
    for code in range(1, 0x30000):
        if 0xD800 <= code < 0xE000:  # halves of surrogate pairs are no characters
            continue
        char = chr(code)
        if nfkc.normalize(char) != char:
            out[char] = nfkc.normalize(char)
        parts = unicodedata.normalize("NFD", char)
        if len(parts) > 1 and unicodedata.normalize("NFKC", char) == char:
            out[parts] = PLAIN.get(char, char)
    # Presentation forms of the alefs (and ligatures holding one) end up plain as well.
    for text, result in out.items():
        out[text] = "".join("" if c in VOWEL_MARKS else PLAIN.get(c, c) for c in result)
    out |= {char: "" for char in TATWEEL + VOWEL_MARKS + INVISIBLE}
    out |= PLAIN | SPACED
    for digit in range(10):
        out[chr(0x660 + digit)] = out[chr(0x6F0 + digit)] = str(digit)
    return out


def write(path):
    """The table in SentencePiece's rule file format: code points in hexadecimal."""
    codes = lambda text: " ".join(f"{ord(c):X}" for c in text)
    path.write_text("".join(f"{codes(text)}\t{codes(result)}\n" for text, result in sorted(table().items())))

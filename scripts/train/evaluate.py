"""sacreBLEU and chrF of model folders, f32 or int8, through CTranslate2.

evaluate.py MODEL SET [SET ...] [--beam 4] [--lines N] [--show N]       SET stands for SET.ar and SET.en
"""
import argparse
import pathlib
import tempfile
import time

import ctranslate2
import sacrebleu
import sentencepiece as spm
from ctranslate2.converters import TransformersConverter

from quantize import plain_copy

BATCH = 32


def load(folder, work):
    """The folder as a CTranslate2 model; int8 weights are multiplied out first."""
    plain, out = work / "plain", work / "converted"
    plain_copy(folder, plain)
    TransformersConverter(str(plain)).convert(str(out))
    return ctranslate2.Translator(str(out), compute_type="float32", inter_threads=1, intra_threads=1)


def translate(translator, processor, source, a):
    """Lines in batches of like length, each with room for twice as many pieces as its source has."""
    pieces = [line + ["</s>"] for line in processor.encode(source, out_type=str)]
    order = sorted(range(len(pieces)), key=lambda n: len(pieces[n]))
    output = [""] * len(pieces)
    for start in range(0, len(order), BATCH):
        chosen = order[start:start + BATCH]
        results = translator.translate_batch(
            [pieces[n] for n in chosen], beam_size=a.beam, length_penalty=a.penalty, no_repeat_ngram_size=a.repeat,
            max_decoding_length=2 * len(pieces[chosen[-1]]) + 5, disable_unk=True)
        for n, result in zip(chosen, results):
            output[n] = processor.decode(result.hypotheses[0])
    return output


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("model", type=pathlib.Path)
    arguments.add_argument("sets", nargs="+")
    arguments.add_argument("--beam", type=int, default=4)
    arguments.add_argument("--penalty", type=float, default=1.0)
    arguments.add_argument("--repeat", type=int, default=3, help="no n-gram of this size twice")
    arguments.add_argument("--lines", type=int, default=10**9)
    arguments.add_argument("--show", type=int, default=0)
    arguments.add_argument("--write", type=pathlib.Path, help="folder for the translations")
    a = arguments.parse_args()
    processor = spm.SentencePieceProcessor(model_file=str(a.model / "source.spm"))
    with tempfile.TemporaryDirectory() as work:
        translator = load(a.model, pathlib.Path(work))
    for name in a.sets:
        read = lambda end: pathlib.Path(name + end).read_text(encoding="utf-8").splitlines()[: a.lines]
        source = read(".ar")
        begun = time.process_time()
        output = translate(translator, processor, source, a)
        spent = time.process_time() - begun
        if a.write:
            a.write.mkdir(parents=True, exist_ok=True)
            (a.write / (pathlib.Path(name).name + ".en")).write_text("\n".join(output) + "\n", encoding="utf-8")
        for n in range(min(a.show, len(output))):
            print(f"  {source[n]}\n  => {output[n]}")
        if pathlib.Path(name + ".en").exists():
            reference = read(".en")
            bleu, chrf = sacrebleu.BLEU(), sacrebleu.CHRF()
            print(f"{a.model.name} {pathlib.Path(name).name}, beam {a.beam}: BLEU {bleu.corpus_score(output, [reference]).score:.2f}, "
                  f"chrF {chrf.corpus_score(output, [reference]).score:.2f}, length {sum(len(x.split()) for x in output) / sum(len(x.split()) for x in reference):.2f}, "
                  f"{sum(len(x.split()) for x in source) / spent:.0f} source words a CPU second ({bleu.get_signature()}; {chrf.get_signature()})", flush=True)


if __name__ == "__main__":
    main()

"""Times CTranslate2 on given ids with forced lengths; prints one line like that of benches/decode.rs.

bench_ctranslate2.py MODEL IDS_FILE VOCAB_JSON [--beam 1] [--rows 32] [--length 32] [--limit N] [--threads 1]
"""

import argparse
import json
import resource
import time

import ctranslate2


def processor_time():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "ids", "vocabulary"):
        parser.add_argument(name)
    for name, value in dict(beam=1, rows=32, length=32, limit=10**9, threads=1).items():
        parser.add_argument("--" + name, type=int, default=value)
    arguments = parser.parse_args()
    pieces = {id: piece for piece, id in json.load(open(arguments.vocabulary, encoding="utf-8")).items()}
    with open(arguments.ids, encoding="ascii") as file:
        sources = [[pieces[int(id)] for id in line.split()] for line in file][: arguments.limit]

    begin, before = time.perf_counter(), processor_time()
    translator = ctranslate2.Translator(
        arguments.model, device="cpu", compute_type="int8", inter_threads=1, intra_threads=arguments.threads
    )
    loaded, load_processor = time.perf_counter() - begin, processor_time() - before
    options = dict(
        beam_size=arguments.beam,
        max_decoding_length=arguments.length,
        min_decoding_length=arguments.length,
        max_batch_size=max(1, arguments.rows // arguments.beam),
        batch_type="examples",
    )
    translator.translate_batch(sources[:4], **options)
    begin, before = time.perf_counter(), processor_time()
    results = translator.translate_batch(sources, **options)
    seconds, processor = time.perf_counter() - begin, processor_time() - before
    tokens = sum(len(result.hypotheses[0]) for result in results)
    print(
        f"ctranslate2 {ctranslate2.__version__} int8 beam {arguments.beam} rows {arguments.rows} "
        f"threads {arguments.threads}: load {loaded:.3f} s (cpu {load_processor:.2f}), "
        f"{len(sources) / seconds:.2f} sentences/s, {tokens / seconds:.0f} target tokens/s, "
        f"{len(sources) / processor:.2f} sentences per cpu second, "
        f"peak RSS {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"
    )


main()

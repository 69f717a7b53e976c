#!/bin/sh
# The whole recipe on a toy corpus: preparation to int8 in about two minutes of one core. toy.sh CORPUS [WORK]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
corpus=$(cd "$1" && pwd)
work=${2:-$(mktemp -d)}
python=${PYTHON:-python3}
mkdir -p "$work/corpus"
for file in news_politics news_gazetteer tatoeba_ara; do
    head -n 1200 "$corpus/$file.tsv" > "$work/corpus/$file.tsv"
done
# Lines held out of the toy corpus, to score.
tail -n 20 "$corpus/news_politics.tsv" | cut -f 1 > "$work/held.ar"
tail -n 20 "$corpus/news_politics.tsv" | cut -f 2 > "$work/held.en"
mkdir -p "$work/names"
"$python" "$here/names.py" "$work/names"
for file in places_known places_other terms_cldr; do
    head -n 100 "$work/names/$file.tsv" > "$work/corpus/$file.tsv"
done
"$python" "$here/rename.py" "$work/corpus" --names news_gazetteer places_known --in news_politics
"$python" "$here/prepare.py" "$work/corpus" "$work/data" --vocab 1500
"$python" "$here/align.py" "$work/data"
"$python" "$here/embed.py" "$work/data" 64
"$python" "$here/lexical.py" "$work/data"
"$python" "$here/train.py" "$work/data" "$work/run" 10 steps=40 width=64 inner=128 heads=4 encoder=1 decoder=1 \
    tokens=1000 warm=10 sampled=500 dev="$work/held"
"$python" "$here/export.py" "$work/data" "$work/run" "$work/model"
"$python" "$here/quantize.py" "$work/model" "$work/model-int8"
"$python" "$here/evaluate.py" "$work/model" "$work/held"
"$python" "$here/evaluate.py" "$work/model-int8" "$work/held"
# A second round on more pairs from the int8 folder, one encoder layer deeper and wider, by two processes, in bf16.
head -n 200 "$corpus/tatoeba_extra.tsv" > "$work/corpus/tatoeba_extra.tsv"
mkdir -p "$work/more"
cp "$work/model-int8/source.spm" "$work/more/spm.model"
"$python" "$here/prepare.py" "$work/corpus" "$work/more"
"$python" "$here/align.py" "$work/more" --known "$work/data"
cp "$work/data/prior.npy" "$work/more/"
"$python" "$here/vary.py" "$work/more" --copies 1
"$python" "$here/join.py" "$work/more" --count 100
"$python" "$here/adopt.py" "$work/model-int8" "$work/second" --encoder 2 --inner 192
"$python" "$here/train.py" "$work/more" "$work/second" 10 steps=10 init=0 again=1 workers=2 meet=3 bf16=1 width=64 inner=192 \
    decoder_inner=128 heads=4 encoder=2 decoder=1 tokens=1000 warm=2 sampled=500 dev="$work/held"
"$python" "$here/adopt.py" "$work/model-int8" "$work/first" --encoder 2 --inner 192
"$python" "$here/average.py" "$work/second" "$work/first" "$work/mean"
"$python" "$here/export.py" "$work/more" "$work/mean" "$work/model-second"
echo "finished in $work"

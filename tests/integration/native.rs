//! The native engine against the f32 reference, and against itself in other company.

use std::num::NonZero;
use std::path::Path;

use tarjim::ErrorKind;
use tarjim::candle::CandleEngine;
use tarjim::engine::{Engine, Forced, ForcedPair, Parent, SentenceKey, StepRow, TokenId};
use tarjim::model::{EngineOptions, Heads, MarianConfig, ModelFiles};
use tarjim::native::{Kernel, NativeEngine, NativeOptions};
use tarjim::search::{BatchOptions, Hypothesis, SearchOptions, search, search_stream};

/// Post-norm and pre-norm, tied and untied, heads that fill vectors and heads that don't, ReLU, swish and GELU.
const MODELS: [&str; 4] = ["tiny-marian", "seeded-tc-big", "seeded-pre-norm", "seeded-untied"];

struct Model {
    config: MarianConfig,
    files: ModelFiles,
    options: EngineOptions,
}

impl Model {
    fn open(name: &str) -> Self {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
        let files = ModelFiles::directory(&directory).unwrap();
        Model { config: files.config().unwrap(), files, options: EngineOptions::default() }
    }

    fn native(&self, kernel: Option<Kernel>) -> NativeEngine {
        let weights = self.files.weights().unwrap();
        NativeEngine::load(&self.config, &weights, &self.options, &NativeOptions { kernel, ..NativeOptions::default() })
            .unwrap()
    }

    fn candle(&self) -> CandleEngine {
        CandleEngine::load(&self.config, &self.files.weights().unwrap(), &self.options).unwrap()
    }

    /// Sentences of 1 to 40 pieces, the end among them.
    fn sentences(&self, count: usize, vocabulary: usize) -> Vec<Vec<TokenId>> {
        let end = self.config.eos_token_id;
        let mut state = 1u32;
        let mut next = |below: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 8) as usize % below) as TokenId
        };
        (0..count)
            .map(|i| {
                let mut sentence: Vec<TokenId> = (0..i * 7 % 40).map(|_| next(vocabulary)).collect();
                sentence.push(end);
                sentence
            })
            .collect()
    }

    fn search_options(&self, beam_size: usize) -> SearchOptions {
        SearchOptions {
            beam_size,
            n_best: beam_size,
            max_length: 30,
            banned: self.config.pad_token_id.into_iter().collect(),
            renormalize: true,
            ..SearchOptions::new(self.config.decoder_start_token_id, self.config.eos_token_id)
        }
    }
}

fn translate(
    engine: &dyn Engine,
    sources: &[Vec<TokenId>],
    options: &SearchOptions,
    batch: &BatchOptions,
) -> Vec<Vec<Hypothesis>> {
    let slices: Vec<&[TokenId]> = sources.iter().map(Vec::as_slice).collect();
    let mut found = vec![Vec::new(); sources.len()];
    search(engine, &slices, options, batch, &mut |i, hypotheses| found[i] = hypotheses).unwrap();
    found
}

#[test]
fn suppressed_pieces_count_as_if_they_were_not_there() {
    for name in MODELS {
        let mut model = Model::open(name);
        let sources = model.sentences(9, model.config.vocab_size.min(200));
        let end = model.config.eos_token_id;
        let all = 0..model.config.decoder_vocab_size as TokenId;
        let suppressed: Vec<TokenId> = all.filter(|id| id % 3 == 1 && *id != end).collect();
        let batch = BatchOptions::default();
        let banned: [Box<dyn Engine>; 2] = [Box::new(model.native(None)), Box::new(model.candle())];
        model.options.suppressed.clone_from(&suppressed);
        let without: [Box<dyn Engine>; 2] = [Box::new(model.native(None)), Box::new(model.candle())];
        for (banned, without) in banned.iter().zip(&without) {
            for beam_size in [1, 4] {
                let plain = model.search_options(beam_size);
                let mut banning = plain.clone();
                banning.banned.extend(&suppressed);
                let expected = translate(&**banned, &sources, &banning, &batch);
                let found = translate(&**without, &sources, &plain, &batch);
                for (expected, found) in expected.iter().flatten().zip(found.iter().flatten()) {
                    // Taking a third of the vocabulary out of a sum afterwards costs digits, and random models have ties.
                    let (a, b) = (expected.score, found.score);
                    assert!((a - b).abs() < 1e-3, "{name} on {}: {a} and {b}", without.name());
                    assert!(beam_size > 1 || expected.tokens == found.tokens, "{name} on {}", without.name());
                }
            }
            // A translation that is given may hold any piece.
            let pair = ForcedPair {
                source: &sources[1],
                start: model.config.decoder_start_token_id,
                target: &[suppressed[0], suppressed[1], end],
            };
            let forced = [banned, without].map(|engine| engine.force(&[pair]).unwrap());
            assert_eq!(forced[0], forced[1], "{name} on {}", without.name());
        }
    }
}

/// Root of the mean square difference of all numbers.
fn distance(a: impl Iterator<Item = f32>, b: impl Iterator<Item = f32>) -> f64 {
    let (mut sum, mut count) = (0.0, 0);
    for (a, b) in a.zip(b) {
        sum += f64::from(a - b).powi(2);
        count += 1;
    }
    (sum / f64::from(count)).sqrt()
}

#[test]
fn forced_scores_and_attention_are_near_the_f32_engine() {
    for (name, alignment_heads) in
        MODELS.into_iter().flat_map(|name| [Heads::One(0), Heads::Mean].map(|heads| (name, heads)))
    {
        let mut model = Model::open(name);
        model.options.alignment_heads = alignment_heads;
        let (native, candle) = (model.native(None), model.candle());
        let sources = model.sentences(12, model.config.vocab_size);
        let targets = model.sentences(12, model.config.decoder_vocab_size);
        let pairs: Vec<ForcedPair<'_>> = sources
            .iter()
            .zip(targets.iter().rev())
            .map(|(source, target)| ForcedPair { source, start: model.config.decoder_start_token_id, target })
            .collect();
        let (got, expected) = (native.force(&pairs).unwrap(), candle.force(&pairs).unwrap());
        let scores = |forced: &[Forced]| forced.iter().flat_map(|f| f.log_probs.clone()).collect::<Vec<_>>();
        let rows = |forced: &[Forced]| forced.iter().flat_map(|f| f.attention.concat()).collect::<Vec<_>>();
        assert_eq!(scores(&got).len(), scores(&expected).len());
        assert_eq!(rows(&got).len(), rows(&expected).len());
        let spread = distance(scores(&expected).into_iter(), std::iter::repeat(0.0));
        let off = distance(scores(&got).into_iter(), scores(&expected).into_iter());
        assert!(off < 0.03 * spread, "{name}: log-probabilities differ by {off} of {spread}");
        let off = distance(rows(&got).into_iter(), rows(&expected).into_iter());
        assert!(off < 0.02, "{name}: attention differs by {off}");
        for row in got.iter().flat_map(|f| &f.attention) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }
}

#[test]
fn forcing_gives_the_bits_that_search_gave() {
    for name in MODELS {
        let model = Model::open(name);
        let native = model.native(None);
        let sources = model.sentences(9, model.config.vocab_size);
        let options = SearchOptions {
            forced_end: None,
            renormalize: false,
            // Greedy search takes the softmax after bans.
            banned: Vec::new(),
            ..model.search_options(1)
        };
        let found = translate(&native, &sources, &options, &BatchOptions::default());
        let pairs: Vec<ForcedPair<'_>> = sources
            .iter()
            .zip(&found)
            .map(|(source, found)| ForcedPair { source, start: options.start, target: &found[0].tokens })
            .collect();
        for (forced, found) in native.force(&pairs).unwrap().iter().zip(&found) {
            assert_eq!(forced.log_probs, found[0].log_probs, "{name}");
            assert_eq!(forced.attention, found[0].attention, "{name}");
        }
    }
}

#[test]
fn neighbours_order_batch_size_and_threads_change_no_bit() {
    for (name, beam_size) in [("tiny-marian", 1), ("tiny-marian", 4), ("seeded-untied", 3)] {
        let model = Model::open(name);
        let native = model.native(None);
        let sources = model.sentences(41, model.config.vocab_size);
        let options = model.search_options(beam_size);
        let alone: Vec<_> = sources
            .iter()
            .map(|source| translate(&native, std::slice::from_ref(source), &options, &BatchOptions::single()).remove(0))
            .collect();
        for (words, max_rows) in [(4096, 512), (64, 7), (300, 33)] {
            let batch = BatchOptions { mini_batch_words: words, max_rows, maxi_batch: 3 };
            assert!(translate(&native, &sources, &options, &batch) == alone, "{name}: {words} words, {max_rows} rows");
        }
        let mut shuffled: Vec<usize> = (0..sources.len()).map(|i| i * 17 % sources.len()).collect();
        shuffled.rotate_left(5);
        let turned: Vec<_> = shuffled.iter().map(|&i| sources[i].clone()).collect();
        let found = translate(&native, &turned, &options, &BatchOptions::default());
        for (&i, found) in shuffled.iter().zip(&found) {
            assert!(*found == alone[i], "{name}: sentence {i} in another order");
        }
        for threads in [2, 3] {
            let mut found = vec![Vec::new(); sources.len()];
            let batch = BatchOptions { mini_batch_words: 100, max_rows: 16, maxi_batch: 2 };
            let threads = NonZero::new(threads).unwrap();
            search_stream(&native, sources.iter().cloned(), &options, &batch, threads, |i, hypotheses| {
                found[i] = hypotheses;
                Ok(())
            })
            .unwrap();
            assert!(found == alone, "{name}: {threads} threads");
        }
    }
}

#[test]
fn every_kernel_of_this_machine_gives_the_same_bits() {
    for name in MODELS {
        let model = Model::open(name);
        let sources = model.sentences(14, model.config.vocab_size);
        let options = model.search_options(2);
        let run = |kernel| translate(&model.native(Some(kernel)), &sources, &options, &BatchOptions::default());
        let expected = run(Kernel::Scalar);
        for kernel in Kernel::available() {
            assert!(run(kernel) == expected, "{name}: {kernel}");
        }
    }
}

#[test]
fn greedy_search_mostly_finds_what_the_f32_engine_finds() {
    let model = Model::open("tiny-marian");
    let sources = model.sentences(30, model.config.vocab_size);
    let options = model.search_options(1);
    let native = translate(&model.native(None), &sources, &options, &BatchOptions::default());
    let candle = translate(&model.candle(), &sources, &options, &BatchOptions::default());
    // A seeded model has no opinion: near ties are common and everything after one differs.
    let first = native.iter().zip(&candle).filter(|(a, b)| a[0].tokens[0] == b[0].tokens[0]).count();
    assert!(first * 10 >= sources.len() * 8, "{first} of {} first tokens agree", sources.len());
}

#[test]
fn bad_calls_are_errors_and_leave_the_session_usable() {
    let model = Model::open("tiny-marian");
    let native = model.native(None);
    let (start, end) = (model.config.decoder_start_token_id, model.config.eos_token_id);
    let long = vec![1; model.config.max_position_embeddings + 1];
    let mut session = native.session();
    for (source, wrong) in [(&[][..], "no pieces"), (&[70_000], "outside the vocabulary"), (&long, "longer than")] {
        let error = session.admit(&[&[5, end], source]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(wrong), "{error}");
    }
    let key = session.admit(&[&[5, end]]).unwrap()[0];
    let row = |parent, token| StepRow { parent, token, top: 1, probes: &[] };
    assert!(session.step(&[row(Parent::Row(0), start)]).is_err());
    assert!(session.step(&[row(Parent::Start(SentenceKey(77)), start)]).is_err());
    assert!(session.step(&[row(Parent::Start(key), 70_000)]).is_err());
    assert_eq!(session.step(&[row(Parent::Start(key), start)]).unwrap()[0].attention.len(), 2);
    for _ in 1..model.config.max_position_embeddings {
        session.step(&[row(Parent::Row(0), 5)]).unwrap();
    }
    assert_eq!(session.step(&[row(Parent::Row(0), 5)]).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(session.step(&[]).unwrap().is_empty());
    assert!(session.step(&[row(Parent::Start(key), start)]).is_err(), "a sentence without rows is forgotten");
}

#[test]
fn more_candidates_than_pieces_are_all_pieces() {
    let model = Model::open("tiny-marian");
    let native = model.native(None);
    let mut session = native.session();
    let key = session.admit(&[&[5, 6, model.config.eos_token_id]]).unwrap()[0];
    let probes = [3, 0];
    let row = StepRow { parent: Parent::Start(key), token: 0, top: 1_000_000, probes: &probes };
    let scores = session.step(&[row]).unwrap().remove(0);
    assert_eq!(scores.top.len(), model.config.decoder_vocab_size);
    assert!(scores.top.is_sorted_by(|a, b| a.1 > b.1 || (a.1 == b.1 && a.0 < b.0)));
    let logit = |id| scores.top.iter().find(|(other, _)| *other == id).unwrap().1;
    assert_eq!(scores.probes, [logit(3), logit(0)]);
    let total: f64 = scores.top.iter().map(|&(_, logit)| f64::from(logit - scores.log_sum_exp).exp()).sum();
    assert!((total - 1.0).abs() < 1e-5, "{total}");
}

#[test]
fn forcing_nothing_is_nothing() {
    let model = Model::open("tiny-marian");
    let native = model.native(None);
    assert!(native.force(&[]).unwrap().is_empty());
    let pair = ForcedPair { source: &[5, 0], start: 0, target: &[] };
    assert_eq!(native.force(&[pair, pair]).unwrap(), vec![Forced::default(); 2]);
}

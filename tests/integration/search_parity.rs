//! Search on the candle engine against `transformers.generate`: the same ids, scores within 1e-4, in any batch.
//!
//! The references are the files `reference.json` of `scripts/make_reference.py`.

use std::num::NonZero;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};
use tarjim::candle::CandleEngine;
use tarjim::engine::{Engine, ForcedPair, TokenId};
use tarjim::model::{EngineOptions, ModelFiles};
use tarjim::search::{BatchOptions, EarlyStopping, Hypothesis, SearchOptions, search, search_stream};

const TOLERANCE: f32 = 1e-4;

#[derive(Deserialize)]
struct Reference {
    max_length: usize,
    sources: Vec<Vec<TokenId>>,
    greedy: Vec<Greedy>,
    beam: Vec<Vec<Scored>>,
    variants: Vec<Variant>,
}

#[derive(Deserialize)]
struct Greedy {
    tokens: Vec<TokenId>,
    renormalized: Vec<f32>,
}

#[derive(Deserialize)]
struct Scored {
    tokens: Vec<TokenId>,
    score: f32,
}

#[derive(Deserialize)]
struct Variant {
    options: Map<String, Value>,
    beam: Vec<Vec<Scored>>,
}

struct Model {
    name: String,
    engine: CandleEngine,
    reference: Reference,
    /// Beam 4 with all four hypotheses, and otherwise as the model's files say.
    options: SearchOptions,
}

impl Model {
    /// Every model that has a reference: those in tests/data, and the large one where it has been made.
    fn all() -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folders = [root.join("tests/data"), root.join("tmp/reference")].into_iter().filter_map(|parent| {
            let missing = || eprintln!("left out: {} is not there", parent.display());
            parent.read_dir().inspect_err(|_| missing()).ok()
        });
        let folders = folders.flatten().map(|entry| entry.unwrap().path());
        let models: Vec<_> =
            folders.filter(|folder| folder.join("reference.json").exists()).map(|folder| Self::load(&folder)).collect();
        assert!(models.iter().any(|model| model.name == "tiny-marian"));
        models
    }

    fn load(folder: &Path) -> Self {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let files = ModelFiles::directory(folder).unwrap();
        let config = files.config().unwrap();
        let engine = CandleEngine::load(&config, &files.weights().unwrap(), &EngineOptions::default()).unwrap();
        let reference = std::fs::read(folder.join("reference.json")).unwrap();
        let reference: Reference = serde_json::from_slice(&reference).unwrap();
        let mut options = SearchOptions::from(&files.generation_config().unwrap());
        assert_eq!(options.beam_size, 4, "{name}");
        options.n_best = 4;
        options.max_length = reference.max_length;
        Model { name, engine, reference, options }
    }

    /// The hypotheses of every sentence.
    fn search(&self, options: &SearchOptions, batch: &BatchOptions) -> Vec<Vec<Hypothesis>> {
        let sources: Vec<_> = self.reference.sources.iter().map(Vec::as_slice).collect();
        let mut found = vec![Vec::new(); sources.len()];
        search(&self.engine, &sources, options, batch, &mut |index, hypotheses| found[index] = hypotheses).unwrap();
        found
    }

    /// Whether the weights were drawn, not trained.
    fn is_random(&self) -> bool {
        self.name != "tiny-marian"
    }

    fn expect(&self, found: &[Vec<Hypothesis>], expected: &[Vec<Scored>], what: &str) {
        let name = &self.name;
        assert_eq!(found.len(), expected.len());
        for (sentence, (found, expected)) in found.iter().zip(expected).enumerate() {
            let place = format!("{name}, {what}, sentence {sentence}");
            assert_eq!(found.len(), expected.len(), "{place}");
            for (found, expected) in found.iter().zip(expected) {
                near(found.score, expected.score, &place);
                // The best hypotheses of random weights repeat one piece and differ in where another stands among
                // them: their scores are equal but for rounding, so only a trained model's ids can be compared.
                assert!(found.tokens == expected.tokens || self.is_random(), "{place}");
            }
        }
    }
}

fn near(found: f32, expected: f32, place: &str) {
    assert!((found - expected).abs() <= TOLERANCE, "{found} is not {expected}: {place}");
}

/// Options by the names `generate` has for them.
fn vary(mut options: SearchOptions, changes: &Map<String, Value>) -> SearchOptions {
    for (name, value) in changes {
        let number = || value.as_f64().unwrap() as f32;
        let count = || value.as_u64().unwrap() as usize;
        match name.as_str() {
            "length_penalty" => options.length_penalty = number(),
            "repetition_penalty" => options.repetition_penalty = number(),
            "no_repeat_ngram_size" => options.no_repeat_ngram_size = count(),
            "min_length" => options.min_length = count(),
            "max_length" => options.max_length = count(),
            "num_beams" => options.beam_size = count(),
            "renormalize_logits" => options.renormalize = value.as_bool().unwrap(),
            "early_stopping" => {
                options.early_stopping = match value {
                    Value::Bool(true) => EarlyStopping::Always,
                    Value::Bool(false) => EarlyStopping::Heuristic,
                    _ => EarlyStopping::Never,
                }
            }
            other => panic!("the reference varies `{other}`, which this test does not know"),
        }
    }
    options
}

#[test]
fn greedy_ids_and_log_probabilities() {
    for model in Model::all() {
        let options = SearchOptions { beam_size: 1, n_best: 1, ..model.options.clone() };
        let found = model.search(&options, &BatchOptions::default());
        for (sentence, (found, expected)) in found.iter().zip(&model.reference.greedy).enumerate() {
            let place = format!("{}, sentence {sentence}", model.name);
            let found = &found[0];
            assert_eq!(found.tokens, expected.tokens, "{place}");
            // A forced end counts for nothing in search; the reference gives what the model thought of it.
            let chosen = expected.renormalized.len() - usize::from(!found.complete);
            for (found, expected) in found.log_probs.iter().zip(&expected.renormalized[..chosen]) {
                near(*found, *expected, &place);
            }
        }
    }
}

#[test]
fn beam_ids_and_scores() {
    for model in Model::all() {
        model.expect(&model.search(&model.options, &BatchOptions::default()), &model.reference.beam, "beam");
    }
}

#[test]
fn beam_ids_and_scores_under_other_options() {
    for model in Model::all() {
        assert!(!model.reference.variants.is_empty() || model.name != "tiny-marian");
        for variant in &model.reference.variants {
            let options = vary(model.options.clone(), &variant.options);
            let found = model.search(&options, &BatchOptions::default());
            model.expect(&found, &variant.beam, &format!("{:?}", variant.options));
        }
    }
}

#[test]
fn batches_order_and_threads_do_not_matter() {
    for model in Model::all() {
        for batch in [
            BatchOptions::single(),
            BatchOptions { mini_batch_words: 20, max_rows: 8, maxi_batch: 1 },
            BatchOptions { mini_batch_words: 1000, max_rows: 12, maxi_batch: 3 },
        ] {
            model.expect(&model.search(&model.options, &batch), &model.reference.beam, &format!("{batch:?}"));
        }
        let backwards: Vec<_> = model.reference.sources.iter().rev().cloned().collect();
        let mut found = vec![Vec::new(); backwards.len()];
        let last = backwards.len() - 1;
        let batch = BatchOptions { mini_batch_words: 30, max_rows: 16, maxi_batch: 2 };
        let threads = NonZero::new(2).unwrap();
        search_stream(&model.engine, backwards, &model.options, &batch, threads, |index, hypotheses| {
            found[last - index] = hypotheses;
            Ok(())
        })
        .unwrap();
        model.expect(&found, &model.reference.beam, "backwards, two threads");
    }
}

/// Forced decoding of what search found gives search's own attention and, bans and penalties aside, log-probabilities.
#[test]
fn forced_decoding_agrees_with_search() {
    for model in Model::all() {
        let options = SearchOptions { renormalize: false, ..model.options.clone() };
        for (source, hypotheses) in model.reference.sources.iter().zip(model.search(&options, &BatchOptions::default()))
        {
            let pair = |hypothesis| ForcedPair { source, start: options.start, target: hypothesis };
            let pairs: Vec<_> = hypotheses.iter().map(|hypothesis| pair(hypothesis.tokens.as_slice())).collect();
            for (forced, hypothesis) in model.engine.force(&pairs).unwrap().iter().zip(&hypotheses) {
                let free = hypothesis.tokens.len() - usize::from(!hypothesis.complete);
                for (forced, own) in forced.log_probs[..free].iter().zip(&hypothesis.log_probs) {
                    near(*own, *forced, &model.name);
                }
                assert_eq!(forced.attention.len(), hypothesis.attention.len());
                for (forced, own) in forced.attention.iter().flatten().zip(hypothesis.attention.iter().flatten()) {
                    near(*own, *forced, &model.name);
                }
            }
        }
    }
}

//! How far a translation can be trusted: a number in [0, 1] for each word and for the sentence.
//!
//! A word's confidence is the probability that a good human translation has the same word; a sentence's confidence is
//! the share of its words of which that is expected. Both are logistic regressions on what the model says about its own
//! output, fitted on the development set by `scripts/fit_confidence.py` and kept beside the model as
//! `confidence.json`. A model without that file gets its raw probabilities: `exp` of the log-probability of a word, and
//! of the mean over the pieces of a sentence.
//!
//! ```
//! use tarjim::confidence::{Calibration, Observed};
//!
//! let observed = Observed { log_probs: &[-0.1, -0.3], word_log_probs: &[-0.4], null: &[0.1], source_letters: 4, target_letters: 5 };
//! let raw = Calibration::default().confidence(&observed);
//! assert!((raw.sentence - (-0.2_f32).exp()).abs() < 1e-6);
//! assert!((raw.words[0] - (-0.4_f32).exp()).abs() < 1e-6);
//! ```

use serde::Deserialize;

use crate::error::{Error, ErrorKind, Result};

/// Log-probabilities below this tell no more: the model is as unsure as it can be.
const LOWEST: f32 = -15.0;

/// English letters per Arabic letter in translated news, on average.
const USUAL_RATIO: f32 = 1.2;

/// What a model says about its own translation of one sentence.
#[derive(Clone, Copy, Debug, Default)]
pub struct Observed<'a> {
    /// Log-probability of each target piece.
    pub log_probs: &'a [f32],
    /// Log-probability of each target word: the sum over its pieces.
    pub word_log_probs: &'a [f32],
    /// The null share of each target word; may be empty where there is no alignment.
    pub null: &'a [f32],
    /// Number of letters and digits of the source.
    pub source_letters: usize,
    /// Number of letters and digits of the target.
    pub target_letters: usize,
}

/// The confidence in one sentence and its words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Confidence {
    /// In [0, 1].
    pub sentence: f32,
    /// In [0, 1], one per target word.
    pub words: Vec<f32>,
}

/// How a model's own probabilities become confidences; the default leaves them as they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration(Option<Parameters>);

/// The content of `confidence.json`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Parameters {
    word: Word,
    sentence: Sentence,
}

/// Weights of a word's features.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Word {
    bias: f32,
    /// Of the word's log-probability.
    log_prob: f32,
    /// Of its null share.
    null: f32,
    /// Of the mean log-probability of the sentence's pieces.
    mean: f32,
}

/// Weights of a sentence's features.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Sentence {
    bias: f32,
    /// Of the mean log-probability of the pieces.
    mean: f32,
    /// Of the lowest log-probability of a piece.
    lowest: f32,
    /// Of the mean null share.
    null: f32,
    /// Of how far the lengths are from usual: the absolute logarithm of their ratio.
    length: f32,
}

impl Calibration {
    /// Reads `confidence.json`.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when it is not JSON, lacks a weight or has one too many, or a weight is not finite.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let broken = |what: String| Error::new(ErrorKind::Model, format!("`confidence.json`: {what}"));
        let parameters: Parameters = serde_json::from_slice(bytes).map_err(|error| broken(error.to_string()))?;
        let Parameters { word, sentence } = &parameters;
        let weights = [
            word.bias,
            word.log_prob,
            word.null,
            word.mean,
            sentence.bias,
            sentence.mean,
            sentence.lowest,
            sentence.null,
            sentence.length,
        ];
        match weights.iter().find(|weight| !weight.is_finite()) {
            Some(weight) => Err(broken(format!("weight {weight} is not finite"))),
            None => Ok(Calibration(Some(parameters))),
        }
    }

    /// The confidence in a translation.
    pub fn confidence(&self, observed: &Observed<'_>) -> Confidence {
        let mean = mean(observed.log_probs).max(LOWEST);
        let null = |word: usize| observed.null.get(word).copied().unwrap_or(0.0);
        let Some(Parameters { word, sentence }) = &self.0 else {
            return Confidence {
                sentence: mean.exp().clamp(0.0, 1.0),
                words: observed.word_log_probs.iter().map(|log_prob| log_prob.exp().clamp(0.0, 1.0)).collect(),
            };
        };
        let words = observed.word_log_probs.iter().enumerate().map(|(at, log_prob)| {
            let log_prob = log_prob.clamp(LOWEST, 0.0);
            logistic(word.bias + word.log_prob * log_prob + word.null * null(at) + word.mean * mean)
        });
        let lowest = observed.log_probs.iter().fold(0.0_f32, |low, &log_prob| low.min(log_prob)).max(LOWEST);
        let ratio = (observed.target_letters as f32 + 1.0) / (observed.source_letters as f32 * USUAL_RATIO + 1.0);
        Confidence {
            words: words.collect(),
            sentence: logistic(
                sentence.bias
                    + sentence.mean * mean
                    + sentence.lowest * lowest
                    + sentence.null * self::mean(observed.null)
                    + sentence.length * ratio.ln().abs(),
            ),
        }
    }
}

fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// The mean, 0 of nothing.
fn mean(values: &[f32]) -> f32 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f32>() / values.len() as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const JSON: &str = r#"{"word": {"bias": 2.0, "log_prob": 1.0, "null": -1.0, "mean": 0.5},
        "sentence": {"bias": 1.0, "mean": 2.0, "lowest": 0.1, "null": -0.5, "length": -1.0}}"#;

    #[test]
    fn weights_are_applied() {
        let calibration = Calibration::parse(JSON.as_bytes()).unwrap();
        let observed = Observed {
            log_probs: &[-1.0, -3.0],
            word_log_probs: &[-4.0],
            null: &[0.5],
            source_letters: 10,
            target_letters: 12,
        };
        let confidence = calibration.confidence(&observed);
        assert!((confidence.words[0] - logistic(2.0 - 4.0 - 0.5 - 1.0)).abs() < 1e-6);
        assert!((confidence.sentence - logistic(1.0 - 4.0 - 0.3 - 0.25)).abs() < 1e-6);
    }

    #[test]
    fn a_broken_file_is_refused() {
        for wrong in ["", "[]", "{}", &JSON.replace("2.0", "1e99"), &JSON.replace("\"null\"", "\"nil\"")] {
            assert_eq!(Calibration::parse(wrong.as_bytes()).unwrap_err().kind(), ErrorKind::Model, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn confidences_stay_in_range(
            log_probs in prop::collection::vec(prop_oneof![-50.0_f32..0.5, Just(f32::NEG_INFINITY)], 0..6),
            letters in (0_usize..500, 0_usize..500), calibrated in any::<bool>(),
        ) {
            let calibration = if calibrated { Calibration::parse(JSON.as_bytes()).unwrap() } else { Calibration::default() };
            let confidence = calibration.confidence(&Observed {
                log_probs: &log_probs,
                word_log_probs: &log_probs,
                null: &[],
                source_letters: letters.0,
                target_letters: letters.1,
            });
            prop_assert_eq!(confidence.words.len(), log_probs.len());
            for value in confidence.words.iter().chain([&confidence.sentence]) {
                prop_assert!((0.0..=1.0).contains(value), "{value}");
            }
        }
    }
}

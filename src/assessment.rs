//! What follows from a pair of texts, its probabilities and its matrix: links, confidence and flags, as one sentence.

use crate::alignment::{LinkForm, Matrix};
use crate::confidence::{Calibration, Observed};
use crate::flags::{self, Evidence, FlagOptions};
use crate::span::Span;
use crate::translation::Sentence;

/// How pairs are assessed.
pub(crate) struct Assessor<'a> {
    /// Without it, confidences are the model's raw probabilities.
    pub(crate) calibration: Option<&'a Calibration>,
    pub(crate) links: LinkForm,
    pub(crate) flags: &'a FlagOptions,
    /// Whether the model wrote the targets. It is unsure of most good translations by people, which is no doubt of them.
    pub(crate) own: bool,
}

/// A pair whose words are known and linked.
pub(crate) struct Pair<'a> {
    pub(crate) source: &'a str,
    pub(crate) target: String,
    pub(crate) source_words: Vec<Span>,
    pub(crate) target_words: Vec<Span>,
    pub(crate) matrix: Matrix,
    /// Of each target piece.
    pub(crate) log_probs: &'a [f32],
    /// Of each target word.
    pub(crate) word_log_probs: Vec<f32>,
    /// The parts the source was translated in, where there are several.
    pub(crate) parts: &'a [Span],
}

impl Assessor<'_> {
    /// The sentence, without pieces, score and n-best list, which the pair does not know.
    pub(crate) fn sentence(&self, pair: Pair<'_>) -> Sentence {
        let Pair { source, target, source_words, target_words, matrix, log_probs, word_log_probs, parts } = pair;
        let observed = Observed {
            log_probs,
            word_log_probs: &word_log_probs,
            null: matrix.null(),
            source_letters: letters(source),
            target_letters: letters(&target),
        };
        let confidence = match self.calibration {
            Some(calibration) => calibration.confidence(&observed),
            None => Calibration::default().confidence(&observed),
        };
        let flags = flags::check(
            &Evidence {
                source,
                target: &target,
                source_words: &source_words,
                target_words: &target_words,
                matrix: Some(&matrix),
                confidence: self.own.then_some(confidence.sentence),
                word_confidences: &confidence.words,
                parts,
            },
            self.flags,
        );
        Sentence {
            source: source.to_owned(),
            source_span: Span::new(0, source.len()),
            target_span: Span::new(0, target.len()),
            target,
            confidence: confidence.sentence,
            word_confidences: confidence.words,
            alignment: matrix.alignment(self.links),
            matrix,
            source_words,
            target_words,
            word_log_probs,
            flags,
            ..Sentence::default()
        }
    }
}

fn letters(text: &str) -> usize {
    text.chars().filter(|c| c.is_alphanumeric()).count()
}

//! Aligns and judges translations that exist already: forced decoding, links, confidence and flags for given pairs.

use crate::alignment::forced::{ForcedDecoder, ForcedSentence, SentencePair};
use crate::alignment::lexicon::soft_alignment;
use crate::alignment::natural::running_text;
use crate::alignment::{Lexicon, LinkForm, Matrix, word_log_probs};
use crate::assessment::{Assessor, Pair};
use crate::confidence::Calibration;
use crate::error::Result;
use crate::flags::FlagOptions;
use crate::span::Span;
use crate::translation::Sentence;
use crate::words::{spaced, words};

/// What an [`Aligner`] does beside decoding.
#[derive(Clone, Copy, Default)]
pub struct AlignerOptions<'a> {
    /// Which links to keep.
    pub links: LinkForm,
    /// The words are what stands between spaces, and links count them.
    pub pretokenized: bool,
    /// Counts that sharpen the attention; without them the attention stands alone.
    pub lexicon: Option<&'a Lexicon>,
    /// A second model for the same pairs, whose attention gives the links where the first one's was not trained to; the
    /// first still scores.
    pub guide: Option<ForcedDecoder<'a>>,
    /// Leaves all attention out; then the lexicon stands alone.
    pub without_attention: bool,
    /// How the model's probabilities become confidences.
    pub calibration: Option<&'a Calibration>,
    /// Thresholds of the quality flags.
    pub flags: FlagOptions,
}

/// A model that looks at given translations.
#[derive(Clone, Copy)]
pub struct Aligner<'a> {
    decoder: ForcedDecoder<'a>,
    options: AlignerOptions<'a>,
}

/// A pair as the model reads it, with the words that links count.
struct Prepared {
    source: String,
    target: String,
    source_words: Vec<Span>,
    target_words: Vec<Span>,
}

impl Prepared {
    fn pair(&self) -> SentencePair<'_> {
        SentencePair {
            source: &self.source,
            target: &self.target,
            source_words: &self.source_words,
            target_words: &self.target_words,
        }
    }
}

impl<'a> Aligner<'a> {
    /// An aligner over a model.
    pub fn new(decoder: ForcedDecoder<'a>, options: AlignerOptions<'a>) -> Self {
        Aligner { decoder, options }
    }

    /// The same aligner with attention alone.
    #[must_use]
    pub fn without_lexicon(mut self) -> Self {
        self.options.lexicon = None;
        self
    }

    /// Aligns pairs of source and target; one outcome per pair, in order. A [`Sentence`] is what the translator itself
    /// would have made of the pair: words, links, score (the mean log-probability of its pieces and its end),
    /// confidence, flags. With pretokenized text it has no pieces, for they are pieces of the text put together.
    ///
    /// # Errors
    /// The engine fails; what is wrong with one pair is that pair's outcome.
    pub fn align(&self, pairs: &[(&str, &str)]) -> Result<Vec<Result<Sentence>>> {
        let prepared = self.prepared(pairs);
        let ready: Vec<SentencePair<'_>> = prepared.iter().map(Prepared::pair).collect();
        let forced = self.decoder.force(&ready)?;
        let guided = match &self.options.guide {
            Some(guide) => guide.attention(&ready)?,
            None => vec![None; pairs.len()],
        };
        let outcomes = pairs.iter().zip(&prepared).zip(forced.into_iter().zip(guided));
        Ok(outcomes
            .map(|((&(source, target), pair), (forced, guided))| {
                let forced = forced?;
                let attention = match self.options.guide {
                    Some(_) => guided,
                    None if self.options.without_attention => None,
                    None => Some(Matrix::of_words(&forced.pieces, &pair.source_words, &pair.target_words)?),
                };
                self.sentence(source, target, pair, forced, attention)
            })
            .collect())
    }

    /// Scores pairs without aligning them.
    ///
    /// # Errors
    /// As [`align`](Aligner::align).
    pub fn score(&self, pairs: &[(&str, &str)]) -> Result<Vec<Result<ForcedSentence>>> {
        let prepared = self.prepared(pairs);
        self.decoder.force(&prepared.iter().map(Prepared::pair).collect::<Vec<_>>())
    }

    fn prepared(&self, pairs: &[(&str, &str)]) -> Vec<Prepared> {
        pairs.iter().map(|&(source, target)| self.prepare(source, target)).collect()
    }

    fn prepare(&self, source: &str, target: &str) -> Prepared {
        let side = |text: &str| {
            if self.options.pretokenized {
                running_text(text, &spaced(text).collect::<Vec<_>>())
            } else {
                (text.to_owned(), words(text))
            }
        };
        let ((source, source_words), (target, target_words)) = (side(source), side(target));
        Prepared { source, target, source_words, target_words }
    }

    fn sentence(
        &self,
        source: &str,
        target: &str,
        pair: &Prepared,
        forced: ForcedSentence,
        attention: Option<Matrix>,
    ) -> Result<Sentence> {
        let SentencePair { source: read, target: said, source_words, target_words } = pair.pair();
        let matrix = soft_alignment(self.options.lexicon, attention, read, source_words, said, target_words)?;
        let log_probs = word_log_probs(&forced.pieces.log_probs, &forced.pieces.target, &pair.target_words);
        let (source_words, target_words) = if self.options.pretokenized {
            (spaced(source).collect(), spaced(target).collect())
        } else {
            (pair.source_words.clone(), pair.target_words.clone())
        };
        let assessor = Assessor {
            calibration: self.options.calibration,
            links: self.options.links,
            flags: &self.options.flags,
            own: false,
        };
        let sentence = assessor.sentence(Pair {
            source,
            target: target.to_owned(),
            source_words,
            target_words,
            matrix,
            log_probs: &forced.pieces.log_probs,
            word_log_probs: log_probs,
            parts: if self.options.pretokenized { &[] } else { &forced.parts },
        });
        let score = forced.mean_log_prob();
        Ok(Sentence { score, pieces: (!self.options.pretokenized).then_some(forced.pieces), ..sentence })
    }
}

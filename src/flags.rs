//! Quality flags: what a reader of a translation should doubt, and where.

use crate::span::Span;

/// A doubt about one sentence, with the words it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Flag {
    /// What kind of doubt.
    pub kind: FlagKind,
    /// The reason in words, for a reader.
    pub reason: String,
    /// Spans of the sentence's source.
    pub source: Vec<Span>,
    /// Spans of the sentence's target.
    pub target: Vec<Span>,
}

/// The kinds of doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FlagKind {
    /// A number was lost, invented or changed.
    NumberMismatch,
    /// A word in Latin letters was lost or invented.
    LatinMismatch,
    /// The source denies something and the target does not.
    NegationLost,
    /// Source words that nothing in the target comes from.
    Untranslated,
    /// The target repeats itself.
    Repetition,
    /// The target is far too short or far too long.
    LengthRatio,
    /// The model itself was unsure.
    LowConfidence,
    /// The source is hardly Arabic.
    NotArabic,
    /// The sentence was too long for the model and was translated in parts.
    Split,
}

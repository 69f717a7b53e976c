//! Quality flags: what a reader of a translation should doubt, and where.
//!
//! Flags never block and never change a translation. [`check`] runs every detector over what is known about one
//! sentence; each detector is one file, says what it compares, and names the words it is about.
//!
//! ```
//! use tarjim::flags::{Evidence, FlagKind, FlagOptions, check};
//! use tarjim::words::words;
//!
//! let (source, target) = ("لم يصل 25 قطارا", "52 trains arrived");
//! let flags = check(
//!     &Evidence {
//!         source,
//!         target,
//!         source_words: &words(source),
//!         target_words: &words(target),
//!         ..Evidence::default()
//!     },
//!     &FlagOptions::default(),
//! );
//! let kinds: Vec<FlagKind> = flags.iter().map(|flag| flag.kind).collect();
//! assert_eq!(kinds, [FlagKind::NumberMismatch, FlagKind::NegationLost]);
//! assert_eq!(flags[0].target[0].of(target), "52");
//! ```

use serde::{Deserialize, Serialize};

use crate::alignment::Matrix;
use crate::span::Span;

mod confidence;
mod latin;
mod length;
mod negation;
mod not_arabic;
mod numbers;
mod quantity;
mod repetition;
mod split;
mod untranslated;

/// A doubt about one sentence, with the words it is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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

impl FlagKind {
    /// Every kind, in the order [`check`] reports them.
    pub const ALL: [FlagKind; 9] = [
        FlagKind::NumberMismatch,
        FlagKind::LatinMismatch,
        FlagKind::NegationLost,
        FlagKind::Untranslated,
        FlagKind::Repetition,
        FlagKind::LengthRatio,
        FlagKind::LowConfidence,
        FlagKind::NotArabic,
        FlagKind::Split,
    ];

    /// The kind's name in records, for example `number-mismatch`.
    pub fn name(self) -> &'static str {
        match self {
            FlagKind::NumberMismatch => "number-mismatch",
            FlagKind::LatinMismatch => "latin-mismatch",
            FlagKind::NegationLost => "negation-lost",
            FlagKind::Untranslated => "untranslated",
            FlagKind::Repetition => "repetition",
            FlagKind::LengthRatio => "length-ratio",
            FlagKind::LowConfidence => "low-confidence",
            FlagKind::NotArabic => "not-arabic",
            FlagKind::Split => "split",
        }
    }
}

/// What is known about one translated sentence. What is not known stays empty, and its detectors stay silent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence<'a> {
    /// The Arabic.
    pub source: &'a str,
    /// The English.
    pub target: &'a str,
    /// Words of the source.
    pub source_words: &'a [Span],
    /// Words of the target.
    pub target_words: &'a [Span],
    /// The soft alignment over those words.
    pub matrix: Option<&'a Matrix>,
    /// The sentence's [confidence](crate::confidence), in [0, 1].
    pub confidence: Option<f32>,
    /// The confidence of each target word, in [0, 1].
    pub word_confidences: &'a [f32],
    /// The source spans of the parts, where the sentence had to be split.
    pub parts: &'a [Span],
}

/// The thresholds of the detectors that need one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlagOptions {
    /// A source word whose [coverage](Matrix::coverage) is below this counts as untranslated.
    pub coverage: f32,
    /// A sentence whose confidence is below this is flagged.
    pub confidence: f32,
    /// A word whose confidence is below this is named in that flag.
    pub word_confidence: f32,
    /// The smallest share of Arabic among the letters of a source.
    pub arabic: f32,
}

impl Default for FlagOptions {
    fn default() -> Self {
        FlagOptions { coverage: 0.15, confidence: 0.3, word_confidence: 0.3, arabic: 0.5 }
    }
}

/// Runs every detector; flags come in the order of [`FlagKind::ALL`].
pub fn check(evidence: &Evidence<'_>, options: &FlagOptions) -> Vec<Flag> {
    let mut flags = Vec::new();
    if let Some(flag) = not_arabic::check(evidence, options.arabic) {
        // Against a source in another language the other comparisons mean little.
        flags.push(flag);
    } else {
        flags.extend(numbers::check(evidence));
        flags.extend(latin::check(evidence));
        flags.extend(negation::check(evidence));
        flags.extend(untranslated::check(evidence, options.coverage));
    }
    flags.extend(repetition::check(evidence));
    flags.extend(length::check(evidence));
    flags.extend(confidence::check(evidence, options));
    flags.extend(split::check(evidence));
    flags.sort_by_key(|flag| flag.kind);
    flags
}

/// The words as text, lower case.
fn folded(text: &str, words: &[Span]) -> Vec<String> {
    words.iter().map(|word| word.of(text).to_lowercase()).collect()
}

/// At most the first few words of a list, and of each its beginning, for a reason that is read by people.
fn quoted<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 4;
    const LONGEST: usize = 60;
    let texts: Vec<&str> = texts.into_iter().collect();
    let shortened = |text: &str| match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("“{}…”", &text[..end]),
        None => format!("“{text}”"),
    };
    let list = texts.iter().take(SHOWN).map(|text| shortened(text)).collect::<Vec<_>>().join(", ");
    match texts.len().checked_sub(SHOWN) {
        None | Some(0) => list,
        Some(more) => format!("{list} and {more} more"),
    }
}

//! Word links between a sentence and its translation: from attention to links, and the forms links are written in.
//!
//! ```
//! use tarjim::Span;
//! use tarjim::alignment::{LinkForm, Matrix, pharaoh};
//! use tarjim::translation::SentencePieces;
//!
//! // Two source pieces and `</s>` (columns), three target pieces (rows); the last two are one word.
//! let pieces = SentencePieces {
//!     source: vec![Span::new(0, 6), Span::new(7, 15)],
//!     target: vec![Span::new(0, 3), Span::new(4, 6), Span::new(6, 9)],
//!     log_probs: vec![-0.1, -0.2, -0.1],
//!     attention: vec![vec![0.1, 0.8, 0.1], vec![0.9, 0.1, 0.0], vec![0.7, 0.1, 0.2]],
//! };
//! let matrix = Matrix::of_words(
//!     &pieces,
//!     &[Span::new(0, 6), Span::new(7, 15)],
//!     &[Span::new(0, 3), Span::new(4, 9)],
//! )?;
//! let alignment = matrix.alignment(LinkForm::Hard);
//! assert_eq!(pharaoh::print(&alignment.links), "0-1 1-0");
//! assert!((alignment.links[0].probability - 0.8).abs() < 1e-6);
//! # Ok::<(), tarjim::Error>(())
//! ```

pub mod forced;
pub mod lexicon;
pub mod lines;
pub mod marian;
mod matrix;
pub mod natural;
pub mod pharaoh;
mod pieces;
mod resemblance;
mod stem;
pub mod symmetry;

use serde::{Deserialize, Serialize};

pub use lexicon::Lexicon;
pub use matrix::{LinkForm, Matrix};
pub use pieces::word_log_probs;

/// A link between one source word and one target word.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Index of the source word.
    pub source: usize,
    /// Index of the target word.
    pub target: usize,
    /// The share of the target word's attention that lies on the source word, in [0, 1].
    pub probability: f32,
}

/// The links of one sentence pair.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Alignment {
    /// Sorted by source word, then by target word.
    pub links: Vec<Link>,
    /// For each target word the probability that it comes from no source word.
    pub null: Vec<f32>,
}

//! Translates Arabic news into English, sentence by sentence, and shows which word came from which.
//!
//! ```
//! use tarjim::Translator;
//!
//! # fn main() -> tarjim::Result<()> {
//! # let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny-marian");
//! # let builder = Translator::builder().model_directory(model);
//! # #[cfg(any())]
//! let builder = Translator::builder(); // the model that is compiled in
//! let translator = builder.build()?;
//!
//! let document = translator.translate("وصل الوفد إلى العاصمة. هل يوقع الطرفان الاتفاق؟")?;
//! assert_eq!(document.sentences.len(), 2);
//! for sentence in &document.sentences {
//!     assert_eq!(sentence.target_span.of(&document.text), sentence.target);
//!     for link in &sentence.alignment.links {
//!         let source = sentence.source_words[link.source].of(&sentence.source);
//!         let target = sentence.target_words[link.target].of(&sentence.target);
//!         println!("{target} ← {source} ({:.2})", link.probability);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A [`Translator`] is the whole pipeline; its parts can be used alone: [`splitter`], [`normalizer`], [`vocabulary`],
//! [`search`] over an [`engine`], [`alignment`], [`flags`], [`format`](mod@format). Everything is synchronous and
//! deterministic: a translation depends on its sentence, the model and the options, and on nothing else.
//!
//! # Features
//! * `cli`: the `tarjim` command.
//! * `hub`: models by hub id, over HTTPS.
//! * `embedded-model`: the default model, compiled in.
//!
//! All three are on by default; a library user who names a model folder needs none of them.

pub mod aligner;
pub mod alignment;
mod assessment;
pub mod batch;
pub mod candle;
pub mod confidence;
pub mod engine;
mod error;
pub mod flags;
pub mod format;
pub mod hub;
mod listing;
pub mod model;
pub mod native;
pub mod normalizer;
pub mod punctuation;
pub mod quantization;
pub mod registry;
pub mod report;
pub mod search;
mod span;
pub mod splitter;
pub mod translation;
pub mod translator;
pub mod vocabulary;
pub mod words;

pub use error::{Error, ErrorKind, Result};
pub use span::Span;
pub use translation::{Document, Sentence};
pub use translator::Translator;

//! Translates Arabic news into English, sentence by sentence, and shows which word came from which.

pub mod alignment;
pub mod batch;
pub mod candle;
pub mod confidence;
pub mod engine;
mod error;
pub mod flags;
pub mod format;
pub mod hub;
pub mod model;
pub mod native;
pub mod normalizer;
pub mod punctuation;
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

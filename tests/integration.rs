//! Everything that is tested from outside, linked once.

mod candle;
mod model;
mod native;
mod reference;
#[path = "integration/search_parity.rs"]
mod search_parity;
#[path = "integration/vocabulary.rs"]
mod vocabulary;
#[path = "integration/splitter.rs"]
mod splitter;
#[path = "integration/batch.rs"]
mod batch;
#[path = "integration/hub.rs"]
mod hub;

//! Everything that is tested from outside, linked once.

// Tests say on stderr what they left out.
#![allow(clippy::print_stderr)]

mod align;
mod batch;
mod candle;
mod cli;
mod hub;
mod model;
mod native;
mod reference;
mod search_parity;
mod splitter;
mod vocabulary;

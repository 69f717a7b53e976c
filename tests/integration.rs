//! Everything that is tested from outside, linked once.

mod candle;
mod model;
mod reference;

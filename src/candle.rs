//! The reference engine: Marian in f32 on candle tensors, written plainly.

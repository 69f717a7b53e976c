//! Buffers that are used again in every layer and step.

use super::cache::PageArena;
use super::graph::Heads;
use super::kernel::Activations;
use super::timing::Clock;

/// A thread's buffers. They grow to the largest batch seen, which callers bound.
pub(super) struct Workspace {
    /// The residual stream: rows of `d_model`.
    pub(super) x: Vec<f32>,
    /// A linear layer's output.
    pub(super) wide: Vec<f32>,
    /// Attention's output.
    pub(super) heads: Vec<f32>,
    /// The linear layer's quantised input.
    pub(super) input: Activations,
    /// Pages of one encoder layer's keys and values.
    pub(super) encoder_pages: PageArena,
    pub(super) scores: Vec<f32>,
    pub(super) sums: Vec<i32>,
    pub(super) clock: Clock,
}

impl Workspace {
    pub(super) fn new(encoder_heads: Heads, timing: bool) -> Self {
        Workspace {
            x: Vec::new(),
            wide: Vec::new(),
            heads: Vec::new(),
            input: Activations::default(),
            encoder_pages: PageArena::new(1, encoder_heads),
            scores: Vec::new(),
            sums: Vec::new(),
            clock: Clock::new(timing),
        }
    }
}

/// `buffer` with room for `len` values.
pub(super) fn sized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

//! Where the time goes: a table by operation, kept where it is asked for.

use std::fmt;
use std::time::{Duration, Instant};

/// A kind of work whose time is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    EncoderEmbedding,
    EncoderAttention,
    EncoderLinear,
    EncoderNormalize,
    Memory,
    Embedding,
    SelfAttention,
    CrossAttention,
    Linear,
    Normalize,
    Cache,
    Output,
    Bookkeeping,
}

const NAMES: [&str; 13] = [
    "encoder embeddings",
    "encoder attention",
    "encoder linear layers",
    "encoder normalisation",
    "cross-attention keys and values",
    "decoder embeddings",
    "decoder self-attention",
    "decoder cross-attention",
    "decoder linear layers",
    "decoder normalisation",
    "decoder key-value cache",
    "output layer and ranking",
    "bookkeeping",
];

/// Time by operation, over all threads.
///
/// Its `Display` is the table.
#[derive(Clone, Debug, Default)]
pub struct Timings {
    parts: [(Duration, u64); NAMES.len()],
}

impl Timings {
    pub(super) fn add(&mut self, other: &Timings) {
        for (sum, part) in self.parts.iter_mut().zip(&other.parts) {
            sum.0 += part.0;
            sum.1 += part.1;
        }
    }

    /// Operation, time, number of calls.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, Duration, u64)> {
        NAMES.into_iter().zip(self.parts).map(|(name, (time, calls))| (name, time, calls))
    }
}

impl fmt::Display for Timings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: Duration = self.rows().map(|(_, time, _)| time).sum();
        writeln!(f, "{:<32} {:>10} {:>6} {:>9}", "operation", "ms", "%", "calls")?;
        for (name, time, calls) in self.rows().filter(|row| row.2 > 0) {
            let share = 100.0 * time.as_secs_f64() / total.as_secs_f64().max(1e-9);
            writeln!(f, "{name:<32} {:>10.1} {share:>6.1} {calls:>9}", time.as_secs_f64() * 1e3)?;
        }
        write!(f, "{:<32} {:>10.1}", "all", total.as_secs_f64() * 1e3)
    }
}

/// Attributes the time since the last lap; costs nothing but a branch when off.
pub(super) struct Clock {
    last: Option<Instant>,
    pub(super) timings: Timings,
}

impl Clock {
    pub(super) fn new(on: bool) -> Self {
        Clock { last: on.then(Instant::now), timings: Timings::default() }
    }

    /// Starts a lap without counting what was before it.
    pub(super) fn start(&mut self) {
        if let Some(last) = &mut self.last {
            *last = Instant::now();
        }
    }

    /// Ends a lap that was spent on `part`.
    pub(super) fn lap(&mut self, part: Part) {
        if let Some(last) = &mut self.last {
            let now = Instant::now();
            let entry = &mut self.timings.parts[part as usize];
            entry.0 += now - *last;
            entry.1 += 1;
            *last = now;
        }
    }
}

//! The one trait between search and the engines that compute a model.
//!
//! An [`Engine`] holds the weights and is shared between threads; a [`Session`] holds the sentences one thread is
//! translating: their encoder memories and their hypotheses' caches. Search sees token ids and scores only, an
//! engine sees no text. Sentences enter a session with [`Session::admit`] and leave it by themselves as soon as a
//! step has no row for them, so batches are continuous: nobody waits for the longest sentence.

use crate::error::Result;

/// Index of a piece in the model's vocabulary.
pub type TokenId = u32;

/// A sentence inside a [`Session`]; never reused within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SentenceKey(pub u64);

/// The sizes search and the pipeline must respect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dimensions {
    /// Number of source pieces, the pad included.
    pub source_vocabulary: usize,
    /// Number of target pieces, the pad included: the width of the output layer.
    pub target_vocabulary: usize,
    /// Longest source sentence in pieces, `</s>` included.
    pub source_positions: usize,
    /// Most decoder steps.
    pub target_positions: usize,
}

/// Which hypothesis a row of a step goes on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent {
    /// None: the row begins a hypothesis of this sentence at position 0.
    Start(SentenceKey),
    /// The row with this index in the step before.
    Row(usize),
}

/// One hypothesis in one decoder step.
#[derive(Clone, Copy, Debug)]
pub struct StepRow<'a> {
    /// Whose caches the row goes on from. Several rows may share a parent: that is a beam that branches.
    pub parent: Parent,
    /// The token fed to the decoder: the start token, then the last token chosen.
    pub token: TokenId,
    /// How many of the best next tokens are wanted.
    pub top: usize,
    /// Tokens whose logits are wanted whether or not they are among the best.
    pub probes: &'a [TokenId],
}

/// What a step says about one row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowScores {
    /// The best next tokens with their logits, best first; equal logits go by the smaller id. Fewer than asked for
    /// where the model has no more that it may produce.
    pub top: Vec<(TokenId, f32)>,
    /// The logits of the row's probes, in their order; -∞ for pieces that are never produced.
    pub probes: Vec<f32>,
    /// `ln Σ exp(logit)` over all pieces that may be produced: a token's log-probability is its logit less this.
    pub log_sum_exp: f32,
    /// The alignment heads' attention over the source pieces, `</s>` included: sums to 1.
    pub attention: Vec<f32>,
}

/// A sentence pair for [`Engine::force`].
#[derive(Clone, Copy, Debug)]
pub struct ForcedPair<'a> {
    /// Source pieces, `</s>` included.
    pub source: &'a [TokenId],
    /// The decoder's first input.
    pub start: TokenId,
    /// Target pieces, `</s>` included.
    pub target: &'a [TokenId],
}

/// What forced decoding says about one sentence pair.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forced {
    /// Log-probability of each target piece given those before it.
    pub log_probs: Vec<f32>,
    /// One row per target piece over the source pieces, as in [`RowScores::attention`].
    pub attention: Vec<Vec<f32>>,
}

/// A loaded model that can be computed; cheap to share, safe from several threads.
pub trait Engine: Send + Sync {
    /// What computes: engine, number format and kernel, for example `native int8 avx2`.
    fn name(&self) -> String;

    /// The model's sizes.
    fn dimensions(&self) -> Dimensions;

    /// Opens an empty session for one thread.
    fn session(&self) -> Box<dyn Session + '_>;

    /// Scores given translations: every position in one pass where the engine can, with the alignment heads' rows.
    fn force(&self, pairs: &[ForcedPair<'_>]) -> Result<Vec<Forced>>;

    /// A table of the time spent on each operation since the model was loaded, where the engine keeps one.
    fn timings(&self) -> Option<String> {
        None
    }
}

/// The sentences one thread has in flight.
pub trait Session {
    /// Encodes sentences (pieces, `</s>` included) and returns their keys in order.
    ///
    /// A sentence that the next [`step`](Session::step) has no row for is dropped again.
    ///
    /// # Errors
    /// A sentence is empty, longer than [`Dimensions::source_positions`], or has an id outside the vocabulary.
    fn admit(&mut self, sources: &[&[TokenId]]) -> Result<Vec<SentenceKey>>;

    /// Moves every row one token on. `rows` names all hypotheses that live on; all others are forgotten.
    ///
    /// # Errors
    /// A parent does not exist, or a hypothesis is longer than [`Dimensions::target_positions`].
    fn step(&mut self, rows: &[StepRow<'_>]) -> Result<Vec<RowScores>>;
}

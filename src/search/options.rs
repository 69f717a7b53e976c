//! What search looks for and how sentences share a batch.

use super::lexical::Lexical;
use crate::engine::{Dimensions, TokenId};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{EarlyStopping, GenerationConfig};

/// How to search; the names and meanings are those of a model's `generation_config.json`.
///
/// Lengths count the start token, as they do there: a `max_length` of 512 leaves 511 pieces, the end included.
///
/// ```
/// use tarjim::search::SearchOptions;
///
/// let mut options = SearchOptions::new(62_833, 0);
/// options.beam_size = 4;
/// options.banned = vec![62_833];
/// options.renormalize = true;
/// assert_eq!(options.n_best, 1);
/// ```
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct SearchOptions {
    /// The decoder's first input.
    pub start: TokenId,
    /// The token that ends a hypothesis.
    pub end: TokenId,
    /// Hypotheses kept per sentence; 1 is greedy search.
    pub beam_size: usize,
    /// Hypotheses wanted per sentence, at most `beam_size`.
    pub n_best: usize,
    /// A finished hypothesis scores its summed log-probability over `length ^ length_penalty`; 0 is the plain sum.
    /// Marian's `--normalize`.
    pub length_penalty: f32,
    /// While a hypothesis is shorter than this, start token included, it may not end.
    pub min_length: usize,
    /// The greatest length, start token included; cut to what the engine's positions allow.
    pub max_length: usize,
    /// A second limit per sentence: at most this many target pieces per source piece, and at least one. Marian's
    /// `--max-length-factor`.
    pub max_length_factor: Option<f32>,
    /// The token that takes the last place of `max_length` whatever the model says, with log-probability 0.
    pub forced_end: Option<TokenId>,
    /// Tokens that are never produced; for OPUS-MT models the pad, whose logit is always 0. Should the end token be
    /// among them it is produced nevertheless.
    pub banned: Vec<TokenId>,
    /// Whether the probability of banned tokens is shared out among the others.
    pub renormalize: bool,
    /// No sequence of this many tokens occurs twice; 0 allows all.
    pub no_repeat_ngram_size: usize,
    /// Tokens, ascending, that a sequence may hold and occur twice nevertheless: the zeros of two large figures are no
    /// repetition.
    #[serde(skip)]
    pub repeatable: Vec<TokenId>,
    /// Tokens that begin a word, ascending: no sequence of up to four tokens that begins with one of them comes twice in
    /// a row ("the reserve reserve"). Digits and the insides of words may repeat. None allows all.
    /// Written out as whether there are any: which ones is the vocabulary's affair.
    #[serde(rename = "no_doubled_words", serialize_with = "is_any")]
    pub undoubled: Vec<TokenId>,
    /// Scores of tokens that occurred before are made worse by this factor (better below 1); 1 changes nothing. Works
    /// on logits in greedy search and on log-probabilities in beam search, as in `transformers`.
    pub repetition_penalty: f32,
    /// When to give up on running hypotheses; without effect on greedy search.
    pub early_stopping: EarlyStopping,
    /// Lexical translation probabilities, mixed with the model's own. Written out as their weight.
    #[serde(rename = "lexical_weight", serialize_with = "weight")]
    pub lexical: Option<Lexical>,
}

#[expect(clippy::ref_option, reason = "what serde hands over")]
fn weight<S: serde::Serializer>(lexical: &Option<Lexical>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f32(lexical.as_ref().map_or(0.0, |lexical| lexical.weight))
}

fn is_any<S: serde::Serializer>(tokens: &[TokenId], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(!tokens.is_empty())
}

/// As the model's makers decode it: beam size, limits and rules of its `generation_config.json`, one hypothesis.
impl From<&GenerationConfig> for SearchOptions {
    fn from(config: &GenerationConfig) -> Self {
        SearchOptions {
            start: config.start,
            end: config.end,
            beam_size: config.num_beams,
            n_best: 1,
            length_penalty: config.length_penalty,
            min_length: config.min_length,
            max_length: config.max_length,
            max_length_factor: None,
            forced_end: config.forced_end,
            banned: config.banned.clone(),
            renormalize: config.renormalize,
            no_repeat_ngram_size: config.no_repeat_ngram_size,
            // Matters of the vocabulary, which the configuration does not know.
            repeatable: Vec::new(),
            undoubled: Vec::new(),
            repetition_penalty: config.repetition_penalty,
            early_stopping: config.early_stopping,
            // A file of its own, which the configuration does not hold.
            lexical: None,
        }
    }
}

impl SearchOptions {
    /// Greedy search with nothing banned, up to 512 tokens.
    pub fn new(start: TokenId, end: TokenId) -> Self {
        SearchOptions {
            start,
            end,
            beam_size: 1,
            n_best: 1,
            length_penalty: 1.0,
            min_length: 0,
            max_length: 512,
            max_length_factor: None,
            forced_end: Some(end),
            banned: Vec::new(),
            renormalize: false,
            no_repeat_ngram_size: 0,
            repeatable: Vec::new(),
            undoubled: Vec::new(),
            repetition_penalty: 1.0,
            early_stopping: EarlyStopping::default(),
            lexical: None,
        }
    }

    /// Checks the options against themselves and the model.
    pub(crate) fn check(&self, dimensions: &Dimensions) -> Result<()> {
        let refuse = |message: String| Err(Error::new(ErrorKind::Usage, message));
        if self.beam_size == 0 {
            return refuse("beam size is 0, expected at least 1".into());
        }
        if self.n_best == 0 || self.n_best > self.beam_size {
            return refuse(format!("n-best is {}, expected 1 to the beam size, {}", self.n_best, self.beam_size));
        }
        if self.max_length < 2 {
            return refuse(format!("maximum length is {}, expected at least 2: start and end", self.max_length));
        }
        if !self.length_penalty.is_finite() {
            return refuse(format!("length penalty is {}, expected a finite number", self.length_penalty));
        }
        if !(self.repetition_penalty.is_finite() && self.repetition_penalty > 0.0) {
            return refuse(format!("repetition penalty is {}, expected more than 0", self.repetition_penalty));
        }
        if let Some(weight) = self.lexical.as_ref().map(|lexical| lexical.weight)
            && !(0.0..1.0).contains(&weight)
        {
            return refuse(format!("lexical weight is {weight}, expected 0 to less than 1"));
        }
        if let Some(factor) = self.max_length_factor
            && !(factor.is_finite() && factor > 0.0)
        {
            return refuse(format!("maximum length factor is {factor}, expected more than 0"));
        }
        let named = [("start token", self.start), ("end token", self.end)];
        let forced = self.forced_end.map(|id| ("forced end token", id));
        let banned = self.banned.iter().map(|&id| ("banned token", id));
        for (what, id) in named.into_iter().chain(forced).chain(banned) {
            if id as usize >= dimensions.target_vocabulary {
                return refuse(format!(
                    "{what} {id} lies outside the target vocabulary of {} pieces",
                    dimensions.target_vocabulary
                ));
            }
        }
        Ok(())
    }

    /// The length limit for a sentence of `source_length` pieces, start token included.
    pub(crate) fn limit(&self, source_length: usize, dimensions: &Dimensions) -> usize {
        // The last token is never fed back, so the sequence may be one longer than the positions.
        let limit = self.max_length.min(dimensions.target_positions + 1);
        match self.max_length_factor {
            Some(factor) => limit.min(1 + ((source_length as f32 * factor) as usize).max(1)),
            None => limit,
        }
    }

    /// The score of a hypothesis of `length` tokens (the end included, the start not) with this sum of
    /// log-probabilities.
    pub(crate) fn score(&self, log_prob: f32, length: usize) -> f32 {
        score(log_prob, length, self.length_penalty)
    }
}

/// A sum of log-probabilities over `length ^ length_penalty`.
pub(crate) fn score(log_prob: f32, length: usize, length_penalty: f32) -> f32 {
    // Powers in f64 and the division in f32, as Python and torch have it.
    log_prob / (length.max(1) as f64).powf(f64::from(length_penalty)) as f32
}

/// How sentences share a batch; changes speed and memory, never results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    /// Most source pieces in flight at once; a longer sentence goes alone.
    pub mini_batch_words: usize,
    /// Most hypotheses in flight at once; a wider beam goes alone.
    pub max_rows: usize,
    /// Sentences are sorted by length within windows of this many mini-batches.
    pub maxi_batch: usize,
}

impl Default for BatchOptions {
    /// Some forty sentences of news greedily, or 32 at beam 4, per thread: products are wide enough to run at full
    /// speed, and the decoder's caches (rows × length × layers × 2 × width) stay in the tens of megabytes.
    fn default() -> Self {
        BatchOptions { mini_batch_words: 1024, max_rows: 128, maxi_batch: 8 }
    }
}

impl BatchOptions {
    /// One sentence at a time.
    pub fn single() -> Self {
        BatchOptions { mini_batch_words: 1, max_rows: 1, maxi_batch: 1 }
    }

    /// Source pieces within which sentences are sorted.
    pub(crate) fn window(&self) -> usize {
        self.mini_batch_words.saturating_mul(self.maxi_batch)
    }

    /// Checks that something fits.
    pub(crate) fn check(&self) -> Result<()> {
        let named = [
            ("words per mini-batch", self.mini_batch_words),
            ("rows", self.max_rows),
            ("mini-batches per maxi-batch", self.maxi_batch),
        ];
        for (what, number) in named {
            if number == 0 {
                return Err(Error::new(ErrorKind::Usage, format!("number of {what} is 0, expected at least 1")));
            }
        }
        Ok(())
    }
}

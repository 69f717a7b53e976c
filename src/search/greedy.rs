//! Greedy search of one sentence: the best next token, again and again.

use super::Hypothesis;
use super::adjustment::{Adjustment, Candidate, Planning};
use super::history::{History, Node};
use super::lexical::Glosses;
use super::options::SearchOptions;
use crate::engine::{RowScores, TokenId};
use crate::error::Result;

/// One sentence under greedy search.
#[derive(Debug)]
pub(crate) struct Greedy {
    history: History,
    node: Node,
    /// Tokens so far, the start included.
    length: usize,
    limit: usize,
    log_prob: f32,
    complete: bool,
    adjustment: Adjustment,
    glosses: Glosses,
}

impl Greedy {
    /// Begins a sentence whose hypothesis may be `limit` tokens long, the start included.
    pub(crate) fn new(limit: usize, glosses: Glosses) -> Self {
        Greedy {
            history: History::default(),
            node: Node::ROOT,
            length: 1,
            limit,
            log_prob: 0.0,
            complete: false,
            adjustment: Adjustment::default(),
            glosses,
        }
    }

    /// Works out the rules for the next step.
    pub(crate) fn plan(&mut self, options: &SearchOptions, planning: &mut Planning) {
        let Greedy { glosses, history, node, length, limit, .. } = self;
        self.adjustment.plan(options, glosses, history, *node, *length, *limit, planning);
    }

    /// The token to feed, how many of the best to ask for, and the probes.
    pub(crate) fn request(&self, options: &SearchOptions) -> (TokenId, usize, &[TokenId]) {
        (self.history.last(self.node, options.start), self.adjustment.top(1), self.adjustment.probes())
    }

    /// Takes a step's scores; true when the sentence is finished.
    pub(crate) fn advance(
        &mut self,
        options: &SearchOptions,
        row: &mut RowScores,
        candidates: &mut Vec<Candidate>,
    ) -> Result<bool> {
        self.adjustment.candidates(options, &self.glosses, row, 1, candidates)?;
        let Some(best) = candidates.first() else { return Ok(true) };
        let attention = self.history.keep_attention(std::mem::take(&mut row.attention));
        self.node = self.history.extend(self.node, best.token, best.log_prob, attention);
        self.log_prob += best.log_prob;
        self.length += 1;
        self.complete = best.token == options.end && !self.adjustment.is_forced();
        Ok(best.token == options.end || self.length >= self.limit)
    }

    /// The translation.
    pub(crate) fn finish(mut self, options: &SearchOptions) -> Vec<Hypothesis> {
        let score = options.score(self.log_prob, self.length - 1);
        vec![self.history.hypothesis(self.node, score, self.complete, true)]
    }
}

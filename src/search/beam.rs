//! Beam search of one sentence, step for step as `transformers` v5 does it.
//!
//! Each step keeps the 2 × `beam_size` best continuations over all running hypotheses. Of these, the ended ones among
//! the first `beam_size` are scored under the length penalty and merged into the finished ones; the best `beam_size`
//! that have not ended run on. (`GenerationMixin._beam_search`; written for one sentence, without its placeholders.)

use super::Hypothesis;
use super::adjustment::{Adjustment, Candidate, Planning};
use super::history::{History, Node};
use super::lexical::Glosses;
use super::options::SearchOptions;
use crate::engine::{RowScores, TokenId};
use crate::error::Result;
use crate::model::EarlyStopping;

/// A running hypothesis.
#[derive(Clone, Copy, Debug)]
struct Running {
    node: Node,
    /// Sum of its log-probabilities.
    log_prob: f32,
    /// Which of the sentence's rows in the last step it goes on from.
    row: usize,
}

/// A finished hypothesis.
#[derive(Clone, Copy, Debug)]
struct Finished {
    node: Node,
    score: f32,
    complete: bool,
}

/// A running hypothesis with one of its next tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Continuation {
    row: usize,
    token: TokenId,
    token_log_prob: f32,
    log_prob: f32,
}

/// One sentence under beam search.
#[derive(Debug)]
pub(crate) struct Beam {
    history: History,
    /// Best first.
    running: Vec<Running>,
    /// Best first, at most `beam_size`.
    finished: Vec<Finished>,
    /// Tokens of the running hypotheses, the start included.
    length: usize,
    limit: usize,
    /// One per running hypothesis, and perhaps spare ones behind.
    adjustments: Vec<Adjustment>,
    glosses: Glosses,
}

/// Working memory for [`Beam::advance`], shared by all sentences.
#[derive(Debug, Default)]
pub(crate) struct Expansion {
    candidates: Vec<Candidate>,
    continuations: Vec<Continuation>,
    running: Vec<Running>,
    attention: Vec<Option<u32>>,
}

impl Beam {
    /// Begins a sentence whose hypotheses may be `limit` tokens long, the start included.
    pub(crate) fn new(limit: usize, glosses: Glosses) -> Self {
        Beam {
            history: History::default(),
            running: vec![Running { node: Node::ROOT, log_prob: 0.0, row: 0 }],
            finished: Vec::new(),
            length: 1,
            limit,
            adjustments: Vec::new(),
            glosses,
        }
    }

    /// Works out the rules for the next step.
    pub(crate) fn plan(&mut self, options: &SearchOptions, planning: &mut Planning) {
        if self.adjustments.len() < self.running.len() {
            self.adjustments.resize_with(self.running.len(), Adjustment::default);
        }
        for (running, adjustment) in self.running.iter().zip(&mut self.adjustments) {
            adjustment.plan(options, &self.glosses, &self.history, running.node, self.length, self.limit, planning);
        }
    }

    /// For each running hypothesis the row it goes on from, the token to feed, how many of the best to ask for, and
    /// the probes.
    pub(crate) fn requests<'a>(
        &'a self,
        options: &'a SearchOptions,
    ) -> impl Iterator<Item = (usize, TokenId, usize, &'a [TokenId])> {
        self.running.iter().zip(&self.adjustments).map(|(running, adjustment)| {
            let token = self.history.last(running.node, options.start);
            (running.row, token, adjustment.top(2 * options.beam_size), adjustment.probes())
        })
    }

    /// Number of running hypotheses.
    pub(crate) fn rows(&self) -> usize {
        self.running.len()
    }

    /// Takes a step's scores, one per running hypothesis; true when the sentence is finished.
    pub(crate) fn advance(
        &mut self,
        options: &SearchOptions,
        rows: &mut [RowScores],
        expansion: &mut Expansion,
    ) -> Result<bool> {
        let width = options.beam_size;
        let Expansion { candidates, continuations, running, attention } = expansion;
        continuations.clear();
        for (row, scores) in rows.iter().enumerate() {
            self.adjustments[row].candidates(options, &self.glosses, scores, 2 * width, candidates)?;
            let before = self.running[row].log_prob;
            continuations.extend(candidates.iter().map(|candidate| Continuation {
                row,
                token: candidate.token,
                token_log_prob: candidate.log_prob,
                log_prob: before + candidate.log_prob,
            }));
        }
        continuations.sort_unstable_by(|a, b| {
            b.log_prob.total_cmp(&a.log_prob).then(a.row.cmp(&b.row)).then(a.token.cmp(&b.token))
        });
        continuations.truncate(2 * width);

        self.length += 1;
        let full = self.length >= self.limit;
        running.clear();
        attention.clear();
        attention.resize(rows.len(), None);
        for (rank, continuation) in continuations.iter().enumerate() {
            let ended = full || continuation.token == options.end;
            // What ranks behind the beam may run on in place of what has ended, but may not end itself.
            if if ended { rank >= width } else { running.len() == width } {
                continue;
            }
            let kept = *attention[continuation.row].get_or_insert_with(|| {
                self.history.keep_attention(std::mem::take(&mut rows[continuation.row].attention))
            });
            let parent = self.running[continuation.row].node;
            let node = self.history.extend(parent, continuation.token, continuation.token_log_prob, kept);
            if ended {
                let score = options.score(continuation.log_prob, self.length - 1);
                let forced = self.adjustments[continuation.row].is_forced();
                let complete = continuation.token == options.end && !forced;
                self.finish_one(width, Finished { node, score, complete });
            } else {
                running.push(Running { node, log_prob: continuation.log_prob, row: continuation.row });
            }
        }
        if running.is_empty() && self.finished.is_empty() {
            // Every continuation is banned: the hypotheses end where they stand.
            for hypothesis in std::mem::take(&mut self.running) {
                let score = options.score(hypothesis.log_prob, self.length - 2);
                self.finish_one(width, Finished { node: hypothesis.node, score, complete: false });
            }
            return Ok(true);
        }
        std::mem::swap(&mut self.running, running);
        Ok(self.is_done(options))
    }

    /// The translations, best first.
    pub(crate) fn finish(mut self, options: &SearchOptions) -> Vec<Hypothesis> {
        let count = self.finished.len().min(options.n_best);
        let finished = &self.finished[..count];
        finished.iter().map(|one| self.history.hypothesis(one.node, one.score, one.complete, count == 1)).collect()
    }

    /// Ranks a finished hypothesis behind those that score as well.
    fn finish_one(&mut self, width: usize, finished: Finished) {
        let rank = self.finished.partition_point(|other| other.score.total_cmp(&finished.score).is_ge());
        if rank < width {
            self.finished.truncate(width - 1);
            self.finished.insert(rank, finished);
        }
    }

    /// Whether nothing more can, or is allowed to, displace a finished hypothesis.
    fn is_done(&self, options: &SearchOptions) -> bool {
        let Some(best) = self.running.first() else { return true };
        if self.finished.len() < options.beam_size {
            return false;
        }
        let worst = self.finished[options.beam_size - 1].score;
        let length = match options.early_stopping {
            EarlyStopping::Always => return true,
            EarlyStopping::Never if options.length_penalty > 0.0 => self.limit - 1,
            EarlyStopping::Heuristic | EarlyStopping::Never => self.length - 1,
        };
        options.score(best.log_prob, length) <= worst
    }
}

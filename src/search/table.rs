//! An engine for tests whose scores are a plain function of the source and the tokens so far.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::engine::{
    Dimensions, Engine, Forced, ForcedPair, Parent, RowScores, SentenceKey, Session, StepRow, TokenId,
};
use crate::error::{Error, ErrorKind, Result};

type Logits = dyn Fn(&[TokenId], &[TokenId]) -> Vec<f32> + Send + Sync;

/// The engine: logits over the whole vocabulary from source and prefix (start token included).
pub(crate) struct Table {
    pub(crate) dimensions: Dimensions,
    logits: Box<Logits>,
    /// What the engine saw: steps, most rows in one, most source pieces in flight, encoder passes.
    pub(crate) steps: AtomicUsize,
    pub(crate) most_rows: AtomicUsize,
    pub(crate) most_words: AtomicUsize,
    pub(crate) admissions: AtomicUsize,
}

impl Table {
    pub(crate) fn new(
        vocabulary: usize,
        logits: impl Fn(&[TokenId], &[TokenId]) -> Vec<f32> + Send + Sync + 'static,
    ) -> Self {
        Table {
            dimensions: Dimensions {
                source_vocabulary: 1000,
                target_vocabulary: vocabulary,
                source_positions: 64,
                target_positions: 64,
            },
            logits: Box::new(logits),
            steps: AtomicUsize::new(0),
            most_rows: AtomicUsize::new(0),
            most_words: AtomicUsize::new(0),
            admissions: AtomicUsize::new(0),
        }
    }

    /// Pseudo-random scores, the same to the bit as those of `scripts/make_search_reference.py`. Token 0 is the end,
    /// the likelier the longer the prefix; the last token is start and pad, with logit 0 as in converted Marian models.
    pub(crate) fn hashed(vocabulary: usize, seed: u32) -> Self {
        Table::new(vocabulary, move |source, prefix| {
            let state = source.iter().fold(seed, |state, id| mix(state, id + 1));
            let state = prefix.iter().fold(mix(state, 0xFFFF), |state, id| mix(state, id + 1));
            let late = (prefix.len() as f32 - source.len() as f32) * 0.5;
            let mut logits: Vec<f32> = (0..vocabulary as u32)
                .map(|id| (mix(mix(state, id + 1), 0x5BD1) >> 12) as f32 / f32::from(1u16 << 13) / 16.0 - 4.0)
                .collect();
            logits[0] += late;
            logits[vocabulary - 1] = 0.0;
            logits
        })
    }

    /// The log-probabilities of the next token.
    pub(crate) fn log_probs(&self, source: &[TokenId], prefix: &[TokenId]) -> Vec<f32> {
        let logits = (self.logits)(source, prefix);
        let total = log_sum_exp(&logits);
        logits.iter().map(|logit| logit - total).collect()
    }
}

fn mix(state: u32, value: u32) -> u32 {
    let state = (state ^ value).wrapping_mul(0x9E37_79B1);
    state ^ (state >> 15)
}

fn log_sum_exp(logits: &[f32]) -> f32 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit - most).exp()).sum();
    most + sum.ln() as f32
}

/// A one-hot attention row that tells prefixes apart.
pub(crate) fn attention(source: &[TokenId], prefix: &[TokenId]) -> Vec<f32> {
    let mut row = vec![0.0; source.len()];
    row[prefix.iter().fold(7, |state, id| mix(state, *id)) as usize % source.len()] = 1.0;
    row
}

impl Engine for Table {
    fn name(&self) -> String {
        "table".into()
    }

    fn dimensions(&self) -> Dimensions {
        self.dimensions
    }

    fn session(&self) -> Box<dyn Session + '_> {
        Box::new(TableSession { table: self, next: 0, sources: HashMap::new(), rows: Vec::new() })
    }

    fn force(&self, pairs: &[ForcedPair<'_>]) -> Result<Vec<Forced>> {
        let forced = pairs.iter().map(|pair| {
            let mut prefix = vec![pair.start];
            let mut forced = Forced::default();
            for &token in pair.target {
                forced.log_probs.push(self.log_probs(pair.source, &prefix)[token as usize]);
                forced.attention.push(attention(pair.source, &prefix));
                prefix.push(token);
            }
            forced
        });
        Ok(forced.collect())
    }
}

struct TableSession<'e> {
    table: &'e Table,
    next: u64,
    sources: HashMap<SentenceKey, Vec<TokenId>>,
    /// Sentence and tokens of each row of the last step.
    rows: Vec<(SentenceKey, Vec<TokenId>)>,
}

impl Session for TableSession<'_> {
    fn admit(&mut self, sources: &[&[TokenId]]) -> Result<Vec<SentenceKey>> {
        self.table.admissions.fetch_add(1, Ordering::Relaxed);
        let keys = sources.iter().map(|source| {
            let key = SentenceKey(self.next);
            self.next += 1;
            self.sources.insert(key, source.to_vec());
            key
        });
        Ok(keys.collect())
    }

    fn step(&mut self, rows: &[StepRow<'_>]) -> Result<Vec<RowScores>> {
        let lost = || Error::new(ErrorKind::Internal, "a row goes on from nothing");
        let mut next = Vec::new();
        let mut answers = Vec::new();
        for row in rows {
            let (key, mut prefix) = match row.parent {
                Parent::Start(key) => (key, Vec::new()),
                Parent::Row(row) => self.rows.get(row).cloned().ok_or_else(lost)?,
            };
            prefix.push(row.token);
            if prefix.len() > self.table.dimensions.target_positions {
                return Err(Error::new(ErrorKind::Internal, "a hypothesis is too long"));
            }
            let source = self.sources.get(&key).ok_or_else(lost)?;
            let logits = (self.table.logits)(source, &prefix);
            let mut top: Vec<(TokenId, f32)> = (0..).zip(logits.iter().copied()).collect();
            top.sort_by(|a, b| b.1.total_cmp(&a.1));
            top.truncate(row.top);
            answers.push(RowScores {
                top,
                probes: row.probes.iter().map(|&token| logits[token as usize]).collect(),
                log_sum_exp: log_sum_exp(&logits),
                attention: attention(source, &prefix),
            });
            next.push((key, prefix));
        }
        self.rows = next;
        self.sources.retain(|key, _| self.rows.iter().any(|(other, _)| other == key));
        let words = self.sources.values().map(Vec::len).sum();
        self.table.steps.fetch_add(1, Ordering::Relaxed);
        self.table.most_rows.fetch_max(rows.len(), Ordering::Relaxed);
        self.table.most_words.fetch_max(words, Ordering::Relaxed);
        Ok(answers)
    }
}

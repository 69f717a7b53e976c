//! The sentences one thread is translating, and their hypotheses.

use std::collections::BTreeMap;

use super::NativeEngine;
use super::cache::PageArena;
use super::kernel::Ranking;
use super::timing::Part;
use super::transformer::{Memory, Sequence};
use super::workspace::Workspace;
use crate::engine::{Parent, RowScores, SentenceKey, Session, StepRow, TokenId};
use crate::error::{Error, ErrorKind, Result};

/// Pieces that are encoded together. More would not be faster, only take more memory.
const ENCODED_TOGETHER: usize = 256;

/// An encoded sentence.
struct Sentence {
    pages: Vec<u32>,
    length: usize,
}

/// A hypothesis: the row of the step before.
struct Row {
    sentence: SentenceKey,
    pages: Vec<u32>,
    /// Tokens fed so far.
    length: usize,
}

pub(super) struct NativeSession<'a> {
    engine: &'a NativeEngine,
    next: u64,
    sentences: BTreeMap<SentenceKey, Sentence>,
    rows: Vec<Row>,
    arena: PageArena,
    work: Workspace,
}

impl<'a> NativeSession<'a> {
    pub(super) fn new(engine: &'a NativeEngine) -> Self {
        NativeSession {
            engine,
            next: 0,
            sentences: BTreeMap::new(),
            rows: Vec::new(),
            arena: engine.page_arena(),
            work: engine.workspace(),
        }
    }

    /// Checks a step before anything is changed by it.
    fn check(&self, rows: &[StepRow<'_>]) -> Result<()> {
        let broken = |what: String| Error::new(ErrorKind::Internal, what);
        for row in rows {
            self.engine.check_targets(&[row.token], 1)?;
            self.engine.check_targets(row.probes, 0)?;
            let length = match row.parent {
                Parent::Start(key) if self.sentences.contains_key(&key) => 0,
                Parent::Start(key) => return Err(broken(format!("sentence {} is not in the session", key.0))),
                Parent::Row(at) => match self.rows.get(at) {
                    Some(parent) => parent.length,
                    None => {
                        return Err(broken(format!("row {at} does not exist: the last step had {}", self.rows.len())));
                    }
                },
            };
            let most = self.engine.dimensions.target_positions;
            if length >= most {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!("a target sentence is longer than the model's {most} positions"),
                ));
            }
        }
        Ok(())
    }

    /// Turns the rows of the last step into those of this one, each with room for one more position.
    fn advance(&mut self, rows: &[StepRow<'_>]) {
        let mut children = vec![0usize; self.rows.len()];
        for row in rows {
            if let Parent::Row(at) = row.parent {
                children[at] += 1;
            }
        }
        let mut before = std::mem::take(&mut self.rows);
        for (row, _) in before.iter_mut().zip(&children).filter(|(_, children)| **children == 0) {
            self.arena.release(&std::mem::take(&mut row.pages));
        }
        let mut advanced = Vec::with_capacity(rows.len());
        for row in rows {
            let (sentence, mut pages, length) = match row.parent {
                Parent::Start(key) => (key, Vec::new(), 0),
                Parent::Row(at) => {
                    children[at] -= 1;
                    let parent = &mut before[at];
                    let pages = match children[at] {
                        // The last branch takes over its parent's pages.
                        0 => std::mem::take(&mut parent.pages),
                        _ => self.arena.branch(&parent.pages, parent.length),
                    };
                    (parent.sentence, pages, parent.length)
                }
            };
            if length.is_multiple_of(super::kernel::PAGE) {
                pages.push(self.arena.allocate());
            }
            advanced.push(Row { sentence, pages, length: length + 1 });
        }
        self.rows = advanced;
        let (rows, arena) = (&self.rows, &mut self.arena);
        self.sentences.retain(|key, sentence| {
            let wanted = rows.iter().any(|row| row.sentence == *key);
            if !wanted {
                arena.release(&sentence.pages);
            }
            wanted
        });
    }
}

impl Session for NativeSession<'_> {
    fn admit(&mut self, sources: &[&[TokenId]]) -> Result<Vec<SentenceKey>> {
        self.engine.check_sources(sources)?;
        self.work.clock.start();
        let mut keys = Vec::with_capacity(sources.len());
        for together in in_batches(sources, |source| source.len(), ENCODED_TOGETHER) {
            let pages = self.engine.admit(together, &mut self.arena, &mut self.work);
            for (pages, source) in pages.into_iter().zip(together) {
                let key = SentenceKey(self.next);
                self.next += 1;
                self.sentences.insert(key, Sentence { pages, length: source.len() });
                keys.push(key);
            }
        }
        Ok(keys)
    }

    fn step(&mut self, rows: &[StepRow<'_>]) -> Result<Vec<RowScores>> {
        self.work.clock.start();
        self.check(rows)?;
        self.advance(rows);
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let tokens: Vec<TokenId> = rows.iter().map(|row| row.token).collect();
        let sequences: Vec<Sequence<'_>> = self
            .rows
            .iter()
            .zip(tokens.chunks(1))
            .map(|(row, tokens)| {
                let sentence = &self.sentences[&row.sentence];
                Sequence {
                    tokens,
                    position: row.length - 1,
                    pages: &row.pages,
                    memory: Memory { pages: &sentence.pages, length: sentence.length },
                }
            })
            .collect();
        let mut attention = vec![Vec::new(); rows.len()];
        self.work.clock.lap(Part::Bookkeeping);
        let model = &self.engine.model;
        model.decode(&sequences, &mut self.arena, &mut attention, &mut self.work);
        let columns = &model.columns;
        let most = columns.choices();
        let probes = |row: &StepRow<'_>| row.probes.iter().map(|&probe| columns.of(probe)).collect();
        let mut rankings: Vec<Ranking> = rows.iter().map(|row| Ranking::new(row.top.min(most), probes(row))).collect();
        model.machine.rank(&self.work.input, &model.output, columns.open(), &mut rankings, &mut self.work.sums);
        self.work.clock.lap(Part::Output);
        rankings
            .into_iter()
            .zip(attention)
            .map(|(ranking, attention)| {
                Ok(RowScores {
                    log_sum_exp: finite(ranking.log_sum_exp())?,
                    top: ranking.top.iter().filter_map(|&(at, logit)| Some((columns.piece(at)?, logit))).collect(),
                    probes: ranking.probes.into_iter().map(|(_, logit)| logit).collect(),
                    attention,
                })
            })
            .collect()
    }
}

impl Drop for NativeSession<'_> {
    fn drop(&mut self) {
        self.engine.collect(&self.work.clock.timings);
    }
}

/// A log-sum-exp that is a number, or the error that the model is damaged.
pub(super) fn finite(value: f32) -> Result<f32> {
    if value.is_finite() {
        return Ok(value);
    }
    Err(Error::new(ErrorKind::Model, "the model's scores are not finite numbers")
        .with_hint("its weights are damaged or too large for f32"))
}

/// Cuts `items` into runs whose sizes add up to `most` or less; an item larger than that is a run by itself.
pub(super) fn in_batches<T>(items: &[T], size: impl Fn(&T) -> usize, most: usize) -> Vec<&[T]> {
    let mut batches = Vec::new();
    let (mut start, mut filled) = (0, 0);
    for (i, item) in items.iter().enumerate() {
        let own = size(item);
        if i > start && filled + own > most {
            batches.push(&items[start..i]);
            (start, filled) = (i, 0);
        }
        filled += own;
    }
    if start < items.len() {
        batches.push(&items[start..]);
    }
    batches
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::NativeOptions;
    use super::*;
    use crate::model::{EngineOptions, ModelFiles};

    #[test]
    fn memory_does_not_grow_with_the_number_of_sentences() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny-marian");
        let files = ModelFiles::directory(&directory).unwrap();
        let (config, weights) = (files.config().unwrap(), files.weights().unwrap());
        let options = NativeOptions::default();
        let engine = NativeEngine::load(&config, &weights, &EngineOptions::default(), &options).unwrap();
        let mut session = NativeSession::new(&engine);
        let source: Vec<TokenId> = (1..20).chain([config.eos_token_id]).collect();
        let mut high = 0;
        for round in 0..300 {
            let key = session.admit(&[&source]).unwrap()[0];
            let row = |parent, token| StepRow { parent, token, top: 1, probes: &[] };
            session.step(&[row(Parent::Start(key), 0), row(Parent::Start(key), 1)]).unwrap();
            for step in 0..12 {
                // Branches, dies and lives on in turn.
                let parents = [[0, 0], [1, 0], [1, 1]][step % 3];
                session.step(&parents.map(|at| row(Parent::Row(at), step as TokenId))).unwrap();
            }
            if round == 2 {
                high = session.arena.len();
            }
        }
        // Source 3 pages, target 2 pages for each of two rows, and one more for each row while branches are copied.
        assert_eq!(session.arena.len(), high);
        assert!(high <= 9, "{high} pages");
        session.step(&[]).unwrap();
        assert!(session.sentences.is_empty() && session.rows.is_empty());
    }

    #[test]
    fn batches_are_full_but_not_overfull_and_lose_nothing() {
        let sizes = [3, 3, 5, 20, 1, 1, 9];
        let batches = in_batches(&sizes, |&size| size, 10);
        assert_eq!(batches, [&[3, 3][..], &[5], &[20], &[1, 1], &[9]]);
        assert!(in_batches(&[] as &[usize], |&size| size, 10).is_empty());
    }
}

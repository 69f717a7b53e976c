//! The sentences in flight on one session.

use super::Hypothesis;
use super::adjustment::{Candidate, Planning};
use super::beam::{Beam, Expansion};
use super::greedy::Greedy;
use super::lexical::Glosses;
use super::options::{BatchOptions, SearchOptions};
use super::queue::{Room, Waiting};
use crate::engine::{Dimensions, Engine, Parent, SentenceKey, Session, StepRow};
use crate::error::{Error, ErrorKind, Result};

/// A session with its sentences: they enter, move on together, and leave one by one.
pub(crate) struct Flight<'e> {
    session: Box<dyn Session + 'e>,
    dimensions: Dimensions,
    options: SearchOptions,
    batch: BatchOptions,
    sentences: Vec<Sentence>,
    words: usize,
    planning: Planning,
    expansion: Expansion,
    candidates: Vec<Candidate>,
}

/// A sentence being translated.
struct Sentence {
    index: usize,
    key: SentenceKey,
    words: usize,
    /// Its first row in the last step; none before its first step.
    first_row: Option<usize>,
    state: State,
}

enum State {
    Greedy(Greedy),
    Beam(Beam),
}

impl State {
    fn rows(&self) -> usize {
        match self {
            State::Greedy(_) => 1,
            State::Beam(beam) => beam.rows(),
        }
    }
}

impl<'e> Flight<'e> {
    /// An empty session; the options have been checked.
    pub(crate) fn new(engine: &'e dyn Engine, options: &SearchOptions, batch: &BatchOptions) -> Self {
        Flight {
            session: engine.session(),
            dimensions: engine.dimensions(),
            options: options.clone(),
            batch: *batch,
            sentences: Vec::new(),
            words: 0,
            planning: Planning::default(),
            expansion: Expansion::default(),
            candidates: Vec::new(),
        }
    }

    /// Number of sentences.
    pub(crate) fn len(&self) -> usize {
        self.sentences.len()
    }

    /// Source pieces of all sentences.
    pub(crate) fn words(&self) -> usize {
        self.words
    }

    /// How much more fits in; none while less than an eighth of the batch is free: one encoder pass for several
    /// sentences costs less than one each.
    pub(crate) fn room(&self) -> Option<Room> {
        let BatchOptions { mini_batch_words, max_rows, .. } = self.batch;
        let rows = self.len() * self.options.beam_size;
        let empty = self.sentences.is_empty();
        let crowded = |used: usize, most: usize| used > most - most.div_ceil(8);
        if !empty && (crowded(self.words, mini_batch_words) || crowded(rows, max_rows)) {
            return None;
        }
        Some(Room {
            words: mini_batch_words.saturating_sub(self.words),
            sentences: max_rows.saturating_sub(rows) / self.options.beam_size,
            empty,
        })
    }

    /// Lets sentences in.
    pub(crate) fn admit(&mut self, entering: &[Waiting]) -> Result<()> {
        if entering.is_empty() {
            return Ok(());
        }
        let sources: Vec<_> = entering.iter().map(|waiting| waiting.source.as_slice()).collect();
        let keys = self.session.admit(&sources)?;
        if keys.len() != entering.len() {
            let message = format!("engine gave {} sentence keys, expected {}", keys.len(), entering.len());
            return Err(Error::new(ErrorKind::Internal, message));
        }
        for (waiting, key) in entering.iter().zip(keys) {
            let words = waiting.source.len();
            let limit = self.options.limit(words, &self.dimensions);
            let glosses = match &self.options.lexical {
                Some(lexical) => lexical.glosses(&waiting.source, self.dimensions.target_vocabulary)?,
                None => Glosses::default(),
            };
            let state = if self.options.beam_size == 1 {
                State::Greedy(Greedy::new(limit, glosses))
            } else {
                State::Beam(Beam::new(limit, glosses))
            };
            self.words += words;
            self.sentences.push(Sentence { index: waiting.index, key, words, first_row: None, state });
        }
        Ok(())
    }

    /// Moves every sentence one token on and hands over the finished ones.
    pub(crate) fn step(&mut self, on_done: &mut dyn FnMut(usize, Vec<Hypothesis>)) -> Result<()> {
        let options = &self.options;
        for sentence in &mut self.sentences {
            match &mut sentence.state {
                State::Greedy(greedy) => greedy.plan(options, &mut self.planning),
                State::Beam(beam) => beam.plan(options, &mut self.planning),
            }
        }
        let mut rows = Vec::with_capacity(self.sentences.iter().map(|sentence| sentence.state.rows()).sum());
        for sentence in &self.sentences {
            let parent = |row: usize| match sentence.first_row {
                Some(first) => Parent::Row(first + row),
                None => Parent::Start(sentence.key),
            };
            match &sentence.state {
                State::Greedy(greedy) => {
                    let (token, top, probes) = greedy.request(options);
                    rows.push(StepRow { parent: parent(0), token, top, probes });
                }
                State::Beam(beam) => rows.extend(beam.requests(options).map(|(row, token, top, probes)| StepRow {
                    parent: parent(row),
                    token,
                    top,
                    probes,
                })),
            }
        }
        let mut scores = self.session.step(&rows)?;
        if scores.len() != rows.len() {
            let message = format!("engine gave scores for {} rows, expected {}", scores.len(), rows.len());
            return Err(Error::new(ErrorKind::Internal, message));
        }
        drop(rows);

        let mut rest = scores.as_mut_slice();
        let mut next_row = 0;
        let mut kept = 0;
        for position in 0..self.sentences.len() {
            let sentence = &mut self.sentences[position];
            let (own, others) = rest.split_at_mut(sentence.state.rows());
            rest = others;
            sentence.first_row = Some(next_row);
            next_row += own.len();
            let done = match &mut sentence.state {
                State::Greedy(greedy) => greedy.advance(options, &mut own[0], &mut self.candidates),
                State::Beam(beam) => beam.advance(options, own, &mut self.expansion),
            }
            .map_err(|error| error.at(format_args!("sentence {}", sentence.index)))?;
            if !done {
                self.sentences.swap(kept, position);
                kept += 1;
            }
        }
        for sentence in self.sentences.drain(kept..) {
            self.words -= sentence.words;
            let hypotheses = match sentence.state {
                State::Greedy(greedy) => greedy.finish(options),
                State::Beam(beam) => beam.finish(options),
            };
            on_done(sentence.index, hypotheses);
        }
        Ok(())
    }
}

//! Continuous batches: which sentences are in flight, and which come next.

use super::Hypothesis;
use super::adjustment::{Candidate, Planning};
use super::beam::{Beam, Expansion};
use super::greedy::Greedy;
use super::options::{BatchOptions, SearchOptions};
use crate::engine::{Dimensions, Engine, Parent, SentenceKey, Session, StepRow, TokenId};
use crate::error::{Error, ErrorKind, Result};

/// Searches a stream of sentences on one session.
///
/// Sentences wait until a window of [`BatchOptions::maxi_batch`] mini-batches is full or nothing else is left to do;
/// the window is sorted by length, longest first, so that neighbours in a batch are alike and the last sentences in
/// flight are short. Whenever an eighth of the batch has become free, waiting sentences fill it up: one encoder pass
/// for several sentences costs less than one each.
///
/// Memory is bounded: at most two windows wait, and [`BatchOptions`] bounds what is in flight.
///
/// ```no_run
/// # use tarjim::{engine::Engine, search::{BatchOptions, Scheduler, SearchOptions}};
/// # fn run(engine: &dyn Engine, mut sentences: impl Iterator<Item = Vec<u32>>) -> tarjim::Result<()> {
/// let mut scheduler = Scheduler::new(engine, &SearchOptions::new(62_833, 0), &BatchOptions::default())?;
/// let mut read = 0;
/// loop {
///     while scheduler.wants_more() {
///         let Some(source) = sentences.next() else { break };
///         scheduler.push(read, source)?;
///         read += 1;
///     }
///     if !scheduler.step(&mut |index, hypotheses| println!("{index}: {:?}", hypotheses[0].tokens))? {
///         return Ok(());
///     }
/// }
/// # }
/// ```
pub struct Scheduler<'e> {
    session: Box<dyn Session + 'e>,
    dimensions: Dimensions,
    options: SearchOptions,
    batch: BatchOptions,
    /// The window being filled, in order of arrival.
    arriving: Vec<Waiting>,
    arriving_words: usize,
    /// The window being worked off, shortest first: the next sentence is the last.
    sorted: Vec<Waiting>,
    in_flight: Vec<InFlight>,
    planning: Planning,
    expansion: Expansion,
    candidates: Vec<Candidate>,
}

/// A sentence not begun yet.
struct Waiting {
    index: usize,
    source: Vec<TokenId>,
}

/// A sentence being translated.
struct InFlight {
    index: usize,
    key: SentenceKey,
    source_length: usize,
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

impl<'e> Scheduler<'e> {
    /// A scheduler with nothing to do yet.
    ///
    /// # Errors
    /// The options contradict themselves or name ids outside the engine's vocabulary.
    pub fn new(engine: &'e dyn Engine, options: &SearchOptions, batch: &BatchOptions) -> Result<Self> {
        let dimensions = engine.dimensions();
        options.check(&dimensions)?;
        batch.check()?;
        Ok(Scheduler {
            session: engine.session(),
            dimensions,
            options: options.clone(),
            batch: *batch,
            arriving: Vec::new(),
            arriving_words: 0,
            sorted: Vec::new(),
            in_flight: Vec::new(),
            planning: Planning::default(),
            expansion: Expansion::default(),
            candidates: Vec::new(),
        })
    }

    /// Checks that the engine can take a sentence (pieces, `</s>` included).
    ///
    /// # Errors
    /// It is empty, too long, or has an id outside the source vocabulary.
    pub fn check(&self, source: &[TokenId]) -> Result<()> {
        let refuse = |message: String| Err(Error::new(ErrorKind::InvalidInput, message));
        if source.is_empty() {
            return refuse("source has no pieces, expected at least the end of the sentence".into());
        }
        if source.len() > self.dimensions.source_positions {
            return refuse(format!(
                "source has {} pieces, the model takes at most {}",
                source.len(),
                self.dimensions.source_positions
            ));
        }
        if let Some(id) = source.iter().find(|&&id| id as usize >= self.dimensions.source_vocabulary) {
            return refuse(format!(
                "source id {id} lies outside the source vocabulary of {} pieces",
                self.dimensions.source_vocabulary
            ));
        }
        Ok(())
    }

    /// Puts a sentence in the queue; `index` comes back with its hypotheses.
    ///
    /// # Errors
    /// As [`Scheduler::check`]; the sentences pushed before are not touched.
    pub fn push(&mut self, index: usize, source: Vec<TokenId>) -> Result<()> {
        self.check(&source)?;
        self.arriving_words += source.len();
        self.arriving.push(Waiting { index, source });
        Ok(())
    }

    /// Whether the window has room; pushing more than that is allowed but serves nothing.
    pub fn wants_more(&self) -> bool {
        self.arriving_words < self.batch.mini_batch_words.saturating_mul(self.batch.maxi_batch)
    }

    /// Sentences pushed and not finished yet.
    pub fn pending(&self) -> usize {
        self.arriving.len() + self.sorted.len() + self.in_flight.len()
    }

    /// Moves every sentence in flight one token on and hands the finished ones to `on_done`, best hypothesis first;
    /// false, without a step, when there is nothing left to do.
    ///
    /// # Errors
    /// The engine fails or gives a score that is not a number. The sentences in flight are then lost: drop the
    /// scheduler.
    pub fn step(&mut self, on_done: &mut dyn FnMut(usize, Vec<Hypothesis>)) -> Result<bool> {
        self.admit()?;
        if self.in_flight.is_empty() {
            return Ok(false);
        }
        let options = &self.options;
        for sentence in &mut self.in_flight {
            match &mut sentence.state {
                State::Greedy(greedy) => greedy.plan(options, &mut self.planning),
                State::Beam(beam) => beam.plan(options, &mut self.planning),
            }
        }
        let mut rows = Vec::with_capacity(self.in_flight.iter().map(|sentence| sentence.state.rows()).sum());
        for sentence in &self.in_flight {
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
        for position in 0..self.in_flight.len() {
            let sentence = &mut self.in_flight[position];
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
                self.in_flight.swap(kept, position);
                kept += 1;
            }
        }
        for sentence in self.in_flight.drain(kept..) {
            let hypotheses = match sentence.state {
                State::Greedy(greedy) => greedy.finish(options),
                State::Beam(beam) => beam.finish(options),
            };
            on_done(sentence.index, hypotheses);
        }
        Ok(true)
    }

    /// Lets waiting sentences in when enough of the batch is free.
    fn admit(&mut self) -> Result<()> {
        let mut words: usize = self.in_flight.iter().map(|sentence| sentence.source_length).sum();
        let mut rows = self.in_flight.len() * self.options.beam_size;
        let crowded = |used: usize, most: usize| used > most - most.div_ceil(8);
        let busy = crowded(words, self.batch.mini_batch_words) || crowded(rows, self.batch.max_rows);
        if busy && !self.in_flight.is_empty() {
            return Ok(());
        }
        let mut entering = Vec::new();
        loop {
            if self.sorted.is_empty() {
                self.sorted = std::mem::take(&mut self.arriving);
                self.arriving_words = 0;
                self.sorted.reverse();
                // Stable: of equally long sentences the first to arrive is the first to go.
                self.sorted.sort_by_key(|waiting| waiting.source.len());
            }
            let Some(next) = self.sorted.last() else { break };
            let alone = self.in_flight.is_empty() && entering.is_empty();
            words += next.source.len();
            rows += self.options.beam_size;
            if !alone && (words > self.batch.mini_batch_words || rows > self.batch.max_rows) {
                break;
            }
            entering.extend(self.sorted.pop());
        }
        if entering.is_empty() {
            return Ok(());
        }
        let sources: Vec<&[TokenId]> = entering.iter().map(|waiting| waiting.source.as_slice()).collect();
        let keys = self.session.admit(&sources)?;
        if keys.len() != entering.len() {
            let message = format!("engine gave {} sentence keys, expected {}", keys.len(), entering.len());
            return Err(Error::new(ErrorKind::Internal, message));
        }
        for (waiting, key) in entering.into_iter().zip(keys) {
            let limit = self.options.limit(waiting.source.len(), &self.dimensions);
            let state = if self.options.beam_size == 1 {
                State::Greedy(Greedy::new(limit))
            } else {
                State::Beam(Beam::new(limit))
            };
            self.in_flight.push(InFlight {
                index: waiting.index,
                key,
                source_length: waiting.source.len(),
                first_row: None,
                state,
            });
        }
        Ok(())
    }
}

//! Continuous batches on one session: which sentences are in flight, and which come next.

use super::Hypothesis;
use super::flight::Flight;
use super::options::{BatchOptions, SearchOptions};
use super::queue::Queue;
use crate::engine::{Engine, TokenId};
use crate::error::Result;

/// Searches a stream of sentences on one session.
///
/// Sentences wait until a window of [`BatchOptions::maxi_batch`] mini-batches is full or nothing else is left to do;
/// the window is sorted by length, longest first, so that neighbours in a batch are alike and the last sentences in
/// flight are short. Whenever an eighth of the batch has become free, waiting sentences fill it up.
///
/// Memory is bounded: two windows wait at most, and [`BatchOptions`] bounds what is in flight.
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
    queue: Queue,
    flight: Flight<'e>,
}

impl<'e> Scheduler<'e> {
    /// A scheduler with nothing to do yet.
    ///
    /// # Errors
    /// The options contradict themselves or name ids outside the engine's vocabulary.
    pub fn new(engine: &'e dyn Engine, options: &SearchOptions, batch: &BatchOptions) -> Result<Self> {
        options.check(&engine.dimensions())?;
        batch.check()?;
        Ok(Scheduler {
            queue: Queue::new(engine.dimensions(), batch.window()),
            flight: Flight::new(engine, options, batch),
        })
    }

    /// Puts a sentence (pieces, `</s>` included) in the queue; `index` comes back with its hypotheses.
    ///
    /// # Errors
    /// It is empty, too long, or has an id outside the source vocabulary; the sentences pushed before are not touched.
    pub fn push(&mut self, index: usize, source: Vec<TokenId>) -> Result<()> {
        self.queue.push(index, source)
    }

    /// Whether the window has room; pushing more than that is allowed but serves nothing.
    pub fn wants_more(&self) -> bool {
        self.queue.wants_more()
    }

    /// Sentences pushed and not finished yet.
    pub fn pending(&self) -> usize {
        self.queue.len() + self.flight.len()
    }

    /// Moves every sentence in flight one token on and hands the finished ones to `on_done`, best hypothesis first;
    /// false, without a step, when there is nothing left to do.
    ///
    /// # Errors
    /// The engine fails or gives a score that is not a number. The sentences in flight are then lost: drop the
    /// scheduler.
    pub fn step(&mut self, on_done: &mut dyn FnMut(usize, Vec<Hypothesis>)) -> Result<bool> {
        if let Some(room) = self.flight.room() {
            self.flight.admit(&self.queue.take(room))?;
        }
        if self.flight.len() == 0 {
            return Ok(false);
        }
        self.flight.step(on_done)?;
        Ok(true)
    }
}

//! Continuous batches on several threads: one session each, one queue for all.

use std::num::NonZero;
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::flight::Flight;
use super::options::{BatchOptions, SearchOptions};
use super::queue::{Queue, Room};
use super::{Hypothesis, Scheduler};
use crate::engine::{Engine, TokenId};
use crate::error::Result;

/// Searches a stream of sentences (pieces, `</s>` included) on `threads` threads and hands each one's hypotheses,
/// best first, to `on_done` with its place in the stream, in the order in which they are finished.
///
/// `sources` is read and `on_done` called on the calling thread, so a stream that blocks holds results back; it is
/// read only as far as two windows of [`BatchOptions`] need. All threads draw from one queue and hold equal shares of a short one, so none idles while
/// another has work in stock. The results are those of [`search`](super::search()), to the bit.
///
/// # Errors
/// As for [`search`](super::search()), but a bad sentence is found when the stream reaches it; or `on_done` fails.
/// Everything stops at the first error.
pub fn search_stream(
    engine: &dyn Engine,
    sources: impl IntoIterator<Item = Vec<TokenId>>,
    options: &SearchOptions,
    batch: &BatchOptions,
    threads: NonZero<usize>,
    mut on_done: impl FnMut(usize, Vec<Hypothesis>) -> Result<()>,
) -> Result<()> {
    let mut sources = sources.into_iter().enumerate();
    if threads.get() == 1 {
        let mut scheduler = Scheduler::new(engine, options, batch)?;
        let mut done = Vec::new();
        loop {
            while scheduler.wants_more() {
                let Some((index, source)) = sources.next() else { break };
                scheduler.push(index, source).map_err(|error| error.at(format_args!("sentence {index}")))?;
            }
            if !scheduler.step(&mut |index, hypotheses| done.push((index, hypotheses)))? {
                return Ok(());
            }
            done.drain(..).try_for_each(|(index, hypotheses)| on_done(index, hypotheses))?;
        }
    }
    options.check(&engine.dimensions())?;
    batch.check()?;
    let shared = Shared::new(engine, batch, threads.get());
    std::thread::scope(|scope| {
        // However this closure is left, the workers must hear of it or the scope waits for ever.
        let _stop = StopOnDrop(&shared);
        // Bounded, so that a slow receiver slows the workers down instead of filling the memory.
        let (finished, results) = mpsc::sync_channel(batch.max_rows);
        for _ in 0..threads.get() {
            let finished = finished.clone();
            let shared = &shared;
            scope.spawn(move || {
                let _stop = StopOnPanic(shared);
                if let Err(error) = work(shared, Flight::new(engine, options, batch), &finished) {
                    // Nobody listens any more where another error came first.
                    finished.send(Err(error)).ok();
                }
            });
        }
        drop(finished);

        let mut pending = 0usize;
        let mut at_end = false;
        loop {
            let mut result = None;
            if !at_end && shared.lock().queue.wants_more() {
                // Read outside the lock: the stream may take its time.
                if let Some((index, source)) = sources.next() {
                    let pushed = shared.lock().queue.push(index, source);
                    pushed.map_err(|error| error.at(format_args!("sentence {index}")))?;
                    pending += 1;
                    shared.changed.notify_one();
                } else {
                    at_end = true;
                }
            } else if pending == 0 {
                return Ok(());
            } else {
                // A worker that panicked sends nothing; the scope then passes its panic on.
                let Ok(received) = results.recv() else { return Ok(()) };
                result = Some(received);
            }
            while let Some(received) = result.take().or_else(|| results.try_recv().ok()) {
                let (index, hypotheses) = received?;
                pending -= 1;
                on_done(index, hypotheses)?;
            }
        }
    })
}

/// What the threads have in common.
struct Shared {
    state: Mutex<State>,
    /// Signalled when sentences arrive or everything stops.
    changed: Condvar,
    threads: usize,
}

struct State {
    queue: Queue,
    /// Source pieces in flight on all threads.
    words_in_flight: usize,
    stopped: bool,
}

impl Shared {
    fn new(engine: &dyn Engine, batch: &BatchOptions, threads: usize) -> Self {
        // Every thread should find a full batch.
        let window = batch.window().max(batch.mini_batch_words.saturating_mul(threads));
        let queue = Queue::new(engine.dimensions(), window);
        let state = State { queue, words_in_flight: 0, stopped: false };
        Shared { state: Mutex::new(state), changed: Condvar::new(), threads }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent between statements, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }
}

struct StopOnDrop<'a>(&'a Shared);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

struct StopOnPanic<'a>(&'a Shared);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

type Finished = SyncSender<Result<(usize, Vec<Hypothesis>)>>;

/// One thread: draws sentences, moves them on, hands them over.
fn work(shared: &Shared, mut flight: Flight<'_>, finished: &Finished) -> Result<()> {
    loop {
        let mut state = shared.lock();
        let entering = loop {
            if state.stopped {
                return Ok(());
            }
            let waiting = state.queue.words();
            if waiting > 0
                && let Some(room) = flight.room()
            {
                let share = (state.words_in_flight + waiting).div_ceil(shared.threads);
                let words = room.words.min(share.saturating_sub(flight.words()));
                break state.queue.take(Room { words, ..room });
            }
            if flight.len() > 0 {
                break Vec::new();
            }
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        state.words_in_flight += entering.iter().map(|waiting| waiting.source.len()).sum::<usize>();
        drop(state);
        flight.admit(&entering)?;
        let words = flight.words();
        flight.step(&mut |index, hypotheses| {
            // Nobody listens any more where everything has stopped; the next round sees that.
            finished.send(Ok((index, hypotheses))).ok();
        })?;
        shared.lock().words_in_flight -= words - flight.words();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::search;
    use super::super::table::Table;
    use super::*;
    use crate::error::{Error, ErrorKind};

    fn options(beam_size: usize) -> SearchOptions {
        SearchOptions { beam_size, n_best: beam_size, max_length: 30, banned: vec![19], ..SearchOptions::new(19, 0) }
    }

    fn sources(count: usize) -> Vec<Vec<TokenId>> {
        (0..count).map(|i| (0..=i * 7 % 19).map(|j| (i * 31 + j * 17) as TokenId % 1000).collect()).collect()
    }

    fn threads(count: usize) -> NonZero<usize> {
        NonZero::new(count).unwrap()
    }

    #[test]
    fn any_number_of_threads_finds_the_same() {
        let engine = Table::hashed(20, 8);
        let sources = sources(150);
        for beam_size in [1, 3] {
            let options = options(beam_size);
            let slices: Vec<_> = sources.iter().map(Vec::as_slice).collect();
            let mut expected = vec![Vec::new(); sources.len()];
            search(&engine, &slices, &options, &BatchOptions::default(), &mut |index, found| expected[index] = found)
                .unwrap();
            for (count, batch) in [
                (1, BatchOptions::default()),
                (2, BatchOptions { mini_batch_words: 40, max_rows: 9, maxi_batch: 2 }),
                (3, BatchOptions::single()),
                (7, BatchOptions { mini_batch_words: 1000, max_rows: 50, maxi_batch: 1 }),
            ] {
                let mut found = vec![Vec::new(); sources.len()];
                search_stream(&engine, sources.clone(), &options, &batch, threads(count), |index, hypotheses| {
                    assert!(found[index].is_empty(), "sentence {index} came twice");
                    found[index] = hypotheses;
                    Ok(())
                })
                .unwrap();
                assert_eq!(found, expected, "{count} threads, {batch:?}");
            }
        }
    }

    #[test]
    fn an_endless_stream_is_read_no_further_than_needed_and_ends_with_the_receiver() {
        let engine = Table::hashed(20, 8);
        let batch = BatchOptions { mini_batch_words: 30, max_rows: 8, maxi_batch: 2 };
        for count in [1, 3] {
            let read = Cell::new(0usize);
            let stream = std::iter::from_fn(|| {
                read.set(read.get() + 1);
                Some(vec![3, 1, 4, 0])
            });
            let mut received = 0;
            let error = search_stream(&engine, stream, &options(2), &batch, threads(count), |_, _| {
                received += 1;
                std::thread::sleep(std::time::Duration::from_millis(1));
                if received == 100 { Err(Error::new(ErrorKind::Io, "the pipe is closed")) } else { Ok(()) }
            })
            .unwrap_err();
            assert_eq!(error.to_string(), "the pipe is closed");
            // Two windows wait, eight rows a thread are in flight or in a worker's hands, eight results in the channel.
            let window = batch.window().max(count * batch.mini_batch_words) / 4;
            let most = received + 2 * (window + 1) + count * batch.max_rows + batch.max_rows + 1;
            assert!(read.get() <= most, "read {} sentences for {received}", read.get());
        }
    }

    #[test]
    fn errors_come_back_from_the_threads() {
        let engine = Table::new(20, |source, _| vec![if source[0] == 7 { f32::NAN } else { 0.0 }; 20]);
        for count in [1, 2] {
            let run = |bad: Vec<TokenId>| {
                let mut sources = sources(40);
                sources.push(bad);
                search_stream(&engine, sources, &options(1), &BatchOptions::default(), threads(count), |_, _| Ok(()))
                    .unwrap_err()
            };
            let error = run(vec![7, 0]);
            assert_eq!(error.kind(), ErrorKind::Model);
            assert!(error.to_string().starts_with("sentence 40: the model's scores"), "{error}");
            assert!(run(vec![5000]).to_string().starts_with("sentence 40: source id 5000 lies outside"));
            assert!(run(Vec::new()).to_string().starts_with("sentence 40: source has no pieces"));
        }
    }

    #[test]
    fn an_empty_stream_is_no_error() {
        let engine = Table::hashed(20, 8);
        let none = std::iter::empty();
        search_stream(&engine, none, &options(1), &BatchOptions::default(), threads(4), |_, _| unreachable!()).unwrap();
    }
}

//! How far a run is: what a progress bar and the JSON progress lines show.

use std::time::{Duration, Instant};

use serde_json::json;

use super::job::Job;
use super::run::Output;
use super::slice::Slice;

/// The state of a run.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Shards of this worker.
    pub shards: usize,
    /// Those that are finished, by this run or an earlier one.
    pub shards_done: usize,
    /// Bytes of text in this worker's shards.
    pub bytes: u64,
    /// Bytes in finished shards and in the records translated since.
    pub bytes_done: u64,
    /// Records translated by this run.
    pub records: u64,
    /// Those that carry an error.
    pub errors: u64,
    /// Sentences in them.
    pub sentences: u64,
    /// Sentences taken from the cache.
    pub cached_sentences: u64,
    /// Source words translated.
    pub source_words: u64,
    skipped: u64,
    finished: u64,
    began: Instant,
}

impl Progress {
    pub(super) fn new(job: &Job, slice: Slice) -> Self {
        let own = job.shards.iter().enumerate().filter(|(shard, _)| slice.contains(*shard)).map(|(_, shard)| shard);
        let bytes = own.clone().flatten().map(|range| range.end - range.start).sum();
        Progress {
            shards: own.count(),
            shards_done: 0,
            bytes,
            bytes_done: 0,
            records: 0,
            errors: 0,
            sentences: 0,
            cached_sentences: 0,
            source_words: 0,
            skipped: 0,
            finished: 0,
            began: Instant::now(),
        }
    }

    pub(super) fn skip(&mut self, bytes: u64) {
        self.skipped += bytes;
        self.finish_shard(bytes);
    }

    /// A line may end in the next shard's bytes: the count is set right when the shard is done.
    pub(super) fn finish_shard(&mut self, bytes: u64) {
        self.shards_done += 1;
        self.finished += bytes;
        self.bytes_done = self.finished;
    }

    pub(super) fn count(&mut self, bytes: u64, output: &Output) {
        self.bytes_done = self.bytes.min(self.bytes_done + bytes);
        self.records += 1;
        self.errors += u64::from(output.error.is_some());
        self.sentences += output.sentences;
        self.cached_sentences += output.cached_sentences;
        self.source_words += output.source_words;
    }

    /// Time since the run began.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Time left at the rate so far; `None` before anything is done.
    pub fn remaining(&self) -> Option<Duration> {
        let done = self.bytes_done.checked_sub(self.skipped).filter(|done| *done > 0)?;
        let seconds = self.elapsed().as_secs_f64() * (self.bytes - self.bytes_done) as f64 / done as f64;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// One line of JSON for machines.
    pub fn to_json(&self) -> String {
        let seconds = self.elapsed().as_secs_f64();
        let rate = |count: u64| (count as f64 / seconds.max(1e-9) * 10.0).round() / 10.0;
        json!({
            "shards": self.shards,
            "shards_done": self.shards_done,
            "bytes": self.bytes,
            "bytes_done": self.bytes_done,
            "records": self.records,
            "errors": self.errors,
            "sentences": self.sentences,
            "cached_sentences": self.cached_sentences,
            "seconds": (seconds * 10.0).round() / 10.0,
            "sentences_per_second": rate(self.sentences),
            "source_words_per_second": rate(self.source_words),
            "seconds_left": self.remaining().map(|time| time.as_secs()),
        })
        .to_string()
    }
}

//! One worker's run over its shards.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::commit::{Commit, PendingShard, host, shard_folder, sweep};
use super::input::{self, LineCount, RangeReader, Record};
use super::job::Job;
use super::manifest::ShardManifest;
use super::progress::Progress;
use super::slice::Slice;
use crate::error::{Error, ErrorKind, Result};

/// A window is closed when it holds this many records …
const WINDOW_RECORDS: usize = 256;
/// … or this many bytes, whichever comes first: some hundred sentences, since a stopped worker finishes its window.
const WINDOW_BYTES: usize = 1 << 17;
/// How many error messages a manifest keeps.
const KEPT_MESSAGES: usize = 20;

/// The translation of one record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// The output line, without a line break.
    pub line: Vec<u8>,
    /// The error it carries, if it does.
    pub error: Option<String>,
    /// Sentences in it.
    pub sentences: u64,
    /// How many of them came from the cache.
    pub cached_sentences: u64,
    /// Source words in it.
    pub source_words: u64,
}

/// What translates records.
pub trait Worker {
    /// Translates records, bad ones into records that carry an error: one output per record, in order.
    ///
    /// A worker that sees `stop` set may return an error of kind [`ErrorKind::Interrupted`] as soon as its mini-batch
    /// is done: the window is done again by the next run.
    ///
    /// # Errors
    /// Only what would fail for every record, never what is wrong with one.
    fn translate(&mut self, records: &[Record], stop: &AtomicBool) -> Result<Vec<Output>>;

    /// Whether a line is a record at all; what isn't leaves no trace in the output.
    fn is_record(&self, _line: &Record) -> bool {
        true
    }

    /// The identity of a record, read from its input line; compared with
    /// [`output_id`](Worker::output_id) of what was written before a shard is committed.
    fn input_id(&self, _line: &[u8]) -> Option<String> {
        None
    }

    /// The identity of a record, read from its output line.
    fn output_id(&self, _line: &[u8]) -> Option<String> {
        None
    }

    /// What computes, for the manifest.
    fn engine(&self) -> String;
}

/// How a run goes about it.
pub struct Run<'a> {
    /// Which shards are this worker's.
    pub slice: Slice,
    /// Set by a signal: the run ends after the current mini-batch with an error of kind [`ErrorKind::Interrupted`].
    pub stop: &'a AtomicBool,
    /// Whether finished shards with errors are taken up again, those records alone.
    pub retry_errors: bool,
    /// Told after every window.
    pub on_progress: &'a mut dyn FnMut(&Progress),
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Shards finished by this run.
    pub finished: usize,
    /// Shards that were finished already.
    pub skipped: usize,
    /// Shards that another worker finished first.
    pub late: usize,
    /// Records written by this run.
    pub records: u64,
    /// Records with errors in all of the slice's shards, old and new.
    pub errors: u64,
    /// Sentences in this run's records.
    pub sentences: u64,
    /// How many of them came from the cache.
    pub cached_sentences: u64,
}

impl Job {
    /// Translates the slice's unfinished shards.
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`] when stopped. An input that is gone or broken ends its shard; the other shards are
    /// still done, then the first such error is returned. A failure to write ends the run at once, and so does an input
    /// that isn't the one a finished shard was made from.
    pub fn run(&self, worker: &mut dyn Worker, run: &mut Run<'_>) -> Result<Summary> {
        sweep(&self.folder)?;
        self.check_finished(run)?;
        let mut lines = LineCount::default();
        let mut summary = Summary::default();
        let mut first_error = None;
        let mut progress = Progress::new(self, run.slice);
        for shard in (0..self.shards.len()).filter(|shard| run.slice.contains(*shard)) {
            let bytes: u64 = self.shards[shard].iter().map(|range| range.end - range.start).sum();
            let old = ShardManifest::read(&shard_folder(&self.folder, shard))?;
            if let Some(old) = &old
                && !(run.retry_errors && old.errors > 0)
            {
                summary.skipped += 1;
                summary.errors += old.errors;
                progress.skip(bytes);
                continue;
            }
            let mut task = ShardTask { job: self, shard, worker, stop: run.stop, old: old.as_ref(), lines: &mut lines };
            match task.translate(&mut progress, run.on_progress) {
                Ok((manifest, Commit::First)) => {
                    summary.finished += 1;
                    summary.records += manifest.records;
                    summary.errors += manifest.errors;
                    summary.sentences += manifest.sentences;
                    summary.cached_sentences += manifest.cached_sentences;
                    progress.finish_shard(bytes);
                }
                Ok((_, Commit::Late)) => {
                    summary.late += 1;
                    progress.finish_shard(bytes);
                }
                Err(error) if matches!(error.kind(), ErrorKind::NoInput | ErrorKind::InvalidInput) => {
                    first_error.get_or_insert(error.at(format_args!("shard {shard}")));
                }
                Err(error) => return Err(error.at(format_args!("shard {shard}"))),
            }
            (run.on_progress)(&progress);
        }
        first_error.map_or(Ok(summary), Err)
    }

    /// Reads the text of finished shards again where their inputs were touched since the job began, and refuses to go
    /// on where it has changed: the folder would be a translation of two texts. The time of a change says nothing by
    /// itself, for a copy is as good as the file it was made from.
    fn check_finished(&self, run: &Run<'_>) -> Result<()> {
        let mut lines = LineCount::default();
        for (shard, ranges) in self.shards.iter().enumerate().filter(|(shard, _)| run.slice.contains(*shard)) {
            let touched = ranges.iter().filter(|range| self.touched.contains(&range.file));
            let touched: BTreeSet<String> =
                touched.map(|range| format!("`{}`", self.manifest.inputs[range.file].path.display())).collect();
            if touched.is_empty() {
                continue;
            }
            let Some(manifest) = ShardManifest::read(&shard_folder(&self.folder, shard))? else { continue };
            let mut input = ShardReader::new(self, shard, lines);
            while input.next()?.is_some() {
                if run.stop.load(Ordering::Relaxed) {
                    return Err(stopped());
                }
            }
            lines = input.lines;
            if input.digest.finalize().to_hex().as_str() != manifest.input_digest {
                let touched = touched.into_iter().collect::<Vec<_>>().join(", ");
                return Err(changed(&format!("input {touched}"), shard));
            }
        }
        Ok(())
    }
}

struct ShardTask<'a> {
    job: &'a Job,
    shard: usize,
    worker: &'a mut dyn Worker,
    stop: &'a AtomicBool,
    /// The finished shard whose errors are retried.
    old: Option<&'a ShardManifest>,
    /// Where the lines of the inputs are counted up to.
    lines: &'a mut LineCount,
}

/// The counts of a shard while it is written.
#[derive(Default)]
struct Tally {
    records: u64,
    failed: Vec<u64>,
    messages: Vec<String>,
    sentences: u64,
    cached_sentences: u64,
    input_ids: blake3::Hasher,
}

impl ShardTask<'_> {
    fn translate(
        &mut self,
        progress: &mut Progress,
        on_progress: &mut dyn FnMut(&Progress),
    ) -> Result<(ShardManifest, Commit)> {
        let began = Instant::now();
        let job = self.job;
        let mut pending = PendingShard::create(&job.folder, self.shard, &job.manifest.output_extension)?;
        let mut input = ShardReader::new(job, self.shard, *self.lines);
        let mut old = self.old.map(|old| OldShard::open(job, self.shard, old)).transpose()?;
        let mut tally = Tally {
            sentences: self.old.map_or(0, |old| old.sentences),
            cached_sentences: self.old.map_or(0, |old| old.cached_sentences),
            ..Tally::default()
        };
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(stopped());
            }
            let window = input.window(&*self.worker)?;
            if window.is_empty() {
                break;
            }
            tracing::debug!(shard = self.shard, records = window.len(), "window read");
            let outputs = self.window(&window, old.as_mut())?;
            for (record, output) in window.iter().zip(outputs) {
                if output.line.contains(&b'\n') {
                    return Err(Error::new(ErrorKind::Internal, "an output record holds a line break"));
                }
                pending.write_line(&output.line)?;
                count_id(&mut tally.input_ids, self.worker.input_id(&record.line));
                if let Some(message) = &output.error {
                    tally.failed.push(tally.records);
                    if tally.messages.len() < KEPT_MESSAGES {
                        tally.messages.push(format!("record {}: {message}", tally.records));
                    }
                }
                tally.records += 1;
                tally.sentences += output.sentences;
                tally.cached_sentences += output.cached_sentences;
                progress.count(record.line.len() as u64 + 1, &output);
            }
            // What is not handed over cannot be seen growing, by a person or by a sweep.
            pending.flush()?;
            tracing::debug!(shard = self.shard, records = window.len(), "window translated");
            on_progress(progress);
        }
        *self.lines = input.lines;
        self.commit(pending, &input, tally, began.elapsed())
    }

    /// Translates a window; records that an earlier run translated well are taken from there.
    fn window(&mut self, window: &[Record], old: Option<&mut OldShard>) -> Result<Vec<Output>> {
        let Some(old) = old else { return self.checked(window) };
        let kept = old.next(window.len())?;
        let failed: Vec<Record> =
            window.iter().zip(&kept).filter(|(_, kept)| kept.is_none()).map(|(record, _)| record.clone()).collect();
        let mut retried = self.checked(&failed)?.into_iter();
        Ok(kept.into_iter().map(|kept| kept.or_else(|| retried.next()).unwrap_or_default()).collect())
    }

    fn checked(&mut self, records: &[Record]) -> Result<Vec<Output>> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let outputs = self.worker.translate(records, self.stop)?;
        if outputs.len() == records.len() {
            Ok(outputs)
        } else {
            let message = format!("{} records in, {} out", records.len(), outputs.len());
            Err(Error::new(ErrorKind::Internal, message))
        }
    }

    /// Compares what lies on the disk with what was read, then publishes it.
    fn commit(
        &self,
        mut pending: PendingShard,
        input: &ShardReader<'_>,
        tally: Tally,
        time: Duration,
    ) -> Result<(ShardManifest, Commit)> {
        let (mut written, mut output_ids) = (0u64, blake3::Hasher::new());
        let output_digest = pending.read_back(|line| {
            written += 1;
            count_id(&mut output_ids, self.worker.output_id(line));
        })?;
        if written != tally.records || output_ids.finalize() != tally.input_ids.finalize() {
            let message = format!("{} records in, {written} on the disk, or with other ids", tally.records);
            return Err(Error::new(ErrorKind::Io, message).with_hint("is the output's disk healthy? run again"));
        }
        let input_digest = input.digest.finalize().to_hex().to_string();
        if let Some(old) = self.old
            && old.input_digest != input_digest
        {
            return Err(changed("the input", self.shard));
        }
        let manifest = ShardManifest {
            shard: self.shard,
            fingerprint: self.job.manifest.fingerprint.clone(),
            version: self.job.manifest.identity.version.clone(),
            engine: self.worker.engine(),
            ranges: self.job.shards[self.shard].clone(),
            input_digest,
            output_digest: output_digest.to_hex().to_string(),
            records: tally.records,
            errors: tally.failed.len() as u64,
            failed: tally.failed,
            messages: tally.messages,
            sentences: tally.sentences,
            cached_sentences: tally.cached_sentences,
            milliseconds: time.as_millis() as u64 + self.old.map_or(0, |old| old.milliseconds),
            host: host(),
            finished: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs()),
        };
        let commit = pending.commit(&manifest, self.old.is_some())?;
        Ok((manifest, commit))
    }
}

fn changed(input: &str, shard: usize) -> Error {
    let message = format!("{input} has changed since the finished shard {shard} was made from it");
    Error::new(ErrorKind::InvalidInput, message).with_hint("begin a new output folder for changed inputs")
}

fn stopped() -> Error {
    Error::new(ErrorKind::Interrupted, "stopped before the shard was finished")
        .with_hint("run the same command again to go on; finished shards are kept")
}

/// Adds a record's identity to a running digest, so that order and number are compared too.
fn count_id(digest: &mut blake3::Hasher, id: Option<String>) {
    let id = id.unwrap_or_default();
    digest.update(&(id.len() as u64).to_le_bytes());
    digest.update(id.as_bytes());
}

/// Reads a shard's records, a window at a time.
struct ShardReader<'a> {
    job: &'a Job,
    ranges: std::slice::Iter<'a, input::Range>,
    current: Option<RangeReader>,
    digest: blake3::Hasher,
    lines: LineCount,
}

impl<'a> ShardReader<'a> {
    fn new(job: &'a Job, shard: usize, lines: LineCount) -> Self {
        ShardReader { job, ranges: job.shards[shard].iter(), current: None, digest: blake3::Hasher::new(), lines }
    }

    fn window(&mut self, worker: &dyn Worker) -> Result<Vec<Record>> {
        let (mut window, mut bytes) = (Vec::new(), 0);
        while window.len() < WINDOW_RECORDS && bytes < WINDOW_BYTES {
            match self.next()? {
                Some(record) if !worker.is_record(&record) => {}
                Some(record) => {
                    bytes += record.line.len();
                    window.push(record);
                }
                None => break,
            }
        }
        Ok(window)
    }

    fn next(&mut self) -> Result<Option<Record>> {
        loop {
            if let Some(reader) = &mut self.current
                && let Some(record) = reader.next(&mut self.digest)?
            {
                return Ok(Some(record));
            }
            if let Some(reader) = self.current.take() {
                self.lines = reader.counted();
            }
            let Some(range) = self.ranges.next() else { return Ok(None) };
            let file = &self.job.manifest.inputs[range.file];
            let bytes = input::size(&file.path)?;
            if bytes != file.bytes {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!("input `{}` has {bytes} bytes, {} when the job began", file.path.display(), file.bytes),
                )
                .with_hint("begin a new output folder for changed inputs"));
            }
            self.current = Some(RangeReader::open(&file.path, range, self.lines)?);
        }
    }
}

/// The outputs of a finished shard, to be kept where they carry no error.
struct OldShard {
    /// Not `lines`, which would take a `\r` away.
    lines: std::io::Split<BufReader<File>>,
    failed: BTreeSet<u64>,
    next: u64,
}

impl OldShard {
    fn open(job: &Job, shard: usize, manifest: &ShardManifest) -> Result<Self> {
        let path = shard_folder(&job.folder, shard).join(format!("part.{}", job.manifest.output_extension));
        let file =
            File::open(&path).map_err(|error| Error::io(format_args!("cannot read `{}`", path.display()), error))?;
        let failed = manifest.failed.iter().copied().collect();
        Ok(OldShard { lines: BufReader::new(file).split(b'\n'), failed, next: 0 })
    }

    /// The next outputs; `None` for those that are to be done again.
    fn next(&mut self, count: usize) -> Result<Vec<Option<Output>>> {
        let mut kept = Vec::with_capacity(count);
        for _ in 0..count {
            let line = match self.lines.next() {
                Some(line) => line.map_err(|error| Error::io("cannot read the finished shard", error))?,
                None => return Err(Error::new(ErrorKind::InvalidInput, "the finished shard has too few records")),
            };
            let failed = self.failed.contains(&self.next);
            kept.push((!failed).then(|| Output { line, ..Output::default() }));
            self.next += 1;
        }
        Ok(kept)
    }
}

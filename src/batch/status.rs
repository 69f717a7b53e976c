//! How far a job is, read from its output folder alone.

use std::path::Path;
use std::time::Duration;

use super::commit::{living, shard_folder};
use super::manifest::{JOB_FILE, JobManifest, ShardManifest};
use super::plan;
use crate::error::{Error, ErrorKind, Result};

/// The state of an output folder.
#[derive(Clone, Debug)]
pub struct Status {
    /// What it belongs to.
    pub job: JobManifest,
    /// Shards in all.
    pub shards: usize,
    /// The finished ones.
    pub finished: Vec<ShardManifest>,
    /// Bytes of text in all shards.
    pub bytes: u64,
    /// Bytes of text in finished shards.
    pub bytes_done: u64,
    /// Workers that are writing now.
    pub workers: usize,
}

/// Reads the state of an output folder.
///
/// # Errors
/// The folder is no job's, or a manifest in it is broken.
pub fn status(folder: &Path) -> Result<Status> {
    let job = JobManifest::read(folder)?.ok_or_else(|| {
        Error::new(
            ErrorKind::NoInput,
            format!("`{}` is not the output folder of a job: it has no `{JOB_FILE}`", folder.display()),
        )
    })?;
    let shards = plan::shards(&job.inputs, job.shard_bytes);
    let (mut finished, mut bytes, mut bytes_done) = (Vec::new(), 0, 0);
    for (shard, ranges) in shards.iter().enumerate() {
        let size: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        bytes += size;
        if let Some(manifest) = ShardManifest::read(&shard_folder(folder, shard))? {
            bytes_done += size;
            finished.push(manifest);
        }
    }
    Ok(Status { job, shards: shards.len(), finished, bytes, bytes_done, workers: living(folder) })
}

impl Status {
    /// Records in finished shards.
    pub fn records(&self) -> u64 {
        self.finished.iter().map(|shard| shard.records).sum()
    }

    /// Records with errors in finished shards.
    pub fn errors(&self) -> u64 {
        self.finished.iter().map(|shard| shard.errors).sum()
    }

    /// Sentences in finished shards, and how many of them came from the cache.
    pub fn sentences(&self) -> (u64, u64) {
        self.finished
            .iter()
            .fold((0, 0), |(all, cached), shard| (all + shard.sentences, cached + shard.cached_sentences))
    }

    /// The time finished shards took, summed over workers.
    pub fn work(&self) -> Duration {
        Duration::from_millis(self.finished.iter().map(|shard| shard.milliseconds).sum())
    }

    /// Time left with the workers that are at it now; `None` where none is, or nothing is finished yet.
    pub fn remaining(&self) -> Option<Duration> {
        if self.finished.len() == self.shards {
            return Some(Duration::ZERO);
        }
        if self.workers == 0 || self.bytes_done == 0 {
            return None;
        }
        let left = (self.bytes - self.bytes_done) as f64 / self.bytes_done as f64;
        Duration::try_from_secs_f64(self.work().as_secs_f64() * left / self.workers as f64).ok()
    }

    /// The state as one JSON object.
    pub fn to_json(&self) -> serde_json::Value {
        let (sentences, cached_sentences) = self.sentences();
        serde_json::json!({
            "model": self.job.identity.model,
            "fingerprint": self.job.fingerprint,
            "shards": self.shards,
            "shards_done": self.finished.len(),
            "bytes": self.bytes,
            "bytes_done": self.bytes_done,
            "records": self.records(),
            "errors": self.errors(),
            "sentences": sentences,
            "cached_sentences": cached_sentences,
            "work_seconds": self.work().as_secs_f64(),
            "workers": self.workers,
            "seconds_left": self.remaining().map(|time| time.as_secs()),
        })
    }
}

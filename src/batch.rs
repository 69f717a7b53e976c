//! Resumable jobs over many files: every record exactly once in the output, whatever dies on the way.
//!
//! A job reads records (lines of text, JSONL or TSV) from files, cuts them into shards of about equal size, and
//! publishes each finished shard as one folder:
//!
//! ```text
//! OUTPUT/job.json                  what the folder belongs to: model, options, version, inputs
//! OUTPUT/shard-00000/part.jsonl    one output record per input record, in order
//! OUTPUT/shard-00000/shard.json    digests, counts, seconds
//! ```
//!
//! `cat OUTPUT/shard-*/part.jsonl` is the translation of the inputs in order. Work is done at least once, committed
//! exactly once: a worker that dies costs its unfinished shard, two workers on one shard end with the first commit,
//! and a run on a finished folder does nothing. A folder never mixes two models, option sets or versions.
//!
//! The translation itself is a [`Worker`], so that this module knows neither models nor tensors.

mod commit;
mod input;
mod job;
mod manifest;
mod plan;
mod progress;
mod records;
mod run;
mod slice;
mod status;

pub use input::{InputFile, LONGEST_RECORD, LineFormat, Range, Record};
pub use job::{Job, JobOptions};
pub use manifest::{Identity, JobManifest, ShardManifest};
pub use plan::Shard;
pub use progress::Progress;
pub use records::{RecordWorker, Translate};
pub use run::{Output, Run, Summary, Worker};
pub use slice::Slice;
pub use status::{Status, status};

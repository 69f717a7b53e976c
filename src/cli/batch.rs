//! `tarjim batch`: resumable jobs over many files, and how far they are.

mod progress;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tarjim::alignment::LinkForm;
use tarjim::batch::{Identity, Job, JobOptions, LineFormat, RecordWorker, Run, Slice, status};
use tarjim::format::{Column, Offsets, ReadOptions, WriteOptions};
use tarjim::{Error, ErrorKind, Result, Translator};

use super::model::{AlignerArgs, ModelArgs, SearchArgs};
use super::{Outcome, Talk};
use progress::Display;

/// What to translate, and where to.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,

    /// Files and folders to translate: one record a line, also packed as .gz or .zst
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    input: Vec<PathBuf>,

    /// Folder for the outputs: `shard-NNNNN/part.*` and the job's manifests
    #[arg(long, value_name = "DIR", required = true)]
    output: Option<PathBuf>,

    /// This worker's share: i/n with i from 0, or auto: from Slurm, AWS Batch or Kubernetes variables, else all
    #[arg(long, value_name = "auto|I/N", default_value = "auto")]
    shard: String,

    /// Bytes of text in a shard: what a worker that dies costs [default: 4 MiB]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    shard_bytes: Option<u64>,

    /// Format of the inputs: lines, jsonl or tsv; by the files' names unless given
    #[arg(long, value_name = "FORMAT")]
    input_format: Option<LineFormat>,

    /// Format of the outputs: lines, jsonl or tsv; that of the inputs unless given
    #[arg(long, value_name = "FORMAT")]
    output_format: Option<LineFormat>,

    /// Field of a JSON record that holds the text
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_field: String,

    /// Column of a table that holds the text, from 1
    #[arg(long, value_name = "N", default_value_t = 1)]
    text_column: usize,

    /// Columns to add to a table: translation, score, alignment, flags, error
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "translation")]
    columns: Vec<Column>,

    /// Unit of the offsets in JSON: bytes, chars or utf16
    #[arg(long, value_name = "UNIT", default_value = "bytes")]
    offsets: Offsets,

    /// Write the translation alone to JSON, without sentences, links and scores
    #[arg(long)]
    no_sentences: bool,

    /// Links to keep: hard (the best for each English word), soft, or a threshold such as 0.3
    #[arg(long, value_name = "FORM")]
    alignment: Option<LinkForm>,

    #[command(flatten)]
    aligner: AlignerArgs,

    /// Translate the records again that carry an error in finished shards
    #[arg(long)]
    retry_errors: bool,

    /// Memory for translations of sentences that come again, in MiB; 0 is none
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    sentence_cache: usize,

    /// Folder that keeps such translations for later runs and other workers; none unless given
    #[arg(long, value_name = "DIR")]
    sentence_cache_dir: Option<PathBuf>,

    /// The most that folder holds, in MiB; the oldest translations go first
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..1 << 40))]
    sentence_cache_disk: u64,

    #[command(flatten)]
    model: ModelArgs,

    #[command(flatten)]
    search: SearchArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show how far a job is.
    Status {
        /// The job's output folder
        output: PathBuf,
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Runs a worker, or shows a job's state.
pub(crate) fn run(args: &Args, talk: &Talk) -> Result<Outcome> {
    if let Some(Action::Status { output, json }) = &args.action {
        return show(output, *json);
    }
    if args.text_column == 0 {
        return Err(Error::new(ErrorKind::Usage, "columns are counted from 1, and `--text-column` is 0"));
    }
    let slice = match args.shard.as_str() {
        "auto" => Slice::from_variables(|name| std::env::var(name).ok())?,
        text => text.parse()?,
    };
    // From here on a signal lets the mini-batch end; a second Ctrl-C does not wait.
    let stop = stop_on_signals()?;
    let mut builder = args.search.apply(args.model.builder()).sentence_cache(args.sentence_cache << 20);
    builder = builder.aligner(args.aligner.choice);
    if let Some(form) = args.alignment {
        builder = builder.links(form);
    }
    if let Some(folder) = &args.sentence_cache_dir {
        args.check_sentence_cache(folder)?;
        builder = builder.sentence_cache_folder(folder, args.sentence_cache_disk << 20);
    }
    let translator = builder.build()?;
    let job = Job::open(&JobOptions {
        inputs: args.input.clone(),
        input_format: args.input_format,
        output_extension: args.output_format.map(|format| format.extension().to_owned()),
        output: args.output.clone().unwrap_or_default(),
        shard_bytes: args.shard_bytes,
        identity: args.identity(&translator)?,
    })?;
    let mut worker = args.worker(&job, &translator);
    let mut display = Display::start(talk, &job, slice);
    let summary = job.run(
        &mut worker,
        &mut Run {
            slice,
            stop: &stop,
            retry_errors: args.retry_errors,
            on_progress: &mut |progress| display.show(progress),
        },
    );
    display.finish();
    let summary = summary?;
    tracing::info!(
        finished = summary.finished,
        skipped = summary.skipped,
        late = summary.late,
        records = summary.records,
        errors = summary.errors,
        sentences = summary.sentences,
        cached_sentences = summary.cached_sentences,
        "slice {slice} is done"
    );
    Ok(if summary.errors > 0 { Outcome::SomeRecordsFailed } else { Outcome::Done })
}

impl Args {
    /// Files that appear among the inputs or the outputs would make another job of this one.
    fn check_sentence_cache(&self, folder: &std::path::Path) -> Result<()> {
        let absolute = |path: &std::path::Path| {
            std::path::absolute(path).map_err(|error| Error::io(format_args!("`{}`", path.display()), error))
        };
        for other in self.input.iter().chain(&self.output) {
            if absolute(folder)?.starts_with(absolute(other)?) {
                return Err(Error::new(
                    ErrorKind::Usage,
                    format!("the sentence cache `{}` lies inside `{}`", folder.display(), other.display()),
                )
                .with_hint("name a folder outside the inputs and the output"));
            }
        }
        Ok(())
    }

    /// Everything that can change a byte of the output.
    fn identity(&self, translator: &Translator) -> Result<Identity> {
        let mut options = Map::new();
        let mut add = |name: &str, value: Value| drop(options.insert(name.to_owned(), value));
        let search = translator.search_options();
        // Kernels give the same bits, so that machines of several kinds can share a job; engines don't.
        let engine = translator.engine().name();
        add("engine", json!(engine.split_whitespace().take(2).collect::<Vec<_>>().join(" ")));
        add("max-length", json!(translator.max_pieces()));
        // Through text: `0.6` as an `f32` would become `0.6000000238418579` otherwise.
        let search = serde_json::to_string(search).and_then(|text| serde_json::from_str::<Map<String, Value>>(&text));
        for (name, value) in search.map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))? {
            // A list of tokens in one line: `job.json` is read by people.
            let value = if value.is_array() { json!(value.to_string()) } else { value };
            // `--max-length` is the source's.
            add(&if name == "max_length" { "max-target-length".to_owned() } else { name.replace('_', "-") }, value);
        }
        add("normalizer", json!(format!("{:?}", translator.normalizer())));
        add("alignment", json!(self.alignment.map(|form| format!("{form:?}"))));
        add("aligner", json!(self.aligner.choice.to_string()));
        add("text-field", json!(self.text_field));
        add("text-column", json!(self.text_column));
        add("columns", json!(format!("{:?}", self.columns)));
        add("offsets", json!(format!("{:?}", self.offsets)));
        add("sentences", json!(!self.no_sentences));
        Ok(Identity {
            model: translator.model().name().to_owned(),
            model_digest: translator.model().digest()?,
            options,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    fn worker<'a>(&self, job: &Job, translator: &'a Translator) -> RecordWorker<'a> {
        let input = job.manifest().input_format;
        let whole_lines = input == LineFormat::Lines;
        RecordWorker {
            input,
            output: self.output_format.unwrap_or(input),
            read: ReadOptions {
                text_field: self.text_field.clone(),
                text_column: self.text_column,
                ..ReadOptions::default()
            },
            write: WriteOptions {
                model: translator.model().name().to_owned(),
                offsets: self.offsets,
                sentences: !self.no_sentences,
                columns: self.columns.clone(),
                text_field: self.text_field.clone(),
                ..WriteOptions::default()
            },
            files: job.manifest().inputs.iter().map(|file| file.path.display().to_string()).collect(),
            engine: translator.engine().name(),
            translate: Box::new(move |texts| {
                if whole_lines { translator.translate_lines(texts) } else { translator.translate_all(texts) }
            }),
            cache_hits: Box::new(|| translator.sentence_cache_hits()),
        }
    }
}

/// A flag that SIGTERM, SIGUSR1 and SIGINT set.
fn stop_on_signals() -> Result<Arc<AtomicBool>> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let stop = Arc::new(AtomicBool::new(false));
    let failed = |error: std::io::Error| Error::io("cannot listen for signals", error);
    signal_hook::flag::register_conditional_shutdown(SIGINT, 130, stop.clone()).map_err(failed)?;
    signal_hook::flag::register(SIGINT, stop.clone()).map_err(failed)?;
    signal_hook::flag::register(SIGTERM, stop.clone()).map_err(failed)?;
    #[cfg(unix)]
    signal_hook::flag::register(signal_hook::consts::SIGUSR1, stop.clone()).map_err(failed)?;
    Ok(stop)
}

fn show(output: &std::path::Path, as_json: bool) -> Result<Outcome> {
    let status = status(output)?;
    let mut text = String::new();
    if as_json {
        let _ = writeln!(text, "{}", status.to_json());
    } else {
        let (sentences, cached) = status.sentences();
        let percent = |part: u64, whole: u64| 100.0 * part as f64 / whole.max(1) as f64;
        let _ = writeln!(text, "model:      {} ({})", status.job.identity.model, status.job.identity.version);
        let _ = writeln!(
            text,
            "shards:     {} of {} finished ({:.1} % of the text)",
            status.finished.len(),
            status.shards,
            percent(status.bytes_done, status.bytes)
        );
        let _ = writeln!(text, "records:    {}, {} with errors", status.records(), status.errors());
        let _ = writeln!(text, "sentences:  {sentences}, {:.1} % from the cache", percent(cached, sentences));
        let _ = writeln!(text, "work:       {}", words(status.work()));
        let left = status.remaining().map_or("unknown".to_owned(), words);
        let _ = writeln!(text, "workers:    {} at it now, time left {left}", status.workers);
        for shard in status.finished.iter().filter(|shard| shard.errors > 0) {
            let first = shard.messages.first().map_or("", String::as_str);
            let _ = writeln!(text, "shard {}: {} errors; {first}", shard.shard, shard.errors);
        }
    }
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(|error| Error::io("stdout", error))?;
    Ok(Outcome::Done)
}

/// A duration as a person says it.
fn words(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

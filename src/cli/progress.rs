//! Progress on stderr: a bar for a person, JSON lines for a program.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};

use super::Talk;

/// What form progress takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// A bar when stderr is a terminal and stdout is not, otherwise nothing.
    Auto,
    /// A JSON object every ten seconds and at the end.
    Json,
    /// Nothing.
    None,
}

/// How often JSON progress is written.
const INTERVAL: Duration = Duration::from_secs(10);

/// Counts what was done and shows it.
pub(crate) struct Progress {
    started: Instant,
    last: Instant,
    counts: Counts,
    display: Display,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Records finished.
    pub(crate) records: u64,
    /// Sentences translated.
    pub(crate) sentences: u64,
    /// Source words in them.
    pub(crate) words: u64,
    /// Records that carry an error.
    pub(crate) errors: u64,
    /// Input bytes finished.
    pub(crate) bytes: u64,
}

enum Display {
    Bar(ProgressBar),
    Json,
    Nothing,
}

impl Progress {
    /// Begins to count; `bytes` is the size of the whole input, where it is known.
    pub(crate) fn start(talk: &Talk, bytes: Option<u64>) -> Self {
        let display = match talk.progress {
            Mode::Json => Display::Json,
            // With stdout on the same terminal the translation itself shows the progress, and a bar would cut into it.
            Mode::Auto if !talk.quiet && std::io::stderr().is_terminal() && !std::io::stdout().is_terminal() => {
                Display::Bar(bar(bytes))
            }
            Mode::Auto | Mode::None => Display::Nothing,
        };
        let now = Instant::now();
        Progress { started: now, last: now, counts: Counts::default(), display }
    }

    /// Adds what was just finished.
    pub(crate) fn add(&mut self, done: Counts) {
        self.counts.records += done.records;
        self.counts.sentences += done.sentences;
        self.counts.words += done.words;
        self.counts.errors += done.errors;
        self.counts.bytes += done.bytes;
        match &self.display {
            Display::Bar(bar) => {
                bar.set_position(self.counts.bytes);
                bar.set_message(format!("{} sentences, {:.1}/s", self.counts.sentences, self.rate()));
            }
            Display::Json if self.last.elapsed() >= INTERVAL => {
                self.last = Instant::now();
                self.write_json(false);
            }
            Display::Json | Display::Nothing => {}
        }
    }

    /// Ends the display; for JSON, and in the log of `--verbose`, with a last line of totals.
    pub(crate) fn finish(self) -> Counts {
        match &self.display {
            Display::Bar(bar) => bar.finish_and_clear(),
            Display::Json => self.write_json(true),
            Display::Nothing => {}
        }
        let Counts { records, sentences, words, errors, .. } = self.counts;
        tracing::info!(records, sentences, words, errors, seconds = self.started.elapsed().as_secs_f64(), "done");
        self.counts
    }

    fn rate(&self) -> f64 {
        self.counts.sentences as f64 / self.started.elapsed().as_secs_f64().max(1e-9)
    }

    fn write_json(&self, done: bool) {
        let Counts { records, sentences, words, errors, bytes } = self.counts;
        let line = serde_json::json!({
            "done": done, "records": records, "sentences": sentences, "words": words, "errors": errors,
            "bytes": bytes, "seconds": self.started.elapsed().as_secs_f64(), "sentences_per_second": self.rate(),
        });
        // Progress that cannot be written is no reason to stop translating.
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }
}

fn bar(bytes: Option<u64>) -> ProgressBar {
    let (bar, template) = match bytes {
        Some(bytes) => (ProgressBar::new(bytes), "{bar:30} {percent:>3}% {eta:>4} left · {msg}"),
        None => (ProgressBar::new_spinner(), "{spinner} {elapsed} · {msg}"),
    };
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

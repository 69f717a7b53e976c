//! A job's progress on stderr: a bar for a person, JSON lines for a program.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tarjim::batch::{Job, Progress, Slice};

use crate::cli::Talk;
use crate::cli::progress::Mode;

/// How often JSON progress is written.
const INTERVAL: Duration = Duration::from_secs(10);

/// What shows a job's progress.
pub(super) struct Display {
    form: Form,
    last: Option<Progress>,
}

enum Form {
    Bar(ProgressBar),
    Json(Instant),
    Nothing,
}

impl Display {
    /// Begins to show the progress of a slice.
    pub(super) fn start(talk: &Talk, job: &Job, slice: Slice) -> Self {
        let form = match talk.progress {
            Mode::Json => Form::Json(Instant::now()),
            // A job writes nothing to stdout that a bar could cut into.
            Mode::Auto if !talk.quiet && std::io::stderr().is_terminal() => {
                let shards = (0..job.shards().len()).filter(|shard| slice.contains(*shard)).count();
                let template = format!("{{bar:30}} {{percent:>3}}% {{msg}} · {shards} shards · {{eta}} left");
                let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
                Form::Bar(ProgressBar::new(0).with_style(style))
            }
            Mode::Auto | Mode::None => Form::Nothing,
        };
        Display { form, last: None }
    }

    /// Shows where the run is.
    pub(super) fn show(&mut self, progress: &Progress) {
        match &mut self.form {
            Form::Bar(bar) => {
                bar.set_length(progress.bytes);
                bar.set_position(progress.bytes_done);
                let rate = progress.sentences as f64 / progress.elapsed().as_secs_f64().max(1e-9);
                bar.set_message(format!("{} records, {rate:.1} sentences/s", progress.records));
            }
            Form::Json(written) => {
                if written.elapsed() >= INTERVAL {
                    *written = Instant::now();
                    write_json(progress);
                }
                self.last = Some(progress.clone());
            }
            Form::Nothing => {}
        }
    }

    /// Ends the display; for JSON with a last line of totals.
    pub(super) fn finish(self) {
        match self.form {
            Form::Bar(bar) => bar.finish_and_clear(),
            Form::Json(_) => {
                if let Some(progress) = &self.last {
                    write_json(progress);
                }
            }
            Form::Nothing => {}
        }
    }
}

fn write_json(progress: &Progress) {
    // Progress that cannot be written is no reason to stop translating.
    let _ = writeln!(std::io::stderr().lock(), "{}", progress.to_json());
}

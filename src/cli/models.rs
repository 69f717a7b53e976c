//! `tarjim models`: what is known, what is here, fetching, checking, and int8 copies.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressStyle};
use tarjim::hub::{Hub, HubOptions, Location, Verdict};
use tarjim::model::ModelFiles;
use tarjim::quantization::quantize;
use tarjim::registry::{Entry, guided_head};
use tarjim::{Error, ErrorKind, Result};

use super::Talk;
use super::exit::Outcome;

/// What to do with models.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the known models and whether they are on this machine.
    List {
        /// As JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Show what is known about a model.
    Show {
        /// A known name, a hub id or a folder
        name: String,
    },
    /// Fetch a model into the hub cache, unless it is there already, and print its folder.
    Fetch {
        /// A known name or a hub id `org/name[@revision]`
        name: String,
    },
    /// Check a model's files against the known checksums.
    Verify {
        /// A known name, a hub id or a folder
        name: String,
    },
    /// Write a model again with int8 weights, a quarter of the size.
    Quantize {
        /// A known name, a hub id or a folder
        name: String,
        /// A new folder for the int8 model
        output: PathBuf,
    },
}

/// Runs one of the actions.
pub(crate) fn run(args: &Args, talk: &Talk) -> Result<Outcome> {
    let hub = Hub::new(HubOptions::from_environment());
    match &args.action {
        Action::List { json } => print(&list(&hub, *json)?),
        Action::Show { name } => print(&show(&hub, name)?),
        Action::Fetch { name } => print(&match fetching(talk).locate(name)? {
            Location::Embedded => "compiled into the command\n".to_owned(),
            Location::Folder(folder) => format!("{}\n", folder.display()),
        }),
        Action::Verify { name } => verify(&hub, name),
        Action::Quantize { name, output } => print(&quantized(&fetching(talk).resolve(name)?, output)?),
    }
}

fn print(text: &str) -> Result<Outcome> {
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(|error| Error::io("stdout", error))?;
    Ok(Outcome::Done)
}

/// A hub that shows its downloads to a person.
fn fetching(talk: &Talk) -> Hub {
    let options = HubOptions::from_environment();
    if talk.quiet || !std::io::stderr().is_terminal() {
        return Hub::new(options);
    }
    let bar = Mutex::new(None::<(String, ProgressBar)>);
    Hub::new(options.with_progress(move |progress| {
        let Ok(mut bar) = bar.lock() else { return };
        if bar.as_ref().is_none_or(|(file, _)| file != progress.file) {
            let template = "{prefix} {bar:30} {bytes}/{total_bytes} {eta} left";
            let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            let new = ProgressBar::new(progress.total).with_style(style).with_prefix(progress.file.to_owned());
            *bar = Some((progress.file.to_owned(), new));
        }
        if let Some((_, bar)) = &*bar {
            bar.set_position(progress.done);
        }
    }))
}

/// Where a model is, in a word.
fn place(hub: &Hub, name: &str) -> Result<&'static str> {
    Ok(match hub.local(name)? {
        Some(Location::Embedded) => "embedded",
        Some(Location::Folder(_)) => "here",
        None => "on the hub",
    })
}

fn list(hub: &Hub, json: bool) -> Result<String> {
    let mut text = String::new();
    let models = &hub.registry().models;
    let width = models.iter().map(|entry| entry.name.len()).max().unwrap_or_default();
    for entry in models {
        let place = place(hub, &entry.name)?;
        let (name, summary) = (&entry.name, &entry.summary);
        let _ = if json {
            let line = serde_json::json!({
                "name": name, "summary": summary, "repo": entry.repo, "revision": entry.revision,
                "licence": entry.licence, "place": place,
            });
            writeln!(text, "{line}")
        } else {
            writeln!(text, "{name:width$}  {place:10}  {summary}")
        };
    }
    Ok(text)
}

fn show(hub: &Hub, name: &str) -> Result<String> {
    let mut text = String::new();
    let mut line = |what: &str, value: String| {
        let _ = writeln!(text, "{:12} {value}", format!("{what}:"));
    };
    let local = hub.local(name)?;
    line("name", name.to_owned());
    match &local {
        Some(Location::Folder(folder)) => line("folder", folder.display().to_string()),
        Some(Location::Embedded) => line("folder", "compiled into the command".to_owned()),
        None => line("folder", format!("not on this machine: `tarjim models fetch {name}`")),
    }
    let id = name.split_once('@').map_or(name, |(id, _)| id);
    let entry = hub.registry().find(id);
    if let Some(entry) = entry {
        describe(entry, &mut line);
    }
    let mut head = entry.and_then(|entry| entry.alignment);
    if local.is_some() {
        let files = hub.resolve(name)?;
        let config = files.config()?;
        head = guided_head(entry, &config);
        let layers = format!("{} + {}, width {}", config.encoder_layers, config.decoder_layers, config.d_model);
        line("layers", layers);
        line("vocabulary", format!("{} pieces", config.vocab_size));
        line("digest", files.digest()?);
    }
    let alignment = match head {
        Some(head) => format!("decoder layer {}, head {}", head.layer, head.head),
        None => "no trained head: links come from a second pass through the default model".to_owned(),
    };
    line("alignment", alignment);
    Ok(text)
}

fn describe(entry: &Entry, line: &mut impl FnMut(&str, String)) {
    line("about", entry.summary.clone());
    line("languages", entry.languages.join(" → "));
    line("licence", entry.licence.clone());
    if let Some(repo) = &entry.repo {
        line("repo", format!("{repo} at {}", entry.revision()));
    }
    for quality in &entry.quality {
        line("quality", format!("{} {} on {} ({})", quality.metric, quality.score, quality.set, quality.by));
    }
}

fn verify(hub: &Hub, name: &str) -> Result<Outcome> {
    let checks = hub.verify(name)?;
    if checks.is_empty() {
        return print("compiled into the command: nothing to check\n");
    }
    let mut wrong = Vec::new();
    let mut compared = 0;
    for check in &checks {
        let verdict = match &check.verdict {
            Verdict::Correct => {
                compared += 1;
                "correct".to_owned()
            }
            Verdict::Unknown { sha256 } => format!("sha256 {sha256}, nothing to compare with"),
            Verdict::Wrong { expected, found } => {
                wrong.push(check.name.as_str());
                format!("WRONG: expected sha256 {expected}, found {found}")
            }
        };
        print(&format!("{:24} {:>12}  {verdict}\n", check.name, check.size))?;
    }
    if wrong.is_empty() {
        // Whatever the sums say, a model is files that can be read.
        let files = hub.resolve(name)?;
        files.config()?;
        files.weights()?;
        files.require("vocab.json")?;
        if compared == 0 {
            return print("no known checksums: configuration and weights can be read, more is not known\n");
        }
        return Ok(Outcome::Done);
    }
    Err(Error::new(ErrorKind::Model, format!("model `{name}`: wrong checksum of {}", wrong.join(", ")))
        .with_hint("delete these files and fetch the model again"))
}

fn quantized(model: &ModelFiles, output: &Path) -> Result<String> {
    let done = quantize(model, output)?;
    Ok(format!(
        "{}: {} matrices in int8, {:.1} MB instead of {:.1} MB in f32, relative error {:.2} %\n",
        output.display(),
        done.matrices,
        done.bytes as f64 / 1e6,
        done.f32_bytes as f64 / 1e6,
        done.relative_error * 100.0
    ))
}

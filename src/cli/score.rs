//! `tarjim score`: how probable a model finds translations that exist already.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::json;
use tarjim::alignment::forced::ForcedSentence;
use tarjim::translator::AlignerChoice;
use tarjim::{Error, Result};

use super::model::ModelArgs;
use super::pairs::{PairArgs, sides};
use super::progress::{Counts, Progress};
use super::{Outcome, Talk, logging, output, overwrite};

/// What to score, and how to write it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pairs: PairArgs,

    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Form of the output, a line for each pair
    #[arg(long, value_enum, value_name = "FORM", default_value = "tsv")]
    output_format: OutputForm,

    /// Words are what stands between spaces
    #[arg(long)]
    pretokenized: bool,

    #[command(flatten)]
    model: ModelArgs,
}

/// Forms of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OutputForm {
    /// Log-probability, its mean over the pieces and the end, number of pieces; a pair that failed is an empty line
    Tsv,
    /// A JSON object with the same, each piece's own log-probability and where it stands
    Jsonl,
}

/// Runs the command.
pub(crate) fn run(args: &Args, talk: &Talk) -> Result<Outcome> {
    overwrite::refuse(&args.pairs.paths(), args.output.as_deref().as_slice())?;
    let mut pairs = args.pairs.open()?;
    // Scores need no links, so a model without a trained head needs no second one.
    let translator = args.model.builder().aligner(AlignerChoice::Model).build()?;
    let aligner = translator.aligner(args.pretokenized);
    let mut sink = BufWriter::new(output::sink(args.output.as_deref())?);
    let failed = |error| Error::io(output::name(args.output.as_deref()), error);
    let mut progress = Progress::start(talk, None);
    loop {
        let window = pairs.next_window()?;
        if window.is_empty() {
            break;
        }
        let mut scored = aligner.score(&sides(&window))?.into_iter();
        let mut counts = Counts::default();
        for pair in &window {
            let outcome = pair.outcome(&mut scored);
            counts.records += 1;
            if let Err(error) = &outcome {
                counts.errors += 1;
                tracing::warn!("{error}");
            }
            writeln!(sink, "{}", line(&outcome, args.output_format)).map_err(failed)?;
        }
        sink.flush().map_err(failed)?;
        progress.add(counts);
    }
    let counts = progress.finish();
    logging::timings(&translator);
    Ok(if counts.errors > 0 { Outcome::SomeRecordsFailed } else { Outcome::Done })
}

fn line(outcome: &Result<ForcedSentence>, form: OutputForm) -> String {
    match (outcome, form) {
        (Ok(sentence), OutputForm::Tsv) => {
            format!("{}\t{}\t{}", sentence.log_prob(), sentence.mean_log_prob(), sentence.pieces.log_probs.len())
        }
        (Err(_), OutputForm::Tsv) => String::new(),
        (Ok(sentence), OutputForm::Jsonl) => json!({
            "log_prob": sentence.log_prob(),
            "mean_log_prob": sentence.mean_log_prob(),
            "pieces": sentence.pieces.target,
            "piece_log_probs": sentence.pieces.log_probs,
            "end_log_prob": sentence.end_log_prob,
        })
        .to_string(),
        (Err(error), OutputForm::Jsonl) => {
            json!({"error": {"kind": error.kind().name(), "message": error.to_string()}}).to_string()
        }
    }
}

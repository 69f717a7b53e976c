//! `tarjim translate`: files or stdin through a format's reader, the translator, and a format's writer.
//!
//! Records are gathered into windows, each window is translated in common batches, and its records are written and
//! flushed in order. Windows begin small, so that the first lines come out at once, and a window is closed early
//! where waiting for more input would make the reader of our output wait too.

mod links;
mod source;

use std::path::{Path, PathBuf};

use tarjim::alignment::LinkForm;
use tarjim::format::{self, Column, Format, Offsets, ReadOptions, Record, RecordReader, WriteOptions};
use tarjim::splitter::{LineBreaks, Splitter};
use tarjim::translation::Document;
use tarjim::{Error, ErrorKind, Result, Translator};

use super::model::{AlignerArgs, ModelArgs, SearchArgs};
use super::output::Records;
use super::progress::{Counts, Progress};
use super::report::Report;
use super::{Outcome, Talk, logging, overwrite};
use links::LinkWriter;
pub(crate) use links::Units;
use source::Source;

/// What to translate, and how to write it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Files to translate one after the other; `-`, or none at all, is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Format of the input: text, lines, jsonl, tsv, tmx, xliff or html; by the file's extension unless given, else text
    #[arg(long, value_name = "FORMAT")]
    input_format: Option<Format>,

    /// Format of the output: one of the input formats or interlinear; that of the input unless given
    #[arg(long, value_name = "FORMAT")]
    output_format: Option<Format>,

    /// Field of a JSON record that holds the text
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_field: String,

    /// Column of a table that holds the text, from 1
    #[arg(long, value_name = "N", default_value_t = 1)]
    text_column: usize,

    /// The first line of a table names its columns
    #[arg(long)]
    header: bool,

    /// Columns to add to a table: translation, score, alignment, flags, error
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "translation")]
    columns: Vec<Column>,

    /// Lines of running text are wrapped: only a blank line ends a paragraph
    #[arg(long)]
    wrapped: bool,

    /// Unit of the offsets in JSON: bytes, chars or utf16
    #[arg(long, value_name = "UNIT", default_value = "bytes")]
    offsets: Offsets,

    #[command(flatten)]
    alignment: AlignmentArgs,

    /// Treat a sentence with a quality flag as bad data: exit code 65 at the end
    #[arg(long)]
    strict: bool,

    #[command(flatten)]
    model: ModelArgs,

    #[command(flatten)]
    search: SearchArgs,
}

/// Which links to keep and where to write them.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Alignment")]
struct AlignmentArgs {
    /// Links to keep: best (both sides' best partners), hard (the best for each English word), soft, or a threshold
    /// such as 0.3. With `lines` output
    /// and no --alignment-output they are appended to each line after ` ||| `
    #[arg(long, value_name = "FORM")]
    alignment: Option<LinkForm>,

    /// Write the links to this file, a line for each sentence, as Pharaoh has them: `0-0 1-2`
    #[arg(long, value_name = "FILE")]
    alignment_output: Option<PathBuf>,

    #[command(flatten)]
    aligner: AlignerArgs,

    /// What links count: words, or the model's pieces
    #[arg(long, value_enum, default_value = "words", value_name = "UNITS")]
    alignment_units: Units,

    /// Write an HTML report with both texts side by side to this file
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
}

/// Records in the first window; each window after it is twice as large, up to `--maxi-batch`.
const FIRST_WINDOW: usize = 8;

/// Bytes of text after which a window is closed whatever its number of records.
const WINDOW_BYTES: usize = 1 << 20;

/// Runs the command.
pub(crate) fn run(args: &Args, talk: &Talk) -> Result<Outcome> {
    let sources = source::list(&args.files);
    let input = match args.input_format {
        Some(format) => format,
        None => source::format(&sources)?,
    };
    let output = args.output_format.unwrap_or(input);
    input.converts_to(output)?;
    let inline =
        args.alignment.alignment.is_some() && args.alignment.alignment_output.is_none() && output == Format::Lines;
    check(args, output, inline, &sources)?;
    // Before the model is loaded: a misspelt file name should not cost seconds. All are not kept open, for there may be
    // more of them than a process may have.
    sources.iter().try_for_each(Source::check)?;
    let inputs: Vec<&Path> = sources.iter().map(Source::path).collect();
    let outputs = [args.output.as_ref(), args.alignment.alignment_output.as_ref(), args.alignment.report.as_ref()];
    overwrite::refuse(&inputs, &outputs.iter().flatten().map(|path| path.as_path()).collect::<Vec<_>>())?;
    let translator = builder(args).build()?;
    let write = WriteOptions {
        model: translator.model().name().to_owned(),
        offsets: args.offsets,
        n_best: args.search.n_best > 1,
        columns: args.columns.clone(),
        text_field: args.text_field.clone(),
        inline_alignment: inline,
        ..WriteOptions::default()
    };
    let mut job = Job {
        translator: &translator,
        whole_lines: input == Format::Lines,
        records: Records::create(output, args.output.as_deref(), &write)?,
        links: match &args.alignment.alignment_output {
            Some(path) => Some(LinkWriter::create(path, args.alignment.alignment, args.alignment.alignment_units)?),
            None => None,
        },
        report: Report::create(args.alignment.report.as_deref())?,
        carries_errors: output == Format::Jsonl || output == Format::Tsv && args.columns.contains(&Column::Error),
        progress: Progress::start(talk, source::size(&sources)),
        flagged: 0,
        lost: None,
    };
    for source in &sources {
        let mut reader = format::reader(input, source.open()?, &source.name(), &read_options(args))?;
        job.translate(&mut *reader, source.waits(), args.search.maxi_batch.max(1))?;
    }
    job.finish(args)
}

fn builder(args: &Args) -> tarjim::translator::TranslatorBuilder {
    let breaks = if args.wrapped { LineBreaks::Wrapped } else { LineBreaks::default() };
    let builder = args.search.apply(args.model.builder()).splitter(Splitter::default().line_breaks(breaks));
    let builder = builder.aligner(args.alignment.aligner.choice);
    match args.alignment.alignment {
        Some(form) => builder.links(form),
        None => builder,
    }
}

fn read_options(args: &Args) -> ReadOptions {
    ReadOptions {
        text_field: args.text_field.clone(),
        text_column: args.text_column,
        header: args.header,
        line_breaks: if args.wrapped { LineBreaks::Wrapped } else { LineBreaks::default() },
        ..ReadOptions::default()
    }
}

/// Refuses what cannot be meant.
fn check(args: &Args, output: Format, inline: bool, sources: &[Source]) -> Result<()> {
    let usage = |message: &str, hint: &str| Err(Error::new(ErrorKind::Usage, message).with_hint(hint));
    let has_links = match output {
        Format::Jsonl | Format::Interlinear => true,
        Format::Lines => args.search.n_best == 1,
        Format::Tsv => args.columns.contains(&Column::Alignment),
        _ => false,
    };
    if args.alignment.alignment.is_some()
        && !has_links
        && args.alignment.alignment_output.is_none()
        && args.alignment.report.is_none()
    {
        let what =
            if args.search.n_best > 1 { "an n-best list".to_owned() } else { format!("{} output", output.name()) };
        return usage(
            &format!("{what} has no place for an alignment"),
            "add `--alignment-output FILE`, or choose `--output-format interlinear`, lines or jsonl",
        );
    }
    if inline && args.alignment.alignment_units == Units::Pieces {
        return usage("links behind ` ||| ` count words", "add `--alignment-output FILE` for links of pieces");
    }
    if args.search.n_best > 1 && !matches!(output, Format::Lines | Format::Jsonl) {
        return usage(
            &format!("{} output has no place for an n-best list", output.name()),
            "choose `--output-format lines` or jsonl",
        );
    }
    if matches!(output, Format::Xliff | Format::Html) && sources.len() > 1 {
        return usage("an XLIFF or HTML file is filled in on its own", "run the command once for each file");
    }
    Ok(())
}

/// One run of the command over all its inputs.
struct Job<'a> {
    translator: &'a Translator,
    /// Records are sentences already and must not be split.
    whole_lines: bool,
    records: Records,
    links: Option<LinkWriter>,
    report: Option<Report>,
    /// Whether the output says itself which records are bad.
    carries_errors: bool,
    progress: Progress,
    flagged: usize,
    /// The first error that the output cannot say.
    lost: Option<Error>,
}

impl Job<'_> {
    /// Translates all records of one input. `waits` tells whether more input may be long in coming.
    fn translate(&mut self, reader: &mut dyn RecordReader, waits: bool, largest: usize) -> Result<()> {
        let mut size = FIRST_WINDOW.min(largest);
        loop {
            let mut window = Vec::new();
            let mut bytes = 0;
            while window.len() < size && bytes < WINDOW_BYTES {
                if waits && !window.is_empty() && !reader.is_ready() {
                    break;
                }
                let Some(record) = reader.next_record()? else { break };
                bytes += record.text.as_ref().map_or(0, String::len);
                window.push(record);
            }
            if window.is_empty() {
                return Ok(());
            }
            self.write(&window)?;
            size = (size * 2).min(largest);
        }
    }

    fn write(&mut self, window: &[Record]) -> Result<()> {
        let texts: Vec<&str> = window.iter().filter_map(|record| record.text.as_deref().ok()).collect();
        let translated = if self.whole_lines {
            self.translator.translate_lines(&texts)
        } else {
            self.translator.translate_all(&texts)
        };
        let mut translated = translated.into_iter();
        let mut done = Counts::default();
        for record in window {
            let outcome = match &record.text {
                Ok(_) => translated.next().unwrap_or_else(|| {
                    Err(Error::new(ErrorKind::Internal, format!("{}: no translation came back", record.place)))
                }),
                Err(error) => Err(error.without_source()),
            };
            done.records += 1;
            done.bytes += record.text.as_ref().map_or(0, |text| text.len() as u64 + 1);
            match outcome {
                Ok(document) => {
                    done.sentences += document.sentences.len() as u64;
                    done.words +=
                        document.sentences.iter().map(|sentence| sentence.source_words.len() as u64).sum::<u64>();
                    self.flagged += document.sentences.iter().filter(|sentence| !sentence.flags.is_empty()).count();
                    self.records.write(record, Ok(&document))?;
                    if let Some(links) = &mut self.links {
                        links.write(&document, self.whole_lines)?;
                    }
                    if let Some(report) = &mut self.report {
                        report.document.append_line(document);
                    }
                }
                Err(error) => {
                    done.errors += 1;
                    if let Some(report) = &mut self.report {
                        report.failed += 1;
                    }
                    self.records.write(record, Err(&error))?;
                    if let Some(links) = &mut self.links {
                        links.write(&Document::default(), self.whole_lines)?;
                    }
                    if !self.carries_errors {
                        tracing::warn!("{error}");
                        self.lost.get_or_insert(error);
                    }
                }
            }
        }
        self.records.flush()?;
        if let Some(links) = &mut self.links {
            links.flush()?;
        }
        self.progress.add(done);
        Ok(())
    }

    fn finish(mut self, args: &Args) -> Result<Outcome> {
        self.records.finish()?;
        if let Some(links) = &mut self.links {
            links.flush()?;
        }
        if let Some(report) = self.report.take() {
            let title = args.files.first().and_then(|file| file.file_name()).map(|name| name.to_string_lossy());
            report.finish(title.as_deref().unwrap_or_default(), self.translator.model().name())?;
        }
        let counts = self.progress.finish();
        logging::timings(self.translator);
        if let Some(error) = self.lost {
            return Err(error);
        }
        if args.strict && self.flagged > 0 {
            let sentences = if self.flagged == 1 {
                "1 sentence carries".to_owned()
            } else {
                format!("{} sentences carry", self.flagged)
            };
            return Err(Error::new(ErrorKind::InvalidInput, format!("{sentences} a quality flag"))
                .with_hint("see `flags` in JSONL output, or the report"));
        }
        Ok(if counts.errors > 0 { Outcome::SomeRecordsFailed } else { Outcome::Done })
    }
}

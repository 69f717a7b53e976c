//! `tarjim align`: word links of translations that exist already.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use tarjim::alignment::symmetry::{Heuristic, symmetrize};
use tarjim::alignment::{Link, LinkForm, Matrix, lines, marian, pharaoh};
use tarjim::format::{self, Format, Offsets, ReadOptions, RecordReader, WriteOptions};
use tarjim::translation::{Document, Sentence};
use tarjim::translator::AlignerChoice;
use tarjim::{Error, ErrorKind, Result};

use super::model::{AlignerArgs, ModelArgs};
use super::output::{self, Records};
use super::pairs::{Pair, PairArgs, sides};
use super::progress::{Counts, Progress};
use super::report::Report;
use super::translate::Units;
use super::{Outcome, Talk, logging, overwrite};

/// What to align, and how to write it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pairs: PairArgs,

    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Form of the output, a line for each pair
    #[arg(long, value_enum, value_name = "FORM", default_value = "pharaoh")]
    output_format: OutputForm,

    /// Words are what stands between spaces, and links count them
    #[arg(long)]
    pretokenized: bool,

    /// Links to keep: best (both sides' best partners), hard (the best for each English word), soft, or a threshold such
    /// as 0.3
    #[arg(long, value_name = "FORM", default_value = "best")]
    alignment: LinkForm,

    /// What links count: words, or the model's pieces
    #[arg(long, value_enum, default_value = "words", value_name = "UNITS", conflicts_with = "pretokenized")]
    alignment_units: Units,

    /// Links of a model for the other direction (Pharaoh lines, Arabic before English) to join these with
    #[arg(long, value_name = "FILE")]
    reverse: Option<PathBuf>,

    /// How to join them: intersection, union, grow-diag or grow-diag-final-and
    #[arg(long, value_name = "HEURISTIC", default_value = "grow-diag-final-and", requires = "reverse")]
    symmetrization: Heuristic,

    #[command(flatten)]
    aligner: AlignerArgs,

    /// Use attention alone, without the lexicon
    #[arg(long)]
    no_lexicon: bool,

    /// Unit of the offsets in JSON: bytes, chars or utf16
    #[arg(long, value_name = "UNIT", default_value = "bytes")]
    offsets: Offsets,

    /// Write an HTML report with both texts side by side to this file
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,

    /// Treat a pair with a quality flag as bad data: exit code 65 at the end
    #[arg(long)]
    strict: bool,

    #[command(flatten)]
    model: ModelArgs,
}

/// Forms of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OutputForm {
    /// `0-0 1-2`: Arabic word before English word, from 0
    Pharaoh,
    /// A JSON object as `translate` writes it, with spans, shares, scores and flags
    Jsonl,
    /// `english ||| 0-0 1-2`, as Marian writes it
    Inline,
    /// All shares, as Marian's soft alignments
    Soft,
    /// `arabic ||| english ||| 0-0 1-2`, words parted by spaces
    Tokens,
    /// `arabic ||| english`, words parted by spaces: what `fast_align` and eflomal read
    FastAlign,
}

/// Runs the command.
pub(crate) fn run(args: &Args, talk: &Talk) -> Result<Outcome> {
    if args.no_lexicon && args.aligner.choice == AlignerChoice::Lexicon {
        return Err(Error::new(ErrorKind::Usage, "`--aligner lexicon` and `--no-lexicon` leave nothing to align with"));
    }
    if args.reverse.is_some() && args.alignment_units == Units::Pieces {
        return Err(Error::new(
            ErrorKind::Usage,
            "`--reverse` joins links of words, and `--alignment-units` is pieces",
        )
        .with_hint("leave one of them out"));
    }
    let mut inputs = args.pairs.paths();
    inputs.extend(args.reverse.as_deref());
    let outputs: Vec<&Path> = args.output.iter().chain(&args.report).map(PathBuf::as_path).collect();
    overwrite::refuse(&inputs, &outputs)?;
    let mut pairs = args.pairs.open()?;
    let mut reverse = match &args.reverse {
        Some(path) => Some(Reverse::open(path)?),
        None => None,
    };
    let translator = args.model.builder().links(args.alignment).aligner(args.aligner.choice).build()?;
    let mut aligner = translator.aligner(args.pretokenized);
    if args.no_lexicon {
        aligner = aligner.without_lexicon();
    }
    let mut output = Output::create(args, translator.model().name())?;
    let mut progress = Progress::start(talk, None);
    let mut report = Report::create(args.report.as_deref())?;
    let mut flagged = 0_usize;
    loop {
        let window = pairs.next_window()?;
        if window.is_empty() {
            break;
        }
        let mut aligned = aligner.align(&sides(&window))?.into_iter();
        let mut counts = Counts::default();
        for pair in &window {
            let mut outcome = pair.outcome(&mut aligned);
            if let Some(reverse) = &mut reverse {
                let links = reverse.next()?;
                if let Ok(sentence) = &mut outcome {
                    join(sentence, &links, args.symmetrization).map_err(|error| error.at(&pair.record.place))?;
                }
            }
            counts.records += 1;
            match &outcome {
                Ok(sentence) => {
                    counts.sentences += 1;
                    counts.words += sentence.source_words.len() as u64;
                    flagged += usize::from(!sentence.flags.is_empty());
                }
                Err(error) => {
                    counts.errors += 1;
                    tracing::warn!("{error}");
                }
            }
            output.write(pair, &outcome, args.alignment_units, args.alignment)?;
            if let (Some(report), Ok(sentence)) = (&mut report, outcome) {
                report.document.push_line(sentence);
            }
        }
        output.flush()?;
        progress.add(counts);
    }
    if let Some(reverse) = &mut reverse {
        reverse.end()?;
    }
    output.finish()?;
    if let Some(report) = report {
        report.finish(&args.pairs.name(), translator.model().name())?;
    }
    let counts = progress.finish();
    logging::timings(&translator);
    if args.strict && flagged > 0 {
        return Err(Error::new(ErrorKind::InvalidInput, format!("{flagged} pairs carry a quality flag"))
            .with_hint("see `flags` in JSONL output, or the report"));
    }
    Ok(if counts.errors > 0 { Outcome::SomeRecordsFailed } else { Outcome::Done })
}

/// Joins a sentence's links with those of the other direction.
fn join(sentence: &mut Sentence, reverse: &[pharaoh::Pair], heuristic: Heuristic) -> Result<()> {
    pharaoh::check(reverse, sentence.source_words.len(), sentence.target_words.len())?;
    let reverse: Vec<Link> = reverse
        .iter()
        .map(|&(source, target)| {
            let share = sentence.matrix.row(target).get(source).copied().unwrap_or(0.0);
            Link { source, target, probability: share }
        })
        .collect();
    sentence.alignment.links = symmetrize(&sentence.alignment.links, &reverse, heuristic);
    Ok(())
}

/// Links of the other direction, a line for each pair.
struct Reverse {
    lines: Box<dyn RecordReader>,
    name: String,
    read: u64,
}

impl Reverse {
    fn open(path: &Path) -> Result<Self> {
        let file = std::fs::File::open(path).map_err(|error| Error::io(path.display(), error))?;
        let name = path.display().to_string();
        let lines = format::reader(Format::Lines, Box::new(file), &name, &ReadOptions::default())?;
        Ok(Reverse { lines, name, read: 0 })
    }

    fn next(&mut self) -> Result<Vec<pharaoh::Pair>> {
        let Some(record) = self.lines.next_record()? else {
            return Err(self.uneven("ends", "the pairs go on"));
        };
        self.read += 1;
        pharaoh::parse(&record.text?).map_err(|error| error.at(&record.place))
    }

    /// Makes sure that nothing is left when the pairs are at their end.
    fn end(&mut self) -> Result<()> {
        match self.lines.next_record()? {
            Some(_) => Err(self.uneven("goes on", "the pairs end")),
            None => Ok(()),
        }
    }

    fn uneven(&self, does: &str, pairs: &str) -> Error {
        let message = format!("{} {does} after {} lines, {pairs}", self.name, self.read);
        Error::new(ErrorKind::InvalidInput, message).with_hint("reverse links must have a line for each pair")
    }
}

/// Where aligned pairs go.
enum Output {
    Lines { form: OutputForm, name: String, sink: BufWriter<Box<dyn Write>> },
    Records(Records),
}

impl Output {
    fn create(args: &Args, model: &str) -> Result<Self> {
        let path = args.output.as_deref();
        Ok(match args.output_format {
            OutputForm::Jsonl => {
                let options = WriteOptions {
                    model: model.to_owned(),
                    offsets: args.offsets,
                    text_field: args.pairs.text_field().to_owned(),
                    ..WriteOptions::default()
                };
                Output::Records(Records::create(Format::Jsonl, path, &options)?)
            }
            form => Output::Lines { form, name: output::name(path), sink: BufWriter::new(output::sink(path)?) },
        })
    }

    fn write(&mut self, pair: &Pair, outcome: &Result<Sentence>, units: Units, form: LinkForm) -> Result<()> {
        match self {
            Output::Records(records) => {
                let document = outcome
                    .as_ref()
                    .map(|sentence| Document { text: sentence.target.clone(), sentences: vec![sentence.clone()] });
                records.write(&pair.record, document.as_ref().map_err(|error| *error))
            }
            Output::Lines { form: lines, name, sink } => {
                let line = match outcome {
                    Ok(sentence) => line(sentence, *lines, units, form)?,
                    // A pair that failed keeps its line: line n is pair n.
                    Err(_) => String::new(),
                };
                writeln!(sink, "{line}").map_err(|error| Error::io(name, error))
            }
        }
    }

    fn flush(&mut self) -> Result<()> {
        match self {
            Output::Records(records) => records.flush(),
            Output::Lines { name, sink, .. } => sink.flush().map_err(|error| Error::io(name, error)),
        }
    }

    fn finish(&mut self) -> Result<()> {
        match self {
            Output::Records(records) => records.finish(),
            Output::Lines { .. } => self.flush(),
        }
    }
}

fn line(sentence: &Sentence, output: OutputForm, units: Units, form: LinkForm) -> Result<String> {
    let of_pieces = match (units, &sentence.pieces) {
        (Units::Pieces, Some(pieces)) => Some((Matrix::of_pieces(pieces)?, pieces)),
        _ => None,
    };
    let links = match &of_pieces {
        Some((matrix, _)) => matrix.links(form),
        None => sentence.alignment.links.clone(),
    };
    let (source_words, target_words) = match &of_pieces {
        Some((_, pieces)) => (&pieces.source, &pieces.target),
        None => (&sentence.source_words, &sentence.target_words),
    };
    let print = if of_pieces.is_some() { lines::print_pieces } else { lines::print };
    let tokens = || print(&sentence.source, source_words, &sentence.target, target_words);
    Ok(match output {
        OutputForm::Inline => marian::print_inline(&sentence.target, &links),
        OutputForm::Soft => marian::print_soft(of_pieces.as_ref().map_or(&sentence.matrix, |(matrix, _)| matrix)),
        OutputForm::Tokens => format!("{} ||| {}", tokens(), pharaoh::print(&links)),
        OutputForm::FastAlign => tokens(),
        OutputForm::Pharaoh | OutputForm::Jsonl => pharaoh::print(&links),
    })
}

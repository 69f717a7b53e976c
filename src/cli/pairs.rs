//! Sentence pairs as commands read them: two files side by side, or one file that holds both sides.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use tarjim::alignment::lines;
use tarjim::format::{self, Format, ReadOptions, RecordReader};
use tarjim::{Error, ErrorKind, Result};

/// Where the pairs are.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PairArgs {
    /// The Arabic, one sentence a line; or one file with both sides
    #[arg(value_name = "SOURCE")]
    source: PathBuf,

    /// The English, line for line
    #[arg(value_name = "TARGET")]
    target: Option<PathBuf>,

    /// Format of a file with both sides; by its extension unless given, else tsv
    #[arg(long, value_enum, value_name = "FORMAT")]
    input_format: Option<PairFormat>,

    /// Field of a JSON record that holds the Arabic
    #[arg(long, value_name = "NAME", default_value = "text")]
    text_field: String,

    /// Field of a JSON record that holds the English
    #[arg(long, value_name = "NAME", default_value = "translation")]
    translation_field: String,
}

/// Formats that hold both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PairFormat {
    /// Arabic, a tab, English.
    Tsv,
    /// A JSON object a line.
    Jsonl,
    /// Translation memory.
    Tmx,
    /// `source ||| target`, as `fast_align` reads it.
    FastAlign,
}

/// One pair, or why it can't be had.
pub(crate) struct Pair {
    /// Where it stands, for messages.
    pub(crate) place: String,
    pub(crate) sides: Result<(String, String)>,
}

/// Pairs that are forced through a model together.
const WINDOW: usize = 500;

/// The two sides of the pairs that can be had, in order.
pub(crate) fn sides(window: &[Pair]) -> Vec<(&str, &str)> {
    let readable = window.iter().filter_map(|pair| pair.sides.as_ref().ok());
    readable.map(|(source, target)| (source.as_str(), target.as_str())).collect()
}

/// Reads pairs one after the other.
pub(crate) struct Pairs {
    source: Box<dyn RecordReader>,
    input: Input,
    number: u64,
}

enum Input {
    TwoFiles { target: Box<dyn RecordReader>, names: (String, String) },
    OneFile { format: PairFormat, text_field: String, translation_field: String },
}

impl PairArgs {
    /// The name of the source, for a report's title.
    pub(crate) fn name(&self) -> String {
        self.source.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The files that are read.
    pub(crate) fn paths(&self) -> Vec<&Path> {
        [Some(&self.source), self.target.as_ref()].into_iter().flatten().map(PathBuf::as_path).collect()
    }

    /// Opens what the arguments name.
    pub(crate) fn open(&self) -> Result<Pairs> {
        if let Some(target) = &self.target {
            if self.input_format.is_some() {
                return Err(Error::new(ErrorKind::Usage, "two files are always read line by line")
                    .with_hint("leave `--input-format` out, or give one file"));
            }
            let names = (self.source.display().to_string(), target.display().to_string());
            let input = Input::TwoFiles { target: reader(Format::Lines, target)?, names };
            return Ok(Pairs { source: reader(Format::Lines, &self.source)?, input, number: 0 });
        }
        let format = self.input_format.unwrap_or_else(|| match Format::from_path(&self.source) {
            Some(Format::Jsonl) => PairFormat::Jsonl,
            Some(Format::Tmx) => PairFormat::Tmx,
            _ => PairFormat::Tsv,
        });
        let read_as = if format == PairFormat::Tmx { Format::Tmx } else { Format::Lines };
        let input = Input::OneFile {
            format,
            text_field: self.text_field.clone(),
            translation_field: self.translation_field.clone(),
        };
        Ok(Pairs { source: reader(read_as, &self.source)?, input, number: 0 })
    }
}

fn reader(format: Format, path: &Path) -> Result<Box<dyn RecordReader>> {
    if path == Path::new("-") {
        return format::reader(format, Box::new(std::io::stdin()), "stdin", &ReadOptions::default());
    }
    let file = std::fs::File::open(path).map_err(|error| Error::io(path.display(), error))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(Error::new(ErrorKind::NoInput, format!("{}: is a folder", path.display())));
    }
    format::reader(format, Box::new(file), &path.display().to_string(), &ReadOptions::default())
}

impl Pairs {
    /// The next pairs, as many as are worked on together; none at the end of the input.
    pub(crate) fn next_window(&mut self) -> Result<Vec<Pair>> {
        let mut window = Vec::new();
        while window.len() < WINDOW
            && let Some(pair) = self.next_pair()?
        {
            window.push(pair);
        }
        Ok(window)
    }

    /// The next pair; `None` at the end.
    ///
    /// # Errors
    /// Reading fails, or one of two files ends before the other: then nothing after that would be a pair.
    fn next_pair(&mut self) -> Result<Option<Pair>> {
        let source = self.source.next_record()?;
        self.number += 1;
        match &mut self.input {
            Input::TwoFiles { target, names } => match (source, target.next_record()?) {
                (None, None) => Ok(None),
                (Some(source), Some(target)) => {
                    let sides = source.text.and_then(|source| Ok((source, target.text?)));
                    Ok(Some(Pair { place: source.place, sides }))
                }
                (source, _) => {
                    let (short, long) = if source.is_none() { (&names.0, &names.1) } else { (&names.1, &names.0) };
                    let lines = self.number - 1;
                    Err(Error::new(
                        ErrorKind::InvalidInput,
                        format!("{short} ends after {lines} lines, {long} goes on"),
                    )
                    .with_hint("both files must have a line for each sentence"))
                }
            },
            Input::OneFile { format, text_field, translation_field } => {
                let Some(record) = source else { return Ok(None) };
                let sides = match format {
                    PairFormat::Tmx => record.text.and_then(|text| match record.reference {
                        Some(reference) => Ok((text, reference)),
                        None => Err(Error::new(ErrorKind::InvalidInput, "the unit has no English")),
                    }),
                    PairFormat::Tsv => record.text.and_then(|line| tsv(&line)),
                    PairFormat::Jsonl => record.text.and_then(|line| json(&line, text_field, translation_field)),
                    PairFormat::FastAlign => record.text.and_then(|line| {
                        lines::parse(&line).map(|(source, target)| (source.to_owned(), target.to_owned()))
                    }),
                };
                let place = record.place;
                Ok(Some(Pair { sides: sides.map_err(|error| error.at(&place)), place }))
            }
        }
    }
}

fn tsv(line: &str) -> Result<(String, String)> {
    let mut columns = line.split('\t');
    match (columns.next(), columns.next()) {
        (Some(source), Some(target)) => Ok((source.to_owned(), target.to_owned())),
        _ => Err(Error::new(ErrorKind::InvalidInput, "one column, expected Arabic, a tab, English")),
    }
}

fn json(line: &str, text_field: &str, translation_field: &str) -> Result<(String, String)> {
    let broken = |what: String| Error::new(ErrorKind::InvalidInput, what);
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(line).map_err(|error| broken(format!("no JSON object: {error}")))?;
    let field = |name: &str| match object.get(name) {
        Some(serde_json::Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(broken(format!("field `{name}` is no string"))),
        None => Err(broken(format!("no field `{name}`"))),
    };
    Ok((field(text_field)?, field(translation_field)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_a_line() {
        assert_eq!(tsv("أ\tb\tc").unwrap(), ("أ".to_owned(), "b".to_owned()));
        assert!(tsv("أ").is_err());
        assert_eq!(json(r#"{"x": 1, "ar": "أ", "en": "b"}"#, "ar", "en").unwrap().1, "b");
        assert_eq!(json(r#"{"ar": 1}"#, "ar", "en").unwrap_err().to_string(), "field `ar` is no string");
        assert!(json("[]", "ar", "en").is_err());
    }
}

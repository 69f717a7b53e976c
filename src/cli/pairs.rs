//! Sentence pairs as commands read them: two files side by side, or one file that holds both sides.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use tarjim::alignment::lines;
use tarjim::format::{self, Format, ReadOptions, Record, RecordReader};
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
    /// The Arabic, with what its format carries along.
    pub(crate) record: Record,
    target: Result<String>,
}

impl Pair {
    /// Both sides, or the error that names the place and what is wrong there.
    pub(crate) fn sides(&self) -> Result<(&str, &str), &Error> {
        Ok((self.record.text.as_deref()?, self.target.as_deref()?))
    }

    /// What came of the pair: `next` of the outcomes of all readable pairs, or the error that the pair has already.
    pub(crate) fn outcome<T>(&self, next: &mut impl Iterator<Item = Result<T>>) -> Result<T> {
        match self.sides() {
            Ok(_) => next
                .next()
                .unwrap_or_else(|| Err(Error::new(ErrorKind::Internal, "the pair got no answer")))
                .map_err(|error| error.at(&self.record.place)),
            Err(error) => Err(error.without_source()),
        }
    }
}

/// Pairs that are forced through a model together.
const WINDOW: usize = 500;

/// The two sides of the pairs that can be had, in order.
pub(crate) fn sides(window: &[Pair]) -> Vec<(&str, &str)> {
    window.iter().filter_map(|pair| pair.sides().ok()).collect()
}

/// Reads pairs one after the other.
pub(crate) struct Pairs {
    source: Box<dyn RecordReader>,
    input: Input,
    number: u64,
}

enum Input {
    TwoFiles { target: Box<dyn RecordReader>, names: (String, String) },
    OneFile(PairFormat),
}

impl PairArgs {
    /// The name of the source, for a report's title.
    pub(crate) fn name(&self) -> String {
        self.source.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The field of a JSON record that holds the Arabic.
    pub(crate) fn text_field(&self) -> &str {
        &self.text_field
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
            if self.paths().iter().all(|path| *path == Path::new("-")) {
                return Err(Error::new(ErrorKind::Usage, "both sides are `-`, and there is one standard input")
                    .with_hint("give one file with both sides, or name a file for one of them"));
            }
            let names = (self.source.display().to_string(), target.display().to_string());
            let options = ReadOptions::default();
            let input = Input::TwoFiles { target: reader(Format::Lines, target, &options)?, names };
            return Ok(Pairs { source: reader(Format::Lines, &self.source, &options)?, input, number: 0 });
        }
        let format = self.input_format.unwrap_or_else(|| match Format::from_path(&self.source) {
            Some(Format::Jsonl) => PairFormat::Jsonl,
            Some(Format::Tmx) => PairFormat::Tmx,
            _ => PairFormat::Tsv,
        });
        let read_as = match format {
            PairFormat::Tsv => Format::Tsv,
            PairFormat::Jsonl => Format::Jsonl,
            PairFormat::Tmx => Format::Tmx,
            PairFormat::FastAlign => Format::Lines,
        };
        let options = ReadOptions {
            text_field: self.text_field.clone(),
            reference_field: Some(self.translation_field.clone()),
            reference_column: Some(2),
            ..ReadOptions::default()
        };
        Ok(Pairs { source: reader(read_as, &self.source, &options)?, input: Input::OneFile(format), number: 0 })
    }
}

fn reader(format: Format, path: &Path, options: &ReadOptions) -> Result<Box<dyn RecordReader>> {
    if path == Path::new("-") {
        return format::reader(format, Box::new(std::io::stdin()), "stdin", options);
    }
    let file = std::fs::File::open(path).map_err(|error| Error::io(path.display(), error))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(Error::new(ErrorKind::NoInput, format!("{}: is a folder", path.display())));
    }
    format::reader(format, Box::new(file), &path.display().to_string(), options)
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
                (Some(record), Some(target)) => Ok(Some(Pair { record, target: target.text })),
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
            Input::OneFile(format) => Ok(source.map(|record| pair(record, *format))),
        }
    }
}

/// The pair that one record of a file with both sides is.
fn pair(mut record: Record, format: PairFormat) -> Pair {
    if format == PairFormat::FastAlign {
        let sides = match &record.text {
            Ok(line) => lines::parse(line).map(|(source, target)| (source.to_owned(), target.to_owned())),
            Err(_) => return Pair { record, target: Ok(String::new()) },
        };
        let target = match sides {
            Ok((source, target)) => {
                record.text = Ok(source);
                Ok(target)
            }
            Err(error) => Err(error.at(&record.place)),
        };
        return Pair { record, target };
    }
    let target = record
        .reference
        .clone()
        .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "the unit has no English").at(&record.place));
    Pair { record, target }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(format: PairFormat, text: &str) -> Vec<Pair> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("q");
        std::fs::write(&path, text).unwrap();
        let arguments = PairArgs {
            source: path,
            target: None,
            input_format: Some(format),
            text_field: "ar".to_owned(),
            translation_field: "en".to_owned(),
        };
        arguments.open().unwrap().next_window().unwrap()
    }

    #[test]
    fn both_sides_of_a_record() {
        for (format, text) in [
            (PairFormat::Tsv, "أ\tb\tc\nأ\n"),
            (PairFormat::Jsonl, "{\"x\":1,\"ar\":\"أ\",\"en\":\"b\"}\n{\"ar\":1}\n"),
            (PairFormat::FastAlign, "أ ||| b\nأ\n"),
            (
                PairFormat::Tmx,
                "<tmx><tu><tuv lang='ar'><seg>أ</seg></tuv><tuv lang='en'><seg>b</seg></tuv></tu>\
                 <tu><tuv lang='ar'><seg>أ</seg></tuv></tu></tmx>",
            ),
        ] {
            let found = pairs(format, text);
            assert_eq!(found[0].sides().unwrap(), ("أ", "b"), "{format:?}");
            let error = found[1].sides().unwrap_err().to_string();
            assert!(error.starts_with(&found[1].record.place), "{error}");
            assert_eq!(error.matches(&found[1].record.place).count(), 1, "the place is named once: {error}");
        }
    }
}

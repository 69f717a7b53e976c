//! Readers and writers of the file formats, one per file.
//!
//! A [`RecordReader`] gives one [`Record`] after the other, each with the text to translate and whatever else its format
//! carries along; a [`RecordWriter`] takes the record back with its translation, or with the error that came instead,
//! in the same order. Both stream: neither holds more than one record. A record that cannot be read is a record all
//! the same, with an error for a text, and costs no other record.
//!
//! ```
//! use tarjim::format::{self, Format, ReadOptions, WriteOptions};
//! use tarjim::translation::Document;
//!
//! # fn main() -> tarjim::Result<()> {
//! let input = r#"{"id": 7, "text": "مرحبا"}"#;
//! let mut reader = format::reader(Format::Jsonl, Box::new(input.as_bytes()), "example", &ReadOptions::default())?;
//! let mut output = Vec::new();
//! let mut writer = format::writer(Format::Jsonl, Box::new(&mut output), &WriteOptions::default())?;
//! while let Some(record) = reader.next_record()? {
//!     let outcome = match &record.text {
//!         Ok(_text) => Ok(Document { text: "Hello".into(), ..Document::default() }),
//!         Err(error) => Err(error),
//!     };
//!     writer.write(&record, outcome.as_ref().map_err(|error| *error))?;
//! }
//! writer.finish()?;
//! drop(writer);
//! assert!(String::from_utf8_lossy(&output).starts_with(r#"{"id":7,"text":"مرحبا","translation":"Hello""#));
//! # Ok(())
//! # }
//! ```

mod html;
mod interlinear;
mod jsonl;
mod line;
mod lines;
mod markup;
mod offset;
mod text;
mod tmx;
mod tsv;
mod xliff;
mod xml;

pub use offset::Offsets;
pub use tsv::Column;

use std::io::{Read, Write};
use std::path::Path;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};
use crate::splitter::LineBreaks;
use crate::translation::Document;

/// A file format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Running text: a record is a line, or a paragraph where lines are wrapped.
    #[default]
    Text,
    /// One sentence a line, as Moses and Marian write it: line n of the output is line n of the input, always.
    Lines,
    /// One JSON object a line.
    Jsonl,
    /// Columns separated by tabs, without quotes.
    Tsv,
    /// Translation memory exchange 1.4.
    Tmx,
    /// XLIFF 1.2 and 2.x: the targets of the units are filled in.
    Xliff,
    /// HTML: the text of the page is translated, its markup stays.
    Html,
    /// Three lines a sentence for a person to read: the source, the target, and each target word with its source.
    Interlinear,
}

impl Format {
    /// All formats.
    pub const ALL: [Format; 8] = [
        Format::Text,
        Format::Lines,
        Format::Jsonl,
        Format::Tsv,
        Format::Tmx,
        Format::Xliff,
        Format::Html,
        Format::Interlinear,
    ];

    /// The format's name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Lines => "lines",
            Format::Jsonl => "jsonl",
            Format::Tsv => "tsv",
            Format::Tmx => "tmx",
            Format::Xliff => "xliff",
            Format::Html => "html",
            Format::Interlinear => "interlinear",
        }
    }

    /// The format that a file name's extension tells, if it does: `.txt` is running text.
    pub fn from_path(path: &Path) -> Option<Format> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match extension.as_str() {
            "txt" => Format::Text,
            "jsonl" | "ndjson" => Format::Jsonl,
            "tsv" => Format::Tsv,
            "tmx" => Format::Tmx,
            "xlf" | "xliff" => Format::Xliff,
            "html" | "htm" => Format::Html,
            _ => return None,
        })
    }

    /// Whether records of `self` can be written as `output`. Formats that fill in a given file take only that file.
    pub fn converts_to(self, output: Format) -> Result<()> {
        match output {
            Format::Xliff | Format::Html if self != output => Err(Error::new(
                ErrorKind::Usage,
                format!(
                    "{output} output fills in a given {output} file, and the input is {self}",
                    output = output.name(),
                    self = self.name()
                ),
            )
            .with_hint("choose another `--output-format`, for example jsonl or tmx")),
            _ => Ok(()),
        }
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Format::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| {
            let names = Format::ALL.map(Format::name).join(", ");
            Error::new(ErrorKind::Usage, format!("`{name}` is not a format; the formats are {names}"))
        })
    }
}

/// One piece of input: a line, a paragraph, a JSON object, a unit of a translation memory.
#[derive(Debug)]
pub struct Record {
    /// Its number in the input, from 1.
    pub number: u64,
    /// Where it stands, for messages: `news.jsonl: line 12`.
    pub place: String,
    /// The name that its format gives it, if any (the unit's id in TMX and XLIFF).
    pub id: Option<String>,
    /// What is to be translated, or why it can't be.
    pub text: Result<String>,
    /// A translation that is there already (in TMX, or where [`ReadOptions`] name its place), for alignment and scoring.
    pub reference: Option<String>,
    frame: Frame,
}

/// What surrounds the text of a record in its format.
#[derive(Debug)]
enum Frame {
    /// A line of running text, with its line break.
    Paragraph {
        ending: String,
    },
    /// A line that is a record, with its line break.
    Line {
        ending: String,
    },
    Json(jsonl::Fields),
    Columns(tsv::Row),
    Memory,
    Markup(markup::Unit),
}

impl Record {
    /// A record that comes from no file: the `number`th text of some sequence, from 1.
    ///
    /// It is written as a line of text would be.
    pub fn new(number: u64, text: impl Into<String>) -> Self {
        Record {
            number,
            place: format!("record {number}"),
            id: None,
            text: Ok(text.into()),
            reference: None,
            frame: Frame::Line { ending: "\n".to_owned() },
        }
    }

    /// A piece of a marked-up file that holds nothing to translate.
    fn between(number: u64, place: String, original: String) -> Self {
        let frame = Frame::Markup(markup::Unit { original, ..markup::Unit::default() });
        Record { number, place, id: None, text: Ok(String::new()), reference: None, frame }
    }

    /// A record that came from a source so broken that there is only an error to tell.
    pub fn failed(number: u64, error: Error) -> Self {
        Record { text: Err(error), ..Record::new(number, "") }
    }

    /// The line break that ends the record where it is written as a line.
    fn line_ending(&self) -> &str {
        match &self.frame {
            Frame::Paragraph { ending } | Frame::Line { ending } => ending,
            _ => "\n",
        }
    }

    /// Whether the record is only what stands between others in its own format: a blank line of running text, the
    /// header of a table, the end of a page. Other formats leave it out.
    fn is_between(&self) -> bool {
        let is_blank = self.text.as_ref().is_ok_and(|text| text.trim().is_empty());
        match &self.frame {
            Frame::Paragraph { .. } | Frame::Markup(_) => is_blank,
            Frame::Columns(row) => row.is_header(),
            _ => false,
        }
    }
}

/// Reads records one after the other.
pub trait RecordReader: Send {
    /// The next record, or `None` at the end of the input.
    ///
    /// An error here ends the input: it could not be read on (I/O), or is of another format altogether. What is wrong
    /// with one record is in its [`text`](Record::text).
    fn next_record(&mut self) -> Result<Option<Record>>;

    /// Whether the next record is in memory already, so that asking for it cannot wait. While it isn't, a filter that
    /// gathers records to translate them together should translate what it has.
    fn is_ready(&self) -> bool;
}

/// Writes records with their translations, in the order in which they were read.
pub trait RecordWriter {
    /// Writes `record` with its translation or with the error that it has instead.
    fn write(&mut self, record: &Record, outcome: Result<&Document, &Error>) -> Result<()>;

    /// Hands everything written so far to the system.
    fn flush(&mut self) -> Result<()>;

    /// Writes what ends a file of this format, and flushes. Nothing may be written after it.
    fn finish(&mut self) -> Result<()>;
}

/// How to read.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// The field of a JSON object that holds the text.
    pub text_field: String,
    /// The column of a table that holds the text, from 1.
    pub text_column: usize,
    /// Whether the first line of a table names the columns.
    pub header: bool,
    /// The field of a JSON object that holds a translation which is there already; a record without it has an error.
    pub reference_field: Option<String>,
    /// The column, from 1, of a table that holds such a translation.
    pub reference_column: Option<usize>,
    /// What a line break means in running text.
    pub line_breaks: LineBreaks,
    /// Lines of the file that stand before the input, where that is only a part of the file: records and messages count
    /// them.
    pub lines_before: u64,
    /// Bytes of the file that stand before the input. What a file begins with is looked for only where there are none.
    pub bytes_before: u64,
    /// The longest record, in bytes. A longer one becomes a record with an error, and is not held in memory.
    pub longest_record: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        ReadOptions {
            text_field: "text".to_owned(),
            text_column: 1,
            header: false,
            reference_field: None,
            reference_column: None,
            line_breaks: LineBreaks::default(),
            lines_before: 0,
            bytes_before: 0,
            longest_record: 16 << 20,
        }
    }
}

/// How to write.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// The name of the model, for formats that tell it.
    pub model: String,
    /// The unit in which JSON counts spans.
    pub offsets: Offsets,
    /// Whether JSON carries the sentences with their spans, scores and alignment, or the translation alone.
    pub sentences: bool,
    /// Whether lines are written as an n-best list (`0 ||| hypothesis ||| score`), as Marian does. The records of all
    /// inputs are counted together; one that is empty or has an error is one empty hypothesis of score 0.
    pub n_best: bool,
    /// Whether each line is followed by its word links (` ||| 0-0 1-2`), as Marian does.
    pub inline_alignment: bool,
    /// The columns added to a table.
    pub columns: Vec<Column>,
    /// The input's JSON field that holds the text; it is never replaced.
    pub text_field: String,
}

impl Default for WriteOptions {
    fn default() -> Self {
        WriteOptions {
            model: String::new(),
            offsets: Offsets::default(),
            sentences: true,
            n_best: false,
            inline_alignment: false,
            columns: vec![Column::Translation],
            text_field: "text".to_owned(),
        }
    }
}

/// A reader of `format` from `input`, which messages call `name`.
pub fn reader<'a>(
    format: Format,
    input: Box<dyn Read + Send + 'a>,
    name: &str,
    options: &ReadOptions,
) -> Result<Box<dyn RecordReader + 'a>> {
    Ok(match format {
        Format::Text => Box::new(text::Reader::new(input, name, options)),
        Format::Lines => Box::new(lines::Reader::new(input, name, options)),
        Format::Jsonl => Box::new(jsonl::Reader::new(input, name, options)),
        Format::Tsv => Box::new(tsv::Reader::new(input, name, options)?),
        Format::Tmx => Box::new(tmx::Reader::new(input, name, options)),
        Format::Xliff => Box::new(xliff::Reader::new(input, name, options)),
        Format::Html => Box::new(html::Reader::new(input, name, options)),
        Format::Interlinear => {
            return Err(Error::new(ErrorKind::Usage, "interlinear text is for people and cannot be read")
                .with_hint("choose another `--input-format`"));
        }
    })
}

/// A writer of `format` to `output`. It buffers.
pub fn writer<'a>(
    format: Format,
    output: Box<dyn Write + 'a>,
    options: &WriteOptions,
) -> Result<Box<dyn RecordWriter + 'a>> {
    let output = Output::new(output);
    Ok(match format {
        Format::Text => Box::new(text::Writer::new(output)),
        Format::Lines => Box::new(lines::Writer::new(output, options)),
        Format::Jsonl => Box::new(jsonl::Writer::new(output, options)),
        Format::Tsv => Box::new(tsv::Writer::new(output, options)),
        Format::Tmx => Box::new(tmx::Writer::new(output, options)),
        Format::Xliff | Format::Html => Box::new(markup::Writer::new(output, format)),
        Format::Interlinear => Box::new(interlinear::Writer::new(output)),
    })
}

/// The output of a writer, buffered; its errors say what was being done and keep their cause.
struct Output<'a> {
    buffer: std::io::BufWriter<Box<dyn Write + 'a>>,
    /// Whether the last line came without a line break, as the last line of a file may.
    is_line_open: bool,
}

impl<'a> Output<'a> {
    fn new(output: Box<dyn Write + 'a>) -> Self {
        Output { buffer: std::io::BufWriter::with_capacity(64 << 10, output), is_line_open: false }
    }

    /// Begins a line: ends the one before it if that is still open, for then it was the last one of another file.
    fn begin_line(&mut self) -> Result<()> {
        if std::mem::take(&mut self.is_line_open) { self.put("\n") } else { Ok(()) }
    }

    /// Ends a line with its line break, which is empty at the end of some files.
    fn end_line(&mut self, ending: &str) -> Result<()> {
        self.is_line_open = ending.is_empty();
        self.put(ending)
    }

    fn put(&mut self, text: &str) -> Result<()> {
        self.put_bytes(text.as_bytes())
    }

    fn put_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer
            .write_all(bytes)
            .map_err(|error| Error::new(ErrorKind::Io, format!("cannot write: {error}")).with_source(error))
    }

    fn flush(&mut self) -> Result<()> {
        self.buffer
            .flush()
            .map_err(|error| Error::new(ErrorKind::Io, format!("cannot write: {error}")).with_source(error))
    }
}

/// `text` with every line break replaced by a space, for formats in which a line is a record.
fn one_line(text: &str) -> std::borrow::Cow<'_, str> {
    let is_break = |c: char| matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    if text.contains(is_break) { text.replace("\r\n", " ").replace(is_break, " ").into() } else { text.into() }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Reads all records of `input`.
    pub(super) fn records(format: Format, input: &[u8], options: &ReadOptions) -> Result<Vec<Record>> {
        let mut reader = reader(format, Box::new(input), "test", options)?;
        let mut records = Vec::new();
        while let Some(record) = reader.next_record()? {
            records.push(record);
        }
        Ok(records)
    }

    /// Translates `input` by writing every text in capitals, sentence by sentence.
    pub(super) fn convert(
        input: &[u8],
        from: Format,
        to: Format,
        read: &ReadOptions,
        write: &WriteOptions,
    ) -> Result<String> {
        convert_all(&[input], from, to, read, write)
    }

    /// Translates several inputs into one output.
    pub(super) fn convert_all(
        inputs: &[&[u8]],
        from: Format,
        to: Format,
        read: &ReadOptions,
        write: &WriteOptions,
    ) -> Result<String> {
        from.converts_to(to)?;
        let mut output = Vec::new();
        let mut writer = writer(to, Box::new(&mut output), write)?;
        for input in inputs {
            for record in records(from, input, read)? {
                let document = record.text.as_ref().map(|text| capitals(text));
                writer.write(&record, document.as_ref().map_err(|error| *error))?;
            }
        }
        writer.finish()?;
        drop(writer);
        Ok(String::from_utf8(output).expect("output is UTF-8"))
    }

    /// Reads and writes with the options that are the default.
    pub(super) fn convert_default(input: &str, from: Format, to: Format) -> String {
        convert(input.as_bytes(), from, to, &ReadOptions::default(), &WriteOptions::default()).unwrap()
    }

    /// A translation in which every word is its own capitals.
    pub(super) fn capitals(text: &str) -> Document {
        use crate::Span;
        use crate::alignment::{Alignment, Link};
        use crate::translation::Sentence;

        let mut document = Document::default();
        let mut end = 0;
        for segment in crate::splitter::Splitter::default().split(text) {
            let source = segment.sentence.of(text);
            if source.is_empty() {
                continue;
            }
            document.text.push_str(&text[end..segment.sentence.start]);
            end = segment.sentence.end;
            let target = source.to_uppercase();
            let start = document.text.len();
            document.text.push_str(&target);
            let words = |text: &str| -> Vec<Span> {
                text.split_whitespace()
                    .map(|word| {
                        let start = word.as_ptr() as usize - text.as_ptr() as usize;
                        Span::new(start, start + word.len())
                    })
                    .collect()
            };
            let count = words(source).len();
            document.sentences.push(Sentence {
                source: source.to_owned(),
                source_span: segment.sentence,
                source_words: words(source),
                target_words: words(&target),
                target_span: Span::new(start, document.text.len()),
                target,
                score: -0.5,
                confidence: 0.5,
                alignment: Alignment {
                    links: (0..count).map(|word| Link { source: word, target: word, probability: 0.75 }).collect(),
                    null: vec![0.25; count],
                },
                ..Sentence::default()
            });
        }
        document.text.push_str(&text[end..]);
        document
    }

    #[test]
    fn names() {
        for format in Format::ALL {
            assert_eq!(format.name().parse::<Format>().unwrap(), format);
        }
        let error = "doc".parse::<Format>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert_eq!(Format::from_path(Path::new("a/b.XLF")), Some(Format::Xliff));
        assert_eq!(Format::from_path(Path::new("-")), None);
    }

    #[test]
    fn only_xliff_fills_in_xliff() {
        assert!(Format::Xliff.converts_to(Format::Xliff).is_ok());
        assert!(Format::Xliff.converts_to(Format::Jsonl).is_ok());
        assert_eq!(Format::Text.converts_to(Format::Xliff).unwrap_err().kind(), ErrorKind::Usage);
    }

    #[test]
    fn the_last_line_of_a_file_and_the_first_of_the_next_are_two() {
        let read = ReadOptions { longest_record: 6, ..ReadOptions::default() };
        let write = WriteOptions { columns: Vec::new(), ..WriteOptions::default() };
        for format in [Format::Text, Format::Lines] {
            let inputs: [&[u8]; 6] = [b"a", b"b\nc", b"", b"d\r\n", b"far too long", b"e"];
            let output = convert_all(&inputs, format, format, &read, &write).unwrap();
            assert_eq!(output, "A\nB\nC\nD\r\n\nE", "{}", format.name());
        }
        let output = convert_all(&[b"a\tx", b"b", b"c\n"], Format::Tsv, Format::Tsv, &read, &write).unwrap();
        assert_eq!(output, "a\tx\nb\nc\n");
    }

    #[test]
    fn a_part_of_a_file_is_read_as_the_file_would_be() {
        for (format, first, line) in
            [(Format::Lines, "a", "%PDF-1"), (Format::Jsonl, "{}", "\u{feff}{"), (Format::Tsv, "a", "PK\u{3}\u{4}\0")]
        {
            let said =
                |found: &Record| (found.place.clone(), found.text.as_ref().map_err(ToString::to_string).cloned());
            let whole = records(format, format!("{first}\n{line}\n").as_bytes(), &ReadOptions::default()).unwrap();
            let before = first.len() as u64 + 1;
            let read = ReadOptions { lines_before: 1, bytes_before: before, ..ReadOptions::default() };
            let part = records(format, format!("{line}\n").as_bytes(), &read).unwrap();
            assert_eq!(said(&part[0]), said(&whole[1]));
            assert!(
                records(Format::Lines, line.as_bytes(), &ReadOptions::default()).is_err() || format == Format::Jsonl
            );
        }
    }

    #[test]
    fn a_failing_output_keeps_its_cause() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut writer = writer(Format::Text, Box::new(Closed), &WriteOptions::default()).unwrap();
        writer.write(&Record::new(1, "a"), Ok(&capitals("a"))).unwrap();
        let error = writer.flush().unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().downcast_ref::<std::io::Error>().unwrap();
        assert_eq!(cause.kind(), std::io::ErrorKind::BrokenPipe);
    }
}

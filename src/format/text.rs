//! Running text: paragraphs in, paragraphs out, with the spacing and the line breaks of the source.

use std::io::Read;

use super::line::LineReader;
use super::{Frame, Output, ReadOptions, Record, RecordReader, RecordWriter};
use crate::error::{Error, ErrorKind, Result};
use crate::splitter::LineBreaks;
use crate::translation::Document;

/// Reads a line at a time, or a paragraph at a time where lines are wrapped. Blank lines are records without text, so
/// that they come out as they are and nothing waits for what follows them.
pub(super) struct Reader<'a> {
    lines: LineReader<'a>,
    line_breaks: LineBreaks,
    longest: usize,
    /// A line read too far: the one that ended the last paragraph.
    pending: Option<super::line::Line>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: Box<dyn Read + Send + 'a>, name: &str, options: &ReadOptions) -> Self {
        Reader {
            lines: LineReader::new(input, name, options),
            line_breaks: options.line_breaks,
            longest: options.longest_record,
            pending: None,
        }
    }
}

impl RecordReader for Reader<'_> {
    fn next_record(&mut self) -> Result<Option<Record>> {
        let Some(line) = self.pending.take().map_or_else(|| self.lines.next_line(), |line| Ok(Some(line)))? else {
            return Ok(None);
        };
        let number = line.number;
        let mut text = line.text;
        let mut ending = line.ending;
        if self.line_breaks == LineBreaks::Wrapped {
            while let Ok(paragraph) = &mut text {
                if paragraph.trim().is_empty() || ending.is_empty() {
                    break;
                }
                let Some(next) = self.lines.next_line()? else {
                    break;
                };
                let Some(more) = next.text.as_ref().ok().filter(|more| !more.trim().is_empty()) else {
                    self.pending = Some(next);
                    break;
                };
                if paragraph.len() + more.len() > self.longest {
                    let message = format!("the paragraph has more than {} bytes", self.longest);
                    let error = Error::new(ErrorKind::InvalidInput, message).at(self.lines.place(number));
                    text = Err(error.with_hint("a blank line ends a paragraph"));
                    self.pending = Some(next);
                    break;
                }
                paragraph.push_str(ending);
                paragraph.push_str(more);
                ending = next.ending;
            }
        }
        let place = self.lines.place(number);
        let frame = Frame::Paragraph { ending: ending.to_owned() };
        Ok(Some(Record { number, place, id: None, text, reference: None, frame }))
    }

    fn is_ready(&self) -> bool {
        self.pending.is_some() || self.lines.is_ready()
    }
}

/// Writes the translations and the line breaks; nothing where a record has an error.
pub(super) struct Writer<'a> {
    output: Output<'a>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(output: Output<'a>) -> Self {
        Writer { output }
    }
}

impl RecordWriter for Writer<'_> {
    fn write(&mut self, record: &Record, outcome: Result<&Document, &Error>) -> Result<()> {
        self.output.begin_line()?;
        if let Ok(document) = outcome {
            self.output.put(&document.text)?;
        }
        self.output.end_line(record.line_ending())
    }

    fn flush(&mut self) -> Result<()> {
        self.output.flush()
    }

    fn finish(&mut self) -> Result<()> {
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use crate::format::tests::{convert, convert_default, records};
    use crate::format::{Format, ReadOptions, WriteOptions};
    use crate::splitter::LineBreaks;

    #[test]
    fn spacing_and_line_breaks_stay() {
        let text = "\n\n  one. two \r\n\r\nthree\n \n\tfour  five";
        assert_eq!(convert_default(text, Format::Text, Format::Text), text.to_uppercase());
        assert_eq!(convert_default("", Format::Text, Format::Text), "");
    }

    #[test]
    fn wrapped_lines_are_one_paragraph() {
        let options = ReadOptions { line_breaks: LineBreaks::Wrapped, ..ReadOptions::default() };
        let text = "a b\nc d\r\ne\n\n\nf\n";
        let found = records(Format::Text, text.as_bytes(), &options).unwrap();
        let texts: Vec<&str> = found.iter().map(|record| record.text.as_deref().unwrap()).collect();
        assert_eq!(texts, ["a b\nc d\r\ne", "", "", "f"]);
        let written = convert(text.as_bytes(), Format::Text, Format::Text, &options, &WriteOptions::default()).unwrap();
        assert_eq!(written, text.to_uppercase());
    }

    #[test]
    fn a_wrapped_paragraph_has_a_limit() {
        let options = ReadOptions { line_breaks: LineBreaks::Wrapped, longest_record: 5, ..ReadOptions::default() };
        let found = records(Format::Text, b"abc\ndef\n\nghi\n", &options).unwrap();
        assert!(found[0].text.is_err());
        assert_eq!(found.last().unwrap().text.as_deref().unwrap(), "ghi");
    }

    #[test]
    fn a_bad_line_keeps_its_place() {
        let written =
            convert(b"a\n\xff\nb\n", Format::Text, Format::Text, &ReadOptions::default(), &WriteOptions::default());
        assert_eq!(written.unwrap(), "A\n\nB\n");
    }
}

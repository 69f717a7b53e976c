//! Moses plain text: line n of the output is the translation of line n of the input, always, also where it is empty.

use std::io::Read;

use super::line::LineReader;
use super::{Frame, Output, ReadOptions, Record, RecordReader, RecordWriter, WriteOptions, one_line};
use crate::alignment::pharaoh;
use crate::error::{Error, Result};
use crate::translation::Document;

/// Reads a record per line.
pub(super) struct Reader<'a> {
    lines: LineReader<'a>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: Box<dyn Read + Send + 'a>, name: &str, options: &ReadOptions) -> Self {
        Reader { lines: LineReader::new(input, name, options.longest_record) }
    }
}

impl RecordReader for Reader<'_> {
    fn next_record(&mut self) -> Result<Option<Record>> {
        Ok(self.lines.next_line()?.map(|line| Record {
            number: line.number,
            place: self.lines.place(line.number),
            id: None,
            text: line.text,
            reference: None,
            frame: Frame::Line { ending: line.ending.to_owned() },
        }))
    }

    fn is_ready(&self) -> bool {
        self.lines.is_ready()
    }
}

/// Writes one line per record, or an n-best list.
pub(super) struct Writer<'a> {
    output: Output<'a>,
    n_best: bool,
    inline_alignment: bool,
}

impl<'a> Writer<'a> {
    pub(super) fn new(output: Output<'a>, options: &WriteOptions) -> Self {
        Writer { output, n_best: options.n_best, inline_alignment: options.inline_alignment }
    }

    /// `0 ||| hypothesis ||| score`: Marian's n-best list, lines counted from 0.
    fn write_n_best(&mut self, record: &Record, document: &Document) -> Result<()> {
        let number = record.number - 1;
        match document.sentences.as_slice() {
            [sentence] if !sentence.n_best.is_empty() => {
                for candidate in &sentence.n_best {
                    let target = one_line(&candidate.target);
                    self.output.put(&format!("{number} ||| {target} ||| {}\n", candidate.score))?;
                }
                Ok(())
            }
            sentences => {
                // A list is of one sentence; of several the best translations are one candidate.
                let score: f32 = sentences.iter().map(|sentence| sentence.score).sum();
                self.output.put(&format!("{number} ||| {} ||| {score}\n", one_line(&document.text)))
            }
        }
    }
}

impl RecordWriter for Writer<'_> {
    fn write(&mut self, record: &Record, outcome: Result<&Document, &Error>) -> Result<()> {
        match outcome {
            Ok(document) if self.n_best => return self.write_n_best(record, document),
            Ok(document) => {
                self.output.put(&one_line(&document.text))?;
                if self.inline_alignment {
                    let links = document.sentences.iter().map(|sentence| pharaoh::print(&sentence.alignment.links));
                    self.output.put(&format!(" ||| {}", links.collect::<Vec<_>>().join(" ")))?;
                }
            }
            Err(_) => {}
        }
        self.output.put(record.line_ending())
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
    use proptest::prelude::*;

    use super::*;
    use crate::format::tests::{convert, convert_default, records};
    use crate::format::{Format, writer};
    use crate::translation::{Candidate, Sentence};

    #[test]
    fn line_n_is_line_n() {
        let text = "a\n\n b \r\n\u{2028}c\rd\n";
        assert_eq!(convert_default(text, Format::Lines, Format::Lines), "A\n\n B \r\n C D\n");
    }

    #[test]
    fn a_bad_line_is_an_empty_line() {
        let options = ReadOptions { longest_record: 3, ..ReadOptions::default() };
        let written =
            convert(b"a\nlong line\nb", Format::Lines, Format::Lines, &options, &WriteOptions::default()).unwrap();
        assert_eq!(written, "A\n\nB");
    }

    #[test]
    fn n_best_lists() {
        let record = &records(Format::Lines, b"x\ny", &ReadOptions::default()).unwrap()[1];
        let candidate = |target: &str, score| Candidate { target: target.to_owned(), score };
        let sentence = Sentence { n_best: vec![candidate("why", -0.5), candidate("Y", -1.25)], ..Sentence::default() };
        let document = Document { text: "why".to_owned(), sentences: vec![sentence] };
        let mut output = Vec::new();
        let options = WriteOptions { n_best: true, ..WriteOptions::default() };
        let mut writer = writer(Format::Lines, Box::new(&mut output), &options).unwrap();
        writer.write(record, Ok(&document)).unwrap();
        writer.finish().unwrap();
        drop(writer);
        assert_eq!(String::from_utf8(output).unwrap(), "1 ||| why ||| -0.5\n1 ||| Y ||| -1.25\n");
    }

    proptest! {
        #[test]
        fn as_many_lines_out_as_in(bytes in proptest::collection::vec(
            prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'a'), Just(0xc3), Just(b' '), any::<u8>()], 0..80))
        {
            let read = ReadOptions { longest_record: 10, ..ReadOptions::default() };
            if let Ok(written) = convert(&bytes, Format::Lines, Format::Lines, &read, &WriteOptions::default()) {
                let count = |bytes: &[u8]| bytes.split(|&byte| byte == b'\n').count();
                prop_assert_eq!(count(written.as_bytes()), count(&bytes));
            }
        }
    }
}

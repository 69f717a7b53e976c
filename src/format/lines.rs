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
        Reader { lines: LineReader::new(input, name, options) }
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
    /// Records written so far: an n-best list counts them over all inputs.
    written: u64,
}

impl<'a> Writer<'a> {
    pub(super) fn new(output: Output<'a>, options: &WriteOptions) -> Self {
        Writer { output, n_best: options.n_best, inline_alignment: options.inline_alignment, written: 0 }
    }

    /// `0 ||| hypothesis ||| score`: Marian's n-best list, records counted from 0. Every record has a hypothesis, since
    /// readers of such lists take a missing number for the end of a set.
    fn write_n_best(&mut self, document: Option<&Document>) -> Result<()> {
        let number = self.written - 1;
        let mut entry = |target: &str, score: f32| {
            // Not `-0`, which is the sum of nothing.
            let score = score + 0.0;
            self.output.put(&format!("{number} ||| {} ||| {score}\n", one_line(target)))
        };
        match document.map(|document| (document, document.sentences.as_slice())) {
            Some((_, [sentence])) if !sentence.n_best.is_empty() => {
                sentence.n_best.iter().try_for_each(|candidate| entry(&candidate.target, candidate.score))
            }
            // A list is of one sentence; of several the best translations are one candidate.
            Some((document, sentences)) => {
                entry(&document.text, sentences.iter().map(|sentence| sentence.score).sum::<f32>())
            }
            None => entry("", 0.0),
        }
    }
}

impl RecordWriter for Writer<'_> {
    fn write(&mut self, record: &Record, outcome: Result<&Document, &Error>) -> Result<()> {
        self.written += 1;
        if self.n_best {
            return self.write_n_best(outcome.ok());
        }
        self.output.begin_line()?;
        if let Ok(document) = outcome {
            self.output.put(&one_line(&document.text))?;
            if self.inline_alignment {
                let links = document.sentences.iter().map(|sentence| pharaoh::print(&sentence.alignment.links));
                self.output.put(&format!(" ||| {}", links.collect::<Vec<_>>().join(" ")))?;
            }
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
        let records = records(Format::Lines, b"x\n\n\xff\ny", &ReadOptions::default()).unwrap();
        let candidate = |target: &str, score| Candidate { target: target.to_owned(), score };
        let sentence = Sentence { n_best: vec![candidate("why", -0.5), candidate("Y", -1.25)], ..Sentence::default() };
        let document = Document { text: "why".to_owned(), sentences: vec![sentence] };
        let mut output = Vec::new();
        let options = WriteOptions { n_best: true, ..WriteOptions::default() };
        let mut writer = writer(Format::Lines, Box::new(&mut output), &options).unwrap();
        // Two inputs, whose own numbers begin again.
        for _ in 0..2 {
            writer.write(&records[0], Ok(&document)).unwrap();
            writer.write(&records[1], Ok(&Document::default())).unwrap();
            writer.write(&records[2], Err(records[2].text.as_ref().unwrap_err())).unwrap();
        }
        writer.finish().unwrap();
        drop(writer);
        let lists = |first: u64| {
            let (empty, failed) = (first + 1, first + 2);
            format!("{first} ||| why ||| -0.5\n{first} ||| Y ||| -1.25\n{empty} |||  ||| 0\n{failed} |||  ||| 0\n")
        };
        assert_eq!(String::from_utf8(output).unwrap(), lists(0) + &lists(3));
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

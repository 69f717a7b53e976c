//! The worker for real formats: lines through a format's reader, a translator, and a format's writer.

use std::sync::atomic::AtomicBool;

use serde_json::Value;

use super::input::{LONGEST_RECORD, LineFormat, Record};
use super::run::{Output, Worker};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{self, Format, ReadOptions, WriteOptions};
use crate::translation::Document;

/// Translates a window's texts: one outcome per text, in order.
pub type Translate<'a> = dyn FnMut(&[&str]) -> Vec<Result<Document>> + 'a;

/// A [`Worker`] over the crate's line formats, with any function for a translator.
pub struct RecordWorker<'a> {
    /// The format of the inputs.
    pub input: LineFormat,
    /// The format of the outputs.
    pub output: LineFormat,
    /// How the inputs are read.
    pub read: ReadOptions,
    /// How the outputs are written.
    pub write: WriteOptions,
    /// The names of the inputs, for messages.
    pub files: Vec<String>,
    /// What computes, for the manifest.
    pub engine: String,
    /// Translates texts.
    pub translate: Box<Translate<'a>>,
    /// How often the sentence cache had the answer so far.
    pub cache_hits: Box<dyn Fn() -> u64 + 'a>,
}

impl LineFormat {
    /// The same format as readers and writers know it.
    pub fn format(self) -> Format {
        match self {
            LineFormat::Lines => Format::Lines,
            LineFormat::Jsonl => Format::Jsonl,
            LineFormat::Tsv => Format::Tsv,
        }
    }
}

impl RecordWorker<'_> {
    /// Reads one line as its format's reader would find it in its file.
    fn parse(&self, record: &Record) -> Result<format::Record> {
        let name = self.files.get(record.file).map_or("input", String::as_str);
        let options = ReadOptions {
            longest_record: LONGEST_RECORD,
            lines_before: record.number.saturating_sub(1),
            bytes_before: record.offset,
            ..self.read.clone()
        };
        // With its line break: a line of nothing is then still a line.
        let mut line = record.line.clone();
        if record.has_break {
            line.push(b'\n');
        }
        let mut reader = format::reader(self.input.format(), Box::new(std::io::Cursor::new(line)), name, &options)?;
        match reader.next_record() {
            Ok(Some(record)) => Ok(record),
            Ok(None) => {
                let message = format!("{name}: line {}: the line was read as no record", record.number);
                Err(Error::new(ErrorKind::Internal, message))
            }
            // What would end a whole file costs one record here.
            Err(error) => Ok(format::Record::failed(record.number, error)),
        }
    }

    fn write(&self, record: &format::Record, outcome: Result<&Document, &Error>) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut writer = format::writer(self.output.format(), Box::new(&mut bytes), &self.write)?;
        writer.write(record, outcome)?;
        writer.finish()?;
        drop(writer);
        bytes.pop_if(|byte| *byte == b'\n');
        Ok(bytes)
    }

    fn id(format: LineFormat, line: &[u8]) -> Option<String> {
        if format != LineFormat::Jsonl {
            return None;
        }
        serde_json::from_slice::<Value>(line).ok()?.get("id").map(Value::to_string)
    }
}

impl Worker for RecordWorker<'_> {
    fn translate(&mut self, records: &[Record], _stop: &AtomicBool) -> Result<Vec<Output>> {
        let parsed = records.iter().map(|record| self.parse(record)).collect::<Result<Vec<_>>>()?;
        let texts: Vec<&str> = parsed.iter().filter_map(|record| record.text.as_deref().ok()).collect();
        let hits = (self.cache_hits)();
        let mut translated = (self.translate)(&texts).into_iter();
        let mut outputs = Vec::with_capacity(records.len());
        for record in &parsed {
            let outcome = match &record.text {
                Ok(_) => translated.next().unwrap_or_else(|| {
                    Err(Error::new(ErrorKind::Internal, format!("{}: no translation came back", record.place)))
                }),
                Err(error) => Err(error.without_source()),
            };
            let line = self.write(record, outcome.as_ref())?;
            outputs.push(match outcome {
                Ok(document) => Output {
                    line,
                    sentences: document.sentences.len() as u64,
                    source_words: document.sentences.iter().map(|sentence| sentence.source_words.len() as u64).sum(),
                    ..Output::default()
                },
                Err(error) => Output { line, error: Some(error.to_string()), ..Output::default() },
            });
        }
        // The cache works across the window's records; which of them profited is nobody's question.
        if let Some(last) = outputs.last_mut() {
            last.cached_sentences = (self.cache_hits)() - hits;
        }
        Ok(outputs)
    }

    fn is_record(&self, record: &Record) -> bool {
        let line = record.line.as_slice();
        if self.input != LineFormat::Jsonl || line.len() > LONGEST_RECORD {
            return true;
        }
        // As the reader of the format sees it, byte-order mark and all.
        let line = if record.offset == 0 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
        !str::from_utf8(line).is_ok_and(|line| line.trim().is_empty())
    }

    fn input_id(&self, line: &[u8]) -> Option<String> {
        // A record that is written in another format has no place for an id that could be compared.
        if self.output == self.input { Self::id(self.input, line) } else { None }
    }

    fn output_id(&self, line: &[u8]) -> Option<String> {
        if self.output == self.input { Self::id(self.output, line) } else { None }
    }

    fn engine(&self) -> String {
        self.engine.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker<'a>(input: LineFormat, output: LineFormat) -> RecordWorker<'a> {
        RecordWorker {
            input,
            output,
            read: ReadOptions::default(),
            write: WriteOptions { sentences: false, ..WriteOptions::default() },
            files: vec!["news".to_owned()],
            engine: "capitals".into(),
            translate: Box::new(|texts| {
                texts.iter().map(|text| Ok(Document { text: text.to_uppercase(), ..Document::default() })).collect()
            }),
            cache_hits: Box::new(|| 0),
        }
    }

    fn record(line: &[u8]) -> Record {
        Record { line: line.to_vec(), file: 0, offset: 12, number: 3, has_break: true }
    }

    fn translate(input: LineFormat, output: LineFormat, lines: &[&[u8]]) -> Vec<(String, Option<String>)> {
        let records: Vec<Record> = lines.iter().map(|line| record(line)).collect();
        let outputs = worker(input, output).translate(&records, &AtomicBool::new(false)).unwrap();
        outputs.into_iter().map(|output| (String::from_utf8(output.line).unwrap(), output.error)).collect()
    }

    #[test]
    fn every_format_gives_one_line_for_one_line() {
        let (jsonl, lines, tsv) = (LineFormat::Jsonl, LineFormat::Lines, LineFormat::Tsv);
        assert_eq!(
            translate(lines, lines, &[b"one two", b"", b"x\r"]),
            [("ONE TWO".to_owned(), None), (String::new(), None), ("X\r".to_owned(), None)]
        );
        let outputs = translate(jsonl, jsonl, &[br#"{"id":7,"text":"a","more":[1]}"#]);
        assert_eq!(outputs[0].0, r#"{"id":7,"text":"a","more":[1],"translation":"A"}"#);
        assert_eq!(translate(tsv, tsv, &[b"a\tb"])[0].0, "a\tb\tA");
        assert!(translate(lines, jsonl, &[b"a"])[0].0.contains(r#""translation":"A""#));
    }

    #[test]
    fn bad_lines_become_error_records_with_their_place() {
        let jsonl = LineFormat::Jsonl;
        let long = vec![b'x'; LONGEST_RECORD + 1];
        let bad: [&[u8]; 5] = [b"{", br#"{"id":1}"#, br#"{"text":5}"#, b"\xff\xfe\x00", &long];
        for (line, error) in translate(jsonl, jsonl, &bad) {
            let error = error.expect("an error");
            assert!(error.starts_with("news: line 3: "), "{error}");
            assert!(line.contains(r#""error":{"kind":"invalid-input""#), "{line}");
        }
        let (line, error) = translate(LineFormat::Lines, LineFormat::Lines, &[b"a\xffb"]).remove(0);
        assert!(line.is_empty() && error.is_some());
    }

    #[test]
    fn ids_are_compared_where_both_sides_have_them() {
        let jsonl = worker(LineFormat::Jsonl, LineFormat::Jsonl);
        let line = br#"{"id":"a","text":"x"}"#;
        assert_eq!(jsonl.input_id(line), jsonl.output_id(br#"{"id":"a","translation":"X"}"#));
        assert!(!jsonl.is_record(&record(b" \r")) && jsonl.is_record(&record(b"{}")));
        assert!(!jsonl.is_record(&record("\u{a0}".as_bytes())) && jsonl.is_record(&record(b"\xff")));
        let mark = Record { offset: 0, number: 1, ..record(b"\xef\xbb\xbf") };
        assert!(!jsonl.is_record(&mark) && jsonl.is_record(&record(&mark.line)));
        let lines = worker(LineFormat::Lines, LineFormat::Jsonl);
        assert_eq!((lines.input_id(line), lines.output_id(line)), (None, None));
        assert!(lines.is_record(&record(b"")));
    }
}

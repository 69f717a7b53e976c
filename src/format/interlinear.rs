//! A translation for a person to read word by word: each sentence's source, its target, and below the target's words
//! the source words they came from, as linguists gloss a text.

use super::{Output, Record, RecordWriter, one_line};
use crate::error::{Error, Result};
use crate::translation::{Document, Sentence};

/// Stands for the source of a word that came from none.
const NOTHING: &str = "·";

/// Writes three lines for each sentence and an empty one after it; a line for each record that has an error.
pub(super) struct Writer<'a> {
    output: Output<'a>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(output: Output<'a>) -> Self {
        Writer { output }
    }

    fn sentence(&mut self, sentence: &Sentence) -> Result<()> {
        let (source, target) = (one_line(&sentence.source), one_line(&sentence.target));
        self.output.put(&format!("{source}\n{target}\n{}\n", gloss(sentence)))?;
        for flag in &sentence.flags {
            self.output.put(&format!("! {}: {}\n", flag.kind.name(), one_line(&flag.reason)))?;
        }
        self.output.put("\n")
    }
}

/// `The[الـ] minister[وزير] …`: each target word with its source words in the order of the source.
fn gloss(sentence: &Sentence) -> String {
    let words = sentence.target_words.iter().enumerate().map(|(target, span)| {
        let links = sentence.alignment.links.iter().filter(|link| link.target == target);
        let sources: Vec<&str> =
            links.filter_map(|link| Some(sentence.source_words.get(link.source)?.of(&sentence.source))).collect();
        let sources = if sources.is_empty() { NOTHING.to_owned() } else { sources.join(" ") };
        format!("{}[{sources}]", span.of(&sentence.target))
    });
    one_line(&words.collect::<Vec<_>>().join(" ")).into_owned()
}

impl RecordWriter for Writer<'_> {
    fn write(&mut self, record: &Record, outcome: Result<&Document, &Error>) -> Result<()> {
        match outcome {
            Ok(document) => document.sentences.iter().try_for_each(|sentence| self.sentence(sentence)),
            Err(error) => {
                let message = error.to_string();
                // A reader's errors name their place themselves.
                let message =
                    if message.starts_with(&record.place) { message } else { format!("{}: {message}", record.place) };
                self.output.put(&format!("! {}\n\n", one_line(&message)))
            }
        }
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
    use crate::error::{Error, ErrorKind};
    use crate::format::tests::{convert, convert_default};
    use crate::format::{Format, ReadOptions, Record, WriteOptions, writer};

    #[test]
    fn an_error_names_its_place_once() {
        let (read, write) = (ReadOptions::default(), WriteOptions::default());
        let output = convert(b"\xff\n", Format::Lines, Format::Interlinear, &read, &write).unwrap();
        assert_eq!(output, "! test: line 1: not UTF-8: byte 0xff at byte 0 of the input\n\n");
        let mut output = Vec::new();
        let mut writer = writer(Format::Interlinear, Box::new(&mut output), &write).unwrap();
        writer.write(&Record::new(3, "a"), Err(&Error::new(ErrorKind::Internal, "lost"))).unwrap();
        writer.finish().unwrap();
        drop(writer);
        assert_eq!(output, b"! record 3: lost\n\n");
    }

    #[test]
    fn three_lines_a_sentence() {
        assert_eq!(
            convert_default("One two. Three\n\nfour", Format::Text, Format::Interlinear),
            "One two.\nONE TWO.\nONE[One] TWO.[two.]\n\nThree\nTHREE\nTHREE[Three]\n\nfour\nFOUR\nFOUR[four]\n\n"
        );
    }
}

//! JSON lines: one object a line, with its other fields kept as they are.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::io::Read;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::line::LineReader;
use super::offset::Index;
use super::{Frame, Offsets, Output, ReadOptions, Record, RecordReader, RecordWriter, WriteOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::span::Span;
use crate::translation::{Candidate, Document, Sentence, SentencePieces};

/// The fields that the writer adds; an input that has them already (a second run, perhaps) has them replaced. Where one
/// of them holds the text, the text gets another name.
const OWN_FIELDS: [&str; 4] = ["translation", "model", "sentences", "error"];

/// The fields of an object, in order, each value as it was written: numbers of any size survive.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry::<String, Box<RawValue>>()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// Reads an object per line; blank lines are no records.
pub(super) struct Reader<'a> {
    lines: LineReader<'a>,
    text_field: String,
    reference_field: Option<String>,
    number: u64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: Box<dyn Read + Send + 'a>, name: &str, options: &ReadOptions) -> Self {
        Reader {
            lines: LineReader::new(input, name, options),
            text_field: options.text_field.clone(),
            reference_field: options.reference_field.clone(),
            number: 0,
        }
    }

    /// The fields of an object, its text, and the translation it has already, if one is asked for.
    fn parse(&self, line: &str) -> (Fields, Result<String>, Option<String>) {
        let fields: Fields = match serde_json::from_str(line) {
            Ok(fields) => fields,
            Err(error) => {
                return (Fields::default(), Err(invalid(format!("not a JSON object: {error}"))), None);
            }
        };
        let text = fields.text(&self.text_field, "--text-field");
        let (text, reference) = match self.reference_field.as_ref().map(|name| fields.text(name, "--translation-field"))
        {
            None => (text, None),
            Some(Ok(reference)) => (text, Some(reference)),
            Some(Err(error)) => (text.and(Err(error)), None),
        };
        (fields, text, reference)
    }
}

impl Fields {
    /// The text in a field, which `option` names. Of repeated names the last one counts, as nearly everywhere.
    fn text(&self, name: &str, option: &str) -> Result<String> {
        match self.0.iter().rev().find(|(field, _)| field == name) {
            None => Err(invalid(format!("no field `{name}`")).with_hint(format!("name the field with `{option}`"))),
            Some((_, value)) => serde_json::from_str::<String>(value.get())
                .map_err(|error| invalid(format!("field `{name}` is no text: {error}"))),
        }
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

impl RecordReader for Reader<'_> {
    fn next_record(&mut self) -> Result<Option<Record>> {
        loop {
            let Some(line) = self.lines.next_line()? else {
                return Ok(None);
            };
            let place = self.lines.place(line.number);
            let (fields, text, reference) = match line.text {
                Ok(text) if text.trim().is_empty() => continue,
                Ok(text) => {
                    let (fields, text, reference) = self.parse(&text);
                    (fields, text.map_err(|error| error.at(&place)), reference)
                }
                Err(error) => (Fields::default(), Err(error), None),
            };
            self.number += 1;
            let frame = Frame::Json(fields);
            return Ok(Some(Record { number: self.number, place, id: None, text, reference, frame }));
        }
    }

    fn is_ready(&self) -> bool {
        self.lines.is_ready()
    }
}

/// Writes an object per record. Records of other formats become objects with what is known of them.
pub(super) struct Writer<'a> {
    output: Output<'a>,
    options: WriteOptions,
}

impl<'a> Writer<'a> {
    pub(super) fn new(output: Output<'a>, options: &WriteOptions) -> Self {
        Writer { output, options: options.clone() }
    }

    /// The beginning of the object: everything that the record had, each name once.
    fn head(&self, record: &Record, is_failed: bool) -> Result<String> {
        let mut head = String::from("{");
        let mut field = |name: &str, value: &str| -> Result<()> {
            if head.len() > 1 {
                head.push(',');
            }
            head.push_str(&json(&name)?);
            head.push(':');
            head.push_str(value);
            Ok(())
        };
        match &record.frame {
            Frame::Json(fields) => {
                let mut names = HashSet::new();
                let last = fields.0.iter().rev().filter(|(name, _)| names.insert(name.as_str()));
                let last: Vec<&(String, Box<RawValue>)> = last.collect();
                // A translation that was only looked at is the record's own, and no other comes in its place.
                let kept = (is_failed && record.reference.is_some()).then_some("translation");
                for (name, value) in last.into_iter().rev() {
                    let is_text = *name == self.options.text_field;
                    let name =
                        name_beside_ours(name, is_text, &names).or(kept.filter(|kept| name == kept).map(Cow::from));
                    if let Some(name) = name {
                        field(&name, value.get())?;
                    }
                }
                return Ok(head);
            }
            Frame::Columns(row) => {
                let fields: Vec<(String, &str, bool)> = row.fields().collect();
                let names = fields.iter().map(|(name, ..)| name.as_str()).collect();
                for (name, value, is_text) in &fields {
                    if let Some(name) = name_beside_ours(name, *is_text, &names) {
                        field(&name, &json(value)?)?;
                    }
                }
                return Ok(head);
            }
            Frame::Paragraph { .. } | Frame::Line { .. } => field("line", &record.number.to_string())?,
            Frame::Memory | Frame::Markup(_) => {
                if let Some(id) = &record.id {
                    field("id", &json(id)?)?;
                }
            }
        }
        if let Ok(text) = &record.text {
            field("text", &json(text)?)?;
        }
        if let Some(reference) = &record.reference {
            field("reference", &json(reference)?)?;
        }
        Ok(head)
    }
}

impl RecordWriter for Writer<'_> {
    fn write(&mut self, record: &Record, outcome: Result<&Document, &Error>) -> Result<()> {
        if record.is_between() {
            return Ok(());
        }
        let mut line = self.head(record, outcome.is_err())?;
        let text = record.text.as_deref().unwrap_or_default();
        let own = match outcome {
            Ok(document) => json(&Translated::new(text, document, &self.options))?,
            Err(error) => json(&Failed { error: Failure { kind: error.kind().name(), message: error.to_string() } })?,
        };
        if line.len() > 1 {
            line.push(',');
        }
        line.push_str(&own[1..]);
        line.push('\n');
        self.output.put(&line)
    }

    fn flush(&mut self) -> Result<()> {
        self.output.flush()
    }

    fn finish(&mut self) -> Result<()> {
        self.output.flush()
    }
}

/// What a record's field is called in the object: nothing where a field of ours takes its place, unless it is the text.
fn name_beside_ours<'n>(name: &'n str, is_text: bool, names: &HashSet<&str>) -> Option<Cow<'n, str>> {
    match (OWN_FIELDS.contains(&name), is_text) {
        (false, _) => Some(name.into()),
        (true, true) => Some(name_of_text(names).into()),
        (true, false) => None,
    }
}

/// What the text is called where its own name is needed for something else: `text`, or the first of `text2`, `text3` …
/// that no other field has.
fn name_of_text(names: &HashSet<&str>) -> String {
    let mut name = "text".to_owned();
    let mut number = 2;
    while names.contains(name.as_str()) {
        name = format!("text{number}");
        number += 1;
    }
    name
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::new(ErrorKind::Internal, format!("cannot write JSON: {error}")).with_source(error))
}

#[derive(Serialize)]
struct Failed {
    error: Failure,
}

#[derive(Serialize)]
struct Failure {
    kind: &'static str,
    message: String,
}

/// What a translation adds to its record.
#[derive(Serialize)]
struct Translated<'a> {
    translation: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sentences: Option<Vec<TranslatedSentence<'a>>>,
}

#[derive(Serialize)]
struct TranslatedSentence<'a> {
    source: &'a str,
    source_span: Span,
    target: &'a str,
    target_span: Span,
    score: f32,
    confidence: Probability,
    source_tokens: Vec<Span>,
    target_tokens: Vec<Span>,
    /// `[source word, target word, probability]`
    alignment: Vec<(usize, usize, Probability)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    null_probabilities: Vec<Probability>,
    #[serde(skip_serializing_if = "<[f32]>::is_empty")]
    token_scores: &'a [f32],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    token_confidences: Vec<Probability>,
    flags: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flag_details: Vec<FlagDetail<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    n_best: Vec<Hypothesis<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pieces: Option<Pieces<'a>>,
}

#[derive(Serialize)]
struct FlagDetail<'a> {
    kind: &'static str,
    reason: &'a str,
    source: Vec<Span>,
    target: Vec<Span>,
}

#[derive(Serialize)]
struct Hypothesis<'a> {
    target: &'a str,
    score: f32,
}

#[derive(Serialize)]
struct Pieces<'a> {
    source: Vec<Span>,
    target: Vec<Span>,
    scores: &'a [f32],
    attention: Vec<Vec<Probability>>,
}

/// A probability, written with four decimals: more would be noise, and makes a file several times as long.
struct Probability(f32);

impl Serialize for Probability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f32((self.0 * 10_000.0).round() / 10_000.0)
    }
}

impl<'a> Translated<'a> {
    fn new(text: &str, document: &'a Document, options: &'a WriteOptions) -> Self {
        let sentences = options.sentences.then(|| {
            let source = Index::new(text, options.offsets);
            let target = Index::new(&document.text, options.offsets);
            document.sentences.iter().map(|sentence| translated(sentence, &source, &target, options.offsets)).collect()
        });
        Translated { translation: &document.text, model: &options.model, sentences }
    }
}

fn translated<'a>(
    sentence: &'a Sentence,
    source_text: &Index<'_>,
    target_text: &Index<'_>,
    unit: Offsets,
) -> TranslatedSentence<'a> {
    let source = Index::new(&sentence.source, unit);
    let target = Index::new(&sentence.target, unit);
    let spans = |index: &Index<'_>, spans: &[Span]| spans.iter().map(|&span| index.convert(span)).collect::<Vec<_>>();
    let pieces = |pieces: &'a SentencePieces| Pieces {
        source: spans(&source, &pieces.source),
        target: spans(&target, &pieces.target),
        scores: &pieces.log_probs,
        attention: pieces.attention.iter().map(|row| row.iter().map(|&share| Probability(share)).collect()).collect(),
    };
    let hypothesis = |candidate: &'a Candidate| Hypothesis { target: &candidate.target, score: candidate.score };
    TranslatedSentence {
        source: &sentence.source,
        source_span: source_text.convert(sentence.source_span),
        target: &sentence.target,
        target_span: target_text.convert(sentence.target_span),
        score: sentence.score,
        confidence: Probability(sentence.confidence),
        source_tokens: spans(&source, &sentence.source_words),
        target_tokens: spans(&target, &sentence.target_words),
        alignment: sentence
            .alignment
            .links
            .iter()
            .map(|link| (link.source, link.target, Probability(link.probability)))
            .collect(),
        null_probabilities: sentence.alignment.null.iter().map(|&share| Probability(share)).collect(),
        token_scores: &sentence.word_log_probs,
        token_confidences: sentence.word_confidences.iter().map(|&confidence| Probability(confidence)).collect(),
        flags: sentence.flags.iter().map(|flag| flag.kind.name()).collect(),
        flag_details: sentence
            .flags
            .iter()
            .map(|flag| FlagDetail {
                kind: flag.kind.name(),
                reason: &flag.reason,
                source: spans(&source, &flag.source),
                target: spans(&target, &flag.target),
            })
            .collect(),
        n_best: sentence.n_best.iter().map(hypothesis).collect(),
        pieces: sentence.pieces.as_ref().map(pieces),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::flags::{Flag, FlagKind};
    use crate::format::tests::{capitals, convert, convert_default, records};
    use crate::format::{Format, writer};

    fn outcomes(input: &[u8], options: &ReadOptions) -> Vec<Result<String, String>> {
        let records = records(Format::Jsonl, input, options).unwrap();
        records.into_iter().map(|record| record.text.map_err(|error| error.to_string())).collect()
    }

    #[test]
    fn other_fields_stay_as_they_are_and_in_order() {
        let input =
            r#"{"z": 1.50e3, "text": "a", "n": 123456789012345678901234567890, "l": [1,  null], "é": "\u00e9"}"#;
        let output = convert_default(input, Format::Jsonl, Format::Jsonl);
        assert!(
            output.starts_with(
                r#"{"z":1.50e3,"text":"a","n":123456789012345678901234567890,"l":[1,  null],"é":"\u00e9","translation":"A""#
            ),
            "{output}"
        );
        assert!(output.ends_with("}\n"));
    }

    #[test]
    fn the_record_is_as_documented() {
        let options = WriteOptions { model: "tarjim-ar-en".to_owned(), ..WriteOptions::default() };
        let output =
            convert(b"{\"text\":\"a b. c\"}", Format::Jsonl, Format::Jsonl, &ReadOptions::default(), &options).unwrap();
        assert_eq!(
            output,
            concat!(
                r#"{"text":"a b. c","translation":"A B. C","model":"tarjim-ar-en","sentences":["#,
                r#"{"source":"a b. c","source_span":[0,6],"target":"A B. C","target_span":[0,6],"score":-0.5,"confidence":0.5,"#,
                r#""source_tokens":[[0,1],[2,4],[5,6]],"target_tokens":[[0,1],[2,4],[5,6]],"#,
                r#""alignment":[[0,0,0.75],[1,1,0.75],[2,2,0.75]],"null_probabilities":[0.25,0.25,0.25],"flags":[]}]}"#,
                "\n"
            )
        );
    }

    #[test]
    fn offsets_in_characters_and_utf16() {
        let spans = |offsets: Offsets| {
            let options = WriteOptions { offsets, ..WriteOptions::default() };
            let input = r#"{"text":"مرحبا 😀 x"}"#;
            let output = convert(input.as_bytes(), Format::Jsonl, Format::Jsonl, &ReadOptions::default(), &options);
            let value: serde_json::Value = serde_json::from_str(&output.unwrap()).unwrap();
            value["sentences"][0]["source_tokens"].to_string()
        };
        assert_eq!(spans(Offsets::Bytes), "[[0,10],[11,15],[16,17]]");
        assert_eq!(spans(Offsets::Chars), "[[0,5],[6,7],[8,9]]");
        assert_eq!(spans(Offsets::Utf16), "[[0,5],[6,8],[9,10]]");
    }

    #[test]
    fn bad_records_are_records() {
        let input = b"{\"text\":\"a\"}\n\n[1]\n{\"id\":3}\n{\"text\":4}\n{\"text\":\"\\ud800\"}\n{\"text\":\"b\"\n\xff\n{\"text\":\"c\"}";
        let found = outcomes(input, &ReadOptions::default());
        assert_eq!(found.len(), 8);
        assert_eq!(found[0], Ok("a".to_owned()));
        assert!(found[1].as_ref().unwrap_err().starts_with("test: line 3: not a JSON object: "), "{:?}", found[1]);
        assert_eq!(found[2], Err("test: line 4: no field `text`".to_owned()));
        assert!(found[3].as_ref().unwrap_err().starts_with("test: line 5: field `text` is no text: "));
        assert!(found[4].is_err() && found[5].is_err());
        assert!(found[6].as_ref().unwrap_err().contains("not UTF-8: byte 0xff at byte"));
        assert_eq!(found[7], Ok("c".to_owned()));

        let output =
            convert(input, Format::Jsonl, Format::Jsonl, &ReadOptions::default(), &WriteOptions::default()).unwrap();
        let lines: Vec<&str> = output.lines().collect();
        assert_eq!(lines.len(), 8);
        assert_eq!(lines[2], r#"{"id":3,"error":{"kind":"invalid-input","message":"test: line 4: no field `text`"}}"#);
        assert!(lines[1].starts_with(r#"{"error":{"kind":"invalid-input","message":"test: line 3"#));
    }

    #[test]
    fn own_fields_are_replaced_but_not_the_text() {
        let input = r#"{"translation":"old","error":{},"text":"a","model":1}"#;
        let output = convert_default(input, Format::Jsonl, Format::Jsonl);
        assert!(output.starts_with(r#"{"text":"a","translation":"A","#), "{output}");
    }

    #[test]
    fn no_name_comes_twice_and_the_text_is_never_lost() {
        let object = |input: &str, name: &str| {
            let read = ReadOptions { text_field: name.to_owned(), ..ReadOptions::default() };
            let write = WriteOptions { text_field: name.to_owned(), sentences: false, ..WriteOptions::default() };
            convert(input.as_bytes(), Format::Jsonl, Format::Jsonl, &read, &write).unwrap()
        };
        for name in OWN_FIELDS {
            let output = object(&format!(r#"{{"{name}":"a","id":9}}"#), name);
            assert_eq!(output, "{\"text\":\"a\",\"id\":9,\"translation\":\"A\"}\n");
            let output = object(&format!(r#"{{"{name}":5,"id":9}}"#), name);
            assert!(output.starts_with(r#"{"text":5,"id":9,"error":{"kind""#), "{output}");
        }
        let output = object(r#"{"text":1,"text2":2,"translation":"a"}"#, "translation");
        assert_eq!(output, "{\"text\":1,\"text2\":2,\"text3\":\"a\",\"translation\":\"A\"}\n");
        let output = object(r#"{"z":1,"text":"a","y":2,"text":"b","z":3}"#, "text");
        assert_eq!(output, "{\"y\":2,\"text\":\"b\",\"z\":3,\"translation\":\"B\"}\n");
    }

    #[test]
    fn a_translation_that_is_there_is_read() {
        let read = ReadOptions { reference_field: Some("translation".to_owned()), ..ReadOptions::default() };
        let input =
            b"{\"text\":\"a\",\"translation\":\"b\"}\n{\"text\":\"a\"}\n{\"text\":1,\"translation\":\"b\",\"model\":1}";
        let found = records(Format::Jsonl, input, &read).unwrap();
        assert_eq!((found[0].text.as_deref().unwrap(), found[0].reference.as_deref()), ("a", Some("b")));
        assert_eq!(found[1].text.as_ref().unwrap_err().to_string(), "test: line 2: no field `translation`");
        let output = convert(input, Format::Jsonl, Format::Jsonl, &read, &WriteOptions::default()).unwrap();
        let failed = output.lines().nth(2).unwrap();
        assert!(failed.starts_with(r#"{"text":1,"translation":"b","error":{"#), "{failed}");
    }

    #[test]
    fn flags_n_best_and_pieces() {
        let mut document = capitals("abc");
        let sentence = &mut document.sentences[0];
        sentence.flags = vec![Flag {
            kind: FlagKind::Split,
            reason: "too long".to_owned(),
            source: vec![Span::new(0, 3)],
            target: Vec::new(),
        }];
        sentence.n_best = vec![Candidate { target: "ABC".to_owned(), score: -0.25 }];
        sentence.word_log_probs = vec![-1.5];
        sentence.word_confidences = vec![0.9];
        sentence.pieces = Some(SentencePieces {
            source: vec![Span::new(0, 3)],
            target: vec![Span::new(0, 3)],
            log_probs: vec![-1.5],
            attention: vec![vec![0.999_96, 0.000_04]],
        });
        let mut output = Vec::new();
        let mut writer = writer(Format::Jsonl, Box::new(&mut output), &WriteOptions::default()).unwrap();
        writer.write(&Record::new(1, "abc"), Ok(&document)).unwrap();
        writer.finish().unwrap();
        drop(writer);
        let output = String::from_utf8(output).unwrap();
        for part in [
            r#""line":1,"text":"abc""#,
            r#""flags":["split"],"flag_details":[{"kind":"split","reason":"too long","source":[[0,3]],"target":[]}]"#,
            r#""n_best":[{"target":"ABC","score":-0.25}]"#,
            r#""token_scores":[-1.5],"token_confidences":[0.9]"#,
            r#""pieces":{"source":[[0,3]],"target":[[0,3]],"scores":[-1.5],"attention":[[1.0,0.0]]}"#,
        ] {
            assert!(output.contains(part), "{part} in {output}");
        }
    }

    #[test]
    fn running_text_becomes_records_without_its_blank_lines() {
        let output = convert_default("a\n\nb\n", Format::Text, Format::Jsonl);
        assert_eq!(output.lines().count(), 2);
        assert!(output.lines().nth(1).unwrap().starts_with(r#"{"line":3,"text":"b","translation":"B""#));
        assert_eq!(convert_default("a\n\nb\n", Format::Lines, Format::Jsonl).lines().count(), 3);
    }

    proptest! {
        #[test]
        fn any_line_is_one_record(line in "[\\PC\"{}:,\\\\]{0,60}") {
            let found = outcomes(line.as_bytes(), &ReadOptions::default());
            prop_assert_eq!(found.len(), usize::from(!line.trim().is_empty()));
        }

        #[test]
        fn any_text_comes_through(text in "(\\PC|[\\n\\t\"\\\\]){0,40}") {
            let input = format!("{{\"text\":{}}}", serde_json::to_string(&text).unwrap());
            prop_assert_eq!(outcomes(input.as_bytes(), &ReadOptions::default()), vec![Ok(text)]);
        }
    }
}

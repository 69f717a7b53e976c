//! Translation memories in TMX 1.4: written from any format, read for translation and for the alignment of the pairs
//! that are in them.
//!
//! Source: the TMX 1.4b specification (LISA OSCAR, 2005).

use std::io::Read;

use super::xml::{Kind, NodeReader, Tag, escape, escape_attribute};
use super::{Frame, Output, ReadOptions, Record, RecordReader, RecordWriter, WriteOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::translation::Document;

/// Reads a record per unit: the Arabic, and the English as its reference where there is one.
pub(super) struct Reader<'a> {
    nodes: NodeReader<'a>,
    longest: usize,
    number: u64,
    is_memory: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: Box<dyn Read + Send + 'a>, name: &str, options: &ReadOptions) -> Self {
        Reader {
            nodes: NodeReader::new(input, name, options.longest_record),
            longest: options.longest_record,
            number: 0,
            is_memory: false,
        }
    }

    /// The unit whose start tag has just been read.
    fn unit(&mut self, tag: &Tag) -> Result<Record> {
        self.number += 1;
        let mut arabic = None;
        let mut english = None;
        let mut language = String::new();
        let mut segment: Option<String> = None;
        // Inside an element that holds codes of the original format, not text.
        let mut codes = 0_usize;
        let mut size = 0;
        loop {
            let Some(node) = self.nodes.next_node()? else {
                return Err(self.nodes.invalid("the file ends inside a unit"));
            };
            size += node.written.len();
            if size > self.longest {
                return Err(self.nodes.invalid(&format!("the unit has more than {} bytes", self.longest)));
            }
            match node.kind {
                Kind::Start(tag) => match tag.name() {
                    _ if codes > 0 => codes += 1,
                    "tuv" => {
                        language = primary(tag.attribute("xml:lang").or(tag.attribute("lang")).unwrap_or_default());
                    }
                    "seg" => segment = Some(String::new()),
                    "bpt" | "ept" | "ph" | "it" | "ut" if segment.is_some() => codes += 1,
                    _ => {}
                },
                Kind::Empty(tag) if codes == 0 && tag.name() == "seg" => match language.as_str() {
                    "ar" => arabic = arabic.or(Some(String::new())),
                    "en" => english = english.or(Some(String::new())),
                    _ => {}
                },
                Kind::Text(text) if codes == 0 => {
                    if let Some(segment) = &mut segment {
                        segment.push_str(&text);
                    }
                }
                Kind::End(_) if codes > 0 => codes -= 1,
                Kind::End(name) => match super::xml::local(&name) {
                    "seg" => match language.as_str() {
                        "ar" if arabic.is_none() => arabic = segment.take(),
                        "en" if english.is_none() => english = segment.take(),
                        _ => segment = None,
                    },
                    "tu" => break,
                    _ => {}
                },
                _ => {}
            }
        }
        Ok(self.record(tag, arabic, english))
    }

    /// The record of a unit with its two sides, as far as it has them.
    fn record(&self, tag: &Tag, arabic: Option<String>, english: Option<String>) -> Record {
        let place = format!("{}: unit {}", self.nodes.name(), self.number);
        let text = arabic.ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "no Arabic variant")
                .at(&place)
                .with_hint("a `tuv` has `xml:lang=\"ar\"`")
        });
        let id = tag.attribute("tuid").map(str::to_owned);
        Record { number: self.number, place, id, text, reference: english, frame: Frame::Memory }
    }
}

/// `ar` of `ar-EG`.
pub(super) fn primary(language: &str) -> String {
    language.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase()
}

impl RecordReader for Reader<'_> {
    fn next_record(&mut self) -> Result<Option<Record>> {
        while let Some(node) = self.nodes.next_node()? {
            match node.kind {
                Kind::Start(tag) if tag.name() == "tmx" => self.is_memory = true,
                Kind::Start(tag) if tag.name() == "tu" && self.is_memory => {
                    return self.unit(&tag).map(Some);
                }
                Kind::Empty(tag) if tag.name() == "tu" && self.is_memory => {
                    self.number += 1;
                    return Ok(Some(self.record(&tag, None, None)));
                }
                Kind::Start(tag) if !self.is_memory => {
                    let message =
                        format!("the file is no translation memory: its root is `{}`, not `tmx`", tag.full_name);
                    return Err(self.nodes.invalid(&message));
                }
                _ => {}
            }
        }
        if self.is_memory { Ok(None) } else { Err(self.nodes.invalid("the file is empty, not a translation memory")) }
    }

    fn is_ready(&self) -> bool {
        // Files are read as fast as they are asked for.
        true
    }
}

/// Writes a unit per sentence, and one for a record that has none.
pub(super) struct Writer<'a> {
    output: Output<'a>,
    model: String,
    has_begun: bool,
}

impl<'a> Writer<'a> {
    pub(super) fn new(output: Output<'a>, options: &WriteOptions) -> Self {
        Writer { output, model: options.model.clone(), has_begun: false }
    }

    fn begin(&mut self) -> Result<()> {
        if self.has_begun {
            return Ok(());
        }
        self.has_begun = true;
        let version = env!("CARGO_PKG_VERSION");
        self.output.put(&format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<tmx version=\"1.4\">\n  <header creationtool=\"tarjim\" \
             creationtoolversion=\"{version}\" segtype=\"sentence\" o-tmf=\"tarjim\" adminlang=\"en\" srclang=\"ar\" \
             datatype=\"plaintext\">\n"
        ))?;
        if !self.model.is_empty() {
            self.output.put(&format!("    <prop type=\"x-model\">{}</prop>\n", escape(&self.model)))?;
        }
        self.output.put("  </header>\n  <body>\n")
    }

    fn unit(&mut self, id: &str, properties: &[(&str, String)], source: &str, target: Option<&str>) -> Result<()> {
        self.output.put(&format!("    <tu tuid=\"{}\">\n", escape_attribute(id)))?;
        for (name, value) in properties {
            self.output.put(&format!("      <prop type=\"{name}\">{}</prop>\n", escape(value)))?;
        }
        self.output.put(&format!("      <tuv xml:lang=\"ar\"><seg>{}</seg></tuv>\n", escape(source)))?;
        if let Some(target) = target {
            self.output.put(&format!("      <tuv xml:lang=\"en\"><seg>{}</seg></tuv>\n", escape(target)))?;
        }
        self.output.put("    </tu>\n")
    }
}

impl RecordWriter for Writer<'_> {
    fn write(&mut self, record: &Record, outcome: Result<&Document, &Error>) -> Result<()> {
        self.begin()?;
        if record.is_between() {
            return Ok(());
        }
        let id = record.id.clone().unwrap_or_else(|| record.number.to_string());
        match outcome {
            // A text of spaces, or of nothing, is a unit as well.
            Ok(document) if document.sentences.is_empty() => {
                let source = record.text.as_deref().unwrap_or_default();
                self.unit(&id, &[], source, Some(&document.text))
            }
            Ok(document) => {
                for (index, sentence) in document.sentences.iter().enumerate() {
                    let id = if document.sentences.len() == 1 { id.clone() } else { format!("{id}.{}", index + 1) };
                    let mut properties = vec![("x-score", sentence.score.to_string())];
                    if !sentence.flags.is_empty() {
                        let names: Vec<&str> = sentence.flags.iter().map(|flag| flag.kind.name()).collect();
                        properties.push(("x-flags", names.join(",")));
                    }
                    self.unit(&id, &properties, &sentence.source, Some(&sentence.target))?;
                }
                Ok(())
            }
            Err(error) => {
                let properties = [("x-error", error.to_string())];
                self.unit(&id, &properties, record.text.as_deref().unwrap_or_default(), None)
            }
        }
    }

    fn flush(&mut self) -> Result<()> {
        self.output.flush()
    }

    fn finish(&mut self) -> Result<()> {
        self.begin()?;
        self.output.put("  </body>\n</tmx>\n")?;
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;
    use crate::format::tests::{convert_default, records};

    const MEMORY: &str = r#"<?xml version="1.0"?><!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4"><header srclang="ar"/><body>
<tu tuid="one"><note>n</note><tuv xml:lang="en-GB"><seg>Tea &amp; <hi>bread</hi></seg></tuv>
  <tuv xml:lang="AR-EG"><prop type="x">p</prop><seg>شاي <bpt i="1">{b}<sub>x</sub></bpt>وخبز<ept i="1">{/b}</ept></seg></tuv></tu>
<tu><tuv xml:lang="fr"><seg>thé</seg></tuv></tu>
<tu><tuv lang="ar"><seg>ثلاثة</seg></tuv></tu>
</body></tmx>"#;

    #[test]
    fn units_are_records() {
        let found = records(Format::Tmx, MEMORY.as_bytes(), &ReadOptions::default()).unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].text.as_deref().unwrap(), "شاي وخبز");
        assert_eq!(found[0].reference.as_deref(), Some("Tea & bread"));
        assert_eq!(found[0].id.as_deref(), Some("one"));
        assert_eq!(found[1].text.as_ref().unwrap_err().to_string(), "test: unit 2: no Arabic variant");
        assert_eq!((found[2].text.as_deref().unwrap(), found[2].reference.as_deref()), ("ثلاثة", None));
    }

    #[test]
    fn what_is_written_can_be_read() {
        let written = convert_default("a <b> & c\u{1}. d\n\ne\n", Format::Text, Format::Tmx);
        let found = records(Format::Tmx, written.as_bytes(), &ReadOptions::default()).unwrap();
        let pairs: Vec<(&str, &str)> = found
            .iter()
            .map(|record| (record.text.as_deref().unwrap(), record.reference.as_deref().unwrap()))
            .collect();
        assert_eq!(pairs, [("a <b> & c .", "A <B> & C ."), ("d", "D"), ("e", "E")]);
        assert_eq!(found[1].id.as_deref(), Some("1.2"));
        assert_eq!(found[2].id.as_deref(), Some("3"));
        assert!(convert_default("", Format::Text, Format::Tmx).ends_with("<body>\n  </body>\n</tmx>\n"));
    }

    #[test]
    fn a_record_without_text_keeps_its_unit() {
        let written =
            convert_default("{\"text\":\"\"}\n{\"text\":\" \"}\n{\"text\":\"a\"}\n", Format::Jsonl, Format::Tmx);
        let texts = |written: &str| -> Vec<(String, String)> {
            let found = records(Format::Tmx, written.as_bytes(), &ReadOptions::default()).unwrap();
            found.into_iter().map(|record| (record.text.unwrap(), record.reference.unwrap())).collect()
        };
        assert_eq!(texts(&written).len(), 3, "{written}");
        assert_eq!(texts(&written)[2], ("a".to_owned(), "A".to_owned()));
        assert_eq!(texts(&convert_default(&written, Format::Tmx, Format::Tmx)), texts(&written));
        let odd =
            "<tmx><body><tu><tuv xml:lang=\"ar\"><seg/></tuv></tu><tu/><tu><tuv xml:lang=\"ar\"/></tu></body></tmx>";
        let written = convert_default(odd, Format::Tmx, Format::Tmx);
        assert_eq!(records(Format::Tmx, written.as_bytes(), &ReadOptions::default()).unwrap().len(), 3, "{written}");
        assert_eq!(written.matches("x-error").count(), 2, "{written}");
    }

    #[test]
    fn an_error_keeps_its_unit() {
        let written = convert_default(MEMORY, Format::Tmx, Format::Tmx);
        assert!(written.contains("<prop type=\"x-error\">test: unit 2: no Arabic variant</prop>"), "{written}");
    }

    #[test]
    fn other_files_are_refused() {
        for input in ["<html></html>", "", "plain text"] {
            let error = records(Format::Tmx, input.as_bytes(), &ReadOptions::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{input}");
        }
        let options = ReadOptions { longest_record: 100, ..ReadOptions::default() };
        let long = format!("<tmx><tu>{}", "<x/>".repeat(100));
        let error = records(Format::Tmx, long.as_bytes(), &options).unwrap_err();
        assert!(error.to_string().contains("the unit has more than 100 bytes"), "{error}");
    }
}

//! XLIFF 1.2 and 2.x: the targets of the units are filled in, everything else stays byte for byte.
//!
//! Sources: XLIFF 1.2 (OASIS, 2008) and XLIFF 2.1 (OASIS, 2018). Units that are not for translation, and those that
//! have a target already, are passed through. Inline elements are kept, in their order.

use std::io::Read;

use super::markup::{Filled, InlineKind, InlineTag, Unit, set_attribute};
use super::tmx::primary;
use super::xml::{Kind, Node, NodeReader, Tag, local};
use super::{Frame, ReadOptions, Record, RecordReader};
use crate::error::Result;

/// Reads a record per `trans-unit` (1.2) or `segment` (2.x) that wants a translation.
pub(super) struct Reader<'a> {
    nodes: NodeReader<'a>,
    longest: usize,
    number: u64,
    version: Option<Version>,
    /// For each open element, whether its content is for translation, and the id of its unit.
    open: Vec<(bool, Option<String>)>,
    /// What was read since the last unit.
    lead: String,
    is_at_end: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: Box<dyn Read + Send + 'a>, name: &str, options: &ReadOptions) -> Self {
        Reader {
            nodes: NodeReader::new(input, name, options.longest_record),
            longest: options.longest_record,
            number: 0,
            version: None,
            open: Vec::new(),
            lead: String::new(),
            is_at_end: false,
        }
    }

    /// Takes note of an element outside the units, and gives it as it is to be written.
    fn enter(&mut self, tag: &Tag, node: Node) -> Result<String> {
        let mut written = node.written;
        if self.version.is_none() {
            self.version = Some(self.root(tag)?);
        }
        let (source, target) = match (self.version, tag.name()) {
            (Some(Version::One), "file") => ("source-language", "target-language"),
            (Some(Version::Two), "xliff") => ("srcLang", "trgLang"),
            _ => ("", ""),
        };
        if !target.is_empty() {
            for (attribute, wanted) in [(source, "ar"), (target, "en")] {
                match tag.attribute(attribute) {
                    Some(language) if primary(language) != wanted => {
                        let message = format!("`{attribute}` is `{language}`, and tarjim translates from `ar` to `en`");
                        return Err(self.nodes.invalid(&message));
                    }
                    None if attribute == target => set_attribute(&mut written, target, "en"),
                    Some(_) | None => {}
                }
            }
        }
        if matches!(node.kind, Kind::Start(_)) {
            let (inherited, id) = self.open.last().cloned().unwrap_or((true, None));
            let translate = tag.attribute("translate").map_or(inherited, |value| value != "no");
            let id = if tag.name() == "unit" { tag.attribute("id").map(str::to_owned) } else { id };
            self.open.push((translate, id));
        }
        Ok(written)
    }

    fn root(&self, tag: &Tag) -> Result<Version> {
        let version = tag.attribute("version").unwrap_or_default();
        match (tag.name(), version.split('.').next()) {
            ("xliff", Some("1")) => Ok(Version::One),
            ("xliff", Some("2")) => Ok(Version::Two),
            ("xliff", _) => Err(self.nodes.invalid(&format!("XLIFF of version `{version}`: 1.2 and 2.x are known"))),
            _ => {
                Err(self.nodes.invalid(&format!("the file is no XLIFF: its root is `{}`, not `xliff`", tag.full_name)))
            }
        }
    }

    /// The unit whose start tag is `start`, if it wants a translation; else it is passed through.
    fn unit(&mut self, tag: &Tag, start: Node) -> Result<Option<Record>> {
        let mut nodes = vec![start];
        let mut size = 0;
        let mut depth = 1_usize;
        while depth > 0 {
            let Some(node) = self.nodes.next_node()? else {
                return Err(self.nodes.invalid("the file ends inside a unit"));
            };
            size += node.written.len();
            if size > self.longest {
                return Err(self.nodes.invalid(&format!("the unit has more than {} bytes", self.longest)));
            }
            match node.kind {
                Kind::Start(_) => depth += 1,
                Kind::End(_) => depth -= 1,
                _ => {}
            }
            nodes.push(node);
        }
        let version = self.version.unwrap_or(Version::One);
        let translate =
            tag.attribute("translate").map_or(self.open.last().is_none_or(|open| open.0), |value| value != "no");
        let original: String = nodes.iter().map(|node| node.written.as_str()).collect();
        let Some((text, filled)) = translate.then(|| fill(version, &nodes)).flatten() else {
            self.pass(&original)?;
            return Ok(None);
        };
        self.number += 1;
        let id = match (version, self.open.last().and_then(|open| open.1.as_deref()), tag.attribute("id")) {
            (Version::Two, Some(unit), Some(segment)) => Some(format!("{unit}/{segment}")),
            (Version::Two, Some(unit), None) => Some(unit.to_owned()),
            (_, _, id) => id.map(str::to_owned),
        };
        let place = match &id {
            Some(id) => format!("{}: unit `{id}`", self.nodes.name()),
            None => format!("{}: unit {}", self.nodes.name(), self.number),
        };
        let unit = Unit { lead: std::mem::take(&mut self.lead), original, filled: Some(filled) };
        let frame = Frame::Markup(unit);
        Ok(Some(Record { number: self.number, place, id, text: Ok(text), reference: None, frame }))
    }

    /// Keeps `written` for the lead of the next unit.
    fn pass(&mut self, written: &str) -> Result<()> {
        if self.lead.len() + written.len() > self.longest.max(1 << 20) * 4 {
            let message = "too much markup without a unit that wants a translation";
            return Err(self.nodes.invalid(message));
        }
        self.lead.push_str(written);
        Ok(())
    }

    /// The end of the file, as a record without text.
    fn end(&mut self) -> Result<Record> {
        if self.version.is_none() {
            return Err(self.nodes.invalid("the file is empty, not XLIFF"));
        }
        self.is_at_end = true;
        Ok(Record::between(self.number + 1, self.nodes.place(), std::mem::take(&mut self.lead)))
    }
}

impl RecordReader for Reader<'_> {
    fn next_record(&mut self) -> Result<Option<Record>> {
        while !self.is_at_end {
            let Some(node) = self.nodes.next_node()? else {
                return self.end().map(Some);
            };
            let unit_name = if self.version == Some(Version::Two) { "segment" } else { "trans-unit" };
            match &node.kind {
                Kind::Start(tag) if self.version.is_some() && tag.name() == unit_name => {
                    let tag = tag.clone();
                    if let Some(record) = self.unit(&tag, node)? {
                        return Ok(Some(record));
                    }
                }
                Kind::Start(tag) | Kind::Empty(tag) => {
                    let tag = tag.clone();
                    let written = self.enter(&tag, node)?;
                    self.pass(&written)?;
                }
                kind => {
                    if matches!(kind, Kind::End(_)) {
                        self.open.pop();
                    }
                    self.pass(&node.written)?;
                }
            }
        }
        Ok(None)
    }

    fn is_ready(&self) -> bool {
        true
    }
}

/// The text of a unit and the unit around its translation; `None` if there is nothing to translate or a translation is
/// there already.
fn fill(version: Version, nodes: &[Node]) -> Option<(String, Filled)> {
    let children = children(nodes);
    let child = |name: &str| children.iter().find(|child| child.name == name);
    let source = child("source")?;
    let (text, tags) = content(&nodes[source.start + 1..source.end]);
    if text.trim().is_empty() {
        return None;
    }
    let target = child("target");
    if target.is_some_and(|target| !content(inner(nodes, target)).0.trim().is_empty()) {
        return None;
    }
    // The target comes behind the source, or behind its segmentation, which 1.2 puts between the two.
    let end = child("seg-source").unwrap_or(source).end + 1;
    let (before, after) = target.map_or((end, end), |target| (target.start, target.end + 1));
    let mut head = String::new();
    for (index, node) in nodes[..before].iter().enumerate() {
        let mut written = node.written.clone();
        if index == 0 && version == Version::Two {
            set_attribute(&mut written, "state", "translated");
        }
        head.push_str(&written);
    }
    if target.is_none()
        && let Some(Node { kind: Kind::Text(indentation), .. }) = source.start.checked_sub(1).map(|at| &nodes[at])
        && indentation.trim().is_empty()
    {
        head.push_str(indentation);
    }
    let Kind::Start(source_tag) = &nodes[source.start].kind else {
        return None;
    };
    let prefix = source_tag.full_name.strip_suffix("source").unwrap_or_default();
    let state = match version {
        Version::One => " state=\"needs-review-translation\" state-qualifier=\"mt-suggestion\"",
        Version::Two => "",
    };
    for part in ["<", prefix, "target", state, ">"] {
        head.push_str(part);
    }
    let mut tail = format!("</{prefix}target>");
    for node in &nodes[after..] {
        tail.push_str(&node.written);
    }
    Some((text, Filled { head, tail, tags }))
}

/// A direct child of a unit: from its start tag to its end tag.
struct Child<'a> {
    name: &'a str,
    start: usize,
    end: usize,
}

fn children(nodes: &[Node]) -> Vec<Child<'_>> {
    let mut children = Vec::new();
    let mut depth = 0_usize;
    let mut start = 0;
    for (index, node) in nodes.iter().enumerate() {
        match &node.kind {
            Kind::Start(_) => {
                depth += 1;
                if depth == 2 {
                    start = index;
                }
            }
            Kind::Empty(tag) if depth == 1 => children.push(Child { name: tag.name(), start: index, end: index }),
            Kind::End(name) => {
                if depth == 2 {
                    children.push(Child { name: local(name), start, end: index });
                }
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
    }
    // An empty `<source/>` has no content to take.
    children.retain(|child| child.name != "source" || child.end > child.start);
    children
}

fn inner<'a>(nodes: &'a [Node], child: &Child<'_>) -> &'a [Node] {
    if child.end > child.start { &nodes[child.start + 1..child.end] } else { &[] }
}

/// The text of `nodes` and the tags in it. Elements whose content is the code of another format are one tag.
fn content(nodes: &[Node]) -> (String, Vec<InlineTag>) {
    let mut text = String::new();
    let mut tags: Vec<InlineTag> = Vec::new();
    let mut code = 0_usize;
    for node in nodes {
        if code > 0 {
            match node.kind {
                Kind::Start(_) => code += 1,
                Kind::End(_) => code -= 1,
                _ => {}
            }
            if let Some(tag) = tags.last_mut() {
                tag.written.push_str(&node.written);
            }
            continue;
        }
        let kind = match &node.kind {
            Kind::Text(part) => {
                text.push_str(part);
                continue;
            }
            Kind::Start(tag) => match tag.name() {
                "g" | "mrk" | "pc" => InlineKind::Open,
                _ => {
                    code = 1;
                    InlineKind::Alone
                }
            },
            Kind::End(_) => InlineKind::Close,
            Kind::Empty(_) | Kind::Other => InlineKind::Alone,
        };
        tags.push(InlineTag { at: text.len(), written: node.written.clone(), kind });
    }
    (text, tags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::format::Format;
    use crate::format::WriteOptions;
    use crate::format::tests::{convert, convert_default, records};

    const ONE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2">
  <file source-language="ar" original="a" datatype="plaintext">
    <body>
      <trans-unit id="1">
        <source>a <g id="1">b &amp; c</g> d<x id="2"/></source>
        <note>n</note>
      </trans-unit>
      <trans-unit id="2" translate="no"><source>keep</source></trans-unit>
      <trans-unit id="3"><source>done</source><target>Fertig</target></trans-unit>
      <trans-unit id="4"><source>x<ph id="1">{<sub>s</sub>}</ph> y</source><target/><alt-trans><source>o</source><target>p</target></alt-trans></trans-unit>
      <trans-unit id="5"><source> </source></trans-unit>
    </body>
  </file>
</xliff>
"#;

    #[test]
    fn version_one_is_filled_in() {
        let filled = convert_default(ONE, Format::Xliff, Format::Xliff);
        let target = r#"<target state="needs-review-translation" state-qualifier="mt-suggestion">"#;
        let expected = ONE
            .replace(r#"datatype="plaintext">"#, r#"datatype="plaintext" target-language="en">"#)
            .replace(
                "d<x id=\"2\"/></source>",
                &format!(
                    "d<x id=\"2\"/></source>\n        {target}A <g id=\"1\">B &amp; C</g> D<x id=\"2\"/></target>"
                ),
            )
            .replace(
                "y</source><target/>",
                &format!("y</source>{target}X<ph id=\"1\">{{<sub>s</sub>}}</ph> Y</target>"),
            );
        assert_eq!(filled, expected);
    }

    #[test]
    fn version_two_is_filled_in() {
        let text = r#"<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" version="2.1" srcLang="ar-EG"><file id="f">
<unit id="u"><segment id="s" state="initial"><source>a <pc id="1">b</pc><ph id="2"/></source></segment><ignorable><source> </source></ignorable>
<segment><source>c</source><target></target></segment></unit>
<unit id="v" translate="no"><segment><source>d</source></segment></unit></file></xliff>"#;
        let filled = convert_default(text, Format::Xliff, Format::Xliff);
        let expected = text
            .replace(r#"srcLang="ar-EG">"#, r#"srcLang="ar-EG" trgLang="en">"#)
            .replace(r#"state="initial""#, r#"state="translated""#)
            .replace(
                r#"<ph id="2"/></source>"#,
                r#"<ph id="2"/></source><target>A <pc id="1">B</pc><ph id="2"/></target>"#,
            )
            .replace(
                r"<segment><source>c</source><target></target>",
                r#"<segment state="translated"><source>c</source><target>C</target>"#,
            );
        assert_eq!(filled, expected);
        let found = records(Format::Xliff, text.as_bytes(), &ReadOptions::default()).unwrap();
        let ids: Vec<Option<&str>> = found[..2].iter().map(|record| record.id.as_deref()).collect();
        assert_eq!(ids, [Some("u/s"), Some("u")]);
    }

    #[test]
    fn units_without_a_translation_stay() {
        let mut reader =
            super::super::reader(Format::Xliff, Box::new(ONE.as_bytes()), "test", &ReadOptions::default()).unwrap();
        let mut output = Vec::new();
        let mut writer = super::super::writer(Format::Xliff, Box::new(&mut output), &WriteOptions::default()).unwrap();
        let error = Error::new(ErrorKind::InvalidInput, "no");
        while let Some(record) = reader.next_record().unwrap() {
            writer.write(&record, Err(&error)).unwrap();
        }
        writer.finish().unwrap();
        drop(writer);
        let expected = ONE.replace(r#"datatype="plaintext">"#, r#"datatype="plaintext" target-language="en">"#);
        assert_eq!(String::from_utf8(output).unwrap(), expected);
    }

    #[test]
    fn a_file_without_units_comes_through() {
        let text = "<xliff version='1.2'><file target-language='en'><body/></file></xliff>\n";
        assert_eq!(convert_default(text, Format::Xliff, Format::Xliff), text);
        assert_eq!(convert_default(text, Format::Xliff, Format::Jsonl), "");
    }

    #[test]
    fn records_of_other_formats() {
        let json = convert_default(ONE, Format::Xliff, Format::Jsonl);
        assert_eq!(json.lines().count(), 2);
        assert!(json.starts_with(r#"{"id":"1","text":"a b & c d","translation":"A B & C D""#), "{json}");
    }

    #[test]
    fn wrong_files_are_refused() {
        for (text, expected) in [
            ("<tmx/>", "the file is no XLIFF: its root is `tmx`"),
            ("", "the file is empty"),
            ("<xliff version='3.0'/>", "XLIFF of version `3.0`"),
            ("<xliff version='2.0' srcLang='ar' trgLang='fr'/>", "`trgLang` is `fr`"),
            ("<xliff version='1.2'><file source-language='de'/></xliff>", "`source-language` is `de`"),
            ("<xliff version='1.2'><trans-unit>", "ends inside"),
        ] {
            let options = (ReadOptions::default(), WriteOptions::default());
            let error = convert(text.as_bytes(), Format::Xliff, Format::Xliff, &options.0, &options.1).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }
}

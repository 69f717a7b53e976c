//! XML as a stream of nodes, each with the bytes that it was written in, in bounded memory.

use std::io::{BufRead, BufReader, Cursor, Read};

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

use super::line::foreign;
use crate::error::{Error, ErrorKind, Result};

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Start(Tag),
    End(String),
    Empty(Tag),
    /// Characters, with references resolved.
    Text(String),
    /// A comment, an instruction, a declaration, or a reference to an entity that only a DTD knows.
    Other,
}

/// The name and attributes of an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    /// The name with its prefix.
    pub(super) full_name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    /// The name without its prefix.
    pub(super) fn name(&self) -> &str {
        local(&self.full_name)
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A name without its prefix.
pub(super) fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

/// A node and how it was written; all `written` together are the file.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) written: String,
}

/// Reads nodes.
pub(super) struct NodeReader<'a> {
    reader: quick_xml::Reader<Tee<'a>>,
    name: String,
    buffer: Vec<u8>,
    /// Bytes read before the current node.
    offset: u64,
    depth: usize,
    is_checked: bool,
}

impl<'a> NodeReader<'a> {
    /// A reader that refuses a node of more than `longest` bytes.
    pub(super) fn new(input: Box<dyn Read + Send + 'a>, name: &str, longest: usize) -> Self {
        let tee = Tee { input: BufReader::new(input), seen: Vec::new(), longest };
        NodeReader {
            reader: quick_xml::Reader::from_reader(tee),
            name: name.to_owned(),
            buffer: Vec::new(),
            offset: 0,
            depth: 0,
            is_checked: false,
        }
    }

    /// `memory.tmx: byte 1234`
    pub(super) fn place(&self) -> String {
        format!("{}: byte {}", self.name, self.offset)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The next node; `None` at the end of the file.
    pub(super) fn next_node(&mut self) -> Result<Option<Node>> {
        if !self.is_checked {
            self.check_start()?;
        }
        self.buffer.clear();
        let event = self.reader.read_event_into(&mut self.buffer);
        let kind = match event {
            Ok(Event::Eof) if self.depth > 0 => Err("the file ends inside an element".to_owned()),
            Ok(Event::Eof) => return Ok(None),
            Ok(Event::Start(tag)) => {
                self.depth += 1;
                parse(&tag).map(Kind::Start)
            }
            Ok(Event::Empty(tag)) => parse(&tag).map(Kind::Empty),
            Ok(Event::End(tag)) => {
                self.depth = self.depth.saturating_sub(1);
                Ok(Kind::End(tag.name().0.to_owned()))
            }
            Ok(Event::Text(text)) => Ok(Kind::Text(text.to_string())),
            Ok(Event::CData(text)) => Ok(Kind::Text(text.to_string())),
            Ok(Event::GeneralRef(reference)) => match reference.resolve_char_ref() {
                Ok(Some(c)) => Ok(Kind::Text(c.to_string())),
                Ok(None) => Ok(predefined(&reference).map_or(Kind::Other, |c| Kind::Text(c.to_owned()))),
                Err(error) => Err(error.to_string()),
            },
            Ok(Event::Decl(declaration)) => match declaration.encoding() {
                Some(Ok(encoding))
                    if !encoding.eq_ignore_ascii_case("utf-8") && !encoding.eq_ignore_ascii_case("us-ascii") =>
                {
                    Err(format!("the file's encoding is `{encoding}`, and UTF-8 is needed"))
                }
                _ => Ok(Kind::Other),
            },
            Ok(Event::Comment(_) | Event::PI(_) | Event::DocType(_)) => Ok(Kind::Other),
            Err(error) => Err(error.to_string()),
        };
        let written = std::mem::take(&mut self.reader.get_mut().seen);
        let written = String::from_utf8(written).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let byte = error.as_bytes()[at];
            self.invalid(&format!("not UTF-8: byte {byte:#04x} at byte {} of the input", self.offset + at as u64))
        })?;
        let kind = kind.map_err(|message| self.invalid(&format!("not well-formed XML: {message}")))?;
        self.offset += written.len() as u64;
        Ok(Some(Node { kind, written }))
    }

    pub(super) fn invalid(&self, message: &str) -> Error {
        Error::new(ErrorKind::InvalidInput, message).at(self.place())
    }

    fn check_start(&mut self) -> Result<()> {
        self.is_checked = true;
        let head = self.reader.get_mut().input.fill_buf().map_err(|error| Error::io(&self.name, error))?;
        foreign(head).map_or(Ok(()), |error| Err(error.at(&self.name)))
    }
}

fn parse(tag: &BytesStart<'_>) -> Result<Tag, String> {
    let mut attributes = Vec::new();
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).unwrap_or(attribute.value.clone());
        attributes.push((attribute.key.0.to_owned(), value.into_owned()));
    }
    Ok(Tag { full_name: tag.name().0.to_owned(), attributes })
}

fn predefined(entity: &str) -> Option<&'static str> {
    Some(match entity {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        _ => return None,
    })
}

/// A buffered input that keeps what was consumed of it.
struct Tee<'a> {
    input: BufReader<Box<dyn Read + Send + 'a>>,
    seen: Vec<u8>,
    longest: usize,
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = Cursor::new(self.fill_buf()?).read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Tee<'_> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.seen.len() > self.longest {
            let message = format!("a piece of markup or text has more than {} bytes", self.longest);
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, message));
        }
        self.input.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.seen.extend_from_slice(&self.input.buffer()[..count]);
        self.input.consume(count);
    }
}

/// `text` with the characters escaped that XML takes for markup; those that XML forbids become spaces.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 16);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\t' | '\n' | '\r' => escaped.push(c),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push(' '),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// `value` escaped for an attribute between double quotes.
pub(super) fn escape_attribute(value: &str) -> String {
    escape(value).replace('"', "&quot;").replace(['\t', '\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nodes(input: &[u8], longest: usize) -> Result<Vec<Node>> {
        let mut reader = NodeReader::new(Box::new(input), "test", longest);
        let mut nodes = Vec::new();
        while let Some(node) = reader.next_node()? {
            nodes.push(node);
        }
        Ok(nodes)
    }

    #[test]
    fn nodes_keep_how_they_were_written() {
        let text = "\u{feff}<?xml version='1.0'?>\r\n<!DOCTYPE a [<!ENTITY e 'x'>]><a  b = 'c&amp;' ><!-- - -->t&#x645;&e;&lt;<![CDATA[<&]]><p:q/></a >\n";
        let found = nodes(text.as_bytes(), 1000).unwrap();
        let written: String = found.iter().map(|node| node.written.as_str()).collect();
        assert_eq!(written, text);
        let texts: Vec<&str> = found
            .iter()
            .filter_map(|node| if let Kind::Text(text) = &node.kind { Some(text.as_str()) } else { None })
            .collect();
        assert_eq!(texts, ["\r\n", "t", "م", "<", "<&", "\n"]);
        let tag =
            found.iter().find_map(|node| if let Kind::Start(tag) = &node.kind { Some(tag) } else { None }).unwrap();
        assert_eq!((tag.name(), tag.attribute("b")), ("a", Some("c&")));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (input, expected) in [
            (&b"<a><b></a>"[..], "test: byte 6: not well-formed XML"),
            (b"<a>", "test: byte 3: not well-formed XML: the file ends inside an element"),
            (b"<a>ab\xff</a>", "test: byte 3: not UTF-8: byte 0xff at byte 5 of the input"),
            (b"<?xml version='1.0' encoding='windows-1256'?><a/>", "the file's encoding is `windows-1256`"),
            (b"\xff\xfe<\0", "test: the input is UTF-16"),
            (b"<a b='1' b='2'/>", "not well-formed XML"),
        ] {
            let error = nodes(input, 1000).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn an_endless_node_is_refused() {
        let input = std::io::Cursor::new(b"<a>".to_vec()).chain(std::io::repeat(b'x').take(100 << 20));
        let mut reader = NodeReader::new(Box::new(input), "test", 1 << 20);
        reader.next_node().unwrap();
        let error = reader.next_node().unwrap_err();
        assert!(error.to_string().contains("more than 1048576 bytes"), "{error}");
    }

    proptest! {
        #[test]
        fn escaped_text_comes_back(text in "(\\PC|[<>&\"'\\n]){0,40}") {
            let found = nodes(format!("<a>{}</a>", escape(&text)).as_bytes(), 1000).unwrap();
            let again: String =
                found.iter().filter_map(|node| if let Kind::Text(text) = &node.kind { Some(text.as_str()) } else { None }).collect();
            prop_assert_eq!(again, text);
        }

        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(
            prop_oneof![Just(b'<'), Just(b'>'), Just(b'/'), Just(b'a'), Just(b'&'), Just(b';'), any::<u8>()], 0..60))
        {
            if let Ok(found) = nodes(&bytes, 1000) {
                let written: String = found.iter().map(|node| node.written.as_str()).collect();
                prop_assert_eq!(written.as_bytes(), &bytes[..]);
            }
        }
    }
}

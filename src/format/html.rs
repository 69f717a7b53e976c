//! HTML pages: the text is translated, the markup stays byte for byte.
//!
//! A text is what stands between two tags that are not inline (`p`, `li`, `td`, `br`, …); the inline tags in it (`a`,
//! `b`, `span`, …) go with their words. Scripts, styles, comments, and what says `translate="no"` are left alone, and
//! so are attributes, but for `lang` and `dir`, which would be wrong for English.
//!
//! The tokens are those of the HTML standard (WHATWG, 13.2.5), as far as telling text from markup needs them.

use std::io::Read;

use super::line::foreign;
use super::markup::{Filled, InlineKind, InlineTag, Unit, attribute_value, set_attribute};
use super::{Frame, ReadOptions, Record, RecordReader};
use crate::error::{Error, ErrorKind, Result};

/// Elements that stand within a sentence.
const INLINE: [&str; 34] = [
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "img",
    "ins", "kbd", "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u",
    "var", "wbr", "nobr",
];

/// Elements whose content is no text of the page.
const OPAQUE: [&str; 10] =
    ["script", "style", "template", "noscript", "textarea", "svg", "math", "iframe", "object", "xmp"];

/// Elements that have no end tag.
const VOID: [&str; 14] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"];

/// Reads a record per text.
pub(super) struct Reader<'a> {
    tokens: Tokens<'a>,
    name: String,
    longest: usize,
    number: u64,
    /// Markup since the last text.
    lead: String,
    run: Run,
    /// The element that is left alone, and how many of its name are open.
    opaque: Option<(String, usize)>,
    /// How many `pre` are open: white space counts in them.
    preformatted: usize,
    is_at_end: bool,
}

/// A text that is being gathered.
#[derive(Default)]
struct Run {
    /// As it stands in the page.
    written: String,
    /// White space before it.
    before: String,
    text: String,
    /// White space that belongs to the text only if more text follows.
    space: String,
    tags: Vec<InlineTag>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: Box<dyn Read + Send + 'a>, name: &str, options: &ReadOptions) -> Self {
        Reader {
            tokens: Tokens::new(input, name, options.longest_record),
            name: name.to_owned(),
            longest: options.longest_record,
            number: 0,
            lead: String::new(),
            run: Run::default(),
            opaque: None,
            preformatted: 0,
            is_at_end: false,
        }
    }

    /// Ends the text that is being gathered, if there is one.
    fn finish_run(&mut self) -> Option<Record> {
        let run = std::mem::take(&mut self.run);
        if !run.text.chars().any(char::is_alphanumeric) {
            self.lead.push_str(&run.written);
            return None;
        }
        self.number += 1;
        let filled = Filled { head: run.before, tail: run.space, tags: run.tags };
        let unit = Unit { lead: std::mem::take(&mut self.lead), original: run.written, filled: Some(filled) };
        Some(Record {
            number: self.number,
            place: format!("{}: text {} before byte {}", self.name, self.number, self.tokens.offset),
            id: None,
            text: Ok(run.text),
            reference: None,
            frame: Frame::Markup(unit),
        })
    }

    fn text(&mut self, written: &str) {
        let run = &mut self.run;
        run.written.push_str(written);
        let mut rest = written;
        while let Some(c) = rest.chars().next() {
            let (length, decoded) = match c {
                '&' => match reference(rest) {
                    Some((length, decoded)) => (length, decoded),
                    // A name that isn't known here goes through as it is.
                    None => match unknown_reference(rest) {
                        Some(length) => {
                            run.settle_space(self.preformatted > 0);
                            let tag = InlineTag {
                                at: run.text.len(),
                                written: rest[..length].to_owned(),
                                kind: InlineKind::Alone,
                            };
                            run.tags.push(tag);
                            rest = &rest[length..];
                            continue;
                        }
                        None => (1, '&'),
                    },
                },
                _ => (c.len_utf8(), c),
            };
            if decoded.is_ascii_whitespace() {
                if run.text.is_empty() && run.tags.is_empty() { &mut run.before } else { &mut run.space }.push(decoded);
            } else {
                run.settle_space(self.preformatted > 0);
                run.text.push(decoded);
            }
            rest = &rest[length..];
        }
    }

    /// Takes a tag; gives the text that it ends.
    fn tag(&mut self, mut written: String) -> Option<Record> {
        let is_end = written.starts_with("</");
        let name = tag_name(&written);
        if let Some((opaque, depth)) = &mut self.opaque {
            if *opaque == name {
                *depth = if is_end { *depth - 1 } else { *depth + usize::from(!written.ends_with("/>")) };
            }
            if *depth == 0 {
                self.opaque = None;
            }
            self.lead.push_str(&written);
            return None;
        }
        if !is_end {
            make_english(&mut written);
        }
        let stays = attribute_value(&written, "translate")
            .is_some_and(|value| value.of(&written).eq_ignore_ascii_case("no"))
            || attribute_value(&written, "class")
                .is_some_and(|value| value.of(&written).split_whitespace().any(|class| class == "notranslate"));
        let is_void = VOID.contains(&name.as_str()) || written.ends_with("/>");
        if !is_end && !is_void && (stays || OPAQUE.contains(&name.as_str())) {
            let finished = self.finish_run();
            self.opaque = Some((name, 1));
            self.lead.push_str(&written);
            return finished;
        }
        if INLINE.contains(&name.as_str()) {
            self.run.written.push_str(&written);
            let kind = match (is_end, is_void) {
                (true, _) => InlineKind::Close,
                (false, true) => InlineKind::Alone,
                (false, false) => InlineKind::Open,
            };
            if kind != InlineKind::Close {
                self.run.settle_space(self.preformatted > 0);
            }
            self.run.tags.push(InlineTag { at: self.run.text.len(), written, kind });
            return None;
        }
        let finished = self.finish_run();
        if name == "pre" {
            self.preformatted = if is_end { self.preformatted.saturating_sub(1) } else { self.preformatted + 1 };
        }
        self.lead.push_str(&written);
        finished
    }

    fn take(&mut self, token: Token) -> Option<Record> {
        match token {
            Token::Text(text) if self.opaque.is_none() => {
                self.text(&text);
                None
            }
            Token::Tag(tag) => {
                let name = tag_name(&tag);
                if !tag.starts_with("</") && matches!(name.as_str(), "script" | "style" | "textarea" | "xmp" | "iframe")
                {
                    self.tokens.raw_until = Some(name);
                }
                self.tag(tag)
            }
            Token::Comment(written) if self.opaque.is_none() && !self.run.text.is_empty() => {
                self.run.written.push_str(&written);
                self.run.tags.push(InlineTag { at: self.run.text.len(), written, kind: InlineKind::Alone });
                None
            }
            Token::Text(written) | Token::Comment(written) => {
                let finished = if self.opaque.is_none() { self.finish_run() } else { None };
                self.lead.push_str(&written);
                finished
            }
        }
    }
}

impl Run {
    /// Puts the white space that waits into the text: one space, unless it counts.
    fn settle_space(&mut self, is_preformatted: bool) {
        if self.space.is_empty() {
            return;
        }
        if is_preformatted {
            self.text.push_str(&self.space);
        } else if !self.text.ends_with(' ') {
            self.text.push(' ');
        }
        self.space.clear();
    }
}

impl RecordReader for Reader<'_> {
    fn next_record(&mut self) -> Result<Option<Record>> {
        while !self.is_at_end {
            let Some(token) = self.tokens.next_token()? else {
                self.is_at_end = true;
                if let Some(record) = self.finish_run() {
                    return Ok(Some(record));
                }
                break;
            };
            if let Some(record) = self.take(token) {
                return Ok(Some(record));
            }
            if self.run.written.len() > self.longest {
                return Err(self.tokens.invalid(&format!("a text has more than {} bytes", self.longest)));
            }
            if self.lead.len() > self.longest && self.run.written.is_empty() {
                return Ok(Some(self.rest()));
            }
        }
        if self.lead.is_empty() { Ok(None) } else { Ok(Some(self.rest())) }
    }

    fn is_ready(&self) -> bool {
        true
    }
}

impl Reader<'_> {
    fn rest(&mut self) -> Record {
        self.number += 1;
        let place = format!("{}: byte {}", self.name, self.tokens.offset);
        Record::between(self.number, place, std::mem::take(&mut self.lead))
    }
}

/// Makes the language and direction that a start tag tells those of English.
fn make_english(written: &mut String) {
    for name in ["lang", "xml:lang"] {
        let is_arabic =
            attribute_value(written, name).is_some_and(|value| super::tmx::primary(value.of(written)) == "ar");
        if is_arabic {
            set_attribute(written, name, "en");
        }
    }
    if attribute_value(written, "dir").is_some_and(|value| value.of(written).eq_ignore_ascii_case("rtl")) {
        set_attribute(written, "dir", "ltr");
    }
}

/// The name of a tag as it is written, in small letters.
fn tag_name(written: &str) -> String {
    let inside = written.trim_start_matches(['<', '/']);
    let end = inside.find(|c: char| c.is_whitespace() || matches!(c, '>' | '/')).unwrap_or(inside.len());
    inside[..end].to_ascii_lowercase()
}

/// The length of the character reference at the start of `text`, and its character.
fn reference(text: &str) -> Option<(usize, char)> {
    let inside = text.strip_prefix('&')?;
    let end = inside.char_indices().take(12).find(|&(_, c)| c == ';')?.0;
    let name = &inside[..end];
    let c = if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok()?,
            None => number.parse().ok()?,
        };
        char::from_u32(code).filter(|c| !c.is_control() || c.is_ascii_whitespace())?
    } else {
        match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            "nbsp" => '\u{a0}',
            "laquo" => '«',
            "raquo" => '»',
            "ldquo" => '“',
            "rdquo" => '”',
            "lsquo" => '‘',
            "rsquo" => '’',
            "ndash" => '–',
            "mdash" => '—',
            "hellip" => '…',
            "rlm" => '\u{200f}',
            "lrm" => '\u{200e}',
            "zwnj" => '\u{200c}',
            "zwj" => '\u{200d}',
            "copy" => '©',
            "reg" => '®',
            "trade" => '™',
            "bull" => '•',
            "middot" => '·',
            "deg" => '°',
            "times" => '×',
            "euro" => '€',
            "pound" => '£',
            "percnt" => '%',
            _ => return None,
        }
    };
    Some((end + 2, c))
}

/// The length of something at the start of `text` that looks like a reference.
fn unknown_reference(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('&')?;
    let end = inside.find(|c: char| !(c.is_ascii_alphanumeric() || c == '#'))?;
    (end > 0 && end <= 32 && inside[end..].starts_with(';')).then_some(end + 2)
}

/// A token as it is written.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    Text(String),
    Tag(String),
    /// A comment, a declaration, an instruction.
    Comment(String),
}

/// Cuts a byte stream into tokens.
struct Tokens<'a> {
    input: Box<dyn Read + Send + 'a>,
    name: String,
    longest: usize,
    buffer: Vec<u8>,
    /// Bytes given out so far.
    offset: u64,
    /// The element whose end tag alone ends the text that follows.
    raw_until: Option<String>,
    is_at_end: bool,
}

impl<'a> Tokens<'a> {
    fn new(input: Box<dyn Read + Send + 'a>, name: &str, longest: usize) -> Self {
        Tokens {
            input,
            name: name.to_owned(),
            longest,
            buffer: Vec::new(),
            offset: 0,
            raw_until: None,
            is_at_end: false,
        }
    }

    fn invalid(&self, message: &str) -> Error {
        Error::new(ErrorKind::InvalidInput, message).at(format!("{}: byte {}", self.name, self.offset))
    }

    fn next_token(&mut self) -> Result<Option<Token>> {
        loop {
            if self.offset == 0
                && self.buffer.len() >= 4
                && let Some(error) = foreign(&self.buffer)
            {
                return Err(error.at(&self.name));
            }
            if let Some(length) = self.token_length() {
                return self.token(length).map(Some);
            }
            if self.is_at_end {
                return if self.buffer.is_empty() { Ok(None) } else { self.token(self.buffer.len()).map(Some) };
            }
            if self.buffer.len() > self.longest {
                return Err(self.invalid(&format!("a tag, comment or text has more than {} bytes", self.longest)));
            }
            // As much again as there is: a long token is looked at a few times only.
            let wanted = self.buffer.len().max(64 << 10) as u64;
            let read = (&mut self.input).take(wanted).read_to_end(&mut self.buffer);
            let read = read.map_err(|error| Error::io(&self.name, error))?;
            self.is_at_end = (read as u64) < wanted;
        }
    }

    /// The length of the first token, if its end is in the buffer.
    fn token_length(&self) -> Option<usize> {
        let bytes = &self.buffer;
        if let Some(name) = &self.raw_until {
            let mut at = 0;
            while let Some(found) = find(&bytes[at..], b"</") {
                let start = at + found;
                let tag = bytes.get(start + 2..start + 2 + name.len())?;
                if tag.eq_ignore_ascii_case(name.as_bytes()) {
                    // An empty script has no text: its end tag is the token.
                    return if start == 0 { tag_length(bytes) } else { Some(start) };
                }
                at = start + 2;
            }
            return None;
        }
        match markup_at(bytes, 0)? {
            Markup::Comment => find(bytes, b"-->").map(|at| at + 3),
            Markup::Declaration => find(bytes, b">").map(|at| at + 1),
            Markup::Tag => tag_length(bytes),
            Markup::None => {
                let mut at = 1;
                while let Some(found) = bytes.get(at..).and_then(|rest| find(rest, b"<")) {
                    if markup_at(bytes, at + found)? != Markup::None {
                        return Some(at + found);
                    }
                    at += found + 1;
                }
                None
            }
        }
    }

    fn token(&mut self, length: usize) -> Result<Token> {
        let rest = self.buffer.split_off(length);
        let bytes = std::mem::replace(&mut self.buffer, rest);
        let kind = if self.raw_until.is_some() && !bytes.starts_with(b"</") {
            Markup::None
        } else {
            self.raw_until = None;
            markup_at(&bytes, 0).unwrap_or(Markup::None)
        };
        let written = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let byte = error.as_bytes()[at];
            self.invalid(&format!("not UTF-8: byte {byte:#04x} at byte {} of the input", self.offset + at as u64))
        })?;
        self.offset += length as u64;
        Ok(match kind {
            Markup::None => Token::Text(written),
            Markup::Tag => Token::Tag(written),
            Markup::Comment | Markup::Declaration => Token::Comment(written),
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Markup {
    None,
    Tag,
    Comment,
    Declaration,
}

/// What begins at byte `at`; `None` where more bytes are needed to tell.
fn markup_at(bytes: &[u8], at: usize) -> Option<Markup> {
    if *bytes.get(at)? != b'<' {
        return Some(Markup::None);
    }
    Some(match bytes.get(at + 1)? {
        b'!' if bytes.get(at + 2) == Some(&b'-') && *bytes.get(at + 3)? == b'-' => Markup::Comment,
        b'!' | b'?' => Markup::Declaration,
        b'/' if bytes.get(at + 2)?.is_ascii_alphabetic() => Markup::Tag,
        byte if byte.is_ascii_alphabetic() => Markup::Tag,
        _ => Markup::None,
    })
}

/// The length of the tag at the start of `bytes`: `>` inside quotes doesn't end it.
fn tag_length(bytes: &[u8]) -> Option<usize> {
    let mut quote = None;
    let mut before = b' ';
    for (at, &byte) in bytes.iter().enumerate() {
        match quote {
            Some(open) if byte == open => quote = None,
            // Only a quote behind `=` opens a value; others are stray.
            None if matches!(byte, b'"' | b'\'') && before == b'=' => quote = Some(byte),
            None if byte == b'>' => return Some(at + 1),
            Some(_) | None => {}
        }
        if !byte.is_ascii_whitespace() {
            before = byte;
        }
    }
    None
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::tests::{convert, convert_default, records};
    use crate::format::{Format, WriteOptions};

    #[track_caller]
    fn assert_html(page: &str, expected: &str) {
        assert_eq!(convert_default(page, Format::Html, Format::Html), expected);
    }

    #[test]
    fn text_is_translated_and_markup_stays() {
        assert_html(
            "<!DOCTYPE html>\n<html lang=\"ar\" dir='rtl'><head><title>one</title><meta charset=utf-8>\
             <style>p > a {}</style></head>\n<body class=x><!-- note --><h1> two </h1>\n<p>three <b>four</b>\n   five<br>six</p>\
             <script>if (a < b) { \"</p>\" }</script></body></html>\n",
            "<!DOCTYPE html>\n<html lang=\"en\" dir='ltr'><head><title>ONE</title><meta charset=utf-8>\
             <style>p > a {}</style></head>\n<body class=x><!-- note --><h1> TWO </h1>\n<p>THREE <b>FOUR</b> FIVE<br>SIX</p>\
             <script>if (a < b) { \"</p>\" }</script></body></html>\n",
        );
    }

    #[test]
    fn inline_tags_and_references() {
        assert_html(
            "<p><a href=\"?a=1&b=2>3\">x</a> &amp; y&nbsp;z &copy; &Omega; 3 < 4</p>",
            "<p><a href=\"?a=1&b=2>3\">X</a> &amp; Y\u{a0}Z © &Omega;3 &lt; 4</p>",
        );
        assert_html("<p>a <img src=b>c</p>", "<p>A <img src=b>C</p>");
    }

    #[test]
    fn what_is_not_for_translation_stays() {
        let page = "<p translate=no>a <p>b</p></p><div class='x notranslate'>c</div><svg><text>d</text></svg><textarea><b>e</textarea>";
        assert_html(page, page);
        assert_html("<script></script>a", "<script></script>A");
    }

    #[test]
    fn preformatted_text_keeps_its_lines() {
        assert_html("<pre>a\n  b</pre>", "<pre>A\n  B</pre>");
    }

    #[test]
    fn broken_pages_come_through() {
        for page in ["", "<", "<p", "<!--", "</", "<p>1", "<script>", "a <3 b", "<a href='", "&;", "&#0; &#x110000;"] {
            let page = page.to_owned();
            assert_eq!(convert_default(&page, Format::Html, Format::Html), page.replace("a <3 b", "A &lt;3 B"));
        }
    }

    #[test]
    fn records_of_a_page() {
        let found = records(Format::Html, "<p>a <b>b</b></p><p>c</p>".as_bytes(), &ReadOptions::default()).unwrap();
        let texts: Vec<&str> = found.iter().map(|record| record.text.as_deref().unwrap()).collect();
        assert_eq!(texts, ["a b", "c", ""]);
        let options = ReadOptions { longest_record: 100, ..ReadOptions::default() };
        for page in ["<p>".to_owned() + &"a".repeat(200_000), "<!--".to_owned() + &"a".repeat(200_000)] {
            let error = records(Format::Html, page.as_bytes(), &options).unwrap_err();
            assert!(error.to_string().contains("more than 100 bytes"), "{error}");
        }
        let error = records(Format::Html, b"<p>\xff</p>", &options).unwrap_err();
        assert!(error.to_string().contains("not UTF-8: byte 0xff at byte 3"), "{error}");
    }

    proptest! {
        /// Without anything to translate a page comes out as it went in.
        #[test]
        fn markup_is_lossless(page in "(<p>|</p>|<b>|<!-- x -->|<script>|</script>|<a b='c>'>|[-<>/! .؛\\n]){0,30}") {
            let translated = records(Format::Html, page.as_bytes(), &ReadOptions::default())
                .unwrap().iter().any(|record| !record.text.as_deref().unwrap().is_empty());
            if !translated {
                prop_assert_eq!(convert_default(&page, Format::Html, Format::Html), page);
            }
        }

        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = convert(&bytes, Format::Html, Format::Html, &ReadOptions::default(), &WriteOptions::default());
        }
    }
}

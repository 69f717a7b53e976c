//! Units in which spans are counted.

use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};
use crate::span::Span;

/// The unit of the spans in JSON. Inside tarjim all spans are bytes of UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Offsets {
    /// Bytes of UTF-8, as Rust and Go count.
    #[default]
    Bytes,
    /// Unicode characters (code points), as Python counts.
    Chars,
    /// Code units of UTF-16, as JavaScript and Java count.
    Utf16,
}

impl Offsets {
    /// The unit's name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Offsets::Bytes => "bytes",
            Offsets::Chars => "chars",
            Offsets::Utf16 => "utf16",
        }
    }

    fn length(self, text: &str) -> usize {
        match self {
            Offsets::Bytes => text.len(),
            Offsets::Chars => text.chars().count(),
            Offsets::Utf16 => text.chars().map(char::len_utf16).sum(),
        }
    }
}

impl FromStr for Offsets {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        [Offsets::Bytes, Offsets::Chars, Offsets::Utf16].into_iter().find(|unit| unit.name() == name).ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("`{name}` is no unit of offsets; they are bytes, chars, utf16"))
        })
    }
}

/// How far apart the known offsets of an [`Index`] are, in bytes.
const STEP: usize = 256;

/// Turns byte spans of one text into spans of another unit, each in constant time.
pub(super) struct Index<'a> {
    text: &'a str,
    unit: Offsets,
    /// The offset at each multiple of `STEP` bytes, moved back to where a character starts.
    known: Vec<usize>,
}

impl<'a> Index<'a> {
    pub(super) fn new(text: &'a str, unit: Offsets) -> Self {
        let mut known = Vec::new();
        if unit != Offsets::Bytes {
            let (mut at, mut offset) = (0, 0);
            for step in (0..=text.len()).step_by(STEP) {
                let next = text.floor_char_boundary(step);
                offset += unit.length(&text[at..next]);
                known.push(offset);
                at = next;
            }
        }
        Index { text, unit, known }
    }

    pub(super) fn convert(&self, span: Span) -> Span {
        Span::new(self.offset(span.start), self.offset(span.end))
    }

    fn offset(&self, byte: usize) -> usize {
        if self.unit == Offsets::Bytes {
            return byte;
        }
        let byte = self.text.floor_char_boundary(byte);
        let step = byte / STEP;
        self.known[step] + self.unit.length(&self.text[self.text.floor_char_boundary(step * STEP)..byte])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names() {
        for unit in [Offsets::Bytes, Offsets::Chars, Offsets::Utf16] {
            assert_eq!(unit.name().parse::<Offsets>().unwrap(), unit);
        }
        assert!("words".parse::<Offsets>().is_err());
    }

    #[test]
    fn units_differ() {
        let text = "م😀a";
        let last = Span::new(6, 7);
        assert_eq!(Index::new(text, Offsets::Bytes).convert(last), last);
        assert_eq!(Index::new(text, Offsets::Chars).convert(last), Span::new(2, 3));
        assert_eq!(Index::new(text, Offsets::Utf16).convert(last), Span::new(3, 4));
    }

    proptest! {
        #[test]
        fn every_character_is_where_it_is_counted(text in "(\\PC|م|😀){0,500}") {
            let chars = Index::new(&text, Offsets::Chars);
            let utf16 = Index::new(&text, Offsets::Utf16);
            let mut units = 0;
            for (count, (at, c)) in text.char_indices().enumerate() {
                let span = Span::new(at, at + c.len_utf8());
                prop_assert_eq!(chars.convert(span), Span::new(count, count + 1));
                prop_assert_eq!(utf16.convert(span), Span::new(units, units + c.len_utf16()));
                units += c.len_utf16();
            }
        }
    }
}

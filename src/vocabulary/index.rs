//! `vocab.json`: which id the model has for each piece.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};

use crate::engine::TokenId;
use crate::error::{Error, ErrorKind, Result};
use crate::span::Span;

/// Ids stay below this: a corrupt one must not make a table of gigabytes.
const MAX_IDS: u64 = 1 << 22;

/// Pieces and ids, both ways.
#[derive(Debug)]
pub(super) struct Index {
    entries: Entries,
    /// By id: which entry it has, [`NONE`] for none.
    by_id: Vec<u32>,
    /// Open addressing by the piece's hash: an entry, or [`NONE`]. At most half of it is taken.
    table: Vec<u32>,
    hasher: RandomState,
    pub(super) end_of_sentence: TokenId,
    pub(super) unknown: TokenId,
    pub(super) pad: Option<TokenId>,
}

const NONE: u32 = u32::MAX;

/// Pieces with their ids, in one text: sixty thousand strings of their own would take longer than all else.
#[derive(Debug, Default)]
pub(super) struct Entries {
    text: String,
    places: Vec<(Span, TokenId)>,
}

impl Entries {
    pub(super) fn push(&mut self, piece: &str, id: TokenId) {
        let start = self.text.len();
        self.text.push_str(piece);
        self.places.push((Span::new(start, self.text.len()), id));
    }

    fn piece(&self, entry: u32) -> &str {
        self.places[entry as usize].0.of(&self.text)
    }
}

impl Index {
    /// Reads a JSON object of pieces and ids.
    ///
    /// # Errors
    /// It is not one, two pieces have the same id or one piece two ids, or `</s>` or `<unk>` is missing.
    pub(super) fn from_json(json: &[u8]) -> Result<Self> {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let entries = reader
            .deserialize_map(EntriesVisitor)
            .and_then(|entries| reader.end().map(|()| entries))
            .map_err(|source| {
                Error::new(ErrorKind::Model, source.to_string()).with_hint("fetch the model again").with_source(source)
            })?;
        Index::new(entries, "</s>", "<unk>", "<pad>")
    }

    /// The index of pieces with their ids, all below [`MAX_IDS`]; `end`, `unknown` and `pad` name the special ones.
    ///
    /// # Errors
    /// Two pieces have the same id or one piece two ids, or `end` or `unknown` is not among them.
    pub(super) fn new(entries: Entries, end: &str, unknown: &str, pad: &str) -> Result<Self> {
        let corrupt = |what: String| Error::new(ErrorKind::Model, what).with_hint("fetch the model again");
        let count = entries.places.len();
        let size = entries.places.iter().map(|&(_, id)| id as usize + 1).max().unwrap_or(0);
        let mut index = Index {
            by_id: vec![NONE; size],
            table: vec![NONE; (count * 2).next_power_of_two()],
            hasher: RandomState::new(),
            end_of_sentence: 0,
            unknown: 0,
            pad: None,
            entries,
        };
        for entry in 0..count as u32 {
            let (piece, id) = (index.entries.piece(entry), index.entries.places[entry as usize].1);
            let slot = index.slot(piece);
            if index.table[slot] != NONE {
                return Err(corrupt(format!("`{}` stands there twice", piece.escape_debug())));
            }
            let other = index.by_id[id as usize];
            if other != NONE {
                let (piece, other) = (piece.escape_debug(), index.entries.piece(other).escape_debug());
                return Err(corrupt(format!("`{other}` and `{piece}` have the same id {id}")));
            }
            index.table[slot] = entry;
            index.by_id[id as usize] = entry;
        }
        let special = |piece: &str| {
            let found = index.id(piece);
            found.ok_or_else(|| corrupt(format!("expected the piece `{piece}` among {count} pieces, found none")))
        };
        (index.end_of_sentence, index.unknown) = (special(end)?, special(unknown)?);
        index.pad = index.id(pad);
        Ok(index)
    }

    /// Where `piece` stands in the table, or would.
    fn slot(&self, piece: &str) -> usize {
        let mask = self.table.len() - 1;
        let mut slot = self.hasher.hash_one(piece) as usize & mask;
        while self.table[slot] != NONE && self.entries.piece(self.table[slot]) != piece {
            slot = (slot + 1) & mask;
        }
        slot
    }

    pub(super) fn id(&self, piece: &str) -> Option<TokenId> {
        let entry = self.table[self.slot(piece)];
        self.entries.places.get(entry as usize).map(|&(_, id)| id)
    }

    pub(super) fn piece(&self, id: TokenId) -> Option<&str> {
        let entry = *self.by_id.get(id as usize)?;
        (entry != NONE).then(|| self.entries.piece(entry))
    }

    /// One more than the greatest id.
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The pieces of the form `>>xxx<<`, by id.
    pub(super) fn codes(&self) -> impl Iterator<Item = &str> {
        let pieces = (0..self.len() as TokenId).filter_map(|id| self.piece(id));
        pieces.filter(|piece| piece.starts_with(">>") && piece.ends_with("<<"))
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of pieces and ids")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut entries = Entries::default();
        loop {
            let start = entries.text.len();
            let Some(()) = map.next_key_seed(Append(&mut entries.text))? else { break };
            let id: u64 = map.next_value()?;
            if id >= MAX_IDS {
                return Err(A::Error::custom(format_args!("expected an id below {MAX_IDS}, found {id}")));
            }
            entries.places.push((Span::new(start, entries.text.len()), id as TokenId));
        }
        Ok(entries)
    }
}

/// Appends a string to a text.
struct Append<'a>(&'a mut String);

impl<'de> DeserializeSeed<'de> for Append<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Append<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a piece")
    }

    fn visit_str<E>(self, piece: &str) -> Result<(), E> {
        self.0.push_str(piece);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_and_ids_both_ways() -> Result<()> {
        let index = Index::from_json(br#"{"</s>": 0, "<unk>": 1, ">>ara<<": 4, "<pad>": 5}"#)?;
        assert_eq!((index.end_of_sentence, index.unknown, index.pad), (0, 1, Some(5)));
        assert_eq!(index.len(), 6);
        assert_eq!(index.piece(4), Some(">>ara<<"));
        assert_eq!(index.piece(3), None);
        assert_eq!(index.id("ara"), None);
        assert_eq!(index.codes().collect::<Vec<_>>(), [">>ara<<"]);
        Ok(())
    }

    #[test]
    fn bad_files_say_where() {
        for (json, expected) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("{\"</s>\": 0,\n\"<unk>\"", "line 2 column 7"),
            ("[1]", "expected an object of pieces and ids"),
            (r#"{"</s>": -1}"#, "expected u64 at line 1 column 11"),
            (r#"{"</s>": 4194304}"#, "expected an id below 4194304, found 4194304"),
            (r#"{"</s>": 0, "a": 0}"#, "`</s>` and `a` have the same id 0"),
            (r#"{"a": 0, "a": 1}"#, "`a` stands there twice"),
            ("{}", "expected the piece `</s>` among 0 pieces"),
            (r#"{"</s>": 0}"#, "expected the piece `<unk>` among 1 pieces"),
            (r#"{"</s>": 0, "<unk>": 1} x"#, "trailing characters at line 1 column 25"),
        ] {
            let error = Index::from_json(json.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Model);
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}

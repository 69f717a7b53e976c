//! `vocab.json`: which id the model has for each piece.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserializer as _, Error as _, MapAccess, Visitor};

use crate::engine::TokenId;
use crate::error::{Error, ErrorKind, Result};

/// Ids stay below this: a corrupt one must not make a table of gigabytes.
const MAX_IDS: u64 = 1 << 22;

/// Pieces and ids, both ways.
#[derive(Debug)]
pub(super) struct Index {
    ids: HashMap<Box<str>, TokenId>,
    pieces: Vec<Option<Box<str>>>,
    pub(super) end_of_sentence: TokenId,
    pub(super) unknown: TokenId,
    pub(super) pad: Option<TokenId>,
}

impl Index {
    /// Reads a JSON object of pieces and ids.
    ///
    /// # Errors
    /// It is not one, two pieces have the same id, or `</s>` or `<unk>` is missing.
    pub(super) fn from_json(json: &[u8]) -> Result<Self> {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let entries =
            reader.deserialize_map(Entries).and_then(|entries| reader.end().map(|()| entries)).map_err(|source| {
                Error::new(ErrorKind::Model, source.to_string()).with_hint("fetch the model again").with_source(source)
            })?;
        Index::from_pieces(entries, "</s>", "<unk>", "<pad>")
    }

    /// The index of pieces with their ids; `end`, `unknown` and `pad` name the special ones.
    ///
    /// # Errors
    /// Two pieces have the same id, or `end` or `unknown` is not among them.
    pub(super) fn from_pieces(entries: Vec<(Box<str>, TokenId)>, end: &str, unknown: &str, pad: &str) -> Result<Self> {
        let size = entries.iter().map(|&(_, id)| id as usize + 1).max().unwrap_or(0);
        let mut pieces: Vec<Option<Box<str>>> = vec![None; size];
        let mut ids = HashMap::with_capacity(entries.len());
        for (piece, id) in entries {
            if let Some(other) = pieces[id as usize].replace(piece.clone()) {
                let (piece, other) = (piece.escape_debug(), other.escape_debug());
                return Err(Error::new(ErrorKind::Model, format!("`{other}` and `{piece}` have the same id {id}")));
            }
            ids.insert(piece, id);
        }
        let special = |piece: &str| {
            ids.get(piece).copied().ok_or_else(|| {
                Error::new(
                    ErrorKind::Model,
                    format!("expected the piece `{piece}` among {} pieces, found none", ids.len()),
                )
            })
        };
        let (end_of_sentence, unknown) = (special(end)?, special(unknown)?);
        let pad = ids.get(pad).copied();
        Ok(Index { ids, pieces, end_of_sentence, unknown, pad })
    }

    pub(super) fn id(&self, piece: &str) -> Option<TokenId> {
        self.ids.get(piece).copied()
    }

    pub(super) fn piece(&self, id: TokenId) -> Option<&str> {
        self.pieces.get(id as usize)?.as_deref()
    }

    /// One more than the greatest id.
    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// The pieces of the form `>>xxx<<`, by id.
    pub(super) fn codes(&self) -> impl Iterator<Item = &str> {
        self.pieces
            .iter()
            .flatten()
            .map(|piece| &**piece)
            .filter(|piece| piece.starts_with(">>") && piece.ends_with("<<"))
    }
}

/// Collects the object's entries in order; a map would hide a piece that stands there twice.
struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<(Box<str>, TokenId)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of pieces and ids")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries: Self::Value = Vec::new();
        while let Some((piece, id)) = map.next_entry::<Box<str>, u64>()? {
            if id >= MAX_IDS {
                return Err(A::Error::custom(format_args!("expected an id below {MAX_IDS}, found {id}")));
            }
            entries.push((piece, id as TokenId));
        }
        Ok(entries)
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
            (r#"{"</s>": 0}"#, "expected the piece `<unk>` among 1 pieces"),
            (r#"{"</s>": 0, "<unk>": 1} x"#, "trailing characters at line 1 column 25"),
        ] {
            let error = Index::from_json(json.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Model);
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}

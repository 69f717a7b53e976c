//! The pieces of a `.spm` file and what they stand for.

use sentencepiece_model::Type;

use crate::error::{Error, ErrorKind, Result};

/// A longer piece marks a corrupt file; SentencePiece draws the line here too.
const MAX_PIECE: usize = 8000;

/// More pieces than any model has; ids stay far from the tries' sentinels.
const MAX_PIECES: usize = 1 << 24;

/// What a piece stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PieceKind {
    /// Text.
    Normal,
    /// Anything that no other piece covers.
    Unknown,
    /// A mark between texts, such as `</s>`; invisible.
    Control,
    /// Text that is always one piece.
    UserDefined,
    /// Nothing: the piece is kept for its id only.
    Unused,
    /// One byte of a character that no other piece covers.
    Byte(u8),
}

/// A piece without its score.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) text: Box<str>,
    pub(super) kind: PieceKind,
}

/// All pieces, by id.
#[derive(Debug)]
pub(super) struct PieceTable {
    pub(super) pieces: Vec<Piece>,
    pub(super) scores: Vec<f32>,
    pub(super) unknown: Option<u32>,
    /// Ids of the pieces `<0x00>` to `<0xFF>`, where unknown characters become those.
    pub(super) bytes: Option<Box<[u32; 256]>>,
}

/// The error of a `.spm` file that contradicts itself.
pub(super) fn corrupt(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Model, what).with_hint("fetch the model again")
}

impl PieceTable {
    /// Takes the pieces over from the protobuf; with `byte_fallback`, one for each byte must be among them.
    ///
    /// # Errors
    /// A piece is empty, too long, contains NUL or has no finite score; the unknown piece stands there twice or not
    /// at all; a byte piece is malformed or missing.
    pub(super) fn read(entries: &[sentencepiece_model::SentencePiece], byte_fallback: bool) -> Result<Self> {
        if entries.is_empty() || entries.len() > MAX_PIECES {
            return Err(corrupt(format!("expected 1 to {MAX_PIECES} pieces, found {}", entries.len())));
        }
        let mut pieces = Vec::with_capacity(entries.len());
        let mut scores = Vec::with_capacity(entries.len());
        let mut unknown = None;
        let mut bytes_found = Box::new([None; 256]);
        for (id, entry) in (0_u32..).zip(entries) {
            let wrong = |what: &str| corrupt(format!("piece {id} `{}` {what}", entry.piece().escape_debug()));
            let kind = kind_of(entry, byte_fallback).ok_or_else(|| wrong("is no byte piece such as `<0x0A>`"))?;
            match entry.piece() {
                "" => return Err(wrong("is empty")),
                text if text.len() >= MAX_PIECE => {
                    return Err(corrupt(format!(
                        "piece {id} has {} bytes, expected fewer than {MAX_PIECE}",
                        text.len()
                    )));
                }
                text if text.contains('\0') && kind != PieceKind::Unused => return Err(wrong("contains NUL")),
                _ => {}
            }
            if !entry.score().is_finite() {
                return Err(wrong(&format!("has the score {}", entry.score())));
            }
            match kind {
                PieceKind::Unknown => {
                    if let Some(first) = unknown.replace(id) {
                        return Err(wrong(&format!("is unknown, as piece {first} is already")));
                    }
                }
                PieceKind::Byte(byte) => bytes_found[byte as usize] = Some(id),
                _ => {}
            }
            pieces.push(Piece { text: entry.piece().into(), kind });
            scores.push(entry.score());
        }
        let bytes = if byte_fallback {
            let mut ids = Box::new([0; 256]);
            for (byte, (id, found)) in ids.iter_mut().zip(bytes_found.iter()).enumerate() {
                *id = found.ok_or_else(|| corrupt(format!("byte fallback without the piece `<0x{byte:02X}>`")))?;
            }
            Some(ids)
        } else {
            None
        };
        if unknown.is_none() && bytes.is_none() {
            return Err(corrupt("no piece is of the unknown type"));
        }
        Ok(PieceTable { pieces, scores, unknown, bytes })
    }
}

fn kind_of(entry: &sentencepiece_model::SentencePiece, byte_fallback: bool) -> Option<PieceKind> {
    // Converters have left a NUL piece beside `<0x00>` in some models; SentencePiece lets it lie as well.
    if entry.piece() == "\0" && byte_fallback {
        return Some(PieceKind::Unused);
    }
    Some(match entry.r#type() {
        Type::Normal => PieceKind::Normal,
        Type::Unknown => PieceKind::Unknown,
        Type::Control => PieceKind::Control,
        Type::UserDefined => PieceKind::UserDefined,
        Type::Unused => PieceKind::Unused,
        Type::Byte => PieceKind::Byte(byte_of(entry.piece())?),
    })
}

/// The byte that a piece such as `<0x0A>` stands for.
fn byte_of(piece: &str) -> Option<u8> {
    let digits = piece.strip_prefix("<0x")?.strip_suffix('>')?;
    let upper = |digit: u8| digit.is_ascii_digit() || (b'A'..=b'F').contains(&digit);
    if digits.len() != 2 || !digits.bytes().all(upper) {
        return None;
    }
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(piece: &str, kind: Type) -> sentencepiece_model::SentencePiece {
        sentencepiece_model::SentencePiece {
            piece: Some(piece.to_owned()),
            score: Some(-1.0),
            r#type: Some(kind as i32),
        }
    }

    #[test]
    fn bytes_are_read_from_their_names() {
        assert_eq!(byte_of("<0x0A>"), Some(10));
        for wrong in ["<0x0a>", "<0xA>", "<0x0AB>", "0x0A", "<0x+A>"] {
            assert_eq!(byte_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn contradictions_are_named() {
        let unknown = entry("<unk>", Type::Unknown);
        for (entries, expected) in [
            (vec![], "expected 1 to 16777216 pieces, found 0"),
            (vec![entry("a", Type::Normal)], "no piece is of the unknown type"),
            (vec![unknown.clone(), entry("", Type::Normal)], "piece 1 `` is empty"),
            (vec![unknown.clone(), entry("a\0", Type::Normal)], "piece 1 `a\\0` contains NUL"),
            (vec![unknown.clone(), entry("<u>", Type::Unknown)], "piece 1 `<u>` is unknown, as piece 0 is already"),
            (vec![unknown.clone(), entry("<0xg>", Type::Byte)], "piece 1 `<0xg>` is no byte piece"),
            (vec![unknown.clone(), entry(&"x".repeat(8000), Type::Normal)], "piece 1 has 8000 bytes"),
        ] {
            let error = PieceTable::read(&entries, false).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
        }
        let error = PieceTable::read(&[unknown], true).unwrap_err();
        assert_eq!(error.to_string(), "byte fallback without the piece `<0x00>`");
    }
}

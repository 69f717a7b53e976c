//! Pieces put together to text, each with its place in it.

use super::piece::PieceKind;
use super::sentencepiece::SentencePiece;
use super::surface::SPACE;
use crate::span::Span;

/// A text put together from pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// The text.
    pub text: String,
    /// Where each piece stands in it: one span per piece, in order. The space a piece begins with belongs to it.
    /// Empty for a piece that cannot be seen; bytes of one character share its span.
    pub spans: Vec<Span>,
}

/// What happens to spaces at the start of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surroundings {
    /// They stay.
    Kept,
    /// The first is taken away: the model put it there.
    FirstSpaceStripped,
    /// All are taken away.
    LeadingSpacesStripped,
}

/// Takes pieces one by one.
pub(super) struct Decoder<'a> {
    model: &'a SentencePiece,
    unknown_surface: &'a str,
    surroundings: Surroundings,
    at_start: bool,
    decoded: Decoded,
    /// Bytes of which the character is not complete yet; their pieces are the last spans.
    bytes: Vec<u8>,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(model: &'a SentencePiece, unknown_surface: &'a str, surroundings: Surroundings) -> Self {
        Decoder { model, unknown_surface, surroundings, at_start: true, decoded: Decoded::default(), bytes: Vec::new() }
    }

    /// Appends a piece, or with `None` one that cannot be seen.
    pub(super) fn push(&mut self, piece: Option<&str>) {
        let kind =
            piece.and_then(|piece| self.model.id(piece)).and_then(|id| self.model.piece(id)).map(|(_, kind)| kind);
        if let Some(PieceKind::Byte(byte)) = kind {
            self.bytes.push(byte);
            self.decoded.spans.push(Span::default());
            return;
        }
        self.write_bytes();
        let start = self.decoded.text.len();
        match (piece, kind) {
            (None, _) | (_, Some(PieceKind::Control)) => {}
            (_, Some(PieceKind::Unknown)) => self.decoded.text.push_str(self.unknown_surface),
            // A piece the model does not know is the text of an unknown piece.
            (Some(piece), None) => self.decoded.text.push_str(piece),
            (Some(mut piece), Some(_)) => {
                self.at_start &= self.decoded.text.is_empty();
                if self.at_start && self.surroundings != Surroundings::Kept {
                    let stripped = piece.strip_prefix(SPACE);
                    self.at_start = stripped.is_none() || self.surroundings == Surroundings::LeadingSpacesStripped;
                    piece = stripped.unwrap_or(piece);
                }
                self.decoded
                    .text
                    .extend(piece.chars().map(|character| if character == SPACE { ' ' } else { character }));
            }
        }
        self.decoded.spans.push(Span::new(start, self.decoded.text.len()));
    }

    /// Writes the characters that the waiting bytes make up; a byte that belongs to none becomes U+FFFD.
    fn write_bytes(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut index = self.decoded.spans.len() - bytes.len();
        for chunk in bytes.utf8_chunks() {
            for character in chunk.valid().chars() {
                self.write_character(character, index..index + character.len_utf8());
                index += character.len_utf8();
            }
            for _ in chunk.invalid() {
                self.write_character(char::REPLACEMENT_CHARACTER, index..index + 1);
                index += 1;
            }
        }
    }

    fn write_character(&mut self, character: char, pieces: std::ops::Range<usize>) {
        let start = self.decoded.text.len();
        self.decoded.text.push(character);
        self.decoded.spans[pieces].fill(Span::new(start, self.decoded.text.len()));
    }

    pub(super) fn finish(mut self) -> Decoded {
        self.write_bytes();
        self.decoded
    }
}

impl Decoded {
    /// Every `▁` left over as a space, and no space at either end: what Marian's tokenizer makes of it.
    #[must_use]
    pub(super) fn tidied(mut self) -> Self {
        if self.text.contains(SPACE) {
            // Each `▁` before an end moves it to the left by the two bytes a space is shorter.
            let mut shorter = 0;
            let mut places = self.text.match_indices(SPACE).map(|(at, _)| at).peekable();
            let mut moved = |end: &mut usize| {
                while places.next_if(|&at| at < *end).is_some() {
                    shorter += SPACE.len_utf8() - 1;
                }
                *end -= shorter;
            };
            let mut previous = Span::default();
            let mut previous_moved = Span::default();
            for span in &mut self.spans {
                // Bytes of one character repeat its span, and the places must be passed once only.
                if *span == previous {
                    *span = previous_moved;
                    continue;
                }
                previous = *span;
                moved(&mut span.start);
                moved(&mut span.end);
                previous_moved = *span;
            }
            self.text = self.text.replace(SPACE, " ");
        }
        let skipped = self.text.len() - self.text.trim_start().len();
        let kept = self.text.trim().len();
        for span in &mut self.spans {
            *span = Span::new(span.start.saturating_sub(skipped).min(kept), span.end.saturating_sub(skipped).min(kept));
        }
        self.text = self.text.trim().to_owned();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tidying_moves_the_spans() {
        let decoded = Decoded {
            text: " a▁b▁▁c ".to_owned(),
            spans: vec![Span::new(0, 2), Span::new(2, 6), Span::new(6, 6), Span::new(6, 14)],
        };
        let tidied = decoded.tidied();
        assert_eq!(tidied.text, "a b  c");
        let texts: Vec<_> = tidied.spans.iter().map(|span| span.of(&tidied.text)).collect();
        assert_eq!(texts, ["a", " b", "", "  c"]);
    }

    #[test]
    fn tidying_blanks_leaves_nothing() {
        let decoded = Decoded { text: " ▁ ".to_owned(), spans: vec![Span::new(0, 1), Span::new(1, 5)] };
        assert_eq!(decoded.tidied(), Decoded { text: String::new(), spans: vec![Span::default(); 2] });
    }
}

//! The pieces that words of letters are made of.

use std::ops::Range;

use crate::engine::TokenId;
use crate::span::Span;

/// Finds the words of letters in a sequence of pieces.
///
/// ```
/// use tarjim::vocabulary::WordPieces;
///
/// let pieces = WordPieces::new(["▁new", "s", "▁5", "▁", "ه", "."].map(Some));
/// assert_eq!(pieces.words(&[0, 1, 2, 3, 4, 5]), [(0..2, "news".to_owned()), (3..5, "ه".to_owned())]);
/// ```
#[derive(Debug, Default)]
pub struct WordPieces {
    /// Those of all pieces.
    letters: String,
    /// Of each piece, by its id.
    pieces: Vec<(Part, Span)>,
}

/// What a piece is to a word of letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// It begins one.
    Beginning,
    /// It goes on with one.
    Inside,
    /// Neither: a mark, a figure, the end.
    None,
}

impl WordPieces {
    /// Of the pieces with the ids 0, 1, …; `None` where there is none.
    pub fn new<'a>(pieces: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let mut all = WordPieces::default();
        for piece in pieces {
            let (part, letters) = match piece.map(|piece| (piece, piece.strip_prefix('▁'))) {
                Some((_, Some(rest))) => (Part::Beginning, rest),
                Some((piece, None)) => (Part::Inside, piece),
                None => (Part::None, ""),
            };
            let part = if letters.chars().all(char::is_alphabetic) { part } else { Part::None };
            let start = all.letters.len();
            if part != Part::None {
                all.letters.push_str(letters);
            }
            all.pieces.push((part, Span::new(start, all.letters.len())));
        }
        all
    }

    /// Each word, by the places of its pieces, and its letters.
    pub fn words(&self, ids: &[TokenId]) -> Vec<(Range<usize>, String)> {
        let piece = |at: usize| self.pieces.get(ids[at] as usize).copied().unwrap_or((Part::None, Span::new(0, 0)));
        let mut words = Vec::new();
        let mut start = 0;
        while start < ids.len() {
            let mut end = start + 1;
            if piece(start).0 == Part::Beginning {
                end += (end..ids.len()).take_while(|&at| piece(at).0 == Part::Inside).count();
                let letters: String = (start..end).map(|at| piece(at).1.of(&self.letters)).collect();
                if !letters.is_empty() {
                    words.push((start..end, letters));
                }
            }
            start = end;
        }
        words
    }
}

//! Segmentation by byte-pair encoding: neighbours are joined, the best-scored pair first.
//!
//! Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units", in SentencePiece's form: a
//! pair may be joined when the joined text is a piece, and that piece's score says how soon.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::ops::Range;

use super::trie::Trie;

/// A piece in use or not, by id: what the merging needs to know.
#[derive(Debug)]
pub(super) struct Bpe {
    scores: Vec<f32>,
    /// Pieces that help to reach others and are taken apart again at the end.
    unused: Vec<bool>,
}

struct Symbol {
    range: Range<usize>,
    previous: Option<usize>,
    next: Option<usize>,
    /// A user-defined symbol: never joined.
    frozen: bool,
}

#[derive(PartialEq)]
struct Pair {
    score: f32,
    left: usize,
    right: usize,
    length: usize,
}

impl Eq for Pair {}

impl Ord for Pair {
    fn cmp(&self, other: &Self) -> Ordering {
        // Of equal pairs the leftmost goes first.
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Bpe {
    /// A model of `pieces`: the score of each and whether it is unused.
    pub(super) fn new(pieces: impl Iterator<Item = (f32, bool)>) -> Self {
        let (scores, unused) = pieces.unzip();
        Bpe { scores, unused }
    }

    /// The segmentation of `text`: byte ranges with their pieces, `None` for an unknown one. `symbol` tells the
    /// length of a user-defined symbol at the start of a text.
    pub(super) fn segment(
        &self,
        text: &str,
        trie: &Trie,
        symbol: impl Fn(&str) -> Option<usize>,
    ) -> Vec<(Range<usize>, Option<u32>)> {
        let mut symbols = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let found = symbol(&text[at..]);
            let length = found.or_else(|| text[at..].chars().next().map(char::len_utf8)).unwrap_or(1);
            let index = symbols.len();
            symbols.push(Symbol {
                range: at..at + length,
                previous: index.checked_sub(1),
                next: Some(index + 1).filter(|_| at + length < text.len()),
                frozen: found.is_some(),
            });
            at += length;
        }
        let bytes = text.as_bytes();
        let mut agenda = BinaryHeap::new();
        // Where an unused piece was put together, for taking it apart again.
        let mut seams: HashMap<&[u8], usize> = HashMap::new();
        let mut consider = |symbols: &[Symbol], agenda: &mut BinaryHeap<Pair>, left: usize, right: usize| {
            let (a, b) = (&symbols[left], &symbols[right]);
            if a.frozen || b.frozen {
                return;
            }
            let joined = &bytes[a.range.start..b.range.end];
            if let Some(piece) = trie.get(joined) {
                let piece = piece as usize;
                agenda.push(Pair { score: self.scores[piece], left, right, length: joined.len() });
                if self.unused[piece] {
                    seams.insert(joined, a.range.len());
                }
            }
        };
        for right in 1..symbols.len() {
            consider(&symbols, &mut agenda, right - 1, right);
        }
        while let Some(Pair { left, right, length, .. }) = agenda.pop() {
            let (a, b) = (symbols[left].range.clone(), symbols[right].range.clone());
            // One of the two has been joined with another neighbour since.
            if a.is_empty() || b.is_empty() || a.len() + b.len() != length {
                continue;
            }
            symbols[left].range = a.start..b.end;
            symbols[right].range = b.end..b.end;
            let next = symbols[right].next;
            symbols[left].next = next;
            if let Some(next) = next {
                symbols[next].previous = Some(left);
                consider(&symbols, &mut agenda, left, next);
            }
            if let Some(previous) = symbols[left].previous {
                consider(&symbols, &mut agenda, previous, left);
            }
        }
        let mut result = Vec::new();
        let mut index = (!symbols.is_empty()).then_some(0);
        let mut apart = Vec::new();
        while let Some(at) = index {
            apart.push(symbols[at].range.clone());
            while let Some(range) = apart.pop() {
                let joined = &bytes[range.clone()];
                let piece = trie.get(joined);
                match piece {
                    Some(id) if self.unused[id as usize] => match seams.get(joined) {
                        Some(&seam) => {
                            apart.push(range.start + seam..range.end);
                            apart.push(range.start..range.start + seam);
                        }
                        None => result.push((range, None)),
                    },
                    _ => result.push((range, piece)),
                }
            }
            index = symbols[at].next;
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(text: &str, pieces: &[(&'static str, bool)]) -> Vec<String> {
        let mut keys: Vec<(&[u8], u32)> = pieces.iter().zip(0..).map(|(piece, id)| (piece.0.as_bytes(), id)).collect();
        keys.sort_unstable();
        let trie = Trie::from_sorted(&keys);
        let model = Bpe::new(pieces.iter().zip(0_i16..).map(|(piece, rank)| (-f32::from(rank), piece.1)));
        let symbol = |text: &str| text.starts_with("<b>").then_some(3);
        let shown = |(range, piece): (Range<usize>, Option<u32>)| match piece {
            Some(_) => text[range].to_owned(),
            None => format!("?{}", &text[range]),
        };
        model.segment(text, &trie, symbol).into_iter().map(shown).collect()
    }

    #[test]
    fn earlier_pieces_are_joined_first() {
        let pieces = [("bc", false), ("ab", false), ("a", false), ("b", false), ("c", false)];
        assert_eq!(segment("abc", &pieces), ["a", "bc"]);
        assert_eq!(segment("abab", &pieces), ["ab", "ab"]);
    }

    #[test]
    fn unused_pieces_are_taken_apart() {
        let pieces = [("ab", true), ("abc", false), ("a", false), ("b", false), ("c", false)];
        assert_eq!(segment("abc", &pieces), ["abc"]);
        assert_eq!(segment("ab", &pieces), ["a", "b"]);
    }

    #[test]
    fn unknown_and_user_defined_symbols() {
        let pieces = [("b>", false), ("b", false), (">", false), ("<b>", false)];
        assert_eq!(segment("<b>b>x", &pieces), ["<b>", "b>", "?x"]);
        assert!(segment("", &pieces).is_empty());
    }
}

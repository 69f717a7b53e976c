//! Segmentation by a unigram language model: the most probable sequence of pieces, found by Viterbi's algorithm.
//!
//! Kudo 2018, "Subword Regularization". Sums are kept in `f32`, as SentencePiece keeps them, so that ties fall alike.

use std::ops::Range;

use super::trie::Trie;

/// What an unknown character costs below the worst piece.
const UNKNOWN_PENALTY: f32 = 10.0;

/// Beyond this the running sum is brought back to zero, so that a long text keeps its precision.
const RESET_BEYOND: f32 = 100_000.0;

/// The pieces of a unigram model with their log-probabilities.
#[derive(Debug)]
pub(super) struct Unigram {
    /// By piece: its score, [`f32::NAN`] for one that may not be used.
    scores: Vec<f32>,
    unknown_score: f32,
}

#[derive(Clone, Copy)]
struct Arrival {
    score: f32,
    piece: Option<u32>,
    start: usize,
    reached: bool,
}

/// How a piece takes part in segmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// By its score.
    Scored,
    /// Before all others.
    Always,
    /// Not at all.
    Never,
}

impl Unigram {
    /// A model of `pieces`: the score of each and how it is used.
    pub(super) fn new(pieces: impl Iterator<Item = (f32, Use, usize)>) -> Self {
        let mut worst = f32::MAX;
        let scores = pieces
            .map(|(score, used, length)| match used {
                Use::Scored => {
                    worst = worst.min(score);
                    score
                }
                // The sum must fall in double precision first, as the reference's does.
                Use::Always => (0.1 * (length as f64 - 1.0)) as f32,
                Use::Never => f32::NAN,
            })
            .collect();
        Unigram { scores, unknown_score: worst - UNKNOWN_PENALTY }
    }

    /// The best segmentation of `text`: byte ranges with their pieces, `None` for an unknown character.
    pub(super) fn segment(&self, text: &str, trie: &Trie) -> Vec<(Range<usize>, Option<u32>)> {
        let bytes = text.as_bytes();
        let nowhere = Arrival { score: 0.0, piece: None, start: 0, reached: false };
        let mut best = vec![nowhere; bytes.len() + 1];
        let mut frontier = 0;
        for (start, character) in text.char_indices() {
            let mut so_far = best[start].score;
            if so_far.abs() > RESET_BEYOND {
                for arrival in &mut best[start..=frontier.max(start)] {
                    arrival.score -= so_far;
                }
                so_far = 0.0;
            }
            let mut offer = |end: usize, score: f32, piece: Option<u32>| {
                frontier = frontier.max(end);
                let arrival = &mut best[end];
                if !arrival.reached || score > arrival.score {
                    *arrival = Arrival { score, piece, start, reached: true };
                }
            };
            let mut whole_character = false;
            for (length, piece) in trie.prefixes(&bytes[start..]) {
                let score = self.scores[piece as usize];
                if !score.is_nan() {
                    offer(start + length, so_far + score, Some(piece));
                    whole_character |= length == character.len_utf8();
                }
            }
            if !whole_character {
                offer(start + character.len_utf8(), so_far + self.unknown_score, None);
            }
        }
        let mut path = Vec::new();
        let mut end = bytes.len();
        while end > 0 {
            let Arrival { piece, start, .. } = best[end];
            path.push((start..end, piece));
            end = start;
        }
        path.reverse();
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(text: &str, pieces: &[(&'static str, f32, Use)]) -> Vec<String> {
        let mut keys: Vec<(&[u8], u32)> = pieces.iter().zip(0..).map(|(piece, id)| (piece.0.as_bytes(), id)).collect();
        keys.sort_unstable();
        let trie = Trie::from_sorted(&keys);
        let model = Unigram::new(pieces.iter().map(|&(piece, score, used)| (score, used, piece.len())));
        let shown = |(range, piece): (Range<usize>, Option<u32>)| match piece {
            Some(_) => text[range].to_owned(),
            None => format!("?{}", &text[range]),
        };
        model.segment(text, &trie).into_iter().map(shown).collect()
    }

    #[test]
    fn the_best_sum_wins() {
        let pieces = [("a", -1.0, Use::Scored), ("b", -1.0, Use::Scored), ("ab", -1.5, Use::Scored)];
        assert_eq!(segment("abb", &pieces), ["ab", "b"]);
    }

    #[test]
    fn of_equal_sums_the_one_with_the_longer_first_piece_wins() {
        let pieces = [("a", -1.0, Use::Scored), ("aa", -2.0, Use::Scored)];
        assert_eq!(segment("aa", &pieces), ["aa"]);
    }

    #[test]
    fn unknown_characters_stand_alone() {
        assert_eq!(segment("aXYa", &[("a", -1.0, Use::Scored)]), ["a", "?X", "?Y", "a"]);
        assert_eq!(segment("😀", &[("a", -1.0, Use::Scored)]), ["?😀"]);
    }

    #[test]
    fn user_defined_symbols_come_first_and_unused_pieces_never() {
        let pieces = [("ab", -0.1, Use::Scored), ("a", -9.0, Use::Always), ("b", -9.0, Use::Scored)];
        assert_eq!(segment("ab", &pieces), ["ab"]);
        let pieces = [("ab", -0.1, Use::Never), ("a", -9.0, Use::Scored), ("b", -9.0, Use::Scored)];
        assert_eq!(segment("ab", &pieces), ["a", "b"]);
    }
}

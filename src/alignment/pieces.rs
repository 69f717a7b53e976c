//! Which words a piece belongs to, and by what share.

use crate::error::{Error, ErrorKind, Result};
use crate::span::Span;
use crate::translation::SentencePieces;

/// For each piece the words it belongs to and its share in each; shares of a piece sum to 1.
///
/// A piece that lies over several words (a closing quote and a full stop in one piece) is shared by bytes. A piece
/// over no word at all (the `▁` that stands for a space) belongs to the next word, for it announces it; after the
/// last word, to that one.
pub(super) fn shares(pieces: &[Span], words: &[Span]) -> Vec<Vec<(usize, f32)>> {
    let mut first = 0;
    pieces
        .iter()
        .map(|&piece| {
            // Pieces run left to right; a decoder may still emit them out of order, then the search starts over.
            if first > 0 && words[first - 1].end > piece.start {
                first = 0;
            }
            while first < words.len() && words[first].end <= piece.start {
                first += 1;
            }
            let mut shares: Vec<(usize, f32)> = Vec::new();
            for (index, word) in words.iter().enumerate().skip(first) {
                if word.start >= piece.end {
                    break;
                }
                // An empty piece inside a word lies in it as a whole.
                let common = piece.end.min(word.end) - piece.start.max(word.start);
                shares.push((index, common.max(1) as f32));
            }
            if shares.is_empty() && !words.is_empty() {
                shares.push((first.min(words.len() - 1), 1.0));
            }
            let total: f32 = shares.iter().map(|(_, share)| share).sum();
            for (_, share) in &mut shares {
                *share /= total;
            }
            shares
        })
        .collect()
}

/// The log-probability of each target word: the sum over its pieces, each by its share. 0 for a word no piece made
/// (a mark that was put in afterwards).
pub fn word_log_probs(log_probs: &[f32], pieces: &[Span], words: &[Span]) -> Vec<f32> {
    let mut sums = vec![0.0; words.len()];
    for (shares, log_prob) in shares(pieces, words).iter().zip(log_probs) {
        for &(word, share) in shares {
            sums[word] += share * log_prob;
        }
    }
    sums
}

impl SentencePieces {
    /// Puts the pieces of a sentence's next part after these: the part's spans move by the offsets given, and
    /// attention never crosses from one part into the other. For sentences that were translated in parts.
    pub fn append(&mut self, part: &SentencePieces, source_offset: usize, target_offset: usize) {
        let (before, after) = (self.source.len(), part.source.len());
        for row in &mut self.attention {
            let end = row.pop().unwrap_or(0.0);
            row.resize(before + after, 0.0);
            row.push(end);
        }
        for row in &part.attention {
            self.attention.push(std::iter::repeat_n(0.0, before).chain(row.iter().copied()).collect());
        }
        self.source.extend(part.source.iter().map(|span| span.shifted(source_offset)));
        self.target.extend(part.target.iter().map(|span| span.shifted(target_offset)));
        self.log_probs.extend_from_slice(&part.log_probs);
    }

    /// Checks that the attention has a row per target piece and a column per source piece and `</s>`.
    pub(super) fn check(&self) -> Result<()> {
        let columns = self.source.len() + 1;
        let broken = |what: &str, found: usize, expected: usize| {
            Err(Error::new(ErrorKind::Internal, format!("attention has {found} {what}, expected {expected}")))
        };
        if self.attention.len() < self.target.len() {
            return broken("rows", self.attention.len(), self.target.len());
        }
        match self.attention.iter().find(|row| row.len() != columns) {
            Some(row) => broken("columns", row.len(), columns),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(ends: &[[usize; 2]]) -> Vec<Span> {
        ends.iter().map(|&span| span.into()).collect()
    }

    #[test]
    fn a_piece_over_two_words_is_shared_by_bytes() {
        let shares = shares(&spans(&[[0, 4], [4, 8]]), &spans(&[[0, 5], [5, 8]]));
        assert_eq!(shares, [vec![(0, 1.0)], vec![(0, 0.25), (1, 0.75)]]);
    }

    #[test]
    fn a_lone_space_piece_belongs_to_the_next_word() {
        let shares = shares(&spans(&[[0, 2], [2, 3], [3, 5], [5, 6]]), &spans(&[[0, 2], [3, 5]]));
        assert_eq!(shares, [vec![(0, 1.0)], vec![(1, 1.0)], vec![(1, 1.0)], vec![(1, 1.0)]]);
        assert_eq!(super::shares(&spans(&[[0, 1]]), &[]), [vec![]]);
    }

    #[test]
    fn empty_and_backward_spans_find_a_word() {
        let shares = shares(&spans(&[[5, 5], [0, 2], [9, 9]]), &spans(&[[0, 2], [3, 6]]));
        assert_eq!(shares, [vec![(1, 1.0)], vec![(0, 1.0)], vec![(1, 1.0)]]);
    }

    #[test]
    fn word_log_probs_sum_over_pieces() {
        let sums = word_log_probs(&[-1.0, -2.0, -4.0], &spans(&[[0, 2], [2, 3], [4, 6]]), &spans(&[[0, 3], [4, 6]]));
        assert_eq!(sums, [-3.0, -4.0]);
    }

    #[test]
    fn parts_are_put_together_block_by_block() {
        let part = |source: usize, target: usize, weight: f32| SentencePieces {
            source: vec![Span::new(0, 1); source],
            target: vec![Span::new(0, 1); target],
            log_probs: vec![-1.0; target],
            attention: vec![vec![weight; source + 1]; target],
        };
        let mut whole = part(2, 1, 0.3);
        whole.append(&part(1, 2, 0.5), 10, 20);
        assert_eq!(whole.attention, [[0.3, 0.3, 0.0, 0.3], [0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.5, 0.5]]);
        assert_eq!(whole.source[2], Span::new(10, 11));
        assert_eq!(whole.target[1], Span::new(20, 21));
        whole.check().unwrap();
    }
}

//! The soft alignment of a sentence pair, and the links that are read off it.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::pieces::shares;
use super::{Alignment, Link};
use crate::error::{Error, ErrorKind, Result};
use crate::span::Span;
use crate::translation::SentencePieces;

/// How links are read off a [`Matrix`].
///
/// Parsed from `best`, `hard`, `soft` or a threshold such as `0.3`; all but the first as in Marian's `--alignment`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum LinkForm {
    /// For each word of either side its best partner, where the share is at least [`LinkForm::BEST_FLOOR`]. One word may
    /// so have several partners on either side; closest to links made by people.
    #[default]
    Best,
    /// For each target word the source word with the largest share (the first of equals), unless its null share is
    /// larger than all of them.
    Hard,
    /// Every pair whose share is at least this, in (0, 1].
    Threshold(f32),
    /// Every pair with a share worth writing down: at least [`LinkForm::SOFT_FLOOR`].
    Soft,
}

impl LinkForm {
    /// Shares below this are left out of soft links.
    pub const SOFT_FLOOR: f32 = 0.01;

    /// The smallest share of a [`LinkForm::Best`] link.
    pub const BEST_FLOOR: f32 = 0.25;
}

impl FromStr for LinkForm {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "best" => Ok(LinkForm::Best),
            "hard" => Ok(LinkForm::Hard),
            "soft" => Ok(LinkForm::Soft),
            _ => match text.parse::<f32>() {
                Ok(threshold) if threshold > 0.0 && threshold <= 1.0 => Ok(LinkForm::Threshold(threshold)),
                _ => Err(Error::new(
                    ErrorKind::Usage,
                    format!("`{text}` is no form of alignment: best, hard, soft, or a threshold above 0 and up to 1"),
                )),
            },
        }
    }
}

/// Shares of attention: one row per target word, one column per source word, and each row's null share (what `</s>`
/// took); a row and its null share sum to 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    sources: usize,
    weights: Vec<f32>,
    null: Vec<f32>,
}

impl Matrix {
    /// The matrix over words: the sum over a source word's pieces, the mean over a target word's. A target word that
    /// no piece made has a null share of 1.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the attention does not fit the pieces.
    pub fn of_words(pieces: &SentencePieces, source_words: &[Span], target_words: &[Span]) -> Result<Self> {
        pieces.check()?;
        let source_shares = shares(&pieces.source, source_words);
        let target_shares = shares(&pieces.target, target_words);
        let mut matrix = Matrix::zeros(source_words.len(), target_words.len());
        let mut totals = vec![0.0_f32; target_words.len()];
        let mut row = vec![0.0_f32; source_words.len()];
        for (attention, shares) in pieces.attention.iter().zip(&target_shares) {
            row.fill(0.0);
            for (weight, words) in attention.iter().zip(&source_shares) {
                for &(word, share) in words {
                    row[word] += share * weight;
                }
            }
            for &(target, share) in shares {
                totals[target] += share;
                for (sum, weight) in matrix.row_mut(target).iter_mut().zip(&row) {
                    *sum += share * weight;
                }
            }
        }
        matrix.normalize(&totals);
        Ok(matrix)
    }

    /// The matrix over the pieces themselves.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the attention does not fit the pieces.
    pub fn of_pieces(pieces: &SentencePieces) -> Result<Self> {
        pieces.check()?;
        let mut matrix = Matrix::zeros(pieces.source.len(), pieces.target.len());
        for (target, attention) in pieces.attention.iter().take(pieces.target.len()).enumerate() {
            matrix.row_mut(target).copy_from_slice(&attention[..pieces.source.len()]);
        }
        matrix.normalize(&vec![1.0; pieces.target.len()]);
        Ok(matrix)
    }

    /// A matrix given row by row, as another program wrote it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the rows are not equally long or a weight lies outside [0, 1].
    pub fn from_rows(rows: &[Vec<f32>]) -> Result<Self> {
        let sources = rows.first().map_or(0, Vec::len);
        let mut matrix = Matrix::zeros(sources, rows.len());
        for (target, row) in rows.iter().enumerate() {
            if row.len() != sources {
                let message = format!("row {} has {} weights, expected {sources}", target + 1, row.len());
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
            if let Some(weight) = row.iter().find(|weight| !(0.0..=1.0).contains(*weight)) {
                let message = format!("row {}: weight {weight} is not in [0, 1]", target + 1);
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
            matrix.row_mut(target).copy_from_slice(row);
        }
        matrix.normalize(&vec![1.0; rows.len()]);
        Ok(matrix)
    }

    fn zeros(sources: usize, targets: usize) -> Self {
        Matrix { sources, weights: vec![0.0; sources * targets], null: vec![1.0; targets] }
    }

    fn row_mut(&mut self, target: usize) -> &mut [f32] {
        &mut self.weights[target * self.sources..(target + 1) * self.sources]
    }

    /// Divides each row by its total and gives what is left of 1 to the null share.
    fn normalize(&mut self, totals: &[f32]) {
        for (target, &total) in totals.iter().enumerate() {
            let mut rest = 1.0;
            if total > 0.0 {
                for weight in self.row_mut(target) {
                    *weight = if weight.is_finite() { (*weight / total).clamp(0.0, 1.0) } else { 0.0 };
                    rest -= *weight;
                }
            }
            self.null[target] = rest.clamp(0.0, 1.0);
        }
    }

    /// Number of source words: the columns.
    pub fn sources(&self) -> usize {
        self.sources
    }

    /// Number of target words: the rows.
    pub fn targets(&self) -> usize {
        self.null.len()
    }

    /// The shares of one target word, one per source word.
    ///
    /// # Panics
    /// When there is no such target word.
    pub fn row(&self, target: usize) -> &[f32] {
        &self.weights[target * self.sources..(target + 1) * self.sources]
    }

    /// The null share of each target word.
    pub fn null(&self) -> &[f32] {
        &self.null
    }

    /// For each source word the sum of its shares over all target words: about 1 for a word translated by one word,
    /// near 0 for one that nothing was translated from.
    pub fn coverage(&self) -> Vec<f32> {
        let mut coverage = vec![0.0; self.sources];
        for target in 0..self.targets() {
            for (sum, weight) in coverage.iter_mut().zip(self.row(target)) {
                *sum += weight;
            }
        }
        coverage
    }

    /// The same shares seen from the other side, for [symmetrisation](super::symmetry) with a reverse model: links of
    /// a matrix whose rows are source words, as links from source to target.
    pub fn reversed_links(&self, form: LinkForm) -> Vec<Link> {
        let mut links: Vec<Link> = self
            .links(form)
            .into_iter()
            .map(|link| Link { source: link.target, target: link.source, ..link })
            .collect();
        super::symmetry::sort(&mut links);
        links
    }

    /// The links of the given form, sorted by source word, then by target word.
    pub fn links(&self, form: LinkForm) -> Vec<Link> {
        let mut links = Vec::new();
        let best_targets = if form == LinkForm::Best { self.best_targets() } else { Vec::new() };
        for target in 0..self.targets() {
            let row = self.row(target);
            match form {
                LinkForm::Best => {
                    let best = largest(row).map(|(source, _)| source);
                    for (source, &probability) in row.iter().enumerate() {
                        let chosen = best == Some(source) || best_targets[source] == target;
                        if chosen && probability >= LinkForm::BEST_FLOOR {
                            links.push(Link { source, target, probability });
                        }
                    }
                }
                LinkForm::Hard => {
                    if let Some((source, probability)) = largest(row)
                        && probability > 0.0
                        && probability >= self.null[target]
                    {
                        links.push(Link { source, target, probability });
                    }
                }
                LinkForm::Threshold(floor) => above(row, target, floor, &mut links),
                LinkForm::Soft => above(row, target, LinkForm::SOFT_FLOOR, &mut links),
            }
        }
        super::symmetry::sort(&mut links);
        links
    }

    /// For each source word the target word that has the largest share of it.
    fn best_targets(&self) -> Vec<usize> {
        let mut best = vec![(0, 0.0); self.sources];
        for target in 0..self.targets() {
            for (best, &share) in best.iter_mut().zip(self.row(target)) {
                if share > best.1 {
                    *best = (target, share);
                }
            }
        }
        best.into_iter().map(|(target, _)| target).collect()
    }

    /// The links of the given form with the null shares.
    pub fn alignment(&self, form: LinkForm) -> Alignment {
        Alignment { links: self.links(form), null: self.null.clone() }
    }
}

/// The largest share of a row and where it stands; of equals the first.
fn largest(row: &[f32]) -> Option<(usize, f32)> {
    let best = row.iter().enumerate().rev().max_by(|left, right| left.1.total_cmp(right.1));
    best.map(|(source, &share)| (source, share))
}

fn above(row: &[f32], target: usize, floor: f32, links: &mut Vec<Link>) {
    let pairs = row.iter().enumerate().filter(|&(_, &probability)| probability >= floor);
    links.extend(pairs.map(|(source, &probability)| Link { source, target, probability }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alignment::pharaoh;
    use proptest::prelude::*;

    fn matrix() -> Matrix {
        Matrix::from_rows(&[vec![0.6, 0.4, 0.0], vec![0.25, 0.25, 0.0], vec![0.1, 0.1, 0.7]]).unwrap()
    }

    #[test]
    fn forms_of_links() {
        let matrix = matrix();
        assert_eq!(pharaoh::print(&matrix.links(LinkForm::Hard)), "0-0 2-2");
        assert_eq!(pharaoh::print(&matrix.links(LinkForm::Best)), "0-0 0-1 1-0 2-2");
        assert_eq!(pharaoh::print(&matrix.links(LinkForm::Threshold(0.25))), "0-0 0-1 1-0 1-1 2-2");
        assert_eq!(pharaoh::print(&matrix.links(LinkForm::Soft)), "0-0 0-1 0-2 1-0 1-1 1-2 2-2");
        assert_eq!(pharaoh::print(&matrix.reversed_links(LinkForm::Threshold(0.4))), "0-0 0-1 2-2");
        assert!((matrix.null()[1] - 0.5).abs() < 1e-6);
        assert!((matrix.coverage()[0] - 0.95).abs() < 1e-6);
    }

    #[test]
    fn forms_are_parsed() {
        assert_eq!("hard".parse::<LinkForm>().unwrap(), LinkForm::Hard);
        assert_eq!("0.25".parse::<LinkForm>().unwrap(), LinkForm::Threshold(0.25));
        for wrong in ["", "0", "1.5", "NaN", "-1", "Hard"] {
            assert_eq!(wrong.parse::<LinkForm>().unwrap_err().kind(), ErrorKind::Usage, "{wrong:?}");
        }
    }

    #[test]
    fn attention_that_does_not_fit_is_an_error() {
        let mut pieces = SentencePieces {
            source: vec![Span::new(0, 1)],
            target: vec![Span::new(0, 1)],
            log_probs: vec![0.0],
            attention: vec![vec![1.0]],
        };
        assert!(Matrix::of_pieces(&pieces).unwrap_err().to_string().contains("1 columns, expected 2"));
        pieces.attention.clear();
        assert!(Matrix::of_pieces(&pieces).is_err());
        assert!(Matrix::from_rows(&[vec![0.1], vec![]]).is_err());
        assert!(Matrix::from_rows(&[vec![f32::NAN]]).is_err());
    }

    #[test]
    fn a_word_without_pieces_is_null() {
        let pieces = SentencePieces {
            source: vec![Span::new(0, 3)],
            target: vec![Span::new(0, 3)],
            log_probs: vec![0.0],
            attention: vec![vec![0.75, 0.25], vec![0.0, 1.0]],
        };
        let words = [Span::new(0, 3), Span::new(4, 5)];
        let matrix = Matrix::of_words(&pieces, &words[..1], &words).unwrap();
        assert_eq!(matrix.null(), [0.25, 1.0]);
        assert_eq!(matrix.row(1), [0.0]);
    }

    proptest! {
        #[test]
        fn rows_with_their_null_share_sum_to_one(
            weights in prop::collection::vec(prop::collection::vec(0.0_f32..1.0, 4), 1..6),
            cuts in prop::collection::vec(0_usize..12, 3),
        ) {
            let spans = |count: usize| (0..count).map(|i| Span::new(2 * i, 2 * i + 2)).collect::<Vec<_>>();
            let attention: Vec<Vec<f32>> = weights
                .iter()
                .map(|row| {
                    let sum: f32 = row.iter().sum::<f32>().max(1e-6);
                    row.iter().map(|weight| weight / sum).collect()
                })
                .collect();
            let pieces = SentencePieces {
                source: spans(3),
                target: spans(weights.len()),
                log_probs: vec![-1.0; weights.len()],
                attention,
            };
            let mut ends = cuts.clone();
            ends.sort_unstable();
            let words: Vec<Span> = ends.windows(2).filter(|w| w[0] < w[1]).map(|w| Span::new(w[0], w[1])).collect();
            let matrix = Matrix::of_words(&pieces, &words, &spans(weights.len())).unwrap();
            for target in 0..matrix.targets() {
                let sum: f32 = matrix.row(target).iter().sum::<f32>() + matrix.null()[target];
                prop_assert!((sum - 1.0).abs() < 1e-5);
            }
        }
    }
}

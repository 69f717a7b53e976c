//! From one row of logits to what search needs of it.

use std::cmp::Ordering;

use crate::engine::{RowScores, TokenId};
use crate::{Error, ErrorKind, Result};

/// `ln Σ exp(logit)`, summed in f64 so that it does not depend on the vocabulary's order.
fn log_sum_exp(logits: &[f32]) -> Result<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - most).exp()).sum();
    let result = (f64::from(most) + sum.ln()) as f32;
    if !result.is_finite() {
        return Err(Error::new(ErrorKind::Model, "the model's scores are not finite numbers")
            .with_hint("its weights are damaged or too large for f32"));
    }
    Ok(result)
}

/// Log-probability of one token.
pub(super) fn log_prob(logits: &[f32], token: TokenId) -> Result<f32> {
    Ok(logits[token as usize] - log_sum_exp(logits)?)
}

/// The best tokens, best first and among equals the smaller id first, the probes' logits and the normaliser. A logit of
/// -∞ is a token that can't be had.
pub(super) fn row_scores(logits: &[f32], top: usize, probes: &[TokenId], attention: Vec<f32>) -> Result<RowScores> {
    let log_sum_exp = log_sum_exp(logits)?;
    let order = |a: &u32, b: &u32| -> Ordering { logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b)) };
    let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
    let top = top.min(ids.len());
    if top > 0 && top < ids.len() {
        ids.select_nth_unstable_by(top - 1, order);
    }
    ids.truncate(top);
    ids.sort_unstable_by(order);
    ids.retain(|id| logits[*id as usize] > f32::NEG_INFINITY);
    Ok(RowScores {
        top: ids.into_iter().map(|id| (id, logits[id as usize])).collect(),
        probes: probes.iter().map(|id| logits[*id as usize]).collect(),
        log_sum_exp,
        attention,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_logits_go_by_the_smaller_id() {
        let scores = row_scores(&[1.0, 3.0, 3.0, 2.0, 3.0], 4, &[3, 0], vec![1.0]).unwrap();
        assert_eq!(scores.top, [(1, 3.0), (2, 3.0), (4, 3.0), (3, 2.0)]);
        assert_eq!(scores.probes, [2.0, 1.0]);
        let two = row_scores(&[1.0, 3.0, 3.0, 2.0, 3.0], 2, &[], vec![]).unwrap();
        assert_eq!(two.top, [(1, 3.0), (2, 3.0)]);
        assert_eq!(row_scores(&[1.0], 9, &[], vec![]).unwrap().top, [(0, 1.0)]);
        assert!(row_scores(&[1.0], 0, &[], vec![]).unwrap().top.is_empty());
    }

    #[test]
    fn large_logits_do_not_overflow() {
        let scores = row_scores(&[1000.0, 1000.0], 1, &[], vec![]).unwrap();
        assert!((scores.log_sum_exp - (1000.0 + 2.0_f32.ln())).abs() < 1e-4);
    }

    #[test]
    fn scores_that_are_not_finite_are_an_error() {
        for bad in [f32::NAN, f32::INFINITY] {
            assert_eq!(row_scores(&[1.0, bad], 1, &[], vec![]).unwrap_err().kind(), ErrorKind::Model);
        }
        assert!(log_prob(&[f32::NEG_INFINITY; 2], 0).is_err());
    }
}

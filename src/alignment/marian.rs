//! The two forms in which Marian prints alignments: inline after the translation, and soft as a matrix of weights.
//!
//! Marian counts pieces and has a row and a column for `</s>`; tarjim counts words and leaves `</s>` to the null
//! share. `translate --alignment-units pieces` gives Marian's own units.

use std::fmt::Write;

use super::{Link, Matrix, pharaoh};
use crate::error::{Error, ErrorKind, Result};

/// Between the translation and its links.
const SEPARATOR: &str = " ||| ";

/// Most weights a soft line may hold: 4096 by 4096 words.
const MOST_WEIGHTS: usize = 1 << 24;

/// `translation ||| 0-0 1-2`.
pub fn print_inline(target: &str, links: &[Link]) -> String {
    format!("{target}{SEPARATOR}{}", pharaoh::print(links))
}

/// Reads `translation ||| 0-0 1-2`: the translation and the pairs. The last separator counts, for a translation may
/// hold one itself.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] when there is no separator or no links after it.
pub fn parse_inline(line: &str) -> Result<(&str, Vec<pharaoh::Pair>)> {
    // `rfind` on the bare bars: with no links at all, line ends are often trimmed and the last space is gone.
    let Some((target, links)) = line.rsplit_once(" |||") else {
        return Err(Error::new(ErrorKind::InvalidInput, "no ` ||| ` before the alignment"));
    };
    Ok((target, pharaoh::parse(links)?))
}

/// The whole matrix as Marian's `--alignment soft` prints it: target words parted by spaces, the weights of each by
/// commas, in source order.
pub fn print_soft(matrix: &Matrix) -> String {
    let mut line = String::new();
    for target in 0..matrix.targets() {
        if target > 0 {
            line.push(' ');
        }
        for (source, weight) in matrix.row(target).iter().enumerate() {
            if source > 0 {
                line.push(',');
            }
            let _ = write!(line, "{weight}");
        }
    }
    line
}

/// Reads what [`print_soft`] (or Marian) wrote.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] naming the row, when a weight is no number in [0, 1] or the rows differ in length.
///
/// ```
/// use tarjim::alignment::marian;
///
/// let matrix = marian::parse_soft("0.9,0.1 0.25,0.5")?;
/// assert_eq!(matrix.row(1), [0.25, 0.5]);
/// assert_eq!(marian::print_soft(&matrix), "0.9,0.1 0.25,0.5");
/// # Ok::<(), tarjim::Error>(())
/// ```
pub fn parse_soft(line: &str) -> Result<Matrix> {
    let mut rows = Vec::new();
    let mut weights = 0;
    for (at, field) in line.split_whitespace().enumerate() {
        let row = field
            .split(',')
            .map(|weight| {
                weight.parse::<f32>().map_err(|_| {
                    let shown: String = weight.chars().take(40).collect();
                    Error::new(ErrorKind::InvalidInput, format!("row {}: `{shown}` is no weight", at + 1))
                })
            })
            .collect::<Result<Vec<f32>>>()?;
        weights += row.len();
        if weights > MOST_WEIGHTS {
            return Err(Error::new(ErrorKind::InvalidInput, format!("more than {MOST_WEIGHTS} weights in one line")));
        }
        rows.push(row);
    }
    Matrix::from_rows(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn inline_form_both_ways() {
        let links = [Link { source: 0, target: 1, probability: 0.5 }];
        assert_eq!(print_inline("a ||| b", &links), "a ||| b ||| 0-1");
        assert_eq!(parse_inline("a ||| b ||| 0-1").unwrap(), ("a ||| b", vec![(0, 1)]));
        assert_eq!(parse_inline("a |||").unwrap(), ("a", vec![]));
        assert!(parse_inline("a 0-1").is_err());
        assert!(parse_inline("a ||| b").is_err());
    }

    #[test]
    fn soft_form_refuses_what_is_no_matrix() {
        for wrong in ["0.5,x", "0.5 0.5,0.5", "2", "-0.1", "nan", "0.5,"] {
            assert_eq!(parse_soft(wrong).unwrap_err().kind(), ErrorKind::InvalidInput, "{wrong}");
        }
        assert_eq!(parse_soft("").unwrap().targets(), 0);
    }

    proptest! {
        #[test]
        fn soft_form_comes_back_bit_for_bit(rows in prop::collection::vec(prop::collection::vec(0.0_f32..0.3, 3), 1..5)) {
            let matrix = Matrix::from_rows(&rows).unwrap();
            prop_assert_eq!(parse_soft(&print_soft(&matrix)).unwrap(), matrix);
        }
    }
}

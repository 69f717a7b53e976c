//! A weight matrix as an engine takes it over: f32, or int8 with one scale per row.

use std::borrow::Cow;

/// A matrix `[rows, columns]`, row-major, as `transformers` stores a linear layer: `[outputs, inputs]`.
#[derive(Clone, Debug, PartialEq)]
pub enum Matrix<'a> {
    /// Plain numbers.
    F32 {
        /// Number of rows.
        rows: usize,
        /// Number of columns.
        cols: usize,
        /// `rows · cols` numbers.
        data: Cow<'a, [f32]>,
    },
    /// Quantised numbers: row `r` is `data[r] · scales[r]`.
    Int8 {
        /// Number of rows.
        rows: usize,
        /// Number of columns.
        cols: usize,
        /// `rows · cols` numbers.
        data: Cow<'a, [i8]>,
        /// One factor per row.
        scales: Vec<f32>,
    },
}

impl Matrix<'_> {
    /// Number of rows: outputs of a linear layer, pieces of an embedding.
    pub fn rows(&self) -> usize {
        match self {
            Matrix::F32 { rows, .. } | Matrix::Int8 { rows, .. } => *rows,
        }
    }

    /// Number of columns: inputs of a linear layer, width of an embedding.
    pub fn cols(&self) -> usize {
        match self {
            Matrix::F32 { cols, .. } | Matrix::Int8 { cols, .. } => *cols,
        }
    }

    /// All numbers as f32, quantised ones multiplied out.
    pub fn to_f32(&self) -> Cow<'_, [f32]> {
        match self {
            Matrix::F32 { data, .. } => Cow::Borrowed(data),
            Matrix::Int8 { cols, data, scales, .. } => {
                let row =
                    |(row, scale): (&[i8], &f32)| row.iter().map(|value| f32::from(*value) * scale).collect::<Vec<_>>();
                Cow::Owned(data.chunks_exact(*cols).zip(scales).flat_map(row).collect())
            }
        }
    }
}

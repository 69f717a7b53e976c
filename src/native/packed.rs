//! A weight matrix in 8-bit integers, laid out for the kernel that will read it.

use super::kernel::{AlignedBytes, DEPTH};
use super::quantize;
use crate::error::{Error, ErrorKind, Result};

/// Rows of a matrix (one per output) as the model file holds them.
#[derive(Clone, Copy)]
pub(super) enum RowSource<'a> {
    /// 32-bit floats.
    Float(&'a [f32]),
    /// 8-bit integers and the number each stands for.
    Quantized(&'a [i8], f32),
}

/// A matrix `columns × depth` that maps vectors of `depth` to vectors of `columns`.
///
/// Memory: panels of `width` columns one after the other; in a panel, for every four depths, those four weights of
/// column 0, of column 1, …: what one vector register (or one row of an AMX tile) holds.
pub(super) struct Packed {
    depth: usize,
    columns: usize,
    width: usize,
    row_bytes: usize,
    panels: AlignedBytes,
    /// What a unit of each column's weights stands for; 0 for columns that only fill the last panel.
    scales: Vec<f32>,
    /// The sum of each column's weights.
    sums: Vec<i32>,
    bias: Vec<f32>,
}

impl Packed {
    /// An all-zero matrix with room for `columns` columns of `depth` weights.
    pub(super) fn zeroed(columns: usize, depth: usize, width: usize) -> Self {
        let padded = columns.next_multiple_of(width);
        let row_bytes = depth.next_multiple_of(DEPTH);
        Packed {
            depth,
            columns,
            width,
            row_bytes,
            panels: AlignedBytes::zeroed(padded * row_bytes),
            scales: vec![0.0; padded],
            sums: vec![0; padded],
            bias: vec![0.0; padded],
        }
    }

    /// Quantises and packs one column; see [`PackedPart::set`].
    pub(super) fn set(
        &mut self,
        column: usize,
        row: RowSource<'_>,
        bias: f32,
        factor: f32,
        places: Option<&[usize]>,
        scratch: &mut Vec<i8>,
    ) -> Result<()> {
        PackedPart {
            width: self.width,
            row_bytes: self.row_bytes,
            panels: self.panels.signed_mut(),
            scales: &mut self.scales,
            sums: &mut self.sums,
            bias: &mut self.bias,
        }
        .set(column, row, bias, factor, places, scratch)
    }

    /// Parts of `columns` columns (a multiple of the panel width) that can be filled independently.
    pub(super) fn split(&mut self, columns: usize) -> impl Iterator<Item = PackedPart<'_>> {
        let (width, row_bytes) = (self.width, self.row_bytes);
        let panels = self.panels.signed_mut().chunks_mut(columns * row_bytes);
        let numbers =
            self.scales.chunks_mut(columns).zip(self.sums.chunks_mut(columns)).zip(self.bias.chunks_mut(columns));
        panels.zip(numbers).map(move |(panels, ((scales, sums), bias))| PackedPart {
            width,
            row_bytes,
            panels,
            scales,
            sums,
            bias,
        })
    }

    /// Sets the bias of the columns that only fill the last panel.
    pub(super) fn fill_spare_bias(&mut self, value: f32) {
        self.bias[self.columns..].fill(value);
    }

    /// Reads one column back: `scale · weight` for each depth, the column's own scale times `factor`.
    pub(super) fn read(&self, column: usize, factor: f32, out: &mut [f32]) {
        let panel = &self.panels.signed()[column / self.width * self.width * self.row_bytes..];
        let lane = column % self.width * 4;
        let scale = self.scales[column] * factor;
        for (out, place) in out[..self.depth].chunks_mut(4).zip(panel.chunks(self.width * 4)) {
            for (out, &w) in out.iter_mut().zip(&place[lane..lane + 4]) {
                *out = f32::from(w) * scale;
            }
        }
    }

    /// Length of a vector it gives.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// Length of a vector it gives with the spare columns of the last panel.
    pub(super) fn padded_columns(&self) -> usize {
        self.scales.len()
    }

    /// Bytes of a quantised vector it takes: `depth` rounded up.
    pub(super) fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// Columns in a panel.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The weights of columns `from..to`, both multiples of the panel width.
    pub(super) fn panels(&self, from: usize, to: usize) -> &[i8] {
        &self.panels.signed()[from * self.row_bytes..to * self.row_bytes]
    }

    pub(super) fn scales(&self) -> &[f32] {
        &self.scales
    }

    pub(super) fn sums(&self) -> &[i32] {
        &self.sums
    }

    pub(super) fn bias(&self) -> &[f32] {
        &self.bias
    }
}

/// Some columns of a [`Packed`] matrix, being filled.
pub(super) struct PackedPart<'a> {
    width: usize,
    row_bytes: usize,
    panels: &'a mut [i8],
    scales: &'a mut [f32],
    sums: &'a mut [i32],
    bias: &'a mut [f32],
}

impl PackedPart<'_> {
    /// Quantises and packs one column. `places` says at which depth each weight of `row` lies (its own index where
    /// it is `None`); `factor` scales the outcome, the bias included.
    ///
    /// # Errors
    /// A weight is not finite.
    pub(super) fn set(
        &mut self,
        column: usize,
        row: RowSource<'_>,
        bias: f32,
        factor: f32,
        places: Option<&[usize]>,
        scratch: &mut Vec<i8>,
    ) -> Result<()> {
        scratch.clear();
        scratch.resize(self.row_bytes, 0);
        let scale = match (row, places) {
            (RowSource::Float(row), None) => quantize::weights(row, &mut scratch[..row.len()]),
            (RowSource::Float(row), Some(places)) => {
                let mut spread = vec![0.0; self.row_bytes];
                for (&w, &place) in row.iter().zip(places) {
                    spread[place] = w;
                }
                quantize::weights(&spread, scratch)
            }
            (RowSource::Quantized(row, scale), None) => {
                scratch[..row.len()].copy_from_slice(row);
                quantize::tame(scratch, scale)
            }
            (RowSource::Quantized(row, scale), Some(places)) => {
                for (&w, &place) in row.iter().zip(places) {
                    scratch[place] = w;
                }
                quantize::tame(scratch, scale)
            }
        };
        let scale = scale * factor;
        if !scale.is_finite() || !bias.is_finite() {
            return Err(Error::new(
                ErrorKind::Model,
                format!("row {column} holds a weight that is not a finite number"),
            ));
        }
        let panel = &mut self.panels[column / self.width * self.width * self.row_bytes..];
        let lane = column % self.width * 4;
        for (four, place) in scratch.as_chunks::<4>().0.iter().zip(panel.chunks_exact_mut(self.width * 4)) {
            place[lane..lane + 4].copy_from_slice(four);
        }
        self.scales[column] = scale;
        self.sums[column] = scratch.iter().map(|&w| i32::from(w)).sum();
        self.bias[column] = bias * factor;
        Ok(())
    }

    /// Leaves a column without weights and makes sure that it never wins.
    pub(super) fn bar(&mut self, column: usize) {
        self.bias[column] = f32::NEG_INFINITY;
    }
}

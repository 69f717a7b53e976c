//! A linear layer: integer product, then scale, bias and activation function in one pass over the sums.

use super::activations::Activations;
use super::isa::{Isa, Operation, Product};
use super::lanes::{Lanes, error_function, exponential};
use crate::native::packed::Packed;

/// The function after a linear layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::native) enum Activation {
    /// None.
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `x / (1 + e^-x)`.
    Swish,
    /// `x / 2 · (1 + erf(x / √2))`.
    Gelu,
}

/// Rows whose sums are worked on while they are in the first-level cache.
const BLOCK_ROWS: usize = 32;

/// Columns of a block: eight or four panels.
const BLOCK_COLUMNS: usize = 64;

/// `out = activation(a · w + bias)`, `w.padded_columns()` values a row.
pub(super) fn linear<I: Isa>(isa: I, a: &Activations, w: &Packed, activation: Activation, out: &mut [f32]) {
    assert_eq!(a.row_bytes(), w.row_bytes(), "activations and weights differ in depth");
    let columns = w.padded_columns();
    let mut sums = [0i32; BLOCK_ROWS * BLOCK_COLUMNS];
    for row in (0..a.count()).step_by(BLOCK_ROWS) {
        let count = (a.count() - row).min(BLOCK_ROWS);
        for column in (0..columns).step_by(BLOCK_COLUMNS) {
            let width = (columns - column).min(BLOCK_COLUMNS);
            accumulate(isa, a, row, count, w, column, width, &mut sums);
            isa.run(Unshift {
                sums: &sums[..count * width],
                a,
                row,
                columns: ColumnScales::of(w, column, width),
                width,
                activation,
                out: &mut out[row * columns + column..],
                stride: columns,
            });
        }
    }
}

/// The integer sums of rows `row..row + count` and columns `column..column + width`.
#[expect(clippy::too_many_arguments, reason = "a block has two corners")]
pub(super) fn accumulate<I: Isa>(
    isa: I,
    a: &Activations,
    row: usize,
    count: usize,
    w: &Packed,
    column: usize,
    width: usize,
    sums: &mut [i32],
) {
    let product =
        Product { rows: a.tiles(row), row_bytes: a.row_bytes(), count, panels: w.panels(column, column + width) };
    isa.accumulate(product, sums);
}

/// A row of activations' zero and scale.
#[derive(Clone, Copy)]
pub(super) struct RowScale {
    zero: i32,
    scale: f32,
}

impl RowScale {
    #[inline]
    pub(super) fn of(a: &Activations, row: usize) -> Self {
        RowScale { zero: a.zero(row), scale: a.scale(row) }
    }
}

/// What turns the sums of some columns into numbers.
#[derive(Clone, Copy)]
pub(super) struct ColumnScales<'a> {
    sums: &'a [i32],
    scales: &'a [f32],
    bias: &'a [f32],
}

impl<'a> ColumnScales<'a> {
    pub(super) fn of(w: &'a Packed, column: usize, width: usize) -> Self {
        let range = column..column + width;
        ColumnScales { sums: &w.sums()[range.clone()], scales: &w.scales()[range.clone()], bias: &w.bias()[range] }
    }

    /// Calls `each` with eight columns' values at a time, in order.
    #[inline(always)]
    pub(super) fn unshift<L: Lanes>(self, sums: &[i32], row: RowScale, mut each: impl FnMut(usize, L)) {
        let scale = L::splat(row.scale);
        let columns = self.sums.as_chunks::<8>().0.iter().zip(self.scales.as_chunks::<8>().0);
        let columns = columns.zip(self.bias.as_chunks::<8>().0);
        for (i, (sums, ((own, scales), bias))) in sums.as_chunks::<8>().0.iter().zip(columns).enumerate() {
            let unshifted = L::load_unshifted(sums, row.zero, own);
            each(i, unshifted.mul_add(scale.mul(L::load(scales)), L::load(bias)));
        }
    }
}

/// A block: `activation((sums - zero · column sums) · scales + bias)`.
struct Unshift<'a> {
    /// Rows of `width` sums.
    sums: &'a [i32],
    a: &'a Activations,
    row: usize,
    columns: ColumnScales<'a>,
    width: usize,
    activation: Activation,
    /// Where the block lies in the result, whose rows are `stride` long.
    out: &'a mut [f32],
    stride: usize,
}

impl Operation for Unshift<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<L: Lanes>(self) {
        match self.activation {
            Activation::Identity => self.each_row::<L>(|v| v),
            Activation::Relu => self.each_row::<L>(|v| v.max(L::splat(0.0))),
            Activation::Swish => self.each_row::<L>(|v| {
                let denominator = exponential(L::splat(0.0).sub(v)).add(L::splat(1.0));
                v.div(denominator)
            }),
            Activation::Gelu => self.each_row::<L>(|v| {
                let half = v.mul(L::splat(0.5));
                let erf = error_function(v.mul(L::splat(std::f32::consts::FRAC_1_SQRT_2)));
                half.mul_add(erf, half)
            }),
        }
    }
}

impl Unshift<'_> {
    #[inline(always)]
    fn each_row<L: Lanes>(self, activation: impl Fn(L) -> L) {
        let rows = self.sums.chunks_exact(self.width).zip(self.out.chunks_mut(self.stride));
        for (i, (sums, out)) in rows.enumerate() {
            let (out, _) = out.as_chunks_mut::<8>();
            let row = RowScale::of(self.a, self.row + i);
            self.columns.unshift::<L>(sums, row, |i, v| activation(v).store(&mut out[i]));
        }
    }
}

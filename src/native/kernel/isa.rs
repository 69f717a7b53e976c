//! What an instruction set must offer; a value of an [`Isa`] type proves that the CPU has it.

use super::activations::{DEPTH, TILE};
use super::lanes::Lanes;

/// A floating-point loop, written once over [`Lanes`].
pub(super) trait Operation {
    type Output;

    /// Must be `#[inline(always)]`, or the loop is compiled without the instruction set it runs in.
    fn eval<L: Lanes>(self) -> Self::Output;
}

/// An integer matrix product: quantised activations times packed weights.
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    /// Activations in `0..=127`, tile after tile: each holds, for every 64 depths, those of sixteen rows one after
    /// the other.
    pub(super) rows: &'a [u8],
    /// Bytes of a row: a multiple of [`DEPTH`].
    pub(super) row_bytes: usize,
    /// Number of rows.
    pub(super) count: usize,
    /// Weights, panel after panel: each holds, for every four depths, those four of column 0, of column 1, ….
    pub(super) panels: &'a [i8],
}

/// Some rows times one panel: what a kernel works on at a time.
pub(super) struct Tile<'a> {
    /// Number of rows.
    pub(super) height: usize,
    /// Activations from the first row on.
    pub(super) rows: &'a [u8],
    /// One panel of weights.
    pub(super) panel: &'a [i8],
    /// Where the first of the sums lies.
    pub(super) at: usize,
}

/// Eight rows while there are as many, then one at a time.
#[inline]
pub(super) fn eight_or_one(left: usize) -> usize {
    if left >= 8 { 8 } else { 1 }
}

impl<'a> Product<'a> {
    /// The tiles of each panel of `width` columns; `height` says how many of the rows that are left go into the next.
    #[inline]
    pub(super) fn tiles(self, width: usize, height: impl Fn(usize) -> usize + Copy) -> impl Iterator<Item = Tile<'a>> {
        let columns = self.columns();
        self.panels.chunks_exact(self.row_bytes * width).enumerate().flat_map(move |(index, panel)| {
            let mut row = 0;
            std::iter::from_fn(move || {
                let left = self.count - row;
                (left > 0).then(|| {
                    let (height, at) = (height(left), row * columns + index * width);
                    let rows = &self.rows[self.row_start(row)..];
                    row += height;
                    Tile { height, rows, panel, at }
                })
            })
        })
    }

    /// Columns in all panels together.
    pub(super) fn columns(&self) -> usize {
        self.panels.len() / self.row_bytes
    }

    /// Where row `row` begins; each further [`DEPTH`] bytes of it lie `TILE · DEPTH` bytes on.
    #[inline]
    pub(super) fn row_start(&self, row: usize) -> usize {
        row / TILE * TILE * self.row_bytes + row % TILE * DEPTH
    }

    /// Panics unless every access a kernel will make for panels of `width` columns lies inside its slices.
    ///
    /// The vector kernels call this once and then read by pointer.
    pub(super) fn check(&self, width: usize, out: &[i32]) {
        assert!(self.row_bytes > 0 && self.row_bytes.is_multiple_of(DEPTH), "ragged depth");
        assert!(self.rows.len() >= self.count.next_multiple_of(TILE) * self.row_bytes, "rows too short");
        assert!(self.panels.len().is_multiple_of(self.row_bytes * width), "half a panel");
        assert_eq!(self.panels.as_ptr() as usize % 64, 0, "panels not aligned");
        assert!(out.len() >= self.count * self.columns(), "no room for the sums");
    }
}

/// An instruction set. A value of the type can only be had where the CPU has the instructions.
pub(super) trait Isa: Copy + Send + Sync + 'static {
    /// Columns in a panel of packed weights.
    const WIDTH: usize;

    /// Runs a floating-point loop.
    fn run<O: Operation>(self, operation: O) -> O::Output;

    /// Writes the exact dot products, row by row, `product.columns()` to a row.
    fn accumulate(self, product: Product<'_>, out: &mut [i32]);
}

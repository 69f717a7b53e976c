//! The kernel in plain Rust: runs on every CPU and says what the others must compute.

use super::activations::{DEPTH, TILE};
use super::isa::{Isa, Operation, Product};
use super::lanes::PlainLanes;

/// Needs nothing of the CPU.
#[derive(Clone, Copy)]
pub(super) struct Scalar;

impl Isa for Scalar {
    const WIDTH: usize = 8;

    fn run<O: Operation>(self, operation: O) -> O::Output {
        operation.eval::<PlainLanes>()
    }

    fn accumulate(self, product: Product<'_>, out: &mut [i32]) {
        accumulate::<{ Self::WIDTH }>(product, out);
    }
}

/// The products of `product` for panels of `WIDTH` columns.
pub(super) fn accumulate<const WIDTH: usize>(product: Product<'_>, out: &mut [i32]) {
    let Product { rows, row_bytes, count, panels } = product;
    let columns = product.columns();
    for (row, out) in out.chunks_mut(columns).take(count).enumerate() {
        let blocks = rows[product.row_start(row)..].chunks(TILE * DEPTH).take(row_bytes / DEPTH);
        let row: Vec<u8> = blocks.flat_map(|block| &block[..DEPTH]).copied().collect();
        for (panel, out) in panels.chunks(row_bytes * WIDTH).zip(out.chunks_mut(WIDTH)) {
            let mut sums = [0i32; WIDTH];
            for (activations, weights) in row.as_chunks::<4>().0.iter().zip(panel.chunks(4 * WIDTH)) {
                for (sum, weights) in sums.iter_mut().zip(weights.as_chunks::<4>().0) {
                    for (&a, &w) in activations.iter().zip(weights) {
                        *sum += i32::from(a) * i32::from(w);
                    }
                }
            }
            out.copy_from_slice(&sums);
        }
    }
}

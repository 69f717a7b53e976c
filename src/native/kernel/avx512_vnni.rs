//! AVX-512 with VNNI: Intel servers since Cascade Lake, AMD since Zen 4.

use std::arch::x86_64::*;

use super::activations::{DEPTH, TILE};
use super::avx2::Avx2;
use super::isa::{Isa, Operation, Product, eight_or_one};

/// Proof that the CPU has AVX-512 F, BW and VNNI, and AVX2 and FMA with them.
#[derive(Clone, Copy)]
pub(super) struct Avx512Vnni(Avx2);

impl Avx512Vnni {
    /// `None` where the CPU lacks it.
    pub(super) fn new() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vnni");
        Avx2::new().filter(|_| has).map(Avx512Vnni)
    }
}

impl Isa for Avx512Vnni {
    const WIDTH: usize = 16;

    // Floating point stays eight lanes wide: it is a few percent of the time, and sixteen would sum in another order.
    #[inline]
    fn run<O: Operation>(self, operation: O) -> O::Output {
        self.0.run(operation)
    }

    fn accumulate(self, product: Product<'_>, out: &mut [i32]) {
        product.check(Self::WIDTH, out);
        // SAFETY: `self` proves the features, `check` the bounds.
        unsafe { accumulate(product, out) }
    }
}

/// # Safety
/// `product.check(16, out)` must have passed.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn accumulate(product: Product<'_>, out: &mut [i32]) {
    let Product { rows, row_bytes, count, panels } = product;
    let columns = product.columns();
    let total = columns / 16;
    let mut index = 0;
    while index < total {
        let wide = if total - index >= 2 { 2 } else { 1 };
        let mut row = 0;
        while row < count {
            let height = eight_or_one(count - row);
            // SAFETY: rows `row..row + height` and panels `index..index + wide` are inside, by `check`.
            unsafe {
                let a = rows.as_ptr().add(product.row_start(row));
                let w = panels.as_ptr().add(index * row_bytes * 16);
                let o = out.as_mut_ptr().add(row * columns + index * 16);
                match (height, wide) {
                    (8, 2) => tile::<8, 2>(a, w, row_bytes, o, columns),
                    (8, _) => tile::<8, 1>(a, w, row_bytes, o, columns),
                    (_, 2) => tile::<1, 2>(a, w, row_bytes, o, columns),
                    _ => tile::<1, 1>(a, w, row_bytes, o, columns),
                }
            }
            row += height;
        }
        index += wide;
    }
}

/// `M` rows times `P` panels of sixteen columns.
///
/// # Safety
/// `M` rows of `row_bytes` bytes are readable from `a` as [`Product`] lays them out, `P` panels as deep from `w`, and
/// `M` rows of `16 P` sums are writable at `out` every `columns` sums.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn tile<const M: usize, const P: usize>(
    a: *const u8,
    w: *const i8,
    row_bytes: usize,
    out: *mut i32,
    columns: usize,
) {
    // SAFETY: all offsets below stay inside what the caller promises.
    unsafe {
        let mut sums = [[_mm512_setzero_si512(); P]; M];
        for block in 0..row_bytes / DEPTH {
            let (a, w) = (a.add(block * TILE * DEPTH), w.add(block * DEPTH * 16));
            for step in 0..DEPTH / 4 {
                let weights: [__m512i; P] =
                    std::array::from_fn(|p| _mm512_load_si512(w.add(p * row_bytes * 16 + step * 64).cast()));
                for (m, sums) in sums.iter_mut().enumerate() {
                    let a = _mm512_set1_epi32(a.add(m * DEPTH + step * 4).cast::<i32>().read_unaligned());
                    for (sum, &weights) in sums.iter_mut().zip(&weights) {
                        *sum = _mm512_dpbusd_epi32(*sum, a, weights);
                    }
                }
            }
        }
        for (m, sums) in sums.iter().enumerate() {
            for (p, &sum) in sums.iter().enumerate() {
                _mm512_storeu_si512(out.add(m * columns + p * 16).cast(), sum);
            }
        }
    }
}

//! AVX-VNNI: Intel client CPUs since Alder Lake, AMD since Zen 5, where AVX-512 is missing or off.

use std::arch::x86_64::*;

use super::activations::{DEPTH, TILE};
use super::avx2::Avx2;
use super::isa::{Isa, Operation, Product, Tile, eight_or_one};

/// Proof that the CPU has AVX-VNNI, and AVX2 and FMA with it.
#[derive(Clone, Copy)]
pub(super) struct AvxVnni(Avx2);

impl AvxVnni {
    /// `None` where the CPU lacks it.
    pub(super) fn new() -> Option<Self> {
        Avx2::new().filter(|_| is_x86_feature_detected!("avxvnni")).map(AvxVnni)
    }
}

impl Isa for AvxVnni {
    const WIDTH: usize = Avx2::WIDTH;

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
/// `product.check(8, out)` must have passed.
#[target_feature(enable = "avx2,fma,avxvnni")]
unsafe fn accumulate(product: Product<'_>, out: &mut [i32]) {
    let (blocks, columns) = (product.row_bytes / DEPTH, product.columns());
    for Tile { height, rows, panel, at } in product.tiles(8, eight_or_one) {
        // SAFETY: the tile's rows, its panel and its sums are inside, by `check`.
        unsafe {
            let (a, w, o) = (rows.as_ptr(), panel.as_ptr(), out.as_mut_ptr().add(at));
            match height {
                8 => tile::<8>(a, w, blocks, o, columns),
                _ => tile::<1>(a, w, blocks, o, columns),
            }
        }
    }
}

/// `M` rows times one panel of eight columns.
///
/// # Safety
/// `M` rows of `blocks` blocks are readable from `a` as [`Product`] lays them out, a panel as deep from `w`, and `M`
/// rows of eight sums are writable at `out` every `columns` sums.
#[target_feature(enable = "avx2,fma,avxvnni")]
unsafe fn tile<const M: usize>(a: *const u8, w: *const i8, blocks: usize, out: *mut i32, columns: usize) {
    // SAFETY: all offsets below stay inside what the caller promises.
    unsafe {
        let mut sums = [_mm256_setzero_si256(); M];
        for block in 0..blocks {
            let (a, w) = (a.add(block * TILE * DEPTH), w.add(block * DEPTH * 8));
            for step in 0..DEPTH / 4 {
                let weights = _mm256_load_si256(w.add(step * 32).cast());
                for (m, sum) in sums.iter_mut().enumerate() {
                    let a = a.add(m * DEPTH + step * 4).cast::<i32>().read_unaligned();
                    *sum = _mm256_dpbusd_avx_epi32(*sum, _mm256_set1_epi32(a), weights);
                }
            }
        }
        for (m, &sum) in sums.iter().enumerate() {
            _mm256_storeu_si256(out.add(m * columns).cast(), sum);
        }
    }
}

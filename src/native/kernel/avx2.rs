//! AVX2 and FMA: Intel since Haswell, AMD since Zen.
//!
//! Without VNNI an 8-bit dot product takes `vpmaddubsw` (pairs to 16 bits, saturating), `vpmaddwd` (pairs to 32) and
//! an add: both multiplications compete for the same two ports. Activations of 7 bits and the bound that
//! [`quantize`](crate::native::quantize) puts on the weights let four `vpmaddubsw` results be summed in 16 bits
//! without overflow, so one `vpmaddwd` serves four: 5 multiplications for 128 products in place of 8.

use std::arch::x86_64::*;

use super::activations::{DEPTH, TILE};
use super::isa::{Isa, Operation, Product, Tile};
use super::lanes::Lanes;

/// Proof that the CPU has AVX2 and FMA.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    /// `None` where the CPU lacks it.
    pub(super) fn new() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Avx2(()))
    }
}

impl Isa for Avx2 {
    const WIDTH: usize = 8;

    #[inline]
    fn run<O: Operation>(self, operation: O) -> O::Output {
        // SAFETY: `self` proves the features.
        unsafe { run(operation) }
    }

    fn accumulate(self, product: Product<'_>, out: &mut [i32]) {
        product.check(Self::WIDTH, out);
        // SAFETY: `self` proves the features, `check` the bounds.
        unsafe { accumulate(product, out) }
    }
}

#[target_feature(enable = "avx2,fma")]
fn run<O: Operation>(operation: O) -> O::Output {
    operation.eval::<Avx2Lanes>()
}

/// Rows that share one pass over a panel: eight sums, four weight vectors, the ones and three temporaries fill the
/// sixteen registers.
const ROWS: usize = 8;

/// # Safety
/// `product.check(8, out)` must have passed.
#[target_feature(enable = "avx2,fma")]
unsafe fn accumulate(product: Product<'_>, out: &mut [i32]) {
    let (blocks, columns) = (product.row_bytes / DEPTH, product.columns());
    for Tile { height, rows, panel, at } in product.tiles(8, |left| left.min(ROWS)) {
        // SAFETY: the tile's rows, its panel and its sums are inside, by `check`.
        unsafe {
            let (a, w, o) = (rows.as_ptr(), panel.as_ptr(), out.as_mut_ptr().add(at));
            match height {
                1 => tile::<1>(a, w, blocks, o, columns),
                2 => tile::<2>(a, w, blocks, o, columns),
                3 => tile::<3>(a, w, blocks, o, columns),
                4 => tile::<4>(a, w, blocks, o, columns),
                5 => tile::<5>(a, w, blocks, o, columns),
                6 => tile::<6>(a, w, blocks, o, columns),
                7 => tile::<7>(a, w, blocks, o, columns),
                _ => tile::<8>(a, w, blocks, o, columns),
            }
        }
    }
}

/// `M` rows times one panel of eight columns.
///
/// # Safety
/// `M` rows of `blocks` blocks are readable from `a` as [`Product`] lays them out, a panel as deep from `w`, and `M`
/// rows of eight sums are writable at `out` every `columns` sums.
#[target_feature(enable = "avx2,fma")]
unsafe fn tile<const M: usize>(a: *const u8, w: *const i8, blocks: usize, out: *mut i32, columns: usize) {
    // SAFETY: all offsets below stay inside what the caller promises.
    unsafe {
        let ones = _mm256_set1_epi16(1);
        let mut sums = [_mm256_setzero_si256(); M];
        let (mut a, mut w) = (a, w);
        // The panel after this one: by the time it is needed it has come from wherever it was.
        let mut ahead = w.wrapping_add(blocks * DEPTH * 8);
        for _ in 0..blocks {
            for _ in 0..DEPTH / 16 {
                let weights: [__m256i; 4] = std::array::from_fn(|i| _mm256_load_si256(w.cast::<__m256i>().add(i)));
                _mm_prefetch::<_MM_HINT_T0>(ahead);
                _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(64));
                for (m, sum) in sums.iter_mut().enumerate() {
                    let a = a.add(m * DEPTH).cast::<i32>();
                    let pairs: [__m256i; 4] = std::array::from_fn(|i| {
                        _mm256_maddubs_epi16(_mm256_set1_epi32(a.add(i).read_unaligned()), weights[i])
                    });
                    let pairs =
                        _mm256_add_epi16(_mm256_add_epi16(pairs[0], pairs[1]), _mm256_add_epi16(pairs[2], pairs[3]));
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
                }
                w = w.wrapping_add(128);
                ahead = ahead.wrapping_add(128);
                a = a.wrapping_add(16);
            }
            a = a.wrapping_add((TILE - 1) * DEPTH);
        }
        for (m, &sum) in sums.iter().enumerate() {
            _mm256_storeu_si256(out.add(m * columns).cast(), sum);
        }
    }
}

/// Eight lanes in a register. Named only by [`run`], which runs only under a proof of AVX2 and FMA: that is what
/// makes every block below sound.
#[derive(Clone, Copy)]
pub(super) struct Avx2Lanes(__m256);

macro_rules! lanewise {
    ($($name:ident => $intrinsic:ident;)*) => {$(
        #[inline(always)]
        fn $name(self, other: Self) -> Self {
            // SAFETY: see `Avx2Lanes`.
            unsafe { Avx2Lanes($intrinsic(self.0, other.0)) }
        }
    )*};
}

/// Folds eight lanes to one in the order [`Lanes::sum`] gives.
macro_rules! fold {
    ($v:expr, $four:ident, $one:ident) => {{
        // SAFETY: see `Avx2Lanes`.
        unsafe {
            let four = $four(_mm256_castps256_ps128($v), _mm256_extractf128_ps::<1>($v));
            let two = $four(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32($one(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }};
}

impl Lanes for Avx2Lanes {
    lanewise! {
        add => _mm256_add_ps;
        sub => _mm256_sub_ps;
        mul => _mm256_mul_ps;
        div => _mm256_div_ps;
        max => _mm256_max_ps;
        min => _mm256_min_ps;
    }

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: see `Avx2Lanes`.
        unsafe { Avx2Lanes(_mm256_set1_ps(value)) }
    }

    #[inline(always)]
    fn load(from: &[f32; 8]) -> Self {
        // SAFETY: see `Avx2Lanes`; the reference covers the 32 bytes read.
        unsafe { Avx2Lanes(_mm256_loadu_ps(from.as_ptr())) }
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; 8]) {
        // SAFETY: see `Avx2Lanes`; the reference covers the 32 bytes written.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn load_bf16(from: &[u16; 8]) -> Self {
        // SAFETY: see `Avx2Lanes`; the reference covers the 16 bytes read.
        unsafe {
            let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.as_ptr().cast()));
            Avx2Lanes(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide)))
        }
    }

    #[inline(always)]
    fn load_bf16_pairs(from: &[u16; 16]) -> [Self; 2] {
        // SAFETY: see `Avx2Lanes`; the reference covers the 32 bytes read.
        unsafe {
            let pairs = _mm256_loadu_si256(from.as_ptr().cast());
            let odd = _mm256_and_si256(pairs, _mm256_set1_epi32(-0x1_0000));
            [_mm256_slli_epi32::<16>(pairs), odd].map(|bits| Avx2Lanes(_mm256_castsi256_ps(bits)))
        }
    }

    #[inline(always)]
    fn interleave(self, other: Self) -> [Self; 2] {
        // SAFETY: see `Avx2Lanes`.
        unsafe {
            let (low, high) = (_mm256_unpacklo_ps(self.0, other.0), _mm256_unpackhi_ps(self.0, other.0));
            let (first, last) = (_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high));
            [Avx2Lanes(first), Avx2Lanes(last)]
        }
    }

    #[inline(always)]
    fn load_unshifted(from: &[i32; 8], zero: i32, sums: &[i32; 8]) -> Self {
        // SAFETY: see `Avx2Lanes`; the references cover the bytes read.
        unsafe {
            let from = _mm256_loadu_si256(from.as_ptr().cast());
            let sums = _mm256_loadu_si256(sums.as_ptr().cast());
            let shift = _mm256_mullo_epi32(_mm256_set1_epi32(zero), sums);
            Avx2Lanes(_mm256_cvtepi32_ps(_mm256_sub_epi32(from, shift)))
        }
    }

    #[inline(always)]
    fn store_quantized(self, zero: i32, to: &mut [u8; 8]) {
        // SAFETY: see `Avx2Lanes`; the reference covers the eight bytes written.
        unsafe {
            let v = _mm256_add_epi32(_mm256_cvtps_epi32(self.0), _mm256_set1_epi32(zero));
            let v = _mm256_min_epi32(_mm256_max_epi32(v, _mm256_setzero_si256()), _mm256_set1_epi32(127));
            let v = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
            _mm_storel_epi64(to.as_mut_ptr().cast(), _mm_packus_epi16(v, v));
        }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: see `Avx2Lanes`.
        unsafe { Avx2Lanes(_mm256_fmadd_ps(self.0, factor.0, addend.0)) }
    }

    #[inline(always)]
    fn round(self) -> Self {
        // SAFETY: see `Avx2Lanes`.
        unsafe { Avx2Lanes(_mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0)) }
    }

    #[inline(always)]
    fn power_of_two(self) -> Self {
        // SAFETY: see `Avx2Lanes`.
        unsafe {
            let biased = _mm256_add_epi32(_mm256_cvtps_epi32(self.0), _mm256_set1_epi32(127));
            Avx2Lanes(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased)))
        }
    }

    #[inline(always)]
    fn zero_below(self, other: Self, bound: f32) -> Self {
        // SAFETY: see `Avx2Lanes`.
        unsafe { Avx2Lanes(_mm256_and_ps(self.0, _mm256_cmp_ps::<_CMP_GE_OQ>(other.0, _mm256_set1_ps(bound)))) }
    }

    #[inline(always)]
    fn above(self, bound: f32) -> u32 {
        // SAFETY: see `Avx2Lanes`.
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(self.0, _mm256_set1_ps(bound))) as u32 }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        fold!(self.0, _mm_add_ps, _mm_add_ss)
    }

    #[inline(always)]
    fn largest(self) -> f32 {
        fold!(self.0, _mm_max_ps, _mm_max_ss)
    }

    #[inline(always)]
    fn smallest(self) -> f32 {
        fold!(self.0, _mm_min_ps, _mm_min_ss)
    }
}

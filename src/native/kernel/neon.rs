//! NEON with the dot-product extension: Arm servers since Neoverse N1, Apple silicon, phones since Cortex-A75.
//!
//! Activations of 7 bits are signed bytes too, so that `sdot` serves. Its intrinsic is not stable, hence the assembly.

use std::arch::aarch64::*;
use std::arch::asm;

use super::activations::{DEPTH, TILE};
use super::isa::{Isa, Operation, Product, Tile, eight_or_one};
use super::lanes::Lanes;

/// Proof that the CPU has the dot products; NEON itself every one has.
#[derive(Clone, Copy)]
pub(super) struct Neon(());

impl Neon {
    /// `None` where the CPU lacks it.
    pub(super) fn new() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("dotprod").then_some(Neon(()))
    }
}

impl Isa for Neon {
    const WIDTH: usize = 8;

    #[inline]
    fn run<O: Operation>(self, operation: O) -> O::Output {
        operation.eval::<NeonLanes>()
    }

    fn accumulate(self, product: Product<'_>, out: &mut [i32]) {
        product.check(Self::WIDTH, out);
        // SAFETY: `self` proves the feature, `check` the bounds.
        unsafe { accumulate(product, out) }
    }
}

/// # Safety
/// `product.check(8, out)` must have passed.
#[target_feature(enable = "dotprod")]
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

/// `M` rows times one panel of eight columns: sixteen sums, eight weight vectors and one of activations fit the
/// thirty-two registers.
///
/// # Safety
/// `M` rows of `blocks` blocks are readable from `a` as [`Product`] lays them out, a panel as deep from `w`, and `M`
/// rows of eight sums are writable at `out` every `columns` sums.
#[target_feature(enable = "dotprod")]
unsafe fn tile<const M: usize>(a: *const u8, w: *const i8, blocks: usize, out: *mut i32, columns: usize) {
    // SAFETY: all offsets below stay inside what the caller promises.
    unsafe {
        let mut sums = [[vdupq_n_s32(0); 2]; M];
        for block in 0..blocks {
            let (a, w) = (a.add(block * TILE * DEPTH), w.add(block * DEPTH * 8));
            for step in 0..DEPTH / 16 {
                let weights: [[int8x16_t; 2]; 4] = std::array::from_fn(|depth| {
                    std::array::from_fn(|half| vld1q_s8(w.add((step * 4 + depth) * 32 + half * 16)))
                });
                // A loop over rows with assembly in it isn't unrolled, and its sums would live in memory.
                macro_rules! rows {
                    ($($m:literal)*) => {$(
                        if $m < M {
                            let a = vld1q_s8(a.add($m * DEPTH + step * 16).cast());
                            for half in 0..2 {
                                let sum = dot::<0>(sums[$m][half], weights[0][half], a);
                                let sum = dot::<1>(sum, weights[1][half], a);
                                let sum = dot::<2>(sum, weights[2][half], a);
                                sums[$m][half] = dot::<3>(sum, weights[3][half], a);
                            }
                        }
                    )*};
                }
                rows!(0 1 2 3 4 5 6 7);
            }
        }
        for (m, sums) in sums.iter().enumerate() {
            for (half, &sum) in sums.iter().enumerate() {
                vst1q_s32(out.add(m * columns + half * 4), sum);
            }
        }
    }
}

/// Adds to each of four sums the product of its four weights with the four activations number `AT`.
#[inline]
#[target_feature(enable = "dotprod")]
fn dot<const AT: usize>(mut sum: int32x4_t, weights: int8x16_t, activations: int8x16_t) -> int32x4_t {
    // SAFETY: arithmetic between registers; the caller has the feature.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {weights:v}.16b, {activations:v}.4b[{at}]",
            sum = inout(vreg) sum,
            weights = in(vreg) weights,
            activations = in(vreg) activations,
            at = const AT,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}

/// Eight lanes in two registers. Every CPU of this architecture has NEON: that is what makes the blocks below sound.
#[derive(Clone, Copy)]
pub(super) struct NeonLanes(float32x4_t, float32x4_t);

macro_rules! lanewise {
    ($($name:ident => $function:ident;)*) => {$(
        #[inline(always)]
        fn $name(self, other: Self) -> Self {
            // SAFETY: see `NeonLanes`.
            unsafe { NeonLanes($function(self.0, other.0), $function(self.1, other.1)) }
        }
    )*};
}

/// `a` where it is larger; `vmaxq_f32` orders zeros and NaN in another way.
macro_rules! larger {
    ($a:expr, $b:expr) => {
        vbslq_f32(vcgtq_f32($a, $b), $a, $b)
    };
}

macro_rules! smaller {
    ($a:expr, $b:expr) => {
        vbslq_f32(vcltq_f32($a, $b), $a, $b)
    };
}

/// Folds eight lanes to one in the order [`Lanes::sum`] gives.
macro_rules! fold {
    ($lanes:expr, $a:ident, $b:ident => $four:expr, $one:expr) => {{
        // SAFETY: see `NeonLanes`.
        let (x, y) = unsafe {
            let four = |$a: float32x4_t, $b: float32x4_t| $four;
            let lanes = four($lanes.0, $lanes.1);
            let lanes = four(lanes, vextq_f32::<2>(lanes, lanes));
            (vgetq_lane_f32::<0>(lanes), vgetq_lane_f32::<1>(lanes))
        };
        let ($a, $b) = (x, y);
        $one
    }};
}

impl Lanes for NeonLanes {
    lanewise! {
        add => vaddq_f32;
        sub => vsubq_f32;
        mul => vmulq_f32;
        div => vdivq_f32;
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: see `NeonLanes`.
        unsafe { NeonLanes(larger!(self.0, other.0), larger!(self.1, other.1)) }
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: see `NeonLanes`.
        unsafe { NeonLanes(smaller!(self.0, other.0), smaller!(self.1, other.1)) }
    }

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: see `NeonLanes`.
        unsafe { NeonLanes(vdupq_n_f32(value), vdupq_n_f32(value)) }
    }

    #[inline(always)]
    fn load(from: &[f32; 8]) -> Self {
        // SAFETY: see `NeonLanes`; the reference covers the 32 bytes read.
        unsafe { NeonLanes(vld1q_f32(from.as_ptr()), vld1q_f32(from.as_ptr().add(4))) }
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; 8]) {
        // SAFETY: see `NeonLanes`; the reference covers the 32 bytes written.
        unsafe {
            vst1q_f32(to.as_mut_ptr(), self.0);
            vst1q_f32(to.as_mut_ptr().add(4), self.1);
        }
    }

    #[inline(always)]
    fn load_bf16(from: &[u16; 8]) -> Self {
        // SAFETY: see `NeonLanes`; the reference covers the 16 bytes read.
        unsafe {
            let v = vld1q_u16(from.as_ptr());
            let low = vshlq_n_u32::<16>(vmovl_u16(vget_low_u16(v)));
            let high = vshlq_n_u32::<16>(vmovl_high_u16(v));
            NeonLanes(vreinterpretq_f32_u32(low), vreinterpretq_f32_u32(high))
        }
    }

    #[inline(always)]
    fn load_bf16_pairs(from: &[u16; 16]) -> [Self; 2] {
        // SAFETY: see `NeonLanes`; the reference covers the 16 bytes read at 0 and at 8.
        let half = |at: usize| unsafe { vreinterpretq_u32_u16(vld1q_u16(from.as_ptr().add(at))) };
        let (low, high) = (half(0), half(8));
        // SAFETY: see `NeonLanes`.
        unsafe {
            let even = |pairs| vreinterpretq_f32_u32(vshlq_n_u32::<16>(pairs));
            let odd = |pairs| vreinterpretq_f32_u32(vandq_u32(pairs, vdupq_n_u32(0xffff_0000)));
            [NeonLanes(even(low), even(high)), NeonLanes(odd(low), odd(high))]
        }
    }

    #[inline(always)]
    fn interleave(self, other: Self) -> [Self; 2] {
        // SAFETY: see `NeonLanes`.
        let both = |one, other| unsafe { NeonLanes(vzip1q_f32(one, other), vzip2q_f32(one, other)) };
        [both(self.0, other.0), both(self.1, other.1)]
    }

    #[inline(always)]
    fn load_unshifted(from: &[i32; 8], zero: i32, sums: &[i32; 8]) -> Self {
        // SAFETY: see `NeonLanes`; the references cover the bytes read at 0 and 4.
        let half = |at: usize| unsafe {
            let (from, sums) = (vld1q_s32(from.as_ptr().add(at)), vld1q_s32(sums.as_ptr().add(at)));
            vcvtq_f32_s32(vmlsq_s32(from, sums, vdupq_n_s32(zero)))
        };
        NeonLanes(half(0), half(4))
    }

    #[inline(always)]
    fn store_quantized(self, zero: i32, to: &mut [u8; 8]) {
        // SAFETY: see `NeonLanes`; the reference covers the eight bytes written.
        unsafe {
            let half = |v| {
                let v = vqaddq_s32(vcvtnq_s32_f32(v), vdupq_n_s32(zero));
                vmovn_u32(vreinterpretq_u32_s32(vminq_s32(vmaxq_s32(v, vdupq_n_s32(0)), vdupq_n_s32(127))))
            };
            vst1_u8(to.as_mut_ptr(), vmovn_u16(vcombine_u16(half(self.0), half(self.1))));
        }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: see `NeonLanes`.
        unsafe { NeonLanes(vfmaq_f32(addend.0, self.0, factor.0), vfmaq_f32(addend.1, self.1, factor.1)) }
    }

    #[inline(always)]
    fn round(self) -> Self {
        // SAFETY: see `NeonLanes`.
        unsafe { NeonLanes(vrndnq_f32(self.0), vrndnq_f32(self.1)) }
    }

    #[inline(always)]
    fn power_of_two(self) -> Self {
        // SAFETY: see `NeonLanes`.
        let power =
            |v| unsafe { vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(vcvtq_s32_f32(v), vdupq_n_s32(127)))) };
        NeonLanes(power(self.0), power(self.1))
    }

    #[inline(always)]
    fn zero_below(self, other: Self, bound: f32) -> Self {
        // SAFETY: see `NeonLanes`.
        let kept = |v, other| unsafe {
            let keep = vcgeq_f32(other, vdupq_n_f32(bound));
            vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(v), keep))
        };
        NeonLanes(kept(self.0, other.0), kept(self.1, other.1))
    }

    #[inline(always)]
    fn above(self, bound: f32) -> u32 {
        const BITS: [u32; 4] = [1, 2, 4, 8];
        // SAFETY: see `NeonLanes`; four values are there to read.
        let mask = |v| unsafe { vaddvq_u32(vandq_u32(vcgtq_f32(v, vdupq_n_f32(bound)), vld1q_u32(BITS.as_ptr()))) };
        mask(self.0) | (mask(self.1) << 4)
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        fold!(self, a, b => vaddq_f32(a, b), a + b)
    }

    #[inline(always)]
    fn largest(self) -> f32 {
        fold!(self, a, b => larger!(a, b), if a > b { a } else { b })
    }

    #[inline(always)]
    fn smallest(self) -> f32 {
        fold!(self, a, b => smaller!(a, b), if a < b { a } else { b })
    }
}

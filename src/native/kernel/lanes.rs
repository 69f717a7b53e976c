//! Eight f32 lanes: every floating-point loop of the engine is written once over them.
//!
//! An implementation must give the bits IEEE 754 asks for, lane by lane, with a fused multiply-add where one is
//! named. So a loop over lanes has the same result on every machine, and a translation doesn't depend on the CPU.

/// Eight f32 values that are worked on together.
pub(super) trait Lanes: Copy {
    /// The same value in every lane.
    fn splat(value: f32) -> Self;
    /// Eight values from memory.
    fn load(from: &[f32; 8]) -> Self;
    /// Eight values to memory.
    fn store(self, to: &mut [f32; 8]);
    /// Eight bf16 values from memory, exactly.
    fn load_bf16(from: &[u16; 8]) -> Self;
    /// Sixteen bf16 values from memory, exactly: those at even places, then those at odd ones. Half the work of two loads
    /// of eight.
    fn load_bf16_pairs(from: &[u16; 16]) -> [Self; 2];
    /// Eight integers from memory, each less `zero` times its `sums`, rounded to f32: an integer dot product whose
    /// left side was shifted up by `zero`.
    fn load_unshifted(from: &[i32; 8], zero: i32, sums: &[i32; 8]) -> Self;
    /// Rounds to the nearest integer (ties to even), adds `zero`, clamps to `0..=127` and stores.
    fn store_quantized(self, zero: i32, to: &mut [u8; 8]);
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    /// The lanes of both in turn: the first four of each, then the last four.
    fn interleave(self, other: Self) -> [Self; 2];
    /// The larger of the two, `other` where they are equal or not ordered.
    fn max(self, other: Self) -> Self;
    /// The smaller of the two, `other` where they are equal or not ordered.
    fn min(self, other: Self) -> Self;
    /// `self · factor + addend`, rounded once.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// Rounded to the nearest integer, ties to even.
    fn round(self) -> Self;
    /// `2^self` of lanes that hold integers in `-126..=127`.
    fn power_of_two(self) -> Self;
    /// The lanes where `self >= bound`, zero in the others.
    fn zero_below(self, other: Self, bound: f32) -> Self;
    /// One bit a lane, lane 0 lowest, set where `self > bound`.
    fn above(self, bound: f32) -> u32;
    /// Sum of the lanes: `((0+4)+(2+6)) + ((1+5)+(3+7))`.
    fn sum(self) -> f32;
    /// The largest lane.
    fn largest(self) -> f32;
    /// The smallest lane.
    fn smallest(self) -> f32;
}

/// Lanes in plain Rust: the twin every other implementation is tested against, and the one for CPUs without AVX2.
#[derive(Clone, Copy)]
pub(super) struct PlainLanes([f32; 8]);

impl PlainLanes {
    #[inline(always)]
    fn map(self, f: impl Fn(f32) -> f32) -> Self {
        PlainLanes(self.0.map(f))
    }

    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        PlainLanes(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

#[inline(always)]
fn fold(v: [f32; 8], f: impl Fn(f32, f32) -> f32) -> f32 {
    f(f(f(v[0], v[4]), f(v[2], v[6])), f(f(v[1], v[5]), f(v[3], v[7])))
}

impl Lanes for PlainLanes {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        PlainLanes([value; 8])
    }

    #[inline(always)]
    fn load(from: &[f32; 8]) -> Self {
        PlainLanes(*from)
    }

    #[inline(always)]
    fn store(self, to: &mut [f32; 8]) {
        *to = self.0;
    }

    #[inline(always)]
    fn load_bf16(from: &[u16; 8]) -> Self {
        PlainLanes(from.map(|v| f32::from_bits(u32::from(v) << 16)))
    }

    #[inline(always)]
    fn load_bf16_pairs(from: &[u16; 16]) -> [Self; 2] {
        [0, 1].map(|odd| Self::load_bf16(&std::array::from_fn(|i| from[2 * i + odd])))
    }

    #[inline(always)]
    fn interleave(self, other: Self) -> [Self; 2] {
        [0, 4].map(|half| PlainLanes(std::array::from_fn(|i| [self, other][i % 2].0[half + i / 2])))
    }

    #[inline(always)]
    fn load_unshifted(from: &[i32; 8], zero: i32, sums: &[i32; 8]) -> Self {
        PlainLanes(std::array::from_fn(|i| from[i].wrapping_sub(zero.wrapping_mul(sums[i])) as f32))
    }

    #[inline(always)]
    fn store_quantized(self, zero: i32, to: &mut [u8; 8]) {
        *to = self.0.map(|v| (v.round_ties_even() as i32).saturating_add(zero).clamp(0, 127) as u8);
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, larger)
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, smaller)
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        PlainLanes(std::array::from_fn(|i| self.0[i].mul_add(factor.0[i], addend.0[i])))
    }

    #[inline(always)]
    fn round(self) -> Self {
        self.map(f32::round_ties_even)
    }

    #[inline(always)]
    fn power_of_two(self) -> Self {
        self.map(|v| f32::from_bits(((v as i32 + 127) as u32) << 23))
    }

    #[inline(always)]
    fn zero_below(self, other: Self, bound: f32) -> Self {
        self.zip(other, |a, b| if b >= bound { a } else { 0.0 })
    }

    #[inline(always)]
    fn above(self, bound: f32) -> u32 {
        (0..8).fold(0, |mask, i| mask | (u32::from(self.0[i] > bound) << i))
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        fold(self.0, |a, b| a + b)
    }

    #[inline(always)]
    fn largest(self) -> f32 {
        fold(self.0, larger)
    }

    #[inline(always)]
    fn smallest(self) -> f32 {
        fold(self.0, smaller)
    }
}

/// `e^x` in each lane, within two units in the last place; 0 below -87.3, where f32 would turn subnormal.
///
/// Range reduction to `|r| <= ln 2 / 2` by Cody and Waite, then a polynomial of degree 6 (coefficients of Cephes).
#[inline(always)]
pub(super) fn exponential<L: Lanes>(x: L) -> L {
    const LOWEST: f32 = -87.3;
    let clamped = x.max(L::splat(LOWEST)).min(L::splat(88.0));
    let n = clamped.mul(L::splat(std::f32::consts::LOG2_E)).round();
    // ln 2 in two parts, the first short enough that its product with `n` is exact.
    let r = n.mul_add(L::splat(-0.693_359_4), clamped);
    let r = n.mul_add(L::splat(2.121_944_4e-4), r);
    let p = L::splat(1.987_569_1e-4);
    let p = p.mul_add(r, L::splat(1.398_2e-3));
    let p = p.mul_add(r, L::splat(8.333_452e-3));
    let p = p.mul_add(r, L::splat(4.166_579_6e-2));
    let p = p.mul_add(r, L::splat(1.666_666_6e-1));
    let p = p.mul_add(r, L::splat(0.5));
    let p = p.mul_add(r.mul(r), r.add(L::splat(1.0)));
    p.mul(n.power_of_two()).zero_below(x, LOWEST)
}

/// The error function in each lane, within 2e-7 (Abramowitz and Stegun 7.1.26, whose own error is 1.5e-7).
#[inline(always)]
pub(super) fn error_function<L: Lanes>(x: L) -> L {
    let negative = L::splat(0.0).sub(x);
    let size = x.max(negative);
    let one = L::splat(1.0);
    let t = one.div(size.mul_add(L::splat(0.327_591_1), one));
    let p = L::splat(1.061_405_4);
    let p = p.mul_add(t, L::splat(-1.453_152));
    let p = p.mul_add(t, L::splat(1.421_413_7));
    let p = p.mul_add(t, L::splat(-0.284_496_74));
    let p = p.mul_add(t, L::splat(0.254_829_6)).mul(t);
    let tail = p.mul(exponential(size.mul(negative.min(x))));
    let erf = one.sub(tail);
    // The sign of `x`: +1 where `x >= 0`, else -1.
    let sign = L::splat(2.0).zero_below(x, 0.0).sub(one);
    erf.mul(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_within_two_units_in_the_last_place() {
        let mut worst = 0f64;
        for i in -8_700..=8_700 {
            let x = i as f32 * 0.01;
            let mut out = [0.0; 8];
            exponential(PlainLanes::splat(x)).store(&mut out);
            let exact = f64::from(x).exp();
            worst = worst.max(((f64::from(out[0]) - exact) / exact).abs());
        }
        assert!(worst < 2.0 * f64::from(f32::EPSILON), "relative error {worst:e}");
    }

    #[test]
    fn error_function_agrees_with_tables() {
        for (x, exact) in [(0.0, 0.0), (0.5, 0.520_499_9), (1.0, 0.842_700_8), (2.0, 0.995_322_3), (6.0, 1.0)] {
            for sign in [1.0, -1.0] {
                let mut out = [0.0; 8];
                error_function(PlainLanes::splat(sign * x)).store(&mut out);
                assert!((out[0] - sign * exact).abs() < 5e-7, "{x}: {}", out[0]);
            }
        }
    }

    #[test]
    fn exponential_of_minus_infinity_is_zero() {
        let mut out = [1.0; 8];
        exponential(PlainLanes::splat(f32::NEG_INFINITY)).store(&mut out);
        assert_eq!(out, [0.0; 8]);
    }
}

//! Weights as 8-bit integers, bounded so that no kernel can overflow.
//!
//! A row of weights becomes `scale · q` with `q` in `-127..=127` (symmetric, one scale per output). Beyond that, the
//! AVX2 kernel sums eight products in 16 bits, so the eight weights that meet there must not add up to more than
//! `32767 / 127 = 258` on either side of zero (activations are `0..=127`). Rows with outliers keep the bound by
//! themselves; a row that doesn't is given a slightly larger scale. All kernels use the same integers, whether they
//! need the bound or not: that is why their results are equal.

/// Sum of same-signed weights that may meet in one 16-bit sum: `127 · 258 = 32766`.
const GROUP_LIMIT: i32 = 258;

/// Weights that meet in a 16-bit sum: two neighbours out of each four, in four fours in a row.
const GROUP_SPAN: usize = 16;

/// Quantises one row, whose weights may be used as 8-bit integers wherever `tarjim` multiplies them.
///
/// Returns the scale: `weight ≈ scale · q`, or NaN if a weight isn't finite.
///
/// # Panics
/// When the two slices differ in length.
///
/// ```
/// let mut q = [0; 4];
/// let scale = tarjim::native::quantize::weights(&[0.5, -1.0, 0.25, 0.0], &mut q);
/// assert_eq!(q, [64, -127, 32, 0]);
/// assert!((scale - 1.0 / 127.0).abs() < 1e-9);
/// ```
pub fn weights(row: &[f32], q: &mut [i8]) -> f32 {
    assert_eq!(row.len(), q.len());
    if row.iter().any(|w| !w.is_finite()) {
        return f32::NAN;
    }
    let mut scale = row.iter().fold(0.0f32, |largest, w| largest.max(w.abs())) / 127.0;
    // Below that, its inverse would not be finite; such weights count for nothing.
    if scale < f32::MIN_POSITIVE * 16.0 {
        q.fill(0);
        return 0.0;
    }
    loop {
        let inverse = 1.0 / scale;
        for (q, &w) in q.iter_mut().zip(row) {
            *q = round(w * inverse);
        }
        let heaviest = heaviest_group(q);
        if heaviest <= GROUP_LIMIT {
            return scale;
        }
        scale *= (heaviest as f32 / GROUP_LIMIT as f32).max(1.002);
    }
}

/// Keeps a row that is already quantised if it keeps the bound, or requantises it coarser; returns its scale.
pub(super) fn tame(q: &mut [i8], scale: f32) -> f32 {
    if heaviest_group(q) <= GROUP_LIMIT {
        return scale;
    }
    let row: Vec<f32> = q.iter().map(|&q| f32::from(q)).collect();
    let mut coarser = 1.0f32;
    loop {
        coarser *= (heaviest_group(q) as f32 / GROUP_LIMIT as f32).max(1.002);
        for (q, &w) in q.iter_mut().zip(&row) {
            *q = round(w / coarser);
        }
        if heaviest_group(q) <= GROUP_LIMIT {
            return scale * coarser;
        }
    }
}

/// The nearest integer, ties to even, of a number within `-128..=127`.
///
/// Adding 1.5 · 2²³ leaves the integer in the lowest bits. `f32::round_ties_even` would be a call for each weight on
/// the baseline x86-64 that everything but the kernels is compiled for.
#[inline]
fn round(value: f32) -> i8 {
    const SHIFT: f32 = 12_582_912.0;
    (value + SHIFT).to_bits() as i8
}

/// The largest sum of same-signed weights, as a distance from zero, that meets in one 16-bit sum; at least
/// [`GROUP_LIMIT`].
fn heaviest_group(q: &[i8]) -> i32 {
    let (spans, rest) = q.as_chunks::<GROUP_SPAN>();
    let mut last = [0i8; GROUP_SPAN];
    last[..rest.len()].copy_from_slice(rest);
    let heaviest = spans.iter().chain([&last]).fold(GROUP_LIMIT as u16, |heaviest, span| heaviest.max(heavier(span)));
    i32::from(heaviest)
}

/// The heaviest of a span's two groups. All weights of a model pass through here when it is loaded, and no vector
/// instruction of the baseline x86-64 adds bytes of a sign: eight of them are worked on in a 64-bit number.
#[inline]
fn heavier(span: &[i8; GROUP_SPAN]) -> u16 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const EVEN: u64 = 0x00ff_00ff_00ff_00ff;
    let bytes = span.map(|w| w as u8);
    let (mut above, mut below) = (0u64, 0u64);
    for eight in bytes.as_chunks::<8>().0 {
        let w = u64::from_le_bytes(*eight);
        let signs = (w >> 7) & ONES;
        let negative = signs * 0xff;
        let (up, down) = (w & !negative, (!w & negative) + signs);
        above += (up & EVEN) + ((up >> 8) & EVEN);
        below += (down & EVEN) + ((down >> 8) & EVEN);
    }
    // Pairs of neighbours, 16 bits each; the pairs 0 and 2 of a four meet, and 1 and 3.
    let groups = |pairs: u64| {
        let sums = pairs + (pairs >> 32);
        (sums as u16).max((sums >> 16) as u16)
    };
    groups(above).max(groups(below))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_row_of_equal_weights_is_made_coarser_until_eight_fit() {
        let mut q = [0; 64];
        let scale = weights(&[1.0; 64], &mut q);
        assert!(q.iter().all(|&w| w == q[0] && i32::from(w) * 8 <= GROUP_LIMIT), "{q:?}");
        assert!((f32::from(q[0]) * scale - 1.0).abs() < 0.02);
    }

    #[test]
    fn a_tame_row_is_left_alone() {
        let mut q: Vec<i8> = (0..64).map(|i| if i % 8 == 0 { 127 } else { -(i as i8 % 20) }).collect();
        let before = q.clone();
        assert_eq!(tame(&mut q, 0.5), 0.5);
        assert_eq!(q, before);
    }

    #[test]
    fn not_a_number_is_reported_by_the_scale() {
        assert!(weights(&[1.0, f32::NAN], &mut [0; 2]).is_nan());
        assert!(weights(&[f32::INFINITY, 1.0], &mut [0; 2]).is_nan());
    }

    proptest! {
        #[test]
        fn no_group_of_eight_can_overflow(row in prop::collection::vec(-1.0f32..1.0, 128)) {
            let mut q = vec![0; row.len()];
            let scale = weights(&row, &mut q);
            for span in q.chunks(GROUP_SPAN) {
                for lane in 0..2 {
                    let met = |keep: fn(i32) -> bool| -> i32 {
                        span.iter().enumerate().filter(|(i, _)| i / 2 % 2 == lane).map(|(_, &w)| i32::from(w))
                            .filter(|&w| keep(w)).sum()
                    };
                    prop_assert!(127 * met(|w| w > 0) <= i32::from(i16::MAX));
                    prop_assert!(127 * met(|w| w < 0) >= i32::from(i16::MIN));
                }
            }
            for (&q, &w) in q.iter().zip(&row) {
                prop_assert!((f32::from(q) * scale - w).abs() <= 0.501 * scale);
            }
        }

        #[test]
        fn the_heaviest_group_is_what_counting_finds(q in prop::collection::vec(any::<i8>(), 0..80)) {
            let mut heaviest = GROUP_LIMIT;
            for span in q.chunks(GROUP_SPAN) {
                for lane in 0..2 {
                    let met = || span.iter().enumerate().filter(|(i, _)| i / 2 % 2 == lane).map(|(_, &w)| i32::from(w));
                    let (above, below) = (met().filter(|&w| w > 0).sum(), -met().filter(|&w| w < 0).sum::<i32>());
                    heaviest = heaviest.max(above).max(below);
                }
            }
            prop_assert_eq!(heaviest_group(&q), heaviest);
        }

        #[test]
        fn taming_keeps_what_the_weights_stand_for(mut q in prop::collection::vec(any::<i8>(), 64)) {
            let before = q.clone();
            let scale = tame(&mut q, 1.0);
            prop_assert!(heaviest_group(&q) <= GROUP_LIMIT);
            for (&now, &then) in q.iter().zip(&before) {
                prop_assert!((f32::from(now) * scale - f32::from(then)).abs() <= 0.501 * scale);
            }
        }
    }
}

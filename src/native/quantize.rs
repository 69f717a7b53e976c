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
    let mut heaviest = [GROUP_LIMIT as i16; 8];
    for span in spans.iter().chain([&last]) {
        heavier(&mut heaviest, span);
    }
    i32::from(heaviest.into_iter().fold(0, i16::max))
}

/// Raises each lane to the sums of the group it belongs to. All weights of a model pass through here when it is loaded, so
/// the steps are those that the baseline x86-64 has vector instructions for.
#[inline]
fn heavier(heaviest: &mut [i16; 8], span: &[i8; GROUP_SPAN]) {
    let (mut above, mut below) = ([0i16; 8], [0i16; 8]);
    for i in 0..8 {
        let (a, b) = (i16::from(span[i]), i16::from(span[i + 8]));
        above[i] = a.max(0) + b.max(0);
        below[i] = -(a.min(0) + b.min(0));
    }
    // Lanes 0, 1, 4 and 5 meet, and 2, 3, 6 and 7.
    for i in 0..8 {
        let sum = |side: &[i16; 8]| side[i] + side[i ^ 1] + side[i ^ 4] + side[i ^ 5];
        heaviest[i] = heaviest[i].max(sum(&above)).max(sum(&below));
    }
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

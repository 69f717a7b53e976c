//! Additive attention masks: 0 where a query may look, -∞ where it may not.

use candle_core::{Device, Tensor};

use crate::Result;

/// Hides what lies behind each sentence's end: `[sentences, 1, 1, longest]`, or nothing if all are equally long.
pub(super) fn right_padding(lengths: &[usize], device: &Device) -> Result<Option<Tensor>> {
    padding(lengths, device, |length, _, at| at < length)
}

/// Hides what lies before each sentence's beginning, where sentences end together.
pub(super) fn left_padding(lengths: &[usize], device: &Device) -> Result<Option<Tensor>> {
    padding(lengths, device, |length, longest, at| at >= longest - length)
}

fn padding(
    lengths: &[usize],
    device: &Device,
    visible: impl Fn(usize, usize, usize) -> bool,
) -> Result<Option<Tensor>> {
    let longest = lengths.iter().copied().max().unwrap_or(0);
    if lengths.iter().all(|length| *length == longest) {
        return Ok(None);
    }
    let mut mask = Vec::with_capacity(lengths.len() * longest);
    for length in lengths {
        mask.extend((0..longest).map(|at| if visible(*length, longest, at) { 0.0 } else { f32::NEG_INFINITY }));
    }
    Ok(Some(Tensor::from_vec(mask, (lengths.len(), 1, 1, longest), device)?))
}

/// Hides the future: `[1, 1, length, length]`.
pub(super) fn causal(length: usize, device: &Device) -> Result<Tensor> {
    let mut mask = Vec::with_capacity(length * length);
    for query in 0..length {
        mask.extend((0..length).map(|key| if key <= query { 0.0 } else { f32::NEG_INFINITY }));
    }
    Ok(Tensor::from_vec(mask, (1, 1, length, length), device)?)
}

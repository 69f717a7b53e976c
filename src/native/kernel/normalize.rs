//! Residual connections and layer normalisation, whose result is quantised for the next linear layer on the way.

use super::activations::{Activations, quantize_row};
use super::isa::Operation;
use super::lanes::Lanes;

/// Scale, shift and epsilon of a layer normalisation (Ba et al. 2016).
pub(in crate::native) struct LayerNorm {
    pub(in crate::native) scale: Vec<f32>,
    pub(in crate::native) shift: Vec<f32>,
    pub(in crate::native) epsilon: f32,
}

/// What becomes of the residual stream `x` after a block, and what the next linear layer reads of it.
#[derive(Clone, Copy)]
pub(in crate::native) enum Residual<'a> {
    /// Both are `x + delta`.
    Plain,
    /// Both are `normalise(x + delta)`: Marian, and the Transformer as published.
    After(&'a LayerNorm),
    /// The stream is `x + delta`, the layer reads `normalise(x + delta)`.
    Before(&'a LayerNorm),
}

/// Adds a block's output to the residual stream and quantises what the next linear layer reads.
pub(super) struct AddNormalize<'a> {
    /// Rows of `width` values, a multiple of eight.
    pub(super) x: &'a mut [f32],
    pub(super) width: usize,
    /// The block's output, `stride` values from one row to the next; `None` is zero.
    pub(super) delta: Option<(&'a [f32], usize)>,
    pub(super) residual: Residual<'a>,
    pub(super) into: &'a mut Activations,
}

impl Operation for AddNormalize<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<L: Lanes>(self) {
        let AddNormalize { x, width, delta, residual, into } = self;
        let mut aside = Vec::new();
        for (index, row) in x.chunks_exact_mut(width).enumerate() {
            if let Some((delta, stride)) = delta {
                let (delta, _) = delta[index * stride..index * stride + width].as_chunks::<8>();
                for (v, d) in row.as_chunks_mut::<8>().0.iter_mut().zip(delta) {
                    L::load(v).add(L::load(d)).store(v);
                }
            }
            match residual {
                Residual::Plain => quantize_row::<L>(row, index, into),
                Residual::After(norm) => {
                    normalize::<L>(row, norm);
                    quantize_row::<L>(row, index, into);
                }
                Residual::Before(norm) => {
                    aside.clear();
                    aside.extend_from_slice(row);
                    normalize::<L>(&mut aside, norm);
                    quantize_row::<L>(&aside, index, into);
                }
            }
        }
    }
}

/// `(x - mean) / √(variance + ε) · scale + shift` of one row.
#[inline(always)]
fn normalize<L: Lanes>(row: &mut [f32], norm: &LayerNorm) {
    let share = 1.0 / row.len() as f32;
    let (values, _) = row.as_chunks_mut::<8>();
    let mut sum = L::splat(0.0);
    for v in values.iter() {
        sum = sum.add(L::load(v));
    }
    let mean = L::splat(sum.sum() * share);
    let mut squares = L::splat(0.0);
    for v in values.iter() {
        let centred = L::load(v).sub(mean);
        squares = centred.mul_add(centred, squares);
    }
    let inverse = L::splat(1.0 / (squares.sum() * share + norm.epsilon).sqrt());
    let (scale, _) = norm.scale.as_chunks::<8>();
    let (shift, _) = norm.shift.as_chunks::<8>();
    for ((v, scale), shift) in values.iter_mut().zip(scale).zip(shift) {
        let centred = L::load(v).sub(mean).mul(inverse);
        centred.mul_add(L::load(scale), L::load(shift)).store(v);
    }
}

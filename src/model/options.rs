//! How an engine should compute a model, where the files leave a choice.

use crate::engine::TokenId;

/// Which sinusoids stand for the positions, and with them the epsilon of layer normalisation.
///
/// Marian and the `transformers` port of its models disagree slightly; see each variant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Positions {
    /// As `transformers` computes converted models: angle `p · 10000^(-2i/d)`, epsilon 1e-5.
    #[default]
    Transformers,
    /// As Marian itself trains: angle `p · 10000^(-i/(d/2-1))` (tensor2tensor's form), epsilon 1e-6.
    Marian,
}

impl Positions {
    /// The epsilon of layer normalisation that goes with it.
    pub fn layer_norm_epsilon(self) -> f32 {
        match self {
            Positions::Transformers => 1e-5,
            Positions::Marian => 1e-6,
        }
    }

    /// Writes the position vector of `position`: the sines in the first half of `out`, the cosines in the second.
    ///
    /// Angles are computed in f64 and rounded once, as numpy does for `transformers`.
    pub fn write(self, position: usize, out: &mut [f32]) {
        let width = out.len();
        let half = width.div_ceil(2);
        for i in 0..half {
            let exponent = match self {
                Positions::Transformers => 2.0 * i as f64 / width as f64,
                Positions::Marian => i as f64 / (half as f64 - 1.0).max(1.0),
            };
            let angle = position as f64 / 10_000_f64.powf(exponent);
            out[i] = angle.sin() as f32;
            if let Some(cosine) = out.get_mut(half + i) {
                *cosine = angle.cos() as f32;
            }
        }
    }
}

/// Which heads of a layer give its attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Heads {
    /// This one, counted from 0.
    One(usize),
    /// All of them, averaged: for layers none of whose heads was trained to align.
    Mean,
}

impl Default for Heads {
    /// The first: the one Marian's guided alignment trains.
    fn default() -> Self {
        Heads::One(0)
    }
}

/// What an engine needs to know besides configuration and weights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineOptions {
    /// Decoder layer whose cross-attention is the alignment, counted from 0; `None` is the last.
    pub alignment_layer: Option<usize>,
    /// Heads of that layer.
    pub alignment_heads: Heads,
    /// Position vectors and layer-norm epsilon.
    pub positions: Positions,
    /// Pieces that are never produced, sorted: decoder steps compute no logits for them, and the probabilities of the
    /// others sum to 1 without them. Forced decoding knows them all the same.
    pub suppressed: Vec<TokenId>,
}

#[cfg(test)]
mod tests {
    use super::Positions;

    #[test]
    fn sines_first_cosines_second() {
        let mut out = [0.0; 4];
        Positions::Transformers.write(3, &mut out);
        // numpy: [sin(3), sin(3/100), cos(3), cos(3/100)]
        for (got, expected) in out.iter().zip([0.141_120_01, 0.029_995_5, -0.989_992_5, 0.999_550_04]) {
            assert!((got - expected).abs() < 1e-6, "{out:?}");
        }
        Positions::Marian.write(3, &mut out);
        // [sin(3), sin(3/10000), cos(3), cos(3/10000)]
        for (got, expected) in out.iter().zip([0.141_120_01, 0.000_3, -0.989_992_5, 0.999_999_96]) {
            assert!((got - expected).abs() < 1e-6, "{out:?}");
        }
    }

    #[test]
    fn odd_widths_end_with_a_sine_half_one_longer() {
        let mut out = [9.0; 5];
        Positions::Transformers.write(0, &mut out);
        assert_eq!(out, [0.0, 0.0, 0.0, 1.0, 1.0]);
    }
}

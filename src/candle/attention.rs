//! Multi-head attention that hands out its probabilities (Vaswani et al. 2017, section 3.2).

use candle_core::Tensor;

use super::layers::{Graph, Linear};
use crate::Result;
use crate::model::AttentionWeights;

/// Projected keys and values, each `[rows, heads, length, width]`.
#[derive(Clone, Debug)]
pub(super) struct KeysValues {
    pub(super) keys: Tensor,
    pub(super) values: Tensor,
}

impl KeysValues {
    /// The same change made to both.
    pub(super) fn map(&self, change: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Result<Self> {
        Ok(KeysValues { keys: change(&self.keys)?, values: change(&self.values)? })
    }
}

/// The projections of one attention.
#[derive(Debug)]
pub(super) struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    heads: usize,
}

impl Attention {
    pub(super) fn new(graph: &Graph<'_>, weights: &AttentionWeights<'_>, heads: usize) -> Result<Self> {
        Ok(Attention {
            query: graph.linear(&weights.query)?,
            key: graph.linear(&weights.key)?,
            value: graph.linear(&weights.value)?,
            output: graph.linear(&weights.output)?,
            heads,
        })
    }

    /// Keys and values of `x: [rows, length, d_model]`.
    pub(super) fn keys_values(&self, x: &Tensor) -> Result<KeysValues> {
        Ok(KeysValues { keys: self.split(&self.key.forward(x)?)?, values: self.split(&self.value.forward(x)?)? })
    }

    /// Attends from `x: [rows, length, d_model]`. The mask is added to the scores `[rows, heads, queries, keys]`.
    ///
    /// Returns the output, shaped as `x`, and the probabilities, shaped as the scores.
    pub(super) fn attend(&self, x: &Tensor, memory: &KeysValues, mask: Option<&Tensor>) -> Result<(Tensor, Tensor)> {
        let query = self.split(&self.query.forward(x)?)?;
        let width = query.dim(3)?;
        let scores = (query.matmul(&memory.keys.transpose(2, 3)?)? * (width as f64).powf(-0.5))?;
        let scores = match mask {
            Some(mask) => scores.broadcast_add(mask)?,
            None => scores,
        };
        let probabilities = candle_nn::ops::softmax_last_dim(&scores)?;
        let joined = probabilities.matmul(&memory.values)?.transpose(1, 2)?.contiguous()?.flatten_from(2)?;
        Ok((self.output.forward(&joined)?, probabilities))
    }

    /// `[rows, length, heads · width]` to `[rows, heads, length, width]`.
    fn split(&self, x: &Tensor) -> Result<Tensor> {
        let (rows, length, width) = x.dims3()?;
        Ok(x.reshape((rows, length, self.heads, width / self.heads))?.transpose(1, 2)?.contiguous()?)
    }
}

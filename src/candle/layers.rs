//! The small parts of the graph: linear layers, layer normalisation, embeddings, feed-forward blocks.

use candle_core::{Device, Module, Tensor};

use crate::Result;
use crate::engine::TokenId;
use crate::model::{Activation, EngineOptions, LayerNormWeights, LinearWeights, MarianConfig, Matrix, Positions};

/// Makes tensors of weights.
pub(super) struct Graph<'a> {
    pub(super) config: &'a MarianConfig,
    positions: Positions,
    device: &'a Device,
}

impl<'a> Graph<'a> {
    pub(super) fn new(config: &'a MarianConfig, options: &EngineOptions, device: &'a Device) -> Self {
        Graph { config, positions: options.positions, device }
    }

    pub(super) fn matrix(&self, matrix: &Matrix<'_>) -> Result<Tensor> {
        Ok(Tensor::from_slice(&matrix.to_f32(), (matrix.rows(), matrix.cols()), self.device)?)
    }

    pub(super) fn vector(&self, values: &[f32]) -> Result<Tensor> {
        Ok(Tensor::from_slice(values, values.len(), self.device)?)
    }

    pub(super) fn linear(&self, weights: &LinearWeights<'_>) -> Result<Linear> {
        Ok(Linear { weight: self.matrix(&weights.weight)?.t()?, bias: self.vector(&weights.bias)? })
    }

    pub(super) fn norm(&self, weights: &LayerNormWeights) -> Result<LayerNorm> {
        Ok(LayerNorm {
            scale: self.vector(&weights.scale)?,
            bias: self.vector(&weights.bias)?,
            epsilon: self.positions.layer_norm_epsilon(),
        })
    }

    pub(super) fn feed_forward(&self, inner: &LinearWeights<'_>, outer: &LinearWeights<'_>) -> Result<FeedForward> {
        Ok(FeedForward { inner: self.linear(inner)?, activation: self.config.activation, outer: self.linear(outer)? })
    }

    pub(super) fn embedding_scale(&self) -> f64 {
        if self.config.scale_embedding { (self.config.d_model as f64).sqrt() } else { 1.0 }
    }

    /// The position vectors `[max_position_embeddings, d_model]`: the learned ones, else sinusoids.
    pub(super) fn positions(&self, learned: Option<&Matrix<'_>>) -> Result<Tensor> {
        if let Some(learned) = learned {
            return self.matrix(learned);
        }
        let (rows, width) = (self.config.max_position_embeddings, self.config.d_model);
        let mut table = vec![0.0; rows * width];
        for (position, row) in table.chunks_exact_mut(width).enumerate() {
            self.positions.write(position, row);
        }
        Ok(Tensor::from_vec(table, (rows, width), self.device)?)
    }
}

/// `x W + b` over the last dimension.
#[derive(Debug)]
pub(super) struct Linear {
    /// `[inputs, outputs]`.
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// `[rows, length, inputs]` to `[rows, length, outputs]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (rows, length, inputs) = x.dims3()?;
        // One matrix product for all rows: a batch of products would be computed one by one.
        let y = x.reshape((rows * length, inputs))?.matmul(&self.weight)?.broadcast_add(&self.bias)?;
        Ok(y.reshape((rows, length, ()))?)
    }
}

/// Layer normalisation over the last dimension.
#[derive(Debug)]
pub(super) struct LayerNorm {
    scale: Tensor,
    bias: Tensor,
    epsilon: f32,
}

impl LayerNorm {
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(candle_nn::ops::layer_norm(&x.contiguous()?, &self.scale, &self.bias, self.epsilon)?)
    }
}

/// `outer(activation(inner(x)))`.
#[derive(Debug)]
pub(super) struct FeedForward {
    inner: Linear,
    activation: Activation,
    outer: Linear,
}

impl FeedForward {
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let inner = self.inner.forward(x)?;
        let inner = match self.activation {
            Activation::Swish => candle_nn::Activation::Silu.forward(&inner)?,
            Activation::Relu => inner.relu()?,
            Activation::Gelu => inner.gelu_erf()?,
        };
        self.outer.forward(&inner)
    }
}

/// A block of a layer with its residual connection, normalised before or after.
pub(super) fn residual(
    x: &Tensor,
    norm: &LayerNorm,
    normalize_before: bool,
    block: impl FnOnce(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    if normalize_before { Ok((x + block(&norm.forward(x)?)?)?) } else { norm.forward(&(x + block(x)?)?) }
}

/// Pieces and their positions as vectors.
#[derive(Debug)]
pub(super) struct Embedding {
    /// `[vocabulary, d_model]`.
    pub(super) table: Tensor,
    pub(super) scale: f64,
    /// `[positions, d_model]`.
    pub(super) positions: Tensor,
    pub(super) norm: Option<LayerNorm>,
}

impl Embedding {
    /// Embeds tokens `[rows, length]`, row-major, at their positions: `[rows, length, d_model]`.
    pub(super) fn forward(&self, tokens: &[TokenId], positions: &[u32], rows: usize) -> Result<Tensor> {
        let device = self.table.device();
        let tokens = self.table.index_select(&Tensor::new(tokens, device)?, 0)?;
        let positions = self.positions.index_select(&Tensor::new(positions, device)?, 0)?;
        let x = ((tokens * self.scale)? + positions)?;
        let x = x.reshape((rows, (), self.table.dim(1)?))?;
        match &self.norm {
            Some(norm) => norm.forward(&x),
            None => Ok(x),
        }
    }

    /// Embeds sentences padded on the right to the longest.
    pub(super) fn padded(&self, sentences: &[&[TokenId]]) -> Result<Tensor> {
        let longest = sentences.iter().map(|sentence| sentence.len()).max().unwrap_or(0);
        let mut tokens = Vec::with_capacity(sentences.len() * longest);
        for sentence in sentences {
            tokens.extend_from_slice(sentence);
            // What stands in the padding is masked: any id will do.
            tokens.resize(tokens.len() + longest - sentence.len(), 0);
        }
        let positions: Vec<u32> = (0..sentences.len()).flat_map(|_| 0..longest as u32).collect();
        self.forward(&tokens, &positions, sentences.len())
    }
}

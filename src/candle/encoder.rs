//! The encoder: embeddings, then layers of self-attention and feed-forward.

use candle_core::Tensor;

use super::attention::Attention;
use super::layers::{Embedding, FeedForward, Graph, LayerNorm, residual};
use super::mask;
use crate::Result;
use crate::engine::TokenId;
use crate::model::{EncoderLayerWeights, MarianWeights};

#[derive(Debug)]
pub(super) struct Encoder {
    embedding: Embedding,
    layers: Vec<EncoderLayer>,
    final_norm: Option<LayerNorm>,
}

impl Encoder {
    pub(super) fn new(graph: &Graph<'_>, embedding: Embedding, weights: &MarianWeights<'_>) -> Result<Self> {
        Ok(Encoder {
            embedding,
            layers: weights.encoder.iter().map(|layer| EncoderLayer::new(graph, layer)).collect::<Result<_>>()?,
            final_norm: weights.encoder_final_norm.as_ref().map(|norm| graph.norm(norm)).transpose()?,
        })
    }

    /// Encodes sentences: states `[sentences, longest, d_model]`, and the mask that hides the padding.
    pub(super) fn forward(&self, sources: &[&[TokenId]]) -> Result<(Tensor, Option<Tensor>)> {
        let mut x = self.embedding.padded(sources)?;
        let lengths: Vec<usize> = sources.iter().map(|source| source.len()).collect();
        let mask = mask::right_padding(&lengths, x.device())?;
        for layer in &self.layers {
            x = layer.forward(&x, mask.as_ref())?;
        }
        if let Some(norm) = &self.final_norm {
            x = norm.forward(&x)?;
        }
        Ok((x, mask))
    }
}

#[derive(Debug)]
struct EncoderLayer {
    normalize_before: bool,
    self_attention: Attention,
    self_attention_norm: LayerNorm,
    feed_forward: FeedForward,
    feed_forward_norm: LayerNorm,
}

impl EncoderLayer {
    fn new(graph: &Graph<'_>, weights: &EncoderLayerWeights<'_>) -> Result<Self> {
        Ok(EncoderLayer {
            normalize_before: graph.config.normalize_before,
            self_attention: Attention::new(graph, &weights.self_attention, graph.config.encoder_attention_heads)?,
            self_attention_norm: graph.norm(&weights.self_attention_norm)?,
            feed_forward: graph.feed_forward(&weights.inner, &weights.outer)?,
            feed_forward_norm: graph.norm(&weights.feed_forward_norm)?,
        })
    }

    fn forward(&self, x: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let x = residual(x, &self.self_attention_norm, self.normalize_before, |x| {
            Ok(self.self_attention.attend(x, &self.self_attention.keys_values(x)?, mask)?.0)
        })?;
        residual(&x, &self.feed_forward_norm, self.normalize_before, |x| self.feed_forward.forward(x))
    }
}

//! The decoder: embeddings, then layers of causal self-attention, cross-attention and feed-forward.

use candle_core::Tensor;

use super::attention::{Attention, KeysValues};
use super::layers::{Embedding, FeedForward, Graph, LayerNorm, residual};
use super::mask;
use crate::Result;
use crate::engine::TokenId;
use crate::model::{DecoderLayerWeights, Heads, MarianWeights};

#[derive(Debug)]
pub(super) struct Decoder {
    embedding: Embedding,
    layers: Vec<DecoderLayer>,
    final_norm: Option<LayerNorm>,
    alignment: (usize, Heads),
}

impl Decoder {
    pub(super) fn new(
        graph: &Graph<'_>,
        embedding: Embedding,
        weights: &MarianWeights<'_>,
        alignment: (usize, Heads),
    ) -> Result<Self> {
        Ok(Decoder {
            embedding,
            layers: weights.decoder.iter().map(|layer| DecoderLayer::new(graph, layer)).collect::<Result<_>>()?,
            final_norm: weights.decoder_final_norm.as_ref().map(|norm| graph.norm(norm)).transpose()?,
            alignment,
        })
    }

    /// The cross-attention's keys and values of encoder states, one pair per layer.
    pub(super) fn memory(&self, states: &Tensor) -> Result<Vec<KeysValues>> {
        self.layers.iter().map(|layer| layer.cross_attention.keys_values(states)).collect()
    }

    /// Decodes whole inputs at once, each position seeing only those before it.
    ///
    /// Returns states `[rows, length, d_model]` and the alignment heads' probabilities `[rows, length, sources]`.
    pub(super) fn force(
        &self,
        inputs: &[&[TokenId]],
        memory: &Tensor,
        memory_mask: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor)> {
        let x = self.embedding.padded(inputs)?;
        // Inputs are padded on the right, so the causal mask hides the padding too.
        let causal = mask::causal(x.dim(1)?, x.device())?;
        self.forward(x, &self.memory(memory)?, memory_mask, |_, new| Ok(new), Some(&causal))
    }

    /// Moves every row one token on: `past` takes a layer's index and the new position's keys and values, and returns
    /// those of the whole row.
    pub(super) fn step(
        &self,
        tokens: &[TokenId],
        positions: &[u32],
        memory: &[KeysValues],
        memory_mask: Option<&Tensor>,
        past: impl FnMut(usize, KeysValues) -> Result<KeysValues>,
        past_mask: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor)> {
        let x = self.embedding.forward(tokens, positions, tokens.len())?;
        let (x, attention) = self.forward(x, memory, memory_mask, past, past_mask)?;
        Ok((x.squeeze(1)?, attention.squeeze(1)?))
    }

    fn forward(
        &self,
        mut x: Tensor,
        memory: &[KeysValues],
        memory_mask: Option<&Tensor>,
        mut past: impl FnMut(usize, KeysValues) -> Result<KeysValues>,
        past_mask: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor)> {
        let mut alignment = None;
        for (index, (layer, memory)) in self.layers.iter().zip(memory).enumerate() {
            let probabilities;
            (x, probabilities) = layer.forward(&x, memory, memory_mask, |new| past(index, new), past_mask)?;
            if index == self.alignment.0 {
                alignment = Some(match self.alignment.1 {
                    Heads::One(head) => probabilities.narrow(1, head, 1)?.squeeze(1)?,
                    Heads::Mean => probabilities.mean(1)?,
                });
            }
        }
        if let Some(norm) = &self.final_norm {
            x = norm.forward(&x)?;
        }
        let missing = || crate::Error::new(crate::ErrorKind::Internal, "the alignment layer was not computed");
        Ok((x, alignment.ok_or_else(missing)?))
    }
}

#[derive(Debug)]
struct DecoderLayer {
    normalize_before: bool,
    self_attention: Attention,
    self_attention_norm: LayerNorm,
    cross_attention: Attention,
    cross_attention_norm: LayerNorm,
    feed_forward: FeedForward,
    feed_forward_norm: LayerNorm,
}

impl DecoderLayer {
    fn new(graph: &Graph<'_>, weights: &DecoderLayerWeights<'_>) -> Result<Self> {
        let heads = graph.config.decoder_attention_heads;
        Ok(DecoderLayer {
            normalize_before: graph.config.normalize_before,
            self_attention: Attention::new(graph, &weights.self_attention, heads)?,
            self_attention_norm: graph.norm(&weights.self_attention_norm)?,
            cross_attention: Attention::new(graph, &weights.cross_attention, heads)?,
            cross_attention_norm: graph.norm(&weights.cross_attention_norm)?,
            feed_forward: graph.feed_forward(&weights.inner, &weights.outer)?,
            feed_forward_norm: graph.norm(&weights.feed_forward_norm)?,
        })
    }

    fn forward(
        &self,
        x: &Tensor,
        memory: &KeysValues,
        memory_mask: Option<&Tensor>,
        past: impl FnOnce(KeysValues) -> Result<KeysValues>,
        past_mask: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor)> {
        let x = residual(x, &self.self_attention_norm, self.normalize_before, |x| {
            let keys_values = past(self.self_attention.keys_values(x)?)?;
            Ok(self.self_attention.attend(x, &keys_values, past_mask)?.0)
        })?;
        let mut probabilities = None;
        let x = residual(&x, &self.cross_attention_norm, self.normalize_before, |x| {
            let (y, attention) = self.cross_attention.attend(x, memory, memory_mask)?;
            probabilities = Some(attention);
            Ok(y)
        })?;
        let x = residual(&x, &self.feed_forward_norm, self.normalize_before, |x| self.feed_forward.forward(x))?;
        let missing = || crate::Error::new(crate::ErrorKind::Internal, "a residual block was not computed");
        Ok((x, probabilities.ok_or_else(missing)?))
    }
}

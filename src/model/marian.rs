//! A model's tensors in the order of the Marian graph: the one place that knows their names.

use super::config::MarianConfig;
use super::matrix::Matrix;
use super::weights::Weights;
use crate::Result;

/// A linear layer: `y = W x + b`.
#[derive(Clone, Debug)]
pub struct LinearWeights<'a> {
    /// `[outputs, inputs]`.
    pub weight: Matrix<'a>,
    /// `[outputs]`.
    pub bias: Vec<f32>,
}

/// Layer normalisation: `(x - mean) / √(variance + ε) · scale + bias`.
#[derive(Clone, Debug)]
pub struct LayerNormWeights {
    /// `[d_model]`.
    pub scale: Vec<f32>,
    /// `[d_model]`.
    pub bias: Vec<f32>,
}

/// The four projections of a multi-head attention, each `[d_model, d_model]`.
#[derive(Clone, Debug)]
pub struct AttentionWeights<'a> {
    /// Queries: divided by `√(d_model / heads)` after the projection.
    pub query: LinearWeights<'a>,
    /// Keys.
    pub key: LinearWeights<'a>,
    /// Values.
    pub value: LinearWeights<'a>,
    /// The projection of the heads' joined outputs.
    pub output: LinearWeights<'a>,
}

/// One encoder layer.
#[derive(Clone, Debug)]
pub struct EncoderLayerWeights<'a> {
    /// Self-attention.
    pub self_attention: AttentionWeights<'a>,
    /// Normalisation of the self-attention block.
    pub self_attention_norm: LayerNormWeights,
    /// First linear layer of the feed-forward block: `[ffn, d_model]`.
    pub inner: LinearWeights<'a>,
    /// Second linear layer of the feed-forward block: `[d_model, ffn]`.
    pub outer: LinearWeights<'a>,
    /// Normalisation of the feed-forward block.
    pub feed_forward_norm: LayerNormWeights,
}

/// One decoder layer.
#[derive(Clone, Debug)]
pub struct DecoderLayerWeights<'a> {
    /// Causal self-attention.
    pub self_attention: AttentionWeights<'a>,
    /// Normalisation of the self-attention block.
    pub self_attention_norm: LayerNormWeights,
    /// Attention over the encoder's output.
    pub cross_attention: AttentionWeights<'a>,
    /// Normalisation of the cross-attention block.
    pub cross_attention_norm: LayerNormWeights,
    /// First linear layer of the feed-forward block: `[ffn, d_model]`.
    pub inner: LinearWeights<'a>,
    /// Second linear layer of the feed-forward block: `[d_model, ffn]`.
    pub outer: LinearWeights<'a>,
    /// Normalisation of the feed-forward block.
    pub feed_forward_norm: LayerNormWeights,
}

/// All tensors of a Marian model, their shapes checked against its configuration.
#[derive(Clone, Debug)]
pub struct MarianWeights<'a> {
    /// `[vocab_size, d_model]`.
    pub source_embedding: Matrix<'a>,
    /// `[decoder_vocab_size, d_model]`; `None` where the source embedding serves the target too.
    pub target_embedding: Option<Matrix<'a>>,
    /// `[decoder_vocab_size, d_model]`; `None` where the output layer is the target embedding.
    pub output: Option<Matrix<'a>>,
    /// `[decoder_vocab_size]`, added to the logits.
    pub output_bias: Vec<f32>,
    /// The encoder's layers.
    pub encoder: Vec<EncoderLayerWeights<'a>>,
    /// The decoder's layers.
    pub decoder: Vec<DecoderLayerWeights<'a>>,
    /// Normalisation of the encoder's embeddings, with `normalize_embedding`.
    pub encoder_embedding_norm: Option<LayerNormWeights>,
    /// Normalisation of the decoder's embeddings, with `normalize_embedding`.
    pub decoder_embedding_norm: Option<LayerNormWeights>,
    /// Normalisation of the encoder's output, with `add_final_layer_norm`.
    pub encoder_final_norm: Option<LayerNormWeights>,
    /// Normalisation of the decoder's output, with `add_final_layer_norm`.
    pub decoder_final_norm: Option<LayerNormWeights>,
    /// `[max_position_embeddings, d_model]`; `None` where positions are sinusoids.
    pub encoder_positions: Option<Matrix<'a>>,
    /// `[max_position_embeddings, d_model]`; `None` where positions are sinusoids.
    pub decoder_positions: Option<Matrix<'a>>,
}

impl<'a> MarianWeights<'a> {
    /// Finds every tensor the configuration calls for.
    ///
    /// With shared embeddings `model.shared.weight` is the source, target and output matrix, and a `lm_head.weight`
    /// beside it is not read: converted tc-big checkpoints carry a wrong one. Stored sinusoids are not read either,
    /// since which ones to use is [`EngineOptions::positions`](super::EngineOptions::positions)' business.
    ///
    /// # Errors
    /// A tensor is missing, has another shape than the configuration says, or holds a number that is not finite.
    pub fn new(config: &MarianConfig, weights: &'a Weights) -> Result<Self> {
        let d = config.d_model;
        let layers = Names { weights, d };
        let (encoder_embedding, decoder_embedding) =
            ("model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight");
        // Tied copies may be left out of a file, and any of the names may be the one that stayed.
        let shared = ["model.shared.weight", encoder_embedding, decoder_embedding, "lm_head.weight"];
        let (source_embedding, target_embedding) = if config.share_encoder_decoder_embeddings {
            let name = shared.into_iter().find(|name| weights.contains(name)).unwrap_or(shared[0]);
            (weights.matrix(name, config.vocab_size, d)?, None)
        } else {
            let target = weights.matrix(decoder_embedding, config.decoder_vocab_size, d)?;
            (weights.matrix(encoder_embedding, config.vocab_size, d)?, Some(target))
        };
        let output = match config.tie_word_embeddings {
            true => None,
            false => Some(weights.matrix("lm_head.weight", config.decoder_vocab_size, d)?),
        };
        let output_bias = match weights.contains("final_logits_bias") {
            true => weights.vector("final_logits_bias", config.decoder_vocab_size)?,
            false => vec![0.0; config.decoder_vocab_size],
        };
        let encoder = (0..config.encoder_layers)
            .map(|layer| {
                let at = format!("model.encoder.layers.{layer}");
                Ok(EncoderLayerWeights {
                    self_attention: layers.attention(&format!("{at}.self_attn"))?,
                    self_attention_norm: layers.norm(&format!("{at}.self_attn_layer_norm"))?,
                    inner: layers.linear(&format!("{at}.fc1"), config.encoder_ffn_dim, d)?,
                    outer: layers.linear(&format!("{at}.fc2"), d, config.encoder_ffn_dim)?,
                    feed_forward_norm: layers.norm(&format!("{at}.final_layer_norm"))?,
                })
            })
            .collect::<Result<_>>()?;
        let decoder = (0..config.decoder_layers)
            .map(|layer| {
                let at = format!("model.decoder.layers.{layer}");
                Ok(DecoderLayerWeights {
                    self_attention: layers.attention(&format!("{at}.self_attn"))?,
                    self_attention_norm: layers.norm(&format!("{at}.self_attn_layer_norm"))?,
                    cross_attention: layers.attention(&format!("{at}.encoder_attn"))?,
                    cross_attention_norm: layers.norm(&format!("{at}.encoder_attn_layer_norm"))?,
                    inner: layers.linear(&format!("{at}.fc1"), config.decoder_ffn_dim, d)?,
                    outer: layers.linear(&format!("{at}.fc2"), d, config.decoder_ffn_dim)?,
                    feed_forward_norm: layers.norm(&format!("{at}.final_layer_norm"))?,
                })
            })
            .collect::<Result<_>>()?;
        let norm = |wanted: bool, name: &str| wanted.then(|| layers.norm(name)).transpose();
        let positions = |name: &str| {
            let learned = !config.static_position_embeddings;
            learned.then(|| weights.matrix(name, config.max_position_embeddings, d)).transpose()
        };
        Ok(MarianWeights {
            source_embedding,
            target_embedding,
            output,
            output_bias,
            encoder,
            decoder,
            encoder_embedding_norm: norm(config.normalize_embedding, "model.encoder.layernorm_embedding")?,
            decoder_embedding_norm: norm(config.normalize_embedding, "model.decoder.layernorm_embedding")?,
            encoder_final_norm: norm(config.add_final_layer_norm, "model.encoder.layer_norm")?,
            decoder_final_norm: norm(config.add_final_layer_norm, "model.decoder.layer_norm")?,
            encoder_positions: positions("model.encoder.embed_positions.weight")?,
            decoder_positions: positions("model.decoder.embed_positions.weight")?,
        })
    }

    /// The matrix that embeds target pieces.
    pub fn target_embedding(&self) -> &Matrix<'a> {
        self.target_embedding.as_ref().unwrap_or(&self.source_embedding)
    }

    /// The matrix of the output layer.
    pub fn output(&self) -> &Matrix<'a> {
        self.output.as_ref().unwrap_or_else(|| self.target_embedding())
    }
}

struct Names<'a> {
    weights: &'a Weights,
    d: usize,
}

impl<'a> Names<'a> {
    fn linear(&self, name: &str, rows: usize, cols: usize) -> Result<LinearWeights<'a>> {
        Ok(LinearWeights {
            weight: self.weights.matrix(&format!("{name}.weight"), rows, cols)?,
            bias: self.weights.vector(&format!("{name}.bias"), rows)?,
        })
    }

    fn norm(&self, name: &str) -> Result<LayerNormWeights> {
        Ok(LayerNormWeights {
            scale: self.weights.vector(&format!("{name}.weight"), self.d)?,
            bias: self.weights.vector(&format!("{name}.bias"), self.d)?,
        })
    }

    fn attention(&self, name: &str) -> Result<AttentionWeights<'a>> {
        let projection = |part: &str| self.linear(&format!("{name}.{part}_proj"), self.d, self.d);
        Ok(AttentionWeights {
            query: projection("q")?,
            key: projection("k")?,
            value: projection("v")?,
            output: projection("out")?,
        })
    }
}

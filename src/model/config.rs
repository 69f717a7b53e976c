//! `config.json`: the shape of a Marian model.

use super::fields::Fields;
use super::options::{EngineOptions, Heads};
use crate::engine::{Dimensions, TokenId};
use crate::{Error, ErrorKind, Result};

/// The function between the two linear layers of a feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `x · σ(x)`, also called SiLU.
    Swish,
    /// `max(x, 0)`.
    Relu,
    /// `x · Φ(x)` with the exact normal distribution function.
    Gelu,
}

/// The shape of a Marian encoder–decoder, as `transformers` writes it.
///
/// ```
/// use tarjim::model::{Activation, MarianConfig};
///
/// let config = MarianConfig::parse(br#"{
///     "model_type": "marian", "vocab_size": 500, "d_model": 32, "activation_function": "swish",
///     "encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 64,
///     "decoder_layers": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 64,
///     "scale_embedding": true, "max_position_embeddings": 128,
///     "pad_token_id": 499, "eos_token_id": 0, "decoder_start_token_id": 499
/// }"#)?;
/// assert_eq!(config.activation, Activation::Swish);
/// assert_eq!(config.decoder_vocab_size, 500);
/// # Ok::<(), tarjim::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MarianConfig {
    /// Number of source pieces, the pad included.
    pub vocab_size: usize,
    /// Number of target pieces, the pad included; `vocab_size` unless the vocabularies are separate.
    pub decoder_vocab_size: usize,
    /// Width of the embeddings and of every layer's input and output.
    pub d_model: usize,
    /// Number of encoder layers.
    pub encoder_layers: usize,
    /// Number of decoder layers.
    pub decoder_layers: usize,
    /// Attention heads of an encoder layer; divides `d_model`.
    pub encoder_attention_heads: usize,
    /// Attention heads of a decoder layer; divides `d_model`.
    pub decoder_attention_heads: usize,
    /// Inner width of an encoder layer's feed-forward block.
    pub encoder_ffn_dim: usize,
    /// Inner width of a decoder layer's feed-forward block.
    pub decoder_ffn_dim: usize,
    /// Activation of the feed-forward blocks.
    pub activation: Activation,
    /// Whether embeddings are multiplied by `√d_model`.
    pub scale_embedding: bool,
    /// Whether one matrix embeds source and target pieces.
    pub share_encoder_decoder_embeddings: bool,
    /// Whether the output layer is the target embedding.
    pub tie_word_embeddings: bool,
    /// Whether layers normalise their input (pre-norm) rather than their residual sum (post-norm).
    pub normalize_before: bool,
    /// Whether the sum of embedding and position is normalised.
    pub normalize_embedding: bool,
    /// Whether a stack ends with one more normalisation.
    pub add_final_layer_norm: bool,
    /// Whether positions are sinusoids rather than learned vectors.
    pub static_position_embeddings: bool,
    /// Longest sentence on either side, in pieces.
    pub max_position_embeddings: usize,
    /// The pad.
    pub pad_token_id: Option<TokenId>,
    /// `</s>`.
    pub eos_token_id: TokenId,
    /// The decoder's first input.
    pub decoder_start_token_id: TokenId,
    /// Decoder layer and head, from 0, that were trained on word links. `alignment_heads` in the file, a list of one
    /// such pair: `transformers` calls them so for Whisper, and has no name for them among Marian models.
    pub guided_head: Option<(usize, usize)>,
}

impl MarianConfig {
    /// Reads `config.json`.
    ///
    /// # Errors
    /// Not JSON, another architecture, an unknown activation, a missing or impossible field: the message names the
    /// field, what was expected and what was found.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let fields = Fields::parse("config.json", json)?;
        match fields.text("model_type")? {
            Some("marian") => {}
            Some(_) | None => {
                return Err(fields.wrong("model_type", "\"marian\"").with_hint(
                    "tarjim runs Marian models in the Helsinki-NLP layout, such as Helsinki-NLP/opus-mt-ar-en",
                ));
            }
        }
        let size = |name: &str| fields.required(name, "a whole number above 0", fields.size(name)?);
        let activation = match fields.text("activation_function")? {
            Some("swish" | "silu") => Activation::Swish,
            Some("relu") => Activation::Relu,
            Some("gelu") => Activation::Gelu,
            _ => return Err(fields.wrong("activation_function", "\"swish\", \"silu\", \"relu\" or \"gelu\"")),
        };
        let vocab_size = size("vocab_size")?;
        let decoder_vocab_size = fields.size("decoder_vocab_size")?.unwrap_or(vocab_size);
        let token = |name: &str| fields.required(name, "a token id", fields.token(name, decoder_vocab_size)?);
        let config = MarianConfig {
            vocab_size,
            decoder_vocab_size,
            d_model: size("d_model")?,
            encoder_layers: size("encoder_layers")?,
            decoder_layers: size("decoder_layers")?,
            encoder_attention_heads: size("encoder_attention_heads")?,
            decoder_attention_heads: size("decoder_attention_heads")?,
            encoder_ffn_dim: size("encoder_ffn_dim")?,
            decoder_ffn_dim: size("decoder_ffn_dim")?,
            activation,
            scale_embedding: fields.flag("scale_embedding")?.unwrap_or(false),
            share_encoder_decoder_embeddings: fields.flag("share_encoder_decoder_embeddings")?.unwrap_or(true),
            tie_word_embeddings: fields.flag("tie_word_embeddings")?.unwrap_or(true),
            normalize_before: fields.flag("normalize_before")?.unwrap_or(false),
            normalize_embedding: fields.flag("normalize_embedding")?.unwrap_or(false),
            add_final_layer_norm: fields.flag("add_final_layer_norm")?.unwrap_or(false),
            static_position_embeddings: fields.flag("static_position_embeddings")?.unwrap_or(true),
            max_position_embeddings: size("max_position_embeddings")?,
            pad_token_id: fields.token("pad_token_id", decoder_vocab_size)?,
            eos_token_id: token("eos_token_id")?,
            decoder_start_token_id: token("decoder_start_token_id")?,
            guided_head: guided_head(&fields)?,
        };
        for name in ["encoder_attention_heads", "decoder_attention_heads"] {
            if !config.d_model.is_multiple_of(size(name)?) {
                return Err(fields.wrong(name, &format!("a divisor of `d_model`, which is {}", config.d_model)));
            }
        }
        if config.share_encoder_decoder_embeddings && vocab_size != decoder_vocab_size {
            return Err(fields.wrong("decoder_vocab_size", &format!("{vocab_size}, since embeddings are shared")));
        }
        if config.eos_token_id as usize >= vocab_size {
            return Err(fields.wrong("eos_token_id", &format!("a token id below `vocab_size`, which is {vocab_size}")));
        }
        // Positions, layers and the widths' product decide how much is set aside before any tensor is looked at.
        for (name, most) in [
            ("max_position_embeddings", 1 << 16),
            ("encoder_layers", 256),
            ("decoder_layers", 256),
            ("d_model", 1 << 16),
        ] {
            if size(name)? > most {
                return Err(fields.wrong(name, &format!("at most {most}")));
            }
        }
        Ok(config)
    }

    /// The sizes search and the pipeline must respect.
    pub fn dimensions(&self) -> Dimensions {
        Dimensions {
            source_vocabulary: self.vocab_size,
            target_vocabulary: self.decoder_vocab_size,
            source_positions: self.max_position_embeddings,
            target_positions: self.max_position_embeddings,
        }
    }

    /// The decoder layer that options mean, and its heads.
    ///
    /// # Errors
    /// There is no such layer or head.
    pub fn alignment(&self, options: &EngineOptions) -> Result<(usize, Heads)> {
        let layer = options.alignment_layer.unwrap_or(self.decoder_layers - 1);
        if layer >= self.decoder_layers {
            return Err(Error::new(
                ErrorKind::Model,
                format!(
                    "alignment layer {layer} does not exist: the decoder has {} layers, counted from 0",
                    self.decoder_layers
                ),
            ));
        }
        match options.alignment_heads {
            Heads::One(head) if head >= self.decoder_attention_heads => {
                let heads = self.decoder_attention_heads;
                Err(Error::new(
                    ErrorKind::Model,
                    format!("alignment head {head} does not exist: a decoder layer has {heads} heads, counted from 0"),
                ))
            }
            heads => Ok((layer, heads)),
        }
    }
}

fn guided_head(fields: &Fields) -> Result<Option<(usize, usize)>> {
    const NAME: &str = "alignment_heads";
    let Some(value) = fields.get(NAME) else { return Ok(None) };
    let number = |value: &serde_json::Value| value.as_u64().and_then(|number| usize::try_from(number).ok());
    if let Some([head]) = value.as_array().map(Vec::as_slice)
        && let Some([layer, head]) = head.as_array().map(Vec::as_slice)
        && let (Some(layer), Some(head)) = (number(layer), number(head))
    {
        return Ok(Some((layer, head)));
    }
    Err(fields.wrong(NAME, "a list of one pair of decoder layer and head"))
}

//! The reference engine: the Marian graph in f32 on candle tensors, written plainly.
//!
//! Sentences of a call are padded to a common length and masked; decoder keys and values are cached, the
//! cross-attention's once per sentence. It exists to be compared with: the native engine is tested against it, and it
//! against `transformers`.

mod attention;
mod decoder;
mod encoder;
mod layers;
mod mask;
mod scores;
mod session;

use candle_core::{Device, Tensor};

use self::decoder::Decoder;
use self::encoder::Encoder;
use self::layers::{Embedding, Graph};
use self::session::CandleSession;
use crate::engine::{Dimensions, Engine, Forced, ForcedPair, Session, TokenId};
use crate::model::{EngineOptions, MarianConfig, MarianWeights, Matrix, Weights};
use crate::{Error, ErrorKind, Result};

/// A Marian model on candle tensors.
///
/// ```
/// use tarjim::candle::CandleEngine;
/// use tarjim::engine::{Engine, ForcedPair};
/// use tarjim::model::{EngineOptions, ModelFiles};
///
/// let files = ModelFiles::directory(std::path::Path::new("tests/data/tiny-marian"))?;
/// let config = files.config()?;
/// let engine = CandleEngine::load(&config, &files.weights()?, &EngineOptions::default())?;
///
/// let end = config.eos_token_id;
/// let pair = ForcedPair { source: &[20, 30, end], start: config.decoder_start_token_id, target: &[200, end] };
/// let forced = engine.force(&[pair])?;
/// assert_eq!(forced[0].log_probs.len(), 2); // one per target piece
/// assert_eq!(forced[0].attention[0].len(), 3); // one column per source piece
/// # Ok::<(), tarjim::Error>(())
/// ```
#[derive(Debug)]
pub struct CandleEngine {
    dimensions: Dimensions,
    device: Device,
    encoder: Encoder,
    decoder: Decoder,
    /// Transposed: `[d_model, vocabulary]`.
    output: Tensor,
    /// `[vocabulary]`.
    output_bias: Tensor,
    /// Pieces that steps never offer.
    suppressed: Vec<TokenId>,
}

impl CandleEngine {
    /// Builds the graph from a model's tensors; int8 weights are multiplied out to f32.
    ///
    /// # Errors
    /// A tensor is missing, misshapen or not finite, or the alignment head does not exist.
    pub fn load(config: &MarianConfig, weights: &Weights, options: &EngineOptions) -> Result<Self> {
        let alignment = config.alignment(options)?;
        let device = Device::Cpu;
        let weights = MarianWeights::new(config, weights)?;
        let graph = Graph::new(config, options, &device);
        let source_table = graph.matrix(&weights.source_embedding)?;
        let target_table = weights.target_embedding.as_ref().map(|matrix| graph.matrix(matrix)).transpose()?;
        let target_table = target_table.unwrap_or_else(|| source_table.clone());
        let output = weights.output.as_ref().map(|matrix| graph.matrix(matrix)).transpose()?;
        let output = output.unwrap_or_else(|| target_table.clone());
        let positions = |learned: Option<&Matrix<'_>>| graph.positions(learned);
        let source = Embedding {
            table: source_table,
            scale: graph.embedding_scale(),
            positions: positions(weights.encoder_positions.as_ref())?,
            norm: weights.encoder_embedding_norm.as_ref().map(|norm| graph.norm(norm)).transpose()?,
        };
        let target = Embedding {
            table: target_table,
            scale: graph.embedding_scale(),
            positions: positions(weights.decoder_positions.as_ref())?,
            norm: weights.decoder_embedding_norm.as_ref().map(|norm| graph.norm(norm)).transpose()?,
        };
        Ok(CandleEngine {
            dimensions: config.dimensions(),
            encoder: Encoder::new(&graph, source, &weights)?,
            decoder: Decoder::new(&graph, target, &weights, alignment)?,
            output: output.t()?,
            output_bias: graph.vector(&weights.output_bias)?,
            suppressed: options
                .suppressed
                .iter()
                .copied()
                .filter(|&id| (id as usize) < config.decoder_vocab_size)
                .collect(),
            device,
        })
    }

    /// The encoder's output for each sentence (pieces, `</s>` included): one row of `d_model` numbers per piece.
    ///
    /// # Errors
    /// A sentence is empty, too long, or has an id outside the vocabulary.
    pub fn encoder_states(&self, sources: &[&[TokenId]]) -> Result<Vec<Vec<Vec<f32>>>> {
        if sources.is_empty() {
            return Ok(Vec::new());
        }
        self.check_sources(sources)?;
        let (states, _) = self.encoder.forward(sources)?;
        let states = states.to_vec3::<f32>()?;
        Ok(states
            .into_iter()
            .zip(sources)
            .map(|(rows, source)| rows.into_iter().take(source.len()).collect())
            .collect())
    }

    /// Logits `[rows, vocabulary]` of decoder states `[rows, d_model]`.
    fn logits(&self, states: &Tensor) -> Result<Tensor> {
        Ok(states.matmul(&self.output)?.broadcast_add(&self.output_bias)?)
    }

    fn check_sources(&self, sources: &[&[TokenId]]) -> Result<()> {
        let Dimensions { source_vocabulary, source_positions, .. } = self.dimensions;
        for source in sources {
            if source.is_empty() {
                return Err(Error::new(ErrorKind::InvalidInput, "a source sentence has no pieces"));
            }
            check("source", source, source_vocabulary, source_positions)?;
        }
        Ok(())
    }
}

/// Checks a sentence's ids and length.
fn check(side: &str, tokens: &[TokenId], vocabulary: usize, positions: usize) -> Result<()> {
    if tokens.len() > positions {
        let length = tokens.len();
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("a {side} sentence of {length} pieces is longer than the model's {positions} positions"),
        ));
    }
    if let Some(id) = tokens.iter().find(|id| **id as usize >= vocabulary) {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("{side} id {id} is outside the vocabulary of {vocabulary}"),
        ));
    }
    Ok(())
}

impl Engine for CandleEngine {
    fn name(&self) -> String {
        "candle f32".to_owned()
    }

    fn dimensions(&self) -> Dimensions {
        self.dimensions
    }

    fn session(&self) -> Box<dyn Session + '_> {
        Box::new(CandleSession::new(self))
    }

    fn force(&self, pairs: &[ForcedPair<'_>]) -> Result<Vec<Forced>> {
        if pairs.is_empty() {
            return Ok(Vec::new());
        }
        let Dimensions { target_vocabulary, target_positions, .. } = self.dimensions;
        let sources: Vec<&[TokenId]> = pairs.iter().map(|pair| pair.source).collect();
        self.check_sources(&sources)?;
        let mut inputs = Vec::with_capacity(pairs.len());
        for pair in pairs {
            check("target", &[pair.start], target_vocabulary, target_positions)?;
            check("target", pair.target, target_vocabulary, target_positions)?;
            let fed = pair.target.split_last().map_or(&[][..], |(_, fed)| fed);
            inputs.push([&[pair.start][..], fed].concat());
        }
        let inputs: Vec<&[TokenId]> = inputs.iter().map(Vec::as_slice).collect();
        let (memory, memory_mask) = self.encoder.forward(&sources)?;
        let (states, attention) = self.decoder.force(&inputs, &memory, memory_mask.as_ref())?;
        let attention = attention.to_vec3::<f32>()?;
        let mut forced = Vec::with_capacity(pairs.len());
        for (row, (pair, attention)) in pairs.iter().zip(attention).enumerate() {
            // One sentence's logits at a time: all at once would be as large as batch × length × vocabulary.
            let length = pair.target.len();
            let logits = self.logits(&states.get(row)?.narrow(0, 0, length.max(1))?)?.to_vec2::<f32>()?;
            let log_probs = pair.target.iter().zip(&logits).map(|(token, logits)| scores::log_prob(logits, *token));
            forced.push(Forced {
                log_probs: log_probs.collect::<Result<_>>()?,
                attention: attention.into_iter().take(length).map(|row| row[..pair.source.len()].to_vec()).collect(),
            });
        }
        Ok(forced)
    }
}

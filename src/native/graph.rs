//! The layers of a model, packed for one kernel.

use std::sync::Arc;

use super::columns::Columns;
use super::kernel::{Activation, LayerNorm, Machine};
use super::packed::{Packed, RowSource};
use crate::error::Result;
use crate::model::{
    self, AttentionWeights, LayerNormWeights, LinearWeights, MarianConfig, MarianWeights, Matrix, Weights,
};

/// How the inner dimensions of an attention lie: heads one after the other, each padded to whole vectors.
#[derive(Clone, Copy)]
pub(super) struct Heads {
    pub(super) count: usize,
    /// Values of a head, a multiple of eight.
    pub(super) size: usize,
    /// Values of a head that the model knows of.
    own: usize,
}

impl Heads {
    pub(super) fn new(width: usize, count: usize) -> Self {
        let own = width / count;
        Heads { count, size: own.next_multiple_of(8), own }
    }

    /// Values of all heads.
    pub(super) fn inner(self) -> usize {
        self.count * self.size
    }

    /// Where the model's inner dimension `d` lies.
    fn place(self, d: usize) -> usize {
        d / self.own * self.size + d % self.own
    }

    /// The factor queries are scaled by: `1 / √size`.
    fn query_factor(self) -> f32 {
        1.0 / (self.own as f32).sqrt()
    }
}

/// Queries, keys and values come out of one product.
pub(super) struct SelfAttention {
    /// Columns: queries, keys, values, each [`Heads::inner`].
    pub(super) projections: Packed,
    pub(super) output: Packed,
    pub(super) norm: LayerNorm,
}

pub(super) struct CrossAttention {
    pub(super) query: Packed,
    /// Columns: keys, values.
    pub(super) memory: Packed,
    pub(super) output: Packed,
    pub(super) norm: LayerNorm,
}

pub(super) struct FeedForward {
    pub(super) inner: Packed,
    pub(super) outer: Packed,
    pub(super) activation: Activation,
    pub(super) norm: LayerNorm,
}

pub(super) struct EncoderLayer {
    pub(super) attention: SelfAttention,
    pub(super) feed_forward: FeedForward,
}

pub(super) struct DecoderLayer {
    pub(super) attention: SelfAttention,
    pub(super) cross: CrossAttention,
    pub(super) feed_forward: FeedForward,
}

/// A model without its embeddings.
pub(super) struct Layers {
    pub(super) encoder: Vec<EncoderLayer>,
    pub(super) encoder_heads: Heads,
    pub(super) encoder_norm: Option<LayerNorm>,
    pub(super) decoder: Vec<DecoderLayer>,
    pub(super) decoder_heads: Heads,
    pub(super) decoder_norm: Option<LayerNorm>,
    /// Whether blocks normalise what they read rather than what they leave.
    pub(super) normalize_before: bool,
}

/// Packs a model's layers.
pub(super) struct Packer<'a> {
    pub(super) config: &'a MarianConfig,
    /// What the weights are read from, and released after each part.
    pub(super) files: &'a Weights,
    pub(super) machine: &'a dyn Machine,
    pub(super) epsilon: f32,
}

/// Something of a model that can be packed by itself.
enum Part {
    Encoder(Box<EncoderLayer>),
    Decoder(Box<DecoderLayer>),
}

impl Packer<'_> {
    /// All layers, packed on as many threads as there are cores.
    pub(super) fn layers(&self, weights: &MarianWeights<'_>) -> Result<Layers> {
        let encoder_heads = Heads::new(self.config.d_model, self.config.encoder_attention_heads);
        let decoder_heads = Heads::new(self.config.d_model, self.config.decoder_attention_heads);
        let (encoders, total) = (weights.encoder.len(), weights.encoder.len() + weights.decoder.len());
        let parts = in_parallel(total, |i| {
            let part = match i.checked_sub(encoders) {
                None => Part::Encoder(Box::new(self.encoder_layer(&weights.encoder[i], encoder_heads)?)),
                Some(i) => Part::Decoder(Box::new(self.decoder_layer(&weights.decoder[i], decoder_heads)?)),
            };
            self.files.release();
            Ok(part)
        })?;
        let (mut encoder, mut decoder) = (Vec::new(), Vec::new());
        for part in parts {
            match part {
                Part::Encoder(layer) => encoder.push(*layer),
                Part::Decoder(layer) => decoder.push(*layer),
            }
        }
        Ok(Layers {
            encoder,
            encoder_heads,
            encoder_norm: weights.encoder_final_norm.as_ref().map(|norm| self.norm(norm)),
            decoder,
            decoder_heads,
            decoder_norm: weights.decoder_final_norm.as_ref().map(|norm| self.norm(norm)),
            normalize_before: self.config.normalize_before,
        })
    }

    fn encoder_layer(&self, weights: &model::EncoderLayerWeights<'_>, heads: Heads) -> Result<EncoderLayer> {
        Ok(EncoderLayer {
            attention: self.self_attention(&weights.self_attention, &weights.self_attention_norm, heads)?,
            feed_forward: self.feed_forward(&weights.inner, &weights.outer, &weights.feed_forward_norm)?,
        })
    }

    fn decoder_layer(&self, weights: &model::DecoderLayerWeights<'_>, heads: Heads) -> Result<DecoderLayer> {
        let cross = &weights.cross_attention;
        Ok(DecoderLayer {
            attention: self.self_attention(&weights.self_attention, &weights.self_attention_norm, heads)?,
            cross: CrossAttention {
                query: self.split_heads(&[(&cross.query, heads.query_factor())], heads)?,
                memory: self.split_heads(&[(&cross.key, 1.0), (&cross.value, 1.0)], heads)?,
                output: self.out_of_heads(&cross.output, heads)?,
                norm: self.norm(&weights.cross_attention_norm),
            },
            feed_forward: self.feed_forward(&weights.inner, &weights.outer, &weights.feed_forward_norm)?,
        })
    }

    fn self_attention(
        &self,
        weights: &AttentionWeights<'_>,
        norm: &LayerNormWeights,
        heads: Heads,
    ) -> Result<SelfAttention> {
        let projections = [(&weights.query, heads.query_factor()), (&weights.key, 1.0), (&weights.value, 1.0)];
        Ok(SelfAttention {
            projections: self.split_heads(&projections, heads)?,
            output: self.out_of_heads(&weights.output, heads)?,
            norm: self.norm(norm),
        })
    }

    fn feed_forward(
        &self,
        inner: &LinearWeights<'_>,
        outer: &LinearWeights<'_>,
        norm: &LayerNormWeights,
    ) -> Result<FeedForward> {
        let activation = match self.config.activation {
            model::Activation::Swish => Activation::Swish,
            model::Activation::Relu => Activation::Relu,
            model::Activation::Gelu => Activation::Gelu,
        };
        let [inner, outer] = [inner, outer].map(|linear| self.plain(&linear.weight, &linear.bias));
        Ok(FeedForward { inner: inner?, outer: outer?, activation, norm: self.norm(norm) })
    }

    /// A matrix as it is.
    pub(super) fn plain(&self, matrix: &Matrix<'_>, bias: &[f32]) -> Result<Packed> {
        let mut packed = Packed::zeroed(matrix.rows(), matrix.cols(), self.machine.panel_width());
        let mut scratch = Vec::new();
        for (row, &bias) in bias.iter().enumerate() {
            packed.set(row, source(matrix, row), bias, 1.0, None, &mut scratch)?;
        }
        Ok(packed)
    }

    /// Projections side by side whose outputs are padded heads, each with its factor.
    fn split_heads(&self, projections: &[(&LinearWeights<'_>, f32)], heads: Heads) -> Result<Packed> {
        let depth = self.config.d_model;
        let mut packed = Packed::zeroed(projections.len() * heads.inner(), depth, self.machine.panel_width());
        let mut scratch = Vec::new();
        for (part, (linear, factor)) in projections.iter().enumerate() {
            for (row, &bias) in linear.bias.iter().enumerate() {
                let column = part * heads.inner() + heads.place(row);
                packed.set(column, source(&linear.weight, row), bias, *factor, None, &mut scratch)?;
            }
        }
        Ok(packed)
    }

    /// A projection whose inputs are padded heads.
    fn out_of_heads(&self, linear: &LinearWeights<'_>, heads: Heads) -> Result<Packed> {
        if heads.own == heads.size {
            return self.plain(&linear.weight, &linear.bias);
        }
        let mut packed = Packed::zeroed(linear.bias.len(), heads.inner(), self.machine.panel_width());
        let mut scratch = Vec::new();
        let places: Vec<usize> = (0..linear.weight.cols()).map(|d| heads.place(d)).collect();
        for (row, &bias) in linear.bias.iter().enumerate() {
            packed.set(row, source(&linear.weight, row), bias, 1.0, Some(&places), &mut scratch)?;
        }
        Ok(packed)
    }

    pub(super) fn norm(&self, weights: &LayerNormWeights) -> LayerNorm {
        LayerNorm { scale: weights.scale.clone(), shift: weights.bias.clone(), epsilon: self.epsilon }
    }

    /// An output layer, whose spare columns can never win; it may serve as an embedding too.
    pub(super) fn output(&self, matrix: &Matrix<'_>, bias: &[f32], columns: &Columns) -> Result<Arc<Packed>> {
        let mut packed = Packed::zeroed(columns.len(), matrix.cols(), self.machine.panel_width());
        let width = packed.width();
        // The largest matrix of all: each thread fills panels of its own.
        let panels = columns.len().div_ceil(width);
        let pieces = threads().min(panels).max(1);
        let rows = panels.div_ceil(pieces) * width;
        std::thread::scope(|scope| {
            let workers: Vec<_> = packed
                .split(rows)
                .enumerate()
                .map(|(piece, mut part)| {
                    scope.spawn(move || {
                        let mut scratch = Vec::new();
                        let first = piece * rows;
                        for column in first..columns.len().min(first + rows) {
                            match columns.piece(column).map(|row| row as usize) {
                                Some(row) => {
                                    part.set(column - first, source(matrix, row), bias[row], 1.0, None, &mut scratch)?;
                                }
                                None => part.bar(column - first),
                            }
                        }
                        Ok(())
                    })
                })
                .collect();
            workers.into_iter().try_for_each(join)
        })?;
        packed.fill_spare_bias(f32::NEG_INFINITY);
        self.files.release();
        Ok(Arc::new(packed))
    }
}

fn source<'a>(matrix: &'a Matrix<'_>, row: usize) -> RowSource<'a> {
    match matrix {
        Matrix::F32 { cols, data, .. } => RowSource::Float(&data[row * cols..(row + 1) * cols]),
        Matrix::Int8 { cols, data, scales, .. } => {
            RowSource::Quantized(&data[row * cols..(row + 1) * cols], scales[row])
        }
    }
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Calls `make` for `0..count` on a few threads; the results are in order.
fn in_parallel<T: Send>(count: usize, make: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    let threads = threads().min(count).max(1);
    let mut made: Vec<(usize, T)> = std::thread::scope(|scope| {
        let make = &make;
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    (thread..count).step_by(threads).map(|i| make(i).map(|t| (i, t))).collect::<Result<Vec<_>>>()
                })
            })
            .collect();
        workers.into_iter().map(join).collect::<Result<Vec<_>>>().map(|made| made.into_iter().flatten().collect())
    })?;
    made.sort_unstable_by_key(|(i, _)| *i);
    Ok(made.into_iter().map(|(_, t)| t).collect())
}

/// The result of a thread; its panic, if it had one, goes on here.
fn join<T>(worker: std::thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

//! The Marian graph over ragged rows: the tokens of all sentences one after the other, nothing padded.
//!
//! Linear layers see one tall matrix, attention goes sentence by sentence. Every operation treats a row by itself
//! and in a fixed order, so what comes out for a sentence has the same bits whatever is computed beside it.

use std::sync::Arc;

use super::cache::PageArena;
use super::columns::Columns;
use super::embedding::Embedding;
use super::graph::{FeedForward, Heads, Layers};
use super::kernel::{Activation, Attend, LayerNorm, Machine, Residual};
use super::packed::Packed;
use super::timing::Part;
use super::workspace::{Workspace, sized};
use crate::engine::TokenId;
use crate::model;

/// A whole model, packed for a kernel.
pub(super) struct Transformer {
    pub(super) machine: Box<dyn Machine>,
    pub(super) width: usize,
    pub(super) source: Embedding,
    pub(super) target: Embedding,
    pub(super) layers: Layers,
    pub(super) output: Arc<Packed>,
    /// Which of its columns is whose.
    pub(super) columns: Arc<Columns>,
    /// Decoder layer and its heads whose cross-attention is reported.
    pub(super) alignment: (usize, model::Heads),
}

/// Consecutive tokens of one hypothesis that enter the decoder together.
#[derive(Clone, Copy)]
pub(super) struct Sequence<'a> {
    pub(super) tokens: &'a [TokenId],
    /// Position of the first of them.
    pub(super) position: usize,
    /// Self-attention pages, with room for all of them.
    pub(super) pages: &'a [u32],
    pub(super) memory: Memory<'a>,
}

/// An encoded sentence as the decoder sees it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory<'a> {
    /// Cross-attention keys and values.
    pub(super) pages: &'a [u32],
    /// Source pieces.
    pub(super) length: usize,
}

impl Transformer {
    /// Encodes sentences; `work.input` then holds the quantised encoder output, one row a piece.
    pub(super) fn encode(&self, sources: &[&[TokenId]], work: &mut Workspace) {
        let rows: usize = sources.iter().map(|source| source.len()).sum();
        let x = sized(&mut work.x, rows * self.width);
        let tokens = sources.iter().flat_map(|source| source.iter().enumerate());
        for (row, (position, &token)) in x.chunks_exact_mut(self.width).zip(tokens) {
            self.source.write(token, position, row);
        }
        let norms: Vec<&LayerNorm> =
            self.layers.encoder.iter().flat_map(|l| [&l.attention.norm, &l.feed_forward.norm]).collect();
        self.enter(rows, self.source.norm.as_ref(), norms[0], work);
        work.clock.lap(Part::EncoderEmbedding);
        let last = self.layers.encoder_norm.as_ref();
        for (index, layer) in self.layers.encoder.iter().enumerate() {
            let projections = &layer.attention.projections;
            let wide = sized(&mut work.wide, rows * projections.padded_columns());
            self.machine.linear(&work.input, projections, Activation::Identity, wide);
            work.clock.lap(Part::EncoderLinear);
            self.encoder_attention(sources, projections.padded_columns(), work);
            work.clock.lap(Part::EncoderAttention);
            self.project(rows, self.layers.encoder_heads, &layer.attention.output, work);
            work.clock.lap(Part::EncoderLinear);
            let stride = layer.attention.output.padded_columns();
            self.leave(rows, false, stride, self.residual(&norms, index * 2, last), work);
            work.clock.lap(Part::EncoderNormalize);
            self.feed_forward(rows, &layer.feed_forward, work);
            work.clock.lap(Part::EncoderLinear);
            let stride = layer.feed_forward.outer.padded_columns();
            self.leave(rows, true, stride, self.residual(&norms, index * 2 + 1, last), work);
            work.clock.lap(Part::EncoderNormalize);
        }
        self.finish(rows, last, work);
    }

    fn encoder_attention(&self, sources: &[&[TokenId]], stride: usize, work: &mut Workspace) {
        let heads = self.layers.encoder_heads;
        let inner = heads.inner();
        let rows: usize = sources.iter().map(|source| source.len()).sum();
        let out = sized(&mut work.heads, rows * inner);
        let mut first = 0;
        for source in sources {
            let count = source.len();
            let pages = work.encoder_pages.allocate_for(count);
            let projected = &work.wide[first * stride..(first + count) * stride];
            for (position, row) in projected.chunks_exact(stride).enumerate() {
                work.encoder_pages.write(&pages, 0, position, &row[inner..2 * inner], &row[2 * inner..3 * inner]);
            }
            self.machine.attend(Attend {
                queries: projected,
                stride,
                count,
                memory: work.encoder_pages.layer(0, &pages),
                length: count,
                causal: false,
                heads: heads.count,
                head_size: heads.size,
                out: &mut out[first * inner..(first + count) * inner],
                traced: None,
                scratch: &mut work.scores,
            });
            work.encoder_pages.release(&pages);
            first += count;
        }
    }

    /// Keys and values of every decoder layer for sentences just encoded; one page list a sentence.
    pub(super) fn remember(&self, lengths: &[usize], arena: &mut PageArena, work: &mut Workspace) -> Vec<Vec<u32>> {
        let inner = self.layers.decoder_heads.inner();
        let sentences: Vec<Vec<u32>> = lengths.iter().map(|&length| arena.allocate_for(length)).collect();
        let rows: usize = lengths.iter().sum();
        for (layer, weights) in self.layers.decoder.iter().enumerate() {
            let stride = weights.cross.memory.padded_columns();
            let wide = sized(&mut work.wide, rows * stride);
            self.machine.linear(&work.input, &weights.cross.memory, Activation::Identity, wide);
            let mut projected = wide.chunks_exact(stride);
            for (pages, &length) in sentences.iter().zip(lengths) {
                for (position, row) in projected.by_ref().take(length).enumerate() {
                    arena.write(pages, layer, position, &row[..inner], &row[inner..2 * inner]);
                }
            }
        }
        work.clock.lap(Part::Memory);
        sentences
    }

    /// Runs the decoder over `sequences`; `work.input` then holds its quantised output, one row a token, and
    /// `attention` the alignment heads' weights of each row.
    pub(super) fn decode(
        &self,
        sequences: &[Sequence<'_>],
        arena: &mut PageArena,
        attention: &mut [Vec<f32>],
        work: &mut Workspace,
    ) {
        let rows: usize = sequences.iter().map(|sequence| sequence.tokens.len()).sum();
        let x = sized(&mut work.x, rows * self.width);
        let tokens = sequences.iter().flat_map(|s| s.tokens.iter().zip(s.position..));
        for (row, (&token, position)) in x.chunks_exact_mut(self.width).zip(tokens) {
            self.target.write(token, position, row);
        }
        let norms: Vec<&LayerNorm> =
            self.layers.decoder.iter().flat_map(|l| [&l.attention.norm, &l.cross.norm, &l.feed_forward.norm]).collect();
        self.enter(rows, self.target.norm.as_ref(), norms[0], work);
        work.clock.lap(Part::Embedding);
        let last = self.layers.decoder_norm.as_ref();
        for (index, layer) in self.layers.decoder.iter().enumerate() {
            let projections = &layer.attention.projections;
            let wide = sized(&mut work.wide, rows * projections.padded_columns());
            self.machine.linear(&work.input, projections, Activation::Identity, wide);
            work.clock.lap(Part::Linear);
            self.self_attention(index, sequences, projections.padded_columns(), arena, work);
            self.project(rows, self.layers.decoder_heads, &layer.attention.output, work);
            work.clock.lap(Part::Linear);
            let stride = layer.attention.output.padded_columns();
            self.leave(rows, false, stride, self.residual(&norms, index * 3, last), work);
            work.clock.lap(Part::Normalize);

            let wide = sized(&mut work.wide, rows * layer.cross.query.padded_columns());
            self.machine.linear(&work.input, &layer.cross.query, Activation::Identity, wide);
            work.clock.lap(Part::Linear);
            let traced = (index == self.alignment.0).then_some(&mut *attention);
            self.cross_attention(index, sequences, layer.cross.query.padded_columns(), arena, traced, work);
            work.clock.lap(Part::CrossAttention);
            self.project(rows, self.layers.decoder_heads, &layer.cross.output, work);
            work.clock.lap(Part::Linear);
            let stride = layer.cross.output.padded_columns();
            self.leave(rows, false, stride, self.residual(&norms, index * 3 + 1, last), work);
            work.clock.lap(Part::Normalize);

            self.feed_forward(rows, &layer.feed_forward, work);
            work.clock.lap(Part::Linear);
            let stride = layer.feed_forward.outer.padded_columns();
            self.leave(rows, true, stride, self.residual(&norms, index * 3 + 2, last), work);
            work.clock.lap(Part::Normalize);
        }
        self.finish(rows, last, work);
    }

    fn self_attention(
        &self,
        layer: usize,
        sequences: &[Sequence<'_>],
        stride: usize,
        arena: &mut PageArena,
        work: &mut Workspace,
    ) {
        let heads = self.layers.decoder_heads;
        let inner = heads.inner();
        let mut projected = work.wide.chunks_exact(stride);
        for sequence in sequences {
            for (i, row) in projected.by_ref().take(sequence.tokens.len()).enumerate() {
                let (key, value) = (&row[inner..2 * inner], &row[2 * inner..3 * inner]);
                arena.write(sequence.pages, layer, sequence.position + i, key, value);
            }
        }
        work.clock.lap(Part::Cache);
        let rows: usize = sequences.iter().map(|sequence| sequence.tokens.len()).sum();
        let out = sized(&mut work.heads, rows * inner);
        let mut first = 0;
        for sequence in sequences {
            let count = sequence.tokens.len();
            self.machine.attend(Attend {
                queries: &work.wide[first * stride..(first + count) * stride],
                stride,
                count,
                memory: arena.layer(layer, sequence.pages),
                length: sequence.position + 1,
                causal: true,
                heads: heads.count,
                head_size: heads.size,
                out: &mut out[first * inner..(first + count) * inner],
                traced: None,
                scratch: &mut work.scores,
            });
            first += count;
        }
        work.clock.lap(Part::SelfAttention);
    }

    fn cross_attention(
        &self,
        layer: usize,
        sequences: &[Sequence<'_>],
        stride: usize,
        arena: &PageArena,
        mut attention: Option<&mut [Vec<f32>]>,
        work: &mut Workspace,
    ) {
        let heads = self.layers.decoder_heads;
        let inner = heads.inner();
        let rows: usize = sequences.iter().map(|sequence| sequence.tokens.len()).sum();
        let out = sized(&mut work.heads, rows * inner);
        let mut first = 0;
        // A beam's hypotheses stand side by side: their sentence's keys and values are read once for all of them.
        for beam in sequences.chunk_by(|a, b| a.memory == b.memory) {
            let count: usize = beam.iter().map(|sequence| sequence.tokens.len()).sum();
            let memory = beam[0].memory;
            self.machine.attend(Attend {
                queries: &work.wide[first * stride..(first + count) * stride],
                stride,
                count,
                memory: arena.layer(layer, memory.pages),
                length: memory.length,
                causal: false,
                heads: heads.count,
                head_size: heads.size,
                out: &mut out[first * inner..(first + count) * inner],
                traced: attention.as_deref_mut().map(|rows| (self.alignment.1, &mut rows[first..first + count])),
                scratch: &mut work.scores,
            });
            first += count;
        }
    }

    /// Normalises embeddings where the model does, and quantises what the first linear layer reads.
    fn enter(&self, rows: usize, norm: Option<&LayerNorm>, first: &LayerNorm, work: &mut Workspace) {
        let x = &mut work.x[..rows * self.width];
        let residual = norm.map_or(Residual::Plain, Residual::After);
        self.machine.add_normalize(x, self.width, None, residual, &mut work.input);
        if self.layers.normalize_before {
            self.machine.add_normalize(x, self.width, None, Residual::Before(first), &mut work.input);
        }
    }

    /// How the residual stream goes on after block `block` of those whose norms are `norms`.
    fn residual<'a>(&self, norms: &[&'a LayerNorm], block: usize, last: Option<&'a LayerNorm>) -> Residual<'a> {
        match (self.layers.normalize_before, norms.get(block + 1), last) {
            (false, ..) => Residual::After(norms[block]),
            (true, Some(next), _) => Residual::Before(next),
            (true, None, Some(last)) => Residual::After(last),
            (true, None, None) => Residual::Plain,
        }
    }

    /// The final normalisation of a stack whose blocks normalise what they leave.
    fn finish(&self, rows: usize, last: Option<&LayerNorm>, work: &mut Workspace) {
        if let (false, Some(last)) = (self.layers.normalize_before, last) {
            let x = &mut work.x[..rows * self.width];
            self.machine.add_normalize(x, self.width, None, Residual::After(last), &mut work.input);
        }
    }

    /// Attention's output projection: from `work.heads` to `work.wide`.
    fn project(&self, rows: usize, heads: Heads, output: &Packed, work: &mut Workspace) {
        let inner = heads.inner();
        self.machine.quantize(&work.heads, inner, rows, inner, &mut work.input);
        let wide = sized(&mut work.wide, rows * output.padded_columns());
        self.machine.linear(&work.input, output, Activation::Identity, wide);
    }

    /// The feed-forward block: from `work.input` to `work.heads`.
    fn feed_forward(&self, rows: usize, block: &FeedForward, work: &mut Workspace) {
        let columns = block.inner.padded_columns();
        let wide = sized(&mut work.wide, rows * columns);
        self.machine.linear(&work.input, &block.inner, block.activation, wide);
        let depth = block.inner.columns().next_multiple_of(8);
        self.machine.quantize(&work.wide, columns, rows, depth, &mut work.input);
        let out = sized(&mut work.heads, rows * block.outer.padded_columns());
        self.machine.linear(&work.input, &block.outer, Activation::Identity, out);
    }

    /// Adds a block's output (in `work.heads` after the feed-forward block, else in `work.wide`) to the stream.
    fn leave(&self, rows: usize, from_heads: bool, stride: usize, residual: Residual<'_>, work: &mut Workspace) {
        let delta = if from_heads { &work.heads } else { &work.wide };
        let x = &mut work.x[..rows * self.width];
        self.machine.add_normalize(x, self.width, Some((delta, stride)), residual, &mut work.input);
    }
}

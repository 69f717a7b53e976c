//! The fast engine: Marian in int8 on the CPU, without padding.
//!
//! Weights are 8-bit integers with one scale per output (see [`quantize`]), activations 7-bit with one scale and zero
//! per token, sums exact; normalisation, softmax and the residual stream are f32. Sentences are never padded, keys
//! and values lie in pages that hypotheses share, the output layer ranks its logits as it computes them. Results have
//! the same bits in any company, on any number of threads and with any [`Kernel`].
//!
//! # Memory
//! Besides the weights, a session holds for each sentence in flight `32 · layers · d_model` bytes per started
//! eight source pieces, the same per started eight target pieces of each hypothesis, and about 40 kB per row (or per
//! piece while encoding, 256 at a time unless one sentence alone has more). Nothing grows with the number of
//! sentences translated.

mod cache;
mod columns;
mod embedding;
mod graph;
mod kernel;
mod packed;
pub mod quantize;
mod session;
mod timing;
mod transformer;
mod workspace;

use std::sync::{Arc, Mutex};

use self::cache::PageArena;
use self::columns::Columns;
use self::embedding::{Embedding, PositionTable};
use self::graph::Packer;
pub use self::kernel::Kernel;
use self::kernel::Ranking;
use self::packed::Packed;
use self::session::{NativeSession, finite, in_batches};
pub use self::timing::Timings;
use self::transformer::{Memory, Sequence, Transformer};
use self::workspace::Workspace;
use crate::engine::{Dimensions, Engine, Forced, ForcedPair, Session, TokenId};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{EngineOptions, MarianConfig, MarianWeights, Matrix, Weights};

/// Target pieces that are forced together, the sources that belong to them beside.
const FORCED_TOGETHER: usize = 256;

/// How the native engine runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NativeOptions {
    /// The kernel to use; `None` is the fastest this machine has.
    pub kernel: Option<Kernel>,
    /// Keep account of the time by operation: see [`NativeEngine::timings`].
    pub timings: bool,
}

/// A Marian model in 8-bit integers.
pub struct NativeEngine {
    kernel: Kernel,
    dimensions: Dimensions,
    model: Transformer,
    /// Where sessions leave their timings, if they are wanted.
    timings: Option<Mutex<Timings>>,
}

impl NativeEngine {
    /// Packs a model's weights; int8 ones are taken as they are wherever the kernels' bound allows.
    ///
    /// # Errors
    /// A tensor is missing, misshapen or not finite, the model's width is not a multiple of eight, or this machine
    /// can't run the kernel asked for.
    pub fn load(
        config: &MarianConfig,
        weights: &Weights,
        options: &EngineOptions,
        native: &NativeOptions,
    ) -> Result<Self> {
        let kernel = native.kernel.unwrap_or_else(Kernel::detect);
        let machine = kernel.machine().ok_or_else(|| {
            let available: Vec<&str> = Kernel::available().into_iter().map(Kernel::name).collect();
            Error::new(ErrorKind::Usage, format!("this machine has no kernel `{kernel}`"))
                .with_hint(format!("it has {}", available.join(", ")))
        })?;
        if !config.d_model.is_multiple_of(8) {
            let width = config.d_model;
            return Err(Error::new(ErrorKind::Model, format!("`d_model` is {width}, not a multiple of 8"))
                .with_hint("use `--engine candle`"));
        }
        let alignment = config.alignment(options)?;
        let epsilon = options.positions.layer_norm_epsilon();
        let packer = Packer { config, files: weights, machine: machine.as_ref(), epsilon };
        let weights = MarianWeights::new(config, weights)?;
        let width = machine.panel_width();
        let columns = Arc::new(Columns::new(config.decoder_vocab_size, &options.suppressed, width));
        let output = packer.output(weights.output(), &weights.output_bias, &columns)?;
        let table = |matrix: &Matrix<'_>| -> Result<(Arc<Packed>, Arc<Columns>)> {
            let columns = Columns::new(matrix.rows(), &[], width);
            Ok((packer.output(matrix, &vec![0.0; matrix.rows()], &columns)?, Arc::new(columns)))
        };
        let target_table = match &weights.output {
            None => (Arc::clone(&output), Arc::clone(&columns)),
            Some(_) => table(weights.target_embedding())?,
        };
        let source_table = match &weights.target_embedding {
            None => target_table.clone(),
            Some(_) => table(&weights.source_embedding)?,
        };
        let embedding = |(table, columns), learned: Option<&Matrix<'_>>, norm: Option<_>| Embedding {
            table,
            columns,
            scale: if config.scale_embedding { (config.d_model as f32).sqrt() } else { 1.0 },
            positions: match learned {
                Some(learned) => PositionTable::learned(&learned.to_f32(), config.d_model),
                None => PositionTable::sinusoids(options.positions, config.max_position_embeddings, config.d_model),
            },
            norm: norm.map(|norm| packer.norm(norm)),
        };
        let source =
            embedding(source_table, weights.encoder_positions.as_ref(), weights.encoder_embedding_norm.as_ref());
        let target =
            embedding(target_table, weights.decoder_positions.as_ref(), weights.decoder_embedding_norm.as_ref());
        let layers = packer.layers(&weights)?;
        Ok(NativeEngine {
            kernel,
            dimensions: config.dimensions(),
            model: Transformer { machine, width: config.d_model, source, target, layers, output, columns, alignment },
            timings: native.timings.then(Mutex::default),
        })
    }

    /// The kernel in use.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Time by operation of all sessions that have ended, if the model was loaded with [`NativeOptions::timings`].
    pub fn timings(&self) -> Option<Timings> {
        let timings = self.timings.as_ref()?;
        Some(timings.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone())
    }

    fn collect(&self, timings: &Timings) {
        if let Some(sum) = &self.timings {
            sum.lock().unwrap_or_else(std::sync::PoisonError::into_inner).add(timings);
        }
    }

    fn page_arena(&self) -> PageArena {
        PageArena::new(self.model.layers.decoder.len(), self.model.layers.decoder_heads)
    }

    fn workspace(&self) -> Workspace {
        Workspace::new(self.model.layers.encoder_heads, self.timings.is_some())
    }

    /// Encodes sentences and keeps the decoder's view of them in `arena`; one page list each.
    fn admit(&self, sources: &[&[TokenId]], arena: &mut PageArena, work: &mut Workspace) -> Vec<Vec<u32>> {
        self.model.encode(sources, work);
        let lengths: Vec<usize> = sources.iter().map(|source| source.len()).collect();
        self.model.remember(&lengths, arena, work)
    }

    fn check_sources(&self, sources: &[&[TokenId]]) -> Result<()> {
        let Dimensions { source_vocabulary, source_positions, .. } = self.dimensions;
        for source in sources {
            if source.is_empty() {
                return Err(Error::new(ErrorKind::InvalidInput, "a source sentence has no pieces"));
            }
            check("source", source, source_vocabulary, source.len(), source_positions)?;
        }
        Ok(())
    }

    /// Checks target ids, of which the decoder is to be fed `length`.
    fn check_targets(&self, tokens: &[TokenId], length: usize) -> Result<()> {
        check("target", tokens, self.dimensions.target_vocabulary, length, self.dimensions.target_positions)
    }

    /// Forces a few pairs.
    fn force_together(
        &self,
        pairs: &[ForcedPair<'_>],
        arena: &mut PageArena,
        work: &mut Workspace,
    ) -> Result<Vec<Forced>> {
        let sources: Vec<&[TokenId]> = pairs.iter().map(|pair| pair.source).collect();
        let mut memories = Vec::with_capacity(pairs.len());
        for together in in_batches(&sources, |source| source.len(), FORCED_TOGETHER) {
            memories.extend(self.admit(together, arena, work));
        }
        // The decoder reads the target moved right by one, behind the start token.
        let inputs: Vec<Vec<TokenId>> = pairs
            .iter()
            .map(|pair| {
                std::iter::once(pair.start).chain(pair.target.iter().copied()).take(pair.target.len()).collect()
            })
            .collect();
        let pages: Vec<Vec<u32>> = inputs.iter().map(|input| arena.allocate_for(input.len())).collect();
        let sequences: Vec<Sequence<'_>> = (0..pairs.len())
            .map(|i| Sequence {
                tokens: &inputs[i],
                position: 0,
                pages: &pages[i],
                memory: Memory { pages: &memories[i], length: sources[i].len() },
            })
            .filter(|sequence| !sequence.tokens.is_empty())
            .collect();
        let targets: Vec<TokenId> = pairs.iter().flat_map(|pair| pair.target.iter().copied()).collect();
        let mut attention = vec![Vec::new(); targets.len()];
        if !targets.is_empty() {
            self.model.decode(&sequences, arena, &mut attention, work);
        }
        let Transformer { machine, output, columns, .. } = &self.model;
        let mut rankings: Vec<Ranking> =
            targets.iter().map(|&target| Ranking::new(0, vec![columns.of(target)])).collect();
        if !targets.is_empty() {
            machine.rank(&work.input, output, output.padded_columns(), &mut rankings, &mut work.sums);
        }
        for pages in memories.iter().chain(&pages) {
            arena.release(pages);
        }
        let mut rows = rankings.into_iter().zip(attention);
        pairs
            .iter()
            .map(|pair| {
                let mut forced = Forced::default();
                for (ranking, attention) in rows.by_ref().take(pair.target.len()) {
                    forced.log_probs.push(ranking.probes[0].1 - finite(ranking.log_sum_exp())?);
                    forced.attention.push(attention);
                }
                Ok(forced)
            })
            .collect()
    }
}

impl Engine for NativeEngine {
    fn name(&self) -> String {
        format!("native int8 {}", self.kernel)
    }

    fn dimensions(&self) -> Dimensions {
        self.dimensions
    }

    fn session(&self) -> Box<dyn Session + '_> {
        Box::new(NativeSession::new(self))
    }

    fn timings(&self) -> Option<String> {
        NativeEngine::timings(self).map(|timings| timings.to_string())
    }

    fn force(&self, pairs: &[ForcedPair<'_>]) -> Result<Vec<Forced>> {
        for pair in pairs {
            self.check_sources(&[pair.source])?;
            self.check_targets(&[pair.start], 1)?;
            self.check_targets(pair.target, pair.target.len())?;
        }
        let (mut arena, mut work) = (self.page_arena(), self.workspace());
        let mut forced = Vec::with_capacity(pairs.len());
        for together in in_batches(pairs, |pair| pair.target.len().max(pair.source.len()), FORCED_TOGETHER) {
            forced.extend(self.force_together(together, &mut arena, &mut work)?);
        }
        Ok(forced)
    }
}

/// Checks that ids are inside the vocabulary and `length` positions exist.
fn check(side: &str, tokens: &[TokenId], vocabulary: usize, length: usize, positions: usize) -> Result<()> {
    if length > positions {
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

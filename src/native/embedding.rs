//! Pieces to vectors: the embedding matrix in 8-bit integers and the position vectors.

use std::sync::{Arc, OnceLock};

use super::columns::Columns;
use super::kernel::LayerNorm;
use super::packed::Packed;
use crate::engine::TokenId;
use crate::model::Positions;

/// One side's embeddings.
pub(super) struct Embedding {
    /// One column a piece; the output layer's own matrix where the model ties them.
    pub(super) table: Arc<Packed>,
    /// Which column is whose.
    pub(super) columns: Arc<Columns>,
    pub(super) scale: f32,
    pub(super) positions: PositionTable,
    /// Normalisation of the sum, in models that have one.
    pub(super) norm: Option<LayerNorm>,
}

impl Embedding {
    /// Writes the vector of `token` at `position`, before normalisation.
    pub(super) fn write(&self, token: TokenId, position: usize, out: &mut [f32]) {
        self.table.read(self.columns.of(token), self.scale, out);
        for (out, p) in out.iter_mut().zip(self.positions.get(position)) {
            *out += p;
        }
    }
}

/// Position vectors: learned ones, or sinusoids that are computed when a position is first seen, since a table of
/// all of them takes longer than the rest of loading.
pub(super) struct PositionTable {
    width: usize,
    sinusoids: Positions,
    rows: Vec<OnceLock<Box<[f32]>>>,
}

impl PositionTable {
    /// Sinusoids.
    pub(super) fn sinusoids(kind: Positions, positions: usize, width: usize) -> Self {
        PositionTable { width, sinusoids: kind, rows: (0..positions).map(|_| OnceLock::new()).collect() }
    }

    /// Learned vectors, one after the other.
    pub(super) fn learned(vectors: &[f32], width: usize) -> Self {
        let rows = vectors.chunks_exact(width).map(|row| OnceLock::from(Box::from(row))).collect();
        PositionTable { width, sinusoids: Positions::default(), rows }
    }

    fn get(&self, position: usize) -> &[f32] {
        self.rows[position].get_or_init(|| {
            let mut row = vec![0.0; self.width];
            self.sinusoids.write(position, &mut row);
            row.into_boxed_slice()
        })
    }
}

//! Activations in 7 bits, each row by itself, and the loop that makes them.

use super::aligned::AlignedBytes;
use super::isa::Operation;
use super::lanes::Lanes;

/// Depth is padded to a multiple of this many bytes: what one row of an AMX tile holds.
pub(in crate::native) const DEPTH: usize = 64;

/// Rows that lie together in memory: those of one AMX tile.
pub(super) const TILE: usize = 16;

/// Rows of activations: `value ≈ scale · (q - zero)`, `q` in `0..=127`.
///
/// Sixteen rows make a tile, in which 64 depths of each row come before the next 64: a kernel that works on several
/// rows at once then reads one stream of bytes, and rows never fall into the same few sets of the cache.
///
/// Scale and zero are a row's own, taken from its smallest and largest value, so no row knows of its neighbours.
pub(in crate::native) struct Activations {
    data: AlignedBytes,
    count: usize,
    row_bytes: usize,
    scales: Vec<f32>,
    zeros: Vec<i32>,
}

impl Default for Activations {
    fn default() -> Self {
        Activations { data: AlignedBytes::zeroed(0), count: 0, row_bytes: DEPTH, scales: Vec::new(), zeros: Vec::new() }
    }
}

impl Activations {
    /// Makes room for `count` rows of `depth` values.
    pub(in crate::native) fn reset(&mut self, count: usize, depth: usize) {
        self.count = count;
        self.row_bytes = depth.next_multiple_of(DEPTH);
        self.data.resize(count.next_multiple_of(TILE) * self.row_bytes);
        self.scales.resize(count, 0.0);
        self.zeros.resize(count, 0);
    }

    pub(super) fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    pub(in crate::native) fn count(&self) -> usize {
        self.count
    }

    /// The bytes of the tiles from the one that begins with row `row` on.
    pub(super) fn tiles(&self, row: usize) -> &[u8] {
        debug_assert!(row.is_multiple_of(TILE));
        &self.data.unsigned()[row * self.row_bytes..]
    }

    pub(super) fn scale(&self, row: usize) -> f32 {
        self.scales[row]
    }

    pub(super) fn zero(&self, row: usize) -> i32 {
        self.zeros[row]
    }
}

/// Quantises the rows of `from`, `depth` values (a multiple of eight) out of every `stride`.
pub(super) struct Quantize<'a> {
    pub(super) from: &'a [f32],
    pub(super) stride: usize,
    pub(super) depth: usize,
    pub(super) into: &'a mut Activations,
}

impl Operation for Quantize<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<L: Lanes>(self) {
        let Quantize { from, stride, depth, into } = self;
        for row in 0..into.count {
            quantize_row::<L>(&from[row * stride..row * stride + depth], row, into);
        }
    }
}

/// Quantises `values` (a multiple of eight of them) as row `row`.
#[inline(always)]
pub(super) fn quantize_row<L: Lanes>(values: &[f32], row: usize, into: &mut Activations) {
    // Zero is always in range, so it is kept exactly: most of what follows a ReLU is zero.
    let (mut low, mut high) = (L::splat(0.0), L::splat(0.0));
    let (values, _) = values.as_chunks::<8>();
    for v in values {
        let v = L::load(v);
        low = v.min(low);
        high = v.max(high);
    }
    let (low, high) = (low.smallest(), high.largest());
    let range = high - low;
    // A row of zeros (or of something that isn't a number) has no scale; its integers are all `zero`.
    let inverse = if range > f32::MIN_POSITIVE { 127.0 / range } else { 0.0 };
    let inverse = if inverse.is_finite() { inverse } else { 0.0 };
    let zero = (-low * inverse).round_ties_even() as i32;
    into.scales[row] = if inverse > 0.0 { range / 127.0 } else { 0.0 };
    into.zeros[row] = zero;
    let start = row / TILE * TILE * into.row_bytes + row % TILE * DEPTH;
    let blocks = into.data.unsigned_mut()[start..].chunks_mut(TILE * DEPTH);
    let inverse = L::splat(inverse);
    for (values, block) in values.chunks(DEPTH / 8).zip(blocks) {
        for (v, q) in values.iter().zip(block.as_chunks_mut::<8>().0) {
            L::load(v).mul(inverse).store_quantized(zero, q);
        }
    }
}

//! Multi-head attention of a few queries over keys and values that lie in pages of eight positions.
//!
//! Keys and values are kept in bf16, which halves what must come from memory and costs less precision than the
//! 8-bit products they came from. In a page a head's keys lie with eight positions side by side, two values of each at
//! a time, and its values row by row behind them, so both products run down the lanes without a sum across them, and
//! both are read sixteen numbers at once. What a query gets is summed position after position, whether it is computed
//! alone or with its neighbours.

use super::isa::Operation;
use super::lanes::{Lanes, exponential};
use crate::model::Heads;

/// Positions in a page.
pub(in crate::native) const PAGE: usize = 8;

/// `value` as bf16, rounded to the nearest, ties to even.
#[inline]
fn to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    // Not a number must stay one, and rounding up could make it infinity.
    if value.is_nan() { 0x7fc0 } else { ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16 }
}

/// Where keys and values lie: page `i` of the sequence is `arena[pages[i]]`.
#[derive(Clone, Copy)]
pub(in crate::native) struct PagedKeys<'a> {
    pub(in crate::native) arena: &'a [Box<[u16]>],
    pub(in crate::native) pages: &'a [u32],
    /// Where in a page the layer begins: for each head its keys, two values of each of the eight, then the next two, and
    /// then `8 · head_size` values, position by position.
    pub(in crate::native) start: usize,
}

/// Writes one position's key and value, head by head, into a layer of a page.
pub(in crate::native) fn write_position(layer: &mut [u16], head_size: usize, slot: usize, key: &[f32], value: &[f32]) {
    let heads = layer.chunks_exact_mut(2 * PAGE * head_size);
    for ((head, key), value) in heads.zip(key.chunks_exact(head_size)).zip(value.chunks_exact(head_size)) {
        let (keys, values) = head.split_at_mut(PAGE * head_size);
        let pairs = keys.as_chunks_mut::<{ 2 * PAGE }>().0.iter_mut().zip(key.as_chunks::<2>().0);
        for (places, &[even, odd]) in pairs {
            places[2 * slot] = to_bf16(even);
            places[2 * slot + 1] = to_bf16(odd);
        }
        for (place, &v) in values[slot * head_size..].iter_mut().zip(value) {
            *place = to_bf16(v);
        }
    }
}

/// Attention of consecutive rows over one sequence of keys.
pub(in crate::native) struct Attend<'a> {
    /// Rows of queries, already scaled: `stride` values from one to the next, heads one after the other.
    pub(in crate::native) queries: &'a [f32],
    pub(in crate::native) stride: usize,
    /// Number of queries.
    pub(in crate::native) count: usize,
    pub(in crate::native) memory: PagedKeys<'a>,
    /// Positions the first query sees.
    pub(in crate::native) length: usize,
    /// Whether each query sees one position more than the one before.
    pub(in crate::native) causal: bool,
    pub(in crate::native) heads: usize,
    /// Values of a head: a multiple of eight.
    pub(in crate::native) head_size: usize,
    /// Rows of `heads · head_size` values.
    pub(in crate::native) out: &'a mut [f32],
    /// Heads whose weights are wanted, and where: one vector a query, of as many values as it sees.
    pub(in crate::native) traced: Option<(Heads, &'a mut [Vec<f32>])>,
    pub(in crate::native) scratch: &'a mut Vec<f32>,
}

/// Queries that are worked on together.
const TOGETHER: usize = 4;

impl Operation for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<L: Lanes>(mut self) {
        let longest = self.length + if self.causal { self.count.saturating_sub(1) } else { 0 };
        let room = longest.div_ceil(PAGE) * PAGE;
        let mut scratch = std::mem::take(self.scratch);
        scratch.resize(room * TOGETHER, 0.0);
        for head in 0..self.heads {
            let mut query = 0;
            while query < self.count {
                if self.count - query >= TOGETHER {
                    self.head::<L, TOGETHER>(head, query, &mut scratch);
                    query += TOGETHER;
                } else {
                    self.head::<L, 1>(head, query, &mut scratch);
                    query += 1;
                }
            }
        }
        *self.scratch = scratch;
    }
}

/// Notes a head's weights. Heads come in order, so a mean has the same bits on every kernel.
fn trace(traced: Heads, head: usize, heads: usize, weights: &[f32], out: &mut Vec<f32>) {
    match traced {
        Heads::One(one) if one != head => {}
        Heads::One(_) => {
            out.clear();
            out.extend_from_slice(weights);
        }
        Heads::Mean => {
            if head == 0 {
                out.clear();
                out.resize(weights.len(), 0.0);
            }
            for (sum, weight) in out.iter_mut().zip(weights) {
                *sum += weight / heads as f32;
            }
        }
    }
}

impl Attend<'_> {
    /// Positions that query `query` sees.
    #[inline(always)]
    fn seen(&self, query: usize) -> usize {
        self.length + if self.causal { query } else { 0 }
    }

    /// One head of queries `first..first + Q`.
    #[inline(always)]
    fn head<L: Lanes, const Q: usize>(&mut self, head: usize, first: usize, scratch: &mut [f32]) {
        let pages = self.seen(first + Q - 1).div_ceil(PAGE);
        let room = pages * PAGE;
        let mut page = 0;
        while pages - page >= 2 {
            self.scores::<L, Q, 2>(head, first, page, room, scratch);
            page += 2;
        }
        if page < pages {
            self.scores::<L, Q, 1>(head, first, page, room, scratch);
        }
        for q in 0..Q {
            let seen = self.seen(first + q);
            let weights = &mut scratch[q * room..(q + 1) * room];
            soften::<L>(weights, seen);
            if let Some((traced, out)) = &mut self.traced {
                trace(*traced, head, self.heads, &weights[..seen], &mut out[first + q]);
            }
        }
        let vectors = self.head_size / 8;
        let mut vector = 0;
        // A query alone has registers for eight sums, four have them for two each.
        while Q == 1 && vectors - vector >= 8 {
            self.gather::<L, Q, 8>(head, first, vector, room, scratch);
            vector += 8;
        }
        while vectors - vector >= 2 {
            self.gather::<L, Q, 2>(head, first, vector, room, scratch);
            vector += 2;
        }
        if vector < vectors {
            self.gather::<L, Q, 1>(head, first, vector, room, scratch);
        }
    }

    /// A head of a page: keys, then values.
    #[inline(always)]
    fn page(&self, index: usize, head: usize) -> (&[[u16; 2 * PAGE]], &[u16]) {
        let half = PAGE * self.head_size;
        let page = &self.memory.arena[self.memory.pages[index] as usize];
        let (keys, values) = page[self.memory.start + head * 2 * half..][..2 * half].split_at(half);
        (keys.as_chunks().0, values)
    }

    /// Dot products of `Q` queries with `P` pages of keys.
    #[inline(always)]
    fn scores<L: Lanes, const Q: usize, const P: usize>(
        &self,
        head: usize,
        first: usize,
        page: usize,
        room: usize,
        scratch: &mut [f32],
    ) {
        let from = head * self.head_size;
        let keys: [&[[u16; 2 * PAGE]]; P] = std::array::from_fn(|p| self.page(page + p, head).0);
        let queries: [&[f32]; Q] = std::array::from_fn(|q| {
            let at = (first + q) * self.stride + from;
            &self.queries[at..at + self.head_size]
        });
        let mut sums = [[L::splat(0.0); P]; Q];
        for pair in 0..self.head_size / 2 {
            let keys: [[L; 2]; P] = std::array::from_fn(|p| L::load_bf16_pairs(&keys[p][pair]));
            for (sums, query) in sums.iter_mut().zip(&queries) {
                let [even, odd] = [0, 1].map(|d| L::splat(query[2 * pair + d]));
                for (sum, key) in sums.iter_mut().zip(keys) {
                    *sum = key[1].mul_add(odd, key[0].mul_add(even, *sum));
                }
            }
        }
        for (q, sums) in sums.iter().enumerate() {
            let (out, _) = scratch[q * room..].as_chunks_mut::<8>();
            for (p, sum) in sums.iter().enumerate() {
                sum.store(&mut out[page + p]);
            }
        }
    }

    /// Sums of the values under the weights of `Q` queries, for `V` vectors of a head: an even number of them, or one.
    #[inline(always)]
    fn gather<L: Lanes, const Q: usize, const V: usize>(
        &mut self,
        head: usize,
        first: usize,
        vector: usize,
        room: usize,
        weights: &[f32],
    ) {
        let inner = self.heads * self.head_size;
        let from = head * self.head_size + vector * 8;
        let seen = self.seen(first + Q - 1);
        let weights: [&[f32]; Q] = std::array::from_fn(|q| &weights[q * room..q * room + seen]);
        let mut sums = [[L::splat(0.0); V]; Q];
        for index in 0..seen.div_ceil(PAGE) {
            let (_, values) = self.page(index, head);
            for slot in 0..(seen - index * PAGE).min(PAGE) {
                let at = slot * self.head_size + vector * 8;
                let values = load::<L, V>(&values[at..at + V * 8]);
                for (sums, weights) in sums.iter_mut().zip(&weights) {
                    let weight = L::splat(weights[index * PAGE + slot]);
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum = value.mul_add(weight, *sum);
                    }
                }
            }
        }
        for (q, sums) in sums.iter().enumerate() {
            let (out, _) = self.out[(first + q) * inner + from..].as_chunks_mut::<8>();
            store(sums, out);
        }
    }
}

/// `V` vectors of values; of each sixteen first those at even places, then those at odd ones.
#[inline(always)]
fn load<L: Lanes, const V: usize>(values: &[u16]) -> [L; V] {
    let (pairs, rest) = values.as_chunks::<16>();
    let mut vectors = [L::splat(0.0); V];
    for (vectors, values) in vectors.as_chunks_mut::<2>().0.iter_mut().zip(pairs) {
        *vectors = L::load_bf16_pairs(values);
    }
    if let ([values], [.., last]) = (rest.as_chunks::<8>().0, &mut vectors[..]) {
        *last = L::load_bf16(values);
    }
    vectors
}

/// Puts sums of what [`load`] gave where they belong.
#[inline(always)]
fn store<L: Lanes, const V: usize>(sums: &[L; V], out: &mut [[f32; 8]]) {
    let (pairs, rest) = sums.as_chunks::<2>();
    for ([even, odd], out) in pairs.iter().zip(out.as_chunks_mut::<2>().0) {
        let [low, high] = even.interleave(*odd);
        low.store(&mut out[0]);
        high.store(&mut out[1]);
    }
    if let ([last], Some(out)) = (rest, out.get_mut(V - 1)) {
        last.store(out);
    }
}

/// Softmax over the first `seen` of `scores`; the rest become 0.
#[inline(always)]
fn soften<L: Lanes>(scores: &mut [f32], seen: usize) {
    scores[seen..].fill(f32::NEG_INFINITY);
    let (scores, _) = scores.as_chunks_mut::<8>();
    let mut largest = L::splat(f32::NEG_INFINITY);
    for s in scores.iter() {
        largest = L::load(s).max(largest);
    }
    let largest = L::splat(largest.largest());
    let mut sum = L::splat(0.0);
    for s in scores.iter_mut() {
        let e = exponential(L::load(s).sub(largest));
        sum = sum.add(e);
        e.store(s);
    }
    let inverse = L::splat(1.0 / sum.sum());
    for s in scores.iter_mut() {
        L::load(s).mul(inverse).store(s);
    }
}

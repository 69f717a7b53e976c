//! The output layer, fused with the search for the best tokens: logits exist a few columns at a time only.

use std::cmp::Reverse;

use super::activations::Activations;
use super::isa::{Isa, Operation};
use super::lanes::{Lanes, exponential};
use super::product::{ColumnScales, RowScale, accumulate};
use crate::native::packed::Packed;

/// Columns that are worked on together: a block of logits for 32 rows fits the first-level cache.
const BLOCK: usize = 128;

/// Rows whose sums are held at once: bounds the scratch memory.
const ROWS: usize = 128;

/// What is wanted of one row of logits, and what was found.
#[derive(Default)]
pub(in crate::native) struct Ranking {
    /// How many of the best are wanted.
    pub(in crate::native) wanted: usize,
    /// The best columns so far, best first; equal logits by the smaller column.
    pub(in crate::native) top: Vec<(usize, f32)>,
    /// Columns whose logits are wanted, with them; those that are not ranked stay at -∞.
    pub(in crate::native) probes: Vec<(usize, f32)>,
    /// The places of the probes that have not been met yet, the first column last.
    ahead: Vec<usize>,
    /// The largest logit so far.
    largest: f32,
    /// Lane by lane: `Σ exp(logit - largest)`.
    sums: [f32; 8],
}

impl Ranking {
    /// Starts a row.
    pub(in crate::native) fn new(wanted: usize, probes: Vec<usize>) -> Self {
        let mut ahead: Vec<usize> = (0..probes.len()).collect();
        ahead.sort_by_key(|&at| Reverse(probes[at]));
        Ranking {
            wanted,
            ahead,
            top: Vec::with_capacity(wanted.min(1024) + 1),
            probes: probes.into_iter().map(|column| (column, f32::NEG_INFINITY)).collect(),
            largest: f32::NEG_INFINITY,
            sums: [0.0; 8],
        }
    }

    /// `ln Σ exp(logit)` over all columns seen.
    pub(in crate::native) fn log_sum_exp(&self) -> f32 {
        let [a, b, c, d, e, f, g, h] = self.sums;
        self.largest + (((a + e) + (c + g)) + ((b + f) + (d + h))).ln()
    }

    /// The logit a column must exceed to enter the list.
    #[inline(always)]
    fn threshold(&self) -> f32 {
        match self.wanted {
            0 => f32::INFINITY,
            wanted if self.top.len() < wanted => f32::NEG_INFINITY,
            wanted => self.top[wanted - 1].1,
        }
    }

    /// Enters a column whose logit exceeds the threshold; columns come in rising order.
    #[inline(never)]
    fn enter(&mut self, column: usize, logit: f32) {
        let place = self.top.partition_point(|&(_, better)| better >= logit);
        self.top.insert(place, (column, logit));
        self.top.truncate(self.wanted);
    }
}

/// Ranks the first `columns` columns of `w`, a whole number of panels, for each row of `a`.
pub(super) fn rank<I: Isa>(
    isa: I,
    a: &Activations,
    w: &Packed,
    columns: usize,
    rankings: &mut [Ranking],
    sums: &mut Vec<i32>,
) {
    assert_eq!(a.row_bytes(), w.row_bytes(), "activations and weights differ in depth");
    assert_eq!(a.count(), rankings.len());
    sums.resize(a.count().min(ROWS) * BLOCK, 0);
    assert!(columns.is_multiple_of(w.width()) && columns <= w.padded_columns(), "{columns} columns are asked for");
    for row in (0..a.count()).step_by(ROWS) {
        let count = (a.count() - row).min(ROWS);
        for column in (0..columns).step_by(BLOCK) {
            let width = (columns - column).min(BLOCK);
            accumulate(isa, a, row, count, w, column, width, sums);
            isa.run(Scan {
                sums: &sums[..count * width],
                a,
                row,
                columns: ColumnScales::of(w, column, width),
                first: column,
                rankings: &mut rankings[row..row + count],
            });
        }
    }
}

/// Takes a block into its rows' rankings.
struct Scan<'a> {
    /// As many sums for each ranking.
    sums: &'a [i32],
    a: &'a Activations,
    row: usize,
    columns: ColumnScales<'a>,
    first: usize,
    rankings: &'a mut [Ranking],
}

impl Operation for Scan<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<L: Lanes>(self) {
        let width = self.sums.len() / self.rankings.len();
        for (i, (sums, ranking)) in self.sums.chunks_exact(width).zip(self.rankings).enumerate() {
            ranking.scan::<L>(sums, RowScale::of(self.a, self.row + i), self.columns, self.first);
        }
    }
}

impl Ranking {
    /// Takes the columns from `first` on into account.
    #[inline(always)]
    fn scan<L: Lanes>(&mut self, sums: &[i32], row: RowScale, columns: ColumnScales<'_>, first: usize) {
        let mut logits = [0.0f32; BLOCK];
        let (chunks, _) = logits.as_chunks_mut::<8>();
        let mut largest = L::splat(f32::NEG_INFINITY);
        columns.unshift::<L>(sums, row, |i, v| {
            largest = v.max(largest);
            v.store(&mut chunks[i]);
        });
        let largest = largest.largest();
        let chunks = &chunks[..sums.len() / 8];
        if largest > self.threshold() {
            for (i, v) in chunks.iter().enumerate() {
                let mut above = L::load(v).above(self.threshold());
                while above != 0 {
                    let lane = above.trailing_zeros() as usize;
                    above &= above - 1;
                    // The threshold may have risen since the lanes were compared.
                    if v[lane] > self.threshold() {
                        self.enter(first + i * 8 + lane, v[lane]);
                    }
                }
            }
        }
        let mut total = L::load(&self.sums);
        if largest > self.largest {
            total = total.mul(exponential(L::splat(self.largest - largest)));
            self.largest = largest;
        }
        let largest = L::splat(self.largest);
        for v in chunks {
            total = total.add(exponential(L::load(v).sub(largest)));
        }
        total.store(&mut self.sums);
        while let Some(at) = self.ahead.pop_if(|at| self.probes[*at].0 < first + sums.len()) {
            let (column, logit) = &mut self.probes[at];
            *logit = logits[*column - first];
        }
    }
}

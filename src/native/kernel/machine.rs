//! What the engine asks of a kernel, without knowing which it is.

use super::activations::{Activations, Quantize};
use super::attention::Attend;
use super::isa::Isa;
use super::normalize::{AddNormalize, Residual};
use super::product::{Activation, linear};
use super::vocabulary::{Ranking, rank};
use crate::native::packed::Packed;

/// A kernel's operations; all give the same bits on every kernel.
pub(in crate::native) trait Machine: Send + Sync {
    /// Columns in a panel of weights packed for it.
    fn panel_width(&self) -> usize;

    /// Quantises rows of `depth` values (a multiple of eight), one every `stride` values of `from`.
    fn quantize(&self, from: &[f32], stride: usize, count: usize, depth: usize, into: &mut Activations);

    /// `out = activation(a · w + bias)`: rows of `w.padded_columns()` values.
    fn linear(&self, a: &Activations, w: &Packed, activation: Activation, out: &mut [f32]);

    /// Adds `delta` (values and their stride) to the rows of `x`, normalises, and quantises what comes next.
    fn add_normalize(
        &self,
        x: &mut [f32],
        width: usize,
        delta: Option<(&[f32], usize)>,
        residual: Residual<'_>,
        into: &mut Activations,
    );

    /// Attention of a few rows over one sequence.
    fn attend(&self, attend: Attend<'_>);

    /// The best of the first `columns` columns (whole panels) of `a · w + bias` for each row.
    fn rank(&self, a: &Activations, w: &Packed, columns: usize, rankings: &mut [Ranking], scratch: &mut Vec<i32>);
}

struct On<I>(I);

/// The operations on an instruction set, if the CPU has it.
pub(super) fn on<I: Isa>(isa: Option<I>) -> Option<Box<dyn Machine>> {
    isa.map(|isa| Box::new(On(isa)) as _)
}

impl<I: Isa> Machine for On<I> {
    fn panel_width(&self) -> usize {
        I::WIDTH
    }

    fn quantize(&self, from: &[f32], stride: usize, count: usize, depth: usize, into: &mut Activations) {
        into.reset(count, depth);
        self.0.run(Quantize { from, stride, depth, into });
    }

    fn linear(&self, a: &Activations, w: &Packed, activation: Activation, out: &mut [f32]) {
        linear(self.0, a, w, activation, out);
    }

    fn add_normalize(
        &self,
        x: &mut [f32],
        width: usize,
        delta: Option<(&[f32], usize)>,
        residual: Residual<'_>,
        into: &mut Activations,
    ) {
        into.reset(x.len() / width, width);
        self.0.run(AddNormalize { x, width, delta, residual, into });
    }

    fn attend(&self, attend: Attend<'_>) {
        self.0.run(attend);
    }

    fn rank(&self, a: &Activations, w: &Packed, columns: usize, rankings: &mut [Ranking], scratch: &mut Vec<i32>) {
        rank(self.0, a, w, columns, rankings, scratch);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kernel;
    use super::super::attention::{PAGE, PagedKeys, write_position};
    use super::super::normalize::LayerNorm;
    use super::*;
    use crate::model::Heads;
    use crate::native::packed::RowSource;

    /// A small generator (`SplitMix64`), so that the numbers are the same everywhere.
    struct Numbers(u64);

    impl Numbers {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }

        /// Roughly normal, mean 0, deviation 1.
        fn float(&mut self) -> f32 {
            (0..12).map(|_| (self.next() >> 40) as f32 / (1 << 24) as f32).sum::<f32>() - 6.0
        }

        fn floats(&mut self, count: usize) -> Vec<f32> {
            (0..count).map(|_| self.float()).collect()
        }
    }

    fn machines() -> Vec<(Kernel, Box<dyn Machine>)> {
        Kernel::available().into_iter().map(|kernel| (kernel, kernel.machine().unwrap())).collect()
    }

    fn packed(rows: &[Vec<f32>], bias: &[f32], width: usize) -> Packed {
        let mut packed = Packed::zeroed(rows.len(), rows[0].len(), width);
        for (i, row) in rows.iter().enumerate() {
            packed.set(i, RowSource::Float(row), bias[i], 1.0, None, &mut Vec::new()).unwrap();
        }
        packed
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|v| v.to_bits()).collect()
    }

    fn linear_on(machine: &dyn Machine, x: &[f32], rows: &[Vec<f32>], bias: &[f32], f: Activation) -> Vec<f32> {
        let depth = rows[0].len();
        let w = packed(rows, bias, machine.panel_width());
        let mut a = Activations::default();
        machine.quantize(x, depth, x.len() / depth, depth, &mut a);
        let mut out = vec![0.0; a.count() * w.padded_columns()];
        machine.linear(&a, &w, f, &mut out);
        out.chunks(w.padded_columns()).flat_map(|row| row[..rows.len()].to_vec()).collect()
    }

    #[test]
    fn linear_layers_have_the_same_bits_on_every_kernel() {
        let mut numbers = Numbers(1);
        for (count, columns, depth) in [(1, 8, 16), (3, 24, 40), (9, 70, 128), (33, 130, 200), (70, 33, 64)] {
            let x = numbers.floats(count * depth);
            let rows: Vec<Vec<f32>> = (0..columns).map(|_| numbers.floats(depth)).collect();
            let bias = numbers.floats(columns);
            for f in [Activation::Identity, Activation::Relu, Activation::Swish] {
                let expected = bits(&linear_on(machines()[0].1.as_ref(), &x, &rows, &bias, f));
                for (kernel, machine) in &machines()[1..] {
                    let got = bits(&linear_on(machine.as_ref(), &x, &rows, &bias, f));
                    assert!(got == expected, "{kernel} {f:?} {count} x {columns} x {depth}");
                }
            }
        }
    }

    #[test]
    fn the_heaviest_rows_allowed_do_not_overflow() {
        // All activations 127, all weights as large as the bound lets them be: sixteen bits are filled to the brim.
        let depth = 64;
        for sign in [1.0, -1.0] {
            let rows = vec![vec![sign; depth]; 17];
            for (kernel, machine) in machines() {
                let x = vec![1.0; depth * 9];
                let got = linear_on(machine.as_ref(), &x, &rows, &[0.0; 17], Activation::Identity);
                for v in got {
                    // The bound leaves 32 steps for a weight, so rounding alone may take 1/64 of it.
                    assert!((v - sign * depth as f32).abs() <= depth as f32 / 64.0, "{kernel}: {v}");
                }
            }
        }
    }

    #[test]
    fn a_linear_layer_is_near_the_exact_product() {
        let mut numbers = Numbers(2);
        let (count, columns, depth) = (7, 40, 256);
        let x = numbers.floats(count * depth);
        let rows: Vec<Vec<f32>> = (0..columns).map(|_| numbers.floats(depth)).collect();
        let bias = numbers.floats(columns);
        for (kernel, machine) in machines() {
            let got = linear_on(machine.as_ref(), &x, &rows, &bias, Activation::Identity);
            let (mut off, mut all) = (0.0, 0.0);
            for (x, got) in x.chunks(depth).zip(got.chunks(columns)) {
                for ((row, &bias), &got) in rows.iter().zip(&bias).zip(got) {
                    let exact: f64 = x.iter().zip(row).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
                    let exact = exact + f64::from(bias);
                    off += (f64::from(got) - exact).powi(2);
                    all += exact.powi(2);
                }
            }
            let relative = (off / all).sqrt();
            assert!(relative < 0.02, "{kernel}: {relative}");
        }
    }

    #[test]
    fn a_row_does_not_depend_on_its_neighbours() {
        let mut numbers = Numbers(3);
        let (count, columns, depth) = (37, 64, 96);
        let x = numbers.floats(count * depth);
        let rows: Vec<Vec<f32>> = (0..columns).map(|_| numbers.floats(depth)).collect();
        let bias = numbers.floats(columns);
        for (kernel, machine) in machines() {
            let together = linear_on(machine.as_ref(), &x, &rows, &bias, Activation::Swish);
            for (x, together) in x.chunks(depth).zip(together.chunks(columns)) {
                let alone = linear_on(machine.as_ref(), x, &rows, &bias, Activation::Swish);
                assert_eq!(bits(&alone), bits(together), "{kernel}");
            }
        }
    }

    #[test]
    fn threads_do_not_disturb_each_other() {
        // A thread's tiles and vector registers are its own, also when it is interrupted in the middle of a product.
        let (count, columns, depth) = (16, 32, 2048);
        let scalar = Kernel::Scalar.machine().unwrap();
        for (kernel, machine) in machines().into_iter().filter(|&(kernel, _)| kernel != Kernel::Scalar) {
            let (scalar, machine) = (scalar.as_ref(), machine.as_ref());
            std::thread::scope(|scope| {
                for seed in 0..3 {
                    scope.spawn(move || {
                        let mut numbers = Numbers(seed);
                        let x = numbers.floats(count * depth);
                        let rows: Vec<Vec<f32>> = (0..columns).map(|_| numbers.floats(depth)).collect();
                        let bias = numbers.floats(columns);
                        let expected = bits(&linear_on(scalar, &x, &rows, &bias, Activation::Identity));
                        let w = packed(&rows, &bias, machine.panel_width());
                        let mut a = Activations::default();
                        machine.quantize(&x, depth, count, depth, &mut a);
                        let mut out = vec![0.0; count * columns];
                        for round in 0..200 {
                            machine.linear(&a, &w, Activation::Identity, &mut out);
                            assert!(bits(&out) == expected, "{kernel}: round {round}");
                        }
                    });
                }
            });
        }
    }

    #[test]
    fn normalising_has_the_same_bits_on_every_kernel_and_mean_zero() {
        let mut numbers = Numbers(4);
        let (count, width) = (5, 48);
        let (x, delta) = (numbers.floats(count * width), numbers.floats(count * width));
        let norm = LayerNorm { scale: vec![1.0; width], shift: vec![0.0; width], epsilon: 1e-5 };
        let mut expected = None;
        for (kernel, machine) in machines() {
            let mut x = x.clone();
            let after = Residual::After(&norm);
            machine.add_normalize(&mut x, width, Some((&delta, width)), after, &mut Activations::default());
            for row in x.chunks(width) {
                let mean = row.iter().sum::<f32>() / width as f32;
                let variance = row.iter().map(|v| v * v).sum::<f32>() / width as f32;
                assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-3, "{kernel}: {mean} {variance}");
            }
            assert_eq!(*expected.get_or_insert(bits(&x)), bits(&x), "{kernel}");
        }
    }

    /// Values of a head: vectors that are worked on by eight, by two and alone.
    const HEAD: usize = 88;

    /// Pages with the given keys and values, `inner` to a position, in heads of [`HEAD`].
    fn paged(keys: &[f32], values: &[f32], inner: usize) -> Vec<Box<[u16]>> {
        let positions = keys.chunks(inner).zip(values.chunks(inner)).enumerate();
        let mut arena = vec![vec![0; 2 * PAGE * inner].into_boxed_slice(); (keys.len() / inner).div_ceil(PAGE)];
        for (position, (key, value)) in positions {
            write_position(&mut arena[position / PAGE], HEAD, position % PAGE, key, value);
        }
        arena
    }

    fn attend_on(
        machine: &dyn Machine,
        queries: &[f32],
        arena: &[Box<[u16]>],
        length: usize,
        causal: bool,
    ) -> Vec<f32> {
        let (heads, head_size) = (2, HEAD);
        let inner = heads * head_size;
        let count = queries.len() / inner;
        let pages: Vec<u32> = (0..arena.len() as u32).collect();
        let mut out = vec![0.0; queries.len()];
        let traces = [Heads::One(0), Heads::One(1), Heads::Mean].map(|wanted| {
            let mut traced = vec![Vec::new(); count];
            machine.attend(Attend {
                queries,
                stride: inner,
                count,
                memory: PagedKeys { arena, pages: &pages, start: 0 },
                length,
                causal,
                heads,
                head_size,
                out: &mut out,
                traced: Some((wanted, &mut traced)),
                scratch: &mut Vec::new(),
            });
            for (i, weights) in traced.iter().enumerate() {
                assert_eq!(weights.len(), length + if causal { i } else { 0 });
                assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            }
            traced.concat()
        });
        for ((one, other), mean) in traces[0].iter().zip(&traces[1]).zip(&traces[2]) {
            assert!(((one + other) / 2.0 - mean).abs() < 1e-6);
        }
        out.extend(traces.concat());
        out
    }

    #[test]
    fn attention_has_the_same_bits_on_every_kernel_and_in_any_company() {
        let mut numbers = Numbers(5);
        let inner = 2 * HEAD;
        let arena = paged(&numbers.floats(32 * inner), &numbers.floats(32 * inner), inner);
        let queries = numbers.floats(7 * inner);
        for (length, causal) in [(1, true), (25, false), (8, false), (19, true)] {
            let mut expected = None;
            for (kernel, machine) in machines() {
                let got = attend_on(machine.as_ref(), &queries, &arena, length, causal);
                for (i, query) in queries.chunks(inner).enumerate() {
                    let alone = attend_on(machine.as_ref(), query, &arena, length + if causal { i } else { 0 }, false);
                    assert_eq!(bits(&alone[..inner]), bits(&got[i * inner..(i + 1) * inner]), "{kernel} {i}");
                }
                assert_eq!(*expected.get_or_insert(bits(&got)), bits(&got), "{kernel}");
            }
        }
    }

    #[test]
    fn attention_is_near_its_formula() {
        let mut numbers = Numbers(6);
        let (inner, head_size, length) = (2 * HEAD, HEAD, 13);
        // Numbers that bf16 holds exactly.
        let mut exact =
            || -> Vec<f32> { numbers.floats(length * inner).iter().map(|v| (v * 16.0).round() / 16.0).collect() };
        let (keys, values) = (exact(), exact());
        let arena = paged(&keys, &values, inner);
        let query = numbers.floats(inner);
        let key = |j: usize, d: usize| f64::from(keys[j * inner + d]);
        let value = |j: usize, d: usize| f64::from(values[j * inner + d]);
        for (kernel, machine) in machines() {
            let got = attend_on(machine.as_ref(), &query, &arena, length, false);
            for d in 0..inner {
                let head = d / head_size * head_size;
                let weight = |j| (head..head + head_size).map(|d| f64::from(query[d]) * key(j, d)).sum::<f64>().exp();
                let total: f64 = (0..length).map(weight).sum();
                let exact: f64 = (0..length).map(|j| weight(j) / total * value(j, d)).sum();
                assert!((f64::from(got[d]) - exact).abs() < 1e-4, "{kernel}: {} for {exact}", got[d]);
            }
        }
    }

    #[test]
    fn ranking_agrees_with_sorting_all_logits() {
        let mut numbers = Numbers(7);
        let (count, columns, depth) = (131, 301, 32);
        let x = numbers.floats(count * depth);
        let rows: Vec<Vec<f32>> =
            (0..columns).map(|i| numbers.floats(depth).iter().map(|w| w * (i % 3) as f32).collect()).collect();
        let bias = vec![0.0; columns];
        let mut expected = None;
        for (kernel, machine) in machines() {
            let mut w = packed(&rows, &bias, machine.panel_width());
            w.fill_spare_bias(f32::NEG_INFINITY);
            let mut a = Activations::default();
            machine.quantize(&x, depth, count, depth, &mut a);
            let mut rankings: Vec<Ranking> = (0..count).map(|i| Ranking::new(i % 9, vec![7, 300])).collect();
            machine.rank(&a, &w, w.padded_columns(), &mut rankings, &mut Vec::new());
            let logits = linear_on(machine.as_ref(), &x, &rows, &bias, Activation::Identity);
            for (i, (ranking, logits)) in rankings.iter().zip(logits.chunks(columns)).enumerate() {
                let mut sorted: Vec<(usize, f32)> = logits.iter().copied().enumerate().collect();
                sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                assert_eq!(ranking.top, sorted[..i % 9], "{kernel} row {i}");
                assert_eq!(ranking.probes, [(7, logits[7]), (300, logits[300])]);
                let exact = logits.iter().map(|&l| f64::from(l).exp()).sum::<f64>().ln();
                assert!((f64::from(ranking.log_sum_exp()) - exact).abs() < 1e-4, "{kernel} row {i}");
            }
            let sums: Vec<f32> = rankings.iter().map(Ranking::log_sum_exp).collect();
            assert_eq!(*expected.get_or_insert(bits(&sums)), bits(&sums), "{kernel}");
        }
    }

    #[test]
    fn rows_that_are_zero_or_not_finite_do_not_panic() {
        for (_, machine) in machines() {
            for value in [0.0, f32::NAN, f32::INFINITY, f32::MAX, f32::MIN_POSITIVE] {
                let rows = vec![vec![1.0; 16]; 3];
                let got = linear_on(machine.as_ref(), &[value; 16], &rows, &[0.5; 3], Activation::Swish);
                assert_eq!(got.len(), 3);
            }
        }
    }
}

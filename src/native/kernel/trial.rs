//! The trial a kernel must pass before it is chosen unasked: products whose bits are known from the scalar kernel.
//!
//! Instruction sets come with processors, hypervisors and kernels of the operating system, and not every combination of
//! them was there to be tested. A kernel that computes anything else than the scalar one is passed over. The trial
//! takes a fraction of a millisecond.

use super::{Activation, Activations, Kernel, Machine};
use crate::native::packed::{Packed, RowSource};

/// Rows, columns and depth: more than one tile, panel and register of each, and a rest of each.
const COUNT: usize = 37;
const COLUMNS: usize = 70;
const DEPTH: usize = 200;

/// Whether a kernel gives the scalar kernel's bits.
pub(super) fn passes(machine: &dyn Machine) -> bool {
    let Some(scalar) = Kernel::Scalar.machine() else { return false };
    outcome(machine).is_some_and(|found| Some(found) == outcome(scalar.as_ref()))
}

/// The bits of a product of numbers without a pattern.
fn outcome(machine: &dyn Machine) -> Option<Vec<u32>> {
    let mut state = 1u32;
    let mut number = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let mut weights = Packed::zeroed(COLUMNS, DEPTH, machine.panel_width());
    for column in 0..COLUMNS {
        let row: Vec<f32> = (0..DEPTH).map(|_| number()).collect();
        weights.set(column, RowSource::Float(&row), number(), 1.0, None, &mut Vec::new()).ok()?;
    }
    let x: Vec<f32> = (0..COUNT * DEPTH).map(|_| number()).collect();
    let mut activations = Activations::default();
    machine.quantize(&x, DEPTH, COUNT, DEPTH, &mut activations);
    let stride = weights.padded_columns();
    let mut out = vec![0.0; COUNT * stride];
    machine.linear(&activations, &weights, Activation::Relu, &mut out);
    Some(out.chunks(stride).flat_map(|row| row[..COLUMNS].iter().map(|v| v.to_bits())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_of_this_machine_passes() {
        for kernel in Kernel::available() {
            assert!(passes(kernel.machine().unwrap().as_ref()), "{kernel}");
        }
        let found = outcome(Kernel::Scalar.machine().unwrap().as_ref()).unwrap();
        assert!(found.iter().filter(|bits| **bits != 0).count() > COUNT * COLUMNS / 4);
    }
}

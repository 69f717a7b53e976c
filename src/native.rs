//! The fast engine: Marian in int8 on the CPU, without padding.

mod kernel;
mod packed;
pub mod quantize;

pub use kernel::Kernel;

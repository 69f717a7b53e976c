//! The fast engine: Marian in int8 on the CPU, without padding.

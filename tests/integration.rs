//! Everything that is tested from outside, linked once.

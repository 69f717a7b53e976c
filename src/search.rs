//! Greedy and beam search over any engine.

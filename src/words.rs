//! The words that alignments count.

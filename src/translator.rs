//! The pipeline: split, encode, search, align, join.

//! A model on disk: configuration, generation defaults and weights.

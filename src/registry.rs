//! The table of known models.

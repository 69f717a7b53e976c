//! Resumable jobs over many files.

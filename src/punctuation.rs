//! English punctuation as printed: spaces, quotes and dashes.

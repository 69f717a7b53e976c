//! The HTML report of a translation.

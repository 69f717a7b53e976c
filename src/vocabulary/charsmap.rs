//! The precompiled character map of a `.spm` file: a double-array trie of rewrite rules.
//!
//! Layout: a little-endian `u32` with the trie's size in bytes, the trie (Darts-clone units), then the replacements,
//! each ended by NUL; a trie value is the offset of a replacement. SentencePiece rewrites the longest rule that the
//! rest of the text starts with. `tokenizers` goes by grapheme cluster instead and so loses the mark in
//! `presentation form + mark`, which is why the walk is done here.

use crate::error::{Error, ErrorKind, Result};

/// SentencePiece looks at no more matches than this at one place.
const MAX_MATCHES: usize = 32;

/// A longer replacement marks a corrupt file: with it a short text could fill the memory.
const MAX_REPLACEMENT: usize = 1024;

/// Rewrite rules, longest first.
#[derive(Debug)]
pub(super) struct Charsmap {
    units: Vec<u32>,
    replacements: String,
}

impl Charsmap {
    /// Reads the map.
    ///
    /// # Errors
    /// The sizes contradict each other, a link leaves the trie, or the replacements are not text.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let corrupt = |what: String| Error::new(ErrorKind::Model, format!("precompiled character map: {what}"));
        let Some((size, rest)) = bytes.split_first_chunk::<4>() else {
            return Err(corrupt(format!("expected a 4-byte trie size, found {} bytes", bytes.len())));
        };
        let size = u32::from_le_bytes(*size) as usize;
        if size == 0 || !size.is_multiple_of(1024) || size >= rest.len() {
            return Err(corrupt(format!(
                "expected a trie size that is a multiple of 1024 and below {}, found {size}",
                rest.len()
            )));
        }
        let (trie, replacements) = rest.split_at(size);
        let units: Vec<u32> = trie.as_chunks().0.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
        let replacements = str::from_utf8(replacements).map_err(|error| {
            corrupt(format!("replacements are not UTF-8 at byte {}", 4 + size + error.valid_up_to()))
        })?;
        if !replacements.ends_with('\0') {
            return Err(corrupt("the last replacement does not end with NUL".to_owned()));
        }
        if let Some(long) = replacements.split('\0').find(|replacement| replacement.len() > MAX_REPLACEMENT) {
            return Err(corrupt(format!("a replacement has {} bytes, expected {MAX_REPLACEMENT} at most", long.len())));
        }
        for (at, &unit) in units.iter().enumerate() {
            let broken = if label(unit) <= 0xFF {
                (at ^ offset(unit)) | 0xFF >= units.len()
            } else {
                value(unit) >= replacements.len()
            };
            if broken {
                return Err(corrupt(format!("trie unit {at} points outside the map")));
            }
        }
        Ok(Charsmap { units, replacements: replacements.to_owned() })
    }

    /// The rule for the start of `text`: how many bytes it takes and what stands for them.
    pub(super) fn longest_rule<'a>(&'a self, text: &str) -> Option<(usize, &'a str)> {
        let mut found = None;
        let mut matches = 0;
        let mut node = offset(*self.units.first()?);
        for (at, byte) in text.bytes().enumerate() {
            node ^= usize::from(byte);
            let unit = *self.units.get(node)?;
            if label(unit) != u32::from(byte) {
                break;
            }
            node ^= offset(unit);
            if has_leaf(unit) {
                found = Some((at + 1, value(*self.units.get(node)?)));
                matches += 1;
                if matches == MAX_MATCHES {
                    break;
                }
            }
        }
        let (length, start) = found.filter(|&(length, _)| text.is_char_boundary(length))?;
        let replacement = self.replacements.get(start..)?;
        Some((length, &replacement[..replacement.find('\0')?]))
    }
}

// The bit fields of a Darts-clone unit.

fn has_leaf(unit: u32) -> bool {
    unit >> 8 & 1 == 1
}

fn value(unit: u32) -> usize {
    (unit & 0x7FFF_FFFF) as usize
}

/// The byte that leads to the unit; a leaf has the top bit set and so matches no byte.
fn label(unit: u32) -> u32 {
    unit & 0x8000_00FF
}

fn offset(unit: u32) -> usize {
    ((unit >> 10) << ((unit & 1 << 9) >> 6)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corrupt_maps_are_named() {
        for (bytes, expected) in [
            (&b"\x01\x02"[..], "expected a 4-byte trie size, found 2 bytes"),
            (&[0; 8], "found 0"),
            (&[0, 4, 0, 0, 1, 2, 3], "below 3, found 1024"),
        ] {
            let error = Charsmap::parse(bytes).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn links_out_of_the_trie_are_refused() {
        let mut bytes = 1024_u32.to_le_bytes().to_vec();
        bytes.extend([0; 1024]);
        bytes.push(0);
        bytes[4..8].copy_from_slice(&(900_u32 << 10).to_le_bytes());
        let error = Charsmap::parse(&bytes).unwrap_err();
        assert!(error.to_string().contains("trie unit 0 points outside"), "{error}");
    }
}

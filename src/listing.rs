//! Sorted lists of lines in a compressed text, looked up where they lie.
//!
//! Reading every line of a large table would cost each start of the command more than all its look-ups do.

use std::cmp::Ordering;
use std::io::{self, Read};
use std::iter;

/// The largest text that is unpacked: no honest table comes near.
const LONGEST: u64 = 256 << 20;

/// The text of a file compressed with Zstandard.
pub(crate) fn unpacked(bytes: &[u8]) -> io::Result<String> {
    let mut text = String::new();
    zstd::Decoder::new(bytes)?.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

/// Lines in the order of the bytes of their keys, which end at a tab.
#[derive(Debug)]
pub(crate) struct Listing {
    text: Box<str>,
    /// Where each line begins; the end of the text comes last.
    starts: Vec<u32>,
}

impl Listing {
    /// The list under a heading that says how many lines it has, and the text behind it; `number` is the heading's line.
    pub(crate) fn take<'a>(text: &'a str, heading: &str, number: usize) -> Result<(Self, &'a str), (usize, String)> {
        let (line, text) = text.split_once('\n').unwrap_or((text, ""));
        let count: usize = line
            .strip_prefix(heading)
            .and_then(|rest| rest.strip_prefix(' ')?.parse().ok())
            .ok_or_else(|| (number, format!("expected `{heading}` and a number")))?;
        let ends = text.match_indices('\n').map(|(at, _)| at as u32 + 1).take(count);
        let starts: Vec<u32> = iter::once(0).chain(ends).collect();
        if starts.len() != count + 1 {
            return Err((number + starts.len(), format!("ends before the last of the {count} {heading}")));
        }
        let (list, rest) = text.split_at(starts[count] as usize);
        Ok((Listing { text: list.into(), starts }, rest))
    }

    /// Number of lines.
    pub(crate) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// A line without its end.
    pub(crate) fn line(&self, at: usize) -> &str {
        self.text[self.starts[at] as usize..self.starts[at + 1] as usize].trim_end_matches('\n')
    }

    /// The place of a key, and its line.
    pub(crate) fn find(&self, key: &str) -> Option<(usize, &str)> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            let line = self.line(middle);
            match line.split('\t').next().unwrap_or(line).cmp(key) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some((middle, line)),
            }
        }
        None
    }
}

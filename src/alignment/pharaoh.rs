//! The Pharaoh format: `0-0 1-2`, source word before target word, both counted from 0, one sentence a line.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::Link;
use crate::error::{Error, ErrorKind, Result};

/// A pair of word indices: source, target.
pub type Pair = (usize, usize);

/// Most links a line may hold; more is no sentence but an attack on memory.
const MOST_LINKS: usize = 1 << 20;

/// Writes links as one line without its end, sorted by source word, then by target word.
pub fn print(links: &[Link]) -> String {
    print_pairs(links.iter().map(|link| (link.source, link.target)))
}

/// Writes pairs as [`print`](print()) does; a pair given twice is written once.
pub fn print_pairs(pairs: impl IntoIterator<Item = Pair>) -> String {
    let mut line = String::new();
    for (source, target) in pairs.into_iter().collect::<BTreeSet<Pair>>() {
        if !line.is_empty() {
            line.push(' ');
        }
        let _ = write!(line, "{source}-{target}");
    }
    line
}

/// Reads one line; pairs come back sorted and each once.
///
/// `0?1` and `0p1`, as gold sets mark links that are possible rather than sure, are read as `0-1` is.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] naming the field, when something is not a pair of numbers.
///
/// ```
/// use tarjim::alignment::pharaoh;
///
/// assert_eq!(pharaoh::parse("1-2 0-0")?, [(0, 0), (1, 2)]);
/// assert_eq!(pharaoh::parse("0-0 1:2").unwrap_err().to_string(), "field 2: `1:2` is no link, expected two numbers as in `0-1`");
/// # Ok::<(), tarjim::Error>(())
/// ```
pub fn parse(line: &str) -> Result<Vec<Pair>> {
    let mut pairs = BTreeSet::new();
    for (at, field) in line.split_whitespace().enumerate() {
        let pair = field
            .split_once(['-', '?', 'p'])
            .and_then(|(source, target)| Some((index(source)?, index(target)?)))
            .ok_or_else(|| {
                let shown: String = field.chars().take(40).collect();
                let message = format!("field {}: `{shown}` is no link, expected two numbers as in `0-1`", at + 1);
                Error::new(ErrorKind::InvalidInput, message)
            })?;
        pairs.insert(pair);
        if pairs.len() > MOST_LINKS {
            return Err(Error::new(ErrorKind::InvalidInput, format!("more than {MOST_LINKS} links in one line")));
        }
    }
    Ok(pairs.into_iter().collect())
}

/// A word index: digits only, so that `+1` and `1_0` are no numbers here, and small enough to index words with.
fn index(digits: &str) -> Option<usize> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse::<u32>().ok()).flatten().map(|index| index as usize)
}

/// Reads a whole file's text, one sentence a line; an empty line is a sentence without links.
///
/// # Errors
/// As [`parse`], with the line's number in front.
pub fn parse_lines(text: &str) -> Result<Vec<Vec<Pair>>> {
    text.lines()
        .enumerate()
        .map(|(at, line)| parse(line).map_err(|error| error.at(format!("line {}", at + 1))))
        .collect()
}

/// Checks that pairs stay inside a sentence pair of so many words.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] naming the first pair that does not.
pub fn check(pairs: &[Pair], source_words: usize, target_words: usize) -> Result<()> {
    match pairs.iter().find(|&&(source, target)| source >= source_words || target >= target_words) {
        Some((source, target)) => Err(Error::new(
            ErrorKind::InvalidInput,
            format!("link {source}-{target} lies outside a pair of {source_words} and {target_words} words"),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn printed_sorted_and_once() {
        let link = |source, target| Link { source, target, probability: 1.0 };
        assert_eq!(print(&[link(10, 0), link(2, 3), link(2, 1), link(2, 3)]), "2-1 2-3 10-0");
        assert_eq!(print(&[]), "");
    }

    #[test]
    fn possible_links_are_read() {
        assert_eq!(parse(" 3?1\t0p2 ").unwrap(), [(0, 2), (3, 1)]);
    }

    #[test]
    fn errors_name_line_and_field() {
        let error = parse_lines("0-0\n\n1-1 x-2\n").unwrap_err();
        assert!(error.to_string().starts_with("line 3: field 2: `x-2`"), "{error}");
        for wrong in ["-", "1-", "-1", "1--1", "+1-2", "99999999999999999999-0", "٣-٤", "1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(check(&[(0, 0), (1, 2)], 2, 2).unwrap_err().to_string().contains("link 1-2"));
    }

    proptest! {
        #[test]
        fn parsing_undoes_printing(pairs in prop::collection::btree_set((0_usize..300, 0_usize..300), 0..40)) {
            let line = print_pairs(pairs.iter().copied());
            prop_assert_eq!(parse(&line).unwrap(), pairs.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn any_line_is_read_or_refused(line in "\\PC{0,40}") {
            let _ = parse(&line);
        }
    }
}

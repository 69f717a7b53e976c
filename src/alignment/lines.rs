//! Sentence pairs as `fast_align` and `eflomal` read them: `source ||| target`, words parted by single spaces.

use crate::error::{Error, ErrorKind, Result};
use crate::span::Span;
use crate::words::spaced;

/// Between the two sentences.
const SEPARATOR: &str = " ||| ";

/// Writes one pair from its words. A word `|||` of the text is written `｜｜｜`, since those programs know no escape.
///
/// ```
/// use tarjim::alignment::lines;
/// use tarjim::words::words;
///
/// let (source, target) = ("نعم، هنا", "Yes, here");
/// assert_eq!(lines::print(source, &words(source), target, &words(target)), "نعم ، هنا ||| Yes , here");
/// ```
pub fn print(source: &str, source_words: &[Span], target: &str, target_words: &[Span]) -> String {
    format!("{}{SEPARATOR}{}", side(source, source_words), side(target, target_words))
}

/// Writes one pair from a model's pieces, which may hold spaces or be empty: a space is written `▁`, as SentencePiece
/// does, and so is a piece of nothing. Whoever splits the line at its spaces counts the pieces that links count.
pub fn print_pieces(source: &str, source_pieces: &[Span], target: &str, target_pieces: &[Span]) -> String {
    let side = |text: &str, pieces: &[Span]| {
        let visible = |piece: &Span| match piece.of(text) {
            "" => "▁".to_owned(),
            "|||" => "｜｜｜".to_owned(),
            piece => piece.replace(|c: char| c.is_whitespace() || c.is_control(), "▁"),
        };
        pieces.iter().map(visible).collect::<Vec<_>>().join(" ")
    };
    format!("{}{SEPARATOR}{}", side(source, source_pieces), side(target, target_pieces))
}

/// One side of a pair: its words parted by single spaces, also what `eflomal-align` takes as a file a side.
pub fn side(text: &str, words: &[Span]) -> String {
    let mut line = String::with_capacity(text.len() + words.len());
    for (at, word) in words.iter().enumerate() {
        if at > 0 {
            line.push(' ');
        }
        match word.of(text) {
            "|||" => line.push_str("｜｜｜"),
            word => line.push_str(word),
        }
    }
    line
}

/// Reads one pair: source and target, without the space around them.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] when the line does not hold exactly one ` ||| `, or a side has no word.
pub fn parse(line: &str) -> Result<(&str, &str)> {
    let mut sides = line.trim_end_matches(['\r', '\n']).split(SEPARATOR);
    let (Some(source), Some(target), None) = (sides.next(), sides.next(), sides.next()) else {
        let found = line.matches(SEPARATOR).count();
        let message = format!("{found} separators ` ||| `, expected one between source and target");
        return Err(Error::new(ErrorKind::InvalidInput, message));
    };
    for (name, side) in [("source", source), ("target", target)] {
        if spaced(side).next().is_none() {
            return Err(Error::new(ErrorKind::InvalidInput, format!("the {name} has no word")));
        }
    }
    Ok((source.trim(), target.trim()))
}

/// Reads a whole file's text, one pair a line.
///
/// # Errors
/// As [`parse`], with the line's number in front.
pub fn parse_lines(text: &str) -> Result<Vec<(&str, &str)>> {
    text.lines()
        .enumerate()
        .map(|(at, line)| parse(line).map_err(|error| error.at(format!("line {}", at + 1))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::words;
    use proptest::prelude::*;

    #[test]
    fn lines_that_are_no_pairs() {
        let error = parse_lines("أ ||| a\nب b\n").unwrap_err();
        assert_eq!(error.to_string(), "line 2: 0 separators ` ||| `, expected one between source and target");
        assert!(parse("a ||| b ||| c").unwrap_err().to_string().starts_with("2 separators"));
        assert_eq!(parse("  ||| b").unwrap_err().to_string(), "the source has no word");
        assert_eq!(parse("a |||  ").unwrap_err().to_string(), "the target has no word");
    }

    #[test]
    fn pieces_are_visible_and_none_is_empty() {
        let spans =
            |ends: &[(usize, usize)]| -> Vec<Span> { ends.iter().map(|&(start, end)| Span::new(start, end)).collect() };
        let line = print_pieces("a b", &spans(&[(0, 0), (0, 1), (1, 3)]), " x|||", &spans(&[(0, 1), (1, 2), (2, 5)]));
        assert_eq!(line, "▁ a ▁b ||| ▁ x ｜｜｜");
        let (source, target) = parse(&line).unwrap();
        assert_eq!((source.split_whitespace().count(), target.split_whitespace().count()), (3, 3));
    }

    proptest! {
        #[test]
        fn pairs_come_back_word_for_word(source in "[ء-ي0-9.،؟| ]{1,30}", target in "[a-z0-9.,?| ]{1,30}") {
            let (source_words, target_words) = (words(&source), words(&target));
            prop_assume!(!source_words.is_empty() && !target_words.is_empty());
            let line = print(&source, &source_words, &target, &target_words);
            let (left, right) = parse(&line).unwrap();
            prop_assert_eq!(spaced(left).count(), source_words.len());
            prop_assert_eq!(spaced(right).count(), target_words.len());
        }
    }
}

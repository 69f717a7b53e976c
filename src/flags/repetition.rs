//! A target that repeats itself, as models do when they lose their way.

use super::{Evidence, Flag, FlagKind, folded};
use crate::span::Span;

/// The longest phrase whose repetition is looked for, in words.
const LONGEST: usize = 12;

/// Words English may say twice in a row.
const MAY_DOUBLE: &[&str] =
    &["had", "that", "very", "no", "ha", "bye", "so", "many", "long", "far", "never", "again", "is"];

/// Flags a phrase that follows itself: one word twice (but for a few), or a longer phrase twice. A source that also
/// says a phrase twice in a row may be repeated.
pub(super) fn check(evidence: &Evidence<'_>) -> Option<Flag> {
    let words = folded(evidence.target, evidence.target_words);
    let (start, length, times) = repeated(&words)?;
    let source = folded(evidence.source, evidence.source_words);
    if repeated(&source).is_some_and(|(.., in_source)| in_source >= times) {
        return None;
    }
    let spans: Vec<Span> = (0..times)
        .map(|time| {
            let first = start + time * length;
            evidence.target_words[first].cover(evidence.target_words[first + length - 1])
        })
        .collect();
    Some(Flag {
        kind: FlagKind::Repetition,
        reason: format!("“{}” stands {times} times in a row", spans[0].of(evidence.target)),
        source: Vec::new(),
        target: spans,
    })
}

/// The first phrase that follows itself: its first word, its length in words, and how many times it stands there.
fn repeated(words: &[String]) -> Option<(usize, usize, usize)> {
    for length in 1..=LONGEST.min(words.len() / 2) {
        let mut run = 0;
        for at in length..words.len() {
            run = if words[at] == words[at - length] { run + 1 } else { 0 };
            if run == length {
                let start = at + 1 - 2 * length;
                let phrase = &words[start..start + length];
                let times = 2 + words[at + 1..].chunks_exact(length).take_while(|next| *next == phrase).count();
                let says_something = phrase.iter().any(|word| word.chars().any(char::is_alphabetic));
                if says_something && (times > 2 || length > 1 || !MAY_DOUBLE.contains(&phrase[0].as_str())) {
                    return Some((start, length, times));
                }
                run = 0;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::words;
    use proptest::prelude::*;

    fn reason(source: &str, target: &str) -> Option<String> {
        let (source_words, target_words) = (words(source), words(target));
        check(&Evidence {
            source,
            target,
            source_words: &source_words,
            target_words: &target_words,
            ..Evidence::default()
        })
        .map(|flag| flag.reason)
    }

    #[test]
    fn phrases_that_follow_themselves() {
        assert_eq!(reason("", "the the road").unwrap(), "“the” stands 2 times in a row");
        assert_eq!(reason("", "a new a new a new road").unwrap(), "“a new” stands 3 times in a row");
        assert_eq!(reason("", "He said that that had had to go"), None);
        assert_eq!(reason("", "no no no").unwrap(), "“no” stands 3 times in a row");
        assert_eq!(reason("", "1 1 2 2"), None);
    }

    #[test]
    fn the_source_may_repeat() {
        assert_eq!(reason("جدا جدا", "really really"), None);
        assert!(reason("جدا جدا", "really really really").is_some());
    }

    proptest! {
        #[test]
        fn a_repeated_phrase_is_found_wherever_it_stands(
            head in prop::collection::vec("[a-d]{3}", 0..5), phrase in prop::collection::vec("[e-h]{3}", 1..6), times in 2_usize..5,
        ) {
            let mut all = head.clone();
            for _ in 0..times {
                all.extend(phrase.clone());
            }
            prop_assert!(repeated(&all).is_some());
        }
    }
}

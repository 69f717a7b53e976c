//! Words that were parted by spaces put together as people write them.
//!
//! Gold sets and other aligners give `He said : " No . "`. A translation model has read `He said: "No."`, and judges
//! and aligns that better; the words keep their order and number, so that links still count them.

use crate::span::Span;

/// Marks that stand close to the word before them.
const CLOSING: &[&str] = &[
    ".", ",", ";", ":", "!", "?", "%", ")", "]", "}", "»", "”", "’", "…", "...", "،", "؛", "؟", "٪", "'s", "’s", "n't",
    "n’t",
];

/// Marks that stand close to the word after them.
const OPENING: &[&str] = &["(", "[", "{", "«", "“", "‘", "$", "€", "£"];

/// The running text of the words of `text`, and where each of `words` stands in it.
///
/// ```
/// use tarjim::alignment::natural;
/// use tarjim::words::spaced;
///
/// let tokens = "He said : \" No . \"";
/// let (text, words) = natural::running_text(tokens, &spaced(tokens).collect::<Vec<_>>());
/// assert_eq!(text, "He said: \"No.\"");
/// assert_eq!(words.len(), 7);
/// assert_eq!(words[4].of(&text), "No");
/// ```
pub fn running_text(text: &str, words: &[Span]) -> (String, Vec<Span>) {
    let mut running = String::with_capacity(text.len());
    let mut spans = Vec::with_capacity(words.len());
    let mut close_to_next = true;
    // Straight quotes look the same on both sides: the first of two opens.
    let mut open_quotes: Vec<&str> = Vec::new();
    for word in words {
        let word = word.of(text);
        let (close_to_last, opens) = match word {
            "\"" | "'" | "''" | "``" => {
                let closes = open_quotes.last() == Some(&word);
                if closes {
                    open_quotes.pop();
                } else {
                    open_quotes.push(word);
                }
                (closes, !closes)
            }
            _ => (CLOSING.contains(&word), OPENING.contains(&word)),
        };
        if !close_to_next && !close_to_last {
            running.push(' ');
        }
        let start = running.len();
        running.push_str(word);
        spans.push(Span::new(start, running.len()));
        close_to_next = opens;
    }
    (running, spans)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::spaced;
    use proptest::prelude::*;

    fn running(text: &str) -> String {
        running_text(text, &spaced(text).collect::<Vec<_>>()).0
    }

    #[test]
    fn marks_stand_close() {
        assert_eq!(running("كلف ( الجسر ) 40 % , أو أكثر ."), "كلف (الجسر) 40%, أو أكثر.");
        assert_eq!(running("“ It does n't ” – he said"), "“It doesn't” – he said");
        assert_eq!(running("' a ' and \" b"), "'a' and \"b");
        assert_eq!(running(""), "");
    }

    proptest! {
        #[test]
        fn words_keep_their_text(text in "([a-zء-ي]{1,4}|[ ]|[.,:;!?\"'()%«»])*") {
            let words: Vec<Span> = spaced(&text).collect();
            let (running, spans) = running_text(&text, &words);
            prop_assert_eq!(words.len(), spans.len());
            for (word, span) in words.iter().zip(&spans) {
                prop_assert_eq!(word.of(&text), span.of(&running));
            }
        }
    }
}

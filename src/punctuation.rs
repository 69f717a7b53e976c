//! English punctuation as printed: spaces, quotes and dashes.
//!
//! A model writes what its pieces spell: ` ,` before a comma, quotation marks that stand free, `don ' t`. [`tidy`] puts
//! the marks where print has them, and changes nothing else: every letter and digit stays, in its order.
//!
//! ```
//! use tarjim::{Span, punctuation::tidy};
//!
//! let mut spans = [Span::new(0, 3), Span::new(4, 11)];
//! let text = tidy("“ We ' ll  leave , ” he said .", &mut spans);
//! assert_eq!(text, "\"We'll leave,\" he said.");
//! assert_eq!(spans[1].of(&text), "We'll");
//! ```

mod edit;
mod quotation;
mod space;

use edit::Edits;

use crate::span::Span;

/// Gives one English sentence the punctuation of print, and moves `spans`, which are spans of `text`, to the same
/// characters of the result.
///
/// No space stands before `, . ; : ! ? )` and `%`, one behind them; quotation marks become straight and lie against
/// what they enclose, brackets and currency signs likewise; dashes between words have a space on both sides or on
/// none; `don ' t` is `don't`; a doubled comma is one; white space is one space, and none at the ends; Arabic marks
/// become their English ones. Addresses, numbers with their separators, and an unpaired quotation mark's place stay.
pub fn tidy(text: &str, spans: &mut [Span]) -> String {
    let mut tidied = text.to_owned();
    // A mark that has moved can lie against another one now (`word " ,.`). Sentences settle in one round or two; the
    // bound is for noise.
    for _ in 0..MOST_ROUNDS {
        let before = tidied.clone();
        for pass in [quotation::straighten, space::single, space::marks, quotation::attach] {
            tidied = pass(&tidied).apply(&tidied, spans);
        }
        if tidied == before {
            break;
        }
    }
    tidied
}

const MOST_ROUNDS: usize = 8;

/// Makes the first letter of a sentence a capital, and moves `spans` with it.
///
/// Quotation marks and brackets before it are passed over; a sentence that begins with a digit, or with a word that
/// has a capital further on (`iPhone`), stays.
///
/// ```
/// use tarjim::punctuation::capitalize;
///
/// assert_eq!(capitalize("\"he left.\"", &mut []), "\"He left.\"");
/// assert_eq!(capitalize("iPhone sales fell.", &mut []), "iPhone sales fell.");
/// ```
pub fn capitalize(text: &str, spans: &mut [Span]) -> String {
    let mut edits = Edits::default();
    if let Some((at, first)) = text.char_indices().find(|&(_, c)| c.is_alphanumeric()) {
        let word = text[at..].split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        let mut upper = first.to_uppercase();
        if let (Some(capital), None) = (upper.next(), upper.next())
            && capital != first
            && !word.chars().any(char::is_uppercase)
            && !space::is_address(space::token_at(text, at))
        {
            edits.replace(Span::new(at, at + first.len_utf8()), capital.to_string());
        }
    }
    edits.apply(text, spans)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn assert_tidy(cases: &[(&str, &str)]) {
        for &(text, expected) in cases {
            assert_eq!(tidy(text, &mut []), expected, "{text}");
            assert_eq!(tidy(expected, &mut []), expected, "tidy text stays");
        }
    }

    #[test]
    fn spaces_and_marks() {
        assert_tidy(&[
            ("The army , which left , returned .", "The army, which left, returned."),
            ("Who left ?No one !", "Who left? No one!"),
            ("Three things : bread ; water ,salt", "Three things: bread; water, salt"),
            ("  two   spaces\t here ", "two spaces here"),
            ("Bread ,, water , , salt ,.", "Bread, water, salt."),
            ("Salt,,. Bread ,,,.", "Salt. Bread."),
            ("Really ? !", "Really?!"),
            ("Well . . . no", "Well... no"),
            ("", ""),
            (" ", ""),
        ]);
    }

    #[test]
    fn numbers_and_addresses_stay() {
        assert_tidy(&[
            ("It cost 1,200.50 at 10:30", "It cost 1,200.50 at 10:30"),
            (
                "See https://example.com/a?b=c,d;e and www.example.com .",
                "See https://example.com/a?b=c,d;e and www.example.com.",
            ),
            ("Write to a.b@example.com , please", "Write to a.b@example.com, please"),
            ("a .38 and .NET", "a .38 and .NET"),
            ("5 % of $ 3.5 billion", "5% of $3.5 billion"),
            ("about 20 € or £ 15", "about 20€ or £15"),
            ("from 1990–1995 , 3-2", "from 1990–1995, 3-2"),
        ]);
    }

    #[test]
    fn quotations() {
        assert_tidy(&[
            ("He said : “ we left . ”", "He said: \"we left.\""),
            ("\" Yes , \" he said , \" now . \"", "\"Yes,\" he said, \"now.\""),
            ("the so-called\" wall\" fell", "the so-called \"wall\" fell"),
            ("“Yes” and «no» and „ maybe “", "\"Yes\" and \"no\" and \"maybe\""),
            ("``Yes'' he said", "\"Yes\" he said"),
            ("( \" a \" )", "(\"a\")"),
            ("\"We left. They stayed.", "\"We left. They stayed."),
            ("They stayed . \"", "They stayed.\""),
            ("a 27\" screen", "a 27\" screen"),
            ("he said, \"a, \"b, \"c.\"", "he said, \"a, \"b, \"c.\""),
            ("con[c]essions, player(s) and f(x)", "con[c]essions, player(s) and f(x)"),
        ]);
    }

    #[test]
    fn apostrophes() {
        assert_tidy(&[
            ("I don ' t know", "I don't know"),
            ("Putin 's army and the players ’ union", "Putin's army and the players ' union"),
            ("They ’ ve left", "They've left"),
            ("‘ 90s", "' 90s"),
        ]);
    }

    #[test]
    fn dashes_and_brackets() {
        assert_tidy(&[
            ("China – an ally – agreed", "China – an ally – agreed"),
            ("China –an ally— agreed", "China – an ally — agreed"),
            ("the bank ( founded in 1990 ) closed", "the bank (founded in 1990) closed"),
            ("a [ note ]here", "a [note] here"),
            ("well-known and-or", "well-known and-or"),
        ]);
    }

    #[test]
    fn arabic_marks() {
        assert_tidy(&[("Who ؟ He ، she ؛ all 5 ٪", "Who? He, she; all 5%")]);
    }

    #[test]
    fn capitals() {
        for (text, expected) in
            [("the end", "The end"), ("(the end)", "(The end)"), ("5 men", "5 men"), ("ﬁne", "ﬁne"), ("", "")]
        {
            assert_eq!(capitalize(text, &mut []), expected);
        }
        assert_eq!(capitalize("www.example.com is down", &mut []), "www.example.com is down");
    }

    #[test]
    fn long_texts_take_linear_time() {
        for unit in ["\"", "\" ", ")a", "( a ) b ", ", ", "' s ", "$ 5 %", "– "] {
            tidy(&unit.repeat((1 << 16) / unit.len()), &mut [Span::new(0, 1)]);
        }
    }

    const TEXT: &str = "([a-dS] ?|[0-9]|[ .,;:!?()\"'“”«»–%$،-]|\\PC| ){0,40}";

    proptest! {
        #[test]
        fn words_stay(text in TEXT) {
            let words = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
            prop_assert_eq!(words(&tidy(&text, &mut [])), words(&text));
        }

        #[test]
        fn tidy_text_stays(text in TEXT) {
            let once = tidy(&text, &mut []);
            prop_assert_eq!(tidy(&once, &mut []), once);
        }

        #[test]
        fn spans_follow_their_letters(text in TEXT) {
            let mut spans: Vec<Span> =
                text.char_indices().map(|(at, c)| Span::new(at, at + c.len_utf8())).collect();
            let tidied = tidy(&text, &mut spans);
            let mut end = 0;
            for (span, c) in spans.iter().zip(text.chars()) {
                prop_assert!(tidied.get(span.start..span.end).is_some());
                if c.is_alphanumeric() {
                    prop_assert!(span.start >= end, "spans stay in order");
                    prop_assert_eq!(span.of(&tidied), c.to_string());
                    end = span.end;
                }
            }
        }
    }
}

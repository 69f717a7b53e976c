//! The words that alignments count: one tokeniser for Arabic and English.
//!
//! [`words`] cuts at white space, then at the word boundaries of UAX #29, and then puts together again what readers,
//! and the gold alignments people measure against, take for one word:
//!
//! | kind | one word | several words |
//! |---|---|---|
//! | numbers | `3.5` · `1,200` · `٣٫٥` · `10km` · `5G` | `45` `%` · `$` `9` · `10` `-` `15` |
//! | dates and times | `12.3.2024` · `12/3/2024` · `2024-03-12` · `18:30` | |
//! | apostrophes | `don't` · `Trump’s` | `‘` `quoted` `’` |
//! | hyphens | `al-Sisi` · `COVID-19` · `co-operation` | `Cairo` `–` `Giza` |
//! | initials | `U.S.` · `أ.ف.ب` | `الخبر` `.` |
//! | ampersand | `AT&T` | `bread` `&` `butter` |
//! | addresses | `https://example.org/a?b=1` · `name@example.org` · `@name` · `#وسم` | |
//! | punctuation | `...` · `!!` (a run of one mark) | `؟` `!` · `)` `.` |
//!
//! Arabic clitics stay on their word (`وبالقاهرة` is one word), vowel marks and tatweel belong to their letter. Between
//! Arabic letters a full stop or colon without a space parts two words (`انتهى.ثم`), since news sites often leave the
//! space out. Characters nobody sees (bidi marks, zero-width joiners) belong to the word they touch; alone they are no
//! word.

use unicode_segmentation::UnicodeSegmentation;

use crate::span::Span;

mod address;
mod joining;

/// The words of `text`: in order, apart from each other, never empty, never with white space inside, and together
/// all of the text but white space (and invisible characters that stand alone).
///
/// ```
/// use tarjim::words::words;
///
/// let text = "ارتفع سعر النفط 3.5% يوم 12.3.2024.";
/// let words: Vec<&str> = words(text).iter().map(|word| word.of(text)).collect();
/// assert_eq!(words, ["ارتفع", "سعر", "النفط", "3.5", "%", "يوم", "12.3.2024", "."]);
/// ```
pub fn words(text: &str) -> Vec<Span> {
    let mut words = Vec::with_capacity(text.len() / 5);
    for chunk in spaced(text) {
        if address::is_address(chunk.of(text)) {
            address::words(text, chunk, &mut words);
        } else {
            joining::words(text, chunk, &mut words);
        }
    }
    words
}

/// The tokens of a text whose words are already parted by spaces (gold sets, other aligners): every run of anything
/// but white space is one word.
///
/// ```
/// use tarjim::words::spaced;
///
/// let text = "He said : 3.5% .";
/// assert_eq!(spaced(text).map(|word| word.of(text)).collect::<Vec<_>>(), ["He", "said", ":", "3.5%", "."]);
/// ```
pub fn spaced(text: &str) -> impl Iterator<Item = Span> + '_ {
    let base = text.as_ptr() as usize;
    text.split_whitespace().map(move |chunk| {
        let start = chunk.as_ptr() as usize - base;
        Span::new(start, start + chunk.len())
    })
}

/// The pieces between the word boundaries of UAX #29, as spans of the whole text.
fn bounded(text: &str, chunk: Span) -> impl Iterator<Item = Span> + '_ {
    chunk.of(text).split_word_bound_indices().map(move |(at, piece)| {
        let start = chunk.start + at;
        Span::new(start, start + piece.len())
    })
}

/// Whether nobody sees the character: bidi controls, joiners, byte order marks.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Whether the character is written in Arabic script (letters, marks, presentation forms; digits not counted).
pub(crate) fn is_arabic(c: char) -> bool {
    matches!(c,
        '\u{610}'..='\u{61a}' | '\u{620}'..='\u{65f}' | '\u{66e}'..='\u{6d3}' | '\u{6d5}'..='\u{6ef}' | '\u{6fa}'..='\u{6ff}'
        | '\u{750}'..='\u{77f}' | '\u{8a0}'..='\u{8ff}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(text: &str) -> Vec<&str> {
        words(text).into_iter().map(|word| word.of(text)).collect()
    }

    #[test]
    fn numbers_dates_and_percentages() {
        assert_eq!(split("بنسبة 3.5% و1,200 دولار"), ["بنسبة", "3.5", "%", "و1,200", "دولار"]);
        assert_eq!(split("٣٫٥٪ و١٬٢٠٠"), ["٣٫٥", "٪", "و١٬٢٠٠"]);
        assert_eq!(split("12.3.2024 12/3/2024 2024-03-12 18:30"), ["12.3.2024", "12/3/2024", "2024-03-12", "18:30"]);
        assert_eq!(split("won 3-1, ages 10-15"), ["won", "3", "-", "1", ",", "ages", "10", "-", "15"]);
        assert_eq!(split("$9 10km 1990s 5G"), ["$", "9", "10km", "1990s", "5G"]);
        assert_eq!(split("عام 2011،ثم"), ["عام", "2011", "،", "ثم"]);
    }

    #[test]
    fn apostrophes_and_hyphens() {
        assert_eq!(split("don't Trump’s"), ["don't", "Trump’s"]);
        assert_eq!(split("‘so-called’ COVID-19"), ["‘", "so-called", "’", "COVID-19"]);
        assert_eq!(split("al-Sisi, Abu-l-Ghayt"), ["al-Sisi", ",", "Abu-l-Ghayt"]);
        assert_eq!(split("Cairo – Giza—Luxor --x"), ["Cairo", "–", "Giza", "—", "Luxor", "--", "x"]);
        assert_eq!(split("الأفرو-آسيوية"), ["الأفرو-آسيوية"]);
        assert_eq!(split("-5 x- -y"), ["-", "5", "x", "-", "-", "y"]);
    }

    #[test]
    fn arabic_words_keep_clitics_marks_and_tatweel() {
        assert_eq!(split("وبالقاهِرَةِ، فسيكتبونها؟"), ["وبالقاهِرَةِ", "،", "فسيكتبونها", "؟"]);
        assert_eq!(split("بـ20 مـــصر"), ["بـ20", "مـــصر"]);
        assert_eq!(split("انتهى.ثم قال:نعم"), ["انتهى", ".", "ثم", "قال", ":", "نعم"]);
    }

    #[test]
    fn initials_keep_their_stops() {
        assert_eq!(split("the U.S. and Ph.D. (U.N.)."), ["the", "U.S.", "and", "Ph.D", ".", "(", "U.N.", ")", "."]);
        assert_eq!(split("وكالة أ.ف.ب د. سمير"), ["وكالة", "أ.ف.ب", "د", ".", "سمير"]);
    }

    #[test]
    fn addresses_stay_whole() {
        assert_eq!(
            split("(https://example.org/a?b=1) name@example.org, @ali #مصر_الآن."),
            ["(", "https://example.org/a?b=1", ")", "name@example.org", ",", "@ali", "#مصر_الآن", "."]
        );
        assert_eq!(split("www.example.org؛ a@ @ #"), ["www.example.org", "؛", "a", "@", "@", "#"]);
    }

    #[test]
    fn punctuation_is_a_word_of_its_own() {
        assert_eq!(split("ماذا؟! «نعم»..."), ["ماذا", "؟", "!", "«", "نعم", "»", "..."]);
        assert_eq!(split("AT&T, bread & butter"), ["AT&T", ",", "bread", "&", "butter"]);
        assert_eq!(split("👩‍👩‍👧 🇪🇬!"), ["👩‍👩‍👧", "🇪🇬", "!"]);
    }

    #[test]
    fn invisible_characters_cling_to_a_word_or_vanish() {
        assert_eq!(split("\u{200f}مصر\u{200e} \u{200f} x"), ["\u{200f}مصر\u{200e}", "x"]);
        assert_eq!(split(" \u{feff} "), Vec::<&str>::new());
    }

    proptest! {
        #[test]
        fn words_are_ordered_and_cover_all_but_space(
            text in "([a-zA-Zء-ي0-9٠-٩ ]|[-.,،:/'’@#&%$()«»؟!_\u{200f}\u{64b}\u{640}\n\u{a0}]|\\PC){0,60}"
        ) {
            let spans = words(&text);
            let mut end = 0;
            for word in &spans {
                prop_assert!(word.start >= end && !word.is_empty());
                prop_assert!(!word.of(&text).contains(char::is_whitespace));
                let gap = &text[end..word.start];
                prop_assert!(gap.chars().all(|c| c.is_whitespace() || is_invisible(c)), "{gap:?} is in no word");
                end = word.end;
            }
            prop_assert!(text[end..].chars().all(|c| c.is_whitespace() || is_invisible(c)));
        }

        #[test]
        fn a_word_alone_is_one_word(text in "([a-zA-Z0-9٠-٩ ]|[ء-ي]\u{64b}?|[-.,،:/'’@#&%$()«»؟!_\u{640}]){0,40}") {
            for word in words(&text) {
                let word = word.of(&text);
                prop_assert_eq!(words(word), [Span::new(0, word.len())], "{:?}", word);
            }
        }
    }
}

//! The crude stems that a lexicon counts: on little data they tell more than inflected words.

use crate::words::is_invisible;

/// Letters of a stem.
const LENGTH: usize = 5;

/// The stem of an Arabic word: without vowel marks, one alif for all, without `و`/`ف` and the article, five letters.
pub(super) fn arabic(word: &str) -> String {
    let folded = fold(word);
    let mut rest = folded.as_str();
    if folded.chars().count() > 4 {
        rest = rest.strip_prefix(['و', 'ف']).unwrap_or(rest);
        rest = ["بال", "كال", "لل", "ال"].iter().find_map(|article| rest.strip_prefix(article)).unwrap_or(rest);
    }
    mark(rest.chars().take(LENGTH).collect())
}

/// The stem of an English word: what stands before an apostrophe, of hyphenated parts the longest, five letters in lower
/// case.
pub(super) fn english(word: &str) -> String {
    let word = word.split(['\'', '’']).next().filter(|head| !head.is_empty()).unwrap_or(word);
    let parts = || word.split('-').filter(|part| !part.is_empty());
    let word = parts().max_by_key(|part| (part.chars().count(), std::cmp::Reverse(part.as_ptr()))).unwrap_or(word);
    mark(word.to_lowercase().chars().filter(|&c| !is_invisible(c)).take(LENGTH).collect())
}

/// An Arabic word as it is compared: without vowel marks, tatweel and invisible characters, with one alif and one yeh.
pub(super) fn fold(word: &str) -> String {
    word.chars()
        .filter(|&c| !matches!(c, '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{640}') && !is_invisible(c))
        .map(|c| match c {
            'أ' | 'إ' | 'آ' | 'ٱ' => 'ا',
            'ى' => 'ي',
            c => c,
        })
        .collect()
}

/// Punctuation of either language in one form.
fn mark(word: String) -> String {
    let plain = match word.as_str() {
        "،" => ",",
        "؛" => ";",
        "؟" => "?",
        "٪" => "%",
        "“" | "”" | "«" | "»" => "\"",
        "‘" | "’" => "'",
        "–" | "—" => "-",
        "…" => "...",
        _ => return word,
    };
    plain.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems() {
        for (word, stem) in [
            ("والمدرسة", "مدرسة"),
            ("بالقاهرة", "قاهرة"),
            ("للحكومات", "حكوما"),
            ("ولد", "ولد"),
            ("إِلى", "الي"),
            ("؟", "?"),
            ("فالوا", "وا"),
            ("والال", "ال"),
        ] {
            assert_eq!(arabic(word), stem, "{word}");
        }
        for (word, stem) in
            [("Governments", "gover"), ("city's", "city"), ("so-called", "calle"), ("-", "-"), ("'", "'")]
        {
            assert_eq!(english(word), stem, "{word}");
        }
        assert_eq!(english("”"), "\"");
    }
}

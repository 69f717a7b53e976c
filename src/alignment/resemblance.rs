//! Whether an Arabic and an English word look like the same name, number or mark.

use super::stem::{self, fold};
use crate::words::is_arabic;

/// Consonants beyond this many are not compared: no name is longer.
const LONGEST: usize = 16;

/// What of a word is compared.
pub(super) struct Form {
    /// The word as a stem, for marks and words that are not translated.
    plain: String,
    /// Its digits, Western, a space between runs.
    digits: String,
    /// Its consonants in a common alphabet; empty where the word is no name.
    consonants: Vec<u8>,
}

impl Form {
    pub(super) fn arabic(word: &str) -> Self {
        let folded = fold(word);
        let consonants = if folded.starts_with(is_arabic) {
            skeleton(without_proclitics(&folded).chars().filter_map(arabic_consonant))
        } else {
            Vec::new()
        };
        Form { plain: plain(stem::arabic(word), &folded), digits: digits(word), consonants }
    }

    pub(super) fn english(word: &str) -> Self {
        let is_name = word.chars().next().is_some_and(char::is_uppercase);
        let consonants = if is_name { skeleton(english_consonants(word)) } else { Vec::new() };
        Form { plain: plain(stem::english(word), word), digits: digits(word), consonants }
    }
}

/// The stem of a mark, the whole of anything else, in lower case.
fn plain(stem: String, word: &str) -> String {
    if stem.chars().any(char::is_alphanumeric) { word.to_lowercase() } else { stem }
}

/// Whether both are the same mark, word or number.
pub(super) fn are_equal(source: &Form, target: &Form) -> bool {
    source.plain == target.plain || (!source.digits.is_empty() && source.digits == target.digits)
}

/// How much a capitalised English word sounds like an Arabic one, in [0, 1]: by the longest common sequence of
/// consonants, less for short names.
pub(super) fn of_names(source: &Form, target: &Form) -> f32 {
    let (left, right) = (&source.consonants, &target.consonants);
    if left.is_empty() || right.is_empty() {
        return 0.0;
    }
    let mut above = [0_u8; LONGEST + 1];
    for &a in left {
        let mut diagonal = 0;
        for (at, &b) in right.iter().enumerate() {
            let here = if a == b { diagonal + 1 } else { above[at].max(above[at + 1]) };
            diagonal = above[at + 1];
            above[at + 1] = here;
        }
    }
    let common = f32::from(above[right.len()]);
    let alike = 2.0 * common / (left.len() + right.len()) as f32;
    (2.0 * (alike - 0.5)).max(0.0) * (left.len().min(right.len()) as f32 / 3.0).min(1.0)
}

/// Without `و`/`ف`, a preposition and the article, as long as three letters are left.
fn without_proclitics(word: &str) -> &str {
    let strip = |word: &str, prefixes: &[&str]| -> usize {
        prefixes.iter().find(|prefix| word.starts_with(**prefix)).map_or(0, |prefix| prefix.len())
    };
    let conjunction = strip(word, &["و", "ف"]);
    let both = conjunction + strip(&word[conjunction..], &["بال", "كال", "لل", "ال", "ب", "ل", "ك"]);
    let only_preposition = strip(word, &["بال", "كال", "لل", "ال", "ب", "ل", "ك"]);
    [both, conjunction, only_preposition]
        .into_iter()
        .map(|cut| &word[cut..])
        .find(|rest| rest.chars().count() >= 3)
        .unwrap_or(word)
}

/// Consonants one after the other, doubled ones once.
fn skeleton(consonants: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut skeleton: Vec<u8> = consonants.take(4 * LONGEST).collect();
    skeleton.dedup();
    skeleton.truncate(LONGEST);
    skeleton
}

/// The common alphabet: consonants that Arabic and English writing confuse have one letter.
fn arabic_consonant(c: char) -> Option<u8> {
    Some(match c {
        'ب' | 'پ' => b'b',
        'ت' | 'ث' | 'ط' => b't',
        'ج' | 'غ' | 'گ' => b'g',
        'ح' | 'ه' => b'h',
        'خ' | 'ق' | 'ك' => b'k',
        'د' | 'ذ' | 'ض' | 'ظ' => b'd',
        'ر' => b'r',
        'ز' | 'س' | 'ش' | 'ص' | 'چ' => b's',
        'ف' | 'ڤ' => b'f',
        'ل' => b'l',
        'م' => b'm',
        'ن' => b'n',
        _ => return None,
    })
}

fn english_consonants(word: &str) -> impl Iterator<Item = u8> {
    let word: String = {
        use unicode_normalization::UnicodeNormalization;
        let word = word.strip_suffix("'s").or_else(|| word.strip_suffix("’s")).unwrap_or(word);
        word.nfd().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase()
    };
    let pairs = [
        ("ph", "f"),
        ("sch", "s"),
        ("sh", "s"),
        ("ch", "s"),
        ("th", "t"),
        ("gh", "g"),
        ("kh", "k"),
        ("ck", "k"),
        ("qu", "k"),
        ("x", "ks"),
    ];
    let word = pairs.iter().fold(word, |word, (from, to)| word.replace(from, to));
    let consonants: Vec<u8> = word
        .bytes()
        .filter_map(|byte| match byte {
            b'b' | b'p' => Some(b'b'),
            b't' => Some(b't'),
            b'd' => Some(b'd'),
            b'j' | b'g' => Some(b'g'),
            b'c' | b'k' | b'q' => Some(b'k'),
            b'f' | b'v' => Some(b'f'),
            b'r' | b'l' | b'm' | b'n' | b'h' => Some(byte),
            b'z' | b's' => Some(b's'),
            _ => None,
        })
        .collect();
    consonants.into_iter()
}

/// Runs of digits as Western ones, a space between two runs.
fn digits(word: &str) -> String {
    let mut digits = String::new();
    let mut in_run = false;
    for c in word.chars() {
        let digit = match c {
            '0'..='9' => Some(c),
            '٠'..='٩' => char::from_u32(c as u32 - '٠' as u32 + '0' as u32),
            '۰'..='۹' => char::from_u32(c as u32 - '۰' as u32 + '0' as u32),
            _ => None,
        };
        if let Some(digit) = digit {
            if !in_run && !digits.is_empty() {
                digits.push(' ');
            }
            digits.push(digit);
        }
        in_run = digit.is_some();
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sound_alike() {
        let alike = |arabic: &str, english: &str| of_names(&Form::arabic(arabic), &Form::english(english));
        for (arabic, english) in
            [("مارغريت", "Margaret"), ("وبالقاهرة", "Cairo"), ("شينجن", "Shenzhen's"), ("وفيليب", "Philip")]
        {
            let score = alike(arabic, english);
            assert!(score > 0.3 || english == "Cairo", "{arabic} {english} {score}");
        }
        assert_eq!(alike("مدرسة", "Queen"), 0.0);
        assert_eq!(alike("مارغريت", "margaret"), 0.0, "no capital, no name");
        assert!(alike("نوكيا", "Nokia") > alike("نوكيا", "Kenya"));
    }

    #[test]
    fn numbers_and_marks_are_equal() {
        let equal = |arabic: &str, english: &str| are_equal(&Form::arabic(arabic), &Form::english(english));
        assert!(
            equal("؟", "?")
                && equal("٢٥", "25")
                && equal("و2006", "2006")
                && equal("BBC", "bbc")
                && equal("1,5", "1.5")
        );
        assert!(!equal("25", "26") && !equal("نعم", "yes") && !equal("...", "."));
    }
}

//! Cutting a sentence that is too long for a model.

use unicode_segmentation::UnicodeSegmentation;

use crate::span::Span;

/// Conjunctions and particles that begin a clause: a cut before one leaves two readable parts.
const CLAUSE_WORDS: [&str; 30] = [
    "ثم",
    "لكن",
    "ولكن",
    "بل",
    "حيث",
    "وحيث",
    "بينما",
    "فيما",
    "كما",
    "إذ",
    "إذا",
    "لأن",
    "لأنه",
    "لأنها",
    "حتى",
    "مما",
    "الذي",
    "التي",
    "الذين",
    "والتي",
    "والذي",
    "أو",
    "وقد",
    "وذلك",
    "وهو",
    "وهي",
    "بعدما",
    "عندما",
    "قبل",
    "بعد",
];

/// How good a place for a cut is: the larger the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Quality {
    Space,
    /// Before a word that starts with `و` (and).
    And,
    Clause,
    Comma,
    Stop,
}

/// Cuts `sentence` into parts for which `fits` is true, at the best places: after a full stop or semicolon, else after
/// a comma, colon, dash or closing bracket, else before a conjunction, else at a space, else between two characters.
/// The spans tile the sentence; a part keeps the space behind it.
///
/// `fits` is asked O(log n) times per part, about texts of at most twice the part's length, so that a sentence of a
/// megabyte takes no more than its share. A single character that doesn't fit is a part all the same.
///
/// ```
/// use tarjim::splitter::split_long;
///
/// let sentence = "خرج الناس إلى الشوارع، ثم عادوا إلى بيوتهم في المساء";
/// let spans = split_long(sentence, &|part| part.split_whitespace().count() <= 6);
/// let parts: Vec<&str> = spans.iter().map(|span| span.of(sentence)).collect();
/// assert_eq!(parts, ["خرج الناس إلى الشوارع، ", "ثم عادوا إلى بيوتهم في المساء"]);
/// ```
pub fn split_long(sentence: &str, fits: &dyn Fn(&str) -> bool) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut start = 0;
    while start < sentence.len() {
        let rest = &sentence[start..];
        let reach = reach(rest, fits);
        let length = if reach == rest.len() { reach } else { cut(rest, reach, fits) };
        spans.push(Span::new(start, start + length));
        start += length;
    }
    spans
}

/// The length of the longest beginning of `text` that fits, as far as galloping and halving find it; at least one
/// grapheme.
fn reach(text: &str, fits: &dyn Fn(&str) -> bool) -> usize {
    let mut good = text.graphemes(true).next().map_or(text.len(), str::len);
    let mut bad = None;
    let mut step = 64;
    while bad.is_none() && good < text.len() {
        let end = text.floor_char_boundary((good + step).min(text.len()));
        if fits(&text[..end]) {
            good = end;
            step *= 2;
        } else {
            bad = Some(end);
        }
    }
    let Some(mut bad) = bad else { return good };
    loop {
        let middle = text.floor_char_boundary(good + (bad - good) / 2);
        if middle <= good {
            return good;
        }
        if fits(&text[..middle]) {
            good = middle;
        } else {
            bad = middle;
        }
    }
}

/// The best length for a part of at most `reach` bytes of `text`, which is longer.
fn cut(text: &str, reach: usize, fits: &dyn Fn(&str) -> bool) -> usize {
    // Parts shorter than a third would waste what the model can see. Where two parts will do, the middle is best:
    // a full part and a stump translate worse than two halves.
    let ideal = if text.len() <= 2 * reach { text.len() / 2 } else { reach };
    let mut places = places(text, reach);
    places.retain(|&(at, _)| at >= reach / 3);
    places.sort_by_key(|&(at, quality)| (std::cmp::Reverse(quality), at.abs_diff(ideal)));
    if let Some(&(at, _)) = places.iter().find(|&&(at, _)| fits(&text[..at])) {
        return at;
    }
    // One word fills the part: cut between two characters, never inside one.
    let mut length = 0;
    for (at, grapheme) in text.grapheme_indices(true) {
        if at + grapheme.len() > reach {
            break;
        }
        length = at + grapheme.len();
    }
    if length == 0 { text.graphemes(true).next().map_or(text.len(), str::len) } else { length }
}

/// The places in the first `reach` bytes of `text` where a word begins, each with its quality as a cut.
fn places(text: &str, reach: usize) -> Vec<(usize, Quality)> {
    let mut places = Vec::new();
    let mut before = None;
    let mut space = false;
    for (at, c) in text.char_indices().take_while(|&(at, _)| at <= reach) {
        if c.is_whitespace() {
            space = true;
            continue;
        }
        if let Some(before) = before.filter(|_| space) {
            let word = text[at..].split(char::is_whitespace).next().unwrap_or_default();
            places.push((at, quality(before, word)));
        }
        before = Some(c);
        space = false;
    }
    places
}

fn quality(before: char, word: &str) -> Quality {
    match before {
        '.' | '!' | '?' | '؟' | '…' | '؛' | ';' => Quality::Stop,
        '،' | ',' | ':' | ')' | ']' | '»' | '”' | '–' | '—' => Quality::Comma,
        _ if CLAUSE_WORDS.contains(&word) => Quality::Clause,
        _ if word.starts_with('و') && word.chars().count() > 3 => Quality::And,
        _ => Quality::Space,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(sentence: &str, longest: usize) -> Vec<&str> {
        split_long(sentence, &|part| part.chars().count() <= longest).iter().map(|span| span.of(sentence)).collect()
    }

    #[test]
    fn best_places_first() {
        assert_eq!(parts("قصيرة", 10), ["قصيرة"]);
        assert_eq!(parts("واحد اثنان؛ ثلاثة، أربعة خمسة", 20), ["واحد اثنان؛ ", "ثلاثة، أربعة خمسة"]);
        assert_eq!(parts("واحد اثنان ثلاثة ثم أربعة خمسة", 20), ["واحد اثنان ثلاثة ", "ثم أربعة خمسة"]);
        assert_eq!(parts("", 3), [""; 0]);
    }

    #[test]
    fn words_that_are_too_long_and_characters_that_never_fit() {
        assert_eq!(parts("ابتثجحخ", 3), ["ابت", "ثجح", "خ"]);
        assert_eq!(split_long("كِتاب", &|_| false).len(), 4, "a letter keeps its vowel sign");
    }

    #[test]
    fn a_megabyte_asks_little() {
        for unit in ["كلمة ", "ك"] {
            let text = unit.repeat((1 << 20) / unit.len());
            let asked = std::cell::Cell::new(0_usize);
            let spans = split_long(&text, &|part| {
                asked.set(asked.get() + part.len());
                part.len() <= 1000
            });
            assert!(spans.len() < 3200, "{}", spans.len());
            assert!(asked.get() < 200 * text.len(), "{}", asked.get());
        }
    }

    proptest! {
        #[test]
        fn parts_tile_and_fit(sentence in "(\\PC|[ ،.]|كلمة ){0,80}", longest in 1_usize..40) {
            let spans = split_long(&sentence, &|part| part.chars().count() <= longest);
            let mut end = 0;
            for span in &spans {
                prop_assert_eq!(span.start, end);
                let part = span.of(&sentence);
                prop_assert!(part.chars().count() <= longest || part.graphemes(true).count() == 1, "{:?}", part);
                end = span.end;
            }
            prop_assert_eq!(end, sentence.len());
        }
    }
}

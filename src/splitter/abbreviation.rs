//! Words whose full stop doesn't end a sentence.

use std::sync::LazyLock;

use sentencex::languages::{English, Language};

use super::character::{is_arabic_letter, is_arabic_mark};

/// What the word before a full stop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Abbreviation {
    /// An ordinary word.
    None,
    /// A title or initial that a name follows: one Arabic letter (`د.` doctor, `أ.` professor, `م.` engineer, `ش.`
    /// sheikh, `ص.` page, …), or titles run together (`أ.د.`).
    Title,
    /// Letters with full stops between them (`أ.ف.ب.`, `ق.م.`), which may end a sentence as well.
    Acronym,
    /// One Latin capital (`J.`): an initial before a Latin name, otherwise a name of its own (`X.`).
    LatinInitial,
    /// A Latin abbreviation (`Mr.`, `Inc.`, `U.S.`).
    Latin,
    /// A Latin abbreviation that is a word as well (`no.`, `fig.`): it counts where a number follows.
    LatinBeforeNumber,
}

/// Titles of more than one letter, and titles with `و` (and) in front.
const ARABIC_TITLES: [&str; 10] = ["أ.د", "ا.د", "أ.م.د", "ا.م.د", "م.د", "د.م", "ود", "وأ", "وم", "ص.ب"];

/// Entries of the English list that are common words too.
const LATIN_WORDS: [&str; 26] = [
    "ala", "ark", "art", "cal", "col", "con", "fed", "fig", "id", "ill", "la", "man", "mar", "mass", "may", "me",
    "minn", "miss", "no", "ok", "ore", "pop", "que", "sun", "wash", "nos",
];

/// Words after which a single letter is a label: "group A", "vitamin D".
const LABELLED: [&str; 22] = [
    "فيتامين",
    "المجموعة",
    "مجموعة",
    "الفئة",
    "فئة",
    "القسم",
    "الخطة",
    "خطة",
    "النوع",
    "الدرجة",
    "المستوى",
    "الملحق",
    "البند",
    "الفقرة",
    "الصف",
    "الحرف",
    "حرف",
    "الكبد",
    "النقطة",
    "الطابق",
    "المنطقة",
    "الفريق",
];

static ENGLISH: LazyLock<English> = LazyLock::new(|| English {});

/// What `word`, which a full stop follows, is; the stop itself is not part of it.
pub(super) fn classify(word: &str) -> Abbreviation {
    let letters = word.chars().filter(|&c| !is_arabic_mark(c)).count();
    let first = word.chars().next().unwrap_or(' ');
    if ARABIC_TITLES.contains(&word) {
        return Abbreviation::Title;
    }
    if letters == 1 {
        return match first {
            _ if is_arabic_letter(first) => Abbreviation::Title,
            'A'..='Z' => Abbreviation::LatinInitial,
            _ => Abbreviation::None,
        };
    }
    if word.contains('.') && word.split('.').all(|part| part.chars().filter(|&c| !is_arabic_mark(c)).count() == 1) {
        return match first {
            _ if is_arabic_letter(first) => Abbreviation::Acronym,
            _ if first.is_ascii_alphabetic() => Abbreviation::Latin,
            _ => Abbreviation::None,
        };
    }
    if word.is_ascii() {
        let lower = word.to_ascii_lowercase();
        if LATIN_WORDS.contains(&lower.as_str()) {
            return Abbreviation::LatinBeforeNumber;
        }
        if ENGLISH.get_abbreviations().contains(&lower) {
            return Abbreviation::Latin;
        }
    }
    Abbreviation::None
}

/// Whether a single letter after `word` is a label of that word, not an initial.
pub(super) fn labels(word: &str) -> bool {
    LABELLED.contains(&word) || word.strip_prefix(['و', 'ب', 'ل']).is_some_and(|rest| LABELLED.contains(&rest))
}

/// Whether `word` is the name of a month, in any of the calendars of Arabic news.
pub(super) fn is_month(word: &str) -> bool {
    const MONTHS: [&str; 44] = [
        "يناير",
        "فبراير",
        "مارس",
        "أبريل",
        "ابريل",
        "إبريل",
        "مايو",
        "يونيو",
        "يوليو",
        "أغسطس",
        "اغسطس",
        "سبتمبر",
        "أكتوبر",
        "اكتوبر",
        "نوفمبر",
        "ديسمبر",
        "كانون",
        "شباط",
        "آذار",
        "نيسان",
        "أيار",
        "حزيران",
        "تموز",
        "آب",
        "أيلول",
        "تشرين",
        "جانفي",
        "فيفري",
        "أفريل",
        "ماي",
        "جوان",
        "جويلية",
        "أوت",
        "محرم",
        "صفر",
        "ربيع",
        "جمادى",
        "رجب",
        "شعبان",
        "رمضان",
        "شوال",
        "ذو",
        "ذي",
        "شتنبر",
    ];
    MONTHS.contains(&word)
}

/// Whether `word` tells who said the question or exclamation quoted just before it.
pub(super) fn attributes(word: &str) -> bool {
    const VERBS: [&str; 36] = [
        "قال",
        "قالت",
        "قالوا",
        "يقول",
        "تقول",
        "يقولون",
        "سأل",
        "سألت",
        "يسأل",
        "تسأل",
        "تساءل",
        "تساءلت",
        "يتساءل",
        "تتساءل",
        "صرخ",
        "صرخت",
        "يصرخ",
        "هتف",
        "هتفت",
        "هتفوا",
        "صاح",
        "صاحت",
        "أجاب",
        "أجابت",
        "رد",
        "ردت",
        "كتب",
        "كتبت",
        "أضاف",
        "أضافت",
        "صرح",
        "صرحت",
        "علق",
        "علقت",
        "غرد",
        "غردت",
    ];
    VERBS.contains(&word)
}

/// Whether `word`, after an ellipsis, goes on with the sentence.
pub(super) fn goes_on(word: &str) -> bool {
    const WORDS: [&str; 16] = [
        "إلخ",
        "الخ",
        "فيما",
        "بينما",
        "حيث",
        "لكن",
        "ولكن",
        "بل",
        "أو",
        "ثم",
        "التي",
        "الذي",
        "الذين",
        "مما",
        "إذ",
        "حتى",
    ];
    WORDS.contains(&word) || word.starts_with("فال") || word.starts_with("فإن")
}

/// Whether `word` is a preposition: a sentence rarely begins with one after a unit or a label (`المجموعة ج. في ...`).
pub(super) fn is_preposition(word: &str) -> bool {
    matches!(
        word,
        "في" | "من"
            | "إلى"
            | "على"
            | "عن"
            | "مع"
            | "حتى"
            | "بين"
            | "لدى"
            | "عند"
            | "خلال"
            | "قبل"
            | "بعد"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        for (word, expected) in [
            ("د", Abbreviation::Title),
            ("هـ", Abbreviation::Title),
            ("أ.د", Abbreviation::Title),
            ("أ.ف.ب", Abbreviation::Acronym),
            ("J", Abbreviation::LatinInitial),
            ("U.S", Abbreviation::Latin),
            ("Mr", Abbreviation::Latin),
            ("No", Abbreviation::LatinBeforeNumber),
            ("قال", Abbreviation::None),
            ("5", Abbreviation::None),
            ("", Abbreviation::None),
        ] {
            assert_eq!(classify(word), expected, "{word}");
        }
    }

    #[test]
    fn labels_with_a_particle() {
        assert!(labels("المجموعة") && labels("بالمجموعة") || labels("والمجموعة"));
        assert!(!labels("الدكتور"));
    }
}

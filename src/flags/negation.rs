//! Negation of the source that the target lost.

use super::quantity::fold_arabic;
use super::{Evidence, Flag, FlagKind, folded, quoted};
use crate::span::Span;

/// The source has a negation (`لم لن لا ليس ما غير دون عدم`) and the target has no word that denies anything.
///
/// Turns of phrase that only look negated are left out: `لا يزال` (still), `لا سيما` (especially), `لا بد` (must),
/// `غير أن` (however), `لا … إلا` (only). A target that denies something else hides the loss; the flag would rather
/// be silent than wrong.
pub(super) fn check(evidence: &Evidence<'_>) -> Option<Flag> {
    let negations = negations(evidence.source, evidence.source_words);
    if negations.is_empty() || denies(&folded(evidence.target, evidence.target_words)) {
        return None;
    }
    Some(Flag {
        kind: FlagKind::NegationLost,
        reason: format!(
            "the source denies something ({}), the translation does not",
            quoted(negations.iter().map(|word| word.of(evidence.source)))
        ),
        source: negations,
        target: Vec::new(),
    })
}

/// The words that deny something in an Arabic text.
fn negations(text: &str, words: &[Span]) -> Vec<Span> {
    let folded: Vec<String> = words.iter().map(|word| fold_arabic(word.of(text))).collect();
    // `لا … إلا` with its halves near each other says `only`.
    let excepts = |at: usize| folded[at + 1..].iter().take(8).any(|word| matches!(word.as_str(), "الا" | "سوي"));
    let next = |at: usize| folded.get(at + 1).map_or("", String::as_str);
    let mut found = Vec::new();
    for (at, word) in folded.iter().enumerate() {
        let bare = match word.as_str() {
            // One letter less would make another word of these.
            "ولم" | "فلم" | "ولن" | "فلن" | "ولا" | "فلا" | "وما" | "فما" | "وليس" | "فليس" | "وليست" | "فليست"
            | "وغير" | "ودون" | "وعدم" | "وبدون" | "وليسوا" | "ولست" | "ولسنا" => {
                &word['و'.len_utf8()..]
            }
            "الم" | "اولم" | "افلم" => "لم",
            word => word,
        };
        let denies = match bare {
            "لم" => !matches!(next(at), "يزل" | "تزل" | "يكد" | "تكد" | "يلبث" | "تلبث") && !excepts(at),
            "لا" => {
                !matches!(
                    next(at),
                    "يزال"
                        | "تزال"
                        | "يزالون"
                        | "زال"
                        | "زالت"
                        | "زالوا"
                        | "نزال"
                        | "ازال"
                        | "سيما"
                        | "بد"
                        | "شك"
                        | "ريب"
                        | "محالة"
                        | "جرم"
                        | "باس"
                        | "غير"
                        | "غرو"
                        | "حصر"
                        | "حول"
                ) && !excepts(at)
            }
            "لن" | "ليس" | "ليست" | "ليسوا" | "لسنا" | "لست" => !excepts(at),
            "ما" => is_negating_ma(&folded, at) && !excepts(at),
            "غير" => !matches!(next(at), "ان" | "انه" | "انها" | "انهم" | "ذلك"),
            "دون" => !matches!(next(at), "سن" | "مستوي" | "خط" | "طيار"),
            "بدون" => next(at) != "طيار",
            "بلا" | "عدم" | "لعدم" | "بعدم" | "وعدم" => true,
            _ => false,
        };
        if denies {
            found.push(words[at]);
        }
    }
    found
}

/// `ما` denies at the head of a clause before a past verb; anywhere else it mostly means `what`. Only the plain case
/// is taken: first word or after a stop, before `كان`, `عاد` or `من`.
fn is_negating_ma(folded: &[String], at: usize) -> bool {
    let first = at == 0 || matches!(folded[at - 1].as_str(), "،" | "." | ":" | "\"" | "«" | "“" | "؛");
    let next = folded.get(at + 1).map_or("", String::as_str);
    first && matches!(next, "كان" | "كانت" | "عاد" | "عادت" | "من" | "كنا" | "كنت" | "كانوا")
}

/// Whether an English text denies anything, by a word of its own or by a prefix.
fn denies(words: &[String]) -> bool {
    words.iter().any(|word| {
        let word = word.as_str();
        word.ends_with("n't")
            || word.ends_with("n’t")
            || word.split('-').any(|part| WORDS.contains(&part))
            || STEMS.iter().any(|stem| word.starts_with(stem))
            || (word.ends_with("less") && word.len() > 5)
            || (word.starts_with("un") && word.len() > 4 && !UN.iter().any(|stem| word.starts_with(stem)))
    })
}

/// Words that deny, or may stand for a denial.
const WORDS: &[&str] = &[
    "not",
    "no",
    "never",
    "none",
    "neither",
    "nor",
    "nobody",
    "nothing",
    "nowhere",
    "without",
    "cannot",
    "hardly",
    "barely",
    "scarcely",
    "unless",
    "except",
    "lack",
    "lacks",
    "lacking",
    "lacked",
    "absent",
    "absence",
    "rarely",
    "seldom",
    "non",
    "instead",
    "offline",
    "difficult",
    "hard",
    "beyond",
    "off",
    "outside",
    "free",
    "far",
];

/// Beginnings of words that deny.
const STEMS: &[&str] = &[
    "fail",
    "refus",
    "reject",
    "denied",
    "denies",
    "deny",
    "avoid",
    "prevent",
    "prohibit",
    "ceas",
    "impossib",
    "illegal",
    "illicit",
    "illegit",
    "imposs",
    "impract",
    "improper",
    "inab",
    "inacc",
    "inact",
    "inadeq",
    "inappr",
    "incap",
    "incompat",
    "incompl",
    "incons",
    "incorrect",
    "indecis",
    "indefin",
    "indirect",
    "ineff",
    "inequal",
    "inevit",
    "inexp",
    "informal",
    "inhum",
    "injust",
    "insec",
    "insens",
    "instab",
    "insuff",
    "intoler",
    "invalid",
    "invis",
    "invol",
    "irreg",
    "irrel",
    "irrepl",
    "irresp",
    "irrevers",
    "nonp",
    "nonv",
    "disag",
    "disallow",
    "disappr",
    "disb",
    "disconn",
    "dishon",
    "disl",
    "disob",
    "disqual",
    "disreg",
    "disres",
    "dissat",
    "discomf",
    "forbid",
    "forbad",
    "exclud",
    "withh",
    "abst",
    "neglect",
    "ignor",
    "anonym",
    "abnorm",
    "infin",
    "indomit",
    "asynchr",
    "defici",
];

/// Words that begin with `un` and deny nothing.
const UN: &[&str] = &[
    "under", "union", "unit", "unif", "univ", "uniq", "uncle", "until", "unanim", "unesco", "unicef", "unisex",
    "undula",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::words;

    fn is_flagged(source: &str, target: &str) -> bool {
        let (source_words, target_words) = (words(source), words(target));
        check(&Evidence {
            source,
            target,
            source_words: &source_words,
            target_words: &target_words,
            ..Evidence::default()
        })
        .is_some()
    }

    #[test]
    fn lost_negation() {
        assert!(is_flagged("لم يحضر المدير", "The manager came"));
        assert!(is_flagged("ولن تغلق المدرسة أبوابها", "The school will close its doors"));
        assert!(is_flagged("هذا غير صحيح", "This is right"));
        assert!(is_flagged("قال ان السعر ليس مرتفعا", "He said the price is high"));
        assert!(is_flagged("ما كان أحد يعرف", "Everybody knew"));
    }

    #[test]
    fn kept_negation() {
        for target in
            ["The manager did not come", "The manager didn’t come", "The manager failed to come", "He was unable to"]
        {
            assert!(!is_flagged("لم يحضر المدير", target), "{target}");
        }
        assert!(!is_flagged("غادر دون اتفاق", "He left without a deal"));
        assert!(!is_flagged("عمال غير مهرة", "unskilled workers"));
    }

    #[test]
    fn what_only_looks_negated() {
        assert!(!is_flagged("لا يزال المطر يهطل", "It is still raining"));
        assert!(!is_flagged("لا سيما في الشتاء", "especially in winter"));
        assert!(!is_flagged("غير أن الطريق مفتوح", "However, the road is open"));
        assert!(!is_flagged("لا يعمل إلا يوما واحدا", "He works just one day"));
        assert!(!is_flagged("سأل ما إذا كان الطريق مفتوحا", "He asked whether the road was open"));
    }
}

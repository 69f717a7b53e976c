//! Latin words and addresses of the source that the target lost, and addresses that it made up.

use super::{Evidence, Flag, FlagKind, folded, quoted};
use crate::span::Span;

/// A source word in Latin letters (`WhatsApp`, `F-16`, `@name`, `example.org`) must stand in the target, in whatever
/// case. An address or tag of the target must stand in the source: a model may turn a name into letters as it likes,
/// but an address that is not there was made up.
pub(super) fn check(evidence: &Evidence<'_>) -> Option<Flag> {
    let source_folded = evidence.source.to_lowercase();
    let target_words = folded(evidence.target, evidence.target_words);
    let target_cores: Vec<&str> = target_words.iter().map(|word| core(word)).collect();
    let is_there = |word: &str| {
        let folded = word.to_lowercase();
        let wanted = core(&folded);
        let parts = || wanted.split('-').filter(|part| !part.is_empty());
        target_cores.iter().any(|word| *word == wanted || word.strip_suffix('s') == Some(wanted))
            || parts().all(|part| target_cores.iter().any(|word| word.split('-').any(|other| other == part)))
    };
    let lost: Vec<Span> = evidence
        .source_words
        .iter()
        .copied()
        .filter(|word| is_latin(word.of(evidence.source)) && !is_there(word.of(evidence.source)))
        .collect();
    let invented: Vec<Span> = evidence
        .target_words
        .iter()
        .copied()
        .filter(|word| is_address(word.of(evidence.target)))
        .filter(|word| !source_folded.contains(core(&word.of(evidence.target).to_lowercase())))
        .collect();
    let mut reasons = Vec::new();
    if !lost.is_empty() {
        let verb = if lost.len() == 1 { "is" } else { "are" };
        reasons.push(format!("{} {verb} missing", quoted(lost.iter().map(|word| word.of(evidence.source)))));
    }
    if !invented.is_empty() {
        let verb = if invented.len() == 1 { "is" } else { "are" };
        reasons
            .push(format!("{} {verb} not in the source", quoted(invented.iter().map(|word| word.of(evidence.target)))));
    }
    (!reasons.is_empty()).then(|| Flag {
        kind: FlagKind::LatinMismatch,
        reason: reasons.join("; "),
        source: lost,
        target: invented,
    })
}

/// Whether a word has at least two Latin letters and no other ones; one letter is a formula's or a list's.
fn is_latin(word: &str) -> bool {
    let latin = |c: char| c.is_ascii_alphabetic() || matches!(c, '\u{c0}'..='\u{24f}');
    word.chars().filter(|c| c.is_alphabetic()).all(latin) && word.chars().filter(|&c| latin(c)).count() >= 2
}

fn is_address(word: &str) -> bool {
    word.contains("://")
        || word.starts_with("www.")
        || (word.contains('@') && word.len() > 1)
        || (word.starts_with('#') && word.chars().nth(1).is_some_and(char::is_alphabetic))
}

/// The word without invisible characters around it, a possessive, or a plural after capitals (`MPs`).
fn core(word: &str) -> &str {
    let word = word.trim_matches(crate::words::is_invisible);
    let word = word.strip_suffix("'s").or_else(|| word.strip_suffix("’s")).unwrap_or(word);
    word.trim_end_matches(['\'', '’', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::words;

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
    fn words_that_are_there() {
        assert_eq!(reason("تطبيق WhatsApp", "Whatsapp's application"), None);
        assert_eq!(reason("طائرة F-16 و U.S.", "an F-16 of the U.S."), None);
        assert_eq!(reason("شركة Al-Noor", "the Al Noor company"), None);
        assert_eq!(reason("النقطة a", "the point"), None);
    }

    #[test]
    fn words_that_are_not() {
        assert_eq!(reason("تطبيق WhatsApp", "the app").unwrap(), "“WhatsApp” is missing");
        assert_eq!(reason("انظر https://example.org/a", "see").unwrap(), "“https://example.org/a” is missing");
        assert_eq!(reason("انظر", "see www.example.org").unwrap(), "“www.example.org” is not in the source");
    }
}

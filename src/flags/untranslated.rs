//! Source words that nothing in the target comes from, and Arabic left standing in the English.

use super::{Evidence, Flag, FlagKind, quoted};
use crate::span::Span;
use crate::words::is_arabic;

/// Words shorter than this say little: particles that English has no word for.
const SHORTEST: usize = 4;

/// Flags content words of the source whose coverage (their share of all target words' attention) is below `threshold`
/// and Arabic letters in the target.
pub(super) fn check(evidence: &Evidence<'_>, threshold: f32) -> Option<Flag> {
    let copied: Vec<Span> =
        evidence.target_words.iter().copied().filter(|word| word.of(evidence.target).contains(is_arabic)).collect();
    let uncovered = uncovered(evidence, threshold);
    let mut reasons = Vec::new();
    if !uncovered.is_empty() {
        let words = quoted(uncovered.iter().map(|word| word.of(evidence.source)));
        reasons.push(format!("nothing in the translation comes from {words}"));
    }
    if !copied.is_empty() {
        let words = quoted(copied.iter().map(|word| word.of(evidence.target)));
        reasons.push(format!("{words} was left in Arabic"));
    }
    (!reasons.is_empty()).then(|| Flag {
        kind: FlagKind::Untranslated,
        reason: reasons.join("; "),
        source: uncovered,
        target: copied,
    })
}

fn uncovered(evidence: &Evidence<'_>, threshold: f32) -> Vec<Span> {
    let Some(matrix) = evidence.matrix.filter(|matrix| matrix.sources() == evidence.source_words.len()) else {
        return Vec::new();
    };
    let coverage = matrix.coverage();
    let is_content = |word: &str| word.chars().filter(|c| c.is_alphanumeric()).count() >= SHORTEST;
    evidence
        .source_words
        .iter()
        .zip(&coverage)
        .filter(|&(word, &covered)| covered < threshold && is_content(word.of(evidence.source)))
        .map(|(&word, _)| word)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alignment::Matrix;
    use crate::words::words;

    fn flag(source: &str, target: &str, rows: &[Vec<f32>]) -> Option<Flag> {
        let (source_words, target_words) = (words(source), words(target));
        let matrix = Matrix::from_rows(rows).unwrap();
        check(
            &Evidence {
                source,
                target,
                source_words: &source_words,
                target_words: &target_words,
                matrix: Some(&matrix),
                ..Evidence::default()
            },
            0.15,
        )
    }

    #[test]
    fn a_word_without_attention_is_named() {
        let flag = flag(
            "وصلت القافلة صباحا",
            "The convoy arrived",
            &[vec![0.0, 0.9, 0.0], vec![0.0, 0.9, 0.1], vec![0.9, 0.0, 0.0]],
        );
        let flag = flag.unwrap();
        assert_eq!(flag.source[0].of("وصلت القافلة صباحا"), "صباحا");
        assert!(flag.reason.ends_with("“صباحا”"), "{}", flag.reason);
    }

    #[test]
    fn short_words_and_marks_may_go_without() {
        assert_eq!(flag("قد وصل .", "arrived", &[vec![0.0, 1.0, 0.0]]), None);
    }

    #[test]
    fn arabic_in_the_english_is_named() {
        let flag = flag("وصلت", "وصلت today", &[vec![1.0], vec![0.0]]).unwrap();
        assert_eq!((flag.source.len(), flag.target.len()), (0, 1));
    }
}

//! A translation the model itself was unsure of.

use super::{Evidence, Flag, FlagKind, FlagOptions, quoted};
use crate::span::Span;

/// Flags a sentence of low confidence and names its least certain words.
pub(super) fn check(evidence: &Evidence<'_>, options: &FlagOptions) -> Option<Flag> {
    let confidence = evidence.confidence.filter(|&confidence| confidence < options.confidence)?;
    let doubtful: Vec<Span> = evidence
        .target_words
        .iter()
        .zip(evidence.word_confidences)
        .filter(|&(word, &certainty)| {
            certainty < options.word_confidence && word.of(evidence.target).chars().any(char::is_alphanumeric)
        })
        .map(|(&word, _)| word)
        .collect();
    let mut reason = format!("the model gives this translation a confidence of {:.0} %", confidence * 100.0);
    if !doubtful.is_empty() {
        reason.push_str("; least sure of ");
        reason.push_str(&quoted(doubtful.iter().map(|word| word.of(evidence.target))));
    }
    Some(Flag { kind: FlagKind::LowConfidence, reason, source: Vec::new(), target: doubtful })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::words;

    #[test]
    fn names_the_words_it_doubts() {
        let target = "A rare bird .";
        let target_words = words(target);
        let mut evidence = Evidence {
            target,
            target_words: &target_words,
            confidence: Some(0.2),
            word_confidences: &[0.9, 0.1, 0.6, 0.1],
            ..Evidence::default()
        };
        let flag = check(&evidence, &FlagOptions::default()).unwrap();
        assert_eq!(flag.target, [target_words[1]]);
        assert_eq!(flag.reason, "the model gives this translation a confidence of 20 %; least sure of “rare”");
        evidence.confidence = Some(0.9);
        assert_eq!(check(&evidence, &FlagOptions::default()), None);
        evidence.confidence = None;
        assert_eq!(check(&evidence, &FlagOptions::default()), None);
    }
}

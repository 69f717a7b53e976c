//! A target far too short or far too long for its source.

use super::{Evidence, Flag, FlagKind};

/// English letters per Arabic letter in translated news: about this many on average.
const USUAL: f64 = 1.2;

/// How many times longer or shorter than usual is too much.
const FACTOR: f64 = 1.9;

/// Letters of slack on either side, so that short headlines may vary.
const SLACK: f64 = 18.0;

/// Compares the letters and digits of both sides: vowel marks, spaces and punctuation do not count.
pub(super) fn check(evidence: &Evidence<'_>) -> Option<Flag> {
    let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).count() as f64;
    let (source, target) = (letters(evidence.source), letters(evidence.target));
    if source == 0.0 {
        return None;
    }
    let expected = source * USUAL;
    let reason = if target > expected * FACTOR + SLACK {
        "too long"
    } else if target * FACTOR + SLACK < expected || (target == 0.0 && source > 2.0) {
        "too short"
    } else {
        return None;
    };
    Some(Flag {
        kind: FlagKind::LengthRatio,
        reason: format!(
            "the translation is {reason}: {target} letters for {source}, where some {expected:.0} are usual"
        ),
        source: Vec::new(),
        target: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_flagged(source: &str, target: &str) -> bool {
        check(&Evidence { source, target, ..Evidence::default() }).is_some()
    }

    #[test]
    fn bounds() {
        let source = "س".repeat(100);
        assert!(!is_flagged(&source, &"a".repeat(120)));
        assert!(!is_flagged(&source, &"a".repeat(240)));
        assert!(is_flagged(&source, &"a".repeat(260)));
        assert!(is_flagged(&source, &"a".repeat(50)));
        assert!(is_flagged("مصر", ""));
        assert!(!is_flagged("مصر", "The Republic of Egypt"));
        assert!(!is_flagged("…", "a lot of words for three little dots"));
    }
}

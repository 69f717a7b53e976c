//! A sentence that was too long for the model and was translated in parts.

use super::{Evidence, Flag, FlagKind};

/// Flags a sentence of more than one part and names the parts.
pub(super) fn check(evidence: &Evidence<'_>) -> Option<Flag> {
    (evidence.parts.len() > 1).then(|| Flag {
        kind: FlagKind::Split,
        reason: format!("the sentence was too long for the model and was translated in {} parts", evidence.parts.len()),
        source: evidence.parts.to_vec(),
        target: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::Span;

    #[test]
    fn names_the_parts() {
        let parts = [Span::new(0, 5), Span::new(5, 9)];
        let flag = check(&Evidence { parts: &parts, ..Evidence::default() }).unwrap();
        assert_eq!(flag.source, parts);
        assert_eq!(check(&Evidence { parts: &parts[..1], ..Evidence::default() }), None);
    }
}

//! Text as SentencePiece sees it: characters rewritten, spaces as `▁`, each byte with its origin.

use std::ops::Range;

use super::charsmap::Charsmap;
use super::trie::Trie;
use crate::span::Span;

/// What stands for a space inside pieces.
pub(super) const SPACE: char = '\u{2581}';

/// SentencePiece looks at no more symbols than this that start at one place.
const MAX_SYMBOLS: usize = 64;

/// How a `.spm` file wants text prepared (`NormalizerSpec`).
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "the format's own switches")]
pub(super) struct SurfaceRules {
    pub(super) charsmap: Option<Charsmap>,
    /// Symbols that no rule may touch.
    pub(super) user_defined: Option<Trie>,
    pub(super) add_dummy_prefix: bool,
    pub(super) remove_extra_whitespaces: bool,
    pub(super) escape_whitespaces: bool,
    pub(super) whitespace_as_suffix: bool,
}

/// A prepared text.
#[derive(Debug)]
pub(super) struct Surface {
    pub(super) text: String,
    /// Where in the input each byte of `text` came from; one more entry closes the last byte.
    origins: Vec<usize>,
    /// The bytes of `text` between the dummy prefix and suffix, which came from nowhere.
    own: Range<usize>,
}

impl SurfaceRules {
    /// How many bytes of `text` are rewritten at once, and what stands for them. `text` is not empty.
    fn rewrite<'a>(&'a self, text: &'a str) -> (usize, &'a str) {
        if let Some(length) = self.symbol(text) {
            return (length, &text[..length]);
        }
        if let Some(rule) = self.charsmap.as_ref().and_then(|charsmap| charsmap.longest_rule(text)) {
            return rule;
        }
        let length = text.chars().next().map_or(0, char::len_utf8);
        (length, &text[..length])
    }

    /// Length of the longest user-defined symbol that `text` starts with.
    pub(super) fn symbol(&self, text: &str) -> Option<usize> {
        let symbols = self.user_defined.as_ref()?;
        symbols.prefixes(text.as_bytes()).take(MAX_SYMBOLS).last().map(|(length, _)| length)
    }

    /// Prepares `input`; the result is empty when nothing but spaces is in it.
    pub(super) fn prepare(&self, input: &str) -> Surface {
        let mut rest = input;
        if self.remove_extra_whitespaces {
            while !rest.is_empty() {
                let (length, " ") = self.rewrite(rest) else { break };
                rest = &rest[length..];
            }
        }
        let mut surface = Surface { text: String::new(), origins: Vec::new(), own: 0..0 };
        let mut at = input.len() - rest.len();
        if rest.is_empty() {
            surface.origins.push(at);
            return surface;
        }
        surface.text.reserve(rest.len() + rest.len() / 2);
        surface.origins.reserve(rest.len() + rest.len() / 2);
        let space = if self.escape_whitespaces { SPACE } else { ' ' };
        if self.add_dummy_prefix && !self.whitespace_as_suffix {
            surface.push(space, at);
            surface.own.start = surface.text.len();
        }
        let mut after_space = self.remove_extra_whitespaces;
        while !rest.is_empty() {
            let (length, mut written) = self.rewrite(rest);
            if after_space {
                written = written.trim_start_matches(' ');
            }
            for character in written.chars() {
                surface.push(if character == ' ' { space } else { character }, at);
            }
            if !written.is_empty() {
                after_space = self.remove_extra_whitespaces && written.ends_with(' ');
            }
            at += length;
            rest = &rest[length..];
        }
        if self.remove_extra_whitespaces {
            while surface.text.ends_with(space) {
                surface.text.pop();
                at = surface.origins[surface.text.len()];
                surface.origins.truncate(surface.text.len());
            }
        }
        surface.own.end = surface.text.len();
        if self.add_dummy_prefix && self.whitespace_as_suffix {
            surface.push(space, at);
        }
        surface.origins.push(at);
        surface
    }
}

impl Surface {
    fn push(&mut self, character: char, origin: usize) {
        self.text.push(character);
        self.origins.resize(self.text.len(), origin);
    }

    /// Where bytes `range` of the prepared text came from in `input`, whole characters: two ranges share a
    /// character that was rewritten into both. The dummy prefix came from nowhere, or from what was left out after it.
    pub(super) fn origin(&self, range: Range<usize>, input: &str) -> Span {
        let start = self.origins[range.start];
        let own = range.start.max(self.own.start)..range.end.min(self.own.end);
        if own.is_empty() {
            return Span::new(start, self.origins[range.end]);
        }
        let origin = self.origins[own.end - 1];
        let end = self.origins[own.end..].iter().copied().find(|&end| end > origin).unwrap_or_else(|| {
            // The character's own trailing space was taken away again.
            input[origin..].chars().next().map_or(origin, |character| origin + character.len_utf8())
        });
        Span::new(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> SurfaceRules {
        SurfaceRules {
            charsmap: None,
            user_defined: None,
            add_dummy_prefix: true,
            remove_extra_whitespaces: true,
            escape_whitespaces: true,
            whitespace_as_suffix: false,
        }
    }

    #[test]
    fn spaces_are_collapsed_and_escaped() {
        let surface = rules().prepare("  في   مصر ");
        assert_eq!(surface.text, "▁في▁مصر");
        assert_eq!(surface.origin(0..3, "  في   مصر "), Span::new(2, 2));
        assert_eq!(surface.origin(0..7, "  في   مصر "), Span::new(2, 6));
        assert_eq!(surface.origin(7..16, "  في   مصر "), Span::new(6, 15));
    }

    #[test]
    fn nothing_but_spaces_is_nothing() {
        assert_eq!(rules().prepare("").text, "");
        assert_eq!(rules().prepare("   ").text, "");
    }

    #[test]
    fn switches_are_honoured() {
        let keep = SurfaceRules { remove_extra_whitespaces: false, add_dummy_prefix: false, ..rules() };
        assert_eq!(keep.prepare(" a  b ").text, "▁a▁▁b▁");
        let plain = SurfaceRules { escape_whitespaces: false, ..rules() };
        assert_eq!(plain.prepare("a  b ").text, " a b");
        let suffix = SurfaceRules { whitespace_as_suffix: true, ..rules() };
        assert_eq!(suffix.prepare("a b").text, "a▁b▁");
    }

    #[test]
    fn user_defined_symbols_are_left_alone() {
        let symbols = Trie::from_sorted(&[(b"  ", 0)]);
        let rules = SurfaceRules { user_defined: Some(symbols), ..rules() };
        assert_eq!(rules.symbol("  x"), Some(2));
        assert_eq!(rules.symbol(" x"), None);
    }
}

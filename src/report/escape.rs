//! Text made safe for the places of the page it goes to.

use std::borrow::Cow;

/// Text for element content and quoted attributes. Braces are escaped too, so that no text looks like a place of the
/// template; control characters that HTML forbids become the replacement character.
pub(super) fn html(text: &str) -> Cow<'_, str> {
    let special = |c: char| matches!(c, '&' | '<' | '>' | '"' | '\'' | '{' | '}') || is_forbidden(c);
    if !text.contains(special) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '{' => escaped.push_str("&#123;"),
            '}' => escaped.push_str("&#125;"),
            c if is_forbidden(c) => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

fn is_forbidden(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_text_is_borrowed() {
        assert!(matches!(html("نعم, yes\n"), Cow::Borrowed(_)));
        assert_eq!(html("a\0<\u{85}"), "a\u{fffd}&lt;\u{fffd}");
    }

    proptest! {
        #[test]
        fn nothing_special_is_left(text in any::<String>()) {
            let escaped = html(&text);
            let special = ['<', '>', '"', '\'', '{', '}', '\0'];
            prop_assert!(!escaped.contains(special));
        }
    }
}

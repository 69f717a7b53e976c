//! Spaces around marks.

use super::edit::Edits;
use crate::span::Span;

/// Makes each run of white space one space, and drops it at the ends.
pub(super) fn single(text: &str) -> Edits {
    let mut edits = Edits::default();
    let mut at = 0;
    while at < text.len() {
        let Some(start) = text[at..].find(char::is_whitespace).map(|found| at + found) else {
            break;
        };
        let end = text.len() - text[start..].trim_start().len();
        let with = if start == 0 || end == text.len() { "" } else { " " };
        if &text[start..end] != with {
            edits.replace(Span::new(start, end), with);
        }
        at = end;
    }
    edits
}

/// Sets the spaces around every mark but the quotation marks. White space must be single.
pub(super) fn marks(text: &str) -> Edits {
    let mut edits = Edits::default();
    let mut token = Token { end: 0, is_address: false };
    for (at, c) in text.char_indices() {
        if at >= token.end {
            token = Token::at(text, at);
        }
        let next = at + c.len_utf8();
        let before = text[..at].chars().next_back();
        let after = text[next..].chars().next();
        let word_after = after.is_some_and(char::is_alphanumeric);
        match c {
            ' ' => {}
            _ if token.is_address && next < token.end => {}
            ',' | ';' | ':' | '.' | '!' | '?' | '…' => closing_mark(text, at, c, &mut edits),
            ')' | ']' => {
                if before == Some(' ') {
                    remove(&mut edits, at - 1);
                }
                if word_after && is_aside(&text[..at], if c == ')' { '(' } else { '[' }, &text[next..]) {
                    edits.insert(next, " ");
                }
            }
            '(' | '[' if after == Some(' ') => edits.replace(Span::new(next, next + 1), ""),
            '%' if before == Some(' ') && text[..at - 1].ends_with(|c: char| c.is_numeric()) => {
                remove(&mut edits, at - 1);
            }
            '€' | '£' | '$' | '¥' => {
                let number_before = text[..at].trim_end().ends_with(|c: char| c.is_numeric());
                let number_after = text[next..].trim_start().starts_with(|c: char| c.is_numeric());
                if number_after && after == Some(' ') {
                    edits.replace(Span::new(next, next + 1), "");
                } else if number_before && !number_after && before == Some(' ') {
                    remove(&mut edits, at - 1);
                }
            }
            '–' | '—' => match (before, after) {
                (Some(' '), Some(after))
                    if after.is_alphanumeric() && text[..at - 1].ends_with(char::is_alphabetic) =>
                {
                    edits.insert(next, " ");
                }
                (Some(before), Some(' '))
                    if before.is_alphanumeric() && text[next + 1..].starts_with(char::is_alphabetic) =>
                {
                    insert(&mut edits, at);
                }
                _ => {}
            },
            '\'' => apostrophe(text, at, &mut edits),
            _ => {}
        }
    }
    edits
}

const LONGEST_ASIDE: usize = 1000;

/// Whether the bracket that `opening` opens in `before` holds words of its own, with a word after it: not `con[c]ede`,
/// not `f(x)y`, not `the player(s)`.
fn is_aside(before: &str, opening: char, after: &str) -> bool {
    // Asides are short; the bound keeps the whole linear.
    let near = before.floor_char_boundary(before.len().saturating_sub(LONGEST_ASIDE));
    let Some(open) = before[near..].rfind(opening).map(|found| near + found) else { return false };
    let stands_free = before[..open].chars().next_back().is_none_or(char::is_whitespace);
    stands_free && after.chars().take_while(|c| c.is_alphanumeric()).count() > 1
}

/// `, . ; : ! ? …`: no space before, one behind.
fn closing_mark(text: &str, at: usize, mark: char, edits: &mut Edits) {
    let next = at + mark.len_utf8();
    let before = text[..at].chars().next_back();
    let after = text[next..].chars().next();
    let word_after = after.is_some_and(char::is_alphanumeric);
    let digit_after = after.is_some_and(|c| c.is_ascii_digit());
    // `,.` is a full stop, but `,...` is a pause.
    let is_stop =
        mark == ',' && after == Some('.') && !text[next + 1..].starts_with(|c: char| c.is_alphanumeric() || c == '.');
    if before == Some(' ') {
        let earlier = text[..at - 1].chars().next_back();
        // `.38`, `.NET`, and separators that the model spaced (`1 ,000`), which can't be told from a list.
        let starts_word = (mark == '.' && word_after) || (mark == ':' && after.is_some_and(|c| !c.is_whitespace()));
        let separates = digit_after && earlier.is_some_and(|c| c.is_ascii_digit());
        if starts_word || separates || earlier.is_none() {
            return;
        }
        if mark == ',' && earlier == Some(',') {
            // `, ,` is one comma.
            edits.replace(Span::new(at - 1, next), "");
            if word_after {
                edits.insert(next, " ");
            }
            return;
        }
        remove(edits, at - 1);
    } else if mark == ',' && before == Some(',') && !is_stop {
        edits.replace(Span::new(at, next), "");
    }
    if is_stop {
        edits.replace(Span::new(at, next), "");
        return;
    }
    let joins_words =
        matches!(mark, ',' | ';' | '!' | '?') && word_after && !(digit_after && before.is_some_and(char::is_numeric));
    if joins_words {
        edits.insert(next, " ");
    }
}

/// `don ' t`, `Putin 's`: an apostrophe with one of the endings that English writes with it.
fn apostrophe(text: &str, at: usize, edits: &mut Edits) {
    let head = &text[..at];
    let tail = &text[at + 1..];
    let ending = tail.strip_prefix(' ').unwrap_or(tail);
    let word = ending.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let is_ending = matches!(word, "s" | "t" | "re" | "ve" | "ll" | "d" | "m" | "S" | "T");
    let stem = head.strip_suffix(' ').unwrap_or(head);
    if !is_ending || !stem.ends_with(char::is_alphabetic) {
        return;
    }
    // `t` belongs to a negation only: `don't`, `can't`.
    if word.eq_ignore_ascii_case("t") && !stem.ends_with(['n', 'N']) {
        return;
    }
    if stem.len() < head.len() {
        remove(edits, at - 1);
    }
    if ending.len() < tail.len() {
        edits.replace(Span::new(at + 1, at + 2), "");
    }
}

/// Removes the space at `at`, unless an edit of the mark before it has already done so.
pub(super) fn remove(edits: &mut Edits, at: usize) {
    if edits.end() <= at {
        edits.replace(Span::new(at, at + 1), "");
    }
}

/// Inserts a space at `at`, unless an edit of the mark before it has already done so.
pub(super) fn insert(edits: &mut Edits, at: usize) {
    if edits.end() < at || at == 0 {
        edits.insert(at, " ");
    }
}

/// A run of text without spaces.
struct Token {
    end: usize,
    is_address: bool,
}

impl Token {
    fn at(text: &str, at: usize) -> Self {
        let token = token_at(text, at);
        Token { end: at + token.len(), is_address: is_address(token) }
    }
}

/// The text from `at` to the next space.
pub(super) fn token_at(text: &str, at: usize) -> &str {
    text[at..].split(char::is_whitespace).next().unwrap_or_default()
}

/// Whether `token` is an address of the web or of mail: nothing in it may be touched.
pub(super) fn is_address(token: &str) -> bool {
    token.contains("://") || token.contains("www.") || token.contains('@')
}

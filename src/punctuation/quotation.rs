//! Quotation marks: made straight, paired, and laid against what they enclose.

use super::edit::Edits;
use super::space;
use crate::span::Span;

/// Makes quotation marks and apostrophes straight, and the Arabic marks English.
pub(super) fn straighten(text: &str) -> Edits {
    let mut edits = Edits::default();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let pair = text[at..].starts_with("``") || text[at..].starts_with("''");
        let length = if pair { 2 } else { c.len_utf8() };
        let english = match c {
            _ if pair => "\"",
            '“' | '”' | '„' | '‟' | '«' | '»' | '＂' => "\"",
            '‘' | '’' | '‚' | '‛' | '`' | '´' => "'",
            '،' | '，' => ",",
            '؛' => ";",
            '؟' => "?",
            '٪' => "%",
            '۔' => ".",
            _ => {
                at += length;
                continue;
            }
        };
        edits.replace(Span::new(at, at + length), english);
        at += length;
    }
    edits
}

/// What a straight quotation mark does where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Open,
    Close,
    /// Not to be told: left as it is.
    Alone,
}

/// Lays each quotation mark against what it encloses, with a space on its other side where a word stands there.
pub(super) fn attach(text: &str) -> Edits {
    let mut edits = Edits::default();
    for (at, role) in roles(text) {
        let before = text[..at].chars().next_back();
        let after = text[at + 1..].chars().next();
        match role {
            Role::Open => {
                if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, ',' | ';' | ':' | '!' | '?' | '.' | ')')) {
                    space::insert(&mut edits, at);
                }
                if after == Some(' ') {
                    edits.replace(Span::new(at + 1, at + 2), "");
                }
            }
            Role::Close => {
                if before == Some(' ') {
                    space::remove(&mut edits, at - 1);
                }
                if after.is_some_and(|c| c.is_alphanumeric() || c == '(') {
                    edits.insert(at + 1, " ");
                }
            }
            Role::Alone => {}
        }
    }
    edits
}

/// The straight double quotation marks of `text` and what each does.
///
/// A mark that lies against a word on one side only says itself what it does; the others alternate. A quotation may
/// begin or end in another sentence, so a mark without a partner is no mistake.
fn roles(text: &str) -> Vec<(usize, Role)> {
    let marks: Vec<(usize, Option<Role>)> = text.match_indices('"').map(|(at, _)| (at, plain_role(text, at))).collect();
    let first_word = text.find(char::is_alphanumeric).unwrap_or(text.len());
    let last_word = text.rfind(char::is_alphanumeric).unwrap_or(0);
    let mut is_open = false;
    let mut roles = Vec::with_capacity(marks.len());
    for (index, &(at, plain)) in marks.iter().enumerate() {
        let next = marks.get(index + 1);
        let role = match plain {
            Some(Role::Close) if !is_open && next.is_some_and(|&(_, next)| next == Some(Role::Close)) => {
                // `so-called" wall"`
                Role::Open
            }
            Some(role) => role,
            None if is_open => Role::Close,
            None if next.is_some() || at < first_word => Role::Open,
            None if at > last_word => Role::Close,
            None => Role::Alone,
        };
        if role != Role::Alone {
            is_open = role == Role::Open;
        }
        roles.push((at, role));
    }
    roles
}

/// What the mark at byte `at` does, if its neighbours tell.
fn plain_role(text: &str, at: usize) -> Option<Role> {
    let before = text[..at].chars().next_back();
    let after = text[at + 1..].chars().next();
    let space_before = before.is_none_or(|c| c.is_whitespace() || matches!(c, '(' | '[' | '–' | '—'));
    let space_after = after.is_none_or(|c| {
        c.is_whitespace() || matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | ')' | ']' | '…' | '–' | '—')
    });
    match (space_before, space_after) {
        (true, false) => Some(Role::Open),
        (false, true) => Some(Role::Close),
        _ => None,
    }
}

//! What is put together again, or cut once more, after UAX #29.

use super::{bounded, is_arabic, is_invisible};
use crate::span::Span;

/// Cuts a run without white space into words.
pub(super) fn words(text: &str, chunk: Span, words: &mut Vec<Span>) {
    if chunk.is_empty() {
        return;
    }
    let mut pieces = Vec::new();
    for piece in bounded(text, chunk) {
        cut_at_missing_space(text, piece, &mut pieces);
    }
    attach_invisible(text, &mut pieces);
    let mut at = 0;
    while at < pieces.len() {
        let joined = date(text, &pieces[at..])
            .or_else(|| compound(text, &pieces[at..]))
            .or_else(|| initials(text, &pieces[at..]))
            .or_else(|| run(text, &pieces[at..]))
            .unwrap_or(1);
        words.push(pieces[at].cover(pieces[at + joined - 1]));
        at += joined;
    }
}

/// Parts Arabic words that only a full stop, colon or comma holds together; UAX #29 takes them for one word.
fn cut_at_missing_space(text: &str, piece: Span, pieces: &mut Vec<Span>) {
    let word = piece.of(text);
    let mut start = 0;
    if word.contains(['.', ':', '،', '؛']) && word.contains(is_arabic) {
        for (at, mark) in word.match_indices(['.', ':', '،', '؛']) {
            let (left, right) = (&word[start..at], &word[at + mark.len()..]);
            let arabic = left.chars().next_back().is_some_and(is_arabic) || right.chars().next().is_some_and(is_arabic);
            let initial = mark == "." && is_initial(left) && is_initial(right.split('.').next().unwrap_or(""));
            if arabic && !initial && !left.is_empty() {
                pieces.push(Span::new(start, at).shifted(piece.start));
                pieces.push(Span::new(at, at + mark.len()).shifted(piece.start));
                start = at + mark.len();
            }
        }
    }
    if start < word.len() {
        pieces.push(Span::new(start, word.len()).shifted(piece.start));
    }
}

/// Whether a part between full stops is one letter (perhaps with marks), or the last of several such.
fn is_initial(part: &str) -> bool {
    let last = part.rsplit('.').next().unwrap_or("");
    last.chars().filter(|c| c.is_alphabetic()).count() == 1 && last.chars().count() <= 3
}

/// Gives invisible pieces to the word after them, or else to the one before; drops them where there is neither.
fn attach_invisible(text: &str, pieces: &mut Vec<Span>) {
    let mut kept: Vec<Span> = Vec::with_capacity(pieces.len());
    let mut waiting: Option<Span> = None;
    for &piece in pieces.iter() {
        if piece.of(text).chars().all(is_invisible) {
            waiting = Some(waiting.map_or(piece, |before| before.cover(piece)));
        } else {
            kept.push(waiting.take().map_or(piece, |before| before.cover(piece)));
        }
    }
    if let (Some(left_over), Some(last)) = (waiting, kept.last_mut()) {
        *last = last.cover(left_over);
    }
    *pieces = kept;
}

/// Three numbers with the same `/`, `-` or `.` between them: `12/3/2024`; and `18:30`, `18:30:05`.
fn date(text: &str, pieces: &[Span]) -> Option<usize> {
    let is_number = |span: &Span| span.len() <= 16 && span.of(text).chars().all(char::is_numeric);
    if !is_number(pieces.first()?) {
        return None;
    }
    let mark = pieces.get(1)?.of(text);
    if !matches!(mark, "/" | "-" | "." | ":") {
        return None;
    }
    let mut parts = 1;
    let mut at = 1;
    while pieces.get(at).is_some_and(|span| span.of(text) == mark) && pieces.get(at + 1).is_some_and(is_number) {
        parts += 1;
        at += 2;
    }
    (parts == 3 || (mark == ":" && parts == 2)).then_some(at)
}

/// Words joined by hyphens (`al-Sisi`, `COVID-19`; not two bare numbers, which are a range or a score) and capitals
/// joined by `&` (`AT&T`).
fn compound(text: &str, pieces: &[Span]) -> Option<usize> {
    let is_word = |span: &Span| span.of(text).chars().any(char::is_alphanumeric);
    let is_number = |span: &Span| !span.of(text).chars().any(char::is_alphabetic);
    let is_capital = |span: &Span| span.of(text).chars().all(char::is_uppercase);
    let mut count = 1;
    while let [left, mark, right, ..] = &pieces[count - 1..] {
        let joins = match mark.of(text) {
            "-" | "\u{2010}" | "\u{2011}" => is_word(left) && is_word(right) && !(is_number(left) && is_number(right)),
            "&" => is_capital(left) && is_capital(right),
            _ => false,
        };
        if !joins {
            break;
        }
        count += 2;
    }
    (count > 1).then_some(count)
}

/// Capitals with full stops (`U.S.`), the last stop included.
fn initials(text: &str, pieces: &[Span]) -> Option<usize> {
    let [word, stop, ..] = pieces else { return None };
    let word = word.of(text);
    let dotted = word.contains('.') && word.split('.').all(|part| part.chars().count() == 1);
    (dotted && word.chars().all(|c| c == '.' || c.is_ascii_uppercase()) && stop.of(text) == ".").then_some(2)
}

/// A run of the same mark: `...`, `!!`, `--`.
fn run(text: &str, pieces: &[Span]) -> Option<usize> {
    let mark = pieces.first()?.of(text);
    if mark.chars().any(char::is_alphanumeric) {
        return None;
    }
    let same = pieces.iter().take_while(|span| span.of(text) == mark).count();
    (same > 1).then_some(same)
}

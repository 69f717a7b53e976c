//! Web and mail addresses, `@names` and `#tags`, which stay one word.

use super::joining;
use crate::span::Span;

/// Marks that close a sentence or a bracket rather than belong to the address before them.
const TRAILING: &[char] =
    &['.', ',', ';', ':', '!', '?', ')', ']', '}', '"', '\'', '»', '”', '’', '،', '؛', '؟', '…', '>'];

/// Marks that open a quotation or bracket before an address.
const LEADING: &[char] = &['(', '[', '{', '"', '\'', '«', '“', '‘', '<', '\u{200e}', '\u{200f}'];

/// Whether a run without white space holds an address.
pub(super) fn is_address(chunk: &str) -> bool {
    let core = core(chunk);
    if core.contains("://") || core.starts_with("www.") {
        return true;
    }
    if let Some(name) = core.strip_prefix(['@', '#']) {
        return !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || super::is_arabic(c));
    }
    match core.split_once('@') {
        Some((name, host)) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
            !name.is_empty() && host.contains('.') && name.chars().all(plain) && host.chars().all(plain)
        }
        None => false,
    }
}

/// The chunk without the marks around it.
fn core(chunk: &str) -> &str {
    chunk.trim_start_matches(LEADING).trim_end_matches(TRAILING)
}

/// Cuts a chunk for which [`is_address`] holds: what stands around the address, and the address as one word.
pub(super) fn words(text: &str, chunk: Span, words: &mut Vec<Span>) {
    let whole = chunk.of(text);
    let mut core = core(whole);
    // Something may stand before the address without a space, as in `المصدر:https://…`.
    let mut before = whole.len() - whole.trim_start_matches(LEADING).len();
    if let Some(at) = core.find("://") {
        let scheme = core[..at]
            .rfind(|c: char| !c.is_ascii_alphanumeric())
            .map_or(0, |i| i + core[i..].chars().next().map_or(0, char::len_utf8));
        before += scheme;
        core = &core[scheme..];
    }
    let start = chunk.start + before;
    let end = start + core.len();
    joining::words(text, Span::new(chunk.start, start), words);
    words.push(Span::new(start, end));
    joining::words(text, Span::new(end, chunk.end), words);
}

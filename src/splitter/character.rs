//! Classes of characters that decide about sentences.

/// A break between lines.
pub(super) fn is_line_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// A mark that can end a sentence, the semicolon left out.
pub(super) fn is_terminator(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '؟' | '…' | '۔' | '؞' | '‼' | '⁇' | '⁈' | '⁉' | '。' | '！' | '？')
}

/// A terminator that is no full stop and no ellipsis: it ends a sentence almost wherever it stands.
pub(super) fn is_strong(c: char) -> bool {
    is_terminator(c) && !matches!(c, '.' | '…' | '۔')
}

/// A quotation mark of any shape. Which way it points is told by where it stands: Arabic text has `”كذا“` as often as
/// `“كذا”`.
pub(super) fn is_quotation_mark(c: char) -> bool {
    matches!(c, '"' | '“' | '”' | '„' | '‟' | '«' | '»' | '＂')
}

/// A single quotation mark, which may be an apostrophe too.
pub(super) fn is_single_quotation_mark(c: char) -> bool {
    matches!(c, '\'' | '‘' | '’' | '‚' | '‛' | '‹' | '›')
}

/// A bracket that closes.
pub(super) fn is_closing_bracket(c: char) -> bool {
    matches!(c, ')' | ']' | '}')
}

/// A mark that goes on with the sentence before it.
pub(super) fn continues(c: char) -> bool {
    matches!(c, '،' | ',' | '؛' | ';' | ':' | '/' | '%' | '٪') || is_closing_bracket(c)
}

/// A letter of the Arabic script.
pub(super) fn is_arabic_letter(c: char) -> bool {
    matches!(c, '\u{620}'..='\u{63f}' | '\u{641}'..='\u{64a}' | '\u{66e}'..='\u{66f}' | '\u{671}'..='\u{6d3}'
        | '\u{fb50}'..='\u{fdfb}' | '\u{fe70}'..='\u{fefc}')
}

/// A vowel sign or the tatweel: part of an Arabic word, but no letter.
pub(super) fn is_arabic_mark(c: char) -> bool {
    matches!(c, '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}')
}

/// A decimal digit, European, Arabic-Indic or Persian, with its value.
pub(super) fn digit(c: char) -> Option<u32> {
    match c {
        '0'..='9' => Some(c as u32 - '0' as u32),
        '٠'..='٩' => Some(c as u32 - '٠' as u32),
        '۰'..='۹' => Some(c as u32 - '۰' as u32),
        _ => None,
    }
}

/// The value of a whole number of at most four digits.
pub(super) fn number(word: &str) -> Option<u32> {
    let length = word.chars().count();
    if length == 0 || length > 4 {
        return None;
    }
    word.chars().try_fold(0, |value, c| digit(c).map(|digit| value * 10 + digit))
}

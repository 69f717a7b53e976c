//! Classes of characters that the rules are about.

/// The stroke that stretches a word.
pub(super) const TATWEEL: char = 'ـ';

/// Characters without width of their own, which stand inside words: format characters, direction marks, variation
/// selectors, tags.
pub(super) fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

/// Characters that mean nothing in a text: controls, interlinear marks, private use, non-characters. Unassigned ones
/// are left alone: tomorrow's emoji are among them.
pub(super) fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{600}'..='\u{605}' | '\u{6dd}' | '\u{70f}' | '\u{8e2}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' | '\u{fdd0}'..='\u{fdef}')
        || character as u32 & 0xFFFE == 0xFFFE
}

/// Short vowels, tanween, shadda, sukun and superscript alef. Hamza and madda above are part of their letter.
pub(super) fn is_vowel_mark(character: char) -> bool {
    matches!(character, '\u{64b}'..='\u{652}' | '\u{656}'..='\u{65f}' | '\u{670}')
}

/// Contextual forms of Arabic letters and their ligatures; the ornate parentheses among them have no letter.
pub(super) fn is_presentation_form(character: char) -> bool {
    matches!(character, '\u{fb50}'..='\u{fd3d}' | '\u{fd50}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
}

/// Whether tatweel beside the character belongs to a word.
pub(super) fn joins(character: char) -> bool {
    character.is_alphanumeric() || is_vowel_mark(character) || matches!(character, '\u{653}'..='\u{655}')
}

/// The ASCII digit for an Arabic-Indic or Persian one.
pub(super) fn ascii_digit(character: char) -> Option<&'static str> {
    const DIGITS: &str = "0123456789";
    let value = match character {
        '٠'..='٩' => character as usize - '٠' as usize,
        '۰'..='۹' => character as usize - '۰' as usize,
        _ => return None,
    };
    Some(&DIGITS[value..=value])
}

/// Any digit that [`ascii_digit`] gives or takes.
pub(super) fn is_digit(character: char) -> bool {
    character.is_ascii_digit() || ascii_digit(character).is_some()
}

/// The typewriter's quote for a typographic one.
pub(super) fn plain_quote(character: char) -> Option<&'static str> {
    match character {
        '“' | '”' | '„' | '‟' | '«' | '»' | '″' | '〝' | '〞' | '〟' | '＂' => Some("\""),
        '‘' | '’' | '‚' | '‛' | '‹' | '›' | '′' | '´' | '`' | '＇' => Some("'"),
        _ => None,
    }
}

/// Hyphens and dashes other than `-`.
pub(super) fn is_dash(character: char) -> bool {
    matches!(character, '\u{2010}'..='\u{2015}' | '−' | '﹘' | '﹣' | '－')
}

/// Marks that stand directly after the word before them.
pub(super) fn is_closing_punctuation(character: char) -> bool {
    matches!(character, '،' | ',' | '؛' | ';' | '؟' | '?' | '!' | ':' | '.')
}

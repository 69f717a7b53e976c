//! Where sentences end inside one paragraph.

use super::abbreviation::{self, Abbreviation};
use super::character::{
    continues, is_arabic_letter, is_arabic_mark, is_closing_bracket, is_quotation_mark, is_single_quotation_mark,
    is_strong, is_terminator, number,
};
use super::enclosure::{Enclosures, Pair};

/// How far, in bytes, a rule looks for a word. Longer "words" are data, and a bound keeps the whole linear.
const WORD_WINDOW: usize = 64;

/// From this many words on, a quotation is cut into its sentences.
const LONG_QUOTATION: usize = 25;

/// The byte offsets in `paragraph` at which a sentence ends and another one follows, ascending.
pub(super) fn ends(paragraph: &str, split_at_semicolon: bool) -> Vec<usize> {
    let mut scanner = Scanner::new(paragraph);
    scanner.run(split_at_semicolon);
    scanner.ends
}

/// What kind of mark, or run of marks, stands at a place where a sentence may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Stop,
    Strong,
    /// `…`, `...`, or the `..` that headlines put between clauses.
    Ellipsis {
        dots: usize,
    },
    Semicolon,
}

struct Scanner<'a> {
    text: &'a str,
    enclosures: Enclosures,
    ends: Vec<usize>,
    /// Words begun so far, and how many of them before the last end.
    words: usize,
    words_before: usize,
    /// The next quotation and bracket to come, the quotations now open with the words before them, and how far the
    /// brackets now open reach.
    next_quotation: usize,
    next_bracket: usize,
    open_quotations: Vec<(Pair, usize)>,
    bracket_end: usize,
    /// The number of the last marker of a list within the paragraph.
    list_number: u32,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        Scanner {
            text,
            enclosures: Enclosures::find(text),
            ends: Vec::new(),
            words: 0,
            words_before: 0,
            next_quotation: 0,
            next_bracket: 0,
            open_quotations: Vec::new(),
            bracket_end: 0,
            list_number: 0,
        }
    }

    fn run(&mut self, split_at_semicolon: bool) {
        let mut at = 0;
        let mut in_word = false;
        while let Some(c) = self.char_at(at) {
            self.pass(at);
            if is_terminator(c) || (c == '؛' && split_at_semicolon) {
                in_word = false;
                let (mark, marks_end) = self.mark(at);
                let end = self.closers(marks_end);
                if self.is_end(mark, at, marks_end, end) {
                    self.push(end);
                }
                // The closers hold no word, and reading them once keeps the scan linear.
                at = end;
                continue;
            }
            let is_word = c.is_alphanumeric() || is_arabic_mark(c);
            if is_word && !in_word {
                self.words += 1;
            }
            in_word = is_word;
            at += c.len_utf8();
        }
        // What is left behind the last end may be a lone mark; it belongs to the sentence before.
        if self.words == self.words_before {
            self.ends.pop();
        }
    }

    fn char_at(&self, at: usize) -> Option<char> {
        self.text[at..].chars().next()
    }

    /// Takes note of the pairs that open at or before `at`.
    fn pass(&mut self, at: usize) {
        while let Some(&pair) = self.enclosures.quotations.get(self.next_quotation).filter(|pair| pair.open <= at) {
            self.open_quotations.retain(|(open, _)| open.close > at);
            self.open_quotations.push((pair, self.words));
            self.next_quotation += 1;
        }
        while let Some(pair) = self.enclosures.brackets.get(self.next_bracket).filter(|pair| pair.open <= at) {
            self.bracket_end = self.bracket_end.max(pair.close);
            self.next_bracket += 1;
        }
    }

    fn push(&mut self, end: usize) {
        if self.ends.last().is_none_or(|&last| last < end) {
            self.ends.push(end);
            self.words_before = self.words;
        }
    }

    /// The run of marks that starts at `at`: its kind, and its end. Spaces between the marks of a run (`! !`, `. . .`)
    /// belong to it.
    fn mark(&self, at: usize) -> (Mark, usize) {
        let mut end = at;
        let mut dots = 0;
        let mut strong = false;
        while let Some(c) = self.char_at(end) {
            if is_terminator(c) {
                dots += match c {
                    '.' => 1,
                    '…' => 3,
                    _ => 0,
                };
                strong |= is_strong(c);
                end += c.len_utf8();
            } else if c == ' ' && self.char_at(end + 1).is_some_and(is_terminator) && end > at {
                // `كلمة. ...كلمة`: the second run opens a sentence.
                let next = self.text[end + 1..].trim_start_matches(is_terminator);
                let run = self.text.len() - end - 1 - next.len();
                if run > 1 && next.starts_with(char::is_alphanumeric) {
                    break;
                }
                end += 1;
            } else {
                break;
            }
        }
        if end == at {
            return (Mark::Semicolon, at + '؛'.len_utf8());
        }
        let mark = if strong {
            Mark::Strong
        } else if dots >= 2 {
            Mark::Ellipsis { dots }
        } else {
            Mark::Stop
        };
        (mark, end)
    }

    /// Where the sentence ends whose marks end at `at`: behind the quotation marks, brackets and footnote numbers that
    /// close it, and behind the marks that follow these.
    fn closers(&self, mut at: usize) -> usize {
        while let Some(c) = self.char_at(at) {
            let next = at + c.len_utf8();
            let stands_last = self.char_at(next).is_none_or(|c| {
                c.is_whitespace() || is_terminator(c) || is_closing_bracket(c) || is_quotation_mark(c) || continues(c)
            });
            if is_closing_bracket(c)
                || (is_quotation_mark(c) && (stands_last || self.enclosures.closes_quotation(at)))
                || (is_single_quotation_mark(c) && stands_last)
                || is_terminator(c)
            {
                at = next;
            } else if c == '[' {
                let Some(length) = footnote(&self.text[at..]) else {
                    break;
                };
                at += length;
            } else if c == ' '
                && self.char_at(next).is_some_and(|c| {
                    is_closing_bracket(c) || (is_quotation_mark(c) && self.enclosures.closes_quotation(next))
                })
            {
                at = next;
            } else {
                break;
            }
        }
        at
    }

    /// Whether the marks at `start..marks_end`, with their closers up to `end`, end a sentence.
    fn is_end(&mut self, mark: Mark, start: usize, marks_end: usize, end: usize) -> bool {
        let sentence_words = self.words - self.words_before;
        let rest = self.text[end..].trim_start();
        let Some(next) = rest.chars().next() else {
            return false;
        };
        if sentence_words == 0 || continues(next) || self.bracket_end > end {
            return false;
        }
        let next_word = word_at(rest);
        // A lone `و` joins words, not sentences (`ياهو! و خدمات`).
        if next_word == "و" && mark != Mark::Stop {
            return false;
        }
        if !self.char_at(end).is_some_and(char::is_whitespace) && !self.lacks_space(mark, start, end, next_word) {
            return false;
        }
        if !self.may_end_in_quotation(end) || self.closes_title(marks_end, end) {
            return false;
        }
        match mark {
            Mark::Stop => self.stop_ends(start, marks_end, end, next, next_word),
            Mark::Strong => {
                let quoted = end > marks_end && self.text[marks_end..end].contains(is_quotation_mark);
                let is_attributed = quoted && abbreviation::attributes(next_word);
                !is_attributed && !self.latin_goes_on(start, next)
            }
            Mark::Ellipsis { dots } => {
                let least = if dots == 2 { 4 } else { 3 };
                sentence_words >= least
                    && words_at_least(rest, least)
                    && !self.text[..start].trim_end().ends_with(['،', ','])
                    && !abbreviation::goes_on(next_word)
                    && !self.latin_goes_on(start, next)
            }
            Mark::Semicolon => sentence_words >= 4 && words_at_least(rest, 4),
        }
    }

    /// Whether the full stop at `start` ends a sentence that `next_word` follows.
    fn stop_ends(&mut self, start: usize, marks_end: usize, end: usize, next: char, next_word: &str) -> bool {
        let word = self.word_before(start);
        let bare = word.trim_start_matches(|c: char| !c.is_alphanumeric());
        let word_start = self.text[..start].trim_end().len() - bare.len();
        if let Some(value) = number(bare) {
            return self.number_ends(value, word_start, end, next_word);
        }
        if end > marks_end && self.text[marks_end..end].contains(is_quotation_mark) {
            return true;
        }
        match abbreviation::classify(bare) {
            Abbreviation::None => !self.latin_goes_on(start, next),
            Abbreviation::Title => {
                let before = self.word_before(word_start);
                if abbreviation::is_preposition(next_word) {
                    return false;
                }
                if before.ends_with(|c: char| c.is_numeric()) {
                    // Units and eras: `1950 م.` ends a sentence, `10.30 ص.` goes on.
                    !before.contains(['.', ':']) && !next.is_numeric()
                } else {
                    abbreviation::labels(before)
                }
            }
            Abbreviation::Acronym => next_word.starts_with('و') && next_word.chars().count() >= 4,
            Abbreviation::LatinInitial => is_arabic_letter(next),
            Abbreviation::Latin => false,
            Abbreviation::LatinBeforeNumber => !next.is_numeric() && !self.latin_goes_on(start, next),
        }
    }

    /// Whether a full stop after the number `value`, which starts at `word_start`, ends a sentence. A marker of a list
    /// doesn't; an item after the first ends the one before it.
    fn number_ends(&mut self, value: u32, word_start: usize, end: usize, next_word: &str) -> bool {
        let first_word = self.words - self.words_before == 1;
        let before = self.text[..word_start].trim_end();
        if value < 100 && (first_word || before.ends_with(':')) {
            self.list_number = value;
            return false;
        }
        if self.list_number > 0 && value == self.list_number + 1 {
            self.list_number = value;
            // The marker itself is the first word of the new item.
            let words = self.words;
            self.words -= 1;
            self.push(before.len());
            self.words = words;
            return false;
        }
        !(value <= 31 && abbreviation::is_month(next_word) && end < self.text.len())
    }

    /// A small Latin letter after a Latin word goes on with the sentence.
    fn latin_goes_on(&self, start: usize, next: char) -> bool {
        next.is_lowercase() && self.word_before(start).ends_with(|c: char| c.is_ascii_alphanumeric())
    }

    /// Whether a space was forgotten between two sentences at `start..end`.
    fn lacks_space(&self, mark: Mark, start: usize, end: usize, next_word: &str) -> bool {
        let letters = next_word.chars().filter(|&c| is_arabic_letter(c)).count();
        if letters < 2 || !self.text[end..].trim_start_matches(is_quotation_mark).starts_with(next_word) {
            return false;
        }
        let before = self.word_before(start);
        let letters_before = before.chars().filter(|&c| is_arabic_letter(c)).count();
        match mark {
            Mark::Strong => true,
            Mark::Stop => {
                let is_number = number(before).is_some() && !abbreviation::is_month(next_word);
                !before.contains(['.', '@', '/']) && (letters_before >= 2 || is_number)
            }
            Mark::Ellipsis { .. } | Mark::Semicolon => false,
        }
    }

    /// Inside a quotation a sentence ends only where it and what follows are long enough to stand alone, and where the
    /// whole is long: readers and treebanks take short quotations of two sentences for one.
    fn may_end_in_quotation(&self, end: usize) -> bool {
        self.open_quotations.iter().filter(|(pair, _)| pair.close >= end).all(|&(pair, words)| {
            let before = self.words - words.max(self.words_before);
            let rest = &self.text[end..pair.close];
            before >= 3 && words_at_least(rest, 3) && before + words_up_to(rest, LONG_QUOTATION) >= LONG_QUOTATION
        })
    }

    /// Whether the marks up to `marks_end` are the last ones of a quotation, closed before `end`, that is a title or a
    /// slogan within a sentence: a few words without a colon or comma before them.
    fn closes_title(&self, marks_end: usize, end: usize) -> bool {
        self.open_quotations.iter().any(|&(pair, words)| {
            (marks_end..end).contains(&pair.close)
                && words > self.words_before
                && self.words - words < 4
                && !self.text[..pair.open].trim_end().ends_with([':', '،', ',', '؛'])
        })
    }

    /// The word that ends at `end`, or before the space there.
    fn word_before(&self, end: usize) -> &'a str {
        let text = self.text[..end].trim_end();
        let mut start = text.len();
        for (at, c) in text.char_indices().rev() {
            if c.is_whitespace() || matches!(c, '(' | '[' | '،' | ':') || text.len() - at > WORD_WINDOW {
                break;
            }
            start = at;
        }
        &text[start..]
    }
}

/// The first word of `text`, without the marks before it, at most [`WORD_WINDOW`] bytes long.
fn word_at(text: &str) -> &str {
    let start = text.char_indices().take(8).find(|&(_, c)| c.is_alphanumeric()).map_or(0, |(at, _)| at);
    let text = &text[start..];
    let end = text
        .char_indices()
        .find(|&(at, c)| at > WORD_WINDOW || !(c.is_alphanumeric() || is_arabic_mark(c)))
        .map_or(text.len(), |(at, _)| at);
    &text[..end]
}

/// Whether `text` has at least `count` words before its next terminator.
fn words_at_least(text: &str, count: usize) -> bool {
    // The bound keeps marks without words from being read again and again.
    let text = &text[..text.floor_char_boundary(64 * count)];
    let start = text.find(char::is_alphanumeric).unwrap_or(text.len());
    let sentence = text[start..].split(is_terminator).next().unwrap_or_default();
    words_up_to(sentence, count) >= count
}

/// The number of words in `text`, counted no further than `most`.
fn words_up_to(text: &str, most: usize) -> usize {
    let mut words = 0;
    let mut in_word = false;
    for c in text.chars().take(24 * most) {
        let is_word = c.is_alphanumeric() || is_arabic_mark(c);
        words += usize::from(is_word && !in_word);
        in_word = is_word;
        if words >= most {
            break;
        }
    }
    words
}

/// The length of a footnote number such as `[12]` at the start of `text`.
fn footnote(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('[')?;
    let close = inside.char_indices().take(5).find(|&(_, c)| c == ']')?.0;
    number(&inside[..close]).map(|_| close + 2)
}

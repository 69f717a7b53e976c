//! Pairs of quotation marks and brackets in a paragraph.

use super::character::{is_closing_bracket, is_quotation_mark};

/// A pair that closes again: the byte of its opening mark and of its closing one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) open: usize,
    pub(super) close: usize,
}

/// The pairs of a paragraph.
#[derive(Debug, Default)]
pub(super) struct Enclosures {
    /// Quotations, sorted by their opening mark; those in different marks may overlap.
    pub(super) quotations: Vec<Pair>,
    /// Brackets, sorted by their opening one; only those short enough to be a remark within a sentence.
    pub(super) brackets: Vec<Pair>,
    /// Closing marks of quotations, sorted.
    closing: Vec<usize>,
}

/// Longest bracketed text, in bytes, that is taken for a remark within a sentence; a longer one is either a paragraph
/// of its own or a bracket that somebody forgot to close.
const LONGEST_REMARK: usize = 600;

impl Enclosures {
    /// Finds the pairs of `text`.
    pub(super) fn find(text: &str) -> Self {
        let mut found = Enclosures::default();
        // One quotation can be open per family of marks: straight, curly, angle.
        let mut open: [Option<usize>; 3] = [None; 3];
        let mut brackets: Vec<(char, usize)> = Vec::new();
        let mut before = ' ';
        let mut characters = text.char_indices().peekable();
        while let Some((at, c)) = characters.next() {
            let after = characters.peek().map_or(' ', |&(_, c)| c);
            if is_quotation_mark(c) {
                let family = &mut open[family(c)];
                match (opens(c, before, after, family.is_some()), *family) {
                    (true, _) => *family = Some(at),
                    (false, Some(start)) => {
                        found.quotations.push(Pair { open: start, close: at });
                        found.closing.push(at);
                        *family = None;
                    }
                    (false, None) => {}
                }
            } else if matches!(c, '(' | '[' | '{') {
                brackets.push((c, at));
            } else if is_closing_bracket(c) {
                let opening = match c {
                    ')' => '(',
                    ']' => '[',
                    _ => '{',
                };
                if brackets.last().is_some_and(|&(bracket, _)| bracket == opening) {
                    let (_, start) = brackets.pop().expect("just seen");
                    if at - start <= LONGEST_REMARK {
                        found.brackets.push(Pair { open: start, close: at });
                    }
                }
            }
            before = c;
        }
        found.quotations.sort_unstable_by_key(|pair| pair.open);
        found.brackets.sort_unstable_by_key(|pair| pair.open);
        found
    }

    /// Whether the mark at byte `at` closes a quotation.
    pub(super) fn closes_quotation(&self, at: usize) -> bool {
        self.closing.binary_search(&at).is_ok()
    }
}

fn family(mark: char) -> usize {
    match mark {
        '"' | '＂' => 0,
        '«' | '»' => 2,
        _ => 1,
    }
}

/// Whether a quotation mark opens a quotation, judged by its neighbours, then by its shape and by what is open already.
fn opens(mark: char, before: char, after: char, is_open: bool) -> bool {
    let space_before = before.is_whitespace() || matches!(before, '(' | '[' | '{' | '–' | '—' | '-' | ':');
    let space_after = after.is_whitespace() || after.is_ascii_punctuation() || matches!(after, '،' | '؛' | '؟' | '…');
    match (space_before, space_after) {
        (true, false) => true,
        (false, true) => false,
        // Spaced on both sides or on none (`و"كذا"`): alternate; shapes are trusted only where nothing is open.
        _ if is_open => false,
        _ => !matches!(mark, '”' | '»'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &str) -> Vec<&str> {
        Enclosures::find(text).quotations.iter().map(|pair| text[pair.open..pair.close].trim()).collect()
    }

    #[test]
    fn pairs_of_each_shape() {
        assert_eq!(quoted("قال «نعم» ثم \"لا\" و“ربما” أو ”كلا“."), ["«نعم", "\"لا", "“ربما", "”كلا"]);
        assert_eq!(quoted("محطة \" نوما \" الجديدة"), ["\" نوما"]);
        assert_eq!(quoted("فتح \"بلا إغلاق"), [""; 0]);
    }

    #[test]
    fn brackets_nest() {
        let found = Enclosures::find("أ (ب [ج] د) ه) (");
        assert_eq!(found.brackets.len(), 2);
    }
}

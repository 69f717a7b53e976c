//! Replacements in a text that take spans with them.

use crate::span::Span;

/// Replacements of parts of one text, in ascending order, none overlapping another.
#[derive(Debug, Default)]
pub(super) struct Edits(Vec<(Span, String)>);

impl Edits {
    /// Replaces `span`, which lies behind all spans replaced so far.
    pub(super) fn replace(&mut self, span: Span, with: impl Into<String>) {
        debug_assert!(self.0.last().is_none_or(|(last, _)| last.end <= span.start), "edits out of order");
        self.0.push((span, with.into()));
    }

    /// Inserts at `at`.
    pub(super) fn insert(&mut self, at: usize, what: &str) {
        self.replace(Span::new(at, at), what);
    }

    /// Where the last edit ends.
    pub(super) fn end(&self) -> usize {
        self.0.last().map_or(0, |(span, _)| span.end)
    }

    /// The edited text; `spans` of `text` become spans of it.
    ///
    /// A span that ends where something is inserted does not take it in, nor does one that starts there. A replaced
    /// part keeps its spans; the ends of spans inside it move to its ends.
    pub(super) fn apply(&self, text: &str, spans: &mut [Span]) -> String {
        if self.0.is_empty() {
            return text.to_owned();
        }
        let mut edited = String::with_capacity(text.len() + self.0.len());
        // For each edit the place of its replacement in the edited text.
        let mut places = Vec::with_capacity(self.0.len());
        let mut at = 0;
        for (span, with) in &self.0 {
            edited.push_str(&text[at..span.start]);
            let start = edited.len();
            edited.push_str(with);
            places.push(Span::new(start, edited.len()));
            at = span.end;
        }
        edited.push_str(&text[at..]);

        for span in spans {
            let start = self.moved(span.start, &places, true);
            let end = if span.is_empty() { start } else { self.moved(span.end, &places, false) };
            *span = Span::new(start, end.max(start));
        }
        edited
    }

    /// Where offset `at` has gone. At a place where something was inserted, a start goes behind it and an end before.
    fn moved(&self, at: usize, places: &[Span], is_start: bool) -> usize {
        // The edits before this index lie wholly before the offset.
        let index =
            self.0.partition_point(|(span, _)| span.end < at || (span.end == at && (is_start || !span.is_empty())));
        if self.0.get(index).is_some_and(|(span, _)| span.start < at) {
            return if is_start { places[index].start } else { places[index].end };
        }
        match index.checked_sub(1) {
            Some(before) => places[before].end + (at - self.0[before].0.end),
            None => at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_move_with_their_text() {
        let text = "ab  cd,ef";
        let mut edits = Edits::default();
        edits.replace(Span::new(2, 4), " ");
        edits.insert(7, " ");
        let mut spans =
            [Span::new(0, 2), Span::new(2, 4), Span::new(4, 6), Span::new(6, 7), Span::new(7, 9), Span::new(0, 9)];
        assert_eq!(edits.apply(text, &mut spans), "ab cd, ef");
        assert_eq!(spans.map(|span| (span.start, span.end)), [(0, 2), (2, 3), (3, 5), (5, 6), (7, 9), (0, 9)]);
    }

    #[test]
    fn removed_text_leaves_empty_spans() {
        let mut edits = Edits::default();
        edits.replace(Span::new(1, 2), "");
        let mut spans = [Span::new(0, 1), Span::new(1, 2), Span::new(2, 3), Span::new(3, 3)];
        assert_eq!(edits.apply("a ,", &mut spans), "a,");
        assert_eq!(spans, [Span::new(0, 1), Span::new(1, 1), Span::new(1, 2), Span::new(2, 2)]);
    }
}

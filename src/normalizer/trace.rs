//! The way back from a rewritten text to the original.

use crate::span::Span;

/// Where each part of a rewritten text came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trace {
    /// In order; each part reaches to the start of the next, the last one to the end of the text.
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    /// Its first byte in the rewritten text.
    start: usize,
    original: Span,
    /// Byte for byte, and so as long as its original.
    copied: bool,
}

impl Trace {
    /// The bytes from `start` are a copy of `original`.
    pub(super) fn copy(&mut self, start: usize, original: Span) {
        match self.parts.last_mut() {
            Some(last) if last.copied && last.original.end == original.start => last.original.end = original.end,
            _ => self.parts.push(Part { start, original, copied: true }),
        }
    }

    /// The bytes from `start` stand for `original`.
    pub(super) fn replace(&mut self, start: usize, original: Span) {
        self.parts.push(Part { start, original, copied: false });
    }

    /// The original up to `original_end` belongs to the last character of the text as well: it begins at `start`.
    pub(super) fn attach(&mut self, start: usize, original_end: usize) {
        let Some(last) = self.parts.last_mut() else { return };
        if last.copied && last.start < start {
            let original = Span::new(last.original.start + (start - last.start), original_end);
            last.original.end = original.start;
            self.replace(start, original);
        } else {
            last.original.end = original_end;
            last.copied = false;
        }
    }

    /// Forgets the last character of the text, which begins at `start`, and returns where its original begins.
    pub(super) fn pop(&mut self, start: usize) -> usize {
        let Some(last) = self.parts.last_mut() else { return 0 };
        if last.start == start {
            let original = last.original.start;
            self.parts.pop();
            original
        } else if last.copied {
            last.original.end = last.original.start + (start - last.start);
            last.original.end
        } else {
            last.original.start
        }
    }

    /// Where `span` came from.
    pub(super) fn original(&self, span: Span) -> Span {
        // The part that holds a byte: the last that does not begin after it.
        let part = |at: usize| self.parts[..self.parts.partition_point(|part| part.start <= at)].last();
        let start = part(span.start).map_or(0, |part| {
            if part.copied {
                (part.original.start + (span.start - part.start)).min(part.original.end)
            } else {
                part.original.start
            }
        });
        if span.is_empty() {
            return Span::new(start, start);
        }
        let end = part(span.end - 1).map_or(start, |part| {
            if part.copied {
                (part.original.start + (span.end - part.start)).min(part.original.end)
            } else {
                part.original.end
            }
        });
        Span::new(start, end.max(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_grow_together() {
        let mut trace = Trace::default();
        trace.copy(0, Span::new(2, 4));
        trace.copy(2, Span::new(4, 6));
        assert_eq!(trace.parts.len(), 1);
        assert_eq!(trace.original(Span::new(1, 3)), Span::new(3, 5));
    }

    #[test]
    fn an_attached_tail_belongs_to_the_last_character_only() {
        let mut trace = Trace::default();
        trace.copy(0, Span::new(0, 4));
        trace.attach(2, 9);
        trace.copy(4, Span::new(9, 11));
        assert_eq!(trace.original(Span::new(0, 2)), Span::new(0, 2));
        assert_eq!(trace.original(Span::new(2, 4)), Span::new(2, 9));
        assert_eq!(trace.original(Span::new(2, 6)), Span::new(2, 11));
    }

    #[test]
    fn a_popped_character_leaves_the_rest() {
        let mut trace = Trace::default();
        trace.copy(0, Span::new(0, 4));
        assert_eq!(trace.pop(2), 2);
        trace.replace(2, Span::new(2, 6));
        assert_eq!(trace.original(Span::new(0, 2)), Span::new(0, 2));
        assert_eq!(trace.original(Span::new(2, 5)), Span::new(2, 6));
        assert_eq!(trace.pop(2), 2);
        assert_eq!(trace.parts.len(), 1);
    }

    #[test]
    fn nothing_leads_to_nothing() {
        assert_eq!(Trace::default().original(Span::default()), Span::default());
    }
}

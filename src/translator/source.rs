//! The source side of the pipeline: a sentence, cleaned up and cut into pieces the engine can take.

use crate::engine::TokenId;
use crate::normalizer::Normalizer;
use crate::span::Span;
use crate::splitter::split_long;
use crate::vocabulary::Vocabulary;

/// What of a sentence goes through the engine at once: nearly always all of it.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Piece ids, `</s>` included.
    pub(super) ids: Vec<TokenId>,
    /// Each piece's span in the sentence; one fewer than `ids`.
    pub(super) spans: Vec<Span>,
}

impl Part {
    /// The part's place in the sentence.
    pub(super) fn span(&self) -> Span {
        match (self.spans.first(), self.spans.last()) {
            (Some(first), Some(last)) => first.cover(*last),
            _ => Span::default(),
        }
    }

    /// The same part of a text that begins `offset` bytes later.
    pub(super) fn moved_back(&self, offset: usize) -> Part {
        let spans = self.spans.iter().map(|span| Span::new(span.start - offset, span.end - offset)).collect();
        Part { ids: self.ids.clone(), spans }
    }
}

/// How a sentence is to be handled.
#[derive(Clone, Debug)]
pub(super) enum Plan {
    /// Through the engine, in one part or, where it is too long for the model, in several.
    Translate(Vec<Part>),
    /// Copied: there is not one Arabic letter in it.
    Copy,
}

impl Plan {
    /// What of the sentence goes through the engine.
    pub(super) fn parts(&self) -> &[Part] {
        match self {
            Plan::Translate(parts) => parts,
            Plan::Copy => &[],
        }
    }
}

/// Prepares one sentence; a part has at most `max_pieces` pieces, `</s>` included.
pub(super) fn plan(sentence: &str, normalizer: &Normalizer, vocabulary: &Vocabulary, max_pieces: usize) -> Plan {
    if !sentence.chars().any(is_arabic_letter) {
        return Plan::Copy;
    }
    let whole = part(sentence, 0, normalizer, vocabulary);
    if whole.ids.len() <= max_pieces {
        return Plan::Translate(vec![whole]);
    }
    let fits = |text: &str| part(text, 0, normalizer, vocabulary).ids.len() <= max_pieces;
    let mut parts = Vec::new();
    for span in split_long(sentence, &fits) {
        let mut part = part(span.of(sentence), span.start, normalizer, vocabulary);
        // A single unbreakable run of more pieces than the model has positions: no word is that long, so what is
        // beyond is noise, but it still must not reach the engine in one go.
        while part.ids.len() > max_pieces {
            let rest = Part { ids: part.ids.split_off(max_pieces - 1), spans: part.spans.split_off(max_pieces - 1) };
            part.ids.push(vocabulary.end_of_sentence());
            parts.push(std::mem::replace(&mut part, rest));
        }
        if part.ids.len() > 1 {
            parts.push(part);
        }
    }
    Plan::Translate(parts)
}

fn part(text: &str, offset: usize, normalizer: &Normalizer, vocabulary: &Vocabulary) -> Part {
    let normalized = normalizer.normalize(text);
    let pieces = vocabulary.encode_source(&normalized.text);
    let mut ids = pieces.ids;
    ids.push(vocabulary.end_of_sentence());
    let spans = pieces.spans.into_iter().map(|span| normalized.original(span).shifted(offset)).collect();
    Part { ids, spans }
}

fn is_arabic_letter(c: char) -> bool {
    c.is_alphabetic()
        && matches!(c, '\u{0600}'..='\u{06FF}' | '\u{0750}'..='\u{077F}' | '\u{0870}'..='\u{08FF}'
        | '\u{FB50}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFF}')
}

//! The target side of the pipeline: from hypotheses to sentences, and from sentences to the document.

use crate::alignment::forced::SentencePair;
use crate::alignment::lexicon::soft_alignment;
use crate::alignment::{Alignment, Lexicon, Link, LinkForm, Matrix, word_log_probs};
use crate::assessment::{Assessor, Pair};
use crate::confidence::Calibration;
use crate::engine::TokenId;
use crate::error::Result;
use crate::flags::FlagOptions;
use crate::punctuation;
use crate::search::Hypothesis;
use crate::span::Span;
use crate::translation::{Candidate, Document, Sentence, SentencePieces};
use crate::vocabulary::Vocabulary;
use crate::words::words;

use super::source::Part;

/// What assembly needs to know beside the hypotheses.
pub(super) struct Assembler<'a> {
    pub(super) vocabulary: &'a Vocabulary,
    pub(super) calibration: &'a Calibration,
    pub(super) lexicon: Option<&'a Lexicon>,
    pub(super) links: LinkForm,
    pub(super) flags: &'a FlagOptions,
    /// Whether a piece's attention is that of the step after it.
    pub(super) shift: bool,
}

/// What is translated but not aligned yet: a sentence, or a stretch of a very long one.
pub(super) struct Draft<'a> {
    source: &'a str,
    /// Where it begins in the sentence.
    offset: usize,
    target: String,
    source_words: Vec<Span>,
    target_words: Vec<Span>,
    pieces: SentencePieces,
    score: f32,
    /// Its parts, where there are several.
    parts: Vec<Span>,
    n_best: Vec<Candidate>,
}

impl Draft<'_> {
    /// The two texts with their words.
    pub(super) fn pair(&self) -> SentencePair<'_> {
        SentencePair {
            source: self.source,
            target: &self.target,
            source_words: &self.source_words,
            target_words: &self.target_words,
        }
    }

    /// What the model that translated looked at.
    pub(super) fn attention(&self) -> Result<Matrix> {
        Matrix::of_words(&self.pieces, &self.source_words, &self.target_words)
    }
}

/// The most parts of a sentence that are aligned together. Their attention is a square of all their pieces; a "sentence"
/// of a megabyte must not ask for the square of that.
const MOST_PARTS: usize = 8;

impl Assembler<'_> {
    /// A sentence's parts, each with its hypotheses, become one draft, or one for every eight of them.
    pub(super) fn drafts<'s>(&self, source: &'s str, parts: &[Part], hypotheses: &[Vec<Hypothesis>]) -> Vec<Draft<'s>> {
        if parts.len() <= MOST_PARTS {
            return vec![self.draft(source, 0, parts, hypotheses)];
        }
        let groups = parts.chunks(MOST_PARTS).zip(hypotheses.chunks(MOST_PARTS));
        groups
            .map(|(parts, hypotheses)| {
                let span = parts.iter().map(Part::span).reduce(Span::cover).unwrap_or_default();
                let moved: Vec<Part> = parts.iter().map(|part| part.moved_back(span.start)).collect();
                self.draft(span.of(source), span.start, &moved, hypotheses)
            })
            .collect()
    }

    /// A sentence's drafts, each with the attention over its words, become one sentence; its spans count from the
    /// sentence's start.
    pub(super) fn sentence(
        &self,
        source: &str,
        drafts: Vec<Draft<'_>>,
        attention: Vec<Option<Matrix>>,
    ) -> Result<Sentence> {
        let groups = drafts.len();
        let mut aligned = drafts.into_iter().zip(attention);
        if groups == 1
            && let Some((draft, attention)) = aligned.next()
        {
            return self.align(draft, attention);
        }
        let mut whole = Sentence { source: source.to_owned(), ..Sentence::default() };
        for (draft, attention) in aligned {
            let offset = draft.offset;
            append(&mut whole, self.align(draft, attention)?, offset);
        }
        let groups = groups.max(1) as f32;
        whole.score /= groups;
        whole.confidence /= groups;
        whole.source_span = Span::new(0, source.len());
        whole.target_span = Span::new(0, whole.target.len());
        Ok(whole)
    }

    fn draft<'s>(&self, source: &'s str, offset: usize, parts: &[Part], hypotheses: &[Vec<Hypothesis>]) -> Draft<'s> {
        let capital = offset == 0 && begins_with_capital(source);
        let mut target = String::new();
        let mut pieces = SentencePieces::default();
        let mut score = 0.0;
        for (part, best) in parts.iter().zip(hypotheses).filter_map(|(part, list)| Some((part, list.first()?))) {
            let (text, mut part_pieces) = self.surface(best, part.ids.len(), capital && target.is_empty());
            part_pieces.source.clone_from(&part.spans);
            if !target.is_empty() && !text.is_empty() {
                target.push(' ');
            }
            pieces.append(&part_pieces, 0, target.len());
            target += &text;
            score += best.score / parts.len() as f32;
        }
        Draft {
            source,
            offset,
            source_words: words(source),
            target_words: words(&target),
            target,
            pieces,
            score,
            parts: if parts.len() > 1 { parts.iter().map(Part::span).collect() } else { Vec::new() },
            n_best: self.n_best(hypotheses, capital),
        }
    }

    fn align(&self, draft: Draft<'_>, attention: Option<Matrix>) -> Result<Sentence> {
        let Draft { source, target, source_words, target_words, pieces, score, parts, n_best, .. } = draft;
        let matrix = soft_alignment(self.lexicon, attention, source, &source_words, &target, &target_words)?;
        let log_probs = word_log_probs(&pieces.log_probs, &pieces.target, &target_words);
        let assessor =
            Assessor { calibration: Some(self.calibration), links: self.links, flags: self.flags, own: true };
        let sentence = assessor.sentence(Pair {
            source,
            target,
            source_words,
            target_words,
            matrix,
            log_probs: &pieces.log_probs,
            word_log_probs: log_probs,
            parts: &parts,
        });
        Ok(Sentence { score, pieces: Some(pieces), n_best, ..sentence })
    }

    /// The printed form of a hypothesis with its pieces, without the end of the sentence; `columns` are the source's
    /// pieces with the end.
    fn surface(&self, hypothesis: &Hypothesis, columns: usize, capital: bool) -> (String, SentencePieces) {
        let tokens = self.content(&hypothesis.tokens);
        let mut attention: Vec<Vec<f32>> =
            hypothesis.attention.iter().skip(usize::from(self.shift)).take(tokens.len()).cloned().collect();
        // A hypothesis that was cut off has no step after its last piece: that one looked at nothing.
        attention.resize_with(tokens.len(), || (1..=columns).map(|at| f32::from(at == columns)).collect());
        let (text, spans) = self.text(tokens, capital);
        let pieces = SentencePieces {
            source: Vec::new(),
            target: spans,
            log_probs: hypothesis.log_probs[..tokens.len()].to_vec(),
            attention,
        };
        (text, pieces)
    }

    fn text(&self, tokens: &[TokenId], capital: bool) -> (String, Vec<Span>) {
        let mut decoded = self.vocabulary.decode_target(tokens);
        let mut text = punctuation::tidy(&decoded.text, &mut decoded.spans);
        if capital {
            text = punctuation::capitalize(&text, &mut decoded.spans);
        }
        (text, decoded.spans)
    }

    fn content<'t>(&self, tokens: &'t [TokenId]) -> &'t [TokenId] {
        match tokens.split_last() {
            Some((&last, rest)) if last == self.vocabulary.end_of_sentence() => rest,
            _ => tokens,
        }
    }

    /// The n-best list of a sentence in one part; a sentence in several has none, since their lists don't combine.
    fn n_best(&self, hypotheses: &[Vec<Hypothesis>], capital: bool) -> Vec<Candidate> {
        match hypotheses {
            [list] if list.len() > 1 => list
                .iter()
                .map(|hypothesis| Candidate {
                    target: self.text(self.content(&hypothesis.tokens), capital).0,
                    score: hypothesis.score,
                })
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// Whether English begins it with a capital letter: a sentence does, and so does a headline; a word or two by themselves
/// may be anything, and what begins in Latin letters has its own spelling.
fn begins_with_capital(source: &str) -> bool {
    let closing = |c: char| c.is_whitespace() || matches!(c, '"' | '”' | '»' | '’' | ')' | ']');
    let ended = source.trim_end_matches(closing).ends_with(['.', '!', '?', '؟', '…', '۔']);
    let first = source.chars().find(|c| c.is_alphanumeric());
    (ended || source.split_whitespace().nth(LEAST_HEADLINE - 1).is_some()) && !first.is_some_and(char::is_lowercase)
}

/// The words that make a headline of what has no mark at its end.
const LEAST_HEADLINE: usize = 4;

/// Adds what follows in the same sentence: words, links and flags move by what is there already, scores add up.
fn append(whole: &mut Sentence, next: Sentence, source_offset: usize) {
    if !whole.target.is_empty() && !next.target.is_empty() {
        whole.target.push(' ');
    }
    let target_offset = whole.target.len();
    let (sources, targets) = (whole.source_words.len(), whole.target_words.len());
    whole.target += &next.target;
    whole.score += next.score;
    whole.confidence += next.confidence;
    whole.source_words.extend(next.source_words.iter().map(|word| word.shifted(source_offset)));
    whole.target_words.extend(next.target_words.iter().map(|word| word.shifted(target_offset)));
    whole.word_log_probs.extend(next.word_log_probs);
    whole.word_confidences.extend(next.word_confidences);
    whole.alignment.null.extend(next.alignment.null);
    whole.alignment.links.extend(next.alignment.links.into_iter().map(|link| Link {
        source: link.source + sources,
        target: link.target + targets,
        ..link
    }));
    whole.flags.extend(next.flags.into_iter().map(|mut flag| {
        flag.source.iter_mut().for_each(|span| *span = span.shifted(source_offset));
        flag.target.iter_mut().for_each(|span| *span = span.shifted(target_offset));
        flag
    }));
}

/// A sentence that needs no translation: the same words on both sides, each linked to itself.
pub(super) fn copy(source: &str) -> Sentence {
    let words = words(source);
    let links = (0..words.len()).map(|word| Link { source: word, target: word, probability: 1.0 }).collect();
    Sentence {
        source: source.to_owned(),
        source_span: Span::new(0, source.len()),
        target: source.to_owned(),
        target_span: Span::new(0, source.len()),
        confidence: 1.0,
        word_confidences: vec![1.0; words.len()],
        word_log_probs: vec![0.0; words.len()],
        alignment: Alignment { links, null: vec![0.0; words.len()] },
        source_words: words.clone(),
        target_words: words,
        ..Sentence::default()
    }
}

/// Puts sentences together again with the text that stands between them in the source; `spans` are their places there.
pub(super) fn document(sentences: Vec<Sentence>, spans: &[Span], source: &str) -> Document {
    let mut text = String::with_capacity(source.len());
    let mut end = 0;
    let mut placed = Vec::with_capacity(sentences.len());
    for (mut sentence, &span) in sentences.into_iter().zip(spans) {
        let gap = &source[end..span.start];
        // Arabic sentences that were written without a space between them must not run together in English.
        text += if gap.is_empty() && !placed.is_empty() { " " } else { gap };
        end = span.end;
        sentence.source_span = span;
        sentence.target_span = Span::new(text.len(), text.len() + sentence.target.len());
        text += &sentence.target;
        placed.push(sentence);
    }
    text += &source[end..];
    Document { text, sentences: placed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_and_headlines_begin_with_a_capital() {
        for (source, expected) in [
            ("خسر.", true),
            ("قال: \"خسر؟\"", true),
            ("أزمة سيولة تخنق مصارف", true),
            ("سوق اليخوت الفارهة", false),
            ("iPhone هاتف.", false),
            ("", false),
        ] {
            assert_eq!(begins_with_capital(source), expected, "{source}");
        }
    }
}

//! The target side of the pipeline: from hypotheses to sentences, and from sentences to the document.

use crate::alignment::{Alignment, Lexicon, Link, LinkForm, Matrix, word_log_probs};
use crate::confidence::{Calibration, Observed};
use crate::engine::TokenId;
use crate::error::Result;
use crate::flags::{self, Evidence, FlagOptions};
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
}

/// The most parts of a sentence that are aligned together. Their attention is a square of all their pieces; a "sentence"
/// of a megabyte must not ask for the square of that.
const MOST_PARTS: usize = 8;

impl Assembler<'_> {
    /// A sentence's parts, each with its hypotheses, become one sentence; its spans count from the sentence's start.
    pub(super) fn sentence(&self, source: &str, parts: &[Part], hypotheses: &[Vec<Hypothesis>]) -> Result<Sentence> {
        if parts.len() <= MOST_PARTS {
            return self.together(source, parts, hypotheses);
        }
        let mut whole = Sentence { source: source.to_owned(), ..Sentence::default() };
        for (parts, hypotheses) in parts.chunks(MOST_PARTS).zip(hypotheses.chunks(MOST_PARTS)) {
            let span = parts.iter().map(Part::span).reduce(Span::cover).unwrap_or_default();
            let moved: Vec<Part> = parts.iter().map(|part| part.moved_back(span.start)).collect();
            append(&mut whole, self.together(span.of(source), &moved, hypotheses)?, span.start);
        }
        let groups = parts.len().div_ceil(MOST_PARTS) as f32;
        whole.score /= groups;
        whole.confidence /= groups;
        whole.source_span = Span::new(0, source.len());
        whole.target_span = Span::new(0, whole.target.len());
        Ok(whole)
    }

    fn together(&self, source: &str, parts: &[Part], hypotheses: &[Vec<Hypothesis>]) -> Result<Sentence> {
        let mut target = String::new();
        let mut pieces = SentencePieces::default();
        let mut score = 0.0;
        for (part, best) in parts.iter().zip(hypotheses).filter_map(|(part, list)| Some((part, list.first()?))) {
            let (text, mut part_pieces) = self.surface(best);
            part_pieces.source.clone_from(&part.spans);
            if !target.is_empty() && !text.is_empty() {
                target.push(' ');
            }
            pieces.append(&part_pieces, 0, target.len());
            target += &text;
            score += best.score / parts.len() as f32;
        }
        let source_words = words(source);
        let target_words = words(&target);
        let mut matrix = Matrix::of_words(&pieces, &source_words, &target_words)?;
        if let Some(lexicon) = self.lexicon {
            matrix = lexicon.refine(Some(&matrix), source, &source_words, &target, &target_words)?;
        }
        let log_probs = word_log_probs(&pieces.log_probs, &pieces.target, &target_words);
        let confidence = self.calibration.confidence(&Observed {
            log_probs: &pieces.log_probs,
            word_log_probs: &log_probs,
            null: matrix.null(),
            source_letters: letters(source),
            target_letters: letters(&target),
        });
        let part_spans: Vec<Span> = if parts.len() > 1 { parts.iter().map(Part::span).collect() } else { Vec::new() };
        let flags = flags::check(
            &Evidence {
                source,
                target: &target,
                source_words: &source_words,
                target_words: &target_words,
                matrix: Some(&matrix),
                confidence: Some(confidence.sentence),
                word_confidences: &confidence.words,
                parts: &part_spans,
            },
            self.flags,
        );
        Ok(Sentence {
            source: source.to_owned(),
            source_span: Span::new(0, source.len()),
            target_span: Span::new(0, target.len()),
            target,
            score,
            confidence: confidence.sentence,
            word_confidences: confidence.words,
            alignment: matrix.alignment(self.links),
            matrix,
            source_words,
            target_words,
            word_log_probs: log_probs,
            pieces: Some(pieces),
            flags,
            n_best: self.n_best(hypotheses),
        })
    }

    /// The printed form of a hypothesis with its pieces, without the end of the sentence.
    fn surface(&self, hypothesis: &Hypothesis) -> (String, SentencePieces) {
        let tokens = self.content(&hypothesis.tokens);
        let mut decoded = self.vocabulary.decode_target(tokens);
        let text = punctuation::tidy(&decoded.text, &mut decoded.spans);
        let pieces = SentencePieces {
            source: Vec::new(),
            target: decoded.spans,
            log_probs: hypothesis.log_probs[..tokens.len()].to_vec(),
            attention: hypothesis.attention[..tokens.len()].to_vec(),
        };
        (text, pieces)
    }

    fn content<'t>(&self, tokens: &'t [TokenId]) -> &'t [TokenId] {
        match tokens.split_last() {
            Some((&last, rest)) if last == self.vocabulary.end_of_sentence() => rest,
            _ => tokens,
        }
    }

    /// The n-best list of a sentence in one part; a sentence in several has none, since their lists don't combine.
    fn n_best(&self, hypotheses: &[Vec<Hypothesis>]) -> Vec<Candidate> {
        match hypotheses {
            [list] if list.len() > 1 => list
                .iter()
                .map(|hypothesis| Candidate { target: self.surface(hypothesis).0, score: hypothesis.score })
                .collect(),
            _ => Vec::new(),
        }
    }
}

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

fn letters(text: &str) -> usize {
    text.chars().filter(|c| c.is_alphanumeric()).count()
}

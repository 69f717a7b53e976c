//! Forced decoding: what a model says about translations that exist already, with its attention.
//!
//! One pass of the decoder over the given target scores every piece and shows where the model looked for it. This aligns
//! and scores other people's translations, and gives models without a guided head their links: their output goes once
//! more through a model that has one.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Matrix;
use crate::engine::{Engine, Forced, ForcedPair, TokenId};
use crate::error::{Error, ErrorKind, Result};
use crate::normalizer::Normalizer;
use crate::span::Span;
use crate::translation::SentencePieces;
use crate::vocabulary::Vocabulary;

/// How pairs go through the engine.
#[derive(Clone, Copy, Debug)]
pub struct ForcedOptions {
    /// The most pieces of both sides in one batch, padding included.
    pub mini_batch_words: usize,
    /// Batches at a time, one thread each.
    pub threads: NonZero<usize>,
    /// Reads a word's attention one step later, where it is the decoder's input: Shift-Att (Chen et al. 2020), for
    /// layers that were not trained to align.
    pub shift: bool,
}

impl Default for ForcedOptions {
    fn default() -> Self {
        ForcedOptions { mini_batch_words: 2000, threads: NonZero::<usize>::MIN, shift: false }
    }
}

/// A sentence and its translation, each with its words.
#[derive(Clone, Copy, Debug)]
pub struct SentencePair<'a> {
    /// The Arabic.
    pub source: &'a str,
    /// The English.
    pub target: &'a str,
    /// Words of the source; long pairs are cut between words.
    pub source_words: &'a [Span],
    /// Words of the target.
    pub target_words: &'a [Span],
}

/// What the model says about one pair.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForcedSentence {
    /// The pieces of both sides with log-probabilities and attention.
    pub pieces: SentencePieces,
    /// Log-probability of the sentence's end after them; the sum, where the pair was cut.
    pub end_log_prob: f32,
    /// The source spans of the parts, where the pair was too long for the model and was cut; else empty.
    pub parts: Vec<Span>,
}

impl ForcedSentence {
    /// Log-probability of the whole translation: the sum over its pieces and its end.
    pub fn log_prob(&self) -> f32 {
        self.pieces.log_probs.iter().sum::<f32>() + self.end_log_prob
    }

    /// The mean over its pieces and its end: comparable between sentences of different lengths.
    pub fn mean_log_prob(&self) -> f32 {
        self.log_prob() / (self.pieces.log_probs.len() + self.parts.len().max(1)) as f32
    }
}

/// A model ready to judge given translations.
#[derive(Clone, Copy)]
pub struct ForcedDecoder<'a> {
    engine: &'a dyn Engine,
    vocabulary: &'a Vocabulary,
    normalizer: &'a Normalizer,
    start: TokenId,
    options: ForcedOptions,
}

/// A stretch of a pair that goes through the model at once.
struct Part {
    /// Which pair it belongs to.
    pair: usize,
    /// Where it begins on either side.
    source_offset: usize,
    target_offset: usize,
    source_span: Span,
    source: Vec<TokenId>,
    target: Vec<TokenId>,
    source_spans: Vec<Span>,
    target_spans: Vec<Span>,
}

impl<'a> ForcedDecoder<'a> {
    /// Puts the pieces of a model together; `start` is the decoder's first input.
    pub fn new(
        engine: &'a dyn Engine,
        vocabulary: &'a Vocabulary,
        normalizer: &'a Normalizer,
        start: TokenId,
        options: ForcedOptions,
    ) -> Self {
        ForcedDecoder { engine, vocabulary, normalizer, start, options }
    }

    /// Judges pairs in common batches; one outcome per pair, in order.
    ///
    /// # Errors
    /// The engine fails. A single pair's error (a word longer than the model's positions) is that pair's outcome.
    pub fn force(&self, pairs: &[SentencePair<'_>]) -> Result<Vec<Result<ForcedSentence>>> {
        let mut outcomes: Vec<Result<ForcedSentence>> = pairs.iter().map(|_| Ok(ForcedSentence::default())).collect();
        let mut parts = Vec::new();
        for (at, pair) in pairs.iter().enumerate() {
            let before = parts.len();
            if let Err(error) = self.cut(at, *pair, &mut parts) {
                parts.truncate(before);
                outcomes[at] = Err(error);
            }
        }
        let forced = self.run(&parts)?;
        for (part, forced) in parts.into_iter().zip(forced) {
            if let Ok(sentence) = &mut outcomes[part.pair] {
                self.append(sentence, part, forced);
            }
        }
        for sentence in outcomes.iter_mut().flatten() {
            if sentence.parts.len() == 1 {
                sentence.parts.clear();
            }
        }
        Ok(outcomes)
    }

    /// The attention over the words of each pair; `None` where a pair cannot go through the model, as one with a word
    /// longer than its positions can't.
    ///
    /// # Errors
    /// As [`force`](ForcedDecoder::force).
    pub fn attention(&self, pairs: &[SentencePair<'_>]) -> Result<Vec<Option<Matrix>>> {
        let forced = self.force(pairs)?;
        pairs
            .iter()
            .zip(forced)
            .map(|(pair, forced)| {
                forced
                    .ok()
                    .map(|forced| Matrix::of_words(&forced.pieces, pair.source_words, pair.target_words))
                    .transpose()
            })
            .collect()
    }

    /// Cuts a pair into parts that fit the model, halving both sides at the same share of their words. Translations of
    /// long sentences mostly run alongside; a better cut would need the alignment that is being looked for.
    fn cut(&self, at: usize, pair: SentencePair<'_>, parts: &mut Vec<Part>) -> Result<()> {
        let whole = |text: &str| Span::new(0, text.len());
        let mut stack = vec![(whole(pair.source), whole(pair.target))];
        while let Some((source_span, target_span)) = stack.pop() {
            let part = self.encode(at, pair, source_span, target_span);
            let limits = self.engine.dimensions();
            if part.source.len() <= limits.source_positions && part.target.len() <= limits.target_positions {
                parts.push(part);
                continue;
            }
            let halves = |words: &[Span], span: Span| {
                let inside: Vec<Span> = words.iter().copied().filter(|word| word.overlaps(span)).collect();
                (inside.len() > 1).then(|| inside[inside.len() / 2].start)
            };
            let (source_cut, target_cut) =
                (halves(pair.source_words, source_span), halves(pair.target_words, target_span));
            if source_cut.is_none() && target_cut.is_none() {
                let message = format!(
                    "one word is {} and {} pieces long, the model takes {} and {}",
                    part.source.len(),
                    part.target.len(),
                    limits.source_positions,
                    limits.target_positions
                );
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
            let (source_cut, target_cut) =
                (source_cut.unwrap_or(source_span.end), target_cut.unwrap_or(target_span.end));
            stack.push((Span::new(source_cut, source_span.end), Span::new(target_cut, target_span.end)));
            stack.push((Span::new(source_span.start, source_cut), Span::new(target_span.start, target_cut)));
        }
        Ok(())
    }

    fn encode(&self, pair: usize, texts: SentencePair<'_>, source_span: Span, target_span: Span) -> Part {
        let normalized = self.normalizer.normalize(source_span.of(texts.source));
        let source = self.vocabulary.encode_source(&normalized.text);
        let target = self.vocabulary.encode_target(target_span.of(texts.target));
        let with_end = |mut ids: Vec<TokenId>| {
            ids.push(self.vocabulary.end_of_sentence());
            ids
        };
        Part {
            pair,
            source_offset: source_span.start,
            target_offset: target_span.start,
            source_span,
            source: with_end(source.ids),
            target: with_end(target.ids),
            source_spans: source.spans.into_iter().map(|span| normalized.original(span)).collect(),
            target_spans: target.spans,
        }
    }

    /// Runs all parts, those of like length together, on several threads.
    fn run(&self, parts: &[Part]) -> Result<Vec<Forced>> {
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.sort_by_key(|&at| (parts[at].target.len(), parts[at].source.len(), at));
        let batches = self.batches(parts, &order);
        let next = AtomicUsize::new(0);
        let done: Mutex<Vec<Option<Forced>>> = Mutex::new((0..parts.len()).map(|_| None).collect());
        let failure: Mutex<Option<Error>> = Mutex::new(None);
        let work = || {
            while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                let pairs: Vec<ForcedPair<'_>> = batch
                    .iter()
                    .map(|&at| ForcedPair { source: &parts[at].source, start: self.start, target: &parts[at].target })
                    .collect();
                match self.engine.force(&pairs) {
                    Ok(forced) => {
                        let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                        for (&at, forced) in batch.iter().zip(forced) {
                            done[at] = Some(forced);
                        }
                    }
                    Err(error) => {
                        failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(error);
                        next.store(batches.len(), Ordering::Relaxed);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.options.threads.get().min(batches.len()) {
                scope.spawn(work);
            }
            work();
        });
        if let Some(error) = failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
            return Err(error);
        }
        done.into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .into_iter()
            .collect::<Option<Vec<Forced>>>()
            .ok_or_else(|| Error::new(ErrorKind::Internal, "the engine left a forced pair without an answer"))
    }

    fn batches(&self, parts: &[Part], order: &[usize]) -> Vec<Vec<usize>> {
        let mut batches: Vec<Vec<usize>> = Vec::new();
        let (mut longest_source, mut longest_target) = (0, 0);
        for &at in order {
            let source = longest_source.max(parts[at].source.len());
            let target = longest_target.max(parts[at].target.len());
            let full = |batch: &Vec<usize>| (batch.len() + 1) * (source + target) > self.options.mini_batch_words;
            match batches.last_mut() {
                Some(batch) if !full(batch) => {
                    batch.push(at);
                    (longest_source, longest_target) = (source, target);
                }
                _ => {
                    batches.push(vec![at]);
                    (longest_source, longest_target) = (parts[at].source.len(), parts[at].target.len());
                }
            }
        }
        batches
    }

    /// Puts a part's answer after what its sentence has so far.
    fn append(&self, sentence: &mut ForcedSentence, part: Part, mut forced: Forced) {
        let end = forced.log_probs.pop().unwrap_or(0.0);
        if self.options.shift && !forced.attention.is_empty() {
            forced.attention.remove(0);
        }
        forced.attention.truncate(part.target_spans.len());
        let pieces = SentencePieces {
            source: part.source_spans,
            target: part.target_spans,
            log_probs: forced.log_probs,
            attention: forced.attention,
        };
        sentence.pieces.append(&pieces, part.source_offset, part.target_offset);
        sentence.end_log_prob += end;
        sentence.parts.push(part.source_span);
    }
}

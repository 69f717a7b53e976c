//! Translations of sentences that come again, as they do in wire news.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::Result;
use crate::translation::Sentence;

use super::store::SentenceStore;

/// A bounded store from a sentence's exact text to its translation, for one model with one set of options.
///
/// A hit is the very value that was stored, so that outputs are the same bytes with and without it. Memory stays
/// below `capacity` bytes: two generations are kept, and when the younger one has grown to half the capacity, the
/// older one is forgotten. What memory does not know is looked up in a [`SentenceStore`], where there is one.
#[derive(Debug)]
pub(super) struct SentenceCache {
    capacity: usize,
    store: Option<SentenceStore>,
    generations: Mutex<Generations>,
    hits: AtomicU64,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Box<str>, Sentence>,
    old: HashMap<Box<str>, Sentence>,
    young_size: usize,
}

impl SentenceCache {
    /// A cache of at most `capacity` bytes of memory in front of a store.
    pub(super) fn new(capacity: usize, store: Option<SentenceStore>) -> Self {
        SentenceCache { capacity, store, generations: Mutex::default(), hits: AtomicU64::new(0) }
    }

    /// Translates sentences with `translate`, each distinct one that isn't known only once.
    pub(super) fn translate(
        &self,
        sentences: &[&str],
        translate: impl FnOnce(&[&str]) -> Vec<Result<Sentence>>,
    ) -> Vec<Result<Sentence>> {
        let (mut unknown, mut places) = (Vec::new(), HashMap::new());
        let known: Vec<Option<Sentence>> = sentences.iter().map(|sentence| self.get(sentence)).collect();
        for (sentence, known) in sentences.iter().zip(&known) {
            if known.is_none() {
                places.entry(*sentence).or_insert_with(|| {
                    unknown.push(*sentence);
                    unknown.len() - 1
                });
            }
        }
        let translated = translate(&unknown);
        for (sentence, translated) in unknown.iter().zip(&translated) {
            if let Ok(translated) = translated {
                self.put(sentence, translated);
            }
        }
        if let Some(store) = &self.store {
            store.put(&translated.iter().flatten().collect::<Vec<_>>());
        }
        self.hits.fetch_add((sentences.len() - unknown.len()) as u64, Ordering::Relaxed);
        let fresh = |sentence: &str| match &translated[places[sentence]] {
            Ok(sentence) => Ok(sentence.clone()),
            Err(error) => Err(error.without_source()),
        };
        sentences.iter().zip(known).map(|(sentence, known)| known.map_or_else(|| fresh(sentence), Ok)).collect()
    }

    /// How many sentences needed no translating.
    pub(super) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    fn get(&self, text: &str) -> Option<Sentence> {
        self.remembered(text).or_else(|| {
            let stored = self.store.as_ref()?.get(text)?;
            self.put(text, &stored);
            Some(stored)
        })
    }

    fn remembered(&self, text: &str) -> Option<Sentence> {
        let mut generations = self.generations();
        if let Some(found) = generations.young.get(text) {
            return Some(found.clone());
        }
        let (text, found) = generations.old.remove_entry(text)?;
        generations.insert(text, found.clone(), self.capacity);
        Some(found)
    }

    fn put(&self, text: &str, sentence: &Sentence) {
        self.generations().insert(text.into(), sentence.clone(), self.capacity);
    }

    fn generations(&self) -> std::sync::MutexGuard<'_, Generations> {
        // A thread that panicked cannot have left a half-made entry: entries are moved in whole.
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn insert(&mut self, text: Box<str>, sentence: Sentence, capacity: usize) {
        let size = size(&text, &sentence);
        // One entry may not push out a whole generation.
        if size > capacity / 4 {
            return;
        }
        if self.young_size + size > capacity / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_size = 0;
        }
        if self.young.insert(text, sentence).is_none() {
            self.young_size += size;
        }
    }
}

/// About what an entry takes in memory, in bytes.
fn size(text: &str, sentence: &Sentence) -> usize {
    let pieces = sentence.pieces.as_ref().map_or(0, |pieces| {
        let attention: usize = pieces.attention.iter().map(|row| 24 + 4 * row.len()).sum();
        attention + 16 * (pieces.source.len() + pieces.target.len()) + 4 * pieces.log_probs.len()
    });
    let candidates: usize = sentence.n_best.iter().map(|candidate| 32 + candidate.target.len()).sum();
    let flags: usize = sentence.flags.iter().map(|flag| 80 + flag.reason.len()).sum();
    let words = sentence.source_words.len() + sentence.target_words.len();
    let texts = text.len() + sentence.source.len() + sentence.target.len();
    texts + 32 * words + 24 * sentence.alignment.links.len() + pieces + candidates + flags + size_of::<Sentence>() + 64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shout(sentences: &[&str]) -> Vec<Result<Sentence>> {
        let translate =
            |text: &&str| Sentence { source: (*text).into(), target: text.to_uppercase(), ..Sentence::default() };
        sentences.iter().map(|text| Ok(translate(text))).collect()
    }

    fn targets(sentences: Vec<Result<Sentence>>) -> Vec<String> {
        sentences.into_iter().map(|sentence| sentence.unwrap().target).collect()
    }

    #[test]
    fn repeated_sentences_are_translated_once_within_and_across_calls() {
        let cache = SentenceCache::new(1 << 20, None);
        let first = cache.translate(&["a", "b", "a"], |unknown| {
            assert_eq!(unknown, ["a", "b"]);
            shout(unknown)
        });
        assert_eq!(targets(first), ["A", "B", "A"]);
        let second = cache.translate(&["b", "b ", "a"], |unknown| {
            assert_eq!(unknown, ["b "], "texts are compared exactly");
            shout(unknown)
        });
        assert_eq!(targets(second), ["B", "B ", "A"]);
        assert_eq!(cache.hits(), 3);
    }

    #[test]
    fn failures_are_not_remembered() {
        let cache = SentenceCache::new(1 << 20, None);
        let fail = |unknown: &[&str]| -> Vec<Result<Sentence>> {
            unknown.iter().map(|_| Err(crate::Error::new(crate::ErrorKind::Internal, "no"))).collect()
        };
        assert!(cache.translate(&["a", "a"], fail).iter().all(Result::is_err));
        assert_eq!(targets(cache.translate(&["a"], shout)), ["A"]);
    }

    #[test]
    fn memory_is_bounded_and_what_is_used_stays() {
        let cache = SentenceCache::new(100_000, None);
        for i in 0..5_000 {
            let text = format!("sentence {i}");
            cache.translate(&["always there", &text], shout);
        }
        assert!(cache.get("always there").is_some() && cache.get("sentence 0").is_none());
        let generations = cache.generations();
        let all = generations.young.iter().chain(&generations.old);
        let total: usize = all.map(|(text, sentence)| size(text, sentence)).sum();
        assert!(total <= 100_000 && total > 40_000, "{total}");
        drop(generations);
        let giant = "x".repeat(30_000);
        cache.translate(&[&giant], shout);
        assert!(cache.get(&giant).is_none());
    }
}

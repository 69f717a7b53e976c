//! Translations of sentences that come again, as they do in wire news.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// A bounded store from a sentence's exact text to what was made of it.
///
/// One cache serves one model with one set of options; a hit gives the very value that was stored, so outputs are
/// the same bytes with and without it. Memory stays below `capacity` bytes by the sizes its user states: two
/// generations are kept, and when the younger one is half the capacity, the older one is forgotten.
///
/// ```
/// use tarjim::batch::SentenceCache;
///
/// let cache = SentenceCache::new(1 << 20);
/// assert_eq!(cache.get("أعلن الوزير"), None);
/// cache.put("أعلن الوزير", "The minister announced".to_owned(), 64);
/// assert_eq!(cache.get("أعلن الوزير").as_deref(), Some("The minister announced"));
/// assert_eq!((cache.hits(), cache.lookups()), (1, 2));
/// ```
#[derive(Debug)]
pub struct SentenceCache<V> {
    capacity: usize,
    generations: Mutex<Generations<V>>,
    hits: AtomicU64,
    lookups: AtomicU64,
}

#[derive(Debug)]
struct Generations<V> {
    young: HashMap<Box<str>, (V, usize)>,
    old: HashMap<Box<str>, (V, usize)>,
    young_size: usize,
}

impl<V: Clone> SentenceCache<V> {
    /// An empty cache of at most `capacity` bytes; 0 keeps nothing.
    pub fn new(capacity: usize) -> Self {
        let generations = Generations { young: HashMap::new(), old: HashMap::new(), young_size: 0 };
        SentenceCache {
            capacity,
            generations: Mutex::new(generations),
            hits: AtomicU64::new(0),
            lookups: AtomicU64::new(0),
        }
    }

    /// What was stored for this text.
    pub fn get(&self, text: &str) -> Option<V> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        // A thread that panicked cannot have left a half-made entry: entries are moved in whole.
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match generations.young.get(text) {
            Some((value, _)) => Some(value.clone()),
            None => generations.old.remove_entry(text).map(|(text, (value, size))| {
                generations.insert(text, value.clone(), size, self.capacity);
                value
            }),
        };
        self.hits.fetch_add(u64::from(found.is_some()), Ordering::Relaxed);
        found
    }

    /// Stores a value; `size` is about what it takes in memory, in bytes, the text aside.
    pub fn put(&self, text: &str, value: V, size: usize) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.insert(text.into(), value, size, self.capacity);
    }

    /// How many look-ups found something.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// How many look-ups there were.
    pub fn lookups(&self) -> u64 {
        self.lookups.load(Ordering::Relaxed)
    }
}

impl<V> Generations<V> {
    fn insert(&mut self, text: Box<str>, value: V, size: usize, capacity: usize) {
        let weight = entry_size(&text, size);
        // One entry may not push out a whole generation.
        if weight > capacity / 4 {
            return;
        }
        if self.young_size + weight > capacity / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_size = 0;
        }
        match self.young.insert(text, (value, size)) {
            None => self.young_size += weight,
            Some((_, before)) => self.young_size = (self.young_size + size).saturating_sub(before),
        }
    }
}

/// An entry with its share of the table.
fn entry_size(text: &str, size: usize) -> usize {
    text.len() + size + 64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_what_is_used_stays() {
        let cache = SentenceCache::new(100 * (2 + 8 + 64));
        for i in 0..10_000u32 {
            cache.put(&format!("{:02}", i % 100), i, 8);
            cache.put(&format!("x{i}"), i, 8);
            assert!(cache.get("00").is_some(), "used in every round");
        }
        let generations = cache.generations.lock().unwrap();
        let size: usize =
            generations.young.iter().chain(&generations.old).map(|(text, (_, size))| entry_size(text, *size)).sum();
        assert!(size <= cache.capacity, "{size} of {}", cache.capacity);
        assert!(generations.young_size <= cache.capacity / 2);
    }

    #[test]
    fn texts_are_compared_exactly_and_giants_are_left_out() {
        let cache = SentenceCache::new(1000);
        cache.put("جملة", 1, 8);
        assert_eq!(cache.get("جملة "), None);
        assert_eq!(cache.get("جملةٌ"), None);
        assert_eq!(cache.get("جملة"), Some(1));
        cache.put("giant", 2, 900);
        assert_eq!(cache.get("giant"), None);
        assert_eq!(SentenceCache::new(0).get("x"), None::<u8>);
        assert_eq!((cache.hits(), cache.lookups()), (1, 4));
    }
}

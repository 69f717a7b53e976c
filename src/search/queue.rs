//! The sentences that wait for their turn, sorted by length within windows.

use crate::engine::{Dimensions, TokenId};
use crate::error::{Error, ErrorKind, Result};

/// A sentence not begun yet.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) index: usize,
    pub(crate) source: Vec<TokenId>,
}

/// How much more may be in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) words: usize,
    pub(crate) sentences: usize,
    /// Whether nothing else is in flight: the next sentence may then be of any size.
    pub(crate) empty: bool,
}

/// Two windows: one filling up, one being worked off.
#[derive(Debug)]
pub(crate) struct Queue {
    dimensions: Dimensions,
    /// Source pieces in a full window.
    window: usize,
    /// In order of arrival.
    arriving: Vec<Waiting>,
    arriving_words: usize,
    /// Shortest first: the next sentence is the last.
    sorted: Vec<Waiting>,
    sorted_words: usize,
}

impl Queue {
    pub(crate) fn new(dimensions: Dimensions, window: usize) -> Self {
        Queue { dimensions, window, arriving: Vec::new(), arriving_words: 0, sorted: Vec::new(), sorted_words: 0 }
    }

    /// Whether the window that fills up has room.
    pub(crate) fn wants_more(&self) -> bool {
        self.arriving_words < self.window
    }

    /// Number of waiting sentences.
    pub(crate) fn len(&self) -> usize {
        self.arriving.len() + self.sorted.len()
    }

    /// Source pieces of all waiting sentences.
    pub(crate) fn words(&self) -> usize {
        self.arriving_words + self.sorted_words
    }

    /// Adds a sentence.
    ///
    /// # Errors
    /// As [`check`].
    pub(crate) fn push(&mut self, index: usize, source: Vec<TokenId>) -> Result<()> {
        check(&source, &self.dimensions)?;
        self.arriving_words += source.len();
        self.arriving.push(Waiting { index, source });
        Ok(())
    }

    /// Takes the next sentences, longest of the window first, as many as there is room for.
    pub(crate) fn take(&mut self, mut room: Room) -> Vec<Waiting> {
        let mut taken = Vec::new();
        loop {
            if self.sorted.is_empty() {
                std::mem::swap(&mut self.sorted, &mut self.arriving);
                self.sorted_words = std::mem::take(&mut self.arriving_words);
                self.sorted.reverse();
                // Stable: of equally long sentences the first to arrive is the first to go.
                self.sorted.sort_by_key(|waiting| waiting.source.len());
            }
            let Some(words) = self.sorted.last().map(|next| next.source.len()) else { return taken };
            if !room.empty && (words > room.words || room.sentences == 0) {
                return taken;
            }
            room = Room {
                words: room.words.saturating_sub(words),
                sentences: room.sentences.saturating_sub(1),
                empty: false,
            };
            self.sorted_words -= words;
            taken.extend(self.sorted.pop());
        }
    }
}

/// Checks that an engine of these sizes can take a sentence (pieces, `</s>` included).
///
/// # Errors
/// It is empty, too long, or has an id outside the source vocabulary.
pub(crate) fn check(source: &[TokenId], dimensions: &Dimensions) -> Result<()> {
    let refuse = |message: String| Err(Error::new(ErrorKind::InvalidInput, message));
    if source.is_empty() {
        return refuse("source has no pieces, expected at least the end of the sentence".into());
    }
    if source.len() > dimensions.source_positions {
        return refuse(format!(
            "source has {} pieces, the model takes at most {}",
            source.len(),
            dimensions.source_positions
        ));
    }
    if let Some(id) = source.iter().find(|&&id| id as usize >= dimensions.source_vocabulary) {
        return refuse(format!(
            "source id {id} lies outside the source vocabulary of {} pieces",
            dimensions.source_vocabulary
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(lengths: &[usize]) -> Queue {
        let dimensions =
            Dimensions { source_vocabulary: 9, target_vocabulary: 9, source_positions: 99, target_positions: 99 };
        let mut queue = Queue::new(dimensions, 20);
        for (index, &length) in lengths.iter().enumerate() {
            queue.push(index, vec![1; length]).unwrap();
        }
        queue
    }

    fn take(queue: &mut Queue, words: usize, sentences: usize, empty: bool) -> Vec<usize> {
        queue.take(Room { words, sentences, empty }).into_iter().map(|waiting| waiting.index).collect()
    }

    #[test]
    fn a_window_is_worked_off_longest_first_before_the_next() {
        let mut queue = queue(&[3, 5, 3, 9]);
        assert!(!queue.wants_more());
        assert_eq!(take(&mut queue, 14, 9, true), [3, 1]);
        assert!(queue.wants_more());
        queue.push(4, vec![1; 8]).unwrap();
        assert_eq!((queue.len(), queue.words()), (3, 14));
        assert_eq!(take(&mut queue, 99, 2, false), [0, 2]);
        assert_eq!(take(&mut queue, 99, 9, false), [4]);
        assert_eq!((queue.len(), queue.words()), (0, 0));
    }

    #[test]
    fn a_sentence_beyond_the_room_goes_alone() {
        let mut queue = queue(&[9, 8]);
        assert_eq!(take(&mut queue, 4, 3, false), [0; 0]);
        assert_eq!(take(&mut queue, 4, 0, true), [0]);
        assert_eq!(take(&mut queue, 4, 3, true), [1]);
    }
}

//! Attention keys and values in pages of eight positions that hypotheses share.
//!
//! A page holds the keys and values of all decoder layers for eight positions of one sequence. A hypothesis is a list
//! of pages: when a beam branches, the branches share the full ones, and only a page that is still being filled is
//! copied. Pages nobody names any more are used again, so memory is bounded by what is in flight at once.

use super::graph::Heads;
use super::kernel::{PAGE, PagedKeys, write_position};

/// Pages and how many sequences name each.
pub(super) struct PageArena {
    layers: usize,
    heads: Heads,
    pages: Vec<Box<[u16]>>,
    users: Vec<u32>,
    free: Vec<u32>,
}

impl PageArena {
    /// An empty arena for sequences with keys and values in each of `layers` layers.
    pub(super) fn new(layers: usize, heads: Heads) -> Self {
        PageArena { layers, heads, pages: Vec::new(), users: Vec::new(), free: Vec::new() }
    }

    /// The keys and values of a layer of the sequence in `pages`.
    pub(super) fn layer<'a>(&'a self, layer: usize, pages: &'a [u32]) -> PagedKeys<'a> {
        PagedKeys { arena: &self.pages, pages, start: layer * self.layer_size() }
    }

    fn layer_size(&self) -> usize {
        2 * PAGE * self.heads.inner()
    }

    /// A page with one user. What it holds is finite but of no meaning.
    pub(super) fn allocate(&mut self) -> u32 {
        if let Some(page) = self.free.pop() {
            self.users[page as usize] = 1;
            return page;
        }
        self.pages.push(vec![0; self.layers * self.layer_size()].into_boxed_slice());
        self.users.push(1);
        (self.pages.len() - 1) as u32
    }

    /// Pages for `positions` positions.
    pub(super) fn allocate_for(&mut self, positions: usize) -> Vec<u32> {
        (0..positions.div_ceil(PAGE)).map(|_| self.allocate()).collect()
    }

    /// One user less for each of `pages`.
    pub(super) fn release(&mut self, pages: &[u32]) {
        for &page in pages {
            let users = &mut self.users[page as usize];
            *users -= 1;
            if *users == 0 {
                self.free.push(page);
            }
        }
    }

    /// A second sequence with the same `length` positions, which can go on by itself.
    pub(super) fn branch(&mut self, pages: &[u32], length: usize) -> Vec<u32> {
        let (full, filling) = pages.split_at(length / PAGE);
        for &page in full {
            self.users[page as usize] += 1;
        }
        let mut branch = Vec::with_capacity(pages.len() + 1);
        branch.extend_from_slice(full);
        for &page in filling {
            let copy = self.allocate();
            if let Ok([from, to]) = self.pages.get_disjoint_mut([page as usize, copy as usize]) {
                to.copy_from_slice(from);
            }
            branch.push(copy);
        }
        branch
    }

    /// Writes one position of a sequence in one layer.
    pub(super) fn write(&mut self, pages: &[u32], layer: usize, position: usize, key: &[f32], value: &[f32]) {
        let (size, head_size) = (self.layer_size(), self.heads.size);
        let page = &mut self.pages[pages[position / PAGE] as usize];
        write_position(&mut page[layer * size..(layer + 1) * size], head_size, position % PAGE, key, value);
    }

    /// Pages ever made: the high-water mark of what was in flight.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.pages.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key at a position, in a sequence of bf16 numbers that are exact.
    fn key(arena: &PageArena, pages: &[u32], position: usize) -> f32 {
        f32::from_bits(u32::from(arena.pages[pages[position / PAGE] as usize][2 * (position % PAGE)]) << 16)
    }

    #[test]
    fn branches_share_full_pages_and_part_ways_in_the_last() {
        let mut arena = PageArena::new(1, Heads::new(8, 1));
        let mut first = arena.allocate_for(10);
        for position in 0..10 {
            arena.write(&first, 0, position, &[position as f32; 8], &[0.0; 8]);
        }
        let second = arena.branch(&first, 10);
        assert_eq!(first[0], second[0]);
        assert_ne!(first[1], second[1]);
        arena.write(&first, 0, 10, &[100.0; 8], &[0.0; 8]);
        arena.write(&second, 0, 10, &[200.0; 8], &[0.0; 8]);
        assert_eq!(key(&arena, &second, 9), 9.0);
        assert_eq!((key(&arena, &first, 10), key(&arena, &second, 10)), (100.0, 200.0));
        arena.release(&first);
        // The shared page is still in use, the other is free again.
        first = arena.allocate_for(16);
        assert!(!first.contains(&second[0]));
        assert_eq!(arena.len(), 4);
    }
}

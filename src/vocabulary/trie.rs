//! A trie over byte strings that never changes after it was built.
//!
//! Nodes lie in breadth-first order, so the children of node `i` are the nodes `first_child[i]..first_child[i + 1]`
//! and no node needs a pointer of its own: 62,000 pieces become three flat arrays in a few milliseconds.

/// Marks a node at which no key ends.
const NO_VALUE: u32 = u32::MAX;

/// Keys with values, searched by prefix.
#[derive(Debug)]
pub(super) struct Trie {
    first_child: Vec<u32>,
    labels: Vec<u8>,
    values: Vec<u32>,
    /// Child of the root by its label, 0 for none: half of all lookups end here.
    from_root: [u32; 256],
}

impl Trie {
    /// Builds the trie of `keys`, which must be sorted by key and free of repeats; values are below [`u32::MAX`].
    pub(super) fn from_sorted(keys: &[(&[u8], u32)]) -> Self {
        let mut first_child = Vec::with_capacity(keys.len() * 4 + 2);
        let mut labels = vec![0];
        let mut values = Vec::with_capacity(keys.len() * 4 + 1);
        // The keys below each node and the number of bytes that led there.
        let mut below = vec![(0, keys.len(), 0)];
        let mut node = 0;
        while let Some(&(mut low, high, depth)) = below.get(node) {
            first_child.push(below.len() as u32);
            values.push(NO_VALUE);
            if low < high && keys[low].0.len() == depth {
                values[node] = keys[low].1;
                low += 1;
            }
            while low < high {
                let label = keys[low].0[depth];
                let end = low + keys[low..high].iter().take_while(|key| key.0[depth] == label).count();
                labels.push(label);
                below.push((low, end, depth + 1));
                low = end;
            }
            node += 1;
        }
        first_child.push(below.len() as u32);
        let mut trie = Trie { first_child, labels, values, from_root: [0; 256] };
        for child in trie.children(0) {
            trie.from_root[trie.labels[child] as usize] = child as u32;
        }
        trie
    }

    fn children(&self, node: usize) -> std::ops::Range<usize> {
        self.first_child[node] as usize..self.first_child[node + 1] as usize
    }

    fn child(&self, node: usize, label: u8) -> Option<usize> {
        if node == 0 {
            return Some(self.from_root[label as usize] as usize).filter(|&child| child != 0);
        }
        let children = self.children(node);
        let at = self.labels[children.clone()].binary_search(&label).ok()?;
        Some(children.start + at)
    }

    /// The keys that `text` starts with, shortest first, as (length, value).
    pub(super) fn prefixes<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (usize, u32)> + 'a {
        let mut node = 0;
        text.iter()
            .map_while(move |&byte| {
                node = self.child(node, byte)?;
                Some(self.values[node])
            })
            .enumerate()
            .filter(|&(_, value)| value != NO_VALUE)
            .map(|(at, value)| (at + 1, value))
    }

    /// The value of `key`.
    pub(super) fn get(&self, key: &[u8]) -> Option<u32> {
        let node = key.iter().try_fold(0, |node, &byte| self.child(node, byte))?;
        Some(self.values[node]).filter(|&value| value != NO_VALUE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trie(keys: &[&'static str]) -> Trie {
        let mut keys: Vec<(&[u8], u32)> = keys.iter().zip(0..).map(|(key, value)| (key.as_bytes(), value)).collect();
        keys.sort_unstable();
        Trie::from_sorted(&keys)
    }

    #[test]
    fn finds_every_prefix_shortest_first() {
        let trie = trie(&["كتاب", "ك", "كت", "قلم"]);
        let found: Vec<_> = trie.prefixes("كتابة".as_bytes()).collect();
        assert_eq!(found, [(2, 1), (4, 2), (8, 0)]);
        assert_eq!(trie.prefixes("باب".as_bytes()).count(), 0);
    }

    #[test]
    fn gets_whole_keys_only() {
        let trie = trie(&["ab", "abcd"]);
        assert_eq!(trie.get(b"ab"), Some(0));
        assert_eq!(trie.get(b"abc"), None);
        assert_eq!(trie.get(b"abcd"), Some(1));
        assert_eq!(trie.get(b""), None);
    }

    #[test]
    fn empty_trie_finds_nothing() {
        let trie = trie(&[]);
        assert_eq!(trie.get(b"a"), None);
        assert_eq!(trie.prefixes(b"a").count(), 0);
    }
}

//! Joining the links of a model with those of a model for the other direction (Och and Ney 2003; Koehn et al. 2005).

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use super::Link;
use super::pharaoh::Pair;
use crate::error::{Error, ErrorKind, Result};

/// How two sets of links become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Heuristic {
    /// Links both have.
    Intersection,
    /// Links either has.
    Union,
    /// The intersection, grown into the union: again and again a link next to one already in, in a row, a column or a
    /// diagonal, that gives a word its first link.
    GrowDiag,
    /// [`GrowDiag`](Heuristic::GrowDiag), then every link of either set of which both words have none yet.
    #[default]
    GrowDiagFinalAnd,
}

impl FromStr for Heuristic {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "intersection" => Ok(Heuristic::Intersection),
            "union" => Ok(Heuristic::Union),
            "grow-diag" => Ok(Heuristic::GrowDiag),
            "grow-diag-final-and" => Ok(Heuristic::GrowDiagFinalAnd),
            _ => Err(Error::new(
                ErrorKind::Usage,
                format!("`{text}` is no symmetrisation: intersection, union, grow-diag or grow-diag-final-and"),
            )),
        }
    }
}

/// Joins two sets of links of the same sentence pair, both written from source to target. A link both have gets the
/// mean of the two probabilities, a link one has keeps its own. Sorted by source word, then by target word.
///
/// ```
/// use tarjim::alignment::{Link, pharaoh, symmetry::{Heuristic, symmetrize}};
///
/// let links = |pairs: &[(usize, usize)]| -> Vec<Link> {
///     pairs.iter().map(|&(source, target)| Link { source, target, probability: 1.0 }).collect()
/// };
/// let (forward, reverse) = (links(&[(0, 0), (1, 1), (1, 2)]), links(&[(0, 0), (1, 2), (3, 4)]));
/// assert_eq!(pharaoh::print(&symmetrize(&forward, &reverse, Heuristic::Intersection)), "0-0 1-2");
/// assert_eq!(pharaoh::print(&symmetrize(&forward, &reverse, Heuristic::GrowDiag)), "0-0 1-1 1-2");
/// assert_eq!(pharaoh::print(&symmetrize(&forward, &reverse, Heuristic::GrowDiagFinalAnd)), "0-0 1-1 1-2 3-4");
/// ```
pub fn symmetrize(forward: &[Link], reverse: &[Link], heuristic: Heuristic) -> Vec<Link> {
    let forward: BTreeMap<Pair, f32> = forward.iter().map(|l| ((l.source, l.target), l.probability)).collect();
    let reverse: BTreeMap<Pair, f32> = reverse.iter().map(|l| ((l.source, l.target), l.probability)).collect();
    let mut union = forward.clone();
    for (&pair, &probability) in &reverse {
        union.entry(pair).and_modify(|p| *p = f32::midpoint(*p, probability)).or_insert(probability);
    }
    let mut chosen = Chosen::default();
    for &pair in union.keys() {
        if heuristic == Heuristic::Union || (forward.contains_key(&pair) && reverse.contains_key(&pair)) {
            chosen.add(pair);
        }
    }
    if matches!(heuristic, Heuristic::GrowDiag | Heuristic::GrowDiagFinalAnd) {
        chosen.grow_diag(union.keys().copied());
    }
    if heuristic == Heuristic::GrowDiagFinalAnd {
        for &(source, target) in forward.keys().chain(reverse.keys()) {
            if !chosen.sources.contains(&source) && !chosen.targets.contains(&target) {
                chosen.add((source, target));
            }
        }
    }
    let link = |(source, target)| Link { source, target, probability: union[&(source, target)] };
    chosen.pairs.into_iter().map(link).collect()
}

/// Puts links into the order every output has: by source word, then by target word.
pub(super) fn sort(links: &mut [Link]) {
    links.sort_unstable_by_key(|link| (link.source, link.target));
}

/// The links chosen so far, with the words that have one.
#[derive(Default)]
struct Chosen {
    pairs: BTreeSet<Pair>,
    sources: BTreeSet<usize>,
    targets: BTreeSet<usize>,
}

impl Chosen {
    fn add(&mut self, pair: Pair) {
        self.pairs.insert(pair);
        self.sources.insert(pair.0);
        self.targets.insert(pair.1);
    }

    fn touches(&self, (source, target): Pair) -> bool {
        let sources = source.saturating_sub(1)..=source + 1;
        sources.into_iter().any(|s| self.pairs.range((s, target.saturating_sub(1))..=(s, target + 1)).next().is_some())
    }

    /// Programs differ in the order in which they try links, and so in rare results. Here each round goes through
    /// the links left by source word, then target word, and adds as it goes, as Thot does.
    fn grow_diag(&mut self, union: impl Iterator<Item = Pair>) {
        let mut left: Vec<Pair> = union.filter(|pair| !self.pairs.contains(pair)).collect();
        loop {
            let before = left.len();
            left.retain(|&pair| {
                let free = !self.sources.contains(&pair.0) || !self.targets.contains(&pair.1);
                if free && self.touches(pair) {
                    self.add(pair);
                }
                // A link between two linked words can never come in.
                free && !self.pairs.contains(&pair)
            });
            if left.len() == before {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alignment::pharaoh;
    use proptest::prelude::*;

    fn links(pairs: &[Pair]) -> Vec<Link> {
        pairs.iter().map(|&(source, target)| Link { source, target, probability: 0.5 }).collect()
    }

    /// Random pairs of link sets with what `sil-machine` makes of them; `scripts/make_symmetry_reference.py`.
    #[test]
    fn same_as_sil_machine() {
        let reference = include_str!("../../tests/data/symmetry.tsv");
        let mut count = 0;
        for (at, line) in reference.lines().filter(|line| !line.starts_with('#')).enumerate() {
            let fields: Vec<&str> = line.split('\t').collect();
            let [forward, reverse] = [0, 1].map(|i| links(&pharaoh::parse(fields[i]).unwrap()));
            for (heuristic, expected) in
                ["intersection", "union", "grow-diag", "grow-diag-final-and"].iter().zip(&fields[2..])
            {
                let found = symmetrize(&forward, &reverse, heuristic.parse().unwrap());
                assert_eq!(&pharaoh::print(&found), expected, "case {at}, {heuristic}");
            }
            count += 1;
        }
        assert_eq!(count, 200);
    }

    #[test]
    fn probabilities_are_means_of_what_is_there() {
        let one = [Link { source: 0, target: 0, probability: 0.2 }, Link { source: 1, target: 1, probability: 0.9 }];
        let joined = symmetrize(&one, &[Link { source: 0, target: 0, probability: 0.6 }], Heuristic::Union);
        assert_eq!(joined.iter().map(|link| link.probability).collect::<Vec<_>>(), [0.4, 0.9]);
    }

    #[test]
    fn far_indices_do_no_harm() {
        let far = links(&[(usize::MAX - 1, usize::MAX - 1), (0, 0)]);
        assert_eq!(symmetrize(&far, &[], Heuristic::GrowDiagFinalAnd).len(), 2);
    }

    proptest! {
        #[test]
        fn heuristics_nest(
            forward in prop::collection::vec((0_usize..8, 0_usize..8), 0..20),
            reverse in prop::collection::vec((0_usize..8, 0_usize..8), 0..20),
        ) {
            let (forward, reverse) = (links(&forward), links(&reverse));
            let sets: Vec<BTreeSet<Pair>> =
                [Heuristic::Intersection, Heuristic::GrowDiag, Heuristic::GrowDiagFinalAnd, Heuristic::Union]
                    .iter()
                    .map(|&h| symmetrize(&forward, &reverse, h).iter().map(|l| (l.source, l.target)).collect())
                    .collect();
            for pair in sets.windows(2) {
                prop_assert!(pair[0].is_subset(&pair[1]));
            }
        }
    }
}

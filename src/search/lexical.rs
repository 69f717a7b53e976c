//! Lexical translation probabilities: what a word becomes by itself, mixed with what the model says next.
//!
//! A small model misreads words that its training text held a few times only; counts over the same text, aligned, do
//! not. [`Lexical`] has the formula, [`LexicalTable`] the file.

mod affixes;
mod table;

use std::sync::Arc;

use crate::engine::TokenId;
use crate::error::Result;

use table::Gloss;
pub use table::LexicalTable;

/// The share of attention below which a source piece is not asked.
const LEAST_ATTENTION: f32 = 0.03;

/// The doubt of the model below which the table is not asked: it would change next to nothing.
const LEAST_DOUBT: f32 = 0.02;

/// A table and how much it counts in a search.
///
/// With weight `w`, doubt `d` of the model (1 less its largest probability), attention `a` of the step over the source
/// pieces (the alignment heads', summing to 1) and the table's probabilities `l`, the next token has the probability
/// `(1 - w·d·m) · model + w·d · Σ a·l`, where `m` is the sum of what the table had to say: it takes nothing where it is
/// silent, and nothing is produced that the model cannot produce. A word of several pieces is gone on with while its
/// pieces follow each other.
///
/// Arthur, Neubig and Nakamura 2016, "Incorporating Discrete Translation Lexicons into Neural Machine Translation", with
/// linear interpolation, but for the doubt: a table knows no grammar, so it is to be asked where the model does not know
/// the word, not where it chooses a form.
#[derive(Clone, Debug)]
pub struct Lexical {
    /// The table.
    pub table: Arc<LexicalTable>,
    /// `w`, from 0 to less than 1.
    pub weight: f32,
}

/// Of the same weight with the same table, not an equal one.
impl PartialEq for Lexical {
    fn eq(&self, other: &Self) -> bool {
        self.weight == other.weight && Arc::ptr_eq(&self.table, &other.table)
    }
}

impl Lexical {
    /// What the words of a sentence may become; target pieces from `vocabulary` on are not the model's and left out.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) where the part of the table that should have a word is broken.
    pub(crate) fn glosses(&self, source: &[TokenId], vocabulary: usize) -> Result<Glosses> {
        let mut glosses = Glosses { weight: self.weight, word_of: vec![None; source.len()], ..Glosses::default() };
        for (places, word) in self.table.pieces().words(source) {
            if let Some(found) = self.table.find(&word, vocabulary)? {
                glosses.word_of[places].fill(Some(glosses.words.len()));
                glosses.words.push(found);
            }
        }
        glosses.first = glosses.words.iter().flatten().map(|gloss| gloss.pieces[0]).collect();
        glosses.first.sort_unstable();
        glosses.first.dedup();
        Ok(glosses)
    }
}

/// What the words of one sentence may become, and how much that counts.
#[derive(Debug, Default)]
pub(crate) struct Glosses {
    weight: f32,
    /// The word that each source piece belongs to, where the table has it.
    word_of: Vec<Option<usize>>,
    words: Vec<Vec<Gloss>>,
    /// The first pieces of all target words, ascending.
    first: Vec<TokenId>,
}

impl Glosses {
    /// Adds every token that [`shares`](Glosses::shares) may speak of after `last`, ascending.
    pub(crate) fn next_tokens(&self, last: TokenId, tokens: &mut Vec<TokenId>) {
        let start = tokens.len();
        tokens.extend(&self.first);
        for next in self.words.iter().flatten().filter_map(|gloss| gloss.after(last)?.first()) {
            if let Err(at) = tokens[start..].binary_search(next) {
                tokens.insert(start + at, *next);
            }
        }
    }

    /// Writes `weight · doubt · Σ attention · probability` of the tokens that may follow `last`, ascending: the first pieces
    /// of words, and where `last` stands inside a word, what goes on with it.
    pub(crate) fn shares(&self, last: TokenId, doubt: f32, attention: &[f32], shares: &mut Vec<(TokenId, f32)>) {
        shares.clear();
        if doubt < LEAST_DOUBT {
            return;
        }
        for (word, &looks) in self.word_of.iter().zip(attention) {
            let Some(word) = *word else { continue };
            if looks < LEAST_ATTENTION {
                continue;
            }
            let glosses = &self.words[word];
            let matching: f32 =
                glosses.iter().filter(|gloss| gloss.after(last).is_some()).map(|gloss| gloss.probability).sum();
            // How likely the word that `last` belongs to is over.
            let mut ended = 1.0;
            if matching > 0.0 {
                for gloss in glosses {
                    if let Some(next) = gloss.after(last).and_then(<[TokenId]>::first) {
                        shares.push((*next, looks * gloss.probability / matching));
                        ended -= gloss.probability / matching;
                    }
                }
            }
            let ended = f32::max(ended, 0.0);
            shares.extend(glosses.iter().map(|gloss| (gloss.pieces[0], looks * ended * gloss.probability)));
        }
        shares.sort_by_key(|(token, _)| *token);
        shares.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        for (_, share) in shares {
            *share *= self.weight * doubt;
        }
    }
}

/// A table for tests: every source id below 1000 is a word, with some target words of ids below 14.
#[cfg(test)]
pub(crate) fn any_table(weight: f32) -> Lexical {
    let line = |id: u32| format!("{}\t{}:{} {},{}:200", table::tests::letters(id), id % 14, id % 800, id % 5, id % 11);
    let lines: Vec<String> = (0..1000).filter(|id| id % 3 > 0).map(line).collect();
    Lexical { table: Arc::new(table::tests::table(&lines, &["tarjim lexical 2", "prefixes", "suffixes"])), weight }
}

#[cfg(test)]
mod tests {
    use super::super::table::{Table, attention};
    use super::super::{BatchOptions, SearchOptions, search};
    use super::*;
    use proptest::prelude::*;

    /// Words of the pieces 12 and 1003, and of 5.
    fn lexical() -> Lexical {
        let lines = ["bcd\t7:500 8,9:250 99:100", "f\t8,6:900"].map(str::to_owned);
        Lexical { table: Arc::new(table::tests::table(&lines, &table::tests::HEADING)), weight: 1.0 }
    }

    fn shares(glosses: &Glosses, last: TokenId, doubt: f32, attention: &[f32]) -> Vec<(TokenId, f32)> {
        let mut shares = Vec::new();
        glosses.shares(last, doubt, attention, &mut shares);
        shares
    }

    #[test]
    fn all_pieces_of_a_word_know_what_it_becomes() {
        let glosses = lexical().glosses(&[12, 1003, 12, 1003, 1004, 5, 6, 1, 1003, 0], 20).unwrap();
        let known: Vec<bool> = glosses.word_of.iter().map(Option::is_some).collect();
        assert_eq!(known, [true, true, false, false, false, true, false, false, false, false]);
        let mut next = vec![8, 100];
        glosses.next_tokens(8, &mut next);
        assert_eq!(next, [8, 100, 6, 7, 8, 9]);
    }

    #[test]
    fn a_word_that_was_begun_is_ended_first() {
        let glosses = lexical().glosses(&[12, 1003, 5, 0], 20).unwrap();
        assert_eq!(shares(&glosses, 1, 1.0, &[0.5, 0.5, 0.0, 0.0]), [(7, 0.5), (8, 0.25)]);
        assert_eq!(shares(&glosses, 1, 1.0, &[0.0, 0.02, 0.5, 0.48]), [(8, 0.45)]);
        assert_eq!(shares(&glosses, 8, 1.0, &[0.0, 0.0, 1.0, 0.0]), [(6, 1.0), (8, 0.0)]);
        assert_eq!(shares(&glosses, 9, 1.0, &[1.0, 0.0, 0.0, 0.0]), [(7, 0.5), (8, 0.25)]);
        assert_eq!(shares(&Glosses::default(), 9, 1.0, &[1.0, 0.0]), []);
    }

    #[test]
    fn a_model_that_is_sure_is_left_alone() {
        let glosses = lexical().glosses(&[5], 20).unwrap();
        for (doubt, expected) in [(1.0, vec![(8, 0.9)]), (0.5, vec![(8, 0.45)]), (0.01, vec![])] {
            assert_eq!(shares(&glosses, 1, doubt, &[1.0]), expected, "{doubt}");
        }
    }

    #[test]
    fn search_takes_the_best_of_the_mixture() {
        let engine = Table::hashed(14, 6);
        let mut changed = 0;
        for seed in 0..40 {
            let source: Vec<TokenId> = (1..9).map(|at| (seed * 37 + at * at * 11) % 1000).collect();
            let lexical = any_table(0.6);
            let glosses = lexical.glosses(&source, 14).unwrap();
            let options = SearchOptions { max_length: 12, lexical: Some(lexical), ..SearchOptions::new(13, 0) };
            let mut found = Vec::new();
            search(&engine, &[&source], &options, &BatchOptions::default(), &mut |_, hypotheses| found = hypotheses)
                .unwrap();
            let mut prefix = vec![13];
            for (&token, &log_prob) in found[0].tokens.iter().zip(&found[0].log_probs) {
                let model = engine.log_probs(&source, &prefix);
                let mut mixed: Vec<f32> = model.iter().map(|p| p.exp()).collect();
                let doubt = 1.0 - mixed.iter().copied().fold(0.0, f32::max);
                let shares = shares(&glosses, *prefix.last().unwrap(), doubt, &attention(&source, &prefix));
                let left = 1.0 - shares.iter().map(|(_, share)| share).sum::<f32>();
                for p in &mut mixed {
                    *p *= left;
                }
                for (token, share) in shares {
                    mixed[token as usize] += share;
                }
                assert!((mixed.iter().sum::<f32>() - 1.0).abs() < 1e-4);
                prefix.push(token);
                if prefix.len() == 12 {
                    break; // The end is forced.
                }
                assert!(
                    mixed.iter().all(|&p| p <= mixed[token as usize] + 1e-6),
                    "{mixed:?} has a better one than {token}"
                );
                assert!((mixed[token as usize].ln() - log_prob).abs() < 1e-4);
                changed += usize::from(model.iter().any(|&p| p > model[token as usize]));
            }
        }
        assert!(changed > 20, "the table changed {changed} choices only");
    }

    proptest! {
        #[test]
        fn whatever_the_lines_hold_shares_are_probabilities(
            lines in prop::collection::vec("[a-d]{1,2}\t([0-9]{1,2}(,[0-9]{1,3}){0,3}:[0-9]{1,4} ?){0,5}|.{0,20}", 0..30),
            source in prop::collection::vec(0u32..40, 1..12),
            last in 0u32..100,
        ) {
            let lines: Vec<String> = lines.into_iter().map(|line| line.replace('\n', "")).collect();
            let table = table::tests::table(&lines, &table::tests::HEADING);
            let glosses = Lexical { table: Arc::new(table), weight: 1.0 }.glosses(&source, 60).unwrap();
            let attention = vec![1.0 / source.len() as f32; source.len()];
            let shares = shares(&glosses, last, 1.0, &attention);
            let mut known = Vec::new();
            glosses.next_tokens(last, &mut known);
            prop_assert!(shares.iter().all(|(token, share)| *token < 60 && *share >= 0.0 && known.contains(token)));
            prop_assert!(shares.iter().map(|(_, share)| share).sum::<f32>() < 1.0 + 1e-3);
            prop_assert!(shares.is_sorted_by(|a, b| a.0 < b.0));
        }
    }
}

//! Lexical translation probabilities: what a word becomes by itself, mixed with what the model says next.
//!
//! A small model misreads words that its training text held a few times only; counts over the same text, aligned, do
//! not. [`Lexical`] has the formula.
//!
//! A model folder has the table as `lexical.zst`, Zstandard over lines of text, written by `scripts/train/lexical.py`:
//!
//! ```text
//! tarjim lexical 1
//! words 2
//! 12,345<TAB>678:610 9,10:204      source pieces of a word; its target words, in pieces, with thousandths
//! 17<TAB>21:998
//! ```
//!
//! Words are in the order of their keys' bytes.

use std::fmt;
use std::sync::Arc;

use crate::engine::TokenId;
use crate::error::{Error, ErrorKind, Result};
use crate::listing::{self, Listing};
use crate::vocabulary::WordPart;

/// The share of attention below which a source piece is not asked.
const LEAST_ATTENTION: f32 = 0.03;

/// Probabilities of target words given source words, both in pieces of a model's vocabulary: the content of `lexical.zst`
/// in its folder.
pub struct LexicalTable {
    words: Listing,
    parts: Vec<WordPart>,
}

/// A table and how much it counts in a search.
///
/// With weight `w`, attention `a` of the step over the source pieces (the alignment heads', summing to 1) and the table's
/// probabilities `l`, the next token has the probability `(1 - w·m) · model + w · Σ a·l`, where `m` is the sum of what the
/// table had to say: it takes nothing where it is silent, and nothing is produced that the model cannot produce. A word of
/// several pieces is gone on with while its pieces follow each other.
///
/// Arthur, Neubig and Nakamura 2016, "Incorporating Discrete Translation Lexicons into Neural Machine Translation", with
/// linear interpolation.
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

impl fmt::Debug for LexicalTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LexicalTable of {} words", self.words.len())
    }
}

impl LexicalTable {
    /// Reads `lexical.zst`; `parts` says what each source piece, by id, is to a word.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] naming the line, where the heading is not what it should be. Lines are read when they are
    /// looked up; one that says nothing intelligible says nothing.
    pub fn parse(bytes: &[u8], parts: Vec<WordPart>) -> Result<Self> {
        let text = listing::unpacked(bytes).map_err(|error| broken(&error.to_string()))?;
        let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
        if first != "tarjim lexical 1" {
            return Err(broken("line 1: expected `tarjim lexical 1`"));
        }
        let (words, _) =
            Listing::take(rest, "words", 2).map_err(|(line, what)| broken(&format!("line {line}: {what}")))?;
        Ok(LexicalTable { words, parts })
    }

    /// What the words of a sentence may become; target pieces from `vocabulary` on are not the model's and left out.
    pub(crate) fn glosses(&self, source: &[TokenId], vocabulary: usize) -> Glosses {
        let mut glosses = Glosses { word_of: vec![None; source.len()], ..Glosses::default() };
        let part = |piece: TokenId| self.parts.get(piece as usize).copied().unwrap_or(WordPart::None);
        let mut start = 0;
        while start < source.len() {
            let mut end = start + 1;
            if part(source[start]) == WordPart::Beginning {
                end += source[end..].iter().take_while(|&&piece| part(piece) == WordPart::Inside).count();
                let key: Vec<String> = source[start..end].iter().map(TokenId::to_string).collect();
                if let Some((_, line)) = self.words.find(&key.join(",")) {
                    glosses.word_of[start..end].fill(Some(glosses.words.len()));
                    glosses.words.push(target_words(line, vocabulary));
                }
            }
            start = end;
        }
        glosses.first = glosses.words.iter().flatten().map(|gloss| gloss.pieces[0]).collect();
        glosses.first.sort_unstable();
        glosses.first.dedup();
        glosses
    }
}

/// The target words of a line, with probabilities that sum to 1 at most.
fn target_words(line: &str, vocabulary: usize) -> Vec<Gloss> {
    let inside = |gloss: &Gloss| gloss.pieces.iter().all(|&piece| (piece as usize) < vocabulary);
    let list = line.split('\t').nth(1).unwrap_or("");
    let mut words: Vec<Gloss> = list.split(' ').filter_map(gloss).filter(inside).collect();
    let total = words.iter().map(|gloss| gloss.probability).sum::<f32>().max(1.0);
    for gloss in &mut words {
        gloss.probability /= total;
    }
    words
}

/// One target word: `9,10:204`.
fn gloss(text: &str) -> Option<Gloss> {
    let (pieces, thousandths) = text.split_once(':')?;
    let pieces = pieces.split(',').map(|piece| piece.parse().ok()).collect::<Option<Vec<TokenId>>>()?;
    let thousandths: u16 = thousandths.parse().ok().filter(|&number| number <= 1000)?;
    Some(Gloss { pieces, probability: f32::from(thousandths) / 1000.0 })
}

fn broken(what: &str) -> Error {
    Error::new(ErrorKind::Model, format!("`lexical.zst`: {what}"))
}

/// What the words of one sentence may become.
#[derive(Debug, Default)]
pub(crate) struct Glosses {
    /// The word that each source piece belongs to, where the table has it.
    word_of: Vec<Option<usize>>,
    words: Vec<Vec<Gloss>>,
    /// The first pieces of all target words, ascending.
    first: Vec<TokenId>,
}

/// A target word, never empty, and its probability.
#[derive(Debug)]
struct Gloss {
    pieces: Vec<TokenId>,
    probability: f32,
}

impl Gloss {
    /// The pieces after the first `last`, where that stands in the word.
    fn after(&self, last: TokenId) -> Option<&[TokenId]> {
        let at = self.pieces.iter().position(|&piece| piece == last)?;
        Some(&self.pieces[at + 1..])
    }
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

    /// Writes `Σ attention · probability` of the tokens that may follow `last`, ascending: the first pieces of words, and
    /// where `last` stands inside a word, what goes on with it.
    pub(crate) fn shares(&self, last: TokenId, attention: &[f32], shares: &mut Vec<(TokenId, f32)>) {
        shares.clear();
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
    }
}

/// A table for tests: every source id below 1000 is a word, with some target words of ids below 14.
#[cfg(test)]
pub(crate) fn any_table(weight: f32) -> Lexical {
    let mut lines: Vec<String> = (0..1000)
        .filter(|id| id % 3 > 0)
        .map(|id| format!("{id}\t{}:{} {},{}:200", id % 14, id % 800, id % 5, id % 11))
        .collect();
    lines.sort();
    let text = format!("tarjim lexical 1\nwords {}\n{}\n", lines.len(), lines.join("\n"));
    let bytes = zstd::encode_all(text.as_bytes(), 3).unwrap();
    let table = LexicalTable::parse(&bytes, vec![WordPart::Beginning; 1000]).unwrap();
    Lexical { table: Arc::new(table), weight }
}

#[cfg(test)]
mod tests {
    use super::super::table::{Table, attention};
    use super::super::{BatchOptions, SearchOptions, search};
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "tarjim lexical 1\nwords 3\n12,3\t7:500 8,9:250 99:100\n5\t8,6:900\n6\tnonsense 1:2000 :3\n";

    fn table() -> LexicalTable {
        let parts = (0..20)
            .map(|id| match id {
                3 | 4 => WordPart::Inside,
                0..=2 => WordPart::None,
                _ => WordPart::Beginning,
            })
            .collect();
        LexicalTable::parse(&zstd::encode_all(TEXT.as_bytes(), 3).unwrap(), parts).unwrap()
    }

    fn shares(glosses: &Glosses, last: TokenId, attention: &[f32]) -> Vec<(TokenId, f32)> {
        let mut shares = Vec::new();
        glosses.shares(last, attention, &mut shares);
        shares
    }

    #[test]
    fn a_word_is_looked_up_by_all_its_pieces() {
        let table = table();
        let glosses = table.glosses(&[12, 3, 12, 3, 4, 5, 6, 1, 3, 0], 20);
        let known: Vec<bool> = glosses.word_of.iter().map(Option::is_some).collect();
        assert_eq!(known, [true, true, false, false, false, true, true, false, false, false]);
        // What lies outside the vocabulary, and what cannot be read, is left out.
        let sizes: Vec<usize> = glosses.words.iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 1, 0]);
        let mut next = vec![8, 100];
        glosses.next_tokens(8, &mut next);
        assert_eq!(next, [8, 100, 6, 7, 8, 9]);
    }

    #[test]
    fn a_word_that_was_begun_is_ended_first() {
        let glosses = table().glosses(&[12, 3, 5, 0], 20);
        assert_eq!(shares(&glosses, 1, &[0.5, 0.5, 0.0, 0.0]), [(7, 0.5), (8, 0.25)]);
        assert_eq!(shares(&glosses, 1, &[0.0, 0.02, 0.5, 0.48]), [(8, 0.45)]);
        assert_eq!(shares(&glosses, 8, &[0.0, 0.0, 1.0, 0.0]), [(6, 1.0), (8, 0.0)]);
        assert_eq!(shares(&glosses, 9, &[1.0, 0.0, 0.0, 0.0]), [(7, 0.5), (8, 0.25)]);
        assert_eq!(shares(&Glosses::default(), 9, &[1.0, 0.0]), []);
    }

    #[test]
    fn search_takes_the_best_of_the_mixture() {
        let engine = Table::hashed(14, 6);
        let mut changed = 0;
        for seed in 0..40 {
            let source: Vec<TokenId> = (1..9).map(|at| (seed * 37 + at * at * 11) % 1000).collect();
            let lexical = any_table(0.6);
            let glosses = lexical.table.glosses(&source, 14);
            let options = SearchOptions { max_length: 12, lexical: Some(lexical), ..SearchOptions::new(13, 0) };
            let mut found = Vec::new();
            search(&engine, &[&source], &options, &BatchOptions::default(), &mut |_, hypotheses| found = hypotheses)
                .unwrap();
            let mut prefix = vec![13];
            for (&token, &log_prob) in found[0].tokens.iter().zip(&found[0].log_probs) {
                let model = engine.log_probs(&source, &prefix);
                let mut mixed: Vec<f32> = model.iter().map(|p| p.exp()).collect();
                let shares = shares(&glosses, *prefix.last().unwrap(), &attention(&source, &prefix));
                let left = 1.0 - 0.6 * shares.iter().map(|(_, share)| share).sum::<f32>();
                for p in &mut mixed {
                    *p *= left;
                }
                for (token, share) in shares {
                    mixed[token as usize] += 0.6 * share;
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

    #[test]
    fn a_broken_file_is_refused() {
        for (from, to, expected) in [
            ("lexical 1", "lexical 2", "line 1"),
            ("words 3", "word 3", "line 2"),
            ("words 3", "words 9", "ends before"),
        ] {
            let bytes = zstd::encode_all(TEXT.replace(from, to).as_bytes(), 3).unwrap();
            let error = LexicalTable::parse(&bytes, Vec::new()).unwrap_err().to_string();
            assert!(error.contains(expected), "{to}: {error}");
        }
        assert_eq!(LexicalTable::parse(b"no zstd", Vec::new()).unwrap_err().kind(), ErrorKind::Model);
    }

    proptest! {
        #[test]
        fn whatever_the_lines_hold_shares_are_probabilities(
            lines in prop::collection::vec("[0-9]{1,2}(,[0-9]{1,2})?\t([0-9]{1,2}(,[0-9]{1,3}){0,3}:[0-9]{1,4} ?){0,5}|.{0,20}", 0..30),
            source in prop::collection::vec(0u32..100, 1..12),
            last in 0u32..100,
        ) {
            let mut lines: Vec<String> = lines.into_iter().map(|line| line.replace('\n', "")).collect();
            lines.sort();
            let text = format!("tarjim lexical 1\nwords {}\n{}\n", lines.len(), lines.join("\n"));
            let parts = (0..100).map(|id| if id % 2 == 0 { WordPart::Beginning } else { WordPart::Inside }).collect();
            let table = LexicalTable::parse(&zstd::encode_all(text.as_bytes(), 1).unwrap(), parts).unwrap();
            let glosses = table.glosses(&source, 60);
            let attention = vec![1.0 / source.len() as f32; source.len()];
            let shares = shares(&glosses, last, &attention);
            let mut known = Vec::new();
            glosses.next_tokens(last, &mut known);
            prop_assert!(shares.iter().all(|(token, share)| *token < 60 && *share >= 0.0 && known.contains(token)));
            prop_assert!(shares.iter().map(|(_, share)| share).sum::<f32>() < 1.0 + 1e-3);
            prop_assert!(shares.is_sorted_by(|a, b| a.0 < b.0));
        }
    }
}

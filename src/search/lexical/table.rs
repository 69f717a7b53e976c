//! The table of what single words translate to, as a model folder has it.
//!
//! The file `lexical.zst` is written by `scripts/train/lexical.py`: a list (`src/listing.rs`) called `words` under lines
//! that tell what words of the language may have before and behind their stems.
//!
//! ```text
//! tarjim lexical 2
//! prefixes و ال بال:ال             `وX` may be known as `X`, `بالX` as `الX`
//! suffixes ها تها:ة
//!
//! الوزير<TAB>678:610 9,10:204      a word as its pieces spell it; target words, in pieces, with thousandths
//! مدرسة<TAB>21:998
//! ```

use std::borrow::Cow;
use std::fmt;

use super::affixes::Affixes;
use crate::engine::TokenId;
use crate::error::{Error, ErrorKind, Result};
use crate::listing::{Listing, Packed};
use crate::vocabulary::WordPieces;

/// The first line of the file.
const HEADING: &str = "tarjim lexical 2";

/// How much what a stem becomes counts for a word that is not known itself.
const OF_STEM: f32 = 0.6;

/// Probabilities of target words, in pieces of a model's vocabulary, given source words: the content of `lexical.zst` in
/// its folder.
pub struct LexicalTable {
    words: Listing,
    affixes: Affixes,
    pieces: WordPieces,
}

impl fmt::Debug for LexicalTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LexicalTable of {} words", self.words.len())
    }
}

impl LexicalTable {
    /// Reads `lexical.zst`; `pieces` are those of the model's source vocabulary.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] where the heading is not what it should be. Lines are read when they are looked up; one that
    /// says nothing intelligible says nothing.
    pub fn parse(bytes: impl Into<Cow<'static, [u8]>>, pieces: WordPieces) -> Result<Self> {
        LexicalTable::open(bytes.into(), pieces).map_err(|what| broken(&what))
    }

    fn open(bytes: Cow<'static, [u8]>, pieces: WordPieces) -> Result<Self, String> {
        let mut file = Packed::new(bytes)?;
        if file.line() != HEADING {
            return Err(format!("line 1: expected `{HEADING}`"));
        }
        let mut affixes = |name: &str, number: u32| {
            let list = file.line().strip_prefix(name).map(str::to_owned);
            list.ok_or_else(|| format!("line {number}: expected `{name}`"))
        };
        let affixes = Affixes::parse(&affixes("prefixes", 2)?, &affixes("suffixes", 3)?);
        Ok(LexicalTable { words: file.list("words")?, affixes, pieces })
    }

    /// The pieces of source words.
    pub(super) fn pieces(&self) -> &WordPieces {
        &self.pieces
    }

    /// What a word may become, or else its stem, with probabilities that sum to 1 at most.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] where the block that should have it is broken.
    pub(super) fn find(&self, word: &str, vocabulary: usize) -> Result<Option<Vec<Gloss>>> {
        let find = |word: &str, share: f32| {
            let found = self.words.find(word).map_err(|what| broken(&what))?;
            Ok(found.map(|(_, line)| target_words(line, share, vocabulary)))
        };
        if let Some(known) = find(word, 1.0)? {
            return Ok(Some(known));
        }
        self.affixes.stems(word).find_map(|stem| find(&stem, OF_STEM).transpose()).transpose()
    }
}

/// A target word, never empty, and its probability.
#[derive(Debug)]
pub(super) struct Gloss {
    pub(super) pieces: Vec<TokenId>,
    pub(super) probability: f32,
}

impl Gloss {
    /// The pieces after the first `last`, where that stands in the word.
    pub(super) fn after(&self, last: TokenId) -> Option<&[TokenId]> {
        let at = self.pieces.iter().position(|&piece| piece == last)?;
        Some(&self.pieces[at + 1..])
    }
}

/// The target words of a line, with probabilities that sum to `share` at most.
fn target_words(line: &str, share: f32, vocabulary: usize) -> Vec<Gloss> {
    let inside = |gloss: &Gloss| gloss.pieces.iter().all(|&piece| (piece as usize) < vocabulary);
    let list = line.split('\t').nth(1).unwrap_or("");
    let mut words: Vec<Gloss> = list.split(' ').filter_map(gloss).filter(inside).collect();
    let total = words.iter().map(|gloss| gloss.probability).sum::<f32>().max(1.0);
    for gloss in &mut words {
        gloss.probability *= share / total;
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::listing::tests::packed;

    pub(in super::super) const HEADING: [&str; 3] = [super::HEADING, "prefixes و ال", "suffixes ها تها:ة"];

    /// The letters of a test's piece: its id, a for 0, b for 1, …
    pub(in super::super) fn letters(id: TokenId) -> String {
        id.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect()
    }

    /// Pieces up to 999 that begin a word; from 1,000 on those that go on with one, of the last three digits' letters.
    fn pieces() -> WordPieces {
        let pieces: Vec<String> = (0..1000).map(|id| format!("▁{}", letters(id))).collect();
        let inside: Vec<String> = (0..1000).map(letters).collect();
        WordPieces::new(pieces.iter().chain(&inside).map(|piece| Some(piece.as_str())))
    }

    fn file(lines: &[String], heading: &[&str], lines_in_block: usize) -> Vec<u8> {
        let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        lines.sort_unstable();
        packed(&(heading.join("\n") + "\n"), &[("words", &lines)], lines_in_block)
    }

    /// A table of these lines.
    pub(in super::super) fn table(lines: &[String], heading: &[&str]) -> LexicalTable {
        LexicalTable::parse(file(lines, heading, 40), pieces()).unwrap()
    }

    fn words() -> [String; 4] {
        ["school\t7:500 8,9:250 99:100", "sun\tnonsense 1:1000 1:2000 :3 2:1000", "الكتاب\t4:900", "رسالة\t5:500 6:250"]
            .map(str::to_owned)
    }

    fn found(word: &str) -> Option<Vec<(TokenId, f32)>> {
        let found = table(&words(), &HEADING).find(word, 20).unwrap();
        found.map(|glosses| glosses.iter().map(|gloss| (gloss.pieces[0], gloss.probability)).collect())
    }

    #[test]
    fn a_word_is_found_or_else_its_stem() {
        assert_eq!(found("رسالة"), Some(vec![(5, 0.5), (6, 0.25)]));
        assert_eq!(found("الرسالة"), Some(vec![(5, 0.5 * OF_STEM), (6, 0.25 * OF_STEM)]));
        assert_eq!(found("ورسالتها").map(|glosses| glosses.len()), Some(2));
        assert_eq!(found("الكتاب"), Some(vec![(4, 0.9)]));
        assert_eq!(found("والكتاب"), Some(vec![(4, 0.9 * OF_STEM)]));
        assert_eq!(found("كتاب"), None);
        // What lies outside the vocabulary, and what cannot be read, is left out.
        assert_eq!(found("school").map(|glosses| glosses.len()), Some(2));
        assert_eq!(found("sun"), Some(vec![(1, 0.5), (2, 0.5)]));
    }

    #[test]
    fn a_broken_file_is_refused() {
        let [first, second, third] = HEADING;
        for (heading, expected) in [
            (["tarjim lexical 1", second, third], "line 1: expected `tarjim lexical 2`"),
            ([first, "prefaces", third], "line 2: expected `prefixes`"),
            ([first, second, "words 1 1"], "line 3: expected `suffixes`"),
            ([first, second, "suffixes\n"], "expected `words`"),
        ] {
            let error = LexicalTable::parse(file(&words(), &heading, 2), pieces()).unwrap_err().to_string();
            assert!(error.contains(expected), "{heading:?}: {error}");
        }
        assert_eq!(LexicalTable::parse(b"no zstd", pieces()).unwrap_err().kind(), ErrorKind::Model);
        let mut bytes = file(&words(), &HEADING, 2);
        let last = bytes.len() - 1;
        bytes[last] ^= 0x55;
        bytes[last - 3] ^= 0x55;
        let table = LexicalTable::parse(bytes, pieces()).unwrap();
        assert!(table.find("school", 20).unwrap().is_some());
        assert_eq!(table.find("الكتاب", 20).unwrap_err().kind(), ErrorKind::Model);
    }
}

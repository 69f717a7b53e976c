//! Which word translates which: counts from aligned sentence pairs, joined with a model's attention.
//!
//! Attention alone is a vague witness where a model is small. What words mean, what names sound like, that numbers and
//! marks stay themselves, and that neighbours go to neighbours, is known beforehand, and costs little to look up. A
//! [`Lexicon`] holds the counts; [`Lexicon::refine`] weighs them against the attention and gives a sharper [`Matrix`].
//! It belongs to the language pair, not to a model, and works without attention too.
//!
//! The file `lexicon.zst` has two lists (`src/listing.rs`), `targets` and `sources`, and is written by
//! `scripts/make_lexicon.py`:
//!
//! ```text
//! tarjim lexicon 2
//! weights lexicon=0.4 resemblance=4.6 equality=3.1 distance=4 attention=0.65 neighbours=2.5 null=-6 null_count=1
//!
//! briti<TAB>120<TAB>118                     stem, how often it was seen, how often it was linked
//! queen<TAB>90<TAB>85
//!
//! ملكة<TAB>80<TAB>79<TAB>1:77 0:2           the same, then `target:links` by the target's line
//! ```

use std::borrow::Cow;
use std::sync::OnceLock;

use super::Matrix;
use super::resemblance::{self, Form};
use super::stem;
use crate::error::{Error, ErrorKind, Result};
use crate::listing::{Listing, Packed};
use crate::span::Span;

/// The lexicon of Arabic and English, compiled in with the default model.
#[cfg(feature = "embedded-model")]
const BUILTIN: &[u8] = include_bytes!("../../models/lexicon.zst");
#[cfg(not(feature = "embedded-model"))]
const BUILTIN: &[u8] = &[];

/// The first line of the file.
const HEADING: &str = "tarjim lexicon 2";

/// A count this small tells little: it is added to what a probability is divided by.
const SMOOTHING: f32 = 3.0;

/// The probability of a pair of words never seen together.
const UNSEEN: f32 = 1e-4;

/// The share of attention below which one word is as good as another.
const ATTENTION_FLOOR: f32 = 0.02;

/// Sentences shorter than this many words are taken for so long where distances are measured: a verb goes to the other side
/// of its subject in a headline as in a long sentence, though it passes half of the headline's words there.
const SHORT: f32 = 20.0;

/// How often neighbours are asked again.
const ROUNDS: usize = 2;

/// How much a neighbour in the same row or column counts, where a diagonal one counts 1.
const STRAIGHT: f32 = 0.9;

/// More support than this from neighbours says nothing new.
const MOST_SUPPORT: f32 = 1.2;

/// Counts of words and of their links.
#[derive(Debug)]
pub struct Lexicon {
    weights: Weights,
    sources: Listing,
    targets: Listing,
}

/// How often a word was seen, and how often with a link.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    seen: f32,
    linked: f32,
}

impl Count {
    /// How often such a word has no partner.
    fn null(self) -> f32 {
        (self.seen - self.linked + 1.0) / (self.seen + SMOOTHING)
    }

    /// The log-odds of that: above 0 for articles, far below for names.
    fn null_odds(self) -> f32 {
        (self.null() / (1.0 - self.null())).ln()
    }

    /// How far neighbours are believed about such a word: a word that mostly has no partner doesn't get one because the
    /// words beside it have.
    fn trust(self) -> f32 {
        (2.0 * (1.0 - self.null())).min(1.0)
    }
}

/// How much each witness counts, in units of log-odds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Weights {
    lexicon: f32,
    resemblance: f32,
    equality: f32,
    distance: f32,
    attention: f32,
    neighbours: f32,
    null: f32,
    null_count: f32,
}

impl Lexicon {
    /// The lexicon of Arabic and English that is compiled in with the feature `embedded-model`; read when it is first
    /// asked for.
    pub fn builtin() -> Option<&'static Lexicon> {
        static LEXICON: OnceLock<Option<Lexicon>> = OnceLock::new();
        // A file of our own that can't be read is found by the tests, not by users.
        LEXICON.get_or_init(|| Lexicon::open(BUILTIN.into()).ok()).as_ref()
    }

    /// Reads `lexicon.zst`.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] naming the line, when it is not what it should be.
    pub fn parse(bytes: impl Into<Cow<'static, [u8]>>) -> Result<Self> {
        let checked = |lexicon: Lexicon| lexicon.check().map(|()| lexicon);
        Lexicon::open(bytes.into()).and_then(checked).map_err(|what| broken(&what))
    }

    /// Finds the lists without reading their lines.
    fn open(bytes: Cow<'static, [u8]>) -> Result<Self, String> {
        let mut file = Packed::new(bytes)?;
        if file.line() != HEADING {
            return Err(format!("line 1: expected `{HEADING}`"));
        }
        let weights = Weights::parse(file.line()).map_err(|what| format!("line 2: {what}"))?;
        Ok(Lexicon { weights, targets: file.list("targets")?, sources: file.list("sources")? })
    }

    /// What is wrong with the lists, and in which line of which.
    fn check(&self) -> Result<(), String> {
        for (name, list) in [("targets", &self.targets), ("sources", &self.sources)] {
            let mut before = "";
            for (at, line) in list.lines().enumerate() {
                let broken = |what: &str| format!("{name}, line {}: expected {what}", at + 1);
                let (stem, count, links) = entry(line?).ok_or_else(|| broken("a stem and two numbers"))?;
                if count.linked > count.seen {
                    return Err(broken("no more links than the word was seen"));
                }
                if at > 0 && stem <= before {
                    return Err(broken("a stem after the one above in the order of bytes"));
                }
                before = stem;
                let well = |link: &str| pair(link).is_some_and(|(id, _)| (id as usize) < self.targets.len());
                if !links.split_whitespace().all(well) {
                    return Err(broken("`target:links` of a target above"));
                }
            }
        }
        Ok(())
    }

    /// The soft alignment of a sentence pair: the lexicon's own, or with the attention of a model over the same words.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the attention is not over these words.
    pub fn refine(
        &self,
        attention: Option<&Matrix>,
        source: &str,
        source_words: &[Span],
        target: &str,
        target_words: &[Span],
    ) -> Result<Matrix> {
        let (rows, columns) = (target_words.len(), source_words.len());
        if let Some(attention) = attention
            && (attention.targets() != rows || attention.sources() != columns)
        {
            let found = format!("{} and {} words", attention.sources(), attention.targets());
            return Err(Error::new(
                ErrorKind::Internal,
                format!("attention over {found}, expected {columns} and {rows}"),
            ));
        }
        let sources: Vec<SourceWord> =
            source_words.iter().map(|word| self.source_word(word.of(source))).collect::<Result<_>>()?;
        let targets: Vec<TargetWord> =
            target_words.iter().map(|word| self.target_word(word.of(target))).collect::<Result<_>>()?;
        let mut scores = Grid::zeros(rows, columns);
        let distance_weight = self.weights.distance * (rows.max(columns) as f32 / SHORT).min(1.0);
        for (t, word) in targets.iter().enumerate() {
            for (s, source) in sources.iter().enumerate() {
                let position = |at: usize, of: usize| (at as f32 + 0.5) / of as f32;
                let distance = (position(s, columns) - position(t, rows)).abs();
                *scores.at(t, s) = self.score(source, word) - distance_weight * distance
                    + attention
                        .map_or(0.0, |matrix| self.weights.attention * (matrix.row(t)[s] + ATTENTION_FLOOR).ln());
            }
        }
        let null = |count: Count| self.weights.null + self.weights.null_count * count.null_odds();
        let source_null: Vec<f32> = sources.iter().map(|word| null(word.count)).collect();
        let target_null: Vec<f32> = targets.iter().map(|word| null(word.count)).collect();
        let mut shares = scores.shares(&source_null, &target_null);
        let weights: Vec<f32> = targets.iter().map(|word| self.weights.neighbours * word.count.trust()).collect();
        for _ in 0..ROUNDS {
            shares = scores.with_support(&shares, &weights).shares(&source_null, &target_null);
        }
        let rows: Vec<Vec<f32>> = (0..rows)
            .map(|t| {
                let row = shares.row(t);
                // One English word for several Arabic ones: they share it.
                let total = row.iter().sum::<f32>().max(1.0);
                row.iter().map(|share| (share / total).clamp(0.0, 1.0)).collect()
            })
            .collect();
        Matrix::from_rows(&rows)
    }

    fn source_word(&self, word: &str) -> Result<SourceWord> {
        let found = self.sources.find(&stem::arabic(word)).map_err(|what| broken(&what))?;
        let (count, links) = match found.and_then(|(_, line)| entry(line)) {
            Some((_, count, links)) => (count, links.split_whitespace().filter_map(pair).collect()),
            None => (Count::default(), Vec::new()),
        };
        Ok(SourceWord { count, links, form: Form::arabic(word) })
    }

    fn target_word(&self, word: &str) -> Result<TargetWord> {
        let found = self.targets.find(&stem::english(word)).map_err(|what| broken(&what))?;
        let (id, count) = match found.and_then(|(at, line)| Some((at, entry(line)?.1))) {
            Some((at, count)) => (Some(at as u32), count),
            None => (None, Count::default()),
        };
        Ok(TargetWord { id, count, form: Form::english(word) })
    }

    fn score(&self, source: &SourceWord, target: &TargetWord) -> f32 {
        let links =
            target.id.and_then(|id| source.links.iter().find(|link| link.0 == id)).map_or(0.0, |link| link.1 as f32);
        let forward = links / (source.count.seen + SMOOTHING);
        let backward = links / (target.count.seen + SMOOTHING);
        self.weights.lexicon * ((forward + UNSEEN).ln() + (backward + UNSEEN).ln())
            + self.weights.resemblance * resemblance::of_names(&source.form, &target.form)
            + if resemblance::are_equal(&source.form, &target.form) { self.weights.equality } else { 0.0 }
    }
}

/// The soft alignment from what is at hand: attention and lexicon, or either alone. From neither no word has a partner.
pub(crate) fn soft_alignment(
    lexicon: Option<&Lexicon>,
    attention: Option<Matrix>,
    source: &str,
    source_words: &[Span],
    target: &str,
    target_words: &[Span],
) -> Result<Matrix> {
    match (lexicon, attention) {
        (Some(lexicon), attention) => lexicon.refine(attention.as_ref(), source, source_words, target, target_words),
        (None, Some(attention)) => Ok(attention),
        (None, None) => Matrix::from_rows(&vec![vec![0.0; source_words.len()]; target_words.len()]),
    }
}

struct SourceWord {
    count: Count,
    /// The lines of target words, and the number of links to each.
    links: Vec<(u32, u32)>,
    form: Form,
}

struct TargetWord {
    id: Option<u32>,
    count: Count,
    form: Form,
}

impl Weights {
    fn parse(line: &str) -> Result<Self, String> {
        let mut weights = Weights::default();
        let mut fields = line.split_whitespace();
        if fields.next() != Some("weights") {
            return Err("expected `weights`".to_owned());
        }
        for field in fields {
            let (name, value) = field.split_once('=').ok_or_else(|| format!("`{field}` is no weight"))?;
            let place = match name {
                "lexicon" => &mut weights.lexicon,
                "resemblance" => &mut weights.resemblance,
                "equality" => &mut weights.equality,
                "distance" => &mut weights.distance,
                "attention" => &mut weights.attention,
                "neighbours" => &mut weights.neighbours,
                "null" => &mut weights.null,
                "null_count" => &mut weights.null_count,
                _ => return Err(format!("no weight is called `{name}`")),
            };
            *place = value
                .parse()
                .ok()
                .filter(|value: &f32| value.is_finite())
                .ok_or_else(|| format!("`{field}` is no weight"))?;
        }
        Ok(weights)
    }
}

fn broken(what: &str) -> Error {
    Error::new(ErrorKind::Model, format!("`lexicon.zst`: {what}"))
}

/// A line's stem, its two counts and its links.
fn entry(line: &str) -> Option<(&str, Count, &str)> {
    let mut fields = line.split('\t');
    let stem = fields.next()?;
    let mut count = || fields.next()?.parse::<u32>().ok();
    let (seen, linked) = (count()?, count()?);
    Some((stem, Count { seen: seen as f32, linked: linked as f32 }, fields.next().unwrap_or("")))
}

/// A target's line, and the number of links to it.
fn pair(link: &str) -> Option<(u32, u32)> {
    let (id, links) = link.split_once(':')?;
    Some((id.parse().ok()?, links.parse().ok()?))
}

/// A number for each target word (rows) and source word (columns).
struct Grid {
    columns: usize,
    values: Vec<f32>,
}

impl Grid {
    fn zeros(rows: usize, columns: usize) -> Self {
        Grid { columns, values: vec![0.0; rows * columns] }
    }

    fn rows(&self) -> usize {
        self.values.len().checked_div(self.columns).unwrap_or(0)
    }

    fn at(&mut self, row: usize, column: usize) -> &mut f32 {
        &mut self.values[row * self.columns + column]
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// Each word of either side picks its partner or none; a pair's share is the geometric mean of both choices.
    fn shares(&self, source_null: &[f32], target_null: &[f32]) -> Grid {
        let mut shares = Grid::zeros(self.rows(), self.columns);
        // Of each column: the largest score, then the sum of what lies below it.
        let mut largest = source_null.to_vec();
        for row in 0..self.rows() {
            for (largest, &score) in largest.iter_mut().zip(self.row(row)) {
                *largest = largest.max(score);
            }
        }
        let mut sums: Vec<f32> =
            source_null.iter().zip(&largest).map(|(null, largest)| (null - largest).exp()).collect();
        for row in 0..self.rows() {
            for ((sum, &score), largest) in sums.iter_mut().zip(self.row(row)).zip(&largest) {
                *sum += (score - largest).exp();
            }
        }
        for row in 0..self.rows() {
            let scores = self.row(row);
            let most = scores.iter().fold(target_null[row], |most, &score| most.max(score));
            let sum = (target_null[row] - most).exp() + scores.iter().map(|score| (score - most).exp()).sum::<f32>();
            for (column, &score) in scores.iter().enumerate() {
                let chosen_by_target = (score - most).exp() / sum;
                let chosen_by_source = (score - largest[column]).exp() / sums[column];
                *shares.at(row, column) = (chosen_by_target * chosen_by_source).sqrt();
            }
        }
        shares
    }

    /// The scores with what neighbouring pairs say for each: words that stand together are translated together. A weight
    /// for each row.
    fn with_support(&self, shares: &Grid, weights: &[f32]) -> Grid {
        let (rows, columns) = (self.rows(), self.columns);
        let share = |row: Option<usize>, column: Option<usize>| match (row, column) {
            (Some(row), Some(column)) if row < rows && column < columns => shares.row(row)[column],
            _ => 0.0,
        };
        let mut supported = Grid { columns, values: self.values.clone() };
        for row in 0..rows {
            for column in 0..columns {
                let (up, down) = (row.checked_sub(1), Some(row + 1));
                let (left, right) = (column.checked_sub(1), Some(column + 1));
                let diagonal = share(up, left) + share(down, right);
                let straight = share(up, Some(column))
                    + share(down, Some(column))
                    + share(Some(row), left)
                    + share(Some(row), right);
                *supported.at(row, column) += weights[row] * (diagonal + STRAIGHT * straight).min(MOST_SUPPORT);
            }
        }
        supported
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alignment::{LinkForm, pharaoh};
    use crate::listing::tests::packed;
    use crate::words::words;
    use proptest::prelude::*;

    const WEIGHTS: &str =
        "lexicon=0.43 resemblance=6 equality=3.2 distance=5.4 attention=0.3 neighbours=2.5 null=-6 null_count=0.4";
    const TARGETS: [&str; 4] = ["queen\t90\t85", "schoo\t70\t66", "the\t900\t300", "visit\t50\t45"];
    const SOURCES: [&str; 3] = ["زارت\t40\t40\t3:38", "مدرسة\t60\t59\t1:55 2:9", "ملكة\t80\t79\t0:77"];

    /// The file, with something exchanged in it.
    fn file(from: &str, to: &str) -> Vec<u8> {
        let exchanged = |lines: &[&str]| -> Vec<String> { lines.iter().map(|line| line.replace(from, to)).collect() };
        let (targets, sources) = (exchanged(&TARGETS), exchanged(&SOURCES));
        let [targets, sources] = [&targets, &sources].map(|list| list.iter().map(String::as_str).collect::<Vec<_>>());
        let heading = format!("tarjim lexicon 2\nweights {WEIGHTS}\n").replace(from, to);
        packed(&heading, &[("targets", &targets), (if from == "sources" { to } else { "sources" }, &sources)], 2)
    }

    fn lexicon() -> Lexicon {
        Lexicon::parse(file("-", "-")).unwrap()
    }

    fn links(attention: Option<&Matrix>, source: &str, target: &str) -> String {
        let (source_words, target_words) = (words(source), words(target));
        let matrix = lexicon().refine(attention, source, &source_words, target, &target_words).unwrap();
        pharaoh::print(&matrix.links(LinkForm::Best))
    }

    #[test]
    #[cfg(feature = "embedded-model")]
    fn the_builtin_lexicon_knows_its_words() {
        let lexicon = Lexicon::parse(BUILTIN).unwrap();
        assert!(lexicon.sources.len() > 10_000 && lexicon.targets.len() > 10_000);
        for (source, target, expected) in [
            ("قال رئيس الوزراء", "The prime minister said", "0-3 1-1 2-2"),
            ("أعلنت الحكومة خطة جديدة.", "The government announced a new plan.", "0-2 1-1 2-5 3-4 4-6"),
            ("رفضت المحكمة الطلب.", "The court rejected the request.", "0-2 1-1 2-4 3-5"),
        ] {
            let (source_words, target_words) = (words(source), words(target));
            let matrix = lexicon.refine(None, source, &source_words, target, &target_words).unwrap();
            assert_eq!(pharaoh::print(&matrix.links(LinkForm::Best)), expected, "{target}");
        }
    }

    #[test]
    fn words_names_and_numbers_find_each_other() {
        let source = "زارت الملكة مارغريت 3 مدارس.";
        assert_eq!(links(None, source, "Queen Margaret visited 3 schools."), "0-2 1-0 2-1 3-3 4-4 5-5");
    }

    #[test]
    fn attention_decides_where_the_lexicon_is_silent() {
        let (source, target) = ("قلم كتاب", "lorem ipsum");
        let crossed = Matrix::from_rows(&[vec![0.02, 0.95], vec![0.95, 0.02]]).unwrap();
        let mut strong = lexicon();
        strong.weights.attention = 3.0;
        strong.weights.null = -30.0;
        let (source_words, target_words) = (words(source), words(target));
        let matrix = strong.refine(Some(&crossed), source, &source_words, target, &target_words).unwrap();
        assert_eq!(pharaoh::print(&matrix.links(LinkForm::Hard)), "0-1 1-0");
        assert!(strong.refine(Some(&crossed), source, &source_words, target, &target_words[..1]).is_err());
    }

    #[test]
    fn empty_sides_are_no_trouble() {
        assert_eq!(links(None, "", ""), "");
        assert_eq!(links(None, "", "a"), "");
        assert_eq!(links(None, "ا", ""), "");
    }

    #[test]
    fn a_broken_file_is_refused() {
        for (from, to, expected) in [
            ("tarjim lexicon 2", "tarjim lexicon 1", "line 1"),
            ("null=-6", "null=NaN", "line 2"),
            ("null=-6", "nil=-6", "line 2"),
            ("sources", "springs", "expected `sources`"),
            ("90\t85", "85\t90", "targets, line 1"),
            ("0:77", "9:77", "sources, line 3"),
            ("schoo", "zchoo", "targets, line 3: expected a stem after"),
        ] {
            let error = Lexicon::parse(file(from, to)).unwrap_err().to_string();
            assert!(error.contains(expected), "{to}: {error}");
        }
        assert_eq!(Lexicon::parse(b"no zstd").unwrap_err().kind(), ErrorKind::Model);
    }

    proptest! {
        #[test]
        fn rows_and_null_sum_to_one(source in "[ء-ي0-9 .]{0,30}", target in "[A-Za-z0-9 .]{0,30}") {
            let (source_words, target_words) = (words(&source), words(&target));
            let matrix = lexicon().refine(None, &source, &source_words, &target, &target_words).unwrap();
            for t in 0..matrix.targets() {
                let sum = matrix.row(t).iter().sum::<f32>() + matrix.null()[t];
                prop_assert!((sum - 1.0).abs() < 1e-4, "{sum}");
            }
        }
    }
}

//! Sentence boundaries on news lines written for this test: one sentence a line, the hard cases of Arabic punctuation.

use std::collections::BTreeSet;

use tarjim::splitter::Splitter;

const SENTENCES: &str = include_str!("../data/sentences.ar");

/// Cuts counted in characters that are no white space, without the last one.
fn cuts<'a>(sentences: impl Iterator<Item = &'a str>) -> BTreeSet<usize> {
    let mut at = 0;
    let mut cuts: BTreeSet<usize> = sentences
        .map(|sentence| {
            at += sentence.chars().filter(|c| !c.is_whitespace()).count();
            at
        })
        .collect();
    cuts.pop_last();
    cuts
}

#[test]
fn finds_the_sentences_of_joined_lines() {
    let lines: Vec<&str> = SENTENCES.lines().collect();
    let (mut right, mut found, mut gold) = (0, 0, 0);
    for group in lines.chunks(10) {
        let paragraph = group.join(" ");
        let segments = Splitter::default().split(&paragraph);
        let ours = cuts(segments.iter().map(|segment| segment.sentence.of(&paragraph)));
        let wanted = cuts(group.iter().copied());
        right += ours.intersection(&wanted).count();
        found += ours.len();
        gold += wanted.len();
    }
    let f1 = 2.0 * right as f64 / (found + gold) as f64;
    assert!(f1 > 0.98, "boundary F1 {f1:.4}: {right} right of {found} found, {gold} wanted");
}

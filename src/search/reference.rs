//! Parity of search alone with `transformers`: the same scores in, the same hypotheses out.

use serde::Deserialize;

use super::table::Table;
use super::{BatchOptions, EarlyStopping, SearchOptions, search};
use crate::engine::TokenId;

/// `tests/data/search.json`, written by `scripts/make_search_reference.py`.
#[derive(Deserialize)]
struct Reference {
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    vocabulary: usize,
    seed: u32,
    source: Vec<TokenId>,
    found: Vec<Found>,
    max_length: usize,
    forced_end: bool,
    ban_pad: bool,
    renormalize_logits: bool,
    num_beams: Option<usize>,
    num_return_sequences: Option<usize>,
    length_penalty: Option<f32>,
    early_stopping: Option<serde_json::Value>,
    repetition_penalty: Option<f32>,
    no_repeat_ngram_size: Option<usize>,
    min_length: Option<usize>,
}

#[derive(Deserialize)]
struct Found {
    tokens: Vec<TokenId>,
    score: f32,
    log_probs: Vec<f32>,
}

impl Record {
    fn options(&self) -> SearchOptions {
        let pad = (self.vocabulary - 1) as TokenId;
        SearchOptions {
            beam_size: self.num_beams.unwrap_or(1),
            n_best: self.num_return_sequences.unwrap_or(1),
            length_penalty: self.length_penalty.unwrap_or(1.0),
            min_length: self.min_length.unwrap_or(0),
            max_length: self.max_length,
            max_length_factor: None,
            forced_end: self.forced_end.then_some(0),
            banned: if self.ban_pad { vec![pad] } else { Vec::new() },
            renormalize: self.renormalize_logits,
            no_repeat_ngram_size: self.no_repeat_ngram_size.unwrap_or(0),
            repetition_penalty: self.repetition_penalty.unwrap_or(1.0),
            early_stopping: match self.early_stopping.as_ref() {
                Some(serde_json::Value::Bool(true)) => EarlyStopping::Always,
                Some(serde_json::Value::String(_)) => EarlyStopping::Never,
                _ => EarlyStopping::Heuristic,
            },
            ..SearchOptions::new(pad, 0)
        }
    }
}

#[test]
fn every_record_is_found_again() {
    let reference: Reference = serde_json::from_str(include_str!("../../tests/data/search.json")).unwrap();
    assert!(reference.records.len() > 300);
    for record in &reference.records {
        let options = record.options();
        let place = format!("source {:?}, vocabulary {}, {options:?}", record.source, record.vocabulary);
        let engine = Table::hashed(record.vocabulary, record.seed);
        let mut ours = Vec::new();
        search(&engine, &[&record.source], &options, &BatchOptions::default(), &mut |_, found| ours = found).unwrap();
        assert_eq!(
            ours.iter().map(|hypothesis| &hypothesis.tokens).collect::<Vec<_>>(),
            record.found.iter().map(|found| &found.tokens).collect::<Vec<_>>(),
            "{place}"
        );
        for (ours, theirs) in ours.iter().zip(&record.found) {
            assert!((ours.score - theirs.score).abs() < 1e-4, "{} is not {} at {place}", ours.score, theirs.score);
            for (ours, theirs) in ours.log_probs.iter().zip(&theirs.log_probs) {
                assert!((ours - theirs).abs() < 1e-4, "{ours} is not {theirs} at {place}");
            }
        }
    }
}

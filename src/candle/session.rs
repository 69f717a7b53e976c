//! The sentences one thread is translating, with their hypotheses' caches.

use std::collections::BTreeMap;

use candle_core::Tensor;

use super::attention::KeysValues;
use super::{CandleEngine, check, mask, scores};
use crate::engine::{Dimensions, Parent, RowScores, SentenceKey, Session, StepRow, TokenId};
use crate::{Error, ErrorKind, Result};

/// A sentence's cross-attention keys and values, one pair per layer, each `[1, heads, length, width]`.
struct Memory {
    length: usize,
    layers: Vec<KeysValues>,
}

/// A row of the step before.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Row {
    sentence: SentenceKey,
    /// Tokens fed so far.
    length: usize,
}

/// The memories of the rows of a step, gathered into one batch.
struct Gathered {
    sentences: Vec<SentenceKey>,
    layers: Vec<KeysValues>,
    mask: Option<Tensor>,
}

pub(super) struct CandleSession<'a> {
    engine: &'a CandleEngine,
    next: u64,
    memories: BTreeMap<SentenceKey, Memory>,
    rows: Vec<Row>,
    /// Self-attention keys and values of all rows, one pair per layer, each `[rows, heads, longest, width]`. Rows may
    /// be of different lengths: they end together and are padded on the left.
    past: Vec<KeysValues>,
    /// Kept while the rows' sentences stay the same, as they do until one finishes.
    gathered: Option<Gathered>,
}

impl<'a> CandleSession<'a> {
    pub(super) fn new(engine: &'a CandleEngine) -> Self {
        CandleSession { engine, next: 0, memories: BTreeMap::new(), rows: Vec::new(), past: Vec::new(), gathered: None }
    }

    /// What each row becomes in this step, and for each the row it goes on from.
    fn plan(&self, rows: &[StepRow<'_>]) -> Result<(Vec<Row>, Vec<Option<usize>>)> {
        let Dimensions { target_vocabulary, target_positions, .. } = self.engine.dimensions;
        let broken = |what: String| Error::new(ErrorKind::Internal, what);
        let mut planned = Vec::with_capacity(rows.len());
        let mut parents = Vec::with_capacity(rows.len());
        for row in rows {
            check("target", &[row.token], target_vocabulary, target_positions)?;
            check("target", row.probes, target_vocabulary, usize::MAX)?;
            let (sentence, length) = match row.parent {
                Parent::Start(sentence) => (sentence, 0),
                Parent::Row(at) => match self.rows.get(at) {
                    Some(parent) => (parent.sentence, parent.length),
                    None => {
                        return Err(broken(format!("row {at} does not exist: the last step had {}", self.rows.len())));
                    }
                },
            };
            if !self.memories.contains_key(&sentence) {
                return Err(broken(format!("sentence {} is not in the session", sentence.0)));
            }
            if length >= target_positions {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!("a target sentence is longer than the model's {target_positions} positions"),
                ));
            }
            planned.push(Row { sentence, length: length + 1 });
            parents.push(match row.parent {
                Parent::Start(_) => None,
                Parent::Row(at) => Some(at),
            });
        }
        Ok((planned, parents))
    }

    /// The cached keys and values in the order of the new rows, without those nobody looks at any more; `None` when no
    /// row has a past.
    fn reorder(&self, rows: &[Row], parents: &[Option<usize>]) -> Result<Option<Vec<KeysValues>>> {
        let longest = rows.iter().map(|row| row.length - 1).max().unwrap_or(0);
        let Some(first) = self.past.first().filter(|_| longest > 0) else { return Ok(None) };
        let cached = first.keys.dim(2)?;
        let unmoved =
            parents.len() == self.rows.len() && parents.iter().enumerate().all(|(at, parent)| *parent == Some(at));
        // A row without a past takes over any row's: all of it is masked.
        let from: Vec<u32> = parents.iter().map(|parent| parent.unwrap_or(0) as u32).collect();
        let from = Tensor::new(from, first.keys.device())?;
        let reorder = |tensor: &Tensor| {
            let tensor = if unmoved { tensor.clone() } else { tensor.index_select(&from, 0)? };
            tensor.narrow(2, cached - longest, longest)
        };
        self.past.iter().map(|layer| layer.map(reorder)).collect::<Result<_>>().map(Some)
    }

    /// Brings the memories of the rows' sentences into one batch.
    fn gather(&mut self, rows: &[Row]) -> Result<()> {
        let sentences: Vec<SentenceKey> = rows.iter().map(|row| row.sentence).collect();
        if self.gathered.as_ref().is_some_and(|gathered| gathered.sentences == sentences) {
            return Ok(());
        }
        let memories: Vec<&Memory> = sentences.iter().map(|sentence| &self.memories[sentence]).collect();
        let lengths: Vec<usize> = memories.iter().map(|memory| memory.length).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let device = &self.engine.device;
        let join = |layer: usize, part: fn(&KeysValues) -> &Tensor| -> Result<Tensor> {
            let padded: Vec<Tensor> = memories
                .iter()
                .map(|memory| part(&memory.layers[layer]).pad_with_zeros(2, 0, longest - memory.length))
                .collect::<candle_core::Result<_>>()?;
            Ok(Tensor::cat(&padded, 0)?)
        };
        let layers = (0..memories.first().map_or(0, |memory| memory.layers.len()))
            .map(|layer| Ok(KeysValues { keys: join(layer, |kv| &kv.keys)?, values: join(layer, |kv| &kv.values)? }))
            .collect::<Result<_>>()?;
        let mask = mask::right_padding(&lengths, device)?;
        self.gathered = Some(Gathered { sentences, layers, mask });
        Ok(())
    }
}

impl Session for CandleSession<'_> {
    fn admit(&mut self, sources: &[&[TokenId]]) -> Result<Vec<SentenceKey>> {
        if sources.is_empty() {
            return Ok(Vec::new());
        }
        self.engine.check_sources(sources)?;
        let (states, _) = self.engine.encoder.forward(sources)?;
        let layers = self.engine.decoder.memory(&states)?;
        let mut keys = Vec::with_capacity(sources.len());
        for (row, source) in sources.iter().enumerate() {
            let length = source.len();
            let own = |tensor: &Tensor| tensor.narrow(0, row, 1)?.narrow(2, 0, length)?.contiguous();
            let layers = layers.iter().map(|layer| layer.map(own)).collect::<Result<_>>()?;
            let key = SentenceKey(self.next);
            self.next += 1;
            self.memories.insert(key, Memory { length, layers });
            keys.push(key);
        }
        Ok(keys)
    }

    fn step(&mut self, rows: &[StepRow<'_>]) -> Result<Vec<RowScores>> {
        let (planned, parents) = self.plan(rows)?;
        self.memories.retain(|sentence, _| planned.iter().any(|row| row.sentence == *sentence));
        if rows.is_empty() {
            (self.rows, self.past, self.gathered) = (Vec::new(), Vec::new(), None);
            return Ok(Vec::new());
        }
        let past = self.reorder(&planned, &parents)?;
        self.gather(&planned)?;
        let missing = || Error::new(ErrorKind::Internal, "the rows' memories were not gathered");
        let memory = self.gathered.as_ref().ok_or_else(missing)?;
        let tokens: Vec<TokenId> = rows.iter().map(|row| row.token).collect();
        let positions: Vec<u32> = planned.iter().map(|row| row.length as u32 - 1).collect();
        let lengths: Vec<usize> = planned.iter().map(|row| row.length).collect();
        let past_mask = mask::left_padding(&lengths, &self.engine.device)?;
        let mut grown = Vec::with_capacity(memory.layers.len());
        let (states, attention) = self.engine.decoder.step(
            &tokens,
            &positions,
            &memory.layers,
            memory.mask.as_ref(),
            |layer, new| {
                let whole = match &past {
                    Some(past) => KeysValues {
                        keys: Tensor::cat(&[&past[layer].keys, &new.keys], 2)?,
                        values: Tensor::cat(&[&past[layer].values, &new.values], 2)?,
                    },
                    None => new,
                };
                grown.push(whole.clone());
                Ok(whole)
            },
            past_mask.as_ref(),
        )?;
        let logits = self.engine.logits(&states)?;
        let attention = attention.to_vec2::<f32>()?;
        let mut results = Vec::with_capacity(rows.len());
        for (at, ((row, plan), attention)) in rows.iter().zip(&planned).zip(attention).enumerate() {
            let mut logits = logits.get(at)?.to_vec1::<f32>()?;
            for &piece in &self.engine.suppressed {
                logits[piece as usize] = f32::NEG_INFINITY;
            }
            let attention = attention[..self.memories[&plan.sentence].length].to_vec();
            results.push(scores::row_scores(&logits, row.top, row.probes, attention)?);
        }
        (self.rows, self.past) = (planned, grown);
        Ok(results)
    }
}

//! The step from pieces to hypotheses, in which a sentence the engine cannot take costs no other.

use std::num::NonZero;

use crate::engine::{Engine, TokenId};
use crate::error::{Error, ErrorKind, Result};
use crate::search::{BatchOptions, Hypothesis, SearchOptions, search, search_stream};

/// Searches all sources on `threads` threads: one outcome for each, in order.
pub(super) fn decode(
    engine: &dyn Engine,
    sources: &[&[TokenId]],
    options: &SearchOptions,
    batch: &BatchOptions,
    threads: NonZero<usize>,
) -> Vec<Result<Vec<Hypothesis>>> {
    let mut found: Vec<Option<Result<Vec<Hypothesis>>>> = sources.iter().map(|_| None).collect();
    // More workers than sentences would only share a queue of nothing.
    let threads = threads.min(NonZero::new(sources.len()).unwrap_or(NonZero::<usize>::MIN));
    let stream = sources.iter().map(|source| source.to_vec());
    let outcome = search_stream(engine, stream, options, batch, threads, |index, hypotheses| {
        found[index] = Some(Ok(hypotheses));
        Ok(())
    });
    let failed = outcome.is_err();
    let mut outcome = Some(outcome);
    let only = sources.len() == 1;
    found
        .into_iter()
        .zip(sources)
        .map(|(hypotheses, source)| match hypotheses {
            Some(hypotheses) => hypotheses,
            // The one sentence there was is the one that failed: searching it again would tell nothing new.
            None if only && failed => match outcome.take() {
                Some(Err(error)) => Err(error),
                _ => Err(lost()),
            },
            // Some sentence of the batch cannot be translated, and the others were stopped with it: one by one.
            None => alone(engine, source, options, batch),
        })
        .collect()
}

fn alone(
    engine: &dyn Engine,
    source: &[TokenId],
    options: &SearchOptions,
    batch: &BatchOptions,
) -> Result<Vec<Hypothesis>> {
    let mut found = None;
    search(engine, &[source], options, batch, &mut |_, hypotheses| found = Some(hypotheses))?;
    found.ok_or_else(lost)
}

fn lost() -> Error {
    Error::new(ErrorKind::Internal, "search ended without a word on a sentence")
}

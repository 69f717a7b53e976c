//! Searches sentences given as ids, without text: what `scripts/compare_transformers.py` compares.
//!
//! `search_ids MODEL BEAM_SIZE MAX_LENGTH < SOURCES > HYPOTHESES`: a JSON array of source ids, `</s>` included, in each
//! line; out come, in the same order, lines of `{"tokens": […], "score": …}`, the best hypothesis of each.

use std::io::{BufRead, Write};
use std::num::NonZero;
use std::path::Path;

use tarjim::candle::CandleEngine;
use tarjim::model::{EngineOptions, ModelFiles};
use tarjim::search::{BatchOptions, Hypothesis, SearchOptions, search_stream};

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, beam_size, max_length] = arguments.as_slice() else {
        return Err("usage: search_ids MODEL BEAM_SIZE MAX_LENGTH".into());
    };
    let files = ModelFiles::directory(Path::new(model))?;
    let generation = files.generation_config()?;
    let suppressing = EngineOptions { suppressed: generation.suppressed.clone(), ..EngineOptions::default() };
    let engine = CandleEngine::load(&files.config()?, &files.weights()?, &suppressing)?;
    let mut options = SearchOptions::from(&generation);
    options.beam_size = beam_size.parse()?;
    options.max_length = max_length.parse()?;

    let sources = std::io::stdin().lock().lines().map(|line| Ok(serde_json::from_str(&line?)?));
    let sources: Vec<Vec<u32>> = sources.collect::<Result<_>>()?;
    let mut found = vec![Hypothesis::default(); sources.len()];
    let one = NonZero::<usize>::MIN;
    search_stream(&engine, sources, &options, &BatchOptions::default(), one, |index, hypotheses| {
        found[index] = hypotheses.into_iter().next().unwrap_or_default();
        Ok(())
    })?;
    let mut out = std::io::stdout().lock();
    for hypothesis in found {
        writeln!(out, "{}", serde_json::json!({ "tokens": hypothesis.tokens, "score": hypothesis.score }))?;
    }
    Ok(())
}

//! Times an engine and search on given ids with forced lengths, so that only the work is measured.
//!
//! `cargo bench --bench decode -- MODEL_DIR IDS_FILE [--beam N] [--rows N] [--words N] [--threads N] [--length N]
//! [--limit N] [--kernel NAME] [--repeat N] [--max-source N]`
//!
//! `IDS_FILE` has a sentence per line: ids separated by spaces, the end among them. `scripts/bench` makes it.

#![allow(clippy::print_stdout, missing_docs)]

use std::num::NonZero;
use std::path::Path;
use std::time::Instant;

use tarjim::engine::{Engine, TokenId};
use tarjim::model::{EngineOptions, ModelFiles};
use tarjim::native::{NativeEngine, NativeOptions};
use tarjim::search::{BatchOptions, SearchOptions, search_stream};

type AnyResult<T> = Result<T, Box<dyn std::error::Error>>;

struct Arguments {
    named: Vec<(String, String)>,
    plain: Vec<String>,
}

impl Arguments {
    fn read() -> AnyResult<Self> {
        let mut arguments = Arguments { named: Vec::new(), plain: Vec::new() };
        let mut all = std::env::args().skip(1).filter(|argument| argument != "--bench");
        while let Some(argument) = all.next() {
            match argument.strip_prefix("--") {
                Some(name) => {
                    let value = all.next().ok_or_else(|| format!("--{name} needs a value"))?;
                    arguments.named.push((name.to_owned(), value));
                }
                None => arguments.plain.push(argument),
            }
        }
        Ok(arguments)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.named.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str, default: usize) -> AnyResult<usize> {
        self.text(name).map_or(Ok(default), |value| Ok(value.parse()?))
    }
}

/// Peak resident memory of this process in MB, where the system tells.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<f64>().ok().map(|kilobytes| kilobytes / 1024.0)
}

/// Processor time of this process in seconds, all threads together, where the system tells: fairer than the clock on
/// a machine that does other work too.
fn processor_time() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / 100.0)
}

fn main() -> AnyResult<()> {
    let arguments = Arguments::read()?;
    let [directory, ids] = arguments.plain.as_slice() else {
        println!("left out: decode needs MODEL_DIR and IDS_FILE; see scripts/bench");
        return Ok(());
    };
    let longest = arguments.number("max-source", usize::MAX)?;
    let sources: Vec<Vec<TokenId>> = std::fs::read_to_string(ids)?
        .lines()
        .take(arguments.number("limit", usize::MAX)?)
        .map(|line| {
            let mut ids: Vec<TokenId> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
            let end = ids.pop().ok_or("an empty line")?;
            ids.truncate(longest - 1);
            ids.push(end);
            Ok(ids)
        })
        .collect::<AnyResult<_>>()?;

    let begin = Instant::now();
    let files = ModelFiles::directory(Path::new(directory))?;
    let config = files.config()?;
    let kernel = arguments.text("kernel").map(str::parse).transpose()?;
    let weights = files.weights()?;
    let engine = NativeEngine::load(
        &config,
        &weights,
        &EngineOptions::default(),
        &NativeOptions { kernel, timings: std::env::var_os("TARJIM_TIMING").is_some() },
    )?;
    drop(weights);
    let loaded = begin.elapsed().as_secs_f64();
    let load_processor = processor_time().unwrap_or(f64::NAN);

    // The start token is among the positions that `SearchOptions` counts.
    let length = arguments.number("length", 32)? + 1;
    let options = SearchOptions {
        beam_size: arguments.number("beam", 1)?,
        min_length: length,
        max_length: length,
        forced_end: None,
        banned: config.pad_token_id.into_iter().collect(),
        ..SearchOptions::new(config.decoder_start_token_id, config.eos_token_id)
    };
    let rows = arguments.number("rows", 32 * options.beam_size)?;
    let batch = BatchOptions {
        mini_batch_words: arguments.number("words", 64 * rows)?,
        max_rows: rows,
        ..BatchOptions::default()
    };
    let threads = NonZero::new(arguments.number("threads", 1)?).ok_or("--threads is 0")?;
    let run = |sources: &[Vec<TokenId>]| -> AnyResult<usize> {
        let mut tokens = 0;
        search_stream(&engine, sources.iter().cloned(), &options, &batch, threads, |_, hypotheses| {
            tokens += hypotheses[0].tokens.len();
            Ok(())
        })?;
        Ok(tokens)
    };
    run(&sources[..sources.len().min(4)])?;
    for _ in 0..arguments.number("repeat", 1)? {
        let (begin, before) = (Instant::now(), processor_time().unwrap_or(f64::NAN));
        let tokens = run(&sources)?;
        let seconds = begin.elapsed().as_secs_f64();
        let processor = processor_time().unwrap_or(f64::NAN) - before;
        println!(
            "tarjim {} beam {} rows {rows} threads {threads}: load {loaded:.3} s (cpu {load_processor:.2}), {:.2} \
             sentences/s, {:.0} target tokens/s, {:.2} sentences per cpu second, peak RSS {:.0} MB",
            engine.name(),
            options.beam_size,
            sources.len() as f64 / seconds,
            tokens as f64 / seconds,
            sources.len() as f64 / processor,
            peak_memory().unwrap_or(f64::NAN),
        );
    }
    if let Some(timings) = engine.timings() {
        println!("{timings}");
    }
    Ok(())
}

//! Translates a file of lines with the library alone, and prints how much there was and how long it took.
//!
//! ```console
//! $ cargo run --release --example translate_file -- news.txt
//! ```
//!
//! `scripts/bench_batch` measures the command against it: nothing here reads records, writes output or commits.

// An example talks to the person who runs it.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use tarjim::{Error, Result, Translator};

/// Texts handed over at once: enough to sort by length and fill batches, as many as the command reads ahead.
const WINDOW: usize = 1000;

fn main() -> Result<()> {
    let path = std::env::args().nth(1).unwrap_or_default();
    let text = std::fs::read_to_string(&path).map_err(|error| Error::io(&path, error))?;
    let lines: Vec<&str> = text.lines().collect();
    let translator = Translator::builder().threads(1).build()?;
    let began = Instant::now();
    let (mut sentences, mut words) = (0, 0);
    for window in lines.chunks(WINDOW) {
        for document in translator.translate_all(window) {
            let document = document?;
            sentences += document.sentences.len();
            words += document.sentences.iter().map(|sentence| sentence.source_words.len()).sum::<usize>();
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{} lines, {sentences} sentences, {words} words in {seconds:.1} s", lines.len());
    Ok(())
}

//! Prints the sentences of an Arabic text, one a line, with their byte spans.
//!
//! ```sh
//! cargo run --example split_sentences < article.txt
//! ```
//!
//! With `--semicolon` the Arabic semicolon ends a sentence, too.

use std::io::{Read, Write};

use tarjim::splitter::Splitter;

fn main() -> std::io::Result<()> {
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text)?;
    let splitter = Splitter::default().split_at_semicolon(std::env::args().any(|argument| argument == "--semicolon"));
    let mut output = std::io::BufWriter::new(std::io::stdout().lock());
    for segment in splitter.split(&text) {
        let (start, end) = (segment.sentence.start, segment.sentence.end);
        writeln!(output, "{start}\t{end}\t{}", segment.sentence.of(&text))?;
    }
    output.flush()
}

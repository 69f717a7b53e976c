//! Translates the sentences given as arguments and prints each word with the words it came from.
//!
//! ```console
//! $ cargo run --release --example translate -- "وصل الوفد إلى العاصمة مساء الأحد."
//! ```

// An example talks to the person who runs it.
#![allow(clippy::print_stdout)]

use tarjim::Translator;

fn main() -> tarjim::Result<()> {
    let translator = Translator::builder().build()?;
    for text in std::env::args().skip(1) {
        let document = translator.translate(&text)?;
        for sentence in &document.sentences {
            println!("{}\n{}", sentence.source, sentence.target);
            for link in &sentence.alignment.links {
                let source = sentence.source_words[link.source].of(&sentence.source);
                let target = sentence.target_words[link.target].of(&sentence.target);
                println!("  {target} ← {source} ({:.0} %)", link.probability * 100.0);
            }
            for flag in &sentence.flags {
                println!("  ! {}", flag.reason);
            }
        }
    }
    Ok(())
}

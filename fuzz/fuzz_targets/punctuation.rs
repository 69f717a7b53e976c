//! Any text tidied: its letters and digits stay, and every span still holds its own.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tarjim::Span;
use tarjim::punctuation::{capitalize, tidy};

fuzz_target!(|text: &str| {
    let mut spans: Vec<Span> = text.char_indices().map(|(at, c)| Span::new(at, at + c.len_utf8())).collect();
    let tidied = tidy(text, &mut spans);
    for (span, c) in spans.iter().zip(text.chars()) {
        if c.is_alphanumeric() {
            assert_eq!(span.of(&tidied), c.to_string());
        }
    }
    let words = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).count();
    assert_eq!(words(&tidied), words(text));
    capitalize(&tidied, &mut spans);
});

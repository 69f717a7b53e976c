//! Any text cleaned up: every character leads back to some of the original, in order.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tarjim::Span;
use tarjim::normalizer::Normalizer;

fuzz_target!(|text: &str| {
    let normalized = Normalizer::default().normalize(text);
    let mut previous = Span::default();
    for (at, character) in normalized.text.char_indices() {
        let span = normalized.original(Span::new(at, at + character.len_utf8()));
        assert!(!span.of(text).is_empty());
        assert!(span.start >= previous.start && span.end >= previous.end);
        previous = span;
    }
    assert_eq!(Normalizer::none().normalize(text).text, text);
});

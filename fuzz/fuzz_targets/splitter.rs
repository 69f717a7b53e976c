//! Any text into sentences: the spans tile it, and so do the parts of an over-long sentence.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tarjim::splitter::{LineBreaks, Splitter, split_long};

fuzz_target!(|text: &str| {
    for splitter in [
        Splitter::default(),
        Splitter::default().line_breaks(LineBreaks::Wrapped).split_at_semicolon(true),
    ] {
        let mut end = 0;
        for segment in splitter.split(text) {
            assert_eq!(segment.span.start, end);
            assert_eq!(segment.span.of(text).trim(), segment.sentence.of(text));
            end = segment.span.end;
        }
        assert_eq!(end, text.len());
    }
    let mut end = 0;
    for span in split_long(text, &|part| part.len() <= 40) {
        assert_eq!(span.start, end);
        let _ = span.of(text);
        end = span.end;
    }
    assert_eq!(end, text.len());
});

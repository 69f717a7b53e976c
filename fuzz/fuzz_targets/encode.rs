//! Any text in pieces: spans in order, nothing lost, and every piece known.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tarjim::vocabulary::SentencePiece;

static MODELS: LazyLock<Vec<SentencePiece>> = LazyLock::new(|| {
    let files: [&[u8]; 3] = [
        include_bytes!("../../tests/data/spm/news.spm"),
        include_bytes!("../../tests/data/spm/bytes.spm"),
        include_bytes!("../../tests/data/spm/merges.spm"),
    ];
    files.iter().filter_map(|spm| SentencePiece::from_bytes(spm).ok()).collect()
});

fuzz_target!(|text: &str| {
    for model in MODELS.iter() {
        let encoded = model.encode(text);
        let (mut start, mut end, mut written) = (0, 0, 0);
        for piece in &encoded.pieces {
            let _ = piece.span.of(text);
            assert!(piece.span.start >= start && piece.span.end >= end);
            (start, end) = (piece.span.start, piece.span.end);
            assert!(piece.range.start == written || piece.range.end == written);
            written = piece.range.end;
            assert!(piece.id.is_some_and(|id| model.piece(id).is_some()));
        }
        assert_eq!(written, encoded.text.len());
        let words: Vec<&str> = text.split_inclusive(' ').collect();
        let decoded = model.decode(&words);
        assert_eq!(decoded.spans.len(), words.len());
        for span in decoded.spans {
            let _ = span.of(&decoded.text);
        }
    }
});

//! Any bytes as a `.spm` file: refused, or a model that works.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tarjim::vocabulary::SentencePiece;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(model) = SentencePiece::from_bytes(bytes) {
        for text in ["", " زار  الوزير\u{0} القاهرة ﻻ\u{64b} 😀 <unk> the", "▁▁a"] {
            let encoded = model.encode(text);
            let pieces: Vec<&str> = encoded.pieces.iter().map(|piece| &encoded.text[piece.range.clone()]).collect();
            for piece in &encoded.pieces {
                let _ = piece.span.of(text);
            }
            assert_eq!(model.decode(&pieces).spans.len(), pieces.len());
        }
    }
});

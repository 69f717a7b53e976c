//! Any bytes as `vocab.json`: refused, or an index that leads both ways.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tarjim::vocabulary::Vocabulary;

fuzz_target!(|json: &[u8]| {
    let spm = include_bytes!("../../tests/data/spm/bytes.spm");
    if let Ok(vocabulary) = Vocabulary::from_bytes(spm, spm, json) {
        for id in 0..vocabulary.len() as u32 {
            if let Some(piece) = vocabulary.piece(id) {
                assert_eq!(vocabulary.id(piece), Some(id));
            }
        }
        let pieces = vocabulary.encode_source(">>x<< زار الوزير");
        assert!(pieces.ids.iter().all(|&id| vocabulary.piece(id).is_some()));
    }
});

//! The default model, compiled into the program.

/// Bytes that begin on a cache line: tensors are used where they lie, and a plain `include_bytes!` may begin anywhere.
#[repr(C, align(64))]
struct Aligned<T: ?Sized>(T);

static WEIGHTS: &Aligned<[u8]> = &Aligned(*include_bytes!("../../models/default/model.safetensors"));

/// The files by name.
pub(super) static FILES: &[(&str, &[u8])] = &[
    ("config.json", include_bytes!("../../models/default/config.json")),
    ("generation_config.json", include_bytes!("../../models/default/generation_config.json")),
    ("tokenizer_config.json", include_bytes!("../../models/default/tokenizer_config.json")),
    ("vocab.json", include_bytes!("../../models/default/vocab.json")),
    ("confidence.json", include_bytes!("../../models/default/confidence.json")),
    ("lexical.zst", include_bytes!("../../models/default/lexical.zst")),
    ("source.spm", include_bytes!("../../models/default/source.spm")),
    ("target.spm", include_bytes!("../../models/default/target.spm")),
    ("model.safetensors", &WEIGHTS.0),
];

#[cfg(test)]
mod tests {
    use super::WEIGHTS;
    use crate::candle::CandleEngine;
    use crate::confidence::Calibration;
    use crate::model::{EngineOptions, MarianWeights, Matrix, ModelFiles};
    use crate::search::{Lexical, LexicalTable};
    use crate::vocabulary::Vocabulary;
    use std::sync::Arc;

    #[test]
    fn the_default_model_is_whole_and_used_in_place() {
        let files = ModelFiles::embedded().unwrap();
        let (config, weights) = (files.config().unwrap(), files.weights().unwrap());
        let marian = MarianWeights::new(&config, &weights).unwrap();
        let Matrix::Int8 { data, .. } = &marian.source_embedding else { panic!("the default model is not int8") };
        let inside = WEIGHTS.0.as_ptr_range();
        assert!(inside.contains(&data.as_ptr().cast::<u8>()), "the embedding was copied");
        assert_eq!(inside.start as usize % 64, 0);
        assert!(files.generation_config().unwrap().renormalize);
        // Without these two, words would be linked by a second pass through the very same model, and confidences be raw.
        assert_eq!(config.guided_head, Some((config.decoder_layers - 1, 0)));
        Calibration::parse(&files.require("confidence.json").unwrap()).unwrap();
        let engine = CandleEngine::load(&config, &weights, &EngineOptions::default()).unwrap();
        assert_eq!(engine.encoder_states(&[&[3, config.eos_token_id]]).unwrap()[0].len(), 2);
    }

    #[test]
    fn its_lexical_table_is_in_its_pieces() {
        let files = ModelFiles::embedded().unwrap();
        assert!(files.generation_config().unwrap().lexical_weight > 0.0);
        let [source, target, ids] = ["source.spm", "target.spm", "vocab.json"].map(|name| files.require(name).unwrap());
        let vocabulary = Vocabulary::from_bytes(&source, &target, &ids).unwrap();
        let table =
            LexicalTable::parse(files.require("lexical.zst").unwrap(), vocabulary.source_word_pieces()).unwrap();
        let lexical = Lexical { table: Arc::new(table), weight: 0.5 };
        for (word, expected) in [("الوزير", "▁minister"), ("الحكومة", "▁government"), ("مدرسة", "▁school")]
        {
            let glosses = lexical.glosses(&vocabulary.encode_source(word).ids, vocabulary.len()).unwrap();
            let mut tokens = Vec::new();
            glosses.next_tokens(0, &mut tokens);
            assert!(tokens.contains(&vocabulary.id(expected).unwrap()), "{word}: {tokens:?}");
        }
    }
}

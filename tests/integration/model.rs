//! Model files: what is read, and what is refused how.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};
use tarjim::ErrorKind;
use tarjim::candle::CandleEngine;
use tarjim::model::{
    EarlyStopping, EngineOptions, GenerationConfig, MarianConfig, MarianWeights, Matrix, ModelFiles, Weights,
};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// A copy of a model folder in a temporary one.
fn copy(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

/// A copy of a model whose matrices are int8 with one scale per row, as the default model is stored.
pub(crate) fn quantised_copy(folder: &Path) -> tempfile::TempDir {
    let copy = copy(folder);
    let weights = ModelFiles::directory(folder).unwrap().weights().unwrap();
    let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    let bytes = |numbers: &[f32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    for name in weights.names() {
        let shape = weights.shape(name).unwrap().to_vec();
        if shape.len() != 2 || name == "final_logits_bias" {
            let numbers = weights.vector(name, shape.iter().product()).unwrap();
            tensors.push((name.to_owned(), Dtype::F32, shape, bytes(&numbers)));
            continue;
        }
        let matrix = weights.matrix(name, shape[0], shape[1]).unwrap();
        let mut scales = Vec::new();
        let mut rounded = Vec::new();
        for row in matrix.to_f32().chunks(shape[1]) {
            let most = row.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
            let scale = if most == 0.0 { 1.0 } else { most / 127.0 };
            scales.push(scale);
            rounded.extend(row.iter().map(|number| ((number / scale).round() as i8) as u8));
        }
        tensors.push((format!("{name}_scale"), Dtype::F32, vec![shape[0]], bytes(&scales)));
        tensors.push((name.to_owned(), Dtype::I8, shape, rounded));
    }
    let views: HashMap<&str, TensorView<'_>> = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| (name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).unwrap()))
        .collect();
    fs::write(copy.path().join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    copy
}

fn torch_weights(file: &str) -> tarjim::Result<Weights> {
    let path = data("torch").join(file);
    ModelFiles::named("torch", [("pytorch_model.bin".to_owned(), path)]).weights()
}

fn numbers(weights: &Weights, name: &str) -> Vec<f32> {
    match weights.shape(name).unwrap() {
        [rows, cols] => weights.matrix(name, *rows, *cols).unwrap().to_f32().into_owned(),
        shape => weights.vector(name, shape.iter().product()).unwrap(),
    }
}

#[test]
fn torch_checkpoints_of_every_age_hold_the_same_tensors() {
    let path = data("torch/expected.safetensors");
    let expected = ModelFiles::named("torch", [("model.safetensors".to_owned(), path)]).weights().unwrap();
    for file in ["zip.bin", "stream.bin", "protocol4.bin"] {
        let weights = torch_weights(file).unwrap();
        assert_eq!(weights.names().collect::<Vec<_>>(), expected.names().collect::<Vec<_>>(), "{file}");
        for name in expected.names() {
            assert_eq!(weights.shape(name), expected.shape(name), "{file} {name}");
            if !["ids", "int8"].contains(&name) {
                assert_eq!(numbers(&weights, name), numbers(&expected, name), "{file} {name}");
            }
        }
        assert!(weights.vector("ids", 3).is_err());
    }
}

#[test]
fn torch_checkpoints_that_call_python_are_refused() {
    for file in ["hostile.bin", "hostile_stream.bin"] {
        let error = torch_weights(file).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model);
        assert!(
            error.to_string().contains("calls `__builtin__.print`, which no checkpoint of tensors needs"),
            "{error}"
        );
    }
    assert!(torch_weights("no_tensors.bin").unwrap_err().to_string().ends_with("holds no tensors"));
}

#[test]
fn damaged_torch_checkpoints_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pytorch_model.bin");
    let files = ModelFiles::directory(folder.path()).unwrap();
    for file in ["zip.bin", "stream.bin"] {
        let whole = fs::read(data("torch").join(file)).unwrap();
        for length in (0..whole.len()).step_by(7) {
            fs::write(&path, &whole[..length]).unwrap();
            let error = files.weights().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Model, "{file} cut after {length} bytes: {error}");
        }
        for at in (0..whole.len()).step_by(3) {
            for value in [0, 0x7f, 0xff, whole[at] ^ 1] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                fs::write(&path, &damaged).unwrap();
                if let Ok(weights) = files.weights() {
                    for name in weights.names() {
                        let shape = weights.shape(name).unwrap();
                        let _ = weights.vector(name, shape.iter().product());
                    }
                }
            }
        }
    }
}

#[test]
fn a_torch_model_loads_like_any_other() {
    // The pickle stream of an uploaded model: the tiny one's settings, and its tensors in a checkpoint of our own.
    let tiny = ModelFiles::directory(&data("tiny-marian")).unwrap();
    let named = ["config.json", "generation_config.json"].map(|name| (name.to_owned(), data("tiny-marian").join(name)));
    let stream = ("pytorch_model.bin".to_owned(), data("torch/stream.bin"));
    let files = ModelFiles::named("Somebody/model", named.into_iter().chain([stream]));
    assert_eq!(files.config().unwrap(), tiny.config().unwrap());
    let weights = files.weights().unwrap();
    let error = MarianWeights::new(&files.config().unwrap(), &weights).unwrap_err();
    assert_eq!(error.to_string(), "pytorch_model.bin: tensor `model.shared.weight` is missing");
}

#[test]
fn int8_matrices_come_with_their_scales() {
    let folder = quantised_copy(&data("tiny-marian"));
    let files = ModelFiles::directory(folder.path()).unwrap();
    let (config, weights) = (files.config().unwrap(), files.weights().unwrap());
    let marian = MarianWeights::new(&config, &weights).unwrap();
    let Matrix::Int8 { rows, cols, data, scales } = &marian.source_embedding else { panic!("not int8") };
    assert_eq!(
        (*rows, *cols, data.len(), scales.len()),
        (config.vocab_size, 32, config.vocab_size * 32, config.vocab_size)
    );
    assert!(matches!(marian.encoder[0].inner.weight, Matrix::Int8 { rows: 64, cols: 32, .. }));
}

#[test]
fn a_stray_output_layer_beside_shared_embeddings_is_ignored() {
    // Converted tc-big checkpoints carry a wrong `lm_head.weight`.
    let folder = copy(&data("tiny-marian"));
    let path = folder.path().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut views: HashMap<String, TensorView<'_>> = tensors.tensors().into_iter().collect();
    let zeros = vec![0; views["model.shared.weight"].data().len()];
    let shape = views["model.shared.weight"].shape().to_vec();
    views.insert("lm_head.weight".to_owned(), TensorView::new(Dtype::F32, shape, &zeros).unwrap());
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    let files = ModelFiles::directory(folder.path()).unwrap();
    let weights = files.weights().unwrap();
    let marian = MarianWeights::new(&files.config().unwrap(), &weights).unwrap();
    assert!(marian.output.is_none());
    assert!(marian.output().to_f32().iter().any(|number| *number != 0.0));
}

#[test]
fn sharded_weights_are_read_through_their_index() {
    let folder = copy(&data("tiny-marian"));
    let whole = folder.path().join("model.safetensors");
    fs::rename(&whole, folder.path().join("model-00001-of-00001.safetensors")).unwrap();
    let files = ModelFiles::directory(folder.path()).unwrap();
    assert!(files.weights().unwrap_err().to_string().contains("no weights"));
    let index = r#"{"weight_map": {"model.shared.weight": "model-00001-of-00001.safetensors"}}"#;
    fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
    assert!(files.weights().unwrap().contains("final_logits_bias"));
    fs::remove_file(folder.path().join("model-00001-of-00001.safetensors")).unwrap();
    assert!(files.weights().unwrap_err().to_string().ends_with("`model-00001-of-00001.safetensors` is missing"));
}

#[test]
fn shapes_are_checked_against_the_configuration() {
    let folder = copy(&data("tiny-marian"));
    let path = folder.path().join("config.json");
    let json = fs::read_to_string(&path).unwrap();
    fs::write(&path, json.replace("\"encoder_ffn_dim\": 64", "\"encoder_ffn_dim\": 65")).unwrap();
    let files = ModelFiles::directory(folder.path()).unwrap();
    let error =
        CandleEngine::load(&files.config().unwrap(), &files.weights().unwrap(), &EngineOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Model);
    let expected =
        "model.safetensors: tensor `model.encoder.layers.0.fc1.weight`: expected shape [65, 32], found [64, 32]";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn missing_and_misplaced_files_are_named() {
    let folder = copy(&data("tiny-marian"));
    fs::remove_file(folder.path().join("vocab.json")).unwrap();
    let files = ModelFiles::directory(folder.path()).unwrap();
    assert!(files.read("vocab.json").unwrap().is_none());
    let error = files.require("vocab.json").unwrap_err();
    assert!(error.to_string().ends_with(": `vocab.json` is missing"), "{error}");
    assert!(error.hint().is_some());
    assert_eq!(ModelFiles::directory(&folder.path().join("nowhere")).unwrap_err().kind(), ErrorKind::Model);
    let file = ModelFiles::directory(&folder.path().join("config.json")).unwrap_err();
    assert!(file.to_string().ends_with("expected a model folder, found a file"), "{file}");
    fs::create_dir(folder.path().join("vocab.json")).unwrap();
    assert!(files.read("vocab.json").is_err());
    fs::write(folder.path().join("model.safetensors"), b"").unwrap();
    assert_eq!(files.weights().unwrap_err().kind(), ErrorKind::Model);
}

#[test]
fn the_digest_follows_every_byte() {
    let folder = copy(&data("tiny-marian"));
    let files = ModelFiles::directory(folder.path()).unwrap();
    let before = files.digest().unwrap();
    assert_eq!(before, ModelFiles::directory(&data("tiny-marian")).unwrap().digest().unwrap());
    let path = folder.path().join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    let after = files.digest().unwrap();
    assert_ne!(before, after);
    // A calibration decides which sentences are flagged.
    fs::write(folder.path().join("confidence.json"), "{}").unwrap();
    assert_ne!(after, files.digest().unwrap());
}

/// The tiny model's `config.json` with one field changed.
fn config_with(field: &str, value: serde_json::Value) -> Vec<u8> {
    let json = fs::read(data("tiny-marian/config.json")).unwrap();
    let mut json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    json[field] = value;
    serde_json::to_vec(&json).unwrap()
}

#[test]
fn configurations_that_cannot_be_run_name_the_field() {
    for (field, value, message) in [
        ("model_type", "t5".into(), "field `model_type`: expected \"marian\", found \"t5\""),
        ("activation_function", "tanh".into(), "expected \"swish\", \"silu\", \"relu\" or \"gelu\", found \"tanh\""),
        ("d_model", 0.into(), "field `d_model`: expected a whole number above 0, found 0"),
        ("d_model", "wide".into(), "field `d_model`: expected a whole number"),
        ("d_model", u64::MAX.into(), "field `d_model`: expected a whole number"),
        (
            "decoder_layers",
            serde_json::Value::Null,
            "field `decoder_layers`: expected a whole number above 0, found null",
        ),
        ("decoder_attention_heads", 5.into(), "expected a divisor of `d_model`, which is 32, found 5"),
        ("eos_token_id", 274.into(), "field `eos_token_id`: expected one token id below 274, found 274"),
        ("decoder_vocab_size", 100.into(), "field `"),
        ("max_position_embeddings", 1_000_000.into(), "expected at most 65536"),
        ("scale_embedding", 1.into(), "expected true or false, found 1"),
    ] {
        let error = MarianConfig::parse(&config_with(field, value)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model);
        assert!(error.to_string().starts_with("config.json: ") && error.to_string().contains(message), "{error}");
    }
    assert!(MarianConfig::parse(b"[1]").unwrap_err().to_string().contains("expected a JSON object, found an array"));
    assert!(MarianConfig::parse(b"{").unwrap_err().to_string().contains("not valid JSON"));
}

#[test]
fn decoding_defaults_fall_back_on_the_configuration() {
    let config = config_with("num_beams", 6.into());
    let model = MarianConfig::parse(&config).unwrap();
    let old = GenerationConfig::parse(None, &config, &model).unwrap();
    assert_eq!((old.num_beams, old.start, old.end, old.pad), (6, 273, 0, Some(273)));
    assert_eq!((old.max_length, old.length_penalty, old.early_stopping), (128, 1.0, EarlyStopping::Heuristic));
    let own =
        br#"{"num_beams": 2, "bad_words_ids": [[273], [5], [273]], "early_stopping": "never", "eos_token_id": [7],
             "no_doubled_words": true, "lexical_weight": 0.25}"#;
    let own = GenerationConfig::parse(Some(own), &config, &model).unwrap();
    assert_eq!((own.num_beams, own.end, own.banned.as_slice()), (2, 7, &[5, 273][..]));
    assert_eq!(own.early_stopping, EarlyStopping::Never);
    assert!(own.no_doubled_words && !old.no_doubled_words);
    assert_eq!((own.lexical_weight, old.lexical_weight), (0.25, 0.0));
    for bad in [
        r#"{"bad_words_ids": [[1, 2]]}"#,
        r#"{"num_beams": 0}"#,
        r#"{"repetition_penalty": 0}"#,
        r#"{"lexical_weight": 1}"#,
        r#"{"lexical_weight": -0.1}"#,
        r#"{"eos_token_id": 274}"#,
        r#"{"no_doubled_words": 1}"#,
        r#"{"suppress_tokens": 5}"#,
        r#"{"suppress_tokens": [274]}"#,
        r#"{"suppress_tokens": [5, 0]}"#,
    ] {
        let error = GenerationConfig::parse(Some(bad.as_bytes()), &config, &model).unwrap_err();
        assert!(error.to_string().starts_with("generation_config.json: field `"), "{error}");
    }
}

#[test]
fn suppressed_tokens_are_banned_where_nothing_is_renormalised() {
    let config = config_with("num_beams", 6.into());
    let model = MarianConfig::parse(&config).unwrap();
    let read = |json: &str| GenerationConfig::parse(Some(json.as_bytes()), &config, &model).unwrap();
    let plain = read(r#"{"bad_words_ids": [[273]], "suppress_tokens": [9, 5, 9]}"#);
    assert_eq!((plain.banned, plain.suppressed), (vec![5, 9, 273], vec![]));
    let shared = read(r#"{"bad_words_ids": [[273]], "suppress_tokens": [9, 5, 9], "renormalize_logits": true}"#);
    assert_eq!((shared.banned, shared.suppressed), (vec![273], vec![5, 9]));
}

#[test]
fn the_tiny_models_defaults_are_its_files() {
    let files = ModelFiles::directory(&data("tiny-marian")).unwrap();
    assert_eq!(files.name(), "tiny-marian");
    let generation = files.generation_config().unwrap();
    assert_eq!((generation.num_beams, generation.max_length, generation.renormalize), (4, 128, true));
    assert_eq!((generation.banned.as_slice(), generation.forced_end), (&[273][..], Some(0)));
}

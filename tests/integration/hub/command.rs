//! `tarjim models`, and `--model` by hub id, with the tiny model on a loopback hub.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tarjim::candle::CandleEngine;
use tarjim::model::{EngineOptions, ModelFiles};
use tarjim::quantization::quantize;

use super::server::Server;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny-marian");
const COMMIT: &str = "3333333333333333333333333333333333333333";

fn tarjim(cache: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tarjim"));
    for name in ["HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_TOKEN", "TRANSFORMERS_OFFLINE", "TARJIM_MODEL", "RUST_LOG"] {
        command.env_remove(name);
    }
    command.env("HF_HUB_CACHE", cache).env("NO_COLOR", "1").args(arguments);
    command
}

#[track_caller]
fn run(command: &mut Command, code: i32) -> Output {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn text(output: Output) -> String {
    String::from_utf8(output.stdout).unwrap()
}

fn serve_tiny(server: &Server) {
    let names =
        ["config.json", "generation_config.json", "source.spm", "target.spm", "vocab.json", "model.safetensors"];
    let files: Vec<(&str, Vec<u8>)> =
        names.iter().map(|name| (*name, fs::read(Path::new(MODEL).join(name)).unwrap())).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
    server.add("org/tiny", "main", COMMIT, &files);
}

#[test]
fn a_model_is_fetched_by_name_checked_and_used_without_the_hub() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    serve_tiny(&server);
    let article = cache.path().join("article.txt");
    fs::write(&article, "وصل الوفد إلى العاصمة.\n").unwrap();
    let translate = ["translate", article.to_str().unwrap(), "--model"];

    let offline = run(tarjim(cache.path(), &[&translate[..], &["org/tiny"]].concat()).env("HF_HUB_OFFLINE", "1"), 69);
    assert!(String::from_utf8_lossy(&offline.stderr).contains("once without HF_HUB_OFFLINE"));

    let fetched =
        text(run(tarjim(cache.path(), &["models", "fetch", "org/tiny"]).env("HF_ENDPOINT", &server.endpoint), 0));
    assert!(fetched.trim_end().ends_with(COMMIT), "{fetched}");
    let by_id =
        text(run(tarjim(cache.path(), &[&translate[..], &["org/tiny"]].concat()).env("HF_HUB_OFFLINE", "1"), 0));
    let by_folder = text(run(&mut tarjim(cache.path(), &[&translate[..], &[MODEL]].concat()), 0));
    assert_eq!(by_id, by_folder);

    let shown = text(run(tarjim(cache.path(), &["models", "show", "org/tiny"]).env("HF_HUB_OFFLINE", "1"), 0));
    assert!(shown.contains("2 + 2, width 32"), "{shown}");
    let verify = ["models", "verify", "org/tiny"];
    assert!(text(run(&mut tarjim(cache.path(), &verify), 0)).contains("correct"));
    let weights = Path::new(fetched.trim_end()).join("model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&weights, bytes).unwrap();
    let wrong = run(&mut tarjim(cache.path(), &verify), 69);
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("wrong checksum of model.safetensors"));
}

#[test]
fn known_models_are_listed_with_where_they_are() {
    let cache = tempfile::tempdir().unwrap();
    let listed = text(run(&mut tarjim(cache.path(), &["models", "list"]), 0));
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines[0].starts_with("tarjim-ar-en") && lines[0].contains("embedded"));
    assert!(lines[1].starts_with("opus-mt-ar-en") && lines[1].contains("on the hub"));
    let shown = text(run(&mut tarjim(cache.path(), &["models", "show", "opus-mt-ar-en"]), 0));
    for said in ["Apache-2.0", "decoder layer 5, head 0", "tarjim models fetch opus-mt-ar-en"] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
}

#[test]
fn an_int8_copy_is_small_and_close() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("int8");
    let model = ModelFiles::directory(Path::new(MODEL)).unwrap();
    let done = quantize(&model, &output).unwrap();
    assert!(done.matrices > 10 && done.relative_error > 0.0 && done.relative_error < 0.01, "{done:?}");
    let copy = ModelFiles::directory(&output).unwrap();
    let (weights, original) = (copy.weights().unwrap(), model.weights().unwrap());
    let name = "model.encoder.layers.0.fc1.weight";
    let (a, b) = (weights.matrix(name, 64, 32).unwrap(), original.matrix(name, 64, 32).unwrap());
    for (row_a, row_b) in a.to_f32().chunks(32).zip(b.to_f32().chunks(32)) {
        let step = row_b.iter().fold(0.0_f32, |largest, value| largest.max(value.abs())) / 127.0;
        for (a, b) in row_a.iter().zip(row_b) {
            assert!((a - b).abs() <= step * 0.5001, "{a} for {b} with a step of {step}");
        }
    }
    let config = copy.config().unwrap();
    CandleEngine::load(&config, &weights, &EngineOptions::default()).unwrap();

    // What is int8 already stays as it is.
    let again = folder.path().join("again");
    quantize(&copy, &again).unwrap();
    let bytes = |folder: &Path| fs::read(folder.join("model.safetensors")).unwrap();
    assert_eq!(bytes(&output), bytes(&again));
    assert!(quantize(&model, &output).unwrap_err().to_string().contains("is not empty"));
}

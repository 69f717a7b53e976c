//! Models by name, against a hub on the loopback.

mod command;
mod server;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use server::{Server, hex};
use tarjim::hub::{Hub, HubOptions, Location, Verdict};
use tarjim::registry::Registry;
use tarjim::{Error, ErrorKind};

const REPO: &str = "org/small";
const FIRST: &str = "1111111111111111111111111111111111111111";
const SECOND: &str = "2222222222222222222222222222222222222222";
const SMALL: [(&str, &[u8]); 4] =
    [("config.json", b"{}"), ("source.spm", b"source"), ("target.spm", b"target"), ("vocab.json", b"{\"a\":0}")];

fn weights() -> Vec<u8> {
    (0..40_000u32).flat_map(u32::to_le_bytes).collect()
}

fn with<'a>(name: &'a str, bytes: &'a [u8]) -> Vec<(&'a str, &'a [u8])> {
    SMALL.iter().copied().chain([(name, bytes)]).collect()
}

fn options(server: &Server, cache: &Path) -> HubOptions {
    HubOptions { cache: Some(cache.to_owned()), endpoint: Some(server.endpoint.clone()), ..HubOptions::default() }
}

fn folder(location: Location) -> PathBuf {
    match location {
        Location::Folder(folder) => folder,
        Location::Embedded => panic!("expected a folder"),
    }
}

fn assert_model_error(error: &Error, message: &str, hint: &str) {
    assert_eq!(error.kind(), ErrorKind::Model, "{error:?}");
    assert!(error.to_string().contains(message), "{error:?}");
    assert!(error.hint().is_some_and(|said| said.contains(hint)), "{error:?}");
}

#[test]
fn a_hub_id_is_fetched_once_and_then_found_without_the_hub() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    let weights = weights();
    server.add(REPO, "main", FIRST, &with("model.safetensors", &weights));
    let seen = Arc::new(Mutex::new((0, 0)));
    let listener = seen.clone();
    let options = options(&server, cache.path()).with_progress(move |progress| {
        if progress.file == "model.safetensors" {
            *listener.lock().unwrap() = (progress.done, progress.total);
        }
    });
    let found = folder(Hub::new(options.clone()).locate(REPO).unwrap());
    assert_eq!(found, cache.path().join("models--org--small/snapshots").join(FIRST));
    assert_eq!(std::fs::read(found.join("model.safetensors")).unwrap(), weights);
    assert_eq!(std::fs::read(found.join("source.spm")).unwrap(), b"source");
    assert!(!found.join("generation_config.json").exists());
    assert_eq!(*seen.lock().unwrap(), (160_000, 160_000));

    let asked = server.requests().len();
    let offline = HubOptions { offline: true, ..options.clone() };
    for hub in [Hub::new(options), Hub::new(offline)] {
        assert_eq!(folder(hub.locate(REPO).unwrap()), found);
        assert_eq!(folder(hub.locate(&format!("{REPO}@{FIRST}")).unwrap()), found);
    }
    assert_eq!(server.requests().len(), asked, "a cached model needs no request");
}

#[test]
fn offline_and_not_in_the_cache_is_a_clear_error() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    let hub = Hub::new(HubOptions { offline: true, ..options(&server, cache.path()) });
    let error = hub.locate("Helsinki-NLP/opus-mt-ar-en").unwrap_err();
    assert_model_error(&error, "is not in the cache", "HF_HUB_OFFLINE");
    let error = hub.verify("opus-mt-ar-en").unwrap_err();
    assert_model_error(&error, "is not in the cache", "tarjim models fetch opus-mt-ar-en");
    assert!(server.requests().is_empty());
}

#[test]
fn names_that_are_no_model_are_refused_before_any_request() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    let hub = Hub::new(options(&server, cache.path()));
    let file = cache.path().join("file");
    std::fs::write(&file, "x").unwrap();
    for name in
        ["opus-mt-ar-fr", "", "./nowhere", "/nowhere", "a/b/c", "org/name@../x", "../up", file.to_str().unwrap()]
    {
        let error = hub.locate(name).unwrap_err();
        assert_model_error(&error, &format!("`{name}`"), "model");
    }
    assert!(server.requests().is_empty());
}

#[test]
fn a_folder_goes_before_every_other_meaning() {
    let here = tempfile::tempdir().unwrap();
    let hub = Hub::new(HubOptions { offline: true, ..HubOptions::default() });
    let found = hub.locate(here.path().to_str().unwrap()).unwrap();
    assert_eq!(folder(found), here.path());
    assert_eq!(hub.locate("tarjim-ar-en").unwrap(), Location::Embedded);
}

#[test]
fn the_hubs_refusals_say_what_to_do() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    let hub = Hub::new(options(&server, cache.path()));
    assert_model_error(&hub.locate("org/nothing").unwrap_err(), "has no `model.safetensors`", "spelling");

    server.contents.lock().unwrap().token = Some("secret".into());
    let weights = weights();
    server.add(REPO, "main", FIRST, &with("model.safetensors", &weights));
    let error = hub.locate(REPO).unwrap_err();
    assert_model_error(&error, "HTTP status 401", "HF_TOKEN");
    let with_token = HubOptions { token: Some("secret".into()), ..options(&server, cache.path()) };
    Hub::new(with_token).locate(REPO).unwrap();

    server.contents.lock().unwrap().status = Some(503);
    assert_model_error(&hub.locate("org/other").unwrap_err(), "HTTP status 503", "HF_ENDPOINT");

    let nobody = HubOptions { endpoint: Some("http://127.0.0.1:1".into()), ..options(&server, cache.path()) };
    assert_model_error(&Hub::new(nobody).locate("org/other").unwrap_err(), "127.0.0.1:1", "connection");
}

#[test]
fn a_repo_without_tokenizer_files_is_refused_before_its_weights_are_fetched() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    server.add(REPO, "main", FIRST, &[SMALL[0], ("model.safetensors", &weights())]);
    let error = Hub::new(options(&server, cache.path())).locate(REPO).unwrap_err();
    assert_model_error(&error, "has no `source.spm`", "Helsinki-NLP");
    let downloads = server.requests().iter().filter(|line| line.contains("/cdn/")).count();
    assert_eq!(downloads, 1, "only the first byte was asked for: {:?}", server.requests());
}

#[test]
fn a_download_that_breaks_off_is_taken_up_again() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    let weights = weights();
    server.add(REPO, "main", FIRST, &with("model.safetensors", &weights));
    let hub = Hub::new(options(&server, cache.path()));

    server.contents.lock().unwrap().cut_off = 100;
    let error = hub.locate(REPO).unwrap_err();
    assert_model_error(&error, "`model.safetensors`", "run again");
    assert_eq!(hub.local(REPO).unwrap(), None);

    server.contents.lock().unwrap().cut_off = 0;
    let found = folder(hub.locate(REPO).unwrap());
    assert_eq!(std::fs::read(found.join("model.safetensors")).unwrap(), weights);
}

#[test]
fn a_download_that_was_complete_but_never_named_does_not_block() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    let weights = weights();
    server.add(REPO, "main", FIRST, &with("model.safetensors", &weights));
    let blobs = cache.path().join("models--org--small/blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(blobs.join(format!("{}.part", hex(&weights))), &weights).unwrap();
    let found = folder(Hub::new(options(&server, cache.path())).locate(REPO).unwrap());
    assert_eq!(std::fs::read(found.join("model.safetensors")).unwrap(), weights);
}

#[test]
fn corrupt_weights_are_thrown_away() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    let weights = weights();
    server.add(REPO, "main", FIRST, &with("model.safetensors", &weights));
    let hub = Hub::new(options(&server, cache.path()));
    server.contents.lock().unwrap().corrupt = true;
    let error = hub.locate(REPO).unwrap_err();
    assert_model_error(&error, &format!("expected sha256 {}", hex(&weights)), "run again");
    assert_eq!(hub.local(REPO).unwrap(), None);
    server.contents.lock().unwrap().corrupt = false;
    hub.locate(REPO).unwrap();
    let checks = hub.verify(REPO).unwrap();
    let verdict = |name: &str| checks.iter().find(|check| check.name == name).unwrap().verdict.clone();
    assert_eq!(verdict("model.safetensors"), Verdict::Correct);
    assert!(matches!(verdict("config.json"), Verdict::Unknown { .. }));
}

#[test]
fn a_server_cannot_write_outside_the_cache() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    server.add(REPO, "main", FIRST, &with("model.safetensors", &weights()));
    let hub = Hub::new(options(&server, cache.path()));
    server.contents.lock().unwrap().etag = Some("../../../../escaped".into());
    assert_model_error(&hub.locate(REPO).unwrap_err(), "entity tag `../../../../escaped`", "model hub");
    server.contents.lock().unwrap().etag = None;
    server.add(REPO, "main", "../../up", &with("model.safetensors", &weights()));
    assert_model_error(&hub.locate(REPO).unwrap_err(), "commit `../../up`", "model hub");
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0);
}

fn registry(config_sha256: &str, bin_sha256: &str) -> Registry {
    Registry::parse(&format!(
        r#"
        [[model]]
        name = "small"
        summary = "a test model"
        repo = "{REPO}"
        revision = "{FIRST}"
        languages = ["ar", "en"]
        licence = "MIT"
        files = [
            {{ name = "config.json", sha256 = "{config_sha256}" }},
            {{ name = "source.spm" }}, {{ name = "target.spm" }}, {{ name = "vocab.json" }},
        ]
        weights = [
            {{ name = "model.safetensors" }},
            {{ name = "model.safetensors", revision = "refs/pr/1" }},
            {{ name = "pytorch_model.bin", size = 160000, sha256 = "{bin_sha256}" }},
        ]
        "#
    ))
    .unwrap()
}

#[test]
fn weights_are_looked_for_in_the_order_of_the_registry() {
    let weights = weights();
    let registry = registry(&hex(b"{}"), &hex(&weights));
    let hub = |server: &Server, cache: &Path| Hub::new(options(server, cache)).with_registry(registry.clone());

    // nothing but the torch file
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    server.add(REPO, FIRST, FIRST, &with("pytorch_model.bin", &weights));
    let found = folder(hub(&server, cache.path()).locate("small").unwrap());
    assert!(found.join("pytorch_model.bin").is_file());
    assert!(
        hub(&server, cache.path())
            .verify("small")
            .unwrap()
            .iter()
            .any(|check| { check.name == "config.json" && check.verdict == Verdict::Correct })
    );

    // a proposal with safetensors goes before it, with all its files
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    server.add(REPO, FIRST, FIRST, &with("pytorch_model.bin", &weights));
    server.add(REPO, "refs/pr/1", SECOND, &with("model.safetensors", &weights));
    let found = folder(hub(&server, cache.path()).locate("small").unwrap());
    assert!(found.ends_with(SECOND));
    for name in ["config.json", "vocab.json", "model.safetensors"] {
        assert!(found.join(name).is_file(), "{name}");
    }
    let offline = Hub::new(HubOptions { offline: true, ..options(&server, cache.path()) }).with_registry(registry);
    assert_eq!(folder(offline.locate("small").unwrap()), found);
    assert!(!offline.verify("small").unwrap().is_empty());
}

#[test]
fn the_registrys_checksums_and_sizes_are_held_to() {
    let weights = weights();
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    server.add(REPO, FIRST, FIRST, &with("pytorch_model.bin", &weights));
    let hub = Hub::new(options(&server, cache.path()));
    let other = hub.clone().with_registry(registry(&hex(b"other"), &hex(&weights)));
    let error = other.locate("small").unwrap_err();
    assert_model_error(&error, &format!("expected sha256 {}", hex(b"other")), "run again");

    server.add(REPO, FIRST, FIRST, &with("pytorch_model.bin", b"short"));
    let error = hub.with_registry(registry(&hex(b"{}"), &hex(&weights))).locate("small").unwrap_err();
    assert_model_error(&error, "expected 160000 bytes, the hub has 5", "not the one tarjim knows");
}

#[test]
fn two_fetches_at_once_share_one_download() {
    let (server, cache) = (Server::start(), tempfile::tempdir().unwrap());
    server.add(REPO, "main", FIRST, &with("model.safetensors", &weights()));
    let options = options(&server, cache.path());
    let found: Vec<_> = std::thread::scope(|scope| {
        let run = || scope.spawn(|| Hub::new(options.clone()).locate(REPO));
        [run(), run(), run()].map(|thread| thread.join().unwrap()).into_iter().collect()
    });
    for location in found {
        assert!(folder(location.unwrap()).ends_with(FIRST));
    }
}

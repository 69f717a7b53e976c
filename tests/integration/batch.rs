//! Resumable jobs with a worker that needs no model: it counts and reverses the letters of each record.

mod adversity;
mod cache;
mod command;
mod kill;
mod mount;
mod worker;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use tarjim::batch::{Identity, Job, JobOptions, Run, Slice, Summary, status};
use tarjim::{Error, ErrorKind};
use worker::Reverser;

fn options(input: &Path, output: &Path) -> JobOptions {
    let identity = Identity {
        model: "reverser".into(),
        model_digest: "0123".into(),
        options: [("beam-size".to_owned(), 1.into())].into_iter().collect(),
        version: "0.1.0".into(),
    };
    JobOptions {
        inputs: vec![input.to_owned()],
        input_format: None,
        output_extension: None,
        output: output.to_owned(),
        shard_bytes: Some(300),
        identity,
    }
}

fn run_slice(job: &Job, worker: &mut Reverser, slice: Slice, retry_errors: bool) -> Result<Summary, Error> {
    let stop = AtomicBool::new(false);
    job.run(worker, &mut Run { slice, stop: &stop, retry_errors, on_progress: &mut |_| () })
}

fn run(options: &JobOptions) -> Result<Summary, Error> {
    run_slice(&Job::open(options)?, &mut Reverser::default(), Slice::ALL, false)
}

/// Writes `count` records to a few files of JSONL and returns their folder.
fn records(folder: &Path, count: usize) -> PathBuf {
    let input = folder.join("in");
    fs::create_dir_all(input.join("later")).unwrap();
    let names = ["a.jsonl", "b.jsonl", "later/c.jsonl"];
    for (file, name) in names.iter().enumerate() {
        let lines: Vec<String> = (0..count)
            .filter(|id| id * names.len() / count == file)
            .map(|id| format!("{{\"id\":\"r{id}\",\"text\":\"{}\"}}", "خبر ".repeat(id % 7 + 1).trim()))
            .collect();
        fs::write(input.join(name), lines.join("\n") + "\n").unwrap();
    }
    input
}

/// Asserts that of a job's outputs some are there, not all, and each of them whole.
#[track_caller]
fn assert_some_of(whole: &BTreeMap<String, String>, found: &BTreeMap<String, String>) {
    assert!(!found.is_empty() && found.len() < whole.len(), "{} of {} shards", found.len(), whole.len());
    assert!(found.iter().all(|(name, part)| whole[name] == *part));
}

/// All outputs of a folder, by their path in it; times and hosts are not part of the comparison.
fn outputs(output: &Path) -> BTreeMap<String, String> {
    let mut parts = BTreeMap::new();
    for item in fs::read_dir(output).unwrap() {
        let path = item.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            parts.insert(name, fs::read_to_string(path.join("part.jsonl")).unwrap());
        } else {
            assert_eq!(name, "job.json", "nothing else may lie in the folder");
        }
    }
    parts
}

fn ids(parts: &BTreeMap<String, String>) -> Vec<String> {
    let id = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
    parts.values().flat_map(|part| part.lines().map(id)).collect()
}

fn wanted_ids(count: usize) -> Vec<String> {
    (0..count).map(|id| format!("r{id}")).collect()
}

#[test]
fn every_record_comes_out_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (records(folder.path(), 60), folder.path().join("out"));
    let summary = run(&options(&input, &output)).unwrap();
    let parts = outputs(&output);
    assert!(parts.len() > 5, "several shards: {}", parts.len());
    assert_eq!(ids(&parts), wanted_ids(60));
    assert_eq!((summary.finished, summary.skipped, summary.records), (parts.len(), 0, 60));
    let state = status(&output).unwrap();
    assert_eq!((state.finished.len(), state.shards, state.records(), state.workers), (parts.len(), parts.len(), 60, 0));
    assert_eq!(state.bytes, state.bytes_done);

    let again = run(&options(&input, &output)).unwrap();
    assert_eq!((again.finished, again.skipped, again.records), (0, parts.len(), 0));
    assert_eq!(outputs(&output), parts);
}

#[test]
fn slices_together_do_what_one_worker_does() {
    let folder = tempfile::tempdir().unwrap();
    let input = records(folder.path(), 60);
    let (alone, shared) = (folder.path().join("alone"), folder.path().join("shared"));
    run(&options(&input, &alone)).unwrap();
    std::thread::scope(|scope| {
        for slice in ["0/3", "1/3", "2/3", "1/3"] {
            let options = options(&input, &shared);
            scope.spawn(move || {
                let job = Job::open(&options).unwrap();
                run_slice(&job, &mut Reverser::default(), slice.parse().unwrap(), false).unwrap()
            });
        }
    });
    assert_eq!(outputs(&shared), outputs(&alone));
}

#[test]
fn packed_inputs_give_the_same_outputs() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, packed) = (records(folder.path(), 30), folder.path().join("packed"));
    fs::create_dir_all(packed.join("later")).unwrap();
    for name in ["a.jsonl", "b.jsonl", "later/c.jsonl"] {
        let text = fs::read(plain.join(name)).unwrap();
        fs::write(packed.join(format!("{name}.zst")), zstd::encode_all(&text[..], 3).unwrap()).unwrap();
    }
    let (a, b) = (folder.path().join("out-a"), folder.path().join("out-b"));
    run(&options(&plain, &a)).unwrap();
    run(&options(&packed, &b)).unwrap();
    assert_eq!(outputs(&a), outputs(&b));
}

#[test]
fn a_folder_belongs_to_one_job() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (records(folder.path(), 20), folder.path().join("out"));
    let mine = options(&input, &output);
    run(&mine).unwrap();

    let mut other = mine.clone();
    other.identity.model_digest = "4567".into();
    let error = run(&other).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("model digest 0123, now 4567"), "{error}");
    assert!(error.hint().unwrap().contains("new output folder"));

    let mut resumed = mine.clone();
    resumed.shard_bytes = None;
    assert_eq!(run(&resumed).unwrap().finished, 0);

    fs::write(input.join("b.jsonl"), "{}\n").unwrap();
    assert!(run(&mine).unwrap_err().to_string().contains("b.jsonl"));

    let foreign = folder.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("thesis.doc"), "").unwrap();
    assert!(run(&options(&input, &foreign)).unwrap_err().to_string().contains("thesis.doc"));
    let inside = input.join("../in/out");
    assert_eq!(run(&options(&input, &inside)).unwrap_err().kind(), ErrorKind::Usage);
    assert_eq!(status(&foreign).unwrap_err().kind(), ErrorKind::NoInput);
}

#[test]
fn bad_records_become_errors_and_can_be_retried_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.jsonl"), folder.path().join("out"));
    let lines: Vec<String> = (0..40)
        .map(|id| if id % 10 == 3 { "{broken".to_owned() } else { format!("{{\"id\":\"r{id}\",\"text\":\"ab{id}\"}}") })
        .collect();
    fs::write(&input, lines.join("\n")).unwrap();
    let job = Job::open(&options(&input, &output)).unwrap();
    let summary = run_slice(&job, &mut Reverser::default(), Slice::ALL, false).unwrap();
    assert_eq!((summary.records, summary.errors), (40, 4));
    let before = outputs(&output);

    let mut worker = Reverser::default();
    let again = run_slice(&job, &mut worker, Slice::ALL, false).unwrap();
    assert_eq!((again.finished, again.errors, worker.calls), (0, 4, 0));

    let mut worker = Reverser { mends: true, ..Reverser::default() };
    let retried = run_slice(&job, &mut worker, Slice::ALL, true).unwrap();
    assert_eq!((retried.errors, worker.calls), (0, 4), "only the four bad records are translated again");
    let after = outputs(&output);
    assert_eq!(after.len(), before.len());
    let changed =
        before.values().zip(after.values()).flat_map(|(a, b)| a.lines().zip(b.lines())).filter(|(a, b)| a != b);
    assert_eq!(changed.count(), 4);
    assert_eq!(status(&output).unwrap().errors(), 0);
}

#[test]
fn a_stopped_run_says_so_and_goes_on_later() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (records(folder.path(), 40), folder.path().join("out"));
    let job = Job::open(&options(&input, &output)).unwrap();
    let stop = AtomicBool::new(false);
    let mut shards = 0;
    let mut on_progress = |progress: &tarjim::batch::Progress| {
        shards = progress.shards_done;
        stop.store(progress.shards_done == 2, Ordering::Relaxed);
    };
    let mut run = Run { slice: Slice::ALL, stop: &stop, retry_errors: false, on_progress: &mut on_progress };
    let error = job.run(&mut Reverser::default(), &mut run).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_eq!(outputs(&output).len(), 2);
    let summary = run_slice(&job, &mut Reverser::default(), Slice::ALL, false).unwrap();
    assert_eq!(summary.skipped, 2);
    assert_eq!(ids(&outputs(&output)), wanted_ids(40));
}

#[test]
fn a_vanished_input_fails_its_shards_only() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (records(folder.path(), 60), folder.path().join("out"));
    let job = Job::open(&options(&input, &output)).unwrap();
    let text = fs::read(input.join("b.jsonl")).unwrap();
    fs::remove_file(input.join("b.jsonl")).unwrap();
    let error = run_slice(&job, &mut Reverser::default(), Slice::ALL, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoInput);
    assert!(error.to_string().contains("b.jsonl"), "{error}");
    let found = ids(&outputs(&output));
    assert!(found.contains(&"r0".to_owned()) && found.contains(&"r59".to_owned()) && found.len() < 60);
    fs::write(input.join("b.jsonl"), text).unwrap();
    run_slice(&job, &mut Reverser::default(), Slice::ALL, false).unwrap();
    assert_eq!(ids(&outputs(&output)), wanted_ids(60));
}

#[test]
fn a_changed_input_of_the_same_size_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (records(folder.path(), 60), folder.path().join("out"));
    let half = Slice::new(0, 2).unwrap();
    run_slice(&Job::open(&options(&input, &output)).unwrap(), &mut Reverser::default(), half, false).unwrap();
    let path = input.join("b.jsonl");
    let touch = |text: &str| {
        fs::write(&path, text).unwrap();
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
        fs::File::options().append(true).open(&path).unwrap().set_modified(later).unwrap();
    };
    let text = fs::read_to_string(&path).unwrap();
    touch(&text.replace("خبر", "خطر"));
    let error = run(&options(&input, &output)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("b.jsonl` has changed since the finished shard"), "{error}");
    // The same text again is the same input, whenever it was written.
    touch(&text);
    run(&options(&input, &output)).unwrap();
    assert_eq!(ids(&outputs(&output)), wanted_ids(60));
}

#[test]
fn a_worker_that_loses_or_swaps_records_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    let input = records(folder.path(), 20);
    for (worker, said) in [
        (Reverser { loses: true, ..Reverser::default() }, "records in"),
        (Reverser { swaps: true, ..Reverser::default() }, "other ids"),
    ] {
        let output = tempfile::tempdir().unwrap();
        let job = Job::open(&options(&input, output.path())).unwrap();
        let mut worker = worker;
        let error = run_slice(&job, &mut worker, Slice::ALL, false).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        assert!(outputs(output.path()).is_empty());
    }
}

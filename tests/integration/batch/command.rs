//! `tarjim batch` with the tiny model.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{ids, outputs, wanted_ids};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny-marian");

fn tarjim(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tarjim"));
    for name in
        ["SLURM_ARRAY_TASK_ID", "AWS_BATCH_JOB_ARRAY_INDEX", "JOB_COMPLETION_INDEX", "RUST_LOG", "TARJIM_PROGRESS"]
    {
        command.env_remove(name);
    }
    command.env("HF_HUB_OFFLINE", "1").env("NO_COLOR", "1").args(arguments);
    command
}

pub(super) fn batch(input: &Path, output: &Path, more: &[&str]) -> Command {
    let mut command =
        tarjim(&["batch", "--model", MODEL, "--threads", "1", "--beam-size", "1", "--shard-bytes", "1500"]);
    command.arg("--input").arg(input).arg("--output").arg(output).args(more);
    command
}

#[track_caller]
pub(super) fn run(mut command: Command, code: i32) -> Output {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    output
}

/// What `tarjim batch status` says of a folder.
#[track_caller]
pub(super) fn status(output: &Path) -> Value {
    let mut command = tarjim(&["batch", "status", "--json"]);
    command.arg(output);
    serde_json::from_slice(&run(command, 0).stdout).unwrap()
}

/// News of our own words; every sentence comes several times.
pub(super) fn news(folder: &Path, count: usize) -> PathBuf {
    let sentences =
        ["وصل الوفد إلى العاصمة مساء الأحد.", "هل يوقع الطرفان الاتفاق؟", "ارتفعت الأسعار بنسبة 3.5 في المئة."];
    let mut text = String::new();
    for id in 0..count {
        let (first, second) = (sentences[id % 3], sentences[id / 3 % 3]);
        writeln!(text, "{{\"id\":\"r{id}\",\"text\":\"{first} {second}\",\"page\":{id}}}").unwrap();
    }
    let path = folder.join("news.jsonl");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn outputs_are_those_of_the_filter_with_and_without_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let input = news(folder.path(), 40);
    let mut filter = tarjim(&["translate", "--model", MODEL, "--threads", "1", "--beam-size", "1"]);
    filter.arg(&input);
    let filtered = String::from_utf8(run(filter, 0).stdout).unwrap();
    for cache in ["64", "0"] {
        let output = folder.path().join(format!("cache-{cache}"));
        run(batch(&input, &output, &["--sentence-cache", cache]), 0);
        let parts = outputs(&output);
        assert!(parts.len() > 2);
        assert_eq!(parts.values().cloned().collect::<String>(), filtered, "cache {cache}");
        let status = status(&output);
        assert_eq!((&status["records"], &status["sentences"]), (&40.into(), &80.into()));
        let cached = status["cached_sentences"].as_u64().unwrap();
        assert_eq!(cached, if cache == "0" { 0 } else { 77 }, "three distinct sentences among eighty");
    }
}

#[test]
fn other_formats_and_packed_files_go_through() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in");
    fs::create_dir(&input).unwrap();
    let lines = "وصل الوفد.\n\nهل يوقع الطرفان؟\n";
    fs::write(input.join("a.txt.zst"), zstd::encode_all(lines.as_bytes(), 1).unwrap()).unwrap();
    let output = folder.path().join("out");
    run(batch(&input, &output, &[]), 0);
    let part = fs::read_to_string(output.join("shard-00000/part.txt")).unwrap();
    assert_eq!(part.lines().map(str::is_empty).collect::<Vec<_>>(), [false, true, false]);
    let jsonl = folder.path().join("jsonl");
    run(batch(&input, &jsonl, &["--output-format", "jsonl"]), 0);
    assert_eq!(outputs(&jsonl).values().flat_map(|part| part.lines()).count(), 3);
}

#[test]
fn odd_lines_in_the_middle_are_those_of_the_filter() {
    let folder = tempfile::tempdir().unwrap();
    let plain = "وصل الوفد.\r\n%PDF-1\n\u{feff}وصل\n\nPK\u{3}\u{4}\n";
    let objects = "{\"text\":\"وصل الوفد.\"}\r\n\u{a0}\n%PDF\n{\"text\":5}\n\u{feff}{}\n{\"text\":\"وصل\"}\n";
    for (name, text, more) in [
        ("a.txt", plain.repeat(100), &[][..]),
        ("b.txt", plain.repeat(100), &["--output-format", "jsonl"]),
        ("c.tsv", plain.repeat(100), &["--columns", "translation,error"]),
        ("d.jsonl", objects.repeat(100), &[]),
    ] {
        let input = folder.path().join(name);
        fs::write(&input, text).unwrap();
        let mut filter = tarjim(&["translate", "--model", MODEL, "--threads", "1", "--beam-size", "1"]);
        if name.ends_with("txt") {
            filter.args(["--input-format", "lines"]);
        }
        let code = i32::from(name.starts_with('d'));
        let filtered = String::from_utf8(
            run(
                {
                    filter.args(more).arg(&input);
                    filter
                },
                code,
            )
            .stdout,
        )
        .unwrap();
        let output = folder.path().join(format!("{name}-out"));
        run(batch(&input, &output, more), code);
        let extension = if more.contains(&"jsonl") { "jsonl" } else { name.rsplit('.').next().unwrap() };
        let mut parts: Vec<PathBuf> = fs::read_dir(&output).unwrap().map(|item| item.unwrap().path()).collect();
        parts.retain(|path| path.is_dir());
        parts.sort();
        assert!(parts.len() > 2, "{name}");
        let part = |path: &PathBuf| fs::read_to_string(path.join(format!("part.{extension}"))).unwrap();
        assert_eq!(parts.iter().map(part).collect::<String>(), filtered, "{name}");
    }
}

#[test]
fn exit_codes_say_what_a_scheduler_should_do() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (news(folder.path(), 10), folder.path().join("out"));
    run(batch(&input, &output, &["--shard", "2/2"]), 64);
    run(batch(&folder.path().join("none.jsonl"), &output, &[]), 66);
    run(batch(&input, &output, &["--shard", "0/2"]), 0);
    let refused = run(batch(&input, &output, &["--alignment", "soft"]), 65);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("hint: name a new output folder"));
    let refused = run(batch(&input, &output, &["--normalize", "0.5"]), 65);
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert!(stderr.contains("another job: option length-penalty") && stderr.contains(", now 0.5\n"), "{stderr}");
    let column = folder.path().join("column");
    run(batch(&input, &column, &["--text-column", "0"]), 64);
    assert!(!column.exists(), "nothing is begun");
    let twice = input.to_str().unwrap();
    run(batch(&input, &column, &["--input", twice]), 64);
    fs::write(folder.path().join("file"), "").unwrap();
    run(batch(&input, &folder.path().join("file"), &[]), 74);
    let bad = folder.path().join("bad.jsonl");
    fs::write(&bad, "{\"id\":\"r0\",\"text\":\"وصل الوفد.\"}\nnot json\n").unwrap();
    run(batch(&bad, &folder.path().join("bad"), &[]), 1);
    let mut status = tarjim(&["batch", "status"]);
    status.arg(folder.path().join("bad"));
    let shown = String::from_utf8(run(status, 0).stdout).unwrap();
    assert!(shown.contains("2, 1 with errors") && shown.contains("bad.jsonl: line 2: not a JSON object"), "{shown}");
}

#[cfg(unix)]
#[test]
fn a_terminated_worker_ends_with_75_and_the_next_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let input = news(folder.path(), 2000);
    for signal in ["TERM", "USR1"] {
        let output = folder.path().join(signal);
        let mut child = batch(&input, &output, &["--sentence-cache", "0"]).stderr(Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        while !output.join("shard-00001").exists() {
            assert!(began.elapsed() < Duration::from_mins(2), "no shard was finished");
            std::thread::sleep(Duration::from_millis(2));
        }
        let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert_eq!(child.wait().unwrap().code(), Some(75));
        assert!(outputs(&output).len() < 200, "it was stopped before its end");
        run(batch(&input, &output, &[]), 0);
        assert_eq!(ids(&outputs(&output)), wanted_ids(2000));
    }
}

//! `tarjim batch` with a sentence cache on disk: the same bytes, whatever the cache holds and whoever writes it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::command::{batch, news, run, status};
use super::{ids, mount, outputs, wanted_ids};

const RECORDS: usize = 60;

struct Bench {
    folder: tempfile::TempDir,
    input: PathBuf,
    /// What a run without any cache wrote.
    plain: BTreeMap<String, String>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let input = news(folder.path(), RECORDS);
        // The sentences of `news` come again and again; these do only within their record.
        let text = fs::read_to_string(&input).unwrap();
        let numbered = text.lines().enumerate().map(|(number, line)| {
            let words = ["العاصمة", "الطرفان", "الأسعار"];
            words.iter().fold(line.to_owned(), |line, word| line.replace(word, &format!("{word} {number}"))) + "\n"
        });
        fs::write(&input, numbered.collect::<String>()).unwrap();
        let output = folder.path().join("plain");
        run(batch(&input, &output, &["--sentence-cache", "0"]), 0);
        let plain = outputs(&output);
        assert_eq!(ids(&plain), wanted_ids(RECORDS));
        Bench { folder, input, plain }
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn command(&self, name: &str, more: &[&str]) -> Command {
        let mut command = batch(&self.input, &self.folder.path().join(name), &["--sentence-cache", "0"]);
        command.arg("--sentence-cache-dir").arg(self.cache()).args(more);
        command
    }

    /// Runs a job and returns how many of its sentences came from the cache.
    #[track_caller]
    fn hits(&self, name: &str, more: &[&str]) -> u64 {
        run(self.command(name, more), 0);
        self.check(name)
    }

    #[track_caller]
    fn check(&self, name: &str) -> u64 {
        let output = self.folder.path().join(name);
        assert!(outputs(&output) == self.plain, "{name}: bytes differ from those without a cache");
        status(&output)["cached_sentences"].as_u64().unwrap()
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|item| item.unwrap().path()).collect()
}

#[test]
fn a_second_job_finds_what_the_first_translated() {
    let bench = Bench::new();
    let first = bench.hits("first", &[]);
    let all = 2 * RECORDS as u64;
    assert!(first < all / 2, "{first} hits in an empty cache");
    assert_eq!(bench.hits("second", &[]), all);
    // Another length penalty can mean another translation.
    let other = bench.folder.path().join("other");
    run(bench.command("other", &["--normalize", "0.5"]), 0);
    assert!(status(&other)["cached_sentences"].as_u64().unwrap() <= first);
    // How the outputs are written is not part of it.
    let chars = bench.folder.path().join("chars");
    run(bench.command("chars", &["--offsets", "chars"]), 0);
    assert_eq!(status(&chars)["cached_sentences"], all);
}

#[test]
fn damaged_files_cost_nothing_but_hits() {
    let bench = Bench::new();
    bench.hits("first", &[]);
    let file = files(&bench.cache()).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes.truncate(bytes.len() - 100);
    fs::write(&file, &bytes).unwrap();
    fs::write(bench.cache().join("foreign.sentences"), "not a cache").unwrap();
    fs::write(bench.cache().join("README"), "mine").unwrap();
    let all = 2 * RECORDS as u64;
    let second = bench.hits("second", &[]);
    assert!(second < all && second > all / 2, "{second}");
    assert_eq!(bench.hits("third", &[]), all, "what was lost has been written again");
    assert_eq!(fs::read_to_string(bench.cache().join("README")).unwrap(), "mine");
}

#[test]
fn workers_that_share_a_cache_and_are_killed_leave_it_whole() {
    let bench = Bench::new();
    for round in 0..6 {
        let spawn = |name: &str| bench.command(name, &[]).stderr(Stdio::null()).spawn().unwrap();
        // Two on one job, one on another, all on one cache.
        let mut workers = ["pair", "pair", "single"].map(|name| spawn(&format!("{name}-{round}")));
        std::thread::sleep(Duration::from_millis(50 + 60 * round));
        workers[0].kill().unwrap();
        for worker in &mut workers {
            worker.wait().unwrap();
        }
        bench.hits(&format!("pair-{round}"), &[]);
        bench.check(&format!("single-{round}"));
    }
    assert_eq!(bench.hits("last", &[]), 2 * RECORDS as u64);
}

#[test]
fn a_cache_without_room_or_rights_is_done_without() {
    let bench = Bench::new();
    for (name, mount) in
        [("full", "mount -t tmpfs -o size=8k none cache"), ("read-only", "mount -t tmpfs -o ro none cache")]
    {
        fs::create_dir_all(bench.cache()).unwrap();
        let Some(ended) = mount::run(&bench.command(name, &[]), bench.folder.path(), mount, "true") else { return };
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(0), "{stderr}");
        assert!(stderr.contains("is only read from here on"), "{stderr}");
        bench.check(name);
        fs::remove_file(bench.folder.path().join("mounted")).unwrap();
    }
    fs::remove_dir(bench.cache()).unwrap();
    fs::write(bench.cache(), "").unwrap();
    run(bench.command("none", &[]), 74);
    let inside = bench.folder.path().join("out/cache");
    run(batch(&bench.input, &bench.folder.path().join("out"), &["--sentence-cache-dir", inside.to_str().unwrap()]), 64);
}

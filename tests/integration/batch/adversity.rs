//! `tarjim batch` with the tiny model when it is killed, its disk is full, its output cannot be written, its input is gone.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::command::{batch, news, run};
use super::{assert_some_of, ids, mount, outputs, wanted_ids};

/// Moments that are the same in every run; what the command does at them is not.
struct Moments(u64);

impl Moments {
    fn next(&mut self, longest: Duration) -> Duration {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        longest.mul_f64((self.0 >> 33) as f64 / f64::from(1_u32 << 31))
    }
}

/// Records that went to the translator, by the log of the processes.
fn calls(log: &Path) -> usize {
    let log = fs::read_to_string(log).unwrap();
    let windows = log.lines().filter(|line| line.contains("window read"));
    windows.map(|line| line.rsplit_once("records=").unwrap().1.trim().parse::<usize>().unwrap()).sum()
}

/// Kills workers until `kills` have died, job after job, and compares each job with the undisturbed one.
#[track_caller]
fn kill(kills: usize, more: &[&str]) {
    const RECORDS: usize = 80;
    let folder = tempfile::tempdir().unwrap();
    let input = news(folder.path(), RECORDS);
    let undisturbed = folder.path().join("undisturbed");
    let began = Instant::now();
    run(batch(&input, &undisturbed, &["--sentence-cache", "0"]), 0);
    let undisturbed = outputs(&undisturbed);
    assert_eq!(ids(&undisturbed), wanted_ids(RECORDS));
    // Most kills should hit, and a job be killed more than once.
    let longest = began.elapsed() * 7 / 10;
    let mut moments = Moments(0x9e37_79b9_7f4a_7c15);
    let (mut killed, mut jobs, mut called) = (0, 0, 0);
    while killed < kills {
        let output = folder.path().join(format!("killed-{jobs}"));
        jobs += 1;
        // On a machine that is busy every start is slow: each is given more time than the one before.
        for start in 0.. {
            let log = folder.path().join("log");
            let mut command = batch(&input, &output, more);
            command
                .env("RUST_LOG", "tarjim::batch=debug")
                .stdout(Stdio::null())
                .stderr(fs::File::create(&log).unwrap());
            let mut child = command.spawn().unwrap();
            std::thread::sleep(moments.next(longest + longest * start / 10));
            child.kill().unwrap();
            let status = child.wait().unwrap();
            called += calls(&log);
            // It may have come to its end before.
            if let Some(code) = status.code() {
                assert_eq!(code, 0, "{}", fs::read_to_string(&log).unwrap());
                break;
            }
            killed += 1;
        }
        assert!(outputs(&output) == undisturbed, "bytes differ after {killed} kills");
    }
    let least = jobs * RECORDS;
    eprintln!("{killed} kills in {jobs} jobs: {called} records translated, {least} needed");
    assert!(called > least, "no kill cost any work: {called} records were translated, {least} had to be");
}

#[test]
fn a_hundred_kills_of_the_command_lose_nothing() {
    kill(100, &["--sentence-cache", "0"]);
}

#[test]
fn a_full_disk_ends_with_74_and_harms_no_finished_shard() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (news(folder.path(), 300), folder.path().join("out"));
    let whole = folder.path().join("whole");
    run(batch(&input, &whole, &[]), 0);
    fs::create_dir(&output).unwrap();
    let command = batch(&input, &output, &[]);
    let mount = "mount -t tmpfs -o size=400k none out";
    let Some(ended) = mount::run(&command, folder.path(), mount, "cp -r out copy") else { return };
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(74), "{stderr}");
    assert!(stderr.contains("cannot write") || stderr.contains("cannot create"), "{stderr}");
    let copy = folder.path().join("copy");
    let whole = outputs(&whole);
    assert_some_of(&whole, &outputs(&copy));
    run(batch(&input, &copy, &[]), 0);
    assert!(outputs(&copy) == whole);
}

#[test]
fn a_read_only_output_ends_with_74_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (news(folder.path(), 10), folder.path().join("out"));
    fs::create_dir(&output).unwrap();
    let mut command = batch(&input, &output, &[]);
    command.env("RUST_LOG", "tarjim::batch=debug");
    let Some(ended) = mount::run(&command, folder.path(), "mount -t tmpfs -o ro none out", "ls -A out") else { return };
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(74), "{stderr}");
    assert!(stderr.contains("Read-only file system") && !stderr.contains("window read"), "{stderr}");
    assert!(ended.stdout.is_empty(), "nothing may lie in the folder");
}

#[test]
fn a_vanished_input_ends_with_66_after_the_other_shards() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in");
    fs::create_dir(&input).unwrap();
    let text = fs::read_to_string(news(folder.path(), 900)).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for (name, lines) in ["a.jsonl", "b.jsonl", "c.jsonl"].iter().zip(lines.chunks(300)) {
        fs::write(input.join(name), lines.concat()).unwrap();
    }
    let output = folder.path().join("out");
    let mut child = batch(&input, &output, &["--sentence-cache", "0"]).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while !output.join("shard-00000").exists() {
        assert!(began.elapsed() < Duration::from_mins(2), "no shard was finished");
        std::thread::sleep(Duration::from_millis(2));
    }
    let (last, away) = (input.join("c.jsonl"), folder.path().join("away"));
    fs::rename(&last, &away).unwrap();
    let ended = child.wait().unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(ended.code(), Some(66), "{stderr}");
    assert!(stderr.contains("c.jsonl"), "{stderr}");
    let found = ids(&outputs(&output));
    assert!(found.len() >= 590 && found == wanted_ids(900)[..found.len()], "{} records", found.len());
    // While it is gone the inputs are not those of the job; when it is back the job goes on.
    run(batch(&input, &output, &[]), 65);
    fs::rename(&away, &last).unwrap();
    run(batch(&input, &output, &[]), 0);
    assert_eq!(ids(&outputs(&output)), wanted_ids(900));
}

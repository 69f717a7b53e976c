//! Jobs whose worker is killed, whose disk is full, whose output cannot be written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tarjim::ErrorKind;
use tarjim::batch::{Job, Slice};

use super::worker::Reverser;
use super::{assert_some_of, ids, mount, options, outputs, records, run, run_slice, wanted_ids};

const INPUT: &str = "TARJIM_TEST_BATCH_INPUT";
const OUTPUT: &str = "TARJIM_TEST_BATCH_OUTPUT";
const LOG: &str = "TARJIM_TEST_BATCH_LOG";

/// Not a test: the process that the tests below start and kill. It does nothing where they did not start it.
#[test]
fn worker_process() {
    let Some(input) = std::env::var_os(INPUT) else { return };
    let output = PathBuf::from(std::env::var_os(OUTPUT).unwrap());
    let mut worker = Reverser {
        pause: Duration::from_micros(500),
        log: std::env::var_os(LOG).map(PathBuf::from),
        ..Reverser::default()
    };
    let result =
        Job::open(&options(Path::new(&input), &output)).and_then(|job| run_slice(&job, &mut worker, Slice::ALL, false));
    if let Err(error) = result {
        assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
        panic!("{error:?}");
    }
}

fn worker(input: &Path, output: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "batch::kill::worker_process", "--nocapture", "--test-threads=1"])
        .env(INPUT, input)
        .env(OUTPUT, output)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Starts a worker and kills it with SIGKILL after `patience`; `None` where it was killed.
fn run_and_kill(command: &mut Command, patience: Duration) -> Option<ExitStatus> {
    let mut child = command.spawn().unwrap();
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if began.elapsed() >= patience {
            child.kill().unwrap();
            // The child may have ended by itself in between.
            let status = child.wait().unwrap();
            return status.success().then_some(status);
        }
        std::thread::sleep(Duration::from_micros(300));
    }
}

#[test]
fn a_hundred_kills_lose_nothing_and_double_nothing() {
    const RECORDS: usize = 150;
    let folder = tempfile::tempdir().unwrap();
    let input = records(folder.path(), RECORDS);
    let undisturbed = folder.path().join("undisturbed");
    run(&options(&input, &undisturbed)).unwrap();
    let undisturbed = outputs(&undisturbed);
    let log = folder.path().join("calls");
    // A fixed sequence of moments; what the worker does at them differs from run to run all the same.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let (mut kills, mut jobs) = (0, 0);
    while kills < 100 {
        let output = folder.path().join(format!("killed-{jobs}"));
        jobs += 1;
        // On a machine that is busy every start is slow: each is given more time than the one before.
        for start in 0.. {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let patience = Duration::from_micros(2_000 + start * 1_000 + state % 150_000);
            match run_and_kill(worker(&input, &output).env(LOG, &log), patience) {
                Some(status) => {
                    assert!(status.success(), "a worker after {kills} kills: {status}");
                    break;
                }
                None => kills += 1,
            }
        }
        let found = outputs(&output);
        assert_eq!(ids(&found), wanted_ids(RECORDS));
        assert!(found == undisturbed, "bytes differ from the undisturbed run after {kills} kills");
    }
    let calls = fs::metadata(&log).unwrap().len() as usize;
    assert!(calls > jobs * RECORDS, "{calls} calls for {jobs} jobs of {RECORDS}: no kill cost any work");
}

#[test]
fn two_workers_on_the_same_shards_of_which_one_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (records(folder.path(), 80), folder.path().join("out"));
    let mut other = worker(&input, &output).spawn().unwrap();
    let killed = run_and_kill(&mut worker(&input, &output), Duration::from_millis(60));
    assert!(other.wait().unwrap().success());
    // Whether it was killed or came to its end, a last run finds everything done.
    assert!(killed.is_none_or(|status| status.success()));
    run(&options(&input, &output)).unwrap();
    assert_eq!(ids(&outputs(&output)), wanted_ids(80));
}

#[test]
fn a_full_disk_ends_the_run_and_harms_no_finished_shard() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (records(folder.path(), 400), folder.path().join("out"));
    let undisturbed = folder.path().join("undisturbed");
    run(&options(&input, &undisturbed)).unwrap();
    fs::create_dir(&output).unwrap();
    // The mount ends with the process, so what it held is copied out before.
    let mount = "mount -t tmpfs -o size=160k none out";
    let Some(ended) = mount::run(&worker(&input, &output), folder.path(), mount, "cp -r out copy") else { return };
    assert!(!ended.status.success(), "160 kB cannot hold the outputs");
    let copy = folder.path().join("copy");
    let whole = outputs(&undisturbed);
    assert_some_of(&whole, &outputs(&copy));
    run(&options(&input, &copy)).unwrap();
    assert!(outputs(&copy) == whole);
}

#[test]
fn an_output_that_cannot_be_written_is_an_error_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (records(folder.path(), 10), folder.path().join("out"));
    fs::create_dir(&output).unwrap();
    let mount = "mount -t tmpfs -o ro none out";
    let Some(ended) = mount::run(&worker(&input, &output), folder.path(), mount, "true") else { return };
    assert!(!ended.status.success());
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(run(&options(&input, &file)).unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(run(&options(&input, &file.join("out"))).unwrap_err().kind(), ErrorKind::Io);
}

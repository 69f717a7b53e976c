//! How a shard comes to be there: all of it at once, or not at all, and never twice.
//!
//! A shard is a folder. Its worker fills `.tmp.HOST.PROCESS.SHARD` beside the finished ones, forces the files to the disk,
//! and renames the folder. Renaming onto a folder that holds files fails on every POSIX file system, local or network,
//! so the first commit wins without a lock and without `renameat2`.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::manifest::{SHARD_FILE, ShardManifest};
use crate::error::{Error, Result};

/// How long another machine's temporary folder must lie untouched before it counts as left behind.
const ABANDONED: Duration = Duration::from_hours(1);

const TEMPORARY: &str = ".tmp.";
const REPLACED: &str = ".old.";

/// The folder of a finished shard.
pub(super) fn shard_folder(output: &Path, shard: usize) -> PathBuf {
    output.join(format!("shard-{shard:05}"))
}

/// The name of this machine, made fit for a file name.
pub(super) fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_default();
    let name: String =
        name.trim().chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).take(64).collect();
    if name.is_empty() { "host".to_owned() } else { name }
}

/// A name nobody else uses: the machine, the process, a mark of its start (numbers come again, in containers always the
/// same ones), a count within it.
fn temporary(kind: &str, what: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{kind}{}.{}-{}-{count}.{what}", host(), std::process::id(), start_mark())
}

fn start_mark() -> &'static str {
    static MARK: OnceLock<String> = OnceLock::new();
    MARK.get_or_init(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        blake3::hash(&now.as_nanos().to_le_bytes()).to_hex()[..8].to_owned()
    })
}

/// A shard that is being written.
pub(super) struct PendingShard {
    folder: PathBuf,
    target: PathBuf,
    data: PathBuf,
    writer: BufWriter<File>,
    committed: bool,
}

/// Whose commit it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Commit {
    /// Ours.
    First,
    /// Another worker had finished the same shard; ours was thrown away.
    Late,
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let text = format!("cannot {what} `{}`", path.display());
    move |error| match error.kind() {
        // An output that cannot be written is an I/O failure, not a missing input.
        std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied => {
            Error::new(crate::ErrorKind::Io, format!("{text}: {error}")).with_source(error)
        }
        _ => Error::io(text, error),
    }
}

impl PendingShard {
    /// Opens a shard's temporary folder in `output`.
    pub(super) fn create(output: &Path, shard: usize, extension: &str) -> Result<Self> {
        let folder = output.join(temporary(TEMPORARY, &format!("{shard:05}")));
        fs::create_dir(&folder).map_err(failed("create", &folder))?;
        let data = folder.join(format!("part.{extension}"));
        let file = File::create_new(&data).map_err(failed("create", &data))?;
        // Held while the worker lives, however it dies: the sign by which a sweep tells the living from the dead.
        // A file system without locks only loses that sign.
        let _ = file.try_lock();
        let target = shard_folder(output, shard);
        Ok(PendingShard { folder, target, data, writer: BufWriter::with_capacity(1 << 16, file), committed: false })
    }

    /// Adds one output record and its line break.
    pub(super) fn write_line(&mut self, line: &[u8]) -> Result<()> {
        self.writer.write_all(line).and_then(|()| self.writer.write_all(b"\n")).map_err(failed("write", &self.data))
    }

    /// Hands everything written so far to the system.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.writer.flush().map_err(failed("write", &self.data))
    }

    /// Forces the records to the disk and reads them back, a line at a time, from the file itself.
    pub(super) fn read_back(&mut self, mut line: impl FnMut(&[u8])) -> Result<blake3::Hash> {
        self.flush()?;
        self.writer.get_ref().sync_all().map_err(failed("write", &self.data))?;
        let mut file = File::open(&self.data).map_err(failed("read", &self.data))?;
        let mut digest = blake3::Hasher::new();
        let (mut rest, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
        loop {
            let read = file.read(&mut buffer).map_err(failed("read", &self.data))?;
            if read == 0 {
                break;
            }
            digest.update(&buffer[..read]);
            for piece in buffer[..read].split_inclusive(|byte| *byte == b'\n') {
                rest.extend_from_slice(piece);
                if rest.last() == Some(&b'\n') {
                    line(&rest[..rest.len() - 1]);
                    rest.clear();
                }
            }
        }
        Ok(digest.finalize())
    }

    /// Publishes the shard unless another worker has already done so.
    pub(super) fn commit(mut self, manifest: &ShardManifest, replace: bool) -> Result<Commit> {
        write_durably(&self.folder.join(SHARD_FILE), manifest)?;
        sync_folder(&self.folder)?;
        let old = replace.then(|| self.set_aside()).transpose()?;
        let outcome = match fs::rename(&self.folder, &self.target) {
            Ok(()) => {
                self.committed = true;
                Commit::First
            }
            Err(error) if is_taken(&error) => Commit::Late,
            Err(error) => return Err(failed("publish", &self.target)(error)),
        };
        if let Some(parent) = self.target.parent() {
            sync_folder(parent)?;
        }
        if let Some(old) = old {
            fs::remove_dir_all(&old).map_err(failed("delete", &old))?;
        }
        Ok(outcome)
    }

    /// Moves the finished shard out of the way of its better copy. A crash before the new one is in place leaves
    /// `.old.…`, which the next sweep puts back.
    fn set_aside(&self) -> Result<PathBuf> {
        let name = self.target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let old = self.target.with_file_name(temporary(REPLACED, &name));
        fs::rename(&self.target, &old).map_err(failed("replace", &self.target))?;
        Ok(old)
    }
}

impl Drop for PendingShard {
    /// An abandoned shard leaves nothing behind; where even that fails, the next sweep takes it.
    fn drop(&mut self) {
        if !self.committed {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn is_taken(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::DirectoryNotEmpty | std::io::ErrorKind::AlreadyExists)
}

/// Writes JSON and forces it to the disk.
fn write_durably(path: &Path, value: &impl serde::Serialize) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::new(crate::ErrorKind::Internal, format!("manifest: {error}")).with_source(error))?;
    text.push(b'\n');
    let mut file = File::create_new(path).map_err(failed("create", path))?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed("write", path))
}

/// Publishes a file of JSON under a name that nobody has taken yet; `false` where somebody has.
pub(super) fn publish_json(path: &Path, value: &impl serde::Serialize) -> Result<bool> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let temporary = path.with_file_name(temporary(TEMPORARY, &name));
    write_durably(&temporary, value)?;
    // A hard link, unlike a rename, never replaces.
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary).map_err(failed("delete", &temporary))?;
    match linked {
        Ok(()) => {
            if let Some(parent) = path.parent() {
                sync_folder(parent)?;
            }
            Ok(true)
        }
        Err(error) if is_taken(&error) => Ok(false),
        // No hard links here: a crash while these few bytes are written leaves a file that the next reader names.
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::Unsupported | std::io::ErrorKind::PermissionDenied) =>
        {
            if path.exists() { Ok(false) } else { write_durably(path, value).map(|()| true) }
        }
        Err(error) => Err(failed("publish", path)(error)),
    }
}

fn sync_folder(folder: &Path) -> Result<()> {
    match File::open(folder).and_then(|file| file.sync_all()) {
        Ok(()) => Ok(()),
        // Some network file systems know no fsync of a folder; their renames are durable by themselves.
        Err(error) if matches!(error.kind(), std::io::ErrorKind::InvalidInput | std::io::ErrorKind::Unsupported) => {
            Ok(())
        }
        Err(error) => Err(failed("sync", folder)(error)),
    }
}

/// Clears away what dead workers left, and puts back shards whose replacement was cut short.
pub(super) fn sweep(output: &Path) -> Result<()> {
    let items = fs::read_dir(output).map_err(failed("read", output))?;
    for item in items.flatten() {
        let (path, name) = (item.path(), item.file_name());
        let Some(name) = name.to_str() else { continue };
        let Some(rest) = name.strip_prefix(TEMPORARY).or(name.strip_prefix(REPLACED)) else { continue };
        let mut parts = rest.splitn(3, '.');
        let (Some(owner), Some(pid), Some(what)) = (parts.next(), parts.next(), parts.next()) else { continue };
        if !is_abandoned(&path, owner, pid) {
            continue;
        }
        // Other workers may sweep at the same time: what is already gone is no failure.
        let gone = |result: std::io::Result<()>| match result {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound && !is_taken(&error) => {
                Err(failed("clear away", &path)(error))
            }
            _ => Ok(()),
        };
        if name.starts_with(REPLACED) {
            gone(fs::rename(&path, output.join(what)))?;
        }
        if path.is_dir() {
            gone(fs::remove_dir_all(&path))?;
        } else if path.exists() {
            gone(fs::remove_file(&path))?;
        }
    }
    Ok(())
}

/// How many workers are writing into the folder now.
pub(super) fn living(output: &Path) -> usize {
    let Ok(items) = fs::read_dir(output) else { return 0 };
    let is_living = |item: &fs::DirEntry| {
        let name = item.file_name();
        let mut parts = name.to_str()?.strip_prefix(TEMPORARY)?.splitn(3, '.');
        Some(item.path().is_dir() && !is_abandoned(&item.path(), parts.next()?, parts.next()?))
    };
    items.flatten().filter(|item| is_living(item) == Some(true)).count()
}

/// `process` is number, start mark and count.
fn is_abandoned(path: &Path, owner: &str, process: &str) -> bool {
    if is_locked(path) {
        return false;
    }
    let mut parts = process.split('-');
    let (number, mark) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if owner == host() {
        let (own, exists) = (std::process::id().to_string(), Path::new("/proc").join(number).exists());
        if number == own || !exists {
            return mark != start_mark();
        }
    }
    newest(path).is_some_and(|touched| SystemTime::now().duration_since(touched).is_ok_and(|age| age > ABANDONED))
}

fn is_locked(folder: &Path) -> bool {
    let Ok(items) = fs::read_dir(folder) else { return false };
    items.flatten().any(|item| {
        let held = |file: File| matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock));
        File::open(item.path()).is_ok_and(held)
    })
}

fn newest(path: &Path) -> Option<SystemTime> {
    let own = path.metadata().ok()?.modified().ok()?;
    let inside = fs::read_dir(path).into_iter().flatten().flatten();
    inside.filter_map(|item| item.metadata().ok()?.modified().ok()).chain([own]).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(records: u64) -> ShardManifest {
        ShardManifest {
            shard: 3,
            fingerprint: "f".into(),
            version: "0.1.0".into(),
            engine: "e".into(),
            ranges: Vec::new(),
            input_digest: "i".into(),
            output_digest: "o".into(),
            records,
            errors: 0,
            failed: Vec::new(),
            messages: Vec::new(),
            sentences: records,
            cached_sentences: 0,
            milliseconds: 1,
            host: host(),
            finished: 0,
        }
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|item| item.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn pending(output: &Path, line: &str) -> PendingShard {
        let mut shard = PendingShard::create(output, 3, "txt").unwrap();
        shard.write_line(line.as_bytes()).unwrap();
        shard
    }

    #[test]
    fn the_first_commit_wins_and_the_late_one_leaves_nothing() {
        let output = tempfile::tempdir().unwrap();
        let target = shard_folder(output.path(), 3);
        let mut first = pending(output.path(), "first");
        let mut lines = Vec::new();
        first.read_back(|line| lines.push(line.to_vec())).unwrap();
        assert_eq!(lines, [b"first"]);
        assert_eq!(first.commit(&manifest(1), false).unwrap(), Commit::First);
        let late = pending(output.path(), "late");
        assert_eq!(late.commit(&manifest(2), false).unwrap(), Commit::Late);
        assert_eq!(fs::read_to_string(target.join("part.txt")).unwrap(), "first\n");
        assert_eq!(ShardManifest::read(&target).unwrap().unwrap().records, 1);
        assert_eq!(names(output.path()), ["shard-00003"]);
    }

    #[test]
    fn a_replacement_takes_the_place_of_the_old_shard() {
        let output = tempfile::tempdir().unwrap();
        pending(output.path(), "old").commit(&manifest(1), false).unwrap();
        assert_eq!(pending(output.path(), "new").commit(&manifest(1), true).unwrap(), Commit::First);
        assert_eq!(fs::read_to_string(output.path().join("shard-00003/part.txt")).unwrap(), "new\n");
        assert_eq!(names(output.path()), ["shard-00003"]);
    }

    #[test]
    fn an_abandoned_shard_is_dropped_and_the_dead_are_swept() {
        let output = tempfile::tempdir().unwrap();
        drop(pending(output.path(), "x"));
        assert!(names(output.path()).is_empty());
        // no process has the number 0; a foreign host's folder is young
        let dead = format!(".tmp.{}.0.00001", host());
        fs::create_dir(output.path().join(&dead)).unwrap();
        fs::write(output.path().join(&dead).join("part.txt"), "half").unwrap();
        fs::create_dir(output.path().join(".tmp.elsewhere.17.00002")).unwrap();
        fs::create_dir(output.path().join(format!(".old.{}.0.shard-00007", host()))).unwrap();
        fs::create_dir(output.path().join("mine")).unwrap();
        let alive = pending(output.path(), "alive");
        assert_eq!(living(output.path()), 2);
        sweep(output.path()).unwrap();
        let alive_name = alive.folder.file_name().unwrap().to_str().unwrap().to_owned();
        let mut expected = vec![".tmp.elsewhere.17.00002".to_owned(), alive_name, "mine".into(), "shard-00007".into()];
        expected.sort();
        assert_eq!(names(output.path()), expected);
    }

    #[test]
    fn a_name_is_published_once() {
        let output = tempfile::tempdir().unwrap();
        let path = output.path().join("job.json");
        assert!(publish_json(&path, &1).unwrap());
        assert!(!publish_json(&path, &2).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
        assert_eq!(names(output.path()), ["job.json"]);
    }
}

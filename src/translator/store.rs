//! Translations kept on disk, for sentences that come again in another process or another run.
//!
//! A folder of files that only grow. Each process writes its own and reads all, so that no lock is needed. A file begins
//! with [`HEADER`] and the fingerprint of everything that decides a translation; then come records:
//!
//! ```text
//! u32 bytes of the body | u64 digest of the text | 16 bytes check | body: the sentence
//! ```
//!
//! In memory there is one place per sentence. A record is believed only if its check, keyed with the fingerprint, and
//! its text are right, so that a torn, corrupt or foreign file costs nothing but hits.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::error::{Error, ErrorKind, Result};
use crate::translation::Sentence;

const HEADER: &[u8; 24] = b"tarjim sentence cache 1\n";
const HEADER_BYTES: u64 = HEADER.len() as u64 + 32;
const EXTENSION: &str = "sentences";

/// Size, key and check in front of a body.
const HEAD_BYTES: usize = 28;
/// No sentence is that large: a size beyond this is not one of ours.
const LARGEST_BODY: usize = 16 << 20;

/// How long what other processes have written may stay unseen.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// A file is closed at this share of the capacity: what is forgotten is the oldest file, whole.
const FILES: u64 = 16;

/// A folder of translated sentences for one model with one set of options.
#[derive(Debug)]
pub(super) struct SentenceStore {
    folder: PathBuf,
    capacity: u64,
    fingerprint: blake3::Hash,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Where the sentence with a given digest is.
    places: HashMap<u64, Place>,
    /// Files of our fingerprint; places count in them. One that has been deleted keeps its number.
    files: Vec<StoredFile>,
    numbers: HashMap<OsString, u32>,
    own: Option<OwnFile>,
    /// Set when writing failed: from then on the store is only read.
    closed: bool,
    looked: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    file: u32,
    offset: u64,
}

#[derive(Debug)]
struct StoredFile {
    name: OsString,
    /// The end of the last whole record seen.
    read_to: u64,
}

#[derive(Debug)]
struct OwnFile {
    writer: BufWriter<File>,
    number: u32,
    size: u64,
}

/// A digest of everything that decides a translation beside its text.
pub(super) fn fingerprint(parts: &[&str]) -> blake3::Hash {
    let mut digest = blake3::Hasher::new();
    for part in parts {
        digest.update(&(part.len() as u64).to_le_bytes());
        digest.update(part.as_bytes());
    }
    digest.finalize()
}

impl SentenceStore {
    /// The store in `folder`, which is made where it is missing, of about `capacity` bytes.
    ///
    /// # Errors
    /// There is no such folder and it cannot be made.
    pub(super) fn open(folder: &Path, capacity: u64, fingerprint: blake3::Hash) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|error| {
            Error::new(ErrorKind::Io, format!("cannot use sentence cache `{}`: {error}", folder.display()))
                .with_hint("name a folder that can be written, or keep the cache in memory alone")
                .with_source(error)
        })?;
        Ok(SentenceStore { folder: folder.to_owned(), capacity, fingerprint, state: Mutex::default() })
    }

    /// The translation of exactly this text, if it is there and whole.
    pub(super) fn get(&self, text: &str) -> Option<Sentence> {
        let mut state = self.state();
        self.look(&mut state);
        let key = key(text);
        let place = *state.places.get(&key)?;
        let path = self.folder.join(&state.files[place.file as usize].name);
        let found = self.read(&path, place.offset).filter(|sentence| sentence.source == text);
        if found.is_none() {
            state.places.remove(&key);
        }
        found
    }

    /// Adds translations. What cannot be written is not kept, and said once.
    pub(super) fn put(&self, sentences: &[&Sentence]) {
        let mut state = self.state();
        if state.closed || sentences.is_empty() {
            return;
        }
        if let Err(error) = self.append(&mut state, sentences) {
            tracing::warn!("sentence cache `{}` is only read from here on: {error}", self.folder.display());
            state.closed = true;
            state.own = None;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whatever a thread that panicked left behind is checked before it is believed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, path: &Path, offset: u64) -> Option<Sentence> {
        let mut file = File::open(path).ok()?;
        file.seek(SeekFrom::Start(offset)).ok()?;
        let mut head = [0; HEAD_BYTES];
        file.read_exact(&mut head).ok()?;
        let (size, _) = parse_head(&head)?;
        let mut body = vec![0; size];
        file.read_exact(&mut body).ok()?;
        if head[12..] != self.check(&head[..12], &body) {
            return None;
        }
        postcard::from_bytes(&body).ok()
    }

    fn check(&self, head: &[u8], body: &[u8]) -> [u8; 16] {
        let mut digest = blake3::Hasher::new_keyed(self.fingerprint.as_bytes());
        digest.update(head).update(body);
        let mut check = [0; 16];
        digest.finalize_xof().fill(&mut check);
        check
    }

    fn append(&self, state: &mut State, sentences: &[&Sentence]) -> std::io::Result<()> {
        for sentence in sentences {
            let body = postcard::to_stdvec(sentence).map_err(std::io::Error::other)?;
            let size = (HEAD_BYTES + body.len()) as u64;
            // One sentence may not push out a whole file.
            if body.len() > LARGEST_BODY || HEADER_BYTES + size > self.capacity / FILES {
                continue;
            }
            let key = key(&sentence.source);
            let mut head = [0; HEAD_BYTES];
            head[..4].copy_from_slice(&(body.len() as u32).to_le_bytes());
            head[4..12].copy_from_slice(&key.to_le_bytes());
            let check = self.check(&head[..12], &body);
            head[12..].copy_from_slice(&check);
            let mut own = self.own_file(state, size)?;
            own.writer.write_all(&head)?;
            own.writer.write_all(&body)?;
            state.places.insert(key, Place { file: own.number, offset: own.size });
            own.size += size;
            state.files[own.number as usize].read_to = own.size;
            state.own = Some(own);
        }
        // What was not flushed is a torn record to others, who look again when there is more.
        state.own.as_mut().map_or(Ok(()), |own| own.writer.flush())
    }

    /// The file to write `bytes` to: the one in hand, or a new one where that is full or gone.
    fn own_file(&self, state: &mut State, bytes: u64) -> std::io::Result<OwnFile> {
        match state.own.take() {
            Some(own) if own.size + bytes <= self.capacity / FILES => return Ok(own),
            Some(mut full) => {
                full.writer.flush()?;
                // Room is made before it is taken.
                state.looked = None;
                self.look(state);
            }
            None => {}
        }
        let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let (name, file) = loop {
            let name = format!("{}{:08x}-{:016x}.{EXTENSION}", self.prefix(), std::process::id(), now() as u64);
            match File::create_new(self.folder.join(&name)) {
                Ok(file) => break (OsString::from(name), file),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        };
        let mut writer = BufWriter::new(file);
        writer.write_all(HEADER)?;
        writer.write_all(self.fingerprint.as_bytes())?;
        Ok(OwnFile { writer, number: state.number(name), size: HEADER_BYTES })
    }

    /// How the names of our fingerprint's files begin.
    fn prefix(&self) -> String {
        format!("{}-", &self.fingerprint.to_hex()[..16])
    }

    /// Takes note of what has been written and deleted in the folder since the last time, and forgets the oldest files
    /// of any fingerprint where there are too many bytes.
    fn look(&self, state: &mut State) {
        if state.looked.is_some_and(|looked| looked.elapsed() < LOOK_INTERVAL) {
            return;
        }
        state.looked = Some(Instant::now());
        let Ok(items) = fs::read_dir(&self.folder) else { return };
        let mut found: Vec<(SystemTime, OsString, u64)> = items
            .flatten()
            .filter(|item| Path::new(&item.file_name()).extension().is_some_and(|extension| extension == EXTENSION))
            .filter_map(|item| {
                let metadata = item.metadata().ok().filter(fs::Metadata::is_file)?;
                Some((metadata.modified().ok()?, item.file_name(), metadata.len()))
            })
            .collect();
        found.sort();
        let mut room = self.capacity - self.capacity / FILES;
        let newest_first = found.into_iter().rev().filter(|(_, name, bytes)| {
            let fits = *bytes <= room;
            room = if fits { room - bytes } else { 0 };
            // Another process may have been faster, or the folder may be read-only.
            fits || fs::remove_file(self.folder.join(name)).is_err()
        });
        // The newer a record the better: an older one of the same text may be damaged.
        let kept: Vec<_> = newest_first.collect();
        for (_, name, bytes) in kept.iter().rev() {
            if name.to_str().is_some_and(|name| name.starts_with(&self.prefix())) {
                self.scan(state, name, *bytes);
            }
        }
        let there: HashSet<&OsString> = kept.iter().map(|(_, name, _)| name).collect();
        let there: Vec<bool> = state.files.iter().map(|file| there.contains(&file.name)).collect();
        state.places.retain(|_, place| there[place.file as usize]);
        // What is written into a file that has been deleted would be found by nobody.
        if state.own.as_ref().is_some_and(|own| !there[own.number as usize]) {
            state.own = None;
        }
    }

    /// Notes the places of the whole records in a file beyond what was seen of it before.
    fn scan(&self, state: &mut State, name: &OsString, bytes: u64) {
        let known = state.numbers.get(name).copied();
        let mut offset = known.map_or(HEADER_BYTES, |number| state.files[number as usize].read_to);
        if bytes <= offset {
            return;
        }
        let Ok(file) = File::open(self.folder.join(name)) else { return };
        let mut reader = BufReader::new(file);
        if known.is_none() && !self.is_ours(&mut reader) || reader.seek(SeekFrom::Start(offset)).is_err() {
            return;
        }
        let number = state.number(name.clone());
        let mut head = [0; HEAD_BYTES];
        while reader.read_exact(&mut head).is_ok() {
            let Some((size, key)) = parse_head(&head) else { break };
            let end = offset + (HEAD_BYTES + size) as u64;
            if end > bytes || reader.seek_relative(size as i64).is_err() {
                break;
            }
            state.places.insert(key, Place { file: number, offset });
            offset = end;
        }
        state.files[number as usize].read_to = offset;
    }

    fn is_ours(&self, reader: &mut impl Read) -> bool {
        let (mut header, mut fingerprint) = ([0; HEADER.len()], [0; 32]);
        reader.read_exact(&mut header).and_then(|()| reader.read_exact(&mut fingerprint)).is_ok()
            && header == *HEADER
            && fingerprint == *self.fingerprint.as_bytes()
    }
}

impl State {
    /// The number of the file of this name, a new one where it has none.
    fn number(&mut self, name: OsString) -> u32 {
        *self.numbers.entry(name).or_insert_with_key(|name| {
            self.files.push(StoredFile { name: name.clone(), read_to: HEADER_BYTES });
            (self.files.len() - 1) as u32
        })
    }
}

fn key(text: &str) -> u64 {
    let digest = blake3::hash(text.as_bytes());
    digest.as_bytes()[..8].iter().rev().fold(0, |key, byte| key << 8 | u64::from(*byte))
}

/// Size of the body and key; `None` where it cannot be one of ours.
fn parse_head(head: &[u8; HEAD_BYTES]) -> Option<(usize, u64)> {
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let size = number(&head[..4]) as usize;
    (1..=LARGEST_BODY).contains(&size).then(|| (size, number(&head[4..12])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::{Flag, FlagKind};
    use crate::span::Span;
    use crate::translation::SentencePieces;

    fn sentence(text: &str) -> Sentence {
        Sentence {
            source: text.into(),
            target: text.to_uppercase(),
            // Values that a text form would not give back.
            score: f32::from_bits(0xbf3a_cf95),
            confidence: f32::NAN,
            word_log_probs: vec![-0.1, f32::NEG_INFINITY],
            source_words: vec![Span::new(0, 1)],
            flags: vec![Flag {
                kind: FlagKind::Split,
                reason: "r".into(),
                source: vec![Span::new(0, 1)],
                target: Vec::new(),
            }],
            pieces: Some(SentencePieces { attention: vec![vec![0.1, 0.9]], ..SentencePieces::default() }),
            ..Sentence::default()
        }
    }

    fn store(folder: &Path, capacity: u64, name: &str) -> SentenceStore {
        SentenceStore::open(folder, capacity, fingerprint(&[name])).unwrap()
    }

    fn put(store: &SentenceStore, texts: &[&str]) {
        let sentences: Vec<Sentence> = texts.iter().map(|text| sentence(text)).collect();
        store.put(&sentences.iter().collect::<Vec<_>>());
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|item| item.unwrap().path()).collect()
    }

    fn bytes(folder: &Path) -> u64 {
        files(folder).iter().map(|path| path.metadata().unwrap().len()).sum()
    }

    #[test]
    fn what_one_process_wrote_another_reads_to_the_bit() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (store(folder.path(), 1 << 20, "m"), store(folder.path(), 1 << 20, "m"));
        assert!(first.get("a").is_none());
        put(&first, &["a", "b"]);
        put(&second, &["c"]);
        for text in ["a", "b", "c"] {
            let found = second.get(text).unwrap();
            assert_eq!(format!("{found:?}"), format!("{:?}", sentence(text)));
        }
        // What is written later is found at the next look.
        put(&second, &["d"]);
        first.state().looked = None;
        assert!(first.get("d").is_some() && first.get("a ").is_none());
        assert_eq!(files(folder.path()).len(), 2);
        let other = store(folder.path(), 1 << 20, "another model");
        assert!(other.get("a").is_none());
    }

    #[test]
    fn torn_corrupt_and_foreign_files_cost_hits_alone() {
        let folder = tempfile::tempdir().unwrap();
        let texts: Vec<String> = (0..8).map(|number| format!("sentence {number}")).collect();
        put(&store(folder.path(), 1 << 20, "m"), &texts.iter().map(String::as_str).collect::<Vec<_>>());
        let path = files(folder.path()).remove(0);
        let whole = fs::read(&path).unwrap();
        let hits = |damaged: &[u8]| {
            fs::write(&path, damaged).unwrap();
            let store = store(folder.path(), 1 << 20, "m");
            let found: Vec<Sentence> = texts.iter().filter_map(|text| store.get(text)).collect();
            assert!(found.iter().all(|found| format!("{found:?}") == format!("{:?}", sentence(&found.source))));
            found.len()
        };
        assert_eq!(hits(&whole), 8);
        for place in (0..whole.len()).step_by(7) {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x41;
            assert!(hits(&damaged) < 8, "byte {place}");
            hits(&whole[..place]);
        }
        assert_eq!(hits(&vec![0xff; whole.len()]), 0);
        assert_eq!(hits(&whole[..whole.len() - 1]), 7);
        // A new process writes a file of its own beside the torn one.
        let next = store(folder.path(), 1 << 20, "m");
        assert!(next.get("sentence 7").is_none());
        put(&next, &["sentence 7"]);
        assert!(store(folder.path(), 1 << 20, "m").get("sentence 7").is_some());
    }

    #[test]
    fn the_folder_is_bounded_and_the_oldest_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let foreign = folder.path().join("thesis.doc");
        fs::write(&foreign, vec![0; 100_000]).unwrap();
        let capacity = 64_000;
        let stores = ["m", "n"].map(|name| store(folder.path(), capacity, name));
        for number in 0..2_000 {
            put(&stores[number % 2], &[&format!("sentence {number}")]);
            if number % 100 == 0 {
                let stored = bytes(folder.path()) - 100_000;
                assert!(stored <= capacity + capacity / FILES, "{stored}");
            }
        }
        assert!(bytes(folder.path()) - 100_000 > capacity / 2);
        assert!(stores[1].get("sentence 1999").is_some() && stores[0].get("sentence 0").is_none());
        assert!(stores.iter().all(|store| store.state().places.len() < 1_000), "places of deleted files are forgotten");
        put(&stores[0], &[&"x".repeat(10_000)]);
        assert!(stores[0].get(&"x".repeat(10_000)).is_none());
    }

    #[test]
    fn a_folder_that_vanishes_ends_the_writing_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("cache");
        let store = store(&place, 1 << 20, "m");
        fs::remove_dir(&place).unwrap();
        put(&store, &["a"]);
        assert!(store.get("a").is_none() && store.state().closed);
        fs::write(&place, "").unwrap();
        let error = SentenceStore::open(&place, 1 << 20, fingerprint(&["m"])).unwrap_err();
        assert!(error.kind() == ErrorKind::Io && error.hint().is_some(), "{error}");
    }
}

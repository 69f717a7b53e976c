//! The two manifests of an output folder: `job.json`, what it belongs to, and `shard.json`, what one shard holds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::input::{InputFile, LineFormat, Range};
use crate::error::{Error, ErrorKind, Result};

/// The layout version of output folders.
pub(super) const LAYOUT: u32 = 1;

/// What decides the bytes of a translation: the same identity, the same input, the same output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The model's name as the user gave it.
    pub model: String,
    /// The digest of its files.
    pub model_digest: String,
    /// Every option that can change the output, in a fixed order.
    pub options: serde_json::Map<String, serde_json::Value>,
    /// The version of tarjim.
    pub version: String,
}

impl Identity {
    /// The digest that must be equal for two runs to share a folder. The model's name is part of it because records
    /// carry it.
    pub fn fingerprint(&self) -> String {
        let mut digest = blake3::Hasher::new();
        let options = serde_json::Value::Object(self.options.clone()).to_string();
        for part in [&self.model, &self.model_digest, &options, &self.version] {
            digest.update(&(part.len() as u64).to_le_bytes());
            digest.update(part.as_bytes());
        }
        digest.finalize().to_hex().to_string()
    }
}

/// What an output folder belongs to; written once, by the worker that comes first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobManifest {
    /// Version of the folder's layout.
    pub layout: u32,
    /// Digest of the identity.
    pub fingerprint: String,
    /// Model, options, version.
    #[serde(flatten)]
    pub identity: Identity,
    /// What the inputs' lines are.
    pub input_format: LineFormat,
    /// The extension of the outputs.
    pub output_extension: String,
    /// The size a shard is cut at.
    pub shard_bytes: u64,
    /// The inputs in order.
    pub inputs: Vec<InputFile>,
}

/// What a finished shard holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardManifest {
    /// The shard's number.
    pub shard: usize,
    /// Digest of the job's identity.
    pub fingerprint: String,
    /// Version of tarjim that wrote it.
    pub version: String,
    /// What computed: engine, number format, kernel.
    pub engine: String,
    /// Which bytes of which inputs.
    pub ranges: Vec<Range>,
    /// BLAKE3 of those lines.
    pub input_digest: String,
    /// BLAKE3 of the output file.
    pub output_digest: String,
    /// Records in it.
    pub records: u64,
    /// How many of them carry an error.
    pub errors: u64,
    /// Which ones, counted from 0.
    pub failed: Vec<u64>,
    /// What the first of them say.
    pub messages: Vec<String>,
    /// Sentences translated or taken from the cache.
    pub sentences: u64,
    /// How many of those were taken from the cache.
    pub cached_sentences: u64,
    /// Time from first to last record, in milliseconds.
    pub milliseconds: u64,
    /// The machine that wrote it.
    pub host: String,
    /// When it was finished, in seconds since 1970.
    pub finished: u64,
}

/// Of two options that differ the values are shown up to this many bytes: a list of tokens tells a person nothing.
const LONGEST_SHOWN: usize = 120;

/// The name of the job's manifest in the output folder.
pub(super) const JOB_FILE: &str = "job.json";
/// The name of a shard's manifest in its folder.
pub(super) const SHARD_FILE: &str = "shard.json";

impl JobManifest {
    /// Reads a folder's manifest; `None` where the folder has none or isn't there.
    pub(super) fn read(folder: &Path) -> Result<Option<JobManifest>> {
        let manifest: Option<JobManifest> = read_json(&folder.join(JOB_FILE))?;
        match &manifest {
            Some(manifest) if manifest.layout != LAYOUT => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("`{}` has layout {}, this tarjim writes {LAYOUT}", folder.display(), manifest.layout),
            )
            .with_hint("finish the job with the tarjim that began it, or begin a new output folder")),
            _ => Ok(manifest),
        }
    }

    /// Refuses a folder that belongs to another job, and says what differs.
    pub(super) fn check_same(&self, wanted: &JobManifest, folder: &Path) -> Result<()> {
        let mut differences = Vec::new();
        let mut compare = |what: &str, had: String, now: String| {
            if had != now {
                let is_long = had.len().max(now.len()) > LONGEST_SHOWN;
                let change = if is_long { "is another".to_owned() } else { format!("{had}, now {now}") };
                differences.push(format!("{what} {change}"));
            }
        };
        compare("version", self.identity.version.clone(), wanted.identity.version.clone());
        compare("model", self.identity.model.clone(), wanted.identity.model.clone());
        compare("model digest", self.identity.model_digest.clone(), wanted.identity.model_digest.clone());
        let names = self.identity.options.keys().chain(wanted.identity.options.keys());
        let mut seen = BTreeSet::new();
        for name in names.filter(|name| seen.insert(name.as_str())) {
            let value = |identity: &Identity| identity.options.get(name).map_or("unset".into(), ToString::to_string);
            compare(&format!("option {name}"), value(&self.identity), value(&wanted.identity));
        }
        compare("output format", self.output_extension.clone(), wanted.output_extension.clone());
        compare("shard size", self.shard_bytes.to_string(), wanted.shard_bytes.to_string());
        compare("input format", self.input_format.extension().into(), wanted.input_format.extension().into());
        let paths = |job: &JobManifest| job.inputs.iter().map(|file| file.path.clone()).collect::<Vec<PathBuf>>();
        let (had, now) = (paths(self), paths(wanted));
        if had == now {
            for (had, now) in self.inputs.iter().zip(&wanted.inputs).filter(|(had, now)| had.bytes != now.bytes) {
                let bytes = |file: &InputFile| format!("{} bytes", file.bytes);
                compare(&format!("`{}`", had.path.display()), bytes(had), bytes(now));
            }
        } else {
            let (known, found) = (had.iter().collect::<BTreeSet<_>>(), now.iter().collect::<BTreeSet<_>>());
            let change = match (known.difference(&found).next(), found.difference(&known).next()) {
                (Some(path), _) => format!("without `{}`", path.display()),
                (None, Some(path)) => format!("with `{}`", path.display()),
                (None, None) => "in another order".into(),
            };
            compare("inputs", format!("{} files", had.len()), change);
        }
        if differences.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::InvalidInput,
            format!("output folder `{}` belongs to another job: {}", folder.display(), differences.join("; ")),
        )
        .with_hint("name a new output folder, or repeat the job with the settings it began with"))
    }
}

impl ShardManifest {
    /// Reads the manifest of a finished shard; `None` where the shard isn't finished.
    pub(super) fn read(shard_folder: &Path) -> Result<Option<ShardManifest>> {
        read_json(&shard_folder.join(SHARD_FILE))
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(Error::io(format_args!("cannot read `{}`", path.display()), error)),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        Error::new(ErrorKind::InvalidInput, format!("`{}` is not a manifest of tarjim: {error}", path.display()))
            .with_hint("name another output folder, or delete this file if it is known to be broken")
            .with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&mut JobManifest);

    fn manifest() -> JobManifest {
        let options = [("beam-size".to_owned(), 4.into())].into_iter().collect();
        let identity =
            Identity { model: "m".into(), model_digest: "0123456789abcdef".into(), options, version: "0.1.0".into() };
        JobManifest {
            layout: LAYOUT,
            fingerprint: identity.fingerprint(),
            identity,
            input_format: LineFormat::Jsonl,
            output_extension: "jsonl".into(),
            shard_bytes: 10,
            inputs: vec![InputFile { path: "/a.jsonl".into(), bytes: 3, text_bytes: 3, modified: Some(7) }],
        }
    }

    #[test]
    fn another_job_is_refused_with_what_differs() {
        let job = manifest();
        let folder = Path::new("out");
        job.check_same(&job, folder).unwrap();

        let changes: [(Change, &str); 8] = [
            (|job| job.identity.model = "n".into(), "model m, now n"),
            (|job| job.identity.model_digest = "ffff".into(), "model digest 0123456789abcdef, now ffff"),
            (|job| job.identity.version = "0.2.0".into(), "version 0.1.0, now 0.2.0"),
            (|job| drop(job.identity.options.insert("beam-size".into(), 1.into())), "option beam-size 4, now 1"),
            (|job| drop(job.identity.options.insert("n".into(), 1.into())), "option n unset, now 1"),
            (
                |job| drop(job.identity.options.insert("n".into(), "x".repeat(200).into())),
                "another job: option n is another",
            ),
            (|job| job.inputs[0].bytes = 4, "`/a.jsonl` 3 bytes, now 4 bytes"),
            (|job| job.inputs[0].path = "/b.jsonl".into(), "without `/a.jsonl`"),
        ];
        for (change, said) in changes {
            let mut other = job.clone();
            change(&mut other);
            let error = job.check_same(&other, folder).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(said), "{error}");
            assert!(error.hint().is_some());
        }
    }

    #[test]
    fn manifests_survive_writing_and_foreign_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(JobManifest::read(folder.path()).unwrap(), None);
        std::fs::write(folder.path().join(JOB_FILE), serde_json::to_vec(&manifest()).unwrap()).unwrap();
        assert_eq!(JobManifest::read(folder.path()).unwrap(), Some(manifest()));
        std::fs::write(folder.path().join(JOB_FILE), "{\"mine\": 1}").unwrap();
        let error = JobManifest::read(folder.path()).unwrap_err();
        assert!(error.to_string().contains(JOB_FILE), "{error}");
        let newer = JobManifest { layout: LAYOUT + 1, ..manifest() };
        std::fs::write(folder.path().join(JOB_FILE), serde_json::to_vec(&newer).unwrap()).unwrap();
        assert!(JobManifest::read(folder.path()).unwrap_err().to_string().contains("layout 2"));
    }
}

//! Where a model's files are, and how they are read.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bytes::Bytes;
use super::config::MarianConfig;
use super::generation::GenerationConfig;
use super::weights::Weights;
use super::{safetensors, torch};
use crate::{Error, ErrorKind, Result};

/// The files that make a model beside its weights, in the order its digest takes them.
pub(crate) const SETTINGS: [&str; 9] = [
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "vocab.json",
    "target_vocab.json",
    "source.spm",
    "target.spm",
    "confidence.json",
    "lexical.zst",
];
const SAFETENSORS: &str = "model.safetensors";
const SAFETENSORS_INDEX: &str = "model.safetensors.index.json";
const TORCH: &str = "pytorch_model.bin";

/// More than any settings or vocabulary file has: what is longer is not one.
const MOST_BYTES: u64 = 1 << 28;

/// The name of the default model.
const EMBEDDED_NAME: &str = "tarjim-ar-en";

/// The default model's files.
#[cfg(feature = "embedded-model")]
use super::embedded::FILES as EMBEDDED;
#[cfg(not(feature = "embedded-model"))]
static EMBEDDED: &[(&str, &[u8])] = &[];

/// A model's files: a folder, a set of named files, or the model compiled into the program.
#[derive(Clone, Debug)]
pub struct ModelFiles {
    name: String,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Directory(PathBuf),
    Named(BTreeMap<String, PathBuf>),
    Embedded(&'static [(&'static str, &'static [u8])]),
}

impl ModelFiles {
    /// The files of a folder, under their usual names.
    ///
    /// # Errors
    /// The folder does not exist or is not one.
    pub fn directory(path: &Path) -> Result<Self> {
        const HINT: &str = "name the folder that holds `config.json`, or a known model (`tarjim models list`)";
        let metadata = std::fs::metadata(path).map_err(|error| {
            Error::new(ErrorKind::Model, format!("model {}: {error}", path.display()))
                .with_source(error)
                .with_hint(HINT)
        })?;
        if !metadata.is_dir() {
            let message = format!("{}: expected a model folder, found a file", path.display());
            return Err(Error::new(ErrorKind::Model, message).with_hint(HINT));
        }
        // `.` and `models/x/` have a name too once they are resolved.
        let resolved = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let name =
            resolved.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
        Ok(ModelFiles { name, place: Place::Directory(path.to_owned()) })
    }

    /// Files that lie anywhere, by the names a model folder would give them: a hub cache's snapshot.
    pub fn named(name: impl Into<String>, files: impl IntoIterator<Item = (String, PathBuf)>) -> Self {
        ModelFiles { name: name.into(), place: Place::Named(files.into_iter().collect()) }
    }

    /// The default model, compiled into the program by the feature `embedded-model`.
    ///
    /// # Errors
    /// The program was built without it.
    pub fn embedded() -> Result<Self> {
        if EMBEDDED.is_empty() {
            return Err(Error::new(ErrorKind::Model, "this build of tarjim has no model compiled in")
                .with_hint("name a model folder, or build with the feature `embedded-model`"));
        }
        Ok(ModelFiles { name: EMBEDDED_NAME.to_owned(), place: Place::Embedded(EMBEDDED) })
    }

    /// Whether these are the files that are compiled in.
    pub fn is_embedded(&self) -> bool {
        matches!(self.place, Place::Embedded(_))
    }

    /// The model's name: the folder's, the hub id, or the default model's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same files under another name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// A small file's bytes, `None` where the model has no such file.
    ///
    /// # Errors
    /// The file cannot be read, or is larger than 256 MiB.
    pub fn read(&self, name: &str) -> Result<Option<Cow<'static, [u8]>>> {
        let path = match self.locate(name) {
            None => return Ok(None),
            Some(Located::Embedded(bytes)) => return Ok(Some(Cow::Borrowed(bytes))),
            Some(Located::Path(path)) => path,
        };
        let failed = |error| Error::io(path.display(), error);
        let mut bytes = Vec::new();
        File::open(&path).map_err(failed)?.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(Error::new(ErrorKind::Model, format!("{}: larger than {MOST_BYTES} bytes", path.display())));
        }
        Ok(Some(Cow::Owned(bytes)))
    }

    /// As [`read`](ModelFiles::read), but a file that is missing is an error.
    pub fn require(&self, name: &str) -> Result<Cow<'static, [u8]>> {
        self.read(name)?.ok_or_else(|| {
            let place = self.describe();
            Error::new(ErrorKind::Model, format!("{place}: `{name}` is missing"))
                .with_hint("a model folder holds config.json, source.spm, target.spm, vocab.json and model.safetensors or pytorch_model.bin")
        })
    }

    /// `config.json`.
    pub fn config(&self) -> Result<MarianConfig> {
        MarianConfig::parse(&self.require("config.json")?).map_err(|error| error.at(self.describe()))
    }

    /// `generation_config.json`, with what it lacks taken from `config.json`.
    pub fn generation_config(&self) -> Result<GenerationConfig> {
        let config = self.require("config.json")?;
        let generation = self.read("generation_config.json")?;
        MarianConfig::parse(&config)
            .and_then(|model| GenerationConfig::parse(generation.as_deref(), &config, &model))
            .map_err(|error| error.at(self.describe()))
    }

    /// The weights: `model.safetensors`, the files its index names, or `pytorch_model.bin`, whichever is there first.
    ///
    /// # Errors
    /// There are none, or a file is corrupt.
    pub fn weights(&self) -> Result<Weights> {
        let mut weights = Weights::new();
        for name in self.weight_files()? {
            let bytes = self.bytes(&name)?;
            let read = if name == TORCH { torch::read } else { safetensors::read };
            read(&mut weights, &name, bytes).map_err(|error| error.at(self.describe()))?;
        }
        Ok(weights)
    }

    /// BLAKE3 over the names and contents of all files of the model, in hexadecimal: what a job's record pins.
    pub fn digest(&self) -> Result<String> {
        let mut hasher = blake3::Hasher::new();
        let mut add = |name: &str, bytes: &[u8]| {
            hasher.update(&(name.len() as u64).to_le_bytes());
            hasher.update(name.as_bytes());
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        for name in SETTINGS {
            if let Some(bytes) = self.read(name)? {
                add(name, &bytes);
            }
        }
        for name in self.weight_files()? {
            add(&name, &self.bytes(&name)?);
        }
        Ok(hasher.finalize().to_hex().to_string())
    }

    /// The names of the files the weights are in.
    fn weight_files(&self) -> Result<Vec<String>> {
        if self.locate(SAFETENSORS).is_some() {
            return Ok(vec![SAFETENSORS.to_owned()]);
        }
        if let Some(index) = self.read(SAFETENSORS_INDEX)? {
            return safetensors::shards(&index).map_err(|error| error.at(self.describe()));
        }
        if self.locate(TORCH).is_some() {
            return Ok(vec![TORCH.to_owned()]);
        }
        let place = self.describe();
        Err(Error::new(
            ErrorKind::Model,
            format!("{place}: no weights: neither `{SAFETENSORS}` nor `{TORCH}` is there"),
        ))
    }

    /// A large file's bytes, mapped.
    fn bytes(&self, name: &str) -> Result<Arc<Bytes>> {
        match self.locate(name) {
            Some(Located::Embedded(bytes)) => Ok(Arc::new(Bytes::Static(bytes))),
            Some(Located::Path(path)) => Ok(Arc::new(Bytes::map(&path)?)),
            None => Err(Error::new(ErrorKind::Model, format!("{}: `{name}` is missing", self.describe()))),
        }
    }

    fn locate(&self, name: &str) -> Option<Located> {
        match &self.place {
            Place::Directory(folder) => Some(folder.join(name)).filter(|path| path.exists()).map(Located::Path),
            Place::Named(files) => files.get(name).cloned().map(Located::Path),
            Place::Embedded(files) => {
                files.iter().find(|(file, _)| *file == name).map(|(_, bytes)| Located::Embedded(bytes))
            }
        }
    }

    /// The model as a message names it.
    fn describe(&self) -> String {
        match &self.place {
            Place::Directory(folder) => folder.display().to_string(),
            Place::Named(_) | Place::Embedded(_) => format!("model {}", self.name),
        }
    }
}

enum Located {
    Path(PathBuf),
    Embedded(&'static [u8]),
}

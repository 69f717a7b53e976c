//! Models by name: from a folder, the hub cache or the hub.
//!
//! A name is, in this order: a folder; a name of the [registry](crate::registry); a hub id
//! `org/name[@revision]`. Files from the hub lie in the cache that every Hugging Face tool shares
//! (`models--org--name/{blobs,refs,snapshots}`), are fetched once and then used without a network, and are checked
//! against the registry's checksums and against the checksum the hub itself names a large file by.
//!
//! ```
//! use tarjim::hub::{HubOptions, Location, locate};
//!
//! # fn main() -> tarjim::Result<()> {
//! let options = HubOptions { offline: true, ..HubOptions::default() };
//! assert_eq!(locate("tarjim-ar-en", &options)?, Location::Embedded);
//! let error = locate("Helsinki-NLP/opus-mt-ar-en", &options).unwrap_err();
//! assert_eq!(error.kind(), tarjim::ErrorKind::Model);
//! # Ok(())
//! # }
//! ```

mod cache;
mod checksum;
#[cfg(feature = "hub")]
mod fetch;
mod options;

use std::path::{Path, PathBuf};

pub use checksum::{FileCheck, Verdict};
pub use options::{HubOptions, OnProgress, Progress};

pub use crate::registry::DEFAULT_MODEL;

use crate::error::{Error, ErrorKind, Result};
use crate::model::ModelFiles;
use crate::registry::{Entry, File, Registry};
use cache::RepoCache;

/// Where a model's files lie on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In the command itself.
    Embedded,
    /// In this folder.
    Folder(PathBuf),
}

/// Finds a model by name with the built-in registry; fetches it where it isn't on this machine yet.
///
/// # Errors
/// Kind [`ErrorKind::Model`] whenever the model cannot be had: unknown name, offline and not in the cache, refused by
/// the hub, interrupted, or with a wrong checksum.
pub fn locate(name: &str, options: &HubOptions) -> Result<Location> {
    Hub::new(options.clone()).locate(name)
}

/// Opens a model by name; see [`locate`].
///
/// # Errors
/// As [`locate`]; the embedded model, too, in a build without it.
pub fn resolve(name: &str, options: &HubOptions) -> Result<ModelFiles> {
    Hub::new(options.clone()).resolve(name)
}

/// The hub cache, the hub behind it and the table of known models.
#[derive(Clone, Debug)]
pub struct Hub {
    options: HubOptions,
    registry: Registry,
}

/// A model on the hub, as asked for.
struct Wanted<'a> {
    repo: &'a str,
    revision: &'a str,
    files: Vec<File>,
    /// Alternatives, each with the revision it lies in.
    weights: Vec<File>,
    entry: Option<&'a Entry>,
}

impl Hub {
    /// A hub with the built-in registry.
    pub fn new(options: HubOptions) -> Self {
        Hub { options, registry: Registry::builtin().clone() }
    }

    /// The same with another table of models.
    #[must_use]
    pub fn with_registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// The table of models.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Finds a model; fetches it where it isn't on this machine yet. See [`locate`].
    pub fn locate(&self, name: &str) -> Result<Location> {
        if let Some(location) = self.local(name)? {
            return Ok(location);
        }
        let wanted = self.wanted(name)?;
        if self.options.offline {
            return Err(Error::new(
                ErrorKind::Model,
                format!("model `{name}` is not in the cache {} and the hub may not be asked", self.cache_words()),
            )
            .with_hint(format!(
                "run `tarjim models fetch {name}` once without HF_HUB_OFFLINE, or name a folder that holds the model"
            )));
        }
        self.fetch(name, &wanted).map(Location::Folder)
    }

    /// Opens a model; fetches it where it isn't on this machine yet. See [`resolve`].
    pub fn resolve(&self, name: &str) -> Result<ModelFiles> {
        match self.locate(name)? {
            Location::Embedded => ModelFiles::embedded(),
            // A snapshot's folder is called by its commit, which is no name for a reader.
            Location::Folder(folder) if Path::new(name).is_dir() => ModelFiles::directory(&folder),
            Location::Folder(folder) => Ok(ModelFiles::directory(&folder)?.with_name(name)),
        }
    }

    /// Finds a model on this machine only; `None` where it would have to be fetched.
    ///
    /// # Errors
    /// The name is neither a folder, nor a known name, nor a hub id.
    pub fn local(&self, name: &str) -> Result<Option<Location>> {
        let path = Path::new(name);
        if path.is_dir() {
            return Ok(Some(Location::Folder(path.to_owned())));
        }
        if name.is_empty() || path.is_absolute() || name.starts_with('.') || name.ends_with('/') || path.is_file() {
            let what = if path.is_file() { "is a file, not a model folder" } else { "is not a folder" };
            return Err(Error::new(ErrorKind::Model, format!("model `{name}` {what}")).with_hint(
                "name the folder that holds `config.json`, a known model (`tarjim models list`) or a hub id",
            ));
        }
        if self.registry.find(name).is_some_and(|entry| entry.repo.is_none()) {
            return Ok(Some(Location::Embedded));
        }
        let wanted = self.wanted(name)?;
        Ok(self.cached(&wanted).map(|(_, folder)| Location::Folder(folder)))
    }

    /// Checks every file of a model on this machine against the registry and against the hub's own names for it.
    ///
    /// # Errors
    /// The model isn't on this machine, or a file cannot be read. A wrong checksum is a verdict, not an error.
    pub fn verify(&self, name: &str) -> Result<Vec<FileCheck>> {
        match self.local(name)? {
            Some(Location::Embedded) => Ok(Vec::new()),
            Some(Location::Folder(folder)) => {
                let wanted = self.wanted(name).ok();
                let revision = wanted.as_ref().and_then(|wanted| self.cached(wanted)).map(|(revision, _)| revision);
                checksum::check_folder(&folder, |file| wanted.as_ref()?.entry?.file(file, revision?))
            }
            None => {
                Err(Error::new(ErrorKind::Model, format!("model `{name}` is not in the cache {}", self.cache_words()))
                    .with_hint(format!("`tarjim models fetch {name}` fetches and checks it")))
            }
        }
    }

    fn wanted<'a>(&'a self, name: &'a str) -> Result<Wanted<'a>> {
        let (id, asked) = match name.split_once('@') {
            Some((id, revision)) => (id, Some(revision)),
            None => (name, None),
        };
        let entry = self.registry.find(id);
        let repo = match entry {
            Some(Entry { repo: Some(repo), .. }) => repo.as_str(),
            _ => id,
        };
        if !cache::is_repo_id(repo) || asked.is_some_and(|revision| !cache::is_safe(revision)) {
            let known: Vec<&str> = self.registry.models.iter().map(|entry| entry.name.as_str()).collect();
            return Err(Error::new(ErrorKind::Model, format!("no model is called `{name}`")).with_hint(format!(
                "known models are {}; others go by folder or by hub id `org/name[@revision]`",
                known.join(", ")
            )));
        }
        let revision = asked.or(entry.map(Entry::revision)).unwrap_or("main");
        // A revision the user asks for is another model than the one the table describes.
        let entry = entry.filter(|entry| asked.is_none_or(|asked| asked == entry.revision()));
        let (files, weights) = match entry {
            Some(entry) => (entry.files.clone(), entry.weights.clone()),
            None => (
                ["config.json", "generation_config.json", "source.spm", "target.spm", "vocab.json"]
                    .map(|name| File { name: name.into(), optional: name.starts_with("gen"), ..File::default() })
                    .into(),
                ["model.safetensors", "pytorch_model.bin"]
                    .map(|name| File { name: name.into(), ..File::default() })
                    .into(),
            ),
        };
        Ok(Wanted { repo, revision, files, weights, entry })
    }

    /// The snapshot that has every file of the model, with its revision, if the cache holds one.
    fn cached<'w>(&self, wanted: &'w Wanted<'_>) -> Option<(&'w str, PathBuf)> {
        let repo = RepoCache::new(self.options.cache.as_deref()?, wanted.repo);
        wanted.alternatives().find_map(|(revision, weights)| {
            let folder = repo.snapshot(revision)?;
            let has = |file: &File| file.optional || folder.join(&file.name).is_file();
            (has(weights) && wanted.files.iter().all(has)).then_some((revision, folder))
        })
    }

    fn cache_words(&self) -> String {
        match &self.options.cache {
            Some(path) => format!("`{}`", path.display()),
            None => "(none: neither HF_HUB_CACHE, HF_HOME nor HOME is set)".to_owned(),
        }
    }

    #[cfg(not(feature = "hub"))]
    fn fetch(&self, name: &str, _: &Wanted<'_>) -> Result<PathBuf> {
        Err(Error::new(ErrorKind::Model, format!("model `{name}` is not in the cache {}", self.cache_words()))
            .with_hint("this tarjim was built without feature `hub`: name a folder that holds the model"))
    }

    #[cfg(feature = "hub")]
    fn fetch(&self, name: &str, wanted: &Wanted<'_>) -> Result<PathBuf> {
        let Some(cache) = &self.options.cache else {
            return Err(Error::new(ErrorKind::Model, format!("there is no cache to fetch model `{name}` into"))
                .with_hint("set HF_HOME or HOME"));
        };
        let client = fetch::Client::new(&self.options, cache)?;
        for (revision, weights) in wanted.alternatives() {
            if !client.has(wanted.repo, revision, weights)? {
                continue;
            }
            // The weights last: a repo that isn't Marian's is then refused before gigabytes are fetched.
            let files: Vec<File> = wanted.files.iter().map(|file| wanted.listed(file, revision)).collect();
            // A branch may move between two files: all must come from one commit.
            for _ in 0..3 {
                let mut folders = Vec::new();
                for file in files.iter().chain([weights]) {
                    match client.file(wanted.repo, revision, file)? {
                        Some(folder) => folders.push(folder),
                        None if file.optional => {}
                        None => return Err(incomplete(name, wanted, &file.name)),
                    }
                }
                folders.dedup();
                if let [folder] = &mut folders[..] {
                    return Ok(std::mem::take(folder));
                }
            }
        }
        Err(incomplete(name, wanted, "model.safetensors` or `pytorch_model.bin"))
    }
}

#[cfg(feature = "hub")]
fn incomplete(name: &str, wanted: &Wanted<'_>, file: &str) -> Error {
    Error::new(
        ErrorKind::Model,
        format!("model `{name}`: the hub has no `{file}` in `{}` at revision `{}`", wanted.repo, wanted.revision),
    )
    .with_hint("check the spelling of the id and the revision; only Marian models in the Helsinki-NLP layout are read")
}

impl Wanted<'_> {
    /// The file as the table describes it in this revision: size and checksum hold for the entry's own one only.
    #[cfg(feature = "hub")]
    fn listed(&self, file: &File, revision: &str) -> File {
        let bare = File { name: file.name.clone(), optional: file.optional, ..File::default() };
        self.entry.and_then(|entry| entry.file(&file.name, revision)).cloned().unwrap_or(bare)
    }

    /// Each way to get the weights: the revision all files come from and the weights file in it.
    fn alternatives(&self) -> impl Iterator<Item = (&str, &File)> {
        self.weights.iter().map(|file| (file.revision.as_deref().unwrap_or(self.revision), file))
    }
}

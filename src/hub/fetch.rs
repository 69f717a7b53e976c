//! Downloads into the hub cache, through `hf-hub`.
//!
//! What `hf-hub` 0.5 leaves open is closed here: it reads no token variable, trusts the server's names as paths,
//! gives up after five seconds when another process holds a file, compares no size and no checksum, and cannot go
//! on from a download that is complete but was never renamed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hf_hub::api::sync::{Api, ApiBuilder, ApiError, Metadata};
use hf_hub::{Cache, Repo, RepoType};

use super::cache::{RepoCache, is_safe};
use super::checksum::{self, Verdict};
use super::options::{HubOptions, Progress};
use crate::error::{Error, ErrorKind, Result};
use crate::registry::File;

/// How long another process may hold a file without the file growing.
const STALL: Duration = Duration::from_mins(1);

/// A connection to the hub and the cache it fills.
pub(super) struct Client<'a> {
    api: Api,
    options: &'a HubOptions,
    cache: &'a Path,
}

impl<'a> Client<'a> {
    pub(super) fn new(options: &'a HubOptions, cache: &'a Path) -> Result<Self> {
        let mut builder = ApiBuilder::from_cache(Cache::new(cache.to_owned()))
            .with_progress(false)
            .with_retries(3)
            .with_user_agent("tarjim", env!("CARGO_PKG_VERSION"))
            .with_token(options.token.clone());
        if let Some(endpoint) = &options.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        let api = builder.build().map_err(|error| {
            Error::new(ErrorKind::Model, format!("cannot set up the connection to the hub: {error}")).with_source(error)
        })?;
        Ok(Client { api, options, cache })
    }

    /// Whether the revision has a file.
    pub(super) fn has(&self, repo: &str, revision: &str, file: &File) -> Result<bool> {
        Ok(self.ask(repo, revision, file)?.is_some())
    }

    /// The hub's word on a file; `None` where the revision has no such file.
    fn ask(&self, repo: &str, revision: &str, file: &File) -> Result<Option<Metadata>> {
        let place = place(repo, revision, file);
        let handle = self.api.repo(Repo::with_revision(repo.to_owned(), RepoType::Model, revision.to_owned()));
        match guarded(|| self.api.metadata(&handle.url(&file.name))) {
            Ok(metadata) => {
                self.check_names(&place, &metadata, file)?;
                Ok(Some(metadata))
            }
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(self.refusal(&place, error)),
        }
    }

    /// Brings one file into the cache and returns its snapshot folder; `None` where the revision has no such file.
    pub(super) fn file(&self, repo: &str, revision: &str, file: &File) -> Result<Option<PathBuf>> {
        let Some(metadata) = self.ask(repo, revision, file)? else { return Ok(None) };
        let place = place(repo, revision, file);
        let named = Repo::with_revision(repo.to_owned(), RepoType::Model, revision.to_owned());
        let folders = RepoCache::new(self.cache, repo);
        let (blob, size) = (folders.blob(metadata.etag()), metadata.size() as u64);
        if !self.has_snapshot(repo, &metadata, file) {
            self.wait_for_others(&place, &blob, size)?;
        }
        let path = self.snapshot(repo, &metadata).join(&file.name);
        if !self.has_snapshot(repo, &metadata, file) {
            let listener = Listener { options: self.options, file: &file.name, done: 0, total: size };
            guarded(|| self.api.repo(named.clone()).download_with_progress(&file.name, listener))
                .map_err(|error| self.refusal(&place, error))?;
            check_download(&place, &path, &blob, size, file)?;
        }
        // The reference is what a look-up without a network goes by; `hf-hub` writes it after a download only.
        Cache::new(self.cache.to_owned())
            .repo(named)
            .create_ref(metadata.commit_hash())
            .map_err(|error| Error::io(format_args!("cannot write to cache `{}`", self.cache.display()), error))?;
        Ok(path.parent().map(Path::to_owned))
    }

    fn snapshot(&self, repo: &str, metadata: &Metadata) -> PathBuf {
        let repo = Cache::new(self.cache.to_owned()).model(repo.to_owned());
        repo.pointer_path(metadata.commit_hash())
    }

    fn has_snapshot(&self, repo: &str, metadata: &Metadata, file: &File) -> bool {
        let path = self.snapshot(repo, metadata).join(&file.name);
        path.metadata().is_ok_and(|found| found.len() == metadata.size() as u64)
    }

    /// The server's answers become paths and lengths: nothing is believed that leaves the cache or contradicts the table.
    fn check_names(&self, place: &str, metadata: &Metadata, file: &File) -> Result<()> {
        for (what, name) in [("entity tag", metadata.etag()), ("commit", metadata.commit_hash())] {
            if !is_safe(name) {
                return Err(Error::new(ErrorKind::Model, format!("{place}: the hub answers with {what} `{name}`"))
                    .with_hint(format!("is {} really a model hub?", self.endpoint())));
            }
        }
        if let Some(size) = file.size
            && size != metadata.size() as u64
        {
            return Err(Error::new(
                ErrorKind::Model,
                format!("{place}: expected {size} bytes, the hub has {}", metadata.size()),
            )
            .with_hint("the file is not the one tarjim knows: do not use it, or name the revision yourself"));
        }
        Ok(())
    }

    /// Waits while another process downloads the same file, and clears a download that `hf-hub` could not go on from.
    fn wait_for_others(&self, place: &str, blob: &Path, size: u64) -> Result<()> {
        let failed = |error| Error::io(format_args!("cannot write to cache `{}`", self.cache.display()), error);
        let part = blob.with_extension("part");
        if let Some(folder) = blob.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let lock = std::fs::File::create(blob.with_extension("lock")).map_err(failed)?;
        let (mut grown, mut since) = (0, Instant::now());
        while lock.try_lock().is_err() {
            let now = part.metadata().map_or(0, |metadata| metadata.len());
            if now != grown {
                (grown, since) = (now, Instant::now());
            } else if since.elapsed() > STALL {
                return Err(Error::new(ErrorKind::Model, format!("{place}: another process holds the download"))
                    .with_hint("end that process, then run again"));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        if part.metadata().is_ok_and(|metadata| metadata.len() >= size) {
            std::fs::remove_file(&part).map_err(failed)?;
        }
        Ok(())
    }

    fn endpoint(&self) -> &str {
        self.options.endpoint.as_deref().unwrap_or("https://huggingface.co")
    }

    fn refusal(&self, place: &str, error: ApiError) -> Error {
        let endpoint = self.endpoint();
        let (message, hint) = match status(&error) {
            Some(code @ (401 | 403)) => (
                format!("{place}: {endpoint} refuses access (HTTP status {code})"),
                "check the spelling: the hub answers so for ids that do not exist; a gated model needs HF_TOKEN"
                    .to_owned(),
            ),
            Some(code) => (
                format!("{place}: {endpoint} answers with HTTP status {code}"),
                "try again later, or set HF_ENDPOINT to another hub".to_owned(),
            ),
            None => (
                format!("{place}: cannot be fetched from {endpoint}: {error}"),
                "check the connection and HF_ENDPOINT; run again to go on where the download stopped".to_owned(),
            ),
        };
        Error::new(ErrorKind::Model, message).with_hint(hint).with_source(error)
    }
}

/// The file in words, for messages.
fn place(repo: &str, revision: &str, file: &File) -> String {
    format!("`{}` of `{repo}` at revision `{revision}`", file.name)
}

/// A file whose size or checksum is wrong is taken out of the cache again: the next run must not find it.
fn check_download(place: &str, path: &Path, blob: &Path, size: u64, file: &File) -> Result<()> {
    let found =
        path.metadata().map_err(|error| Error::io(format_args!("cannot read `{}`", path.display()), error))?.len();
    let message = if found == size {
        match checksum::check(path, Some(file))? {
            Verdict::Correct | Verdict::Unknown { .. } => return Ok(()),
            Verdict::Wrong { expected, found } => format!("expected sha256 {expected}, fetched {found}"),
        }
    } else {
        format!("expected {size} bytes, fetched {found}")
    };
    for stale in [path, blob] {
        let _ = std::fs::remove_file(stale);
    }
    Err(Error::new(ErrorKind::Model, format!("{place}: {message}"))
        .with_hint("the file was thrown away; run again to fetch it anew"))
}

/// Runs a call of `hf-hub`, which asserts and unwraps on some answers of a broken server.
fn guarded<T>(call: impl FnOnce() -> Result<T, ApiError>) -> Result<T, ApiError> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|_| Err(ApiError::IoError(std::io::Error::other("the answer is not that of a model hub"))))
}

/// The HTTP status behind an error, if the server gave one.
fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(request) => match **request {
            ureq::Error::StatusCode(code) => Some(code),
            _ => None,
        },
        ApiError::TooManyRetries(error) => status(error),
        _ => None,
    }
}

/// Passes `hf-hub`'s progress on.
struct Listener<'a> {
    options: &'a HubOptions,
    file: &'a str,
    done: u64,
    total: u64,
}

impl Listener<'_> {
    fn tell(&self) {
        if let Some(progress) = &self.options.progress {
            progress(Progress { file: self.file, done: self.done, total: self.total });
        }
    }
}

impl hf_hub::api::Progress for Listener<'_> {
    fn init(&mut self, size: usize, _: &str) {
        (self.done, self.total) = (0, size as u64);
        self.tell();
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        self.tell();
    }

    fn finish(&mut self) {
        self.tell();
    }
}

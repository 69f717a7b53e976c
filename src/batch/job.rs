//! A job: its inputs, its output folder and the shards between them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::commit::{publish_json, sweep};
use super::input::{self, InputFile, LineFormat};
use super::manifest::{Identity, JOB_FILE, JobManifest, LAYOUT};
use super::plan::{self, Shard};
use crate::error::{Error, ErrorKind, Result};

/// The shard size where none is asked for: some minutes of one worker's time.
const SHARD_BYTES: u64 = 4 << 20;

/// What a job is about.
#[derive(Clone, Debug)]
pub struct JobOptions {
    /// Files and folders to translate.
    pub inputs: Vec<PathBuf>,
    /// What their lines are; `None` goes by the file names.
    pub input_format: Option<LineFormat>,
    /// The extension of the outputs; `None` for the inputs' own.
    pub output_extension: Option<String>,
    /// The folder for the outputs.
    pub output: PathBuf,
    /// Bytes of text in a shard; `None` for what the folder began with, or the default.
    pub shard_bytes: Option<u64>,
    /// Model, options, version.
    pub identity: Identity,
}

/// An output folder that was found to belong to the job, with the job's shards.
#[derive(Clone, Debug)]
pub struct Job {
    pub(super) folder: PathBuf,
    pub(super) manifest: JobManifest,
    pub(super) shards: Vec<Shard>,
    /// Inputs that were touched since the job began, by their place among the inputs.
    pub(super) touched: BTreeSet<usize>,
}

impl Job {
    /// Begins a job, or takes up the one the folder belongs to.
    ///
    /// # Errors
    /// The inputs are not there or have no clear format; the folder belongs to another job, holds other things, lies
    /// inside an input, or cannot be written.
    pub fn open(options: &JobOptions) -> Result<Job> {
        let (input_format, paths) = input::list(&options.inputs, options.input_format)?;
        let folder = resolved(&options.output)?;
        for input in &options.inputs {
            if folder.starts_with(resolved(input)?) {
                return Err(Error::new(
                    ErrorKind::Usage,
                    format!("the output `{}` lies inside the input `{}`", folder.display(), input.display()),
                )
                .with_hint("name an output folder outside the inputs"));
            }
        }
        let existing = JobManifest::read(&folder)?;
        let shard_bytes = options.shard_bytes.or(existing.as_ref().map(|job| job.shard_bytes)).unwrap_or(SHARD_BYTES);
        let wanted = |inputs: Vec<InputFile>| JobManifest {
            layout: LAYOUT,
            fingerprint: options.identity.fingerprint(),
            identity: options.identity.clone(),
            input_format,
            output_extension: options.output_extension.clone().unwrap_or(input_format.extension().to_owned()),
            shard_bytes,
            inputs,
        };
        let manifest = match existing {
            Some(existing) => existing,
            None => begin(&folder, &wanted(paths.iter().cloned().map(input::measure).collect::<Result<_>>()?))?,
        };
        // Sizes on disk are compared; a packed file's text is not unpacked again for that.
        let inputs = paths.into_iter().map(|path| {
            Ok(InputFile { bytes: input::size(&path)?, modified: input::modified(&path), path, text_bytes: 0 })
        });
        let wanted = wanted(inputs.collect::<Result<_>>()?);
        manifest.check_same(&wanted, &folder)?;
        let pairs = manifest.inputs.iter().zip(&wanted.inputs).enumerate();
        let touched = pairs.filter(|(_, (had, now))| had.modified.is_some() && had.modified != now.modified);
        let touched = touched.map(|(file, _)| file).collect();
        let shards = plan::shards(&manifest.inputs, manifest.shard_bytes);
        Ok(Job { folder, manifest, shards, touched })
    }

    /// What the folder belongs to.
    pub fn manifest(&self) -> &JobManifest {
        &self.manifest
    }

    /// The job's shards in the order of the inputs.
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// The output folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Writes the manifest of a new job and returns the one that counts: another worker's, if it came first.
fn begin(folder: &Path, manifest: &JobManifest) -> Result<JobManifest> {
    let failed = |error: std::io::Error| {
        Error::new(ErrorKind::Io, format!("cannot use output folder `{}`: {error}", folder.display()))
            .with_source(error)
    };
    fs::create_dir_all(folder).map_err(failed)?;
    sweep(folder)?;
    for item in fs::read_dir(folder).map_err(failed)? {
        let name = item.map_err(failed)?.file_name();
        // Temporary files are other workers' at the same point.
        if !name.as_encoded_bytes().starts_with(b".tmp.") && name != JOB_FILE {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("output folder `{}` has no `{JOB_FILE}` but holds `{}`", folder.display(), name.display()),
            )
            .with_hint("name a new or empty output folder"));
        }
    }
    publish_json(&folder.join(JOB_FILE), manifest)?;
    JobManifest::read(folder)?
        .ok_or_else(|| Error::new(ErrorKind::Io, format!("`{}` vanished from `{}`", JOB_FILE, folder.display())))
}

/// The absolute path without links and `..` as far as it exists already.
fn resolved(path: &Path) -> Result<PathBuf> {
    let failed = |error| Error::io(format_args!("`{}`", path.display()), error);
    let whole = std::path::absolute(path).map_err(failed)?;
    for existing in whole.ancestors() {
        if let (Ok(real), Ok(rest)) = (existing.canonicalize(), whole.strip_prefix(existing)) {
            return Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) });
        }
    }
    Ok(whole)
}

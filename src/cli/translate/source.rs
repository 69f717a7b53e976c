//! Where a command's input comes from: a file or standard input.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use tarjim::format::Format;
use tarjim::{Error, ErrorKind, Result};

/// One input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Stdin,
    File(PathBuf),
}

/// The inputs that the arguments name; standard input where they name none.
pub(super) fn list(files: &[PathBuf]) -> Vec<Source> {
    if files.is_empty() {
        return vec![Source::Stdin];
    }
    files.iter().map(|path| if path == Path::new("-") { Source::Stdin } else { Source::File(path.clone()) }).collect()
}

/// The format that the first file's name tells.
pub(super) fn format(sources: &[Source]) -> Option<Format> {
    sources.iter().find_map(|source| match source {
        Source::File(path) => Format::from_path(path),
        Source::Stdin => None,
    })
}

/// The size of all inputs together, where it is known.
pub(super) fn size(sources: &[Source]) -> Option<u64> {
    sources
        .iter()
        .map(|source| match source {
            Source::File(path) => fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|metadata| metadata.len()),
            Source::Stdin => None,
        })
        .sum()
}

impl Source {
    /// The input's name in messages.
    pub(super) fn name(&self) -> String {
        match self {
            Source::Stdin => "stdin".to_owned(),
            Source::File(path) => path.display().to_string(),
        }
    }

    /// Whether more input may be long in coming: all but plain files.
    pub(super) fn waits(&self) -> bool {
        match self {
            Source::Stdin => true,
            Source::File(path) => !path.is_file(),
        }
    }

    /// Opens it.
    pub(super) fn open(&self) -> Result<Box<dyn Read + Send>> {
        let path = match self {
            Source::Stdin => {
                if io::stdin().is_terminal() {
                    tracing::warn!("reading Arabic from the terminal; Ctrl-D ends it");
                }
                return Ok(Box::new(io::stdin()));
            }
            Source::File(path) => path,
        };
        let file = File::open(path).map_err(|error| Error::io(path.display(), error))?;
        if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            return Err(Error::new(ErrorKind::NoInput, format!("{}: is a folder", path.display()))
                .with_hint("name its files, or use `tarjim batch` for whole folders"));
        }
        Ok(Box::new(file))
    }
}

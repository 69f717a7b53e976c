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

/// The one format that the files' names tell, running text where a name tells none.
///
/// # Errors
/// They tell two: what is read as another format than its own becomes nonsense.
pub(super) fn format(sources: &[Source]) -> Result<Format> {
    let mut found: Option<(Format, &Path)> = None;
    for source in sources {
        let Source::File(path) = source else { continue };
        let format = Format::from_path(path).unwrap_or_default();
        let (first, first_path) = *found.get_or_insert((format, path));
        if format != first {
            let message = format!(
                "two formats: {} is {}, {} is {}",
                first_path.display(),
                first.name(),
                path.display(),
                format.name()
            );
            return Err(Error::new(ErrorKind::Usage, message)
                .with_hint("run the command once for each format, or say how to read all with `--input-format`"));
        }
    }
    Ok(found.map(|(format, _)| format).unwrap_or_default())
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

    /// Its path, `-` for standard input.
    pub(super) fn path(&self) -> &Path {
        match self {
            Source::Stdin => Path::new("-"),
            Source::File(path) => path,
        }
    }

    /// Whether more input may be long in coming: all but plain files.
    pub(super) fn waits(&self) -> bool {
        match self {
            Source::Stdin => true,
            Source::File(path) => !path.is_file(),
        }
    }

    /// Tells early that it can't be opened. A pipe can be opened only once and is left alone.
    pub(super) fn check(&self) -> Result<()> {
        match self {
            Source::File(path) if path.is_file() || path.is_dir() || !path.exists() => self.open().map(drop),
            _ => Ok(()),
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

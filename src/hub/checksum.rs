//! SHA-256 of model files, against the registry and against the names the hub gives large files.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::registry::{self, is_sha256};

/// What became of one file's check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCheck {
    /// The file's name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// The outcome.
    pub verdict: Verdict,
}

/// The outcome of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The checksum is the expected one.
    Correct,
    /// Nobody says what the checksum should be.
    Unknown {
        /// What it is.
        sha256: String,
    },
    /// The file is not what it should be.
    Wrong {
        /// The checksum it should have.
        expected: String,
        /// The one it has.
        found: String,
    },
}

/// SHA-256 in lower-case hexadecimal.
pub(super) fn sha256(path: &Path) -> Result<String> {
    let failed = |error| Error::io(format_args!("cannot read `{}`", path.display()), error);
    let mut file = File::open(path).map_err(failed)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => break,
            n => digest.update(&buffer[..n]),
        }
    }
    let mut text = String::with_capacity(64);
    for byte in digest.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// The checksum the file should have: the registry's word, else the name of its blob where that is one.
pub(super) fn expected(path: &Path, listed: Option<&registry::File>) -> Option<String> {
    listed.and_then(|file| file.sha256.clone()).or_else(|| {
        let blob = std::fs::read_link(path).ok()?;
        let name = blob.file_name()?.to_str()?;
        is_sha256(name).then(|| name.to_owned())
    })
}

/// Checks one file.
pub(super) fn check(path: &Path, listed: Option<&registry::File>) -> Result<Verdict> {
    let found = sha256(path)?;
    Ok(match expected(path, listed) {
        Some(expected) if expected == found => Verdict::Correct,
        Some(expected) => Verdict::Wrong { expected, found },
        None => Verdict::Unknown { sha256: found },
    })
}

/// Checks all files of a folder, in the order of their names.
pub(super) fn check_folder<'a>(
    folder: &Path,
    listed: impl Fn(&str) -> Option<&'a registry::File>,
) -> Result<Vec<FileCheck>> {
    let failed = |error| Error::io(format_args!("cannot read folder `{}`", folder.display()), error);
    let mut checks = Vec::new();
    for item in std::fs::read_dir(folder).map_err(failed)? {
        let path = item.map_err(failed)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if path.is_file() {
            let size = path.metadata().map_err(failed)?.len();
            checks.push(FileCheck { name: name.to_owned(), size, verdict: check(&path, listed(name))? });
        }
    }
    checks.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(checks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_hashed_as_the_standard_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        // FIPS 180-2, appendix B.1
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&path).unwrap(), known);
        assert_eq!(check(&path, None).unwrap(), Verdict::Unknown { sha256: known.to_owned() });
        let listed = |sha256: &str| registry::File { sha256: Some(sha256.to_owned()), ..registry::File::default() };
        assert_eq!(check(&path, Some(&listed(known))).unwrap(), Verdict::Correct);
        let other = "0".repeat(64);
        let wrong = Verdict::Wrong { expected: other.clone(), found: known.to_owned() };
        assert_eq!(check(&path, Some(&listed(&other))).unwrap(), wrong);
    }
}

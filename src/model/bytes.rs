//! The bytes of one model file, wherever they lie.

use std::fs::File;
use std::ops::Deref;
use std::path::Path;

use crate::{Error, Result};

/// A file's bytes: read, mapped, or part of the program.
pub(crate) enum Bytes {
    Owned(Vec<u8>),
    Mapped(memmap2::Mmap),
    Static(&'static [u8]),
}

impl Bytes {
    /// Maps a file into memory, so that a large model is paged in as it is read and shared between processes.
    pub(crate) fn map(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::io(path.display(), error))?;
        let metadata = file.metadata().map_err(|error| Error::io(path.display(), error))?;
        if metadata.is_dir() {
            return Err(Error::io(path.display(), std::io::ErrorKind::IsADirectory.into()));
        }
        // An empty file cannot be mapped everywhere.
        if metadata.len() == 0 {
            return Ok(Bytes::Owned(Vec::new()));
        }
        // SAFETY: the map is read-only and private to this process. Nobody may cut the file short while it is read;
        // hub caches replace files by renaming, which leaves the mapped one as it was.
        #[allow(unsafe_code)]
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(|error| Error::io(path.display(), error))?;
        Ok(Bytes::Mapped(map))
    }

    /// Gives back the memory of what was read of a mapped file; what is asked for again is read again.
    pub(crate) fn release(&self) {
        #[cfg(unix)]
        if let Bytes::Mapped(map) = self {
            // SAFETY: nothing was ever written to the map, so that every page comes back from the file as it was, on
            // the condition the map itself stands on.
            #[allow(unsafe_code)]
            // A kernel that refuses keeps the pages, which costs memory and nothing else.
            let _ = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Owned(bytes) => bytes,
            Bytes::Mapped(map) => map,
            Bytes::Static(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn released_bytes_are_read_again() {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        std::fs::write(&path, &content).unwrap();
        let bytes = Bytes::map(&path).unwrap();
        assert!(*bytes == content[..]);
        bytes.release();
        assert!(*bytes == content[..]);
    }
}

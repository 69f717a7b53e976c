//! The hub cache on disk, read without a network.
//!
//! `models--org--name/snapshots/COMMIT/FILE` links into `blobs/`; `refs/REVISION` holds the commit a branch stood at
//! when it was fetched.

use std::path::{Path, PathBuf};

/// The folder of one repo.
pub(super) struct RepoCache {
    folder: PathBuf,
}

impl RepoCache {
    pub(super) fn new(cache: &Path, repo: &str) -> Self {
        RepoCache { folder: cache.join(format!("models--{}", repo.replace('/', "--"))) }
    }

    /// The folder of the revision's commit.
    pub(super) fn snapshot(&self, revision: &str) -> Option<PathBuf> {
        if !is_safe(revision) {
            return None;
        }
        let snapshots = self.folder.join("snapshots");
        // A commit needs no reference: the Python client writes none for it.
        let commit = std::fs::read_to_string(self.folder.join("refs").join(revision)).unwrap_or(revision.to_owned());
        let commit = commit.trim();
        let folder = snapshots.join(commit);
        (is_safe(commit) && folder.is_dir()).then_some(folder)
    }

    /// The content-addressed file behind an entity tag.
    #[cfg(feature = "hub")]
    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }
}

/// Whether a name from outside, used as a path, stays where it is put.
pub(super) fn is_safe(path: &str) -> bool {
    path.split('/').all(|part| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+".contains(&b))
    })
}

/// Whether it has the form `org/name`.
pub(super) fn is_repo_id(id: &str) -> bool {
    is_safe(id) && id.split('/').count() == 2 && id.len() <= 200
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_cache_are_refused() {
        for good in ["main", "refs/pr/6", "v1.0", "826da4e92c4501c6eb8ef9a0f056c71255b4468b", "W/abc"] {
            assert!(is_safe(good), "{good}");
        }
        for bad in ["", "..", "../x", "a/../b", "/etc", "a//b", "a/", ".hidden", "a b", "a\0", "ن"] {
            assert!(!is_safe(bad), "{bad}");
        }
        assert!(is_repo_id("Helsinki-NLP/opus-mt-ar-en"));
        assert!(!is_repo_id("opus-mt-ar-en") && !is_repo_id("a/b/c"));
    }

    #[test]
    fn a_snapshot_is_found_by_branch_and_by_commit() {
        let cache = tempfile::tempdir().unwrap();
        let repo = cache.path().join("models--org--name");
        std::fs::create_dir_all(repo.join("snapshots/abc123")).unwrap();
        std::fs::create_dir_all(repo.join("refs/refs/pr")).unwrap();
        std::fs::write(repo.join("refs/main"), "abc123\n").unwrap();
        std::fs::write(repo.join("refs/refs/pr/1"), "abc123").unwrap();
        std::fs::write(repo.join("refs/evil"), "../../..").unwrap();
        std::fs::write(repo.join("refs/gone"), "def456").unwrap();
        let found = RepoCache::new(cache.path(), "org/name");
        for revision in ["main", "refs/pr/1", "abc123"] {
            assert_eq!(found.snapshot(revision), Some(repo.join("snapshots/abc123")), "{revision}");
        }
        for revision in ["evil", "gone", "dev", ".."] {
            assert_eq!(found.snapshot(revision), None, "{revision}");
        }
    }
}

//! The check that no output of a command is one of its inputs, or another of its outputs.

use std::fs;
use std::path::{Path, PathBuf};

use tarjim::{Error, ErrorKind, Result};

/// Refuses outputs that would destroy an input or each other; to be called before any of them is opened. `-` is the
/// standard stream of its side, which may be a file as well.
///
/// # Errors
/// [`ErrorKind::Usage`] when an output is the same file as an input or as another output, under whatever name.
pub(super) fn refuse(inputs: &[&Path], outputs: &[&Path]) -> Result<()> {
    let inputs: Vec<(&Path, File)> = inputs.iter().filter_map(|path| Some((*path, existing(path, STDIN)?))).collect();
    let mut earlier: Vec<(&Path, File)> = Vec::new();
    for &output in outputs {
        let Some(file) = existing(output, STDOUT).or_else(|| coming(output)) else { continue };
        if let Some((input, _)) = inputs.iter().find(|(_, input)| *input == file) {
            let message = format!(
                "the output `{}` is the input `{}`, which would be gone before it is read",
                output.display(),
                input.display()
            );
            return Err(Error::new(ErrorKind::Usage, message).with_hint("write to another file"));
        }
        if let Some((other, _)) = earlier.iter().find(|(_, other)| *other == file) {
            let message = format!("two outputs go to one file: `{}` and `{}`", other.display(), output.display());
            return Err(Error::new(ErrorKind::Usage, message).with_hint("name a file for each of them"));
        }
        earlier.push((output, file));
    }
    Ok(())
}

const STDIN: &str = "/dev/stdin";
const STDOUT: &str = "/dev/stdout";

/// What two names of one file have in common.
#[derive(Debug, PartialEq, Eq)]
enum File {
    /// Device and inode: hard links are one file too.
    #[cfg(unix)]
    Node(u64, u64),
    Path(PathBuf),
}

/// The plain file behind a name. Terminals, pipes and `/dev/null` can be read and written at once.
fn existing(path: &Path, stream: &str) -> Option<File> {
    let path = if path == Path::new("-") { Path::new(stream) } else { path };
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Some(File::Node(metadata.dev(), metadata.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        path.canonicalize().ok().map(File::Path)
    }
}

/// A file that isn't there yet: its name in its folder.
fn coming(path: &Path) -> Option<File> {
    if path == Path::new("-") || path.exists() {
        return None;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some(File::Path(folder.canonicalize().ok()?.join(path.file_name()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_no_input_and_no_other_output() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("in"), "a").unwrap();
        fs::write(path("other"), "b").unwrap();
        let (input, other, new) = (path("in"), path("other"), path("new"));
        refuse(&[&input], &[&other, &new]).unwrap();
        refuse(&[&input, &input], &[]).unwrap();
        // What isn't there is reported by the one who opens it.
        refuse(&[&new], &[&new]).unwrap();
        let (again, newer) = (path("./in"), folder.path().join(".").join("new"));
        let cases: [(&[&Path], &[&Path], &str); 4] = [
            (&[&input], &[&input], "is the input"),
            (&[&other, &input], &[&new, &again], "is the input"),
            (&[], &[&other, &other], "two outputs"),
            (&[], &[&new, &newer], "two outputs"),
        ];
        for (inputs, outputs, said) in cases {
            let error = refuse(inputs, outputs).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.to_string().contains(said) && error.hint().is_some(), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_seen_through_and_devices_are_no_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("in"), "a").unwrap();
        fs::hard_link(path("in"), path("hard")).unwrap();
        std::os::unix::fs::symlink(path("in"), path("soft")).unwrap();
        for name in ["hard", "soft"] {
            assert!(refuse(&[&path("in")], &[&path(name)]).is_err(), "{name}");
        }
        let null = Path::new("/dev/null");
        refuse(&[null], &[null, null]).unwrap();
    }
}

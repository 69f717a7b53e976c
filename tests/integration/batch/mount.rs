//! A command with a small or read-only file system of its own at its output.

use std::path::Path;
use std::process::{Command, Output};

/// Runs `command` in `folder` after the shell's `mount`, and `after` it before the mount ends with the process; `None`
/// where this machine allows no mounts.
pub(super) fn run(command: &Command, folder: &Path, mount: &str, after: &str) -> Option<Output> {
    let script = format!("{mount} && touch mounted && \"$@\"; code=$?; {after}; exit $code");
    let mut wrapped = Command::new("unshare");
    wrapped
        .args(["--map-root-user", "--mount", "sh", "-c", &script, "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(folder);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    let output = wrapped.output();
    let mounted = folder.join("mounted").exists();
    if !mounted {
        eprintln!("left out: this machine does not let the test mount a file system");
    }
    output.ok().filter(|_| mounted)
}

//! How the command ends: the one table of exit codes, and the one place that prints errors.

use std::io::Write;
use std::process::ExitCode;

use tarjim::{Error, ErrorKind, Result};

/// The part of `--help` on exit codes.
pub(crate) const HELP: &str = "\
Exit codes: 0 ok, 1 some records carry an error, 64 usage, 65 bad data, 66 no input, 69 model not to be had, \
70 bug, 74 I/O, 75 stopped: run again. A closed output pipe ends the command quietly with 0.";

/// How a command that did its work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything went well.
    Done,
    /// All records were answered, some of them with an error.
    SomeRecordsFailed,
}

/// The exit code of an error.
pub(crate) fn code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Usage => 64,
        ErrorKind::InvalidInput => 65,
        ErrorKind::NoInput => 66,
        ErrorKind::Model => 69,
        ErrorKind::Io => 74,
        ErrorKind::Interrupted => 75,
        _ => 70,
    }
}

/// Turns a command's result into the exit code and prints its error, if there is one.
pub(crate) fn report(outcome: Result<Outcome>) -> ExitCode {
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::SomeRecordsFailed) => ExitCode::from(1),
        // The reader of our output went away (`tarjim … | head`): that is its right, not an error.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            print(&error);
            ExitCode::from(code(error.kind()))
        }
    }
}

/// Prints clap's own message: help and version to stdout, mistakes to stderr.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let failed = error.use_stderr();
    // Where even this cannot be printed there is nobody left to tell.
    let _ = error.print();
    if failed { ExitCode::from(code(ErrorKind::Usage)) } else { ExitCode::SUCCESS }
}

fn print(error: &Error) {
    let mut stderr = anstream::stderr().lock();
    let (red, cyan, reset) = ("\x1b[1;31m", "\x1b[1;36m", "\x1b[0m");
    let _ = writeln!(stderr, "{red}error{reset}: {error}");
    if let Some(hint) = error.hint() {
        let _ = writeln!(stderr, "\n{cyan}hint{reset}: {hint}");
    }
}

fn is_broken_pipe(error: &Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(io) = current.downcast_ref::<std::io::Error>() {
            return io.kind() == std::io::ErrorKind::BrokenPipe;
        }
        cause = current.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_pipe_is_found_below_other_causes() {
        let error = Error::io("stdout", std::io::ErrorKind::BrokenPipe.into());
        assert!(is_broken_pipe(&Error::new(ErrorKind::Io, "writing failed").with_source(error)));
        assert!(!is_broken_pipe(&Error::io("stdout", std::io::ErrorKind::NotFound.into())));
    }
}

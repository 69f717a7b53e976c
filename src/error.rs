//! The one error type: what went wrong, of which kind, where, and what to try next.

use std::fmt;

/// A [`Result`](std::result::Result) whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of thing went wrong; decides the command's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The call contradicts itself or asks for something that does not exist.
    Usage,
    /// The input is there but is not what it should be: not UTF-8, not JSON, the wrong number of lines.
    InvalidInput,
    /// The input is not there or cannot be opened.
    NoInput,
    /// The model cannot be had: not found, not fetched, corrupt, or of an unknown architecture.
    Model,
    /// Reading or writing failed half-way.
    Io,
    /// Work was stopped before its end and can be taken up again.
    Interrupted,
    /// A promise inside tarjim was broken: always a bug.
    Internal,
}

impl ErrorKind {
    /// The kind's name in records and logs, for example `invalid-input`.
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::Usage => "usage",
            ErrorKind::InvalidInput => "invalid-input",
            ErrorKind::NoInput => "no-input",
            ErrorKind::Model => "model",
            ErrorKind::Io => "io",
            ErrorKind::Interrupted => "interrupted",
            ErrorKind::Internal => "internal",
        }
    }
}

/// An error with a kind, a message that names the place, perhaps a hint, perhaps a cause.
///
/// ```
/// use tarjim::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Model, "`model.safetensors` ends after 12 bytes")
///     .with_hint("fetch the model again");
/// assert_eq!(error.kind(), ErrorKind::Model);
/// assert_eq!(error.hint(), Some("fetch the model again"));
/// assert_eq!(error.to_string(), "`model.safetensors` ends after 12 bytes");
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; the message starts in lower case and has no full stop.
    #[cold]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner { kind, message: message.into(), hint: None, source: None }))
    }

    /// An I/O failure on something with a name, of kind [`ErrorKind::NoInput`] where that thing isn't there.
    #[cold]
    pub fn io(what: impl fmt::Display, source: std::io::Error) -> Self {
        let kind = match source.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::IsADirectory => {
                ErrorKind::NoInput
            }
            _ => ErrorKind::Io,
        };
        Error::new(kind, format!("{what}: {source}")).with_source(source)
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same kind, message and hint without the cause, which cannot be copied.
    #[must_use]
    pub fn without_source(&self) -> Self {
        let Inner { kind, message, hint, .. } = &*self.0;
        Error(Box::new(Inner { kind: *kind, message: message.clone(), hint: hint.clone(), source: None }))
    }

    /// Puts a place (a file, a line, a record) in front of the message.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.0.message = format!("{place}: {}", self.0.message);
        self
    }

    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What the user can do about it, if tarjim knows.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.0.message)?;
        if let Some(hint) = &self.0.hint {
            write!(f, " (hint: {hint})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<candle_core::Error> for Error {
    fn from(source: candle_core::Error) -> Self {
        Error::new(ErrorKind::Internal, format!("tensor operation failed: {source}")).with_source(source)
    }
}

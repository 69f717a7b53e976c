//! Where a command writes: standard output, or files that the user names.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use tarjim::format::{self, Format, Record, RecordWriter, WriteOptions};
use tarjim::translation::Document;
use tarjim::{Error, ErrorKind, Result};

/// A file that the user named.
///
/// Its reader may go away as standard output's may (it can be a named pipe), but then nobody has the output the user
/// asked for: that is a failure, where `tarjim … | head` is none.
#[derive(Debug)]
pub(super) struct OutputFile(File);

/// Records in one of the formats; errors of writing them name the output.
pub(super) struct Records {
    name: String,
    writer: Box<dyn RecordWriter>,
}

impl Records {
    /// Opens what `path` names, as [`sink`] does.
    pub(super) fn create(format: Format, path: Option<&Path>, options: &WriteOptions) -> Result<Self> {
        Ok(Records { name: name(path), writer: format::writer(format, sink(path)?, options)? })
    }

    pub(super) fn write(&mut self, record: &Record, outcome: Result<&Document, &Error>) -> Result<()> {
        self.writer.write(record, outcome).map_err(|error| error.at(&self.name))
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        self.writer.flush().map_err(|error| error.at(&self.name))
    }

    pub(super) fn finish(&mut self) -> Result<()> {
        self.writer.finish().map_err(|error| error.at(&self.name))
    }
}

/// Standard output for `-` or no path, else the file.
pub(super) fn sink(path: Option<&Path>) -> Result<Box<dyn Write>> {
    Ok(match path {
        Some(path) if path != Path::new("-") => Box::new(create(path)?),
        _ => Box::new(io::stdout().lock()),
    })
}

/// Creates a file, or empties it.
///
/// # Errors
/// It can't be: of kind [`ErrorKind::Io`] whatever the reason, for what is missing is no input. `-` is no file.
pub(super) fn create(path: &Path) -> Result<OutputFile> {
    if path == Path::new("-") {
        let message = "`-` is standard output, where the translation goes";
        return Err(Error::new(ErrorKind::Usage, message).with_hint("name a file"));
    }
    File::create(path).map(OutputFile).map_err(|error| failed(path, error))
}

/// Writing a named file failed.
pub(super) fn failed(path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("{}: {error}", path.display())).with_source(error)
}

/// An output's name in messages.
pub(super) fn name(output: Option<&Path>) -> String {
    match output {
        Some(path) if path != Path::new("-") => path.display().to_string(),
        _ => "standard output".to_owned(),
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => io::Error::other("its reader went away"),
            _ => error,
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

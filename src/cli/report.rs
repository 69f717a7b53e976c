//! The HTML report of a command: its file and what goes into it.

use std::io::Write;
use std::path::{Path, PathBuf};

use tarjim::Result;
use tarjim::report::{ReportOptions, render};
use tarjim::translation::Document;

use super::output::{self, OutputFile};

/// A report in the making.
pub(super) struct Report {
    path: PathBuf,
    file: OutputFile,
    /// The whole text.
    pub(super) document: Document,
    /// Records that have no translation.
    pub(super) failed: usize,
}

impl Report {
    /// Creates the file, if one is asked for: before the work, so that a path that can't be written costs none.
    pub(super) fn create(path: Option<&Path>) -> Result<Option<Self>> {
        let Some(path) = path else { return Ok(None) };
        let file = output::create(path)?;
        Ok(Some(Report { path: path.to_owned(), file, document: Document::default(), failed: 0 }))
    }

    /// Writes the page.
    pub(super) fn finish(mut self, title: &str, model: &str) -> Result<()> {
        let page = render(&self.document, &ReportOptions { title, model, failed: self.failed });
        self.file.write_all(page.as_bytes()).map_err(|error| output::failed(&self.path, error))
    }
}

//! The alignment file beside a translation: one line for each sentence.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use tarjim::Result;
use tarjim::alignment::{LinkForm, Matrix, marian, pharaoh};
use tarjim::translation::{Document, Sentence};

use crate::cli::output::{self, OutputFile};

/// What links count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Units {
    /// The words that JSONL lists.
    Words,
    /// The pieces of the model's vocabulary.
    Pieces,
}

/// Writes the links of sentences.
pub(super) struct LinkWriter {
    path: PathBuf,
    output: BufWriter<OutputFile>,
    form: LinkForm,
    units: Units,
}

impl LinkWriter {
    /// Creates the file.
    pub(super) fn create(path: &Path, form: Option<LinkForm>, units: Units) -> Result<Self> {
        let output = BufWriter::new(output::create(path)?);
        Ok(LinkWriter { path: path.to_owned(), output, form: form.unwrap_or_default(), units })
    }

    /// Writes a line for each sentence; `one_line` where the document is a line of its file and must be one here too.
    pub(super) fn write(&mut self, document: &Document, one_line: bool) -> Result<()> {
        let lines = document.sentences.iter().map(|sentence| self.line(sentence)).collect::<Result<Vec<_>>>()?;
        let text = match lines.as_slice() {
            [] if one_line => "\n".to_owned(),
            lines => lines.iter().fold(String::new(), |text, line| text + line + "\n"),
        };
        self.output.write_all(text.as_bytes()).map_err(|error| output::failed(&self.path, error))
    }

    /// Hands what was written to the system.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.output.flush().map_err(|error| output::failed(&self.path, error))
    }

    fn line(&self, sentence: &Sentence) -> Result<String> {
        let of_pieces = match (self.units, &sentence.pieces) {
            (Units::Pieces, Some(pieces)) => Some(Matrix::of_pieces(pieces)?),
            _ => None,
        };
        Ok(match (self.form, &of_pieces) {
            (LinkForm::Soft, matrix) => marian::print_soft(matrix.as_ref().unwrap_or(&sentence.matrix)),
            (form, Some(matrix)) => pharaoh::print(&matrix.links(form)),
            (_, None) => pharaoh::print(&sentence.alignment.links),
        })
    }
}

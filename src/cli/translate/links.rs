//! The alignment file beside a translation: one line for each sentence.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use tarjim::alignment::{LinkForm, Matrix, marian, pharaoh};
use tarjim::translation::{Document, Sentence};
use tarjim::{Error, Result};

/// What links count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Units {
    /// The words that JSONL lists.
    Words,
    /// The pieces of the model's vocabulary.
    Pieces,
}

/// Writes the links of sentences.
pub(super) struct LinkWriter {
    path: PathBuf,
    output: BufWriter<File>,
    form: LinkForm,
    units: Units,
}

impl LinkWriter {
    /// Creates the file.
    pub(super) fn create(path: &Path, form: Option<LinkForm>, units: Units) -> Result<Self> {
        let file = File::create(path).map_err(|error| Error::io(path.display(), error))?;
        Ok(LinkWriter { path: path.to_owned(), output: BufWriter::new(file), form: form.unwrap_or_default(), units })
    }

    /// Writes a line for each sentence; `one_line` where the document is a line of its file and must be one here too.
    pub(super) fn write(&mut self, document: &Document, one_line: bool) -> Result<()> {
        let lines = document.sentences.iter().map(|sentence| self.line(sentence)).collect::<Result<Vec<_>>>()?;
        let text = match lines.as_slice() {
            [] if one_line => "\n".to_owned(),
            lines => lines.iter().fold(String::new(), |text, line| text + line + "\n"),
        };
        self.output.write_all(text.as_bytes()).map_err(|error| Error::io(self.path.display(), error))
    }

    /// Hands what was written to the system.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.output.flush().map_err(|error| Error::io(self.path.display(), error))
    }

    fn line(&self, sentence: &Sentence) -> Result<String> {
        let Some(pieces) = &sentence.pieces else { return Ok(pharaoh::print(&sentence.alignment.links)) };
        let matrix = match self.units {
            Units::Words => Matrix::of_words(pieces, &sentence.source_words, &sentence.target_words)?,
            Units::Pieces => Matrix::of_pieces(pieces)?,
        };
        Ok(match self.form {
            LinkForm::Soft => marian::print_soft(&matrix),
            form => pharaoh::print(&matrix.links(form)),
        })
    }
}

//! The table of known models.
//!
//! It is `models/registry.toml`, compiled in: where a model lies on the hub, which revision is meant, what its files
//! must hash to, how it is decoded and which attention head knows its word links.
//!
//! ```
//! use tarjim::registry::Registry;
//!
//! let entry = Registry::builtin().find("opus-mt-ar-en").expect("a known model");
//! assert_eq!(entry.repo.as_deref(), Some("Helsinki-NLP/opus-mt-ar-en"));
//! assert_eq!(entry.licence, "Apache-2.0");
//! ```

use std::sync::OnceLock;

use serde::Deserialize;

use crate::error::{Error, ErrorKind, Result};
use crate::model::MarianConfig;

/// The name of the model that is compiled into the command.
pub const DEFAULT_MODEL: &str = "tarjim-ar-en";

/// Known models in the order they are listed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// All entries.
    #[serde(rename = "model", default)]
    pub models: Vec<Entry>,
}

/// One known model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Entry {
    /// What the user types.
    pub name: String,
    /// One line about it.
    pub summary: String,
    /// Hub id `org/name`; `None` for the embedded model.
    pub repo: Option<String>,
    /// Branch, reference or commit of the repo; a commit is a pin. `main` where nothing is said.
    pub revision: Option<String>,
    /// Source and target language.
    pub languages: [String; 2],
    /// SPDX expression of the weights' licence.
    pub licence: String,
    /// The files needed beside the weights.
    #[serde(default)]
    pub files: Vec<File>,
    /// The same weights in several files or revisions, first choice first.
    #[serde(default)]
    pub weights: Vec<File>,
    /// Published scores.
    #[serde(default)]
    pub quality: Vec<Quality>,
    /// Decoding defaults where the model's own files say nothing.
    #[serde(default)]
    pub decoding: Decoding,
    /// The head that was trained on word links, where one was and the model's own files don't say so.
    pub alignment: Option<AlignmentHead>,
}

/// A file of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its name in the repo.
    pub name: String,
    /// The revision it lies in, where that is not the entry's.
    pub revision: Option<String>,
    /// Size in bytes.
    pub size: Option<u64>,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: Option<String>,
    /// Whether the model works without it.
    #[serde(default)]
    pub optional: bool,
}

/// A published score.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// The test set.
    pub set: String,
    /// The metric, for example `BLEU`.
    pub metric: String,
    /// Its value on the metric's usual scale.
    pub score: f64,
    /// Who published it.
    pub by: String,
}

/// Decoding defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Decoding {
    /// Hypotheses kept at each step.
    pub beam_size: Option<usize>,
    /// Exponent of the length the score is divided by.
    pub length_penalty: Option<f32>,
    /// Most target pieces.
    pub max_length: Option<usize>,
}

/// The attention head that was trained on word links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlignmentHead {
    /// Decoder layer, from 0.
    pub layer: usize,
    /// Head of its cross-attention, from 0.
    pub head: usize,
}

impl Registry {
    /// The table compiled into the crate.
    #[expect(clippy::missing_panics_doc, reason = "a test parses the very table")]
    pub fn builtin() -> &'static Registry {
        static BUILTIN: OnceLock<Registry> = OnceLock::new();
        BUILTIN.get_or_init(|| {
            Registry::parse(include_str!("../models/registry.toml")).expect("models/registry.toml is well formed")
        })
    }

    /// Reads a table in the format of `models/registry.toml`.
    ///
    /// # Errors
    /// Not TOML, an unknown or missing field, a name twice, a checksum that is none, a repo without weights.
    pub fn parse(text: &str) -> Result<Registry> {
        let invalid = |message: String| Error::new(ErrorKind::InvalidInput, message).at("model registry");
        let registry: Registry = toml::from_str(text)
            .map_err(|error| invalid(error.to_string().trim_end().to_owned()).with_source(error))?;
        for (index, entry) in registry.models.iter().enumerate() {
            let name = &entry.name;
            if registry.models[..index].iter().any(|earlier| earlier.name == *name) {
                return Err(invalid(format!("`{name}` stands twice")));
            }
            if entry.repo.is_some() && (entry.files.is_empty() || entry.weights.is_empty()) {
                return Err(invalid(format!("`{name}` has a repo but no files or no weights")));
            }
            for file in entry.files.iter().chain(&entry.weights) {
                if let Some(sha256) = &file.sha256
                    && !is_sha256(sha256)
                {
                    return Err(invalid(format!(
                        "`{name}`: the sha256 of `{}` is not 64 hexadecimal digits",
                        file.name
                    )));
                }
            }
        }
        Ok(registry)
    }

    /// The entry with this name, or whose hub id this is.
    pub fn find(&self, name_or_repo: &str) -> Option<&Entry> {
        self.models
            .iter()
            .find(|entry| entry.name == name_or_repo)
            .or_else(|| self.models.iter().find(|entry| entry.repo.as_deref() == Some(name_or_repo)))
    }
}

/// The head of a model that was trained on word links, if one was: by the table, else by the model's `config.json`.
pub fn guided_head(entry: Option<&Entry>, config: &MarianConfig) -> Option<AlignmentHead> {
    let own = config.guided_head.map(|(layer, head)| AlignmentHead { layer, head });
    entry.and_then(|entry| entry.alignment).or(own)
}

impl Entry {
    /// The revision meant where none is asked for.
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or("main")
    }

    /// What the table says about a file of the model in a revision.
    pub fn file(&self, name: &str, revision: &str) -> Option<&File> {
        self.files
            .iter()
            .chain(&self.weights)
            .find(|file| file.name == name && file.revision.as_deref().unwrap_or(self.revision()) == revision)
    }
}

pub(crate) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_table_is_well_formed() {
        let registry = Registry::builtin();
        assert_eq!(registry.models[0].name, DEFAULT_MODEL);
        assert!(registry.models[0].repo.is_none());
        let opus = registry.find("Helsinki-NLP/opus-mt-ar-en").unwrap();
        assert_eq!(opus.name, "opus-mt-ar-en");
        assert_eq!(opus.alignment, Some(AlignmentHead { layer: 5, head: 0 }));
        assert_eq!(opus.file("pytorch_model.bin", opus.revision()).unwrap().size, Some(307_640_325));
        assert!(opus.file("model.safetensors", opus.revision()).is_none());
        assert!(opus.file("model.safetensors", "refs/pr/6").is_some());
        assert!(registry.find("opus-mt-tc-big-ar-en").unwrap().alignment.is_none());
    }

    #[test]
    fn faulty_tables_are_refused_with_the_place() {
        let entry = |more: &str| {
            format!("[[model]]\nname = \"m\"\nsummary = \"s\"\nlanguages = [\"ar\", \"en\"]\nlicence = \"MIT\"\n{more}")
        };
        for (text, said) in [
            ("[[model]]\nname = 3".to_owned(), "name"),
            (entry("colour = 1"), "colour"),
            (entry("repo = \"a/b\""), "no files or no weights"),
            (entry("") + &entry(""), "`m` stands twice"),
            (entry("files = [{ name = \"config.json\", sha256 = \"12\" }]"), "`config.json`"),
        ] {
            let error = Registry::parse(&text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}

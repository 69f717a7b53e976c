//! Whose attention says which word came from which, beside the lexicon.

use std::fmt;
use std::num::NonZero;
use std::str::FromStr;

use crate::alignment::Lexicon;
use crate::alignment::forced::{ForcedDecoder, ForcedOptions};
use crate::engine::TokenId;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{EngineOptions, Heads, ModelFiles};
use crate::native::{Kernel, NativeEngine, NativeOptions};
use crate::normalizer::Normalizer;
use crate::registry::{AlignmentHead, Registry, guided_head};
use crate::vocabulary::Vocabulary;

/// Where word links come from. The lexicon has its say in all of them.
///
/// Parsed from `auto`, `default`, `model`, `shifted:LAYER` or `lexicon`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AlignerChoice {
    /// The model's own head where it says that it has one trained on word links (`alignment_heads` in `config.json`, or
    /// the registry); else as [`Default`](AlignerChoice::Default), and in a build without the default model as
    /// [`Model`](AlignerChoice::Model).
    #[default]
    Auto,
    /// A second pass: the translation is forced through the default model, whose head is trained on word links.
    Default,
    /// The model's own attention: of its trained head, or where it names none of the first head of its last layer.
    Model,
    /// Shift-Att (Chen et al. 2020): the model's own attention in a layer that was not trained to align, averaged over its
    /// heads and read one step later, where a word is the decoder's input.
    Shifted {
        /// Decoder layer, from 0.
        layer: usize,
    },
    /// No attention: the lexicon alone.
    Lexicon,
}

impl FromStr for AlignerChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let layer = text.strip_prefix("shifted:").and_then(|layer| layer.parse().ok());
        match (text, layer) {
            ("auto", _) => Ok(AlignerChoice::Auto),
            ("default", _) => Ok(AlignerChoice::Default),
            ("model", _) => Ok(AlignerChoice::Model),
            ("lexicon", _) => Ok(AlignerChoice::Lexicon),
            (_, Some(layer)) => Ok(AlignerChoice::Shifted { layer }),
            _ => Err(Error::new(
                ErrorKind::Usage,
                format!(
                    "`{text}` is no aligner: auto, default, model, lexicon, or shifted: and a decoder layer, from 0"
                ),
            )),
        }
    }
}

impl fmt::Display for AlignerChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AlignerChoice::Auto => f.write_str("auto"),
            AlignerChoice::Default => f.write_str("default"),
            AlignerChoice::Model => f.write_str("model"),
            AlignerChoice::Shifted { layer } => write!(f, "shifted:{layer}"),
            AlignerChoice::Lexicon => f.write_str("lexicon"),
        }
    }
}

/// What the choice comes to for one model.
pub(super) enum Witness {
    /// The model's own attention.
    Own {
        /// Whether it is read one step later.
        shift: bool,
    },
    /// The default model's attention in a second pass.
    Guide(Box<Guide>),
    /// Nobody's.
    None,
}

impl Witness {
    /// Who it is for the model of `files`, whose own trained head is `head`.
    ///
    /// # Errors
    /// The default model or the lexicon is asked for, and not compiled in.
    pub(super) fn choose(
        choice: AlignerChoice,
        files: &ModelFiles,
        head: Option<AlignmentHead>,
        kernel: Option<Kernel>,
    ) -> Result<Self> {
        let hint = "build with the feature `embedded-model`, or choose the aligner `model`";
        match choice {
            AlignerChoice::Auto if head.is_some() => Ok(Witness::Own { shift: false }),
            AlignerChoice::Auto | AlignerChoice::Default if files.is_embedded() => Ok(Witness::Own { shift: false }),
            AlignerChoice::Auto | AlignerChoice::Default => match ModelFiles::embedded() {
                Ok(files) => Ok(Witness::Guide(Box::new(Guide::load(&files, kernel)?))),
                Err(_) if choice == AlignerChoice::Auto => Ok(Witness::Own { shift: false }),
                Err(error) => Err(Error::new(ErrorKind::Usage, error.to_string()).with_hint(hint)),
            },
            AlignerChoice::Model => Ok(Witness::Own { shift: false }),
            AlignerChoice::Shifted { .. } => Ok(Witness::Own { shift: true }),
            AlignerChoice::Lexicon if Lexicon::builtin().is_none() => {
                Err(Error::new(ErrorKind::Usage, "this build of tarjim has no lexicon compiled in").with_hint(hint))
            }
            AlignerChoice::Lexicon => Ok(Witness::None),
        }
    }

    /// Whether the model's own attention is read one step later.
    pub(super) fn shifts(&self) -> bool {
        matches!(self, Witness::Own { shift: true })
    }

    /// The model of the second pass.
    pub(super) fn guide(&self) -> Option<&Guide> {
        match self {
            Witness::Guide(guide) => Some(guide),
            Witness::Own { .. } | Witness::None => None,
        }
    }
}

/// Which attention an engine has to report.
pub(super) fn engine_options(choice: AlignerChoice, head: Option<AlignmentHead>) -> EngineOptions {
    let (alignment_layer, alignment_heads) = match (choice, head) {
        (AlignerChoice::Shifted { layer }, _) => (Some(layer), Heads::Mean),
        (_, Some(head)) => (Some(head.layer), Heads::One(head.head)),
        (_, None) => (None, Heads::default()),
    };
    EngineOptions { alignment_layer, alignment_heads, ..EngineOptions::default() }
}

/// The default model, as far as a second pass needs it.
///
/// It runs on the native engine whatever computes the translation, since there a sentence's links have the same bits in
/// any company.
pub(super) struct Guide {
    engine: NativeEngine,
    vocabulary: Vocabulary,
    start: TokenId,
}

impl Guide {
    fn load(files: &ModelFiles, kernel: Option<Kernel>) -> Result<Self> {
        let config = files.config()?;
        let head = guided_head(Registry::builtin().find(files.name()), &config);
        let options = engine_options(AlignerChoice::Model, head);
        let native = NativeOptions { kernel, ..NativeOptions::default() };
        Ok(Guide {
            engine: NativeEngine::load(&config, &files.weights()?, &options, &native)?,
            vocabulary: super::builder::vocabulary(files, &config)?,
            start: files.generation_config()?.start,
        })
    }

    /// Forces translations through the model.
    pub(super) fn decoder<'a>(&'a self, normalizer: &'a Normalizer, threads: NonZero<usize>) -> ForcedDecoder<'a> {
        let options = ForcedOptions { threads, ..ForcedOptions::default() };
        ForcedDecoder::new(&self.engine, &self.vocabulary, normalizer, self.start, options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_parsed_as_they_are_printed() {
        for text in ["auto", "default", "model", "shifted:3", "lexicon"] {
            assert_eq!(text.parse::<AlignerChoice>().unwrap().to_string(), text);
        }
        for wrong in ["", "shifted", "shifted:", "shifted:-1", "Model"] {
            assert_eq!(wrong.parse::<AlignerChoice>().unwrap_err().kind(), ErrorKind::Usage, "{wrong}");
        }
    }
}

//! A translation model on disk or in memory: its files, its configuration and its weights.
//!
//! [`ModelFiles`] finds the files of the Helsinki-NLP layout (`config.json`, `generation_config.json`, `source.spm`,
//! `target.spm`, `vocab.json`, weights), [`MarianConfig`] and [`GenerationConfig`] are their settings, [`Weights`]
//! their tensors by name, and [`MarianWeights`] the same tensors sorted into the layers of the Marian graph, which is
//! what both engines load. Nothing read here is trusted: lengths, offsets, shapes and values are checked, and a
//! file that fails is an error that names it.

mod bytes;
mod config;
#[cfg(feature = "embedded-model")]
mod embedded;
mod fields;
mod files;
mod generation;
mod marian;
mod matrix;
mod options;
mod safetensors;
mod torch;
mod weights;

pub use config::{Activation, MarianConfig};
pub use files::ModelFiles;
pub(crate) use files::SETTINGS;
pub use generation::{EarlyStopping, GenerationConfig};
pub use marian::{
    AttentionWeights, DecoderLayerWeights, EncoderLayerWeights, LayerNormWeights, LinearWeights, MarianWeights,
};
pub use matrix::Matrix;
pub use options::{EngineOptions, Heads, Positions};
pub use weights::Weights;

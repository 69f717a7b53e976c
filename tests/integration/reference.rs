//! What `transformers` computed with the models of `scripts/make_reference.py`.

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde::Deserialize;
use tarjim::engine::TokenId;

/// A model folder with its reference outputs.
pub(crate) struct Reference {
    pub(crate) folder: PathBuf,
    pub(crate) outputs: Outputs,
    arrays: Vec<u8>,
}

/// `reference.json`: see the script.
#[derive(Deserialize)]
pub(crate) struct Outputs {
    pub(crate) sources: Vec<Vec<TokenId>>,
    pub(crate) greedy: Vec<Greedy>,
}

#[derive(Deserialize)]
pub(crate) struct Greedy {
    pub(crate) tokens: Vec<TokenId>,
    pub(crate) log_probs: Vec<f32>,
}

impl Reference {
    /// The small models kept in `tests/data`, and the 6+6 model where `make_reference.py --large` has made it.
    pub(crate) fn all() -> Vec<Reference> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut folders: Vec<PathBuf> = ["tiny-marian", "seeded-tc-big", "seeded-untied", "seeded-pre-norm"]
            .map(|name| root.join("tests/data").join(name))
            .to_vec();
        let large = root.join("tmp/reference/opus-mt-ar-en");
        if large.join("reference.json").exists() {
            folders.push(large);
        } else {
            eprintln!("left out: {} is not there; `scripts/make_reference.py --large` makes it", large.display());
        }
        folders.into_iter().map(Reference::read).collect()
    }

    pub(crate) fn tiny() -> Reference {
        Reference::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny-marian"))
    }

    fn read(folder: PathBuf) -> Reference {
        let json = std::fs::read(folder.join("reference.json")).unwrap();
        let arrays = std::fs::read(folder.join("reference.safetensors")).unwrap();
        Reference { outputs: serde_json::from_slice(&json).unwrap(), folder, arrays }
    }

    /// The rows of `encoder.I`, `logits.I` or `attention.I`.
    pub(crate) fn rows(&self, name: &str, sentence: usize) -> Vec<Vec<f32>> {
        let arrays = SafeTensors::deserialize(&self.arrays).unwrap();
        let array = arrays.tensor(&format!("{name}.{sentence}")).unwrap();
        let numbers: Vec<f32> =
            array.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        numbers.chunks(array.shape()[1]).map(<[f32]>::to_vec).collect()
    }

    pub(crate) fn sources(&self) -> Vec<&[TokenId]> {
        self.outputs.sources.iter().map(Vec::as_slice).collect()
    }
}

/// Largest difference, for numbers beyond 1 in proportion to their size.
pub(crate) fn distance(got: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(got.len(), expected.len());
    got.iter().zip(expected).map(|(got, expected)| (got - expected).abs() / expected.abs().max(1.0)).fold(0.0, f32::max)
}

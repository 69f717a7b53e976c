//! The safetensors container (<https://huggingface.co/docs/safetensors>), one file or several with an index.

use std::sync::Arc;

use safetensors::{Dtype, SafeTensors};

use super::bytes::Bytes;
use super::weights::{Number, Stored, Weights};
use crate::{Error, ErrorKind, Result};

/// Adds the tensors of one file.
pub(crate) fn read(weights: &mut Weights, name: &str, bytes: Arc<Bytes>) -> Result<()> {
    let broken = |error: safetensors::SafeTensorError| {
        Error::new(ErrorKind::Model, format!("{name}: not a whole safetensors file of {} bytes: {error}", bytes.len()))
            .with_hint("the file may have been cut short: fetch it again")
            .with_source(error)
    };
    // Reads lengths and offsets only, and checks that they tile the file.
    let (header, metadata) = SafeTensors::read_metadata(&bytes).map_err(broken)?;
    let file = weights.add_file(name, Arc::clone(&bytes));
    for (tensor, info) in metadata.tensors() {
        let number = match info.dtype {
            Dtype::F32 => Number::F32,
            Dtype::F16 => Number::F16,
            Dtype::BF16 => Number::Bf16,
            Dtype::I8 => Number::I8,
            _ => Number::Other,
        };
        let start = 8 + header + info.data_offsets.0;
        weights.add(tensor, Stored { file, number, shape: info.shape.clone(), strides: None, start })?;
    }
    Ok(())
}

/// The files a `model.safetensors.index.json` names, each once.
pub(crate) fn shards(index: &[u8]) -> Result<Vec<String>> {
    const FILE: &str = "model.safetensors.index.json";
    let wrong = |what: &str| Error::new(ErrorKind::Model, format!("{FILE}: {what}"));
    let index: serde_json::Value =
        serde_json::from_slice(index).map_err(|error| wrong(&format!("not valid JSON: {error}")).with_source(error))?;
    let map = index.get("weight_map").and_then(serde_json::Value::as_object);
    let map = map.ok_or_else(|| wrong("expected an object `weight_map`"))?;
    let mut files = Vec::new();
    for (tensor, file) in map {
        let file =
            file.as_str().ok_or_else(|| wrong(&format!("tensor `{tensor}`: expected a file name, found {file}")))?;
        // A shard lies beside its index; anything with a folder in it could reach outside the model.
        if file.contains(['/', '\\']) || file.starts_with('.') {
            return Err(wrong(&format!("tensor `{tensor}`: {file:?} is not a plain file name")));
        }
        files.push(file.to_owned());
    }
    files.sort_unstable();
    files.dedup();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use safetensors::tensor::TensorView;

    use super::*;

    fn file() -> Vec<u8> {
        let data: Vec<u8> = [1.0_f32, 2.0, 3.0, 4.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        let views = HashMap::from([
            ("a", TensorView::new(Dtype::F32, vec![2, 1], &data[..8]).unwrap()),
            ("b", TensorView::new(Dtype::F32, vec![2], &data[8..]).unwrap()),
            ("ids", TensorView::new(Dtype::I64, vec![2], &data).unwrap()),
        ]);
        safetensors::serialize(views, None).unwrap()
    }

    fn load(bytes: Vec<u8>) -> Result<Weights> {
        let mut weights = Weights::new();
        read(&mut weights, "model.safetensors", Arc::new(Bytes::Owned(bytes)))?;
        Ok(weights)
    }

    #[test]
    fn reads_tensors_by_name() {
        let weights = load(file()).unwrap();
        assert_eq!(weights.names().collect::<Vec<_>>(), ["a", "b", "ids"]);
        assert_eq!(weights.vector("b", 2).unwrap(), [3.0, 4.0]);
        let error = weights.vector("ids", 2).unwrap_err().to_string();
        assert_eq!(error, "model.safetensors: tensor `ids`: expected f32, f16 or bf16 numbers, found another kind");
    }

    #[test]
    fn every_truncation_is_an_error() {
        let whole = file();
        for length in 0..whole.len() {
            let error = load(whole[..length].to_vec()).unwrap_err().to_string();
            assert!(error.starts_with("model.safetensors: not a whole safetensors file"), "{error}");
        }
    }

    #[test]
    fn shards_stay_beside_their_index() {
        let index = br#"{"weight_map": {"a": "m-2.safetensors", "b": "m-1.safetensors", "c": "m-2.safetensors"}}"#;
        assert_eq!(shards(index).unwrap(), ["m-1.safetensors", "m-2.safetensors"]);
        assert!(shards(br#"{"weight_map": {"a": "../../etc/passwd"}}"#).is_err());
        assert!(shards(br#"{"weight_map": {"a": 3}}"#).is_err());
        assert!(shards(b"[]").is_err());
    }

    proptest! {
        #[test]
        fn damaged_files_never_panic(at in 0_usize..200, value: u8) {
            let mut bytes = file();
            let at = at % bytes.len();
            bytes[at] = value;
            if let Ok(weights) = load(bytes) {
                for name in ["a", "b"] {
                    let _ = weights.vector(name, 2);
                }
            }
        }
    }
}

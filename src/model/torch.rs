//! PyTorch checkpoints (`pytorch_model.bin`), in both containers `torch.save` has used.
//!
//! Since 2020 a checkpoint is a zip archive (`data.pkl` and one member per storage); before that it was a stream of
//! pickles with the storages behind them. Most Helsinki-NLP models were uploaded as streams and never changed. The
//! pickles are read by [`pickle`], which knows tensors and dictionaries and runs nothing.

mod pickle;

use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::sync::Arc;

use self::pickle::{Element, Heap, Reader, Storage, Tensor, Value};
use super::bytes::Bytes;
use super::weights::{Number, Stored, Weights};
use crate::{Error, ErrorKind, Result};

/// First pickle of a stream.
const STREAM_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// Second pickle of a stream.
const STREAM_VERSION: i64 = 1001;

/// Adds the tensors of a checkpoint.
pub(crate) fn read(weights: &mut Weights, name: &str, bytes: Arc<Bytes>) -> Result<()> {
    let tensors = if bytes.starts_with(b"PK\x03\x04") { read_zip(&bytes) } else { read_stream(&bytes) };
    let tensors = tensors.map_err(|error| error.at(name))?;
    if tensors.is_empty() {
        return Err(wrong("holds no tensors").at(name));
    }
    let file = weights.add_file(name, bytes);
    for (tensor, stored) in tensors {
        weights.add(tensor, Stored { file, ..stored })?;
    }
    Ok(())
}

fn wrong(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Model, what)
}

/// Where a storage's bytes lie in the file.
struct Place {
    start: usize,
    length: usize,
}

fn read_zip(bytes: &[u8]) -> Result<Vec<(String, Stored)>> {
    let broken = |error: zip::result::ZipError| {
        wrong(format!("not a whole zip archive of {} bytes: {error}", bytes.len()))
            .with_hint("the file may have been cut short: fetch it again")
            .with_source(error)
    };
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    let suffix = "/data.pkl";
    let root = archive
        .file_names()
        .flatten()
        .find_map(|name| name.strip_suffix(suffix).filter(|root| !root.contains('/')).map(str::to_owned));
    let root = root.ok_or_else(|| wrong("a zip archive without `data.pkl`: not a PyTorch checkpoint"))?;
    if let Some(index) = archive.index_for_name(&format!("{root}/byteorder")) {
        let mut order = String::new();
        archive
            .by_index(index)
            .map_err(broken)?
            .take(16)
            .read_to_string(&mut order)
            .map_err(|error| Error::io("byteorder", error))?;
        if order != "little" {
            return Err(wrong(format!("byte order {order:?}: expected \"little\"")));
        }
    }
    let mut place = |member: &str| -> Result<Place> {
        let index = archive.index_for_name(member).ok_or_else(|| wrong(format!("member `{member}` is missing")))?;
        // Opening it raw reads its local header, which is where the data's offset stands.
        let file = archive.by_index_raw(index).map_err(broken)?;
        if file.compression() != zip::CompressionMethod::Stored {
            return Err(wrong(format!(
                "member `{member}` is compressed: expected it stored, as `torch.save` writes it"
            )));
        }
        let start = file.data_start().ok_or_else(|| wrong(format!("member `{member}` has no data")))? as usize;
        let length = file.size() as usize;
        if start.checked_add(length).is_none_or(|end| end > bytes.len()) {
            return Err(wrong(format!("member `{member}` reaches beyond the end of the file")));
        }
        Ok(Place { start, length })
    };
    let pickled = place(&format!("{root}{suffix}"))?;
    let mut heap = Heap::default();
    let mut reader = Reader::new(&bytes[pickled.start..pickled.start + pickled.length]);
    let top = reader.read(&mut heap)?;
    let mut places = HashMap::new();
    let mut stored = Vec::new();
    for (name, tensor) in tensors(&heap, top)? {
        let key = &tensor.storage.key;
        if !places.contains_key(key) {
            places.insert(key.clone(), place(&format!("{root}/data/{key}"))?);
        }
        stored.push((name.clone(), locate(&name, &tensor, &places[key])?));
    }
    Ok(stored)
}

fn read_stream(bytes: &[u8]) -> Result<Vec<(String, Stored)>> {
    let mut reader = Reader::new(bytes);
    let mut heap = Heap::default();
    let not_one = || wrong("neither a zip archive nor a stream of pickles: not a PyTorch checkpoint");
    let magic = reader.read(&mut heap).map_err(|error| not_one().with_source(error))?;
    if !matches!(heap.get(magic), Value::Long(digits) if digits.as_slice() == STREAM_MAGIC) {
        return Err(not_one());
    }
    let version = reader.read(&mut heap)?;
    if !matches!(heap.get(version), Value::Int(STREAM_VERSION)) {
        return Err(wrong(format!("checkpoint version {:?}: expected {STREAM_VERSION}", heap.get(version))));
    }
    let system = reader.read(&mut heap)?;
    if let Value::Dict(entries) = heap.get(system) {
        let little = entries.iter().find(|(key, _)| heap.text(*key) == Some("little_endian"));
        if little.is_some_and(|(_, value)| matches!(heap.get(*value), Value::Bool(false))) {
            return Err(wrong("big-endian numbers: expected little-endian"));
        }
    }
    let top = reader.read(&mut heap)?;
    let keys = reader.read(&mut heap)?;
    let Value::List(keys) = heap.get(keys) else {
        return Err(wrong("expected a list of storage keys behind the tensors"));
    };
    let tensors = tensors(&heap, top)?;
    let widths: HashMap<&str, usize> =
        heap.storages().map(|storage| (storage.key.as_str(), storage.element.width())).collect();
    let mut places = HashMap::new();
    let mut at = reader.position();
    for key in keys {
        let key = heap.text(*key).ok_or_else(|| wrong("a storage key is not a string"))?;
        let width = *widths.get(key).ok_or_else(|| wrong(format!("storage `{key}` belongs to no tensor")))?;
        let cut = || {
            wrong(format!("ends after {} bytes, inside storage `{key}`", bytes.len())).with_hint("fetch the file again")
        };
        let count = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>).ok_or_else(cut)?;
        let count = usize::try_from(i64::from_le_bytes(*count))
            .map_err(|_| wrong(format!("storage `{key}` has a negative length")))?;
        let start = at + 8;
        let length = count.checked_mul(width).ok_or_else(cut)?;
        at = start.checked_add(length).filter(|end| *end <= bytes.len()).ok_or_else(cut)?;
        places.insert(key.to_owned(), Place { start, length });
    }
    let mut stored = Vec::new();
    for (name, tensor) in tensors {
        let key = &tensor.storage.key;
        let place = places.get(key).ok_or_else(|| wrong(format!("tensor `{name}`: storage `{key}` is missing")))?;
        stored.push((name.clone(), locate(&name, &tensor, place)?));
    }
    Ok(stored)
}

/// The tensors of a state dictionary; entries that are something else are left out.
fn tensors(heap: &Heap, top: pickle::Id) -> Result<Vec<(String, Tensor)>> {
    let Value::Dict(entries) = heap.get(top) else {
        return Err(wrong("expected a dictionary of tensors"));
    };
    let mut tensors = Vec::new();
    for (name, value) in entries {
        if let (Some(name), Value::Tensor(tensor)) = (heap.text(*name), heap.get(*value)) {
            tensors.push((name.to_owned(), tensor.clone()));
        }
    }
    Ok(tensors)
}

/// Turns offsets within a storage into offsets within the file.
fn locate(name: &str, tensor: &Tensor, place: &Place) -> Result<Stored> {
    let Storage { key, element, view, .. } = &tensor.storage;
    let width = element.width();
    let outside = || wrong(format!("tensor `{name}` reaches beyond storage `{key}` of {} bytes", place.length));
    let offset = tensor.offset.checked_add(view.map_or(0, |view| view.0)).ok_or_else(outside)?;
    let mut last = offset;
    if tensor.shape.len() != tensor.strides.len() {
        return Err(wrong(format!(
            "tensor `{name}` has {} sizes and {} strides",
            tensor.shape.len(),
            tensor.strides.len()
        )));
    }
    for (size, stride) in tensor.shape.iter().zip(&tensor.strides) {
        let Some(steps) = size.checked_sub(1) else { continue };
        last = steps.checked_mul(*stride).and_then(|steps| last.checked_add(steps)).ok_or_else(outside)?;
    }
    let empty = tensor.shape.contains(&0);
    let end = last.checked_add(1).and_then(|count| count.checked_mul(width)).ok_or_else(outside)?;
    if !empty && end > place.length {
        return Err(outside());
    }
    let number = match element {
        Element::Float => Number::F32,
        Element::Half => Number::F16,
        Element::BFloat16 => Number::Bf16,
        Element::Char => Number::I8,
        Element::Other(_) => Number::Other,
    };
    let mut dense = 1;
    let contiguous = tensor.shape.iter().zip(&tensor.strides).rev().all(|(size, stride)| {
        let fits = *size == 1 || *stride == dense;
        dense *= (*size).max(1);
        fits
    });
    Ok(Stored {
        file: 0,
        number,
        shape: tensor.shape.clone(),
        strides: (!contiguous && !empty).then(|| tensor.strides.clone()),
        start: if empty { place.start } else { place.start + offset * width },
    })
}

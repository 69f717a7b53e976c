//! A model's tensors by name, checked as they are asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use half::{bf16, f16};

use super::bytes::Bytes;
use super::matrix::Matrix;
use crate::{Error, ErrorKind, Result};

/// How a tensor's numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    F32,
    F16,
    Bf16,
    I8,
    /// Anything else: listed, but never read.
    Other,
}

impl Number {
    fn size(self) -> usize {
        match self {
            Number::F32 => 4,
            Number::F16 | Number::Bf16 => 2,
            Number::I8 => 1,
            Number::Other => 0,
        }
    }
}

/// Where a tensor lies. Whoever makes one has checked that the bytes exist in the file.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) file: usize,
    pub(crate) number: Number,
    pub(crate) shape: Vec<usize>,
    /// Steps between neighbours in each dimension, in elements; `None` is row-major without gaps.
    pub(crate) strides: Option<Vec<usize>>,
    /// First byte of the first element.
    pub(crate) start: usize,
}

/// The tensors of a model, by name.
///
/// Files stay mapped; a tensor is converted to f32 when it is asked for, and checked then: it must exist, have the
/// shape the configuration implies and hold finite numbers only. An int8 matrix `NAME` has its scales, one per row,
/// in a vector `NAME_scale`.
pub struct Weights {
    files: Vec<(String, Arc<Bytes>)>,
    tensors: BTreeMap<String, Stored>,
}

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Weights({} tensors in {} files)", self.tensors.len(), self.files.len())
    }
}

impl Weights {
    pub(crate) fn new() -> Self {
        Weights { files: Vec::new(), tensors: BTreeMap::new() }
    }

    /// Adds a file; the result is what [`Stored::file`] names.
    pub(crate) fn add_file(&mut self, name: &str, bytes: Arc<Bytes>) -> usize {
        self.files.push((name.to_owned(), bytes));
        self.files.len() - 1
    }

    /// Adds a tensor.
    ///
    /// # Errors
    /// There is one of that name, or its elements do not all lie inside its file.
    pub(crate) fn add(&mut self, name: String, stored: Stored) -> Result<()> {
        let (file, bytes) = &self.files[stored.file];
        let wrong = |what: String| Error::new(ErrorKind::Model, format!("{file}: tensor `{name}` {what}"));
        let count = stored.shape.iter().try_fold(1_usize, |count, size| count.checked_mul(*size));
        let last = match (count, &stored.strides) {
            (None, _) => None,
            (Some(0), _) => Some(0),
            (Some(count), None) => Some(count),
            (Some(_), Some(strides)) => stored
                .shape
                .iter()
                .zip(strides)
                .try_fold(1_usize, |last, (size, stride)| last.checked_add((size - 1).checked_mul(*stride)?)),
        };
        let end = last
            .and_then(|elements| elements.checked_mul(stored.number.size()))
            .and_then(|length| length.checked_add(stored.start));
        if end.is_none_or(|end| end > bytes.len()) {
            let (shape, length) = (&stored.shape, bytes.len());
            return Err(wrong(format!("of shape {shape:?} does not fit into the file's {length} bytes")));
        }
        if self.tensors.contains_key(&name) {
            return Err(wrong("occurs twice".to_owned()));
        }
        self.tensors.insert(name, stored);
        Ok(())
    }

    /// Gives back the memory of what was read of mapped files. For whoever makes copies of the parts of a model, one
    /// after the other: the file and its copies need not be in memory together.
    pub(crate) fn release(&self) {
        for (_, bytes) in &self.files {
            bytes.release();
        }
    }

    /// The tensors' names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// A tensor's shape.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|stored| stored.shape.as_slice())
    }

    /// A tensor of `length` numbers. Dimensions of size 1 do not count: `[1, length]` is a vector too.
    ///
    /// # Errors
    /// The tensor is missing, has another shape, is not made of floats, or holds a number that is not finite.
    pub fn vector(&self, name: &str, length: usize) -> Result<Vec<f32>> {
        let stored = self.stored(name, &[length])?;
        self.floats(name, stored).map(Cow::into_owned)
    }

    /// A matrix `[rows, cols]`.
    ///
    /// # Errors
    /// As [`vector`](Weights::vector); an int8 matrix without a vector of scales, too.
    pub fn matrix(&self, name: &str, rows: usize, cols: usize) -> Result<Matrix<'_>> {
        let stored = self.stored(name, &[rows, cols])?;
        if stored.number != Number::I8 {
            let data = self.floats(name, stored)?;
            self.files[stored.file].1.release(); // the check has read all of it
            return Ok(Matrix::F32 { rows, cols, data });
        }
        let bytes = self.elements(stored);
        let data = match bytes {
            Cow::Borrowed(bytes) => Cow::Borrowed(bytemuck::cast_slice(bytes)),
            Cow::Owned(bytes) => Cow::Owned(bytes.into_iter().map(|byte| byte as i8).collect()),
        };
        let scales = self.vector(&format!("{name}_scale"), rows)?;
        Ok(Matrix::Int8 { rows, cols, data, scales })
    }

    fn stored(&self, name: &str, expected: &[usize]) -> Result<&Stored> {
        let Some(stored) = self.tensors.get(name) else {
            let files: Vec<&str> = self.files.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Error::new(ErrorKind::Model, format!("{}: tensor `{name}` is missing", files.join(", "))));
        };
        let essential = |shape: &[usize]| shape.iter().copied().filter(|size| *size != 1).collect::<Vec<_>>();
        if stored.shape != expected && essential(&stored.shape) != essential(expected) {
            let what = format!("expected shape {expected:?}, found {:?}", stored.shape);
            return Err(self.wrong(name, stored, &what));
        }
        Ok(stored)
    }

    #[cold]
    fn wrong(&self, name: &str, stored: &Stored, what: &str) -> Error {
        Error::new(ErrorKind::Model, format!("{}: tensor `{name}`: {what}", self.files[stored.file].0))
    }

    /// The tensor's bytes, row-major without gaps.
    fn elements(&self, stored: &Stored) -> Cow<'_, [u8]> {
        let size = stored.number.size();
        let count: usize = stored.shape.iter().product();
        let bytes = &self.files[stored.file].1[stored.start.min(self.files[stored.file].1.len())..];
        let Some(strides) = stored.strides.as_ref().filter(|_| count > 0) else {
            return Cow::Borrowed(&bytes[..count * size]);
        };
        let mut gathered = Vec::with_capacity(count * size);
        let mut index = vec![0; stored.shape.len()];
        for _ in 0..count {
            let at: usize = index.iter().zip(strides).map(|(i, stride)| i * stride).sum();
            gathered.extend_from_slice(&bytes[at * size..(at + 1) * size]);
            for (i, size) in index.iter_mut().zip(&stored.shape).rev() {
                *i += 1;
                if *i < *size {
                    break;
                }
                *i = 0;
            }
        }
        Cow::Owned(gathered)
    }

    fn floats(&self, name: &str, stored: &Stored) -> Result<Cow<'_, [f32]>> {
        let bytes = self.elements(stored);
        let four = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let floats: Cow<'_, [f32]> = match stored.number {
            Number::F32 => match bytes {
                #[cfg(target_endian = "little")]
                Cow::Borrowed(bytes) if bytemuck::try_cast_slice::<u8, f32>(bytes).is_ok() => {
                    Cow::Borrowed(bytemuck::cast_slice(bytes))
                }
                bytes => Cow::Owned(bytes.chunks_exact(4).map(four).collect()),
            },
            Number::F16 => bytes.chunks_exact(2).map(|pair| f16::from_le_bytes([pair[0], pair[1]]).to_f32()).collect(),
            Number::Bf16 => {
                bytes.chunks_exact(2).map(|pair| bf16::from_le_bytes([pair[0], pair[1]]).to_f32()).collect()
            }
            Number::I8 | Number::Other => {
                return Err(self.wrong(name, stored, "expected f32, f16 or bf16 numbers, found another kind"));
            }
        };
        if let Some(at) = floats.iter().position(|number| !number.is_finite()) {
            return Err(self.wrong(name, stored, &format!("element {at} is {}, not a finite number", floats[at])));
        }
        Ok(floats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(
        number: Number,
        shape: &[usize],
        strides: Option<&[usize]>,
        start: usize,
        bytes: Vec<u8>,
    ) -> Result<Weights> {
        let mut weights = Weights::new();
        let file = weights.add_file("test", Arc::new(Bytes::Owned(bytes)));
        let strides = strides.map(<[usize]>::to_vec);
        weights.add("w".to_owned(), Stored { file, number, shape: shape.to_vec(), strides, start })?;
        Ok(weights)
    }

    fn f32_bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn reads_every_float_format() {
        let halves = [f16::from_f32(0.5), f16::from_f32(-2.0)].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(one(Number::F16, &[2], None, 0, halves).unwrap().vector("w", 2).unwrap(), [0.5, -2.0]);
        let brains = [bf16::from_f32(0.5), bf16::from_f32(-2.0)].iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(one(Number::Bf16, &[1, 2], None, 0, brains).unwrap().vector("w", 2).unwrap(), [0.5, -2.0]);
        // An odd offset cannot be borrowed as f32 and is copied.
        let mut bytes = vec![0];
        bytes.extend(f32_bytes(&[1.0, 2.0]));
        assert_eq!(one(Number::F32, &[2], None, 1, bytes).unwrap().vector("w", 2).unwrap(), [1.0, 2.0]);
    }

    #[test]
    fn strided_tensors_are_gathered() {
        let weights =
            one(Number::F32, &[2, 3], Some(&[1, 2]), 4, f32_bytes(&[9.0, 1.0, 4.0, 2.0, 5.0, 3.0, 6.0])).unwrap();
        assert_eq!(*weights.matrix("w", 2, 3).unwrap().to_f32(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        // Stride 0 repeats.
        let weights = one(Number::F32, &[2, 2], Some(&[0, 1]), 0, f32_bytes(&[1.0, 2.0])).unwrap();
        assert_eq!(*weights.matrix("w", 2, 2).unwrap().to_f32(), [1.0, 2.0, 1.0, 2.0]);
    }

    #[test]
    fn tensors_outside_the_file_are_refused() {
        for (shape, strides, start) in [
            (vec![3], None, 0),
            (vec![2], None, 4),
            (vec![2], None, usize::MAX - 3),
            (vec![usize::MAX, 2], None, 0),
            (vec![2, 2], Some(vec![2, 1]), 0),
            (vec![2], Some(vec![usize::MAX]), 0),
        ] {
            let error = one(Number::F32, &shape, strides.as_deref(), start, f32_bytes(&[1.0, 2.0])).unwrap_err();
            assert!(error.to_string().contains("does not fit into the file's 8 bytes"), "{error}");
        }
    }

    #[test]
    fn wrong_shapes_and_values_name_the_tensor() {
        let weights = one(Number::F32, &[2], None, 0, f32_bytes(&[1.0, f32::NAN])).unwrap();
        assert_eq!(weights.vector("w", 3).unwrap_err().to_string(), "test: tensor `w`: expected shape [3], found [2]");
        assert_eq!(weights.vector("x", 2).unwrap_err().to_string(), "test: tensor `x` is missing");
        assert!(weights.vector("w", 2).unwrap_err().to_string().contains("element 1 is NaN"));
    }

    #[test]
    fn int8_rows_have_scales() {
        let mut weights = one(Number::I8, &[2, 2], None, 0, vec![1, 255, 127, 128]).unwrap();
        assert_eq!(weights.matrix("w", 2, 2).unwrap_err().to_string(), "test: tensor `w_scale` is missing");
        let file = weights.add_file("scales", Arc::new(Bytes::Owned(f32_bytes(&[0.5, 2.0]))));
        let scale = Stored { file, number: Number::F32, shape: vec![2, 1], strides: None, start: 0 };
        weights.add("w_scale".to_owned(), scale).unwrap();
        assert_eq!(*weights.matrix("w", 2, 2).unwrap().to_f32(), [0.5, -0.5, 254.0, -256.0]);
    }
}

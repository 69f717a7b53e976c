//! Writes a model again with int8 weights, a quarter of the size.
//!
//! Every matrix is stored as whole numbers in -127..=127 with one f32 factor per row, `NAME` and `NAME_scale`; vectors
//! stay f32. Row `r` of the matrix is `NAME[r] · NAME_scale[r]`, with the largest magnitude of the row at 127.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, View};

use crate::error::{Error, ErrorKind, Result};
use crate::model::{MarianConfig, MarianWeights, Matrix, ModelFiles, SETTINGS, Weights};

/// What quantisation did.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantized {
    /// Matrices that are int8 now.
    pub matrices: usize,
    /// Bytes of all weights that are kept, as f32.
    pub f32_bytes: u64,
    /// Bytes of the new weights file.
    pub bytes: u64,
    /// Root of the mean squared error over all matrix elements, in units of the root of their mean square.
    pub relative_error: f64,
}

/// Writes `model` with int8 weights into the folder `output`, which must be empty or new.
///
/// Tensors that the model doesn't use are left out: copies of a tied embedding, stored sinusoids.
///
/// # Errors
/// The model cannot be read or isn't complete; the folder holds something or cannot be written.
pub fn quantize(model: &ModelFiles, output: &Path) -> Result<Quantized> {
    let failed = |error: std::io::Error| {
        Error::new(ErrorKind::Io, format!("cannot write model folder `{}`: {error}", output.display()))
            .with_source(error)
    };
    fs::create_dir_all(output).map_err(failed)?;
    if fs::read_dir(output).map_err(failed)?.next().is_some() {
        return Err(Error::new(ErrorKind::Usage, format!("folder `{}` is not empty", output.display()))
            .with_hint("name a new folder for the int8 model"));
    }
    let config = model.config()?;
    let weights = model.weights()?;
    // Whatever an engine would miss, this names before anything is written.
    MarianWeights::new(&config, &weights)?;
    let mut tensors = Vec::new();
    let mut sums = Sums::default();
    for name in weights.names() {
        let shape = weights.shape(name).unwrap_or_default().to_vec();
        if is_superfluous(name, &weights, &config) {
            continue;
        }
        match shape[..] {
            // Learned positions are few and added, not multiplied: nothing is won by rounding them.
            [rows, cols] if rows > 1 && cols > 1 && !name.contains("embed_positions") => {
                let (data, scales) = match weights.matrix(name, rows, cols)? {
                    Matrix::Int8 { data, scales, .. } => (data.into_owned(), scales),
                    Matrix::F32 { data, .. } => quantize_rows(&data, cols, &mut sums),
                };
                sums.matrices += 1;
                sums.f32_bytes += 4 * data.len() as u64;
                tensors.push((format!("{name}_scale"), Tensor::floats(vec![rows], &scales)));
                let bytes = data.into_iter().map(|value| value as u8).collect();
                tensors.push((name.to_owned(), Tensor { dtype: Dtype::I8, shape, bytes }));
            }
            _ => {
                let data = weights.vector(name, shape.iter().product())?;
                sums.f32_bytes += 4 * data.len() as u64;
                tensors.push((name.to_owned(), Tensor::floats(shape, &data)));
            }
        }
    }
    let bytes = safetensors::serialize(tensors, None).map_err(|error| {
        Error::new(ErrorKind::Internal, format!("cannot lay out the weights: {error}")).with_source(error)
    })?;
    // All but the weights is carried over as it is.
    for name in SETTINGS {
        if let Some(text) = model.read(name)? {
            fs::write(output.join(name), text).map_err(failed)?;
        }
    }
    fs::write(output.join("model.safetensors"), &bytes).map_err(failed)?;
    Ok(Quantized {
        matrices: sums.matrices,
        f32_bytes: sums.f32_bytes,
        bytes: bytes.len() as u64,
        relative_error: (sums.squared_error / sums.square.max(f64::MIN_POSITIVE)).sqrt(),
    })
}

#[derive(Default)]
struct Sums {
    matrices: usize,
    f32_bytes: u64,
    squared_error: f64,
    square: f64,
}

/// Rounds each row to the nearest of 255 steps.
fn quantize_rows(data: &[f32], cols: usize, sums: &mut Sums) -> (Vec<i8>, Vec<f32>) {
    let mut rounded = Vec::with_capacity(data.len());
    let mut scales = Vec::with_capacity(data.len() / cols);
    for row in data.chunks_exact(cols) {
        let largest = row.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let scale = largest / 127.0;
        scales.push(scale);
        for value in row {
            // A row of zeros, such as the pad's embedding, has no scale to divide by.
            let step = if scale > 0.0 { (value / scale).round().clamp(-127.0, 127.0) } else { 0.0 };
            rounded.push(step as i8);
            sums.squared_error += f64::from(step * scale - value).powi(2);
            sums.square += f64::from(*value).powi(2);
        }
    }
    (rounded, scales)
}

/// Scales travel with their matrix; tied copies and stored sinusoids are read by no engine.
fn is_superfluous(name: &str, weights: &Weights, config: &MarianConfig) -> bool {
    let copies = ["model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"];
    let (shared, has_shared) = (config.share_encoder_decoder_embeddings, weights.contains("model.shared.weight"));
    name.strip_suffix("_scale").is_some_and(|matrix| weights.contains(matrix))
        || (config.static_position_embeddings && name.contains("embed_positions"))
        || (shared && has_shared && copies.contains(&name))
        || (!shared && name == "model.shared.weight")
        || (config.tie_word_embeddings && name == "lm_head.weight" && (has_shared || !shared))
}

struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Tensor {
    fn floats(shape: Vec<usize>, values: &[f32]) -> Self {
        Tensor { dtype: Dtype::F32, shape, bytes: values.iter().flat_map(|value| value.to_le_bytes()).collect() }
    }
}

impl View for Tensor {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

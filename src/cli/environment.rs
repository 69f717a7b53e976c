//! Every environment variable the command reads, beside those of the hub (`HF_*`) and `RUST_LOG`.

/// The model to use: `--model`.
pub(crate) const MODEL: &str = "TARJIM_MODEL";
/// Worker threads: `--threads`.
pub(crate) const THREADS: &str = "TARJIM_THREADS";
/// The engine: `--engine`.
pub(crate) const ENGINE: &str = "TARJIM_ENGINE";
/// The int8 kernel: `--kernel`.
pub(crate) const KERNEL: &str = "TARJIM_KERNEL";
/// Print a table of the native engine's time by operation at the end, where it is neither empty nor 0.
pub(crate) const TIMING: &str = "TARJIM_TIMING";
/// Progress output: `--progress`.
pub(crate) const PROGRESS: &str = "TARJIM_PROGRESS";

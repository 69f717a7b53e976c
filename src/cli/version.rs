//! `tarjim --version`, and what this machine lets the engines use.

use std::io::Write;

use tarjim::native::Kernel;
use tarjim::{Error, Result};

use super::Outcome;

/// Prints the version; in detail also the kernels of the native engine.
pub(crate) fn print(details: bool) -> Result<Outcome> {
    let mut text = format!("tarjim {}\n", env!("CARGO_PKG_VERSION"));
    if details {
        let available: Vec<String> = Kernel::available().iter().map(ToString::to_string).collect();
        text += &format!("kernel: {} (available: {})\n", Kernel::detect(), available.join(", "));
        text += &format!("threads: {}\n", std::thread::available_parallelism().map_or(1, usize::from));
        text += &format!("embedded model: {}\n", if cfg!(feature = "embedded-model") { "yes" } else { "no" });
        text += &format!("hub: {}\n", if cfg!(feature = "hub") { "yes" } else { "no" });
    }
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(|error| Error::io("stdout", error))?;
    Ok(Outcome::Done)
}

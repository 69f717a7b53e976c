//! `tarjim --version`, and what this machine lets the engines use.

use std::io::Write;

use tarjim::native::Kernel;
use tarjim::{Error, Result};

use super::Outcome;

/// Prints the version; in detail also the kernels of the native engine.
pub(crate) fn print(details: bool) -> Result<Outcome> {
    let mut lines = vec![format!("tarjim {}", env!("CARGO_PKG_VERSION"))];
    if details {
        let available: Vec<String> = Kernel::available().iter().map(ToString::to_string).collect();
        let yes_or_no = |yes: bool| if yes { "yes" } else { "no" };
        lines.push(format!("kernel: {} (available: {})", Kernel::detect(), available.join(", ")));
        lines.push(format!("threads: {}", std::thread::available_parallelism().map_or(1, usize::from)));
        lines.push(format!("embedded model: {}", yes_or_no(cfg!(feature = "embedded-model"))));
        lines.push(format!("hub: {}", yes_or_no(cfg!(feature = "hub"))));
    }
    let text = lines.join("\n") + "\n";
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(|error| Error::io("stdout", error))?;
    Ok(Outcome::Done)
}

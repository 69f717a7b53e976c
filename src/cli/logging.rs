//! Messages on stderr: colour, and the log that `--verbose` and `RUST_LOG` open.

use std::io::Write;

use clap::ValueEnum;
use tarjim::Translator;
use tracing_subscriber::EnvFilter;

use super::Talk;

/// When messages are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Sets up colour and the log.
pub(crate) fn start(talk: &Talk) {
    match talk.color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
    let default = match talk.verbose {
        _ if talk.quiet => "off",
        0 => "tarjim=warn",
        1 => "tarjim=info",
        _ => "tarjim=debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(talk.color != Color::Never && std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .without_time()
        .with_target(false)
        .init();
}

/// Prints where the engine's time went, if it was told to keep account.
pub(crate) fn timings(translator: &Translator) {
    if let Some(table) = translator.engine().timings() {
        let _ = writeln!(anstream::stderr().lock(), "{table}");
    }
}

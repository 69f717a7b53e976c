//! `tarjim generate`: shell completions and the manual page, from the one table of arguments.

use std::io::Write;

use clap_complete::Shell;
use tarjim::{Error, Result};

use super::Outcome;

/// What to print.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Completions for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// The manual page, in troff.
    Man,
}

/// Prints it to stdout.
pub(crate) fn run(args: &Args, command: &mut clap::Command) -> Result<Outcome> {
    let mut output = Vec::new();
    match args.what {
        What::Completions { shell } => clap_complete::generate(shell, command, "tarjim", &mut output),
        What::Man => manual(command, &mut output).map_err(|error| Error::io("the manual page", error))?,
    }
    std::io::stdout().lock().write_all(&output).map_err(|error| Error::io("stdout", error))?;
    Ok(Outcome::Done)
}

/// One page for the command and all its subcommands, so that `man ./tarjim.1` shows everything.
fn manual(command: &clap::Command, output: &mut Vec<u8>) -> std::io::Result<()> {
    let mut command = command.clone();
    command.build();
    clap_mangen::Man::new(command.clone()).render(output)?;
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
        let page = clap_mangen::Man::new(subcommand.clone());
        writeln!(output, ".SH \"TARJIM {}\"", subcommand.get_name().to_uppercase())?;
        page.render_description_section(output)?;
        page.render_options_section(output)?;
    }
    Ok(())
}

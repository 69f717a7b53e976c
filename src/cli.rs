//! The command line: what can be asked for, in one place; each command's work is in a file of its own.
//!
//! Arguments here are only what the user typed: nothing is opened or looked up while parsing.

mod align;
mod batch;
mod environment;
mod exit;
mod generate;
mod logging;
mod model;
mod models;
mod output;
mod overwrite;
mod pairs;
mod progress;
mod report;
mod score;
mod translate;
mod version;

use std::process::ExitCode;

use clap::{ArgAction, CommandFactory, Parser, Subcommand};

use exit::Outcome;

/// Translates Arabic news into English, sentence by sentence, and shows which word came from which.
#[derive(Debug, Parser)]
#[command(name = "tarjim", max_term_width = 100, disable_version_flag = true, after_help = exit::HELP)]
struct Cli {
    #[command(flatten)]
    talk: Talk,

    /// Print the version; with --verbose also the processor's features and the kernel in use.
    #[arg(short = 'V', long)]
    version: bool,

    #[command(subcommand)]
    command: Option<Command>,
}

/// How much the command says on stderr.
#[derive(Debug, Clone, clap::Args)]
struct Talk {
    /// Say nothing but errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,

    /// Say more: the model, its engine and the totals; twice for details.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,

    /// Progress on stderr: a bar on a terminal, JSON lines, or nothing.
    #[arg(long, global = true, value_enum, default_value = "auto", env = environment::PROGRESS)]
    progress: progress::Mode,

    /// When to colour messages.
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    color: logging::Color,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Translate text, lines or records.
    Translate(Box<translate::Args>),
    /// Align translations that exist already, word by word.
    Align(Box<align::Args>),
    /// Print the log-probability of translations that exist already.
    Score(Box<score::Args>),
    /// Translate archives in resumable jobs, or show how far one is.
    Batch(Box<batch::Args>),
    /// List, show, fetch, check and shrink models.
    Models(models::Args),
    /// Print shell completions or the manual page.
    Generate(generate::Args),
}

/// Parses the arguments, runs the command, prints what went wrong, and says how it ended.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    logging::start(&cli.talk);
    let outcome = match cli.command {
        _ if cli.version => version::print(cli.talk.verbose > 0),
        Some(Command::Translate(args)) => translate::run(&args, &cli.talk),
        Some(Command::Align(args)) => align::run(&args, &cli.talk),
        Some(Command::Score(args)) => score::run(&args, &cli.talk),
        Some(Command::Batch(args)) => batch::run(&args, &cli.talk),
        Some(Command::Models(args)) => models::run(&args, &cli.talk),
        Some(Command::Generate(args)) => generate::run(&args, &mut Cli::command()),
        None => {
            let error = Cli::command().error(clap::error::ErrorKind::MissingSubcommand, "a command is needed");
            return exit::usage(&error);
        }
    };
    exit::report(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}

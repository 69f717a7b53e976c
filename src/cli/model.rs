//! The arguments that choose and steer a model, shared by every command that runs one.

use std::path::Path;

use clap::ValueEnum;
use tarjim::Translator;
use tarjim::native::Kernel;
use tarjim::translator::{AlignerChoice, EngineChoice, TranslatorBuilder};

use super::environment;

/// Which model, and what computes it.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct ModelArgs {
    /// A folder, a known name (`tarjim models list`), or a hub id such as Helsinki-NLP/opus-mt-ar-en
    #[arg(short, long, env = environment::MODEL, value_name = "NAME|DIR", default_value = "tarjim-ar-en")]
    pub(crate) model: String,

    /// What computes the model: the fast int8 engine or the f32 reference
    #[arg(long, value_enum, env = environment::ENGINE, default_value = "native")]
    engine: Engine,

    /// Force an int8 kernel instead of the best one the processor has
    #[arg(long, env = environment::KERNEL, value_name = "KERNEL")]
    kernel: Option<Kernel>,

    /// Worker threads; 0 is one for each core
    #[arg(long, env = environment::THREADS, value_name = "N", default_value_t = 0)]
    threads: usize,

    /// Never touch the network, like `HF_HUB_OFFLINE=1`
    #[arg(long)]
    offline: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Engine {
    Native,
    Candle,
}

/// How hypotheses are searched; what isn't given comes from the model's own `generation_config.json`.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Search")]
pub(crate) struct SearchArgs {
    /// Beam size; 1 is greedy
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    beam_size: Option<u16>,

    /// Give the N best translations of each sentence; at most the beam size, which grows to N unless it is given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64), default_value_t = 1)]
    pub(crate) n_best: u16,

    /// Length penalty: scores are divided by the length to this power; 0 is none
    #[arg(short, long, value_name = "ALPHA", allow_negative_numbers = true)]
    normalize: Option<f32>,

    /// Longest source in pieces; a longer sentence is cut at its best punctuation and flagged
    #[arg(long, value_name = "PIECES")]
    max_length: Option<usize>,

    /// Never say the same N pieces twice, figures excepted; 0 is off
    #[arg(long, value_name = "N")]
    no_repeat_ngram_size: Option<usize>,

    /// Never say a word twice in a row; `=false` allows it to a model whose configuration forbids it
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    no_doubled_words: Option<bool>,

    /// Lower the score of what was already said; 1 is off
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    repetition_penalty: Option<f32>,

    /// How much the model's table of single words counts where the model is in doubt, from 0 (not at all) to less than 1
    #[arg(long, value_name = "WEIGHT", allow_negative_numbers = true)]
    lexical_weight: Option<f32>,

    /// Source pieces in a mini-batch, for each thread
    #[arg(long, value_name = "PIECES")]
    mini_batch_words: Option<usize>,

    /// Sentences read ahead and sorted by length
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) maxi_batch: usize,
}

/// Where word links come from.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AlignerArgs {
    /// Where links come from, beside the lexicon: auto (the model's own head if it has one trained for it, else default),
    /// default (a second pass through the default model), model (its own attention), shifted:LAYER (its own attention,
    /// all heads of a decoder layer from 0, one step later), or lexicon (nothing else)
    #[arg(long = "aligner", value_name = "ALIGNER", default_value = "auto")]
    pub(crate) choice: AlignerChoice,
}

impl ModelArgs {
    /// The builder for these arguments.
    pub(crate) fn builder(&self) -> TranslatorBuilder {
        let engine = match self.engine {
            Engine::Native => EngineChoice::Native,
            Engine::Candle => EngineChoice::Candle,
        };
        let timings = std::env::var_os(environment::TIMING).is_some_and(|value| !value.is_empty() && value != "0");
        let mut builder =
            Translator::builder().threads(self.threads).offline(self.offline).engine(engine).timings(timings);
        if let Some(kernel) = self.kernel {
            builder = builder.kernel(kernel);
        }
        // A path is a path even when a file of that name is not there: the message then names the folder.
        if self.model.starts_with(['.', '/', '~']) || Path::new(&self.model).is_dir() {
            builder.model_directory(&self.model)
        } else {
            builder.model(&self.model)
        }
    }
}

impl SearchArgs {
    /// Applies these arguments to a builder.
    pub(crate) fn apply(&self, mut builder: TranslatorBuilder) -> TranslatorBuilder {
        builder = builder.n_best(self.n_best.into());
        if let Some(size) = self.beam_size {
            builder = builder.beam_size(size.into());
        }
        if let Some(penalty) = self.normalize {
            builder = builder.length_penalty(penalty);
        }
        if let Some(pieces) = self.max_length {
            builder = builder.max_length(pieces);
        }
        if let Some(size) = self.no_repeat_ngram_size {
            builder = builder.no_repeat_ngram_size(size);
        }
        if let Some(forbidden) = self.no_doubled_words {
            builder = builder.no_doubled_words(forbidden);
        }
        if let Some(factor) = self.repetition_penalty {
            builder = builder.repetition_penalty(factor);
        }
        if let Some(weight) = self.lexical_weight {
            builder = builder.lexical_weight(weight);
        }
        if let Some(pieces) = self.mini_batch_words {
            builder = builder.mini_batch_words(pieces);
        }
        builder
    }
}

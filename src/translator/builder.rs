//! How a translator is put together: model, engine, search and text options, each with a good default.

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use crate::alignment::{Lexicon, LinkForm};
use crate::candle::CandleEngine;
use crate::confidence::Calibration;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::flags::FlagOptions;
use crate::hub::{self, HubOptions, Location};
use crate::model::{EngineOptions, GenerationConfig, MarianConfig, ModelFiles, Positions};
use crate::native::{Kernel, NativeEngine, NativeOptions};
use crate::normalizer::Normalizer;
use crate::registry::{Entry, Registry, guided_head};
use crate::search::{BatchOptions, Lexical, LexicalTable, SearchOptions};
use crate::splitter::Splitter;
use crate::vocabulary::Vocabulary;

use super::Translator;
use super::cache::SentenceCache;
use super::store::{SentenceStore, fingerprint};
use super::witness::{AlignerChoice, Witness, engine_options};

/// What computes the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// The int8 engine of this crate, the fastest on a CPU.
    #[default]
    Native,
    /// The f32 reference engine on candle: slower, and exact to the weights in the file.
    Candle,
}

/// Collects options for a [`Translator`]; made by [`Translator::builder`].
///
/// Options that are not set come from the model's own `generation_config.json`.
#[derive(Clone, Debug)]
pub struct TranslatorBuilder {
    model: ModelChoice,
    hub: HubOptions,
    engine: EngineChoice,
    kernel: Option<Kernel>,
    timings: bool,
    threads: usize,
    beam_size: Option<usize>,
    n_best: usize,
    length_penalty: Option<f32>,
    max_length: usize,
    no_repeat_ngram_size: Option<usize>,
    no_doubled_words: Option<bool>,
    repetition_penalty: Option<f32>,
    lexical_weight: Option<f32>,
    batch: BatchOptions,
    normalizer: Normalizer,
    splitter: Splitter,
    positions: Positions,
    aligner: AlignerChoice,
    links: LinkForm,
    flags: FlagOptions,
    sentence_cache: usize,
    sentence_cache_folder: Option<(PathBuf, u64)>,
}

#[derive(Clone, Debug)]
enum ModelChoice {
    Name(String),
    Directory(PathBuf),
    Files(ModelFiles),
}

/// Sentences longer than this many pieces are cut. Translations of longer ones drop clauses with every model tried,
/// long before the model's positions end; Bergamot cuts at the same length.
const DEFAULT_MAX_LENGTH: usize = 128;

/// A translation of more target pieces than this for each source piece has lost its way; Marian's default is the same.
const MAX_LENGTH_FACTOR: f32 = 3.0;

impl Default for TranslatorBuilder {
    fn default() -> Self {
        TranslatorBuilder {
            model: ModelChoice::Name(hub::DEFAULT_MODEL.to_owned()),
            hub: HubOptions::from_environment(),
            engine: EngineChoice::default(),
            kernel: None,
            timings: false,
            threads: 0,
            beam_size: None,
            n_best: 1,
            length_penalty: None,
            max_length: DEFAULT_MAX_LENGTH,
            no_repeat_ngram_size: None,
            no_doubled_words: None,
            repetition_penalty: None,
            lexical_weight: None,
            batch: BatchOptions::default(),
            normalizer: Normalizer::default(),
            splitter: Splitter::default(),
            positions: Positions::default(),
            aligner: AlignerChoice::default(),
            links: LinkForm::default(),
            flags: FlagOptions::default(),
            sentence_cache: 0,
            sentence_cache_folder: None,
        }
    }
}

impl TranslatorBuilder {
    /// A model by name: a known one such as `tarjim-ar-en` (embedded, the default) or `opus-mt-ar-en`, or a hub id
    /// such as `Helsinki-NLP/opus-mt-ar-en`.
    #[must_use]
    pub fn model(mut self, name: impl Into<String>) -> Self {
        self.model = ModelChoice::Name(name.into());
        self
    }

    /// A model in a folder: `config.json`, `source.spm`, `target.spm`, `vocab.json` and weights.
    #[must_use]
    pub fn model_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.model = ModelChoice::Directory(directory.into());
        self
    }

    /// A model whose files are at hand already.
    #[must_use]
    pub fn model_files(mut self, files: ModelFiles) -> Self {
        self.model = ModelChoice::Files(files);
        self
    }

    /// How models by name are found and fetched; the variables of the environment unless set.
    #[must_use]
    pub fn hub(mut self, options: HubOptions) -> Self {
        self.hub = options;
        self
    }

    /// Which position vectors the model was trained with; those of `transformers` unless set.
    #[must_use]
    pub fn positions(mut self, positions: Positions) -> Self {
        self.positions = positions;
        self
    }

    /// Never touch the network: a model that is not in the hub's cache is an error.
    #[must_use]
    pub fn offline(mut self, offline: bool) -> Self {
        self.hub.offline |= offline;
        self
    }

    /// What computes the model.
    #[must_use]
    pub fn engine(mut self, engine: EngineChoice) -> Self {
        self.engine = engine;
        self
    }

    /// The native engine's kernel; the best one the processor has unless set.
    #[must_use]
    pub fn kernel(mut self, kernel: Kernel) -> Self {
        self.kernel = Some(kernel);
        self
    }

    /// Makes the native engine keep account of its time by operation: see [`Engine::timings`].
    #[must_use]
    pub fn timings(mut self, timings: bool) -> Self {
        self.timings = timings;
        self
    }

    /// Worker threads; 0, the default, is one for each core.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Hypotheses kept for each sentence; 1 is greedy search.
    #[must_use]
    pub fn beam_size(mut self, size: usize) -> Self {
        self.beam_size = Some(size);
        self
    }

    /// Translations given for each sentence, best first; at most the beam size.
    #[must_use]
    pub fn n_best(mut self, n: usize) -> Self {
        self.n_best = n;
        self
    }

    /// The exponent of the length a hypothesis' log-probability is divided by.
    #[must_use]
    pub fn length_penalty(mut self, exponent: f32) -> Self {
        self.length_penalty = Some(exponent);
        self
    }

    /// The longest source in pieces that is translated in one go; 128 unless set, never more than the model takes.
    #[must_use]
    pub fn max_length(mut self, pieces: usize) -> Self {
        self.max_length = pieces;
        self
    }

    /// Forbids saying the same `size` pieces twice, unless there is a figure among them; 0 allows it.
    #[must_use]
    pub fn no_repeat_ngram_size(mut self, size: usize) -> Self {
        self.no_repeat_ngram_size = Some(size);
        self
    }

    /// Whether saying a word twice in a row is forbidden ("the reserve reserve"). Figures are no words here.
    #[must_use]
    pub fn no_doubled_words(mut self, forbidden: bool) -> Self {
        self.no_doubled_words = Some(forbidden);
        self
    }

    /// How much the model's `lexical.zst`, a table of what single words translate to, counts where the model is in doubt:
    /// from 0, which leaves it out, to less than 1.
    #[must_use]
    pub fn lexical_weight(mut self, weight: f32) -> Self {
        self.lexical_weight = Some(weight);
        self
    }

    /// Divides the score of pieces already said; 1 changes nothing.
    #[must_use]
    pub fn repetition_penalty(mut self, factor: f32) -> Self {
        self.repetition_penalty = Some(factor);
        self
    }

    /// Source pieces in one mini-batch of one thread: the bound on working memory.
    #[must_use]
    pub fn mini_batch_words(mut self, pieces: usize) -> Self {
        self.batch.mini_batch_words = pieces;
        self
    }

    /// How text is cleaned up before the vocabulary sees it.
    #[must_use]
    pub fn normalizer(mut self, normalizer: Normalizer) -> Self {
        self.normalizer = normalizer;
        self
    }

    /// How text is split into sentences.
    #[must_use]
    pub fn splitter(mut self, splitter: Splitter) -> Self {
        self.splitter = splitter;
        self
    }

    /// Whose attention the links are read from.
    #[must_use]
    pub fn aligner(mut self, choice: AlignerChoice) -> Self {
        self.aligner = choice;
        self
    }

    /// Which links the alignments keep: the best partners of both sides unless set.
    #[must_use]
    pub fn links(mut self, form: LinkForm) -> Self {
        self.links = form;
        self
    }

    /// When a sentence is flagged.
    #[must_use]
    pub fn flags(mut self, options: FlagOptions) -> Self {
        self.flags = options;
        self
    }

    /// Remembers translated sentences in up to this many bytes, so that those that come again cost nothing; 0, the
    /// default, remembers none. Translations are the same either way.
    #[must_use]
    pub fn sentence_cache(mut self, bytes: usize) -> Self {
        self.sentence_cache = bytes;
        self
    }

    /// Remembers translated sentences on disk too, in files of about `bytes` bytes together, the oldest of which go
    /// first. Other processes and later runs with the same model, options and version find them there; for others
    /// they are as good as not there. Several processes may use the folder at the same time. What it holds is trusted
    /// as the model is.
    #[must_use]
    pub fn sentence_cache_folder(mut self, folder: impl Into<PathBuf>, bytes: u64) -> Self {
        self.sentence_cache_folder = Some((folder.into(), bytes));
        self
    }

    /// Finds and loads the model.
    ///
    /// # Errors
    /// The model cannot be had ([`ErrorKind::Model`]), or an option contradicts another ([`ErrorKind::Usage`]).
    pub fn build(self) -> Result<Translator> {
        let files = self.files()?;
        let entry = Registry::builtin().find(files.name());
        let config = files.config()?;
        let generation = files.generation_config()?;
        let vocabulary = vocabulary(&files, &config)?;
        let mut search = self.search_options(&generation, entry, &vocabulary)?;
        search.lexical = self.lexical(&files, &generation, &vocabulary)?;
        let calibration = match files.read("confidence.json")? {
            Some(bytes) => Calibration::parse(&bytes).map_err(|error| error.at(files.name()))?,
            None => Calibration::default(),
        };
        let head = guided_head(entry, &config);
        if let AlignerChoice::Shifted { layer } = self.aligner
            && layer >= config.decoder_layers
        {
            let last = config.decoder_layers - 1;
            let message = format!("decoder layer {layer} does not exist, expected one from 0 to {last}");
            return Err(Error::new(ErrorKind::Usage, message));
        }
        let options = EngineOptions {
            positions: self.positions,
            suppressed: generation.suppressed,
            ..engine_options(self.aligner, head)
        };
        let engine = self.load_engine(&files, &config, &options)?;
        let threads = match self.threads {
            0 => thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN),
            threads => NonZero::new(threads).unwrap_or(NonZero::<usize>::MIN),
        };
        // Here, not when the first sentence comes: what no sentence can be translated with is the caller's mistake.
        search.check(&engine.dimensions())?;
        self.batch.check()?;
        if self.max_length < 2 {
            let message = format!("longest source is {} pieces, expected at least 2", self.max_length);
            return Err(Error::new(ErrorKind::Usage, message));
        }
        let max_pieces = self.max_length.min(engine.dimensions().source_positions);
        let store = match &self.sentence_cache_folder {
            Some((folder, bytes)) => {
                let engine = engine.name();
                // Kernels give the same bits, engines and number formats don't.
                let engine = engine.split_whitespace().take(2).collect::<Vec<_>>();
                let links = (head, self.aligner, self.links);
                let fingerprint = fingerprint(&[
                    env!("CARGO_PKG_VERSION"),
                    &files.digest()?,
                    &format!("{engine:?} {max_pieces} {search:?} {calibration:?}"),
                    &format!("{:?} {:?} {links:?} {:?}", self.positions, self.normalizer, self.flags),
                ]);
                Some(SentenceStore::open(folder, *bytes, fingerprint)?)
            }
            None => None,
        };
        let cached = self.sentence_cache > 0 || store.is_some();
        tracing::info!(
            model = files.name(),
            engine = engine.name(),
            threads,
            beam_size = search.beam_size,
            "model loaded"
        );
        Ok(Translator {
            witness: Witness::choose(self.aligner, &files, head, self.kernel)?,
            max_pieces,
            files,
            vocabulary,
            engine,
            search,
            batch: self.batch,
            normalizer: self.normalizer,
            splitter: self.splitter,
            calibration,
            lexicon: Lexicon::builtin(),
            links: self.links,
            flags: self.flags,
            threads,
            cache: cached.then(|| SentenceCache::new(self.sentence_cache, store)),
        })
    }

    fn files(&self) -> Result<ModelFiles> {
        let name = match &self.model {
            ModelChoice::Directory(directory) => return ModelFiles::directory(directory),
            ModelChoice::Files(files) => return Ok(files.clone()),
            ModelChoice::Name(name) => name,
        };
        Ok(match hub::locate(name, &self.hub)? {
            Location::Embedded => ModelFiles::embedded()?.with_name(name),
            Location::Folder(folder) => ModelFiles::directory(&folder)?.with_name(name),
        })
    }

    fn load_engine(
        &self,
        files: &ModelFiles,
        config: &MarianConfig,
        options: &EngineOptions,
    ) -> Result<Box<dyn Engine>> {
        let weights = files.weights()?;
        Ok(match self.engine {
            EngineChoice::Native => {
                let native = NativeOptions { kernel: self.kernel, timings: self.timings };
                Box::new(NativeEngine::load(config, &weights, options, &native)?)
            }
            EngineChoice::Candle => Box::new(CandleEngine::load(config, &weights, options)?),
        })
    }

    /// The model's lexical table, where it counts for something.
    fn lexical(
        &self,
        files: &ModelFiles,
        generation: &GenerationConfig,
        vocabulary: &Vocabulary,
    ) -> Result<Option<Lexical>> {
        let weight = self.lexical_weight.unwrap_or(generation.lexical_weight);
        if weight == 0.0 {
            return Ok(None);
        }
        let Some(bytes) = files.read("lexical.zst")? else {
            let message =
                format!("{}: a lexical weight of {weight} needs `lexical.zst`, which is not there", files.name());
            return Err(Error::new(ErrorKind::Model, message).with_hint("set the weight to 0 (`--lexical-weight 0`)"));
        };
        let table =
            LexicalTable::parse(bytes, vocabulary.source_word_pieces()).map_err(|error| error.at(files.name()))?;
        Ok(Some(Lexical { table: Arc::new(table), weight }))
    }

    /// The model's own settings, the registry's over them, the caller's over both.
    fn search_options(
        &self,
        generation: &GenerationConfig,
        entry: Option<&Entry>,
        vocabulary: &Vocabulary,
    ) -> Result<SearchOptions> {
        let known = entry.map(|entry| entry.decoding).unwrap_or_default();
        let mut options = SearchOptions::from(generation);
        let set = |target: &mut usize, value: Option<usize>| *target = value.unwrap_or(*target);
        set(&mut options.beam_size, self.beam_size.or(known.beam_size));
        set(&mut options.max_length, known.max_length);
        set(&mut options.no_repeat_ngram_size, self.no_repeat_ngram_size);
        if options.no_repeat_ngram_size > 0 {
            options.repeatable = vocabulary.target_figures().collect();
        }
        if self.no_doubled_words.unwrap_or(generation.no_doubled_words) {
            options.undoubled = vocabulary.target_word_beginnings().collect();
        }
        options.length_penalty = self.length_penalty.or(known.length_penalty).unwrap_or(options.length_penalty);
        options.repetition_penalty = self.repetition_penalty.unwrap_or(options.repetition_penalty);
        options.max_length_factor = Some(MAX_LENGTH_FACTOR);
        if options.beam_size == 0 || self.n_best == 0 {
            return Err(Error::new(ErrorKind::Usage, "beam size and n-best must be at least 1"));
        }
        if let Some(beam) = self.beam_size.filter(|beam| *beam < self.n_best) {
            let message = format!("n-best is {}, expected at most the beam size, {beam}", self.n_best);
            return Err(Error::new(ErrorKind::Usage, message));
        }
        // Five translations from a model whose own beam is four can only mean a beam of five.
        options.beam_size = options.beam_size.max(self.n_best);
        options.n_best = self.n_best;
        Ok(options)
    }
}

/// A model's vocabulary, which must not have more pieces than the model.
pub(super) fn vocabulary(files: &ModelFiles, config: &MarianConfig) -> Result<Vocabulary> {
    let vocabulary = Vocabulary::from_bytes(
        &files.require("source.spm")?,
        &files.require("target.spm")?,
        &files.require("vocab.json")?,
    )
    .map_err(|error| error.at(files.name()))?;
    if vocabulary.len() > config.vocab_size {
        let message = format!(
            "{}: `vocab.json` has {} pieces, `config.json` says {}",
            files.name(),
            vocabulary.len(),
            config.vocab_size
        );
        return Err(Error::new(ErrorKind::Model, message));
    }
    Ok(vocabulary)
}

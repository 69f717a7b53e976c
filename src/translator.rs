//! The pipeline: split, clean up, cut into pieces, search, align, put together again.

mod assembly;
mod builder;
mod cache;
mod source;
mod store;
mod witness;
mod workers;

pub use builder::{EngineChoice, TranslatorBuilder};
pub use witness::AlignerChoice;

use std::num::NonZero;

use crate::aligner::{Aligner, AlignerOptions};
use crate::alignment::forced::{ForcedDecoder, ForcedOptions, SentencePair};
use crate::alignment::{Lexicon, LinkForm, Matrix};
use crate::confidence::Calibration;
use crate::engine::{Engine, TokenId};
use crate::error::Result;
use crate::flags::FlagOptions;
use crate::model::ModelFiles;
use crate::normalizer::Normalizer;
use crate::search::{BatchOptions, SearchOptions};
use crate::span::Span;
use crate::splitter::Splitter;
use crate::translation::{Document, Sentence};
use crate::vocabulary::Vocabulary;

use assembly::{Assembler, Draft};
use cache::SentenceCache;
use source::Plan;
use witness::Witness;

/// A loaded model with everything around it that turns Arabic text into English.
///
/// Cheap to share: all methods take `&self`, and several threads may translate at once.
///
/// ```
/// use tarjim::Translator;
///
/// # fn main() -> tarjim::Result<()> {
/// # let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny-marian");
/// let translator = Translator::builder().model_directory(model).beam_size(4).threads(1).build()?;
/// let lines = ["وصل الوفد إلى العاصمة.", "لم يعلق المتحدث على ذلك."];
/// let sentences = translator.translate_sentences(lines).collect::<tarjim::Result<Vec<_>>>()?;
/// assert_eq!(sentences.len(), 2);
/// assert_eq!(sentences[0].source, lines[0]);
/// # Ok(())
/// # }
/// ```
pub struct Translator {
    files: ModelFiles,
    vocabulary: Vocabulary,
    engine: Box<dyn Engine>,
    search: SearchOptions,
    batch: BatchOptions,
    normalizer: Normalizer,
    splitter: Splitter,
    calibration: Calibration,
    witness: Witness,
    lexicon: Option<&'static Lexicon>,
    links: LinkForm,
    flags: FlagOptions,
    /// Longest source in pieces that goes through the engine at once, `</s>` included.
    max_pieces: usize,
    threads: NonZero<usize>,
    cache: Option<SentenceCache>,
}

impl Translator {
    /// Starts to put a translator together.
    pub fn builder() -> TranslatorBuilder {
        TranslatorBuilder::default()
    }

    /// The files of the model: its name, and the digest that tells it from every other.
    pub fn model(&self) -> &ModelFiles {
        &self.files
    }

    /// The engine below, for forced decoding and measurements.
    pub fn engine(&self) -> &dyn Engine {
        &*self.engine
    }

    /// The model's vocabulary.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The clean-up in front of the vocabulary.
    pub fn normalizer(&self) -> &Normalizer {
        &self.normalizer
    }

    /// The search options in force.
    pub fn search_options(&self) -> &SearchOptions {
        &self.search
    }

    /// An aligner over this model, for translations that exist already. `pretokenized` text has its words parted by
    /// spaces.
    pub fn aligner(&self, pretokenized: bool) -> Aligner<'_> {
        let options = ForcedOptions { threads: self.threads, shift: self.witness.shifts(), ..ForcedOptions::default() };
        let decoder = ForcedDecoder::new(&*self.engine, &self.vocabulary, &self.normalizer, self.search.start, options);
        Aligner::new(
            decoder,
            AlignerOptions {
                links: self.links,
                pretokenized,
                lexicon: self.lexicon,
                guide: self.witness.guide().map(|guide| guide.decoder(&self.normalizer, self.threads)),
                without_attention: matches!(self.witness, Witness::None),
                calibration: Some(&self.calibration),
                flags: self.flags,
            },
        )
    }

    /// The longest source that is translated in one go, in pieces with `</s>`.
    pub fn max_pieces(&self) -> usize {
        self.max_pieces
    }

    /// Translates a text of any number of sentences and paragraphs.
    ///
    /// # Errors
    /// Only where the engine itself fails: no text is an error.
    pub fn translate(&self, text: &str) -> Result<Document> {
        self.translate_all(&[text]).pop().unwrap_or_else(|| Ok(Document::default()))
    }

    /// Translates several texts in common batches; one outcome per text, in order.
    pub fn translate_all(&self, texts: &[&str]) -> Vec<Result<Document>> {
        let split = |text: &str| -> Vec<Span> {
            let sentences = self.splitter.split(text).into_iter().map(|segment| segment.sentence);
            sentences.filter(|sentence| !sentence.is_empty()).collect()
        };
        self.documents(texts, &texts.iter().map(|text| split(text)).collect::<Vec<_>>())
    }

    /// Translates lines that are one sentence each, without splitting them; spaces around them are kept.
    pub fn translate_lines(&self, lines: &[&str]) -> Vec<Result<Document>> {
        let whole = |line: &str| -> Vec<Span> {
            let start = line.len() - line.trim_start().len();
            let sentence = Span::new(start, start + line.trim().len());
            if sentence.is_empty() { Vec::new() } else { vec![sentence] }
        };
        self.documents(lines, &lines.iter().map(|line| whole(line)).collect::<Vec<_>>())
    }

    fn documents(&self, texts: &[&str], sentences: &[Vec<Span>]) -> Vec<Result<Document>> {
        let all: Vec<&str> =
            texts.iter().zip(sentences).flat_map(|(text, spans)| spans.iter().map(|span| span.of(text))).collect();
        let mut translated = self.sentences(&all).into_iter();
        texts
            .iter()
            .zip(sentences)
            .map(|(text, spans)| {
                // All of this text's sentences are taken before a failure is looked at: the next text's come after.
                let sentences: Vec<Result<Sentence>> = translated.by_ref().take(spans.len()).collect();
                Ok(assembly::document(sentences.into_iter().collect::<Result<Vec<_>>>()?, spans, text))
            })
            .collect()
    }

    /// Translates sentences as they are, unsplit: one sentence in, one out, in order, read ahead by `window`.
    pub fn translate_sentences<I>(&self, sentences: I) -> impl Iterator<Item = Result<Sentence>>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        /// Enough to sort by length and fill every worker's batches, little enough to hold in memory.
        const WINDOW: usize = 1000;
        let mut sentences = sentences.into_iter().fuse();
        let mut ready = Vec::new().into_iter();
        std::iter::from_fn(move || {
            if ready.len() == 0 {
                let window: Vec<_> = sentences.by_ref().take(WINDOW).collect();
                ready = self.sentences(&window.iter().map(AsRef::as_ref).collect::<Vec<_>>()).into_iter();
            }
            ready.next()
        })
    }

    /// How many sentences so far were answered by the [sentence cache](TranslatorBuilder::sentence_cache).
    pub fn sentence_cache_hits(&self) -> u64 {
        self.cache.as_ref().map_or(0, SentenceCache::hits)
    }

    fn sentences(&self, sentences: &[&str]) -> Vec<Result<Sentence>> {
        match &self.cache {
            Some(cache) => cache.translate(sentences, |unknown| self.fresh_sentences(unknown)),
            None => self.fresh_sentences(sentences),
        }
    }

    fn fresh_sentences(&self, sentences: &[&str]) -> Vec<Result<Sentence>> {
        let plans: Vec<Plan> = sentences
            .iter()
            .map(|sentence| source::plan(sentence, &self.normalizer, &self.vocabulary, self.max_pieces))
            .collect();
        let sources: Vec<&[TokenId]> = plans.iter().flat_map(Plan::parts).map(|part| part.ids.as_slice()).collect();
        let mut hypotheses =
            workers::decode(&*self.engine, &sources, &self.search, &self.batch, self.threads).into_iter();
        let assembler = Assembler {
            vocabulary: &self.vocabulary,
            calibration: &self.calibration,
            lexicon: self.lexicon,
            links: self.links,
            flags: &self.flags,
            shift: self.witness.shifts(),
        };
        let drafts: Vec<Result<Vec<Draft<'_>>>> = sentences
            .iter()
            .zip(&plans)
            .map(|(sentence, plan)| match plan {
                Plan::Copy => Ok(Vec::new()),
                Plan::Translate(parts) => {
                    // All of this sentence's parts are taken before a failure is looked at.
                    let hypotheses: Vec<Result<_>> = hypotheses.by_ref().take(parts.len()).collect();
                    Ok(assembler.drafts(sentence, parts, &hypotheses.into_iter().collect::<Result<Vec<_>>>()?))
                }
            })
            .collect();
        let mut attention = self.attention(&drafts).into_iter();
        sentences
            .iter()
            .zip(&plans)
            .zip(drafts)
            .map(|((sentence, plan), drafts)| {
                let drafts = drafts?;
                let attention: Vec<Result<Option<Matrix>>> = attention.by_ref().take(drafts.len()).collect();
                let attention = attention.into_iter().collect::<Result<Vec<_>>>()?;
                match plan {
                    Plan::Copy => Ok(assembly::copy(sentence)),
                    Plan::Translate(_) => assembler.sentence(sentence, drafts, attention),
                }
            })
            .collect()
    }

    /// The attention over the words of each draft, in common batches where it takes a second pass; `None` where there is
    /// none.
    fn attention(&self, drafts: &[Result<Vec<Draft<'_>>>]) -> Vec<Result<Option<Matrix>>> {
        let drafts = || drafts.iter().flatten().flatten();
        match &self.witness {
            Witness::Own { .. } => drafts().map(|draft| draft.attention().map(Some)).collect(),
            Witness::None => drafts().map(|_| Ok(None)).collect(),
            Witness::Guide(guide) => {
                let pairs: Vec<SentencePair<'_>> = drafts().map(Draft::pair).collect();
                match guide.decoder(&self.normalizer, self.threads).attention(&pairs) {
                    Ok(attention) => attention.into_iter().map(Ok).collect(),
                    Err(error) => pairs.iter().map(|_| Err(error.without_source())).collect(),
                }
            }
        }
    }
}

impl std::fmt::Debug for Translator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Translator")
            .field("model", &self.files.name())
            .field("engine", &self.engine.name())
            .finish_non_exhaustive()
    }
}

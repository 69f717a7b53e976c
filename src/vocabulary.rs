//! SentencePiece pieces, their ids and their spans.
//!
//! A Marian model comes with `source.spm` and `target.spm`, which cut text into pieces, and `vocab.json`, which has
//! the model's id for each piece. [`Vocabulary`] reads the three as they are: nothing has to be converted first.

mod bpe;
mod charsmap;
mod decoding;
mod index;
mod piece;
mod sentencepiece;
mod surface;
mod trie;
mod unigram;
mod word_pieces;

use std::sync::Arc;

use crate::engine::TokenId;
use crate::error::Result;
use crate::span::Span;
use index::{Entries, Index};

pub use decoding::Decoded;
pub use piece::PieceKind;
pub use sentencepiece::{Encoded, EncodedPiece, SentencePiece};
pub use word_pieces::WordPieces;

/// Turns text into a model's ids and back, for both languages.
///
/// ```
/// use tarjim::vocabulary::Vocabulary;
///
/// # fn main() -> tarjim::Result<()> {
/// let spm = include_bytes!("../tests/data/spm/news.spm");
/// let json = include_bytes!("../tests/data/spm/vocab.json");
/// let vocabulary = Vocabulary::from_bytes(spm, spm, json)?;
/// let text = "زار الوزير القاهرة";
/// let pieces = vocabulary.encode_source(text);
/// assert_eq!(pieces.spans.last().unwrap().end, text.len());
/// assert_eq!(vocabulary.decode_target(&pieces.ids).text, text);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Vocabulary {
    source: Side,
    target: Side,
    /// The codes of the target languages, such as `>>ara<<`.
    target_codes: Vec<String>,
}

/// One language: its pieces and the model's ids for them.
#[derive(Debug)]
struct Side {
    model: Arc<SentencePiece>,
    index: Arc<Index>,
    /// The model's id by SentencePiece's.
    ids: Vec<TokenId>,
}

/// A sentence in pieces, without `</s>`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pieces {
    /// The model's ids.
    pub ids: Vec<TokenId>,
    /// Where each piece stands in the text given: in order, on character boundaries. The space before a word belongs
    /// to its first piece. Two pieces share a character that was rewritten into both, as `…` into `..` and `.`;
    /// a piece that comes from no character has an empty span.
    pub spans: Vec<Span>,
}

impl Side {
    fn new(model: Arc<SentencePiece>, index: Arc<Index>) -> Self {
        let ids = (0..model.len() as u32)
            .map(|id| model.piece(id).and_then(|(piece, _)| index.id(piece)).unwrap_or(index.unknown))
            .collect();
        Side { model, index, ids }
    }

    fn encode(&self, text: &str) -> Pieces {
        let encoded = self.model.encode(text);
        let unknown = self.model.unknown();
        let id = |piece: &EncodedPiece| match piece.id {
            Some(id) if Some(id) != unknown => self.ids[id as usize],
            // `vocab.json` covers both languages: it may have what the model of one does not know.
            _ => self.index.id(&encoded.text[piece.range.clone()]).unwrap_or(self.index.unknown),
        };
        encoded.pieces.iter().map(|piece| (id(piece), piece.span)).collect()
    }
}

impl Vocabulary {
    /// Reads `source.spm`, `target.spm` and `vocab.json`.
    ///
    /// # Errors
    /// One of the three is corrupt: the message names it and the place.
    pub fn from_bytes(source_spm: &[u8], target_spm: &[u8], vocab_json: &[u8]) -> Result<Self> {
        let index = Index::from_json(vocab_json).map_err(|error| error.at("`vocab.json`"))?;
        let index = Arc::new(index);
        Vocabulary::new(source_spm, target_spm, Arc::clone(&index), index)
    }

    /// Reads a model whose two languages have ids of their own: `vocab.json` for the source and `target_vocab.json`.
    ///
    /// # Errors
    /// One of the four is corrupt: the message names it and the place.
    pub fn from_separate_bytes(
        source_spm: &[u8],
        target_spm: &[u8],
        vocab_json: &[u8],
        target_vocab_json: &[u8],
    ) -> Result<Self> {
        let source = Index::from_json(vocab_json).map_err(|error| error.at("`vocab.json`"))?;
        let target = Index::from_json(target_vocab_json).map_err(|error| error.at("`target_vocab.json`"))?;
        Vocabulary::new(source_spm, target_spm, Arc::new(source), Arc::new(target))
    }

    /// Reads a vocabulary whose ids are SentencePiece's own, as Marian's and Bergamot's own formats have it;
    /// `target_spm` is the same file where the languages share one.
    ///
    /// # Errors
    /// One of the files is corrupt, or has no `</s>` or unknown piece.
    pub fn from_sentencepiece(source_spm: &[u8], target_spm: &[u8]) -> Result<Self> {
        let index = |spm: &[u8], name: &str| {
            let model = SentencePiece::from_bytes(spm).map_err(|error| error.at(name))?;
            let mut entries = Entries::default();
            for id in 0..model.len() as u32 {
                if let Some((piece, _)) = model.piece(id) {
                    entries.push(piece, id);
                }
            }
            let unknown = model.unknown().and_then(|id| model.piece(id)).map_or("<unk>", |(piece, _)| piece);
            Index::new(entries, "</s>", unknown, "<pad>").map(Arc::new).map_err(|error| error.at(name))
        };
        let source = index(source_spm, "`source.spm`")?;
        let target = if source_spm == target_spm { Arc::clone(&source) } else { index(target_spm, "`target.spm`")? };
        Vocabulary::new(source_spm, target_spm, source, target)
    }

    fn new(source_spm: &[u8], target_spm: &[u8], source: Arc<Index>, target: Arc<Index>) -> Result<Self> {
        let source_model = SentencePiece::from_bytes(source_spm).map_err(|error| error.at("`source.spm`"))?;
        let source_model = Arc::new(source_model);
        let target_model = if source_spm == target_spm {
            Arc::clone(&source_model)
        } else {
            Arc::new(SentencePiece::from_bytes(target_spm).map_err(|error| error.at("`target.spm`"))?)
        };
        let target_codes = source.codes().map(str::to_owned).collect();
        Ok(Vocabulary {
            source: Side::new(source_model, source),
            target: Side::new(target_model, target),
            target_codes,
        })
    }

    /// Cuts a source sentence into pieces. Where the model translates into several languages, a code such as
    /// `>>fra<<` at the start of the text becomes one piece; in any other model it is text like all else.
    pub fn encode_source(&self, text: &str) -> Pieces {
        match self.leading_code(text) {
            Some((code, id)) => {
                let rest = self.source.encode(&text[code.end..]);
                let spans = rest.spans.into_iter().map(|span| span.shifted(code.end));
                std::iter::once((id, code)).chain(rest.ids.into_iter().zip(spans)).collect()
            }
            None => self.source.encode(text),
        }
    }

    fn leading_code(&self, text: &str) -> Option<(Span, TokenId)> {
        if self.target_codes.is_empty() || !text.starts_with(">>") {
            return None;
        }
        let end = text.find("<<")? + 2;
        Some((Span::new(0, end), self.source.index.id(&text[..end])?))
    }

    /// Cuts a target sentence into pieces.
    pub fn encode_target(&self, text: &str) -> Pieces {
        self.target.encode(text)
    }

    /// The target text of `ids`, with a span for each: `</s>` and `<pad>` show as nothing, `<unk>` and ids out of the
    /// vocabulary as the model's sign for an unknown word (` ⁇ `), so that no loss is silent.
    pub fn decode_target(&self, ids: &[TokenId]) -> Decoded {
        self.target.decode(ids)
    }

    /// The source text of `ids`, as [`decode_target`](Vocabulary::decode_target).
    pub fn decode_source(&self, ids: &[TokenId]) -> Decoded {
        self.source.decode(ids)
    }

    /// Number of target ids, gaps included: one more than the greatest.
    pub fn len(&self) -> usize {
        self.target.index.len()
    }

    /// Number of source ids; the same as [`len`](Vocabulary::len) where the languages share their ids.
    pub fn source_len(&self) -> usize {
        self.source.index.len()
    }

    /// Whether there is no id; there are always some.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id of `</s>`, which ends every sentence.
    pub fn end_of_sentence(&self) -> TokenId {
        self.target.index.end_of_sentence
    }

    /// The id of `<unk>`.
    pub fn unknown(&self) -> TokenId {
        self.target.index.unknown
    }

    /// The id of `<pad>`, where there is one.
    pub fn pad(&self) -> Option<TokenId> {
        self.target.index.pad
    }

    /// The target piece with an id.
    pub fn piece(&self, id: TokenId) -> Option<&str> {
        self.target.index.piece(id)
    }

    /// The id of a target piece.
    pub fn id(&self, piece: &str) -> Option<TokenId> {
        self.target.index.id(piece)
    }

    /// The target pieces that begin a word of letters, by ascending id.
    pub fn target_word_beginnings(&self) -> impl Iterator<Item = TokenId> {
        self.target_pieces(|piece| piece.strip_prefix('▁').is_some_and(|word| word.starts_with(char::is_alphabetic)))
    }

    /// The source pieces as parts of words.
    pub fn source_word_pieces(&self) -> WordPieces {
        WordPieces::new((0..self.source_len() as TokenId).map(|id| self.source.index.piece(id)))
    }

    /// The target pieces of digits, by ascending id.
    pub fn target_figures(&self) -> impl Iterator<Item = TokenId> {
        self.target_pieces(|piece| {
            let digits = piece.trim_start_matches('▁');
            !digits.is_empty() && digits.chars().all(char::is_numeric)
        })
    }

    fn target_pieces(&self, wanted: fn(&str) -> bool) -> impl Iterator<Item = TokenId> {
        (0..self.len() as TokenId).filter(move |&id| self.piece(id).is_some_and(wanted))
    }

    /// The codes of the languages the model translates into, such as `>>fra<<`, by id. Empty for a model of one
    /// target language; any other wants a code at the start of each source sentence.
    pub fn target_codes(&self) -> &[String] {
        &self.target_codes
    }
}

impl Side {
    fn decode(&self, ids: &[TokenId]) -> Decoded {
        let unknown = self.index.piece(self.index.unknown);
        let mut decoder = self.model.decoder();
        for &id in ids {
            let hidden = id == self.index.end_of_sentence || Some(id) == self.index.pad;
            decoder.push(if hidden { None } else { self.index.piece(id).or(unknown) });
        }
        decoder.finish().tidied()
    }
}

impl FromIterator<(TokenId, Span)> for Pieces {
    fn from_iter<I: IntoIterator<Item = (TokenId, Span)>>(pieces: I) -> Self {
        let (ids, spans) = pieces.into_iter().unzip();
        Pieces { ids, spans }
    }
}

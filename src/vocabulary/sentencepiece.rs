//! One `.spm` file: a SentencePiece model read from its protobuf, encoding and decoding as the `sentencepiece` program.
//!
//! Kudo & Richardson 2018, "SentencePiece". Written out here and not built from `tokenizers`: that crate's normaliser
//! goes by grapheme cluster and loses marks, its unigram model takes `</s>` in a text for the control piece, and both
//! loading and cutting take it four times as long. On text prepared here its unigram model agrees, which is tested.

use std::ops::Range;

use sentencepiece_model::{ModelType, SentencePieceModel};

use super::bpe::Bpe;
use super::charsmap::Charsmap;
use super::decoding::{Decoded, Decoder, Surroundings};
use super::piece::{Piece, PieceKind, PieceTable, corrupt};
use super::surface::{Surface, SurfaceRules};
use super::trie::Trie;
use super::unigram::{Unigram, Use};
use crate::error::{Error, ErrorKind, Result};
use crate::span::Span;

/// A SentencePiece model: unigram or BPE.
///
/// ```
/// use tarjim::vocabulary::SentencePiece;
///
/// # fn main() -> tarjim::Result<()> {
/// let model = SentencePiece::from_bytes(include_bytes!("../../tests/data/spm/news.spm"))?;
/// let encoded = model.encode("زار الوزير القاهرة");
/// let pieces: Vec<&str> = encoded.pieces.iter().map(|piece| &encoded.text[piece.range.clone()]).collect();
/// assert_eq!(model.decode(&pieces).text, "زار الوزير القاهرة");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SentencePiece {
    pieces: Vec<Piece>,
    unknown: Option<u32>,
    /// Pieces that text is cut into: normal, user-defined and unused ones.
    trie: Trie,
    /// All others (control, unknown, byte), which text never becomes, sorted.
    reserved: Vec<u32>,
    /// Ids of the pieces `<0x00>` to `<0xFF>`, where unknown characters become those.
    bytes: Option<Box<[u32; 256]>>,
    rules: SurfaceRules,
    segmenter: Segmenter,
    unknown_surface: String,
}

#[derive(Debug)]
enum Segmenter {
    Unigram(Unigram),
    Bpe(Bpe),
}

/// A text in pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// The text as the model sees it: characters rewritten, `▁` for spaces.
    pub text: String,
    /// Its pieces in order.
    pub pieces: Vec<EncodedPiece>,
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedPiece {
    /// The model's own number for it, `None` for an unknown piece in a model that has no number for that.
    pub id: Option<u32>,
    /// The bytes of [`Encoded::text`] it covers; all bytes of one unknown character cover that character.
    pub range: Range<usize>,
    /// Where it came from in the text given. Spans begin and end in order; two share a character where one
    /// character was rewritten into several pieces.
    pub span: Span,
}

impl SentencePiece {
    /// Reads a `.spm` file.
    ///
    /// # Errors
    /// The bytes are not a SentencePiece model, or one that contradicts itself.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut reader = bytes;
        let model = SentencePieceModel::from_reader(&mut reader).map_err(|source| {
            Error::new(
                ErrorKind::Model,
                format!("not a SentencePiece model at byte {}: {source}", bytes.len() - reader.len()),
            )
            .with_hint("fetch the model again")
            .with_source(source)
        })?;
        let trainer = model.trainer().cloned().unwrap_or_default();
        let PieceTable { pieces, scores, unknown, bytes } = PieceTable::read(&model.pieces, trainer.byte_fallback())?;
        let (texts, reserved) = partition(&pieces)?;
        let trie = Trie::from_sorted(&texts);
        let symbols: Vec<_> =
            texts.iter().copied().filter(|&(_, id)| pieces[id as usize].kind == PieceKind::UserDefined).collect();
        let user_defined = (!symbols.is_empty()).then(|| Trie::from_sorted(&symbols));

        let scored = scores.iter().copied().zip(&pieces);
        let segmenter = match trainer.model_type() {
            ModelType::Unigram => Segmenter::Unigram(Unigram::new(scored.map(|(score, piece)| {
                let used = match piece.kind {
                    PieceKind::Normal => Use::Scored,
                    PieceKind::UserDefined => Use::Always,
                    _ => Use::Never,
                };
                (score, used, piece.text.len())
            }))),
            ModelType::Bpe => {
                Segmenter::Bpe(Bpe::new(scored.map(|(score, piece)| (score, piece.kind == PieceKind::Unused))))
            }
            other => {
                return Err(Error::new(
                    ErrorKind::Model,
                    format!("expected a unigram or BPE model, found {}", other.as_str_name()),
                ));
            }
        };

        let normalizer = model.normalizer().cloned().unwrap_or_default();
        let charsmap = match normalizer.precompiled_charsmap() {
            [] => None,
            map => Some(Charsmap::parse(map).map_err(|error| error.with_hint("fetch the model again"))?),
        };
        if model.denormalizer().is_some_and(|spec| !spec.precompiled_charsmap().is_empty()) {
            return Err(Error::new(ErrorKind::Model, "denormalisation rules are not supported"));
        }
        Ok(SentencePiece {
            pieces,
            unknown,
            trie,
            reserved,
            bytes,
            rules: SurfaceRules {
                charsmap,
                user_defined,
                add_dummy_prefix: normalizer.add_dummy_prefix(),
                remove_extra_whitespaces: normalizer.remove_extra_whitespaces(),
                escape_whitespaces: normalizer.escape_whitespaces(),
                whitespace_as_suffix: trainer.treat_whitespace_as_suffix(),
            },
            segmenter,
            unknown_surface: trainer.unk_surface().to_owned(),
        })
    }

    /// Number of pieces.
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether the model has no piece; it always has one.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The text and kind of piece `id`.
    pub fn piece(&self, id: u32) -> Option<(&str, PieceKind)> {
        self.pieces.get(id as usize).map(|piece| (&*piece.text, piece.kind))
    }

    /// The number of a piece.
    pub fn id(&self, piece: &str) -> Option<u32> {
        let reserved = self.reserved.binary_search_by(|&id| (*self.pieces[id as usize].text).cmp(piece));
        reserved.map_or_else(|_| self.trie.get(piece.as_bytes()), |at| Some(self.reserved[at]))
    }

    /// The number of the unknown piece; a model that spells unknown characters in bytes may have none.
    pub fn unknown(&self) -> Option<u32> {
        self.unknown
    }

    /// Cuts `text` into pieces, as `sentencepiece`'s `encode` does.
    pub fn encode(&self, text: &str) -> Encoded {
        let surface = self.rules.prepare(text);
        let segments = match &self.segmenter {
            Segmenter::Unigram(unigram) => unigram.segment(&surface.text, &self.trie),
            Segmenter::Bpe(bpe) => bpe.segment(&surface.text, &self.trie, |rest| self.rules.symbol(rest)),
        };
        let pieces = self.merge_unknown(&segments, &surface, text);
        Encoded { text: surface.text, pieces }
    }

    /// Joins neighbouring unknown characters, or spells them in bytes where the model does so.
    fn merge_unknown(
        &self,
        segments: &[(Range<usize>, Option<u32>)],
        surface: &Surface,
        input: &str,
    ) -> Vec<EncodedPiece> {
        let mut pieces: Vec<EncodedPiece> = Vec::with_capacity(segments.len());
        let mut after_unknown = false;
        for (range, id) in segments {
            let span = surface.origin(range.clone(), input);
            let unknown = id.is_none();
            match (id, &self.bytes) {
                (None, Some(ids)) => pieces.extend(surface.text[range.clone()].bytes().map(|byte| EncodedPiece {
                    id: Some(ids[byte as usize]),
                    range: range.clone(),
                    span,
                })),
                (None, None) if after_unknown => {
                    if let Some(last) = pieces.last_mut() {
                        last.range.end = range.end;
                        last.span = last.span.cover(span);
                    }
                }
                _ => pieces.push(EncodedPiece { id: id.or(self.unknown), range: range.clone(), span }),
            }
            after_unknown = unknown;
        }
        pieces
    }

    /// Puts pieces together again, as `sentencepiece`'s `decode_pieces` does. One span per piece, in order.
    pub fn decode<S: AsRef<str>>(&self, pieces: &[S]) -> Decoded {
        let mut decoder = self.decoder();
        for piece in pieces {
            decoder.push(Some(piece.as_ref()));
        }
        decoder.finish()
    }

    pub(super) fn decoder(&self) -> Decoder<'_> {
        let strips = self.rules.add_dummy_prefix || self.rules.remove_extra_whitespaces;
        let surroundings = match (strips, self.rules.remove_extra_whitespaces) {
            (false, _) => Surroundings::Kept,
            (true, false) => Surroundings::FirstSpaceStripped,
            (true, true) => Surroundings::LeadingSpacesStripped,
        };
        Decoder::new(self, &self.unknown_surface, surroundings)
    }
}

/// Texts with their ids, sorted.
type SortedTexts<'a> = Vec<(&'a [u8], u32)>;

/// The pieces that text is cut into, and the ids of all others, sorted by text.
fn partition(pieces: &[Piece]) -> Result<(SortedTexts<'_>, Vec<u32>)> {
    let mut texts = Vec::with_capacity(pieces.len());
    let mut reserved = Vec::new();
    for (id, piece) in (0..).zip(pieces) {
        match piece.kind {
            PieceKind::Unused if &*piece.text == "\0" => {}
            PieceKind::Normal | PieceKind::UserDefined | PieceKind::Unused => texts.push((piece.text.as_bytes(), id)),
            PieceKind::Unknown | PieceKind::Control | PieceKind::Byte(_) => reserved.push(id),
        }
    }
    texts.sort_unstable();
    let text_of = |id: u32| &pieces[id as usize].text;
    reserved.sort_unstable_by_key(|&id| text_of(id));
    let twice = texts.windows(2).find(|pair| pair[0].0 == pair[1].0).map(|pair| pair[1].1);
    let twice = twice.or_else(|| {
        let reserved = reserved.windows(2).find(|pair| text_of(pair[0]) == text_of(pair[1]));
        reserved.map(|pair| pair[1])
    });
    match twice {
        Some(id) => Err(corrupt(format!("piece {id} `{}` stands there twice", text_of(id).escape_debug()))),
        None => Ok((texts, reserved)),
    }
}

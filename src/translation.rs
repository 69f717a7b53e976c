//! What a translation is: a document of sentences, each with its words, links, scores and doubts.

use serde::{Deserialize, Serialize};

use crate::alignment::{Alignment, Matrix};
use crate::flags::Flag;
use crate::span::Span;

/// A translated text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// The whole English text, with the spacing and line breaks of the source between sentences.
    pub text: String,
    /// Its sentences in order.
    pub sentences: Vec<Sentence>,
}

impl Document {
    /// Adds another text as a line of its own.
    pub fn append_line(&mut self, other: Document) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let offset = self.text.len();
        self.text += &other.text;
        self.sentences.extend(other.sentences.into_iter().map(|mut sentence| {
            sentence.target_span = sentence.target_span.shifted(offset);
            sentence
        }));
    }

    /// Adds a sentence as a line of its own.
    pub fn push_line(&mut self, sentence: Sentence) {
        self.append_line(Document { text: sentence.target.clone(), sentences: vec![sentence] });
    }
}

/// One translated sentence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sentence {
    /// The Arabic, as it stands in the source.
    pub source: String,
    /// Where it stands in the source document.
    pub source_span: Span,
    /// The English.
    pub target: String,
    /// Where it stands in [`Document::text`].
    pub target_span: Span,
    /// Mean log-probability of the target pieces under the length penalty: search's own score.
    pub score: f32,
    /// The source words, as spans of [`source`](Sentence::source).
    pub source_words: Vec<Span>,
    /// The target words, as spans of [`target`](Sentence::target).
    pub target_words: Vec<Span>,
    /// Log-probability of each target word: the sum over its pieces.
    pub word_log_probs: Vec<f32>,
    /// The [confidence](crate::confidence) in each target word, in [0, 1].
    pub word_confidences: Vec<f32>,
    /// The confidence in the whole sentence, in [0, 1].
    pub confidence: f32,
    /// Which target word came from which source word.
    pub alignment: Alignment,
    /// The soft alignment that the links were read off; without rows where there is none.
    pub matrix: Matrix,
    /// The model's pieces with their own alignment, where they were asked for.
    pub pieces: Option<SentencePieces>,
    /// What a reader should doubt.
    pub flags: Vec<Flag>,
    /// Further hypotheses, best first, where n-best output was asked for; the first is the translation itself.
    pub n_best: Vec<Candidate>,
}

/// The subword view of a sentence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SentencePieces {
    /// Spans of [`Sentence::source`], one per source piece.
    pub source: Vec<Span>,
    /// Spans of [`Sentence::target`], one per target piece.
    pub target: Vec<Span>,
    /// Log-probability of each target piece.
    pub log_probs: Vec<f32>,
    /// Attention of the alignment head: one row per target piece, one column per source piece, then one for
    /// `</s>`; a row sums to 1.
    pub attention: Vec<Vec<f32>>,
}

/// One line of an n-best list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The English.
    pub target: String,
    /// Search's score: comparable within one list.
    pub score: f32,
}

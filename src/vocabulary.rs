//! SentencePiece pieces, their ids and their spans.

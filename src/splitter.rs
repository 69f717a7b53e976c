//! Lossless splitting of Arabic text into sentences.

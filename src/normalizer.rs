//! Text clean-up before the vocabulary, with every byte traceable to the original.

//! Word links between a sentence and its translation.

/// A link between one source word and one target word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Index of the source word.
    pub source: usize,
    /// Index of the target word.
    pub target: usize,
    /// The share of the target word's attention that lies on the source word, in [0, 1].
    pub probability: f32,
}

/// The links of one sentence pair.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alignment {
    /// Sorted by source word, then by target word.
    pub links: Vec<Link>,
    /// For each target word the probability that it comes from no source word.
    pub null: Vec<f32>,
}

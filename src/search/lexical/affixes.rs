//! What a word may have before and behind its stem.

/// Prefixes and suffixes, each with what stands for it in the stem: in `تها:ة`, `-ته-ا` is what a final `ة` becomes
/// before `ها`.
#[derive(Debug, Default)]
pub(super) struct Affixes {
    prefixes: Vec<Affix>,
    suffixes: Vec<Affix>,
    /// Which prefix with which suffix, those that take the least away first.
    order: Vec<(usize, usize)>,
}

#[derive(Debug, Default)]
struct Affix {
    of_word: String,
    of_stem: String,
}

/// The letters that must be left between a prefix and a suffix.
const LEAST_LETTERS: usize = 3;

impl Affixes {
    /// Reads two lists, parted by spaces: `و بال:ال` is `و` before nothing and `بال` before what otherwise has `ال`.
    pub(super) fn parse(prefixes: &str, suffixes: &str) -> Self {
        let [prefixes, suffixes] = [prefixes, suffixes].map(|list| {
            let affixes = list.split_whitespace().map(|affix| {
                let (of_word, of_stem) = affix.split_once(':').unwrap_or((affix, ""));
                Affix { of_word: of_word.to_owned(), of_stem: of_stem.to_owned() }
            });
            // A word may have only the other kind.
            std::iter::once(Affix::default()).chain(affixes).collect::<Vec<_>>()
        });
        let both = |suffix: usize| (0..prefixes.len()).map(move |prefix| (prefix, suffix));
        let mut order: Vec<(usize, usize)> = (0..suffixes.len()).flat_map(both).skip(1).collect();
        let length = |affix: &Affix| affix.of_word.chars().count();
        order.sort_by_cached_key(|&(prefix, suffix)| length(&prefixes[prefix]) + length(&suffixes[suffix]));
        Affixes { prefixes, suffixes, order }
    }

    /// The stems that a word may have, those nearest to it first.
    pub(super) fn stems(&self, word: &str) -> impl Iterator<Item = String> {
        self.order.iter().filter_map(move |&(prefix, suffix)| {
            let (prefix, suffix) = (&self.prefixes[prefix], &self.suffixes[suffix]);
            let middle = word.strip_prefix(&prefix.of_word[..])?.strip_suffix(&suffix.of_word[..])?;
            let enough = middle.chars().count() >= LEAST_LETTERS;
            enough.then(|| [&prefix.of_stem, middle, &suffix.of_stem].concat())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_come_from_the_nearest_on() {
        let affixes = Affixes::parse("و بال:ال لل:ال لل", "ها تها:ة ا");
        let stems = |word: &str| affixes.stems(word).collect::<Vec<_>>();
        assert_eq!(stems("وكتاب"), ["كتاب"]);
        assert_eq!(stems("للكتاب"), ["الكتاب", "كتاب"]);
        assert_eq!(stems("ورسالتها"), ["رسالتها", "ورسالته", "ورسالت", "رسالته", "رسالت", "ورسالة", "رسالة"]);
        assert_eq!(stems("ولد"), [""; 0]);
        assert_eq!(Affixes::default().stems("وكتاب").count(), 0);
    }
}

//! Text clean-up before the vocabulary, with every byte traceable to the original.
//!
//! Web news is written with marks a translation model has seldom or never seen: presentation forms from PDF files,
//! stretched letters, curly quotes, direction marks, a space before each comma. [`Normalizer`] rewrites them into
//! what the models were trained on, rule by rule, and [`Normalized::original`] leads back from a span of the result
//! to the text given.

mod characters;
mod trace;

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use crate::span::Span;
use trace::Trace;

/// The rules of a [`Normalizer`]. [`Default`] is meant for news; start from it, or from
/// [`none`](NormalizerOptions::none), and switch single rules.
///
/// ```
/// use tarjim::normalizer::{Normalizer, NormalizerOptions};
///
/// let mut options = NormalizerOptions::default();
/// options.digits = false;
/// assert_eq!(Normalizer::new(options).normalize("عام  ٢٠٢٣ .").text, "عام ٢٠٢٣.");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each rule is switched on its own")]
#[non_exhaustive]
pub struct NormalizerOptions {
    /// Control, private-use and non-characters become a space, as in OPUS-MT's `preprocess.sh`.
    pub control_characters: bool,
    /// What has no width goes: direction marks, joiners and non-joiners, soft hyphens, byte-order marks, variation
    /// selectors. They stand inside words, where a space would cut them in two.
    pub invisible_characters: bool,
    /// Presentation forms of Arabic letters (U+FB50–U+FDFF, U+FE70–U+FEFC) become the letters: `ﻻ` → `لا`.
    pub presentation_forms: bool,
    /// A letter and its combining hamza or madda, or a Latin letter and its accent, become one character.
    pub composition: bool,
    /// Tatweel is taken out of words (`كتـــاب` → `كتاب`); standing alone it is a dash.
    pub tatweel: bool,
    /// Short vowels, tanween, shadda, sukun and superscript alef go: `كُتُب` → `كتب`. Models have seen few of them:
    /// in OPUS-MT's vocabulary a word of news that has one takes twice the pieces it takes without.
    pub vowel_marks: bool,
    /// Persian kaf and yeh become the Arabic letters they are typed for.
    pub persian_letters: bool,
    /// Arabic-Indic digits become ASCII ones, and between digits their separators `٫` and `٬` become `.` and `,`.
    pub digits: bool,
    /// Curly, angle and low quotes become `"` and `'`.
    pub quotes: bool,
    /// Dashes of all lengths become `-`; a long one between two words gets spaces.
    pub dashes: bool,
    /// `…`, and four full stops or more, become `...`.
    pub ellipses: bool,
    /// The space before a comma, full stop, semicolon, colon, question or exclamation mark goes: `نعم ، لا` → `نعم، لا`.
    pub space_before_punctuation: bool,
    /// Runs of white space become one space, and there is none at the ends.
    pub spaces: bool,
}

impl Default for NormalizerOptions {
    fn default() -> Self {
        NormalizerOptions {
            control_characters: true,
            invisible_characters: true,
            presentation_forms: true,
            composition: true,
            tatweel: true,
            vowel_marks: true,
            persian_letters: true,
            digits: true,
            quotes: true,
            dashes: true,
            ellipses: true,
            space_before_punctuation: true,
            spaces: true,
        }
    }
}

impl NormalizerOptions {
    /// No rule at all: the text stays as it is.
    pub fn none() -> Self {
        NormalizerOptions {
            control_characters: false,
            invisible_characters: false,
            presentation_forms: false,
            composition: false,
            tatweel: false,
            vowel_marks: false,
            persian_letters: false,
            digits: false,
            quotes: false,
            dashes: false,
            ellipses: false,
            space_before_punctuation: false,
            spaces: false,
        }
    }
}

/// Cleans text up.
///
/// ```
/// use tarjim::Span;
/// use tarjim::normalizer::Normalizer;
///
/// let text = "قال ”نعــم“ ، وأضاف…";
/// let normalized = Normalizer::default().normalize(text);
/// assert_eq!(normalized.text, "قال \"نعم\"، وأضاف...");
///
/// let word = normalized.text.find("نعم").unwrap();
/// let original = normalized.original(Span::new(word, word + "نعم".len()));
/// assert_eq!(original.of(text), "نعــم");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Normalizer {
    options: NormalizerOptions,
}

/// A cleaned-up text that remembers where it came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Normalized {
    /// The text.
    pub text: String,
    trace: Trace,
}

impl Normalized {
    /// Where in the original a span of the text came from. Marks that were taken out of a word belong to the letter
    /// before them; a character that was rewritten into several is given whole for each of them.
    ///
    /// Spans in order lead to spans in order. An empty span leads to an empty one.
    pub fn original(&self, span: Span) -> Span {
        self.trace.original(span)
    }
}

impl Normalizer {
    /// A normaliser with these rules.
    pub fn new(options: NormalizerOptions) -> Self {
        Normalizer { options }
    }

    /// A normaliser that leaves every text as it is.
    pub fn none() -> Self {
        Normalizer::new(NormalizerOptions::none())
    }

    /// The rules.
    pub fn options(&self) -> &NormalizerOptions {
        &self.options
    }

    /// Cleans `text` up. The cost is linear in its length.
    pub fn normalize(&self, text: &str) -> Normalized {
        let mut pass = Pass {
            options: &self.options,
            input: text,
            text: String::new(),
            trace: Trace::default(),
            spaces: Vec::new(),
        };
        pass.text.reserve(text.len());
        let mut at = 0;
        while let Some(character) = text[at..].chars().next() {
            at = pass.take(at, character);
        }
        if !self.options.spaces {
            pass.write_spaces();
        }
        Normalized { text: pass.text, trace: pass.trace }
    }
}

/// One run over a text.
struct Pass<'a> {
    options: &'a NormalizerOptions,
    input: &'a str,
    text: String,
    trace: Trace,
    /// White space read and not yet written, each with its place: what follows decides.
    spaces: Vec<(char, Span)>,
}

impl Pass<'_> {
    /// Takes the character at `at`, and what belongs to it, and returns the place after that.
    fn take(&mut self, at: usize, character: char) -> usize {
        let options = self.options;
        let span = Span::new(at, at + character.len_utf8());
        if options.invisible_characters && characters::is_invisible(character) {
            self.attach(span.end);
        } else if character.is_whitespace() {
            self.spaces.push((character, span));
        } else if options.control_characters && characters::is_control(character) {
            self.spaces.push((' ', span));
        } else if options.vowel_marks && characters::is_vowel_mark(character) {
            self.attach(span.end);
        } else if options.tatweel && character == characters::TATWEEL {
            return self.take_tatweel(span);
        } else if options.ellipses && matches!(character, '.' | '…') {
            return self.take_dots(span);
        } else if options.presentation_forms && characters::is_presentation_form(character) {
            let mut letters: Cow<str> = span.of(self.input).nfkc().collect::<String>().into();
            // The forms of a vowel mark alone are compatible with a space or tatweel that carries it.
            if let Some(mark) = letters.strip_prefix([' ', characters::TATWEEL]).filter(|mark| !mark.is_empty()) {
                letters = mark.to_owned().into();
            }
            if options.vowel_marks {
                letters = letters.replace(characters::is_vowel_mark, "").into();
            }
            if letters.is_empty() {
                self.attach(span.end);
            } else {
                self.write(&letters, span);
            }
        } else if let Some(plain) = self.plain(character, span) {
            self.write(plain, span);
        } else {
            if options.space_before_punctuation
                && characters::is_closing_punctuation(character)
                && self.ends_phrase(span.end)
            {
                self.spaces.clear();
            }
            if !(options.composition && self.spaces.is_empty() && self.compose(character, span)) {
                self.copy(span);
            }
        }
        span.end
    }

    /// What a single character is rewritten into.
    fn plain(&self, character: char, span: Span) -> Option<&'static str> {
        let options = self.options;
        if options.persian_letters {
            match character {
                'ک' => return Some("ك"),
                'ی' => return Some("ي"),
                _ => {}
            }
        }
        if options.digits {
            if let Some(digit) = characters::ascii_digit(character) {
                return Some(digit);
            }
            let digit = |neighbour: Option<char>| neighbour.is_some_and(characters::is_digit);
            let inside_number = self.spaces.is_empty()
                && digit(self.text.chars().next_back())
                && digit(self.input[span.end..].chars().next());
            match character {
                '٫' if inside_number => return Some("."),
                '٬' if inside_number => return Some(","),
                '٪' => return Some("%"),
                _ => {}
            }
        }
        if options.quotes
            && let Some(quote) = characters::plain_quote(character)
        {
            return Some(quote);
        }
        if options.dashes && characters::is_dash(character) {
            let before = !self.text.is_empty() && self.spaces.is_empty();
            let after = self.input[span.end..].chars().next().is_some_and(|next| !next.is_whitespace());
            let long = matches!(character, '—' | '―');
            return Some(if long && before && after { " - " } else { "-" });
        }
        None
    }

    /// Takes a run of tatweel: out of a word, or as a dash.
    fn take_tatweel(&mut self, first: Span) -> usize {
        let rest = &self.input[first.start..];
        let run = Span::new(first.start, self.input.len() - rest.trim_start_matches(characters::TATWEEL).len());
        let after_letter = self.spaces.is_empty() && self.text.chars().next_back().is_some_and(characters::joins);
        let before_letter = self.input[run.end..].chars().next().is_some_and(characters::joins);
        if after_letter {
            self.attach(run.end);
        } else if !before_letter {
            self.write("-", run);
        }
        run.end
    }

    /// Takes a run of full stops and ellipses.
    fn take_dots(&mut self, first: Span) -> usize {
        let rest = &self.input[first.start..];
        let run = Span::new(first.start, self.input.len() - rest.trim_start_matches(['.', '…']).len());
        let dots = run.of(self.input);
        if dots.contains('…') || dots.len() > 3 {
            self.write("...", run);
        } else {
            if dots == "." && self.options.space_before_punctuation && self.ends_phrase(run.end) {
                self.spaces.clear();
            }
            self.copy(run);
        }
        run.end
    }

    /// Whether a punctuation mark that ends at `end` has nothing after it that could belong to it, as `.5` or `:)`.
    fn ends_phrase(&self, end: usize) -> bool {
        !self.text.is_empty()
            && self.input[end..].chars().next().is_none_or(|next| {
                next.is_whitespace()
                    || characters::plain_quote(next).is_some()
                    || matches!(next, '"' | '\'' | ')' | ']')
                    || characters::is_control(next)
                    || characters::is_invisible(next)
            })
    }

    /// Joins a combining character with the one before it, where Unicode has a character for both.
    fn compose(&mut self, character: char, span: Span) -> bool {
        let Some(last) = self.text.chars().next_back() else { return false };
        let Some(composed) = unicode_normalization::char::compose(last, character) else { return false };
        self.text.pop();
        let start = self.trace.pop(self.text.len());
        self.trace.replace(self.text.len(), Span::new(start, span.end));
        self.text.push(composed);
        true
    }

    /// Leaves out the original up to `end`: it belongs to the character before it, unless a space lies between.
    fn attach(&mut self, end: usize) {
        if self.spaces.is_empty()
            && let Some(last) = self.text.chars().next_back()
        {
            self.trace.attach(self.text.len() - last.len_utf8(), end);
        }
    }

    fn write(&mut self, text: &str, original: Span) {
        self.write_spaces();
        self.trace.replace(self.text.len(), original);
        self.text.push_str(text);
    }

    fn copy(&mut self, original: Span) {
        self.write_spaces();
        self.trace.copy(self.text.len(), original);
        self.text.push_str(original.of(self.input));
    }

    fn write_spaces(&mut self) {
        let (Some(&(_, first)), Some(&(_, last))) = (self.spaces.first(), self.spaces.last()) else { return };
        if self.options.spaces {
            if !self.text.is_empty() {
                let run = first.cover(last);
                if run.of(self.input) == " " {
                    self.trace.copy(self.text.len(), run);
                } else {
                    self.trace.replace(self.text.len(), run);
                }
                self.text.push(' ');
            }
        } else {
            for &(space, original) in &self.spaces {
                if original.of(self.input).starts_with(space) {
                    self.trace.copy(self.text.len(), original);
                } else {
                    self.trace.replace(self.text.len(), original);
                }
                self.text.push(space);
            }
        }
        self.spaces.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(Normalizer::default().normalize(text).text, expected, "of {text:?}");
    }

    #[test]
    fn spaces_before_punctuation_go() {
        check("المادة 5 ، والتي", "المادة 5، والتي");
        check("في ”الناتو“ ، قال .", "في \"الناتو\"، قال.");
        check("هل وصل ؟ نعم !", "هل وصل؟ نعم!");
        check("الدقة .5 والموقع .com", "الدقة .5 والموقع .com");
        check(" ، نعم", "، نعم");
        check("لأوكرانيين … الرئيس", "لأوكرانيين ... الرئيس");
    }

    #[test]
    fn quotes_dashes_and_dots() {
        check("«قال» „نعم‟ ‘لا’", "\"قال\" \"نعم\" 'لا'");
        check("الجميع – مما – يؤدي", "الجميع - مما - يؤدي");
        check("الوزير—وهو طبيب—قال", "الوزير - وهو طبيب - قال");
        check("2020–2021", "2020-2021");
        check("انتظر…. ثم ...... ثم ..", "انتظر... ثم ... ثم ..");
    }

    #[test]
    fn letters() {
        check("كتـــاب ـ هـ", "كتاب - ه");
        check("ﻗﺎﻝ ﺍﻟﻮﺯﻳﺮ ﻻ ﷲ", "قال الوزير لا الله");
        check("ﻗَﺎﻝَ ﺏﹷ", "قال ب");
        check("آن أمس", "آن أمس");
        check("کتاب علی", "كتاب علي");
    }

    #[test]
    fn digits_with_their_separators() {
        check("٢٠٢٣ و۱۲۳", "2023 و123");
        check("٣٫٥٪ من ١٬٢٥٠", "3.5% من 1,250");
        check("نص ٬ نص", "نص ٬ نص");
    }

    #[test]
    fn controls_and_invisible_characters() {
        check("\u{feff}قال\u{200f} الوزير\u{0}اليوم\u{ad}", "قال الوزير اليوم");
        check("من\u{200c}هنا\u{202b}", "منهنا");
        check("a\r\n\tb\u{e000}c", "a b c");
        check("  \u{a0} ", "");
    }

    #[test]
    fn vowel_marks_stay_where_asked() {
        let options = NormalizerOptions { vowel_marks: false, ..NormalizerOptions::default() };
        let normalizer = Normalizer::new(options);
        assert_eq!(normalizer.normalize("ﻗَﺎﻝَ").text, "قَالَ");
        assert_eq!(normalizer.normalize("ﺏﹷ").text, "بَ");
    }

    #[test]
    fn vowel_marks_belong_to_their_letter() {
        let normalized = Normalizer::default().normalize("كُتُبٌ قَدِيمَةٌ");
        assert_eq!(normalized.text, "كتب قديمة");
        let word = normalized.original(Span::new(0, "كتب".len()));
        assert_eq!(word, Span::new(0, "كُتُبٌ".len()));
    }

    #[test]
    fn spans_lead_back() {
        let text = "  قال  ”نعــم“ ، ﷲ";
        let normalized = Normalizer::default().normalize(text);
        assert_eq!(normalized.text, "قال \"نعم\"، الله");
        let back = |part: &str| {
            let start = normalized.text.find(part).unwrap();
            normalized.original(Span::new(start, start + part.len())).of(text)
        };
        assert_eq!(back("قال"), "قال");
        assert_eq!(back("نعم"), "نعــم");
        assert_eq!(back("ع"), "عــ");
        assert_eq!(back("\"نعم\"،"), "”نعــم“ ،");
        assert_eq!(back("الله"), "ﷲ");
        assert_eq!(back("ل"), "ل");
        assert_eq!(normalized.original(Span::new(0, normalized.text.len())).of(text), text.trim_start());
    }

    #[test]
    fn long_runs_take_linear_time() {
        let text = format!("{} ، {}", "ـ".repeat(200_000), ".\u{200f} ".repeat(100_000));
        assert!(Normalizer::default().normalize(&text).text.len() < text.len());
    }

    /// Texts of the characters that rules are about.
    fn texts() -> impl Strategy<Value = String> {
        let special = "ابتكم، ؛؟.:!…–—-ـ“”«»'\"٣٥٫٬٪12 \t\n\u{a0}\u{0}\u{200f}\u{200c}\u{feff}ﻻﷺﹷﹱﺏَُّٰٓٔe\u{301}کی😀👨‍👩(";
        let special: Vec<char> = special.chars().collect();
        let character = prop_oneof![4 => proptest::sample::select(special), 1 => any::<char>()];
        proptest::collection::vec(character, 0..60).prop_map(String::from_iter)
    }

    fn options() -> impl Strategy<Value = NormalizerOptions> {
        any::<[bool; 13]>().prop_map(|on| NormalizerOptions {
            control_characters: on[0],
            invisible_characters: on[1],
            presentation_forms: on[2],
            composition: on[3],
            tatweel: on[4],
            vowel_marks: on[5],
            persian_letters: on[6],
            digits: on[7],
            quotes: on[8],
            dashes: on[9],
            ellipses: on[10],
            space_before_punctuation: on[11],
            spaces: on[12],
        })
    }

    proptest! {
        #[test]
        fn no_rules_change_nothing(text in any::<String>()) {
            let normalized = Normalizer::none().normalize(&text);
            prop_assert_eq!(&normalized.text, &text);
            for (at, character) in text.char_indices() {
                let span = Span::new(at, at + character.len_utf8());
                prop_assert_eq!(normalized.original(span), span);
            }
        }

        #[test]
        fn every_span_leads_to_a_span_in_order(text in texts(), options in options()) {
            let normalized = Normalizer::new(options).normalize(&text);
            let mut previous = Span::default();
            for (at, character) in normalized.text.char_indices() {
                let span = normalized.original(Span::new(at, at + character.len_utf8()));
                prop_assert!(text.is_char_boundary(span.start) && text.is_char_boundary(span.end));
                prop_assert!(!span.is_empty());
                prop_assert!(span.start >= previous.start && span.end >= previous.end, "{:?} after {:?}", span, previous);
                previous = span;
            }
            let everything = normalized.original(Span::new(0, normalized.text.len()));
            prop_assert!(everything.end <= text.len());
        }

        #[test]
        fn what_a_copied_character_leads_to_is_itself(text in texts(), options in options()) {
            let normalized = Normalizer::new(options).normalize(&text);
            for (at, character) in normalized.text.char_indices() {
                let original = normalized.original(Span::new(at, at + character.len_utf8())).of(&text);
                let plain = original.contains(character);
                let rewritten = original.chars().any(|c| {
                    characters::is_presentation_form(c) || characters::ascii_digit(c).is_some() || characters::is_dash(c)
                        || characters::plain_quote(c).is_some() || c.is_whitespace() || characters::is_control(c)
                        || matches!(c, '…' | '٫' | '٬' | '٪' | 'ک' | 'ی' | 'ـ')
                        || unicode_normalization::char::canonical_combining_class(c) != 0
                });
                prop_assert!(plain || rewritten, "{:?} came from {:?}", character, original);
            }
        }
    }
}

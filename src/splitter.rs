//! Lossless splitting of Arabic text into sentences.
//!
//! The rules are for Arabic news as it is written: `؟ ! . …` end a sentence, titles and initials (`د. أ. م.`) don't,
//! nor do decimals, dates, addresses of the web and markers of numbered lists; quotation marks and brackets stay with
//! the sentence that they close; Latin abbreviations come from `sentencex`. Nothing is lost: the segments' spans tile
//! the text, so that a translation can give back every space and line break between sentences.
//!
//! Time is linear in the text, whatever the text.
//!
//! ```
//! use tarjim::splitter::Splitter;
//!
//! let text = "وصل د. سامي في 12.3.2024. هل يبقى؟ «لا أعرف.»\n";
//! let segments = Splitter::default().split(text);
//! let sentences: Vec<&str> = segments.iter().map(|segment| segment.sentence.of(text)).collect();
//! assert_eq!(sentences, ["وصل د. سامي في 12.3.2024.", "هل يبقى؟", "«لا أعرف.»"]);
//! let again: String = segments.iter().map(|segment| segment.span.of(text)).collect();
//! assert_eq!(again, text);
//! ```

mod abbreviation;
mod boundary;
mod character;
mod enclosure;
mod long;

pub use long::split_long;

use crate::span::Span;

/// One piece of a split text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The piece with the white space that belongs to it; the segments' spans tile the text.
    pub span: Span,
    /// The sentence itself, without white space at its ends. Empty only for a text that is all white space, which is
    /// one segment.
    pub sentence: Span,
}

/// What a line break means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LineBreaks {
    /// A line break ends a sentence: one line is one paragraph or heading.
    #[default]
    EndSentence,
    /// Lines were wrapped at some width: a single line break is a space, a blank line ends the paragraph.
    Wrapped,
}

/// Splits text into sentences.
#[derive(Clone, Debug, Default)]
pub struct Splitter {
    line_breaks: LineBreaks,
    split_at_semicolon: bool,
}

impl Splitter {
    /// Sets what a line break means; by default it ends a sentence.
    #[must_use]
    pub fn line_breaks(mut self, line_breaks: LineBreaks) -> Self {
        self.line_breaks = line_breaks;
        self
    }

    /// Sets whether the semicolon `؛` ends a sentence where at least four words stand on both sides of it.
    ///
    /// Off by default: on the tuning sets (`scripts/evaluate_splitter`) nearly every one stands inside a sentence.
    #[must_use]
    pub fn split_at_semicolon(mut self, yes: bool) -> Self {
        self.split_at_semicolon = yes;
        self
    }

    /// Splits `text`; the spans of the segments tile it. An empty text has no segment.
    pub fn split(&self, text: &str) -> Vec<Segment> {
        let mut sentences = Vec::new();
        for paragraph in self.paragraphs(text) {
            let mut start = paragraph.start;
            let ends = boundary::ends(paragraph.of(text), self.split_at_semicolon);
            for end in ends.into_iter().map(|end| paragraph.start + end).chain([paragraph.end]) {
                let sentence = trimmed(text, Span::new(start, end));
                if !sentence.is_empty() {
                    sentences.push(sentence);
                }
                start = end;
            }
        }
        if sentences.is_empty() && !text.is_empty() {
            sentences.push(Span::new(0, 0));
        }
        let mut segments = Vec::with_capacity(sentences.len());
        for (index, &sentence) in sentences.iter().enumerate() {
            let start = if index == 0 { 0 } else { sentence.start };
            let end = sentences.get(index + 1).map_or(text.len(), |next| next.start);
            segments.push(Segment { span: Span::new(start, end), sentence });
        }
        segments
    }

    /// The paragraphs of `text`, without the line breaks between them.
    fn paragraphs(&self, text: &str) -> Vec<Span> {
        let mut paragraphs: Vec<Span> = Vec::new();
        let mut after_blank = true;
        let mut start = 0;
        while start < text.len() {
            let length = text[start..].find(character::is_line_break).unwrap_or(text.len() - start);
            let line = Span::new(start, start + length);
            if line.of(text).trim().is_empty() {
                // The break of a `\r\n` pair is no blank line, and an empty "line" between its two halves isn't either.
                let between =
                    length == 0 && start > 0 && text[..start].ends_with('\r') && text[start..].starts_with('\n');
                after_blank |= !between;
            } else {
                match paragraphs.last_mut() {
                    Some(last) if self.line_breaks == LineBreaks::Wrapped && !after_blank => last.end = line.end,
                    _ => paragraphs.push(line),
                }
                after_blank = false;
            }
            start = line.end + text[line.end..].chars().next().map_or(0, char::len_utf8);
        }
        paragraphs
    }
}

/// `span` without the white space at its ends.
fn trimmed(text: &str, span: Span) -> Span {
    let part = span.of(text);
    let start = span.start + (part.len() - part.trim_start().len());
    Span::new(start, start + part.trim().len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sentences(text: &str) -> Vec<&str> {
        check(&Splitter::default(), text).into_iter().map(|segment| segment.sentence.of(text)).collect()
    }

    /// Splits, and checks what must hold for any text.
    fn check(splitter: &Splitter, text: &str) -> Vec<Segment> {
        let segments = splitter.split(text);
        let mut end = 0;
        for segment in &segments {
            assert_eq!(segment.span.start, end, "spans tile the text");
            assert!(segment.span.start <= segment.sentence.start && segment.sentence.end <= segment.span.end);
            assert_eq!(segment.span.of(text).trim(), segment.sentence.of(text));
            end = segment.span.end;
        }
        assert_eq!(end, text.len());
        segments
    }

    #[track_caller]
    fn assert_split(expected: &[&str]) {
        assert_eq!(sentences(&expected.join(" ")), expected);
    }

    #[test]
    fn nothing_and_white_space() {
        assert!(Splitter::default().split("").is_empty());
        let segments = check(&Splitter::default(), " \n\t ");
        assert_eq!(segments, [Segment { span: Span::new(0, 4), sentence: Span::new(0, 0) }]);
    }

    #[test]
    fn terminators() {
        assert_split(&[
            "وصل الوفد أمس.",
            "هل يعود؟",
            "يا للعجب!",
            "لا أحد يعرف الجواب حتى الآن…",
            "انتهى كل شيء في المدينة.",
        ]);
        assert_split(&["ماذا حدث؟!", "لا شيء!!", "انتهى."]);
        assert_split(&["جملة أولى .", "جملة ثانية ؟", "جملة ثالثة ."]);
    }

    #[test]
    fn titles_and_initials() {
        assert_split(&["قال د. محمد عمر إن الأمر انتهى.", "وأضاف أ. د. سامي أن م. علي وافق."]);
        assert_split(&["كتب ج. ك. حداد الرواية.", "ونشرها أ.د. كمال."]);
        assert_split(&["حضر د . ماجد الحفل .", "ثم غادر ."]);
        assert_split(&["أكد ذلك د. سعيد ود. هدى.", "ووافق الجميع."]);
        assert_split(&["يعيش في ص.ب. 123 بالقاهرة."]);
    }

    #[test]
    fn letters_that_end_a_sentence() {
        assert_split(&["تأهل المنتخب إلى المجموعة أ.", "وسيلعب غدا."]);
        assert_split(&["يحتاج الطفل إلى فيتامين د.", "وينصح الطبيب بالشمس."]);
        assert_split(&["ولد عام 1950 م.", "ودرس الطب."]);
        assert_split(&["يبدأ اللقاء في 10.30 ص. بتوقيت بيروت."]);
    }

    #[test]
    fn numbers_dates_and_addresses() {
        assert_split(&["ارتفع السعر 3.5 في المئة إلى 1.200.000 دينار.", "وكان ذلك في 12.3.2024 عند 10.30."]);
        assert_split(&["بلغ ٣.٥ في المئة عام ٢٠٢٤.", "ثم هبط."]);
        assert_split(&[
            "زوروا www.example.com أو https://example.org/a.html?b=1.2 اليوم.",
            "راسلونا على a.b@example.com.",
        ]);
        assert_split(&["يوم 5. مايو سيبدأ العمل.", "وينتهي بعد شهر."]);
    }

    #[test]
    fn quotations_and_brackets() {
        assert_split(&["قال: «لن نعود.»", "ثم غادر."]);
        assert_split(&["قال الوزير: “لن نقبل القرار أبدا. سنذهب إلى المحكمة غدا.”", "ثم غادر القاعة."]);
        assert_split(&[
            "قال الوزير: “لن نقبل بهذا القرار أبدا مهما طال الوقت ومهما كان الثمن الذي ندفعه.",
            "سنذهب إلى المحكمة غدا، وسيكون معنا كل من يؤمن بأن هذه الأرض لنا.”",
            "ثم غادر القاعة.",
        ]);
        assert_split(&["\"هل نحن مستعدون؟\" سأل المدير.", "لم يجب أحد."]);
        assert_split(&["سماها (رويترز. لندن) في تقرير.", "وصدر التقرير أمس (الأحد).", "نعم."]);
        assert_split(&["قرأ كتاب \"لا! نعم.\" في ليلة.", "وأعاده."]);
        assert_split(&["هذا هو النص.[12]", "وهذا غيره."]);
        assert_split(&["\" جملة أولى هنا . \"", "جملة ثانية ."]);
    }

    #[test]
    fn latin_inside() {
        assert_split(&["تعمل الشركة في U.S. منذ عام.", "وقال Mr. Smith إن Acme Inc. ستكبر."]);
        assert_split(&["كتب: He met Dr. Jones at 5 p.m. today.", "Then he left.", "وانتهى الخبر."]);
        assert_split(&["نشرت ذلك منصة X.", "ولم تعلق الحكومة."]);
        assert_split(&["اشترت أسهم ياهو!، ثم باعتها."]);
    }

    #[test]
    fn ellipses() {
        assert_split(&["لكن... لا أعرف."]);
        assert_split(&["سافر إلى المدينة كل صيف...", "وفي العام الماضي لم يسافر أبدا."]);
        assert_split(&["الكتب والأقلام والدفاتر... إلخ."]);
        assert_split(&["... ثم عاد."]);
    }

    #[test]
    fn missing_space() {
        assert_eq!(
            sentences("فاز الفريق بالكأس.وقال المدرب إنه سعيد."),
            ["فاز الفريق بالكأس.", "وقال المدرب إنه سعيد."]
        );
        assert_eq!(sentences("بحسب أ.ف.ب فإن د.محمد وصل."), ["بحسب أ.ف.ب فإن د.محمد وصل."]);
    }

    #[test]
    fn numbered_lists() {
        assert_eq!(sentences("1. القمح\n2. الذرة\n٣. الأرز"), ["1. القمح", "2. الذرة", "٣. الأرز"]);
        assert_eq!(sentences("الشروط: 1. السن 2. الخبرة 3. اللغة"), ["الشروط: 1. السن", "2. الخبرة", "3. اللغة"]);
    }

    #[test]
    fn line_breaks_end_sentences_unless_wrapped() {
        let text = "عنوان بلا نقطة\r\n\r\nسطر أول\r\nوسطر ثان. نهاية\n";
        assert_eq!(sentences(text), ["عنوان بلا نقطة", "سطر أول", "وسطر ثان.", "نهاية"]);
        let wrapped = Splitter::default().line_breaks(LineBreaks::Wrapped);
        let found: Vec<&str> = check(&wrapped, text).iter().map(|segment| segment.sentence.of(text)).collect();
        assert_eq!(found, ["عنوان بلا نقطة", "سطر أول\r\nوسطر ثان.", "نهاية"]);
    }

    #[test]
    fn semicolon_only_when_asked() {
        let text = "انتهى الاجتماع في وقت متأخر؛ وسيعود الوزراء غدا إلى القاعة.";
        assert_eq!(sentences(text).len(), 1);
        assert_eq!(check(&Splitter::default().split_at_semicolon(true), text).len(), 2);
    }

    #[test]
    fn long_lines_take_linear_time() {
        for unit in ["(", "«كلمة. ", "\"", "1. ", ". ", "أ.", "كلمة ", "؟!", "” .", ") ", "كلمة... ", "1. أ 2. ب "]
        {
            let text = unit.repeat((1 << 20) / unit.len());
            check(&Splitter::default(), &text);
        }
    }

    proptest! {
        #[test]
        fn spans_tile_any_text(text in "(\\PC|[ .!؟…؛\"«»“”()\\n\\r]|د\\.|[0-9]\\.|كلمة ){0,60}") {
            check(&Splitter::default(), &text);
            check(&Splitter::default().line_breaks(LineBreaks::Wrapped).split_at_semicolon(true), &text);
        }

        #[test]
        fn a_sentence_alone_is_not_split_less(text in "([اوقثم]{1,5}|[.؟!] |[ \"،()]){0,40}") {
            // Every sentence found has a word in it, unless the whole text has none.
            let found = Splitter::default().split(&text);
            if found.len() > 1 {
                for segment in found {
                    prop_assert!(segment.sentence.of(&text).chars().any(char::is_alphanumeric));
                }
            }
        }
    }
}

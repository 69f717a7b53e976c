//! Files that are filled in: what stands around a unit, and the inline tags of its text.

use super::xml::escape;
use super::{Format, Frame, Output, Record, RecordWriter};
use crate::error::{Error, Result};
use crate::span::Span;
use crate::translation::{Document, Sentence};

/// A piece of a file around one text.
#[derive(Debug, Default)]
pub(super) struct Unit {
    /// What stands before the unit.
    pub(super) lead: String,
    /// The unit as it is, for when there is no translation.
    pub(super) original: String,
    /// The unit as it becomes; `None` where nothing is to be filled in.
    pub(super) filled: Option<Filled>,
}

/// A unit around its translation.
#[derive(Debug, Default)]
pub(super) struct Filled {
    pub(super) head: String,
    pub(super) tail: String,
    pub(super) tags: Vec<InlineTag>,
}

/// A tag inside the source text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InlineTag {
    /// The byte of the source text before which it stands.
    pub(super) at: usize,
    pub(super) written: String,
    pub(super) kind: InlineKind,
}

/// What a tag does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InlineKind {
    Open,
    Close,
    /// Stands for itself: a line break, a placeholder.
    Alone,
}

/// Writes units with their translations filled in.
pub(super) struct Writer<'a> {
    output: Output<'a>,
    format: Format,
}

impl<'a> Writer<'a> {
    pub(super) fn new(output: Output<'a>, format: Format) -> Self {
        Writer { output, format }
    }
}

impl RecordWriter for Writer<'_> {
    fn write(&mut self, record: &Record, outcome: Result<&Document, &Error>) -> Result<()> {
        let Frame::Markup(unit) = &record.frame else {
            let name = self.format.name();
            let message =
                format!("{}: the record comes from no {name} file, so there is nothing to fill in", record.place);
            return Err(Error::new(crate::ErrorKind::Usage, message));
        };
        self.output.put(&unit.lead)?;
        match (&unit.filled, outcome) {
            (Some(filled), Ok(document)) => {
                self.output.put(&filled.head)?;
                self.output.put(&insert(document, &filled.tags, record.text.as_deref().unwrap_or_default()))?;
                self.output.put(&filled.tail)?;
            }
            _ => self.output.put(&unit.original)?,
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.output.flush()
    }

    fn finish(&mut self) -> Result<()> {
        self.output.flush()
    }
}

/// The translation as markup, with the source's tags at the words that their words became.
///
/// Every tag comes, in the source's order, so that elements stay nested. A pair encloses the target words that are
/// linked to the words it enclosed, as far as that order allows; a tag alone stands beside the translation of the word
/// it stood beside.
pub(super) fn insert(document: &Document, tags: &[InlineTag], source: &str) -> String {
    let mut markup = String::with_capacity(document.text.len() + 16 * tags.len());
    let mut end = 0;
    for (tag, at) in tags.iter().zip(places(document, tags, source)) {
        markup.push_str(&escape(&document.text[end..at]));
        markup.push_str(&tag.written);
        end = at;
    }
    markup.push_str(&escape(&document.text[end..]));
    markup
}

/// For each tag the byte of the translation before which it goes; ascending.
fn places(document: &Document, tags: &[InlineTag], source: &str) -> Vec<usize> {
    let links = Links::new(document);
    let mut places = Vec::with_capacity(tags.len());
    let mut open: Vec<(usize, Option<Span>)> = Vec::new();
    let mut least = 0;
    for (index, tag) in tags.iter().enumerate() {
        let wanted = match tag.kind {
            InlineKind::Open => {
                let close = closing(tags, index).map_or(source.len(), |tag| tag.at);
                let enclosed = links.translation_of(Span::new(tag.at, close));
                open.push((tag.at, enclosed));
                enclosed.map(|span| span.start)
            }
            InlineKind::Close => open.pop().and_then(|(_, enclosed)| enclosed).map(|span| span.end),
            InlineKind::Alone => {
                let clings = source[..tag.at].ends_with(|c: char| !c.is_whitespace())
                    && source[tag.at..].starts_with(char::is_whitespace);
                if clings { links.translation_before(tag.at) } else { links.translation_after(tag.at) }
            }
        };
        let at = match wanted {
            // At the edges of the text a tag stays at the edge.
            _ if source[tag.at..].trim().is_empty() => document.text.len(),
            _ if source[..tag.at].trim().is_empty() && tag.kind != InlineKind::Close => 0,
            Some(at) => at,
            None => least,
        };
        // An edge of trailing white space and a tag out of order both wait for the tags before them.
        least = at.max(least);
        places.push(least);
    }
    places
}

/// The tag that closes the one at `index`.
fn closing(tags: &[InlineTag], index: usize) -> Option<&InlineTag> {
    let mut depth = 0_usize;
    for tag in &tags[index + 1..] {
        match tag.kind {
            InlineKind::Open => depth += 1,
            InlineKind::Close if depth == 0 => return Some(tag),
            InlineKind::Close => depth -= 1,
            InlineKind::Alone => {}
        }
    }
    None
}

/// The word links of a document, as spans of its source and its translation, by source word.
struct Links(Vec<(Span, Span)>);

impl Links {
    fn new(document: &Document) -> Self {
        let mut links: Vec<(Span, Span)> = document.sentences.iter().flat_map(sentence_links).collect();
        links.sort_unstable();
        Links(links)
    }

    /// What the words that overlap `source` became.
    fn translation_of(&self, source: Span) -> Option<Span> {
        let first = self.0.partition_point(|(word, _)| word.end <= source.start);
        self.0[first..]
            .iter()
            .take_while(|(word, _)| word.start < source.end)
            .map(|&(_, target)| target)
            .reduce(Span::cover)
    }

    /// Where the translation of the last linked word before `at` ends.
    fn translation_before(&self, at: usize) -> Option<usize> {
        let end = self.0.partition_point(|(word, _)| word.end <= at);
        let (word, _) = self.0[..end].last()?;
        self.0[..end].iter().rev().take_while(|(other, _)| other == word).map(|(_, target)| target.end).max()
    }

    /// Where the translation of the first linked word at or behind `at` begins.
    fn translation_after(&self, at: usize) -> Option<usize> {
        let first = self.0.partition_point(|(word, _)| word.start < at);
        let (word, _) = self.0.get(first)?;
        self.0[first..].iter().take_while(|(other, _)| other == word).map(|(_, target)| target.start).min()
    }
}

fn sentence_links(sentence: &Sentence) -> impl Iterator<Item = (Span, Span)> {
    sentence.alignment.links.iter().filter_map(|link| {
        let source = sentence.source_words.get(link.source)?.shifted(sentence.source_span.start);
        let target = sentence.target_words.get(link.target)?.shifted(sentence.target_span.start);
        Some((source, target))
    })
}

/// The span of the value of an attribute in a start tag as it is written, without its quotes.
pub(super) fn attribute_value(written: &str, name: &str) -> Option<Span> {
    let bytes = written.as_bytes();
    let mut at = written.find(|c: char| c.is_whitespace())?;
    loop {
        let skip = |at: usize, stop: &dyn Fn(u8) -> bool| {
            bytes[at..].iter().position(|&byte| stop(byte)).map_or(bytes.len(), |found| at + found)
        };
        at = skip(at, &|byte| !byte.is_ascii_whitespace() && byte != b'/');
        let key_end = skip(at, &|byte| byte.is_ascii_whitespace() || matches!(byte, b'=' | b'>' | b'/'));
        if key_end == at {
            return None;
        }
        let key = &written[at..key_end];
        at = skip(key_end, &|byte| !byte.is_ascii_whitespace());
        if bytes.get(at) != Some(&b'=') {
            continue;
        }
        at = skip(at + 1, &|byte| !byte.is_ascii_whitespace());
        let value = match bytes.get(at) {
            Some(&quote @ (b'"' | b'\'')) => Span::new(at + 1, skip(at + 1, &|byte| byte == quote)),
            _ => Span::new(at, skip(at, &|byte| byte.is_ascii_whitespace() || byte == b'>')),
        };
        if key.eq_ignore_ascii_case(name) {
            return Some(value);
        }
        at = (value.end + 1).min(bytes.len());
    }
}

/// Sets an attribute in a start tag as it is written.
pub(super) fn set_attribute(written: &mut String, name: &str, value: &str) {
    if let Some(span) = attribute_value(written, name) {
        written.replace_range(span.start..span.end, value);
    } else {
        let end = written.trim_end_matches(['>', '/']).trim_end().len();
        written.insert_str(end, &format!(" {name}=\"{value}\""));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::alignment::Link;
    use crate::format::tests::capitals;

    fn tag(at: usize, written: &str) -> InlineTag {
        let kind = match written {
            _ if written.starts_with("</") => InlineKind::Close,
            _ if written.ends_with("/>") => InlineKind::Alone,
            _ => InlineKind::Open,
        };
        InlineTag { at, written: written.to_owned(), kind }
    }

    #[test]
    fn tags_go_with_their_words() {
        let source = "one two three";
        let mut document = capitals(source);
        let tags = [tag(4, "<b>"), tag(7, "</b>")];
        assert_eq!(insert(&document, &tags, source), "ONE <b>TWO</b> THREE");
        assert_eq!(insert(&document, &[tag(0, "<b>"), tag(13, "</b>")], source), "<b>ONE TWO THREE</b>");
        assert_eq!(insert(&document, &[tag(8, "<br/>")], source), "ONE TWO <br/>THREE");

        // The first and the last word change places.
        let link = |source, target| Link { source, target, probability: 1.0 };
        document.sentences[0].alignment.links = vec![link(0, 2), link(1, 1), link(2, 0)];
        assert_eq!(insert(&document, &[tag(8, "<b>"), tag(13, "</b>")], source), "<b>ONE TWO THREE</b>");
        assert_eq!(insert(&document, &tags, source), "ONE <b>TWO</b> THREE");
    }

    #[test]
    fn text_is_escaped_and_tags_without_links_stay_in_order() {
        let source = "a < b & c";
        let mut document = capitals(source);
        document.sentences[0].alignment.links.clear();
        let tags = [tag(2, "<i>"), tag(3, "<x/>"), tag(5, "</i>")];
        assert_eq!(insert(&document, &tags, source), "<i><x/></i>A &lt; B &amp; C");
    }

    #[test]
    fn attributes_are_set_where_they_stand() {
        let mut tag = "<a x='lang=1' Lang = \"ar\" dir=rtl />".to_owned();
        set_attribute(&mut tag, "lang", "en");
        set_attribute(&mut tag, "dir", "ltr");
        set_attribute(&mut tag, "y", "2");
        assert_eq!(tag, "<a x='lang=1' Lang = \"en\" dir=ltr y=\"2\" />");
    }

    proptest! {
        #[test]
        fn any_tag_has_attributes(tag in "<[\\PCa-c=\"' />]{0,20}") {
            if let Some(span) = attribute_value(&tag, "a") {
                prop_assert!(tag.get(span.start..span.end).is_some());
            }
            set_attribute(&mut tag.clone(), "a", "b");
        }

        #[test]
        fn every_tag_comes_in_order(
            source in "[a-c .]{0,30}",
            places in proptest::collection::vec(0_usize..30, 0..8),
            links in proptest::collection::vec((0_usize..8, 0_usize..8), 0..12),
        ) {
            let mut document = capitals(&source);
            for sentence in &mut document.sentences {
                sentence.alignment.links =
                    links.iter().map(|&(source, target)| Link { source, target, probability: 1.0 }).collect();
            }
            let mut places: Vec<usize> = places.into_iter().map(|at| at.min(source.len())).collect();
            places.sort_unstable();
            let names = ["<1>", "<2/>", "</1>", "<3>", "</3>", "<4>", "<5>", "</5>"];
            let tags: Vec<InlineTag> = places.into_iter().zip(names).map(|(at, name)| tag(at, name)).collect();
            let markup = insert(&document, &tags, &source);
            let mut rest = markup.as_str();
            let mut text = String::new();
            for tag in &tags {
                let (before, after) = rest.split_once(&tag.written).expect("every tag comes, in order");
                text.push_str(before);
                rest = after;
            }
            text.push_str(rest);
            prop_assert_eq!(text, document.text);
        }
    }
}

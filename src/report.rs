//! The HTML report of a translation: one file, no network, both languages side by side, every word traceable.
//!
//! [`render`] writes the page: the Arabic right-to-left beside the English, sentence by sentence. Hovering over a word,
//! or reaching it with the arrow keys, lights its partners, the stronger the surer; flags stand under their sentence
//! with their reason; confidence can be shown as shading, and each sentence's soft alignment as a matrix. The text is
//! readable without JavaScript, and a content security policy lets the page run its own script only and fetch nothing.

use std::fmt::Write;

use crate::alignment::{LinkForm, Matrix};
use crate::flags::Flag;
use crate::span::Span;
use crate::translation::{Document, Sentence};

mod escape;
mod policy;

use escape::html;

const PAGE: &str = include_str!("report/page.html");
const STYLE: &str = include_str!("report/style.css");
const SCRIPT: &str = include_str!("report/script.js");

/// Opens a sentence's matrix: nine small squares.
const MATRIX_BUTTON: &str = concat!(
    "<button type=\"button\" class=\"matrix\" aria-expanded=\"false\" aria-label=\"Matrix\" title=\"Matrix (key: m)\">",
    "<svg width=\"15\" height=\"15\" viewBox=\"0 0 15 15\" fill=\"currentColor\" aria-hidden=\"true\"><path d=\"",
    "M0 0h4v4H0zM5.5 0h4v4h-4zM11 0h4v4h-4zM0 5.5h4v4H0zM5.5 5.5h4v4h-4zM11 5.5h4v4h-4zM0 11h4v4H0zM5.5 11h4v4h-4zM11 11h4v4h-4z",
    "\"/></svg></button>\n"
);

/// What the page says about itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReportOptions<'a> {
    /// The headline, for example the file's name.
    pub title: &'a str,
    /// The name of the model.
    pub model: &'a str,
    /// Number of records that could not be translated and have no sentences here.
    pub failed: usize,
}

/// The page as one string.
///
/// A sentence with a [soft alignment](Sentence::matrix) over its words gets shades of partners; another one gets its
/// links only.
///
/// ```
/// use tarjim::report::{ReportOptions, render};
/// use tarjim::translation::{Document, Sentence};
/// use tarjim::words::words;
///
/// let sentence = Sentence {
///     source: "نعم <b>".into(),
///     target: "Yes <b>".into(),
///     source_words: words("نعم <b>"),
///     target_words: words("Yes <b>"),
///     ..Sentence::default()
/// };
/// let page = render(
///     &Document { text: "Yes <b>".into(), sentences: vec![sentence] },
///     &ReportOptions { title: "article.txt", model: "tarjim-ar-en", ..ReportOptions::default() },
/// );
/// assert!(page.contains("&lt;") && !page.contains("<b>"));
/// ```
pub fn render(document: &Document, options: &ReportOptions<'_>) -> String {
    let mut pairs = String::new();
    let mut data = String::from("[");
    for (at, sentence) in document.sentences.iter().enumerate() {
        let matrix = Some(&sentence.matrix).filter(|matrix| {
            matrix.targets() == sentence.target_words.len() && matrix.sources() == sentence.source_words.len()
        });
        let begins_paragraph = at > 0 && {
            let before = document.sentences[at - 1].target_span.end;
            document.text.get(before..sentence.target_span.start).is_some_and(|gap| gap.contains('\n'))
        };
        pair(&mut pairs, at + 1, sentence, begins_paragraph);
        if at > 0 {
            data.push_str(",\n");
        }
        links(&mut data, sentence, matrix);
    }
    data.push(']');
    let policy = policy::content_security_policy(SCRIPT);
    let title = if options.title.is_empty() { "Translation" } else { options.title };
    let filled: &[(&str, &str)] = &[
        ("policy", &policy),
        ("title", &html(title)),
        ("model", &html(options.model)),
        ("summary", &summary(document, options.failed)),
        ("style", STYLE),
        ("pairs", &pairs),
        ("data", &data),
        ("script", SCRIPT),
    ];
    fill(PAGE, filled)
}

/// Puts values into the template's `{{name}}` places in one pass, so that a value that holds such a place is left alone.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut page = String::with_capacity(template.len() + values.iter().map(|(_, value)| value.len()).sum::<usize>());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        page.push_str(before);
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        page.push_str(values.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value));
        rest = after;
    }
    page.push_str(rest);
    page
}

/// One line on the whole: how many sentences, how many with a flag, how many records without a translation.
fn summary(document: &Document, failed: usize) -> String {
    let count = document.sentences.len();
    let flagged = document.sentences.iter().filter(|sentence| !sentence.flags.is_empty()).count();
    let noun = if count == 1 { "sentence" } else { "sentences" };
    let failed = match failed {
        0 => String::new(),
        1 => ", 1 record could not be translated".to_owned(),
        _ => format!(", {failed} records could not be translated"),
    };
    match flagged {
        0 => format!("{count} {noun}, nothing flagged{failed}"),
        _ => format!("{count} {noun}, {flagged} flagged{failed}"),
    }
}

/// One sentence pair.
fn pair(page: &mut String, number: usize, sentence: &Sentence, begins_paragraph: bool) {
    let mut classes = String::from("pair");
    for (class, applies) in [("paragraph", begins_paragraph), ("flagged", !sentence.flags.is_empty())] {
        if applies {
            classes.push(' ');
            classes.push_str(class);
        }
    }
    let _ = writeln!(
        page,
        "<section class=\"{classes}\" id=\"s{number}\" aria-label=\"Sentence {number}\">\n<a class=\"number\" tabindex=\"-1\" href=\"#s{number}\">{number}</a>"
    );
    let source_flags = flagged_words(&sentence.source_words, &sentence.flags, |flag| &flag.source);
    let target_flags = flagged_words(&sentence.target_words, &sentence.flags, |flag| &flag.target);
    let _ = write!(
        page,
        "<p class=\"source\" lang=\"ar\" dir=\"rtl\" tabindex=\"0\" role=\"group\" aria-label=\"Arabic of sentence {number}\">"
    );
    side(page, &sentence.source, &sentence.source_words, &source_flags, &[]);
    let _ = write!(
        page,
        "</p>\n<p class=\"target\" lang=\"en\" dir=\"ltr\" tabindex=\"0\" role=\"group\" aria-label=\"English of sentence {number}\">"
    );
    side(page, &sentence.target, &sentence.target_words, &target_flags, &sentence.word_confidences);
    page.push_str("</p>\n");
    if !sentence.target_words.is_empty() && !sentence.source_words.is_empty() {
        page.push_str(MATRIX_BUTTON);
    }
    page.push_str("<div class=\"notes\">\n");
    if !sentence.flags.is_empty() {
        page.push_str("<ul class=\"flags\">\n");
        for flag in &sentence.flags {
            let words = |words: &[Span], spans: &[Span]| {
                let touched = (0..words.len()).filter(|&at| spans.iter().any(|span| span.overlaps(words[at])));
                touched.map(|at| at.to_string()).collect::<Vec<_>>().join(" ")
            };
            let _ = writeln!(
                page,
                "<li><button type=\"button\" class=\"flag\" data-source=\"{}\" data-target=\"{}\"><b>{}</b> {}</button></li>",
                words(&sentence.source_words, &flag.source),
                words(&sentence.target_words, &flag.target),
                flag.kind.name().replace('-', " "),
                isolated(&flag.reason),
            );
        }
        page.push_str("</ul>\n");
    }
    if sentence.word_confidences.len() == sentence.target_words.len() && !sentence.target_words.is_empty() {
        let percent = (sentence.confidence.clamp(0.0, 1.0) * 100.0).round();
        let _ = write!(
            page,
            "<span class=\"confidence\" title=\"Confidence in this translation\"><meter min=\"0\" max=\"100\" low=\"30\" value=\"{percent}\" aria-label=\"Confidence\"></meter> {percent} %</span>"
        );
    }
    page.push_str("</div>\n</section>\n");
}

/// A reason with each quotation in a direction of its own: a list of Arabic words would otherwise run backwards.
fn isolated(reason: &str) -> String {
    let mut page = String::from("<bdi>");
    for c in html(reason).chars() {
        match c {
            '“' => page.push_str("“<bdi>"),
            '”' => page.push_str("</bdi>”"),
            c => page.push(c),
        }
    }
    page.push_str("</bdi>");
    page
}

/// For each word whether a flag names it.
fn flagged_words(words: &[Span], flags: &[Flag], side: impl Fn(&Flag) -> &Vec<Span>) -> Vec<bool> {
    words.iter().map(|word| flags.iter().any(|flag| side(flag).iter().any(|span| span.overlaps(*word)))).collect()
}

/// The text of one side with its words marked. A word the text has no place for stays empty, so that the others keep
/// their numbers.
fn side(page: &mut String, text: &str, words: &[Span], flagged: &[bool], confidences: &[f32]) {
    let mut end = 0;
    for (at, word) in words.iter().enumerate() {
        let (Some(gap), Some(inside)) = (text.get(end..word.start), text.get(word.start..word.end)) else {
            page.push_str("<span class=\"w\"></span>");
            continue;
        };
        page.push_str(&html(gap));
        let class = if flagged.get(at) == Some(&true) { "w f" } else { "w" };
        let _ = match confidences.get(at) {
            Some(confidence) => {
                write!(page, "<span class=\"{class}\" style=\"--c:{:.2}\">", confidence.clamp(0.0, 1.0))
            }
            None => write!(page, "<span class=\"{class}\">"),
        };
        page.push_str(&html(inside));
        page.push_str("</span>");
        end = word.end;
    }
    page.push_str(&html(text.get(end..).unwrap_or("")));
}

/// The data the script needs of one sentence: its links, its soft links in percent, its null shares in percent.
fn links(data: &mut String, sentence: &Sentence, matrix: Option<&Matrix>) {
    let percent = |share: f32| (share.clamp(0.0, 1.0) * 100.0).round();
    data.push_str("{\"links\":[");
    for (at, link) in sentence.alignment.links.iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        let _ = write!(data, "{comma}{},{},{}", link.source, link.target, percent(link.probability));
    }
    data.push(']');
    if let Some(matrix) = matrix {
        data.push_str(",\"soft\":[");
        for (at, link) in matrix.links(LinkForm::Soft).iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let _ = write!(data, "{comma}{},{},{}", link.source, link.target, percent(link.probability));
        }
        data.push(']');
    }
    let nulls: Vec<String> = sentence.alignment.null.iter().map(|&share| percent(share).to_string()).collect();
    let _ = write!(data, ",\"null\":[{}]", nulls.join(","));
    data.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alignment::{Alignment, Link};
    use crate::flags::FlagKind;
    use crate::words::words;

    fn sentence(source: &str, target: &str) -> Sentence {
        let target_words = words(target);
        Sentence {
            source: source.into(),
            target: target.into(),
            source_words: words(source),
            word_confidences: vec![0.5; target_words.len()],
            target_words,
            target_span: Span::new(0, target.len()),
            ..Sentence::default()
        }
    }

    #[test]
    fn hostile_text_stays_text() {
        let hostile = "</p></script><script>alert(1)</script><img src=x onerror=alert(2)> \" ' & {{data}} \u{202e}";
        let mut sentence = sentence(hostile, hostile);
        sentence.flags.push(Flag {
            kind: FlagKind::Repetition,
            reason: hostile.into(),
            source: vec![],
            target: vec![Span::new(0, 3)],
        });
        let document = Document { text: hostile.into(), sentences: vec![sentence] };
        let page = render(&document, &ReportOptions { title: hostile, model: hostile, failed: 2 });
        assert!(!page.contains("<img") && !page.contains("alert(1)</script>"), "{page}");
        assert_eq!(page.matches("<script").count(), 2, "the data and the script, no other");
        assert_eq!(page.matches("{{data}}").count(), 0, "braces are escaped as well");
        assert!(page.contains("1 sentence, 1 flagged, 2 records could not be translated"));
    }

    #[test]
    fn flags_and_links_name_words_by_index() {
        let mut sentence = sentence("وصل 25 قطارا", "25 trains arrived");
        sentence.alignment =
            Alignment { links: vec![Link { source: 1, target: 0, probability: 0.934 }], null: vec![0.05, 0.5, 0.0] };
        let spans = (sentence.source_words[1], sentence.target_words[0]);
        sentence.flags.push(Flag {
            kind: FlagKind::NumberMismatch,
            reason: "why".into(),
            source: vec![spans.0],
            target: vec![spans.1],
        });
        let document = Document { text: sentence.target.clone(), sentences: vec![sentence] };
        let page = render(&document, &ReportOptions::default());
        assert!(page.contains("data-source=\"1\" data-target=\"0\"><b>number mismatch</b>"), "{page}");
        assert!(page.contains("{\"links\":[1,0,93],\"null\":[5,50,0]}"), "{page}");
        assert!(page.contains("1 sentence, 1 flagged"));
    }

    #[test]
    fn the_matrix_gives_soft_links() {
        let mut sentence = sentence("نعم", "Yes");
        sentence.matrix = Matrix::from_rows(&[vec![0.75]]).unwrap();
        let mut document = Document { text: "Yes".into(), sentences: vec![sentence] };
        assert!(render(&document, &ReportOptions::default()).contains("\"soft\":[0,0,75]"));
        document.sentences[0].matrix = Matrix::default();
        assert!(!render(&document, &ReportOptions::default()).contains("\"soft\""));
    }

    #[test]
    fn paragraphs_are_seen_in_the_text() {
        let (mut first, mut second) = (sentence("أ", "A"), sentence("ب", "B"));
        first.target_span = Span::new(0, 1);
        second.target_span = Span::new(3, 4);
        let document = Document { text: "A\n\nB".into(), sentences: vec![first, second] };
        assert_eq!(render(&document, &ReportOptions::default()).matches("class=\"pair paragraph\"").count(), 1);
    }
}

//! Writes a report of a few sentences that were translated and aligned by hand: `cargo run --example report > page.html`.
//!
//! No model is needed; `scripts/test_report.py` opens this page in a browser.

use std::io::Write;

use tarjim::alignment::{LinkForm, Matrix, pharaoh};
use tarjim::flags::{Evidence, FlagOptions, check};
use tarjim::report::{ReportOptions, render};
use tarjim::translation::{Document, Sentence, SentencePieces};
use tarjim::words::words;
use tarjim::{Result, Span};

/// Arabic, English, and which word came from which.
const SENTENCES: &[(&str, &str, &str)] = &[
    (
        "أعلنت بلدية المدينة أمس افتتاح الجسر الجديد بعد 3 سنوات من العمل.",
        "The city council announced yesterday the opening of the new bridge after 3 years of work.",
        "1-0 2-1 1-2 0-3 3-4 4-5 4-6 5-8 6-8 6-9 5-10 7-11 8-12 9-13 10-14 11-15 12-16",
    ),
    (
        "ولم تذكر البلدية كلفة المشروع، لكنها قالت إن الجسر سيخفف الازدحام بنسبة 40٪.",
        "The council mentioned the cost of the project, but it said the bridge would ease congestion by 14%.",
        "2-0 2-1 1-2 3-3 3-4 4-5 4-6 4-7 5-8 6-9 6-10 7-11 9-12 9-13 10-14 10-15 11-16 12-17 13-18 14-19 15-20",
    ),
    (
        "«هذا أجمل يوم في حياتي»، قالت سيدة تسكن قرب النهر.",
        "“This is the most beautiful day of my life,” said a woman who lives near the river.",
        "0-0 1-1 1-2 2-4 2-5 3-6 4-7 5-8 5-9 7-10 6-11 8-12 9-13 9-14 10-15 10-16 11-17 12-18 12-19 13-20",
    ),
    (
        "ونشرت على @nahr_news: <script>document.title = \"broken\"</script> & 'شكرا'",
        "She posted on @nahr_news: <script>document.title = \"broken\"</script> & 'thank you'",
        "0-0 0-1 1-2 2-3 3-4",
    ),
    (
        "وقال التجار إنهم ينتظرون زوارا من المدن المجاورة في عطلة نهاية الأسبوع.",
        "Traders said they were waiting for for visitors.",
        "1-0 0-1 2-2 3-3 3-4 3-5 4-7 12-8",
    ),
];

fn main() -> Result<()> {
    // A number makes the article longer, for measuring.
    let times: usize = std::env::args().nth(1).and_then(|times| times.parse().ok()).unwrap_or(1);
    let mut document = Document::default();
    for (at, (source, target, links)) in SENTENCES.iter().cycle().take(times * SENTENCES.len()).enumerate() {
        if at > 0 {
            document.text.push_str(if at % 3 == 0 { "\n\n" } else { " " });
        }
        let start = document.text.len();
        document.text.push_str(target);
        let mut sentence = sentence(source, target, links)?;
        sentence.target_span = Span::new(start, document.text.len());
        document.sentences.push(sentence);
    }
    let page = render(&document, &ReportOptions { title: "جسر.txt", model: "by hand", ..ReportOptions::default() });
    std::io::stdout().write_all(page.as_bytes()).map_err(|error| tarjim::Error::io("standard output", error))
}

fn sentence(source: &str, target: &str, links: &str) -> Result<Sentence> {
    let (source_words, target_words) = (words(source), words(target));
    let pairs = pharaoh::parse(links)?;
    pharaoh::check(&pairs, source_words.len(), target_words.len())?;
    // One piece a word; a linked word takes most of the attention, its neighbours a little.
    let attention = (0..target_words.len()).map(|target| {
        let weight = |source: usize| {
            let distance = pairs.iter().filter(|link| link.1 == target).map(|link| link.0.abs_diff(source)).min();
            match distance {
                Some(0) => 1.0,
                Some(1) => 0.08,
                _ => 0.004,
            }
        };
        let mut row: Vec<f32> = (0..source_words.len()).map(weight).chain([0.05]).collect();
        let sum: f32 = row.iter().sum();
        for weight in &mut row {
            *weight /= sum;
        }
        row
    });
    let pieces = SentencePieces {
        source: source_words.clone(),
        target: target_words.clone(),
        log_probs: vec![-0.2; target_words.len()],
        attention: attention.collect(),
    };
    let matrix = Matrix::of_words(&pieces, &source_words, &target_words)?;
    let word_confidences: Vec<f32> = (0..target_words.len()).map(|at| 0.98 - 0.13 * ((at * 7 % 6) as f32)).collect();
    let confidence = word_confidences.iter().sum::<f32>() / word_confidences.len() as f32;
    let flags = check(
        &Evidence {
            source,
            target,
            source_words: &source_words,
            target_words: &target_words,
            matrix: Some(&matrix),
            confidence: Some(confidence),
            word_confidences: &word_confidences,
            parts: &[],
        },
        &FlagOptions::default(),
    );
    Ok(Sentence {
        source: source.into(),
        target: target.into(),
        alignment: matrix.alignment(LinkForm::Hard),
        matrix,
        source_words,
        target_words,
        word_confidences,
        confidence,
        pieces: Some(pieces),
        flags,
        ..Sentence::default()
    })
}

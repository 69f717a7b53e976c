//! The vocabulary against the `sentencepiece` program, on what `scripts/make_tokenizer_reference.py` stored.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tarjim::vocabulary::{PieceKind, SentencePiece, Vocabulary};
use tarjim::{ErrorKind, Span};
use unicode_normalization::UnicodeNormalization as _;

fn data(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/spm").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn model(name: &str) -> SentencePiece {
    SentencePiece::from_bytes(&data(&format!("{name}.spm"))).unwrap()
}

/// A file of the folder beside the project, or a word that the test was left out.
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(name);
    if path.exists() {
        return Some(path);
    }
    #[expect(clippy::print_stderr, reason = "a test that was left out must say so")]
    {
        eprintln!("left out: {} is missing", path.display());
    }
    None
}

/// Piece texts as `sentencepiece` shows them.
fn pieces(model: &SentencePiece, text: &str) -> (Vec<u32>, Vec<String>, Vec<Span>) {
    let encoded = model.encode(text);
    let mut result = (Vec::new(), Vec::new(), Vec::new());
    for piece in encoded.pieces {
        let id = piece.id.expect("every model here has an unknown piece");
        let (shown, kind) = model.piece(id).unwrap();
        let shown = if kind == PieceKind::Unknown { &encoded.text[piece.range] } else { shown };
        result.0.push(id);
        result.1.push(shown.to_owned());
        result.2.push(piece.span);
    }
    result
}

#[test]
fn pieces_that_begin_words_and_pieces_of_figures() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/default");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let vocabulary = Vocabulary::from_bytes(&read("source.spm"), &read("target.spm"), &read("vocab.json")).unwrap();
    let beginnings: Vec<&str> = vocabulary.target_word_beginnings().map(|id| vocabulary.piece(id).unwrap()).collect();
    assert!(vocabulary.target_word_beginnings().is_sorted());
    for (piece, begins) in [("▁the", true), ("▁The", true), ("▁", false), ("▁1", false), ("ing", false), (",", false)]
    {
        assert_eq!(beginnings.contains(&piece), begins, "{piece}");
    }
    let figures: Vec<&str> = vocabulary.target_figures().map(|id| vocabulary.piece(id).unwrap()).collect();
    assert!(vocabulary.target_figures().is_sorted());
    for (piece, is_figure) in [("1", true), ("0", true), ("▁", false), ("▁the", false), (",", false)] {
        assert_eq!(figures.contains(&piece), is_figure, "{piece}");
    }
}

#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
    pieces: Vec<String>,
    offsets: Vec<Span>,
    decoded: String,
}

#[test]
fn hard_texts_equal_sentencepiece() {
    let cases: HashMap<String, Vec<Case>> = serde_json::from_slice(&data("cases.json")).unwrap();
    assert_eq!(cases.len(), 3);
    for (name, cases) in cases {
        let model = model(&name);
        for case in cases {
            let (ids, shown, spans) = pieces(&model, &case.text);
            assert_eq!((&ids, &shown), (&case.ids, &case.pieces), "{name}: {:?}", case.text);
            assert_eq!(model.decode(&shown).text, case.decoded, "{name}: {:?}", case.text);
            for (index, (span, expected)) in spans.iter().zip(&case.offsets).enumerate() {
                assert_eq!(span.start, expected.start, "{name}: {:?}", case.text);
                if span.end != expected.end {
                    // Where one character became several pieces, sentencepiece gives it to the last of them; here
                    // each has it.
                    let last = case.offsets[index + 1..].iter().find(|last| last.end > expected.end).unwrap();
                    assert!(last.start == expected.end && span.end <= last.end, "{name}: {:?}: {span:?}", case.text);
                }
            }
        }
    }
}

#[test]
fn tokenizers_cuts_prepared_text_alike() {
    let model = model("news");
    let kinds: Vec<_> = (0..model.len() as u32).map(|id| model.piece(id).unwrap()).collect();
    let scores = sentencepiece_model::SentencePieceModel::from_slice(data("news.spm")).unwrap();
    let entries = scores.pieces().iter().map(|piece| (piece.piece().to_owned(), f64::from(piece.score()))).collect();
    let unknown = kinds.iter().position(|&(_, kind)| kind == PieceKind::Unknown);
    let unigram = tokenizers::models::unigram::Unigram::from(entries, unknown, false).unwrap();
    let cases: HashMap<String, Vec<Case>> = serde_json::from_slice(&data("cases.json")).unwrap();
    // It takes control pieces that stand in a text for pieces of text.
    for case in cases["news"].iter().filter(|case| !case.text.contains('<')) {
        let encoded = model.encode(&case.text);
        let ours: Vec<&str> = encoded.pieces.iter().map(|piece| &encoded.text[piece.range.clone()]).collect();
        assert_eq!(ours, unigram.encode(&encoded.text).unwrap(), "{:?}", case.text);
    }
}

fn vowelled(text: &str) -> String {
    let mut marks = ('\u{64b}'..='\u{652}').cycle();
    let mut vowelled = String::new();
    for letter in text.chars() {
        vowelled.push(letter);
        if matches!(letter, '\u{621}'..='\u{63a}' | '\u{641}'..='\u{64a}') {
            vowelled.extend(marks.next());
        }
    }
    vowelled
}

fn presentation(text: &str) -> String {
    let mut forms = HashMap::new();
    for form in '\u{fe80}'..='\u{fefc}' {
        let letters: Vec<char> = form.nfkc().collect();
        if let [letter] = letters[..] {
            forms.entry(letter).or_insert(form);
        }
    }
    text.chars().map(|letter| *forms.get(&letter).unwrap_or(&letter)).collect()
}

fn digest<'a>(model: &SentencePiece, lines: impl Iterator<Item = &'a str>) -> String {
    let mut sha = Sha256::new();
    for line in lines {
        let (ids, shown, spans) = pieces(model, line);
        for (id, piece) in ids.iter().zip(&shown) {
            sha.update(format!("{id}\t{piece}\n"));
        }
        sha.update(format!("{}\n\n", model.decode(&shown).text));
        check_spans(line, &spans);
    }
    sha.finalize().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[test]
fn every_line_of_the_evaluation_sets_equals_sentencepiece() {
    let digests = String::from_utf8(data("digests.tsv")).unwrap();
    let mut models = HashMap::new();
    let mut compared = 0;
    for row in digests.lines() {
        let [name, file, variant, count, expected] = row.split('\t').collect::<Vec<_>>()[..] else {
            panic!("five columns expected: {row}");
        };
        let (Some(spm), Some(file)) = (shared(name), shared(file)) else { return };
        let model =
            models.entry(name).or_insert_with(|| SentencePiece::from_bytes(&std::fs::read(spm).unwrap()).unwrap());
        let text = std::fs::read_to_string(file).unwrap();
        let changed: Vec<String> = text
            .split('\n')
            .map(|line| match variant {
                "plain" => line.to_owned(),
                "vowelled" => vowelled(line),
                "nfd" => line.nfd().collect(),
                "presentation" => presentation(line),
                "vowelled-presentation" => presentation(&vowelled(line)),
                "one-line" => line.repeat(1 + 100_000 / line.len().max(1)),
                _ => panic!("unknown variant {variant}"),
            })
            .take(count.parse().unwrap())
            .collect();
        assert_eq!(digest(model, changed.iter().map(String::as_str)), expected, "{row}");
        compared += changed.len();
    }
    assert!(compared > 40_000, "{compared} lines");
}

/// Spans in order, inside the text, on character boundaries, and nothing between two of them.
fn check_spans(text: &str, spans: &[Span]) {
    let mut previous: Option<Span> = None;
    for span in spans {
        assert!(text.is_char_boundary(span.start) && text.is_char_boundary(span.end), "{text:?}: {span:?}");
        if let Some(previous) = previous {
            assert!(previous.start <= span.start && previous.end <= span.end, "{text:?}: {span:?}");
            assert!(span.start <= previous.end, "{text:?}: a gap before {span:?}");
        }
        previous = Some(*span);
    }
}

#[test]
fn the_real_vocabulary_goes_by_its_json() {
    let Some(folder) = shared("fixtures/opus-mt-ar-en") else { return };
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let vocabulary = Vocabulary::from_bytes(&read("source.spm"), &read("target.spm"), &read("vocab.json")).unwrap();
    assert_eq!(vocabulary.len(), 62834);
    assert_eq!((vocabulary.end_of_sentence(), vocabulary.unknown(), vocabulary.pad()), (0, 1, Some(62833)));
    assert!(vocabulary.target_codes().is_empty());
    // As transformers' MarianTokenizer has it.
    let pieces = vocabulary.encode_source("قال المبعوث إن الاتفاق قريب.");
    assert_eq!(pieces.ids, REAL_IDS);
    // No code of this model: text like all else.
    assert_ne!(vocabulary.encode_source(">>eng<< نعم").spans[0], Span::new(0, 7));
    let target = vocabulary.encode_target("The envoy said the agreement is close.");
    let mut ids = target.ids.clone();
    ids.extend([vocabulary.end_of_sentence(), 62833]);
    let decoded = vocabulary.decode_target(&ids);
    assert_eq!(decoded.text, "The envoy said the agreement is close.");
    assert_eq!(decoded.spans.len(), ids.len());
    assert_eq!(decoded.spans[..target.spans.len()], target.spans);
    assert!(decoded.spans[target.spans.len()..].iter().all(|span| span.is_empty()));
}

const REAL_IDS: &[u32] = &[1126, 18550, 169, 2198, 7694, 2];

fn news() -> Vocabulary {
    let spm = data("news.spm");
    Vocabulary::from_bytes(&spm, &spm, &data("vocab.json")).unwrap()
}

#[test]
fn pieces_without_an_id_are_unknown() {
    let vocabulary = news();
    let unknown = vocabulary.unknown();
    assert_eq!(vocabulary.id("▁the"), None);
    let pieces = vocabulary.encode_source("in the city 漢字");
    assert_eq!(pieces.ids.iter().filter(|&&id| id == unknown).count(), 2);
    assert_eq!(vocabulary.decode_target(&[unknown]).text, "⁇");
    assert_eq!(vocabulary.decode_target(&[u32::MAX]).text, "⁇");
}

/// `vocab.json` with more entries.
fn extended_json(entries: &str) -> String {
    let json = String::from_utf8(data("vocab.json")).unwrap();
    format!("{}, {entries}}}", json.trim_end().strip_suffix('}').unwrap())
}

#[test]
fn what_the_spm_does_not_know_may_still_have_an_id() {
    let spm = data("news.spm");
    let vocabulary = Vocabulary::from_bytes(&spm, &spm, extended_json(r#""漢字": 902"#).as_bytes()).unwrap();
    let pieces = vocabulary.encode_source("漢字 漢");
    assert_eq!(pieces.ids.iter().filter(|&&id| id == 902).count(), 1);
    assert_eq!(pieces.ids.last(), Some(&vocabulary.unknown()));
    assert_eq!(vocabulary.decode_target(&pieces.ids).text, "漢字  ⁇");
}

#[test]
fn ids_can_be_those_of_sentencepiece() {
    let spm = data("news.spm");
    let vocabulary = Vocabulary::from_sentencepiece(&spm, &spm).unwrap();
    let model = model("news");
    assert_eq!(vocabulary.len(), model.len());
    assert_eq!((vocabulary.end_of_sentence(), vocabulary.unknown(), vocabulary.pad()), (0, 1, None));
    let text = "وصل الرئيس إلى القاهرة";
    let (ids, _, spans) = pieces(&model, text);
    let encoded = vocabulary.encode_target(text);
    assert_eq!((encoded.ids, encoded.spans), (ids, spans));
    let error = Vocabulary::from_sentencepiece(&data("bytes.spm"), &spm[..9]).unwrap_err();
    assert!(error.to_string().starts_with("`target.spm`: "), "{error}");
}

#[test]
fn a_vocabulary_is_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&news());
}

#[test]
fn target_codes_are_recognised_where_the_model_has_them() {
    let spm = data("news.spm");
    let json = extended_json(r#"">>eng<<": 900, ">>fra<<": 901"#);
    let vocabulary = Vocabulary::from_bytes(&spm, &spm, json.as_bytes()).unwrap();
    assert_eq!(vocabulary.target_codes(), [">>eng<<", ">>fra<<"]);
    let text = ">>fra<< زار الوزير";
    let pieces = vocabulary.encode_source(text);
    assert_eq!((pieces.ids[0], pieces.spans[0]), (901, Span::new(0, 7)));
    assert_eq!(pieces.ids[1..], vocabulary.encode_source("زار الوزير").ids);
    assert_eq!(pieces.spans.last().unwrap().end, text.len());
    assert_ne!(vocabulary.encode_source(">>deu<< زار").spans[0], Span::new(0, 7));
}

#[test]
fn corrupt_files_are_named() {
    let (spm, json) = (data("news.spm"), data("vocab.json"));
    let error = |source: &[u8], target: &[u8], json: &[u8]| {
        let error = Vocabulary::from_bytes(source, target, json).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model);
        error.to_string()
    };
    assert!(error(&spm[..1000], &spm, &json).starts_with("`source.spm`: not a SentencePiece model at byte "));
    assert!(error(&spm, b"PK\x03\x04 not a model", &json).starts_with("`target.spm`: "));
    assert!(error(&spm, b"", &json).starts_with("`target.spm`: expected 1 to "));
    assert!(error(&spm, &spm, &json[..100]).starts_with("`vocab.json`: EOF while parsing"));
}

#[test]
fn damaged_models_are_refused_or_work() {
    for name in ["news", "bytes", "merges"] {
        let spm = data(&format!("{name}.spm"));
        let mut state = 1_u64;
        for _ in 0..300 {
            let mut damaged = spm.clone();
            for _ in 0..4 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = (state >> 33) as usize % damaged.len();
                damaged[at] = (state >> 20) as u8;
            }
            if let Ok(model) = SentencePiece::from_bytes(&damaged) {
                let text = "زار الوزير \u{0}القاهرة [NUM] ﻻ 😀 the";
                let (.., shown, spans) = pieces_or_unknown(&model, text);
                check_spans(text, &spans);
                model.decode(&shown);
            }
        }
    }
}

fn pieces_or_unknown(model: &SentencePiece, text: &str) -> ((), Vec<String>, Vec<Span>) {
    let encoded = model.encode(text);
    let shown = encoded.pieces.iter().map(|piece| encoded.text[piece.range.clone()].to_owned()).collect();
    ((), shown, encoded.pieces.iter().map(|piece| piece.span).collect())
}

proptest! {
    #[test]
    fn pieces_make_up_the_prepared_text(text in texts()) {
        for name in ["news", "bytes", "merges"] {
            let model = model(name);
            let encoded = model.encode(&text);
            let mut end = 0;
            for piece in &encoded.pieces {
                prop_assert!(piece.range.start == end || piece.range.end == end, "{:?}", piece);
                end = piece.range.end;
                let (shown, kind) = model.piece(piece.id.unwrap()).unwrap();
                if kind == PieceKind::Normal {
                    prop_assert_eq!(shown, &encoded.text[piece.range.clone()]);
                }
            }
            prop_assert_eq!(end, encoded.text.len());
            let spans: Vec<Span> = encoded.pieces.iter().map(|piece| piece.span).collect();
            check_spans(&text, &spans);
        }
    }

    #[test]
    fn decoded_spans_make_up_the_text(ids in proptest::collection::vec(0_u32..700, 0..40)) {
        let vocabulary = news();
        let decoded = vocabulary.decode_target(&ids);
        prop_assert_eq!(decoded.spans.len(), ids.len());
        let mut end = 0;
        for span in &decoded.spans {
            prop_assert_eq!(span.start, end);
            end = span.end;
        }
        prop_assert_eq!(end, decoded.text.len());
    }
}

fn texts() -> impl Strategy<Value = String> {
    let characters: Vec<char> = "ابتلامنوير ،.▁<>[NUMthe\t\u{0}َُّﻻﷺ…½😀ﾊﾟ\u{301}".chars().collect();
    let character = prop_oneof![4 => proptest::sample::select(characters), 1 => any::<char>()];
    proptest::collection::vec(character, 0..80).prop_map(String::from_iter)
}

//! `tarjim align` and `tarjim score` from outside, on the tiny model.

use std::path::PathBuf;
use std::process::{Command, Output};

use assert_fs::TempDir;
use serde_json::Value;
use tarjim::alignment::{lines, marian, pharaoh};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny-marian");
const SOURCE: &str = "وصل الوفد يوم 12.3.2024.\nلم يعلق المتحدث\n";
const TARGET: &str = "The delegation arrived on 12.3.2024.\nThe spokesman commented\n";

fn tarjim(arguments: &[&str]) -> Output {
    tarjim_with(MODEL, arguments)
}

fn tarjim_with(model: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tarjim"));
    for name in ["TARJIM_MODEL", "TARJIM_THREADS", "TARJIM_ENGINE", "TARJIM_KERNEL", "TARJIM_PROGRESS", "RUST_LOG"] {
        command.env_remove(name);
    }
    command.env("HF_HUB_OFFLINE", "1").env("NO_COLOR", "1");
    let (name, rest) = arguments.split_first().unwrap();
    command.arg(name).args(["--model", model]).args(rest).output().unwrap()
}

#[track_caller]
fn lines_of(output: &Output) -> Vec<String> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    String::from_utf8(output.stdout.clone()).unwrap().lines().map(str::to_owned).collect()
}

/// The tiny model without the line that names its trained head.
#[cfg(feature = "embedded-model")]
fn unguided() -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    for file in std::fs::read_dir(MODEL).unwrap() {
        let file = file.unwrap();
        let mut bytes = std::fs::read(file.path()).unwrap();
        if file.file_name() == "config.json" {
            let mut config: serde_json::Map<String, Value> = serde_json::from_slice(&bytes).unwrap();
            config.remove("alignment_heads").unwrap();
            bytes = serde_json::to_vec(&config).unwrap();
        }
        std::fs::write(folder.path().join(file.file_name()), bytes).unwrap();
    }
    let path = folder.path().to_str().unwrap().to_owned();
    (folder, path)
}

/// A folder with `source` and `target`, and the paths of both.
fn files(source: &str, target: &str) -> (TempDir, String, String) {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path: PathBuf = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (source, target) = (write("source", source), write("target", target));
    (folder, source, target)
}

#[test]
fn pharaoh_lines_stay_inside_the_words() {
    let (_folder, source, target) = files(SOURCE, TARGET);
    let found = lines_of(&tarjim(&["align", &source, &target]));
    assert_eq!(found.len(), 2);
    for (line, (source_words, target_words)) in found.iter().zip([(5, 6), (3, 3)]) {
        pharaoh::check(&pharaoh::parse(line).unwrap(), source_words, target_words).unwrap();
    }
    assert!(found[0].split(' ').any(|link| link == "3-4"), "the date links to itself: {}", found[0]);
}

#[test]
fn forms_of_output_agree() {
    let (_folder, source, target) = files(SOURCE, TARGET);
    let run = |form: &str| lines_of(&tarjim(&["align", &source, &target, "--output-format", form]));
    let plain = run("pharaoh");
    for (at, line) in run("inline").iter().enumerate() {
        let (text, pairs) = marian::parse_inline(line).unwrap();
        assert_eq!(text, TARGET.lines().nth(at).unwrap());
        assert_eq!(pharaoh::print_pairs(pairs), plain[at]);
    }
    for (at, line) in run("soft").iter().enumerate() {
        assert_eq!(marian::parse_soft(line).unwrap().targets(), [6, 3][at]);
    }
    let tokens = run("fast-align");
    assert_eq!(lines::parse(&tokens[0]).unwrap().1, "The delegation arrived on 12.3.2024 .");
    for (at, line) in run("jsonl").iter().enumerate() {
        let record: Value = serde_json::from_str(line).unwrap();
        let sentence = &record["sentences"][0];
        assert_eq!(sentence["target"], TARGET.lines().nth(at).unwrap());
        let pairs = sentence["alignment"].as_array().unwrap();
        let index = |value: &Value| value.as_u64().unwrap() as usize;
        assert_eq!(pharaoh::print_pairs(pairs.iter().map(|pair| (index(&pair[0]), index(&pair[1])))), plain[at]);
        if at == 1 {
            assert!(sentence["flags"].as_array().unwrap().contains(&Value::from("negation-lost")));
        }
    }
    assert_eq!(tarjim(&["align", &source, &target, "--strict"]).status.code(), Some(65));
    let rows: Vec<String> =
        SOURCE.lines().zip(TARGET.lines()).map(|(left, right)| format!("{left}\t{right}")).collect();
    let tsv = rows.join("\n") + "\n";
    let (_folder, table, _) = files(&tsv, "");
    assert_eq!(lines_of(&tarjim(&["align", &table])), plain, "a table is read as two files are");
}

// The lexicon, which comes with the default model, knows that figures and marks mean themselves.
#[cfg(feature = "embedded-model")]
#[test]
fn pretokenized_words_are_what_stands_between_spaces() {
    let (_folder, source, target) = files("وصل الوفد يوم 12.3.2024 .\n", "The delegation arrived on 12.3.2024 .\n");
    let found = lines_of(&tarjim(&["align", &source, &target, "--pretokenized"]));
    assert!(found[0].ends_with("3-4 4-5"), "{}", found[0]);
}

#[test]
fn reverse_links_are_joined() {
    let (folder, source, target) = files(SOURCE, TARGET);
    let reverse = folder.path().join("reverse");
    std::fs::write(&reverse, "2-0 3-4\n\n").unwrap();
    let run = |how: &str| {
        lines_of(&tarjim(&["align", &source, &target, "--reverse", reverse.to_str().unwrap(), "--symmetrization", how]))
    };
    assert_eq!(run("intersection"), ["3-4", ""]);
    assert!(run("union")[0].contains("2-0 "));
    let reverse = reverse.to_str().unwrap();
    for (links, said) in [("0-0\n", "reverse ends after 1 lines"), ("\n\n\n", "reverse goes on after 2 lines")] {
        std::fs::write(reverse, links).unwrap();
        let output = tarjim(&["align", &source, &target, "--reverse", reverse]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(65), "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
    }
    let output = tarjim(&["align", &source, &target, "--reverse", reverse, "--alignment-units", "pieces"]);
    assert_eq!(output.status.code(), Some(64));
}

#[test]
fn printed_pieces_are_those_that_links_count() {
    let (_folder, source, target) = files(SOURCE, TARGET);
    let run = |form: &str| {
        let arguments = ["align", &source, &target, "--output-format", form, "--alignment-units", "pieces"];
        lines_of(&tarjim(&arguments))
    };
    let records = run("jsonl");
    for (line, record) in run("tokens").iter().zip(&records) {
        let record: Value = serde_json::from_str(record).unwrap();
        let pieces = &record["sentences"][0]["pieces"];
        let sides: Vec<usize> = line.split(" ||| ").map(|side| side.split_whitespace().count()).collect();
        for (side, name) in ["source", "target"].iter().enumerate() {
            assert_eq!(sides[side], pieces[name].as_array().unwrap().len(), "{line}");
        }
        pharaoh::check(&pharaoh::parse(line.rsplit(" ||| ").next().unwrap()).unwrap(), sides[0], sides[1]).unwrap();
    }
}

#[test]
fn records_keep_their_own_fields() {
    let lines = [
        r#"{"id":7,"translation":"The delegation arrived","text":"وصل الوفد","k":[1]}"#,
        r#"{"id":8,"text":"وصل الوفد"}"#,
        r#"{"id":9,"text":5,"translation":"kept"}"#,
    ];
    let (_folder, path, _) = files(&lines.join("\n"), "");
    let run = |path: &str, more: &[&str]| {
        let output = tarjim(&[&["align", path, "--output-format", "jsonl"], more].concat());
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        let records = String::from_utf8(output.stdout).unwrap();
        (records.lines().map(str::to_owned).collect::<Vec<_>>(), stderr)
    };
    let (records, _) = run(&path, &["--input-format", "jsonl"]);
    let own = r#"{"id":7,"text":"وصل الوفد","k":[1],"translation":"The delegation arrived","model":"#;
    assert!(records[0].starts_with(own), "{}", records[0]);
    assert!(records[1].starts_with(r#"{"id":8,"text":"وصل الوفد","error":{"#), "{}", records[1]);
    assert!(records[2].starts_with(r#"{"id":9,"text":5,"translation":"kept","error":{"#), "{}", records[2]);

    let (_folder, table, _) = files("وصل الوفد\tThe delegation arrived\tnote\nوصل\n", "");
    let (records, stderr) = run(&table, &[]);
    assert!(records[0].starts_with(r#"{"column1":"وصل الوفد","column2":"The delegation arrived","column3":"note","#));
    assert!(records[1].starts_with(r#"{"column1":"وصل","error":{"#), "{}", records[1]);
    assert_eq!(stderr.matches("line 2").count(), 1, "the place is named once: {stderr}");

    let (_folder, pairs, _) = files("وصل\nوصل ||| arrived\n", "");
    let (records, _) = run(&pairs, &["--input-format", "fast-align"]);
    assert!(records[0].starts_with(r#"{"line":1,"text":"وصل","error":{"#), "{}", records[0]);
    assert!(records[1].starts_with(r#"{"line":2,"text":"وصل","translation":"arrived","#), "{}", records[1]);
}

#[test]
fn one_standard_input_is_not_two_sides() {
    for command in ["align", "score"] {
        assert_eq!(tarjim(&[command, "-", "-"]).status.code(), Some(64));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_failed_write_names_its_file() {
    let (_folder, source, target) = files(SOURCE, TARGET);
    for arguments in [["align", "pharaoh"], ["align", "jsonl"], ["score", "tsv"]] {
        let [command, form] = arguments;
        let output = tarjim(&[command, &source, &target, "-o", "/dev/full", "--output-format", form]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(74), "{stderr}");
        assert!(stderr.contains("/dev/full") && !stderr.contains("standard output"), "{stderr}");
    }
}

#[test]
fn an_unwritable_report_is_found_before_the_work() {
    let (folder, source, target) = files(SOURCE, TARGET);
    let report = folder.path().join("no-folder").join("report.html");
    let output = tarjim(&["align", &source, &target, "--report", report.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(74));
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn files_that_do_not_match_are_refused() {
    let (_folder, source, target) = files(SOURCE, "one line\n");
    let output = tarjim(&["align", &source, &target]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(65), "{stderr}");
    assert!(stderr.contains("ends after 1 lines"), "{stderr}");
    let (_folder, table, _) = files("no tab here\nأ\ta\n", "");
    let output = tarjim(&["align", &table]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2, "a bad pair keeps its line");
    let (_folder, source, target) = files("أ\n", "a\n");
    assert_eq!(tarjim(&["align", &source, &target, "--input-format", "tsv"]).status.code(), Some(64));
    assert_eq!(tarjim(&["align", &source, "/nowhere"]).status.code(), Some(66));
}

#[test]
fn an_input_is_never_written_over() {
    let (folder, source, target) = files(SOURCE, TARGET);
    let (links, other) = (folder.path().join("links"), folder.path().join("./target"));
    std::fs::write(&links, "0-0\n0-0\n").unwrap();
    let (links, other) = (links.to_str().unwrap(), other.to_str().unwrap());
    let cases: [(&str, &[&str]); 4] = [
        ("align", &["-o", &source]),
        ("align", &["--report", other]),
        ("align", &["--reverse", links, "-o", links]),
        ("score", &["-o", other]),
    ];
    for (command, arguments) in cases {
        let output = tarjim(&[&[command, source.as_str(), target.as_str()], arguments].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{stderr}");
        assert!(stderr.contains("is the input"), "{stderr}");
        assert_eq!(std::fs::read_to_string(&source).unwrap(), SOURCE);
        assert_eq!(std::fs::read_to_string(&target).unwrap(), TARGET);
    }
}

#[test]
fn a_pair_scores_the_same_alone_and_in_company() {
    let (_folder, source, target) = files(SOURCE, TARGET);
    let together = lines_of(&tarjim(&["score", &source, &target]));
    for (at, line) in together.iter().enumerate() {
        let (left, right) = (SOURCE.lines().nth(at).unwrap(), TARGET.lines().nth(at).unwrap());
        let (_folder, source, target) = files(left, right);
        assert_eq!(&lines_of(&tarjim(&["score", &source, &target]))[0], line);
        let fields: Vec<f32> = line.split('\t').map(|field| field.parse().unwrap()).collect();
        assert!((fields[0] / (fields[2] + 1.0) - fields[1]).abs() < 1e-3, "{line}");
    }
    let records = lines_of(&tarjim(&["score", &source, &target, "--output-format", "jsonl"]));
    let record: Value = serde_json::from_str(&records[0]).unwrap();
    let pieces = record["piece_log_probs"].as_array().unwrap();
    let sum: f64 =
        pieces.iter().map(|value| value.as_f64().unwrap()).sum::<f64>() + record["end_log_prob"].as_f64().unwrap();
    assert!((sum - record["log_prob"].as_f64().unwrap()).abs() < 1e-3);
}

#[test]
#[cfg(feature = "embedded-model")]
fn a_model_without_a_trained_head_is_aligned_by_the_default_model() {
    let (_folder, source, target) = files(SOURCE, TARGET);
    let (_unguided, unguided) = unguided();
    let soft = |model: &str, more: &[&str]| {
        let arguments = [&["align", &source, &target, "--output-format", "soft", "--no-lexicon"], more].concat();
        lines_of(&tarjim_with(model, &arguments))
    };
    let default = soft("tarjim-ar-en", &[]);
    assert_eq!(soft(&unguided, &[]), default);
    assert_eq!(soft(MODEL, &["--aligner", "default"]), default);
    let own = soft(MODEL, &[]);
    assert_ne!(own, default);
    assert_eq!(soft(&unguided, &["--aligner", "model"]), own, "the first head of the last layer is the trained one");
    assert_ne!(soft(MODEL, &["--aligner", "shifted:1"]), own);
    // The model that was named still scores.
    let score = |model: &str| {
        let records = lines_of(&tarjim_with(model, &["align", &source, &target, "--output-format", "jsonl"]));
        serde_json::from_str::<Value>(&records[0]).unwrap()["sentences"][0]["score"].clone()
    };
    assert_eq!(score(&unguided), score(MODEL));
}

#[test]
#[cfg(feature = "embedded-model")]
fn translations_have_the_links_that_aligning_them_gives() {
    let source = "وصل الوفد إلى القاهرة يوم الاثنين.\nلم يزر الرئيس بغداد أمس.\nغادر الوزير دمشق اليوم.\n";
    let (folder, path, _) = files(source, "");
    let links = folder.path().join("links");
    for aligner in ["model", "shifted:0", "default", "lexicon"] {
        let translate = |threads: &str, batch: &str| {
            let target = tarjim(&[
                "translate",
                &path,
                "--input-format",
                "lines",
                "--aligner",
                aligner,
                "--beam-size",
                "1",
                "--threads",
                threads,
                "--maxi-batch",
                batch,
                "--alignment-output",
                links.to_str().unwrap(),
            ]);
            (lines_of(&target), std::fs::read_to_string(&links).unwrap())
        };
        let (target, found) = translate("1", "1");
        assert_eq!(translate("2", "100"), (target.clone(), found.clone()), "{aligner}: links depend on the neighbours");
        let (_folder, source, target) = files(source, &(target.join("\n") + "\n"));
        assert_eq!(
            lines_of(&tarjim(&["align", &source, &target, "--aligner", aligner])),
            found.lines().collect::<Vec<_>>(),
            "{aligner}"
        );
    }
}

#[test]
fn aligners_that_cannot_be_had_are_refused() {
    let (_folder, source, target) = files(SOURCE, TARGET);
    for (arguments, said) in [
        (&["--aligner", "attention"][..], "is no aligner"),
        (&["--aligner", "lexicon", "--no-lexicon"], "nothing to align with"),
        (&["--aligner", "shifted:2"], "layer 2 does not exist"),
    ] {
        let output = tarjim(&[&["align", source.as_str(), target.as_str()][..], arguments].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() != Some(0) && stderr.contains(said), "{stderr}");
    }
}

#[test]
fn confidence_without_calibration_is_what_the_model_says() {
    let (_folder, source, target) = files(SOURCE, TARGET);
    for line in lines_of(&tarjim(&["align", &source, &target, "--output-format", "jsonl"])) {
        let record: Value = serde_json::from_str(&line).unwrap();
        let sentence = &record["sentences"][0];
        let numbers = |value: &Value| -> Vec<f64> {
            value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
        };
        let pieces = numbers(&sentence["pieces"]["scores"]);
        let mean = pieces.iter().sum::<f64>() / pieces.len() as f64;
        assert!((sentence["confidence"].as_f64().unwrap() - mean.exp()).abs() < 1e-4);
        // However little the model would have said it itself: that is no doubt of a translation that somebody gave.
        assert!(mean.exp() < 0.1 && !sentence["flags"].as_array().unwrap().contains(&"low-confidence".into()));
        let (scores, found) = (numbers(&sentence["token_scores"]), numbers(&sentence["token_confidences"]));
        assert_eq!((scores.len(), scores.len()), (found.len(), numbers(&sentence["null_probabilities"]).len()));
        for (score, confidence) in scores.iter().zip(found) {
            assert!((score.exp() - confidence).abs() < 1e-4, "{score} {confidence}");
        }
    }
}

//! The command from outside: streams, formats, exit codes, messages.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use assert_fs::TempDir;
use serde_json::Value;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny-marian");
const ARTICLE: &str = "وصل الوفد إلى العاصمة مساء الأحد. هل يوقع الطرفان الاتفاق؟\n\nلم يعلق المتحدث على ذلك.\n";

/// What is done to a file of a model; `None` takes it away.
type Change = fn(Vec<u8>) -> Option<Vec<u8>>;

/// The command with nothing of this machine's settings in its environment.
fn tarjim() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tarjim"));
    for name in ["TARJIM_MODEL", "TARJIM_THREADS", "TARJIM_ENGINE", "TARJIM_KERNEL", "TARJIM_PROGRESS", "RUST_LOG"] {
        command.env_remove(name);
    }
    command.env("HF_HUB_OFFLINE", "1").env("NO_COLOR", "1");
    command
}

fn translate(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = tarjim();
    command.arg("translate").args(["--model", MODEL]).args(arguments);
    run(command, input)
}

fn run(mut command: Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A command that refuses its input closes the pipe early.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[track_caller]
fn assert_fails(output: &Output, code: i32, words: &[&str]) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "`{word}` is not in:\n{stderr}");
    }
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[track_caller]
fn assert_succeeds(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// A copy of the tiny model in which one file was changed.
fn changed_model(name: &str, change: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>) -> TempDir {
    let directory = TempDir::new().unwrap();
    for entry in std::fs::read_dir(MODEL).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, directory.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    let path = directory.path().join(name);
    match change(std::fs::read(&path).unwrap()) {
        Some(bytes) => std::fs::write(&path, bytes).unwrap(),
        None => std::fs::remove_file(&path).unwrap(),
    }
    directory
}

fn translate_with(model: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = tarjim();
    command.arg("translate").arg("--model").arg(model).args(arguments);
    run(command, input)
}

#[test]
fn text_keeps_its_line_breaks() {
    let output = translate(&[], ARTICLE.as_bytes());
    let english = assert_succeeds(&output);
    let lines: Vec<&str> = english.split('\n').collect();
    assert_eq!(lines.len(), 4);
    assert!(!lines[0].trim().is_empty() && lines[1].is_empty() && !lines[2].trim().is_empty() && lines[3].is_empty());
}

#[test]
fn lines_stay_lines() {
    let input = "وصل الوفد.\n\nهل يوقع الطرفان؟ لم يعلق أحد.\n   \nنعم";
    let output = translate(&["--input-format", "lines"], input.as_bytes());
    let english = assert_succeeds(&output);
    assert_eq!(english.split('\n').count(), input.split('\n').count());
    assert!(english.split('\n').nth(1).unwrap().is_empty());
}

#[test]
fn records_carry_spans_and_links() {
    let input = format!("{}\n", serde_json::json!({"id": 7, "text": ARTICLE, "tags": ["a", {"b": 1}]}));
    let output = translate(&["--input-format", "jsonl"], input.as_bytes());
    let record: Value = serde_json::from_str(assert_succeeds(&output)).unwrap();
    let keys: Vec<&String> = record.as_object().unwrap().keys().collect();
    assert_eq!(keys[..3], ["id", "text", "tags"]);
    let english = record["translation"].as_str().unwrap();
    let sentences = record["sentences"].as_array().unwrap();
    assert_eq!(sentences.len(), 3);
    for sentence in sentences {
        let span = |name: &str| {
            let ends: Vec<usize> = serde_json::from_value(sentence[name].clone()).unwrap();
            ends[0]..ends[1]
        };
        assert_eq!(&ARTICLE[span("source_span")], sentence["source"]);
        assert_eq!(&english[span("target_span")], sentence["target"]);
        let words = |name: &str| sentence[name].as_array().unwrap().len();
        for link in sentence["alignment"].as_array().unwrap() {
            assert!((link[0].as_u64().unwrap() as usize) < words("source_tokens"));
            assert!((link[1].as_u64().unwrap() as usize) < words("target_tokens"));
            assert!((0.0..=1.0).contains(&link[2].as_f64().unwrap()));
        }
        assert!(words("target_tokens") == 0 || !sentence["alignment"].as_array().unwrap().is_empty());
    }
}

#[test]
fn a_bad_record_costs_no_other() {
    let input = "{\"text\": \"وصل الوفد.\"}\n{\"text\": 5}\nnot json\n{\"text\": \"وصل الوفد.\"}\n";
    let output = translate(&["--input-format", "jsonl"], input.as_bytes());
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let records: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 4);
    assert_eq!(records[0]["translation"], records[3]["translation"]);
    assert_eq!(records[1]["error"]["kind"], "invalid-input");
    assert!(records[2]["error"]["message"].as_str().unwrap().contains("line 3"));
}

#[test]
fn neighbours_threads_and_batches_change_nothing() {
    let lines: Vec<String> = (0..40)
        .map(|i| ["وصل الوفد إلى العاصمة.", "هل يوقع الطرفان الاتفاق مساء الأحد؟", "نعم."][i % 3].repeat(1 + i % 4))
        .collect();
    let all = lines.join("\n");
    let reference = translate(&["--input-format", "lines", "--threads", "1"], all.as_bytes());
    let expected: Vec<&str> = assert_succeeds(&reference).split('\n').collect();
    for arguments in [["--threads", "3"], ["--mini-batch-words", "1"], ["--maxi-batch", "2"]] {
        let output = translate(&[&["--input-format", "lines"], arguments.as_slice()].concat(), all.as_bytes());
        assert_eq!(assert_succeeds(&output), text(&reference.stdout), "{arguments:?}");
    }
    let mut backwards = lines.clone();
    backwards.reverse();
    let output = translate(&["--input-format", "lines"], backwards.join("\n").as_bytes());
    let mut found: Vec<&str> = assert_succeeds(&output).split('\n').collect();
    found.reverse();
    assert_eq!(found, expected);
}

#[test]
fn both_engines_load_the_same_model() {
    for engine in ["native", "candle"] {
        let output = translate(&["--engine", engine, "--beam-size", "2"], ARTICLE.as_bytes());
        assert!(!assert_succeeds(&output).trim().is_empty());
    }
}

#[test]
fn checkpoints_of_torch_translate_as_safetensors_do() {
    let expected = translate(&["--beam-size", "2"], ARTICLE.as_bytes());
    assert_succeeds(&expected);
    for checkpoint in ["tiny_marian_zip.bin", "tiny_marian_stream.bin"] {
        let directory = changed_model("model.safetensors", |_| None);
        let bytes = std::fs::read(Path::new("tests/data/torch").join(checkpoint)).unwrap();
        std::fs::write(directory.path().join("pytorch_model.bin"), bytes).unwrap();
        let output = translate_with(directory.path(), &["--beam-size", "2"], ARTICLE.as_bytes());
        assert_succeeds(&output);
        assert_eq!(text(&output.stdout), text(&expected.stdout), "{checkpoint}");
    }
}

#[test]
fn links_go_to_a_file_a_line_for_each_sentence() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("links");
    for form in ["hard", "soft", "0.2"] {
        let arguments = ["--alignment", form, "--alignment-output", path.to_str().unwrap()];
        assert_succeeds(&translate(&arguments, ARTICLE.as_bytes()));
        let links = std::fs::read_to_string(&path).unwrap();
        assert_eq!(links.lines().count(), 3, "{links}");
    }
}

#[test]
fn marian_style_links_follow_the_line() {
    let output = translate(&["--input-format", "lines", "--alignment", "hard"], "وصل الوفد إلى العاصمة.\n".as_bytes());
    let line = assert_succeeds(&output).trim_end();
    let (_, links) = line.rsplit_once(" ||| ").expect(line);
    assert!(links.split(' ').all(|link| link.split_once('-').is_some()), "{line}");
}

#[test]
fn interlinear_output_shows_words_and_their_sources() {
    let output = translate(&["--output-format", "interlinear"], "وصل الوفد.\n".as_bytes());
    let english = assert_succeeds(&output);
    assert!(english.lines().next().unwrap().contains("وصل الوفد."));
    assert!(english.lines().count() >= 3, "{english}");
}

#[test]
fn a_report_is_written() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("report.html");
    assert_succeeds(&translate(&["--report", path.to_str().unwrap()], ARTICLE.as_bytes()));
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.contains("<!doctype html>") || page.contains("<!DOCTYPE html>"));
    assert!(page.contains("العاصمة"));
}

#[test]
fn bytes_that_are_not_utf8_are_named() {
    let output = translate(&[], b"\xd9\x88\xd8\xb5\xd9\x84\n\xff\xfe\n");
    assert_fails(&output, 65, &["stdin", "UTF-8", "byte"]);
}

#[test]
fn a_binary_file_is_refused() {
    let mut bytes = vec![0_u8; 4096];
    bytes[..4].copy_from_slice(b"\x7fELF");
    assert_fails(&translate(&[], &bytes), 65, &["stdin"]);
}

#[test]
fn an_empty_input_is_an_empty_output() {
    let output = translate(&[], b"");
    assert_eq!(assert_succeeds(&output), "");
}

#[test]
fn a_line_of_a_megabyte_is_one_line() {
    // Words and an unbroken run that are far too long for the model, in a megabyte of spaces.
    let line = format!("{}{}{}", "وصل الوفد ".repeat(400), "ا".repeat(4000), " ".repeat(1 << 20));
    let output = translate(&["--input-format", "lines", "--beam-size", "1"], line.as_bytes());
    assert_eq!(assert_succeeds(&output).lines().count(), 1);
}

#[test]
fn missing_files_and_folders_are_no_input() {
    let mut command = tarjim();
    command.args(["translate", "--model", MODEL, "no-such-file.txt"]);
    assert_fails(&run(command, b""), 66, &["no-such-file.txt"]);
    let mut command = tarjim();
    command.args(["translate", "--model", MODEL]).arg(std::env::temp_dir());
    assert_fails(&run(command, b""), 66, &["folder"]);
}

#[test]
fn wrong_arguments_are_usage_errors() {
    assert_fails(&translate(&["--no-such-option"], b""), 64, &["--no-such-option"]);
    assert_fails(&translate(&["--beam-size", "0"], b""), 64, &["0"]);
    assert_fails(&translate(&["--alignment", "2.5"], b""), 64, &["2.5"]);
    assert_fails(&translate(&["--output-format", "xliff"], b""), 64, &["xliff"]);
    assert_fails(&run(tarjim(), b""), 64, &["command"]);
}

#[test]
fn options_that_suit_no_sentence_are_refused_before_the_first() {
    let wrong: [&[&str]; 7] = [
        &["--mini-batch-words", "0"],
        &["--repetition-penalty", "0"],
        &["--normalize", "nan"],
        &["--max-length", "1"],
        &["--n-best", "3", "--beam-size", "2"],
        &["--aligner", "shifted:99"],
        &["--repetition-penalty", "-1"],
    ];
    for arguments in wrong {
        let arguments = [arguments, &["--input-format", "lines"]].concat();
        let output = translate(&arguments, ARTICLE.as_bytes());
        assert_fails(&output, 64, &["expected"]);
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn what_the_output_has_no_place_for_is_refused() {
    let wrong: [&[&str]; 6] = [
        &["--alignment", "hard"],
        &["--alignment", "hard", "--output-format", "tmx"],
        &["--alignment", "hard", "--output-format", "tsv"],
        &["--alignment", "hard", "--n-best", "2", "--output-format", "lines"],
        &["--alignment", "hard", "--alignment-units", "pieces", "--output-format", "lines"],
        &["--n-best", "2"],
    ];
    for arguments in wrong {
        assert_fails(&translate(arguments, ARTICLE.as_bytes()), 64, &["hint"]);
    }
    let table = ["--alignment", "hard", "--output-format", "tsv", "--columns", "translation,alignment"];
    assert_succeeds(&translate(&table, ARTICLE.as_bytes()));
}

#[test]
fn tables_of_the_same_columns_become_one() {
    let directory = TempDir::new().unwrap();
    let write = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (one, two) = (write("1.tsv", "id\ttext\n1\tوصل\n"), write("2.tsv", "id\ttext\n2\tوصل\n"));
    let other = write("3.tsv", "key\ttext\n3\tوصل\n");
    let output = translate(&["--header", "--text-column", "2", &one, &two, &other], b"");
    let firsts: Vec<&str> = assert_succeeds(&output).lines().map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!(firsts, ["id", "1", "2", "key", "3"]);
}

#[test]
fn files_of_two_formats_are_refused() {
    let directory = TempDir::new().unwrap();
    let (plain, records) = (directory.path().join("a.txt"), directory.path().join("b.jsonl"));
    std::fs::write(&plain, ARTICLE).unwrap();
    std::fs::write(&records, "{\"text\":\"وصل\"}\n").unwrap();
    let (plain, records) = (plain.to_str().unwrap(), records.to_str().unwrap());
    assert_fails(&translate(&[plain, records], b""), 64, &["a.txt is text", "b.jsonl is jsonl"]);
    assert_succeeds(&translate(&["--input-format", "text", plain, records], b""));
}

#[test]
fn outputs_that_cannot_be_written_are_failures_of_writing() {
    for option in ["--output", "--report", "--alignment-output"] {
        let output = translate(&[option, "/no/such/folder/file"], ARTICLE.as_bytes());
        assert_fails(&output, 74, &["/no/such/folder/file"]);
        assert!(output.stdout.is_empty(), "{option}");
    }
    for option in ["--report", "--alignment-output"] {
        assert_fails(&translate(&[option, "-"], ARTICLE.as_bytes()), 64, &["standard output"]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_failed_write_names_its_file() {
    for format in ["text", "lines", "jsonl", "tsv", "interlinear"] {
        let output = translate(&["--output-format", format, "-o", "/dev/full"], ARTICLE.as_bytes());
        assert_fails(&output, 74, &["/dev/full"]);
    }
}

#[test]
fn an_output_onto_an_input_or_another_output_is_refused() {
    let directory = TempDir::new().unwrap();
    let (input, other) = (directory.path().join("a.txt"), directory.path().join("b"));
    std::fs::write(&input, ARTICLE).unwrap();
    let (input_name, other) = (input.to_str().unwrap(), other.to_str().unwrap());
    for option in ["--output", "--report", "--alignment-output"] {
        assert_fails(&translate(&[input_name, option, input_name], b""), 64, &["a.txt"]);
    }
    assert_fails(&translate(&[input_name, "--output", other, "--report", other], b""), 64, &["b"]);
    assert_eq!(std::fs::read_to_string(&input).unwrap(), ARTICLE);
}

#[test]
fn a_failed_record_is_explained_and_counted() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("report.html");
    let cp1256 = b"\xe6\xd5\xe1 \xc7\xe1\xe6\xd2\xed\xd1\n";
    let input = [ARTICLE.as_bytes(), cp1256].concat();
    let arguments = ["--input-format", "lines", "--report", path.to_str().unwrap()];
    assert_fails(&translate(&arguments, &input), 65, &["UTF-8", "hint", "iconv"]);
    assert!(std::fs::read_to_string(&path).unwrap().contains("1 record could not be translated"));
    // A column for errors is no excuse for silence where there are no columns.
    let arguments = ["--input-format", "lines", "--columns", "translation,error"];
    assert_fails(&translate(&arguments, &input), 65, &["UTF-8"]);
}

#[test]
fn verifying_a_broken_model_fails() {
    let model = changed_model("model.safetensors", |bytes| Some(bytes[..bytes.len() / 2].to_vec()));
    let mut command = tarjim();
    command.args(["models", "verify"]).arg(model.path());
    assert_fails(&run(command, b""), 69, &["model.safetensors"]);
}

#[test]
fn models_that_cannot_be_had() {
    let output = translate_with(Path::new("./no-such-model"), &[], b"");
    assert_fails(&output, 69, &["no-such-model", "hint"]);
    let output = translate_with(Path::new("no-such-org/no-such-model"), &[], b"");
    assert_fails(&output, 69, &["no-such-org/no-such-model", "hint"]);
    let wider: Change =
        |bytes| Some(String::from_utf8(bytes).unwrap().replace("\"d_model\": 32", "\"d_model\": 48").into_bytes());
    let changes: [(&str, &str, Change); 9] = [
        ("model.safetensors", "model.safetensors", |_| None),
        ("model.safetensors", "model.safetensors", |bytes| Some(bytes[..bytes.len() / 2].to_vec())),
        ("model.safetensors", "model.safetensors", |bytes| Some(bytes[..5].to_vec())),
        ("model.safetensors", "model.safetensors", |bytes| Some(vec![0xff; bytes.len()])),
        ("config.json", "config.json", |_| Some(b"{".to_vec())),
        ("config.json", "expected shape [274, 48], found [274, 32]", wider),
        ("source.spm", "source.spm", |bytes| Some(bytes[..bytes.len() / 3].to_vec())),
        ("vocab.json", "vocab.json", |_| Some(b"[]".to_vec())),
        ("target.spm", "target.spm", |_| None),
    ];
    for (name, message, change) in changes {
        let model = changed_model(name, change);
        for engine in ["native", "candle"] {
            let output = translate_with(model.path(), &["--engine", engine], ARTICLE.as_bytes());
            assert_fails(&output, 69, &[message]);
            assert!(output.stdout.is_empty());
        }
    }
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let mut child = tarjim()
        .args(["translate", "--model", MODEL, "--input-format", "lines", "--beam-size", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    let lines = "وصل الوفد إلى العاصمة.\n".repeat(64);
    let _ = stdin.write_all(lines.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
}

#[test]
fn a_line_is_answered_before_the_next_is_sent() {
    use std::io::{BufRead, BufReader};

    let mut child = tarjim()
        .args(["translate", "--model", MODEL, "--input-format", "jsonl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for id in 0..3 {
        writeln!(stdin, "{{\"id\": {id}, \"text\": \"وصل الوفد.\"}}").unwrap();
        let mut answer = String::new();
        stdout.read_line(&mut answer).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["id"], id);
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn completions_and_the_manual_are_printed() {
    for arguments in
        [["generate", "completions", "bash"].as_slice(), &["generate", "completions", "zsh"], &["generate", "man"]]
    {
        let mut command = tarjim();
        command.args(arguments);
        let output = run(command, b"");
        // troff writes a hyphen as `\\-`.
        let page = assert_succeeds(&output).replace('\\', "");
        assert!(page.contains("--alignment-output"), "{arguments:?}");
    }
}

#[test]
fn the_version_tells_the_kernel_in_detail() {
    let mut command = tarjim();
    command.args(["--version", "--verbose"]);
    let output = run(command, b"");
    let version = assert_succeeds(&output);
    assert!(version.starts_with(concat!("tarjim ", env!("CARGO_PKG_VERSION"))) && version.contains("kernel:"));
}

#[test]
fn a_sentence_begins_with_a_capital_and_a_phrase_as_the_model_likes() {
    let lines = ["--input-format", "lines", "--output-format", "lines"];
    let output = translate(&lines, "سيول جديدة\nسيول جديدة؟\nسيول جديدة سيول جديدة\n".as_bytes());
    let text = assert_succeeds(&output);
    let starts: Vec<&str> = text.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(starts, ["people", "People", "People"]);
}

#[test]
fn a_lexical_weight_wants_a_table() {
    assert_fails(&translate(&["--lexical-weight", "0.3"], b""), 69, &["lexical.zst", "--lexical-weight 0"]);
    assert_succeeds(&translate(&["--lexical-weight", "0"], ARTICLE.as_bytes()));
    let folder = changed_model("config.json", Some);
    std::fs::write(folder.path().join("lexical.zst"), b"no table").unwrap();
    let with = |weight: &str| translate_with(folder.path(), &["--lexical-weight", weight], ARTICLE.as_bytes());
    assert_fails(&with("0.3"), 69, &["lexical.zst"]);
    let table = zstd::encode_all("tarjim lexical 2\nprefixes\nsuffixes\nwords 0 0\n".as_bytes(), 3).unwrap();
    std::fs::write(folder.path().join("lexical.zst"), table).unwrap();
    assert_fails(&with("1"), 64, &["lexical weight is 1"]);
    assert_eq!(assert_succeeds(&with("0.3")), assert_succeeds(&translate(&[], ARTICLE.as_bytes())));
}

#[test]
fn the_log_tells_the_model_and_the_totals() {
    let output = translate(&["--verbose"], "وصل الوفد.".as_bytes());
    assert_succeeds(&output);
    let log = text(&output.stderr);
    assert!(log.contains("tiny-marian") && log.contains("records=1 sentences=1 words=3 errors=0"), "{log}");
}

//! A worker without a model, and a process that runs it so that it can be killed.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::Value;
use tarjim::Result;
use tarjim::batch::{Output, Record, Worker};

/// Reverses the letters of `text`; a broken line becomes a record with `error`.
#[derive(Default)]
pub(super) struct Reverser {
    /// Records seen.
    pub calls: usize,
    /// Translates broken lines too.
    pub mends: bool,
    /// Drops the last record of a window.
    pub loses: bool,
    /// Exchanges the first two records of a window.
    pub swaps: bool,
    /// Time each record takes.
    pub pause: Duration,
    /// Where one byte a record is written, so that the work of killed processes is counted too.
    pub log: Option<PathBuf>,
}

fn id(line: &[u8]) -> Option<String> {
    Some(serde_json::from_slice::<Value>(line).ok()?["id"].as_str()?.to_owned())
}

impl Worker for Reverser {
    fn translate(&mut self, records: &[Record], _: &AtomicBool) -> Result<Vec<Output>> {
        let mut outputs = Vec::new();
        for record in records {
            self.calls += 1;
            std::thread::sleep(self.pause);
            if let Some(log) = &self.log {
                OpenOptions::new().append(true).create(true).open(log).unwrap().write_all(b".").unwrap();
            }
            let (line, error) = match serde_json::from_slice::<Value>(&record.line) {
                Ok(mut value) => {
                    let text: String = value["text"].as_str().unwrap_or_default().chars().rev().collect();
                    value["translation"] = text.into();
                    (value.to_string(), None)
                }
                Err(_) if self.mends => ("{\"translation\":\"mended\"}".to_owned(), None),
                Err(error) => ("{\"error\":\"not JSON\"}".to_owned(), Some(error.to_string())),
            };
            outputs.push(Output { line: line.into_bytes(), error, sentences: 1, ..Output::default() });
        }
        if self.loses {
            outputs.pop();
        }
        if self.swaps {
            outputs.swap(0, 1);
        }
        Ok(outputs)
    }

    fn input_id(&self, line: &[u8]) -> Option<String> {
        id(line)
    }

    fn output_id(&self, line: &[u8]) -> Option<String> {
        id(line)
    }

    fn engine(&self) -> String {
        "reverser".into()
    }
}

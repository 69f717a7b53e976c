//! Any bytes as a file of each format: records come or the file is refused, and what is read can be written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tarjim::format::{self, Format, ReadOptions, WriteOptions};
use tarjim::translation::Document;

fuzz_target!(|bytes: &[u8]| {
    let options = ReadOptions { longest_record: 1 << 10, ..ReadOptions::default() };
    for from in Format::ALL {
        let mut output = Vec::new();
        let Ok(mut reader) = format::reader(from, Box::new(bytes), "fuzz", &options) else { continue };
        let Ok(mut writer) = format::writer(from, Box::new(&mut output), &WriteOptions::default()) else { continue };
        while let Ok(Some(record)) = reader.next_record() {
            // A text that translates to itself.
            let document = record.text.as_ref().map(|text| Document { text: text.clone(), ..Document::default() });
            writer.write(&record, document.as_ref().map_err(|error| *error)).expect("memory takes everything");
        }
        writer.finish().expect("memory takes everything");
        drop(writer);
        assert!(std::str::from_utf8(&output).is_ok(), "{} output is UTF-8", from.name());
    }
});

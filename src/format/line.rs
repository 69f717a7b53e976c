//! Lines of a byte stream as checked UTF-8, in bounded memory.

use std::io::Read;

use super::ReadOptions;
use crate::error::{Error, ErrorKind, Result};

const BUFFER: usize = 64 << 10;

/// One line.
#[derive(Debug)]
pub(super) struct Line {
    /// From 1.
    pub(super) number: u64,
    /// The text without its line break, or what is wrong with it.
    pub(super) text: Result<String>,
    /// `\n`, `\r\n`, or nothing at the end of the input.
    pub(super) ending: &'static str,
}

/// Reads lines. A byte-order mark at the start of a file is dropped; what is plainly no UTF-8 text is refused there.
pub(super) struct LineReader<'a> {
    input: Box<dyn Read + Send + 'a>,
    name: String,
    longest: usize,
    buffer: Vec<u8>,
    /// The part of the buffer that isn't read yet.
    at: usize,
    filled: usize,
    number: u64,
    /// Bytes of the file before the buffer's unread part.
    offset: u64,
    is_at_end: bool,
}

impl<'a> LineReader<'a> {
    pub(super) fn new(input: Box<dyn Read + Send + 'a>, name: &str, options: &ReadOptions) -> Self {
        LineReader {
            input,
            name: name.to_owned(),
            longest: options.longest_record,
            buffer: vec![0; BUFFER],
            at: 0,
            filled: 0,
            number: options.lines_before,
            offset: options.bytes_before,
            is_at_end: false,
        }
    }

    /// `news.txt: line 12`
    pub(super) fn place(&self, line: u64) -> String {
        format!("{}: line {line}", self.name)
    }

    /// Whether a whole line is in memory.
    pub(super) fn is_ready(&self) -> bool {
        self.is_at_end || self.buffer[self.at..self.filled].contains(&b'\n')
    }

    /// The next line; `None` at the end of the input.
    pub(super) fn next_line(&mut self) -> Result<Option<Line>> {
        if self.offset == 0 && self.filled == 0 {
            self.start()?;
        }
        let mut line = Vec::new();
        // The bytes of the line, of which `line` holds the first `longest`.
        let mut length = 0_u64;
        let start = self.offset;
        let found_break = loop {
            if self.at == self.filled && !self.fill()? {
                break false;
            }
            let unread = &self.buffer[self.at..self.filled];
            let line_break = unread.iter().position(|&byte| byte == b'\n');
            let take = line_break.unwrap_or(unread.len());
            let kept = take.min((self.longest + 1).saturating_sub(line.len()));
            line.extend_from_slice(&unread[..kept]);
            length += take as u64;
            self.at += take + usize::from(line_break.is_some());
            self.offset += (take + usize::from(line_break.is_some())) as u64;
            if line_break.is_some() {
                break true;
            }
        };
        if length == 0 && !found_break {
            return Ok(None);
        }
        self.number += 1;
        let ending = match (found_break, line.last()) {
            (true, Some(b'\r')) => {
                line.pop();
                "\r\n"
            }
            (true, _) => "\n",
            (false, _) => "",
        };
        let text = self.checked(line, length, start).map_err(|error| error.at(self.place(self.number)));
        Ok(Some(Line { number: self.number, text, ending }))
    }

    fn checked(&self, line: Vec<u8>, length: u64, start: u64) -> Result<String> {
        if line.len() > self.longest {
            let message = format!("the record has {length} bytes, and at most {} are taken", self.longest);
            return Err(Error::new(ErrorKind::InvalidInput, message).with_hint("is this text, with line breaks?"));
        }
        if let Some(at) = line.iter().position(|&byte| byte == 0) {
            let message = format!("binary data: a NUL byte at byte {} of the input", start + at as u64);
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        String::from_utf8(line).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let byte = error.as_bytes()[at];
            let message = format!("not UTF-8: byte {byte:#04x} at byte {} of the input", start + at as u64);
            Error::new(ErrorKind::InvalidInput, message)
                .with_hint("convert it first, for example `iconv -f WINDOWS-1256 -t UTF-8`")
        })
    }

    /// Fills the first buffer and looks at how the input begins.
    fn start(&mut self) -> Result<()> {
        // Enough for every signature, even from a pipe that gives single bytes.
        while self.filled < 4 && self.fill_more()? {}
        let head = &self.buffer[..self.filled];
        if let Some(reason) = foreign(head) {
            return Err(reason.at(&self.name));
        }
        if head.starts_with(b"\xef\xbb\xbf") {
            self.at = 3;
            self.offset = 3;
        }
        Ok(())
    }

    /// Reads more behind the unread part of a buffer that has room.
    fn fill_more(&mut self) -> Result<bool> {
        loop {
            match self.input.read(&mut self.buffer[self.filled..]) {
                Ok(0) => {
                    self.is_at_end = true;
                    return Ok(false);
                }
                Ok(read) => {
                    self.filled += read;
                    return Ok(true);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io(&self.name, error)),
            }
        }
    }

    /// Reads a new buffer; false at the end of the input.
    fn fill(&mut self) -> Result<bool> {
        self.at = 0;
        self.filled = 0;
        self.fill_more()
    }
}

/// Why an input that begins with `head` is no UTF-8 text, if its first bytes say so.
pub(super) fn foreign(head: &[u8]) -> Option<Error> {
    let error = |message: &str, hint: &str| Some(Error::new(ErrorKind::InvalidInput, message).with_hint(hint));
    match head {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            error("the input is UTF-16, and UTF-8 is needed", "convert it first: `iconv -f UTF-16 -t UTF-8`")
        }
        [0x1f, 0x8b, ..] => {
            error("the input is compressed by gzip", "decompress it first: `gzip -dc FILE | tarjim translate`")
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            error("the input is compressed by zstd", "decompress it first: `zstd -dc FILE | tarjim translate`")
        }
        [b'P', b'K', 3, 4, ..] => error(
            "the input is a zip archive (an office document, perhaps), and text is needed",
            "save it as plain text first",
        ),
        [b'%', b'P', b'D', b'F', ..] => {
            error("the input is a PDF, and text is needed", "extract its text first: `pdftotext FILE -`")
        }
        _ => {
            // A stray NUL costs its own line only; in the first line, or in numbers, it means something else than text.
            let nuls = || head.iter().enumerate().take(8192).filter(|&(_, &byte)| byte == 0).map(|(at, _)| at);
            let first_line = head.iter().position(|&byte| byte == b'\n').unwrap_or(head.len());
            let at = nuls().next().filter(|&at| at < first_line || nuls().count() >= 4)?;
            Some(Error::new(ErrorKind::InvalidInput, format!("the input is binary: a NUL byte at byte {at}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader<'a>(input: impl Read + Send + 'a, longest_record: usize) -> LineReader<'a> {
        LineReader::new(Box::new(input), "test", &ReadOptions { longest_record, ..ReadOptions::default() })
    }

    fn lines(input: &[u8], longest: usize) -> Vec<Line> {
        let mut reader = reader(input, longest);
        let mut lines = Vec::new();
        while let Some(line) = reader.next_line().unwrap() {
            lines.push(line);
        }
        lines
    }

    /// Gives one byte at a time, as a slow pipe might.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let (Some((&first, rest)), false) = (self.0.split_first(), buffer.is_empty()) else {
                return Ok(0);
            };
            buffer[0] = first;
            self.0 = rest;
            Ok(1)
        }
    }

    #[test]
    fn line_breaks() {
        let found: Vec<(u64, String, &str)> = lines(b"\xef\xbb\xbfa\nb\r\n\nc", 10)
            .into_iter()
            .map(|line| (line.number, line.text.unwrap(), line.ending))
            .collect();
        assert_eq!(
            found,
            [(1, "a".into(), "\n"), (2, "b".into(), "\r\n"), (3, String::new(), "\n"), (4, "c".into(), "")]
        );
        assert!(lines(b"", 10).is_empty());
        assert!(lines(b"\xef\xbb\xbf", 10).is_empty());
        assert_eq!(lines(b"\n", 10).len(), 1);
    }

    #[test]
    fn a_dripping_pipe_gives_the_same_lines() {
        let mut reader = reader(Drip("\u{feff}مرحبا\r\nb".as_bytes()), 100);
        assert_eq!(reader.next_line().unwrap().unwrap().text.unwrap(), "مرحبا");
        assert_eq!(reader.next_line().unwrap().unwrap().text.unwrap(), "b");
        assert!(reader.next_line().unwrap().is_none());
    }

    #[test]
    fn bad_lines_cost_no_other() {
        let found = lines(b"good\n\xc7\xe1 bad\nfar too long\na\0b\nlast", 8);
        let texts: Vec<Result<String, String>> =
            found.into_iter().map(|line| line.text.map_err(|error| error.to_string())).collect();
        assert_eq!(
            texts,
            [
                Ok("good".to_owned()),
                Err("test: line 2: not UTF-8: byte 0xc7 at byte 5 of the input".to_owned()),
                Err("test: line 3: the record has 12 bytes, and at most 8 are taken".to_owned()),
                Err("test: line 4: binary data: a NUL byte at byte 26 of the input".to_owned()),
                Ok("last".to_owned()),
            ]
        );
    }

    #[test]
    fn endless_lines_take_bounded_memory() {
        let mut reader = reader(std::io::repeat(b'a').take(200 << 20), 1 << 20);
        let line = reader.next_line().unwrap().unwrap();
        assert!(line.text.unwrap_err().to_string().contains("209715200 bytes"));
        assert!(reader.next_line().unwrap().is_none());
    }

    #[test]
    fn foreign_input_is_named() {
        for (head, expected) in [
            (&b"\xff\xfea\0"[..], "UTF-16"),
            (b"\x1f\x8b\x08\x00", "gzip"),
            (b"\x28\xb5\x2f\xfd", "zstd"),
            (b"PK\x03\x04", "zip"),
            (b"%PDF-1.7", "PDF"),
            (b"ab\0d", "binary: a NUL byte at byte 2"),
        ] {
            let error = reader(head, 100).next_line().unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn ready_means_a_line_is_in_memory() {
        let mut reader = reader(&b"a\nb\nc"[..], 100);
        assert!(!reader.is_ready());
        reader.next_line().unwrap();
        assert!(reader.is_ready());
        reader.next_line().unwrap();
        assert!(!reader.is_ready());
    }
}

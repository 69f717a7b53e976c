//! The files of a job and the records in a range of them, one record a line.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// The longest record in bytes.
pub const LONGEST_RECORD: usize = 16 << 20;

/// Of a longer line this much is kept: enough to see that it is too long.
const LONGEST_LINE: usize = LONGEST_RECORD + 1;

/// What the lines of a job's files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LineFormat {
    /// Text, one record a line: `.txt`.
    Lines,
    /// One JSON object a line: `.jsonl`, `.ndjson`.
    Jsonl,
    /// Tab-separated columns without quoting: `.tsv`.
    Tsv,
}

impl FromStr for LineFormat {
    type Err = Error;

    /// Reads `lines`, `jsonl` or `tsv`.
    fn from_str(name: &str) -> Result<Self> {
        match name {
            "lines" => Ok(LineFormat::Lines),
            "jsonl" => Ok(LineFormat::Jsonl),
            "tsv" => Ok(LineFormat::Tsv),
            _ => Err(Error::new(ErrorKind::Usage, format!("`{name}` is not one of lines, jsonl and tsv")).with_hint(
                "other formats have records of several lines: `tarjim translate` takes them, a file at a time",
            )),
        }
    }
}

impl LineFormat {
    /// The format a file name stands for, compression aside.
    pub fn of(path: &Path) -> Option<LineFormat> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").or(name.strip_suffix(".zst")).unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "txt" => Some(LineFormat::Lines),
            "jsonl" | "ndjson" => Some(LineFormat::Jsonl),
            "tsv" => Some(LineFormat::Tsv),
            _ => None,
        }
    }

    /// The extension of files in this format.
    pub fn extension(self) -> &'static str {
        match self {
            LineFormat::Lines => "txt",
            LineFormat::Jsonl => "jsonl",
            LineFormat::Tsv => "tsv",
        }
    }
}

/// How a file is packed; told by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    Zstandard,
}

fn packing(path: &Path) -> Packing {
    match path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase).as_deref() {
        Some("gz") => Packing::Gzip,
        Some("zst") => Packing::Zstandard,
        _ => Packing::Plain,
    }
}

/// A file of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Its size on disk.
    pub bytes: u64,
    /// The size of its text, unpacked.
    pub text_bytes: u64,
    /// When it was last changed, in nanoseconds since 1970, where the file system says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<u64>,
}

/// Lists the files behind `inputs`, folders in the order of their paths, and settles on their format.
///
/// Hidden files and those whose name begins with `_` (`_SUCCESS`) are not data.
///
/// # Errors
/// Nothing there; a file that is named twice; a file whose name tells no format while `format` is `None`; several formats in one job.
pub(super) fn list(inputs: &[PathBuf], format: Option<LineFormat>) -> Result<(LineFormat, Vec<PathBuf>)> {
    let mut files = Vec::new();
    let mut known = HashSet::new();
    for input in inputs {
        let failed = |error| Error::io(format_args!("input `{}`", input.display()), error);
        let metadata = std::fs::metadata(input).map_err(failed)?;
        // One absolute spelling: the job goes on from any working folder.
        let input = std::path::absolute(input).map_err(failed)?;
        let real = input.canonicalize().map_err(failed)?;
        let listed = files.len();
        if metadata.is_dir() {
            list_folder(&input, &mut files)?;
        } else {
            files.push(input.clone());
        }
        for file in &files[listed..] {
            let inside = file.strip_prefix(&input).unwrap_or(file);
            if !known.insert(real.join(inside)) {
                return Err(Error::new(ErrorKind::Usage, format!("the input `{}` is named twice", file.display()))
                    .with_hint("name each file once; a folder stands for all files in it"));
            }
        }
    }
    let mut settled: Option<(LineFormat, &PathBuf)> = format.zip(files.first());
    for file in &files {
        if format.is_some() {
            break;
        }
        let found = LineFormat::of(file).ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, format!("the name of `{}` does not tell its format", file.display()))
                .with_hint("give `--input-format lines`, `jsonl` or `tsv`, or keep other files out of the folder")
        })?;
        match settled {
            None => settled = Some((found, file)),
            Some((first, by)) if first != found => {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!(
                        "one job, two formats: `{}` is {}, `{}` is {}",
                        by.display(),
                        first.extension(),
                        file.display(),
                        found.extension()
                    ),
                )
                .with_hint("run one job for each format, or give `--input-format`"));
            }
            Some(_) => {}
        }
    }
    let Some((format, _)) = settled else {
        let names: Vec<String> = inputs.iter().map(|input| format!("`{}`", input.display())).collect();
        return Err(Error::new(ErrorKind::NoInput, format!("no input files in {}", names.join(", "))));
    };
    Ok((format, files))
}

fn list_folder(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let failed = |error| Error::io(format_args!("input folder `{}`", folder.display()), error);
    let mut items = std::fs::read_dir(folder).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    items.sort_by_key(std::fs::DirEntry::file_name);
    for item in items {
        let name = item.file_name();
        if name.as_encoded_bytes().starts_with(b".") || name.as_encoded_bytes().starts_with(b"_") {
            continue;
        }
        let path = item.path();
        // A linked file is data; a linked folder may lead in a circle.
        if item.file_type().map_err(failed)?.is_dir() {
            list_folder(&path, files)?;
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// Measures a file; a packed one is unpacked to the end for that, and thereby checked.
pub(super) fn measure(path: PathBuf) -> Result<InputFile> {
    let bytes = size(&path)?;
    let text_bytes = if packing(&path) == Packing::Plain {
        bytes
    } else {
        std::io::copy(&mut open(&path)?, &mut std::io::sink()).map_err(|error| unreadable(&path, error))?
    };
    Ok(InputFile { modified: modified(&path), path, bytes, text_bytes })
}

/// When a file was last changed, in nanoseconds since 1970.
pub(super) fn modified(path: &Path) -> Option<u64> {
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
    u64::try_from(modified.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_nanos()).ok()
}

/// A file's size on disk now.
pub(super) fn size(path: &Path) -> Result<u64> {
    std::fs::metadata(path)
        .map(|metadata| metadata.len())
        .map_err(|error| Error::io(format_args!("input `{}`", path.display()), error))
}

fn open(path: &Path) -> Result<Box<dyn Read>> {
    let failed = |error| Error::io(format_args!("input `{}`", path.display()), error);
    let file = File::open(path).map_err(failed)?;
    Ok(match packing(path) {
        Packing::Plain => Box::new(file),
        Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(file))),
        Packing::Zstandard => Box::new(zstd::Decoder::new(file).map_err(failed)?),
    })
}

/// A packed file that breaks off or is no archive is bad data, whatever error kind the unpacker has for it.
fn unreadable(path: &Path, error: std::io::Error) -> Error {
    let place = format!("input `{}`", path.display());
    match packing(path) {
        Packing::Plain => Error::io(place, error),
        _ => Error::new(ErrorKind::InvalidInput, format!("{place} cannot be unpacked: {error}")).with_source(error),
    }
}

/// A stretch of one file's text; a line belongs to the range its first byte lies in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// Index of the file in the job.
    pub file: usize,
    /// The first byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

/// One line of input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The line without its line break.
    pub line: Vec<u8>,
    /// The file it comes from, counted from 0 in the job's inputs.
    pub file: usize,
    /// Where its first byte lies in the file's text.
    pub offset: u64,
    /// Its number in the file, from 1.
    pub number: u64,
    /// Whether a line break ends it, as it does all lines but some files' last.
    pub has_break: bool,
}

/// A place in a file and the line breaks before it: what numbers the lines of one range after the other without
/// reading the file from its beginning each time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LineCount {
    file: usize,
    position: u64,
    breaks: u64,
}

/// Reads the lines of a range.
pub(super) struct RangeReader {
    path: PathBuf,
    file: usize,
    reader: Box<dyn BufRead>,
    position: u64,
    breaks: u64,
    end: u64,
    /// The last line's beginning, which lies before the next range even where the line runs into it.
    last: LineCount,
}

impl RangeReader {
    /// Opens a range; `known` is any place that was counted before, best the one nearest to the range.
    pub(super) fn open(path: &Path, range: &Range, known: LineCount) -> Result<Self> {
        let before = range.start.saturating_sub(1);
        let nothing = LineCount { file: range.file, ..LineCount::default() };
        let known = if known.file == range.file && known.position <= before { known } else { nothing };
        let mut reader: Box<dyn BufRead> = if packing(path) == Packing::Plain {
            let failed = |error| Error::io(format_args!("input `{}`", path.display()), error);
            let mut file = File::open(path).map_err(failed)?;
            file.seek(SeekFrom::Start(known.position)).map_err(failed)?;
            Box::new(BufReader::with_capacity(1 << 16, file))
        } else {
            let mut reader = BufReader::with_capacity(1 << 16, open(path)?);
            std::io::copy(&mut (&mut reader).take(known.position), &mut std::io::sink())
                .map_err(|error| unreadable(path, error))?;
            Box::new(reader)
        };
        let failed = |error| unreadable(path, error);
        let mut breaks = known.breaks + count_breaks(&mut reader, before - known.position).map_err(failed)?;
        let last = LineCount { file: range.file, position: before, breaks };
        let mut position = before;
        if range.start > 0 {
            // The line that runs into the range is the one before's, unless its last byte is the break.
            let (skipped, is_ended) = skip_line(&mut reader).map_err(failed)?;
            position += skipped;
            breaks += u64::from(is_ended);
        }
        Ok(RangeReader { path: path.to_owned(), file: range.file, reader, position, breaks, end: range.end, last })
    }

    /// A place that was counted, for the range that comes next.
    pub(super) fn counted(&self) -> LineCount {
        self.last
    }

    /// The next line, or `None` at the end of the range; `digest` sees all its bytes.
    pub(super) fn next(&mut self, digest: &mut blake3::Hasher) -> Result<Option<Record>> {
        if self.position >= self.end {
            return Ok(None);
        }
        self.last = LineCount { file: self.file, position: self.position, breaks: self.breaks };
        let mut record =
            Record { file: self.file, offset: self.position, number: self.breaks + 1, ..Record::default() };
        loop {
            let chunk = match self.reader.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(unreadable(&self.path, error)),
            };
            if chunk.is_empty() {
                let found = self.position;
                if found < self.end && record.offset == found {
                    return Err(Error::new(
                        ErrorKind::InvalidInput,
                        format!(
                            "input `{}` ends after {found} bytes, expected {} at least",
                            self.path.display(),
                            self.end
                        ),
                    )
                    .with_hint("the file has changed since the job began: begin a new output folder"));
                }
                return Ok(Some(record));
            }
            let line_end = chunk.iter().position(|byte| *byte == b'\n');
            let used = line_end.map_or(chunk.len(), |end| end + 1);
            let text = &chunk[..line_end.unwrap_or(used)];
            let room = LONGEST_LINE - record.line.len();
            record.line.extend_from_slice(&text[..text.len().min(room)]);
            digest.update(&chunk[..used]);
            self.reader.consume(used);
            self.position += used as u64;
            if line_end.is_some() {
                record.has_break = true;
                self.breaks += 1;
                return Ok(Some(record));
            }
        }
    }
}

/// Reads `bytes` bytes, or what there is, and counts their line breaks.
fn count_breaks(reader: &mut dyn BufRead, bytes: u64) -> std::io::Result<u64> {
    let (mut left, mut breaks) = (bytes, 0);
    while left > 0 {
        let chunk = reader.fill_buf()?;
        let used = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if used == 0 {
            break;
        }
        breaks += chunk[..used].iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
        reader.consume(used);
        left -= used as u64;
    }
    Ok(breaks)
}

/// Skips the rest of a line; how many bytes that was, and whether a line break ended it.
fn skip_line(reader: &mut dyn BufRead) -> std::io::Result<(u64, bool)> {
    let mut skipped = 0;
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            return Ok((skipped, false));
        }
        let line_end = chunk.iter().position(|byte| *byte == b'\n');
        let used = line_end.map_or(chunk.len(), |end| end + 1);
        reader.consume(used);
        skipped += used as u64;
        if line_end.is_some() {
            return Ok((skipped, true));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn open_range(path: &Path, start: u64, end: u64) -> RangeReader {
        RangeReader::open(path, &Range { file: 0, start, end }, LineCount::default()).unwrap()
    }

    /// The range's lines with their numbers, and a place that was counted.
    fn lines(path: &Path, start: u64, end: u64, known: LineCount) -> (Vec<(u64, String)>, LineCount) {
        let mut reader = RangeReader::open(path, &Range { file: 0, start, end }, known).unwrap();
        let mut lines = Vec::new();
        while let Some(record) = reader.next(&mut blake3::Hasher::new()).unwrap() {
            lines.push((record.number, String::from_utf8(record.line).unwrap()));
        }
        (lines, reader.counted())
    }

    #[test]
    fn ranges_cut_anywhere_give_every_line_once() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["a\nbb\n\nccc\n", "a\nbb\n\nccc", "\n\n\n", "one line", "مرحبا\nيا عالم\n"] {
            let plain = folder.path().join("t.txt");
            std::fs::write(&plain, text).unwrap();
            let gz = folder.path().join("t.txt.gz");
            let mut packer = flate2::write::GzEncoder::new(File::create(&gz).unwrap(), flate2::Compression::fast());
            packer.write_all(text.as_bytes()).unwrap();
            packer.finish().unwrap();
            let zst = folder.path().join("t.txt.zst");
            std::fs::write(&zst, zstd::encode_all(text.as_bytes(), 1).unwrap()).unwrap();
            let whole: Vec<(u64, String)> = (1..).zip(text.lines().map(str::to_owned)).collect();
            for path in [plain, gz, zst] {
                let file = measure(path.clone()).unwrap();
                assert_eq!(file.text_bytes, text.len() as u64);
                for cut in 0..=file.text_bytes {
                    let (mut both, counted) = lines(&path, 0, cut, LineCount::default());
                    assert!(counted.position <= cut, "the count helps the next range");
                    let (rest, _) = lines(&path, cut, file.text_bytes, counted);
                    assert_eq!(lines(&path, cut, file.text_bytes, LineCount::default()).0, rest);
                    both.extend(rest);
                    assert_eq!(both, whole, "{} cut at {cut}", path.display());
                }
            }
        }
    }

    #[test]
    fn a_line_without_end_is_cut_and_the_next_one_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.txt");
        let long = "x".repeat(LONGEST_LINE + 5);
        std::fs::write(&path, format!("{long}\nnext\n")).unwrap();
        let mut reader = open_range(&path, 0, long.len() as u64 + 6);
        let first = reader.next(&mut blake3::Hasher::new()).unwrap().unwrap();
        assert_eq!(first.line.len(), LONGEST_LINE);
        assert_eq!(reader.next(&mut blake3::Hasher::new()).unwrap().unwrap().line, b"next");
        assert_eq!(reader.next(&mut blake3::Hasher::new()).unwrap(), None);
    }

    #[test]
    fn a_broken_archive_is_bad_data() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["t.txt.gz", "t.txt.zst"] {
            let path = folder.path().join(name);
            std::fs::write(&path, b"this is no archive").unwrap();
            let error = measure(path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn a_file_that_shrank_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.txt");
        std::fs::write(&path, "a\n").unwrap();
        let mut reader = open_range(&path, 0, 10);
        reader.next(&mut blake3::Hasher::new()).unwrap();
        assert_eq!(reader.next(&mut blake3::Hasher::new()).unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn folders_are_listed_in_order_and_odd_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("sub")).unwrap();
        for name in ["b.jsonl", "a.jsonl.gz", "sub/c.ndjson", ".hidden", "_SUCCESS"] {
            std::fs::write(path(name), "").unwrap();
        }
        let inputs = [folder.path().to_owned()];
        let (format, files) = list(&inputs, None).unwrap();
        assert_eq!(format, LineFormat::Jsonl);
        assert_eq!(files, [path("a.jsonl.gz"), path("b.jsonl"), path("sub/c.ndjson")]);
        std::fs::write(path("c.txt"), "").unwrap();
        let error = list(&inputs, None).unwrap_err();
        assert!(error.to_string().contains("two formats"), "{error}");
        std::fs::write(path("aa.pdf"), "").unwrap();
        let error = list(&inputs, None).unwrap_err();
        assert!(error.to_string().contains("aa.pdf"), "{error}");
        assert_eq!(list(&inputs, Some(LineFormat::Lines)).unwrap().1.len(), 5);
        for twice in
            [[folder.path().to_owned(), folder.path().join("sub/..")], [folder.path().to_owned(), path("b.jsonl")]]
        {
            let error = list(&twice, Some(LineFormat::Lines)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
            assert!(error.to_string().contains("named twice"), "{error}");
        }
        assert_eq!(list(&[path("none")], None).unwrap_err().kind(), ErrorKind::NoInput);
        assert_eq!(list(&[], None).unwrap_err().kind(), ErrorKind::NoInput);
    }
}

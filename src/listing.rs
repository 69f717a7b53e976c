//! Sorted lists of lines in blocks that are compressed one by one: only those that a look-up needs are unpacked.
//!
//! A sentence asks for some thirty of a hundred thousand lines. To unpack them all would be more than half of what a start
//! of the command costs.
//!
//! A file is Zstandard over lines of text, written by `scripts/train/listing.py`. The first frame is a heading: lines of
//! the file's own, then for each list a line `NAME LINES BLOCKS` and one for each block, `FIRST KEY<TAB>LINES<TAB>BYTES`.
//! The blocks follow, a frame each. A line's key ends at its first tab, and lines are in the order of their keys' bytes.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::iter;
use std::sync::OnceLock;

/// The most bytes that a heading or a block may unpack to: no honest one comes near.
const LONGEST: usize = 16 << 20;

/// A file that is read from its beginning.
pub(crate) struct Packed {
    heading: String,
    /// Where in the heading the next line begins.
    line: usize,
    bytes: Cow<'static, [u8]>,
    /// Where the next block begins.
    block: usize,
}

impl Packed {
    /// Opens a file; reads the heading only.
    pub(crate) fn new(bytes: Cow<'static, [u8]>) -> Result<Self, String> {
        let block = frame(&bytes)?;
        let heading = unpacked(&bytes[..block], LONGEST)?;
        Ok(Packed { heading, line: 0, bytes, block })
    }

    /// The next line of the heading; empty behind its end.
    pub(crate) fn line(&mut self) -> &str {
        let line = self.heading[self.line..].lines().next().unwrap_or("");
        self.line = (self.line + line.len() + 1).min(self.heading.len());
        line
    }

    /// The list that comes next, which must have this name.
    pub(crate) fn list(&mut self, name: &str) -> Result<Listing, String> {
        let numbers = |line: &str| {
            let (count, blocks) = line.strip_prefix(name)?.strip_prefix(' ')?.split_once(' ')?;
            Some((count.parse::<usize>().ok()?, blocks.parse::<usize>().ok()?))
        };
        let (count, blocks) = numbers(self.line()).ok_or_else(|| format!("expected `{name}` and two numbers"))?;
        let mut list = Listing { blocks: Vec::new(), len: 0 };
        for number in 1..=blocks {
            let block = self.block(list.len).map_err(|what| format!("block {number} of the {name}: {what}"))?;
            list.len += block.lines;
            list.blocks.push(block);
        }
        if list.len != count {
            return Err(format!("{} {name} in the blocks, expected {count}", list.len));
        }
        Ok(list)
    }

    fn block(&mut self, first: usize) -> Result<Block, String> {
        let line = self.line();
        let mut fields = line.split('\t');
        let key = fields.next().unwrap_or("").into();
        let mut number = || fields.next()?.parse::<usize>().ok();
        let (Some(lines), Some(bytes)) = (number(), number()) else {
            return Err(format!("expected a key and two numbers, found `{line}`"));
        };
        if lines > bytes || bytes > LONGEST {
            return Err(format!("{lines} lines in {bytes} bytes"));
        }
        let end = self.block + frame(&self.bytes[self.block..])?;
        let packed = match &self.bytes {
            Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[self.block..end]),
            Cow::Owned(bytes) => Cow::Owned(bytes[self.block..end].to_vec()),
        };
        self.block = end;
        Ok(Block { key, first, lines, bytes, packed, text: OnceLock::new() })
    }
}

/// The size of the frame that the bytes begin with.
fn frame(bytes: &[u8]) -> Result<usize, String> {
    zstd::zstd_safe::find_frame_compressed_size(bytes).map_err(|code| zstd::zstd_safe::get_error_name(code).to_owned())
}

/// The text of one frame.
fn unpacked(frame: &[u8], most: usize) -> Result<String, String> {
    let text = zstd::bulk::decompress(frame, most).map_err(|error| error.to_string())?;
    String::from_utf8(text).map_err(|error| error.to_string())
}

/// Lines in the order of the bytes of their keys.
#[derive(Debug)]
pub(crate) struct Listing {
    blocks: Vec<Block>,
    len: usize,
}

#[derive(Debug)]
struct Block {
    /// That of its first line.
    key: Box<str>,
    /// The number of lines before it.
    first: usize,
    lines: usize,
    bytes: usize,
    packed: Cow<'static, [u8]>,
    text: OnceLock<Result<Text, String>>,
}

#[derive(Debug)]
struct Text {
    text: String,
    /// Where each line begins; the end of the text comes last.
    starts: Vec<u32>,
}

impl Block {
    /// What is in it, unpacked when it is first asked for.
    fn text(&self) -> Result<&Text, String> {
        let text = self.text.get_or_init(|| {
            let text = unpacked(&self.packed, self.bytes)?;
            let ends = text.match_indices('\n').map(|(at, _)| at as u32 + 1);
            let starts: Vec<u32> = iter::once(0).chain(ends).collect();
            if starts.len() != self.lines + 1 {
                return Err(format!("{} lines, expected {}", starts.len() - 1, self.lines));
            }
            Ok(Text { text, starts })
        });
        text.as_ref().map_err(|what| format!("block of `{}`: {what}", self.key))
    }
}

impl Text {
    /// A line without its end.
    fn line(&self, at: usize) -> &str {
        self.text[self.starts[at] as usize..self.starts[at + 1] as usize].trim_end_matches('\n')
    }
}

impl Listing {
    /// Number of lines.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// All lines; for a block that is broken, what is wrong with it.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Result<&str, String>> {
        self.blocks.iter().flat_map(|block| match block.text() {
            Ok(text) => (0..block.lines).map(|at| Ok(text.line(at))).collect(),
            Err(error) => vec![Err(error)],
        })
    }

    /// The place of a key, and its line.
    ///
    /// # Errors
    /// The block that should hold the key is broken.
    pub(crate) fn find(&self, key: &str) -> Result<Option<(usize, &str)>, String> {
        let blocks = self.blocks.partition_point(|block| *block.key <= *key);
        let Some(block) = blocks.checked_sub(1).map(|at| &self.blocks[at]) else { return Ok(None) };
        let text = block.text()?;
        let (mut low, mut high) = (0, block.lines);
        while low < high {
            let middle = low.midpoint(high);
            let line = text.line(middle);
            match line.split('\t').next().unwrap_or(line).cmp(key) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok(Some((block.first + middle, line))),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Write;

    /// A file with this heading and these lists, some lines to a block.
    pub(crate) fn packed(heading: &str, lists: &[(&str, &[&str])], lines_in_block: usize) -> Vec<u8> {
        let compressed = |text: &str| zstd::encode_all(text.as_bytes(), 3).unwrap();
        let (mut heading, mut blocks) = (heading.to_owned(), Vec::new());
        for (name, lines) in lists {
            let parts = lines.chunks(lines_in_block);
            writeln!(heading, "{name} {} {}", lines.len(), parts.len()).unwrap();
            for part in parts {
                let text = part.join("\n") + "\n";
                let key = part[0].split('\t').next().unwrap();
                writeln!(heading, "{key}\t{}\t{}", part.len(), text.len()).unwrap();
                blocks.extend(compressed(&text));
            }
        }
        [compressed(&heading), blocks].concat()
    }

    const ANIMALS: [&str; 5] = ["bear\tbrown", "cow", "dog\tblack\twhite", "eel\t", "fox\tred"];

    fn animals(lines_in_block: usize) -> Vec<u8> {
        packed("farm\n", &[("beasts", &ANIMALS), ("tools", &[]), ("plants", &["oak\told"])], lines_in_block)
    }

    #[test]
    fn every_line_is_found_in_blocks_of_any_size() {
        for size in 1..7 {
            let mut file = Packed::new(animals(size).into()).unwrap();
            assert_eq!(file.line(), "farm");
            let [beasts, tools, plants] = ["beasts", "tools", "plants"].map(|name| file.list(name).unwrap());
            assert_eq!(file.line(), "");
            for (at, line) in ANIMALS.iter().enumerate() {
                let key = line.split('\t').next().unwrap();
                assert_eq!(beasts.find(key).unwrap(), Some((at, *line)));
            }
            for absent in ["", "ant", "bears", "cat", "dog\tblack", "z"] {
                assert_eq!(beasts.find(absent).unwrap(), None, "{absent}");
            }
            assert_eq!(beasts.lines().collect::<Result<Vec<_>, _>>().unwrap(), ANIMALS);
            assert_eq!((tools.len(), tools.find("oak").unwrap()), (0, None));
            assert_eq!(plants.find("oak").unwrap(), Some((0, "oak\told")));
        }
    }

    #[test]
    fn only_the_block_of_a_key_is_unpacked() {
        let mut file = Packed::new(animals(2).into()).unwrap();
        file.line();
        let beasts = file.list("beasts").unwrap();
        beasts.find("dog").unwrap();
        let unpacked: Vec<bool> = beasts.blocks.iter().map(|block| block.text.get().is_some()).collect();
        assert_eq!(unpacked, [false, true, false]);
    }

    #[test]
    fn a_broken_block_is_an_error_for_its_own_keys_only() {
        let mut bytes = packed("", &[("beasts", &ANIMALS)], 3);
        let last = bytes.len() - 1;
        bytes[last] ^= 0x55;
        bytes[last - 3] ^= 0x55;
        let beasts = Packed::new(bytes.into()).unwrap().list("beasts").unwrap();
        assert!(beasts.find("cow").unwrap().is_some());
        assert!(beasts.find("fox").unwrap_err().starts_with("block of `eel`: "));
        assert!(beasts.lines().any(|line| line.is_err()));
    }

    proptest! {
        #[test]
        fn no_heading_and_no_block_makes_it_panic(
            heading in "(words [0-9]{1,2} [0-9]{1,2}\n)?([a-z]?(\t[0-9]{1,20}){0,2}\n){0,4}",
            blocks in prop::collection::vec("([a-z](\t[0-9]?)?\n?){0,4}", 0..4),
            junk in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let compressed = |text: &String| zstd::encode_all(text.as_bytes(), 1).unwrap();
            let blocks = blocks.iter().flat_map(compressed);
            let bytes: Vec<u8> = compressed(&heading).into_iter().chain(blocks).chain(junk).collect();
            if let Ok(list) = Packed::new(bytes.into()).and_then(|mut file| file.list("words")) {
                let _ = list.find("k");
                prop_assert!(list.lines().flatten().count() <= list.len());
            }
        }
    }

    #[test]
    fn a_heading_that_does_not_fit_is_refused() {
        let whole = animals(2);
        let list = |bytes: Vec<u8>, name: &str| {
            let mut file = Packed::new(bytes.into())?;
            file.line();
            file.list(name).map(|_| ())
        };
        assert!(list(whole.clone(), "birds").unwrap_err().contains("expected `birds`"));
        for (length, expected) in [(0, ""), (10, ""), (whole.len() - 30, "block")] {
            let error = list(whole[..length].to_vec(), "beasts");
            let error = error.and_then(|()| list(whole[..length].to_vec(), "plants")).unwrap_err();
            assert!(error.contains(expected), "{length}: {error}");
        }
        for (from, to) in
            [("beasts 1 1", "beasts 2 1"), ("x\t1\t2", "x\t9\t2"), ("x\t1\t2", "x\t1"), ("beasts 1 1", "beasts 1 2")]
        {
            let heading = "beasts 1 1\nx\t1\t2\n".replace(from, to);
            let bytes = [heading.as_str(), "x\n"].map(|text| zstd::encode_all(text.as_bytes(), 3).unwrap()).concat();
            let error = Packed::new(bytes.into()).unwrap().list("beasts").map(|_| ());
            assert!(error.is_err(), "{to}");
        }
    }
}

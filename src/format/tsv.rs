//! Tables of columns separated by tabs, without quotes: the translation is a further column.

use std::io::Read;
use std::str::FromStr;

use super::line::LineReader;
use super::{Frame, Output, ReadOptions, Record, RecordReader, RecordWriter, WriteOptions, one_line};
use crate::error::{Error, ErrorKind, Result};
use crate::translation::Document;

/// A column that the writer adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Column {
    /// The translation; empty where the record has an error.
    Translation,
    /// The mean of the sentences' scores.
    Score,
    /// The word links of each sentence as Pharaoh writes them (`0-0 1-2`), sentences separated by ` ||| `.
    Alignment,
    /// The names of the flags, separated by commas.
    Flags,
    /// What is wrong with the record; empty where nothing is.
    Error,
}

impl Column {
    const ALL: [Column; 5] = [Column::Translation, Column::Score, Column::Alignment, Column::Flags, Column::Error];

    /// The column's name on the command line and in a header.
    pub fn name(self) -> &'static str {
        match self {
            Column::Translation => "translation",
            Column::Score => "score",
            Column::Alignment => "alignment",
            Column::Flags => "flags",
            Column::Error => "error",
        }
    }

    fn value(self, outcome: Result<&Document, &Error>) -> String {
        let document = match (self, outcome) {
            (Column::Error, Err(error)) => return error.to_string(),
            (_, Err(_)) | (Column::Error, Ok(_)) => return String::new(),
            (_, Ok(document)) => document,
        };
        let sentences = &document.sentences;
        match self {
            Column::Translation | Column::Error => document.text.clone(),
            Column::Score if sentences.is_empty() => String::new(),
            Column::Score => {
                let sum: f32 = sentences.iter().map(|sentence| sentence.score).sum();
                (sum / sentences.len() as f32).to_string()
            }
            Column::Alignment => {
                let pharaoh = |links: &[crate::alignment::Link]| -> String {
                    let links: Vec<String> =
                        links.iter().map(|link| format!("{}-{}", link.source, link.target)).collect();
                    links.join(" ")
                };
                let lines: Vec<String> = sentences.iter().map(|sentence| pharaoh(&sentence.alignment.links)).collect();
                lines.join(" ||| ")
            }
            Column::Flags => {
                let mut names: Vec<&str> =
                    sentences.iter().flat_map(|sentence| &sentence.flags).map(|flag| flag.kind.name()).collect();
                names.dedup();
                names.join(",")
            }
        }
    }
}

impl FromStr for Column {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Column::ALL.into_iter().find(|column| column.name() == name).ok_or_else(|| {
            let names = Column::ALL.map(Column::name).join(", ");
            Error::new(ErrorKind::Usage, format!("`{name}` is no column; the columns are {names}"))
        })
    }
}

/// A row of the input.
#[derive(Debug, Default)]
pub(super) struct Row {
    line: String,
    ending: String,
    /// The names of the columns, where the table has a header.
    names: std::sync::Arc<Vec<String>>,
    is_header: bool,
    /// The column that holds the text, from 1.
    text: usize,
}

impl Row {
    /// The values with their names, and whether they are the text; columns without a name, or with one that another
    /// column has, are called `column1`, `column2`, and so on.
    pub(super) fn fields(&self) -> impl Iterator<Item = (String, &str, bool)> {
        let mut taken = std::collections::HashSet::new();
        self.line.split('\t').enumerate().map(move |(index, value)| {
            let number = index + 1;
            let mut name = self.names.get(index).cloned().unwrap_or_else(|| format!("column{number}"));
            if taken.contains(&name) {
                name = format!("column{number}");
            }
            while !taken.insert(name.clone()) {
                name.push('_');
            }
            (name, value, number == self.text)
        })
    }

    pub(super) fn is_header(&self) -> bool {
        self.is_header
    }
}

/// Reads a row per line.
pub(super) struct Reader<'a> {
    lines: LineReader<'a>,
    column: usize,
    reference: Option<usize>,
    header: bool,
    names: std::sync::Arc<Vec<String>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: Box<dyn Read + Send + 'a>, name: &str, options: &ReadOptions) -> Result<Self> {
        if options.text_column == 0 || options.reference_column == Some(0) {
            return Err(Error::new(ErrorKind::Usage, "columns are counted from 1, and the text column is 0"));
        }
        Ok(Reader {
            lines: LineReader::new(input, name, options),
            column: options.text_column,
            reference: options.reference_column,
            header: options.header,
            names: std::sync::Arc::default(),
        })
    }
}

impl RecordReader for Reader<'_> {
    fn next_record(&mut self) -> Result<Option<Record>> {
        let Some(line) = self.lines.next_line()? else {
            return Ok(None);
        };
        let place = self.lines.place(line.number);
        let is_header = self.header && line.number == 1;
        let mut reference = None;
        let (row, text) = match line.text {
            Ok(line) if is_header => {
                self.names = std::sync::Arc::new(line.split('\t').map(str::to_owned).collect());
                (line, Ok(String::new()))
            }
            Ok(line) => {
                let mut text = value(&line, self.column, "text");
                if let (Some(column), Ok(_)) = (self.reference, &text) {
                    match value(&line, column, "translation") {
                        Ok(value) => reference = Some(value),
                        Err(error) => text = Err(error),
                    }
                }
                (line, text.map_err(|error| error.at(&place)))
            }
            Err(error) => (String::new(), Err(error)),
        };
        let frame = Frame::Columns(Row {
            line: row,
            ending: line.ending.to_owned(),
            names: self.names.clone(),
            is_header,
            text: self.column,
        });
        Ok(Some(Record { number: line.number, place, id: None, text, reference, frame }))
    }

    fn is_ready(&self) -> bool {
        self.lines.is_ready()
    }
}

/// The value in a column, which should be `what`.
fn value(line: &str, column: usize, what: &str) -> Result<String> {
    line.split('\t').nth(column - 1).map(str::to_owned).ok_or_else(|| {
        let count = line.split('\t').count();
        let plural = if count == 1 { "" } else { "s" };
        let message = format!("{count} column{plural}, and the {what} should be in column {column}");
        Error::new(ErrorKind::InvalidInput, message)
    })
}

/// Writes the row and the added columns.
pub(super) struct Writer<'a> {
    output: Output<'a>,
    columns: Vec<Column>,
    /// The last header written: tables of the same columns become one table.
    header: Option<String>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(output: Output<'a>, options: &WriteOptions) -> Self {
        Writer { output, columns: options.columns.clone(), header: None }
    }
}

impl RecordWriter for Writer<'_> {
    fn write(&mut self, record: &Record, outcome: Result<&Document, &Error>) -> Result<()> {
        let mut is_header = false;
        let (line, ending) = match &record.frame {
            Frame::Columns(row) => {
                is_header = row.is_header;
                (row.line.clone(), row.ending.as_str())
            }
            _ if record.is_between() => return Ok(()),
            _ => (cell(record.text.as_deref().unwrap_or_default()), "\n"),
        };
        if is_header {
            if self.header.as_ref() == Some(&line) {
                return Ok(());
            }
            self.header = Some(line.clone());
        }
        self.output.begin_line()?;
        self.output.put(&line)?;
        for column in &self.columns {
            self.output.put("\t")?;
            let value = if is_header { column.name().to_owned() } else { cell(&column.value(outcome)) };
            self.output.put(&value)?;
        }
        self.output.end_line(ending)
    }

    fn flush(&mut self) -> Result<()> {
        self.output.flush()
    }

    fn finish(&mut self) -> Result<()> {
        self.output.flush()
    }
}

/// `text` without what would end the cell.
fn cell(text: &str) -> String {
    one_line(text).replace('\t', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;
    use crate::format::tests::{convert, convert_default, records};

    #[test]
    fn the_translation_is_a_further_column() {
        let read = ReadOptions { text_column: 2, ..ReadOptions::default() };
        let output =
            convert(b"1\ta b\tx\n2\tc\ty\r\n3\n", Format::Tsv, Format::Tsv, &read, &WriteOptions::default()).unwrap();
        assert_eq!(output, "1\ta b\tx\tA B\n2\tc\ty\tC\r\n3\t\n");
        let error = records(Format::Tsv, b"3\n", &read).unwrap().remove(0).text.unwrap_err();
        assert_eq!(error.to_string(), "test: line 1: 1 column, and the text should be in column 2");
    }

    #[test]
    fn headers_and_columns() {
        let read = ReadOptions { text_column: 2, header: true, ..ReadOptions::default() };
        let write = WriteOptions { columns: Column::ALL.to_vec(), ..WriteOptions::default() };
        let output = convert(b"id\ttext\n7\ta b\n8\n", Format::Tsv, Format::Tsv, &read, &write).unwrap();
        assert_eq!(
            output,
            "id\ttext\ttranslation\tscore\talignment\tflags\terror\n7\ta b\tA B\t-0.5\t0-0 1-1\t\t\n\
             8\t\t\t\t\ttest: line 3: 1 column, and the text should be in column 2\n"
        );
        let output = convert(b"id\ttext\n7\ta b\n", Format::Tsv, Format::Jsonl, &read, &write).unwrap();
        assert_eq!(output.lines().count(), 1);
        assert!(output.starts_with(r#"{"id":"7","text":"a b","translation":"A B""#), "{output}");
    }

    #[test]
    fn quotes_are_characters_like_others() {
        assert_eq!(convert_default("\"a\t\"b\n", Format::Tsv, Format::Tsv), "\"a\t\"b\t\"A\n");
        assert_eq!(convert_default("a\tb\n", Format::Lines, Format::Tsv), "a b\tA\tB\n".replace("A\tB", "A B"));
    }

    #[test]
    fn an_object_of_a_row_has_every_name_once() {
        let read = ReadOptions { text_column: 2, header: true, ..ReadOptions::default() };
        let write = WriteOptions { sentences: false, ..WriteOptions::default() };
        let object = |table: &str| convert(table.as_bytes(), Format::Tsv, Format::Jsonl, &read, &write).unwrap();
        assert_eq!(object("id\ttranslation\n7\ta\n"), "{\"id\":\"7\",\"text\":\"a\",\"translation\":\"A\"}\n");
        assert_eq!(object("translation\ttext\n7\ta\n"), "{\"text\":\"a\",\"translation\":\"A\"}\n");
        assert_eq!(
            object("text\ttext\tcolumn4\n7\ta\tx\ty\n"),
            "{\"text\":\"7\",\"column2\":\"a\",\"column4\":\"x\",\"column4_\":\"y\",\"translation\":\"A\"}\n"
        );
    }

    #[test]
    fn a_translation_that_is_there_is_read() {
        let read = ReadOptions { reference_column: Some(2), ..ReadOptions::default() };
        let found = records(Format::Tsv, "أ\tb\tc\nأ\n".as_bytes(), &read).unwrap();
        assert_eq!((found[0].text.as_deref().unwrap(), found[0].reference.as_deref()), ("أ", Some("b")));
        let error = found[1].text.as_ref().unwrap_err();
        assert_eq!(error.to_string(), "test: line 2: 1 column, and the translation should be in column 2");
    }

    #[test]
    fn columns_are_counted_from_one() {
        let read = ReadOptions { text_column: 0, ..ReadOptions::default() };
        assert_eq!(records(Format::Tsv, b"", &read).unwrap_err().kind(), ErrorKind::Usage);
        assert_eq!("flags".parse::<Column>().unwrap(), Column::Flags);
        assert!("flag".parse::<Column>().is_err());
    }
}

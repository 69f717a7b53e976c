//! The typed fields of a JSON settings file, with errors that name the file and the field.

use serde_json::{Map, Value};

use crate::{Error, ErrorKind, Result};

/// Sizes beyond this are a corrupt file, not a model.
const MOST: u64 = 1 << 24;

/// One settings file. A field that is missing or `null` is `None`.
pub(crate) struct Fields {
    file: &'static str,
    values: Map<String, Value>,
}

impl Fields {
    pub(crate) fn parse(file: &'static str, bytes: &[u8]) -> Result<Self> {
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(values)) => Ok(Fields { file, values }),
            Ok(other) => {
                Err(Error::new(ErrorKind::Model, format!("{file}: expected a JSON object, found {}", kind_of(&other))))
            }
            Err(error) => {
                Err(Error::new(ErrorKind::Model, format!("{file}: not valid JSON: {error}")).with_source(error))
            }
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name).filter(|value| !value.is_null())
    }

    /// The error for a field that is not what it must be.
    #[cold]
    pub(crate) fn wrong(&self, name: &str, expected: &str) -> Error {
        let found = self.values.get(name).map_or_else(|| "nothing".to_owned(), shortened);
        Error::new(ErrorKind::Model, format!("{}: field `{name}`: expected {expected}, found {found}", self.file))
    }

    /// The value, or the error for a field that is missing.
    pub(crate) fn required<T>(&self, name: &str, expected: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| self.wrong(name, expected))
    }

    /// A count of something, 0 allowed.
    pub(crate) fn count(&self, name: &str) -> Result<Option<usize>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_u64() {
            Some(count) if count <= MOST => Ok(Some(count as usize)),
            _ => Err(self.wrong(name, "a whole number from 0 to 16777216")),
        }
    }

    /// A size of something there must be at least one of.
    pub(crate) fn size(&self, name: &str) -> Result<Option<usize>> {
        match self.count(name)? {
            Some(0) => Err(self.wrong(name, "a whole number above 0")),
            size => Ok(size),
        }
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| self.wrong(name, "true or false"))
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<f32>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_f64() {
            Some(number) if number.is_finite() => Ok(Some(number as f32)),
            _ => Err(self.wrong(name, "a number")),
        }
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.wrong(name, "a string"))
    }

    /// A token id below `vocabulary`; `transformers` also writes it as a list with one id.
    pub(crate) fn token(&self, name: &str, vocabulary: usize) -> Result<Option<u32>> {
        let value = match self.get(name) {
            None => return Ok(None),
            Some(Value::Array(ids)) if ids.len() == 1 => &ids[0],
            Some(value) => value,
        };
        match value.as_u64() {
            Some(id) if id < vocabulary as u64 => Ok(Some(id as u32)),
            _ => Err(self.wrong(name, &format!("one token id below {vocabulary}"))),
        }
    }
}

/// A value as it fits into a message.
fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

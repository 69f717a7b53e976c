//! The part of Python's pickle format (PEP 307, PEP 3154) that dictionaries of tensors need.
//!
//! A pickle is a program for a stack machine that may call any Python function. This machine calls none: it knows the
//! few constructors a checkpoint names, makes a record of each, and refuses all others by name. Values live in a
//! [`Heap`] and refer to each other by number, so that neither deep nesting nor cycles can overflow anything.

use std::collections::HashMap;

use crate::{Error, ErrorKind, Result};

/// More values than this are no checkpoint: real ones have some thousands.
const MOST_VALUES: usize = 1 << 21;

/// Names are copied wherever they are used; a long one, used often, would fill the memory.
const LONGEST_NAME: usize = 256;

/// A value's number in its [`Heap`].
pub(super) type Id = u32;

/// What a pickle can hold here.
#[derive(Debug)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// A whole number too large for 64 bits, little-endian.
    Long(Vec<u8>),
    Float,
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A Python class or function, by name.
    Global(String),
    Storage(Storage),
    Tensor(Tensor),
    /// Something tensors are written with but not needed to read them.
    Opaque,
}

/// The type of a storage's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    Float,
    Half,
    BFloat16,
    Char,
    /// Any other, by its width in bytes.
    Other(usize),
}

impl Element {
    pub(super) fn width(self) -> usize {
        match self {
            Element::Float => 4,
            Element::Half | Element::BFloat16 => 2,
            Element::Char => 1,
            Element::Other(width) => width,
        }
    }

    fn of_class(name: &str) -> Option<Self> {
        Some(match name.strip_prefix("torch.")? {
            "FloatStorage" => Element::Float,
            "HalfStorage" => Element::Half,
            "BFloat16Storage" => Element::BFloat16,
            "CharStorage" => Element::Char,
            "ByteStorage" | "BoolStorage" => Element::Other(1),
            "ShortStorage" => Element::Other(2),
            "IntStorage" => Element::Other(4),
            "LongStorage" | "DoubleStorage" => Element::Other(8),
            _ => return None,
        })
    }
}

/// A run of numbers, kept outside the pickle.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    pub(super) element: Element,
    pub(super) key: String,
    /// Offset and length in elements, where the storage is a part of the one named (streams of 2017 and before).
    pub(super) view: Option<(usize, usize)>,
}

/// A view of a storage.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    pub(super) storage: Storage,
    /// In elements, as the strides are.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// All values of one or several pickles.
#[derive(Debug, Default)]
pub(super) struct Heap {
    values: Vec<Value>,
    /// Entries of dictionaries that were made from a list of pairs, which may be one list again and again.
    copied: usize,
}

impl Heap {
    pub(super) fn get(&self, id: Id) -> &Value {
        &self.values[id as usize]
    }

    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.values.iter().filter_map(|value| match value {
            Value::Storage(storage) => Some(storage),
            _ => None,
        })
    }

    fn count(&self, id: Id) -> Option<usize> {
        match self.get(id) {
            Value::Int(count) => usize::try_from(*count).ok(),
            _ => None,
        }
    }

    fn counts(&self, id: Id) -> Option<Vec<usize>> {
        match self.get(id) {
            Value::Tuple(items) | Value::List(items) => items.iter().map(|item| self.count(*item)).collect(),
            _ => None,
        }
    }
}

/// Reads pickles that follow each other in some bytes.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() }
    }

    /// The byte after the last pickle read.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Reads one pickle.
    pub(super) fn read(&mut self, heap: &mut Heap) -> Result<Id> {
        self.stack.clear();
        self.marks.clear();
        self.memo.clear();
        loop {
            if heap.values.len().max(self.stack.len()).max(self.marks.len()) > MOST_VALUES {
                return Err(self.wrong("more values than a checkpoint has"));
            }
            let opcode = self.byte()?;
            if opcode == b'.' {
                return self.pop();
            }
            self.execute(opcode, heap)?;
        }
    }

    fn execute(&mut self, opcode: u8, heap: &mut Heap) -> Result<()> {
        match opcode {
            // PROTO, FRAME
            0x80 => {
                let version = self.byte()?;
                if version > 5 {
                    return Err(self.wrong(&format!("pickle protocol {version}: expected 5 at most")));
                }
            }
            0x95 => {
                self.array::<8>()?;
            }
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                self.pop()?;
            }
            // constants and numbers
            b'N' => self.push(heap, Value::None),
            0x88 => self.push(heap, Value::Bool(true)),
            0x89 => self.push(heap, Value::Bool(false)),
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(heap, Value::Int(i64::from(value)));
            }
            b'K' => {
                let value = self.byte()?;
                self.push(heap, Value::Int(i64::from(value)));
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(heap, Value::Int(i64::from(value)));
            }
            0x8a => {
                let length = self.byte()? as usize;
                let digits = self.take(length)?.to_vec();
                self.push(heap, long(digits));
            }
            b'G' => {
                self.array::<8>()?;
                self.push(heap, Value::Float);
            }
            // strings: BINUNICODE, SHORT_BINUNICODE, BINSTRING, SHORT_BINSTRING
            b'X' | b'T' => {
                let length = u32::from_le_bytes(self.array()?) as usize;
                self.push_text(heap, length)?;
            }
            0x8c | b'U' => {
                let length = self.byte()? as usize;
                self.push_text(heap, length)?;
            }
            // tuples, lists, dictionaries
            b')' => self.push(heap, Value::Tuple(Vec::new())),
            0x85..=0x87 => {
                let from = self.depth(opcode as usize - 0x84)?;
                let items = self.stack.split_off(from);
                self.push(heap, Value::Tuple(items));
            }
            b't' => {
                let items = self.since_mark()?;
                self.push(heap, Value::Tuple(items));
            }
            b']' => self.push(heap, Value::List(Vec::new())),
            b'a' => {
                let item = self.pop()?;
                self.append(heap, &[item])?;
            }
            b'e' => {
                let items = self.since_mark()?;
                self.append(heap, &items)?;
            }
            b'}' => self.push(heap, Value::Dict(Vec::new())),
            b's' => {
                let from = self.depth(2)?;
                let items = self.stack.split_off(from);
                self.set_items(heap, &items)?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.set_items(heap, &items)?;
            }
            // the memo: BINPUT, LONG_BINPUT, MEMOIZE, BINGET, LONG_BINGET
            b'q' => {
                let slot = u32::from(self.byte()?);
                self.remember(slot)?;
            }
            b'r' => {
                let slot = u32::from_le_bytes(self.array()?);
                self.remember(slot)?;
            }
            0x94 => self.remember(self.memo.len() as u32)?,
            b'h' => {
                let slot = u32::from(self.byte()?);
                self.recall(slot)?;
            }
            b'j' => {
                let slot = u32::from_le_bytes(self.array()?);
                self.recall(slot)?;
            }
            // objects: GLOBAL, STACK_GLOBAL, REDUCE, NEWOBJ, BUILD, BINPERSID
            b'c' => {
                let name = format!("{}.{}", self.line()?, self.line()?);
                self.push(heap, Value::Global(name));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Some(module), Some(name)) = (heap.text(module), heap.text(name)) else {
                    return Err(self.wrong("a class is not named by strings"));
                };
                if module.len().max(name.len()) > LONGEST_NAME {
                    return Err(self.wrong("a class name without an end"));
                }
                let name = format!("{module}.{name}");
                self.push(heap, Value::Global(name));
            }
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                let value = self.construct(heap, callable, arguments)?;
                self.stack.push(value);
            }
            // An object's attributes: a state dictionary's `_metadata`. Nothing here has any use for them.
            b'b' => {
                self.pop()?;
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(heap, id)?;
                self.push(heap, Value::Storage(storage));
            }
            other => return Err(self.wrong(&format!("instruction 0x{other:02x} is not one a checkpoint needs"))),
        }
        Ok(())
    }

    /// What calling a Python function with some arguments would make, for the few functions known here.
    fn construct(&mut self, heap: &mut Heap, callable: Id, arguments: Id) -> Result<Id> {
        let Value::Global(name) = heap.get(callable) else {
            return Err(self.wrong("something is called that is no function"));
        };
        let Value::Tuple(items) = heap.get(arguments) else { return Err(self.wrong("arguments are not a tuple")) };
        let value = match (name.as_str(), items.as_slice()) {
            (
                "torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_tensor",
                [storage, offset, shape, strides, ..],
            ) => {
                let Value::Storage(storage) = heap.get(*storage) else {
                    return Err(self.wrong("a tensor without a storage"));
                };
                let parts = (heap.count(*offset), heap.counts(*shape), heap.counts(*strides));
                let (Some(offset), Some(shape), Some(strides)) = parts else {
                    return Err(self.wrong("a tensor's offset, shape and strides are not whole numbers"));
                };
                if shape.len() > 8 {
                    return Err(self.wrong(&format!("a tensor of {} dimensions", shape.len())));
                }
                Value::Tensor(Tensor { storage: storage.clone(), offset, shape, strides })
            }
            ("torch._utils._rebuild_parameter", [data, ..]) => return Ok(*data),
            ("torch._tensor._rebuild_from_type_v2", [function, _, arguments, ..]) => {
                // Each turn needs a tuple of its own, and a tuple cannot hold itself: this ends.
                let (function, arguments) = (*function, *arguments);
                if matches!(heap.get(function), Value::Global(inner) if inner == name) {
                    return Err(self.wrong("a tensor type inside a tensor type"));
                }
                return self.construct(heap, function, arguments);
            }
            ("torch.Size", [sizes]) => return Ok(*sizes),
            ("collections.OrderedDict", []) => Value::Dict(Vec::new()),
            ("collections.OrderedDict", [pairs]) => {
                let Value::List(pairs) = heap.get(*pairs) else {
                    return Err(self.wrong("a dictionary not made of pairs"));
                };
                let pair = |id: &Id| match heap.get(*id) {
                    Value::Tuple(pair) | Value::List(pair) => <[Id; 2]>::try_from(pair.as_slice()).ok(),
                    _ => None,
                };
                let pairs: Option<Vec<_>> = pairs.iter().map(|id| pair(id).map(|[key, value]| (key, value))).collect();
                let pairs = pairs.ok_or_else(|| self.wrong("a dictionary not made of pairs"))?;
                heap.copied += pairs.len();
                if heap.copied > MOST_VALUES {
                    return Err(self.wrong("more values than a checkpoint has"));
                }
                Value::Dict(pairs)
            }
            ("torch.device" | "torch.serialization._get_layout" | "_codecs.encode", _) => Value::Opaque,
            (name, _) => {
                return Err(self
                    .wrong(&format!("calls `{}`, which no checkpoint of tensors needs", name.escape_debug()))
                    .with_hint("tarjim does not run code from model files; use a safetensors file"));
            }
        };
        self.push(heap, value);
        self.pop()
    }

    /// The storage a persistent id names: `("storage", class, key, device, length[, view])`.
    fn storage(&self, heap: &Heap, id: Id) -> Result<Storage> {
        let unknown = || self.wrong("a reference to something that is not a tensor's storage");
        let Value::Tuple(parts) = heap.get(id) else { return Err(unknown()) };
        let [kind, class, key, _, _, view @ ..] = parts.as_slice() else { return Err(unknown()) };
        if heap.text(*kind) != Some("storage") {
            return Err(unknown());
        }
        let Value::Global(class) = heap.get(*class) else { return Err(unknown()) };
        let element = Element::of_class(class)
            .ok_or_else(|| self.wrong(&format!("storage class `{}` is not known", class.escape_debug())))?;
        let key = heap.text(*key).filter(|key| key.len() <= LONGEST_NAME).ok_or_else(unknown)?.to_owned();
        let view = match view.first().map(|view| heap.get(*view)) {
            None | Some(Value::None) => None,
            Some(Value::Tuple(view)) if view.len() == 3 => {
                Some((heap.count(view[1]).ok_or_else(unknown)?, heap.count(view[2]).ok_or_else(unknown)?))
            }
            Some(_) => return Err(unknown()),
        };
        Ok(Storage { element, key, view })
    }

    fn append(&mut self, heap: &mut Heap, items: &[Id]) -> Result<()> {
        let list = self.top()?;
        match &mut heap.values[list as usize] {
            Value::List(list) => list.extend_from_slice(items),
            _ => return Err(self.wrong("items are appended to something that is no list")),
        }
        Ok(())
    }

    fn set_items(&mut self, heap: &mut Heap, items: &[Id]) -> Result<()> {
        let dict = self.top()?;
        let (pairs, rest) = items.as_chunks::<2>();
        match &mut heap.values[dict as usize] {
            Value::Dict(dict) if rest.is_empty() => dict.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            _ => return Err(self.wrong("items are set in something that is no dictionary")),
        }
        Ok(())
    }

    fn push(&mut self, heap: &mut Heap, value: Value) {
        self.stack.push(heap.values.len() as Id);
        heap.values.push(value);
    }

    fn push_text(&mut self, heap: &mut Heap, length: usize) -> Result<()> {
        let text = self.take(length)?;
        let text = std::str::from_utf8(text).map_err(|_| self.wrong("a string that is not UTF-8"))?.to_owned();
        self.push(heap, Value::Text(text));
        Ok(())
    }

    /// The index of the `count`-th value from the top, above the last mark.
    fn depth(&self, count: usize) -> Result<usize> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack.len().checked_sub(count).filter(|at| *at >= floor).ok_or_else(|| self.wrong("the stack is empty"))
    }

    fn top(&self) -> Result<Id> {
        Ok(self.stack[self.depth(1)?])
    }

    fn pop(&mut self) -> Result<Id> {
        let at = self.depth(1)?;
        Ok(self.stack.remove(at))
    }

    fn since_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().ok_or_else(|| self.wrong("a mark is missing"))?;
        Ok(self.stack.split_off(mark))
    }

    fn remember(&mut self, slot: u32) -> Result<()> {
        let top = self.top()?;
        self.memo.insert(slot, top);
        Ok(())
    }

    fn recall(&mut self, slot: u32) -> Result<()> {
        let id = self.memo.get(&slot).copied().ok_or_else(|| self.wrong(&format!("memo {slot} is empty")))?;
        self.stack.push(id);
        Ok(())
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let taken = self.bytes[self.at..].get(..length).ok_or_else(|| self.wrong("the pickle ends too early"))?;
        self.at += length;
        Ok(taken)
    }

    fn line(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.at..];
        // A module or class name: whatever is longer is not one.
        let length = rest.iter().take(LONGEST_NAME).position(|byte| *byte == b'\n');
        let length = length.ok_or_else(|| self.wrong("a class name without an end"))?;
        self.at += length + 1;
        std::str::from_utf8(&rest[..length]).map_err(|_| self.wrong("a class name that is not UTF-8"))
    }

    #[cold]
    fn wrong(&self, what: &str) -> Error {
        Error::new(ErrorKind::Model, format!("pickle, byte {}: {what}", self.at))
    }
}

/// A little-endian number in two's complement.
fn long(digits: Vec<u8>) -> Value {
    if digits.len() > 8 {
        return Value::Long(digits);
    }
    let negative = digits.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut bytes = [if negative { 0xff } else { 0 }; 8];
    bytes[..digits.len()].copy_from_slice(&digits);
    Value::Int(i64::from_le_bytes(bytes))
}

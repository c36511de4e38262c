//! The stack machine that reads a pickle.
//!
//! A pickle is a program, and Python's own machine calls every function that it names. This machine
//! runs no code from a file: it knows the few functions that a state dict needs, and refuses all
//! others by name.

use std::collections::HashMap;
use std::fmt;

use super::pickle::{Global, Object, Pickle, SAVE, Storage, TensorView, Value, describe, quoted};

/// Largest number of steps in one pickle, including one for each copied element. The state dict of
/// GoogLeNet takes about 12 thousand steps, a checkpoint with the state of an optimizer three times
/// as many. A step adds at most one value, entry or object of less than 100 bytes.
const MAX_STEPS: usize = 1 << 18;

/// Largest number of dimensions of a tensor; weights have at most 4.
const MAX_RANK: usize = 8;

/// Reads the pickle that begins at `at` in `bytes` and moves `at` to its end.
pub(super) fn load<'a>(bytes: &'a [u8], at: &mut usize) -> Result<Pickle<'a>, String> {
    let mut machine = Machine {
        bytes,
        at: *at,
        opcode_at: *at,
        steps: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        objects: Vec::new(),
    };
    loop {
        machine.opcode_at = machine.at;
        machine.spend(1)?;
        let [opcode] = machine.array()?;
        if opcode == b'.' {
            let root = machine.pop()?;
            *at = machine.at;
            return Ok(Pickle { objects: machine.objects, root });
        }
        machine.step(opcode)?;
    }
}

fn damaged(at: usize, what: impl fmt::Display) -> String {
    format!("its pickle is damaged at byte {at}: {what}; fetch or save the file again")
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Position of the current opcode, for messages.
    opcode_at: usize,
    steps: usize,
    stack: Vec<Value<'a>>,
    /// The heights of the stack at which the unfinished containers begin.
    marks: Vec<usize>,
    memo: HashMap<u64, Value<'a>>,
    objects: Vec<Object<'a>>,
}

impl<'a> Machine<'a> {
    fn step(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            // PROTO
            0x80 => match self.array()? {
                [2..=5] => {}
                [protocol] => {
                    return Err(self.damaged(format_args!("it claims protocol {protocol}, expected 2 to 5")));
                }
            },
            // FRAME: a hint for readers of streams.
            0x95 => drop(self.array::<8>()?),
            b'(' => self.marks.push(self.stack.len()),

            b'N' => self.stack.push(Value::None),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            // BININT, BININT1, BININT2
            b'J' => {
                let number = i32::from_le_bytes(self.array()?);
                self.stack.push(Value::Int(number.into()));
            }
            b'K' | b'M' => {
                let number = self.size(if opcode == b'K' { 1 } else { 2 })?;
                self.stack.push(Value::Int(number as i64));
            }
            // LONG1, LONG4
            0x8a => self.long(1)?,
            0x8b => self.long(4)?,
            b'G' => {
                self.array::<8>()?;
                self.stack.push(Value::Float);
            }

            // SHORT_BINUNICODE, BINUNICODE, BINUNICODE8
            0x8c => self.text(1)?,
            b'X' => self.text(4)?,
            0x8d => self.text(8)?,
            // SHORT_BINSTRING, BINSTRING: text of Python 2.
            b'U' => self.text(1)?,
            b'T' => self.text(4)?,
            // SHORT_BINBYTES, BINBYTES, BINBYTES8
            b'C' => self.binary(1)?,
            b'B' => self.binary(4)?,
            0x8e => self.binary(8)?,

            b')' => self.add(Object::Tuple(Vec::new())),
            b']' => self.add(Object::List(Vec::new())),
            b'}' => self.add(Object::Dict(Vec::new())),
            b't' => {
                let items = self.pop_to_mark()?;
                self.add(Object::Tuple(items));
            }
            // TUPLE1, TUPLE2, TUPLE3
            0x85..=0x87 => {
                let mut items = Vec::with_capacity(3);
                for _ in 0x85..=opcode {
                    items.insert(0, self.pop()?);
                }
                self.add(Object::Tuple(items));
            }
            b'a' => {
                let item = self.pop()?;
                self.list()?.push(item);
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.list()?.extend(items);
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.dict()?.push((key, value));
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                let (pairs, rest) = items.as_chunks();
                if !rest.is_empty() {
                    return Err(self.damaged("a key of a dict has no value"));
                }
                self.dict()?.extend(pairs.iter().map(|&[key, value]| (key, value)));
            }

            // BINPUT, LONG_BINPUT, MEMOIZE
            b'q' | b'r' => {
                let index = self.size(if opcode == b'q' { 1 } else { 4 })?;
                self.remember(index)?;
            }
            0x94 => self.remember(self.memo.len() as u64)?,
            // BINGET, LONG_BINGET
            b'h' | b'j' => {
                let index = self.size(if opcode == b'h' { 1 } else { 4 })?;
                self.recall(index)?;
            }

            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?;
            }
            // STACK_GLOBAL
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => self.global(module, name)?,
                _ => return Err(self.damaged("a name is not text")),
            },
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            b'Q' => self.persistent()?,
            _ => {
                return Err(format!(
                    "its pickle has the opcode {opcode:#04x} at byte {}, which no state dict needs; {SAVE}",
                    self.opcode_at
                ));
            }
        }
        Ok(())
    }

    fn damaged(&self, what: impl fmt::Display) -> String {
        damaged(self.opcode_at, what)
    }

    fn spend(&mut self, steps: usize) -> Result<(), String> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MAX_STEPS {
            return Err(format!(
                "its pickle takes more than {MAX_STEPS} steps, a state dict far fewer; {SAVE}"
            ));
        }
        Ok(())
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], String> {
        let rest = &self.bytes[self.at..];
        let taken = usize::try_from(count).ok().and_then(|count| rest.get(..count)).ok_or_else(|| {
            format!(
                "truncated: its pickle needs {count} bytes from byte {}, but {} are left; fetch or save the file again",
                self.at,
                rest.len()
            )
        })?;
        self.at += taken.len();
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let bytes = self.take(N as u64)?;
        Ok(bytes.try_into().expect("as many as were taken"))
    }

    /// Reads a length or an index of this number of bytes.
    fn size(&mut self, bytes: u64) -> Result<u64, String> {
        let mut number = [0; 8];
        let bytes = self.take(bytes)?;
        number[..bytes.len()].copy_from_slice(bytes);
        Ok(u64::from_le_bytes(number))
    }

    /// Reads the rest of a line.
    fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.at..];
        // If the line has no end, `take` reports that the file is truncated.
        let length = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
        let line = &self.take(length as u64 + 1)?[..length];
        std::str::from_utf8(line).map_err(|_| self.damaged("a name is not UTF-8"))
    }

    /// Reads an integer, preceded by its length in `prefix` bytes.
    fn long(&mut self, prefix: u64) -> Result<(), String> {
        let length = self.size(prefix)?;
        let bytes = self.take(length)?;
        let value = if bytes.len() <= 8 {
            let negative = bytes.last().is_some_and(|&last| last >= 0x80);
            let mut number = [if negative { 0xff } else { 0 }; 8];
            number[..bytes.len()].copy_from_slice(bytes);
            Value::Int(i64::from_le_bytes(number))
        } else {
            Value::Long(bytes)
        };
        self.stack.push(value);
        Ok(())
    }

    fn text(&mut self, prefix: u64) -> Result<(), String> {
        let length = self.size(prefix)?;
        let bytes = self.take(length)?;
        self.stack.push(std::str::from_utf8(bytes).map_or(Value::Bytes, Value::Text));
        Ok(())
    }

    fn binary(&mut self, prefix: u64) -> Result<(), String> {
        let length = self.size(prefix)?;
        self.take(length)?;
        self.stack.push(Value::Bytes);
        Ok(())
    }

    fn add(&mut self, object: Object<'a>) {
        self.stack.push(Value::Object(self.objects.len()));
        self.objects.push(object);
    }

    /// The topmost value above the last mark.
    fn top(&self) -> Result<Value<'a>, String> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        self.stack[bottom..].last().copied().ok_or_else(|| self.damaged("a value is missing"))
    }

    fn pop(&mut self) -> Result<Value<'a>, String> {
        let value = self.top()?;
        self.stack.pop();
        Ok(value)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value<'a>>, String> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => Err(self.damaged("a mark is missing")),
        }
    }

    fn list(&mut self) -> Result<&mut Vec<Value<'a>>, String> {
        let (top, at) = (self.top()?, self.opcode_at);
        match self.object_mut(top) {
            Some(Object::List(items)) => Ok(items),
            _ => Err(damaged(at, "an item is added to a value that is not a list")),
        }
    }

    fn dict(&mut self) -> Result<&mut Vec<(Value<'a>, Value<'a>)>, String> {
        let (top, at) = (self.top()?, self.opcode_at);
        match self.object_mut(top) {
            Some(Object::Dict(entries)) => Ok(entries),
            _ => Err(damaged(at, "an entry is added to a value that is not a dict")),
        }
    }

    fn object_mut(&mut self, value: Value) -> Option<&mut Object<'a>> {
        match value {
            Value::Object(index) => self.objects.get_mut(index),
            _ => None,
        }
    }

    fn remember(&mut self, index: u64) -> Result<(), String> {
        let value = self.top()?;
        self.memo.insert(index, value);
        Ok(())
    }

    fn recall(&mut self, index: u64) -> Result<(), String> {
        let value = self.memo.get(&index).copied();
        self.stack.push(value.ok_or_else(|| self.damaged("it refers to what it has not defined"))?);
        Ok(())
    }

    /// Resolves a global. No other code looks at the names in a file.
    fn global(&mut self, module: &str, name: &str) -> Result<(), String> {
        let Some(global) = Global::of(module, name) else {
            return Err(format!(
                "needs the global {}, which is not part of a state dict; no code of a file is ever run; {SAVE}",
                quoted(&format!("{module}.{name}"))
            ));
        };
        self.stack.push(Value::Global(global));
        Ok(())
    }

    /// True if a value is None or an empty dict.
    fn is_empty(&self, value: Value) -> bool {
        match value {
            Value::Object(index) => {
                matches!(&self.objects[index], Object::Dict(entries) if entries.is_empty())
            }
            other => other == Value::None,
        }
    }

    /// The items of a value, if it is a list or a tuple.
    fn items(&self, value: Value) -> Option<&[Value<'a>]> {
        match value {
            Value::Object(index) => match &self.objects[index] {
                Object::List(items) | Object::Tuple(items) => Some(items),
                _ => None,
            },
            _ => None,
        }
    }

    /// The items of a value, which must be a tuple.
    fn tuple(&self, value: Value) -> Result<&[Value<'a>], String> {
        if let Value::Object(index) = value
            && let Object::Tuple(items) = &self.objects[index]
        {
            return Ok(items);
        }
        Err(self.damaged(format_args!("{}, expected a tuple", describe(&self.objects, value))))
    }

    /// Calls one of the known functions.
    fn reduce(&mut self) -> Result<(), String> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let arguments = self.tuple(arguments)?;
        match (function, arguments) {
            (Value::Global(Global::OrderedDict), []) => self.add(Object::Dict(Vec::new())),
            // Python 2 wrote a list of keys and values.
            (Value::Global(Global::OrderedDict), &[list]) => self.dict_of_pairs(list)?,
            (Value::Global(Global::Size), &[sizes]) => {
                self.tuple(sizes)?;
                self.stack.push(sizes);
            }
            // The remaining arguments are `requires_grad`, the hooks and, in later versions, a dict
            // that can state, for example, that the numbers are negated.
            (Value::Global(Global::RebuildTensor), &[storage, offset, shape, strides, ref more @ ..]) => {
                if let Some(&changes) = more.get(2)
                    && !self.is_empty(changes)
                {
                    return Err("has a tensor that is a negated or conjugated view of its numbers; \
                         save it after `.resolve_neg().resolve_conj()`"
                        .to_string());
                }
                let tensor = self.tensor(storage, offset, shape, strides)?;
                self.add(Object::Tensor(tensor));
            }
            (Value::Global(Global::RebuildParameter), &[tensor, ..]) => self.stack.push(tensor),
            _ => return Err(self.damaged("it calls a function with arguments of the wrong kind")),
        }
        Ok(())
    }

    fn dict_of_pairs(&mut self, list: Value) -> Result<(), String> {
        // Counted, because the same list can be used any number of times.
        self.spend(self.items(list).map_or(0, <[_]>::len))?;
        let pair = |&pair: &Value<'a>| match self.items(pair) {
            Some(&[key, value]) => Some((key, value)),
            _ => None,
        };
        let entries: Option<Vec<_>> = self.items(list).and_then(|pairs| pairs.iter().map(pair).collect());
        let entries = entries.ok_or_else(|| self.damaged("a dict is not made of pairs"))?;
        self.add(Object::Dict(entries));
        Ok(())
    }

    fn tensor(
        &self,
        storage: Value,
        offset: Value,
        shape: Value,
        strides: Value,
    ) -> Result<TensorView, String> {
        let storage = match storage {
            Value::Object(index) if matches!(self.objects[index], Object::Storage(_)) => index,
            other => {
                let other = describe(&self.objects, other);
                return Err(self.damaged(format_args!("a tensor on {other}, expected a storage")));
            }
        };
        let (shape, strides) = (self.numbers(shape)?, self.numbers(strides)?);
        if shape.len() != strides.len() {
            let (sizes, strides) = (shape.len(), strides.len());
            return Err(self.damaged(format_args!("a tensor of {sizes} dimensions has {strides} strides")));
        }
        Ok(TensorView { storage, offset: self.number(offset)?, shape, strides })
    }

    fn numbers(&self, tuple: Value) -> Result<Vec<usize>, String> {
        let items = self.tuple(tuple)?;
        if items.len() > MAX_RANK {
            let found = items.len();
            return Err(
                self.damaged(format_args!("a tensor of {found} dimensions, expected at most {MAX_RANK}"))
            );
        }
        items.iter().map(|&item| self.number(item)).collect()
    }

    /// A size, stride or offset.
    fn number(&self, value: Value) -> Result<usize, String> {
        match value {
            Value::Int(number) => usize::try_from(number)
                .map_err(|_| self.damaged(format_args!("a size, stride or offset is {number}"))),
            Value::Long(_) => Err(self.damaged("a size, stride or offset is beyond 64 bits")),
            other => {
                let other = describe(&self.objects, other);
                Err(self.damaged(format_args!("a size, stride or offset is {other}, expected a number")))
            }
        }
    }

    /// Ignores the attributes of a state dict: `_metadata`, which holds the versions of the
    /// modules.
    fn build(&mut self) -> Result<(), String> {
        self.pop()?;
        self.dict()?;
        Ok(())
    }

    /// Resolves a reference to a storage.
    fn persistent(&mut self) -> Result<(), String> {
        let reference = self.pop()?;
        let storage = match *self.tuple(reference)? {
            [Value::Text("storage"), Value::Global(Global::Storage(element)), Value::Text(key), _, count]
            | [
                Value::Text("storage"),
                Value::Global(Global::Storage(element)),
                Value::Text(key),
                _,
                count,
                Value::None,
            ] => Storage { key, element, count: self.number(count)? },
            [Value::Text("storage"), _, _, _, _, view] if self.tuple(view).is_ok() => {
                return Err(
                    "has storages that are parts of others, as early versions of PyTorch wrote them; load it and \
                     save it again with a later one"
                        .to_string(),
                );
            }
            _ => return Err(self.damaged("a reference to something other than a storage")),
        };
        self.add(Object::Storage(storage));
        Ok(())
    }
}

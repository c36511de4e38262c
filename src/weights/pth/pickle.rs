//! Reads a pickle, the form in which Python stores objects, as far as PyTorch's state dicts need it.
//!
//! A pickle is a program for a stack machine, and Python's own machine calls every function that the program names. This one
//! runs no code of a file: it knows the few names that a state dict needs, and refuses every other by its name.
//!
//! Objects lie side by side in one list and refer to each other by their place in it. Shared objects are therefore kept once,
//! cycles do no harm, and nothing is recursive, however deeply objects are nested. Text is borrowed from the file.

use crate::weights::number::Number;

/// Advice for a file that holds more than numbers.
pub(super) const SAVE: &str = "save the state dict alone: `torch.save(model.state_dict(), \"weights.pth\")`";

/// A pickle that was read: all its objects, and the value that it stands for.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    pub objects: Vec<Object<'a>>,
    pub root: Value<'a>,
}

/// A value on the stack, in the memo or in a container.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// A whole number that takes more than 8 bytes, in as many as the file has, little-endian.
    Long(&'a [u8]),
    /// A number with a fraction. No state dict says anything by one, so it is not kept.
    Float,
    Text(&'a str),
    Bytes,
    Global(Global),
    /// A place in [`Pickle::objects`].
    Object(usize),
}

#[derive(Debug)]
pub(super) enum Object<'a> {
    Tuple(Vec<Value<'a>>),
    List(Vec<Value<'a>>),
    /// Entries in the order of the file. A key can be there twice.
    Dict(Vec<(Value<'a>, Value<'a>)>),
    Storage(Storage<'a>),
    Tensor(View),
}

/// A run of numbers that is stored outside of the pickle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Storage<'a> {
    pub key: &'a str,
    pub kind: Kind,
    /// The number of elements according to the pickle.
    pub count: usize,
}

/// A tensor: which numbers of a storage it has, and in what order. Nothing of it is checked against the storage here.
#[derive(Debug)]
pub(super) struct View {
    /// The storage's place in [`Pickle::objects`].
    pub storage: usize,
    pub offset: usize,
    pub shape: Vec<usize>,
    /// As many as `shape` has.
    pub strides: Vec<usize>,
}

/// The number type of a storage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Float(Number),
    /// Whole numbers or booleans of so many bytes.
    Whole(usize),
}

impl Kind {
    /// Bytes a number.
    pub fn size(self) -> usize {
        match self {
            Kind::Float(number) => number.size(),
            Kind::Whole(size) => size,
        }
    }
}

/// The globals that a pickle may name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    OrderedDict,
    Size,
    RebuildTensor,
    RebuildParameter,
    Storage(Kind),
}

impl Global {
    pub fn of(module: &str, name: &str) -> Option<Global> {
        let storage = |kind| Some(Global::Storage(kind));
        match (module, name) {
            ("collections", "OrderedDict") => Some(Global::OrderedDict),
            ("torch", "Size") => Some(Global::Size),
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Some(Global::RebuildTensor),
            ("torch._utils", "_rebuild_parameter") => Some(Global::RebuildParameter),
            ("torch", "FloatStorage") => storage(Kind::Float(Number::F32)),
            ("torch", "HalfStorage") => storage(Kind::Float(Number::F16)),
            ("torch", "BFloat16Storage") => storage(Kind::Float(Number::Bf16)),
            ("torch", "DoubleStorage") => storage(Kind::Float(Number::F64)),
            ("torch", "ByteStorage" | "CharStorage" | "BoolStorage") => storage(Kind::Whole(1)),
            ("torch", "ShortStorage") => storage(Kind::Whole(2)),
            ("torch", "IntStorage") => storage(Kind::Whole(4)),
            ("torch", "LongStorage") => storage(Kind::Whole(8)),
            _ => None,
        }
    }
}

/// A name from a file, as a message may show it: in quotes, without control characters, and not long.
pub(super) fn shown(name: &str) -> String {
    const LONGEST: usize = 80;
    let escaped: String = name.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    let rest = if name.chars().nth(LONGEST).is_some() { "..." } else { "" };
    format!("\"{escaped}{rest}\"")
}

impl<'a> Pickle<'a> {
    /// The entries of a value that is a dict.
    pub fn dict(&self, value: Value) -> Option<&[(Value<'a>, Value<'a>)]> {
        match self.object(value) {
            Some(Object::Dict(entries)) => Some(entries),
            _ => None,
        }
    }

    pub fn object(&self, value: Value) -> Option<&Object<'a>> {
        match value {
            Value::Object(place) => self.objects.get(place),
            _ => None,
        }
    }

    /// Describes a value for messages.
    pub fn describe(&self, value: Value) -> &'static str {
        describe(&self.objects, value)
    }
}

pub(super) fn describe(objects: &[Object], value: Value) -> &'static str {
    match value {
        Value::None => "None",
        Value::Bool(_) => "a boolean",
        Value::Int(_) | Value::Long(_) | Value::Float => "a number",
        Value::Text(_) | Value::Bytes => "text",
        Value::Global(_) => "a name",
        Value::Object(place) => match &objects[place] {
            Object::Tuple(_) => "a tuple",
            Object::List(_) => "a list",
            Object::Dict(_) => "a dict",
            Object::Storage(_) => "a storage",
            Object::Tensor(_) => "a tensor",
        },
    }
}

//! The objects of a pickle, as far as PyTorch's state dicts need them. A pickle is Python's storage
//! format for objects; the module `machine` reads it.
//!
//! All objects are in one list and refer to each other by their index. A shared object is therefore
//! stored once, cycles are harmless, and no function recurses, however deeply objects are nested.
//! Text is borrowed from the file.

use crate::text::shown;
use crate::weights::number::Number;

/// Advice for a file that is not a plain state dict.
pub(super) const SAVE: &str = "save the state dict alone: `torch.save(model.state_dict(), \"weights.pth\")`";

/// The objects of a pickle, and the value that it represents.
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
    /// An integer of more than 8 bytes: its bytes, little-endian.
    Long(&'a [u8]),
    /// A floating-point number. State dicts do not use its value.
    Float,
    Text(&'a str),
    Bytes,
    Global(Global),
    /// An index into [`Pickle::objects`].
    Object(usize),
}

#[derive(Debug)]
pub(super) enum Object<'a> {
    Tuple(Vec<Value<'a>>),
    List(Vec<Value<'a>>),
    /// Entries in the order of the file. A key can occur twice.
    Dict(Vec<(Value<'a>, Value<'a>)>),
    Storage(Storage<'a>),
    Tensor(TensorView),
}

/// An array of numbers that is stored outside the pickle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Storage<'a> {
    pub key: &'a str,
    pub element: ElementType,
    /// Number of elements, as stated by the pickle.
    pub count: usize,
}

/// A tensor: a strided view of a storage. Its bounds have not been checked.
#[derive(Debug)]
pub(super) struct TensorView {
    /// Index of the storage in [`Pickle::objects`].
    pub storage: usize,
    pub offset: usize,
    pub shape: Vec<usize>,
    /// One stride for each dimension of `shape`, in elements.
    pub strides: Vec<usize>,
}

/// The element type of a storage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum ElementType {
    Float(Number),
    /// Integers or booleans of this size in bytes.
    Whole(usize),
}

impl ElementType {
    /// Size of an element in bytes.
    pub fn size(self) -> usize {
        match self {
            ElementType::Float(number) => number.size(),
            ElementType::Whole(size) => size,
        }
    }
}

/// The globals that a pickle may refer to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    OrderedDict,
    Size,
    RebuildTensor,
    RebuildParameter,
    Storage(ElementType),
}

impl Global {
    pub fn of(module: &str, name: &str) -> Option<Global> {
        let storage = |element| Some(Global::Storage(element));
        match (module, name) {
            ("collections", "OrderedDict") => Some(Global::OrderedDict),
            ("torch", "Size") => Some(Global::Size),
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Some(Global::RebuildTensor),
            ("torch._utils", "_rebuild_parameter") => Some(Global::RebuildParameter),
            ("torch", "FloatStorage") => storage(ElementType::Float(Number::F32)),
            ("torch", "HalfStorage") => storage(ElementType::Float(Number::F16)),
            ("torch", "BFloat16Storage") => storage(ElementType::Float(Number::Bf16)),
            ("torch", "DoubleStorage") => storage(ElementType::Float(Number::F64)),
            ("torch", "ByteStorage" | "CharStorage" | "BoolStorage") => storage(ElementType::Whole(1)),
            ("torch", "ShortStorage") => storage(ElementType::Whole(2)),
            ("torch", "IntStorage") => storage(ElementType::Whole(4)),
            ("torch", "LongStorage") => storage(ElementType::Whole(8)),
            _ => None,
        }
    }
}

/// A name from a file, in quotes, for a message.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", shown(name))
}

impl<'a> Pickle<'a> {
    /// The entries of a value, if it is a dict.
    pub fn dict(&self, value: Value) -> Option<&[(Value<'a>, Value<'a>)]> {
        match self.object(value) {
            Some(Object::Dict(entries)) => Some(entries),
            _ => None,
        }
    }

    pub fn object(&self, value: Value) -> Option<&Object<'a>> {
        match value {
            Value::Object(index) => self.objects.get(index),
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
        Value::Object(index) => match &objects[index] {
            Object::Tuple(_) => "a tuple",
            Object::List(_) => "a list",
            Object::Dict(_) => "a dict",
            Object::Storage(_) => "a storage",
            Object::Tensor(_) => "a tensor",
        },
    }
}

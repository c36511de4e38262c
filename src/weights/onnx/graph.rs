//! The graph of an ONNX model: nodes, and tensors that stay in the file until they are read.

use std::collections::HashMap;

use crate::text::shown;
use crate::weights::number::Number;
use crate::weights::protobuf::{FieldValue, each_integer, fields};
use crate::weights::tensor::{Packing, numbers, squeeze};

/// Largest number of nodes and of tensors. The published file has 143 nodes.
pub(super) const MAX_NODES: usize = 2000;

/// Largest number of inputs or attributes of a node, dimensions of a tensor, and numbers of an
/// attribute. GoogLeNet needs up to 4.
pub(super) const MAX_PARTS: usize = 16;

/// Largest number of nodes between a layer and those that it reads from. GoogLeNet needs up to 20.
const MAX_STEPS: usize = 256;

/// A step between two layers with weights; lists of steps begin with the last one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    Relu,
    MaxPool,
    AveragePool,
    Lrn,
}

/// A layer with weights from which another layer reads, and the steps between.
pub(super) struct BlobSource {
    pub node: usize,
    pub steps: Vec<Step>,
}

/// The graph of a model. The numbers of its tensors remain in the file.
pub(super) struct Graph<'a> {
    pub nodes: Vec<Node<'a>>,
    /// The index of the node that writes a value, by the name of the value.
    pub writers: HashMap<&'a str, usize>,
    pub tensors: HashMap<&'a str, StoredTensor<'a>>,
}

pub(super) struct Node<'a> {
    pub op: &'a str,
    pub inputs: Vec<&'a str>,
    /// The first output. No operation of GoogLeNet has a second one that is used.
    pub output: &'a str,
    pub attributes: Vec<Attribute<'a>>,
}

pub(super) struct Attribute<'a> {
    pub name: &'a str,
    pub float: Option<f32>,
    pub integers: Vec<i64>,
    pub tensor: Option<&'a [u8]>,
}

/// A tensor whose numbers have not been read.
pub(super) struct StoredTensor<'a> {
    pub name: &'a str,
    pub message: &'a [u8],
    pub shape: Vec<usize>,
    pub kind: u64,
    /// True if the numbers are in another file.
    pub external: bool,
}

impl<'a> Graph<'a> {
    pub fn read(model: &'a [u8]) -> Result<Graph<'a>, String> {
        let mut graph = Graph { nodes: Vec::new(), writers: HashMap::new(), tensors: HashMap::new() };
        for field in fields(model) {
            // Field 7 is `graph`; in it, 1 is `node` and 5 is `initializer`.
            if let (7, FieldValue::Bytes(message)) = field? {
                for field in fields(message) {
                    match field.map_err(|problem| format!("its graph: {problem}"))? {
                        (1, FieldValue::Bytes(node)) => graph.add_node(node)?,
                        (5, FieldValue::Bytes(tensor)) => {
                            let tensor = StoredTensor::read(tensor)?;
                            graph.add_tensor(tensor)?;
                        }
                        _ => {}
                    }
                }
            }
        }
        Ok(graph)
    }

    fn add_node(&mut self, message: &'a [u8]) -> Result<(), String> {
        let node = Node::read(message).map_err(|problem| format!("node {}: {problem}", self.nodes.len()))?;
        if let ("Constant", Some(value)) = (node.op, node.attribute("value").and_then(|value| value.tensor)) {
            let tensor = StoredTensor::read(value)?;
            return self.add_tensor(StoredTensor { name: node.output, ..tensor });
        }
        if self.nodes.len() == MAX_NODES {
            return Err(format!("has more than {MAX_NODES} nodes, expected about 143 of GoogLeNet"));
        }
        if self.writers.insert(node.output, self.nodes.len()).is_some() {
            return Err(format!("two nodes write the value \"{}\"", shown(node.output)));
        }
        self.nodes.push(node);
        Ok(())
    }

    fn add_tensor(&mut self, tensor: StoredTensor<'a>) -> Result<(), String> {
        if self.tensors.len() == MAX_NODES {
            return Err(format!("has more than {MAX_NODES} tensors, expected about 116 of GoogLeNet"));
        }
        match self.tensors.insert(tensor.name, tensor) {
            None => Ok(()),
            Some(other) => Err(format!("has two tensors \"{}\"", shown(other.name))),
        }
    }

    /// The tensor behind a value, through any `Identity` nodes, which occur where layers share a
    /// tensor.
    pub fn tensor(&self, value: &'a str) -> Option<&StoredTensor<'a>> {
        let mut value = value;
        for _ in 0..MAX_STEPS {
            if let Some(tensor) = self.tensors.get(value) {
                return Some(tensor);
            }
            let node = &self.nodes[*self.writers.get(value)?];
            if node.op != "Identity" {
                return None;
            }
            value = node.input(0);
        }
        None
    }

    /// The layers with weights from which a value is computed, in the order of their concatenation.
    pub fn sources(&self, value: &'a str) -> Result<Vec<BlobSource>, String> {
        let mut sources = Vec::new();
        let mut open = vec![(value, Vec::new())];
        for _ in 0..MAX_STEPS {
            let Some((value, mut steps)) = open.pop() else {
                return Ok(sources);
            };
            let Some(&at) = self.writers.get(value) else {
                return Err(format!(
                    "reads \"{}\", which no node writes, expected a convolution's output",
                    shown(value)
                ));
            };
            let node = &self.nodes[at];
            match node.op {
                "Conv" | "Gemm" => {
                    sources.push(BlobSource { node: at, steps });
                    continue;
                }
                "Concat" => {
                    open.extend(node.inputs.iter().rev().map(|&input| (input, steps.clone())));
                    continue;
                }
                "Relu" => steps.push(Step::Relu),
                "MaxPool" => steps.push(Step::MaxPool),
                "LRN" => steps.push(Step::Lrn),
                "AveragePool" | "GlobalAveragePool" | "ReduceMean" => steps.push(Step::AveragePool),
                // Operations that do not change the numbers of a trained network.
                "Dropout" | "Reshape" | "Flatten" | "Squeeze" | "Identity" | "Pad" | "Cast" => {}
                "BatchNormalization" => {
                    return Err("reads through BatchNormalization; export the network in evaluation mode, \
                                which makes it a part of the convolutions"
                        .to_string());
                }
                other => {
                    return Err(format!(
                        "reads through a node of type {}, which GoogLeNet does not have",
                        shown(other)
                    ));
                }
            }
            open.push((node.input(0), steps));
        }
        Err(format!("reads through more than {MAX_STEPS} nodes, expected a few"))
    }
}

impl<'a> Node<'a> {
    fn read(message: &'a [u8]) -> Result<Node<'a>, String> {
        let mut node = Node { op: "", inputs: Vec::new(), output: "", attributes: Vec::new() };
        for field in fields(message) {
            match field? {
                (1, FieldValue::Bytes(name)) if node.inputs.len() < MAX_PARTS => {
                    node.inputs.push(text(name)?)
                }
                (2, FieldValue::Bytes(name)) if node.output.is_empty() => node.output = text(name)?,
                (4, FieldValue::Bytes(op)) => node.op = text(op)?,
                (5, FieldValue::Bytes(attribute)) if node.attributes.len() < MAX_PARTS => {
                    node.attributes.push(Attribute::read(attribute)?);
                }
                (1 | 5, _) => return Err(format!("it has more than {MAX_PARTS} inputs or attributes")),
                _ => {}
            }
        }
        Ok(node)
    }

    /// The name of an input; empty if there is none.
    pub fn input(&self, at: usize) -> &'a str {
        self.inputs.get(at).copied().unwrap_or_default()
    }

    pub fn attribute(&self, name: &str) -> Option<&Attribute<'a>> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }
}

impl<'a> Attribute<'a> {
    fn read(message: &'a [u8]) -> Result<Attribute<'a>, String> {
        let mut attribute = Attribute { name: "", float: None, integers: Vec::new(), tensor: None };
        for field in fields(message) {
            match field? {
                (1, FieldValue::Bytes(name)) => attribute.name = text(name)?,
                (2, FieldValue::Fixed32(float)) => attribute.float = Some(f32::from_le_bytes(float)),
                // `i` and `ints`.
                (3 | 8, value) => each_integer(value, |number| {
                    if attribute.integers.len() < MAX_PARTS {
                        attribute.integers.push(number as i64);
                    }
                })?,
                (5, FieldValue::Bytes(tensor)) => attribute.tensor = Some(tensor),
                _ => {}
            }
        }
        Ok(attribute)
    }
}

impl<'a> StoredTensor<'a> {
    fn read(message: &'a [u8]) -> Result<StoredTensor<'a>, String> {
        let mut tensor = StoredTensor { name: "", message, shape: Vec::new(), kind: 0, external: false };
        let mut read = |field| -> Result<(), String> {
            match field {
                (1, dimensions) => each_integer(dimensions, |size| {
                    if tensor.shape.len() < MAX_PARTS {
                        tensor.shape.push(usize::try_from(size).unwrap_or(usize::MAX));
                    }
                })?,
                (2, FieldValue::Varint(kind)) => tensor.kind = kind,
                (8, FieldValue::Bytes(name)) => tensor.name = text(name)?,
                // `data_location`.
                (14, FieldValue::Varint(location)) => tensor.external = location != 0,
                _ => {}
            }
            Ok(())
        };
        fields(message)
            .try_for_each(|field| read(field?))
            .map_err(|problem| format!("tensor \"{}\": {problem}", shown(tensor.name)))?;
        Ok(tensor)
    }

    /// Reads the numbers, if the tensor has this shape and the right number of values. Numbers in
    /// double precision are rounded to the nearest `f32`.
    pub fn values(&self, shape: &[usize]) -> Result<Vec<f32>, String> {
        if squeeze(&self.shape, shape.len()) != shape {
            return Err(format!("has shape {:?}, expected {shape:?}", self.shape));
        }
        if self.external {
            return Err("has its numbers in another file; save the model as one: \
                        `onnx.save(onnx.load(\"model.onnx\"), \"one.onnx\")`"
                .to_string());
        }
        // The values of the enum `DataType`; `float_data`, `int32_data` and `double_data`.
        let (number, typed) = match self.kind {
            1 => (Number::F32, (4, Packing::Bytes)),
            10 => (Number::F16, (5, Packing::Integers)),
            11 => (Number::F64, (10, Packing::Bytes)),
            16 => (Number::Bf16, (5, Packing::Integers)),
            kind => {
                let name = match kind {
                    2 | 3 | 21 | 22 => " (whole numbers: a quantised network)",
                    _ => "",
                };
                return Err(format!(
                    "is of data type {kind}{name}, expected 1 (f32), 10 (f16), 11 (f64) or 16 (bfloat16)"
                ));
            }
        };
        // Field 9 is `raw_data`.
        numbers(self.message, &[typed, (9, Packing::Bytes)], number, shape)
    }
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "a name is not UTF-8".to_string())
}

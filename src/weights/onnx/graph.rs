//! The graph of an ONNX model: nodes, and tensors that stay in the file until they are read.

use std::collections::HashMap;

use crate::weights::number::half;
use crate::weights::protobuf::{Value, each_integer, each_run, fields};
use crate::weights::tensor::{require_count, squeeze};

/// Far more nodes or tensors than any GoogLeNet has; the published file has 143 nodes.
pub(super) const MAX_NODES: usize = 2000;

/// Inputs or attributes of a node, dimensions of a tensor, numbers of an attribute: the table needs up to 4.
pub(super) const MAX_PARTS: usize = 16;

/// Nodes between a layer and those that it reads from; the table needs up to 20.
const MAX_STEPS: usize = 256;

/// What happens between two layers with weights, the last first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    Relu,
    MaxPool,
    AveragePool,
    Lrn,
}

/// A layer with weights that another reads from.
pub(super) struct Source {
    pub node: usize,
    pub steps: Vec<Step>,
}

/// A model's graph: all of it, but for the numbers, which stay where they are in the file.
pub(super) struct Graph<'a> {
    pub nodes: Vec<Node<'a>>,
    /// The node that a value comes from.
    pub writers: HashMap<&'a str, usize>,
    pub tensors: HashMap<&'a str, Stored<'a>>,
}

pub(super) struct Node<'a> {
    pub op: &'a str,
    pub inputs: Vec<&'a str>,
    /// Its first output: no node that may be here has two that matter.
    pub output: &'a str,
    pub attributes: Vec<Attribute<'a>>,
}

pub(super) struct Attribute<'a> {
    pub name: &'a str,
    pub float: Option<f32>,
    pub integers: Vec<i64>,
    pub tensor: Option<&'a [u8]>,
}

/// A tensor before its numbers are read.
pub(super) struct Stored<'a> {
    pub name: &'a str,
    pub message: &'a [u8],
    pub shape: Vec<usize>,
    pub kind: u64,
    /// Its numbers are in another file.
    pub external: bool,
}

impl<'a> Graph<'a> {
    pub fn read(model: &'a [u8]) -> Result<Graph<'a>, String> {
        let mut graph = Graph { nodes: Vec::new(), writers: HashMap::new(), tensors: HashMap::new() };
        for field in fields(model) {
            // `graph`, and in it `node` and `initializer`.
            if let (7, Value::Bytes(message)) = field? {
                for field in fields(message) {
                    match field.map_err(|problem| format!("its graph: {problem}"))? {
                        (1, Value::Bytes(node)) => graph.add_node(node)?,
                        (5, Value::Bytes(tensor)) => {
                            let tensor = Stored::read(tensor)?;
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
            let tensor = Stored::read(value)?;
            return self.add_tensor(Stored { name: node.output, ..tensor });
        }
        if self.nodes.len() == MAX_NODES {
            return Err(format!("has more than {MAX_NODES} nodes, expected about 143 of GoogLeNet"));
        }
        if self.writers.insert(node.output, self.nodes.len()).is_some() {
            return Err(format!("two nodes write the value \"{}\"", node.output));
        }
        self.nodes.push(node);
        Ok(())
    }

    fn add_tensor(&mut self, tensor: Stored<'a>) -> Result<(), String> {
        if self.tensors.len() == MAX_NODES {
            return Err(format!("has more than {MAX_NODES} tensors, expected about 116 of GoogLeNet"));
        }
        match self.tensors.insert(tensor.name, tensor) {
            None => Ok(()),
            Some(other) => Err(format!("has two tensors \"{}\"", other.name)),
        }
    }

    /// The tensor that a value is: it may have gone through `Identity`, where layers share it.
    pub fn tensor(&self, value: &'a str) -> Option<&Stored<'a>> {
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

    /// The layers with weights that a value comes from, in the order in which they are concatenated.
    pub fn sources(&self, value: &'a str) -> Result<Vec<Source>, String> {
        let mut sources = Vec::new();
        let mut open = vec![(value, Vec::new())];
        for _ in 0..MAX_STEPS {
            let Some((value, mut steps)) = open.pop() else {
                return Ok(sources);
            };
            let Some(&at) = self.writers.get(value) else {
                return Err(format!(
                    "reads \"{value}\", which no node writes, expected a convolution's output"
                ));
            };
            let node = &self.nodes[at];
            match node.op {
                "Conv" | "Gemm" => {
                    sources.push(Source { node: at, steps });
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
                // What leaves the numbers as they are, once the network is trained.
                "Dropout" | "Reshape" | "Flatten" | "Squeeze" | "Identity" | "Pad" | "Cast" => {}
                "BatchNormalization" => {
                    return Err("reads through BatchNormalization; export the network in evaluation mode, \
                                which makes it a part of the convolutions"
                        .to_string());
                }
                other => {
                    return Err(format!("reads through a node of type {other}, which GoogLeNet has not"));
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
                (1, Value::Bytes(name)) if node.inputs.len() < MAX_PARTS => node.inputs.push(text(name)?),
                (2, Value::Bytes(name)) if node.output.is_empty() => node.output = text(name)?,
                (4, Value::Bytes(op)) => node.op = text(op)?,
                (5, Value::Bytes(attribute)) if node.attributes.len() < MAX_PARTS => {
                    node.attributes.push(Attribute::read(attribute)?);
                }
                (1 | 5, _) => return Err(format!("it has more than {MAX_PARTS} inputs or attributes")),
                _ => {}
            }
        }
        Ok(node)
    }

    /// The name of an input, or nothing.
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
                (1, Value::Bytes(name)) => attribute.name = text(name)?,
                (2, Value::Fixed32(float)) => attribute.float = Some(f32::from_le_bytes(float)),
                // `i` and `ints`.
                (3 | 8, value) => each_integer(value, |number| {
                    if attribute.integers.len() < MAX_PARTS {
                        attribute.integers.push(number as i64);
                    }
                })?,
                (5, Value::Bytes(tensor)) => attribute.tensor = Some(tensor),
                _ => {}
            }
        }
        Ok(attribute)
    }
}

impl<'a> Stored<'a> {
    fn read(message: &'a [u8]) -> Result<Stored<'a>, String> {
        let mut tensor = Stored { name: "", message, shape: Vec::new(), kind: 0, external: false };
        let mut read = |field| -> Result<(), String> {
            match field {
                (1, dimensions) => each_integer(dimensions, |size| {
                    if tensor.shape.len() < MAX_PARTS {
                        tensor.shape.push(usize::try_from(size).unwrap_or(usize::MAX));
                    }
                })?,
                (2, Value::Varint(kind)) => tensor.kind = kind,
                (8, Value::Bytes(name)) => tensor.name = text(name)?,
                // `data_location`.
                (14, Value::Varint(location)) => tensor.external = location != 0,
                _ => {}
            }
            Ok(())
        };
        fields(message)
            .try_for_each(|field| read(field?))
            .map_err(|problem| format!("tensor \"{}\": {problem}", tensor.name))?;
        Ok(tensor)
    }

    /// The numbers, if the tensor has this shape and as many as that says; in double precision rounded to the nearest.
    pub fn values(&self, shape: &[usize]) -> Result<Vec<f32>, String> {
        if squeeze(&self.shape, shape.len()) != shape {
            return Err(format!("has shape {:?}, expected {shape:?}", self.shape));
        }
        if self.external {
            return Err("has its numbers in another file; save the model as one: \
                        `onnx.save(onnx.load(\"model.onnx\"), \"one.onnx\")`"
                .to_string());
        }
        let mut values = Vec::new();
        for field in fields(self.message) {
            // `float_data`, `int32_data`, `raw_data`, `double_data`.
            match (field?, self.kind) {
                ((4 | 9, value), 1) => {
                    each_run(value, |run| values.extend(run.iter().map(|&b| f32::from_le_bytes(b))))?;
                }
                ((10 | 9, value), 11) => {
                    each_run(value, |run| values.extend(run.iter().map(|&b| f64::from_le_bytes(b) as f32)))?;
                }
                ((9, value), 10) => {
                    each_run(value, |run| values.extend(run.iter().map(|&b| half(u16::from_le_bytes(b)))))?;
                }
                ((5, value), 10) => each_integer(value, |bits| values.push(half(bits as u16)))?,
                _ => {}
            }
        }
        match self.kind {
            1 | 10 | 11 => require_count(&values, shape)?,
            kind => {
                // The numbers of `DataType`.
                let name = match kind {
                    2 | 3 | 21 | 22 => " (whole numbers: a quantised network)",
                    16 => " (bfloat16)",
                    _ => "",
                };
                return Err(format!("is of data type {kind}{name}, expected 1 (f32), 10 (f16) or 11 (f64)"));
            }
        }
        Ok(values)
    }
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "a name is not UTF-8".to_string())
}

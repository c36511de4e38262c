//! A network as an ONNX model: the model zoo's GoogLeNet, torchvision's as PyTorch exports it, and what other programs write.
//!
//! What the tensors are called is up to who wrote the file, and so is the order of the nodes. So the layers are found by
//! what they do: from the classifier back to the input, graph and table are followed side by side, and each convolution
//! of the one must be where the other has it.
//!
//! Source of the field numbers: `onnx.proto`.

use std::collections::{HashMap, VecDeque};

use super::number::half;
use super::protobuf::{Value, each_integer, each_run, fields};
use super::tensor::{Tensor, require_count, squeeze};
use super::torchvision;
use crate::network::{BlobId, CLASSES, Network, Op};

/// Far more nodes or tensors than any GoogLeNet has; the published file has 143 nodes.
const MAX_NODES: usize = 2000;

/// Inputs or attributes of a node, dimensions of a tensor, numbers of an attribute: the table needs up to 4.
const MAX_PARTS: usize = 16;

/// Nodes between a layer and those that it reads from; the table needs up to 20.
const MAX_STEPS: usize = 256;

/// The tensors of a GoogLeNet of any number of classes, in the order of the table, each layer's bias before its weight.
///
/// # Errors
/// When the bytes are not a whole ONNX model, or the network in it is another: which layer, what was found and expected.
pub(crate) fn tensors(bytes: &[u8]) -> Result<Vec<Tensor>, String> {
    let graph = Graph::read(bytes)?;
    let is_bvlcs = graph.nodes.iter().any(|node| node.op == "LRN");
    let network = if is_bvlcs { Network::googlenet() } else { Network::torchvision(CLASSES) };
    let nodes = find_layers(&network, &graph)?;
    let mut tensors = Vec::new();
    for (at, layer) in network.layers.iter().enumerate() {
        let Some(shape) = network.weight_shape(layer) else {
            continue;
        };
        let node = &graph.nodes[nodes[&at]];
        let problem = |problem: String| format!("layer {} (node {}): {problem}", layer.name, node.output);
        let [bias, mut weight] = parameters(&graph, node, layer.op, shape).map_err(problem)?;
        if layer.input == 0 && !is_bvlcs {
            // `transform_input` ends in a concatenation of the picture's channels.
            let before = graph.writers.get(node.input(0)).map(|&before| graph.nodes[before].op);
            if before != Some("Concat") {
                return Err("is torchvision's googlenet for pictures of other numbers than the published one's, expected \
                            `transform_input=True`"
                    .to_string());
            }
            torchvision::take_levels(&mut weight.1, &weight.0);
        }
        for (part, (shape, values)) in [("bias", bias), ("weight", weight)] {
            tensors.push(Tensor { name: format!("{}.{part}", layer.name), shape, values });
        }
    }
    Ok(tensors)
}

/// The node of each layer with weights.
fn find_layers(network: &Network, graph: &Graph) -> Result<HashMap<usize, usize>, String> {
    let classifier = network.layers.iter().position(|layer| layer.op == Op::Classifier);
    let classifier = classifier.expect("a network has a classifier");
    let candidates = (0..graph.nodes.len()).filter(|&node| graph.nodes[node].op == "Gemm");
    // A network that is saved to be trained further has the auxiliary classifiers, too; the last is the main one.
    let mut found = Err("has no fully connected layer (Gemm), expected GoogLeNet's classifier".to_string());
    for node in candidates {
        match (follow(network, graph, classifier, node), &found) {
            (Ok(_), Ok(_)) => {
                return Err("has two classifiers on GoogLeNet's last block, expected one".into());
            }
            (Err(_), Ok(_)) => {}
            (result, Err(_)) => found = result,
        }
    }
    found
}

/// Follows graph and table back from the classifier, supposing that it is this node.
fn follow(
    network: &Network,
    graph: &Graph,
    classifier: usize,
    node: usize,
) -> Result<HashMap<usize, usize>, String> {
    let mut found = HashMap::from([(classifier, node)]);
    let mut open = VecDeque::from([(classifier, node)]);
    while let Some((layer, node)) = open.pop_front() {
        let (layer, node) = (&network.layers[layer], &graph.nodes[node]);
        let problem = |problem: String| {
            format!("not GoogLeNet: what should be layer {} (node {}) {problem}", layer.name, node.output)
        };
        check_operation(node, layer.op).map_err(problem)?;
        // Before the first layer, a graph may prepare the picture in its own way.
        if layer.input == 0 {
            continue;
        }
        let (sources, expected) =
            (graph.sources(node.input(0)).map_err(problem)?, expected_sources(network, layer.input));
        if sources.len() != expected.len() {
            let counts = (sources.len(), expected.len());
            return Err(problem(format!("reads from {} convolutions, expected {}", counts.0, counts.1)));
        }
        for (source, (layer, steps)) in sources.into_iter().zip(expected) {
            if source.steps != steps {
                return Err(problem(format!(
                    "reads through {:?}, expected {steps:?} after {}",
                    source.steps, network.layers[layer].name
                )));
            }
            match found.insert(layer, source.node) {
                None => open.push_back((layer, source.node)),
                Some(same) if same == source.node => {}
                Some(_) => {
                    let name = &network.layers[layer].name;
                    return Err(problem(format!("reads from another {name} than the layers before")));
                }
            }
        }
    }
    Ok(found)
}

/// What happens between two layers with weights, the last first.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Relu,
    MaxPool,
    AveragePool,
    Lrn,
}

/// A layer with weights that another reads from.
struct Source {
    node: usize,
    steps: Vec<Step>,
}

/// The layers of the table with weights that a blob comes from, in the order of its channels, and what happens between.
fn expected_sources(network: &Network, blob: BlobId) -> Vec<(usize, Vec<Step>)> {
    let mut writers: Vec<usize> =
        (0..network.layers.len()).filter(|&layer| network.layers[layer].output == blob).collect();
    writers.sort_by_key(|&layer| network.layers[layer].channel);
    let sources = |layer: usize| {
        let step = match network.layers[layer].op {
            Op::Convolution(_) => return vec![(layer, vec![Step::Relu])],
            Op::Classifier => return vec![(layer, vec![])],
            Op::MaxPool(_) => Step::MaxPool,
            Op::AveragePool => Step::AveragePool,
            Op::Lrn => Step::Lrn,
        };
        let mut before = expected_sources(network, network.layers[layer].input);
        before.iter_mut().for_each(|(_, steps)| steps.insert(0, step));
        before
    };
    writers.into_iter().flat_map(sources).collect()
}

/// That a node does what the layer does, as far as its weights do not say so.
fn check_operation(node: &Node, op: Op) -> Result<(), String> {
    let (expected, attributes): (_, &[(&str, usize, usize)]) = match op {
        // Name, default, and what it must be.
        Op::Convolution(w) => (
            "Conv",
            &[("strides", 1, w.stride), ("pads", 0, w.padding), ("dilations", 1, 1), ("group", 1, 1)],
        ),
        _ => ("Gemm", &[("transA", 0, 0)]),
    };
    if node.op != expected {
        return Err(format!("is of type {}, expected {expected}", node.op));
    }
    for &(name, default, expected) in attributes {
        let default = [default as i64];
        let found = node.attribute(name).map_or(&default[..], |attribute| &attribute.integers);
        if found.iter().any(|&number| number != expected as i64) {
            return Err(format!("has {name} {found:?}, expected {expected}"));
        }
    }
    for (name, expected) in [("alpha", 1.0), ("beta", 1.0)] {
        if let Some(found) =
            node.attribute(name).and_then(|attribute| attribute.float).filter(|&f| f != expected)
        {
            return Err(format!("has {name} {found}, expected {expected}"));
        }
    }
    Ok(())
}

/// A tensor's shape and its values.
type Array = (Vec<usize>, Vec<f32>);

/// Biases and weights of a node, the latter of this shape, of which the classifier's first number is yet to be seen.
fn parameters(graph: &Graph, node: &Node, op: Op, mut shape: Vec<usize>) -> Result<[Array; 2], String> {
    let tensor = |input: usize, what: &str| match node.input(input) {
        "" => Err(format!("has no {what}")),
        name => graph.tensor(name).ok_or_else(|| format!("its {what} \"{name}\" are not in the file")),
    };
    let (weight, bias) = (tensor(1, "weights")?, tensor(2, "biases")?);
    let in_tensor = |tensor: &Stored| {
        let name = tensor.name.to_string();
        move |problem| format!("tensor \"{name}\" {problem}")
    };
    let transposed = op == Op::Classifier && node.attribute("transB").is_none_or(|a| a.integers != [1]);
    if let (Op::Classifier, &[first, second]) = (op, &weight.shape[..]) {
        shape[0] = if transposed { second } else { first };
    }
    let weights = if transposed {
        let (classes, inputs) = (shape[0], shape[1]);
        let values = weight.values(&[inputs, classes]).map_err(in_tensor(weight))?;
        (0..classes * inputs).map(|i| values[i % inputs * classes + i / inputs]).collect()
    } else {
        weight.values(&shape).map_err(in_tensor(weight))?
    };
    let biases = bias.values(&shape[..1]).map_err(in_tensor(bias))?;
    Ok([(vec![shape[0]], biases), (shape, weights)])
}

/// A model's graph: all of it, but for the numbers, which stay where they are in the file.
struct Graph<'a> {
    nodes: Vec<Node<'a>>,
    /// The node that a value comes from.
    writers: HashMap<&'a str, usize>,
    tensors: HashMap<&'a str, Stored<'a>>,
}

struct Node<'a> {
    op: &'a str,
    inputs: Vec<&'a str>,
    /// Its first output: no node that may be here has two that matter.
    output: &'a str,
    attributes: Vec<Attribute<'a>>,
}

struct Attribute<'a> {
    name: &'a str,
    float: Option<f32>,
    integers: Vec<i64>,
    tensor: Option<&'a [u8]>,
}

/// A tensor before its numbers are read.
struct Stored<'a> {
    name: &'a str,
    message: &'a [u8],
    shape: Vec<usize>,
    kind: u64,
    /// Its numbers are in another file.
    external: bool,
}

impl<'a> Graph<'a> {
    fn read(model: &'a [u8]) -> Result<Graph<'a>, String> {
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
    fn tensor(&self, value: &'a str) -> Option<&Stored<'a>> {
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
    fn sources(&self, value: &'a str) -> Result<Vec<Source>, String> {
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
    fn input(&self, at: usize) -> &'a str {
        self.inputs.get(at).copied().unwrap_or_default()
    }

    fn attribute(&self, name: &str) -> Option<&Attribute<'a>> {
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
    fn values(&self, shape: &[usize]) -> Result<Vec<f32>, String> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::encode::{Attribute, Layer, Message, Node, Numbers, Onnx, ZOO, half_bits, layers};
    use crate::weights::tensor::tests::{expected, mangle};
    use proptest::prelude::*;

    fn message(bytes: &[u8]) -> String {
        tensors(bytes).expect_err("accepted")
    }

    #[test]
    fn every_way_to_write_a_network_is_read_bit_for_bit() {
        let layers = layers(1000);
        let expected = expected(&layers);
        let numbers = [
            Numbers::Raw,
            Numbers::Typed { packed: true },
            Numbers::Typed { packed: false },
            Numbers::RawDouble,
            Numbers::Double,
        ];
        for (i, numbers) in numbers.into_iter().enumerate() {
            let (constants, transposed, named) = (i % 2 == 1, i % 3 == 1, i % 4 < 2);
            let style = Onnx { numbers, constants, transposed, named };
            assert!(tensors(&style.file(&layers)).unwrap() == expected, "{style:?}");
        }
    }

    #[test]
    fn a_network_of_any_number_of_classes_is_read() {
        for classes in [1, 102, 1024, 1500] {
            let layers = layers(classes);
            for transposed in [false, true] {
                let style = Onnx { transposed, ..ZOO };
                assert!(tensors(&style.file(&layers)).unwrap() == expected(&layers), "{classes} {style:?}");
            }
        }
    }

    #[test]
    fn numbers_of_16_bits_are_read() {
        let mut layers = layers(5);
        for layer in &mut layers {
            for value in layer.weight.iter_mut().chain(&mut layer.bias) {
                *value = half(half_bits(*value));
            }
        }
        assert!(layers[0].weight.iter().any(|&value| value != 0.0));
        for numbers in [Numbers::RawHalf, Numbers::Half] {
            let style = Onnx { numbers, ..ZOO };
            assert!(tensors(&style.file(&layers)).unwrap() == expected(&layers), "{style:?}");
        }
    }

    #[test]
    fn nodes_may_come_in_any_order_with_what_changes_no_number_between() {
        let layers = layers(3);
        let file = ZOO.file_with(&layers, |nodes| {
            nodes.reverse();
            // The first layer's weights go through `Identity`, its output through `Cast`.
            let first =
                nodes.iter_mut().find(|node| node.op == "Conv" && node.inputs[0] == "data_0").unwrap();
            let weights = std::mem::replace(&mut first.inputs[1], "shared".into());
            let output = std::mem::replace(&mut first.output, "before".into());
            nodes.push(Node::new("Identity", vec![weights], "shared", vec![]));
            nodes.push(Node::new("Cast", vec!["before".into()], &output, vec![]));
        });
        assert!(tensors(&file).unwrap() == expected(&layers));
    }

    #[test]
    fn auxiliary_classifiers_are_left_out() {
        let mut layers = layers(3);
        let expected = expected(&layers);
        for name in ["loss1/fc", "loss1/classifier"] {
            layers.push(Layer {
                name: name.into(),
                shape: vec![2, 2],
                weight: vec![0.0; 4],
                bias: vec![0.0; 2],
            });
        }
        let add = |nodes: &mut Vec<Node>| {
            let pooled = nodes.iter().find(|node| node.output.starts_with("inception_4a/pool_")).unwrap();
            let (mut input, mut all) = (pooled.inputs[0].clone(), Vec::new());
            for name in ["loss1/fc", "loss1/classifier"] {
                let inputs = vec![input, format!("{name}_w_0"), format!("{name}_b_0")];
                all.push(Node::new("Gemm", inputs, name, vec![]));
                input = name.to_string();
            }
            all
        };
        for last in [false, true] {
            let file = ZOO.file_with(&layers, |nodes| {
                let auxiliary = add(nodes);
                let at = if last { nodes.len() } else { 0 };
                nodes.splice(at..at, auxiliary);
            });
            assert!(tensors(&file).unwrap() == expected, "{last}");
        }
    }

    /// Changes the nodes of a network, and what is then said of it.
    type Case = (fn(&mut Vec<Node>), &'static str);

    fn node<'a>(nodes: &'a mut [Node], name: &str) -> &'a mut Node {
        nodes.iter_mut().find(|node| node.inputs.iter().any(|i| *i == format!("{name}_w_0"))).unwrap()
    }

    #[test]
    fn another_network_is_refused_by_the_layer_that_differs() {
        let layers = layers(3);
        let cases: [Case; 14] = [
            (|nodes| nodes.retain(|node| node.op != "Gemm"), "no fully connected layer"),
            (
                |nodes| nodes.iter_mut().find(|n| n.op == "LRN").unwrap().op = "Identity",
                "layer conv2/3x3_reduce (node conv2/3x3_reduce_5) reads through [MaxPool, Relu], \
                 expected [Lrn, MaxPool, Relu] after conv1/7x7_s2",
            ),
            (
                |nodes| nodes.iter_mut().filter(|n| n.op == "Relu").for_each(|node| node.op = "Sigmoid"),
                "a node of type Sigmoid",
            ),
            (
                |nodes| nodes.iter_mut().find(|n| n.op == "Relu").unwrap().op = "BatchNormalization",
                "evaluation mode",
            ),
            (
                |nodes| nodes.iter_mut().find(|n| n.op == "Concat").unwrap().inputs.swap(0, 1),
                "what should be layer inception_3a/1x1 (node inception_3a/3x3_18) has pads [1, 1, 1, 1], expected 0",
            ),
            (
                |nodes| node(nodes, "inception_3a/1x1").inputs[1] = "inception_3b/1x1_w_0".into(),
                "tensor \"inception_3b/1x1_w_0\" has shape [128, 256, 1, 1], expected [64, 192, 1, 1]",
            ),
            (
                |nodes| drop(nodes.iter_mut().rfind(|n| n.op == "Concat").unwrap().inputs.pop()),
                "should be layer loss3/classifier (node loss3/classifier_142) reads from 3 convolutions, expected 4",
            ),
            (
                |nodes| node(nodes, "inception_4e/3x3").attributes = vec![],
                "layer inception_4e/3x3 (node inception_4e/3x3_103) has pads [0], expected 1",
            ),
            (
                |nodes| node(nodes, "conv1/7x7_s2").attributes.push(Attribute::Int("group", 3)),
                "has group [3], expected 1",
            ),
            (
                |nodes| node(nodes, "loss3/classifier").attributes.push(Attribute::Float("alpha", 0.5)),
                "has alpha 0.5, expected 1",
            ),
            (|nodes| drop(node(nodes, "inception_3a/5x5").inputs.pop()), "has no biases"),
            (
                |nodes| node(nodes, "inception_3a/5x5").inputs[1] = "elsewhere".into(),
                "its weights \"elsewhere\" are not in the file",
            ),
            (
                |nodes| {
                    // Two layers of the same shape change places for one reader only.
                    let other = node(nodes, "inception_5b/1x1").inputs[0].clone();
                    node(nodes, "inception_5b/pool_proj").inputs[0] = other;
                },
                "layer inception_5b/pool_proj (node inception_5b/pool_proj_136) reads through [Relu]",
            ),
            (
                |nodes| {
                    let again = nodes.last().unwrap().clone();
                    nodes.push(again);
                },
                "two nodes write the value \"prob_1\"",
            ),
        ];
        for (edit, expected) in cases {
            let message = message(&ZOO.file_with(&layers, edit));
            assert!(message.contains(expected), "expected \"{expected}\" in: {message}");
        }
    }

    #[test]
    fn a_graph_that_goes_round_or_branches_without_end_is_refused() {
        let layers = layers(3);
        let round = ZOO.file_with(&layers, |nodes| {
            let last = nodes.iter_mut().rfind(|node| node.op == "Dropout").unwrap();
            last.inputs[0] = last.output.clone();
        });
        assert!(message(&round).contains("more than 256 nodes"), "{}", message(&round));
        let branching = ZOO.file_with(&layers, |nodes| {
            let last = nodes.iter_mut().rfind(|node| node.op == "Dropout").unwrap();
            let mut input = std::mem::replace(&mut last.inputs[0], "doubled 0".into());
            for i in (0..60).rev() {
                let output = format!("doubled {i}");
                nodes.push(Node::new("Concat", vec![input.clone(), input], &output, vec![]));
                input = output;
            }
        });
        assert!(message(&branching).contains("more than 256 nodes"), "{}", message(&branching));
    }

    /// A model of one node and one tensor, which the classifier's are.
    fn model(node: &Message, tensor: &Message) -> Vec<u8> {
        let graph = Message::default().message(1, node).message(5, tensor);
        Message::default().varint(1, 3).message(7, &graph).0
    }

    #[test]
    fn a_length_of_2_to_the_60_is_refused_wherever_it_is_claimed() {
        const HUGE: u64 = 1 << 60;
        let none = Message::default();
        let claim = |field| Message::default().claim(field, HUGE);
        let cases = [
            ("the graph", none.clone().varint(1, 3).claim(7, HUGE).0),
            ("a node", Message::default().message(7, &claim(1)).0),
            ("a tensor", Message::default().message(7, &claim(5)).0),
            ("an input", model(&claim(1), &none)),
            ("an attribute", model(&claim(5), &none)),
            ("an attribute's tensor", model(&none.clone().message(5, &claim(5)), &none)),
            ("dimensions", model(&none, &claim(1))),
            ("raw numbers", model(&none, &claim(9))),
        ];
        for (what, bytes) in cases {
            assert!(
                message(&bytes).contains("claims 1152921504606846976 bytes of 0"),
                "{what}: {}",
                message(&bytes)
            );
        }
        // Dimensions that multiply to more than any machine has, in the one tensor that may have any number of rows.
        for (classes, transposed) in [(HUGE as usize, false), (HUGE as usize, true), (0, false)] {
            let mut layers = layers(1);
            layers.last_mut().unwrap().shape[0] = 1;
            let style = Onnx { transposed, ..ZOO };
            let bytes = style.file(&layers[..57]);
            let shape = if transposed { [1024, classes] } else { [classes, 1024] };
            let graph = Message::default()
                .message(5, &style.tensor(&shape, &[0.0; 1024]).bytes(8, "loss3/classifier_w_0"))
                .message(5, &style.tensor(&[1], &[0.0]).bytes(8, "loss3/classifier_b_0"));
            let bytes = [bytes, Message::default().message(7, &graph).0].concat();
            assert!(message(&bytes).contains("holds 1024 numbers"), "{}", message(&bytes));
        }
    }

    #[test]
    fn many_small_parts_are_refused_before_they_take_memory() {
        let none = Message::default();
        let mut graph = Message::default();
        for i in 0..=MAX_NODES {
            graph = graph.message(1, &none.clone().bytes(2, i.to_string()));
        }
        assert!(message(&Message::default().message(7, &graph).0).contains("more than 2000 nodes"));
        let mut graph = Message::default();
        for i in 0..=MAX_NODES {
            graph = graph.message(5, &none.clone().bytes(8, i.to_string()));
        }
        assert!(message(&Message::default().message(7, &graph).0).contains("more than 2000 tensors"));
        let node = (0..=MAX_PARTS).fold(none.clone(), |node, _| node.bytes(1, "x"));
        assert!(message(&model(&node, &none)).contains("more than 16 inputs"));
    }

    #[test]
    fn numbers_that_cannot_be_read_are_refused_by_name() {
        let layers = layers(2);
        let with = |tensor: Message| {
            let graph = Message::default().message(5, &tensor.bytes(8, "loss3/classifier_w_0"));
            let classifier = layers.last().unwrap();
            let bias = ZOO.tensor(&[2], &classifier.bias).bytes(8, "loss3/classifier_b_0");
            let graph = graph.message(5, &bias);
            message(&[ZOO.file(&layers[..57]), Message::default().message(7, &graph).0].concat())
        };
        let dims = || Message::default().packed(1, &[2, 1024]);
        let cases = [
            (
                dims().varint(2, 3).bytes(9, [0; 2048]),
                "is of data type 3 (whole numbers: a quantised network)",
            ),
            (dims().varint(2, 16).bytes(9, [0; 4096]), "(bfloat16)"),
            (dims().varint(2, 1).varint(14, 1), "in another file"),
            (dims().varint(2, 1).bytes(9, [0; 8191]), "8191 bytes of numbers of 4 bytes each"),
            (dims().varint(2, 1).bytes(9, [0; 8188]), "holds 2047 numbers"),
            (dims().varint(2, 1), "holds 0 numbers"),
            (Message::default().packed(1, &[2, 512]).varint(2, 1), "has shape [2, 512], expected [2, 1024]"),
            (Message::default().varint(2, 1), "has shape [], expected [1000, 1024]"),
        ];
        for (tensor, expected) in cases {
            let message = with(tensor);
            assert!(message.contains(expected), "expected \"{expected}\" in: {message}");
            assert!(message.contains("layer loss3/classifier"), "{message}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// Cut anywhere, and flipped where it is not only numbers: read or refused, never more.
        #[test]
        fn damaged_files_are_refused_or_read(damage in mangle()) {
            static FILE: std::sync::OnceLock<(Vec<u8>, Vec<usize>)> = std::sync::OnceLock::new();
            let (file, places) = FILE.get_or_init(|| {
                let file = ZOO.file(&layers(2));
                let places = crate::weights::tensor::tests::structure(&file);
                (file, places)
            });
            let (bytes, cut) = damage.apply(file, places);
            let read = tensors(&bytes);
            prop_assert!(!cut || read.is_err());
        }
    }
}

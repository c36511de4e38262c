//! A reader for ONNX models: the model zoo's GoogLeNet, PyTorch's export of torchvision's, and
//! exports of other programs.
//!
//! Exporters choose the names of tensors and the order of nodes freely. The reader therefore
//! identifies the layers by their operations: it follows the graph and the table side by side from
//! the classifier back to the input, and requires each convolution of the table at the same point
//! of the graph.
//!
//! The field numbers are those of `onnx.proto`.

mod graph;

use std::collections::{HashMap, VecDeque};

use super::layout::check_classes;
use super::tensor::Tensor;
use super::torchvision;
use crate::memory::room;
use crate::network::{BlobId, CLASSES, Network, Op};
use crate::text::shown;
use graph::{Graph, Node, Step, StoredTensor};

/// Reads the tensors of a GoogLeNet with any number of classes, in the order of the table, each
/// layer's bias before its weight.
///
/// # Errors
/// If the bytes are not a complete ONNX model, or hold another network. The message names the
/// layer, and what was found and expected.
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
        let problem =
            |problem: String| format!("layer {} (node {}): {problem}", layer.name, shown(node.output));
        let [bias, mut weight] = parameters(&graph, node, layer.op, shape).map_err(problem)?;
        if layer.input == BlobId::IMAGE && !is_bvlcs {
            // `transform_input` is exported with a concatenation of the channels at its end.
            let before = graph.writers.get(node.input(0)).map(|&before| graph.nodes[before].op);
            if before != Some("Concat") {
                return Err("is torchvision's googlenet for another preparation of pictures than the published one, expected \
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

/// Finds the node of each layer with weights.
fn find_layers(network: &Network, graph: &Graph) -> Result<HashMap<usize, usize>, String> {
    let classifier = network.layers.iter().position(|layer| layer.op == Op::Classifier);
    let classifier = classifier.expect("a network has a classifier");
    let candidates = (0..graph.nodes.len()).filter(|&node| graph.nodes[node].op == "Gemm");
    // A network exported for training also has the auxiliary classifiers. The main classifier comes
    // last.
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

/// Follows graph and table back from the classifier, assuming that `node` is the classifier.
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
            let node = shown(node.output);
            format!("not GoogLeNet: what should be layer {} (node {node}) {problem}", layer.name)
        };
        check_operation(node, layer.op).map_err(problem)?;
        // The nodes before the first layer prepare the picture and are not compared.
        if layer.input == BlobId::IMAGE {
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

/// The layers with weights from which a blob of the table is computed, in the order of its
/// channels, each with the steps between.
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

/// Checks that a node performs the operation of a layer, as far as its weights do not imply it.
fn check_operation(node: &Node, op: Op) -> Result<(), String> {
    let (expected, attributes): (_, &[(&str, usize, usize)]) = match op {
        // Name, default and required value.
        Op::Convolution(w) => (
            "Conv",
            &[("strides", 1, w.stride), ("pads", 0, w.padding), ("dilations", 1, 1), ("group", 1, 1)],
        ),
        _ => ("Gemm", &[("transA", 0, 0)]),
    };
    if node.op != expected {
        return Err(format!("is of type {}, expected {expected}", shown(node.op)));
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

/// The shape and the values of a tensor.
type ShapedValues = (Vec<usize>, Vec<f32>);

/// Reads the biases and weights of a node. The weights must have this shape, except for the
/// classifier's first dimension, which is taken from the file.
fn parameters(
    graph: &Graph,
    node: &Node,
    op: Op,
    mut shape: Vec<usize>,
) -> Result<[ShapedValues; 2], String> {
    let tensor = |input: usize, what: &str| match node.input(input) {
        "" => Err(format!("has no {what}")),
        name => {
            graph.tensor(name).ok_or_else(|| format!("its {what} \"{}\" are not in the file", shown(name)))
        }
    };
    let (weight, bias) = (tensor(1, "weights")?, tensor(2, "biases")?);
    let in_tensor = |tensor: &StoredTensor| {
        let name = shown(tensor.name).into_owned();
        move |problem| format!("tensor \"{name}\" {problem}")
    };
    let transposed = op == Op::Classifier && node.attribute("transB").is_none_or(|a| a.integers != [1]);
    if let (Op::Classifier, &[first, second]) = (op, &weight.shape[..]) {
        shape[0] = if transposed { second } else { first };
        check_classes(&shown(weight.name), shape[0])?;
    }
    let weights = if transposed {
        let (classes, inputs) = (shape[0], shape[1]);
        let values = weight.values(&[inputs, classes]).map_err(in_tensor(weight))?;
        let mut turned = room(values.len()).map_err(in_tensor(weight))?;
        turned.extend((0..classes * inputs).map(|i| values[i % inputs * classes + i / inputs]));
        turned
    } else {
        weight.values(&shape).map_err(in_tensor(weight))?
    };
    let biases = bias.values(&shape[..1]).map_err(in_tensor(bias))?;
    Ok([(vec![shape[0]], biases), (shape, weights)])
}

#[cfg(test)]
mod tests;

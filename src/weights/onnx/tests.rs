use super::graph::{MAX_NODES, MAX_PARTS};
use super::*;
use crate::weights::encode::{Attribute, Layer, Message, Node, Numbers, Onnx, ZOO, half_bits, layers};
use crate::weights::number::half;
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
    let of = |narrowed: fn(f32) -> f32| {
        let mut layers = layers(5);
        for layer in &mut layers {
            layer.weight.iter_mut().chain(&mut layer.bias).for_each(|value| *value = narrowed(*value));
        }
        assert!(layers[0].weight.iter().any(|&value| value != 0.0));
        layers
    };
    let half_layers = of(|value| half(half_bits(value)));
    let bfloat_layers = of(|value| f32::from_bits(value.to_bits() & 0xffff_0000));
    for (numbers, layers) in [
        (Numbers::RawHalf, &half_layers),
        (Numbers::Half, &half_layers),
        (Numbers::RawBfloat, &bfloat_layers),
        (Numbers::Bfloat, &bfloat_layers),
    ] {
        let style = Onnx { numbers, ..ZOO };
        assert!(tensors(&style.file(layers)).unwrap() == expected(layers), "{style:?}");
    }
}

#[test]
fn nodes_may_come_in_any_order_with_what_changes_no_number_between() {
    let layers = layers(3);
    let file = ZOO.file_with(&layers, |nodes| {
        nodes.reverse();
        // The first layer's weights go through `Identity`, its output through `Cast`.
        let first = nodes.iter_mut().find(|node| node.op == "Conv" && node.inputs[0] == "data_0").unwrap();
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
        layers.push(Layer { name: name.into(), shape: vec![2, 2], weight: vec![0.0; 4], bias: vec![0.0; 2] });
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

/// An edit of the nodes of a network, and a part of the resulting message.
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
                // Two layers of the same shape are swapped for one reader only.
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

/// A model of one node and one tensor.
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
    // Dimensions with a product beyond any memory, in the one tensor with a variable number of
    // rows.
    let many = "is for 1152921504606846976 classes, expected 1 to 32768";
    for (classes, transposed, expected) in [
        (HUGE as usize, false, many),
        (HUGE as usize, true, many),
        (0, false, "is for 0 classes"),
        (32768, false, "holds 1024 numbers"),
        (32768, true, "holds 1024 numbers"),
    ] {
        let mut layers = layers(1);
        layers.last_mut().unwrap().shape[0] = 1;
        let style = Onnx { transposed, ..ZOO };
        let bytes = style.file(&layers[..57]);
        let shape = if transposed { [1024, classes] } else { [classes, 1024] };
        let graph = Message::default()
            .message(5, &style.tensor(&shape, &[0.0; 1024]).bytes(8, "loss3/classifier_w_0"))
            .message(5, &style.tensor(&[1], &[0.0]).bytes(8, "loss3/classifier_b_0"));
        let bytes = [bytes, Message::default().message(7, &graph).0].concat();
        assert!(message(&bytes).contains(expected), "{}", message(&bytes));
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
        (dims().varint(2, 3).bytes(9, [0; 2048]), "is of data type 3 (whole numbers: a quantised network)"),
        (dims().varint(2, 17).bytes(9, [0; 2048]), "is of data type 17, expected 1 (f32), 10 (f16)"),
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

    /// Files that are truncated anywhere or have flipped bits outside long runs are read or
    /// refused; nothing panics.
    #[test]
    fn damaged_files_are_refused_or_read(damage in mangle()) {
        static FILE: std::sync::OnceLock<(Vec<u8>, Vec<usize>)> = std::sync::OnceLock::new();
        let (file, positions) = FILE.get_or_init(|| {
            let file = ZOO.file(&layers(2));
            let positions = crate::weights::tensor::tests::structure(&file);
            (file, positions)
        });
        let (bytes, cut) = damage.apply(file, positions);
        let read = tensors(&bytes);
        prop_assert!(!cut || read.is_err());
    }
}

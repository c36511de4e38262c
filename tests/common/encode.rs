//! Writes networks in the formats of Caffe and ONNX, for the unit tests of the readers and for the
//! tests of the command.

use std::collections::HashMap;

use occlude::Weights;
use occlude::network::{BlobId, Network, Op};

/// A message in the wire format of protocol buffers.
#[derive(Clone, Default)]
pub struct Message(pub Vec<u8>);

impl Message {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn key(&mut self, field: u64, wire: u64) {
        self.number(field << 3 | wire);
    }

    pub fn varint(mut self, field: u64, number: u64) -> Message {
        self.key(field, 0);
        self.number(number);
        self
    }

    pub fn bytes(mut self, field: u64, bytes: impl AsRef<[u8]>) -> Message {
        self.key(field, 2);
        self.number(bytes.as_ref().len() as u64);
        self.0.extend(bytes.as_ref());
        self
    }

    pub fn message(self, field: u64, message: &Message) -> Message {
        self.bytes(field, &message.0)
    }

    /// A field that claims `length` bytes but contains none.
    pub fn claim(mut self, field: u64, length: u64) -> Message {
        self.key(field, 2);
        self.number(length);
        self
    }

    pub fn fixed32(mut self, field: u64, number: f32) -> Message {
        self.key(field, 5);
        self.0.extend(number.to_le_bytes());
        self
    }

    pub fn fixed64(mut self, field: u64, number: f64) -> Message {
        self.key(field, 1);
        self.0.extend(number.to_le_bytes());
        self
    }

    pub fn packed(self, field: u64, numbers: &[usize]) -> Message {
        let mut packed = Message::default();
        numbers.iter().for_each(|&number| packed.number(number as u64));
        self.message(field, &packed)
    }

    /// Numbers of 16 bits as ONNX's `raw_data`.
    fn raw_words(self, values: &[f32], bits: fn(f32) -> u16) -> Message {
        self.bytes(9, values.iter().flat_map(|value| bits(*value).to_le_bytes()).collect::<Vec<_>>())
    }

    /// Numbers of 16 bits as ONNX's `int32_data`.
    fn words(self, values: &[f32], bits: fn(f32) -> u16) -> Message {
        self.packed(5, &values.iter().map(|value| bits(*value).into()).collect::<Vec<_>>())
    }

    /// A repeated `float` field, or the same values as a `double` field.
    fn floats(self, field: u64, double: bool, packed: bool, values: &[f32]) -> Message {
        match (packed, double) {
            (true, false) => self.bytes(field, little_endian(values)),
            (true, true) => {
                let bytes = |&value: &f32| f64::from(value).to_le_bytes();
                self.bytes(field, values.iter().flat_map(bytes).collect::<Vec<u8>>())
            }
            (false, false) => values.iter().fold(self, |message, &value| message.fixed32(field, value)),
            (false, true) => values.iter().fold(self, |message, &value| message.fixed64(field, value.into())),
        }
    }
}

fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A layer with weights.
#[derive(Clone)]
pub struct Layer {
    pub name: String,
    /// The shape of `weight`.
    pub shape: Vec<usize>,
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// The layers of the table, with these weights.
pub fn layers_of(weights: &Weights) -> Vec<Layer> {
    let network = weights.network();
    let of = |layer: &occlude::network::Layer| {
        Some(Layer {
            name: layer.name.clone(),
            shape: network.weight_shape(layer)?,
            weight: weights.weight(&layer.name).to_vec(),
            bias: weights.bias(&layer.name).to_vec(),
        })
    };
    network.layers.iter().filter_map(of).collect()
}

/// The layers of the random network. Its classifier is cut off or repeated to this number of
/// classes.
pub fn layers(classes: usize) -> Vec<Layer> {
    let mut layers = layers_of(&Weights::seeded(1));
    let classifier = layers.last_mut().unwrap();
    classifier.shape[0] = classes;
    classifier.weight = classifier.weight.iter().copied().cycle().take(classes * 1024).collect();
    classifier.bias = classifier.bias.iter().copied().cycle().take(classes).collect();
    layers
}

/// A variant of the caffemodel format.
#[derive(Clone, Copy, Debug)]
pub struct Caffe {
    /// Uses `layers` instead of `layer`.
    pub old_layers: bool,
    /// Uses `num`, `channels`, `height` and `width` instead of `shape`.
    pub legacy_shapes: bool,
    pub packed: bool,
    pub double: bool,
}

/// The variant of the published file.
pub const PUBLISHED: Caffe = Caffe { old_layers: true, legacy_shapes: true, packed: true, double: false };

impl Caffe {
    pub fn file(&self, layers: &[Layer]) -> Vec<u8> {
        let mut net = Message::default().bytes(1, "GoogleNet");
        for layer in layers {
            net = self.add(net, layer);
            net = self.add_without_blobs(net, "relu");
        }
        net.0
    }

    pub fn blob(&self, shape: &[usize], values: &[f32]) -> Message {
        let mut blob = Message::default();
        if self.legacy_shapes {
            for field in 1..=4 {
                let at = (field + shape.len()).checked_sub(5);
                blob = blob.varint(field as u64, at.map_or(1, |at| shape[at]) as u64);
            }
        } else {
            blob = blob.message(7, &Message::default().packed(1, shape));
        }
        blob.floats(if self.double { 8 } else { 5 }, self.double, self.packed, values)
    }

    /// Appends a layer to a network.
    pub fn add(&self, net: Message, layer: &Layer) -> Message {
        let blobs = [self.blob(&layer.shape, &layer.weight), self.blob(&layer.bias_shape(), &layer.bias)];
        self.add_with(net, &layer.name, layer.shape.len() == 2, &blobs)
    }

    pub fn add_with(&self, net: Message, name: &str, fully_connected: bool, blobs: &[Message]) -> Message {
        let (field, mut message, blobs_field) = if self.old_layers {
            let kind = if fully_connected { 14 } else { 4 };
            (2, Message::default().bytes(2, "below").bytes(4, name).varint(5, kind), 6)
        } else {
            let kind = if fully_connected { "InnerProduct" } else { "Convolution" };
            (100, Message::default().bytes(1, name).bytes(2, kind).bytes(3, "below"), 7)
        };
        for blob in blobs {
            message = message.message(blobs_field, blob);
        }
        net.message(field, &message)
    }

    fn add_without_blobs(&self, net: Message, name: &str) -> Message {
        self.add_with(net, name, false, &[])
    }
}

impl Layer {
    fn bias_shape(&self) -> [usize; 1] {
        [self.shape[0]]
    }
}

/// The way in which an ONNX tensor stores its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Numbers {
    Raw,
    Typed {
        packed: bool,
    },
    RawDouble,
    Double,
    /// Rounded to 16 bits. The tests' values must be such numbers already.
    RawHalf,
    Half,
    RawBfloat,
    Bfloat,
}

/// A variant of the ONNX format.
#[derive(Clone, Copy, Debug)]
pub struct Onnx {
    pub numbers: Numbers,
    /// Writes weights as `Constant` nodes instead of initializers.
    pub constants: bool,
    /// Writes the classifier's weights as `[in, out]`.
    pub transposed: bool,
    /// The names of values contain the layers' names, as in the published file. Otherwise all names
    /// are numbers.
    pub named: bool,
}

/// The variant of the published file.
pub const ZOO: Onnx = Onnx { numbers: Numbers::Raw, constants: false, transposed: false, named: true };

/// A node: its type, inputs, output and attributes.
#[derive(Clone, Debug)]
pub struct Node {
    pub op: &'static str,
    pub inputs: Vec<String>,
    pub output: String,
    pub attributes: Vec<Attribute>,
}

#[derive(Clone, Debug)]
pub enum Attribute {
    Int(&'static str, u64),
    Float(&'static str, f32),
    Ints(&'static str, Vec<usize>),
}

impl Onnx {
    pub fn file(&self, layers: &[Layer]) -> Vec<u8> {
        self.file_with(layers, |_| {})
    }

    /// The file of the model after `edit` has changed its nodes.
    pub fn file_with(&self, layers: &[Layer], edit: impl FnOnce(&mut Vec<Node>)) -> Vec<u8> {
        let mut nodes = self.nodes();
        edit(&mut nodes);
        let mut graph = Message::default();
        let mut tensors = Vec::new();
        for layer in layers {
            let (mut shape, mut weight) = (layer.shape.clone(), layer.weight.clone());
            if let (true, &[outputs, inputs]) = (self.transposed, &shape[..]) {
                weight =
                    (0..weight.len()).map(|i| layer.weight[i % outputs * inputs + i / outputs]).collect();
                shape = vec![inputs, outputs];
            }
            tensors.push((self.name(&layer.name, "w"), self.tensor(&shape, &weight)));
            tensors.push((self.name(&layer.name, "b"), self.tensor(&[layer.shape[0]], &layer.bias)));
        }
        if self.constants {
            for (name, tensor) in &tensors {
                let value = Message::default().bytes(1, "value").message(5, tensor).varint(20, 4);
                graph = graph
                    .message(1, &Message::default().bytes(2, name).bytes(4, "Constant").message(5, &value));
            }
        }
        for node in &nodes {
            graph = graph.message(1, &node.message());
        }
        graph = graph.bytes(2, "GoogleNet");
        if !self.constants {
            for (name, tensor) in tensors {
                graph = graph.message(5, &tensor.bytes(8, name));
            }
        }
        let model = Message::default().varint(1, 3).bytes(2, "caffe2").message(7, &graph);
        model.message(8, &Message::default().bytes(1, "").varint(2, 9)).0
    }

    fn name(&self, layer: &str, part: &str) -> String {
        if self.named {
            return format!("{layer}_{part}_0");
        }
        let network = Network::googlenet();
        let at = network.layers.iter().position(|l| l.name == layer).unwrap();
        format!("{}", 1000 + 2 * at + usize::from(part == "b"))
    }

    pub fn tensor(&self, shape: &[usize], values: &[f32]) -> Message {
        let dims = shape.iter().fold(Message::default(), |tensor, &size| tensor.varint(1, size as u64));
        match self.numbers {
            Numbers::Raw => dims.varint(2, 1).bytes(9, little_endian(values)),
            Numbers::Typed { packed } => dims.varint(2, 1).floats(4, false, packed, values),
            Numbers::RawDouble => dims.varint(2, 11).floats(9, true, true, values),
            Numbers::Double => dims.varint(2, 11).floats(10, true, true, values),
            Numbers::RawHalf => dims.varint(2, 10).raw_words(values, half_bits),
            Numbers::Half => dims.varint(2, 10).words(values, half_bits),
            Numbers::RawBfloat => dims.varint(2, 16).raw_words(values, bfloat_bits),
            Numbers::Bfloat => dims.varint(2, 16).words(values, bfloat_bits),
        }
    }

    /// The graph of the table, in the form of the model zoo: an inception block ends in a `Concat`.
    pub fn nodes(&self) -> Vec<Node> {
        let network = Network::googlenet();
        let mut nodes = Vec::new();
        // The name of the value that contains each blob.
        let mut values = HashMap::from([(BlobId::IMAGE, "data_0".to_string())]);
        let mut counter = 0;
        let mut fresh = |layer: &str| {
            counter += 1;
            if self.named { format!("{layer}_{counter}") } else { format!("{counter}") }
        };
        let mut branches: HashMap<BlobId, Vec<(usize, String)>> = HashMap::new();
        for layer in &network.layers {
            let input = values.entry(layer.input).or_insert_with(|| {
                let mut parts = branches.remove(&layer.input).unwrap();
                parts.sort();
                let output = fresh("concat");
                let inputs = parts.into_iter().map(|(_, value)| value).collect();
                nodes.push(Node::new("Concat", inputs, &output, vec![Attribute::Int("axis", 1)]));
                output
            });
            let input = input.clone();
            let output = fresh(&layer.name);
            let parameters =
                |input: String| vec![input, self.name(&layer.name, "w"), self.name(&layer.name, "b")];
            let square = |w: occlude::network::geometry::Window| {
                vec![
                    Attribute::Ints("kernel_shape", vec![w.size; 2]),
                    Attribute::Ints("strides", vec![w.stride; 2]),
                    Attribute::Ints("pads", vec![w.padding; 4]),
                ]
            };
            let result = match layer.op {
                Op::Convolution(window) => {
                    nodes.push(Node::new("Conv", parameters(input), &output, square(window)));
                    let active = fresh(&layer.name);
                    nodes.push(Node::new("Relu", vec![output], &active, vec![]));
                    active
                }
                Op::MaxPool(window) => {
                    nodes.push(Node::new("MaxPool", vec![input], &output, square(window)));
                    output
                }
                Op::Lrn => {
                    nodes.push(Node::new("LRN", vec![input], &output, vec![Attribute::Int("size", 5)]));
                    output
                }
                Op::AveragePool => {
                    nodes.push(Node::new("AveragePool", vec![input], &output, vec![]));
                    let dropped = fresh("drop");
                    nodes.push(Node::new("Dropout", vec![output], &dropped, vec![]));
                    let flat = fresh("flat");
                    nodes.push(Node::new("Reshape", vec![dropped, "OC2_DUMMY_1".into()], &flat, vec![]));
                    flat
                }
                Op::Classifier => {
                    let options = vec![Attribute::Int("transB", u64::from(!self.transposed))];
                    nodes.push(Node::new("Gemm", parameters(input), &output, options));
                    nodes.push(Node::new("Softmax", vec![output.clone()], "prob_1", vec![]));
                    output
                }
                #[allow(unreachable_patterns, reason = "seen from outside the crate, there may come more")]
                _ => unreachable!("no other layers are in the table"),
            };
            let blob = &network.blobs[layer.output];
            if blob.channels == layer.channels {
                values.insert(layer.output, result);
            } else {
                branches.entry(layer.output).or_default().push((layer.channel, result));
            }
        }
        nodes
    }
}

impl Node {
    pub fn new(op: &'static str, inputs: Vec<String>, output: &str, attributes: Vec<Attribute>) -> Node {
        Node { op, inputs, output: output.to_string(), attributes }
    }

    fn message(&self) -> Message {
        let node = self.inputs.iter().fold(Message::default(), |node, input| node.bytes(1, input));
        let node = node.bytes(2, &self.output).bytes(4, self.op);
        self.attributes.iter().fold(node, |node, attribute| {
            let attribute = match attribute {
                Attribute::Int(name, number) => {
                    Message::default().bytes(1, name).varint(3, *number).varint(20, 2)
                }
                Attribute::Float(name, number) => {
                    Message::default().bytes(1, name).fixed32(2, *number).varint(20, 1)
                }
                Attribute::Ints(name, numbers) => {
                    let named = Message::default().bytes(1, name);
                    numbers.iter().fold(named, |m, &number| m.varint(8, number as u64)).varint(20, 7)
                }
            };
            node.message(5, &attribute)
        })
    }
}

/// The nearest 16-bit value, rounded towards zero, for a value in its normal range. Smaller values
/// become zero.
pub fn half_bits(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    match (bits >> 13 & 0x3_ffff).checked_sub(112 << 10) {
        Some(magnitude) if magnitude >= 1 << 10 => sign | magnitude as u16,
        _ => sign,
    }
}

/// A number as BF16: its upper half, without rounding.
fn bfloat_bits(value: f32) -> u16 {
    (value.to_bits() >> 16) as u16
}

//! The weights of a network: the forms of file that hold them, and the checks before a number of them is used.
//!
//! Each form of file has a module below, which makes tensors of bytes. Here their names and shapes are compared with the
//! network's table, and they are kept as they are: how the kernels want them packed is not known here.

mod caffemodel;
#[cfg(test)]
#[path = "../../tests/common/encode.rs"]
mod encode;
mod form;
mod locate;
mod number;
mod onnx;
#[cfg(feature = "pth")]
mod pickle;
mod protobuf;
#[cfg(feature = "pth")]
mod pth;
mod safetensors;
mod seeded;
mod tensor;
mod torchvision;

pub use form::Form;
pub use locate::{BUILTIN_NAME, FILE_NAME, Source, cache_file, find};
pub(crate) use seeded::splitmix64;
pub(crate) use tensor::Tensor;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::error::{Error, Result};
use crate::network::labels::Labels;
use crate::network::{CLASSES, FIRST_CHANNELS, MAX_CLASSES, Network, is_width};

/// A network of [`MAX_CLASSES`] with the auxiliary classifiers has fewer bytes.
const MAX_SIZE: u64 = 1 << 28;

/// The file of the built-in network: a safetensors file with numbers of 16 bits, which `weights/README.md` describes.
#[cfg(feature = "builtin")]
pub const BUILTIN: &[u8] = include_bytes!("../../weights/builtin.safetensors");

/// The weights of a network: every tensor of its table, each with its right shape, every value finite.
///
/// ```
/// use occlude::Weights;
///
/// // `Weights::load("bvlc_googlenet.safetensors")?` reads the published ones.
/// let weights = Weights::seeded(1);
/// assert_eq!(weights.weight("conv1/7x7_s2").len(), 64 * 3 * 7 * 7);
/// let parameters: usize = weights.tensors().map(|(_, _, values)| values.len()).sum();
/// assert_eq!(parameters, 6_998_552);
/// ```
#[derive(Clone, Debug)]
pub struct Weights {
    network: Network,
    name: String,
    labels: Option<Labels>,
    /// The values of each tensor by its name, `<layer>.weight` or `<layer>.bias`.
    tensors: HashMap<String, Vec<f32>>,
}

/// Keys of a safetensors file's metadata, which say what tensors do not.
pub mod metadata {
    /// The network's name, a line of text.
    pub const NETWORK: &str = "network";
    /// The names of the classes, a line each, as a file of labels has them.
    pub const LABELS: &str = "labels";
    /// Of a network in torchvision's form: "true" if its pictures are prepared by `transform_input`, "false" if not.
    pub const TRANSFORM_INPUT: &str = "transform_input";
}

impl Weights {
    /// The network inside this program: torchvision's topology at half its width, trained by this project on 30 classes of
    /// everyday things. `weights/README.md` says how well it does.
    #[cfg(feature = "builtin")]
    pub fn builtin() -> Weights {
        Weights::from_bytes("the built-in network", BUILTIN).expect("a test reads this build's own file")
    }

    /// Reads a weights file of any [`Form`], which its first bytes tell.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read, [`Error::Weights`] when it is not this network's: see
    /// [`Weights::from_reader`].
    pub fn load(path: impl AsRef<Path>) -> Result<Weights> {
        let path = path.as_ref();
        let (file, size) = open(path)?;
        Weights::from_reader(&path.to_string_lossy(), size, file, None)
    }

    /// Reads the bytes of a weights file; `name` serves only for messages.
    ///
    /// # Errors
    /// [`Error::Weights`]: see [`Weights::from_reader`].
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Weights> {
        Weights::from_reader(name, bytes.len() as u64, bytes, None)
    }

    /// Reads a weights file of `size` bytes from a stream, from start to end, once; `name` serves only for messages.
    /// Of a safetensors file, no tensor is read before the header is known to describe exactly this network.
    ///
    /// `transform_input` says how the pictures of a network in torchvision's form were prepared in training: `Some(true)` as
    /// for the published one (`x / 127.5 - 1`), `Some(false)` as torchvision's other networks' (minus ImageNet's mean, divided
    /// by its standard deviation). `None` takes what the file's metadata says, else `true`.
    ///
    /// # Errors
    /// [`Error::Weights`] when the bytes are not a whole file of one of the forms, when a tensor is missing, unknown, or of
    /// another shape than the table's, when its numbers are not floats of 16, 32 or 64 bits, when a value is infinite or NaN,
    /// or when `transform_input` is given for another network than torchvision's or contradicts a converted file.
    /// [`Error::Io`] when the stream fails.
    pub fn from_reader(
        name: &str,
        size: u64,
        mut reader: impl Read,
        transform_input: Option<bool>,
    ) -> Result<Weights> {
        let refuse = |problem: String| Error::Weights { name: name.to_string(), problem };
        let failed = |source| Error::Io { path: name.into(), action: "read", source };
        if size > MAX_SIZE {
            return Err(refuse(format!("not a GoogLeNet: {size} bytes, expected at most {MAX_SIZE}")));
        }
        let mut head = Vec::new();
        (&mut reader).take(size.min(form::HEAD)).read_to_end(&mut head).map_err(failed)?;
        let read_tensors = match Form::of(&head).map_err(refuse)? {
            Form::Safetensors => {
                return Weights::from_safetensors(name, size, &mut head.chain(reader), transform_input);
            }
            Form::Caffemodel => caffemodel::tensors,
            Form::Onnx => onnx::tensors,
            #[cfg(feature = "pth")]
            Form::Pth => pth::tensors,
            #[cfg(not(feature = "pth"))]
            Form::Pth => return Err(refuse(form::NO_PTH.to_string())),
        };
        let mut bytes = head;
        reader.take(size - bytes.len() as u64).read_to_end(&mut bytes).map_err(failed)?;
        let mut tensors = read_tensors(&bytes).map_err(refuse)?;
        drop(bytes);
        tensors.retain_mut(|tensor| match used_name(&tensor.name) {
            Some(name) => {
                tensor.name = name;
                true
            }
            None => false,
        });
        let shapes = tensors.iter().map(|tensor| (tensor.name.clone(), tensor.shape.clone())).collect();
        let layout = Layout::of(shapes).map_err(refuse)?;
        Weights::new(layout, tensors, &HashMap::new(), transform_input).map_err(refuse)
    }

    fn from_safetensors(
        name: &str,
        size: u64,
        reader: &mut dyn Read,
        transform_input: Option<bool>,
    ) -> Result<Weights> {
        let refuse = |problem: String| Error::Weights { name: name.to_string(), problem };
        let header = safetensors::read_header(name, size, reader)?;
        let used = || header.entries.iter().filter_map(|entry| Some((used_name(&entry.name)?, entry)));
        let layout = Layout::of(used().map(|(name, entry)| (name, entry.shape.clone())).collect());
        let layout = layout.map_err(refuse)?;
        safetensors::check_types(used().map(|(_, entry)| entry)).map_err(refuse)?;
        let tensors = safetensors::read_tensors(name, size, reader, header.entries, used_name)?;
        Weights::new(layout, tensors, &header.metadata, transform_input).map_err(refuse)
    }

    /// Takes tensors whose names and shapes are the layout's.
    fn new(
        layout: Layout,
        tensors: Vec<Tensor>,
        metadata: &HashMap<String, String>,
        transform_input: Option<bool>,
    ) -> std::result::Result<Weights, String> {
        let mut network = layout.network;
        if let Some(problem) = tensors.iter().filter_map(not_finite).min() {
            return Err(problem);
        }
        let in_file = match metadata.get(metadata::TRANSFORM_INPUT).map(String::as_str) {
            None => None,
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(other) => {
                return Err(format!("has transform_input {other:?} in its metadata, expected true or false"));
            }
        };
        let tensors = match (torchvision::is_table(&network), layout.is_state_dict) {
            (false, _) if transform_input.is_some() => {
                return Err(format!(
                    "is {}, whose pictures are never prepared by transform_input; leave that option out",
                    network.name
                ));
            }
            (false, _) => tensors,
            (true, false) => {
                let asked = transform_input.or(in_file).unwrap_or(true);
                if asked != in_file.unwrap_or(true) {
                    let said = if asked { "off" } else { "on" };
                    return Err(format!(
                        "has transform_input {said} in its first layer; to change that, convert the original file again"
                    ));
                }
                torchvision::prepare_input(&mut network, asked);
                tensors
            }
            (true, true) => {
                torchvision::prepare_input(&mut network, transform_input.or(in_file).unwrap_or(true));
                let folded = torchvision::fold(&network, tensors)?;
                if let Some(problem) = folded.iter().filter_map(not_finite).min() {
                    return Err(problem);
                }
                folded
            }
        };
        let labels = match metadata.get(metadata::LABELS) {
            None => None,
            Some(lines) => Some(labels(lines, network.classes())?),
        };
        let name = metadata.get(metadata::NETWORK).cloned().unwrap_or_else(|| network.name.clone());
        if name.len() > 80 || name.chars().any(char::is_control) {
            return Err("has a network's name in its metadata that is not one short line".to_string());
        }
        let tensors = tensors.into_iter().map(|tensor| (tensor.name, tensor.values)).collect();
        Ok(Weights { network, name, labels, tensors })
    }

    /// The table of layers that these are the weights of.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The network's name: what the file's metadata says, else its table's, for example "BVLC GoogLeNet".
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of the classes: what the file's metadata says, else ImageNet's for 1000 classes, else numbers.
    pub fn labels(&self) -> Labels {
        self.labels.clone().unwrap_or_else(|| Labels::of_classes(self.network.classes()))
    }

    /// The same weights with other names of the classes.
    ///
    /// # Errors
    /// [`Error::Labels`] when there are more or fewer than classes.
    pub fn with_labels(self, labels: Labels) -> Result<Weights> {
        let (found, classes) = (labels.count(), self.network.classes());
        if found != classes {
            let problem =
                format!("has {found} names, expected one for each of the network's {classes} classes");
            return Err(Error::Labels { name: "the labels".to_string(), problem });
        }
        Ok(Weights { labels: Some(labels), ..self })
    }

    /// True if a network in torchvision's form expects pictures prepared with `transform_input`, false if without; `None` for
    /// Berkeley's.
    pub fn transform_input(&self) -> Option<bool> {
        torchvision::is_table(&self.network).then(|| torchvision::has_transform_input(&self.network))
    }

    /// The metadata of a safetensors file of these weights: the network's name, `transform_input` and the labels.
    pub fn metadata(&self) -> Vec<(&'static str, String)> {
        let mut metadata = vec![(metadata::NETWORK, self.name.clone())];
        metadata.extend(self.transform_input().map(|on| (metadata::TRANSFORM_INPUT, on.to_string())));
        if let Some(labels) = &self.labels {
            metadata.push((metadata::LABELS, labels.lines()));
        }
        metadata
    }

    /// A network for tests and examples that needs no file: random weights, the same for the same `seed` on every
    /// machine, scaled so that activations keep their range through the network and half of them are zero.
    pub fn seeded(seed: u64) -> Weights {
        Weights::seeded_for(Network::googlenet(), seed)
    }

    /// The same for another variant of the network, or another number of classes.
    pub fn seeded_for(network: Network, seed: u64) -> Weights {
        let tensors = seeded::seeded_tensors(&network, seed);
        let layout = Layout { network, is_state_dict: false };
        Weights::new(layout, tensors, &HashMap::new(), None).expect("the generator follows the table")
    }

    /// Name (`<layer>.bias`, `<layer>.weight`), shape and values of each tensor, in the order of the table.
    pub fn tensors(&self) -> impl Iterator<Item = (String, Vec<usize>, &[f32])> {
        expected_tensors(&self.network).into_iter().map(|(name, shape)| {
            let values = &self.tensors[&name][..];
            (name, shape, values)
        })
    }

    /// A layer's weights: `[out, in, height, width]`, or `[out, in]` for the classifier.
    ///
    /// # Panics
    /// When the network has no layer of this name with weights.
    pub fn weight(&self, layer: &str) -> &[f32] {
        self.tensor(layer, "weight")
    }

    /// A layer's biases: `[out]`.
    ///
    /// # Panics
    /// When the network has no layer of this name with weights.
    pub fn bias(&self, layer: &str) -> &[f32] {
        self.tensor(layer, "bias")
    }

    fn tensor(&self, layer: &str, part: &str) -> &[f32] {
        match self.tensors.get(&format!("{layer}.{part}")) {
            Some(values) => values,
            None => panic!("the network has no layer \"{layer}\" with weights"),
        }
    }
}

impl Source {
    /// Reads and checks the weights.
    ///
    /// # Errors
    /// Those of [`Weights::load`].
    pub fn load(&self) -> Result<Weights> {
        match self {
            Source::File(path) => Weights::load(path),
            #[cfg(feature = "builtin")]
            Source::Builtin => Ok(Weights::builtin()),
        }
    }
}

/// Opens a weights file; also its size in bytes.
///
/// # Errors
/// [`Error::Io`] when it cannot be opened, or is a directory, a device or a pipe: these have no size, and may never end.
pub fn open(path: &Path) -> Result<(File, u64)> {
    let failed = |source| Error::Io { path: path.to_path_buf(), action: "read", source };
    // Before it is opened, which waits for the other end of a pipe.
    let metadata = path.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(failed(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory")));
    }
    if !metadata.is_file() {
        return Err(failed(io::Error::other(
            "it is a device or a pipe, expected a regular file; copy it to one",
        )));
    }
    Ok((File::open(path).map_err(failed)?, metadata.len()))
}

/// Name and shape of each tensor of a network.
fn expected_tensors(network: &Network) -> Vec<(String, Vec<usize>)> {
    let mut tensors = Vec::new();
    for layer in &network.layers {
        if let Some(shape) = network.weight_shape(layer) {
            tensors.push((format!("{}.bias", layer.name), vec![shape[0]]));
            tensors.push((format!("{}.weight", layer.name), shape));
        }
    }
    tensors
}

/// A tensor's name without what wrappers of a model put before it; `None` for the tensors that only training uses: the
/// auxiliary classifiers and torchvision's counts of batches.
fn used_name(name: &str) -> Option<String> {
    const WRAPPERS: [&str; 3] = ["module.", "model.", "_orig_mod."];
    const TRAINING: [&str; 4] = ["loss1/", "loss2/", "aux1.", "aux2."];
    let mut plain = name;
    while let Some(rest) = WRAPPERS.iter().find_map(|wrapper| plain.strip_prefix(wrapper)) {
        plain = rest;
    }
    let is_used =
        !TRAINING.iter().any(|part| plain.starts_with(part)) && !plain.ends_with(".num_batches_tracked");
    is_used.then(|| plain.to_string())
}

/// The network and the naming scheme that a file's tensors follow, by their names and shapes.
struct Layout {
    network: Network,
    /// The tensors are those of torchvision's modules, batch normalisation apart, not the table's.
    is_state_dict: bool,
}

impl Layout {
    /// Finds the network that has exactly such tensors: its variant, its width, and as many classes as its classifier has
    /// outputs.
    ///
    /// # Errors
    /// The first tensors, by name, that are missing, unknown, twice there or of another shape than the table's.
    fn of(tensors: Vec<(String, Vec<usize>)>) -> std::result::Result<Layout, String> {
        let count = tensors.len();
        let mut found: HashMap<String, Vec<usize>> = tensors.into_iter().collect();
        if found.len() != count {
            return Err(
                "has a tensor under the same name twice, with and without \"module.\" or the like before it"
                    .to_string(),
            );
        }
        let first = |name: &str| found.get(name).and_then(|shape| shape.first()).copied();
        let is_state_dict = found.contains_key(torchvision::FIRST_OF_STATE_DICT);
        let width = first(torchvision::FIRST_OF_STATE_DICT).or(first("conv1.weight"));
        let is_torchvisions = width.is_some() || found.contains_key(torchvision::CLASSIFIER);
        if is_torchvisions && !found.contains_key(torchvision::CLASSIFIER) {
            let prefix = |name: &&String| name.starts_with("fc.");
            if let Some(name) = found.keys().filter(prefix).min() {
                return Err(format!(
                    "its classifier `fc` is a Sequential (it has the tensor {name}), expected one Linear with fc.weight and \
                     fc.bias; save the last layer under these names, which is right if the others are dropout"
                ));
            }
        }
        let classifier = if is_torchvisions { torchvision::CLASSIFIER } else { "loss3/classifier.weight" };
        // A file without it is refused for that below.
        let classes = first(classifier).unwrap_or(CLASSES);
        if !(1..=MAX_CLASSES).contains(&classes) {
            return Err(format!(
                "tensor {classifier} is for {classes} classes, expected 1 to {MAX_CLASSES} (its shape is [classes, features])"
            ));
        }
        let network = match width {
            Some(width) if !is_width(width) => {
                return Err(format!(
                    "its first layer has {width} outputs, expected {FIRST_CHANNELS}, or half as many"
                ));
            }
            Some(width) => Network::torchvision_of_width(width, classes),
            None if is_torchvisions => Network::torchvision(classes),
            None => Network::bvlc(classes),
        };
        let expected =
            if is_state_dict { torchvision::state_dict(&network) } else { expected_tensors(&network) };
        let mut missing = Vec::new();
        for (name, shape) in expected {
            match found.remove(&name) {
                None => missing.push(name),
                Some(found) if found != shape => {
                    return Err(format!("tensor {name} has shape {found:?}, expected {shape:?}"));
                }
                Some(_) => {}
            }
        }
        let mut extra: Vec<String> = found.into_keys().collect();
        extra.sort();
        match (&missing[..], &extra[..]) {
            ([], []) => Ok(Layout { network, is_state_dict }),
            (missing, []) => Err(format!("has no {}", tensor_list(missing))),
            ([], extra) => Err(format!("{} unknown to this network", tensor_list(extra))),
            (missing, extra) => {
                Err(format!("not this network: has no {}, but {}", tensor_list(missing), tensor_list(extra)))
            }
        }
    }
}

/// "tensor a", "tensors a, b", or the first three and how many more.
fn tensor_list(names: &[String]) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    let more = match names.len() {
        0..=3 => String::new(),
        n => format!(" and {} more", n - 3),
    };
    format!("tensor{plural} {}{more}", names[..names.len().min(3)].join(", "))
}

/// Names the first value of a tensor that is not finite, if there is one.
fn not_finite(tensor: &Tensor) -> Option<String> {
    // Without an early exit, so that the compiler can vectorise it.
    if tensor.values.iter().fold(true, |all, value| all & value.is_finite()) {
        return None;
    }
    let at = tensor.values.iter().position(|value| !value.is_finite())?;
    Some(format!(
        "tensor {} holds {} at position {at}, expected finite values; fetch the file again",
        tensor.name, tensor.values[at]
    ))
}

/// The names of the classes in a file's metadata.
fn labels(lines: &str, classes: usize) -> std::result::Result<Labels, String> {
    let labels =
        Labels::parse("labels in the metadata", lines.as_bytes()).map_err(|error| error.to_string())?;
    if labels.count() == classes {
        return Ok(labels);
    }
    Err(format!("has {} labels in its metadata, expected one for each of {classes} classes", labels.count()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::safetensors::Dtype;

    /// Name, dtype and shape of each tensor of a file.
    type Tensors = Vec<(String, &'static str, Vec<usize>)>;

    /// A file whose header is the right one after `edit`, followed by `data(bytes that the header promises)`.
    fn file(edit: impl Fn(&mut Tensors), data: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
        let mut tensors: Tensors =
            expected_tensors(&Network::googlenet()).into_iter().map(|(n, s)| (n, "F32", s)).collect();
        edit(&mut tensors);
        let mut offset = 0;
        let rows: Vec<String> = tensors
            .iter()
            .map(|(name, dtype, shape)| {
                let start = offset;
                offset += shape.iter().product::<usize>() * if *dtype == "F64" { 8 } else { 4 };
                format!("\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape:?},\"data_offsets\":[{start},{offset}]}}")
            })
            .collect();
        let header = format!("{{{}}}", rows.join(","));
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.bytes());
        bytes.extend(data(offset));
        bytes
    }

    fn message(bytes: &[u8]) -> String {
        Weights::from_bytes("w", bytes).expect_err("accepted").to_string()
    }

    /// Header errors come before the data is looked at.
    fn zeros(size: usize) -> Vec<u8> {
        vec![0; size]
    }

    #[test]
    fn a_right_file_gives_each_layer_its_values() {
        let bytes = file(|_| {}, |size| (0..size / 4).flat_map(|i| (i as f32).to_le_bytes()).collect());
        let weights = Weights::from_bytes("w", &bytes).unwrap();
        // The table's first layer comes first here: 64 biases, then 64 x 3 x 7 x 7 weights.
        assert_eq!(weights.bias("conv1/7x7_s2"), (0..64).map(|i| i as f32).collect::<Vec<_>>());
        assert_eq!(weights.weight("conv1/7x7_s2").len(), 64 * 3 * 7 * 7);
        assert_eq!(weights.weight("conv1/7x7_s2")[0], 64.0);
        assert_eq!(*weights.weight("loss3/classifier").last().unwrap(), 6_998_551.0);
    }

    #[test]
    fn what_is_not_a_safetensors_file_is_refused_before_memory_is_taken() {
        assert!(message(b"").contains("an empty file; expected a safetensors file, a caffemodel"));
        assert!(message(&[0xff; 100]).contains("not a weights file"));
        assert!(message(b"\0\0\xff\xff\0\0\0\0{}").contains("claim a header of 4294901760 bytes"));
        assert!(message(&[200, 0, 0, 0, 0, 0, 0, 0, b'{']).contains("truncated: 9 bytes"));
        assert!(message(b"\x04\0\0\0\0\0\0\0{ope").contains("its header is damaged"));
        // Its header claims 4 TB.
        let huge = "{\"a\":{\"dtype\":\"F32\",\"shape\":[1000000000000],\"data_offsets\":[0,4000000000000]}}";
        let bytes = [&(huge.len() as u64).to_le_bytes()[..], huge.as_bytes()].concat();
        assert!(message(&bytes).contains("truncated"), "{}", message(&bytes));
        // It is said to have 4 TB.
        let error = Weights::from_reader("w", 4_000_000_000_000, &bytes[..], None).unwrap_err().to_string();
        assert!(error.contains("not a GoogLeNet: 4000000000000 bytes"), "{error}");
    }

    #[test]
    fn a_tensor_that_is_missing_unknown_or_of_another_kind_is_named() {
        type Edit = fn(&mut Tensors);
        let cases: [(Edit, &str); 5] = [
            (|t| drop(t.remove(0)), "has no tensor conv1/7x7_s2.bias"),
            (|t| drop(t.drain(1..)), "conv2/3x3_reduce.weight and 112 more"),
            (|t| t.push(("extra".into(), "F32", vec![1])), "tensor extra unknown to this network"),
            (|t| t[1].1 = "I32", "tensor conv1/7x7_s2.weight has dtype I32, expected F32, F16, BF16 or F64"),
            (
                |t| t[1].2 = vec![64, 3, 49],
                "tensor conv1/7x7_s2.weight has shape [64, 3, 49], expected [64, 3, 7, 7]",
            ),
        ];
        for (edit, expected) in cases {
            let message = message(&file(edit, zeros));
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn a_file_of_another_length_than_its_header_says_is_refused() {
        let other = "its header describes another number of them";
        assert!(message(&file(|_| {}, |_| Vec::new())).contains(other));
        assert!(message(&file(|_| {}, |size| vec![0; size - 1])).contains(other));
        assert!(message(&file(|_| {}, |size| vec![0; size + 1])).contains(other));
        // The length is this network's, but one bias of 64 is not in the header.
        let one_less = file(|t| drop(t.remove(0)), |size| vec![0; size + 4 * 64]);
        assert!(message(&one_less).contains(other), "{}", message(&one_less));
    }

    #[test]
    fn a_classifier_has_any_number_of_classes_in_its_bounds() {
        let classifier = |classes: usize| {
            file(
                |tensors| {
                    for (name, _, shape) in tensors.iter_mut().filter(|(name, ..)| name.starts_with("loss3/"))
                    {
                        *shape = if name.ends_with("bias") { vec![classes] } else { vec![classes, 1024] };
                    }
                },
                zeros,
            )
        };
        for classes in [1, 17, 1001] {
            let weights = Weights::from_bytes("w", &classifier(classes)).unwrap();
            assert_eq!((weights.network().classes(), weights.name()), (classes, "BVLC GoogLeNet"));
            assert_eq!(weights.bias("loss3/classifier").len(), classes);
        }
        assert!(
            message(&classifier(0)).contains("loss3/classifier.weight is for 0 classes, expected 1 to 32768")
        );
        let two = |tensors: &mut Tensors| {
            tensors
                .iter_mut()
                .filter(|(name, ..)| name == "loss3/classifier.weight")
                .for_each(|t| t.2 = vec![2, 1024]);
        };
        let expected = "tensor loss3/classifier.bias has shape [1000], expected [2]";
        assert!(message(&file(two, zeros)).contains(expected), "{}", message(&file(two, zeros)));
    }

    #[test]
    fn torchvisions_table_is_known_by_its_names() {
        let torchvision = Network::torchvision(3);
        let tensors = || expected_tensors(&torchvision).into_iter().map(|(n, s)| (n, "F32", s)).collect();
        let weights = Weights::from_bytes("w", &file(|t| *t = tensors(), zeros)).unwrap();
        assert_eq!((weights.network().classes(), weights.name()), (3, "torchvision googlenet"));
        assert_eq!(weights.bias("inception4e.branch3.1").len(), 128);
    }

    #[test]
    fn a_stream_that_ends_early_is_refused() {
        let bytes = file(|_| {}, zeros);
        let error =
            Weights::from_reader("w", bytes.len() as u64, &bytes[..bytes.len() - 1], None).unwrap_err();
        assert!(error.to_string().contains("ended before"), "{error}");
    }

    #[test]
    fn a_value_that_is_not_finite_is_named() {
        for (value, shown) in [(f32::NAN, "NaN"), (f32::NEG_INFINITY, "-inf")] {
            for at in [0, 64 + 5, 6_998_551] {
                let mut bytes = file(|_| {}, zeros);
                let start = bytes.len() - 4 * 6_998_552 + 4 * at;
                bytes[start..start + 4].copy_from_slice(&value.to_le_bytes());
                let name = match at {
                    0 => "conv1/7x7_s2.bias holds {} at position 0",
                    69 => "conv1/7x7_s2.weight holds {} at position 5",
                    _ => "loss3/classifier.weight holds {} at position 1023999",
                };
                let message = message(&bytes);
                assert!(message.contains(&name.replace("{}", shown)), "{message}");
            }
        }
    }

    #[test]
    fn a_directory_and_a_missing_file_are_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let error = Weights::load(directory.path()).unwrap_err().to_string();
        assert!(
            error.contains("directory") && error.contains(&directory.path().display().to_string()),
            "{error}"
        );
        let missing = directory.path().join("missing");
        assert!(Weights::load(&missing).unwrap_err().to_string().starts_with("cannot read"));
    }

    /// All tensors of the seeded narrow network as a file of this type of number, under names that `rename` makes.
    fn narrow(dtype: Dtype, rename: impl Fn(&str) -> String, metadata: &[(&str, &str)]) -> Vec<u8> {
        let weights = Weights::seeded_for(Network::torchvision_half(3), 1);
        let encode = |value: &f32| match dtype {
            Dtype::F16 => encode::half_bits(*value).to_le_bytes().to_vec(),
            Dtype::BF16 => value.to_le_bytes()[2..].to_vec(),
            Dtype::F64 => f64::from(*value).to_le_bytes().to_vec(),
            _ => value.to_le_bytes().to_vec(),
        };
        let tensors: Vec<_> = weights
            .tensors()
            .map(|(name, shape, values)| {
                (rename(&name), shape, values.iter().flat_map(encode).collect::<Vec<u8>>())
            })
            .collect();
        let views = tensors.iter().map(|(name, shape, bytes)| {
            (name, ::safetensors::tensor::TensorView::new(dtype, shape.clone(), bytes).unwrap())
        });
        let metadata = metadata.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        ::safetensors::serialize(views, Some(metadata)).unwrap()
    }

    fn same(name: &str) -> String {
        name.to_string()
    }

    #[test]
    fn numbers_of_16_and_64_bits_are_read_and_the_width_is_that_of_the_first_layer() {
        let full = Weights::from_bytes("w", &narrow(Dtype::F32, same, &[])).unwrap();
        assert_eq!(full.name(), "torchvision googlenet at half its width");
        assert!(full.tensors().eq(Weights::seeded_for(Network::torchvision_half(3), 1).tensors()));
        let double = Weights::from_bytes("w", &narrow(Dtype::F64, same, &[])).unwrap();
        assert!(double.tensors().eq(full.tensors()));
        for (dtype, bits) in [(Dtype::F16, 10), (Dtype::BF16, 7)] {
            let weights = Weights::from_bytes("w", &narrow(dtype, same, &[])).unwrap();
            for ((name, _, found), (_, _, exact)) in weights.tensors().zip(full.tensors()) {
                for (found, exact) in found.iter().zip(exact) {
                    // Cut off, not rounded, when written, and 0 below the smallest normal F16.
                    let smallest = 2f32.powi(-14);
                    let step = if exact.abs() < smallest { smallest } else { exact.abs() * 2f32.powi(-bits) };
                    assert!((found - exact).abs() <= step, "{dtype:?} {name}: {found}, not {exact}");
                }
            }
        }
    }

    #[test]
    fn a_width_that_no_network_has_is_refused() {
        let of_width = |width: usize| {
            let tensors = vec![
                ("conv1.weight".to_string(), vec![width, 3, 7, 7]),
                ("fc.weight".to_string(), vec![3, 1024]),
            ];
            Layout::of(tensors).map(|_| ()).unwrap_err()
        };
        for width in [0, 16, 48, 128, usize::MAX] {
            assert!(of_width(width).contains("expected 64, or half as many"), "{}", of_width(width));
        }
    }

    #[test]
    fn what_wrappers_put_before_names_is_taken_off() {
        let plain = Weights::from_bytes("w", &narrow(Dtype::F32, same, &[])).unwrap();
        for prefix in ["module.", "model.", "_orig_mod.", "module._orig_mod."] {
            let bytes = narrow(Dtype::F32, |name| format!("{prefix}{name}"), &[]);
            assert!(Weights::from_bytes("w", &bytes).unwrap().tensors().eq(plain.tensors()), "{prefix}");
        }
        let twice = vec![("fc.weight".to_string(), vec![3, 8]), ("module.fc.weight".to_string(), vec![3, 8])];
        let twice = twice.into_iter().map(|(name, shape)| (used_name(&name).unwrap(), shape)).collect();
        assert!(Layout::of(twice).map(|_| ()).unwrap_err().contains("twice"));
    }

    #[test]
    fn what_only_training_uses_is_left_out() {
        let used = ["conv1.weight", "loss3/classifier.weight", "inception3a.branch1.bn.running_var"];
        assert!(used.iter().all(|name| used_name(name).as_deref() == Some(*name)));
        let unused = [
            "loss1/classifier.weight",
            "loss2/fc.bias",
            "aux1.fc1.weight",
            "module.aux2.conv.bn.weight",
            "conv1.bn.num_batches_tracked",
        ];
        assert!(unused.iter().all(|name| used_name(name).is_none()));
        let with_auxiliary = file(|t| t.push(("loss1/fc.weight".into(), "I32", vec![])), zeros);
        assert!(Weights::from_bytes("w", &with_auxiliary).is_ok(), "{}", message(&with_auxiliary));
    }

    #[test]
    fn a_classifier_of_several_layers_is_named() {
        let tensors = vec![
            ("conv1.conv.weight".to_string(), vec![64, 3, 7, 7]),
            ("fc.1.weight".to_string(), vec![3, 1024]),
        ];
        let problem = Layout::of(tensors).map(|_| ()).unwrap_err();
        assert!(problem.contains("`fc` is a Sequential (it has the tensor fc.1.weight)"), "{problem}");
    }

    #[test]
    fn types_that_are_refused_do_not_depend_on_the_order_of_a_hash_table() {
        for _ in 0..8 {
            let all = message(&file(|t| t.iter_mut().for_each(|t| t.1 = "I32"), zeros));
            assert!(all.contains("tensor conv1/7x7_s2.bias has dtype I32"), "{all}");
        }
    }

    #[test]
    fn metadata_has_the_name_the_labels_and_how_pictures_are_prepared() {
        let read = |metadata: &[(&str, &str)]| Weights::from_bytes("w", &narrow(Dtype::F32, same, metadata));
        let weights =
            read(&[("network", "mine"), ("labels", "a\nb, bee\nc"), ("transform_input", "false")]).unwrap();
        assert_eq!((weights.name(), weights.labels().words(1)), ("mine", "b, bee"));
        assert_eq!(weights.network().mean_bgr.map(f32::round), [104.0, 116.0, 124.0]);
        let again: Vec<(&str, String)> = weights.metadata();
        let again: Vec<(&str, &str)> = again.iter().map(|(key, value)| (*key, value.as_str())).collect();
        assert_eq!(again, [("network", "mine"), ("transform_input", "false"), ("labels", "a\nb, bee\nc")]);
        assert_eq!(read(&[]).unwrap().labels().words(2), "class 2");
        let refused = [
            (&[("labels", "a\nb")][..], "has 2 labels in its metadata, expected one for each of 3 classes"),
            (&[("labels", "")], "is empty"),
            (
                &[("transform_input", "maybe")],
                "transform_input \"maybe\" in its metadata, expected true or false",
            ),
            (&[("network", "a\nb")], "not one short line"),
        ];
        for (metadata, expected) in refused {
            let error = read(metadata).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn transform_input_is_refused_where_it_can_do_nothing() {
        let read = |bytes: &[u8], asked| {
            Weights::from_reader("w", bytes.len() as u64, bytes, asked).map_err(|error| error.to_string())
        };
        let published = file(|_| {}, zeros);
        assert!(read(&published, Some(true)).unwrap_err().contains("leave that option out"));
        let converted = narrow(Dtype::F32, same, &[("transform_input", "false")]);
        assert!(read(&converted, Some(false)).is_ok());
        assert!(read(&converted, Some(true)).unwrap_err().contains("convert the original file again"));
    }

    #[cfg(feature = "builtin")]
    #[test]
    fn the_built_in_network_is_read() {
        let weights = Weights::builtin();
        assert_eq!((weights.name(), weights.network().blobs[1].channels), ("built-in network", 32));
        let labels = weights.labels();
        assert_eq!((labels.words(0), labels.words(1)), ("cat", "dog"));
        assert_eq!(labels.count(), weights.network().classes());
    }
}

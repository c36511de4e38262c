//! The weights of a network: the forms of file that hold them, and the checks before a number of them is used.
//!
//! Each form of file has a module below, which makes tensors of bytes. Here their names and shapes are compared with the
//! network's table, and they are kept as they are: how the kernels want them packed is not known here.

mod caffemodel;
#[cfg(test)]
#[path = "../../tests/common/encode.rs"]
mod encode;
mod form;
mod layout;
mod locate;
mod number;
mod onnx;
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
use crate::network::Network;
use crate::network::labels::Labels;
use layout::{Layout, expected_tensors, used_name};

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
        let refuse = |problem: String| Error::weights(name, problem);
        let failed = |error| Error::io(name, "read")(error);
        if size > MAX_SIZE {
            return Err(refuse(format!("not a GoogLeNet: {size} bytes, expected at most {MAX_SIZE}")));
        }
        let mut head = Vec::new();
        (&mut reader).take(size.min(form::HEAD)).read_to_end(&mut head).map_err(failed)?;
        let read_tensors = match Form::of(name, &head)? {
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
        let refuse = |problem: String| Error::weights(name, problem);
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
            return Err(Error::labels("the labels", problem));
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
    let failed = |error| Error::io(path, "read")(error);
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
mod tests;

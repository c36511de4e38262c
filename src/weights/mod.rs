//! The weights of a network: reading them from files of several forms, and the checks that every
//! value passes before it is used.
//!
//! Each form of file has a module, which returns named tensors. `Layout` compares their names and
//! shapes with the tables of the networks. Weights are kept in the order of the file;
//! [`GoogLeNet::new`](crate::GoogLeNet::new) packs them for the kernels.

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
mod shuffled;
mod tensor;
mod torchvision;

pub use form::Form;
pub use locate::{BUILTIN_NAME, FILE_NAME, Source, cache_file, find};
pub(crate) use seeded::{splitmix64, splitmix64_at};
pub(crate) use tensor::Tensor;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::error::{Error, Result};
use crate::memory::room;
use crate::network::labels::Labels;
use crate::network::{MAX_CLASSES, Network};
use crate::text::shown;
use layout::{Layout, Prefix, expected_tensors};

/// Largest size of a weights file in bytes. A network of
/// [`MAX_CLASSES`](crate::network::MAX_CLASSES) with the auxiliary classifiers has fewer.
const MAX_SIZE: u64 = 1 << 28;

/// The file of the built-in network: safetensors with numbers of 16 bits, described in
/// `weights/README.md`.
#[cfg(feature = "builtin")]
pub static BUILTIN: &[u8] = include_bytes!("../../weights/builtin.safetensors");

/// The weights of a network: every tensor of its table, with the right shape and only finite
/// values.
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
    resize: Option<String>,
    /// The values of each tensor, by its name `<layer>.weight` or `<layer>.bias`.
    tensors: HashMap<String, Vec<f32>>,
}

/// Keys of the metadata of a safetensors file.
pub mod metadata {
    /// The name of the network: one line of at most 80 bytes.
    pub const NETWORK: &str = "network";
    /// The names of the classes, one line for each, as in a labels file.
    pub const LABELS: &str = "labels";
    /// For torchvision's variant: "true" if its pictures are prepared with `transform_input`,
    /// "false" if not.
    pub const TRANSFORM_INPUT: &str = "transform_input";
    /// The way in which the photographs of the training became squares: the name of a
    /// [`Resize`](crate::Resize). Any other line of at most 80 bytes is kept and has no effect.
    pub const RESIZE: &str = "resize";
}

impl Weights {
    /// The built-in network: torchvision's topology at half its width, trained by this project on
    /// 30 classes of everyday things. Its accuracy is in `weights/README.md`.
    #[cfg(feature = "builtin")]
    pub fn builtin() -> Weights {
        Weights::read_builtin().expect("a test reads this build's own file")
    }

    #[cfg(feature = "builtin")]
    fn read_builtin() -> Result<Weights> {
        Weights::from_bytes("the built-in network", BUILTIN)
    }

    /// Reads a weights file. Its first bytes determine its [`Form`], not its name.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read. [`Error::Weights`] if its content is not accepted
    /// by [`Weights::from_reader`].
    pub fn load(path: impl AsRef<Path>) -> Result<Weights> {
        let path = path.as_ref();
        let (file, size) = open(path)?;
        Weights::from_reader(&path.to_string_lossy(), size, file, None)
    }

    /// Reads the bytes of a weights file; `name` is used in error messages only.
    ///
    /// # Errors
    /// [`Error::Weights`] as for [`Weights::from_reader`].
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Weights> {
        Weights::from_reader(name, bytes.len() as u64, bytes, None)
    }

    /// Reads a weights file of `size` bytes from a stream, once from start to end. `name` is used
    /// in error messages only. The header of a safetensors file is checked against the table before
    /// any tensor is read.
    ///
    /// `transform_input` is for torchvision's variant only and says how its pictures were prepared
    /// in training: `Some(true)` for `x / 127.5 - 1`, as the published network, `Some(false)` for
    /// ImageNet's mean and standard deviation, as torchvision's other networks. `None` uses the
    /// metadata of the file, and `true` if it says nothing.
    ///
    /// # Errors
    /// [`Error::Weights`] if the bytes are not a complete file of one of the forms; if a tensor is
    /// missing, unknown or has the wrong shape; if its numbers are not floats of 16, 32 or 64 bits;
    /// if a value is infinite or NaN; or if `transform_input` is given for BVLC GoogLeNet or
    /// contradicts a converted file. [`Error::Io`] if the stream fails.
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
        let missing = |problem| Error::Memory { purpose: "reading the weights", problem };
        let mut bytes = room(size as usize).map_err(missing)?;
        head.chain(reader).take(size).read_to_end(&mut bytes).map_err(failed)?;
        let mut tensors = read_tensors(&bytes).map_err(refuse)?;
        drop(bytes);
        let prefix = Prefix::of(tensors.iter().map(|tensor| tensor.name.as_str()));
        tensors.retain_mut(|tensor| match prefix.used_name(&tensor.name) {
            Some(name) => {
                tensor.name = name;
                true
            }
            None => false,
        });
        let shapes = tensors.iter().map(|tensor| (tensor.name.clone(), tensor.shape.clone())).collect();
        let layout = Layout::of(shapes).map_err(|problem| refuse(prefix.explain(problem)))?;
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
        let prefix = Prefix::of(header.entries.iter().map(|entry| entry.name.as_str()));
        let used = || header.entries.iter().filter_map(|entry| Some((prefix.used_name(&entry.name)?, entry)));
        let layout = Layout::of(used().map(|(name, entry)| (name, entry.shape.clone())).collect());
        let layout = layout.map_err(|problem| refuse(prefix.explain(problem)))?;
        safetensors::check_types(used().map(|(_, entry)| entry)).map_err(refuse)?;
        let tensors =
            safetensors::read_tensors(name, size, reader, header.entries, |name| prefix.used_name(name))?;
        Weights::new(layout, tensors, &header.metadata, transform_input).map_err(refuse)
    }

    /// Makes the weights from tensors that have the names and shapes of the layout.
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
                return Err(format!(
                    "has transform_input \"{}\" in its metadata, expected true or false",
                    shown(other)
                ));
            }
        };
        let tensors = match (torchvision::is_table(&network), layout.is_state_dict) {
            (false, _) if transform_input.is_some() => {
                return Err(format!(
                    "is {}, which has no transform_input; leave that option out",
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
        if !is_name(&name) {
            return Err(
                "has a network name in its metadata that is not one line of at most 80 bytes".to_string()
            );
        }
        let tensors = tensors.into_iter().map(|tensor| (tensor.name, tensor.values)).collect();
        let resize = metadata.get(metadata::RESIZE).filter(|name| is_name(name)).cloned();
        Ok(Weights { network, name, labels, resize, tensors })
    }

    /// The table of the network that these weights belong to.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The name of the network from the metadata of the file, or else the name of its table, for
    /// example "BVLC GoogLeNet".
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of the classes from the metadata of the file. Without them, ImageNet's for 1000
    /// classes, and "class 0" and so on for any other number.
    pub fn labels(&self) -> Labels {
        self.labels.clone().unwrap_or_else(|| Labels::of_classes(self.network.classes()))
    }

    /// Replaces the names of the classes.
    ///
    /// # Errors
    /// [`Error::Labels`] if the number of names is not the number of classes.
    pub fn with_labels(self, labels: Labels) -> Result<Weights> {
        labels.check_count(self.network.classes())?;
        Ok(Weights { labels: Some(labels), ..self })
    }

    /// The way in which the photographs of the training became squares, if the metadata of the file says
    /// so: the name of a [`Resize`](crate::Resize), or something else if another program wrote it.
    pub fn resize(&self) -> Option<&str> {
        self.resize.as_deref()
    }

    /// Sets [`resize`](Self::resize) to the name of a [`Resize`](crate::Resize).
    pub fn with_resize(self, resize: impl ToString) -> Weights {
        Weights { resize: Some(resize.to_string()), ..self }
    }

    /// The weights `[classes][features]` and the biases `[classes]` of the last layer.
    pub fn last_layer(&self) -> (&[f32], &[f32]) {
        let layer = &self.network.classifier().name;
        (self.weight(layer), self.bias(layer))
    }

    /// Replaces the last layer by one for other classes: its weights `[classes][features]` and its
    /// biases `[classes]`. `labels` has the names of the classes, and `name` is the network's new
    /// [name](Self::name).
    ///
    /// # Errors
    /// [`Error::Option`] if the number of classes is not in 1..=[`MAX_CLASSES`], or if a number is
    /// infinite or NaN; [`Error::Weights`] if the number of weights is not that of the classes times that
    /// of the features, or if the name is not one line of at most 80 bytes; [`Error::Labels`] if the
    /// number of names is not the number of classes.
    pub fn with_last_layer(
        mut self,
        [weights, biases]: [Vec<f32>; 2],
        labels: Labels,
        name: &str,
    ) -> Result<Weights> {
        let classes = biases.len();
        check_last_layer(&self.network, &weights, &biases)?;
        labels.check_count(classes)?;
        if !is_name(name) {
            let problem = "has a name that is not one line of at most 80 bytes";
            return Err(Error::weights("the network", problem));
        }
        let layer = self.network.classifier().name.clone();
        self.network.set_classes(classes);
        self.tensors.insert(format!("{layer}.weight"), weights);
        self.tensors.insert(format!("{layer}.bias"), biases);
        Ok(Weights { name: name.to_string(), labels: Some(labels), ..self })
    }

    /// True if this network expects pictures prepared with `transform_input`, false if it expects
    /// torchvision's usual preparation; `None` for BVLC GoogLeNet.
    pub fn transform_input(&self) -> Option<bool> {
        torchvision::is_table(&self.network).then(|| torchvision::has_transform_input(&self.network))
    }

    /// The metadata to store with these weights in a safetensors file: the name, `transform_input`, the
    /// labels and the way of resizing; see [`metadata`].
    pub fn metadata(&self) -> Vec<(&'static str, String)> {
        let mut metadata = vec![(metadata::NETWORK, self.name.clone())];
        metadata.extend(self.transform_input().map(|on| (metadata::TRANSFORM_INPUT, on.to_string())));
        if let Some(labels) = &self.labels {
            metadata.push((metadata::LABELS, labels.lines()));
        }
        metadata.extend(self.resize.clone().map(|resize| (metadata::RESIZE, resize)));
        metadata
    }

    /// Random weights for BVLC GoogLeNet, for tests and examples. A seed gives the same weights on
    /// every machine. Activations keep their range through the layers, and about half of them are
    /// zero.
    pub fn seeded(seed: u64) -> Weights {
        Weights::seeded_for(Network::googlenet(), seed)
    }

    /// [`Weights::seeded`] for another table.
    pub fn seeded_for(network: Network, seed: u64) -> Weights {
        let tensors = seeded::seeded_tensors(&network, seed);
        let layout = Layout { network, is_state_dict: false };
        Weights::new(layout, tensors, &HashMap::new(), None).expect("the generator follows the table")
    }

    /// Iterates over the tensors in the order of the table: name (`<layer>.bias` or
    /// `<layer>.weight`), shape and values.
    pub fn tensors(&self) -> impl Iterator<Item = (String, Vec<usize>, &[f32])> {
        expected_tensors(&self.network).into_iter().map(|(name, shape)| {
            let values = &self.tensors[&name][..];
            (name, shape, values)
        })
    }

    /// The weights of a layer: `[out, in, height, width]`, for the classifier `[out, in]`.
    ///
    /// # Panics
    /// If the network has no layer of this name with weights.
    pub fn weight(&self, layer: &str) -> &[f32] {
        self.tensor(layer, "weight")
    }

    /// The biases of a layer: `[out]`.
    ///
    /// # Panics
    /// If the network has no layer of this name with weights.
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

/// Checks the weights `[classes][features]` and the biases of another last layer of a network.
///
/// # Errors
/// As [`Weights::with_last_layer`].
pub(crate) fn check_last_layer(network: &Network, weights: &[f32], biases: &[f32]) -> Result<()> {
    let classes = biases.len();
    if !(1..=MAX_CLASSES).contains(&classes) {
        return Err(Error::option("number of classes", classes, format!("1 to {MAX_CLASSES}")));
    }
    let features = network.blobs[network.classifier().input].channels;
    if weights.len() != classes * features {
        let found = weights.len();
        let problem = format!("has {found} numbers, expected {features} for each of {classes} classes");
        return Err(Error::weights("the last layer", problem));
    }
    match weights.iter().chain(biases).find(|value| !value.is_finite()) {
        Some(value) => Err(Error::option("weight", value, "a finite number")),
        None => Ok(()),
    }
}

impl Source {
    /// Reads and checks the weights.
    ///
    /// # Errors
    /// As for [`Weights::load`].
    pub fn load(&self) -> Result<Weights> {
        match self {
            Source::File(path) => Weights::load(path),
            #[cfg(feature = "builtin")]
            Source::Builtin => Weights::read_builtin(),
        }
    }
}

/// Opens a weights file and returns it with its size in bytes.
///
/// # Errors
/// [`Error::Io`] if it cannot be opened, or is a directory, a device or a pipe, which have no size
/// and may never end.
pub fn open(path: &Path) -> Result<(File, u64)> {
    let failed = |error| Error::io(path, "read")(error);
    // Checked first, because opening a pipe waits for its other end.
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

/// Describes the first value of a tensor that is infinite or NaN, if there is one.
fn not_finite(tensor: &Tensor) -> Option<String> {
    // No early exit, so that the compiler can vectorise the loop.
    if tensor.values.iter().fold(true, |all, value| all & value.is_finite()) {
        return None;
    }
    let at = tensor.values.iter().position(|value| !value.is_finite())?;
    Some(format!(
        "tensor {} holds {} at position {at}, expected finite values; fetch the file again",
        tensor.name, tensor.values[at]
    ))
}

/// True if a network can have this name.
fn is_name(name: &str) -> bool {
    name.len() <= 80 && !name.chars().any(char::is_control)
}

/// Parses the names of the classes in the metadata of a file.
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

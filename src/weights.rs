//! The weights file: where it is found, and what is checked before a number of it is used.
//!
//! Each form of file has a module below, which makes tensors of bytes and is told what to expect by the table. Here they are
//! compared with the table, and kept as the file has them: how the kernels want them packed is not known here.

mod caffemodel;
#[cfg(test)]
#[path = "../tests/common/encode.rs"]
mod encode;
mod form;
mod number;
mod onnx;
#[cfg(feature = "pth")]
mod pickle;
mod protobuf;
#[cfg(feature = "pth")]
mod pth;
mod seeded;
mod tensor;
mod torchvision;

pub use form::Form;
pub(crate) use seeded::splitmix64;
pub(crate) use tensor::Tensor;

use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use safetensors::tensor::Metadata;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

use crate::error::{Error, Result};
use crate::network::{CLASSES, MAX_CLASSES, Network};

/// What the weights file is called in the places where it is looked for.
pub const FILE_NAME: &str = "bvlc_googlenet.safetensors";

/// The header of this network's file takes 11 kB, that of torchvision's twice as much; a first number far beyond is not the
/// length of a header.
const MAX_HEADER: u64 = 1 << 20;

/// A network of [`MAX_CLASSES`] with the auxiliary classifiers has fewer bytes.
const MAX_SIZE: u64 = 1 << 28;

/// Bytes read at once: small enough to stay in the second-level cache until they are converted.
const CHUNK: usize = 1 << 18;

/// The weights of a network: every tensor of its table, each with its right shape, every value finite.
///
/// ```
/// use occlude::Weights;
///
/// // `Weights::load("bvlc_googlenet.safetensors")?` reads the trained ones.
/// let weights = Weights::seeded(1);
/// assert_eq!(weights.weight("conv1/7x7_s2").len(), 64 * 3 * 7 * 7);
/// let parameters: usize = weights.tensors().map(|(_, _, values)| values.len()).sum();
/// assert_eq!(parameters, 6_998_552);
/// ```
#[derive(Clone, Debug)]
pub struct Weights {
    network: Network,
    /// All tensors, one after the other.
    values: Vec<f32>,
    /// Where each tensor lies in `values`, by its name in the file.
    ranges: HashMap<String, Range<usize>>,
}

impl Weights {
    /// Reads a weights file of any [`Form`], which its first bytes tell.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read, [`Error::Weights`] when it is not this network's: see
    /// [`Weights::from_reader`].
    pub fn load(path: impl AsRef<Path>) -> Result<Weights> {
        let path = path.as_ref();
        let failed = |source| Error::Io { path: path.to_path_buf(), action: "read", source };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(failed(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory")));
        }
        Weights::from_reader(&path.to_string_lossy(), metadata.len(), file)
    }

    /// Reads the bytes of a weights file; `name` serves only for messages.
    ///
    /// # Errors
    /// [`Error::Weights`]: see [`Weights::from_reader`].
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Weights> {
        Weights::from_reader(name, bytes.len() as u64, bytes)
    }

    /// Reads a weights file of `size` bytes from a stream, from start to end, once; `name` serves only for messages.
    /// Of a safetensors file, no tensor is read before the header is known to describe exactly this network.
    ///
    /// # Errors
    /// [`Error::Weights`] when the bytes are not a whole file of one of the forms, when a tensor is missing, unknown, or of
    /// another shape than the table's, when one of a safetensors file has another dtype than F32, or when a value is infinite
    /// or NaN. [`Error::Io`] when the stream fails.
    pub fn from_reader(name: &str, size: u64, mut reader: impl Read) -> Result<Weights> {
        let refuse = |problem: String| Error::Weights { name: name.to_string(), problem };
        let failed = |source| Error::Io { path: name.into(), action: "read", source };
        if size > MAX_SIZE {
            return Err(refuse(format!("not a GoogLeNet: {size} bytes, expected at most {MAX_SIZE}")));
        }
        let mut head = Vec::new();
        (&mut reader).take(size.min(form::HEAD)).read_to_end(&mut head).map_err(failed)?;
        let read_tensors = match Form::of(&head).map_err(refuse)? {
            Form::Safetensors => return Weights::from_safetensors(name, size, head.chain(reader)),
            Form::Caffemodel => caffemodel::tensors,
            Form::Onnx => onnx::tensors,
            #[cfg(feature = "pth")]
            Form::Pth => pth::tensors,
            #[cfg(not(feature = "pth"))]
            Form::Pth => return Err(refuse(form::NO_PTH.to_string())),
        };
        let mut bytes = head;
        reader.take(size - bytes.len() as u64).read_to_end(&mut bytes).map_err(failed)?;
        let tensors = read_tensors(&bytes).map_err(refuse)?;
        drop(bytes);
        let shapes = tensors.iter().map(|tensor| (tensor.name.clone(), tensor.shape.clone())).collect();
        let network = network_of(&shapes).map_err(refuse)?;
        Weights::from_tensors(network, tensors).map_err(refuse)
    }

    fn from_safetensors(name: &str, size: u64, mut reader: impl Read) -> Result<Weights> {
        let refuse = |problem: String| Error::Weights { name: name.to_string(), problem };
        let header = read_header(name, size, &mut reader)?;
        let shapes: HashMap<String, Vec<usize>> =
            header.tensors().into_iter().map(|(name, info)| (name, info.shape.clone())).collect();
        let network = network_of(&shapes).map_err(refuse)?;
        if shapes.contains_key(torchvision::MARK) {
            let tensors = read_state_dict(name, size, &mut reader, &header)?;
            let tensors = torchvision::fold(&network, tensors).map_err(refuse)?;
            return Weights::from_tensors(network, tensors).map_err(refuse);
        }
        let ranges = check_header(&network, &header).map_err(refuse)?;

        // `Metadata` guarantees that the tensors follow each other without gaps, so the data is one run of f32.
        let count = header.data_len() / 4;
        let mut values = Vec::with_capacity(count);
        let mut chunk = vec![0; CHUNK];
        while values.len() < count {
            let bytes = &mut chunk[..CHUNK.min(4 * (count - values.len()))];
            fill(name, size, &mut reader, bytes)?;
            let start = values.len();
            values.extend(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)));
            if !all_finite(&values[start..]) {
                return Err(refuse(not_finite(&values, &ranges)));
            }
        }
        Ok(Weights { network, values, ranges })
    }

    /// Takes tensors as the table names and shapes them, in any order.
    fn from_tensors(network: Network, tensors: Vec<Tensor>) -> std::result::Result<Weights, String> {
        let mut weights = Weights { network, values: Vec::new(), ranges: HashMap::new() };
        let mut expected: HashMap<String, Vec<usize>> =
            expected_tensors(&weights.network).into_iter().collect();
        for Tensor { name, shape, values } in tensors {
            match expected.remove(&name) {
                None => return Err(format!("tensor {name} unknown to this network")),
                Some(expected) if expected != shape || values.len() != shape.iter().product::<usize>() => {
                    return Err(format!("tensor {name} has shape {shape:?}, expected {expected:?}"));
                }
                Some(_) => {}
            }
            let start = weights.values.len();
            weights.values.extend(values);
            weights.ranges.insert(name, start..weights.values.len());
        }
        let mut missing: Vec<String> = expected.into_keys().collect();
        missing.sort();
        if !missing.is_empty() {
            return Err(format!("has no {}", tensor_list(&missing)));
        }
        if !all_finite(&weights.values) {
            return Err(not_finite(&weights.values, &weights.ranges));
        }
        Ok(weights)
    }

    /// The table of layers that these are the weights of.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// A network for tests and examples that needs no file: random weights, the same for the same `seed` on every
    /// machine, scaled so that activations keep their range through the network and half of them are zero.
    pub fn seeded(seed: u64) -> Weights {
        Weights::seeded_for(Network::googlenet(), seed)
    }

    /// The same for another variant of the network, or another number of classes.
    pub fn seeded_for(network: Network, seed: u64) -> Weights {
        let tensors = seeded::seeded_tensors(&network, seed);
        Weights::from_tensors(network, tensors).expect("the generator follows the table")
    }

    /// Name (`<layer>.bias`, `<layer>.weight`), shape and values of each tensor, in the order of the table.
    pub fn tensors(&self) -> impl Iterator<Item = (String, Vec<usize>, &[f32])> {
        expected_tensors(&self.network).into_iter().map(|(name, shape)| {
            let values = &self.values[self.ranges[&name].clone()];
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
        match self.ranges.get(&format!("{layer}.{part}")) {
            Some(range) => &self.values[range.clone()],
            None => panic!("the network has no layer \"{layer}\" with weights"),
        }
    }
}

/// The weights file to use: `explicit`, else the one that `$OCCLUDE_WEIGHTS` names, else the first that exists of
/// `weights/`, `../shared/weights/` (both in the current directory) and the folder `occlude` in the user's cache directory,
/// each with [`FILE_NAME`]. The file is not opened.
///
/// # Errors
/// [`Error::Weights`] when the file that was asked for does not exist: no other is used in its place.
/// [`Error::WeightsNotFound`] with the places looked at when there is none.
pub fn find(explicit: Option<&Path>) -> Result<PathBuf> {
    find_with(explicit, &variable)
}

/// The last of the places where [`find`] looks, in the user's cache directory; `None` when the environment does not say where
/// that is.
pub fn cache_file() -> Option<PathBuf> {
    cache_directory(&variable).map(|cache| cache.join("occlude").join(FILE_NAME))
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

/// The variant that has such tensors, for as many classes as its classifier has outputs.
fn network_of(shapes: &HashMap<String, Vec<usize>>) -> std::result::Result<Network, String> {
    let is_torchvisions =
        [torchvision::CLASSIFIER, torchvision::MARK].iter().any(|name| shapes.contains_key(*name));
    let classifier = if is_torchvisions { torchvision::CLASSIFIER } else { "loss3/classifier.weight" };
    // A file without it is refused for that later.
    let classes = shapes.get(classifier).and_then(|shape| shape.first()).copied().unwrap_or(CLASSES);
    if !(1..=MAX_CLASSES).contains(&classes) {
        return Err(format!(
            "tensor {classifier} is for {classes} classes, expected 1 to {MAX_CLASSES} (its shape is [classes, 1024])"
        ));
    }
    Ok(if is_torchvisions { Network::torchvision(classes) } else { Network::bvlc(classes) })
}

/// Fills `bytes` from a stream that was announced to have `size` bytes in all.
fn fill(name: &str, size: u64, reader: &mut dyn Read, bytes: &mut [u8]) -> Result<()> {
    reader.read_exact(bytes).map_err(|source| match source.kind() {
        io::ErrorKind::UnexpectedEof => {
            let problem = format!("ended before its {size} bytes were read");
            Error::Weights { name: name.to_string(), problem }
        }
        _ => Error::Io { path: name.into(), action: "read", source },
    })
}

/// Reads the header of a safetensors file of `size` bytes, and no tensor.
fn read_header(name: &str, size: u64, reader: &mut dyn Read) -> Result<Metadata> {
    let refuse = |problem: String| Error::Weights { name: name.to_string(), problem };
    let mut length = [0; 8];
    fill(name, size, reader, &mut length)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER {
        return Err(refuse(format!(
            "not a safetensors file of this network: its first 8 bytes claim a header of {length} bytes, expected about 11 kB"
        )));
    }
    if length > size - 8 {
        return Err(refuse(format!(
            "truncated: {size} bytes, but its header alone claims {length}; fetch the file again"
        )));
    }
    // As long as the file, because safetensors compares its length with the header. Only the header is filled in, and
    // fresh zeros that are never touched take no memory.
    let mut head = vec![0; size as usize];
    head[..8].copy_from_slice(&length.to_le_bytes());
    fill(name, size, reader, &mut head[8..8 + length as usize])?;
    let (_, header) = SafeTensors::read_metadata(&head).map_err(|error| match error {
        SafeTensorError::MetadataIncompleteBuffer => refuse(wrong_length(size)),
        error => refuse(format!("not a safetensors file: its header is damaged ({error})")),
    })?;
    Ok(header)
}

/// Reads the tensors of a torchvision state dict that are used, after its header.
fn read_state_dict(name: &str, size: u64, reader: &mut dyn Read, header: &Metadata) -> Result<Vec<Tensor>> {
    let refuse = |problem: String| Error::Weights { name: name.to_string(), problem };
    let kept = used_tensors(header).map_err(refuse)?;
    let mut data = vec![0; header.data_len()];
    fill(name, size, reader, &mut data)?;
    let tensors = kept.into_iter().map(|(name, shape, bytes)| {
        let values = data[bytes].as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
        Tensor { name, shape, values }
    });
    let tensors: Vec<Tensor> = tensors.collect();
    match tensors.iter().find(|tensor| !all_finite(&tensor.values)) {
        Some(Tensor { name, values, .. }) => {
            Err(refuse(not_finite(values, &HashMap::from([(name.clone(), 0..values.len())]))))
        }
        None => Ok(tensors),
    }
}

/// Name, shape and bytes of those tensors of a torchvision state dict that are used.
#[allow(clippy::type_complexity)]
fn used_tensors(header: &Metadata) -> std::result::Result<Vec<(String, Vec<usize>, Range<usize>)>, String> {
    let used = header.tensors().into_iter().filter(|(name, _)| !torchvision::is_ignored(name));
    used.map(|(name, info)| {
        if info.dtype != Dtype::F32 {
            return Err(wrong_dtype(&name, info.dtype));
        }
        Ok((name, info.shape.clone(), info.data_offsets.0..info.data_offsets.1))
    })
    .collect()
}

fn wrong_dtype(name: &str, found: Dtype) -> String {
    format!("tensor {name} has dtype {found:?}, expected F32")
}

/// Compares a header with the network's table; where each tensor lies, counted in values, or what is wrong.
fn check_header(
    network: &Network,
    header: &Metadata,
) -> std::result::Result<HashMap<String, Range<usize>>, String> {
    let mut found = header.tensors();
    let mut ranges = HashMap::new();
    let mut missing = Vec::new();
    for (name, shape) in expected_tensors(network) {
        let Some(info) = found.remove(&name) else {
            missing.push(name);
            continue;
        };
        if info.dtype != Dtype::F32 {
            return Err(wrong_dtype(&name, info.dtype));
        }
        if info.shape != shape {
            return Err(format!("tensor {name} has shape {:?}, expected {shape:?}", info.shape));
        }
        ranges.insert(name, info.data_offsets.0 / 4..info.data_offsets.1 / 4);
    }
    let mut extra: Vec<String> = found.into_keys().collect();
    extra.sort();
    match (&missing[..], &extra[..]) {
        ([], []) => Ok(ranges),
        (missing, []) => Err(format!("has no {}", tensor_list(missing))),
        ([], extra) => Err(format!("{} unknown to this network", tensor_list(extra))),
        (missing, extra) => {
            Err(format!("not this network: has no {}, but {}", tensor_list(missing), tensor_list(extra)))
        }
    }
}

/// What is wrong with a file of `size` bytes whose header describes more or fewer.
fn wrong_length(size: u64) -> String {
    format!(
        "{size} bytes, but its header describes another number of them: truncated, or with something after its last tensor; \
         fetch the file again"
    )
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

/// Without an early exit, so that the compiler can vectorise it.
fn all_finite(values: &[f32]) -> bool {
    values.iter().fold(true, |all, value| all & value.is_finite())
}

/// Names the first value that is not finite.
fn not_finite(values: &[f32], ranges: &HashMap<String, Range<usize>>) -> String {
    let at = values.iter().position(|value| !value.is_finite()).unwrap_or_default();
    match ranges.iter().find(|(_, range)| range.contains(&at)) {
        Some((name, range)) => format!(
            "tensor {name} holds {} at position {}, expected finite values; fetch the file again",
            values[at],
            at - range.start
        ),
        None => "holds values that are not finite".to_string(),
    }
}

/// A variable of the environment, unless it is empty.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// [`find`] with the environment as an argument, which tests can choose.
fn find_with(explicit: Option<&Path>, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
    let demanded = |path: PathBuf, by: &str| {
        if path.exists() {
            return Ok(path);
        }
        Err(Error::Weights {
            name: path.to_string_lossy().into_owned(),
            problem: format!("no such file, but the weights were asked for there{by}"),
        })
    };
    if let Some(path) = explicit {
        return demanded(path.to_path_buf(), "");
    }
    if let Some(path) = variable("OCCLUDE_WEIGHTS") {
        return demanded(path.into(), " by the environment variable OCCLUDE_WEIGHTS");
    }
    let mut places = vec![PathBuf::from("weights"), PathBuf::from("../shared/weights")];
    places.extend(cache_directory(variable).map(|cache| cache.join("occlude")));
    let tried: Vec<PathBuf> = places.into_iter().map(|place| place.join(FILE_NAME)).collect();
    match tried.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => Err(Error::WeightsNotFound { tried }),
    }
}

/// Where the platform keeps a user's caches.
fn cache_directory(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let from = |name: &str| variable(name).map(PathBuf::from);
    if cfg!(windows) {
        from("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        from("HOME").map(|home| home.join("Library/Caches"))
    } else {
        from("XDG_CACHE_HOME").or_else(|| from("HOME").map(|home| home.join(".cache")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let error = Weights::from_reader("w", 4_000_000_000_000, &bytes[..]).unwrap_err().to_string();
        assert!(error.contains("not a GoogLeNet: 4000000000000 bytes"), "{error}");
    }

    #[test]
    fn a_tensor_that_is_missing_unknown_or_of_another_kind_is_named() {
        type Edit = fn(&mut Tensors);
        let cases: [(Edit, &str); 5] = [
            (|t| drop(t.remove(0)), "has no tensor conv1/7x7_s2.bias"),
            (|t| drop(t.drain(1..)), "conv2/3x3_reduce.weight and 112 more"),
            (|t| t.push(("extra".into(), "F32", vec![1])), "tensor extra unknown to this network"),
            (|t| t[1].1 = "F64", "tensor conv1/7x7_s2.weight has dtype F64, expected F32"),
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
            assert_eq!((weights.network().classes(), weights.network().name), (classes, "BVLC GoogLeNet"));
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
        assert_eq!((weights.network().classes(), weights.network().name), (3, "torchvision googlenet"));
        assert_eq!(weights.bias("inception4e.branch3.1").len(), 128);
    }

    #[test]
    fn a_stream_that_ends_early_is_refused() {
        let bytes = file(|_| {}, zeros);
        let error = Weights::from_reader("w", bytes.len() as u64, &bytes[..bytes.len() - 1]).unwrap_err();
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

    #[test]
    fn a_file_that_was_asked_for_is_used_or_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let (there, missing) = (directory.path().join("there"), directory.path().join("missing"));
        std::fs::write(&there, b"").unwrap();
        let set = |path: &Path| {
            let path = path.to_path_buf();
            move |name: &str| (name == "OCCLUDE_WEIGHTS").then(|| path.clone().into_os_string())
        };
        assert_eq!(find_with(Some(&there), &set(&missing)).unwrap(), there);
        assert_eq!(find_with(None, &set(&there)).unwrap(), there);
        assert!(find_with(Some(&missing), &set(&there)).unwrap_err().to_string().contains("no such file"));
        assert!(find_with(None, &set(&missing)).unwrap_err().to_string().contains("OCCLUDE_WEIGHTS"));
    }

    #[cfg(all(unix, not(target_os = "macos")))]
    #[test]
    fn the_cache_directory_comes_last() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_path_buf();
        let cached = path.join("occlude").join(FILE_NAME);
        let tried = |variables: &[&str]| {
            let lookup = |name: &str| variables.contains(&name).then(|| path.clone().into_os_string());
            match find_with(None, &lookup) {
                Err(Error::WeightsNotFound { tried }) => tried,
                // A machine that has the weights: the last place is not reached.
                Ok(found) => vec![found],
                Err(error) => panic!("{error}"),
            }
        };
        let all = tried(&["XDG_CACHE_HOME", "HOME"]);
        if all.len() > 1 {
            assert_eq!(all.last().unwrap(), &cached);
            assert_eq!(tried(&["HOME"]).last().unwrap(), &path.join(".cache/occlude").join(FILE_NAME));
            assert_eq!(tried(&[]).len(), 2);
        }
    }
}

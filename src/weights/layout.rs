//! Comparison of the tensors of a file with those that a network must have.

use std::collections::HashMap;

use super::torchvision;
use crate::network::{CLASSES, FIRST_CHANNELS, MAX_CLASSES, Network, is_width};
use crate::text::shown;

/// Name and shape of each tensor of a network, in the order of the table.
pub(super) fn expected_tensors(network: &Network) -> Vec<(String, Vec<usize>)> {
    let mut tensors = Vec::new();
    for layer in &network.layers {
        if let Some(shape) = network.weight_shape(layer) {
            tensors.push((format!("{}.bias", layer.name), vec![shape[0]]));
            tensors.push((format!("{}.weight", layer.name), shape));
        }
    }
    tensors
}

/// The tensor of the first layer, in each naming scheme.
const FIRST: [&str; 3] = [torchvision::FIRST_OF_STATE_DICT, "conv1.weight", "conv1/7x7_s2.weight"];

/// BVLC's tensor whose first dimension is the number of classes.
const CLASSIFIER: &str = "loss3/classifier.weight";

/// The text before the names of a network that is a part of another one: "module." from
/// DataParallel, "_orig_mod." from torch.compile, or the name of an attribute, such as "model.",
/// "net." or "backbone.".
#[derive(Debug, Default, PartialEq)]
pub(super) struct Prefix(String);

impl Prefix {
    /// Finds the prefix in the names of all tensors of a file.
    pub fn of<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Prefix {
        let before = |name: &'a str, markers: &[&str]| {
            let found = markers.iter().filter_map(|marker| name.strip_suffix(marker));
            found
                .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
                .min_by_key(|prefix| prefix.len())
        };
        // The shortest one, so that a network without a prefix keeps its names; of several, always
        // the same. The last layer can have been replaced outside of the wrapper.
        let first = names.clone().filter_map(|name| before(name, &FIRST));
        let last = names.filter_map(|name| before(name, &[torchvision::CLASSIFIER, CLASSIFIER]));
        let of =
            |found: &mut dyn Iterator<Item = &'a str>| found.min_by_key(|prefix| (prefix.len(), *prefix));
        let prefix = of(&mut { first }).or_else(|| of(&mut { last }));
        Prefix(prefix.unwrap_or_default().to_string())
    }

    /// The name of a tensor without the prefix, or `None` for tensors that are used in training only:
    /// those of the auxiliary classifiers and torchvision's counts of batches.
    pub fn used_name(&self, name: &str) -> Option<String> {
        const TRAINING: [&str; 4] = ["loss1/", "loss2/", "aux1.", "aux2."];
        let plain = name.strip_prefix(&self.0).unwrap_or(name);
        let is_used =
            !TRAINING.iter().any(|part| plain.starts_with(part)) && !plain.ends_with(".num_batches_tracked");
        is_used.then(|| plain.to_string())
    }

    /// Adds to the description of a problem that names are meant without the prefix.
    pub fn explain(&self, problem: String) -> String {
        match self.0.strip_suffix('.') {
            None => problem,
            Some(part) => format!(
                "{problem}; the names in the file begin with \"{part}.\", which is left out here: \
                 `torch.save(model.{part}.state_dict(), \"weights.pth\")` saves that part without it",
                part = shown(part)
            ),
        }
    }
}

/// Checks the number of classes in the shape of a classifier.
pub(super) fn check_classes(tensor: &str, classes: usize) -> std::result::Result<(), String> {
    if (1..=MAX_CLASSES).contains(&classes) {
        return Ok(());
    }
    Err(format!(
        "tensor {tensor} is for {classes} classes, expected 1 to {MAX_CLASSES} (its shape is [classes, features])"
    ))
}

/// The network whose tensors a file holds, and the naming scheme of the file.
pub(super) struct Layout {
    pub network: Network,
    /// True for a state dict, in which batch normalisation has tensors of its own; false for the
    /// names of the table.
    pub is_state_dict: bool,
}

impl Layout {
    /// Finds the network that has exactly these tensors: its variant, its width and its number of
    /// classes.
    ///
    /// # Errors
    /// Names the tensors that are missing, unknown, duplicate or of a wrong shape.
    pub fn of(tensors: Vec<(String, Vec<usize>)>) -> std::result::Result<Layout, String> {
        let count = tensors.len();
        let mut found: HashMap<String, Vec<usize>> = tensors.into_iter().collect();
        if found.len() != count {
            return Err(
                "has two tensors of the same name, with and without a prefix like \"module.\"".to_string()
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
                    "its classifier `fc` is a Sequential (it has the tensor {}), expected one Linear with fc.weight and \
                     fc.bias; save the last layer under these names, which is right if the others are dropout",
                    shown(name)
                ));
            }
        }
        let classifier = if is_torchvisions { torchvision::CLASSIFIER } else { CLASSIFIER };
        // A file without this tensor is refused below.
        let classes = first(classifier).unwrap_or(CLASSES);
        check_classes(classifier, classes)?;
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
    let named: Vec<_> = names.iter().take(3).map(|name| shown(name)).collect();
    format!("tensor{plural} {}{more}", named.join(", "))
}

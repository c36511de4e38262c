//! Comparison of the tensors of a file with those that a network must have.

use std::collections::HashMap;

use super::torchvision;
use crate::network::{CLASSES, FIRST_CHANNELS, MAX_CLASSES, Network, is_width};

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

/// The name of a tensor without the prefixes of model wrappers, or `None` for tensors that are used
/// in training only: those of the auxiliary classifiers and torchvision's counts of batches.
pub(super) fn used_name(name: &str) -> Option<String> {
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
                    "its classifier `fc` is a Sequential (it has the tensor {name}), expected one Linear with fc.weight and \
                     fc.bias; save the last layer under these names, which is right if the others are dropout"
                ));
            }
        }
        let classifier = if is_torchvisions { torchvision::CLASSIFIER } else { "loss3/classifier.weight" };
        // A file without this tensor is refused below.
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

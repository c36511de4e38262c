//! Conversion of the state dict of torchvision's `googlenet`: each convolution without bias and its
//! batch normalisation become one convolution with bias.
//!
//! The output of the normalisation is `(w * x - mean) / sqrt(var + eps) * scale + shift`, so `w' =
//! w * scale / sqrt(var + eps)` and `bias' = shift - mean * scale / sqrt(var + eps)`. Both are
//! computed in f64 and rounded once.
//!
//! The published weights were trained with `transform_input`: together with torchvision's usual
//! preprocessing, it maps a level `x` of 0..=255 to `x / 127.5 - 1`, red first. Without it a level
//! becomes `(x / 255 - mean) / std`, with ImageNet's mean and standard deviation of each channel.
//! Here the division is part of the first convolution's weights, and its inputs are `x - 127.5` or
//! `x - 255 * mean`, blue first.

use std::collections::HashMap;

use super::Tensor;
use crate::network::{BlobId, LEVELS_MEAN_BGR, Layer, Network, Op};

/// The constant that `torchvision.models.googlenet.BasicConv2d` adds to each variance.
const EPS: f64 = 0.001;

/// True if a table is torchvision's, at any width.
pub(super) fn is_table(network: &Network) -> bool {
    network.layers[0].name == "conv1"
}

/// The first layer's weights in a state dict; files in the naming of the table have no tensor of
/// this name.
pub(super) const FIRST_OF_STATE_DICT: &str = "conv1.conv.weight";

/// The tensor whose first dimension is the number of classes.
pub(super) const CLASSIFIER: &str = "fc.weight";

/// Number of levels that `transform_input` maps to 1.
const LEVELS: f64 = 127.5;

/// Mean and standard deviation of red, green and blue over ImageNet, in 0..=1, as in torchvision's
/// preprocessing.
const IMAGENET: [(f64, f64); 3] = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)];

/// Sets the mean of the table for pictures with or without `transform_input`.
pub(super) fn prepare_input(network: &mut Network, transform_input: bool) {
    network.mean_bgr = match transform_input {
        true => LEVELS_MEAN_BGR,
        false => [2, 1, 0].map(|colour: usize| (255.0 * IMAGENET[colour].0) as f32),
    };
}

/// True if the table is for pictures with `transform_input`.
pub(super) fn has_transform_input(network: &Network) -> bool {
    network.mean_bgr == LEVELS_MEAN_BGR
}

/// Name and shape of each tensor of a state dict that is used, in the order of the table.
pub(super) fn state_dict(network: &Network) -> Vec<(String, Vec<usize>)> {
    let mut tensors = Vec::new();
    for layer in &network.layers {
        let Some(shape) = network.weight_shape(layer) else { continue };
        let outputs = vec![shape[0]];
        if layer.op == Op::Classifier {
            tensors.push((format!("{}.weight", layer.name), shape));
            tensors.push((format!("{}.bias", layer.name), outputs));
            continue;
        }
        tensors.push((format!("{}.conv.weight", layer.name), shape));
        for part in ["weight", "bias", "running_mean", "running_var"] {
            tensors.push((format!("{}.bn.{part}", layer.name), outputs.clone()));
        }
    }
    tensors
}

/// Converts the tensors of a state dict, which are those of [`state_dict`], to those of the table.
///
/// # Errors
/// Describes a negative variance.
pub(super) fn fold(network: &Network, tensors: Vec<Tensor>) -> Result<Vec<Tensor>, String> {
    let mut found: HashMap<String, Vec<f32>> = tensors.into_iter().map(|t| (t.name, t.values)).collect();
    let mut take = |name: String| found.remove(&name).expect("names were compared with the table's");
    // The divisors of the levels, red first.
    let divisors = match has_transform_input(network) {
        true => [LEVELS; 3],
        false => IMAGENET.map(|(_, deviation)| 255.0 * deviation),
    };
    let mut folded = Vec::new();
    for layer in &network.layers {
        let Some(shape) = network.weight_shape(layer) else { continue };
        let (weight, bias) = match layer.op {
            Op::Classifier => (take(format!("{}.weight", layer.name)), take(format!("{}.bias", layer.name))),
            _ => fold_layer(layer, &shape, divisors, &mut take)?,
        };
        let outputs = vec![shape[0]];
        folded.push(Tensor { name: format!("{}.bias", layer.name), shape: outputs, values: bias });
        folded.push(Tensor { name: format!("{}.weight", layer.name), shape, values: weight });
    }
    Ok(folded)
}

/// Folds one convolution with its batch normalisation and returns weights and biases.
fn fold_layer(
    layer: &Layer,
    shape: &[usize],
    divisors: [f64; 3],
    mut take: impl FnMut(String) -> Vec<f32>,
) -> Result<(Vec<f32>, Vec<f32>), String> {
    let name = &layer.name;
    let mut weight = take(format!("{name}.conv.weight"));
    let mut of_batch = |part: &str| take(format!("{name}.bn.{part}"));
    let (scale, shift) = (of_batch("weight"), of_batch("bias"));
    let (mean, variance) = (of_batch("running_mean"), of_batch("running_var"));
    if let Some(negative) = variance.iter().find(|v| **v < 0.0) {
        return Err(format!("tensor {name}.bn.running_var holds {negative}, expected no negative variance"));
    }
    let factor: Vec<f64> = scale
        .iter()
        .zip(&variance)
        .map(|(&scale, &variance)| f64::from(scale) / (f64::from(variance) + EPS).sqrt())
        .collect();
    let taps = shape[2] * shape[3];
    for (filter, factor) in weight.chunks_exact_mut(shape[1] * taps).zip(&factor) {
        for (channel, plane) in filter.chunks_exact_mut(taps).enumerate() {
            let divisor = if layer.input == BlobId::IMAGE { divisors[channel] } else { 1.0 };
            plane.iter_mut().for_each(|w| *w = (f64::from(*w) * factor / divisor) as f32);
        }
        if layer.input == BlobId::IMAGE {
            swap_red_and_blue(filter);
        }
    }
    let bias = shift
        .iter()
        .zip(&mean)
        .zip(&factor)
        .map(|((&shift, &mean), factor)| (f64::from(shift) - f64::from(mean) * factor) as f32)
        .collect();
    Ok((weight, bias))
}

/// Converts the weights of a first layer, whose batch normalisation is folded in already, from
/// `transform_input` to levels of blue, green and red.
pub(super) fn take_levels(weight: &mut [f32], shape: &[usize]) {
    for filter in weight.chunks_exact_mut(shape[1..].iter().product()) {
        filter.iter_mut().for_each(|w| *w = (f64::from(*w) / LEVELS) as f32);
        swap_red_and_blue(filter);
    }
}

/// Swaps the first and the last plane of a filter with three planes.
fn swap_red_and_blue(filter: &mut [f32]) {
    let (red, others) = filter.split_at_mut(filter.len() / 3);
    let blue = others.len() / 2;
    red.swap_with_slice(&mut others[blue..]);
}

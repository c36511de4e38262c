//! The state dict of torchvision's `googlenet`: from a convolution without bias and its batch normalisation to one
//! convolution with bias.
//!
//! A normalised output is `(w * x - mean) / sqrt(var + eps) * scale + shift`, so `w' = w * scale / sqrt(var + eps)` and
//! `bias' = shift - mean * scale / sqrt(var + eps)`; in f64, each rounded once. It takes named tensors, from whichever file.
//!
//! The published weights were trained with `transform_input`: after torchvision's usual preprocessing that comes to
//! `x / 127.5 - 1` for a level `x` of 0..=255, red first. The first convolution has that in its weights here, whose images
//! are blue first and `x - 127.5`.

use super::Tensor;
use crate::network::{Layer, Network, Op};
use std::collections::HashMap;

/// Added to each variance, as `torchvision.models.googlenet.BasicConv2d` does.
const EPS: f64 = 0.001;

/// Whether a file with this tensor is such a state dict.
pub(super) const MARK: &str = "conv1.conv.weight";

/// The tensor that says how many classes there are.
pub(super) const CLASSIFIER: &str = "fc.weight";

/// Levels of a picture to one of what `transform_input` makes of it.
const LEVELS: f64 = 127.5;

/// What only training uses: the auxiliary classifiers and the count of batches.
pub(super) fn is_ignored(name: &str) -> bool {
    name.starts_with("aux1.") || name.starts_with("aux2.") || name.ends_with(".bn.num_batches_tracked")
}

/// The table's tensors of a state dict's.
///
/// # Errors
/// Names the tensor that is missing, unknown, of another shape, or a variance that is negative.
pub(super) fn fold(network: &Network, tensors: Vec<Tensor>) -> Result<Vec<Tensor>, String> {
    let mut found: HashMap<String, Tensor> = tensors.into_iter().map(|t| (t.name.clone(), t)).collect();
    let mut take = |name: String, shape: &[usize]| match found.remove(&name) {
        None => {
            Err(format!("has no tensor {name}, expected the whole state dict of torchvision's googlenet"))
        }
        Some(tensor) if tensor.shape != shape => {
            Err(format!("tensor {name} has shape {:?}, expected {shape:?}", tensor.shape))
        }
        Some(tensor) => Ok(tensor.values),
    };
    let mut folded = Vec::new();
    for layer in &network.layers {
        let Some(shape) = network.weight_shape(layer) else { continue };
        let (weight, bias) = match layer.op {
            Op::Classifier => (
                take(format!("{}.weight", layer.name), &shape)?,
                take(format!("{}.bias", layer.name), &shape[..1])?,
            ),
            _ => fold_layer(layer, &shape, &mut take)?,
        };
        let outputs = vec![shape[0]];
        folded.push(Tensor { name: format!("{}.bias", layer.name), shape: outputs, values: bias });
        folded.push(Tensor { name: format!("{}.weight", layer.name), shape, values: weight });
    }
    match found.into_keys().min() {
        Some(name) => Err(format!("tensor {name} unknown to torchvision's googlenet")),
        None => Ok(folded),
    }
}

/// Weights and biases of one convolution, from its tensors and those of its batch normalisation.
fn fold_layer(
    layer: &Layer,
    shape: &[usize],
    mut take: impl FnMut(String, &[usize]) -> Result<Vec<f32>, String>,
) -> Result<(Vec<f32>, Vec<f32>), String> {
    let name = &layer.name;
    let mut weight = take(format!("{name}.conv.weight"), shape)?;
    let mut of_batch = |part: &str| take(format!("{name}.bn.{part}"), &shape[..1]);
    let (scale, shift) = (of_batch("weight")?, of_batch("bias")?);
    let (mean, variance) = (of_batch("running_mean")?, of_batch("running_var")?);
    if let Some(negative) = variance.iter().find(|v| **v < 0.0) {
        return Err(format!("tensor {name}.bn.running_var holds {negative}, expected no negative variance"));
    }
    let factor: Vec<f64> = scale
        .iter()
        .zip(&variance)
        .map(|(&scale, &variance)| f64::from(scale) / (f64::from(variance) + EPS).sqrt())
        .collect();
    let levels = if layer.input == 0 { LEVELS } else { 1.0 };
    for (filter, factor) in weight.chunks_exact_mut(shape[1..].iter().product()).zip(&factor) {
        filter.iter_mut().for_each(|w| *w = (f64::from(*w) * factor / levels) as f32);
        if layer.input == 0 {
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

/// Makes a first layer's weights, which have their batch normalisation already, those for pictures of blue, green and red
/// levels.
pub(super) fn take_levels(weight: &mut [f32], shape: &[usize]) {
    for filter in weight.chunks_exact_mut(shape[1..].iter().product()) {
        filter.iter_mut().for_each(|w| *w = (f64::from(*w) / LEVELS) as f32);
        swap_red_and_blue(filter);
    }
}

/// Of a filter of three planes, the first and the last change places.
fn swap_red_and_blue(filter: &mut [f32]) {
    let (red, others) = filter.split_at_mut(filter.len() / 3);
    let blue = others.len() / 2;
    red.swap_with_slice(&mut others[blue..]);
}

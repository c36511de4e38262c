//! The fully connected layer, which computes logits from the pooled activations of up to eight
//! images (`docs/04-scores.md`).

use std::sync::Mutex;

use super::{GoogLeNet, packed_bytes};
use crate::error::Result;
use crate::kernels::{Convolution, Isa, PackedWeights, SparseActivations, Sum, WindowRow, pitch};
use crate::profile::Cost;
use crate::stopwatch::Stopwatch;
use crate::weights::check_last_layer;
use crate::{memory, parallel};

/// Inputs that are summed in one chain of additions. A single chain over all 1024 inputs would have
/// a rounding error of up to 2.5e-5, which changes a probability by 6e-6.
const PART: usize = 64;

/// Computes the logits of up to eight images from their pooled activations, and what the multiply-adds
/// cost. With `parallel`, the threads of the current pool share the panels of outputs.
pub(crate) fn classify(
    isa: Isa,
    weights: &PackedWeights,
    pooled: &[&[f32]],
    parallel: bool,
) -> (Vec<Vec<f32>>, Cost) {
    let mut input = SparseActivations::default();
    input.clear(pooled.len());
    input.push_pixel(isa, 0, pooled);
    let (outputs, step) = (weights.outputs(), pitch(weights.outputs()));
    let mut sums = Convolution::in_parts(isa, weights, &input, step, PART);
    let bits = (1u16 << pooled.len()) - 1;
    sums.push(&input, &[WindowRow { row: 0, pixels: 0..1, k_shift: 0 }], bits as u8, 0);
    let compute = |panels: std::ops::Range<usize>| {
        let start = Stopwatch::start();
        let mut out = vec![0.0; pooled.len() * step];
        sums.run(panels.clone(), Sum::Parts, &mut out);
        (weights.channels(panels), out, start.seconds())
    };
    let panels = weights.panels();
    let computed = if parallel {
        let tasks = parallel::count().min(panels);
        parallel::map(tasks, |task| compute(panels * task / tasks..panels * (task + 1) / tasks))
    } else {
        vec![compute(0..panels)]
    };
    let mut logits = vec![vec![0.0; outputs]; pooled.len()];
    let mut cost = Cost { executed: sums.macs(), ..Cost::default() };
    for (channels, out, seconds) in computed {
        cost.seconds += seconds;
        for (logits, out) in logits.iter_mut().zip(out.chunks_exact(step)) {
            logits[channels.clone()].copy_from_slice(&out[channels.clone()]);
        }
    }
    (logits, cost)
}

impl GoogLeNet {
    /// A copy of the network whose last layer is another one, for other classes: its weights
    /// `[classes][features]` and its biases `[classes]`. [`Weights::with_last_layer`](crate::Weights::with_last_layer)
    /// does the same for weights that are written to a file.
    ///
    /// # Errors
    /// [`Error::Option`](crate::Error::Option) if the number of classes is not in
    /// 1..=[`MAX_CLASSES`](crate::network::MAX_CLASSES), or if a number is infinite or NaN;
    /// [`Error::Weights`](crate::Error::Weights) if the number of weights is not that of the classes times
    /// [`features_len`](Self::features_len); [`Error::Memory`](crate::Error::Memory).
    pub fn with_last_layer(&self, weights: &[f32], biases: &[f32]) -> Result<GoogLeNet> {
        check_last_layer(&self.network, weights, biases)?;
        let mut network = self.network.clone();
        network.set_classes(biases.len());
        memory::require("the network", packed_bytes(&network) + 4 * memory::BESIDE)?;
        let (_, before) = self.weights.split_last().expect("a network has layers");
        let mut packed = before.to_vec();
        packed.push(Some(PackedWeights::new(weights, biases, self.features_len(), 1)));
        Ok(GoogLeNet { network, isa: self.isa, weights: packed, spare: Mutex::default() })
    }
}

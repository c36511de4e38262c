//! The fully connected layer, which computes logits from the pooled activations of up to eight
//! images (`docs/04-scores.md`).

use crate::kernels::{Convolution, Isa, PackedWeights, SparseActivations, Sum, WindowRow, pitch};
use crate::parallel;

/// Inputs that are summed in one chain of additions. A single chain over all 1024 inputs would have
/// a rounding error of up to 2.5e-5, which changes a probability by 6e-6.
const PART: usize = 64;

/// Computes the logits of up to eight images from their pooled activations, and the number of
/// multiply-adds. With `parallel`, the threads of the current pool share the panels of outputs.
pub(crate) fn classify(
    isa: Isa,
    weights: &PackedWeights,
    pooled: &[&[f32]],
    parallel: bool,
) -> (Vec<Vec<f32>>, u64) {
    let mut input = SparseActivations::default();
    input.clear(pooled.len());
    input.push_pixel(isa, 0, pooled);
    let (outputs, step) = (weights.outputs(), pitch(weights.outputs()));
    let mut sums = Convolution::in_parts(isa, weights, &input, step, PART);
    let bits = (1u16 << pooled.len()) - 1;
    sums.push(&input, &[WindowRow { row: 0, pixels: 0..1, k_shift: 0 }], bits as u8, 0);
    let compute = |panels: std::ops::Range<usize>| {
        let mut out = vec![0.0; pooled.len() * step];
        sums.run(panels.clone(), Sum::Parts, &mut out);
        (weights.channels(panels), out)
    };
    let panels = weights.panels();
    let computed = if parallel {
        let tasks = parallel::count().min(panels);
        parallel::map(tasks, |task| compute(panels * task / tasks..panels * (task + 1) / tasks))
    } else {
        vec![compute(0..panels)]
    };
    let mut logits = vec![vec![0.0; outputs]; pooled.len()];
    for (channels, out) in computed {
        for (logits, out) in logits.iter_mut().zip(out.chunks_exact(step)) {
            logits[channels.clone()].copy_from_slice(&out[channels.clone()]);
        }
    }
    (logits, sums.macs())
}

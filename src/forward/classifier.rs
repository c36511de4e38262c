//! The fully connected layer, which computes logits from the pooled activations of up to eight
//! images (`docs/04-scores.md`).

use crate::kernels::{
    BATCH, Isa, PackedWeights, SparseActivations, Sum, Tile, WindowRow, convolve_tile, pitch,
};
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
    let parts = pooled[0].len() / PART;
    for part in 0..parts {
        let columns: Vec<&[f32]> = pooled.iter().map(|p| &p[part * PART..(part + 1) * PART]).collect();
        input.push_pixel(isa, part * PART, &columns);
    }
    let (outputs, step) = (weights.outputs(), pitch(weights.outputs()));
    let all: [usize; BATCH] = std::array::from_fn(|i| i);
    let starts: [usize; BATCH] = std::array::from_fn(|i| i * step);
    let compute = |panels: std::ops::Range<usize>| {
        let mut out = vec![0.0; pooled.len() * step];
        for panel in panels.clone() {
            for part in 0..parts {
                let tile = Tile {
                    rows: &[WindowRow { pixels: part..part + 1, k_shift: 0 }],
                    positions: &all[..pooled.len()],
                    out: &starts[..pooled.len()],
                };
                let sum = if part == 0 { Sum::Start } else { Sum::Continue };
                convolve_tile(isa, &input, weights, panel..panel + 1, &tile, sum, &mut out);
            }
        }
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
    let k = input.macs(&[WindowRow { pixels: 0..parts, k_shift: 0 }]);
    (logits, (k * pooled.len() * outputs) as u64)
}

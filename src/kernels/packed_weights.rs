//! A convolution's weights in the order in which the kernels read them.

use std::ops::Range;

use super::aligned::{AlignedBuf, pitch};
use super::simd::{self, PANEL};

/// A convolution's weights, packed once for the kernels: panel by panel `[k][PANEL]`, where missing
/// outputs are zero. The index `k` numbers the products of an output's sum, in their order: by row of
/// the window, tap of the row, input channel.
#[derive(Clone)]
pub(crate) struct PackedWeights {
    outputs: usize,
    k: usize,
    data: AlignedBuf,
    bias: AlignedBuf,
}

impl PackedWeights {
    /// Packs `[outputs][inputs][size][size]` weights.
    pub(crate) fn new(weights: &[f32], bias: &[f32], inputs: usize, size: usize) -> PackedWeights {
        let outputs = bias.len();
        let taps = size * size;
        let k = inputs * taps;
        assert_eq!(weights.len(), outputs * k);
        let mut data = AlignedBuf::zeros(pitch(outputs) * k);
        for (output, filter) in weights.chunks_exact(k).enumerate() {
            let panel = &mut data[output / PANEL * PANEL * k..];
            for (input, plane) in filter.chunks_exact(taps).enumerate() {
                for (tap, &weight) in plane.iter().enumerate() {
                    panel[(tap * inputs + input) * PANEL + output % PANEL] = weight;
                }
            }
        }
        let mut padded = AlignedBuf::zeros(outputs);
        padded[..outputs].copy_from_slice(bias);
        PackedWeights { outputs, k, data, bias: padded }
    }

    /// The number of output channels.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// The number of panels.
    pub(crate) fn panels(&self) -> usize {
        self.outputs.div_ceil(PANEL)
    }

    /// The output channels of some panels.
    pub(crate) fn channels(&self, panels: Range<usize>) -> Range<usize> {
        panels.start * PANEL..self.outputs.min(panels.end * PANEL)
    }

    /// The number of products that an output sums.
    #[inline(always)]
    pub(crate) fn k(&self) -> usize {
        self.k
    }

    /// The weights of one output, by ascending `k`.
    pub(crate) fn weights_of(&self, output: usize) -> impl Iterator<Item = f32> {
        let start = output / PANEL * PANEL * self.k + output % PANEL;
        (0..self.k).map(move |k| self.data[start + k * PANEL])
    }

    /// The weights from a panel on, and the biases of its outputs, padded to whole panels.
    #[inline(always)]
    pub(super) fn panel_and_bias(&self, panel: usize) -> (&[f32], &[f32]) {
        (&self.data[panel * PANEL * self.k..], &self.bias[panel * PANEL..])
    }

    /// The weights from a panel on for a range of `k`, to prefetch in `steps` steps; none if the panel
    /// does not exist. All weights together do not fit any nearby cache; steps spread over the work
    /// before hide that.
    #[inline(always)]
    pub(super) fn prefetch(&self, panel: usize, k: &Range<usize>, steps: usize) -> Prefetch {
        Prefetch {
            next: self.data.as_ptr().wrapping_add((panel * self.k + k.start) * PANEL),
            left: if panel < self.panels() { k.len() } else { 0 },
            step: k.len().div_ceil(steps),
            panel: self.k * PANEL,
        }
    }
}

/// Weights that are brought into the second-level cache step by step.
pub(super) struct Prefetch {
    next: *const f32,
    /// The vectors of each panel that are left.
    left: usize,
    /// The vectors of each panel in a step.
    step: usize,
    /// The number of weights from a panel to the next.
    panel: usize,
}

impl Prefetch {
    /// Prefetches some weights of `B` panels, of which the last ones need not exist.
    #[inline(always)]
    pub(super) fn step<const B: usize>(&mut self) {
        let mut count = self.step.min(self.left);
        self.left -= count;
        while count > 0 {
            simd::unrolled!(b in B => { simd::prefetch(self.next.wrapping_add(b * self.panel)); });
            self.next = self.next.wrapping_add(PANEL);
            count -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_weights_are_read_back() {
        // Full panels, and one with room left over.
        for outputs in [1, 16, 20, 48, 1000] {
            let weights: Vec<f32> = (0..outputs * 3).map(|i| i as f32).collect();
            let packed = PackedWeights::new(&weights, &vec![0.0; outputs], 3, 1);
            for (output, row) in weights.chunks(3).enumerate() {
                assert_eq!(packed.weights_of(output).collect::<Vec<_>>(), row, "{output} of {outputs}");
            }
            assert_eq!(packed.channels(0..packed.panels()), 0..outputs);
        }
    }

    #[test]
    fn k_goes_by_tap_and_then_by_channel() {
        // Two inputs, a window of 2 x 2: the weight says which input (tens) and which tap (ones).
        let filter = [0.0, 1.0, 2.0, 3.0, 10.0, 11.0, 12.0, 13.0];
        let packed = PackedWeights::new(&filter, &[0.0], 2, 2);
        let order: Vec<f32> = packed.weights_of(0).collect();
        assert_eq!(order, [0.0, 10.0, 1.0, 11.0, 2.0, 12.0, 3.0, 13.0]);
    }
}

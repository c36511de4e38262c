//! A convolution's weights in the order in which the kernels read them.

use std::ops::Range;

use super::aligned::{AlignedBuf, pitch};
use super::simd;

/// The most output channels of a panel: as many as a tile of eight positions holds in the registers
/// of AVX-512.
pub(super) const PANEL: usize = 48;

/// A convolution's weights, packed once for the kernels: panel by panel `[k][width]`, where missing
/// outputs are zero. The index `k` numbers the products of an output's sum, in their order: by row of
/// the window, tap of the row, input channel.
pub(crate) struct PackedWeights {
    outputs: usize,
    k: usize,
    panels: Vec<Panel>,
    data: AlignedBuf,
    bias: AlignedBuf,
}

/// Output channels whose weights lie together.
#[derive(Clone, Copy)]
pub(super) struct Panel {
    /// The first output channel.
    pub(super) first: usize,
    /// The number of output channels: [`PANEL`], 32 or 16. Panels of the full width come first; at
    /// most one of 16 or two of 32 follow.
    pub(super) width: usize,
    /// Index of its first weight.
    pub(super) start: usize,
}

impl PackedWeights {
    /// Packs `[outputs][inputs][size][size]` weights.
    pub(crate) fn new(weights: &[f32], bias: &[f32], inputs: usize, size: usize) -> PackedWeights {
        let outputs = bias.len();
        let taps = size * size;
        let k = inputs * taps;
        assert_eq!(weights.len(), outputs * k);
        let panels = panels(outputs, k);
        let mut data = AlignedBuf::zeros(pitch(outputs) * k);
        for panel in &panels {
            for output in panel.first..outputs.min(panel.first + panel.width) {
                let filter = &weights[output * k..(output + 1) * k];
                for (input, plane) in filter.chunks_exact(taps).enumerate() {
                    for (tap, &weight) in plane.iter().enumerate() {
                        let k = tap * inputs + input;
                        data[panel.start + k * panel.width + output - panel.first] = weight;
                    }
                }
            }
        }
        let mut padded = AlignedBuf::zeros(outputs);
        padded[..outputs].copy_from_slice(bias);
        PackedWeights { outputs, k, panels, data, bias: padded }
    }

    /// The number of output channels.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// The number of panels.
    pub(crate) fn panels(&self) -> usize {
        self.panels.len()
    }

    /// The output channels of some panels.
    pub(crate) fn channels(&self, panels: Range<usize>) -> Range<usize> {
        let Panel { first, width, .. } = self.panels[panels.end - 1];
        self.panels[panels.start].first..self.outputs.min(first + width)
    }

    /// The number of products that an output sums.
    #[inline(always)]
    pub(crate) fn k(&self) -> usize {
        self.k
    }

    /// The weights of one output, by ascending `k`.
    pub(crate) fn weights_of(&self, output: usize) -> impl Iterator<Item = f32> {
        let panel = self.panel_of(output);
        let start = panel.start + output - panel.first;
        (0..self.k).map(move |k| self.data[start + k * panel.width])
    }

    #[inline(always)]
    pub(super) fn panel(&self, panel: usize) -> Panel {
        self.panels[panel]
    }

    /// All panels, by ascending output channel.
    #[inline(always)]
    pub(super) fn all_panels(&self) -> &[Panel] {
        &self.panels
    }

    /// The panel that an output channel lies in.
    #[inline(always)]
    pub(super) fn panel_of(&self, output: usize) -> &Panel {
        self.panels.iter().rfind(|panel| panel.first <= output).expect("the first panel begins at 0")
    }

    /// The weights of all panels, and the biases of all outputs, padded to whole vectors.
    #[inline(always)]
    pub(super) fn data_and_bias(&self) -> (&[f32], &[f32]) {
        (&self.data, &self.bias)
    }

    /// All panels, in sets of up to three whose sums fit the registers of AVX-512 for two pixels. A
    /// set is two panels of the full width and what is left over, because few sums at a time wait
    /// for each other.
    pub(crate) fn sets(&self) -> Vec<Range<usize>> {
        let full = self.panels.iter().take_while(|panel| panel.width == PANEL).count();
        let all = self.panels.len();
        let mut starts: Vec<usize> = (0..full).step_by(2).collect();
        match all - full {
            // A single full panel joins the two before it.
            0 if full % 2 == 1 && full > 1 => drop(starts.pop()),
            2 if full.is_multiple_of(2) => starts.push(full),
            _ if full == 0 => starts.push(0),
            _ => {}
        }
        let ends = starts[1..].iter().copied().chain([all]);
        starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
    }

    /// Ranges of panels whose weights stay in a core's second-level cache while all pixels are
    /// visited: 256 kB of typically 1 MB, which leaves room for the next panels and the activations.
    pub(crate) fn cached_panels(&self) -> impl Iterator<Item = Range<usize>> {
        const CACHED_VALUES: usize = 64 * 1024;
        let panels = self.panels();
        let step = (CACHED_VALUES / (self.k * PANEL)).clamp(1, 4);
        (0..panels).step_by(step).map(move |p| p..(p + step).min(panels))
    }

    /// Prefetches part `part` of `parts` of the weights of `panels`. All weights together do not fit
    /// any nearby cache; calls spread over the work on the panels before hide that.
    pub(crate) fn prefetch(&self, panels: Range<usize>, part: usize, parts: usize) {
        let start_of = |panel: usize| self.panels.get(panel).map_or(self.data.len(), |panel| panel.start);
        self.prefetch_data(start_of(panels.start)..start_of(panels.end), part, parts);
    }

    /// Prefetches part `part` of `parts` of a panel's weights for a range of `k`.
    #[inline(always)]
    pub(super) fn prefetch_k(&self, panel: Panel, k: Range<usize>, part: usize, parts: usize) {
        let at = |k: usize| panel.start + k * panel.width;
        self.prefetch_data(at(k.start)..at(k.end), part, parts);
    }

    #[inline(always)]
    fn prefetch_data(&self, range: Range<usize>, part: usize, parts: usize) {
        let lines = range.len() / 16;
        for line in lines * part / parts..lines * (part + 1) / parts {
            simd::prefetch(&self.data[range.start + 16 * line]);
        }
    }
}

/// Divides outputs into panels of [`PANEL`] channels and a rest of 32 or 16. A rest of one vector of
/// 16 joins the last full panel, and the two become two panels of 32: a tile of one vector has few
/// sums to work on at a time and runs at half the speed.
fn panels(outputs: usize, k: usize) -> Vec<Panel> {
    let vectors = outputs.div_ceil(16);
    let mut widths = vec![3; vectors / 3];
    match vectors % 3 {
        1 if vectors > 3 => widths.splice(vectors / 3 - 1.., [2, 2]).for_each(drop),
        0 => {}
        rest => widths.push(rest),
    }
    let mut first = 0;
    let panel = |vectors: usize| {
        let panel = Panel { first, width: 16 * vectors, start: first * k };
        first += panel.width;
        panel
    };
    widths.into_iter().map(panel).collect()
}

#[cfg(test)]
#[cfg_attr(miri, allow(dead_code, unused_imports, reason = "what only the properties need"))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packed_weights_are_read_back() {
        // The outputs need panels of each width, some with room left over.
        for outputs in [1, 20, 48, 64, 80, 112, 1000] {
            let weights: Vec<f32> = (0..outputs * 3).map(|i| i as f32).collect();
            let packed = PackedWeights::new(&weights, &vec![0.0; outputs], 3, 1);
            for (output, row) in weights.chunks(3).enumerate() {
                assert_eq!(packed.weights_of(output).collect::<Vec<_>>(), row, "{output} of {outputs}");
            }
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

    #[cfg(not(miri))] // Packing has no unsafe code.
    proptest! {
        #[test]
        fn panels_and_sets_cover_all_outputs_once(outputs in 1usize..1100) {
            let weights = PackedWeights::new(&vec![0.0; outputs], &vec![0.0; outputs], 1, 1);
            let mut end = 0;
            for panel in &weights.panels {
                let is_width = [16, 32, PANEL].contains(&panel.width);
                prop_assert!(panel.first == end && panel.start == end && is_width);
                end += panel.width;
            }
            prop_assert_eq!(end, pitch(outputs));
            prop_assert_eq!(weights.channels(0..weights.panels()), 0..outputs);
            let mut next = 0;
            for set in weights.sets() {
                prop_assert!(set.start == next && (1..=3).contains(&set.len()));
                next = set.end;
            }
            prop_assert_eq!(next, weights.panels());
        }
    }
}

//! Stages of a forward pass, and the tasks into which threads divide them.
//!
//! A stage is a run of layers of the table that do not read each other's outputs. An inception block is
//! two stages: its 1x1 convolutions and the pool, then the convolutions that read these. Threads that
//! have done a stage's tasks wait for the others before the next stage, so few stages are better than
//! many. A task is a band of rows of one layer, or, where a layer has few pixels and many weights, some of
//! its outputs.

use std::mem;
use std::ops::Range;

use super::activations::{Activations, BlobView};
use super::classifier::classify;
use super::{GoogLeNet, image_windows};
use crate::kernels::{
    AlignedBuf, ChannelsMut, Convolution, Isa, OutputPair, PairRow, PairRows, average, convolve_image, lrn,
    maximum, pitch, zeros,
};
use crate::network::{BlobId, Layer, Network, Op};
use crate::parallel;
use crate::profile::Cost;
use crate::stopwatch::Stopwatch;

/// Output pixels that a convolution computes at a time. Their sums fit into the second-level cache.
const PIXELS: usize = 448;

/// Output pixels of a convolution up to which threads share out the outputs instead of the pixels. The
/// weights are then more memory than the activations, and a thread reads only some of them.
const FEW_PIXELS: usize = 64;

/// For each input of a stage's convolutions, its rows without their zeros. Kept for later stages, which
/// use the memory again.
pub(super) type Packed = Vec<Vec<PairRow>>;

/// Tells how convolutions read a blob: pairs of output pixels read pairs of input pixels.
#[derive(Clone, Copy, PartialEq)]
struct Packing {
    blob: BlobId,
    /// The first pair begins so many pixels left of the plane.
    padding: usize,
    /// The pixels from the beginning of a pair to that of the next: two for a 1x1 window, one for a
    /// larger one.
    every: usize,
}

impl Packing {
    fn of(layer: &Layer) -> Option<Packing> {
        let Op::Convolution(window) = layer.op else { return None };
        let every = if window.size == 1 { 2 } else { 1 };
        (layer.input != BlobId::IMAGE).then_some(Packing {
            blob: layer.input,
            padding: window.padding,
            every,
        })
    }

    /// The pairs of a row of `width` pixels.
    fn pairs(&self, width: usize) -> usize {
        (width + 2 * self.padding).div_ceil(self.every)
    }

    /// Packs a row of the blob.
    fn pack(&self, isa: Isa, plane: BlobView, y: usize, row: &mut PairRow) {
        let pixel = |x: usize| {
            let x = x.wrapping_sub(self.padding);
            if x < plane.width { plane.at(y, x) } else { zeros(plane.channels) }
        };
        row.clear();
        for pair in 0..self.pairs(plane.width) {
            row.push(isa, [pixel(pair * self.every), pixel(pair * self.every + 1)]);
        }
    }
}

/// The inputs that the convolutions of a stage read.
fn packings(layers: &[Layer]) -> Vec<Packing> {
    let mut packings = Vec::new();
    for packing in layers.iter().filter_map(Packing::of) {
        if !packings.contains(&packing) {
            packings.push(packing);
        }
    }
    packings
}

/// The most bytes that [`Packed`] takes.
pub(super) fn packed_input_bytes(network: &Network) -> usize {
    let mut values: Vec<usize> = Vec::new();
    for stage in stages(network, network.layers.len()) {
        for (i, packing) in packings(&network.layers[stage]).iter().enumerate() {
            let blob = &network.blobs[packing.blob];
            values.resize(values.len().max(i + 1), 0);
            values[i] = values[i].max(blob.side * packing.pairs(blob.side) * blob.channels);
        }
    }
    // An entry takes 4 bytes and its values 8. A vector that grows allocates up to three times as much.
    values.iter().sum::<usize>() * 3 * 12
}

/// The stages of the first `layers` layers.
pub(super) fn stages(network: &Network, layers: usize) -> impl Iterator<Item = Range<usize>> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let stage = first..end_of_stage(network, first).min(layers);
        first = stage.end;
        (!stage.is_empty()).then_some(stage)
    })
}

/// The end of the stage that begins with the layer `first`.
fn end_of_stage(network: &Network, first: usize) -> usize {
    let mut end = first + 1;
    while end < network.layers.len() {
        let layer = &network.layers[end];
        // Layers write whole vectors, and one that ends within a vector comes before the next one.
        let is_free = |earlier: &Layer| {
            layer.input != earlier.output
                && (layer.output != earlier.output
                    || earlier.channel + pitch(earlier.channels) <= layer.channel)
        };
        if !network.layers[first..end].iter().all(is_free) {
            break;
        }
        end += 1;
    }
    end
}

/// A part of a layer's work.
struct Task<'t> {
    layer: usize,
    /// True if it belongs to the second half of the layer.
    is_late: bool,
    work: Work<'t>,
}

enum Work<'t> {
    /// All channels of the rows from `y` on.
    Rows { y: usize, out: &'t mut [f32] },
    /// The outputs of a convolution that reads pairs, for some rows.
    Pairs { rows: Range<usize>, out: ChannelsMut<'t> },
    /// Some outputs of a convolution, for all pixels.
    Outputs { convolution: &'t Convolution<'t, 2>, panels: Range<usize>, out: ChannelsMut<'t> },
}

/// A stage of a pass, whose inputs are packed.
struct Stage<'s> {
    net: &'s GoogLeNet,
    activations: &'s Activations,
    inputs: Vec<(Packing, PairRows<'s>)>,
}

impl GoogLeNet {
    /// Runs the layers of a stage, and adds what they cost to `costs`.
    pub(super) fn run_stage(
        &self,
        stage: Range<usize>,
        activations: &mut Activations,
        packed: &mut Packed,
        costs: &mut [Cost],
    ) {
        let mut outputs: Vec<(BlobId, AlignedBuf)> = Vec::new();
        for layer in &self.network.layers[stage.clone()] {
            if outputs.iter().all(|(blob, _)| *blob != layer.output) {
                outputs.push((layer.output, mem::take(&mut activations.blobs[layer.output])));
            }
        }
        let inputs = self.pack(stage.clone(), activations, packed, costs);
        let shared = Stage { net: self, activations, inputs };
        let few = stage.clone().map(|index| {
            let start = Stopwatch::start();
            let convolution = shared.with_few_pixels(index);
            costs[index].seconds += start.seconds();
            convolution
        });
        let few: Vec<_> = few.collect();
        let mut tasks = Vec::new();
        for (blob, values) in &mut outputs {
            let layers = stage.clone().filter(|&index| self.network.layers[index].output == *blob);
            shared.divide(layers, |index| few[index - stage.start].as_ref(), values, &mut tasks);
        }
        // Of two threads, one takes tasks from the front and one from the back. Each begins with the
        // largest, and keeps to its half of the rows, which is in its caches.
        tasks.sort_by_key(|task| {
            let cost = costs[task.layer].affected as i64;
            if task.is_late { cost } else { -1 - cost }
        });
        let done =
            parallel::map_items(tasks.into_iter(), |_, task| (task.layer, shared.run(task.layer, task.work)));
        for (layer, cost) in done {
            costs[layer] += cost;
        }
        drop(few);
        for (blob, values) in outputs {
            activations.blobs[blob] = values;
        }
    }

    /// Packs the inputs of a stage's convolutions. The first layer that reads one bears the cost.
    fn pack<'p>(
        &self,
        stage: Range<usize>,
        activations: &Activations,
        packed: &'p mut Packed,
        costs: &mut [Cost],
    ) -> Vec<(Packing, PairRows<'p>)> {
        let layers = &self.network.layers[stage.clone()];
        let packings = packings(layers);
        packed.resize_with(packed.len().max(packings.len()), Vec::new);
        let mut tasks = Vec::new();
        for (packing, rows) in packings.iter().zip(packed.iter_mut()) {
            let plane = activations.plane(packing.blob);
            rows.resize_with(plane.height.max(rows.len()), PairRow::default);
            tasks
                .extend(rows[..plane.height].iter_mut().enumerate().map(|(y, row)| (packing, plane, y, row)));
        }
        let seconds = parallel::map_items(tasks.into_iter(), |_, (packing, plane, y, row)| {
            let start = Stopwatch::start();
            packing.pack(self.isa, plane, y, row);
            (*packing, start.seconds())
        });
        for (packing, seconds) in seconds {
            let first = layers.iter().position(|layer| Packing::of(layer) == Some(packing));
            costs[stage.start + first.expect("a layer reads it")].seconds += seconds;
        }
        let inputs = packings.into_iter().zip(packed.iter()).map(|(packing, rows)| {
            let plane = activations.plane(packing.blob);
            let (pairs, channels) = (packing.pairs(plane.width), plane.channels);
            (packing, PairRows { rows: &rows[..plane.height], pairs, channels })
        });
        inputs.collect()
    }
}

impl Stage<'_> {
    /// Divides layers that write to the same blob into tasks. `few` returns the convolution of a layer with
    /// few pixels.
    fn divide<'t>(
        &self,
        layers: impl Iterator<Item = usize> + Clone,
        few: impl Fn(usize) -> Option<&'t Convolution<'t, 2>>,
        values: &'t mut [f32],
        tasks: &mut Vec<Task<'t>>,
    ) {
        let network = &self.net.network;
        let first_layer = layers.clone().next().expect("a layer writes to the blob");
        let first = &network.layers[first_layer];
        let side = network.blobs[first.output].side;
        let step = pitch(network.blobs[first.output].channels);
        let reads_pairs = Packing::of(first).is_some();
        let bands = if few(first_layer).is_some() {
            1
        } else if reads_pairs {
            // The same number of bands for each thread, each of at most PIXELS pixels if it has several
            // rows.
            side.div_ceil((PIXELS / side).max(1)).next_multiple_of(parallel::count())
        } else {
            // So that no thread waits long for the last.
            4 * parallel::count()
        };
        let rows = side.div_ceil(bands);
        for (band, out) in values.chunks_mut(rows * side * step).enumerate() {
            let (y, is_late) = (band * rows, 2 * band >= bands);
            if !reads_pairs {
                assert_eq!(layers.clone().count(), 1, "such a layer writes all channels");
                tasks.push(Task { layer: first_layer, is_late, work: Work::Rows { y, out } });
                continue;
            }
            let mut rest = ChannelsMut::new(out, step);
            for layer in layers.clone() {
                let channel = network.layers[layer].channel;
                let mut take = |panels: Range<usize>| rest.take(channel, panels);
                if let Some(convolution) = few(layer) {
                    let blocks = convolution.blocks();
                    let count = blocks.len();
                    tasks.extend(blocks.enumerate().map(|(i, panels)| {
                        let out = take(panels.clone());
                        let work = Work::Outputs { convolution, panels, out };
                        Task { layer, is_late: 2 * i >= count, work }
                    }));
                } else {
                    assert!(Packing::of(&network.layers[layer]).is_some(), "it writes some channels");
                    let out = take(0..self.net.weights(layer).panels());
                    let work = Work::Pairs { rows: y..side.min(y + rows), out };
                    tasks.push(Task { layer, is_late, work });
                }
            }
        }
    }

    /// Runs a task and returns the multiply-adds that were carried out, and their time.
    fn run(&self, index: usize, work: Work) -> Cost {
        let start = Stopwatch::start();
        let executed = match work {
            Work::Rows { out, .. } if matches!(self.net.network.layers[index].op, Op::Classifier) => {
                return self.run_classifier(index, out);
            }
            Work::Rows { y, out } => self.run_rows(index, y, out),
            Work::Pairs { rows, mut out } => {
                let convolution = self.convolution(index, rows);
                convolution.run_pairs(0..self.net.weights(index).panels(), &mut out);
                convolution.macs()
            }
            Work::Outputs { convolution, panels, mut out } => {
                // The count is that of all outputs.
                let macs = if panels.start == 0 { convolution.macs() } else { 0 };
                convolution.run_pairs(panels, &mut out);
                macs
            }
        };
        Cost { executed, seconds: start.seconds(), ..Cost::default() }
    }

    /// Computes the logits, on all threads.
    fn run_classifier(&self, index: usize, out: &mut [f32]) -> Cost {
        let input = self.activations.plane(self.net.network.layers[index].input);
        let (logits, cost) = classify(self.net.isa, self.net.weights(index), &[input.at(0, 0)], true);
        out[..logits[0].len()].copy_from_slice(&logits[0]);
        cost
    }

    /// Begins a convolution if it is one of few pixels.
    fn with_few_pixels(&self, index: usize) -> Option<Convolution<'_, 2>> {
        let layer = &self.net.network.layers[index];
        let side = self.net.network.blobs[layer.output].side;
        let is_one = Packing::of(layer).is_some() && side * side <= FEW_PIXELS;
        is_one.then(|| self.convolution(index, 0..side))
    }

    /// Begins a convolution of some rows, for two neighbouring output pixels at a time. Inputs that are
    /// zero for both pixels are skipped.
    fn convolution(&self, index: usize, rows: Range<usize>) -> Convolution<'_, 2> {
        let layer = &self.net.network.layers[index];
        let blob = &self.net.network.blobs[layer.output];
        let Op::Convolution(window) = layer.op else { unreachable!("it is a convolution") };
        let input = self.inputs.iter().find(|(packing, _)| Some(*packing) == Packing::of(layer));
        let (packing, input) = input.expect("the inputs of the stage are packed");
        let (weights, step) = (self.net.weights(index), pitch(blob.channels));
        let mut convolution = Convolution::of_pairs(self.net.isa, weights, input, window.size, step);
        for y in rows.clone() {
            for x in (0..blob.side).step_by(2) {
                let pair = OutputPair {
                    y: y as isize - window.padding as isize,
                    pair: (x / packing.every) as isize,
                    pixel: (y - rows.start) * blob.side + x,
                    both: x + 1 < blob.side,
                };
                convolution.push(input, &pair);
            }
        }
        convolution
    }

    /// Computes whole rows of an output, from `y` on, for a layer that reads single pixels. Returns the
    /// number of multiply-adds.
    fn run_rows(&self, index: usize, y: usize, out: &mut [f32]) -> u64 {
        let (net, layer) = (self.net, &self.net.network.layers[index]);
        let blob = &net.network.blobs[layer.output];
        let (side, step) = (blob.side, pitch(blob.channels));
        let input = self.activations.plane(layer.input);
        let pixels = |out: &mut [f32], f: &dyn Fn(usize, usize, &mut [f32])| {
            for (i, pixel) in out.chunks_exact_mut(step).enumerate() {
                f(y + i / side, i % side, &mut pixel[..layer.channels]);
            }
        };
        match layer.op {
            Op::Convolution(window) => {
                let weights = net.weights(index);
                for (i, row) in out.chunks_exact_mut(side * step).enumerate() {
                    let windows = image_windows(window, y + i, 0..side);
                    convolve_image(net.isa, input.values, windows, weights, row, [0, step]);
                }
                return (out.len() / step * weights.outputs() * weights.k()) as u64;
            }
            Op::MaxPool(window) => pixels(out, &|y, x, out| {
                let mut taps = Vec::with_capacity(9);
                window.taps(y, x, input.height, |y, x| taps.push(input.at(y, x)));
                maximum(net.isa, &taps, out);
            }),
            Op::Lrn => pixels(out, &|y, x, out| lrn(net.isa, input.at(y, x), out)),
            Op::AveragePool => pixels(out, &|_, _, out| {
                let all = 0..input.height * input.width;
                let all: Vec<&[f32]> = all.map(|i| input.at(i / input.width, i % input.width)).collect();
                average(net.isa, &all, out);
            }),
            Op::Classifier => unreachable!("it has a function of its own"),
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Input, Weights};

    #[test]
    fn an_inception_block_is_two_stages() {
        let network = Network::googlenet();
        let stages: Vec<_> = stages(&network, network.layers.len()).collect();
        let names = |stage: &Range<usize>| {
            let names = network.layers[stage.clone()].iter().map(|layer| layer.name.as_str());
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(stages.len(), 29);
        assert_eq!(names(&stages[0]), "conv1/7x7_s2");
        assert_eq!(
            names(&stages[7]),
            "inception_3a/3x3_reduce inception_3a/5x5_reduce inception_3a/pool inception_3a/1x1"
        );
        assert_eq!(names(&stages[8]), "inception_3a/3x3 inception_3a/5x5 inception_3a/pool_proj");
        assert_eq!(names(&stages[28]), "loss3/classifier");
    }

    #[test]
    fn layers_of_a_stage_neither_read_nor_overwrite_each_others_outputs() {
        for network in [Network::bvlc(7), Network::torchvision(7), Network::torchvision_half(7)] {
            for stage in stages(&network, network.layers.len()) {
                let layers = &network.layers[stage];
                for (i, layer) in layers.iter().enumerate() {
                    for earlier in &layers[..i] {
                        let written = earlier.channel..earlier.channel + pitch(earlier.channels);
                        assert_ne!(layer.input, earlier.output, "{}", layer.name);
                        let are_apart = layer.output != earlier.output || written.end <= layer.channel;
                        assert!(are_apart, "{} and {}", earlier.name, layer.name);
                    }
                }
            }
        }
    }

    #[test]
    fn multiply_adds_are_those_of_activations_that_are_not_zero_in_both_pixels_of_a_pair() {
        let net = GoogLeNet::new(&Weights::seeded(3)).unwrap();
        let input = Input::from_nhwc_bgr((0..224 * 224 * 3).map(|i| (i % 251) as f32).collect()).unwrap();
        let (activations, profile) = (net.forward(&input), net.profile(&input));
        // Of 14x14 pixels, whose rows are divided, and of 7x7, whose outputs are.
        for name in ["inception_4a/1x1", "inception_5a/1x1"] {
            let (layer, profile) =
                net.network.layers.iter().zip(&profile.layers).find(|(layer, _)| layer.name == name).unwrap();
            let plane = activations.plane(layer.input);
            let mut macs = 0;
            for y in 0..plane.height {
                for x in (0..plane.width).step_by(2) {
                    let pair: Vec<&[f32]> = (x..plane.width.min(x + 2)).map(|x| plane.at(y, x)).collect();
                    let kept = (0..plane.channels).filter(|&c| pair.iter().any(|pixel| pixel[c] != 0.0));
                    macs += kept.count() * pair.len() * layer.channels;
                }
            }
            assert_eq!(profile.executed, macs as u64, "{name}");
        }
    }

    // The bits of the dense definition are compared elsewhere, with the threads of the global pool.
    #[test]
    fn the_bits_do_not_depend_on_the_threads() {
        let image = (0..224 * 224 * 3).map(|i| (i * 7919 % 256) as f32 - 110.0).collect();
        let input = Input::from_nhwc_bgr(image).unwrap();
        for network in [Network::bvlc(7), Network::torchvision_half(7)] {
            let net = GoogLeNet::new(&Weights::seeded_for(network, 5)).unwrap();
            let pass = |threads| {
                parallel::in_pool(threads, || {
                    let profile = net.profile(&input);
                    let macs: Vec<u64> = profile.layers.iter().map(|layer| layer.executed).collect();
                    Ok((net.forward(&input), macs))
                })
                .unwrap()
            };
            let (one, macs) = pass(1);
            for threads in [2, 3, 8] {
                let (many, macs_of_many) = pass(threads);
                for (blob, (one, many)) in net.network.blobs.iter().zip(one.blobs.iter().zip(&many.blobs)) {
                    let same = one.iter().zip(many.iter()).all(|(one, many)| one.to_bits() == many.to_bits());
                    assert!(same && one.len() == many.len(), "{} with {threads} threads", blob.name);
                }
                assert_eq!(macs, macs_of_many, "{threads} threads");
            }
        }
    }
}

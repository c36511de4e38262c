//! The network with packed weights, and the forward pass of one image.
//!
//! For each layer of the table, the pass divides the output pixels into bands of rows, gives each
//! band to a thread and calls the kernel of the layer's kind (`docs/02-convolution.md`,
//! `docs/03-pooling-lrn-inception.md`). The arithmetic itself is in `src/kernels`; batches of
//! masked images are in `src/sweep`.

pub(crate) mod activations;
mod classification;
pub(crate) mod classifier;
mod softmax;

pub use activations::Activations;
pub(crate) use activations::{IMAGE_PADDING, PADDED_SIDE, pad_image};
pub use classification::Classification;
pub use softmax::{exp, log_sum_exp, softmax};
pub(crate) use softmax::{ln, softmax_f64};

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::kernels::{
    AlignedBuf, Convolution, Isa, OutputPair, PackedWeights, PairRow, PairRows, WINDOW_STEP, Windows,
    average, convolve_image, lrn, maximum, pitch, zeros,
};
use crate::network::geometry::Window;
use crate::network::{BlobId, Layer, Network, Op};
use crate::profile::{Cost, Profile};
use crate::stopwatch::Stopwatch;
use crate::{Input, Result, Weights};
use crate::{memory, parallel};
use activations::BlobView;
use classifier::classify;

/// Output pixels that a convolution computes at a time. Their sums fit into the second-level cache.
const PIXELS: usize = 448;

/// A network, in either variant, whose weights are packed for the kernels.
///
/// It is immutable, `Send` and `Sync`, so threads can share one by reference. All methods that
/// compute use the threads of the current rayon pool, or only the calling thread without the
/// feature `rayon`.
pub struct GoogLeNet {
    pub(crate) network: Network,
    pub(crate) isa: Isa,
    /// One entry for each layer of the table; `None` for layers without weights.
    pub(crate) weights: Vec<Option<PackedWeights>>,
    /// Workspaces of earlier passes, for reuse.
    spare: Mutex<Vec<(Activations, PairedRows)>>,
}

/// The input of convolutions without its zeros: for each row of a blob, the nonzero activations of
/// pairs of neighbouring pixels. Kept from one layer to the next, because the branches of an
/// inception block read the same blob.
#[derive(Default)]
struct PairedRows {
    blob: Option<BlobId>,
    rows: Vec<PairRow>,
}

impl PairedRows {
    /// Packs a blob, unless it is packed already. Each row gets `pairs` pairs, which begin at every
    /// `every`-th pixel; the first pair begins `padding` pixels left of the plane.
    fn take(&mut self, isa: Isa, blob: BlobId, plane: BlobView, padding: usize, every: usize, pairs: usize) {
        if self.blob == Some(blob) {
            return;
        }
        self.blob = Some(blob);
        self.rows.resize_with(plane.height.max(self.rows.len()), PairRow::default);
        parallel::map_chunks(&mut self.rows[..plane.height], 1, |y, row| {
            let pixel = |x: usize| {
                let x = x.wrapping_sub(padding);
                if x < plane.width { plane.at(y, x) } else { zeros(plane.channels) }
            };
            let row = &mut row[0];
            row.clear();
            for pair in 0..pairs {
                row.push(isa, [pixel(pair * every), pixel(pair * every + 1)]);
            }
        });
    }
}

impl fmt::Debug for GoogLeNet {
    /// Shows the table's name and the instruction set, not the weights.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("GoogLeNet");
        debug.field("network", &self.network.name).field("isa", &self.isa).finish_non_exhaustive()
    }
}

/// The bytes of a network's packed weights.
fn packed_bytes(network: &Network) -> usize {
    let shapes = network.layers.iter().filter_map(|layer| network.weight_shape(layer));
    let values = |shape: Vec<usize>| pitch(shape[0]) * shape[1..].iter().product::<usize>();
    shapes.map(values).sum::<usize>() * size_of::<f32>()
}

impl GoogLeNet {
    /// Reads a weights file, checks it and packs the weights for the kernels.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io), [`Error::Weights`](crate::Error::Weights);
    /// [`Error::Option`](crate::Error::Option) and [`Error::Memory`](crate::Error::Memory) as for
    /// [`GoogLeNet::new`].
    pub fn load(path: impl AsRef<Path>) -> Result<GoogLeNet> {
        GoogLeNet::new(&Weights::load(path)?)
    }

    /// Packs weights for the kernels. The kernels use the instruction set that the environment
    /// variable `OCCLUDE_ISA` names (see [`Isa::from_environment`]), by default the fastest one
    /// of this machine.
    ///
    /// # Errors
    /// [`Error::Option`](crate::Error::Option) if `OCCLUDE_ISA` names an unknown instruction set,
    /// or one that this machine does not have; outside any rayon pool, also if `RAYON_NUM_THREADS`
    /// is above [`MAX_THREADS`](crate::parallel::MAX_THREADS). [`Error::Memory`](crate::Error::Memory)
    /// if the memory for the packed weights is not available.
    pub fn new(weights: &Weights) -> Result<GoogLeNet> {
        parallel::check_default()?;
        let isa = Isa::from_environment()?;
        let network = weights.network().clone();
        // The allocator loses several MB between the blocks of the layers.
        memory::require("the network", packed_bytes(&network) + 4 * memory::BESIDE)?;
        let weights = parallel::map(network.layers.len(), |index| {
            let layer = &network.layers[index];
            network.weight_shape(layer)?;
            let size = if let Op::Convolution(window) = layer.op { window.size } else { 1 };
            let inputs = network.blobs[layer.input].channels;
            Some(PackedWeights::new(weights.weight(&layer.name), weights.bias(&layer.name), inputs, size))
        });
        Ok(GoogLeNet { network, isa, weights, spare: Mutex::default() })
    }

    /// The instruction set that the kernels use.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The same network with kernels for another instruction set. All results stay the same, bit
    /// for bit, unless it is `wasm-unfused` (see [`Isa`]).
    pub fn with_isa(self, isa: Isa) -> GoogLeNet {
        GoogLeNet { isa, ..self }
    }

    /// The table of layers and blobs.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Checks that the memory of one pass is available, 25 MB for the published network. Rust ends the
    /// program where an allocation fails, so a program that may lack memory calls this before
    /// [`classify`](Self::classify), [`forward`](Self::forward) and [`profile`](Self::profile). Functions
    /// that return errors check memory themselves.
    ///
    /// # Errors
    /// [`Error::Memory`](crate::Error::Memory).
    pub fn check_memory(&self) -> Result<()> {
        memory::require("a pass through the network", self.pass_memory())
    }

    /// Classifies one image.
    pub fn classify(&self, input: &Input) -> Classification {
        self.with_memory(input, |activations, paired| {
            self.run(self.network.layers.len(), activations, paired);
            activations.classification()
        })
    }

    /// The features of one image: the pooled activations that the last layer reads, one number that is
    /// not negative for each of its inputs (1024 in the published networks).
    pub fn features(&self, input: &Input) -> Vec<f32> {
        self.with_memory(input, |activations, paired| {
            self.run(self.network.layers.len() - 1, activations, paired);
            activations.plane(self.network.classifier().input).at(0, 0).to_vec()
        })
    }

    /// Classifies an image by its [`features`](Self::features), with the bits of
    /// [`classify`](Self::classify).
    ///
    /// # Panics
    /// If the number of features is not [`features_len`](Self::features_len).
    pub fn classify_features(&self, features: &[f32]) -> Classification {
        assert_eq!(features.len(), self.features_len(), "one number for each input of the last layer");
        let (logits, _) = classify(self.isa, self.weights(self.network.layers.len() - 1), &[features], true);
        Classification::new(logits.into_iter().next().expect("one image"))
    }

    /// Number of [`features`](Self::features).
    pub fn features_len(&self) -> usize {
        self.network.blobs[self.network.classifier().input].channels
    }

    /// Runs one image through all layers and keeps every blob.
    pub fn forward(&self, input: &Input) -> Activations {
        let mut padded = AlignedBuf::zeros(PADDED_SIDE * PADDED_SIDE * 3);
        pad_image(&self.network, input.values(), &mut padded);
        self.forward_padded(&padded)
    }

    /// [`GoogLeNet::forward`] for an image in the layout of blob 0, with its padding.
    pub(crate) fn forward_padded(&self, image: &[f32]) -> Activations {
        let mut activations = self.activations();
        activations.blobs[0].copy_from_slice(image);
        self.run(self.network.layers.len(), &mut activations, &mut PairedRows::default());
        activations
    }

    /// Runs one image through all layers and measures the multiply-adds and the time of each.
    pub fn profile(&self, input: &Input) -> Profile {
        self.with_memory(input, |activations, paired| {
            let start = Stopwatch::start();
            let costs = self.run(self.network.layers.len(), activations, paired);
            Profile::new(&self.network, 1, start.seconds(), costs)
        })
    }

    /// Calls `run` with a workspace that holds the image. Workspaces are kept for later calls,
    /// because allocating 16 MB takes a tenth of the time of a pass.
    fn with_memory<T>(&self, input: &Input, run: impl FnOnce(&mut Activations, &mut PairedRows) -> T) -> T {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (mut activations, mut paired) =
            spare.unwrap_or_else(|| (self.activations(), PairedRows::default()));
        pad_image(&self.network, input.values(), &mut activations.blobs[0]);
        let result = run(&mut activations, &mut paired);
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push((activations, paired));
        result
    }

    /// Allocates the blobs of one pass.
    fn activations(&self) -> Activations {
        let mut blobs = vec![AlignedBuf::zeros(PADDED_SIDE * PADDED_SIDE * 3)];
        for blob in &self.network.blobs[1..] {
            blobs.push(AlignedBuf::zeros(blob.side * blob.side * pitch(blob.channels)));
        }
        Activations { network: self.network.clone(), blobs }
    }

    /// The most bytes that one pass allocates, with the masked image and the packed input of
    /// convolutions.
    pub(crate) fn pass_memory(&self) -> usize {
        let images = 3 * (PADDED_SIDE * PADDED_SIDE * 3).next_multiple_of(16);
        let blobs: usize = self.network.blobs[1..].iter().map(|b| b.side * b.side * pitch(b.channels)).sum();
        let read = |layer: &Layer| match layer.op {
            Op::Convolution(window) if layer.input != BlobId::IMAGE => {
                let blob = &self.network.blobs[layer.input];
                blob.side * (blob.side + 2 * window.padding) * blob.channels
            }
            _ => 0,
        };
        // An entry takes 4 bytes and its values 8. A vector that grows allocates up to three times
        // as much.
        let reads = self.network.layers.iter().map(read).max().unwrap_or(0) * 3 * 12;
        (images + blobs) * size_of::<f32>() + reads
    }

    /// Runs the image in blob 0 through the first `layers` layers and returns the cost of each.
    fn run(&self, layers: usize, activations: &mut Activations, paired: &mut PairedRows) -> Vec<Cost> {
        parallel::inside(|| {
            paired.blob = None;
            let threads = parallel::count() as f64;
            let mut costs = Vec::with_capacity(layers);
            for (index, layer) in self.network.layers[..layers].iter().enumerate() {
                let start = Stopwatch::start();
                let executed = self.run_layer(index, activations, paired);
                let pixels = self.network.blobs[layer.output].side.pow(2);
                costs.push(Cost {
                    affected: (pixels * self.network.multiply_adds_per_pixel(layer)) as u64,
                    executed,
                    seconds: start.seconds() * threads,
                });
            }
            costs
        })
    }

    /// The packed weights of a layer.
    ///
    /// # Panics
    /// If the layer has no weights.
    pub(crate) fn weights(&self, layer: usize) -> &PackedWeights {
        self.weights[layer].as_ref().expect("convolutions and the classifier have weights")
    }

    /// Runs one layer and returns the number of multiply-adds that were carried out.
    fn run_layer(&self, index: usize, activations: &mut Activations, paired: &mut PairedRows) -> u64 {
        let layer = &self.network.layers[index];
        let side = self.network.blobs[layer.output].side;
        let step = pitch(self.network.blobs[layer.output].channels);
        let mut out = std::mem::take(&mut activations.blobs[layer.output]);
        let input = activations.plane(layer.input);
        let isa = self.isa;
        let mut macs = 0;
        match layer.op {
            Op::Convolution(window) if layer.input == BlobId::IMAGE => {
                macs = self.convolve_image(index, window, input, &mut out);
            }
            Op::Convolution(window) => macs = self.convolve(index, window, input, paired, &mut out),
            Op::MaxPool(window) => for_each_pixel(&mut out, side, step, |y, x, out| {
                let mut pixels = Vec::with_capacity(9);
                window.taps(y, x, input.height, |y, x| pixels.push(input.at(y, x)));
                maximum(isa, &pixels, &mut out[..layer.channels]);
            }),
            Op::Lrn => for_each_pixel(&mut out, side, step, |y, x, out| {
                lrn(isa, input.at(y, x), &mut out[..layer.channels]);
            }),
            Op::AveragePool => {
                let pixels: Vec<&[f32]> = (0..input.height * input.width)
                    .map(|i| input.at(i / input.width, i % input.width))
                    .collect();
                average(isa, &pixels, &mut out[..layer.channels]);
            }
            Op::Classifier => {
                let logits;
                (logits, macs) = classify(isa, self.weights(index), &[input.at(0, 0)], true);
                out[..layer.channels].copy_from_slice(&logits[0]);
            }
        }
        activations.blobs[layer.output] = out;
        macs
    }

    /// Computes the first convolution, whose input is the image.
    fn convolve_image(&self, index: usize, window: Window, input: BlobView, out: &mut [f32]) -> u64 {
        let blob = &self.network.blobs[self.network.layers[index].output];
        let (side, step) = (blob.side, pitch(blob.channels));
        let weights = self.weights(index);
        // One band of rows for each thread, so that each thread reads the weights once.
        let band = side.div_ceil(parallel::count());
        parallel::map_chunks(out, band * side * step, |i, out| {
            for y in 0..out.len() / (side * step) {
                let windows = image_windows(window, i * band + y, 0..side);
                convolve_image(self.isa, input.values, windows, weights, out, [y * side * step, step]);
            }
        });
        (side * side * weights.outputs() * weights.k()) as u64
    }

    /// Computes any other convolution, for two neighbouring output pixels at a time. Inputs that
    /// are zero for both pixels are skipped.
    fn convolve(
        &self,
        index: usize,
        window: Window,
        input: BlobView,
        paired: &mut PairedRows,
        out: &mut [f32],
    ) -> u64 {
        let layer = &self.network.layers[index];
        let blob = &self.network.blobs[layer.output];
        let (side, step) = (blob.side, pitch(blob.channels));
        // Pairs of output pixels read pairs of input pixels. For a 1x1 window these begin at every
        // other pixel, for a larger one at every pixel, starting in the padding on the left.
        let every = if window.size == 1 { 2 } else { 1 };
        let pairs = (input.width + 2 * window.padding).div_ceil(every);
        paired.take(self.isa, layer.input, input, window.padding, every, pairs);
        let weights = self.weights(index);
        let pairs = PairRows { rows: &paired.rows[..input.height], pairs, channels: input.channels };
        // The same number of bands for each thread, each of at most PIXELS pixels if it has several
        // rows.
        let bands = side.div_ceil((PIXELS / side).max(1)).next_multiple_of(parallel::count());
        let rows = side.div_ceil(bands);
        let macs = parallel::map_chunks(out, rows * side * step, |i, out| {
            let mut convolution = Convolution::of_pairs(self.isa, weights, &pairs, window.size, step);
            for y in i * rows..side.min((i + 1) * rows) {
                for x in (0..side).step_by(2) {
                    let pair = OutputPair {
                        y: y as isize - window.padding as isize,
                        pair: (x / every) as isize,
                        first: ((y - i * rows) * side + x) * step + layer.channel,
                        both: x + 1 < side,
                    };
                    convolution.push(&pairs, &pair);
                }
            }
            convolution.run_pairs(out);
            convolution.macs()
        });
        macs.iter().sum()
    }
}

/// The windows that the first layer reads for row `y` of its output.
pub(crate) fn image_windows(window: Window, y: usize, columns: Range<usize>) -> Windows {
    assert_eq!([window.padding, window.stride * 3], [IMAGE_PADDING, WINDOW_STEP]);
    Windows {
        start: (y * window.stride * PADDED_SIDE + columns.start * window.stride) * 3,
        row: PADDED_SIDE * 3,
        width: window.size * 3,
        count: columns.len(),
    }
}

/// Calls `f(y, x, pixel)` for each output pixel; bands of rows run in parallel.
fn for_each_pixel(
    out: &mut [f32],
    side: usize,
    step: usize,
    f: impl Fn(usize, usize, &mut [f32]) + Sync + Send,
) {
    let band = side.div_ceil(parallel::count()) * side;
    parallel::map_chunks(out, band * step, |number, out| {
        for (i, pixel) in out.chunks_exact_mut(step).enumerate() {
            let at = number * band + i;
            f(at / side, at % side, pixel);
        }
    });
}

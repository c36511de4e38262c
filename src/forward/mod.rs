//! The network, ready to run, and one pass of one image through it: for each layer of the table, which pixels go to which kernel
//! on which thread.
//!
//! It knows every kind of layer (`docs/02-convolution.md` and `docs/03-pooling-lrn-inception.md`) and no layer's name. The
//! arithmetic is the kernels', and nothing is known here of masks.

pub(crate) mod activations;
mod classification;
pub(crate) mod classifier;
mod softmax;

pub use activations::Activations;
pub(crate) use activations::{IMAGE_PADDING, PADDED_SIDE, pad_image};
pub use classification::Classification;
pub use softmax::softmax;
pub(crate) use softmax::{exp, softmax_f64};

use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::kernels::{
    AlignedBuf, Isa, Item, PackedWeights, PairRow, Pairs, Windows, average, convolve_image, lrn, maximum,
    pitch, zeros,
};
use crate::network::geometry::Window;
use crate::network::{BlobId, Layer, Network, Op};
use crate::parallel;
use crate::profile::{Cost, Profile};
use crate::{Input, Result, Weights};
use activations::BlobView;
use classifier::classify;

/// Pixels that a convolution takes at a time: few enough for their sums to stay in the second-level cache.
const PIXELS: usize = 448;

/// GoogLeNet, either variant of it, with its weights packed for the kernels. `Send + Sync`, immutable: share it between threads.
pub struct GoogLeNet {
    pub(crate) network: Network,
    pub(crate) isa: Isa,
    /// One a layer of the table; `None` for layers without weights.
    pub(crate) weights: Vec<Option<PackedWeights>>,
    /// Memory of earlier passes, for later ones.
    spare: Mutex<Vec<(Activations, Reads)>>,
}

/// The blob that convolutions read, without its zeros: for each row, pairs of neighbouring pixels.
#[derive(Default)]
struct Reads {
    blob: Option<BlobId>,
    rows: Vec<PairRow>,
}

impl Reads {
    /// Takes the values of a blob, unless it has them: in each row as many pairs as `sites`, which begin at every `every`-th
    /// pixel, the first one `padding` left of the plane.
    fn take(&mut self, isa: Isa, blob: BlobId, plane: BlobView, padding: usize, every: usize, sites: usize) {
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
            for site in 0..sites {
                row.push(isa, [pixel(site * every), pixel(site * every + 1)]);
            }
        });
    }
}

impl GoogLeNet {
    /// Reads, checks and packs a weights file.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io), [`Error::Weights`](crate::Error::Weights); [`Error::Option`](crate::Error::Option) for an unusable `OCCLUDE_ISA`.
    pub fn load(path: impl AsRef<Path>) -> Result<GoogLeNet> {
        GoogLeNet::new(&Weights::load(path)?)
    }

    /// Packs weights for the kernels. The instruction set is the fastest that the machine has, or what
    /// the environment variable `OCCLUDE_ISA` says.
    ///
    /// # Errors
    /// [`Error::Option`](crate::Error::Option) when `OCCLUDE_ISA` names an instruction set that does not exist or that the machine lacks.
    pub fn new(weights: &Weights) -> Result<GoogLeNet> {
        let isa = Isa::from_environment()?;
        let network = weights.network().clone();
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

    /// The same network on another instruction set; results are the same bits.
    ///
    /// # Errors
    /// [`Error::Option`](crate::Error::Option) when the machine does not have it.
    pub fn with_isa(self, isa: Isa) -> Result<GoogLeNet> {
        Ok(GoogLeNet { isa: isa.check()?, ..self })
    }

    /// The layers and blobs.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Classifies one image, on the threads of the current rayon pool.
    pub fn classify(&self, input: &Input) -> Classification {
        self.with_memory(input, |activations, reads| {
            self.run(activations, reads);
            activations.classification()
        })
    }

    /// Runs one image through all layers, on the threads of the current rayon pool, and keeps every blob.
    pub fn forward(&self, input: &Input) -> Activations {
        let mut padded = AlignedBuf::zeros(PADDED_SIDE * PADDED_SIDE * 3);
        pad_image(&self.network, input.values(), &mut padded);
        self.forward_padded(&padded)
    }

    /// The same for an image as blob 0 has it.
    pub(crate) fn forward_padded(&self, image: &[f32]) -> Activations {
        let mut activations = self.activations();
        activations.blobs[0].copy_from_slice(image);
        self.run(&mut activations, &mut Reads::default());
        activations
    }

    /// What each layer costs for one image, on the threads of the current rayon pool.
    pub fn profile(&self, input: &Input) -> Profile {
        self.with_memory(input, |activations, reads| {
            let start = Instant::now();
            let costs = self.run(activations, reads);
            Profile::new(&self.network, 1, start.elapsed().as_secs_f64(), costs)
        })
    }

    /// Puts an image into memory for a pass that an earlier call has left, or into new one, and leaves it for a later call:
    /// taking 16 MB from the system costs a tenth of the pass.
    fn with_memory<T>(&self, input: &Input, run: impl FnOnce(&mut Activations, &mut Reads) -> T) -> T {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (mut activations, mut reads) = spare.unwrap_or_else(|| (self.activations(), Reads::default()));
        pad_image(&self.network, input.values(), &mut activations.blobs[0]);
        let result = run(&mut activations, &mut reads);
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push((activations, reads));
        result
    }

    /// Memory for one pass.
    fn activations(&self) -> Activations {
        let mut blobs = vec![AlignedBuf::zeros(PADDED_SIDE * PADDED_SIDE * 3)];
        for blob in &self.network.blobs[1..] {
            blobs.push(AlignedBuf::zeros(blob.side * blob.side * pitch(blob.channels)));
        }
        Activations { network: self.network.clone(), blobs }
    }

    /// Bytes that a pass takes at most, what covers the image and what convolutions read included.
    pub(crate) fn pass_memory(&self) -> usize {
        let images = 3 * (PADDED_SIDE * PADDED_SIDE * 3).next_multiple_of(16);
        let blobs: usize = self.network.blobs[1..].iter().map(|b| b.side * b.side * pitch(b.channels)).sum();
        let read = |layer: &Layer| match layer.op {
            Op::Convolution(window) if layer.input != 0 => {
                let blob = &self.network.blobs[layer.input];
                blob.side * (blob.side + 2 * window.padding) * blob.channels
            }
            _ => 0,
        };
        // An entry takes 4 bytes, its values 8; lists that grow as they are filled take up to three times as much.
        let reads = self.network.layers.iter().map(read).max().unwrap_or(0) * 3 * 12;
        (images + blobs) * size_of::<f32>() + reads
    }

    /// Runs the image in the first blob through all layers.
    fn run(&self, activations: &mut Activations, reads: &mut Reads) -> Vec<Cost> {
        reads.blob = None;
        let threads = parallel::count() as f64;
        let mut costs = Vec::with_capacity(self.network.layers.len());
        for (index, layer) in self.network.layers.iter().enumerate() {
            let start = Instant::now();
            let executed = self.run_layer(index, activations, reads);
            let pixels = self.network.blobs[layer.output].side.pow(2);
            costs.push(Cost {
                affected: (pixels * self.network.multiply_adds_per_pixel(layer)) as u64,
                executed,
                seconds: start.elapsed().as_secs_f64() * threads,
            });
        }
        costs
    }

    /// The packed weights of a layer that has weights.
    pub(crate) fn weights(&self, layer: usize) -> &PackedWeights {
        self.weights[layer].as_ref().expect("convolutions and the classifier have weights")
    }

    /// Runs one layer and says how many multiply-adds it took.
    fn run_layer(&self, index: usize, activations: &mut Activations, reads: &mut Reads) -> u64 {
        let layer = &self.network.layers[index];
        let side = self.network.blobs[layer.output].side;
        let step = pitch(self.network.blobs[layer.output].channels);
        let mut out = std::mem::take(&mut activations.blobs[layer.output]);
        let input = activations.plane(layer.input);
        let isa = self.isa;
        let mut products = 0;
        match layer.op {
            Op::Convolution(window) if layer.input == 0 => {
                products = self.convolve_image(index, window, input, &mut out);
            }
            Op::Convolution(window) => products = self.convolve(index, window, input, reads, &mut out),
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
                (logits, products) = classify(isa, self.weights(index), &[input.at(0, 0)], true);
                out[..layer.channels].copy_from_slice(&logits[0]);
            }
        }
        activations.blobs[layer.output] = out;
        products
    }

    /// The first convolution, which reads the image itself.
    fn convolve_image(&self, index: usize, window: Window, input: BlobView, out: &mut [f32]) -> u64 {
        let blob = &self.network.blobs[self.network.layers[index].output];
        let (side, step) = (blob.side, pitch(blob.channels));
        let weights = self.weights(index);
        // Bands of rows, one a thread: each reads the weights once.
        let band = side.div_ceil(parallel::count());
        parallel::map_chunks(out, band * side * step, |i, out| {
            for y in 0..out.len() / (side * step) {
                let windows = image_windows(window, i * band + y, 0..side);
                convolve_image(self.isa, input.values, windows, weights, out, [y * side * step, step]);
            }
        });
        (side * side * weights.outputs() * weights.k()) as u64
    }

    /// Any other convolution: two neighbouring output pixels at a time, without what is zero in both.
    fn convolve(
        &self,
        index: usize,
        window: Window,
        input: BlobView,
        reads: &mut Reads,
        out: &mut [f32],
    ) -> u64 {
        let layer = &self.network.layers[index];
        let blob = &self.network.blobs[layer.output];
        let (side, step) = (blob.side, pitch(blob.channels));
        // A 1x1 window reads pairs that begin at every other pixel, a larger one those that begin at each, from left of the
        // plane on.
        let every = if window.size == 1 { 2 } else { 1 };
        let sites = (input.width + 2 * window.padding).div_ceil(every);
        reads.take(self.isa, layer.input, input, window.padding, every, sites);
        let weights = self.weights(index);
        let pairs = Pairs {
            rows: &reads.rows[..input.height],
            sites,
            channels: input.channels,
            window: window.size,
            weights,
        };
        // As many bands for each thread, and small enough.
        let bands = side.div_ceil((PIXELS / side).max(1)).next_multiple_of(parallel::count());
        let rows = side.div_ceil(bands);
        let sets = weights.sets();
        let products = parallel::map_chunks(out, rows * side * step, |i, out| {
            let items: Vec<Item> = (i * rows..side.min((i + 1) * rows))
                .flat_map(|y| (0..side).step_by(2).map(move |x| (y, x)))
                .map(|(y, x)| {
                    let place = |x| ((y - i * rows) * side + x) * step + layer.channel;
                    Item {
                        y: y as isize - window.padding as isize,
                        site: (x / every) as isize,
                        out: place(x),
                        second: (x + 1 < side).then(|| place(x + 1)),
                    }
                })
                .collect();
            for panels in &sets {
                pairs.convolve(self.isa, panels.clone(), &items, out);
            }
            pairs.macs(&items)
        });
        products.iter().sum()
    }
}

/// Windows of the first layer in row `y` of its output.
pub(crate) fn image_windows(window: Window, y: usize, columns: Range<usize>) -> Windows {
    debug_assert_eq!(window.padding, IMAGE_PADDING);
    Windows {
        start: (y * window.stride * PADDED_SIDE + columns.start * window.stride) * 3,
        step: window.stride * 3,
        row: PADDED_SIDE * 3,
        width: window.size * 3,
        count: columns.len(),
    }
}

/// Calls `f(y, x, pixel)` for each output pixel, bands of rows in parallel.
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

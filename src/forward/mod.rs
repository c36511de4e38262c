//! The network with packed weights, and the forward pass of one image.
//!
//! The pass runs the layers of the table in stages, and divides each stage into tasks, mostly bands of
//! rows of a layer (`stage.rs`). A task calls the kernel of the layer's kind (`docs/02-convolution.md`,
//! `docs/03-pooling-lrn-inception.md`). The arithmetic itself is in `src/kernels`; batches of masked
//! images are in `src/sweep`.

pub(crate) mod activations;
mod classification;
pub(crate) mod classifier;
mod softmax;
mod stage;

pub use activations::Activations;
pub(crate) use activations::{IMAGE_PADDING, PADDED_SIDE, pad_image};
pub use classification::Classification;
pub use softmax::{exp, log_sum_exp, softmax};
pub(crate) use softmax::{ln, softmax_f64};

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::kernels::{AlignedBuf, Isa, PackedWeights, WINDOW_STEP, Windows, pitch};
use crate::network::geometry::Window;
use crate::network::{Network, Op};
use crate::profile::{Cost, Profile};
use crate::stopwatch::Stopwatch;
use crate::{Input, Result, Weights};
use crate::{memory, parallel};
use classifier::classify;
use stage::{Packed, stages};

/// A network, in either variant, whose weights are packed for the kernels.
///
/// It is immutable, `Send` and `Sync`, so threads can share one by reference. All methods that
/// compute use the threads of the current rayon pool, or only the calling thread without the
/// feature `rayon`. A pass occupies all threads of the pool until it ends; those without work spin. For
/// many images, [`parallel::each`] has no waiting.
pub struct GoogLeNet {
    pub(crate) network: Network,
    pub(crate) isa: Isa,
    /// One entry for each layer of the table; `None` for layers without weights.
    pub(crate) weights: Vec<Option<PackedWeights>>,
    /// Workspaces of earlier passes, for reuse.
    spare: Mutex<Vec<(Activations, Packed)>>,
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

    /// Checks that the memory of one pass is available, 36 MB for the published network. Rust ends the
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
        self.with_memory(input, |activations, packed| {
            self.run(self.network.layers.len(), activations, packed);
            activations.classification()
        })
    }

    /// The features of one image: the pooled activations that the last layer reads, one number that is
    /// not negative for each of its inputs (1024 in the published networks).
    pub fn features(&self, input: &Input) -> Vec<f32> {
        self.with_memory(input, |activations, packed| {
            self.run(self.network.layers.len() - 1, activations, packed);
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
        self.run(self.network.layers.len(), &mut activations, &mut Packed::new());
        activations
    }

    /// Runs one image through all layers and measures the multiply-adds and the time of each.
    pub fn profile(&self, input: &Input) -> Profile {
        self.with_memory(input, |activations, packed| {
            let start = Stopwatch::start();
            let costs = self.run(self.network.layers.len(), activations, packed);
            Profile::new(&self.network, 1, start.seconds(), costs)
        })
    }

    /// Calls `run` with a workspace that holds the image. Workspaces are kept for later calls,
    /// because allocating 16 MB takes a tenth of the time of a pass.
    fn with_memory<T>(&self, input: &Input, run: impl FnOnce(&mut Activations, &mut Packed) -> T) -> T {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (mut activations, mut packed) = spare.unwrap_or_else(|| (self.activations(), Packed::new()));
        pad_image(&self.network, input.values(), &mut activations.blobs[0]);
        let result = run(&mut activations, &mut packed);
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push((activations, packed));
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
        (images + blobs) * size_of::<f32>() + stage::packed_input_bytes(&self.network)
    }

    /// Runs the image in blob 0 through the first `layers` layers and returns the cost of each.
    fn run(&self, layers: usize, activations: &mut Activations, packed: &mut Packed) -> Vec<Cost> {
        parallel::inside_awake(|| {
            let mut costs: Vec<Cost> = self.network.layers[..layers]
                .iter()
                .map(|layer| {
                    let pixels = self.network.blobs[layer.output].side.pow(2);
                    let affected = (pixels * self.network.multiply_adds_per_pixel(layer)) as u64;
                    Cost { affected, ..Cost::default() }
                })
                .collect();
            for stage in stages(&self.network, layers) {
                self.run_stage(stage, activations, packed, &mut costs);
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

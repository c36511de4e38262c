//! GoogLeNet inference and occlusion sensitivity in pure Rust on the CPU.
//!
//! The crate classifies a photograph and explains the result: it slides a mask over the photograph,
//! measures how much a class's score drops at each position, and draws the result as a map. All
//! results are the same, bit for bit, for every instruction set and every number of threads. (One,
//! `wasm-unfused`, is less exact and has to be asked for: see [`Isa`].)
//!
//! ```
//! use occlude::{GoogLeNet, MaskValue, OcclusionSensitivity, Picture, Resize, Upsampling, Weights};
//!
//! // `occlude::weights::find(None)?.load()?` loads the published network if its file exists, or else
//! // the built-in network (feature `builtin`). This example uses random weights.
//! let net = GoogLeNet::new(&Weights::seeded(1))?;
//!
//! // `Picture::open("cat.jpg", Resize::Stretch)?` opens a file. Here, 60 rows of 90 pixels, red first.
//! let rgb: Vec<u8> = (0..60 * 90).flat_map(|i| [i % 90 * 2, i / 90 * 4, (i % 7) * 30]).map(|v| v as u8).collect();
//! let picture = Picture::from_rgb(60, 90, &rgb, Resize::Stretch)?;
//!
//! let input = picture.input();
//! let top = net.classify(&input).top(2);
//! let maps = OcclusionSensitivity::new(&net)
//!     .classes(top.clone())
//!     .mask_size([80, 80])
//!     .stride([112, 75])
//!     .mask_value(MaskValue::Auto)
//!     .run(&input)?;
//!
//! // The masks are centred at rows 0, 112 and columns 0, 75, 150. One sweep gives a map for each class.
//! assert_eq!(maps.grid, [2, 3]);
//! assert_eq!(maps.map(0).grid(), [2, 3]);
//! assert_eq!(maps.map(0).get(1, 1), maps.base_scores[0] - maps.scores[4]);
//! assert_eq!(maps.upsampled(1, Upsampling::Bicubic).len(), 224 * 224);
//! # Ok::<(), occlude::Error>(())
//! ```
//!
//! # From a photograph to a map
//!
//! The [book](mod@book) explains each step with numbers; the files in `docs/` also have the pictures.
//! `tests/engine/exercises.rs` contains exercises for its chapters with runnable solutions.
//!
//! | chapter | subject | items |
//! |---|---|---|
//! | [`book::pixel_to_tensor`] | pixels, channel order, mean | [`mod@image`], [`resize`](image::resize) |
//! | [`book::convolution`] | convolution as a sum, and as im2col and a matrix product | [`mod@reference`] |
//! | [`book::pooling_lrn_inception`] | the other layers, and the table of layers | [`mod@reference`], [`network`] |
//! | [`book::scores`] | logits, softmax, classes | [`softmax()`], [`Classification`], [`labels`](network::labels) |
//! | [`book::occlusion_map`] | the sweep and its map | [`sweep`], [`MaskValue`] |
//! | [`book::receptive_fields`] | the activations that a mask can change | [`geometry`](network::geometry), [`trace`] |
//! | [`book::zeros_and_bits`] | skipping zeros without changing a bit | `src/kernels/`, [`profile`] |
//! | [`book::reading_a_map`] | the meaning of a map and its limits | [`OcclusionMaps`] |
//! | [`book::grad_cam`] | Grad-CAM, and a measure to compare maps | [`explain`] |
//! | [`book::regions`] | boxes, outlines and the smallest parts | [`Region`], [`SmallestParts`] |
//! | [`book::teaching`] | training of the last layer | [`learn`] |
//!
//! 1. **Photograph and picture** ([`mod@image`]). [`Photograph::open`] decodes a file to upright
//!    RGB. [`Resize`] selects how it becomes a [`Picture`] of 224x224 pixels, by antialiased
//!    bicubic interpolation.
//! 2. **Tensor.** [`Picture::input`] puts blue first and subtracts [`network::MEAN_BGR`]. The
//!    result is an [`Input`], `[224][224][3]`. In all tensors of this crate the channels are
//!    contiguous (NHWC).
//! 3. **Network** ([`network`]). [`Network`](network::Network) is a table of layers and of the
//!    blobs between them. The forward pass, the receptive fields, the count of multiply-adds and
//!    the check of weights files read this table. The branches of an inception block write to
//!    different channels of one blob, so no layer concatenates. There is one table for BVLC
//!    GoogLeNet and one for torchvision's variant, each for any number of classes; the latter also
//!    at half the width.
//! 4. **Weights** ([`weights`]). [`weights::find`] searches for the file. [`Weights::load`]
//!    recognises its form by the first bytes and checks every tensor; [`Weights::from_bytes`] reads
//!    it from memory (`include_bytes!`). `Weights::builtin` (feature `builtin`) is the network
//!    inside this crate, and [`Weights::seeded`] makes random weights. [`Weights::labels`] names
//!    the classes. [`GoogLeNet::new`] packs the weights for the kernels.
//! 5. **Layers and scores** ([`forward`]). [`GoogLeNet::forward`] runs all layers and keeps the
//!    [`Activations`]. [`GoogLeNet::classify`] returns the [`Classification`] only: logits, and
//!    probabilities by [`softmax()`].
//! 6. **Arithmetic** (`src/kernels/`, which contains all `unsafe` code except that of the C
//!    interface). Each kernel is one generic algorithm, instantiated for each [`Isa`]. It sums an
//!    output in a fixed order of fused multiply-adds and skips inputs of zero, which changes no
//!    bit; on photographs about half of the multiply-adds remain. Several outputs share a loaded
//!    weight: two neighbouring pixels in a single pass, a batch of mask positions in a sweep
//!    (`convolution/mod.rs`), a row of the image in the first layer (`conv_first.rs`).
//!    [`mod@reference`] computes the same by im2col and matrix
//!    multiplication, for readers and tests. A development build of a program that embeds the crate
//!    needs `[profile.dev.package.occlude] opt-level = 2`, or it takes a hundred times as long.
//! 7. **Sweep** ([`sweep`]). [`OcclusionSensitivity`] slides the mask; its options are those of
//!    MATLAB's `occlusionSensitivity`. Eight neighbouring positions go through the network
//!    together, because their zeros are at nearly the same positions. Only activations that the
//!    mask can have changed are computed: [`Rect::through`](network::geometry::Rect::through)
//!    follows the mask's rectangle through the layers, and within it only pixels with a changed
//!    input are computed. [`exhaustive`](OcclusionSensitivity::exhaustive) computes everything and
//!    gives the same bits.
//! 8. **Maps.** [`OcclusionMaps::map`] is the unmasked score minus the masked score at each
//!    position; positive values are evidence for the class. [`OcclusionMaps::upsampled`] enlarges a
//!    map to the picture, and [`OcclusionMaps::attributions`] distributes it over the pixels as
//!    Captum does. The total activation of a [`Feature`] has a map of its own.
//!    [`GoogLeNet::grad_cam`] computes Grad-CAM maps, and [`Faithfulness`] measures which of two
//!    maps is more faithful to the network. [`Framing::region_above`](image::Framing::region_above) finds the pixels of the
//!    photograph that hold the evidence, and [`SmallestParts`] the smallest parts that keep or lose
//!    a class.
//! 9. **Figures** (`src/cli/`, feature `cli`). The command `occlude explain` draws the map over the
//!    photograph and writes all numbers to files.
//!
//! [`profile`] measures the time and the multiply-adds of each layer. [`trace`] follows one mask
//! through the layers:
//!
//! ```
//! # use occlude::network::geometry::Rect;
//! # use occlude::{GoogLeNet, Input, MaskValue, Weights};
//! # let net = GoogLeNet::new(&Weights::seeded(1))?;
//! # let input = Input::from_nhwc_bgr((0..224 * 224 * 3).map(|i| (i % 241) as f32 - 110.0).collect())?;
//! let mask = Rect { y0: 90, x0: 100, y1: 104, x1: 109 };
//! let trace = net.trace(&input, mask, MaskValue::Auto)?;
//! let conv1 = &trace.layers[0];
//! // Pixel x of conv1 reads the columns 2x - 3 .. 2x + 4; the mask has the columns 100 .. 109.
//! assert_eq!((conv1.reached.x0, conv1.reached.x1), (49, 56));
//! assert!(conv1.changed_pixels() <= conv1.computed_pixels() && conv1.affected < conv1.dense);
//! # Ok::<(), occlude::Error>(())
//! ```
//!
//! # Threads, progress and errors
//!
//! The crate has no global state. A [`GoogLeNet`] is immutable, `Send` and `Sync`. A forward pass
//! uses the current rayon pool. So does a sweep, unless [`threads`](OcclusionSensitivity::threads)
//! gives it a pool of its own. A program with its own pool uses it as follows:
//!
#![cfg_attr(feature = "rayon", doc = "```")]
#![cfg_attr(not(feature = "rayon"), doc = "```text")]
//! # use occlude::{GoogLeNet, Input, OcclusionSensitivity, Weights};
//! # let net = GoogLeNet::new(&Weights::seeded(1))?;
//! # let input = Input::from_nhwc_bgr(vec![0.0; 224 * 224 * 3])?;
//! let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("two threads");
//! let maps = pool.install(|| OcclusionSensitivity::new(&net).stride([112, 112]).run(&input))?;
//! # assert_eq!(maps.grid, [2, 2]);
//! # Ok::<(), occlude::Error>(())
//! ```
//!
//! Outside any pool, rayon's global pool is used, which starts at its first use with
//! [`default_threads`](parallel::default_threads). Where no thread can be started, the calling thread does
//! all work.
//!
//! [`on_progress`](OcclusionSensitivity::on_progress) reports each completed batch of positions and
//! stops the sweep if the callback requests it. A panic in a callback propagates to the caller of the
//! sweep and leaves the network usable. All other failures are [`Error`]s; each says what was found,
//! what was expected and what to do.
//!
//! # Features
//!
//! | feature | effect |
//! |---|---|
//! | `cli` (default; enables `rayon`, `all-formats`, `pth` and `builtin`) | builds the command |
//! | `serve` (default; enables `cli`) | builds the command with `occlude serve` |
//! | `rayon` | uses several threads; without it, all work is done on the calling thread, with the same bits |
//! | `image` | opens PNG and JPEG files ([`Photograph::open`], [`Picture::open`]); without it, pictures come as raw pixels |
//! | `all-formats` (enables `image`) | opens WebP, BMP, GIF and TIFF files as well |
//! | `pth` | reads PyTorch's `.pth` files |
//! | `builtin` | includes the built-in network of 3 MB |
//! | `capi` | builds the C interface (`src/capi/occlude.h`) |
//!
//! Without default features the crate depends on `safetensors`, `matrixmultiply` and `wide` only.
//!
//! # Versions
//!
//! The crate follows semantic versioning. Within a major version (before 1.0: a minor version) the
//! following stay compatible: the public API, the C interface, the names and meanings of the fields of
//! `map.json` and the other files, the command line options, and the bits of results for the same
//! weights, picture and options (`tests/engine/reproducible.rs` checks them). Any version may add functions,
//! options, fields, and variants and fields of `#[non_exhaustive]` types, and may change the text of
//! messages and the look of pictures. The minimum supported Rust version, 1.89, may increase with a
//! minor version.

#![deny(missing_docs, missing_debug_implementations, rustdoc::broken_intra_doc_links)]

#[cfg(test)]
extern crate self as occlude;

// The readers of weights files assume little-endian numbers, and no big-endian machine was
// available for tests.
#[cfg(target_endian = "big")]
compile_error!(
    "occlude needs a little-endian target, such as x86_64 or aarch64; big-endian targets are untested"
);

// The unit tests of the library include those of the C interface.
#[cfg(any(feature = "capi", test))]
mod capi;
pub mod error;
pub mod explain;
pub mod forward;
pub mod image;
mod kernels;
pub mod learn;
pub mod memory;
pub mod network;
pub mod parallel;
pub mod profile;
pub mod reference;
mod stopwatch;
pub mod sweep;
pub mod text;
pub mod trace;
pub mod weights;

pub use error::{Error, Result};
pub use explain::faithfulness::{Curves, Faithfulness, Ranking};
pub use explain::gradcam::GradCam;
pub use explain::pairs::{ClassInteractions, Interactions, Places};
pub use explain::region::{Region, RegionPart, Threshold};
pub use explain::rise::{Rise, RiseMaps};
pub use explain::smallest::{ClassParts, OnSearch, SmallestPart, SmallestParts};
pub use forward::{Activations, Classification, GoogLeNet, softmax};
pub use image::lattice::Placement;
pub use image::resize::Upsampling;
pub use image::{Input, Photograph, Picture, Resize};
pub use kernels::Isa;
pub use network::labels::Labels;
pub use profile::{LayerProfile, Profile};
pub use sweep::{
    Against, Channel, Choose, Feature, FeatureMap, Map, MaskValue, OcclusionMaps, OcclusionSensitivity,
    OnProgress, OnRefinement, Prepared, Progress, Refinement, Score, Segments, Shape, Target,
};
pub use trace::{LayerTrace, Trace};
pub use weights::Weights;

/// Compiles the examples of the README.
#[cfg(all(doctest, feature = "image"))]
#[doc = include_str!("../README.md")]
struct Readme;

// These modules exist in the documentation alone, and their examples are its tests: they have to give what the book says.
#[cfg(any(doc, doctest))]
pub mod book {
    //! The book: a convolutional network and its explanation, step by step. Each module below is a chapter.
    //!
    //! The chapters are Markdown files in the folder `docs/` of this package. On these pages their
    //! figures are missing and their links do not work; use the list of modules instead.
    //! `docs/SUMMARY.md` is the table of contents, and `mdbook serve docs` turns the files into web pages.
    //!
    //! ---
    //!
    #![doc = include_str!("../docs/README.md")]

    #[doc = include_str!("../docs/01-pixel-to-tensor.md")]
    pub mod pixel_to_tensor {}

    #[doc = include_str!("../docs/02-convolution.md")]
    pub mod convolution {}

    #[doc = include_str!("../docs/03-pooling-lrn-inception.md")]
    pub mod pooling_lrn_inception {}

    #[doc = include_str!("../docs/04-scores.md")]
    pub mod scores {}

    #[doc = include_str!("../docs/05-occlusion-map.md")]
    pub mod occlusion_map {}

    #[doc = include_str!("../docs/06-receptive-fields.md")]
    pub mod receptive_fields {}

    #[doc = include_str!("../docs/07-zeros-and-bits.md")]
    pub mod zeros_and_bits {}

    #[doc = include_str!("../docs/08-reading-a-map.md")]
    pub mod reading_a_map {}

    #[doc = include_str!("../docs/09-grad-cam.md")]
    pub mod grad_cam {}

    #[doc = include_str!("../docs/10-regions.md")]
    pub mod regions {}

    #[doc = include_str!("../docs/11-teaching.md")]
    pub mod teaching {}

    #[doc = include_str!("../docs/appendix-trace.md")]
    pub mod appendix_trace {}

    #[doc = include_str!("../docs/glossary.md")]
    pub mod glossary {}
}

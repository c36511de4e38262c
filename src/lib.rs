//! GoogLeNet from workspace that explains its own classifications by occlusion: cover a part of the photograph, see how
//! far the score of a class drops, and do that everywhere. Pure Rust on the CPU; every result is the same, bit for bit,
//! whatever the instruction set, the number of threads and the way of computing it.
//!
//! ```
//! use occlude::{GoogLeNet, MaskValue, OcclusionSensitivity, Picture, Resize, Upsampling, Weights};
//!
//! // A trained network is `GoogLeNet::new(&occlude::weights::find(None)?.load()?)?`: the published one, if its file is found,
//! // else the one inside this crate (feature `builtin`). This one is random, so that the example needs neither.
//! let net = GoogLeNet::new(&Weights::seeded(1))?;
//!
//! // Any photograph: `Picture::open("cat.jpg", Resize::Stretch)?`. Here, 60 rows of 90 pixels, red first.
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
//! // Mask centres at rows 0, 112 and columns 0, 75, 150; one map a class, from one sweep.
//! assert_eq!(maps.grid, [2, 3]);
//! assert_eq!(maps.map(0).grid(), [2, 3]);
//! assert_eq!(maps.map(0).get(1, 1), maps.base_scores[0] - maps.scores[4]);
//! assert_eq!(maps.upsampled(1, Upsampling::Bicubic).len(), 224 * 224);
//! # Ok::<(), occlude::Error>(())
//! ```
//!
//! # The tour, from a photograph to its map
//!
//! The [book](mod@book) explains each step with its numbers, in the files of `docs/` also with its pictures; `tests/engine/exercises.rs`
//! has exercises to its chapters, with solutions that run.
//!
//! | chapter | explains | here |
//! |---|---|---|
//! | [`book::pixel_to_tensor`] | pixels, channel order, mean | [`mod@image`], [`image::resize`] |
//! | [`book::convolution`] | convolution as a sum, and as im2col and a matrix product | [`mod@reference`] |
//! | [`book::pooling_lrn_inception`] | the other layers, and the table that joins them | [`mod@reference`], [`network`] |
//! | [`book::scores`] | logits, softmax, classes | [`softmax()`], [`Classification`], [`network::labels`] |
//! | [`book::occlusion_map`] | the sweep and its map | [`sweep`], [`MaskValue`] |
//! | [`book::receptive_fields`] | what a mask can reach | [`network::geometry`], [`trace`] |
//! | [`book::zeros_and_bits`] | fewer products and the same bits | `src/kernels/`, [`profile`] |
//! | [`book::reading_a_map`] | what a map says and what it does not | [`OcclusionMaps`] |
//! | [`book::grad_cam`] | the other method, and which is better | [`explain::gradcam`], [`explain::faithfulness`] |
//!
//! 1. **Photograph to picture** ([`mod@image`], [`image::resize`]). [`Photograph::open`] decodes a file, upright, to RGB. [`Resize`]
//!    says how it becomes the square [`Picture`] of 224x224 pixels, by antialiased bicubic interpolation.
//! 2. **Picture to tensor.** [`Picture::input`] puts blue first and subtracts [`network::MEAN_BGR`]: an [`Input`],
//!    `[224][224][3]`, channels side by side, as in all blobs of this crate.
//! 3. **The network as data** ([`network`]). [`Network`](network::Network) is one table of layers and of the blobs between
//!    them. The forward pass, the receptive fields, the count of multiply-adds and the check of the weights all read it.
//!    An inception block's concatenation is no layer: its branches write side by side into one blob. Berkeley's network and
//!    torchvision's are two tables, each for any number of classes; torchvision's also at half its width.
//! 4. **Weights** ([`weights`]). [`weights::find`] looks for the file, [`Weights::load`] tells its form by its first bytes and
//!    checks every tensor before a number of it is used, [`Weights::from_bytes`] takes one from memory (`include_bytes!`),
//!    [`GoogLeNet::new`] packs them for the kernels. `Weights::builtin` (feature `builtin`) is the network inside this crate,
//!    [`Weights::seeded`] makes a random one. [`Weights::labels`] names the classes.
//! 5. **Layers to scores.** [`GoogLeNet::forward`] runs layer after layer and keeps all [`Activations`];
//!    [`GoogLeNet::classify`] keeps the [`Classification`]: logits, and probabilities by [`softmax()`]. [`network::labels`] names
//!    the classes.
//! 6. **The arithmetic** (`src/kernels/`, where all `unsafe` is but the C interface's). One generic algorithm a kernel, instantiated
//!    for each [`Isa`]. An output adds up its products in one fixed order by fused multiply-adds, and leaves out those with
//!    an activation of zero, which changes no bit; on photographs about half of the products remain. Three kernels
//!    differ in what shares a weight that has been loaded: two neighbouring pixels in a single pass (`conv_pair.rs`), eight mask
//!    positions in a sweep (`conv_batch.rs`), a row of the image in the first layer (`conv_first.rs`). For readers and for tests,
//!    [`mod@reference`] does the same work in the plainest way, by im2col and matrix multiplication.
//! 7. **The sweep** ([`sweep`]). [`OcclusionSensitivity`] slides the mask; the options are those of MATLAB's
//!    `occlusionSensitivity`. Eight neighbouring positions go through the network side by side (`src/sweep/runner.rs`,
//!    `src/sweep/batch/mod.rs`, `src/sweep/plan.rs`), because their zeros lie at nearly the same places. Only what a mask can have changed
//!    is computed: [`network::geometry`] follows the mask's rectangle through the layers, and of its pixels only those are computed whose
//!    inputs did change.
//!    [`exhaustive`](OcclusionSensitivity::exhaustive) computes everything, to show that it comes to the same bits.
//! 8. **Scores to maps.** [`OcclusionMaps::map`] is `score(whole) - score(covered)` at each position: positive is evidence
//!    for the class. [`OcclusionMaps::upsampled`] enlarges it to the picture.
//!    [`OcclusionMaps::attributions`] spreads it over the pixels as Captum does; a [`Feature`] has a map of its own.
//!    [`GoogLeNet::grad_cam`] is the method to compare with, and [`Faithfulness`] measures which of two maps is better.
//! 9. **Maps to a figure** (`src/cli/`, the feature `cli`). The command `occlude explain` lays the map over the photograph
//!    and writes all numbers beside it.
//!
//! [`profile`] says which layer the time and the multiply-adds go to, [`trace`] follows one mask through the layers:
//!
//! ```
//! # use occlude::network::geometry::Rect;
//! # use occlude::{GoogLeNet, Input, MaskValue, Weights};
//! # let net = GoogLeNet::new(&Weights::seeded(1))?;
//! # let input = Input::from_nhwc_bgr((0..224 * 224 * 3).map(|i| (i % 241) as f32 - 110.0).collect())?;
//! let mask = Rect { y0: 90, x0: 100, y1: 104, x1: 109 };
//! let trace = net.trace(&input, mask, MaskValue::Auto)?;
//! let conv1 = &trace.layers[0];
//! // The 9 columns of the mask reach those pixels of conv1 that read one of them, 2x - 3 .. 2x + 4.
//! assert_eq!((conv1.reached.x0, conv1.reached.x1), (49, 56));
//! assert!(conv1.changed_pixels() <= conv1.computed_pixels() && conv1.affected < conv1.dense);
//! # Ok::<(), occlude::Error>(())
//! ```
//!
//! # Threads, progress, errors
//!
//! There is no global state. A [`GoogLeNet`] is immutable, `Send` and `Sync`. A forward pass runs on the current rayon
//! pool; a sweep does too, unless [`threads`](OcclusionSensitivity::threads) gives it one of its own. In a pool that the
//! program has already, that is
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
//! Called from outside of any pool, rayon's global one is used, and started if it has not been yet.
//!
//! [`on_progress`](OcclusionSensitivity::on_progress) reports each batch of positions and stops the sweep when told to. A panic in such a function of the caller's reaches the caller of the sweep, whichever thread it came from, and leaves
//! the network as it was. Everything that is refused is an [`Error`] that says what was found, what was expected and what to do.
//!
//! # Features
//!
//! | feature | without it |
//! |---|---|
//! | `cli` (the default; brings `rayon`, `all-formats`, `pth` and `builtin`) | there is no command, only the library |
//! | `rayon` | all work is done by the calling thread; the same bits |
//! | `image` | photographs come as raw pixels: there is no [`Photograph::open`] and [`Picture::open`] |
//! | `all-formats` (brings `image`) | only PNG and JPEG are opened, not WebP, BMP, GIF and TIFF |
//! | `pth` | PyTorch's own files are refused, with a hint |
//! | `builtin` | there is no network in the crate, which saves 3 MB: weights are a file |
//! | `capi` | there is no C interface (`src/capi/occlude.h`) |
//!
//! Without default features the crate depends on `safetensors`, `matrixmultiply` and `wide` alone.
//!
//! # Versions
//!
//! Versions follow semantic versioning. Within a major version (before 1.0: a minor one) stay as they are: the public API, the C
//! interface, names and meaning of the fields of `map.json` and of the other files, command line options, and the **bits of results**
//! for the same weights, picture and options (`tests/engine/reproducible.rs` holds them). What may come at any time: functions, options,
//! fields, variants of enums and fields of structs that are `#[non_exhaustive]`, the text of messages and the look of pictures. The
//! oldest Rust that is supported, 1.89, may rise with a minor version.

#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

#[cfg(test)]
extern crate self as occlude;

// Weights files and the bits that are compared are little-endian, and no big-endian machine has been at hand to test on.
#[cfg(target_endian = "big")]
compile_error!(
    "occlude needs a little-endian target, such as x86_64 or aarch64: nothing of it has been tested on another"
);

// The tests of the C interface are among the library's.
#[cfg(any(feature = "capi", test))]
mod capi;
pub mod error;
pub mod explain;
pub mod forward;
pub mod image;
mod kernels;
pub mod network;
mod parallel;
pub mod profile;
pub mod reference;
pub mod sweep;
pub mod trace;
pub mod weights;

pub use error::{Error, Result};
pub use explain::faithfulness::{Curves, Faithfulness, Ranking};
pub use explain::gradcam::GradCam;
pub use forward::{Activations, Classification, GoogLeNet, softmax};
pub use image::resize::Upsampling;
pub use image::{Input, Photograph, Picture, Resize};
pub use kernels::Isa;
pub use network::labels::Labels;
pub use profile::{LayerProfile, Profile};
pub use sweep::{
    Choose, Feature, FeatureMap, Map, MaskValue, OcclusionMaps, OcclusionSensitivity, OnProgress,
    OnRefinement, Progress, Refinement, Score,
};
pub use trace::{LayerTrace, Trace};
pub use weights::Weights;

/// The README's examples, which have to compile.
#[cfg(all(doctest, feature = "image"))]
#[doc = include_str!("../README.md")]
struct Readme;

// These modules exist in the documentation alone, and their examples are its tests: they have to give what the book says.
#[cfg(any(doc, doctest))]
pub mod book {
    //! The book: how a convolutional network runs and explains itself, a chapter in each module below.
    //!
    //! The chapters are files of the folder `docs/` of this package and of its repository. They are
    //! written to be read there, so that their pictures are missing on these pages, and their links to other
    //! chapters and to source files lead nowhere: go to the chapters by the list of modules. The
    //! whole book, in its order, is `docs/SUMMARY.md`; `mdbook serve docs` makes pages of it.
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
}

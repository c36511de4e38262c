//! The arithmetic of the fast path: every activation of it is computed here. All `unsafe` code of the
//! crate is here too, except for what C passes in (`src/capi/`). The chapter is
//! `docs/07-zeros-and-bits.md`.
//!
//! Kernels take slices, indices and sizes from their callers and call nothing outside of this folder.
//! They know nothing of layers' names, masks and threads, and of the table only LRN's constants.
//!
//! Each kernel is one generic algorithm, which is instantiated for each instruction set and chosen at
//! run time by an [`Isa`]. Each output element is computed by the same operations in the same order
//! whatever the instruction set, the tile and the number of threads are: vectors run across outputs
//! (channels), never across a sum. So all instances agree bit for bit.
//!
//! Words: an output is a sum of products of a weight and an activation. `k` is the index of a product in
//! its sum; the number of products that are carried out is counted as multiply-adds, `macs`. A tap is a
//! pixel of the window. A position is one masked copy of the image; a batch is up to [`BATCH`] positions
//! side by side.

#![allow(unsafe_code)]

mod aligned;
mod channels_mut;
mod conv_first;
mod convolution;
mod gemm;
mod isa;
mod packed_weights;
mod pair_row;
mod peak;
mod pool_lrn;
mod simd;
mod sparse;

pub use isa::Isa;

pub(crate) use aligned::{AlignedBuf, pitch};
pub(crate) use channels_mut::ChannelsMut;
pub(crate) use conv_first::{WINDOW_STEP, Windows, convolve_image};
pub(crate) use convolution::{Convolution, Sum, batch_size};
pub(crate) use gemm::multiply_transposed;
pub(crate) use packed_weights::PackedWeights;
pub(crate) use pair_row::{OutputPair, PairRow, PairRows};
pub(crate) use pool_lrn::{average, lrn, maximum};
pub(crate) use simd::{BATCH, positions};
pub(crate) use sparse::{SparseActivations, WindowMaxima, WindowRow, zeros};

/// Helpers of the kernels' tests.
#[cfg(test)]
mod test {
    /// Numbers in -1..1 that follow from a seed.
    pub(super) fn values(seed: u32) -> impl FnMut() -> f32 {
        let mut state = seed | 1;
        move || {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            (state >> 8) as f32 / 8388608.0 - 1.0
        }
    }
}

//! The arithmetic: every activation of the fast path is computed here, and all `unsafe` of the crate is here, but for
//! what C passes in (`src/capi/mod.rs`). The chapter is `docs/07-zeros-and-bits.md`.
//!
//! Kernels take slices, places and sizes from their callers, and call nobody. They know nothing of layers' names, of the table
//! but the constants of LRN, of masks and of threads.
//!
//! One generic algorithm a kernel, instantiated for each instruction set and chosen at run time by [`Isa`]. Each
//! output element is computed by the same operations in the same order whatever the instruction set, the tile
//! and the number of threads are: vectors run across outputs (channels), never across a sum. So all
//! instantiations agree bit for bit.

#![allow(unsafe_code)]

mod aligned;
mod conv_batch;
mod conv_first;
mod conv_pair;
mod gemm;
mod isa;
mod peak;
mod pool_lrn;
mod simd;
mod sparse;

pub use isa::Isa;

pub(crate) use aligned::{AlignedBuf, pitch};
pub(crate) use conv_batch::{PackedWeights, Sum, Tile, convolve_tile};
pub(crate) use conv_first::{Windows, convolve_image};
pub(crate) use conv_pair::{Item, PairRow, Pairs};
pub(crate) use gemm::multiply_transposed;
pub(crate) use pool_lrn::{average, lrn, maximum};
pub(crate) use simd::{BATCH, prefetch};
pub(crate) use sparse::{SparseActivations, WindowRow, zeros};

/// What the tests of the kernels share.
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

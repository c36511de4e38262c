//! The vector operations that the kernels are written in: the trait [`Simd`] and one implementation
//! for each instruction set.
//!
//! All operations are `#[inline(always)]`, so they are compiled inside a function that has the
//! instructions enabled (see `for_each_isa`). Outside of such a function the intrinsics would be
//! slow or illegal.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod fused;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod set_bits;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use portable::Portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128", target_feature = "relaxed-simd"))]
pub(crate) use wasm::Relaxed;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(crate) use wasm::{Emulated, Unfused, Wasm, relaxed_is_fused};

use super::aligned::LINE;

/// Output channels of a panel: a vector of [`Simd`], and a cache line.
pub(crate) const PANEL: usize = LINE;

/// The number of mask positions that a kernel takes side by side.
pub(crate) const BATCH: usize = 8;

/// The positions whose bit is set, ascending.
#[inline(always)]
pub(crate) fn positions(mut bits: u8) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let p = bits.trailing_zeros() as usize;
        bits &= bits.wrapping_sub(1);
        (p < BATCH).then_some(p)
    })
}

/// One activation of each position of a batch. The alignment keeps each of them within a cache line;
/// without it, most would straddle two.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, align(32))]
pub(crate) struct BatchValues(pub(crate) [f32; BATCH]);

/// The shapes of the tiles that sums are computed in. The results have the same bits with any shape.
pub(crate) struct Tiles {
    /// The mask positions of a batch, at most [`BATCH`].
    pub(crate) batch: usize,
    /// For each number of positions or pixels that a tile takes side by side, the most panels of
    /// outputs whose sums fit the registers together with the operands; 0 for a number that no tile
    /// takes.
    pub(crate) panels: [usize; BATCH + 1],
    /// For each number of positions, how many of them the first tile takes.
    pub(crate) columns: [usize; BATCH + 1],
    /// The entries of a list that a round of the inner loop takes.
    pub(crate) entries: usize,
    /// The windows and panels of a tile of the first layer.
    pub(crate) image: [usize; 2],
}

/// The shapes for registers that hold 128 values together: 16 of 8 or 32 of 4. The sums of 6 positions,
/// a panel's weights and a broadcast take 15 of the 16; a tile that takes all keeps sums in memory.
/// Batches have six positions, because two tiles of four are a quarter slower: too few sums at a time
/// to hide the latency of a multiply-add. Half of the instructions are multiply-adds; counting rounds
/// for one entry each would add a tenth to the others, which costs time where a core decodes four at a
/// time, or shares its decoder with another thread.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const TILES_OF_128_VALUES: Tiles = Tiles {
    batch: 6,
    panels: [0, 5, 3, 1, 1, 1, 1, 0, 0],
    columns: [0, 1, 2, 3, 4, 5, 6, 4, 4],
    entries: 4,
    image: [6, 1],
};

/// A vector of [`PANEL`] values of `f32`, in as many registers as that takes. Each operation works lane
/// by lane and rounds once, so the bits of a lane do not depend on the width of the registers.
pub(crate) trait Simd {
    /// The registers of a vector.
    type V: Copy;
    /// The operations on eight channels or positions: those of another instruction set where it has
    /// registers of a better size.
    type Eights: Eights;
    const TILES: Tiles;

    /// # Safety
    /// The values of a vector are readable at `from`. This and all following operations require that
    /// the machine has the instruction set.
    unsafe fn load(from: *const f32) -> Self::V;
    /// # Safety
    /// The values of a vector are writable at `to`.
    unsafe fn store(v: Self::V, to: *mut f32);
    /// All values are `value`.
    unsafe fn splat(value: f32) -> Self::V;
    /// `a + b`.
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `if v > 0 { v } else { +0 }`.
    unsafe fn relu(v: Self::V) -> Self::V;
    /// The larger of `a` and `b`; `b` where they are equal or not ordered.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
}

/// Operations on eight channels or positions at a time.
pub(crate) trait Eights {
    /// Looks at eight channels of each position and keeps those that have a bit set in at least one
    /// position, in ascending order. For each kept channel it writes `first + PANEL * channel` to `kept`
    /// and the channel's activations, position by position, to `values`. It returns the kept channels as
    /// bits.
    ///
    /// # Safety
    /// The machine has the instruction set. This and all following operations require it. Eight values
    /// are readable at each pointer of `positions`. Room for eight elements is writable
    /// at `kept` and at `values`; what is not kept may be overwritten.
    unsafe fn keep(
        positions: &[*const f32; BATCH],
        first: u32,
        kept: *mut u32,
        values: *mut BatchValues,
    ) -> u8;
    /// Does the same as [`keep`](Eights::keep) for two pixels and returns how many channels are kept.
    ///
    /// # Safety
    /// As for `keep`.
    unsafe fn keep_pair(pixels: [*const f32; 2], first: u32, kept: *mut u32, values: *mut [f32; 2]) -> usize;
    /// Writes `first` plus [`PANEL`] times the index of each set bit of `mask`, in ascending order, to
    /// `to`.
    ///
    /// # Safety
    /// Room for eight elements is writable at `to`; all of them may be overwritten.
    unsafe fn bit_entries(mask: u8, first: u32, to: *mut u32);
    /// Sets each value of `most` to the larger of itself and that of `values`. Neither is NaN.
    unsafe fn raise(most: &mut BatchValues, values: &BatchValues);
}

/// Repeats a block for each number below a bound that is a constant of generic parameters. Loops over
/// arrays of registers have to be unrolled, or the arrays lie in memory. The compiler unrolls a `for`
/// loop only where it optimises for speed; a program that uses this library may be built for size.
macro_rules! unrolled {
    ($i:ident in $n:expr => $body:block) => {
        $crate::kernels::simd::unrolled!(@ $i, $n, $body, 0 1 2 3 4 5 6 7 8 9 10 11 12 13)
    };
    (@ $i:ident, $n:expr, $body:block, $($k:literal)*) => {
        const { assert!($n <= 14) };
        $(if const { $k < $n } {
            #[allow(non_upper_case_globals)]
            const $i: usize = $k;
            $body
        })*
    };
}
pub(crate) use unrolled;

/// Asks for the cache line of a value to be brought into the second-level cache. This is a hint,
/// which has no effect on results.
#[inline(always)]
pub(crate) fn prefetch(value: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction is part of SSE, which every x86-64 has. Prefetching any address is
    // allowed.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(value.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

#[cfg(test)]
mod tests;

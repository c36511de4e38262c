//! Vectors of WebAssembly's simd128, in registers of 4 lanes. It has no instruction for a fused
//! multiply-add. Relaxed SIMD has one that is fused where the machine below can do it.

use std::arch::wasm32::*;
use std::marker::PhantomData;

use super::{BATCH, Portable, Simd, Tiles};

/// simd128, with one of the ways to multiply and add.
pub(crate) struct Wasm<A>(PhantomData<A>);

/// A way to compute `a * b + c` in each lane.
pub(crate) trait MultiplyAdd {
    fn multiply_add(a: v128, b: v128, c: v128) -> v128;
}

/// Rounds once, as everywhere. The instruction is emulated.
pub(crate) struct Emulated;

/// A multiplication and an addition, which round twice.
pub(crate) struct Unfused;

/// Relaxed SIMD's instruction, for machines on which it [rounds once](relaxed_is_fused).
#[cfg(target_feature = "relaxed-simd")]
pub(crate) struct Relaxed;

impl MultiplyAdd for Emulated {
    #[inline(always)]
    fn multiply_add(a: v128, b: v128, c: v128) -> v128 {
        fused(a, b, c)
    }
}

impl MultiplyAdd for Unfused {
    #[inline(always)]
    fn multiply_add(a: v128, b: v128, c: v128) -> v128 {
        f32x4_add(f32x4_mul(a, b), c)
    }
}

#[cfg(target_feature = "relaxed-simd")]
impl MultiplyAdd for Relaxed {
    #[inline(always)]
    fn multiply_add(a: v128, b: v128, c: v128) -> v128 {
        f32x4_relaxed_madd(a, b, c)
    }
}

/// True if relaxed SIMD's multiply-add rounds once. WebAssembly lets each machine round once or twice,
/// but always in the same way.
pub(crate) fn relaxed_is_fused() -> bool {
    #[cfg(target_feature = "relaxed-simd")]
    {
        // With two roundings the square loses its last bit, and the sum is 0.
        let a = std::hint::black_box(1.0 + f32::EPSILON);
        let square = std::hint::black_box(1.0 + 2.0 * f32::EPSILON);
        let sum = f32x4_relaxed_madd(f32x4_splat(a), f32x4_splat(a), f32x4_splat(-square));
        f32x4_extract_lane::<0>(sum) != 0.0
    }
    #[cfg(not(target_feature = "relaxed-simd"))]
    false
}

impl<A: MultiplyAdd> Simd for Wasm<A> {
    type V = [v128; 4];
    type Eights = Portable;
    // The registers are those of the machine that runs the program; x86-64 has 16.
    const TILES: Tiles = Tiles {
        batch: BATCH,
        panels: [0, 3, 1, 1, 0, 0, 0, 0, 0],
        columns: [0, 1, 2, 3, 2, 3, 3, 3, 3],
        entries: 1,
        image: [3, 1],
    };

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        // SAFETY: the caller vouches for the memory.
        let load = |i: usize| unsafe { v128_load(from.add(4 * i).cast()) };
        [load(0), load(1), load(2), load(3)]
    }
    #[inline(always)]
    unsafe fn store(v: Self::V, to: *mut f32) {
        // SAFETY: the caller vouches for the memory.
        let store = |i: usize| unsafe { v128_store(to.add(4 * i).cast(), v[i]) };
        store(0);
        store(1);
        store(2);
        store(3);
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self::V {
        [f32x4_splat(value); 4]
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        let add = |i: usize| f32x4_add(a[i], b[i]);
        [add(0), add(1), add(2), add(3)]
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        let fma = |i: usize| A::multiply_add(a[i], b[i], c[i]);
        [fma(0), fma(1), fma(2), fma(3)]
    }
    #[inline(always)]
    unsafe fn relu(v: Self::V) -> Self::V {
        let relu = |i: usize| larger(v[i], f32x4_splat(0.0));
        [relu(0), relu(1), relu(2), relu(3)]
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        let max = |i: usize| larger(a[i], b[i]);
        [max(0), max(1), max(2), max(3)]
    }
}

/// `if a > b { a } else { b }`. This is the "pseudo-maximum" with its operands exchanged.
#[inline(always)]
fn larger(a: v128, b: v128) -> v128 {
    f32x4_pmax(b, a)
}

/// `a * b + c`, rounded once: [`multiply_add`](super::fused::multiply_add) in each lane.
///
/// The sum in `f64` is rounded again to `f32`. This differs from rounding once only where the first
/// sum lies in the middle between two `f32`, which is rare: its lower 29 bits then say so, or it is
/// subnormal as `f32`.
#[inline(always)]
fn fused(a: v128, b: v128, c: v128) -> v128 {
    let sum = |[a, b, c]: [v128; 3]| f64x2_add(f64x2_mul(a, b), c);
    let (low, high) = (sum([a, b, c].map(lower)), sum([a, b, c].map(upper)));
    let result = narrowed(low, high);
    let is_middle = |sum: v128| i64x2_eq(v128_and(sum, i64x2_splat(0x1fff_ffff)), i64x2_splat(0x1000_0000));
    let is_small = f32x4_le(f32x4_abs(result), f32x4_splat(f32::MIN_POSITIVE));
    if v128_any_true(v128_or(v128_or(is_middle(low), is_middle(high)), is_small)) {
        return fused_in_any_case(a, b, c);
    }
    result
}

/// [`fused`] for all values.
#[cold]
#[inline(never)]
fn fused_in_any_case(a: v128, b: v128, c: v128) -> v128 {
    narrowed(rounded_to_odd([a, b, c].map(lower)), rounded_to_odd([a, b, c].map(upper)))
}

/// `a * b + c` in two lanes of `f64`, rounded to odd.
#[inline(always)]
fn rounded_to_odd([a, b, c]: [v128; 3]) -> v128 {
    let product = f64x2_mul(a, b);
    let sum = f64x2_add(product, c);
    let of_c = f64x2_sub(sum, product);
    let error = f64x2_add(f64x2_sub(product, f64x2_sub(sum, of_c)), f64x2_sub(c, of_c));
    // All bits, or none.
    let is_inexact = f64x2_gt(f64x2_abs(error), f64x2_splat(0.0));
    let is_rounded_up = u64x2_shr(v128_xor(sum, error), 63);
    let truncated = i64x2_sub(sum, v128_and(is_inexact, is_rounded_up));
    v128_or(truncated, v128_and(is_inexact, i64x2_splat(1)))
}

/// The lower two lanes as `f64`.
#[inline(always)]
fn lower(v: v128) -> v128 {
    f64x2_promote_low_f32x4(v)
}

/// The upper two lanes as `f64`.
#[inline(always)]
fn upper(v: v128) -> v128 {
    f64x2_promote_low_f32x4(i64x2_shuffle::<1, 1>(v, v))
}

/// Four lanes of `f64` as `f32`.
#[inline(always)]
fn narrowed(low: v128, high: v128) -> v128 {
    i64x2_shuffle::<0, 2>(f32x4_demote_f64x2_zero(low), f32x4_demote_f64x2_zero(high))
}

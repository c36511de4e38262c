//! Vectors of WebAssembly's simd128, in registers of 4 lanes. There is no instruction for a fused
//! multiply-add.

use std::arch::wasm32::*;

use super::{Portable, Simd, Tiles};

/// simd128. With `FUSED` a multiply-add is emulated and rounds once, as everywhere. Without, it is a
/// multiplication and an addition, which round twice.
pub(crate) struct Wasm<const FUSED: bool>;

impl<const FUSED: bool> Simd for Wasm<FUSED> {
    type V = [v128; 4];
    type Eights = Portable;
    // The registers are those of the machine that runs the program; x86-64 has 16.
    const TILES: Tiles =
        Tiles { panels: [0, 3, 1, 1, 0, 0, 0, 0, 0], columns: [0, 1, 2, 3, 2, 3, 3, 3, 3], image: [3, 1] };

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
        let fma = |i: usize| {
            if const { FUSED } { fused(a[i], b[i], c[i]) } else { f32x4_add(f32x4_mul(a[i], b[i]), c[i]) }
        };
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

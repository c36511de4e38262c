//! Vectors of AVX-512 F: 32 registers of 16 lanes.

use std::arch::x86_64::*;

use super::{Avx2, BATCH, Simd, Tiles};

/// AVX-512 F and all of [`Avx2`]. Operations on eight channels or positions at a time use the
/// registers of AVX2, which hold eight lanes.
pub(crate) struct Avx512;

// In all blocks of this file the caller vouches for the instruction set.
impl Simd for Avx512 {
    type V = __m512;
    type Eights = Avx2;
    // Of 32 registers, the sums of 8 positions in 3 panels, 3 weights and a broadcast take 28. Two
    // pixels take few panels, so that more weights of each fit the first-level cache.
    const TILES: Tiles = Tiles {
        batch: BATCH,
        panels: [0, 8, 4, 7, 6, 5, 4, 3, 3],
        columns: [0, 1, 2, 3, 4, 5, 6, 7, 8],
        entries: 1,
        image: [14, 2],
    };

    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m512 {
        // SAFETY: the caller vouches for the memory.
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(v: __m512, to: *mut f32) {
        // SAFETY: the caller vouches for the memory.
        unsafe { _mm512_storeu_ps(to, v) }
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> __m512 {
        // SAFETY: only registers.
        unsafe { _mm512_set1_ps(value) }
    }
    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        // SAFETY: only registers.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: only registers.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn relu(v: __m512) -> __m512 {
        // `maxps` returns its second operand for two zeros and for NaN, so -0 and NaN become +0.
        // SAFETY: only registers.
        unsafe { _mm512_max_ps(v, _mm512_setzero_ps()) }
    }
    #[inline(always)]
    unsafe fn max(a: __m512, b: __m512) -> __m512 {
        // SAFETY: only registers.
        unsafe { _mm512_max_ps(a, b) }
    }
}

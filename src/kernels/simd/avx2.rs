//! Vectors of AVX2 with FMA: 16 registers of 8 lanes.

use std::arch::x86_64::*;

use super::set_bits::{PLACES, SET_BITS};
use super::{BATCH, BatchValues, Eights, PANEL, Simd, TILES_OF_128_VALUES, Tiles};

/// AVX2, FMA and POPCNT.
pub(crate) struct Avx2;

// In all blocks of this file the caller vouches for the instruction set.
impl Simd for Avx2 {
    type V = [__m256; 2];
    type Eights = Avx2;
    const TILES: Tiles = TILES_OF_128_VALUES;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> [__m256; 2] {
        // SAFETY: the caller vouches for the memory.
        unsafe { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] }
    }
    #[inline(always)]
    unsafe fn store([low, high]: [__m256; 2], to: *mut f32) {
        // SAFETY: the caller vouches for the memory.
        unsafe {
            _mm256_storeu_ps(to, low);
            _mm256_storeu_ps(to.add(8), high);
        }
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> [__m256; 2] {
        // SAFETY: only registers.
        let all = unsafe { _mm256_set1_ps(value) };
        [all, all]
    }
    #[inline(always)]
    unsafe fn add(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: only registers.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn fma(a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: only registers.
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }
    #[inline(always)]
    unsafe fn relu(v: [__m256; 2]) -> [__m256; 2] {
        // `maxps` returns its second operand for two zeros and for NaN, so -0 and NaN become +0.
        // SAFETY: only registers.
        unsafe { [_mm256_max_ps(v[0], _mm256_setzero_ps()), _mm256_max_ps(v[1], _mm256_setzero_ps())] }
    }
    #[inline(always)]
    unsafe fn max(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: only registers.
        unsafe { [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])] }
    }
}

impl Eights for Avx2 {
    #[inline(always)]
    unsafe fn keep(
        positions: &[*const f32; BATCH],
        first: u32,
        kept: *mut u32,
        values: *mut BatchValues,
    ) -> u8 {
        // The eight positions are transposed as two matrices of 4 channels x 8 positions. A register holds
        // four channels of positions `i` and `i + 4`: putting it together while it is loaded saves
        // shuffles, which only one port does.
        // SAFETY: the caller vouches for eight readable values of each position and for room for
        // eight elements: channel `i` is written to place `i` at most.
        unsafe {
            let p = positions;
            let low = [both(p[0], p[4]), both(p[1], p[5]), both(p[2], p[6]), both(p[3], p[7])];
            let p = positions.map(|position| position.wrapping_add(4));
            let high = [both(p[0], p[4]), both(p[1], p[5]), both(p[2], p[6]), both(p[3], p[7])];
            let [any_low, any_high] = [any(&low), any(&high)];
            let mask = nonzero(_mm256_or_ps(
                _mm256_permute2f128_ps::<0x20>(any_low, any_high),
                _mm256_permute2f128_ps::<0x31>(any_low, any_high),
            ));
            Self::bit_entries(mask, first, kept);
            // Every channel is written, and overwritten by the next unless it is kept. This leaves no
            // branch to mispredict.
            let (places, to) = (&PLACES[usize::from(mask)], values.cast::<f32>());
            let ([a, b, c, d], [e, f, g, h]) = (fours(low), fours(high));
            for (&row, &place) in [a, b, c, d, e, f, g, h].iter().zip(places) {
                _mm256_storeu_ps(to.add(usize::from(place)), row);
            }
            mask
        }
    }

    #[inline(always)]
    unsafe fn keep_pair(pixels: [*const f32; 2], first: u32, kept: *mut u32, values: *mut [f32; 2]) -> usize {
        // SAFETY: the caller vouches for the memory: eight values of each pixel are read, eight
        // elements are written.
        unsafe {
            let (a, b) = (_mm256_loadu_ps(pixels[0]), _mm256_loadu_ps(pixels[1]));
            let mask = nonzero(_mm256_or_ps(a, b));
            Self::bit_entries(mask, first, kept);
            let lanes = set_bits(mask);
            let (a, b) = (_mm256_permutevar8x32_ps(a, lanes), _mm256_permutevar8x32_ps(b, lanes));
            // Interleaving gives the pairs 0, 1, 4, 5 and the pairs 2, 3, 6, 7.
            let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            let to: *mut f32 = values.cast();
            _mm256_storeu_ps(to, _mm256_permute2f128_ps::<0x20>(low, high));
            _mm256_storeu_ps(to.add(8), _mm256_permute2f128_ps::<0x31>(low, high));
            mask.count_ones() as usize
        }
    }

    #[inline(always)]
    unsafe fn bit_entries(mask: u8, first: u32, to: *mut u32) {
        // SAFETY: the caller vouches for room for eight elements.
        unsafe {
            let offsets = _mm256_slli_epi32::<{ PANEL.ilog2() as i32 }>(set_bits(mask));
            _mm256_storeu_si256(to.cast(), _mm256_add_epi32(offsets, _mm256_set1_epi32(first as i32)));
        }
    }

    #[inline(always)]
    unsafe fn raise(most: &mut BatchValues, values: &BatchValues) {
        // SAFETY: both references are to eight values.
        unsafe {
            let larger = _mm256_max_ps(_mm256_loadu_ps(most.0.as_ptr()), _mm256_loadu_ps(values.0.as_ptr()));
            _mm256_storeu_ps(most.0.as_mut_ptr(), larger);
        }
    }
}

/// The lanes that have a bit set, as bits.
///
/// # Safety
/// The machine has AVX2.
#[inline(always)]
unsafe fn nonzero(v: __m256) -> u8 {
    // SAFETY: only registers.
    unsafe {
        let zero = _mm256_cmpeq_epi32(_mm256_castps_si256(v), _mm256_setzero_si256());
        !_mm256_movemask_ps(_mm256_castsi256_ps(zero)) as u8
    }
}

/// The indices of the set bits of `mask`, ascending, then zeros.
///
/// # Safety
/// The machine has AVX2.
#[inline(always)]
unsafe fn set_bits(mask: u8) -> __m256i {
    // SAFETY: only registers; the table has an element for each `u8`.
    unsafe { _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(SET_BITS[mask as usize])) }
}

/// Four values of each of two positions.
///
/// # Safety
/// The machine has AVX; the values are readable.
#[inline(always)]
unsafe fn both(low: *const f32, high: *const f32) -> __m256 {
    // SAFETY: the caller vouches for the memory.
    unsafe { _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(_mm_loadu_ps(low)), _mm_loadu_ps(high)) }
}

/// The bits that are set in any of four registers.
///
/// # Safety
/// The machine has AVX.
#[inline(always)]
unsafe fn any(c: &[__m256; 4]) -> __m256 {
    // SAFETY: only registers.
    unsafe { _mm256_or_ps(_mm256_or_ps(c[0], c[1]), _mm256_or_ps(c[2], c[3])) }
}

/// Transposes a 4 x 4 matrix in each half: element `i` of the result has in its lower half element `i` of
/// each argument's lower half, and the same for the upper halves.
///
/// # Safety
/// The machine has AVX.
#[inline(always)]
unsafe fn fours([a, b, c, d]: [__m256; 4]) -> [__m256; 4] {
    // SAFETY: only registers.
    unsafe {
        let (ab, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        let (cd, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
        [
            _mm256_shuffle_ps::<0x44>(ab, cd),
            _mm256_shuffle_ps::<0xee>(ab, cd),
            _mm256_shuffle_ps::<0x44>(ab_high, cd_high),
            _mm256_shuffle_ps::<0xee>(ab_high, cd_high),
        ]
    }
}

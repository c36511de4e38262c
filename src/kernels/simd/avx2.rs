//! Vectors of AVX2 with FMA: 16 registers of 8 lanes.

use std::arch::x86_64::*;

use super::set_bits::SET_BITS;
use super::{BATCH, BatchValues, Eights, Simd, TILES_OF_128_VALUES, Tiles};

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
        // The eight positions are transposed as an 8 x 8 matrix.
        // SAFETY: the caller vouches for eight readable values of each position and for room for
        // eight elements, which is the most that is written: `to` moves on by at most one element
        // for each channel.
        unsafe {
            let c: [__m256; 8] = std::array::from_fn(|i| _mm256_loadu_ps(positions[i]));
            let any = _mm256_or_ps(
                _mm256_or_ps(_mm256_or_ps(c[0], c[1]), _mm256_or_ps(c[2], c[3])),
                _mm256_or_ps(_mm256_or_ps(c[4], c[5]), _mm256_or_ps(c[6], c[7])),
            );
            let mask = nonzero(any);
            Self::bit_indices(mask, first, kept);
            let (low, high) = (fours(c[0], c[1], c[2], c[3]), fours(c[4], c[5], c[6], c[7]));
            // Every channel is written, and the pointer moves on only past those to keep. This
            // leaves no branch to mispredict.
            let mut to: *mut f32 = values.cast();
            for channel in 0..8 {
                let i = channel % 4;
                let row = if channel < 4 {
                    _mm256_permute2f128_ps::<0x20>(low[i], high[i])
                } else {
                    _mm256_permute2f128_ps::<0x31>(low[i], high[i])
                };
                _mm256_storeu_ps(to, row);
                to = to.add(usize::from(mask >> channel & 1) * BATCH);
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
            Self::bit_indices(mask, first, kept);
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
    unsafe fn bit_indices(mask: u8, first: u32, to: *mut u32) {
        // SAFETY: the caller vouches for room for eight elements.
        unsafe {
            let indices = _mm256_add_epi32(set_bits(mask), _mm256_set1_epi32(first as i32));
            _mm256_storeu_si256(to.cast(), indices);
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

/// Transposes four positions of eight channels: element `i` of the result has channel `i` of each
/// position in its lower half and channel `i + 4` of each in its upper half.
///
/// # Safety
/// The machine has AVX.
#[inline(always)]
unsafe fn fours(a: __m256, b: __m256, c: __m256, d: __m256) -> [__m256; 4] {
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

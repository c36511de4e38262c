//! Vectors of NEON: 32 registers of 4 lanes.

use std::arch::aarch64::*;

use super::set_bits::SET_BITS;
use super::{BATCH, BatchValues, Eights, PANEL, Simd, TILES_OF_128_VALUES, Tiles};

/// NEON, which every aarch64 has.
pub(crate) struct Neon;

// In all blocks of this file the machine has the instruction set, because every aarch64 has it.
impl Simd for Neon {
    type V = [float32x4_t; 4];
    type Eights = Neon;
    const TILES: Tiles = TILES_OF_128_VALUES;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        // SAFETY: the caller vouches for the memory.
        unsafe { [vld1q_f32(from), vld1q_f32(from.add(4)), vld1q_f32(from.add(8)), vld1q_f32(from.add(12))] }
    }
    #[inline(always)]
    unsafe fn store(v: Self::V, to: *mut f32) {
        // SAFETY: the caller vouches for the memory.
        unsafe {
            vst1q_f32(to, v[0]);
            vst1q_f32(to.add(4), v[1]);
            vst1q_f32(to.add(8), v[2]);
            vst1q_f32(to.add(12), v[3]);
        }
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self::V {
        // SAFETY: only registers.
        unsafe { [vdupq_n_f32(value); 4] }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: only registers.
        let add = |i: usize| unsafe { vaddq_f32(a[i], b[i]) };
        [add(0), add(1), add(2), add(3)]
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: only registers.
        let fma = |i: usize| unsafe { vfmaq_f32(c[i], a[i], b[i]) };
        [fma(0), fma(1), fma(2), fma(3)]
    }
    #[inline(always)]
    unsafe fn relu(v: Self::V) -> Self::V {
        // SAFETY: only registers.
        let relu = |i: usize| unsafe { larger(v[i], vdupq_n_f32(0.0)) };
        [relu(0), relu(1), relu(2), relu(3)]
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: only registers.
        let max = |i: usize| unsafe { larger(a[i], b[i]) };
        [max(0), max(1), max(2), max(3)]
    }
}

impl Eights for Neon {
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
            let c = positions.map(|position| eight(position));
            let mut any = [bits(c[0][0]), bits(c[0][1])];
            for [low, high] in &c[1..] {
                any = [vorrq_u32(any[0], bits(*low)), vorrq_u32(any[1], bits(*high))];
            }
            let mask = nonzero(any);
            Self::bit_entries(mask, first, kept);
            // Every channel is written, and the pointer moves on only past those to keep. This
            // leaves no branch to mispredict.
            let mut to: *mut f32 = values.cast();
            let fours = |p: usize, half: usize| {
                transposed([c[p][half], c[p + 1][half], c[p + 2][half], c[p + 3][half]])
            };
            for half in 0..2 {
                let (low, high) = (fours(0, half), fours(4, half));
                for i in 0..4 {
                    vst1q_f32(to, low[i]);
                    vst1q_f32(to.add(4), high[i]);
                    to = to.add(usize::from(mask >> (4 * half + i) & 1) * BATCH);
                }
            }
            mask
        }
    }

    #[inline(always)]
    unsafe fn keep_pair(pixels: [*const f32; 2], first: u32, kept: *mut u32, values: *mut [f32; 2]) -> usize {
        // SAFETY: the caller vouches for the memory: eight values of each pixel are read, and at most
        // eight elements are written, as in `keep`.
        unsafe {
            let (a, b) = (eight(pixels[0]), eight(pixels[1]));
            let any = |half: usize| vorrq_u32(bits(a[half]), bits(b[half]));
            let mask = nonzero([any(0), any(1)]);
            Self::bit_entries(mask, first, kept);
            let mut to = values;
            for half in 0..2 {
                let pairs = [vzip1q_f32(a[half], b[half]), vzip2q_f32(a[half], b[half])];
                for i in 0..4 {
                    let two = pairs[i / 2];
                    let pair = if i % 2 == 0 { vget_low_f32(two) } else { vget_high_f32(two) };
                    vst1_f32(to.cast(), pair);
                    to = to.add(usize::from(mask >> (4 * half + i) & 1));
                }
            }
            mask.count_ones() as usize
        }
    }

    #[inline(always)]
    unsafe fn bit_entries(mask: u8, first: u32, to: *mut u32) {
        // SAFETY: the caller vouches for room for eight elements; the table has an element for each
        // `u8`.
        unsafe {
            let set = vmovl_u8(vcreate_u8(SET_BITS[mask as usize] as u64));
            let offsets = vshlq_n_u16::<{ PANEL.ilog2() as i32 }>(set);
            let first = vdupq_n_u32(first);
            vst1q_u32(to, vaddw_u16(first, vget_low_u16(offsets)));
            vst1q_u32(to.add(4), vaddw_high_u16(first, offsets));
        }
    }

    #[inline(always)]
    unsafe fn raise(most: &mut BatchValues, values: &BatchValues) {
        // SAFETY: both references are to eight values.
        unsafe {
            let (old, new) = (eight(most.0.as_ptr()), eight(values.0.as_ptr()));
            vst1q_f32(most.0.as_mut_ptr(), larger(old[0], new[0]));
            vst1q_f32(most.0.as_mut_ptr().add(4), larger(old[1], new[1]));
        }
    }
}

/// Eight values.
///
/// # Safety
/// They are readable at `from`.
#[inline(always)]
unsafe fn eight(from: *const f32) -> [float32x4_t; 2] {
    // SAFETY: the caller vouches for the memory.
    unsafe { [vld1q_f32(from), vld1q_f32(from.add(4))] }
}

/// `if a > b { a } else { b }`. The instruction for a maximum treats NaN and zeros differently.
///
/// # Safety
/// The machine has NEON. This and all following functions require it.
#[inline(always)]
unsafe fn larger(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    // SAFETY: only registers.
    unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) }
}

/// The bits of four values.
///
/// # Safety
/// As [`larger`].
#[inline(always)]
unsafe fn bits(v: float32x4_t) -> uint32x4_t {
    // SAFETY: only registers.
    unsafe { vreinterpretq_u32_f32(v) }
}

/// The lanes that have a bit set, as bits.
///
/// # Safety
/// As [`larger`].
#[inline(always)]
unsafe fn nonzero(v: [uint32x4_t; 2]) -> u8 {
    const LANES: [u32; 8] = [1, 2, 4, 8, 16, 32, 64, 128];
    // SAFETY: the constant has eight values.
    unsafe {
        let low = vandq_u32(vtstq_u32(v[0], v[0]), vld1q_u32(LANES.as_ptr()));
        let high = vandq_u32(vtstq_u32(v[1], v[1]), vld1q_u32(LANES.as_ptr().add(4)));
        vaddvq_u32(vorrq_u32(low, high)) as u8
    }
}

/// Transposes a 4 x 4 matrix.
///
/// # Safety
/// As [`larger`].
#[inline(always)]
unsafe fn transposed(m: [float32x4_t; 4]) -> [float32x4_t; 4] {
    // SAFETY: only registers.
    unsafe {
        let twos = |v: float32x4_t| vreinterpretq_f64_f32(v);
        let even = [vtrn1q_f32(m[0], m[1]), vtrn1q_f32(m[2], m[3])].map(twos);
        let odd = [vtrn2q_f32(m[0], m[1]), vtrn2q_f32(m[2], m[3])].map(twos);
        [
            vtrn1q_f64(even[0], even[1]),
            vtrn1q_f64(odd[0], odd[1]),
            vtrn2q_f64(even[0], even[1]),
            vtrn2q_f64(odd[0], odd[1]),
        ]
        .map(|row| vreinterpretq_f32_f64(row))
    }
}

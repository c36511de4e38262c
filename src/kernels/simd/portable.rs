//! Vectors in plain Rust.

use super::{BATCH, BatchValues, Eights, PANEL, Simd, Tiles, fused};

/// False if `f32::mul_add` calls a library.
const HAS_FMA: bool = !cfg!(any(
    all(any(target_arch = "x86_64", target_arch = "x86"), not(target_feature = "fma")),
    target_arch = "wasm32",
));

/// Sixteen values that the compiler may put into whatever registers the machine has.
pub(crate) struct Portable;

impl Simd for Portable {
    type V = [f32; 16];
    type Eights = Portable;
    // On x86-64 without FMA a multiply-add is emulated, beside which tile shapes do not count. Each
    // shape costs build time.
    const TILES: Tiles = Tiles {
        batch: BATCH,
        panels: [0, 1, 1, 0, 1, 0, 0, 0, 0],
        columns: [0, 1, 2, 2, 4, 4, 4, 4, 4],
        entries: 1,
        image: [4, 1],
    };

    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 16] {
        // SAFETY: 16 values are readable; arrays of `f32` need only the alignment of `f32`.
        unsafe { from.cast::<[f32; 16]>().read() }
    }
    #[inline(always)]
    unsafe fn store(v: [f32; 16], to: *mut f32) {
        // SAFETY: 16 values are writable; the alignment is that of `f32`.
        unsafe { to.cast::<[f32; 16]>().write(v) }
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> [f32; 16] {
        [value; 16]
    }
    #[inline(always)]
    unsafe fn add(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn fma(a: [f32; 16], b: [f32; 16], c: [f32; 16]) -> [f32; 16] {
        let fma = if const { HAS_FMA } { f32::mul_add } else { fused::multiply_add };
        std::array::from_fn(|i| fma(a[i], b[i], c[i]))
    }
    #[inline(always)]
    unsafe fn relu(v: [f32; 16]) -> [f32; 16] {
        v.map(|x| if x > 0.0 { x } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn max(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        std::array::from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
}

impl Eights for Portable {
    #[inline(always)]
    unsafe fn keep(
        positions: &[*const f32; BATCH],
        first: u32,
        kept: *mut u32,
        values: *mut BatchValues,
    ) -> u8 {
        let mut mask = 0;
        let mut count = 0;
        for channel in 0..8 {
            // Every channel is written, and `count` advances only past those to keep. This leaves no
            // branch to mispredict.
            // SAFETY: `channel` and `count <= channel` are below 8, for which the caller vouches.
            unsafe {
                let row: [f32; BATCH] = positions.map(|position| *position.add(channel));
                let any = row.iter().fold(0, |any, x| any | x.to_bits()) != 0;
                kept.add(count).write(first + (channel * PANEL) as u32);
                values.add(count).write(BatchValues(row));
                count += usize::from(any);
                mask |= u8::from(any) << channel;
            }
        }
        mask
    }
    #[inline(always)]
    unsafe fn keep_pair(pixels: [*const f32; 2], first: u32, kept: *mut u32, values: *mut [f32; 2]) -> usize {
        let mut count = 0;
        for channel in 0..8 {
            // SAFETY: `channel` and `count <= channel` are below 8, for which the caller vouches.
            unsafe {
                let pair = pixels.map(|pixel| *pixel.add(channel));
                kept.add(count).write(first + (channel * PANEL) as u32);
                values.add(count).write(pair);
                count += usize::from(pair[0].to_bits() | pair[1].to_bits() != 0);
            }
        }
        count
    }
    #[inline(always)]
    unsafe fn bit_entries(mask: u8, first: u32, to: *mut u32) {
        let mut count = 0;
        for bit in 0..8 {
            // SAFETY: `count <= bit`, which is below 8.
            unsafe { to.add(count).write(first + bit * PANEL as u32) };
            count += (mask >> bit & 1) as usize;
        }
    }
    #[inline(always)]
    unsafe fn raise(most: &mut BatchValues, values: &BatchValues) {
        for (most, value) in most.0.iter_mut().zip(values.0) {
            *most = if *most > value { *most } else { value };
        }
    }
}

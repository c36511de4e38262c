//! The vector operations that the kernels are written in, for each instruction set.
//!
//! All are `#[inline(always)]` so that they are compiled inside a function with the instructions enabled
//! (see `for_each_isa`); called from anywhere else, the intrinsics would be slow or illegal.

/// A vector of `f32`. Each operation works lane by lane and rounds once, so lanes hold the same bits at any width.
pub(crate) trait Simd {
    /// The register type.
    type V: Copy;
    /// Lanes in a register.
    const LANES: usize;
    /// Columns that a tile of three vectors a column may have before accumulators no longer fit the registers.
    const TILE_COLUMNS: usize;

    /// # Safety
    /// `LANES` values at `from` are readable.
    unsafe fn load(from: *const f32) -> Self::V;
    /// # Safety
    /// `LANES` values at `to` are writable.
    unsafe fn store(v: Self::V, to: *mut f32);
    /// # Safety
    /// The machine has the instruction set (this and all that follow).
    unsafe fn splat(value: f32) -> Self::V;
    /// `a + b`.
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `if v > 0 { v } else { +0 }`.
    unsafe fn relu(v: Self::V) -> Self::V;
    /// The larger of two, lane by lane; the second where they are equal or not ordered.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// A bit for each lane that has any bit set.
    unsafe fn nonzero(v: Self::V) -> u32;
    /// Writes the lanes in `mask`, in order, to `to`. Memory for `LANES` values at `to` must be writable and may be overwritten.
    unsafe fn compress(v: Self::V, mask: u32, to: *mut f32);
    /// The same with `first + lane` for the value of each lane.
    unsafe fn compress_lanes(first: u32, mask: u32, to: *mut u32);
}

/// Asks for the cache line of a value to be brought into the second-level cache; a hint without effect on results.
#[inline(always)]
pub(crate) fn prefetch(value: &f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE, which every x86-64 has; prefetching any address is allowed, and this one is even valid.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(value).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

/// Plain Rust: eight lanes that the compiler may put into whatever registers the machine has.
pub(crate) struct Portable;

impl Simd for Portable {
    type V = [f32; 8];
    const LANES: usize = 8;
    const TILE_COLUMNS: usize = 4;

    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 8] {
        // SAFETY: eight values are readable; arrays of f32 need only f32's alignment.
        unsafe { from.cast::<[f32; 8]>().read() }
    }
    #[inline(always)]
    unsafe fn store(v: [f32; 8], to: *mut f32) {
        // SAFETY: eight values are writable.
        unsafe { to.cast::<[f32; 8]>().write(v) }
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> [f32; 8] {
        [value; 8]
    }
    #[inline(always)]
    unsafe fn add(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn fma(a: [f32; 8], b: [f32; 8], c: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| a[i].mul_add(b[i], c[i]))
    }
    #[inline(always)]
    unsafe fn relu(v: [f32; 8]) -> [f32; 8] {
        v.map(|x| if x > 0.0 { x } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn max(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn nonzero(v: [f32; 8]) -> u32 {
        v.iter().enumerate().fold(0, |mask, (lane, x)| mask | u32::from(x.to_bits() != 0) << lane)
    }
    #[inline(always)]
    unsafe fn compress(v: [f32; 8], mask: u32, to: *mut f32) {
        let mut count = 0;
        for (lane, x) in v.into_iter().enumerate() {
            // Write every value and advance only past those to keep: no branch to mispredict.
            // SAFETY: `count <= lane < 8`, and 8 values at `to` may be overwritten.
            unsafe { to.add(count).write(x) };
            count += (mask >> lane & 1) as usize;
        }
    }
    #[inline(always)]
    unsafe fn compress_lanes(first: u32, mask: u32, to: *mut u32) {
        let mut count = 0;
        for lane in 0..8 {
            // SAFETY: as in `compress`.
            unsafe { to.add(count).write(first + lane) };
            count += (mask >> lane & 1) as usize;
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Simd;
    use std::arch::x86_64::*;

    /// AVX2 with FMA: 16 registers of 8 lanes.
    pub(crate) struct Avx2;

    /// For each set of lanes, as bits: the lanes in it, ascending, a byte each from the lowest.
    static KEPT_LANES: [i64; 256] = {
        let mut table = [0; 256];
        let mut set = 0;
        while set < 256 {
            let (mut lane, mut count) = (0, 0);
            while lane < 8 {
                if set >> lane & 1 != 0 {
                    table[set] |= (lane as i64) << (8 * count);
                    count += 1;
                }
                lane += 1;
            }
            set += 1;
        }
        table
    };

    // SAFETY of all blocks in this module: the caller vouches for the instruction set and, in load, store and
    // compress, for the memory.
    impl Simd for Avx2 {
        type V = __m256;
        const LANES: usize = 8;
        // 4 x 3 accumulators, 3 weights, 1 broadcast: all 16 registers.
        const TILE_COLUMNS: usize = 4;

        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m256 {
            // SAFETY: see above.
            unsafe { _mm256_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(v: __m256, to: *mut f32) {
            // SAFETY: see above.
            unsafe { _mm256_storeu_ps(to, v) }
        }
        #[inline(always)]
        unsafe fn splat(value: f32) -> __m256 {
            // SAFETY: see above.
            unsafe { _mm256_set1_ps(value) }
        }
        #[inline(always)]
        unsafe fn add(a: __m256, b: __m256) -> __m256 {
            // SAFETY: see above.
            unsafe { _mm256_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
            // SAFETY: see above.
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn relu(v: __m256) -> __m256 {
            // maxps returns its second operand for two zeros and for NaN, which makes -0 and NaN +0.
            // SAFETY: see above.
            unsafe { _mm256_max_ps(v, _mm256_setzero_ps()) }
        }
        #[inline(always)]
        unsafe fn max(a: __m256, b: __m256) -> __m256 {
            // SAFETY: see above.
            unsafe { _mm256_max_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn nonzero(v: __m256) -> u32 {
            // SAFETY: see above.
            unsafe {
                let zero = _mm256_cmpeq_epi32(_mm256_castps_si256(v), _mm256_setzero_si256());
                !_mm256_movemask_ps(_mm256_castsi256_ps(zero)) as u32 & 0xff
            }
        }
        #[inline(always)]
        unsafe fn compress(v: __m256, mask: u32, to: *mut f32) {
            // SAFETY: see above; a row of the table brings the lanes to keep to the front.
            unsafe {
                let lanes = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(KEPT_LANES[mask as usize & 0xff]));
                _mm256_storeu_ps(to, _mm256_permutevar8x32_ps(v, lanes));
            }
        }
        #[inline(always)]
        unsafe fn compress_lanes(first: u32, mask: u32, to: *mut u32) {
            // SAFETY: see above.
            unsafe {
                let lanes = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(KEPT_LANES[mask as usize & 0xff]));
                _mm256_storeu_si256(to.cast(), _mm256_add_epi32(lanes, _mm256_set1_epi32(first as i32)));
            }
        }
    }

    /// AVX-512 F: 32 registers of 16 lanes.
    pub(crate) struct Avx512;

    impl Simd for Avx512 {
        type V = __m512;
        const LANES: usize = 16;
        // 8 x 3 accumulators, 3 weights, 1 broadcast: 28 of 32 registers.
        const TILE_COLUMNS: usize = 8;

        #[inline(always)]
        unsafe fn load(from: *const f32) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(v: __m512, to: *mut f32) {
            // SAFETY: see above.
            unsafe { _mm512_storeu_ps(to, v) }
        }
        #[inline(always)]
        unsafe fn splat(value: f32) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_set1_ps(value) }
        }
        #[inline(always)]
        unsafe fn add(a: __m512, b: __m512) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn relu(v: __m512) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_max_ps(v, _mm512_setzero_ps()) }
        }
        #[inline(always)]
        unsafe fn max(a: __m512, b: __m512) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_max_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn nonzero(v: __m512) -> u32 {
            // SAFETY: see above.
            unsafe {
                let bits = _mm512_castps_si512(v);
                u32::from(_mm512_test_epi32_mask(bits, bits))
            }
        }
        #[inline(always)]
        unsafe fn compress(v: __m512, mask: u32, to: *mut f32) {
            // Compress in a register, then store it whole: the form that stores to memory is microcoded on Zen 4.
            // SAFETY: see above.
            unsafe { _mm512_storeu_ps(to, _mm512_maskz_compress_ps(mask as u16, v)) }
        }
        #[inline(always)]
        unsafe fn compress_lanes(first: u32, mask: u32, to: *mut u32) {
            // SAFETY: see above.
            unsafe {
                let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
                let indices = _mm512_add_epi32(lanes, _mm512_set1_epi32(first as i32));
                _mm512_storeu_si512(to.cast(), _mm512_maskz_compress_epi32(mask as u16, indices));
            }
        }
    }
}

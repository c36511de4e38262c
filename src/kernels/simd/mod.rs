//! The vector operations that the kernels are written in, for each instruction set.
//!
//! All are `#[inline(always)]` so that they are compiled inside a function with the instructions enabled
//! (see `for_each_isa`); called from anywhere else, the intrinsics would be slow or illegal.

/// Mask positions that one kernel call takes side by side.
pub(crate) const BATCH: usize = 8;

/// The values of one channel in each column. Aligned so that none straddles two cache lines, which most of them would otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, align(32))]
pub(crate) struct BatchValues(pub(crate) [f32; BATCH]);

/// A vector of `f32`. Each operation works lane by lane and rounds once, so lanes hold the same bits at any width.
pub(crate) trait Simd {
    /// The register type.
    type V: Copy;
    /// Lanes in a register.
    const LANES: usize;
    /// BatchValues that a tile of three vectors a column may have before accumulators no longer fit the registers.
    const TILE_POSITIONS: usize;

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
    /// Looks at eight channels of eight columns. Of those channels that have a bit set in at least one column, in order:
    /// writes `first + channel` to `kept` and the channel's values, column by column, to `values`. Returns them as bits.
    ///
    /// # Safety
    /// Eight values are readable at each column; room for eight entries at `kept` and at `values` is writable and may be overwritten.
    unsafe fn keep(columns: &[*const f32; BATCH], first: u32, kept: *mut u32, values: *mut BatchValues)
    -> u8;
    /// [`keep`](Simd::keep) for two columns; returns how many are kept.
    ///
    /// # Safety
    /// As there.
    unsafe fn keep_pair(columns: [*const f32; 2], first: u32, kept: *mut u32, values: *mut [f32; 2])
    -> usize;
    /// Writes `first +` the place of each bit in `mask`, ascending, to `to`, where room for eight is writable and may be overwritten.
    unsafe fn places(mask: u8, first: u32, to: *mut u32);
    /// Sets each of `most` to the larger of itself and that of `values`. Neither is NaN.
    unsafe fn raise(most: &mut BatchValues, values: &BatchValues);
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
    const TILE_POSITIONS: usize = 4;

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
    unsafe fn keep(
        columns: &[*const f32; BATCH],
        first: u32,
        kept: *mut u32,
        values: *mut BatchValues,
    ) -> u8 {
        let mut mask = 0;
        let mut count = 0;
        for channel in 0..8 {
            // Write every channel and advance only past those to keep: no branch to mispredict.
            // SAFETY: `channel` and `count <= channel` are below 8, for which the caller vouches.
            unsafe {
                let row: [f32; BATCH] = columns.map(|column| *column.add(channel));
                let any = row.iter().fold(0, |any, x| any | x.to_bits()) != 0;
                kept.add(count).write(first + channel as u32);
                values.add(count).write(BatchValues(row));
                count += usize::from(any);
                mask |= u8::from(any) << channel;
            }
        }
        mask
    }
    #[inline(always)]
    unsafe fn keep_pair(
        columns: [*const f32; 2],
        first: u32,
        kept: *mut u32,
        values: *mut [f32; 2],
    ) -> usize {
        let mut count = 0;
        for channel in 0..8 {
            // SAFETY: `channel` and `count <= channel` are below 8.
            unsafe {
                let pair = columns.map(|column| *column.add(channel));
                kept.add(count).write(first + channel as u32);
                values.add(count).write(pair);
                count += usize::from(pair[0].to_bits() | pair[1].to_bits() != 0);
            }
        }
        count
    }
    #[inline(always)]
    unsafe fn places(mask: u8, first: u32, to: *mut u32) {
        let mut count = 0;
        for place in 0..8 {
            // SAFETY: `count <= place`, which is below 8.
            unsafe { to.add(count).write(first + place) };
            count += (mask >> place & 1) as usize;
        }
    }
    #[inline(always)]
    unsafe fn raise(most: &mut BatchValues, values: &BatchValues) {
        for (most, value) in most.0.iter_mut().zip(values.0) {
            *most = if *most > value { *most } else { value };
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{BATCH, BatchValues, Simd};
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
    // keep, for the memory.
    impl Simd for Avx2 {
        type V = __m256;
        const LANES: usize = 8;
        // 4 x 3 accumulators, 3 weights, 1 broadcast: all 16 registers.
        const TILE_POSITIONS: usize = 4;

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
        unsafe fn keep(
            columns: &[*const f32; BATCH],
            first: u32,
            kept: *mut u32,
            values: *mut BatchValues,
        ) -> u8 {
            // By an 8 x 8 transpose.
            // SAFETY: the caller vouches for the memory: eight values a column, eight entries written at most.
            unsafe {
                let c: [__m256; 8] = std::array::from_fn(|i| _mm256_loadu_ps(columns[i]));
                let any = _mm256_or_ps(
                    _mm256_or_ps(_mm256_or_ps(c[0], c[1]), _mm256_or_ps(c[2], c[3])),
                    _mm256_or_ps(_mm256_or_ps(c[4], c[5]), _mm256_or_ps(c[6], c[7])),
                );
                let mask = nonzero(any);
                Self::places(mask, first, kept);
                let (low, high) = (fours(c[0], c[1], c[2], c[3]), fours(c[4], c[5], c[6], c[7]));
                // Every channel is written; the pointer moves on only past those to keep: no branch to mispredict.
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
        unsafe fn keep_pair(
            columns: [*const f32; 2],
            first: u32,
            kept: *mut u32,
            values: *mut [f32; 2],
        ) -> usize {
            // SAFETY: the caller vouches for the memory.
            unsafe {
                let (a, b) = (_mm256_loadu_ps(columns[0]), _mm256_loadu_ps(columns[1]));
                let mask = nonzero(_mm256_or_ps(a, b));
                Self::places(mask, first, kept);
                let lanes = kept_lanes(mask);
                let (a, b) = (_mm256_permutevar8x32_ps(a, lanes), _mm256_permutevar8x32_ps(b, lanes));
                // Interleaved: pairs 0, 1, 4, 5 and 2, 3, 6, 7.
                let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
                let to: *mut f32 = values.cast();
                _mm256_storeu_ps(to, _mm256_permute2f128_ps::<0x20>(low, high));
                _mm256_storeu_ps(to.add(8), _mm256_permute2f128_ps::<0x31>(low, high));
                mask.count_ones() as usize
            }
        }

        #[inline(always)]
        unsafe fn places(mask: u8, first: u32, to: *mut u32) {
            // SAFETY: the caller vouches for the memory.
            unsafe {
                let places = _mm256_add_epi32(kept_lanes(mask), _mm256_set1_epi32(first as i32));
                _mm256_storeu_si256(to.cast(), places);
            }
        }

        #[inline(always)]
        unsafe fn raise(most: &mut BatchValues, values: &BatchValues) {
            // SAFETY: see above; both are eight values.
            unsafe {
                let larger =
                    _mm256_max_ps(_mm256_loadu_ps(most.0.as_ptr()), _mm256_loadu_ps(values.0.as_ptr()));
                _mm256_storeu_ps(most.0.as_mut_ptr(), larger);
            }
        }
    }

    /// The lanes, as bits, that have a bit set.
    ///
    /// # Safety
    /// AVX2.
    #[inline(always)]
    unsafe fn nonzero(v: __m256) -> u8 {
        // SAFETY: only registers.
        unsafe {
            let zero = _mm256_cmpeq_epi32(_mm256_castps_si256(v), _mm256_setzero_si256());
            !_mm256_movemask_ps(_mm256_castsi256_ps(zero)) as u8
        }
    }

    /// The lanes in a set, ascending, then zeros.
    ///
    /// # Safety
    /// AVX2.
    #[inline(always)]
    unsafe fn kept_lanes(mask: u8) -> __m256i {
        // SAFETY: only registers; the table has a row for each set.
        unsafe { _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(KEPT_LANES[mask as usize])) }
    }

    /// Transposes four columns: result `i` has channel `i` of each and, in its upper half, channel `i + 4`.
    ///
    /// # Safety
    /// AVX.
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

    /// AVX-512 F: 32 registers of 16 lanes.
    pub(crate) struct Avx512;

    impl Simd for Avx512 {
        type V = __m512;
        const LANES: usize = 16;
        // 8 x 3 accumulators, 3 weights, 1 broadcast: 28 of 32 registers.
        const TILE_POSITIONS: usize = 8;

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
        unsafe fn keep(
            columns: &[*const f32; BATCH],
            first: u32,
            kept: *mut u32,
            values: *mut BatchValues,
        ) -> u8 {
            // Eight channels or columns at a time are what AVX2's registers hold: here and below.
            // SAFETY: see above.
            unsafe { Avx2::keep(columns, first, kept, values) }
        }

        #[inline(always)]
        unsafe fn keep_pair(
            columns: [*const f32; 2],
            first: u32,
            kept: *mut u32,
            values: *mut [f32; 2],
        ) -> usize {
            // SAFETY: see above.
            unsafe { Avx2::keep_pair(columns, first, kept, values) }
        }

        #[inline(always)]
        unsafe fn places(mask: u8, first: u32, to: *mut u32) {
            // SAFETY: see above.
            unsafe { Avx2::places(mask, first, to) }
        }

        #[inline(always)]
        unsafe fn raise(most: &mut BatchValues, values: &BatchValues) {
            // SAFETY: see above.
            unsafe { Avx2::raise(most, values) }
        }
    }
}

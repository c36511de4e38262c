//! Each operation of each instruction set of the machine against plain arithmetic, on values with
//! zeros of both signs, NaN, infinities and subnormal numbers.

use super::*;
use crate::kernels::Isa;
use crate::kernels::isa::for_each_isa;
use proptest::prelude::*;

/// The bits that the operations give, in one order: what instruction sets are compared by.
type Bits = Vec<u32>;

/// 16 values.
const A: [f32; 16] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    1e-40,
    -1e-40,
    0.1,
    3.4e38,
    -3.4e38,
    2.5,
    -0.0,
    0.0,
    7.0,
];

for_each_isa! {
    fn lanes(a: &[f32; 16], b: &[f32; 16], c: &[f32; 16], out: &mut [[f32; 16]; 4]) => lanes_generic
}

#[inline(always)]
unsafe fn lanes_generic<S: Simd>(a: &[f32; 16], b: &[f32; 16], c: &[f32; 16], out: &mut [[f32; 16]; 4]) {
    // SAFETY: each array has the 16 values of a vector.
    unsafe {
        let (a, b, c) = (S::load(a.as_ptr()), S::load(b.as_ptr()), S::load(c.as_ptr()));
        let results = [S::add(a, b), S::fma(a, b, c), S::relu(a), S::max(a, b)];
        for (out, result) in out.iter_mut().zip(results) {
            S::store(result, out.as_mut_ptr());
        }
    }
}

for_each_isa! {
    fn keep_both(positions: &[[f32; 8]; BATCH], first: u32, out: &mut Bits) => keep_generic
}

#[inline(always)]
unsafe fn keep_generic<S: Simd>(positions: &[[f32; 8]; BATCH], first: u32, out: &mut Bits) {
    let (mut kept, mut values) = ([0; 8], [BatchValues::default(); 8]);
    let (mut kept_pairs, mut pairs) = ([0; 8], [[0.0; 2]; 8]);
    let mut indices = [0; 8];
    let mut most = BatchValues([1.0; BATCH]);
    // SAFETY: eight values of each position, room for eight elements of each output.
    let (mask, count) = unsafe {
        let pointers = positions.each_ref().map(|position| position.as_ptr());
        let mask = S::Eights::keep(&pointers, first, kept.as_mut_ptr(), values.as_mut_ptr());
        let two = [pointers[0], pointers[1]];
        let count = S::Eights::keep_pair(two, first, kept_pairs.as_mut_ptr(), pairs.as_mut_ptr());
        S::Eights::bit_entries(mask, first, indices.as_mut_ptr());
        S::Eights::raise(&mut most, &BatchValues(positions[0]));
        (mask, count)
    };
    let kept_count = mask.count_ones() as usize;
    out.extend([u32::from(mask), count as u32]);
    out.extend(kept[..kept_count].iter().chain(&kept_pairs[..count]).chain(&indices[..kept_count]));
    out.extend(values[..kept_count].iter().flat_map(|values| values.0).map(f32::to_bits));
    out.extend(pairs[..count].iter().flatten().map(|value| value.to_bits()));
    out.extend(most.0.map(f32::to_bits));
}

#[test]
fn each_operation_rounds_once_and_orders_zeros_and_nan_as_it_says() {
    for shift in 0..16 {
        let b: [f32; 16] = std::array::from_fn(|i| A[(i + shift) % 16]);
        let c: [f32; 16] = std::array::from_fn(|i| A[(i + 3 * shift) % 16]);
        for isa in Isa::all_available() {
            let mut out = [[9.0; 16]; 4];
            lanes(isa, &A, &b, &c, &mut out);
            for i in 0..16 {
                let a = A[i];
                let want = [
                    a + b[i],
                    defined(a, b[i], c[i]),
                    if a > 0.0 { a } else { 0.0 },
                    if a > b[i] { a } else { b[i] },
                ];
                for (out, want) in out.iter().zip(want) {
                    assert!(
                        is_same(out[i], want),
                        "{isa}: {} instead of {want}, shift {shift}, lane {i}",
                        out[i]
                    );
                }
            }
        }
    }
}

/// `a * b + c` rounded once. The library that the standard library calls on wasm32 rounds twice where
/// the result is subnormal; the emulation is compared with the standard library on other machines.
fn defined(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(target_arch = "wasm32") { fused::multiply_add(a, b, c) } else { a.mul_add(b, c) }
}

/// True for the same bits and for any two NaN.
fn is_same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
}

/// Compares each instruction set and the emulation with the definition.
fn assert_rounds_once(a: f32, b: f32, c: f32) {
    let want = defined(a, b, c);
    let found = fused::multiply_add(a, b, c);
    assert!(is_same(found, want), "emulation: {a:e} * {b:e} + {c:e} is {found:e} instead of {want:e}");
    for isa in Isa::all_available() {
        let mut out = [[9.0; 16]; 4];
        lanes(isa, &[a; 16], &[b; 16], &[c; 16], &mut out);
        for (lane, &found) in out[1].iter().enumerate() {
            assert!(
                is_same(found, want),
                "{isa}: {a:e} * {b:e} + {c:e} is {found:e} in lane {lane}, not {want:e}"
            );
        }
    }
}

/// The exact sums lie a little above, on and below the middle between two neighbouring `f32`, normal
/// and subnormal. What the product has beyond the middle is up to 2^-46 of it, so that an `f64` cannot
/// hold the sum, and rounding first to `f64` and then to `f32` is wrong.
#[test]
fn a_multiply_add_rounds_once_beside_the_middle_of_two_values() {
    let power = |exponent: i32| 2f64.powi(exponent);
    let mut factors = vec![(1.0, 1.0)];
    factors.extend((1..24).map(|j| (1.0 + power(-j), 1.0 - power(-j))));
    factors.extend((1..12).map(|j| (1.0 + power(-j), 1.0 - power(-j) + power(-2 * j))));
    let mut differ = 0;
    for exponent in [-149, -140, -127, -126, -125, -60, 0, 1, 90, 127] {
        // The last places of `c`, in units of its smallest step.
        for last in [0, 1, 2, 0x7ffffe, 0x7fffff] {
            let step = power((exponent - 23).max(-149));
            let c = (power(exponent) + f64::from(last) * step) as f32;
            for &(x, y) in &factors {
                let half = (exponent - 24).max(-150);
                let (a, b) = ((x * power(half / 2)) as f32, (y * power(half - half / 2)) as f32);
                for (a, c) in [(a, c), (-a, c), (a, -c), (-a, -c)] {
                    assert_rounds_once(a, b, c);
                    differ +=
                        u32::from(defined(a, b, c) != (f64::from(a) * f64::from(b) + f64::from(c)) as f32);
                }
            }
        }
    }
    // Rounding twice would be noticed.
    assert!(differ > 500, "{differ}");
}

/// What `wasm-unfused` does instead. Only wasm32 has it.
#[test]
fn an_unfused_multiply_add_rounds_twice() {
    let Ok(isa) = "wasm-unfused".parse() else { return };
    let mut value = crate::kernels::test::values(5);
    let mut differ = 0;
    for _ in 0..1000 {
        let [a, b, c] = [value(), value(), value()];
        let mut out = [[9.0; 16]; 4];
        lanes(isa, &[a; 16], &[b; 16], &[c; 16], &mut out);
        assert_eq!(out[1], [a * b + c; 16]);
        differ += u32::from(a * b + c != defined(a, b, c));
    }
    assert!(differ > 0);
}

// Miri would take minutes; the test above has the hard cases.
#[cfg(not(miri))]
proptest! {
    #[test]
    fn a_multiply_add_of_any_values_rounds_once(a: u32, b: u32, c: u32, distance in -60i32..60) {
        let [a, b, c] = [a, b, c].map(f32::from_bits);
        assert_rounds_once(a, b, c);
        // Values whose sizes are near enough for all three to count.
        let [a, b, c] = [a, b, c].map(|value| f32::from_bits(value.to_bits() & 0x807fffff | 0x3f800000));
        assert_rounds_once(a, b, c * 2f32.powi(distance));
        assert_rounds_once(a * 2f32.powi(-70), b * 2f32.powi(-70), c * 2f32.powi(distance - 90));
    }
}

#[test]
fn what_has_a_bit_set_is_kept_in_order() {
    // Every set of eight channels; Miri takes a thousand times as long and sees some.
    for set in (0u32..256).step_by(if cfg!(miri) { 37 } else { 1 }) {
        // A channel of the set is not zero in one position or two; -0 has a bit set, too.
        let is_in = |channel: usize| set >> channel & 1 != 0;
        let positions: [[f32; 8]; BATCH] = std::array::from_fn(|p| {
            std::array::from_fn(|channel| match (p + set as usize + channel) % BATCH {
                0 if is_in(channel) => 1.5 + channel as f32,
                3 if is_in(channel) => -0.0,
                _ => 0.0,
            })
        });
        let first = 1000;
        let kept_if = |is_kept: &dyn Fn(usize) -> bool| -> Vec<usize> {
            (0..8).filter(|&channel| is_kept(channel)).collect()
        };
        let kept = kept_if(&is_in);
        let pairs = kept_if(&|channel| positions[..2].iter().any(|values| values[channel].to_bits() != 0));
        let entry = |&channel: &usize| first + (channel * PANEL) as u32;
        let mut want = vec![set, pairs.len() as u32];
        want.extend(kept.iter().chain(&pairs).chain(&kept).map(entry));
        let bits = |channel: usize, count: usize| {
            positions[..count].iter().map(move |values| values[channel].to_bits())
        };
        want.extend(kept.iter().flat_map(|&channel| bits(channel, BATCH)));
        want.extend(pairs.iter().flat_map(|&channel| bits(channel, 2)));
        want.extend(positions[0].map(|value| value.max(1.0).to_bits()));
        for isa in Isa::all_available() {
            let mut got = Bits::new();
            keep_both(isa, &positions, first, &mut got);
            assert_eq!(got, want, "{isa} {set:08b}");
        }
    }
}

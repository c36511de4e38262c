//! The fused multiply-add of machines that have no instruction for it.
//!
//! `f32::mul_add` calls a library there, and not every library rounds once: those of wasm32 and of
//! musl round twice where the result is subnormal.

/// `a * b + c`, rounded once, as `f32::mul_add` is defined.
///
/// The product of two `f32` is exact in `f64`. The sum is rounded to odd: if it is not exact, the last
/// bit of its truncated value is set. It has more than two bits more than an `f32` of any size, so
/// rounding it again gives the same as rounding the exact sum (Boldo and Melquiond 2008, "Emulation
/// of FMA and correctly rounded sums").
#[inline(always)]
pub(super) fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    let (product, c) = (f64::from(a) * f64::from(b), f64::from(c));
    let sum = product + c;
    // Knuth's two-sum: `sum + error` is exact. The error of an infinite sum is NaN.
    let of_c = sum - product;
    let error = (product - (sum - of_c)) + (c - of_c);
    let is_inexact = u64::from(error.abs() > 0.0);
    // The nearest `f64` is the truncated one, or its neighbour if the error has another sign.
    let is_rounded_up = (sum.to_bits() ^ error.to_bits()) >> 63;
    let truncated = sum.to_bits() - (is_inexact & is_rounded_up);
    f64::from_bits(truncated | is_inexact) as f32
}

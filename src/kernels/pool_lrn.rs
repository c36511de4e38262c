//! Pooling and local response normalisation of one pixel, vectorised across channels
//! (`docs/03-pooling-lrn-inception.md`). Every operation rounds once, so the bits do not depend on the
//! width of the vectors. The caller says which pixels a window has.

use super::isa::for_each_isa;
use super::simd::{PANEL, Simd};
use crate::network::{LRN_ALPHA, LRN_SIZE};

for_each_isa! {
    /// Sets `out[c]` to the largest of `pixels[..][c]`. Values are not negative, as they come from ReLU
    /// or LRN.
    fn maximum(pixels: &[&[f32]], out: &mut [f32]) => maximum_generic
}

for_each_isa! {
    /// Sets `out[c]` to the mean of `pixels[..][c]`, summed in the order given.
    fn average(pixels: &[&[f32]], out: &mut [f32]) => average_generic
}

for_each_isa! {
    /// Computes local response normalisation across the channels of one pixel (Krizhevsky et al. 2012,
    /// section 3.3, in Caffe's form): `out[c] = x[c] / t^0.75` with
    /// `t = 1 + alpha / 5 * (x[c - 2]^2 + .. + x[c + 2]^2)`.
    fn lrn(pixel: &[f32], out: &mut [f32]) => lrn_generic
}

/// # Safety
/// The machine has the instruction set of `S`.
#[inline(always)]
unsafe fn maximum_generic<S: Simd>(pixels: &[&[f32]], out: &mut [f32]) {
    let n = out.len();
    assert!(pixels.iter().all(|pixel| pixel.len() >= n));
    let mut c = 0;
    // Each value is read once and each result written once. Four vectors at a time hide the latency of
    // the loads.
    while c + 4 * PANEL <= n {
        // SAFETY: each pixel is asserted to hold the `n` values that `out` has, and `c` leaves room for
        // four vectors.
        unsafe {
            let mut most = [S::splat(0.0); 4];
            for pixel in pixels {
                for (i, most) in most.iter_mut().enumerate() {
                    *most = S::max(*most, S::load(pixel.as_ptr().add(c + i * PANEL)));
                }
            }
            for (i, most) in most.into_iter().enumerate() {
                S::store(most, out.as_mut_ptr().add(c + i * PANEL));
            }
        }
        c += 4 * PANEL;
    }
    for c in c..n {
        out[c] = pixels.iter().map(|pixel| pixel[c]).fold(0.0, |a, b| if a > b { a } else { b });
    }
}

/// # Safety
/// The machine has the instruction set of `S`.
#[inline(always)]
unsafe fn average_generic<S: Simd>(pixels: &[&[f32]], out: &mut [f32]) {
    let n = out.len();
    out.fill(0.0);
    for pixel in pixels {
        for (sum, x) in out.iter_mut().zip(&pixel[..n]) {
            *sum += x;
        }
    }
    let count = pixels.len() as f32;
    for sum in out.iter_mut() {
        *sum /= count;
    }
}

/// The channels on each side of the middle of the LRN window.
const HALF: usize = LRN_SIZE / 2;
/// The most channels of an LRN layer, those of conv2/norm2.
const LRN_CHANNELS: usize = 192;

/// # Safety
/// The machine has the instruction set of `S`.
#[inline(always)]
unsafe fn lrn_generic<S: Simd>(pixel: &[f32], out: &mut [f32]) {
    let n = out.len();
    // Zeros on both sides stand for the channels that do not exist.
    let mut squares = [0.0f32; LRN_CHANNELS + 2 * HALF];
    for (square, x) in squares[HALF..HALF + n].iter_mut().zip(&pixel[..n]) {
        *square = x * x;
    }
    let squares = &squares[..n + 2 * HALF];
    for c in 0..n {
        let sum = squares[c] + squares[c + 1] + squares[c + 2] + squares[c + 3] + squares[c + 4];
        let t = sum.mul_add(LRN_ALPHA / LRN_SIZE as f32, 1.0);
        // t^0.75 comes from correctly rounded roots, so it does not depend on a library's `pow`.
        let root = t.sqrt();
        out[c] = pixel[c] / (root * root.sqrt());
    }
}

#[cfg(test)]
#[cfg_attr(miri, allow(dead_code, unused_imports, reason = "what only the properties need"))]
mod tests {
    use super::*;
    use crate::kernels::{Isa, test};
    use proptest::prelude::*;

    fn pixels() -> impl Strategy<Value = Vec<Vec<f32>>> {
        (1usize..LRN_CHANNELS + 1, 1usize..12).prop_flat_map(|(channels, count)| {
            let value = prop_oneof![1 => Just(0.0f32), 2 => 0.0f32..1500.0];
            prop::collection::vec(prop::collection::vec(value, channels), count)
        })
    }

    fn assert_every_instruction_set_agrees_with_the_definition(pixels: &[Vec<f32>]) {
        let n = pixels[0].len();
        let slices: Vec<&[f32]> = pixels.iter().map(|p| p.as_slice()).collect();
        for isa in Isa::all_available() {
            let mut out = vec![9.0; n];
            maximum(isa, &slices, &mut out);
            for c in 0..n {
                assert_eq!(out[c], pixels.iter().map(|p| p[c]).fold(0.0, f32::max));
            }
            average(isa, &slices, &mut out);
            for c in 0..n {
                assert_eq!(out[c], pixels.iter().fold(0.0, |sum, p| sum + p[c]) / pixels.len() as f32);
            }
            lrn(isa, &pixels[0], &mut out);
            let mut scalar = vec![0.0; n];
            lrn(Isa::SCALAR, &pixels[0], &mut scalar);
            assert_eq!(&out, &scalar);
            for c in 0..n {
                let window = &pixels[0][c.saturating_sub(2)..n.min(c + 3)];
                let sum: f64 = window.iter().map(|&x| f64::from(x).powi(2)).sum();
                let want = f64::from(pixels[0][c]) / (1.0 + 1e-4 / 5.0 * sum).powf(0.75);
                assert!((f64::from(out[c]) - want).abs() <= 1e-6 * want, "{} {}", out[c], want);
            }
        }
    }

    // Miri would interpret the property for hours; the edges below take each path of the kernels on
    // small shapes.
    #[cfg(not(miri))]
    proptest! {
        #[test]
        fn every_instruction_set_agrees_with_the_definition(pixels in pixels()) {
            assert_every_instruction_set_agrees_with_the_definition(&pixels);
        }
    }

    /// Takes numbers of channels around one vector and around the four that are taken at a time.
    #[test]
    fn pixels_are_right_at_the_edges_of_vectors() {
        let mut value = test::values(11);
        for channels in [1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 129, LRN_CHANNELS] {
            let mut pixel = || (0..channels).map(|_| value().max(0.0) * 1500.0).collect();
            let pixels = [pixel(), pixel(), pixel()];
            assert_every_instruction_set_agrees_with_the_definition(&pixels);
        }
    }

    #[test]
    #[should_panic]
    fn a_pixel_that_is_too_short_is_refused() {
        maximum(Isa::detect(), &[&[1.0; 64], &[1.0; 63]], &mut [0.0; 64]);
    }
}

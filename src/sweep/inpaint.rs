//! Continues an image into a hole: the fill [`MaskValue::Inpaint`](super::MaskValue::Inpaint).

use super::coverage::Coverage;
use crate::network::INPUT_SIDE;

/// The iteration ends when no value changes by more, on the scale of 0..=255.
const TOLERANCE: f64 = 1e-3;

/// Computes values for the covered pixels of an image from the uncovered ones around them. Returns the
/// values of all pixels of the rectangle, `[height][width][3]`.
///
/// It solves Laplace's equation: each covered pixel is the mean of its neighbours to the left and right,
/// above and below, as far as they lie in the image. Successive over-relaxation, in the order of the pixels
/// and in f64, gives the same bits on every machine. If everything is covered, the values are the image's
/// mean.
pub(super) fn inpaint(image: &[f32], coverage: &Coverage) -> Vec<f32> {
    let (bounds, width) = (coverage.bounds, coverage.bounds.width());
    let value = |y: usize, x: usize, c: usize| f64::from(image[(y * INPUT_SIDE + x) * 3 + c]);
    let is_hole = |y: usize, x: usize| {
        let inside = (bounds.y0..bounds.y1).contains(&y) && (bounds.x0..bounds.x1).contains(&x);
        inside && coverage.weights[(y - bounds.y0) * width + x - bounds.x0] > 0.0
    };
    let holes: Vec<(usize, usize)> = bounds.pixels().filter(|&(y, x)| is_hole(y, x)).collect();
    // The place of each covered pixel in the list.
    let mut place = vec![usize::MAX; coverage.weights.len()];
    for (i, &(y, x)) in holes.iter().enumerate() {
        place[(y - bounds.y0) * width + x - bounds.x0] = i;
    }
    // Of each covered pixel: its covered neighbours, the sum of the others, and the number of all.
    struct Pixel {
        covered: [usize; 4],
        covered_count: usize,
        known: [f64; 3],
        count: f64,
    }
    let mut around = ([0.0; 3], 0.0);
    let pixels: Vec<Pixel> = holes
        .iter()
        .map(|&(y, x)| {
            let mut pixel = Pixel { covered: [0; 4], covered_count: 0, known: [0.0; 3], count: 0.0 };
            let neighbours = [(y.wrapping_sub(1), x), (y, x.wrapping_sub(1)), (y, x + 1), (y + 1, x)];
            for (y, x) in neighbours.into_iter().filter(|&(y, x)| y < INPUT_SIDE && x < INPUT_SIDE) {
                pixel.count += 1.0;
                if is_hole(y, x) {
                    pixel.covered[pixel.covered_count] = place[(y - bounds.y0) * width + x - bounds.x0];
                    pixel.covered_count += 1;
                } else {
                    (0..3).for_each(|c| pixel.known[c] += value(y, x, c));
                    (0..3).for_each(|c| around.0[c] += value(y, x, c));
                    around.1 += 1.0;
                }
            }
            pixel
        })
        .collect();
    // The iteration begins with the mean of the border, or of the image if there is no border.
    let mean = |c: usize| image.iter().skip(c).step_by(3).map(|&v| f64::from(v)).sum::<f64>();
    let start: [f64; 3] = std::array::from_fn(|c| match around.1 {
        0.0 => mean(c) / (INPUT_SIDE * INPUT_SIDE) as f64,
        count => around.0[c] / count,
    });
    let mut values = vec![start; holes.len()];
    // Near the best factor for a hole of this size.
    let side = bounds.height().max(width);
    let factor = 2.0 / (1.0 + std::f64::consts::PI / (side + 1) as f64);
    let has_border = around.1 > 0.0;
    for _ in 0..if has_border { 20 * side + 20 } else { 0 } {
        let mut most = 0.0f64;
        for (i, pixel) in pixels.iter().enumerate() {
            let mut sums = pixel.known;
            for &other in &pixel.covered[..pixel.covered_count] {
                sums.iter_mut().zip(values[other]).for_each(|(sum, value)| *sum += value);
            }
            for (value, sum) in values[i].iter_mut().zip(sums) {
                let change = factor * (sum / pixel.count - *value);
                *value += change;
                most = most.max(change.abs());
            }
        }
        if most < TOLERANCE {
            break;
        }
    }
    let mut patch = vec![0.0; coverage.weights.len() * 3];
    for (&(y, x), value) in holes.iter().zip(&values) {
        let at = ((y - bounds.y0) * width + x - bounds.x0) * 3;
        (0..3).for_each(|c| patch[at + c] = value[c] as f32);
    }
    patch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::geometry::Rect;

    fn hole(bounds: Rect) -> Coverage {
        Coverage { bounds, weights: vec![1.0; bounds.area()] }
    }

    fn image(value: impl Fn(f64, f64, usize) -> f64) -> Vec<f32> {
        let pixels = Rect::plane(INPUT_SIDE).pixels();
        pixels.flat_map(|(y, x)| [0, 1, 2].map(|c| value(y as f64, x as f64, c) as f32)).collect()
    }

    /// A function that solves the equation is continued as it is.
    #[test]
    fn harmonic_images_are_continued() {
        let functions: [&dyn Fn(f64, f64, usize) -> f64; 2] =
            [&|y, x, c| 0.3 * y - 0.5 * x + 20.0 * c as f64, &|y, x, c| {
                ((x - 100.0) * (y - 90.0)) / 90.0 - c as f64
            }];
        for function in functions {
            let image = image(function);
            for bounds in [
                Rect { y0: 80, x0: 60, y1: 125, x1: 105 },
                Rect { y0: 10, x0: 200, y1: 11, x1: 201 },
                Rect { y0: 30, x0: 5, y1: 130, x1: 12 },
            ] {
                let filled = inpaint(&image, &hole(bounds));
                for (i, (y, x)) in bounds.pixels().enumerate() {
                    for c in 0..3 {
                        let wanted = function(y as f64, x as f64, c);
                        let found = f64::from(filled[i * 3 + c]);
                        assert!((found - wanted).abs() < 0.2, "{y} {x}: {found}, {wanted}");
                    }
                }
            }
        }
    }

    /// Each covered pixel is the mean of its neighbours, at the image's border too.
    #[test]
    fn covered_pixels_are_means_of_their_neighbours() {
        let image = image(|y, x, c| ((y * 31.0 + x * 17.0 + c as f64 * 5.0) % 97.0) * 2.0 - 90.0);
        let bounds = Rect { y0: 0, x0: 190, y1: 40, x1: 224 };
        let mut coverage = hole(bounds);
        coverage.weights.iter_mut().step_by(7).for_each(|weight| *weight = 0.0);
        let filled = inpaint(&image, &coverage);
        let width = bounds.width();
        let covered = |y: usize, x: usize| y < 40 && x >= 190 && coverage.weights[y * width + x - 190] > 0.0;
        for (y, x) in bounds.pixels().filter(|&(y, x)| covered(y, x)) {
            let at = |y: usize, x: usize| match covered(y, x) {
                true => f64::from(filled[(y * width + x - 190) * 3]),
                false => f64::from(image[(y * INPUT_SIDE + x) * 3]),
            };
            let around = [(y.wrapping_sub(1), x), (y, x - 1), (y, x + 1), (y + 1, x)];
            let around: Vec<f64> =
                around.into_iter().filter(|&(y, x)| y < 224 && x < 224).map(|(y, x)| at(y, x)).collect();
            let mean = around.iter().sum::<f64>() / around.len() as f64;
            assert!((at(y, x) - mean).abs() < 0.01, "{y} {x}: {}, {mean}", at(y, x));
        }
    }

    #[test]
    fn a_hole_without_border_has_the_mean() {
        let image = image(|y, _, _| y);
        assert!(inpaint(&image, &hole(Rect::plane(INPUT_SIDE))).iter().all(|v| (v - 111.5).abs() < 1e-4));
    }
}

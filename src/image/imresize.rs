//! Bicubic resizing of 8-bit RGB by the rule of MATLAB's `imresize`, for pictures with the same
//! levels as in MATLAB. `docs/matlab.md` states the rule and what it was tested against.

use super::resize::{CUBIC_SUPPORT, cubic, mirrored};
use crate::parallel;

/// The inputs of one output pixel along one axis, each with its weight. The weights have the sum 1.
type Taps = Vec<(usize, f64)>;

/// Resizes interleaved 8-bit RGB as MATLAB's `imresize(rgb, size)` does: by bicubic interpolation,
/// with a wider kernel along an axis that shrinks (antialiasing), and mirrored at the borders. It
/// makes one pass along each axis, first along the one with the smaller ratio of the new size to the
/// old one, the rows' on a tie, and rounds each pass to 8 bits.
///
/// `rgb` is `[height][width][3]` and `size` the new height and width; returns `[size[0]][size[1]][3]`.
///
/// # Panics
/// If the length of `rgb` is not `height * width * 3`, or if a size is zero.
pub fn imresize(rgb: &[u8], height: usize, width: usize, size: [usize; 2]) -> Vec<u8> {
    assert_eq!(rgb.len(), height * width * 3, "an RGB picture has height x width x 3 bytes");
    assert!(height > 0 && width > 0 && size[0] > 0 && size[1] > 0, "a picture has pixels");
    let [rows, columns] = [(height, size[0]), (width, size[1])].map(|(from, to)| taps(from, to));
    // The ratios that MATLAB compares, as quotients.
    let [down, across] = [(height, size[0]), (width, size[1])].map(|(from, to)| to as f64 / from as f64);
    if down <= across {
        resize_rows(&resize_columns(rgb, width, &rows), width, &columns)
    } else {
        resize_columns(&resize_rows(rgb, width, &columns), size[1], &rows)
    }
}

/// The taps of each of `to` outputs that `from` inputs become: `contributions` of `imresize.m`, which
/// counts pixels from 1.
fn taps(from: usize, to: usize) -> Vec<Taps> {
    let scale = to as f64 / from as f64;
    let narrowing = scale.min(1.0);
    let width = 2.0 * CUBIC_SUPPORT / narrowing;
    let taps = |output: usize| {
        let centre = (output + 1) as f64 / scale + 0.5 * (1.0 - 1.0 / scale);
        let first = (centre - width / 2.0).floor();
        let count = width.ceil() as usize + 2;
        let inputs = (0..count).map(|k| first + k as f64);
        let weights: Vec<f64> = inputs.map(|at| narrowing * cubic(narrowing * (centre - at))).collect();
        let sum: f64 = weights.iter().sum();
        let weighed = weights.iter().enumerate().filter(|(_, weight)| **weight != 0.0);
        weighed.map(|(k, weight)| (mirrored(first as i64 - 1 + k as i64, from), weight / sum)).collect()
    };
    (0..to).map(taps).collect()
}

/// Rounds to the nearest level, halves away from zero.
fn to_level(sum: f64) -> u8 {
    sum.clamp(0.0, 255.0).round() as u8
}

/// Resizes each row of `width` pixels.
fn resize_rows(source: &[u8], width: usize, columns: &[Taps]) -> Vec<u8> {
    let mut resized = vec![0; source.len() / (width * 3) * columns.len() * 3];
    parallel::map_chunks(&mut resized, columns.len() * 3, |y, out| {
        let row = source[y * width * 3..][..width * 3].as_chunks::<3>().0;
        for (pixel, taps) in out.as_chunks_mut::<3>().0.iter_mut().zip(columns) {
            let mut sums = [0.0; 3];
            for &(x, weight) in taps {
                for (sum, level) in sums.iter_mut().zip(row[x]) {
                    *sum += weight * f64::from(level);
                }
            }
            *pixel = sums.map(to_level);
        }
    });
    resized
}

/// Resizes each column of a picture of `width` pixels.
fn resize_columns(source: &[u8], width: usize, rows: &[Taps]) -> Vec<u8> {
    let mut resized = vec![0; rows.len() * width * 3];
    parallel::map_chunks(&mut resized, width * 3, |y, out| {
        let mut sums = vec![0.0; width * 3];
        for &(row, weight) in &rows[y] {
            for (sum, &level) in sums.iter_mut().zip(&source[row * width * 3..]) {
                *sum += weight * f64::from(level);
            }
        }
        for (level, sum) in out.iter_mut().zip(sums) {
            *level = to_level(sum);
        }
    });
    resized
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// Against `tools/imresize.py`, an implementation of the same rule in NumPy. The levels are
    /// `i * i * 37 + i * 11` modulo 256, the digest is `d = (d * 31 + level) % 2**32` from 0.
    #[test]
    fn levels_are_those_of_the_rule_in_numpy() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/imresize.json");
        let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(cases.len(), 20);
        for case in cases {
            let numbers = |key: &str| -> Vec<usize> {
                case[key].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect()
            };
            let [[height, width], [h, w]] = ["from", "to"].map(|key| [numbers(key)[0], numbers(key)[1]]);
            let rgb: Vec<u8> = (0..height * width * 3).map(|i| (i * i * 37 + i * 11) as u8).collect();
            let resized = imresize(&rgb, height, width, [h, w]);
            assert_eq!(resized.len(), h * w * 3);
            let first: Vec<usize> = resized.iter().take(60).map(|level| usize::from(*level)).collect();
            assert_eq!(first, numbers("levels"), "{height}x{width} to {h}x{w}");
            let digest =
                resized.iter().fold(0u32, |d, &level| d.wrapping_mul(31).wrapping_add(u32::from(level)));
            assert_eq!(u64::from(digest), case["digest"].as_u64().unwrap(), "{height}x{width} to {h}x{w}");
        }
    }

    #[test]
    fn equal_size_is_identity_and_a_colour_stays() {
        let rgb: Vec<u8> = (0..6 * 5 * 3).map(|i| (i * 29) as u8).collect();
        assert_eq!(imresize(&rgb, 6, 5, [6, 5]), rgb);
        assert_eq!(imresize(&[9, 200, 77].repeat(35), 5, 7, [13, 3]), [9, 200, 77].repeat(39));
    }
}

//! Bicubic resampling with Keys' kernel (a = -0.5): of photographs with the rounding of Pillow
//! (`docs/01-pixel-to-tensor.md`), and of maps as in MATLAB (`docs/05-occlusion-map.md`).

use crate::network::geometry::Rect;
use crate::parallel;

/// The interpolation with which a map is enlarged to the size of the image; MATLAB's
/// `OutputUpsampling`.
///
/// ```
/// use occlude::{Upsampling, image::resize::upsample};
///
/// let map = [1.0, 3.0]; // [1][2]
/// assert_eq!(upsample(&map, 1, 2, 1, 4, Upsampling::Nearest), [1.0, 1.0, 3.0, 3.0]);
/// let smooth = upsample(&map, 1, 2, 1, 4, Upsampling::Bicubic);
/// assert!(smooth.is_sorted() && smooth[1] > 1.0 && smooth[2] < 3.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Upsampling {
    /// Smooth: cubic convolution through the values of the grid, as in MATLAB's `imresize`.
    #[default]
    Bicubic,
    /// Blocks: each pixel has the value of the grid cell that it lies in.
    Nearest,
    /// The grid itself, unchanged.
    None,
}

/// Resizes interleaved 8-bit RGB by antialiased bicubic interpolation, with the same levels as
/// Pillow 13's `Image.resize(BICUBIC)`. It makes one pass along each axis and rounds each to 8
/// bits. The vertical pass comes first if the height loses more than twice as many pixels as the
/// width. An axis that keeps its size is not resampled.
///
/// `rgb` is `[height][width][3]` and `size` the new height and width. Only the pixels of `part` of
/// the resized picture are computed and returned, `[part.height()][part.width()][3]`. Rows outside
/// `part` take no memory, nor do columns if the horizontal pass comes first.
///
/// # Panics
/// If the length of `rgb` is not `height * width * 3`, if a size is zero, or if `part` is empty or
/// not inside `size`.
pub fn resize_rgb(rgb: &[u8], height: usize, width: usize, size: [usize; 2], part: Rect) -> Vec<u8> {
    assert_eq!(rgb.len(), height * width * 3, "an RGB picture has height x width x 3 bytes");
    assert!(height > 0 && width > 0, "a picture has pixels");
    assert!(!part.is_empty() && part.y1 <= size[0] && part.x1 <= size[1], "{part:?} must lie in {size:?}");
    let rows = (height != size[0]).then(|| photograph_taps(height, size[0], part.y0, part.y1));
    // The source rows that the vertical pass reads.
    let (top, bottom) = match &rows {
        Some(rows) => rows.iter().fold((height, 0), |(top, bottom), taps| {
            (top.min(taps.first), bottom.max(taps.first + taps.weights.len()))
        }),
        None => (part.y0, part.y1),
    };
    let source = &rgb[top * width * 3..bottom * width * 3];
    let to_width = |source: &[u8]| -> Vec<u8> {
        if width == size[1] {
            source.chunks(width * 3).flat_map(|row| &row[part.x0 * 3..part.x1 * 3]).copied().collect()
        } else {
            resize_rows(source, width, &photograph_taps(width, size[1], part.x0, part.x1))
        }
    };
    match &rows {
        Some(rows) if columns_first(height, width, size) => {
            to_width(&resize_columns(source, width * 3, rows, top))
        }
        Some(rows) => resize_columns(&to_width(source), part.width() * 3, rows, top),
        None => to_width(source),
    }
}

/// Fraction bits of the weights of the 8-bit resampler. 255 times a sum of magnitudes below 1.5
/// stays inside an i32.
const FRACTION_BITS: u32 = 22;

/// The inputs of one output pixel along one axis: consecutive pixels from `first`, each with a
/// fixed-point weight.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

/// Computes the taps of the outputs `start..end` for `input` pixels that become `output` pixels.
///
/// When the picture shrinks, the kernel widens (antialiasing). At a border the part outside is cut
/// off and the rest is normalised. Both, and the order of roundings, follow Pillow's `Resample.c`.
fn photograph_taps(input: usize, output: usize, start: usize, end: usize) -> Vec<Taps> {
    let scale = input as f64 / output as f64;
    let widening = scale.max(1.0);
    let support = CUBIC_SUPPORT * widening;
    let taps = |o: usize| {
        let centre = (o as f64 + 0.5) * scale;
        let first = (centre - support + 0.5).max(0.0) as usize;
        let last = ((centre + support + 0.5) as usize).min(input);
        // `Resample.c` multiplies by the reciprocal instead of dividing.
        let narrowing = 1.0 / widening;
        let raw: Vec<f64> = (first..last).map(|i| cubic((i as f64 - centre + 0.5) * narrowing)).collect();
        let sum: f64 = raw.iter().sum();
        let fixed = |w: &f64| {
            let scaled = w / sum * f64::from(1 << FRACTION_BITS);
            (scaled + 0.5f64.copysign(scaled)) as i32
        };
        Taps { first, weights: raw.iter().map(fixed).collect() }
    };
    (start..end).map(taps).collect()
}

/// Converts a fixed-point sum, to which one half was added, to a level in 0..=255.
fn to_level(sum: i32) -> u8 {
    (sum >> FRACTION_BITS).clamp(0, 255) as u8
}

/// True if Pillow resizes along columns before rows. It does so if the height loses more than twice
/// as many pixels as the width (a growing width loses a negative number), because the horizontal
/// pass then has fewer rows. Versions before 13 never did. The picture is rounded to 8 bits between
/// the passes, so the order affects the levels.
fn columns_first(height: usize, width: usize, size: [usize; 2]) -> bool {
    let lost = |from: usize, to: usize| from as i64 - to as i64;
    let (lost_rows, lost_columns) = (lost(height, size[0]), lost(width, size[1]));
    lost_rows > 0 && lost_rows > 2 * lost_columns
}

/// Resamples each row of `width` RGB pixels.
fn resize_rows(source: &[u8], width: usize, columns: &[Taps]) -> Vec<u8> {
    let mut resized = vec![0; source.len() / (width * 3) * columns.len() * 3];
    parallel::map_chunks(&mut resized, columns.len() * 3, |y, out| {
        let row = &source[y * width * 3..][..width * 3];
        for (pixel, taps) in out.as_chunks_mut::<3>().0.iter_mut().zip(columns) {
            let mut sums = [1 << (FRACTION_BITS - 1); 3];
            for (rgb, weight) in row.as_chunks::<3>().0[taps.first..].iter().zip(&taps.weights) {
                for (sum, &level) in sums.iter_mut().zip(rgb) {
                    *sum += i32::from(level) * weight;
                }
            }
            *pixel = sums.map(to_level);
        }
    });
    resized
}

/// Resamples along columns. `source` holds rows of `row_len` bytes, the first of which is row `top`
/// of the picture.
fn resize_columns(source: &[u8], row_len: usize, rows: &[Taps], top: usize) -> Vec<u8> {
    let mut resized = vec![0; rows.len() * row_len];
    parallel::map_chunks(&mut resized, row_len, |y, out| {
        let taps = &rows[y];
        let mut sums = vec![1 << (FRACTION_BITS - 1); row_len];
        for (row, weight) in source.chunks(row_len).skip(taps.first - top).zip(&taps.weights) {
            for (sum, &level) in sums.iter_mut().zip(row) {
                *sum += i32::from(level) * weight;
            }
        }
        for (level, sum) in out.iter_mut().zip(sums) {
            *level = to_level(sum);
        }
    });
    resized
}

/// Enlarges a map from `[ny][nx]` to `[height][width]`. With [`Upsampling::None`] it returns the
/// map unchanged.
///
/// Pixel centres lie at half-integers in both, as in MATLAB's `imresize`: output pixel `o` lies at
/// `(o + 0.5) * n / size - 0.5` in the grid. Bicubic interpolation mirrors the map at its borders,
/// with the edge values repeated (`2 1 | 1 2`), computes in f64 and may overshoot the values of the
/// grid. At equal size both methods return the values of the map. A smaller target is sampled
/// without antialiasing.
///
/// # Panics
/// If the length of `map` is not `ny * nx`, or if `ny` or `nx` is zero.
pub fn upsample(
    map: &[f32],
    ny: usize,
    nx: usize,
    height: usize,
    width: usize,
    upsampling: Upsampling,
) -> Vec<f32> {
    assert_eq!(map.len(), ny * nx, "a map has ny x nx values");
    assert!(ny > 0 && nx > 0, "a map has values");
    let taps = |cells: usize, size: usize| -> Vec<MapTaps> {
        let at = |output: usize| (output as f64 + 0.5) * cells as f64 / size as f64 - 0.5;
        match upsampling {
            Upsampling::Bicubic => (0..size).map(|output| mirrored_taps(at(output), cells)).collect(),
            _ => (0..size).map(|output| nearest_taps(at(output), cells)).collect(),
        }
    };
    match upsampling {
        Upsampling::None => map.to_vec(),
        _ => interpolate(map, nx, &taps(ny, height), &taps(nx, width)),
    }
}

/// The grid cells that one output pixel reads along one axis, with their weights.
pub(super) type MapTaps = [(usize, f64); 4];

/// The values of a map, `[ny][nx]`, at the rows and columns of these taps, `[rows][columns]`.
pub(super) fn interpolate(map: &[f32], nx: usize, rows: &[MapTaps], columns: &[MapTaps]) -> Vec<f32> {
    let width = columns.len();
    let wide: Vec<f64> = map
        .chunks(nx)
        .flat_map(|row| columns.iter().map(|taps| weigh(taps, |x| f64::from(row[x]))))
        .collect();
    rows.iter()
        .flat_map(|taps| (0..width).map(|x| weigh(taps, |y| wide[y * width + x]) as f32).collect::<Vec<_>>())
        .collect()
}

fn weigh(taps: &MapTaps, value: impl Fn(usize) -> f64) -> f64 {
    // Cells of weight zero are skipped, so that an infinite or NaN neighbour has no effect on a
    // value that does not use it.
    taps.iter().filter(|(_, weight)| *weight != 0.0).map(|&(cell, weight)| weight * value(cell)).sum()
}

/// The taps of a place in the line of cells, whose middles lie at 0, 1, 2 and so on. Beyond its
/// ends, the line continues as its mirror image.
pub(super) fn mirrored_taps(at: f64, cells: usize) -> MapTaps {
    let first = at.floor() as i64 - 1;
    std::array::from_fn(|k| {
        let cell = first + k as i64;
        (mirrored(cell, cells), cubic(cell as f64 - at))
    })
}

/// The cell that a place lies in; the nearest one beyond the ends of the line.
pub(super) fn nearest_taps(at: f64, cells: usize) -> MapTaps {
    let cell = ((at + 0.5).floor().max(0.0) as usize).min(cells - 1);
    [(cell, 1.0), (cell, 0.0), (cell, 0.0), (cell, 0.0)]
}

/// Keys (1981), "Cubic convolution interpolation for digital image processing", with a = -0.5.
pub(super) fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// Distance in pixels from its centre beyond which [`cubic`] is 0.
pub(super) const CUBIC_SUPPORT: f64 = 2.0;

/// Maps an index outside `0..cells` to one inside: the line of cells continues as its mirror image.
pub(crate) fn mirrored(cell: i64, cells: usize) -> usize {
    let cells = cells as i64;
    let folded = cell.rem_euclid(2 * cells);
    (if folded < cells { folded } else { 2 * cells - 1 - folded }) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(size: [usize; 2]) -> Rect {
        Rect { y0: 0, x0: 0, y1: size[0], x1: size[1] }
    }

    /// Levels without pattern: `i * i * 37 + i * 11` modulo 256.
    fn levels(count: usize) -> Vec<u8> {
        (0..count).map(|i| (i * i * 37 + i * 11) as u8).collect()
    }

    /// Expected levels from Pillow 13.0.0: `Image.fromarray(levels.reshape(height, width,
    /// 3)).resize((new_width, new_height), Image.BICUBIC)`.
    #[test]
    fn photographs_are_resized_as_by_pillow() {
        let shrunk = [
            83, 118, 178, 99, 124, 187, 110, 182, 177, 134, 211, 149, 150, 143, 126, 54, 68, 122, 125, 94,
            123, 158, 140, 107, 123, 155, 131, 85, 98, 118, 65, 43, 103, 139, 141, 138,
        ];
        assert_eq!(resize_rgb(&levels(5 * 7 * 3), 5, 7, [3, 4], whole([3, 4])), shrunk);
        let only_narrower = [
            71, 85, 183, 68, 196, 216, 91, 225, 167, 116, 157, 175, 138, 94, 140, 186, 171, 131, 140, 100,
            121, 66, 68, 112, 132, 149, 128, 83, 160, 102, 61, 61, 132, 160, 83, 80, 149, 132, 149, 68, 66,
            95, 100, 140, 163,
        ];
        assert_eq!(resize_rgb(&levels(5 * 7 * 3), 5, 7, [5, 3], whole([5, 3])), only_narrower);
        // Overshoot is clipped at both ends.
        let enlarged = [
            0, 32, 163, 68, 87, 198, 124, 113, 193, 123, 92, 151, 11, 135, 207, 67, 173, 225, 97, 173, 195,
            79, 135, 136, 22, 237, 251, 65, 255, 252, 70, 232, 196, 35, 177, 120,
        ];
        assert_eq!(resize_rgb(&levels(2 * 3 * 3), 2, 3, [3, 4], whole([3, 4])), enlarged);
        let from_one_row = [69, 146, 197, 106, 210, 169, 69, 146, 197, 106, 210, 169];
        assert_eq!(resize_rgb(&levels(9 * 3), 1, 9, [2, 2], whole([2, 2])), from_one_row);
    }

    /// Sizes on both sides of Pillow's decision which pass comes first; in each the orders give
    /// different levels.
    ///
    /// The digests, `d = (d * 31 + level) % 2**32` from 0 over all levels, are of Pillow 13.0.0's
    /// `Image.fromarray(levels.reshape(height, width, 3)).resize((new_width, new_height),
    /// Image.BICUBIC)`.
    #[test]
    fn photographs_lose_rows_or_columns_first_as_by_pillow() {
        for (height, width, size, columns_come_first, digest) in [
            // A portrait photograph to the network's input.
            (500, 357, [224, 224], true, 0x39d4_ff2c_u32),
            // Twice as many rows lost as columns, and one more.
            (40, 30, [20, 20], false, 0x7b33_0a52),
            (41, 30, [20, 20], true, 0x2817_38f3),
            (30, 20, [10, 10], false, 0x8228_9e95),
            (30, 20, [10, 11], true, 0xf713_44d1),
            // Columns gained: any lost row decides, but rows must be lost.
            (30, 20, [29, 31], true, 0x9b45_09c2),
            (30, 20, [31, 40], false, 0x9e8d_e4d3),
        ] {
            let context = format!("{height}x{width} to {size:?}");
            assert_eq!(columns_first(height, width, size), columns_come_first, "{context}");
            let resized = resize_rgb(&levels(height * width * 3), height, width, size, whole(size));
            let found =
                resized.iter().fold(0u32, |d, &level| d.wrapping_mul(31).wrapping_add(u32::from(level)));
            assert_eq!(found, digest, "{context}: {found:#x}, from {:?}", &resized[..6]);
        }
    }

    /// Expected values from a transcription of `imresize`'s `contributions` into numpy (f64): `u =
    /// x / scale + 0.5 * (1 - 1 / scale)`, six taps from `floor(u - 2)`, normalised, indices folded
    /// through `[1:n, n:-1:1]`.
    #[test]
    fn maps_are_enlarged_as_by_imresize() {
        let map = [0.5, -1.0, 2.0, 3.0, 0.25, -0.75];
        #[rustfmt::skip]
        let expected = [
            0.377168367, 0.071909621, -0.807886297, -1.13125, 0.178866618, 1.937769679, 2.637729592,
            0.82122449, 0.479381924, -0.462495627, -0.92, 0.097446064, 1.538180758, 2.104,
            1.966836735, 1.530612245, 0.428571429, -0.375, -0.112609329, 0.50728863, 0.727040816,
            3.11244898, 2.581842566, 1.319638484, 0.17, -0.322664723, -0.523603499, -0.649918367,
            3.556505102, 2.989314869, 1.665029155, 0.38125, -0.404085277, -0.92319242, -1.183647959,
        ];
        let found = upsample(&map, 2, 3, 5, 7, Upsampling::Bicubic);
        for (found, expected) in found.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 3e-7, "{found} is not {expected}");
        }
    }

    #[test]
    fn nearest_takes_the_cell_around_each_pixel() {
        let map = [1.0, 2.0, 3.0];
        assert_eq!(upsample(&map, 1, 3, 1, 7, Upsampling::Nearest), [1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0]);
        assert_eq!(upsample(&map, 3, 1, 4, 2, Upsampling::Nearest), [1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 3.0, 3.0]);
        assert_eq!(upsample(&map, 1, 3, 1, 7, Upsampling::None), map);
    }

    fn grid() -> impl Strategy<Value = (usize, usize, Vec<f32>)> {
        (1usize..9, 1usize..9)
            .prop_flat_map(|(ny, nx)| (Just(ny), Just(nx), prop::collection::vec(-1.0f32..1.0, ny * nx)))
    }

    fn close(a: f32, b: f32) -> bool {
        (a - b).abs() <= 1e-6
    }

    proptest! {
        #[test]
        fn equal_size_is_identity((ny, nx, map) in grid()) {
            prop_assert_eq!(&upsample(&map, ny, nx, ny, nx, Upsampling::Bicubic), &map);
            prop_assert_eq!(&upsample(&map, ny, nx, ny, nx, Upsampling::Nearest), &map);
        }

        #[test]
        fn a_constant_stays_constant(ny in 1usize..9, nx in 1usize..9, h in 9usize..40, w in 9usize..40, v in -1f32..1.) {
            let enlarged = upsample(&vec![v; ny * nx], ny, nx, h, w, Upsampling::Bicubic);
            prop_assert!(enlarged.iter().all(|found| close(*found, v)));
            prop_assert!(upsample(&vec![v; ny * nx], ny, nx, h, w, Upsampling::Nearest).iter().all(|found| *found == v));
        }

        /// Away from the mirrored borders a ramp comes back at the pixel's own position in the grid.
        #[test]
        fn a_ramp_stays_a_ramp(n in 4usize..12, size in 12usize..60) {
            let ramp: Vec<f32> = (0..n).map(|i| i as f32 / n as f32).collect();
            for (o, found) in upsample(&ramp, 1, n, 1, size, Upsampling::Bicubic).iter().enumerate() {
                let position = (o as f64 + 0.5) * n as f64 / size as f64 - 0.5;
                if (1.0..=(n - 2) as f64).contains(&position) {
                    prop_assert!(close(*found, (position / n as f64) as f32));
                }
            }
        }

        /// The map of a product is the product of the maps.
        #[test]
        fn enlarging_is_separable(
            column in prop::collection::vec(-1.0f32..1.0, 1..9),
            row in prop::collection::vec(-1.0f32..1.0, 1..9),
            h in 9usize..30,
            w in 9usize..30,
        ) {
            let product = |a: &[f32], b: &[f32]| -> Vec<f32> {
                a.iter().flat_map(|a| b.iter().map(move |b| a * b)).collect()
            };
            let (ny, nx) = (column.len(), row.len());
            let found = upsample(&product(&column, &row), ny, nx, h, w, Upsampling::Bicubic);
            let expected = product(
                &upsample(&column, ny, 1, h, 1, Upsampling::Bicubic),
                &upsample(&row, 1, nx, 1, w, Upsampling::Bicubic),
            );
            prop_assert!(found.iter().zip(&expected).all(|(a, b)| close(*a, *b)));
        }

        /// Computing a part is cutting it out of the whole.
        #[test]
        fn a_part_is_cut_from_the_whole(
            (height, width, h, w) in (1usize..9, 1usize..9, 1usize..9, 1usize..9),
            (a, b, c, d) in (0usize..9, 0usize..9, 0usize..9, 0usize..9),
        ) {
            let (y0, x0) = (a % h, b % w);
            let part = Rect { y0, x0, y1: y0 + 1 + c % (h - y0), x1: x0 + 1 + d % (w - x0) };
            let rgb = levels(height * width * 3);
            let all = resize_rgb(&rgb, height, width, [h, w], whole([h, w]));
            let cut: Vec<u8> =
                (part.y0..part.y1).flat_map(|y| all[(y * w + part.x0) * 3..(y * w + part.x1) * 3].to_vec()).collect();
            prop_assert_eq!(resize_rgb(&rgb, height, width, [h, w], part), cut);
        }
    }
}

//! Bicubic resampling (Keys' kernel, a = -0.5), twice: photographs as PIL rounds them, maps as MATLAB does.

use rayon::prelude::*;

use crate::rect::Rect;

/// How a map is enlarged to the size of the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Upsampling {
    /// Smooth: cubic convolution through the grid's values, as MATLAB's `imresize`.
    #[default]
    Bicubic,
    /// Blocks: each pixel takes the value of the grid cell that it lies in.
    Nearest,
    /// The grid itself, unchanged.
    None,
}

/// Keys (1981), "Cubic convolution interpolation for digital image processing", with a = -0.5.
fn cubic(x: f64) -> f64 {
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

/// Pixels on each side of its centre that [`cubic`] reaches.
const CUBIC_SUPPORT: f64 = 2.0;

/// Fraction bits of the 8-bit resampler's weights. 255 times a sum of magnitudes below 1.5 then stays inside an i32.
const FRACTION_BITS: u32 = 22;

/// What one output pixel reads along one axis: consecutive inputs from `first`, and a fixed-point weight for each.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

/// Taps of the outputs `start..end` when `input` pixels become `output`.
///
/// The kernel widens when shrinking (antialiasing); at a border the part that hangs over is cut off and the rest
/// weighs more. Both, and the order of the roundings, are those of Pillow's `Resample.c`.
fn photograph_taps(input: usize, output: usize, start: usize, end: usize) -> Vec<Taps> {
    let scale = input as f64 / output as f64;
    let widening = scale.max(1.0);
    let support = CUBIC_SUPPORT * widening;
    let taps = |o: usize| {
        let centre = (o as f64 + 0.5) * scale;
        let first = (centre - support + 0.5).max(0.0) as usize;
        let last = ((centre + support + 0.5) as usize).min(input);
        // As Resample.c multiplies by the reciprocal instead of dividing.
        let narrowing = 1.0 / widening;
        let raw: Vec<f64> = (first..last)
            .map(|i| cubic((i as f64 - centre + 0.5) * narrowing))
            .collect();
        let sum: f64 = raw.iter().sum();
        let fixed = |w: &f64| {
            let scaled = w / sum * f64::from(1 << FRACTION_BITS);
            (scaled + 0.5f64.copysign(scaled)) as i32
        };
        Taps {
            first,
            weights: raw.iter().map(fixed).collect(),
        }
    };
    (start..end).map(taps).collect()
}

/// Rounds a fixed-point sum that began at one half, and clips it to 0..=255.
fn to_level(sum: i32) -> u8 {
    (sum >> FRACTION_BITS).clamp(0, 255) as u8
}

/// Antialiased bicubic resampling of interleaved 8-bit RGB, level for level as Pillow's `Image.resize(BICUBIC)`:
/// horizontally first, rounded to 8 bits, then vertically; an axis that keeps its size is left alone.
///
/// `rgb` is `[height][width][3]`. Of the resized picture (`size`: height and width), the pixels of `part` are computed
/// and returned, `[part.height()][part.width()][3]`: cropping this way costs no memory for what is cut off.
///
/// # Panics
/// When `rgb` has another length, a size is zero, or `part` is empty or reaches outside `size`.
pub fn resize_rgb(rgb: &[u8], height: usize, width: usize, size: [usize; 2], part: Rect) -> Vec<u8> {
    assert_eq!(
        rgb.len(),
        height * width * 3,
        "an RGB picture has height x width x 3 bytes"
    );
    assert!(height > 0 && width > 0, "a picture has pixels");
    assert!(
        !part.is_empty() && part.y1 <= size[0] && part.x1 <= size[1],
        "{part:?} must lie in {size:?}"
    );
    let rows = photograph_taps(height, size[0], part.y0, part.y1);
    let columns = photograph_taps(width, size[1], part.x0, part.x1);
    // Only the source rows that the vertical pass will read.
    let top = rows[0].first;
    let bottom = rows
        .iter()
        .map(|taps| taps.first + taps.weights.len())
        .max()
        .unwrap_or(top);
    let source = &rgb[top * width * 3..bottom * width * 3];

    let narrow = if width == size[1] {
        source
            .chunks(width * 3)
            .flat_map(|row| &row[part.x0 * 3..part.x1 * 3])
            .copied()
            .collect()
    } else {
        resize_rows(source, width, &columns)
    };
    if height == size[0] {
        narrow
    } else {
        resize_columns(&narrow, part.width() * 3, &rows, top)
    }
}

/// Resamples each row of `width` RGB pixels.
fn resize_rows(source: &[u8], width: usize, columns: &[Taps]) -> Vec<u8> {
    let mut resized = vec![0; source.len() / (width * 3) * columns.len() * 3];
    resized
        .par_chunks_mut(columns.len() * 3)
        .zip(source.par_chunks(width * 3))
        .for_each(|(out, row)| {
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

/// Resamples along columns; `source` holds rows of `row_len` bytes, the first of which is the picture's row `top`.
fn resize_columns(source: &[u8], row_len: usize, rows: &[Taps], top: usize) -> Vec<u8> {
    let mut resized = vec![0; rows.len() * row_len];
    resized.par_chunks_mut(row_len).zip(rows).for_each(|(out, taps)| {
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

/// Enlarges a map from `[ny][nx]` to `[height][width]`; with [`Upsampling::None`] returns it as it is.
///
/// Pixel centres lie at half-integers in both, as everywhere in MATLAB's `imresize`: output pixel `o` sits at
/// `(o + 0.5) * n / size - 0.5` in the grid. Bicubic mirrors the map at its borders, edge values included (`2 1 | 1 2`),
/// interpolates in f64 and may overshoot the values of the grid. At equal size both methods return the map's values.
/// Made for enlarging: a smaller target is sampled without antialiasing.
///
/// # Panics
/// When `map` has another length or `ny` or `nx` is zero.
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
    let taps: fn(usize, usize, usize) -> MapTaps = match upsampling {
        Upsampling::Bicubic => bicubic_taps,
        Upsampling::Nearest => nearest_taps,
        Upsampling::None => return map.to_vec(),
    };
    let columns: Vec<MapTaps> = (0..width).map(|o| taps(o, nx, width)).collect();
    let wide: Vec<f64> = map
        .chunks(nx)
        .flat_map(|row| columns.iter().map(|taps| weigh(taps, |x| f64::from(row[x]))))
        .collect();
    (0..height)
        .map(|o| taps(o, ny, height))
        .flat_map(|taps| {
            (0..width)
                .map(|x| weigh(&taps, |y| wide[y * width + x]) as f32)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The grid cells that one output pixel reads along one axis, with their weights.
type MapTaps = [(usize, f64); 4];

fn weigh(taps: &MapTaps, value: impl Fn(usize) -> f64) -> f64 {
    // Cells of weight zero are left out, so that a non-finite neighbour cannot spoil a value that does not use it.
    taps.iter()
        .filter(|(_, weight)| *weight != 0.0)
        .map(|&(cell, weight)| weight * value(cell))
        .sum()
}

fn bicubic_taps(output: usize, cells: usize, size: usize) -> MapTaps {
    let centre = (output as f64 + 0.5) * cells as f64 / size as f64 - 0.5;
    let first = centre.floor() as i64 - 1;
    std::array::from_fn(|k| {
        let cell = first + k as i64;
        (mirrored(cell, cells), cubic(cell as f64 - centre))
    })
}

fn nearest_taps(output: usize, cells: usize, size: usize) -> MapTaps {
    // floor((output + 0.5) * cells / size) in whole numbers.
    let cell = (2 * output + 1) * cells / (2 * size);
    [(cell, 1.0), (cell, 0.0), (cell, 0.0), (cell, 0.0)]
}

/// Folds an index that lies outside `0..cells` back in: the line of cells continues as its own mirror image.
fn mirrored(cell: i64, cells: usize) -> usize {
    let cells = cells as i64;
    let folded = cell.rem_euclid(2 * cells);
    (if folded < cells {
        folded
    } else {
        2 * cells - 1 - folded
    }) as usize
}

//! The pixels of coefficients, in the plainest way: floating-point numbers, and one step after the
//! other. The rules that the standard leaves open are those of libjpeg.

use std::f64::consts::{FRAC_1_SQRT_2, PI};
use std::sync::LazyLock;

use super::{Block, Colours, Component, Factors, Jpeg, steps};

/// The coefficient at each position of the zigzag order, as row * 8 + column.
#[rustfmt::skip]
const ZIGZAG: [usize; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Levels of one component in rows.
struct Plane {
    width: usize,
    height: usize,
    levels: Vec<f64>,
}

impl Jpeg {
    /// The RGB levels in rows, or `None` if the factors of a component do not divide the largest
    /// ones: libjpeg refuses such files.
    pub fn pixels(&self) -> Option<Vec<u8>> {
        let mut planes = Vec::new();
        for (at, component) in self.components.iter().enumerate() {
            let (across, down) = component.factors;
            if !self.largest.0.is_multiple_of(across) || !self.largest.1.is_multiple_of(down) {
                return None;
            }
            planes.push(
                plane(component, &steps(at)).enlarged((self.largest.0 / across, self.largest.1 / down)),
            );
        }
        let mut rgb = Vec::new();
        for y in 0..self.height {
            for x in 0..self.width {
                let levels: Vec<f64> = planes.iter().map(|plane| plane.at(x, y)).collect();
                rgb.extend(colour(self.colours, &levels).map(|level| level.round().clamp(0.0, 255.0) as u8));
            }
        }
        Some(rgb)
    }
}

fn colour(colours: Colours, levels: &[f64]) -> [f64; 3] {
    match (colours, levels) {
        (Colours::Grey, &[grey]) => [grey; 3],
        (Colours::YCbCr, &[y, cb, cr]) => rgb(y, cb, cr),
        (Colours::Rgb, &[r, g, b]) => [r, g, b],
        (Colours::Cmyk, &[c, m, y, k]) => [c, m, y].map(|ink| ink * k / 255.0),
        (Colours::Ycck, &[y, cb, cr, k]) => {
            rgb(y, cb, cr).map(|ink| (255.0 - ink.clamp(0.0, 255.0)) * k / 255.0)
        }
        _ => unreachable!("another number of components"),
    }
}

/// The conversion of the JFIF specification.
fn rgb(y: f64, cb: f64, cr: f64) -> [f64; 3] {
    let (cb, cr) = (cb - 128.0, cr - 128.0);
    [y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb]
}

fn plane(component: &Component, steps: &[i32; 64]) -> Plane {
    let &Component { width, height, blocks_per_row, .. } = component;
    let mut levels = vec![0.0; width * height];
    for (at, block) in component.blocks.iter().enumerate() {
        let (left, top) = (at % blocks_per_row * 8, at / blocks_per_row * 8);
        if left >= width || top >= height {
            continue;
        }
        let samples = samples(block, steps);
        for y in top..height.min(top + 8) {
            for x in left..width.min(left + 8) {
                levels[y * width + x] = samples[y - top][x - left];
            }
        }
    }
    Plane { width, height, levels }
}

/// The inverse cosine transform of a block.
fn samples(block: &Block, steps: &[i32; 64]) -> [[f64; 8]; 8] {
    /// For each position, the shares of the eight frequencies.
    static WAVES: LazyLock<[[f64; 8]; 8]> = LazyLock::new(|| {
        let wave = |x: usize, u: usize| {
            let scale = if u == 0 { FRAC_1_SQRT_2 / 2.0 } else { 0.5 };
            scale * ((2 * x + 1) as f64 * u as f64 * PI / 16.0).cos()
        };
        std::array::from_fn(|x| std::array::from_fn(|u| wave(x, u)))
    });
    let mut coefficients = [[0.0; 8]; 8];
    for k in 0..64 {
        coefficients[ZIGZAG[k] / 8][ZIGZAG[k] % 8] = f64::from(block[k] * steps[k]);
    }
    let sum = |x: usize, values: [f64; 8]| -> f64 { (0..8).map(|u| WAVES[x][u] * values[u]).sum() };
    let rows = coefficients.map(|row| std::array::from_fn::<f64, 8, _>(|x| sum(x, row)));
    std::array::from_fn(|y| {
        std::array::from_fn(|x| {
            let level = sum(y, rows.map(|row| row[x])) + 128.0;
            level.round().clamp(0.0, 255.0)
        })
    })
}

impl Plane {
    fn at(&self, x: usize, y: usize) -> f64 {
        self.levels[y * self.width + x]
    }

    /// Enlarges by repetition or, if a factor is 2, by interpolation where libjpeg does so.
    fn enlarged(&self, (across, down): Factors) -> Plane {
        let is_smooth = match (across, down) {
            (2, 1 | 2) => self.width > 2,
            (1, 2) => true,
            _ => false,
        };
        // The samples that a position lies between, and the share of the farther one. It is a
        // quarter, as the centre of a half lies a quarter of a sample away from the centre of the
        // whole.
        let between = |position: usize, factor: usize, size: usize| {
            let near = position / factor;
            let far =
                if position.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(size - 1) };
            if is_smooth && factor == 2 { (near, far, 0.25) } else { (near, near, 0.0) }
        };
        let (width, height) = (self.width * across, self.height * down);
        let mut levels = Vec::new();
        for y in 0..height {
            let (near_y, far_y, share_y) = between(y, down, self.height);
            for x in 0..width {
                let (near_x, far_x, share_x) = between(x, across, self.width);
                let row = |y| self.at(near_x, y) * (1.0 - share_x) + self.at(far_x, y) * share_x;
                levels.push(row(near_y) * (1.0 - share_y) + row(far_y) * share_y);
            }
        }
        Plane { width, height, levels }
    }
}

//! Layers over the pixels of one image: neighbouring pixels share a kernel call.

use crate::kernels::{COLUMNS, Isa, PackedWeights, Run, Sites, Sum, Tile, convolve_tile, zeros};
use crate::rect::{Rect, Window};

/// Activations of one image, seen as pixels in rows. `pixel` values lie between neighbours, of which a window reads
/// `channels`: more than one pixel's where a site is a whole row of the window (see [`Convolution`]).
#[derive(Clone, Copy)]
pub(crate) struct Plane<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) pixel: usize,
    pub(crate) channels: usize,
}

impl<'a> Plane<'a> {
    pub(crate) fn at(&self, y: usize, x: usize) -> &'a [f32] {
        let start = (y * self.width + x) * self.pixel;
        &self.values[start..start + self.channels]
    }
}

/// Inputs of the classifier that are summed in one chain.
const CLASSIFIER_PART: usize = 64;

/// A convolution ready to run: packed weights and the window, `rows` x `columns` sites.
///
/// A layer reads `size` x `size` sites of as many channels as its input has. The first layer's input has three channels, too
/// few for a site to be worth its overhead: there a site is a whole row of the window, 7 x 3 values that lie side by side
/// in an image with its padding stored.
pub(crate) struct Convolution {
    pub(crate) weights: PackedWeights,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
    /// Whether the input has hardly a zero, so that looking for them is not worth it.
    pub(crate) dense: bool,
}

impl Convolution {
    /// An ordinary layer: `[outputs][inputs][size][size]` weights.
    pub(crate) fn new(weights: &[f32], bias: &[f32], inputs: usize, window: Window) -> Convolution {
        let Window { size, stride, padding } = window;
        let weights = PackedWeights::new(weights, bias, inputs, size);
        Convolution { weights, rows: size, columns: size, stride, padding, dense: false }
    }

    /// The first layer, which reads an image whose padding is stored with it: one site a row of the window.
    pub(crate) fn on_padded_image(
        weights: &[f32],
        bias: &[f32],
        inputs: usize,
        window: Window,
    ) -> Convolution {
        let weights = PackedWeights::new(weights, bias, inputs, window.size);
        Convolution { weights, rows: window.size, columns: 1, stride: window.stride, padding: 0, dense: true }
    }

    /// The classifier, `[outputs][inputs]`: its sums are long and their results large, so they are summed in parts
    /// of [`CLASSIFIER_PART`]. One chain over 1024 inputs is off by up to 2.5e-5, which moves a probability by 6e-6.
    pub(crate) fn classifier(weights: &[f32], bias: &[f32], inputs: usize) -> Convolution {
        let parts = inputs / CLASSIFIER_PART;
        let weights = PackedWeights::new(weights, bias, inputs, 1);
        Convolution { weights, rows: 1, columns: parts, stride: 1, padding: 0, dense: false }
    }

    /// Runs the classifier on up to eight images' pooled activations; the outputs go to `out[starts[..]..]`. Says how many
    /// multiply-adds it took.
    pub(crate) fn classify(&self, isa: Isa, pooled: &[&[f32]], starts: &[usize], out: &mut [f32]) -> u64 {
        let mut sites = Sites::default();
        sites.clear(pooled.len());
        for part in 0..self.columns {
            let columns: Vec<&[f32]> = pooled.iter().map(|p| &p[part * CLASSIFIER_PART..][..CLASSIFIER_PART]).collect();
            sites.push(isa, part * CLASSIFIER_PART, &columns);
        }
        let all: [usize; COLUMNS] = std::array::from_fn(|i| i);
        for panel in 0..self.weights.panels() {
            for part in 0..self.columns {
                let tile = Tile {
                    runs: &[Run { sites: part..part + 1, shift: 0 }],
                    columns: &all[..pooled.len()],
                    out: starts,
                };
                let sum = if part == 0 { Sum::Start } else { Sum::Continue };
                convolve_tile(isa, &sites, &self.weights, panel..panel + 1, &tile, sum, out);
            }
        }
        let all = Run { sites: 0..self.columns, shift: 0 };
        (sites.products(&[all]) * pooled.len() * self.weights.outputs()) as u64
    }

    /// Neighbouring output pixels that are computed together. Fewer share more zeros, more share more weight loads;
    /// of 2 to 8, four with 96 outputs measured fastest on photographs, and eight where there are no zeros to skip.
    fn tile_width(&self) -> usize {
        if self.dense { COLUMNS } else { 4 }
    }

    /// Computes the outputs in `rect`; output pixel (y, x) goes to `out[place(y, x)..]`. Says how many multiply-adds it
    /// took, those with a zero that is not zero in a neighbour included.
    pub(crate) fn run(
        &self,
        isa: Isa,
        input: Plane<'_>,
        rect: Rect,
        out: &mut [f32],
        place: impl Fn(usize, usize) -> usize,
    ) -> u64 {
        let mut products = 0;
        let width = self.tile_width();
        let starts: Vec<usize> = (rect.x0..rect.x1).step_by(width).collect();
        // Sites: for each input row that is read, each tile, each place of the window's row: the tile's columns there.
        let first_row = (rect.y0 * self.stride).saturating_sub(self.padding);
        let end_row =
            ((rect.y1 - 1) * self.stride + self.rows).saturating_sub(self.padding).min(input.height);
        let mut sites = Sites::default();
        sites.clear(width);
        for y in first_row..end_row {
            for &start in &starts {
                let count = width.min(rect.x1 - start);
                for place in 0..self.columns {
                    let mut columns = [zeros(input.channels); COLUMNS];
                    for (i, column) in columns[..count].iter_mut().enumerate() {
                        let x = ((start + i) * self.stride + place).wrapping_sub(self.padding);
                        if x < input.width {
                            *column = input.at(y, x);
                        }
                    }
                    if self.dense {
                        sites.push_dense(place * input.channels, &columns[..width])
                    } else {
                        sites.push(isa, place * input.channels, &columns[..width])
                    }
                }
            }
        }
        let all: [usize; COLUMNS] = std::array::from_fn(|i| i);
        let row_products = (self.columns * input.channels) as isize;
        let mut runs = Vec::with_capacity(self.rows);
        for panels in self.weights.cached_panels() {
            for y in rect.y0..rect.y1 {
                for (t, &start) in starts.iter().enumerate() {
                    runs.clear();
                    for row in 0..self.rows {
                        let in_y = (y * self.stride + row).wrapping_sub(self.padding);
                        if in_y < input.height {
                            let site = ((in_y - first_row) * starts.len() + t) * self.columns;
                            let shift = row as isize * row_products;
                            runs.push(Run { sites: site..site + self.columns, shift });
                        }
                    }
                    let count = width.min(rect.x1 - start);
                    if panels.start == 0 {
                        products += sites.products(&runs) * count;
                    }
                    let places: [usize; COLUMNS] =
                        std::array::from_fn(|i| if i < count { place(y, start + i) } else { 0 });
                    let tile = Tile { runs: &runs, columns: &all[..count], out: &places[..count] };
                    convolve_tile(isa, &sites, &self.weights, panels.clone(), &tile, Sum::Relu, out);
                }
            }
        }
        (products * self.weights.outputs()) as u64
    }
}

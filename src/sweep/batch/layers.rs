//! Runs each kind of layer for a batch: which pixels have to be computed, and from what.

use super::MaskBatch;
use super::blob::BlobReader;
use super::input::{SparseInput, window_rows};
use super::workspace::{Output, Workspace};
use super::writer::{DenseWriter, SparseWriter, Target, Writer, band_pixels};
use crate::forward::classifier::classify;
use crate::forward::image_windows;
use crate::kernels::{
    AlignedBuf, Convolution, Isa, PackedWeights, SparseActivations, Sum, WindowRow, convolve_image, lrn,
    maximum, positions,
};
use crate::network::geometry::{Rect, Window};
use crate::network::{BlobId, Op};
use crate::sweep::plan::Step;

/// Pixels of a pool that are computed before the convolution reads them. A pixel has up to 20 kB of
/// activations, so these stay in a second-level cache.
const POOLED_PIXELS: usize = 16;

/// For each pixel of a plane, a bit for each position for which it was computed.
type Computed = Vec<u8>;

impl MaskBatch<'_> {
    /// Runs one step. Returns for how many pixels and positions its layer was computed, and the
    /// multiply-adds.
    pub(super) fn run_step(&self, step: &Step, workspace: &mut Workspace) -> (u64, u64) {
        let Workspace { images, blobs, input, pooled, band, .. } = workspace;
        let (reader, target, output) = blobs.split(self, step);
        let count = |computed: &Computed| computed.iter().map(|bits| u64::from(bits.count_ones())).sum();
        match output {
            Output::Dense(values) => {
                let mut writer = DenseWriter::new(target, values);
                let computed = self.run_dense(step, images, &reader, input, &mut writer);
                (count(&computed), writer.target.macs)
            }
            Output::Sparse(blob) => {
                let mut writer = SparseWriter::new(target, blob, band);
                let computed = self.run_sparse(step, &reader, input, pooled, &mut writer);
                let result = (count(&computed), writer.target.macs);
                writer.finish(computed);
                result
            }
        }
    }

    fn run_dense(
        &self,
        step: &Step,
        images: &[AlignedBuf],
        reader: &BlobReader,
        input: &mut SparseInput,
        writer: &mut DenseWriter,
    ) -> Computed {
        let isa = self.net.isa;
        let weights = || self.net.weights(step.layer.0);
        let layer = &self.net.network.layers[step.layer.0];
        let window = self.net.network.window(layer);
        match layer.op {
            Op::Convolution(_) if step.input == BlobId::IMAGE => {
                self.convolve_images(window, weights(), images, writer)
            }
            Op::Convolution(_) => self.convolve(window, weights(), reader, input, writer),
            Op::MaxPool(_) => each_pixel(window, reader, writer, |y, x, p, out| {
                let mut taps: [&[f32]; 9] = [&[]; 9];
                let mut count = 0;
                window.taps(y, x, reader.shape.side, |y, x| {
                    taps[count] = reader.pixel(y, x, p);
                    count += 1;
                });
                maximum(isa, &taps[..count], out);
            }),
            Op::Lrn => {
                each_pixel(window, reader, writer, |y, x, p, out| lrn(isa, reader.pixel(y, x, p), out))
            }
            Op::AveragePool => {
                let mut means = Vec::new();
                if reader.affected(window, 0, 0) != 0 {
                    input.fill(isa, reader, &vec![true; reader.shape.side.pow(2)]);
                    input.activations.mean(isa, reader.shape.channels, &mut means);
                }
                each_pixel(window, reader, writer, |_, _, p, out| {
                    out.iter_mut().zip(&means).for_each(|(out, mean)| *out = mean[p]);
                })
            }
            Op::Classifier => {
                let bits = reader.affected(window, 0, 0);
                if bits != 0 {
                    let pooled: Vec<&[f32]> = positions(bits).map(|p| reader.pixel(0, 0, p)).collect();
                    let (logits, cost) = classify(isa, weights(), &pooled, false);
                    writer.target.macs += cost.executed;
                    for (p, logits) in positions(bits).zip(logits) {
                        writer.write(0, 0, p, |out| out.copy_from_slice(&logits));
                    }
                }
                vec![bits]
            }
        }
    }

    fn run_sparse(
        &self,
        step: &Step,
        reader: &BlobReader,
        input: &mut SparseInput,
        pooled: &mut SparseActivations,
        writer: &mut SparseWriter,
    ) -> Computed {
        let layers = &self.net.network.layers;
        let pool = step.pool.map(|pool| layers[pool.0].op);
        match (pool, layers[step.layer.0].op) {
            (Some(Op::MaxPool(window)), _) => {
                let weights = self.net.weights(step.layer.0);
                self.pool_and_convolve(step, window, weights, reader, input, pooled, writer)
            }
            (_, Op::Convolution(window)) => {
                self.convolve(window, self.net.weights(step.layer.0), reader, input, writer)
            }
            (_, Op::MaxPool(window)) => self.pool_sparse(window, reader, input, writer),
            (_, op) => unreachable!("the plan stores no output of {op:?} sparse"),
        }
    }

    /// The first layer: each position's image on its own, neighbouring pixels side by side, because
    /// images have no zeros that positions could share.
    fn convolve_images(
        &self,
        window: Window,
        weights: &PackedWeights,
        images: &[AlignedBuf],
        writer: &mut DenseWriter,
    ) -> Computed {
        let side = writer.target.side;
        let mut computed = vec![0; side * side];
        for (p, (mask, image)) in self.masks.iter().zip(images).enumerate() {
            if (self.stop)() {
                break;
            }
            let rect = if self.exhaustive { Rect::plane(side) } else { mask.bounds.through(window, side) };
            if rect.is_empty() {
                continue;
            }
            for y in rect.y0..rect.y1 {
                let windows = image_windows(window, y, rect.x0..rect.x1);
                writer.write_row(y, rect.x0..rect.x1, p, |out, to| {
                    convolve_image(self.net.isa, image, windows, weights, out, to);
                });
            }
            writer.target.macs += (rect.area() * weights.outputs() * weights.k()) as u64;
            rect.pixels().for_each(|(y, x)| computed[y * side + x] |= 1 << p);
        }
        computed
    }

    /// Any other convolution: the positions side by side, a band of pixels at a time.
    fn convolve(
        &self,
        window: Window,
        weights: &PackedWeights,
        reader: &BlobReader,
        input: &mut SparseInput,
        writer: &mut impl Writer,
    ) -> Computed {
        let (computed, wanted) = to_compute(window, reader, writer.target());
        input.reuse_or_fill(self.net.isa, reader, &wanted);
        let side = writer.target().side;
        let pixels: Vec<_> = writer.target().rect.pixels().collect();
        for band in pixels.chunks(band_pixels(weights.outputs())) {
            if (self.stop)() {
                break;
            }
            let bits = |&(y, x): &(usize, usize)| computed[y * side + x];
            let rows = |_, (y, x), rows: &mut _| window_rows(window, y, x, reader.shape, rows);
            let input = &input.activations;
            convolve_band(self.net.isa, window.size, weights, input, band, bits, rows, writer);
        }
        computed
    }

    /// An inception block's pool and the 1x1 convolution that reads it, a band of pixels at a time: the
    /// pooled values are read again from a near cache and never written to memory, which would be
    /// slower than the arithmetic here. For the same reason the pool's input is prepared for the
    /// block's other convolutions a row ahead of the pool.
    #[allow(clippy::too_many_arguments)]
    fn pool_and_convolve(
        &self,
        step: &Step,
        window: Window,
        weights: &PackedWeights,
        reader: &BlobReader,
        input: &mut SparseInput,
        pooled: &mut SparseActivations,
        writer: &mut SparseWriter,
    ) -> Computed {
        let isa = self.net.isa;
        let side = writer.target.side;
        let (mut computed, wanted) = to_compute(window, reader, &writer.target);
        let pool = step.pool.map(|pool| self.base.plane(self.net.network.layers[pool.0].output));
        let unoccluded = pool.filter(|_| !self.exhaustive);
        let mut rows = Vec::with_capacity(window.size);
        let pixels: Vec<_> = writer.target.rect.pixels().collect();
        input.start(reader.blob, self.masks.len());
        for band in pixels.chunks(POOLED_PIXELS) {
            if (self.stop)() {
                break;
            }
            pooled.clear(self.masks.len());
            for (i, &(y, x)) in band.iter().enumerate() {
                input.append(isa, reader, (y + 2).min(side), &wanted);
                let bits = &mut computed[y * side + x];
                if *bits == 0 {
                    pooled.push_empty();
                    continue;
                }
                window_rows(window, y, x, reader.shape, &mut rows);
                input.push_maximum(isa, &rows, reader.shape.channels, pooled);
                if let Some(unoccluded) = unoccluded {
                    *bits &= pooled.differing(isa, i, unoccluded.at(y, x));
                }
            }
            let bits = |&(y, x): &(usize, usize)| computed[y * side + x];
            let rows = |i, _, rows: &mut Vec<_>| {
                rows.clear();
                rows.push(WindowRow { row: 0, pixels: i..i + 1, k_shift: 0 });
            };
            convolve_band(isa, 1, weights, pooled, band, bits, rows, writer);
        }
        input.append(isa, reader, side, &wanted);
        computed
    }

    /// A pool between two inception blocks: it reads a sparse blob and writes one.
    fn pool_sparse(
        &self,
        window: Window,
        reader: &BlobReader,
        input: &mut SparseInput,
        writer: &mut SparseWriter,
    ) -> Computed {
        let (computed, wanted) = to_compute(window, reader, &writer.target);
        input.fill(self.net.isa, reader, &wanted);
        let mut rows = Vec::with_capacity(window.size);
        for (y, x) in writer.target.rect.pixels() {
            let bits = computed[y * writer.target.side + x];
            if bits != 0 {
                window_rows(window, y, x, reader.shape, &mut rows);
            }
            writer.push_maximum(y, x, bits, input, &rows);
        }
        computed
    }
}

/// Computes a band of pixels, with ReLU, for the positions in their `bits`. `rows` lists the rows of
/// the input that the window of the band's `i`-th pixel reads.
#[allow(clippy::too_many_arguments)]
fn convolve_band(
    isa: Isa,
    window: usize,
    weights: &PackedWeights,
    input: &SparseActivations,
    band: &[(usize, usize)],
    bits: impl Fn(&(usize, usize)) -> u8,
    mut rows: impl FnMut(usize, (usize, usize), &mut Vec<WindowRow>),
    writer: &mut impl Writer,
) {
    let step = writer.memory().1;
    let mut convolution = Convolution::new(isa, weights, input, window, step);
    let mut window = Vec::with_capacity(window);
    for (i, pixel) in band.iter().enumerate().filter(|(_, pixel)| bits(pixel) != 0) {
        rows(i, *pixel, &mut window);
        convolution.push(input, &window, bits(pixel), writer.start(i, pixel.0, pixel.1));
    }
    convolution.run(0..weights.panels(), Sum::Relu, writer.memory().0);
    writer.add_macs(convolution.macs());
    for (i, pixel) in band.iter().enumerate() {
        writer.keep(i, pixel.0, pixel.1, bits(pixel));
    }
}

/// For each pixel of the output plane, the positions for which it has to be computed, and for each
/// pixel of the input plane, whether a window reads it for that.
fn to_compute(window: Window, reader: &BlobReader, target: &Target) -> (Computed, Vec<bool>) {
    let side = reader.shape.side;
    let mut computed = vec![0; target.side * target.side];
    let mut wanted = vec![false; side * side];
    for (y, x) in target.rect.pixels() {
        let bits = reader.affected(window, y, x);
        computed[y * target.side + x] = bits;
        if bits != 0 {
            window.taps(y, x, side, |y, x| wanted[y * side + x] = true);
        }
    }
    (computed, wanted)
}

/// Calls `f(y, x, position, outputs)` for every pixel and position that has to be computed.
fn each_pixel(
    window: Window,
    reader: &BlobReader,
    writer: &mut DenseWriter,
    mut f: impl FnMut(usize, usize, usize, &mut [f32]),
) -> Computed {
    let side = writer.target.side;
    let mut computed = vec![0; side * side];
    for (y, x) in writer.target.rect.pixels() {
        let bits = reader.affected(window, y, x);
        computed[y * side + x] = bits;
        positions(bits).for_each(|p| writer.write(y, x, p, |out| f(y, x, p, out)));
    }
    computed
}

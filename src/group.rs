//! Up to eight masked versions of one image through the network side by side, computing only what the masks changed.
//!
//! The zeros of neighbouring mask positions lie at nearly the same places, so that one list of non-zero channels
//! serves the group and each weight that is loaded is used up to eight times. What no mask has changed is read from the
//! unoccluded image's activations. Two measures bound the work:
//!
//! * For each blob, the *rectangle* that the group's masks can reach ([`Rect::through`], layer by layer): it
//!   sizes the memory and the loops.
//! * For each pixel in it, one *bit a position* that says whether its values really differ from the unoccluded ones. A
//!   pixel of the next layer is computed for a position only if its window holds such a bit. Max pooling and ReLU often
//!   hide a change, and the affected area shrinks to what is left.

use crate::googlenet::{Activations, GoogLeNet, IMAGE_PADDING, PADDED_SIDE, image_plane};
use crate::kernels::{
    COLUMNS, Run, Sites, Sum, Tile, average, convolve_tile, lrn, maximum, pitch, zeros,
};
use crate::network::{Blob, BlobId, Layer, Network, Op};
use crate::plane::{Convolution, Plane};
use crate::profile::Cost;
use crate::rect::{Rect, Window};
use crate::schedule::{ONE, order, pool_before, share_slots};
use std::ops::Range;
use std::time::Instant;

/// Memory for one group at a time: allocated by the first groups, then reused.
pub(crate) struct Scratch {
    /// Copies of the padded image, one a position, masked while the group runs.
    images: Vec<Vec<f32>>,
    /// Buffers that blobs share when their lifetimes do not overlap.
    slots: Vec<Vec<f32>>,
    /// The layers in the order in which they run; without the pools that run with the convolution after them.
    order: Vec<usize>,
    /// For each blob, which slot is its own.
    slot_of: Vec<usize>,
    /// For each blob, what the masks can reach.
    rects: Vec<Rect>,
    /// For each blob and pixel of its plane, the positions whose values differ.
    changed: Vec<Vec<u8>>,
    reads: Reads,
    /// For each layer, what it has cost since the scratch memory was made.
    pub(crate) costs: Vec<Cost>,
}

/// The pixels that a convolution reads, without zeros.
#[derive(Default)]
struct Reads {
    sites: Sites,
    blob: Option<BlobId>,
}

/// A channel range of a concatenated blob, and for which positions each pixel of it was computed.
struct Branch {
    channel: usize,
    channels: usize,
    computed: Vec<u8>,
}

/// One group: what is masked and what to compare with.
pub(crate) struct Group<'a> {
    pub(crate) net: &'a GoogLeNet,
    /// The unoccluded image's activations.
    pub(crate) base: &'a Activations,
    /// Rectangles of the image to fill, one a position, at most [`COLUMNS`].
    pub(crate) masks: &'a [Rect],
    /// What to fill them with, in network space: blue, green, red, minus the mean.
    pub(crate) fill: [f32; 3],
    /// Recompute everything, whatever the masks can have changed.
    pub(crate) exhaustive: bool,
}

impl Scratch {
    pub(crate) fn new(network: &Network, base: &Activations) -> Scratch {
        let order = order(network);
        let slot_of = share_slots(network, &order);
        Scratch {
            images: vec![base.blobs[0].clone(); COLUMNS],
            slots: vec![Vec::new(); slot_of.iter().max().map_or(0, |m| m + 1)],
            slot_of,
            order,
            rects: vec![Rect::default(); network.blobs.len()],
            reads: Reads::default(),
            costs: vec![Cost::default(); network.layers.len()],
            changed: network.blobs.iter().map(|b| vec![0; b.side * b.side]).collect(),
        }
    }
}

impl Group<'_> {
    /// Runs all layers; the logits of each position, in order.
    pub(crate) fn run(&self, scratch: &mut Scratch) -> Vec<Vec<f32>> {
        debug_assert!(self.masks.len() <= COLUMNS);
        self.mask_images(scratch);
        self.reach(scratch);
        let mut branches: Vec<Branch> = Vec::new();
        let mut reads = std::mem::take(&mut scratch.reads);
        reads.blob = None;
        for i in 0..scratch.order.len() {
            let index = scratch.order[i];
            let layer = &self.net.network.layers[index];
            let blob = &self.net.network.blobs[layer.output];
            let slot = scratch.slot_of[layer.output];
            let mut values = std::mem::take(&mut scratch.slots[slot]);
            let mut changed = std::mem::take(&mut scratch.changed[layer.output]);
            let position = pitch(blob.channels);
            let mut output = Output {
                places: Places {
                    rect: scratch.rects[layer.output],
                    pixel: position * self.masks.len(),
                    position,
                    channel: layer.channel,
                },
                side: blob.side,
                base: (!self.exhaustive).then(|| self.base.plane(layer.output)),
                values: &mut values,
                changed: &mut changed,
                products: 0,
            };
            let start = Instant::now();
            let computed = self.run_layer(index, scratch, &mut reads, &mut output);
            let pixels: u64 = computed.iter().map(|bits| u64::from(bits.count_ones())).sum();
            scratch.costs[index] += Cost {
                affected: pixels * self.net.network.multiply_adds_per_pixel(layer) as u64,
                executed: output.products,
                seconds: start.elapsed().as_secs_f64(),
            };
            if layer.channels < blob.channels {
                branches.push(Branch { channel: layer.channel, channels: layer.channels, computed });
                if branches.iter().map(|b| b.channels).sum::<usize>() == blob.channels {
                    output.complete(&branches);
                    branches.clear();
                }
            }
            scratch.slots[slot] = values;
            scratch.changed[layer.output] = changed;
        }
        scratch.reads = reads;
        self.unmask_images(scratch);
        let logits = self.net.network.blobs.len() - 1;
        (0..self.masks.len()).map(|p| self.pixel(scratch, logits, 0, 0, p).to_vec()).collect()
    }

    fn mask_images(&self, scratch: &mut Scratch) {
        for (image, mask) in scratch.images.iter_mut().zip(self.masks) {
            for y in mask.y0..mask.y1 {
                for pixel in image[row_of(mask, y)].chunks_exact_mut(3) {
                    pixel.copy_from_slice(&self.fill);
                }
            }
        }
    }

    fn unmask_images(&self, scratch: &mut Scratch) {
        for (image, mask) in scratch.images.iter_mut().zip(self.masks) {
            for y in mask.y0..mask.y1 {
                image[row_of(mask, y)].copy_from_slice(&self.base.blobs[0][row_of(mask, y)]);
            }
        }
    }

    /// The rectangle of every blob that the masks can reach, and memory for it.
    fn reach(&self, scratch: &mut Scratch) {
        let network = &self.net.network;
        scratch.rects.fill(Rect::default());
        scratch.rects[0] = self.masks.iter().fold(Rect::default(), |all, mask| all.union(mask));
        for layer in &network.layers {
            let side = network.blobs[layer.output].side;
            let reached = match layer.op {
                _ if self.exhaustive => Rect::plane(side),
                Op::AveragePool | Op::Classifier => Rect::plane(side),
                Op::Lrn => scratch.rects[layer.input],
                Op::Convolution(window) | Op::MaxPool(window) => {
                    scratch.rects[layer.input].through(window, side)
                }
            };
            scratch.rects[layer.output] = scratch.rects[layer.output].union(&reached);
        }
        for &index in &scratch.order {
            let output = network.layers[index].output;
            let size =
                scratch.rects[output].area() * self.masks.len() * pitch(network.blobs[output].channels);
            let slot = &mut scratch.slots[scratch.slot_of[output]];
            slot.resize(slot.len().max(size), 0.0);
            scratch.changed[output].fill(0);
        }
    }

    /// Position `p`'s values of a pixel: its own where they differ, else the unoccluded image's.
    fn pixel<'s>(&'s self, scratch: &'s Scratch, blob: BlobId, y: usize, x: usize, p: usize) -> &'s [f32] {
        let shape = &self.net.network.blobs[blob];
        if scratch.changed[blob][y * shape.side + x] >> p & 1 == 0 {
            return self.base.plane(blob).at(y, x);
        }
        let rect = &scratch.rects[blob];
        let pixel = (y - rect.y0) * rect.width() + (x - rect.x0);
        let start = (pixel * self.masks.len() + p) * pitch(shape.channels);
        &scratch.slots[scratch.slot_of[blob]][start..start + shape.channels]
    }

    /// Runs one layer; for each pixel of the output plane, the positions that it was computed for.
    fn run_layer(&self, index: usize, scratch: &Scratch, reads: &mut Reads, output: &mut Output) -> Vec<u8> {
        let layer = &self.net.network.layers[index];
        let isa = self.net.isa;
        let input = &self.net.network.blobs[layer.input];
        let convolution =
            || self.net.convolutions[index].as_ref().expect("a layer with weights has a convolution");
        match layer.op {
            Op::Convolution(window) if layer.input == 0 => {
                self.convolve_images(layer, window, convolution(), scratch, output)
            }
            Op::Convolution(window) => match pool_before(&self.net.network, layer) {
                Some(pool) => self.pool_and_convolve(pool, layer, convolution(), scratch, reads, output),
                None => self.convolve(layer, window, convolution(), scratch, reads, output),
            },
            Op::MaxPool(window) => self.each_pixel(layer, window, scratch, output, |y, x, p, out| {
                self.pool_pixel(layer, window, y, x, p, scratch, out);
            }),
            Op::Lrn => self.each_pixel(layer, ONE, scratch, output, |y, x, p, out| {
                lrn(isa, self.pixel(scratch, layer.input, y, x, p), out);
            }),
            Op::AveragePool => {
                let plane = Window { size: input.side, stride: 1, padding: 0 };
                self.each_pixel(layer, plane, scratch, output, |_, _, p, out| {
                    let pixels = Rect::plane(input.side).pixels();
                    let pixels: Vec<&[f32]> =
                        pixels.map(|(y, x)| self.pixel(scratch, layer.input, y, x, p)).collect();
                    average(isa, &pixels, out);
                })
            }
            Op::Classifier => {
                let bits = self.affected(layer, ONE, 0, 0, scratch);
                let pooled: Vec<&[f32]> =
                    positions(bits).map(|p| self.pixel(scratch, layer.input, 0, 0, p)).collect();
                let starts: Vec<usize> = positions(bits).map(|p| output.places.start(0, 0, p)).collect();
                if bits != 0 {
                    output.products += convolution().classify(isa, &pooled, &starts, output.values);
                }
                positions(bits).for_each(|p| output.compare(0, 0, p, 0..layer.channels));
                vec![bits]
            }
        }
    }

    /// The positions for which an output pixel has to be computed: those that differ somewhere in its window.
    fn affected(&self, layer: &Layer, window: Window, y: usize, x: usize, scratch: &Scratch) -> u8 {
        if self.exhaustive {
            return ((1u32 << self.masks.len()) - 1) as u8;
        }
        let side = self.net.network.blobs[layer.input].side;
        let changed = &scratch.changed[layer.input];
        let mut bits = 0;
        window.places(y, x, side, |y, x| bits |= changed[y * side + x]);
        bits
    }

    /// For each pixel of the output plane, the positions for which it has to be computed, and for each pixel of the
    /// input plane, whether a window reads it for that.
    fn to_compute(
        &self,
        layer: &Layer,
        window: Window,
        scratch: &Scratch,
        output: &Output,
    ) -> (Vec<u8>, Vec<bool>) {
        let side = self.net.network.blobs[layer.input].side;
        let mut computed = vec![0; output.side * output.side];
        let mut wanted = vec![false; side * side];
        for (y, x) in output.places.rect.pixels() {
            let bits = self.affected(layer, window, y, x, scratch);
            computed[y * output.side + x] = bits;
            if bits != 0 {
                window.places(y, x, side, |y, x| wanted[y * side + x] = true);
            }
        }
        (computed, wanted)
    }

    /// Calls `f(y, x, position, its channels)` for what has to be computed.
    fn each_pixel(
        &self,
        layer: &Layer,
        window: Window,
        scratch: &Scratch,
        output: &mut Output,
        mut f: impl FnMut(usize, usize, usize, &mut [f32]),
    ) -> Vec<u8> {
        let mut computed = vec![0; output.side * output.side];
        for (y, x) in output.places.rect.pixels() {
            let bits = self.affected(layer, window, y, x, scratch);
            computed[y * output.side + x] = bits;
            for p in positions(bits) {
                let start = output.places.start(y, x, p);
                f(y, x, p, &mut output.values[start..start + layer.channels]);
                output.compare(y, x, p, 0..layer.channels);
            }
        }
        computed
    }

    /// The first layer: each position's image by itself, neighbouring pixels side by side, for it has no zeros to share.
    fn convolve_images(
        &self,
        layer: &Layer,
        window: Window,
        convolution: &Convolution,
        scratch: &Scratch,
        output: &mut Output,
    ) -> Vec<u8> {
        let mut computed = vec![0; output.side * output.side];
        for (p, mask) in self.masks.iter().enumerate() {
            let rect =
                if self.exhaustive { Rect::plane(output.side) } else { mask.through(window, output.side) };
            if rect.is_empty() {
                continue;
            }
            let image = image_plane(&scratch.images[p]);
            let places = output.places;
            output.products +=
                convolution.run(self.net.isa, image, rect, output.values, |y, x| places.start(y, x, p));
            for (y, x) in rect.pixels() {
                computed[y * output.side + x] |= 1 << p;
                output.compare(y, x, p, 0..layer.channels);
            }
        }
        computed
    }

    /// Any other convolution: the positions side by side, a pixel at a time.
    fn convolve(
        &self,
        layer: &Layer,
        window: Window,
        convolution: &Convolution,
        scratch: &Scratch,
        reads: &mut Reads,
        output: &mut Output,
    ) -> Vec<u8> {
        let input = &self.net.network.blobs[layer.input];
        let (computed, wanted) = self.to_compute(layer, window, scratch, output);
        // An inception block's 1x1 convolutions read the same pixels, which its pool has left here.
        if reads.blob != Some(layer.input) {
            self.read_rows(layer.input, 0..input.side, scratch, reads, &wanted);
        }
        let sites = &reads.sites;
        let mut runs = Vec::with_capacity(window.size);
        for panels in convolution.weights.cached_panels() {
            let channels = convolution.weights.channels(panels.clone());
            let next = panels.end..panels.end + panels.len();
            let area = output.places.rect.area();
            for (i, (y, x)) in output.places.rect.pixels().enumerate() {
                convolution.weights.prefetch(next.clone(), i, area);
                let bits = computed[y * output.side + x];
                if bits == 0 {
                    continue;
                }
                runs_of(window, y, x, input, &mut runs);
                let (mut columns, mut starts, mut count) = ([0; COLUMNS], [0; COLUMNS], 0);
                for p in positions(bits) {
                    columns[count] = p;
                    starts[count] = output.places.start(y, x, p);
                    count += 1;
                }
                if panels.start == 0 {
                    output.products += (sites.products(&runs) * count * layer.channels) as u64;
                }
                let tile = Tile { runs: &runs, columns: &columns[..count], out: &starts[..count] };
                let weights = &convolution.weights;
                convolve_tile(self.net.isa, sites, weights, panels.clone(), &tile, Sum::Relu, output.values);
                positions(bits).for_each(|p| output.compare(y, x, p, channels.clone()));
            }
        }
        computed
    }
}

impl Group<'_> {
    /// Adds rows of a blob to `reads`; only the pixels that are `wanted`, by their index in the plane, can then be read.
    fn read_rows(
        &self,
        blob: BlobId,
        rows: Range<usize>,
        scratch: &Scratch,
        reads: &mut Reads,
        wanted: &[bool],
    ) {
        let shape = &self.net.network.blobs[blob];
        if rows.start == 0 {
            reads.blob = Some(blob);
            reads.sites.clear(shape.channels, self.masks.len());
        }
        for y in rows {
            for x in 0..shape.side {
                if !wanted[y * shape.side + x] {
                    reads.sites.skip();
                    continue;
                }
                let mut columns = [zeros(0); COLUMNS];
                for (p, column) in columns[..self.masks.len()].iter_mut().enumerate() {
                    *column = self.pixel(scratch, blob, y, x, p);
                }
                reads.sites.push(self.net.isa, x, &columns[..self.masks.len()]);
            }
        }
    }

    /// An inception block's pool and the 1x1 convolution that reads it, pixel by pixel: what is pooled is read again from
    /// the nearest cache and never written to memory, which is slower than the arithmetic here. For the same reason the
    /// pool's input is prepared for the block's other convolutions a row ahead of the pool.
    fn pool_and_convolve(
        &self,
        pool: usize,
        layer: &Layer,
        convolution: &Convolution,
        scratch: &Scratch,
        reads: &mut Reads,
        output: &mut Output,
    ) -> Vec<u8> {
        let pool = &self.net.network.layers[pool];
        let Op::MaxPool(window) = pool.op else { unreachable!("pool_before finds pools") };
        let side = output.side;
        let (mut computed, wanted) = self.to_compute(pool, window, scratch, output);
        let unoccluded = self.base.plane(pool.output);
        let input = &self.net.network.blobs[pool.input];
        let mut sites = Sites::default();
        let mut runs = Vec::with_capacity(window.size);
        let weights = &convolution.weights;
        for y in 0..side {
            let rows = if y == 0 { 0..2.min(side) } else { (y + 1).min(side)..(y + 2).min(side) };
            self.read_rows(pool.input, rows, scratch, reads, &wanted);
            for x in 0..side {
                let bits = &mut computed[y * side + x];
                if *bits == 0 {
                    continue;
                }
                sites.clear(pool.channels, self.masks.len());
                runs_of(window, y, x, input, &mut runs);
                sites.push_maximum(self.net.isa, &reads.sites, &runs);
                if output.base.is_some() {
                    *bits &= sites.differing(self.net.isa, 0, unoccluded.at(y, x));
                }
                let (mut columns, mut starts, mut count) = ([0; COLUMNS], [0; COLUMNS], 0);
                for p in positions(*bits) {
                    columns[count] = p;
                    starts[count] = output.places.start(y, x, p);
                    count += 1;
                }
                if count == 0 {
                    continue;
                }
                let runs = [Run { sites: 0..1, shift: 0 }];
                let tile = Tile { runs: &runs, columns: &columns[..count], out: &starts[..count] };
                let panels = 0..weights.panels();
                convolve_tile(self.net.isa, &sites, weights, panels, &tile, Sum::Relu, output.values);
                output.products += (sites.products(&runs) * count * layer.channels) as u64;
                positions(*bits).for_each(|p| output.compare(y, x, p, 0..layer.channels));
            }
        }
        computed
    }

    #[allow(clippy::too_many_arguments)]
    fn pool_pixel(
        &self,
        layer: &Layer,
        window: Window,
        y: usize,
        x: usize,
        p: usize,
        scratch: &Scratch,
        out: &mut [f32],
    ) {
        let mut pixels: [&[f32]; 9] = [&[]; 9];
        let mut count = 0;
        window.places(y, x, self.net.network.blobs[layer.input].side, |y, x| {
            pixels[count] = self.pixel(scratch, layer.input, y, x, p);
            count += 1;
        });
        maximum(self.net.isa, &pixels[..count], out);
    }
}

/// What a layer writes: its slot, where the values lie as `[pixel of the rectangle][position][channel]`.
struct Output<'o> {
    places: Places,
    side: usize,
    /// The unoccluded image's values, unless everything counts as changed.
    base: Option<Plane<'o>>,
    values: &'o mut [f32],
    changed: &'o mut [u8],
    /// Multiply-adds so far.
    products: u64,
}

/// Where pixels and positions lie in a slot.
#[derive(Clone, Copy)]
struct Places {
    rect: Rect,
    /// Values between neighbouring pixels, and between positions.
    pixel: usize,
    position: usize,
    /// The layer's first channel.
    channel: usize,
}

impl Places {
    fn start(&self, y: usize, x: usize, p: usize) -> usize {
        let pixel = (y - self.rect.y0) * self.rect.width() + (x - self.rect.x0);
        pixel * self.pixel + p * self.position + self.channel
    }
}

impl Output<'_> {
    /// Sets the bit of a computed pixel if `channels` of the layer came out different from the unoccluded image's.
    /// To be called while they are still in the first-level cache: all later looks come from farther away.
    fn compare(&mut self, y: usize, x: usize, p: usize, channels: Range<usize>) {
        let bits = &mut self.changed[y * self.side + x];
        if *bits >> p & 1 != 0 {
            return;
        }
        let start = self.places.start(y, x, p);
        let differs = self.base.is_none_or(|base| {
            let first = self.places.channel;
            differ(
                &self.values[start + channels.start..start + channels.end],
                &base.at(y, x)[first + channels.start..first + channels.end],
            )
        });
        *bits |= u8::from(differs) << p;
    }

    /// Where a pixel of a concatenated blob has changed in one branch, fills in the channels of those branches that
    /// had nothing to compute.
    fn complete(&mut self, branches: &[Branch]) {
        let Some(base) = self.base else { return };
        for (y, x) in self.places.rect.pixels() {
            for branch in branches {
                let missing = self.changed[y * self.side + x] & !branch.computed[y * self.side + x];
                for p in positions(missing) {
                    let start = self.places.start(y, x, p) - self.places.channel + branch.channel;
                    let channels = branch.channel..branch.channel + branch.channels;
                    self.values[start..start + branch.channels].copy_from_slice(&base.at(y, x)[channels]);
                }
            }
        }
    }
}

/// The rows of a window that lie in the plane, where a site is a pixel.
fn runs_of(window: Window, y: usize, x: usize, plane: &Blob, runs: &mut Vec<Run>) {
    runs.clear();
    // Where the window's first place would be; left of the plane if there is padding.
    let (y0, x0) = (y * window.stride, x * window.stride);
    let columns = x0.saturating_sub(window.padding)..(x0 + window.size - window.padding).min(plane.side);
    for row in 0..window.size {
        let in_y = (y0 + row).wrapping_sub(window.padding);
        if in_y < plane.side {
            let first = in_y * plane.side;
            let products = (row * window.size + window.padding) as isize - x0 as isize;
            runs.push(Run {
                sites: first + columns.start..first + columns.end,
                shift: products * plane.channels as isize,
            });
        }
    }
}

/// The positions whose bit is set, ascending.
fn positions(mut bits: u8) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let p = bits.trailing_zeros() as usize;
        bits &= bits.wrapping_sub(1);
        (p < COLUMNS).then_some(p)
    })
}

/// Whether any value differs in any bit.
fn differ(a: &[f32], b: &[f32]) -> bool {
    // In chunks without a branch inside, which the compiler turns into vectors: most values are equal zeros.
    a.chunks(16)
        .zip(b.chunks(16))
        .any(|(a, b)| a.iter().zip(b).fold(0, |bits, (a, b)| bits | (a.to_bits() ^ b.to_bits())) != 0)
}

/// Where row `y` of a mask lies in the padded image.
fn row_of(mask: &Rect, y: usize) -> std::ops::Range<usize> {
    let start = ((y + IMAGE_PADDING) * PADDED_SIDE + mask.x0 + IMAGE_PADDING) * 3;
    start..start + mask.width() * 3
}

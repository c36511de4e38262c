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
use crate::kernels::{COLUMNS, Sites, Sum, Tap, Tile, average, convolve_tile, lrn, maximum, pitch, zeros};
use crate::network::{BlobId, Layer, Network, Op};
use crate::plane::Convolution;
use crate::rect::{Rect, Window};

/// A window that reads one pixel.
const ONE: Window = Window { size: 1, stride: 1, padding: 0 };

/// Memory for one group at a time: allocated by the first groups, then reused.
pub(crate) struct Scratch {
    /// Copies of the padded image, one a position, masked while the group runs.
    images: Vec<Vec<f32>>,
    /// Buffers that blobs share when their lifetimes do not overlap.
    slots: Vec<Vec<f32>>,
    /// For each blob, which slot is its own.
    slot_of: Vec<usize>,
    /// For each blob, what the masks can reach.
    rects: Vec<Rect>,
    /// For each blob and pixel of its plane, the positions whose values differ.
    changed: Vec<Vec<u8>>,
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
        let slot_of = share_slots(network);
        Scratch {
            images: vec![base.blobs[0].clone(); COLUMNS],
            slots: vec![Vec::new(); slot_of.iter().max().map_or(0, |m| m + 1)],
            slot_of,
            rects: vec![Rect::default(); network.blobs.len()],
            changed: network.blobs.iter().map(|b| vec![0; b.side * b.side]).collect(),
        }
    }
}

/// Gives each blob a slot that is free from its first writer to its last reader.
fn share_slots(network: &Network) -> Vec<usize> {
    let last_read = |blob: BlobId| network.layers.iter().rposition(|l| l.input == blob);
    let mut slot_of = vec![usize::MAX; network.blobs.len()];
    let mut free = Vec::new();
    let mut count = 0;
    for (i, layer) in network.layers.iter().enumerate() {
        if slot_of[layer.output] == usize::MAX {
            slot_of[layer.output] = free.pop().unwrap_or_else(|| {
                count += 1;
                count - 1
            });
        }
        if last_read(layer.input) == Some(i) && layer.input != 0 {
            free.push(slot_of[layer.input]);
        }
    }
    slot_of[0] = 0; // the images have memory of their own
    slot_of
}

impl Group<'_> {
    /// Runs all layers; the logits of each position, in order.
    pub(crate) fn run(&self, scratch: &mut Scratch) -> Vec<Vec<f32>> {
        debug_assert!(self.masks.len() <= COLUMNS);
        self.mask_images(scratch);
        self.reach(scratch);
        let mut branches: Vec<Branch> = Vec::new();
        for index in 0..self.net.network.layers.len() {
            let layer = &self.net.network.layers[index];
            let slot = scratch.slot_of[layer.output];
            let mut out = std::mem::take(&mut scratch.slots[slot]);
            let mut changed = std::mem::take(&mut scratch.changed[layer.output]);
            let place = Place::new(self, scratch.rects[layer.output], layer);
            if layer.channel == 0 {
                changed.fill(0);
                out.resize(out.len().max(place.rect.area() * place.pixel), 0.0);
            }
            let computed = self.run_layer(index, &place, scratch, &mut out);
            self.note_changes(layer, &place, &computed, &out, &mut changed);
            if layer.channels < self.net.network.blobs[layer.output].channels {
                branches.push(Branch { channel: layer.channel, channels: layer.channels, computed });
                if layer.channel + layer.channels == self.net.network.blobs[layer.output].channels {
                    self.complete(layer, &place, &branches, &changed, &mut out);
                    branches.clear();
                }
            }
            scratch.slots[slot] = out;
            scratch.changed[layer.output] = changed;
        }
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

    /// The rectangle of every blob that the masks can reach.
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

    fn all_positions(&self) -> u8 {
        ((1u32 << self.masks.len()) - 1) as u8
    }

    /// Runs one layer; for each pixel of the output plane, the positions that it was computed for.
    fn run_layer(&self, index: usize, place: &Place, scratch: &Scratch, out: &mut [f32]) -> Vec<u8> {
        let layer = &self.net.network.layers[index];
        let isa = self.net.isa;
        let input = &self.net.network.blobs[layer.input];
        let convolution =
            || self.net.convolutions[index].as_ref().expect("a layer with weights has a convolution");
        match layer.op {
            Op::Convolution(window) if layer.input == 0 => {
                self.convolve_images(window, convolution(), place, scratch, out)
            }
            Op::Convolution(window) => self.convolve(layer, window, convolution(), place, scratch, out),
            Op::Classifier => {
                let positions = 0..self.masks.len();
                let pooled: Vec<&[f32]> =
                    positions.clone().map(|p| self.pixel(scratch, layer.input, 0, 0, p)).collect();
                let starts: Vec<usize> = positions.map(|p| place.start(0, 0, p)).collect();
                convolution().classify(isa, &pooled, &starts, out);
                vec![self.all_positions()]
            }
            Op::MaxPool(window) => self.each_pixel(layer, window, place, scratch, |y, x, p, start| {
                let mut pixels: [&[f32]; 9] = [&[]; 9];
                let mut count = 0;
                window.places(y, x, input.side, |y, x| {
                    pixels[count] = self.pixel(scratch, layer.input, y, x, p);
                    count += 1;
                });
                maximum(isa, &pixels[..count], &mut out[start..start + layer.channels]);
            }),
            Op::Lrn => self.each_pixel(layer, ONE, place, scratch, |y, x, p, start| {
                lrn(isa, self.pixel(scratch, layer.input, y, x, p), &mut out[start..start + layer.channels]);
            }),
            Op::AveragePool => {
                for p in 0..self.masks.len() {
                    let pixels: Vec<&[f32]> = (0..input.side * input.side)
                        .map(|i| self.pixel(scratch, layer.input, i / input.side, i % input.side, p))
                        .collect();
                    let start = place.start(0, 0, p);
                    average(isa, &pixels, &mut out[start..start + layer.channels]);
                }
                vec![self.all_positions()]
            }
        }
    }

    /// The positions for which an output pixel has to be computed: those that differ somewhere in its window.
    fn affected(&self, layer: &Layer, window: Window, y: usize, x: usize, scratch: &Scratch) -> u8 {
        if self.exhaustive {
            return self.all_positions();
        }
        let side = self.net.network.blobs[layer.input].side;
        let changed = &scratch.changed[layer.input];
        let mut bits = 0;
        window.places(y, x, side, |y, x| bits |= changed[y * side + x]);
        bits
    }

    /// Calls `f(y, x, position, start in out)` for what has to be computed.
    fn each_pixel(
        &self,
        layer: &Layer,
        window: Window,
        place: &Place,
        scratch: &Scratch,
        mut f: impl FnMut(usize, usize, usize, usize),
    ) -> Vec<u8> {
        let mut computed = vec![0; place.side * place.side];
        for (y, x) in place.rect.pixels() {
            let bits = self.affected(layer, window, y, x, scratch);
            computed[y * place.side + x] = bits;
            for p in positions(bits) {
                f(y, x, p, place.start(y, x, p));
            }
        }
        computed
    }

    /// The first layer: each position's image by itself, neighbouring pixels side by side, for it has no zeros to share.
    fn convolve_images(
        &self,
        window: Window,
        convolution: &Convolution,
        place: &Place,
        scratch: &Scratch,
        out: &mut [f32],
    ) -> Vec<u8> {
        let mut computed = vec![0; place.side * place.side];
        for (p, mask) in self.masks.iter().enumerate() {
            let rect =
                if self.exhaustive { Rect::plane(place.side) } else { mask.through(window, place.side) };
            if rect.is_empty() {
                continue;
            }
            let image = image_plane(&scratch.images[p]);
            convolution.run(self.net.isa, image, rect, out, |y, x| place.start(y, x, p));
            for (y, x) in rect.pixels() {
                computed[y * place.side + x] |= 1 << p;
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
        place: &Place,
        scratch: &Scratch,
        out: &mut [f32],
    ) -> Vec<u8> {
        let input = &self.net.network.blobs[layer.input];
        let mut computed = vec![0; place.side * place.side];
        // What the windows read: the rectangle and, around it, what they reach over.
        let reads = Rect {
            y0: place.rect.y0.saturating_sub(window.padding),
            x0: place.rect.x0.saturating_sub(window.padding),
            y1: (place.rect.y1 + window.padding).min(input.side),
            x1: (place.rect.x1 + window.padding).min(input.side),
        };
        let mut wanted = vec![false; input.side * input.side];
        for (y, x) in place.rect.pixels() {
            let bits = self.affected(layer, window, y, x, scratch);
            computed[y * place.side + x] = bits;
            if bits != 0 {
                window.places(y, x, input.side, |y, x| wanted[y * input.side + x] = true);
            }
        }
        let mut sites = Sites::new(input.channels, reads.area());
        for (y, x) in reads.pixels() {
            if !wanted[y * input.side + x] {
                sites.skip();
                continue;
            }
            let mut columns = [zeros(0); COLUMNS];
            for (p, column) in columns[..self.masks.len()].iter_mut().enumerate() {
                *column = self.pixel(scratch, layer.input, y, x, p);
            }
            sites.push(self.net.isa, &columns[..self.masks.len()]);
        }
        let mut taps = Vec::with_capacity(window.size * window.size);
        for panels in convolution.weights.cached_panels() {
            for (y, x) in place.rect.pixels() {
                let bits = computed[y * place.side + x];
                if bits == 0 {
                    continue;
                }
                taps.clear();
                window.places(y, x, input.side, |in_y, in_x| {
                    let index = (in_y + window.padding - y) * window.size + in_x + window.padding - x;
                    taps.push(Tap { index, site: (in_y - reads.y0) * reads.width() + in_x - reads.x0 });
                });
                let (mut columns, mut starts, mut count) = ([0; COLUMNS], [0; COLUMNS], 0);
                for p in positions(bits) {
                    columns[count] = p;
                    starts[count] = place.start(y, x, p);
                    count += 1;
                }
                let tile = Tile { taps: &taps, columns: &columns[..count], out: &starts[..count] };
                convolve_tile(
                    self.net.isa,
                    &sites,
                    &convolution.weights,
                    panels.clone(),
                    &tile,
                    Sum::Relu,
                    out,
                );
            }
        }
        computed
    }

    /// Sets the bits of the computed pixels that came out different from the unoccluded image's.
    fn note_changes(&self, layer: &Layer, place: &Place, computed: &[u8], out: &[f32], changed: &mut [u8]) {
        let base = self.base.plane(layer.output);
        for (y, x) in place.rect.pixels() {
            for p in positions(computed[y * place.side + x]) {
                let start = place.start(y, x, p);
                let own = &out[start..start + layer.channels];
                let unoccluded = &base.at(y, x)[layer.channel..layer.channel + layer.channels];
                if self.exhaustive || differ(own, unoccluded) {
                    changed[y * place.side + x] |= 1 << p;
                }
            }
        }
    }

    /// Where a pixel of a concatenated blob has changed in one branch, fills in the channels of those branches that
    /// had nothing to compute.
    fn complete(&self, layer: &Layer, place: &Place, branches: &[Branch], changed: &[u8], out: &mut [f32]) {
        let base = self.base.plane(layer.output);
        for (y, x) in place.rect.pixels() {
            for branch in branches {
                for p in positions(changed[y * place.side + x] & !branch.computed[y * place.side + x]) {
                    let start = place.start(y, x, p) - layer.channel + branch.channel;
                    let channels = branch.channel..branch.channel + branch.channels;
                    out[start..start + branch.channels].copy_from_slice(&base.at(y, x)[channels]);
                }
            }
        }
    }
}

/// Where a layer's outputs lie in its slot: `[pixel of the rectangle][position][channel]`.
struct Place {
    rect: Rect,
    side: usize,
    /// Values between neighbouring pixels, and between positions.
    pixel: usize,
    position: usize,
    channel: usize,
}

impl Place {
    fn new(group: &Group<'_>, rect: Rect, layer: &Layer) -> Place {
        let blob = &group.net.network.blobs[layer.output];
        let position = pitch(blob.channels);
        Place { rect, side: blob.side, pixel: position * group.masks.len(), position, channel: layer.channel }
    }

    fn start(&self, y: usize, x: usize, p: usize) -> usize {
        let pixel = (y - self.rect.y0) * self.rect.width() + (x - self.rect.x0);
        pixel * self.pixel + p * self.position + self.channel
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
    a.iter().zip(b).any(|(a, b)| a.to_bits() != b.to_bits())
}

/// Where row `y` of a mask lies in the padded image.
fn row_of(mask: &Rect, y: usize) -> std::ops::Range<usize> {
    let start = ((y + IMAGE_PADDING) * PADDED_SIDE + mask.x0 + IMAGE_PADDING) * 3;
    start..start + mask.width() * 3
}

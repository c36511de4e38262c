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
//!
//! `docs/06-receptive-fields.md` explains both measures, `docs/07-zeros-and-bits.md` the zeros.
//!
//! Memory is the second bound. The outputs of inception blocks, most of them zeros, are kept as lists from the start
//! ([`SparseBlob`]), and pools read those lists; the other blobs lie in memory that they share ([`share_slots`]).

use std::ops::Range;
use std::time::Instant;

use crate::forward::activations::BlobView;
use crate::forward::classifier::classify;
use crate::forward::{Activations, GoogLeNet, PADDED_SIDE, image_windows};
use crate::kernels::{
    AlignedBuf, BATCH, Isa, PackedWeights, SparseActivations, Sum, Tile, WindowRow, convolve_image,
    convolve_tile, lrn, maximum, pitch, prefetch, zeros,
};
use crate::network::geometry::{Rect, Window};
use crate::network::{Blob, BlobId, Layer, Network, Op};
use crate::profile::Cost;
use crate::sweep::channel_sum::ChannelSum;
use crate::sweep::mask::Mask;
use crate::sweep::plan::{ONE, is_sparse, order, pool_before, share_slots};

/// Memory for one group at a time: allocated by the first groups, then reused.
pub(crate) struct Workspace {
    /// Copies of the padded image, one a position, masked while the group runs.
    images: Vec<AlignedBuf>,
    /// Buffers that blobs share when their lifetimes do not overlap.
    slots: Vec<AlignedBuf>,
    /// The layers in the order in which they run; without the pools that run with the convolution after them.
    order: Vec<usize>,
    /// For each blob that is not sparse_blobs, which slot is its own.
    slot_of: Vec<usize>,
    /// The sparse_blobs blob that is being made and the one before, which it is made from, in turns.
    sparse_blobs: [SparseBlob; 2],
    /// For each blob, what the masks can reach.
    rects: Vec<Rect>,
    /// For each blob and pixel of its plane, the positions whose values differ.
    changed: Vec<Vec<u8>>,
    reads: Reads,
    /// One pixel's outputs.
    outputs: AlignedBuf,
    /// For each layer, what it has cost since the workspace was made.
    pub(crate) costs: Vec<Cost>,
}

/// The pixels that a convolution reads, without zeros.
#[derive(Default)]
struct Reads {
    sites: SparseActivations,
    blob: Option<BlobId>,
}

/// A blob as the branches of an inception block leave it, or a pool: without zeros, which makes it small enough for
/// the second-level cache. What reads it puts a pixel's parts together ([`MaskBatch::read_rows`]).
#[derive(Default)]
struct SparseBlob {
    blob: Option<BlobId>,
    branches: Vec<Branch>,
    /// For each part of a branch's outputs, each pixel of the blob's rectangle; nothing where it was not computed.
    sites: SparseActivations,
}

/// A channel range of a sparse_blobs blob.
struct Branch {
    channels: Range<usize>,
    /// For each pixel of the plane, the positions for which it was computed.
    computed: Vec<u8>,
    /// For each part of the outputs, ascending, the site of the rectangle's first pixel.
    parts: Vec<usize>,
}

/// One group: what is masked and what to compare with.
pub(crate) struct MaskBatch<'a> {
    pub(crate) net: &'a GoogLeNet,
    /// The unoccluded image's activations.
    pub(crate) base: &'a Activations,
    /// What is covered, one a position, at most [`BATCH`].
    pub(crate) masks: &'a [Mask],
    /// What pixels become when they are covered: an image as blob 0 has it.
    pub(crate) cover: &'a [f32],
    /// Channels to sum up over their plane.
    pub(crate) channel_sums: &'a [ChannelSum],
    /// Recompute everything, whatever the masks can have changed.
    pub(crate) exhaustive: bool,
    /// Whether to give up, which is asked every few milliseconds. Once yes, it stays so: what was left out is not looked at.
    pub(crate) stop: &'a (dyn Fn() -> bool + Sync),
}

/// What groups need room for at most. Workspace memory never grows beyond it while they run.
#[derive(Clone, Default)]
pub(crate) struct WorkspaceSize {
    positions: usize,
    /// Values of each slot.
    slots: Vec<usize>,
    /// Entries of a sparse_blobs blob, of what a layer reads, and of what a watch reads.
    sparse_blobs: usize,
    reads: usize,
    watched: usize,
}

/// Bytes of a worker's workspace that [`WorkspaceSize`] does not count one by one: lists of pixels and of sites, a pixel's outputs,
/// the answers. `tests/memory.rs` holds the sum against what is allocated.
const SMALL: usize = 2 << 20;

impl WorkspaceSize {
    /// What groups with these masks need: the bounds of each group's masks.
    pub(crate) fn of<'m>(
        network: &Network,
        groups: impl Iterator<Item = impl Iterator<Item = Rect> + Clone + 'm>,
        channel_sums: &[ChannelSum],
        exhaustive: bool,
    ) -> WorkspaceSize {
        let order = order(network);
        let slot_of = share_slots(network, &order);
        let mut room = WorkspaceSize { slots: vec![0; slots(&slot_of)], ..WorkspaceSize::default() };
        let mut rects = vec![Rect::default(); network.blobs.len()];
        // The same for all groups, of which there can be thousands.
        let needs: Vec<_> =
            order.iter().map(|&index| LayerMemory::of(network, &network.layers[index])).collect();
        for bounds in groups {
            let positions = bounds.clone().count();
            room.positions = room.positions.max(positions);
            let all = bounds.fold(Rect::default(), |all, bounds| all.union(&bounds));
            reach(network, all, exhaustive, &mut rects);
            for (needs, &index) in needs.iter().zip(&order) {
                let output = network.layers[index].output;
                let blob = &network.blobs[output];
                let area = rects[output].area();
                if needs.is_sparse {
                    room.sparse_blobs = room.sparse_blobs.max(area * blob.channels);
                } else {
                    let slot = &mut room.slots[slot_of[output]];
                    *slot = (*slot).max(area * positions * pitch(blob.channels));
                }
                if let Some((input, window, output_side)) = needs.reads {
                    let blob = &network.blobs[input];
                    let read = rects[input].through(window, output_side).reads(window, blob.side);
                    room.reads = room.reads.max(read.area() * blob.channels);
                }
            }
        }
        for watch in channel_sums {
            let blob = &network.blobs[watch.source];
            room.watched = room.watched.max(blob.side.pow(2) * blob.channels);
        }
        room
    }

    /// Bytes of one worker's workspace.
    pub(crate) fn bytes(&self) -> usize {
        let image = PADDED_SIDE * PADDED_SIDE * 3;
        let values = self.positions * image.next_multiple_of(16) + self.slots.iter().sum::<usize>();
        let watched = if self.watched == 0 { 0 } else { 3 * SparseActivations::bytes_for(self.watched) };
        values * size_of::<f32>()
            + 2 * SparseActivations::bytes_for(self.sparse_blobs)
            + SparseActivations::bytes_for(self.reads)
            + watched
            + SMALL
    }
}

/// Pixels between two looks at whether to stop: at most some milliseconds of the largest layer.
const STOP_EVERY: usize = 256;

/// What a layer of a group takes memory for.
struct LayerMemory {
    is_sparse: bool,
    /// What it reads without zeros: a blob, by windows, for a plane of so many pixels a side.
    reads: Option<(BlobId, Window, usize)>,
}

impl LayerMemory {
    fn of(network: &Network, layer: &Layer) -> LayerMemory {
        // A pool that runs with the convolution after it reads for both.
        let reader = pool_before(network, layer).map_or(layer, |pool| &network.layers[pool]);
        let window = match reader.op {
            Op::Convolution(_) if reader.input == 0 => None,
            Op::Convolution(_) | Op::MaxPool(_) | Op::AveragePool => Some(network.window(reader)),
            Op::Lrn | Op::Classifier => None,
        };
        LayerMemory {
            is_sparse: is_sparse(network, layer),
            reads: window.map(|window| (reader.input, window, network.blobs[reader.output].side)),
        }
    }
}

fn slots(slot_of: &[usize]) -> usize {
    slot_of.iter().max().map_or(0, |most| most + 1)
}

/// The rectangle of every blob that masks within `bounds` can reach.
fn reach(network: &Network, bounds: Rect, exhaustive: bool, rects: &mut [Rect]) {
    rects.fill(Rect::default());
    rects[0] = bounds;
    for layer in &network.layers {
        let side = network.blobs[layer.output].side;
        let reached = match layer.op {
            _ if exhaustive => Rect::plane(side),
            Op::AveragePool | Op::Classifier => Rect::plane(side),
            Op::Lrn => rects[layer.input],
            Op::Convolution(window) | Op::MaxPool(window) => rects[layer.input].through(window, side),
        };
        rects[layer.output] = rects[layer.output].union(&reached);
    }
}

impl Workspace {
    pub(crate) fn new(network: &Network) -> Workspace {
        let order = order(network);
        let slot_of = share_slots(network, &order);
        Workspace {
            images: Vec::new(),
            slots: vec![AlignedBuf::default(); slots(&slot_of)],
            slot_of,
            order,
            sparse_blobs: Default::default(),
            rects: vec![Rect::default(); network.blobs.len()],
            reads: Reads::default(),
            outputs: AlignedBuf::default(),
            costs: vec![Cost::default(); network.layers.len()],
            changed: network.blobs.iter().map(|b| vec![0; b.side * b.side]).collect(),
        }
    }

    /// Takes the memory that groups need, for copies of this image.
    pub(crate) fn grow(&mut self, room: &WorkspaceSize, base: &Activations) {
        let positions = room.positions.max(self.images.len());
        self.images.reserve_exact(positions - self.images.len());
        self.images.resize_with(positions, || base.blobs[0].clone());
        self.slots.iter_mut().zip(&room.slots).for_each(|(slot, &values)| slot.grow(values));
        for sparse_blobs in &mut self.sparse_blobs {
            sparse_blobs.sites.clear(1);
            sparse_blobs.sites.reserve(room.sparse_blobs);
        }
        self.reads.sites.clear(1);
        self.reads.sites.reserve(room.reads);
    }
}

impl MaskBatch<'_> {
    /// Runs all layers; for each position, in order, its logits and the total of each watched channel. Nothing if it was
    /// stopped.
    pub(crate) fn run(&self, workspace: &mut Workspace) -> Option<Vec<(Vec<f32>, Vec<f32>)>> {
        debug_assert!(self.masks.len() <= BATCH);
        self.mask_images(workspace);
        self.reach(workspace);
        let mut reads = std::mem::take(&mut workspace.reads);
        let mut outputs = std::mem::take(&mut workspace.outputs);
        reads.blob = None;
        workspace.sparse_blobs.iter_mut().for_each(|list| list.blob = None);
        let mut totals = vec![vec![0.0; self.channel_sums.len()]; self.masks.len()];
        for i in 0..workspace.order.len() {
            if (self.stop)() {
                break;
            }
            let index = workspace.order[i];
            let layer = &self.net.network.layers[index];
            let blob = &self.net.network.blobs[layer.output];
            let slot = workspace.slot_of[layer.output];
            let mut changed = std::mem::take(&mut workspace.changed[layer.output]);
            let rect = workspace.rects[layer.output];
            let is_list = is_sparse(&self.net.network, layer);
            let (values, places) = if is_list {
                if workspace.sparse_blobs[0].blob != Some(layer.output) {
                    workspace.sparse_blobs.swap(0, 1);
                    workspace.sparse_blobs[0].start(layer.output, self.masks.len());
                }
                // The outputs of one pixel at a time, on their way to the list.
                let position = pitch(layer.channels);
                outputs.grow(position * BATCH);
                (std::mem::take(&mut outputs), Places { rect, pixel: 0, position })
            } else {
                let position = pitch(blob.channels);
                let places = Places { rect, pixel: position * self.masks.len(), position };
                (std::mem::take(&mut workspace.slots[slot]), places)
            };
            let mut output = Output {
                places,
                side: blob.side,
                channel: layer.channel,
                base: (!self.exhaustive).then(|| self.base.plane(layer.output)),
                values,
                sites: is_list.then(|| std::mem::take(&mut workspace.sparse_blobs[0].sites)),
                parts: Vec::new(),
                positions: self.masks.len(),
                isa: self.net.isa,
                changed: &mut changed,
                macs: 0,
            };
            let start = Instant::now();
            let computed = self.run_layer(index, workspace, &mut reads, &mut output);
            let pixels: u64 = computed.iter().map(|bits| u64::from(bits.count_ones())).sum();
            workspace.costs[index] += Cost {
                affected: pixels * self.net.network.multiply_adds_per_pixel(layer) as u64,
                executed: output.macs,
                seconds: start.elapsed().as_secs_f64(),
            };
            let Output { values, sites, parts, .. } = output;
            if let Some(sites) = sites {
                outputs = values;
                let channels = layer.channel..layer.channel + layer.channels;
                workspace.sparse_blobs[0].sites = sites;
                workspace.sparse_blobs[0].add(Branch { channels, computed, parts });
            } else {
                workspace.slots[slot] = values;
            }
            workspace.changed[layer.output] = changed;
            for (w, watch) in self.channel_sums.iter().enumerate() {
                // Other blobs will lie where it lies now.
                if watch.source == layer.output && watch.last_writer == index {
                    let sums = self.watched(watch, workspace);
                    totals.iter_mut().zip(sums).for_each(|(totals, sum)| totals[w] = sum);
                }
            }
        }
        workspace.outputs = outputs;
        workspace.reads = reads;
        self.unmask_images(workspace);
        if (self.stop)() {
            return None;
        }
        let logits = self.net.network.blobs.len() - 1;
        let logits = (0..self.masks.len()).map(|p| self.pixel(workspace, logits, 0, 0, p).to_vec());
        Some(logits.zip(totals).collect())
    }

    /// The total of a watched channel for each position.
    fn watched(&self, watch: &ChannelSum, workspace: &Workspace) -> Vec<f32> {
        let shape = &self.net.network.blobs[watch.source];
        let mut reads = Reads::default();
        self.read_rows(watch.source, 0..shape.side, workspace, &mut reads, &vec![true; shape.side.pow(2)]);
        let planes = |p: usize| -> Vec<f32> {
            let pixels = Rect::plane(shape.side).pixels().enumerate();
            let value = |(site, (_, x))| reads.sites.value(site, x * shape.channels + watch.channel, p);
            pixels.map(value).collect()
        };
        (0..self.masks.len()).map(|p| watch.total(&planes(p))).collect()
    }

    fn mask_images(&self, workspace: &mut Workspace) {
        for (image, mask) in workspace.images.iter_mut().zip(self.masks) {
            mask.copy(self.cover, image);
        }
    }

    fn unmask_images(&self, workspace: &mut Workspace) {
        for (image, mask) in workspace.images.iter_mut().zip(self.masks) {
            mask.copy(&self.base.blobs[0], image);
        }
    }

    /// The rectangle of every blob that the masks can reach.
    fn reach(&self, workspace: &mut Workspace) {
        let network = &self.net.network;
        let bounds = self.masks.iter().fold(Rect::default(), |all, mask| all.union(&mask.bounds));
        reach(network, bounds, self.exhaustive, &mut workspace.rects);
        for &index in &workspace.order {
            let output = network.layers[index].output;
            workspace.changed[output].fill(0);
            debug_assert!(
                is_sparse(network, &network.layers[index])
                    || workspace.rects[output].area()
                        * self.masks.len()
                        * pitch(network.blobs[output].channels)
                        <= workspace.slots[workspace.slot_of[output]].len()
            );
        }
    }

    /// Position `p`'s values of a pixel: its own where they differ, else the unoccluded image's.
    fn pixel<'s>(
        &'s self,
        workspace: &'s Workspace,
        blob: BlobId,
        y: usize,
        x: usize,
        p: usize,
    ) -> &'s [f32] {
        let shape = &self.net.network.blobs[blob];
        if workspace.changed[blob][y * shape.side + x] >> p & 1 == 0 {
            return self.base.plane(blob).at(y, x);
        }
        let start = (workspace.rects[blob].index(y, x) * self.masks.len() + p) * pitch(shape.channels);
        &workspace.slots[workspace.slot_of[blob]][start..start + shape.channels]
    }

    /// Runs one layer; for each pixel of the output plane, the positions that it was computed for.
    fn run_layer(
        &self,
        index: usize,
        workspace: &Workspace,
        reads: &mut Reads,
        output: &mut Output,
    ) -> Vec<u8> {
        let layer = &self.net.network.layers[index];
        let isa = self.net.isa;
        let input = &self.net.network.blobs[layer.input];
        let weights = || self.net.weights(index);
        match layer.op {
            Op::Convolution(window) if layer.input == 0 => {
                self.convolve_images(layer, window, weights(), workspace, output)
            }
            Op::Convolution(window) => match pool_before(&self.net.network, layer) {
                Some(pool) => self.pool_and_convolve(pool, weights(), workspace, reads, output),
                None => self.convolve(layer, window, weights(), workspace, reads, output),
            },
            Op::MaxPool(window) if is_sparse(&self.net.network, layer) => {
                self.pool_listed(layer, window, workspace, reads, output)
            }
            Op::MaxPool(window) => self.each_pixel(layer, window, workspace, output, |y, x, p, out| {
                self.pool_pixel(layer, window, y, x, p, workspace, out);
            }),
            Op::Lrn => self.each_pixel(layer, ONE, workspace, output, |y, x, p, out| {
                lrn(isa, self.pixel(workspace, layer.input, y, x, p), out);
            }),
            Op::AveragePool => {
                let plane = Window { size: input.side, stride: 1, padding: 0 };
                let area = input.side * input.side;
                let mut means = Vec::new();
                if self.affected(layer, plane, 0, 0, workspace) != 0 {
                    self.read_rows(layer.input, 0..input.side, workspace, reads, &vec![true; area]);
                    reads.sites.mean(isa, input.channels, &mut means);
                }
                self.each_pixel(layer, plane, workspace, output, |_, _, p, out| {
                    out.iter_mut().zip(&means).for_each(|(out, mean)| *out = mean[p]);
                })
            }
            Op::Classifier => {
                let bits = self.affected(layer, ONE, 0, 0, workspace);
                let pooled: Vec<&[f32]> =
                    positions(bits).map(|p| self.pixel(workspace, layer.input, 0, 0, p)).collect();
                if bits != 0 {
                    let (logits, products) = classify(isa, weights(), &pooled, false);
                    output.macs += products;
                    for (p, logits) in positions(bits).zip(logits) {
                        let start = output.places.start(0, 0, p);
                        output.values[start..start + layer.channels].copy_from_slice(&logits);
                    }
                }
                positions(bits).for_each(|p| output.compare(0, 0, p, 0..layer.channels));
                vec![bits]
            }
        }
    }

    /// The positions for which an output pixel has to be computed: those that differ somewhere in its window.
    fn affected(&self, layer: &Layer, window: Window, y: usize, x: usize, workspace: &Workspace) -> u8 {
        if self.exhaustive {
            return ((1u32 << self.masks.len()) - 1) as u8;
        }
        let side = self.net.network.blobs[layer.input].side;
        let changed = &workspace.changed[layer.input];
        let mut bits = 0;
        window.taps(y, x, side, |y, x| bits |= changed[y * side + x]);
        bits
    }

    /// For each pixel of the output plane, the positions for which it has to be computed, and for each pixel of the
    /// input plane, whether a window reads it for that.
    fn to_compute(
        &self,
        layer: &Layer,
        window: Window,
        workspace: &Workspace,
        output: &Output,
    ) -> (Vec<u8>, Vec<bool>) {
        let side = self.net.network.blobs[layer.input].side;
        let mut computed = vec![0; output.side * output.side];
        let mut wanted = vec![false; side * side];
        for (y, x) in output.places.rect.pixels() {
            let bits = self.affected(layer, window, y, x, workspace);
            computed[y * output.side + x] = bits;
            if bits != 0 {
                window.taps(y, x, side, |y, x| wanted[y * side + x] = true);
            }
        }
        (computed, wanted)
    }

    /// Calls `f(y, x, position, its channels)` for what has to be computed.
    fn each_pixel(
        &self,
        layer: &Layer,
        window: Window,
        workspace: &Workspace,
        output: &mut Output,
        mut f: impl FnMut(usize, usize, usize, &mut [f32]),
    ) -> Vec<u8> {
        let mut computed = vec![0; output.side * output.side];
        for (y, x) in output.places.rect.pixels() {
            let bits = self.affected(layer, window, y, x, workspace);
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
        weights: &PackedWeights,
        workspace: &Workspace,
        output: &mut Output,
    ) -> Vec<u8> {
        let mut computed = vec![0; output.side * output.side];
        for (p, mask) in self.masks.iter().enumerate() {
            if (self.stop)() {
                break;
            }
            let rect = if self.exhaustive {
                Rect::plane(output.side)
            } else {
                mask.bounds.through(window, output.side)
            };
            if rect.is_empty() {
                continue;
            }
            for y in rect.y0..rect.y1 {
                let windows = image_windows(window, y, rect.x0..rect.x1);
                let to = [output.places.start(y, rect.x0, p), output.places.pixel];
                convolve_image(self.net.isa, &workspace.images[p], windows, weights, &mut output.values, to);
            }
            output.macs += (rect.area() * weights.outputs() * weights.k()) as u64;
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
        weights: &PackedWeights,
        workspace: &Workspace,
        reads: &mut Reads,
        output: &mut Output,
    ) -> Vec<u8> {
        let input = &self.net.network.blobs[layer.input];
        let (computed, wanted) = self.to_compute(layer, window, workspace, output);
        // An inception block's 1x1 convolutions read the same pixels, which its pool has left here.
        if reads.blob != Some(layer.input) {
            self.read_rows(layer.input, 0..input.side, workspace, reads, &wanted);
        }
        let mut runs = Vec::with_capacity(window.size);
        let area = output.places.rect.area();
        'all: for panels in weights.cached_panels() {
            let next = panels.end..panels.end + panels.len();
            output.begin_part();
            for (i, (y, x)) in output.places.rect.pixels().enumerate() {
                if i % STOP_EVERY == 0 && (self.stop)() {
                    break 'all;
                }
                weights.prefetch(next.clone(), i, area);
                let bits = computed[y * output.side + x];
                if bits != 0 {
                    runs_of(window, y, x, input, &mut runs);
                }
                output.convolve(y, x, bits, &reads.sites, &runs, weights, panels.clone());
            }
        }
        computed
    }
}

impl MaskBatch<'_> {
    /// Adds rows of a blob to `reads`; only the pixels that are `wanted`, by their index in the plane, can then be read.
    fn read_rows(
        &self,
        blob: BlobId,
        rows: Range<usize>,
        workspace: &Workspace,
        reads: &mut Reads,
        wanted: &[bool],
    ) {
        let shape = &self.net.network.blobs[blob];
        let count = self.masks.len();
        if rows.start == 0 {
            reads.blob = Some(blob);
            reads.sites.clear(count);
        }
        let list = workspace.sparse_blobs.iter().find(|list| list.blob == Some(blob));
        let (rect, unoccluded) = (workspace.rects[blob], self.base.plane(blob));
        for y in rows {
            for x in 0..shape.side {
                let at = y * shape.side + x;
                if !wanted[at] {
                    reads.sites.push_empty();
                    continue;
                }
                let first = x * shape.channels;
                match list {
                    Some(list) if workspace.changed[blob][at] != 0 => {
                        let pixel = rect.index(y, x);
                        for branch in &list.branches {
                            if branch.computed[at] != 0 {
                                reads.sites.append_from(
                                    self.net.isa,
                                    &list.sites,
                                    branch.parts.iter().map(|part| part + pixel),
                                    first,
                                );
                            } else {
                                let same = [&unoccluded.at(y, x)[branch.channels.clone()]; BATCH];
                                reads.sites.append(
                                    self.net.isa,
                                    first + branch.channels.start,
                                    &same[..count],
                                );
                            }
                        }
                        reads.sites.finish_pixel();
                    }
                    _ => {
                        let mut columns = [zeros(0); BATCH];
                        for (p, column) in columns[..count].iter_mut().enumerate() {
                            *column = self.pixel(workspace, blob, y, x, p);
                        }
                        reads.sites.push_pixel(self.net.isa, first, &columns[..count]);
                    }
                }
            }
        }
    }

    /// An inception block's pool and the 1x1 convolution that reads it, pixel by pixel: what is pooled is read again from
    /// the nearest cache and never written to memory, which is slower than the arithmetic here. For the same reason the
    /// pool's input is prepared for the block's other convolutions a row ahead of the pool.
    fn pool_and_convolve(
        &self,
        pool: usize,
        weights: &PackedWeights,
        workspace: &Workspace,
        reads: &mut Reads,
        output: &mut Output,
    ) -> Vec<u8> {
        let pool = &self.net.network.layers[pool];
        let Op::MaxPool(window) = pool.op else { unreachable!("pool_before finds pools") };
        let side = output.side;
        let (mut computed, wanted) = self.to_compute(pool, window, workspace, output);
        let unoccluded = self.base.plane(pool.output);
        let input = &self.net.network.blobs[pool.input];
        let mut sites = SparseActivations::default();
        let mut runs = Vec::with_capacity(window.size);
        output.begin_part();
        for y in 0..side {
            if (self.stop)() {
                break;
            }
            let rows = if y == 0 { 0..2.min(side) } else { (y + 1).min(side)..(y + 2).min(side) };
            self.read_rows(pool.input, rows, workspace, reads, &wanted);
            for x in output.places.rect.x0..output.places.rect.x1 {
                if !(output.places.rect.y0..output.places.rect.y1).contains(&y) {
                    continue;
                }
                let bits = &mut computed[y * side + x];
                if *bits != 0 {
                    sites.clear(self.masks.len());
                    runs_of(window, y, x, input, &mut runs);
                    sites.push_maximum(self.net.isa, &reads.sites, &runs, pool.channels);
                    if output.base.is_some() {
                        *bits &= sites.differing(self.net.isa, 0, unoccluded.at(y, x));
                    }
                }
                let runs = [WindowRow { sites: 0..1, shift: 0 }];
                output.convolve(y, x, *bits, &sites, &runs, weights, 0..weights.panels());
            }
        }
        computed
    }

    /// A pool that reads a sparse_blobs blob and has other readers than one convolution: its own are sparse_blobs, too.
    fn pool_listed(
        &self,
        layer: &Layer,
        window: Window,
        workspace: &Workspace,
        reads: &mut Reads,
        output: &mut Output,
    ) -> Vec<u8> {
        let input = &self.net.network.blobs[layer.input];
        let (computed, wanted) = self.to_compute(layer, window, workspace, output);
        self.read_rows(layer.input, 0..input.side, workspace, reads, &wanted);
        output.begin_part();
        let mut runs = Vec::with_capacity(window.size);
        for (y, x) in output.places.rect.pixels() {
            let at = y * output.side + x;
            let sites = output.sites.as_mut().expect("is_sparse says so");
            if computed[at] == 0 {
                sites.push_empty();
                continue;
            }
            runs_of(window, y, x, input, &mut runs);
            // Positions that need not be computed come out like the unoccluded image: so does all that they read.
            sites.push_maximum(self.net.isa, &reads.sites, &runs, layer.channels);
            output.changed[at] = match output.base {
                Some(base) => sites.differing(self.net.isa, sites.len() - 1, base.at(y, x)),
                None => computed[at],
            };
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
        workspace: &Workspace,
        out: &mut [f32],
    ) {
        let mut pixels: [&[f32]; 9] = [&[]; 9];
        let mut count = 0;
        window.taps(y, x, self.net.network.blobs[layer.input].side, |y, x| {
            pixels[count] = self.pixel(workspace, layer.input, y, x, p);
            count += 1;
        });
        maximum(self.net.isa, &pixels[..count], out);
    }
}

impl SparseBlob {
    fn start(&mut self, blob: BlobId, positions: usize) {
        self.blob = Some(blob);
        self.branches.clear();
        self.sites.clear(positions);
    }

    fn add(&mut self, branch: Branch) {
        let at = self.branches.partition_point(|b| b.channels.start < branch.channels.start);
        self.branches.insert(at, branch);
    }
}

/// What a layer writes.
struct Output<'o> {
    places: Places,
    side: usize,
    /// The layer's first channel in the blob.
    channel: usize,
    /// The unoccluded image's values, unless everything counts as changed.
    base: Option<BlobView<'o>>,
    /// The blob's slot, `[pixel of the rectangle][position][channel]`, or one pixel of a branch of a sparse_blobs blob ..
    values: AlignedBuf,
    /// .. which goes here.
    sites: Option<SparseActivations>,
    /// The first site of each part of the outputs.
    parts: Vec<usize>,
    positions: usize,
    isa: Isa,
    changed: &'o mut [u8],
    /// Multiply-adds so far.
    macs: u64,
}

/// Where pixels and positions lie.
#[derive(Clone, Copy)]
struct Places {
    rect: Rect,
    /// Values between neighbouring pixels, and between positions.
    pixel: usize,
    position: usize,
}

impl Places {
    fn start(&self, y: usize, x: usize, p: usize) -> usize {
        self.rect.index(y, x) * self.pixel + p * self.position
    }
}

impl Output<'_> {
    /// To be called before [`convolve`](Output::convolve) is called with other panels, for each pixel of the rectangle in turn.
    fn begin_part(&mut self) {
        self.parts.extend(self.sites.as_ref().map(SparseActivations::len));
    }

    /// Some outputs of a pixel for the positions in `bits`: computes, compares and keeps them.
    #[allow(clippy::too_many_arguments)]
    fn convolve(
        &mut self,
        y: usize,
        x: usize,
        bits: u8,
        sites: &SparseActivations,
        runs: &[WindowRow],
        weights: &PackedWeights,
        panels: Range<usize>,
    ) {
        if bits == 0 {
            if let Some(sites) = &mut self.sites {
                sites.push_empty();
            }
            return;
        }
        let (mut columns, mut starts, mut count) = ([0; BATCH], [0; BATCH], 0);
        for p in positions(bits) {
            columns[count] = p;
            starts[count] = self.places.start(y, x, p);
            count += 1;
        }
        let channels = weights.channels(panels.clone());
        self.macs += (sites.macs(runs) * count * channels.len()) as u64;
        let tile = Tile { runs, columns: &columns[..count], out: &starts[..count] };
        let undecided = bits & !self.changed[y * self.side + x];
        if let (Some(base), true) = (self.base, undecided != 0) {
            prefetch(&base.at(y, x)[self.channel + channels.start]);
        }
        convolve_tile(self.isa, sites, weights, panels, &tile, Sum::Relu, &mut self.values);
        positions(undecided).for_each(|p| self.compare(y, x, p, channels.clone()));
        let Some(sites) = &mut self.sites else { return };
        let first = self.channel + channels.start;
        let columns: [&[f32]; BATCH] = std::array::from_fn(|p| {
            if p < self.positions && bits >> p & 1 == 0 {
                let base = self.base.expect("without it, every position is computed");
                return &base.at(y, x)[first..first + channels.len()];
            }
            let start = p * self.places.position;
            &self.values[start + channels.start..start + channels.end]
        });
        sites.push_pixel(self.isa, first, &columns[..self.positions]);
    }

    /// Sets the bit of a computed pixel if `channels` of the layer came out different from the unoccluded image's.
    /// To be called while they are still in the first-level cache: all later looks come from farther away.
    fn compare(&mut self, y: usize, x: usize, p: usize, channels: Range<usize>) {
        let bits = &mut self.changed[y * self.side + x];
        if *bits >> p & 1 != 0 {
            return;
        }
        let start = self.places.start(y, x, p);
        let differs = self.base.is_none_or(|base| {
            differ(
                &self.values[start + channels.start..start + channels.end],
                &base.at(y, x)[self.channel + channels.start..self.channel + channels.end],
            )
        });
        *bits |= u8::from(differs) << p;
    }
}

/// The rows of a window that lie in the plane, where a site is a pixel.
fn runs_of(window: Window, y: usize, x: usize, plane: &Blob, runs: &mut Vec<WindowRow>) {
    runs.clear();
    // Where the window's first place would be; left of the plane if there is padding.
    let (y0, x0) = (y * window.stride, x * window.stride);
    let columns = x0.saturating_sub(window.padding)..(x0 + window.size - window.padding).min(plane.side);
    for row in 0..window.size {
        let in_y = (y0 + row).wrapping_sub(window.padding);
        if in_y < plane.side {
            let first = in_y * plane.side;
            let products = (row * window.size + window.padding) as isize - x0 as isize;
            runs.push(WindowRow {
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
        (p < BATCH).then_some(p)
    })
}

/// Whether any value differs in any bit.
fn differ(a: &[f32], b: &[f32]) -> bool {
    // In chunks without a branch inside, which the compiler turns into vectors: most values are equal zeros.
    a.chunks(16)
        .zip(b.chunks(16))
        .any(|(a, b)| a.iter().zip(b).fold(0, |bits, (a, b)| bits | (a.to_bits() ^ b.to_bits())) != 0)
}

//! The memory that a batch works in: masked images, blobs, and for each blob the part that the
//! masks changed.

use super::blob::{BlobReader, SparseBlob, Values};
use super::input::SparseInput;
use super::writer::Target;
use super::{MaskBatch, SMALL};
use crate::forward::{Activations, PADDED_SIDE};
use crate::kernels::{AlignedBuf, SparseActivations, pitch};
use crate::network::geometry::Rect;
use crate::network::{BlobId, Network, Op};
use crate::profile::Cost;
use crate::sweep::channel_sum::ChannelSum;
use crate::sweep::plan::{Plan, Step, Storage};

/// Memory for one batch at a time: the first batches allocate it, later ones reuse it.
pub(crate) struct Workspace {
    pub(super) steps: Vec<Step>,
    /// Copies of the padded image, one for each position; masked while a batch runs.
    pub(super) images: Vec<AlignedBuf>,
    pub(super) blobs: Blobs,
    /// The input of the current step, without zeros.
    pub(super) input: SparseInput,
    /// A band of pixels on their way from a pool to the convolution that reads it.
    pub(super) pooled: SparseActivations,
    /// The outputs of a band of pixels on their way to a sparse blob, `[pixel][position][channel]`.
    pub(super) band: AlignedBuf,
    /// For each layer, its cost since the workspace was made.
    pub(crate) costs: Vec<Cost>,
}

/// The blobs of a batch: their values, and where these differ from the unoccluded image's.
pub(super) struct Blobs {
    storage: Vec<Storage>,
    slots: Vec<AlignedBuf>,
    /// The sparse blob that is being written, and the one before, from which it is made.
    sparse: [SparseBlob; 2],
    /// For each blob, the rectangle that the masks can reach.
    rects: Vec<Rect>,
    /// For each blob and pixel of its plane, a bit for each position whose values differ.
    changed: Vec<Vec<u8>>,
}

/// The memory that a layer writes to.
pub(super) enum Output<'w> {
    Dense(&'w mut AlignedBuf),
    Sparse(&'w mut SparseBlob),
}

impl Blobs {
    fn new(network: &Network, storage: Vec<Storage>, slots: usize) -> Blobs {
        Blobs {
            storage,
            slots: vec![AlignedBuf::default(); slots],
            sparse: Default::default(),
            rects: vec![Rect::default(); network.blobs.len()],
            changed: network.blobs.iter().map(|blob| vec![0; blob.side * blob.side]).collect(),
        }
    }

    /// Forgets the batch before; nothing has changed yet within the rectangles that these masks can
    /// reach.
    fn start(&mut self, batch: &MaskBatch) {
        let bounds = batch.masks.iter().fold(Rect::default(), |all, mask| all.union(&mask.bounds));
        self.rects = reach(&batch.net.network, bounds, batch.exhaustive);
        self.changed.iter_mut().for_each(|changed| changed.fill(0));
        self.sparse.iter_mut().for_each(|sparse| sparse.blob = None);
    }

    /// The blob, for reading.
    pub(super) fn reader<'w>(&'w self, batch: &MaskBatch<'w>, blob: BlobId) -> BlobReader<'w> {
        let values = match self.storage[blob] {
            Storage::Dense(slot) => Values::Dense(&self.slots[slot.0]),
            Storage::Sparse => {
                Values::Sparse(self.sparse.iter().find(|s| s.blob == Some(blob)).expect("kept"))
            }
            Storage::Images | Storage::Nowhere => Values::Dense(&[]),
        };
        let (rect, changed) = (self.rects[blob], &self.changed[blob][..]);
        batch.reader(blob, rect, changed, values)
    }

    /// The input of a step, for reading, and its output, for writing.
    pub(super) fn split<'w>(
        &'w mut self,
        batch: &MaskBatch<'w>,
        step: &Step,
    ) -> (BlobReader<'w>, Target<'w>, Output<'w>) {
        let (input, output) = (step.input, step.output);
        let positions = batch.masks.len();
        if self.storage[output] == Storage::Sparse && self.sparse[0].blob != Some(output) {
            self.sparse.swap(0, 1);
            self.sparse[0].start(output, positions);
        }
        let [newest, previous] = &mut self.sparse;
        let slots = &mut self.slots;
        let (values, written) = match (self.storage[input], self.storage[output]) {
            (Storage::Dense(from), Storage::Dense(to)) => {
                let slots = slots.get_disjoint_mut([from.0, to.0]);
                let [from, to] = slots.expect("the plan gives input and output slots of their own");
                (Values::Dense(from), Output::Dense(to))
            }
            (Storage::Dense(from), Storage::Sparse) => {
                (Values::Dense(&slots[from.0]), Output::Sparse(newest))
            }
            (Storage::Sparse, Storage::Dense(to)) => {
                let from = if newest.blob == Some(input) { newest } else { previous };
                debug_assert_eq!(from.blob, Some(input));
                (Values::Sparse(from), Output::Dense(&mut slots[to.0]))
            }
            (Storage::Sparse, Storage::Sparse) => {
                debug_assert_eq!(previous.blob, Some(input));
                (Values::Sparse(previous), Output::Sparse(newest))
            }
            // The first layer reads the images.
            (Storage::Images, Storage::Dense(to)) => (Values::Dense(&[]), Output::Dense(&mut slots[to.0])),
            (from, to) => unreachable!("no step reads {from:?} and writes {to:?}"),
        };
        let changed = self.changed.get_disjoint_mut([input.0, output.0]);
        let [input_changed, output_changed] = changed.expect("no layer reads its own output");
        let layer = &batch.net.network.layers[step.layer.0];
        let target = Target::new(batch, layer, self.rects[output], output_changed);
        (batch.reader(input, self.rects[input], input_changed, values), target, written)
    }
}

impl<'w> MaskBatch<'w> {
    fn reader(&self, blob: BlobId, rect: Rect, changed: &'w [u8], values: Values<'w>) -> BlobReader<'w> {
        BlobReader {
            blob,
            shape: &self.net.network.blobs[blob],
            unoccluded: self.base.plane(blob),
            rect,
            changed,
            values,
            positions: self.masks.len(),
            exhaustive: self.exhaustive,
        }
    }
}

impl Workspace {
    pub(crate) fn new(network: &Network) -> Workspace {
        let Plan { steps, storage, slots } = Plan::new(network);
        Workspace {
            steps,
            images: Vec::new(),
            blobs: Blobs::new(network, storage, slots),
            input: SparseInput::default(),
            pooled: SparseActivations::default(),
            band: AlignedBuf::default(),
            costs: vec![Cost::default(); network.layers.len()],
        }
    }

    /// Allocates the memory that batches of this size need.
    pub(crate) fn grow(&mut self, size: &WorkspaceSize) {
        let positions = size.positions.max(self.images.len());
        self.images.reserve_exact(positions - self.images.len());
        self.images.resize_with(positions, || AlignedBuf::zeros(PADDED_SIDE * PADDED_SIDE * 3));
        self.blobs.slots.iter_mut().zip(&size.slots).for_each(|(slot, &values)| slot.grow(values));
        for sparse in &mut self.blobs.sparse {
            sparse.activations.clear(1);
            sparse.activations.reserve(size.sparse);
        }
        self.input.reserve(size.input);
    }

    /// Copies the image, which masks then cover.
    pub(crate) fn copy_image(&mut self, base: &Activations) {
        self.images.iter_mut().for_each(|image| image.copy_from_slice(&base.blobs[0]));
    }

    /// Prepares the memory for a batch.
    pub(super) fn start(&mut self, batch: &MaskBatch) {
        for (image, mask) in self.images.iter_mut().zip(batch.masks) {
            mask.cover(batch.cover, image);
        }
        self.blobs.start(batch);
        self.input.forget();
    }

    /// Restores the images.
    pub(super) fn end(&mut self, batch: &MaskBatch) {
        for (image, mask) in self.images.iter_mut().zip(batch.masks) {
            mask.copy(&batch.base.blobs[0], image);
        }
    }
}

/// The size of a workspace that suffices for some batches. A workspace does not grow beyond it
/// while they run.
#[derive(Clone, Default)]
pub(crate) struct WorkspaceSize {
    positions: usize,
    /// Values of each slot.
    slots: Vec<usize>,
    /// Entries of a sparse blob, of a step's input, and of the blob that a channel sum reads.
    sparse: usize,
    input: usize,
    summed: usize,
}

impl WorkspaceSize {
    /// The size for batches with these masks, given by the bounds of each batch's masks.
    pub(crate) fn of<'m>(
        network: &Network,
        batches: impl Iterator<Item = impl Iterator<Item = Rect> + Clone + 'm>,
        channel_sums: &[ChannelSum],
        exhaustive: bool,
    ) -> WorkspaceSize {
        let plan = Plan::new(network);
        let mut size = WorkspaceSize { slots: vec![0; plan.slots], ..WorkspaceSize::default() };
        for bounds in batches {
            let positions = bounds.clone().count();
            size.positions = size.positions.max(positions);
            let all = bounds.fold(Rect::default(), |all, bounds| all.union(&bounds));
            let rects = reach(network, all, exhaustive);
            for step in &plan.steps {
                let (blob, area) = (&network.blobs[step.output], rects[step.output].area());
                match plan.storage[step.output] {
                    Storage::Dense(slot) => {
                        let values = area * positions * pitch(blob.channels);
                        size.slots[slot.0] = size.slots[slot.0].max(values);
                    }
                    _ => size.sparse = size.sparse.max(area * blob.channels),
                }
                if let Some((window, output_side)) = step.sparse_read {
                    let blob = &network.blobs[step.input];
                    let read = rects[step.input].through(window, output_side).reads(window, blob.side);
                    size.input = size.input.max(read.area() * blob.channels);
                }
            }
        }
        for sum in channel_sums {
            let blob = &network.blobs[sum.source];
            size.summed = size.summed.max(blob.side.pow(2) * blob.channels);
        }
        size
    }

    /// Bytes of one worker's workspace.
    pub(crate) fn bytes(&self) -> usize {
        let image = PADDED_SIDE * PADDED_SIDE * 3;
        let values = self.positions * image.next_multiple_of(16) + self.slots.iter().sum::<usize>();
        let entries = SparseActivations::bytes_for;
        let summed = if self.summed == 0 { 0 } else { 3 * entries(self.summed) };
        values * size_of::<f32>() + 2 * entries(self.sparse) + entries(self.input) + summed + SMALL
    }
}

/// Finds the rectangle of every blob that masks within `bounds` can reach.
fn reach(network: &Network, bounds: Rect, exhaustive: bool) -> Vec<Rect> {
    let mut rects = vec![Rect::default(); network.blobs.len()];
    rects[BlobId::IMAGE] = bounds;
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
    rects
}

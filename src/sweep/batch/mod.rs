//! Runs up to eight masked copies of one image through the network side by side and computes only
//! what the masks changed.
//!
//! The zeros of neighbouring mask positions lie at nearly the same pixels and channels. One list of
//! non-zero channels therefore serves the whole batch, and each weight that is loaded is used up to
//! eight times. Values that no mask has changed are read from the unoccluded image's activations.
//! Two measures bound the work:
//!
//! * For each blob, the *rectangle* that the batch's masks can reach ([`Rect::through`], layer by layer). It sizes the memory
//!   and the loops.
//! * For each pixel in it, one *bit for each position* that says whether its values really differ from the unoccluded ones. A
//!   pixel of the next layer is computed for a position only if its window holds such a bit. Max pooling and ReLU often hide a
//!   change, and the affected area shrinks to what is left.
//!
//! `docs/06-receptive-fields.md` explains both measures, `docs/07-zeros-and-bits.md` the zeros.
//!
//! `blob` has the values, `workspace` the memory, `input` a layer's input without zeros, `writer`
//! its output, `layers` the work in between. The plan (`src/sweep/plan.rs`) says in which order the
//! layers run and how blobs are stored: the outputs of inception blocks, most of them zeros, are
//! kept sparse; the other blobs share a few buffers.

mod blob;
mod input;
mod layers;
mod workspace;
mod writer;

pub(crate) use workspace::{Workspace, WorkspaceSize};

use super::channel_sum::ChannelSum;
use super::mask::Mask;
use crate::forward::{Activations, GoogLeNet};
use crate::kernels::BATCH;
use crate::network::BlobId;
use crate::network::geometry::Rect;
use crate::profile::Cost;
use crate::stopwatch::Stopwatch;
use input::SparseInput;

/// One batch: the masks, and the image to compare with.
pub(crate) struct MaskBatch<'a> {
    pub(crate) net: &'a GoogLeNet,
    /// The unoccluded image's activations.
    pub(crate) base: &'a Activations,
    /// The mask of each position, at most [`BATCH`].
    pub(crate) masks: &'a [Mask],
    /// The values that covered pixels take: an image in the form of blob 0.
    pub(crate) cover: &'a [f32],
    /// Channels to sum over their plane.
    pub(crate) channel_sums: &'a [ChannelSum],
    /// True if everything is recomputed, whatever the masks can have changed.
    pub(crate) exhaustive: bool,
    /// Returns true if the run must stop; it is called every few milliseconds. After the first true
    /// it must always return true, because a step that stopped leaves its output incomplete.
    pub(crate) stop: &'a (dyn Fn() -> bool + Sync),
}

/// Bytes of a worker's workspace that [`WorkspaceSize`] does not count one by one: lists of pixels,
/// a pixel's outputs, the results. `tests/limits/memory.rs` holds the sum against the memory that
/// is allocated.
const SMALL: usize = 2 << 20;

impl MaskBatch<'_> {
    /// Runs all layers. Returns for each position, in order, its logits and the total of each
    /// channel sum; `None` if it was stopped.
    pub(crate) fn run(&self, workspace: &mut Workspace) -> Option<Vec<(Vec<f32>, Vec<f32>)>> {
        debug_assert!(self.masks.len() <= BATCH);
        workspace.start(self);
        let mut totals = vec![vec![0.0; self.channel_sums.len()]; self.masks.len()];
        for i in 0..workspace.steps.len() {
            if (self.stop)() {
                break;
            }
            let step = workspace.steps[i];
            let layer = &self.net.network.layers[step.layer.0];
            let start = Stopwatch::start();
            let (pixels, macs) = self.run_step(&step, workspace);
            workspace.costs[step.layer.0] += Cost {
                affected: pixels * self.net.network.multiply_adds_per_pixel(layer) as u64,
                executed: macs,
                seconds: start.seconds(),
            };
            // Now, because later blobs take the memory of this one.
            for (s, sum) in
                self.channel_sums.iter().enumerate().filter(|(_, sum)| sum.last_writer == step.layer)
            {
                let all = self.sum_channel(sum, workspace);
                totals.iter_mut().zip(all).for_each(|(totals, total)| totals[s] = total);
            }
        }
        workspace.end(self);
        if (self.stop)() {
            return None;
        }
        let logits = workspace.blobs.reader(self, BlobId(self.net.network.blobs.len() - 1));
        let logits = (0..self.masks.len()).map(|p| logits.pixel(0, 0, p).to_vec());
        Some(logits.zip(totals).collect())
    }

    /// The total of a channel for each position.
    fn sum_channel(&self, sum: &ChannelSum, workspace: &Workspace) -> Vec<f32> {
        let reader = workspace.blobs.reader(self, sum.source);
        let (side, channels) = (reader.shape.side, reader.shape.channels);
        let mut input = SparseInput::default();
        input.fill(self.net.isa, &reader, &vec![true; side * side]);
        let plane = |p: usize| -> Vec<f32> {
            let pixels = Rect::plane(side).pixels().enumerate();
            pixels
                .map(|(pixel, (_, x))| input.activations.value(pixel, x * channels + sum.channel, p))
                .collect()
        };
        (0..self.masks.len()).map(|p| sum.total(&plane(p))).collect()
    }
}

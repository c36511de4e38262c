//! Runs many masked copies of one image through the network on all threads, in batches, within a
//! bound on memory.
//!
//! A copy is a number here, with a mask and an answer. The callers know what the numbers stand for:
//! the sweep, and the curves of `src/explain/faithfulness.rs`. `src/sweep/batch` computes one
//! batch.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::batch::{MaskBatch, Workspace, WorkspaceSize};
use super::channel_sum::ChannelSum;
use super::mask::Mask;
use crate::forward::{Activations, Classification, GoogLeNet};
use crate::kernels::batch_size;
use crate::network::geometry::Rect;
use crate::profile::{Cost, sum};
use crate::{Error, Result};
use crate::{memory, parallel};

/// One image, the values that cover parts of it, and the options of a run.
pub(crate) struct BatchRunner<'r> {
    pub(crate) net: &'r GoogLeNet,
    pub(crate) base: &'r Activations,
    /// The values that covered pixels take: an image in the form of blob 0.
    pub(crate) cover: &'r [f32],
    pub(crate) channel_sums: &'r [ChannelSum],
    pub(crate) exhaustive: bool,
    /// A flag that stops a run when it is set.
    pub(crate) cancel: Option<&'r AtomicBool>,
    /// The most bytes to take, and the bytes among them that the caller has taken already.
    pub(crate) max_memory: usize,
    pub(crate) fixed_memory: usize,
    /// Workspaces that an earlier run has left for a later one.
    pub(crate) spare: Mutex<Vec<Workspace>>,
}

/// The classification of a copy, and the total of each channel sum.
pub(crate) type Answer = (Classification, Vec<f32>);

/// The purpose of a worker's memory.
const SWEEP: &str = "a sweep on one thread";

/// Positions in a batch that is smaller than others, and its speed relative to them
/// (`docs/performance.md`).
const SMALLER: [(usize, f64); 3] = [(4, 0.93), (2, 0.7), (1, 0.45)];

/// Stops the other threads when this one panics in a callback: the panic reaches the caller when
/// all have ended.
struct StopOnPanic<'s>(&'s AtomicBool);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

impl<'r> BatchRunner<'r> {
    /// A runner without channel sums, flag and bound on memory.
    pub(crate) fn new(net: &'r GoogLeNet, base: &'r Activations, cover: &'r [f32]) -> BatchRunner<'r> {
        BatchRunner {
            net,
            base,
            cover,
            channel_sums: &[],
            exhaustive: false,
            cancel: None,
            max_memory: usize::MAX,
            fixed_memory: 0,
            spare: Mutex::default(),
        }
    }

    /// Runs the copies that `order` numbers, whose masks lie in `bounds`: `mask` says what is
    /// covered, `done` receives the answers of some copies that follow each other in the order, on
    /// the thread that made them, and may stop the run. Copies should have masks like their
    /// neighbours'. Returns what each layer has cost, with earlier runs.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when `done` or the flag has stopped it; [`Error::Option`] when the bound on
    /// memory is too low; [`Error::Memory`] when the system has no memory for one worker.
    pub(crate) fn run(
        &self,
        order: &[usize],
        bounds: impl Fn(usize) -> Rect,
        mask: impl Fn(usize) -> Mask + Sync,
        done: impl Fn(&[usize], Vec<Answer>) -> ControlFlow<()> + Sync,
    ) -> Result<Vec<Cost>> {
        let Load { workers, batch, size } = self.plan(order, bounds)?;
        let batches = batches(order, workers, batch);
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        // A run that was stopped stays so, whatever becomes of the flag: a batch that gave up has
        // left results out.
        let stopped = || {
            if self.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
                stop.store(true, Ordering::Relaxed);
            }
            stop.load(Ordering::Relaxed)
        };
        // One loop for each worker, so that each allocates its workspace once. A worker that is free
        // takes the next batch; one that starts when none is left takes no memory.
        let workspaces = parallel::map(workers, |_| {
            let _guard = StopOnPanic(&stop);
            if next.load(Ordering::Relaxed) >= batches.len() || stopped() {
                return None;
            }
            // Without memory for this worker, the others run its batches.
            let mut workspace = self.workspace(&size)?;
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= batches.len() || stopped() {
                    return Some(workspace);
                }
                let masks: Vec<Mask> = batches[at].iter().map(|&i| mask(i)).collect();
                let batch = MaskBatch {
                    net: self.net,
                    base: self.base,
                    masks: &masks,
                    cover: self.cover,
                    channel_sums: self.channel_sums,
                    exhaustive: self.exhaustive,
                    stop: &stopped,
                };
                let Some(answers) = batch.run(&mut workspace) else { return Some(workspace) };
                let answers = answers.into_iter();
                let answers = answers.map(|(logits, totals)| (Classification::new(logits), totals));
                if done(batches[at], answers.collect()).is_break() {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        });
        let mut spare = self.spare.lock().expect("no panic while it is held");
        spare.extend(workspaces.into_iter().flatten());
        let costs = sum(spare.iter().map(|workspace| workspace.costs.clone()).collect());
        if stop.into_inner() {
            return Err(Error::Cancelled);
        }
        if next.into_inner() < batches.len() {
            return Err(memory::lacking(SWEEP, size.bytes()));
        }
        Ok(costs)
    }

    /// A workspace for batches of this size: one that an earlier run has left, or a new one; `None` if
    /// there is no memory for it.
    fn workspace(&self, size: &WorkspaceSize) -> Option<Workspace> {
        // Nobody else may take the memory between the check and the allocation.
        let mut spare = self.spare.lock().expect("no panic while it is held");
        if !has_memory(size.bytes(), &mut spare) {
            return None;
        }
        let mut workspace = spare.pop().unwrap_or_else(|| Workspace::new(self.net.network()));
        workspace.grow(size);
        drop(spare);
        workspace.copy_image(self.base);
        Some(workspace)
    }

    /// Chooses the fastest combination of workers and batch size that fits the memory. There are no
    /// more workers than batches and no more than the cores can use, so that memory grows with the
    /// work and not with the threads.
    fn plan(&self, order: &[usize], bounds: impl Fn(usize) -> Rect) -> Result<Load> {
        let mut spare = self.spare.lock().expect("no panic while it is held");
        if self.max_memory < usize::MAX {
            // What an earlier run has left is not in this one's plan.
            spare.clear();
        }
        let allowed = self.max_memory.saturating_sub(self.fixed_memory);
        let threads = parallel::workers();
        let mut fastest: Option<(f64, Load)> = None;
        let mut least = 0;
        for (batch, speed) in [(batch_size(self.net.isa), 1.0)].into_iter().chain(SMALLER) {
            // The half-size batches at the end are parts of these.
            let batches = batches(order, 1, batch);
            let most = threads.min(batches.len().max(1));
            let bounds = batches.into_iter().map(|batch| batch.iter().map(|&i| bounds(i)));
            let size = WorkspaceSize::of(self.net.network(), bounds, self.channel_sums, self.exhaustive);
            least = size.bytes();
            let mut workers = most.min(allowed / least);
            while workers > 0 && !has_memory(workers * least, &mut spare) {
                workers -= 1;
            }
            let speed = workers as f64 * speed;
            if workers > 0 && fastest.as_ref().is_none_or(|(most, _)| speed > *most) {
                fastest = Some((speed, Load { workers, batch, size }));
            }
            if workers == threads {
                break;
            }
        }
        match fastest {
            Some((_, load)) => Ok(load),
            None if least > allowed => Err(too_low(self.max_memory, self.fixed_memory + least)),
            None => Err(memory::lacking(SWEEP, least)),
        }
    }
}

/// True if the system has the memory. If it is short, workspaces of earlier runs are freed.
fn has_memory(bytes: usize, spare: &mut Vec<Workspace>) -> bool {
    if memory::is_free(bytes) {
        return true;
    }
    spare.clear();
    memory::is_free(bytes)
}

/// The error for a bound on memory below `least` bytes.
pub(super) fn too_low(max_memory: usize, least: usize) -> Error {
    // Rounded up, because the text tells what is enough.
    let tenths = |bytes: usize| (bytes as f64 * 10.0 / f64::from(1 << 20)).ceil();
    let megabytes = |bytes: usize| format!("{:.1} MB ({bytes} bytes)", tenths(bytes) / 10.0);
    Error::option("max memory", megabytes(max_memory), format!("at least {}", megabytes(least)))
}

/// The number of workers, the positions in a batch, and the size of each worker's workspace.
struct Load {
    workers: usize,
    batch: usize,
    size: WorkspaceSize,
}

/// Splits positions into batches. The last few are about half-size, to balance load at the end: of a
/// power of two, for which there are full tiles.
fn batches(order: &[usize], workers: usize, batch: usize) -> Vec<&[usize]> {
    let half = (batch / 2).next_power_of_two();
    let (last, half) = if workers > 1 { (workers * 2 * half, half) } else { (0, batch) };
    let whole = order.len().saturating_sub(last) / batch * batch;
    order[..whole].chunks(batch).chain(order[whole..].chunks(half)).collect()
}

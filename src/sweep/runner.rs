//! Many masked copies of one image through the network, on all threads: how many side by side in how much memory, who takes the
//! next ones, and how a run is stopped.
//!
//! A copy is a number here, with a mask and an answer. What the numbers stand for is known to the callers, the sweep and the
//! curves of `src/explain/faithfulness.rs`; how a few copies are computed, to `src/sweep/batch/mod.rs`.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::batch::{MaskBatch, Workspace, WorkspaceSize};
use super::channel_sum::ChannelSum;
use super::mask::Mask;
use crate::forward::{Activations, Classification, GoogLeNet};
use crate::kernels::BATCH;
use crate::network::geometry::Rect;
use crate::parallel;
use crate::profile::{Cost, sum};
use crate::{Error, Result};

/// One image, what covers parts of it, and what is asked about each copy.
pub(crate) struct BatchRunner<'r> {
    pub(crate) net: &'r GoogLeNet,
    pub(crate) base: &'r Activations,
    /// What pixels become when they are covered: an image as blob 0 has it.
    pub(crate) cover: &'r [f32],
    pub(crate) channel_sums: &'r [ChannelSum],
    pub(crate) exhaustive: bool,
    /// Set from outside to stop a run.
    pub(crate) cancel: Option<&'r AtomicBool>,
    /// Bytes that may be taken, and how many of them the caller has taken already.
    pub(crate) max_memory: usize,
    pub(crate) fixed_memory: usize,
    /// Memory that an earlier run has left for a later one.
    pub(crate) spare: Mutex<Vec<Workspace>>,
}

/// What the network says about a copy, and the total of each watched channel.
pub(crate) type Answer = (Classification, Vec<f32>);

/// Positions side by side, and how fast that is against eight (`docs/performance.md`).
const SIDE_BY_SIDE: [(usize, f64); 4] = [(BATCH, 1.0), (4, 0.93), (2, 0.7), (1, 0.45)];

/// Stops the other threads when this one panics in a callback: the panic reaches the caller when all have ended.
struct StopOnPanic<'s>(&'s AtomicBool);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

impl BatchRunner<'_> {
    /// Runs the copies that `order` numbers, whose masks lie in `bounds`: `mask` says what is covered, `done` receives the
    /// answers of some copies that follow each other in the order, on the thread that made them, and may stop the run. Copies
    /// should have masks like their neighbours'. Returns what each layer has cost, with earlier runs.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when `done` or the flag has stopped it; [`Error::Option`] when the memory is not enough.
    pub(crate) fn run(
        &self,
        order: &[usize],
        bounds: impl Fn(usize) -> Rect,
        mask: impl Fn(usize) -> Mask + Sync,
        done: impl Fn(&[usize], Vec<Answer>) -> ControlFlow<()> + Sync,
    ) -> Result<Vec<Cost>> {
        if self.max_memory < usize::MAX {
            // What an earlier run has left is not in this one's plan.
            self.spare.lock().expect("no panic while it is held").clear();
        }
        let Plan { workers, columns, room } = self.plan(order, bounds)?;
        let groups = groups(order, workers, columns);
        let (next, started, stop) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
        // Once stopped it stays so, whatever becomes of the flag: what a group has left out is missing.
        let stopped = || {
            if self.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
                stop.store(true, Ordering::Relaxed);
            }
            stop.load(Ordering::Relaxed)
        };
        // One loop a thread, so that each allocates its workspace once; groups go to whoever is free.
        let workspaces = parallel::on_each(|| {
            if started.fetch_add(1, Ordering::Relaxed) >= workers {
                return None;
            }
            let _guard = StopOnPanic(&stop);
            let spare = self.spare.lock().expect("no panic while it is held").pop();
            let mut workspace = spare.unwrap_or_else(|| Workspace::new(self.net.network()));
            workspace.grow(&room, self.base);
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= groups.len() || stopped() {
                    return Some(workspace);
                }
                let masks: Vec<Mask> = groups[at].iter().map(|&i| mask(i)).collect();
                let group = MaskBatch {
                    net: self.net,
                    base: self.base,
                    masks: &masks,
                    cover: self.cover,
                    channel_sums: self.channel_sums,
                    exhaustive: self.exhaustive,
                    stop: &stopped,
                };
                let Some(answers) = group.run(&mut workspace) else { return Some(workspace) };
                let answers = answers.into_iter();
                let answers = answers.map(|(logits, totals)| (Classification::new(logits), totals));
                if done(groups[at], answers.collect()).is_break() {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        });
        let workspaces: Vec<Workspace> = workspaces.into_iter().flatten().collect();
        let costs = sum(workspaces.iter().map(|workspace| workspace.costs.clone()).collect());
        self.spare.lock().expect("no panic while it is held").extend(workspaces);
        if stop.into_inner() { Err(Error::Cancelled) } else { Ok(costs) }
    }

    /// As fast as the memory allows.
    fn plan(&self, order: &[usize], bounds: impl Fn(usize) -> Rect) -> Result<Plan> {
        let memory = self.max_memory.saturating_sub(self.fixed_memory);
        let mut fastest: Option<(f64, Plan)> = None;
        let mut least = 0;
        for (columns, speed) in SIDE_BY_SIDE {
            // Half groups in the end are parts of these.
            let groups = groups(order, 1, columns).into_iter();
            let groups = groups.map(|group| group.iter().map(|&i| bounds(i)));
            let room = WorkspaceSize::of(self.net.network(), groups, self.channel_sums, self.exhaustive);
            least = room.bytes();
            let workers = parallel::count().min(memory / least);
            let speed = workers as f64 * speed;
            if workers > 0 && fastest.as_ref().is_none_or(|(most, _)| speed > *most) {
                fastest = Some((speed, Plan { workers, columns, room }));
            }
            if workers == parallel::count() {
                break;
            }
        }
        let too_little = || Error::Option {
            name: "max memory",
            found: format!("{} bytes", self.max_memory),
            expected: format!("at least {} bytes for these masks", self.fixed_memory + least),
        };
        fastest.map(|(_, plan)| plan).ok_or_else(too_little)
    }
}

/// How much at a time.
struct Plan {
    workers: usize,
    columns: usize,
    room: WorkspaceSize,
}

/// The copies in groups for the kernels' columns. The last few groups are half as large, so that no thread waits long
/// for another in the end.
fn groups(order: &[usize], workers: usize, columns: usize) -> Vec<&[usize]> {
    let (last, few) = if workers > 1 { (workers * columns, columns.div_ceil(2)) } else { (0, columns) };
    let whole = order.len().saturating_sub(last) / columns * columns;
    order[..whole].chunks(columns).chain(order[whole..].chunks(few)).collect()
}

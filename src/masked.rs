//! Many masked copies of one image through the network, on all threads.

use crate::googlenet::{Activations, Classification, GoogLeNet};
use crate::group::{Group, Scratch};
use crate::kernels::COLUMNS;
use crate::mask::Mask;
use crate::profile::{Cost, sum};
use crate::threads;
use crate::watch::Watch;
use crate::{Error, Result};
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// One image, what covers parts of it, and what is asked about each copy.
pub(crate) struct MaskedCopies<'r> {
    pub(crate) net: &'r GoogLeNet,
    pub(crate) base: &'r Activations,
    /// What pixels become when they are covered: an image as blob 0 has it.
    pub(crate) cover: &'r [f32],
    pub(crate) watches: &'r [Watch],
    pub(crate) exhaustive: bool,
    /// Memory that an earlier run has left for a later one.
    pub(crate) spare: Mutex<Vec<Scratch>>,
}

/// What the network says about a copy, and the total of each watched channel.
pub(crate) type Answer = (Classification, Vec<f32>);

impl MaskedCopies<'_> {
    /// Runs the copies that `order` numbers: `mask` says what is covered, `done` receives the answers of some copies that
    /// follow each other in the order, on the thread that made them, and may stop the run. Copies should have masks like their
    /// neighbours'. Returns what each layer has cost, with earlier runs.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when `done` has stopped it.
    pub(crate) fn run(
        &self,
        order: &[usize],
        mask: impl Fn(usize) -> Mask + Sync,
        done: impl Fn(&[usize], Vec<Answer>) -> ControlFlow<()> + Sync,
    ) -> Result<Vec<Cost>> {
        let groups = groups(order, threads::count());
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        // One loop a thread, so that each allocates its scratch memory once; groups go to whoever is free.
        let scratches = threads::on_each(|| {
            let spare = self.spare.lock().expect("no panic while it is held").pop();
            let mut scratch = spare.unwrap_or_else(|| Scratch::new(self.net.network(), self.base));
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= groups.len() || stop.load(Ordering::Relaxed) {
                    return scratch;
                }
                let masks: Vec<Mask> = groups[at].iter().map(|&i| mask(i)).collect();
                let group = Group {
                    net: self.net,
                    base: self.base,
                    masks: &masks,
                    cover: self.cover,
                    watches: self.watches,
                    exhaustive: self.exhaustive,
                };
                let answers = group.run(&mut scratch).into_iter();
                let answers = answers.map(|(logits, totals)| (Classification::new(logits), totals));
                if done(groups[at], answers.collect()).is_break() {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        });
        let costs = sum(scratches.iter().map(|scratch| scratch.costs.clone()).collect());
        self.spare.lock().expect("no panic while it is held").extend(scratches);
        if stop.into_inner() { Err(Error::Cancelled) } else { Ok(costs) }
    }
}

/// The copies in groups for the kernels' columns. The last few groups are half as large, so that no thread waits long
/// for another in the end.
fn groups(order: &[usize], threads: usize) -> Vec<&[usize]> {
    let (last, few) = if threads > 1 { (threads * COLUMNS, COLUMNS / 2) } else { (0, COLUMNS) };
    let whole = order.len().saturating_sub(last) / COLUMNS * COLUMNS;
    order[..whole].chunks(COLUMNS).chain(order[whole..].chunks(few)).collect()
}

//! Bounds on memory and on time, by measuring the whole process. So its tests run one at a time: each holds [`alone`].

use std::sync::{Mutex, MutexGuard};

use peak_alloc::PeakAlloc;

mod cancel;
#[path = "../common/mod.rs"]
mod common;
mod memory;
#[cfg(feature = "pth")]
mod pth;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// No other test of this program runs while this is held.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

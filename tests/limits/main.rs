//! Tests of limits on memory and time. They measure the whole process, so they run one at a time:
//! each test holds [`alone`].

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

/// While a test holds this lock, no other test of this program runs.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

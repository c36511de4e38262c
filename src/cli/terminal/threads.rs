//! The thread pool of the process.

use std::hint::black_box;

use occlude::parallel::{default_threads, useful};
use occlude::{Error, Result, memory};
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use super::console;

/// Bytes of addresses that a thread may take: its stack, and the heap that glibc makes for it at any
/// moment, for which it asks twice 64 MB.
const OF_A_THREAD: usize = if cfg!(target_env = "gnu") { 130 << 20 } else { 2 << 20 };

/// Bytes of memory without which no subcommand can begin: for names of classes, settings and messages.
const LEAST: usize = 8 << 20;

/// Runs a subcommand in a pool of `threads` threads, by default one per core, as far as they are
/// useful. If no thread can be started and the user has not asked for several, the calling thread
/// does all work.
///
/// The whole subcommand runs in the pool. New threads often share a core in their first
/// milliseconds; this then happens while the weights are loaded, not in the part that is timed.
pub fn on_threads<T: Send>(threads: Option<usize>, run: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let count = affordable(threads)?;
    // Where glibc has no room for the heap of a thread, it takes a page for each of the thread's
    // allocations, however small. The calling thread has a heap.
    let on_this_thread = || ThreadPoolBuilder::new().num_threads(1).use_current_thread().build();
    let mut pool =
        if count == 1 { on_this_thread() } else { ThreadPoolBuilder::new().num_threads(count).build() };
    if let Err(error) = &pool
        && threads.is_none()
    {
        console::print_note(&format!("no thread can be started ({error}): the program runs on one thread"));
        pool = on_this_thread();
    }
    let pool = pool.map_err(|error| not_started(count, &error))?;
    // Each thread reserves memory for its allocations when it starts, before this program checks what
    // is left.
    pool.broadcast(|_| drop(black_box(vec![0; 100])));
    pool.install(|| {
        memory::require("the program", LEAST)?;
        run()
    })
}

/// Starts a pool as [`on_threads`] does, for a program that gives it work from several other threads.
#[cfg(feature = "serve")]
pub fn pool(threads: Option<usize>) -> Result<ThreadPool> {
    let count = affordable(threads)?;
    ThreadPoolBuilder::new().num_threads(count).build().map_err(|error| not_started(count, &error))
}

/// Starts a pool with another number of threads than the current one: one less, or 2 beside one.
/// Returns none if the system has no memory for them or cannot start them.
pub fn another_pool() -> Option<ThreadPool> {
    let count = match rayon::current_num_threads() {
        1 => 2,
        several => several - 1,
    };
    if fitting(count) < count {
        return None;
    }
    ThreadPoolBuilder::new().num_threads(count).build().ok()
}

/// The number of threads of a pool: `threads`, or one per core, as far as they are useful and there is
/// memory for them.
fn affordable(threads: Option<usize>) -> Result<usize> {
    let asked = useful(threads.map_or_else(default_threads, Ok)?);
    let count = fitting(asked).max(1);
    if count < asked {
        let threads = if count == 1 { "one thread".to_string() } else { format!("{count} threads") };
        console::print_note(&format!(
            "there is no memory for {asked} threads: the program runs on {threads}"
        ));
    }
    Ok(count)
}

/// The number of threads, at most `count`, for which there is memory now.
fn fitting(count: usize) -> usize {
    // One block stays for the network.
    memory::blocks(count + 1, OF_A_THREAD).saturating_sub(1)
}

fn not_started(count: usize, error: &ThreadPoolBuildError) -> Error {
    Error::Option {
        name: "--threads",
        found: count.to_string(),
        expected: format!("a number of threads that the system can start ({error})"),
    }
}

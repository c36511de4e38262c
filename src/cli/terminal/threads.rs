//! The thread pool of the process.

use occlude::parallel::default_threads;
use occlude::{Error, Result};
use rayon::ThreadPoolBuilder;

use super::console;

/// Runs a subcommand in a pool of `threads` threads, by default one per core. If no thread can be
/// started and the user has not asked for several, the calling thread does all work.
///
/// The whole subcommand runs in the pool. New threads often share a core in their first
/// milliseconds; this then happens while the weights are loaded, not in the part that is timed.
pub fn on_threads<T: Send>(threads: Option<usize>, run: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let count = threads.map_or_else(default_threads, Ok)?;
    let mut pool = ThreadPoolBuilder::new().num_threads(count).build();
    if let Err(error) = &pool
        && threads.is_none_or(|threads| threads == 1)
    {
        console::print_note(&format!("no thread can be started ({error}): the program runs on one thread"));
        pool = ThreadPoolBuilder::new().num_threads(1).use_current_thread().build();
    }
    let pool = pool.map_err(|error| Error::Option {
        name: "--threads",
        found: count.to_string(),
        expected: format!("a number of threads that the system can start ({error})"),
    })?;
    pool.install(run)
}

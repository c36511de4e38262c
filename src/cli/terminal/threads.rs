//! The thread pool of the process.

use occlude::{Error, Result};

/// Runs a subcommand in a pool of `threads` threads, by default one per core.
///
/// The whole subcommand runs in the pool. New threads often share a core in their first
/// milliseconds; this then happens while the weights are loaded, not in the part that is timed.
pub fn on_threads<T: Send>(threads: Option<usize>, run: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
    let pool = pool.map_err(|e| Error::Option {
        name: "--threads",
        found: threads.map_or_else(|| "the default".to_string(), |threads| threads.to_string()),
        expected: format!("a number of threads that the system can start ({e})"),
    })?;
    pool.install(run)
}

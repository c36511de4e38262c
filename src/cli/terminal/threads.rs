//! On how many threads a subcommand runs: the one pool of the process is made here.

use occlude::{Error, Result};

/// Runs a subcommand in a pool of `threads` threads, or the default one: all of it, for new threads often share a core in
/// their first milliseconds, and loading is a better time for that than what is timed.
pub fn on_threads<T: Send>(threads: Option<usize>, run: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
    let pool = pool.map_err(|e| Error::Option {
        name: "--threads",
        found: threads.map_or_else(|| "the default".to_string(), |threads| threads.to_string()),
        expected: format!("as many as the system can start ({e})"),
    })?;
    pool.install(run)
}

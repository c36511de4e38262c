//! Parallel execution on the threads of the current rayon pool, or on the calling thread without
//! the feature `rayon`. Results do not depend on the number of threads. No other module of the
//! library calls rayon.

use crate::Result;
#[cfg(feature = "rayon")]
use {crate::Error, rayon::prelude::*};

/// Returns the number of threads of the current pool.
pub(crate) fn count() -> usize {
    #[cfg(feature = "rayon")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "rayon"))]
    1
}

/// Calls `f` for 0 to `count - 1` and returns the results in this order.
pub(crate) fn map<R: Send>(count: usize, f: impl Fn(usize) -> R + Sync + Send) -> Vec<R> {
    #[cfg(feature = "rayon")]
    return (0..count).into_par_iter().map(f).collect();
    #[cfg(not(feature = "rayon"))]
    (0..count).map(f).collect()
}

/// Divides `values` into chunks of `size` values, the last of which may be shorter, calls
/// `f(number, chunk)` for each and returns the results in the order of the chunks.
pub(crate) fn map_chunks<T: Send, R: Send>(
    values: &mut [T],
    size: usize,
    f: impl Fn(usize, &mut [T]) -> R + Sync + Send,
) -> Vec<R> {
    #[cfg(feature = "rayon")]
    let chunks = values.par_chunks_mut(size);
    #[cfg(not(feature = "rayon"))]
    let chunks = values.chunks_mut(size);
    chunks.enumerate().map(|(number, chunk)| f(number, chunk)).collect()
}

/// Calls `f` once on each thread of the current pool and returns the results.
pub(crate) fn on_each<R: Send>(f: impl Fn() -> R + Sync) -> Vec<R> {
    #[cfg(feature = "rayon")]
    return rayon::broadcast(|_| f());
    #[cfg(not(feature = "rayon"))]
    vec![f()]
}

/// Calls `run` in a new pool of `threads` threads, or in the current pool if `threads` is 0.
///
/// # Errors
/// [`Error::Option`](crate::Error::Option) if the system cannot start that many threads.
pub(crate) fn in_pool<T: Send>(threads: usize, run: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    #[cfg(feature = "rayon")]
    if threads > 0 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|error| {
            let expected = format!("at most as many as the system can start ({error})");
            Error::option("number of threads", threads, expected)
        })?;
        return pool.install(run);
    }
    #[cfg(not(feature = "rayon"))]
    let _ = threads;
    run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_and_every_value_is_visited_once() {
        assert_eq!(map(100, |i| i * i), (0..100).map(|i| i * i).collect::<Vec<_>>());
        let mut values = vec![0; 10];
        let lengths = map_chunks(&mut values, 4, |number, chunk| {
            chunk.iter_mut().for_each(|value| *value += number + 1);
            chunk.len()
        });
        assert_eq!((lengths, values), (vec![4, 4, 2], vec![1, 1, 1, 1, 2, 2, 2, 2, 3, 3]));
        assert_eq!(on_each(|| 7), vec![7; count()]);
    }

    #[test]
    fn a_pool_has_as_many_threads_as_were_asked_for() {
        let found = in_pool(3, || Ok((count(), on_each(|| ()).len()))).unwrap();
        assert_eq!(found, if cfg!(feature = "rayon") { (3, 3) } else { (1, 1) });
        assert_eq!(in_pool(0, || Ok(count())).unwrap(), count());
    }
}

//! Parallel execution on the threads of the current rayon pool, or on the calling thread without
//! the feature `rayon` and where no thread can be started. Results do not depend on the number of
//! threads. No other module of the library calls rayon.

use std::cell::Cell;
use std::env;
use std::thread::{LocalKey, available_parallelism};

use crate::{Error, Result};
#[cfg(feature = "rayon")]
use {
    rayon::{ThreadPoolBuilder, Yield},
    std::error::Error as _,
    std::hint::spin_loop,
    std::sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    std::sync::{Arc, LazyLock},
    std::thread,
};

/// The largest number of threads of a pool, more than the cores of any machine in use. Starting very
/// many threads takes minutes or all memory.
pub const MAX_THREADS: usize = 1024;

/// The environment variable with the number of threads, as for every program with rayon.
const VARIABLE: &str = "RAYON_NUM_THREADS";

/// The number of threads of a pool by default: `$RAYON_NUM_THREADS` if it is a whole number above 0,
/// else one for each processor.
///
/// # Errors
/// [`Error::Option`] if the variable is above [`MAX_THREADS`].
pub fn default_threads() -> Result<usize> {
    threads_of(env::var(VARIABLE).ok().as_deref())
}

/// [`default_threads`] with the value of the variable as an argument, for tests.
fn threads_of(variable: Option<&str>) -> Result<usize> {
    match variable.and_then(|threads| threads.parse().ok()) {
        Some(threads @ 1..) => check_threads(VARIABLE, threads).map(|()| threads),
        _ => Ok(available_parallelism().map_or(1, |threads| threads.get().min(MAX_THREADS))),
    }
}

/// Checks a number of threads; `name` is the option or the variable.
///
/// # Errors
/// [`Error::Option`] if it is above [`MAX_THREADS`].
pub(crate) fn check_threads(name: &'static str, threads: usize) -> Result<()> {
    if threads <= MAX_THREADS {
        return Ok(());
    }
    Err(Error::option(name, threads, format!("at most {MAX_THREADS}")))
}

/// Checks the default number of threads where it counts: outside any pool.
///
/// # Errors
/// As [`default_threads`].
pub(crate) fn check_default() -> Result<()> {
    #[cfg(feature = "rayon")]
    if rayon::current_thread_index().is_none() {
        default_threads()?;
    }
    Ok(())
}

/// True if there is a pool to work on: the current one, else rayon's global pool, which is started
/// here, because rayon panics where it cannot be started.
#[cfg(feature = "rayon")]
fn has_pool() -> bool {
    static GLOBAL: LazyLock<bool> = LazyLock::new(|| {
        default_threads().is_ok_and(|threads| {
            let started = ThreadPoolBuilder::new().num_threads(useful(threads)).build_global();
            // An error without a cause means that the host program has started the pool already.
            started.map_or_else(|error| error.source().is_none(), |()| true)
        })
    });
    !IS_ALONE.get() && (rayon::current_thread_index().is_some() || *GLOBAL)
}

thread_local! {
    /// True while this thread does all work of a call by itself; see [`each`].
    static IS_ALONE: Cell<bool> = const { Cell::new(false) };
}

#[cfg(feature = "rayon")]
thread_local! {
    /// True while this thread makes a call of [`inside_awake`].
    static IS_CALLER: Cell<bool> = const { Cell::new(false) };
    /// The jobs that keep other threads awake during such calls.
    static HELPERS: Arc<Helpers> = Arc::default();
}

/// Calls `f` while a flag of this thread is true.
fn with_flag<R>(flag: &'static LocalKey<Cell<bool>>, f: impl FnOnce() -> R) -> R {
    /// Sets the flag back, also after a panic.
    struct Restore(&'static LocalKey<Cell<bool>>, bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            self.0.set(self.1);
        }
    }
    let _restore = Restore(flag, flag.replace(true));
    f()
}

/// Calls `f` for 0 to `count - 1` on the threads of the current pool, and returns the results in this
/// order. Each call has one thread, also for work that would use all of them, such as
/// [`GoogLeNet::classify`](crate::GoogLeNet::classify). Many images are done sooner in this way than
/// one after the other.
///
/// ```
/// use occlude::{GoogLeNet, Input, Weights, parallel};
///
/// let net = GoogLeNet::new(&Weights::seeded(1))?;
/// let grey = |level: usize| Input::from_nhwc_bgr(vec![level as f32; 224 * 224 * 3]);
/// let best = parallel::each(3, |i| Ok(net.classify(&grey(40 * i)?).best()));
/// assert_eq!(best.into_iter().collect::<occlude::Result<Vec<_>>>()?.len(), 3);
/// # Ok::<(), occlude::Error>(())
/// ```
pub fn each<R: Send>(count: usize, f: impl Fn(usize) -> R + Sync + Send) -> Vec<R> {
    map(count, |i| with_flag(&IS_ALONE, || f(i)))
}

/// Returns the number of threads of the current pool.
pub(crate) fn count() -> usize {
    #[cfg(feature = "rayon")]
    if has_pool() {
        return rayon::current_num_threads();
    }
    1
}

/// The number of threads that are worth starting, and worth memory of their own, if `asked` are asked
/// for: at most four for each core. More would only wait for each other, and a thousand threads that
/// look for work at each other take seconds to find none.
pub fn useful(asked: usize) -> usize {
    let cores = available_parallelism().map_or(1, usize::from);
    asked.min(4 * cores)
}

/// Returns the number of threads of the current pool that are worth memory of their own.
pub(crate) fn workers() -> usize {
    useful(count())
}

/// Calls `f` on a thread of the current pool. Work that is divided again and again, such as the steps of a
/// training, begins here: a thread outside of the pool would sleep until each part is done.
pub(crate) fn inside<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    #[cfg(feature = "rayon")]
    if has_pool() {
        return rayon::scope(|_| f());
    }
    f()
}

/// Calls `f` as [`inside`] does, and keeps the other threads awake until it returns. This pays for work of
/// some milliseconds whose parts are short, such as a pass: waking a thread takes as long as a small layer.
pub(crate) fn inside_awake<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    inside(|| {
        #[cfg(feature = "rayon")]
        if has_pool() && !IS_CALLER.get() {
            let _others = Awake::keep();
            return with_flag(&IS_CALLER, f);
        }
        f()
    })
}

/// Keeps the other threads of the current pool awake while it lives.
#[cfg(feature = "rayon")]
struct Awake(Arc<Helpers>);

/// The jobs that keep threads awake for one calling thread.
#[cfg(feature = "rayon")]
#[derive(Default)]
struct Helpers {
    is_needed: AtomicBool,
    /// The jobs that exist. Those of an earlier call, which no thread has had time for, are used again.
    jobs: AtomicUsize,
}

#[cfg(feature = "rayon")]
impl Awake {
    fn keep() -> Awake {
        let helpers = HELPERS.with(Arc::clone);
        helpers.is_needed.store(true, Ordering::Relaxed);
        for _ in helpers.jobs.load(Ordering::Relaxed)..rayon::current_num_threads() - 1 {
            helpers.jobs.fetch_add(1, Ordering::Relaxed);
            let helpers = Arc::clone(&helpers);
            rayon::spawn(move || stay_awake(helpers));
        }
        Awake(helpers)
    }
}

#[cfg(feature = "rayon")]
impl Drop for Awake {
    fn drop(&mut self) {
        self.0.is_needed.store(false, Ordering::Relaxed);
    }
}

/// Looks for work for a moment, and becomes a job of the pool again. In between, a thread that has taken
/// this job while it waited for something sees if that is done.
#[cfg(feature = "rayon")]
fn stay_awake(helpers: Arc<Helpers>) {
    // A thread that makes such a call itself, and waits for its parts, is awake.
    if !IS_CALLER.get() {
        find_work(64, || !helpers.is_needed.load(Ordering::Relaxed));
        if helpers.is_needed.load(Ordering::Relaxed) {
            return rayon::spawn(move || stay_awake(helpers));
        }
    }
    helpers.jobs.fetch_sub(1, Ordering::Relaxed);
}

/// Does a job of the current pool, for which it looks `rounds` times, or until `is_done`. Returns false if
/// there was none.
#[cfg(feature = "rayon")]
fn find_work(rounds: usize, is_done: impl Fn() -> bool) -> bool {
    for round in 1..=rounds {
        if is_done() {
            return false;
        }
        if rayon::yield_now() == Some(Yield::Executed) {
            return true;
        }
        if round.is_multiple_of(64) {
            // Others than this program may need the processor.
            thread::yield_now();
        } else {
            spin_loop();
        }
    }
    false
}

/// Calls `f` for 0 to `count - 1` and returns the results in this order.
pub(crate) fn map<R: Send>(count: usize, f: impl Fn(usize) -> R + Sync + Send) -> Vec<R> {
    map_items(0..count, |i, _| f(i))
}

/// Divides `values` into chunks of `size` values, the last of which may be shorter, calls
/// `f(number, chunk)` for each and returns the results in the order of the chunks.
pub(crate) fn map_chunks<T: Send, R: Send>(
    values: &mut [T],
    size: usize,
    f: impl Fn(usize, &mut [T]) -> R + Sync + Send,
) -> Vec<R> {
    map_items(values.chunks_mut(size), f)
}

/// Calls `f(number, item)` for each item and returns the results in the order of the items. The calling
/// thread begins with the last item, the others with the first.
pub(crate) fn map_items<T: Send, R: Send>(
    items: impl ExactSizeIterator<Item = T> + Send,
    f: impl Fn(usize, T) -> R + Sync + Send,
) -> Vec<R> {
    #[cfg(feature = "rayon")]
    if items.len() > 1 && count() > 1 {
        return share(items, f);
    }
    items.enumerate().map(|(number, item)| f(number, item)).collect()
}

/// Does the work of [`map_items`] on the threads of the current pool.
#[cfg(feature = "rayon")]
fn share<T: Send, R: Send>(
    items: impl ExactSizeIterator<Item = T> + Send,
    f: impl Fn(usize, T) -> R + Sync + Send,
) -> Vec<R> {
    let mut results: Vec<Option<R>> = Vec::new();
    results.resize_with(items.len(), || None);
    let left = &AtomicUsize::new(items.len());
    let f = &f;
    rayon::scope(|scope| {
        for (number, (item, result)) in items.zip(&mut results).enumerate() {
            scope.spawn(move |_| {
                *result = Some(f(number, item));
                left.fetch_sub(1, Ordering::Relaxed);
            });
        }
        // At the end of the scope this thread falls asleep soon, but what others have begun is often
        // done in a moment.
        while find_work(1000, || left.load(Ordering::Relaxed) == 0) {}
    });
    results.into_iter().map(|result| result.expect("a scope ends when its work is done")).collect()
}

/// Calls `run` in a new pool of `threads` threads, as far as they are [`useful`], or in the current
/// pool if `threads` is 0.
///
/// # Errors
/// [`Error::Option`](crate::Error::Option) if the system cannot start that many threads.
pub(crate) fn in_pool<T: Send>(threads: usize, run: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    #[cfg(feature = "rayon")]
    if threads > 0 {
        let pool = ThreadPoolBuilder::new().num_threads(useful(threads)).build();
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn results_are_in_order_and_every_value_is_visited_once() {
        assert_eq!(map(100, |i| i * i), (0..100).map(|i| i * i).collect::<Vec<_>>());
        let mut values = vec![0; 10];
        let lengths = map_chunks(&mut values, 4, |number, chunk| {
            chunk.iter_mut().for_each(|value| *value += number + 1);
            chunk.len()
        });
        assert_eq!((lengths, values), (vec![4, 4, 2], vec![1, 1, 1, 1, 2, 2, 2, 2, 3, 3]));
    }

    #[test]
    fn work_inside_runs_on_a_thread_of_the_pool() {
        let index = || {
            #[cfg(feature = "rayon")]
            return rayon::current_thread_index().is_some();
            #[cfg(not(feature = "rayon"))]
            true
        };
        assert!(inside(index) && inside(|| inside(index)));
        let threads = in_pool(3, || Ok(inside(count))).unwrap();
        assert_eq!(threads, if cfg!(feature = "rayon") { 3 } else { 1 });
        // A call that has one thread stays on it.
        assert!(each(2, |_| inside(|| IS_ALONE.get())).into_iter().all(|is_alone| is_alone));
    }

    #[test]
    fn a_panic_in_a_part_reaches_the_caller() {
        let done = AtomicUsize::new(0);
        let run = || {
            map(50, |i| {
                done.fetch_add(1, Ordering::Relaxed);
                assert!(i != 20, "in a part");
            })
        };
        assert!(std::panic::catch_unwind(|| inside_awake(run)).is_err());
        assert!(done.load(Ordering::Relaxed) > 0);
        // The threads are free again.
        assert_eq!(inside_awake(|| map(50, |i| i)).len(), 50);
    }

    #[test]
    #[cfg(feature = "rayon")]
    fn calls_without_free_threads_leave_few_jobs() {
        let jobs = in_pool(3, || {
            let (free, blocked) = (AtomicBool::new(false), AtomicUsize::new(0));
            Ok(rayon::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|_| {
                        blocked.fetch_add(1, Ordering::Relaxed);
                        while !free.load(Ordering::Relaxed) {
                            thread::yield_now();
                        }
                    });
                }
                while blocked.load(Ordering::Relaxed) < 2 {
                    thread::yield_now();
                }
                let lengths: Vec<_> = (0..100).map(|_| inside_awake(|| map(5, |i| i).len())).collect();
                free.store(true, Ordering::Relaxed);
                (lengths, HELPERS.with(|helpers| helpers.jobs.load(Ordering::Relaxed)))
            }))
        });
        let (lengths, jobs) = jobs.unwrap();
        assert!(lengths == [5; 100] && jobs <= 2);
    }

    #[test]
    fn many_callers_share_a_pool() {
        let run = |threads| {
            in_pool(threads, || {
                let inner = |i| inside_awake(|| map(3, |k| i + k).len());
                let nested = map(8, |i| inside_awake(|| map(5, |j| inner(i + j)).len()));
                Ok(nested.iter().sum::<usize>())
            })
        };
        std::thread::scope(|scope| {
            for threads in [0, 1, 2, 3, 0] {
                scope.spawn(move || (0..50).for_each(|_| assert_eq!(run(threads).unwrap(), 40)));
            }
        });
    }

    #[test]
    fn work_inside_a_call_stays_on_its_thread() {
        let inner = each(50, |i| (i, count(), map(3, |j| i + j)));
        assert_eq!(inner, (0..50).map(|i| (i, 1, vec![i, i + 1, i + 2])).collect::<Vec<_>>());
        let caught = std::panic::catch_unwind(|| each(1, |_| panic!("in a call")));
        assert!(caught.is_err() && !IS_ALONE.get());
    }

    #[test]
    fn a_pool_has_as_many_threads_as_were_asked_for_and_are_useful() {
        let most = 4 * available_parallelism().unwrap().get();
        for (asked, started) in [(1, 1), (3, 3), (most, most), (most + 1, most), (MAX_THREADS, most)] {
            let found = in_pool(asked, || Ok(count())).unwrap();
            assert_eq!(found, if cfg!(feature = "rayon") { started } else { 1 }, "{asked}");
        }
        assert_eq!(in_pool(0, || Ok(count())).unwrap(), count());
    }

    #[test]
    fn the_variable_of_rayon_has_a_bound() {
        let cores = threads_of(None).unwrap();
        assert!((1..=MAX_THREADS).contains(&cores));
        for (variable, threads) in [("3", 3), ("1024", 1024), ("0", cores), ("", cores), ("many", cores)] {
            assert_eq!(threads_of(Some(variable)).unwrap(), threads, "{variable}");
        }
        for variable in ["1025", "99999"] {
            let error = threads_of(Some(variable)).unwrap_err().to_string();
            assert_eq!(error, format!("RAYON_NUM_THREADS {variable} is not possible: expected at most 1024"));
        }
    }
}

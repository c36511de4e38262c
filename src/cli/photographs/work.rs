//! Work on many photographs, one on each thread.

use occlude::{Error, Result, parallel};

use super::PhotographFile;
use crate::cli::terminal::progress::PhotographsBar;
use crate::cli::terminal::{console, interrupt};

/// Calls `work` with the index of each photograph, and returns the results in the order of the
/// photographs. A photograph that fails is reported and has no result.
///
/// # Errors
/// [`Error::Cancelled`] after a signal; [`Error::Memory`].
pub fn for_each<T: Send>(
    files: &[&PhotographFile],
    work: impl Fn(usize) -> Result<T> + Sync + Send,
) -> Result<Vec<Option<T>>> {
    let bar = PhotographsBar::plain(files.len());
    let results = parallel::each(files.len(), |i| {
        interrupt::check()?;
        let result = work(i);
        bar.photograph_done();
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error @ (Error::Cancelled | Error::Memory { .. } | Error::Weights { .. })) => Err(error),
            Err(error) => {
                bar.print(|| console::print_error(&files[i].error_in_words(&error)));
                Ok(None)
            }
        }
    });
    results.into_iter().collect()
}

//! Memory that is checked before it is taken: Rust ends the program where an allocation fails.

use std::hint::black_box;

use crate::{Error, Result};

/// Bytes that stay free for small allocations beside those that are checked.
pub(crate) const BESIDE: usize = 4 << 20;

/// Allocates room for `count` values.
///
/// # Errors
/// A text that follows a name, if the system does not have the memory.
pub(crate) fn room<T>(count: usize) -> std::result::Result<Vec<T>, String> {
    let mut values = Vec::new();
    match values.try_reserve_exact(count) {
        Ok(()) => Ok(values),
        Err(_) => Err(missing(count.saturating_mul(size_of::<T>()))),
    }
}

/// Allocates a block that nobody uses. The compiler would remove it, and take for granted that there is
/// room for it, if it saw that.
fn block(bytes: usize) -> std::result::Result<Vec<u8>, String> {
    black_box(room(bytes))
}

/// Checks that `bytes` bytes can be allocated now.
///
/// # Errors
/// [`Error::Memory`] for this purpose if the system does not have them.
pub fn require(purpose: &'static str, bytes: usize) -> Result<()> {
    block(bytes).map(drop).map_err(|problem| Error::Memory { purpose, problem })
}

/// The error for `bytes` bytes that are not available.
pub(crate) fn lacking(purpose: &'static str, bytes: usize) -> Error {
    Error::Memory { purpose, problem: missing(bytes) }
}

/// Returns how many of `count` blocks of `bytes` bytes can be allocated at the same time.
pub fn blocks(count: usize, bytes: usize) -> usize {
    (0..count).map_while(|_| block(bytes).ok()).collect::<Vec<_>>().len()
}

/// True if `bytes` bytes and [`BESIDE`] can be allocated now, on this thread.
pub(crate) fn is_free(bytes: usize) -> bool {
    block(bytes.saturating_add(BESIDE)).is_ok()
}

/// A text that follows a name: so many bytes are not available.
pub(crate) fn missing(bytes: usize) -> String {
    let megabytes = bytes.div_ceil(1_000_000);
    format!(
        "needs {megabytes} MB of memory, which are not available: close other programs, use fewer threads, or raise the limit on memory"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_no_machine_has_is_an_error() {
        assert!(room::<u8>(1000).unwrap().capacity() >= 1000);
        assert!(room::<f32>(usize::MAX / 8).unwrap_err().starts_with("needs 9223372036855 MB of memory"));
        assert!(require("a test", 1000).is_ok());
        let error = require("a test", usize::MAX / 2).unwrap_err().to_string();
        assert!(error.starts_with("a test needs 9223372036855 MB of memory"), "{error}");
        assert_eq!((blocks(3, 1000), blocks(3, usize::MAX / 2)), (3, 0));
        assert!(is_free(1000) && !is_free(usize::MAX));
    }
}

//! The C interface, the feature `capi`. `occlude.h` declares it and is where each function is documented; `tests/capi/main.rs`
//! holds the two together.
//!
//! Arguments have the types that say what C's pointers mean: `Option<&T>` a handle that is lent, `Option<Box<T>>` one that is given
//! back, [`Out`] a place for the result, `None` is C's NULL. Rust guarantees that these are plain pointers. So `unsafe` remains
//! only where a length or an end comes with the pointer, and for the caller's function.
//!
//! It is written against the crate's public interface and computes nothing itself.

#![allow(unsafe_code)]

mod explain;
mod maps;
mod network;
mod options;

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CStr, CString, OsStr, c_char, c_int};
use std::fmt::Display;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{ptr, slice};

use crate::Error;

const OCCLUDE_OK: c_int = 0;
const OCCLUDE_ERROR_IO: c_int = 1;
const OCCLUDE_ERROR_IMAGE: c_int = 2;
const OCCLUDE_ERROR_WEIGHTS: c_int = 3;
const OCCLUDE_ERROR_LABELS: c_int = 4;
const OCCLUDE_ERROR_WEIGHTS_NOT_FOUND: c_int = 5;
const OCCLUDE_ERROR_OPTION: c_int = 6;
const OCCLUDE_ERROR_UNKNOWN_CLASS: c_int = 7;
const OCCLUDE_ERROR_CANCELLED: c_int = 8;
// Those of this interface itself; the gap is for errors that the library will have.
const OCCLUDE_ERROR_ARGUMENT: c_int = 100;
#[cfg(not(feature = "image"))]
const OCCLUDE_ERROR_UNSUPPORTED: c_int = 101;
const OCCLUDE_ERROR_PANIC: c_int = 102;

const OCCLUDE_RESIZE_STRETCH: c_int = 0;
const OCCLUDE_RESIZE_CENTER_CROP: c_int = 1;

const OCCLUDE_SCORE_PROBABILITY: c_int = 0;
const OCCLUDE_SCORE_LOGIT: c_int = 1;

/// A place for a value, which C need not have filled in before.
type Out<'a, T> = Option<&'a mut MaybeUninit<T>>;

/// A place for a handle; NULL when there is none.
type OutHandle<'a, T> = Out<'a, Option<Box<T>>>;

/// Why a call did not do what it was asked to.
#[derive(Debug)]
struct Failure {
    status: c_int,
    text: String,
}

type Outcome<T> = Result<T, Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let status = match &error {
            Error::Io { .. } => OCCLUDE_ERROR_IO,
            Error::Image { .. } => OCCLUDE_ERROR_IMAGE,
            Error::Weights { .. } => OCCLUDE_ERROR_WEIGHTS,
            Error::Labels { .. } => OCCLUDE_ERROR_LABELS,
            Error::WeightsNotFound { .. } => OCCLUDE_ERROR_WEIGHTS_NOT_FOUND,
            // No call of this interface names a layer.
            Error::Option { .. } | Error::UnknownLayer { .. } => OCCLUDE_ERROR_OPTION,
            Error::UnknownClass { .. } => OCCLUDE_ERROR_UNKNOWN_CLASS,
            Error::Cancelled => OCCLUDE_ERROR_CANCELLED,
        };
        Failure { status, text: error.to_string() }
    }
}

fn refuse(argument: &str, problem: impl Display) -> Failure {
    Failure { status: OCCLUDE_ERROR_ARGUMENT, text: format!("argument {argument}: {problem}") }
}

fn given<T>(argument: Option<T>, name: &str) -> Outcome<T> {
    argument.ok_or_else(|| refuse(name, "is NULL"))
}

fn not_null<T>(pointer: *const T, name: &str) -> Outcome<()> {
    if pointer.is_null() { Err(refuse(name, "is NULL")) } else { Ok(()) }
}

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

/// Runs what a function does; a failure leaves its text for `occlude_last_error`. No panic gets past this.
fn status(run: impl FnOnce() -> Outcome<()>) -> c_int {
    let outcome = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = format!("a panic, which is a mistake in occlude or in a callback: {}", message(&*panic));
        Err(Failure { status: OCCLUDE_ERROR_PANIC, text })
    });
    let Err(Failure { status, text }) = outcome else { return OCCLUDE_OK };
    let text = CString::new(text.replace('\0', "\\0")).unwrap_or_default();
    LAST_ERROR.set(text);
    status
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text")
}

/// A function that makes a handle: without one, the place for it is NULL.
fn make<T>(out: OutHandle<T>, name: &str, run: impl FnOnce() -> Outcome<T>) -> c_int {
    status(|| {
        let out = given(out, name)?;
        out.write(None);
        out.write(Some(Box::new(run()?)));
        Ok(())
    })
}

/// # Safety
/// `path` is NULL or ends in a zero byte, and lives as long as what is returned.
unsafe fn path<'a>(path: *const c_char) -> Outcome<&'a OsStr> {
    not_null(path, "path")?;
    // SAFETY: it is not NULL; the rest is the caller's to ensure.
    let path = unsafe { CStr::from_ptr(path) };
    // Elsewhere than on Unix the bytes of a name are not the system's own.
    #[cfg(unix)]
    return Ok(std::os::unix::ffi::OsStrExt::from_bytes(path.to_bytes()));
    #[cfg(not(unix))]
    path.to_str().map(OsStr::new).map_err(|_| refuse("path", "is not UTF-8"))
}

/// # Safety
/// `values` is NULL or points to `count` values, which live as long as what is returned.
unsafe fn array<'a, T>(values: *const T, count: usize, name: &str) -> Outcome<&'a [T]> {
    not_null(values, name)?;
    if count.checked_mul(size_of::<T>()).is_none_or(|bytes| bytes > isize::MAX as usize) {
        return Err(refuse(name, format!("cannot have a length of {count}")));
    }
    // SAFETY: it is not NULL and not longer than an allocation can be; the rest is the caller's to ensure.
    Ok(unsafe { slice::from_raw_parts(values, count) })
}

/// Copies results to the caller, who says how many fit.
///
/// # Safety
/// `to` is NULL or has room for `count` values.
unsafe fn copy<T: Copy>(values: &[T], to: *mut T, count: usize, name: &str) -> Outcome<()> {
    not_null(to, name)?;
    if count != values.len() {
        return Err(refuse(name, format!("has room for {count} values, expected {}", values.len())));
    }
    // SAFETY: there is room for as many, which the caller ensures; the caller cannot have memory inside of ours.
    unsafe { ptr::copy_nonoverlapping(values.as_ptr(), to, count) };
    Ok(())
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_last_error() -> *const c_char {
    LAST_ERROR.with_borrow(|text| text.as_ptr())
}

#[cfg(test)]
mod tests;

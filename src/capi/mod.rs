//! The C interface, with the feature `capi`. `occlude.h` declares and documents each function;
//! `tests/capi/main.rs` compares the header with this code.
//!
//! The argument types express the meaning of C's pointers: `Option<&T>` is a borrowed handle,
//! `Option<Box<T>>` a handle that is returned to the library, [`Out`] a location for a result, and
//! `None` is NULL. Rust guarantees that these types are plain pointers. `unsafe` is needed only for
//! pointers with a length or a terminating zero, and for calls of the caller's function.
//!
//! The module uses the public interface of the crate and computes nothing itself.

#![allow(unsafe_code)]

mod explain;
mod learn;
mod maps;
mod network;
mod options;
mod region;

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CStr, CString, OsStr, c_char, c_int};
use std::fmt::Display;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{ptr, slice};

use crate::Error;
use crate::text::escaped_lines;

const OCCLUDE_OK: c_int = 0;
const OCCLUDE_ERROR_IO: c_int = 1;
const OCCLUDE_ERROR_IMAGE: c_int = 2;
const OCCLUDE_ERROR_WEIGHTS: c_int = 3;
const OCCLUDE_ERROR_LABELS: c_int = 4;
const OCCLUDE_ERROR_WEIGHTS_NOT_FOUND: c_int = 5;
const OCCLUDE_ERROR_OPTION: c_int = 6;
const OCCLUDE_ERROR_UNKNOWN_CLASS: c_int = 7;
const OCCLUDE_ERROR_CANCELLED: c_int = 8;
const OCCLUDE_ERROR_MEMORY: c_int = 9;
// Errors of this interface. The gap is reserved for new errors of the library.
const OCCLUDE_ERROR_ARGUMENT: c_int = 100;
#[cfg(not(feature = "image"))]
const OCCLUDE_ERROR_UNSUPPORTED: c_int = 101;
const OCCLUDE_ERROR_PANIC: c_int = 102;

const OCCLUDE_RESIZE_STRETCH: c_int = 0;
const OCCLUDE_RESIZE_CENTER_CROP: c_int = 1;
const OCCLUDE_RESIZE_PAD: c_int = 2;
const OCCLUDE_RESIZE_MATLAB: c_int = 3;

const OCCLUDE_SCORE_PROBABILITY: c_int = 0;
const OCCLUDE_SCORE_LOGIT: c_int = 1;
const OCCLUDE_SCORE_MARGIN: c_int = 2;
const OCCLUDE_SCORE_LOGIT_MARGIN: c_int = 3;
const OCCLUDE_SCORE_ENTROPY: c_int = 4;

const OCCLUDE_SHAPE_RECTANGLE: c_int = 0;
const OCCLUDE_SHAPE_ELLIPSE: c_int = 1;
const OCCLUDE_SHAPE_GAUSSIAN: c_int = 2;

const OCCLUDE_CHANNELS_ALL: c_int = 0;
const OCCLUDE_CHANNEL_RED: c_int = 1;
const OCCLUDE_CHANNEL_GREEN: c_int = 2;
const OCCLUDE_CHANNEL_BLUE: c_int = 3;

/// A location for a value, which may be uninitialised.
type Out<'a, T> = Option<&'a mut MaybeUninit<T>>;

/// A location for a handle, which is set to NULL if there is none.
type OutHandle<'a, T> = Out<'a, Option<Box<T>>>;

/// The reason why a call failed.
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
            // No function of this interface takes the name of a layer.
            Error::Option { .. } | Error::UnknownLayer { .. } => OCCLUDE_ERROR_OPTION,
            Error::UnknownClass { .. } => OCCLUDE_ERROR_UNKNOWN_CLASS,
            Error::Cancelled => OCCLUDE_ERROR_CANCELLED,
            Error::Memory { .. } => OCCLUDE_ERROR_MEMORY,
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

/// Runs the body of a function and converts its outcome to a status. A failure sets the text of
/// `occlude_last_error`. Panics are caught.
fn status(run: impl FnOnce() -> Outcome<()>) -> c_int {
    let outcome = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = format!("a panic, which is a bug in occlude or in a callback: {}", message(&*panic));
        Err(Failure { status: OCCLUDE_ERROR_PANIC, text })
    });
    let Err(Failure { status, text }) = outcome else { return OCCLUDE_OK };
    let text = CString::new(&*escaped_lines(&text)).unwrap_or_default();
    LAST_ERROR.set(text);
    status
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text")
}

/// Runs the body of a function that creates a handle, and sets the handle to NULL if it fails.
fn make<T>(out: OutHandle<T>, name: &str, run: impl FnOnce() -> Outcome<T>) -> c_int {
    status(|| {
        let out = given(out, name)?;
        out.write(None);
        out.write(Some(Box::new(run()?)));
        Ok(())
    })
}

/// # Safety
/// `path` is NULL or ends with a zero byte, and outlives the result.
unsafe fn path<'a>(path: *const c_char) -> Outcome<&'a OsStr> {
    not_null(path, "path")?;
    // SAFETY: the pointer is not NULL; the caller guarantees the rest.
    let path = unsafe { CStr::from_ptr(path) };
    // Only on Unix can a path be any bytes.
    #[cfg(unix)]
    return Ok(std::os::unix::ffi::OsStrExt::from_bytes(path.to_bytes()));
    #[cfg(not(unix))]
    path.to_str().map(OsStr::new).map_err(|_| refuse("path", "is not UTF-8"))
}

/// # Safety
/// `text` is NULL or ends with a zero byte, and outlives the result.
unsafe fn string<'a>(text: *const c_char, name: &str) -> Outcome<&'a str> {
    not_null(text, name)?;
    // SAFETY: the pointer is not NULL; the caller guarantees the rest.
    unsafe { CStr::from_ptr(text) }.to_str().map_err(|_| refuse(name, "is not UTF-8"))
}

/// # Safety
/// `values` is NULL or points to `count` values, which outlive the result.
unsafe fn array<'a, T>(values: *const T, count: usize, name: &str) -> Outcome<&'a [T]> {
    not_null(values, name)?;
    if count.checked_mul(size_of::<T>()).is_none_or(|bytes| bytes > isize::MAX as usize) {
        return Err(refuse(name, format!("cannot have a length of {count}")));
    }
    // SAFETY: the pointer is not NULL, and the length is possible for an allocation; the caller
    // guarantees the rest.
    Ok(unsafe { slice::from_raw_parts(values, count) })
}

/// Copies results to the caller's array of `count` values.
///
/// # Safety
/// `to` is NULL or has room for `count` values.
unsafe fn copy<T: Copy>(values: &[T], to: *mut T, count: usize, name: &str) -> Outcome<()> {
    not_null(to, name)?;
    if count != values.len() {
        return Err(refuse(name, format!("has room for {count} values, expected {}", values.len())));
    }
    // SAFETY: the caller guarantees the room, and cannot own memory inside `values`.
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

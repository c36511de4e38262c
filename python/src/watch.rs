//! Work on another thread, while this one listens to its progress and to Ctrl-C.

use std::convert::Infallible;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use occlude::Result;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

use crate::errors::exception;

/// The longest time between two checks for a signal.
const INTERVAL: Duration = Duration::from_millis(10);

/// Runs work that tells nothing before its end.
pub fn quietly<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> PyResult<T> {
    cancellable(py, |_| work())
}

/// The same for work that looks at a flag, which an exception sets.
pub fn cancellable<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce(&AtomicBool) -> Result<T> + Send + 'static,
) -> PyResult<T> {
    let cancel = Arc::<AtomicBool>::default();
    let is_cancelled = cancel.clone();
    watched(py, &cancel, |event: Infallible| match event {}, move |_| work(&is_cancelled))
}

/// Runs `work` on a new thread without Python's lock. The events that it sends are given to `listen`
/// on this thread. An exception, also that of Ctrl-C, sets `cancel` and returns at once; the thread
/// ends by itself shortly after.
pub fn watched<E: Send + 'static, T: Send + 'static>(
    py: Python<'_>,
    cancel: &Arc<AtomicBool>,
    mut listen: impl FnMut(E) -> PyResult<()>,
    work: impl FnOnce(&Sender<E>) -> Result<T> + Send + 'static,
) -> PyResult<T> {
    let (sender, mut receiver) = channel();
    let thread = thread::Builder::new().name("occlude".to_string()).spawn(move || work(&sender));
    let thread = thread.map_err(|error| PyOSError::new_err(format!("cannot start a thread: {error}")))?;
    loop {
        let event;
        (receiver, event) = py.detach(move || {
            let event = receiver.recv_timeout(INTERVAL);
            (receiver, event)
        });
        let heard = match event {
            Ok(event) => listen(event),
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => break,
        };
        if let Err(error) = heard.and_then(|()| py.check_signals()) {
            cancel.store(true, Ordering::Relaxed);
            return Err(error);
        }
    }
    match py.detach(|| thread.join()) {
        Ok(done) => done.map_err(exception),
        Err(panic) => resume_unwind(panic),
    }
}

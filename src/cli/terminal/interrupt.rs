//! Ctrl-C and SIGTERM. While temporary files exist, a signal sets a flag, and the program removes
//! the files and ends. At all other times a signal ends the program at once.

use std::io;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use occlude::{Error, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// The signal that was received; 0 if there was none.
static SIGNAL: AtomicUsize = AtomicUsize::new(0);

/// True if a signal ends the program at once: while there is nothing to clean up (the program may
/// be blocked by a pipe and cannot check the flag), and after the first signal.
static EXIT_AT_ONCE: AtomicBool = AtomicBool::new(true);

/// Installs the signal handlers.
///
/// # Errors
/// If the system does not allow it.
pub fn watch() -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal must not see the flag that it sets.
        flag::register_conditional_shutdown(signal, 128 + signal, &EXIT_AT_ONCE)?;
        flag::register(signal, &EXIT_AT_ONCE)?;
        flag::register_usize(signal, &SIGNAL, signal as usize)?;
    }
    // With a handler, a file that exceeds `ulimit -f` causes an error of the write, as on a full
    // disk, and the partial file can be removed.
    #[cfg(unix)]
    {
        static NOTED: AtomicBool = AtomicBool::new(false);
        flag::register(signal_hook::consts::SIGXFSZ, &NOTED)?;
    }
    Ok(())
}

/// While this value exists, the first signal does not end the program, so that it can clean up.
pub struct DeferredSignals {
    before: bool,
}

impl DeferredSignals {
    pub fn new() -> DeferredSignals {
        DeferredSignals { before: EXIT_AT_ONCE.swap(has_come(), Ordering::SeqCst) }
    }
}

impl Drop for DeferredSignals {
    fn drop(&mut self) {
        EXIT_AT_ONCE.store(self.before || has_come(), Ordering::SeqCst);
    }
}

fn has_come() -> bool {
    SIGNAL.load(Ordering::SeqCst) != 0
}

/// The return value for the callbacks of a sweep: `Break` after a signal.
pub fn control_flow() -> ControlFlow<()> {
    if has_come() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// Checks for a signal outside a sweep.
///
/// # Errors
/// [`Error::Cancelled`] after a signal.
pub fn check() -> Result<()> {
    if has_come() { Err(Error::Cancelled) } else { Ok(()) }
}

/// The exit code by the convention of shells: 130 after Ctrl-C, 143 after SIGTERM.
pub fn exit_code() -> ExitCode {
    let signal = SIGNAL.load(Ordering::SeqCst);
    u8::try_from(128 + signal).map_or(ExitCode::FAILURE, ExitCode::from)
}

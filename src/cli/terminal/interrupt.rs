//! Ctrl-C and a scheduler's SIGTERM: where there is something to tidy up, it is; elsewhere the program ends on the spot.

use std::io;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use occlude::{Error, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// The signal that has come, 0 for none.
static SIGNAL: AtomicUsize = AtomicUsize::new(0);

/// Whether a signal ends the program on the spot: while there is nothing to tidy up (it may wait for a pipe's other end, and
/// asks nobody whether to go on), and from the second signal on.
static EXIT_AT_ONCE: AtomicBool = AtomicBool::new(true);

/// From here on signals are handled as this module says.
///
/// # Errors
/// When the system does not allow that.
pub fn watch() -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal must not find what itself has set.
        flag::register_conditional_shutdown(signal, 128 + signal, &EXIT_AT_ONCE)?;
        flag::register(signal, &EXIT_AT_ONCE)?;
        flag::register_usize(signal, &SIGNAL, signal as usize)?;
    }
    // A file that outgrows `ulimit -f` is then an error of the write, as on a full disk, and what has been written can be removed.
    #[cfg(unix)]
    {
        static NOTED: AtomicBool = AtomicBool::new(false);
        flag::register(signal_hook::consts::SIGXFSZ, &NOTED)?;
    }
    Ok(())
}

/// While it lives, the first signal does not end the program: there is something to tidy up.
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

/// Whether to go on, for the callbacks of a sweep.
pub fn control_flow() -> ControlFlow<()> {
    if has_come() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// The same where there is no sweep.
///
/// # Errors
/// [`Error::Cancelled`] when a signal has come.
pub fn check() -> Result<()> {
    if has_come() { Err(Error::Cancelled) } else { Ok(()) }
}

/// What shells report of a program that a signal has ended: 130 for Ctrl-C, 143 for SIGTERM.
pub fn exit_code() -> ExitCode {
    let signal = SIGNAL.load(Ordering::SeqCst);
    u8::try_from(128 + signal).map_or(ExitCode::FAILURE, ExitCode::from)
}

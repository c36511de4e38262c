//! Ctrl-C, SIGTERM, and SIGHUP, which a closing terminal sends. While temporary files exist, a
//! signal sets a flag, and the program removes the files and ends. At all other times a signal ends
//! the program at once.

use std::fs;
use std::io;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use occlude::{Error, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// The signals that end the program. A signal that is ignored from the start stays ignored. Where the
/// system does not list these, SIGHUP keeps the effect that it has.
fn signals() -> Vec<i32> {
    let mut signals = vec![SIGINT, SIGTERM];
    if let Some(ignored) = ignored() {
        #[cfg(unix)]
        signals.push(signal_hook::consts::SIGHUP);
        signals.retain(|signal| !ignored.contains(signal));
    }
    signals
}

/// The signal that was received; 0 if there was none.
static SIGNAL: AtomicUsize = AtomicUsize::new(0);

/// True after a signal. Sweeps and searches look at it.
static STOP: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// True if a signal ends the program at once: while there is nothing to clean up (the program may
/// be blocked by a pipe and cannot check the flag), and after the first signal.
static EXIT_AT_ONCE: AtomicBool = AtomicBool::new(true);

/// Installs the signal handlers.
///
/// # Errors
/// If the system does not allow it.
pub fn watch() -> io::Result<()> {
    for signal in signals() {
        // In this order: the first signal must not see the flag that it sets.
        flag::register_conditional_shutdown(signal, 128 + signal, &EXIT_AT_ONCE)?;
        flag::register(signal, &EXIT_AT_ONCE)?;
        flag::register_usize(signal, &SIGNAL, signal as usize)?;
        flag::register(signal, STOP.clone())?;
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

/// The signals that the parent of this process asked it to ignore: SIGHUP by `nohup`, SIGINT by a
/// script for its jobs in the background. Only Linux tells them without unsafe code.
fn ignored() -> Option<Vec<i32>> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
    Some((1..=64).filter(|signal| mask >> (signal - 1) & 1 == 1).collect())
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

/// A flag that a signal sets, for work that can be cancelled.
pub fn flag() -> Arc<AtomicBool> {
    STOP.clone()
}

/// Checks for a signal outside a sweep.
///
/// # Errors
/// [`Error::Cancelled`] after a signal.
pub fn check() -> Result<()> {
    if has_come() { Err(Error::Cancelled) } else { Ok(()) }
}

/// The exit code by the convention of shells: 130 after Ctrl-C, 143 after SIGTERM, 129
/// after SIGHUP.
pub fn exit_code() -> ExitCode {
    let signal = SIGNAL.load(Ordering::SeqCst);
    u8::try_from(128 + signal).map_or(ExitCode::FAILURE, ExitCode::from)
}

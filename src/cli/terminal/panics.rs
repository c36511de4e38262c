//! Messages of panics. The decoders of other packages may panic for an unusual file, and the library
//! then returns an error: no message of the panic is needed.

use std::cell::Cell;
use std::panic;

thread_local! {
    /// True while a panic on this thread becomes an error.
    static HANDLED: Cell<bool> = const { Cell::new(false) };
}

/// Installs the handler that [`without_message`] needs.
pub fn install() {
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !HANDLED.get() {
            default(panic);
        }
    }));
}

/// Runs `run`, which catches all panics. Their messages are not printed.
pub fn without_message<T>(run: impl FnOnce() -> T) -> T {
    HANDLED.set(true);
    let result = run();
    HANDLED.set(false);
    result
}

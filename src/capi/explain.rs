//! The sweep, its progress and its cancellation.

use std::ffi::{c_int, c_void};
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::maps::Maps;
use super::network::{Image, Network};
use super::options::Options;
use super::{Failure, OutHandle, given, make, status};
use crate::{Classification, Error};

/// The caller's progress function: completed positions, all positions, the caller's pointer. It
/// returns nonzero to stop. A panic in a function written in Rust is caught like any other.
pub(super) type Progress = Option<unsafe extern "C-unwind" fn(usize, usize, *mut c_void) -> c_int>;

pub struct Cancel {
    pub(super) requested: AtomicBool,
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_cancel_new(out: OutHandle<Cancel>) -> c_int {
    make(out, "cancel", || Ok(Cancel { requested: AtomicBool::new(false) }))
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_cancel_request(cancel: Option<&Cancel>) -> c_int {
    status(|| {
        given(cancel, "cancel")?.requested.store(true, Ordering::Relaxed);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn occlude_cancel_free(_cancel: Option<Box<Cancel>>) {}

/// The caller's function, its pointer, and the largest number of positions that was reported.
struct Listener {
    progress: Progress,
    user: *mut c_void,
    told: usize,
}

// SAFETY: the header states that the function is called with the pointer from other threads, one at
// a time.
unsafe impl Send for Listener {}

impl Listener {
    fn tell(&mut self, done: usize, total: usize) -> ControlFlow<()> {
        let Some(progress) = self.progress.filter(|_| done > self.told) else {
            return ControlFlow::Continue(());
        };
        self.told = done;
        // SAFETY: the header requires a function that can be called with this pointer until the
        // sweep ends.
        match unsafe { progress(done, total, self.user) } {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    }
}

/// # Safety
/// See the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn occlude_explain(
    network: Option<&Network>,
    image: Option<&Image>,
    options: Option<&Options>,
    progress: Progress,
    user: *mut c_void,
    cancel: Option<&Cancel>,
    out: OutHandle<Maps>,
) -> c_int {
    make(out, "maps", || {
        let Network { net, labels, .. } = given(network, "network")?;
        let image = given(image, "image")?;
        let default = Options::default();
        let options = options.unwrap_or(&default);
        let mut sweep = options.sweep(net);
        let most_probable = |found: &Classification| found.top(options.top.unwrap_or(1));
        if let Some(top) = options.top {
            if top > labels.len() {
                let expected = format!("1 to {}", labels.len());
                return Err(Failure::from(Error::option("number of most probable classes", top, expected)));
            }
            sweep = sweep.choose_classes(&most_probable);
        }
        if let Some(cancel) = cancel {
            sweep = sweep.cancel(&cancel.requested);
        }
        let listener = Mutex::new(Listener { progress, user, told: 0 });
        let on_progress = |now: crate::sweep::Progress| match listener.lock() {
            Ok(mut listener) => listener.tell(now.done, now.total),
            // A panic in the function poisons the lock and ends the sweep anyway.
            Err(_) => ControlFlow::Break(()),
        };
        Ok(Maps { maps: sweep.on_progress(&on_progress).run(&image.input)? })
    })
}

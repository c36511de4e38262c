//! Progress bars of a sweep, a batch and a download, and a line about other work that takes long, on
//! standard error.

use std::io::{self, IsTerminal};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::interrupt::DeferredSignals;

/// A progress bar of a sweep. It draws only on a terminal and disappears when it is dropped, also
/// after Ctrl-C.
pub struct PositionsBar(
    ProgressBar,
    #[expect(dead_code, reason = "lives as long as the bar")] DeferredSignals,
);

impl PositionsBar {
    pub fn new() -> PositionsBar {
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} positions, {eta} left");
        bar.set_style(style.expect("a constant template"));
        PositionsBar(bar, DeferredSignals::new())
    }

    /// Hides the bar while `draw` runs.
    pub fn aside(&self, draw: impl FnOnce()) {
        self.0.suspend(draw);
    }

    pub fn show(&self, done: usize, total: usize) {
        self.0.set_length(total as u64);
        self.0.set_position(done as u64);
    }
}

impl Drop for PositionsBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A progress bar of a batch, like [`PositionsBar`]. It also shows the progress of the current
/// sweep.
pub struct PhotographsBar(
    ProgressBar,
    #[expect(dead_code, reason = "lives as long as the bar")] DeferredSignals,
);

impl PhotographsBar {
    pub fn new(photographs: usize) -> PhotographsBar {
        PhotographsBar::of(photographs, "{bar:40} {pos}/{len} photographs, {eta} left; current: {msg}")
    }

    /// Without the progress of a sweep.
    pub fn plain(photographs: usize) -> PhotographsBar {
        PhotographsBar::of(photographs, "{bar:40} {pos}/{len} photographs, {eta} left")
    }

    fn of(photographs: usize, template: &str) -> PhotographsBar {
        let bar = ProgressBar::new(photographs as u64);
        bar.set_style(ProgressStyle::with_template(template).expect("a constant template"));
        PhotographsBar(bar, DeferredSignals::new())
    }

    /// Shows the progress of the current sweep.
    pub fn show(&self, done: usize, total: usize) {
        self.0.set_message(format!("{done}/{total} positions"));
    }

    /// Shows how many photographs have their figures on a shared scale.
    pub fn show_drawn(&self, done: usize, total: usize) {
        self.0.set_message(format!("{done}/{total} drawn"));
    }

    pub fn photograph_done(&self) {
        self.0.inc(1);
    }

    /// True if standard error is not a terminal.
    pub fn is_hidden(&self) -> bool {
        self.0.is_hidden()
    }

    /// Hides the bar while `print` runs.
    pub fn print(&self, print: impl FnOnce()) {
        self.0.suspend(print);
    }
}

impl Drop for PhotographsBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A progress bar of a search whose end is not known, like [`PositionsBar`].
pub struct SearchLine(
    ProgressBar,
    #[expect(dead_code, reason = "lives as long as the line")] DeferredSignals,
);

impl SearchLine {
    /// `usual` is the number of classifications of a long search. Most are shorter.
    pub fn new(work: &'static str, usual: usize) -> SearchLine {
        let line = ProgressBar::new(usual as u64).with_message(work);
        let style = ProgressStyle::with_template(
            "{bar:20} {msg}: {pos} of about {len} classifications, at most about {eta} left",
        );
        line.set_style(style.expect("a constant template"));
        SearchLine(line, DeferredSignals::new())
    }

    pub fn show(&self, done: usize) {
        if self.0.length().is_some_and(|usual| usual < done as u64) {
            self.0.set_length(done as u64);
        }
        self.0.set_position(done as u64);
    }
}

impl Drop for SearchLine {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A progress bar of a download, like [`PositionsBar`].
pub struct BytesBar(ProgressBar, #[expect(dead_code, reason = "lives as long as the bar")] DeferredSignals);

impl BytesBar {
    /// `done` bytes exist already. Without `total`, only the number of bytes and the speed are
    /// shown.
    pub fn new(done: u64, total: Option<u64>) -> BytesBar {
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let template = match total {
            Some(_) => "{bar:40} {bytes}/{total_bytes}, {bytes_per_sec}",
            None => "{bytes}, {bytes_per_sec}",
        };
        bar.set_style(ProgressStyle::with_template(template).expect("a constant template"));
        // Existing bytes do not count for the speed.
        bar.set_position(done);
        bar.reset_eta();
        BytesBar(bar, DeferredSignals::new())
    }

    pub fn show(&self, done: u64) {
        self.0.set_position(done);
    }
}

impl Drop for BytesBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A line on the terminal about work that has taken longer than a second. It disappears when this
/// value is dropped.
pub struct Waiting(Option<(Sender<()>, JoinHandle<()>)>);

impl Waiting {
    pub fn new(work: String) -> Waiting {
        if !io::stderr().is_terminal() {
            return Waiting(None);
        }
        let (sender, done) = channel::<()>();
        let show = move || {
            if done.recv_timeout(Duration::from_secs(1)) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let style = ProgressStyle::with_template("{spinner} {msg}");
            let line = ProgressBar::new_spinner().with_style(style.expect("a constant template"));
            line.set_message(work);
            line.enable_steady_tick(Duration::from_millis(200));
            // The sender is dropped at the end of the work.
            let _ = done.recv();
            line.finish_and_clear();
        };
        // Without a further thread, there is no line.
        Waiting(thread::Builder::new().spawn(show).ok().map(|thread| (sender, thread)))
    }

    /// The line for the figures of this many classes.
    pub fn drawing(classes: usize) -> Waiting {
        let classes = if classes == 1 { "1 class".to_string() } else { format!("{classes} classes") };
        Waiting::new(format!("drawing the figures of {classes}"))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.0.take() {
            drop(sender);
            let _ = thread.join();
        }
    }
}

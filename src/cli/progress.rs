//! The sweep's progress, for a person who watches.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on standard error; draws nothing when that is not a terminal, and disappears when it is dropped.
pub struct Bar(ProgressBar);

impl Bar {
    pub fn new() -> Bar {
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} positions, {eta} left");
        bar.set_style(style.expect("a constant template"));
        Bar(bar)
    }

    /// Draws something else, without the bar in its way.
    pub fn aside(&self, draw: impl FnOnce()) {
        self.0.suspend(draw);
    }

    pub fn show(&self, done: usize, total: usize) {
        self.0.set_length(total as u64);
        self.0.set_position(done as u64);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

//! The progress of a sweep, of many, or of a download, for a person who watches.

use indicatif::{ProgressBar, ProgressStyle};

use super::interrupt::DeferredSignals;

/// A bar on standard error; draws nothing when that is not a terminal, and disappears when it is dropped, also after Ctrl-C.
pub struct PositionsBar(
    ProgressBar,
    #[expect(dead_code, reason = "lives as long as the bar")] DeferredSignals,
);

impl PositionsBar {
    pub fn new() -> PositionsBar {
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} positions, {eta} left");
        bar.set_style(style.expect("a constant template"));
        Bar(bar, DeferredSignals::new())
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

impl Drop for PositionsBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A bar over pictures, of which one is being swept; otherwise as [`PositionsBar`].
pub struct PhotographsBar(
    ProgressBar,
    #[expect(dead_code, reason = "lives as long as the bar")] DeferredSignals,
);

impl PhotographsBar {
    pub fn new(pictures: usize) -> PhotographsBar {
        let bar = ProgressBar::new(pictures as u64);
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} pictures, {eta} left; next: {msg}");
        bar.set_style(style.expect("a constant template"));
        PhotographsBar(bar, DeferredSignals::new())
    }

    /// The picture being swept has come so far.
    pub fn show(&self, done: usize, total: usize) {
        self.0.set_message(format!("{done}/{total} positions"));
    }

    pub fn photograph_done(&self) {
        self.0.inc(1);
    }

    /// Whether there is no terminal to draw on.
    pub fn is_hidden(&self) -> bool {
        self.0.is_hidden()
    }

    /// Prints something without the bar in the way.
    pub fn print(&self, print: impl FnOnce()) {
        self.0.suspend(print);
    }
}

impl Drop for PhotographsBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A bar over the bytes of a download; otherwise as [`PositionsBar`].
pub struct BytesBar(ProgressBar, #[expect(dead_code, reason = "lives as long as the bar")] DeferredSignals);

impl BytesBar {
    /// `done` are there already. Without a `total` there is no bar, but the numbers.
    pub fn new(done: u64, total: Option<u64>) -> BytesBar {
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let template = match total {
            Some(_) => "{bar:40} {bytes}/{total_bytes}, {bytes_per_sec}",
            None => "{bytes}, {bytes_per_sec}",
        };
        bar.set_style(ProgressStyle::with_template(template).expect("a constant template"));
        // They do not count for the speed.
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

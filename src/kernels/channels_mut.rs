//! Views of channels that threads write at the same time.

use std::marker::PhantomData;
use std::ops::Range;

use super::simd::PANEL;

/// A mutable view of some channels of consecutive pixels, in memory `[pixel][channel]`. Views of
/// different channels of the same pixels can be written at the same time.
pub(crate) struct ChannelsMut<'a> {
    /// The first of the channels of the first pixel.
    start: *mut f32,
    pixels: usize,
    /// Values from a pixel to the next.
    step: usize,
    /// The numbers of the channels.
    channels: Range<usize>,
    values: PhantomData<&'a mut [f32]>,
}

// SAFETY: a view is a part of an exclusive borrow, and no other view has its channels.
unsafe impl Send for ChannelsMut<'_> {}

impl<'a> ChannelsMut<'a> {
    /// All channels of the pixels in `values`, each of which takes `step` values.
    ///
    /// # Panics
    /// If these are not whole pixels.
    pub(crate) fn new(values: &'a mut [f32], step: usize) -> ChannelsMut<'a> {
        assert!(values.len().is_multiple_of(step), "pixels of {step} values");
        let (start, pixels) = (values.as_mut_ptr(), values.len() / step);
        ChannelsMut { start, pixels, step, channels: 0..step, values: PhantomData }
    }

    /// Takes the view of some panels, where panel 0 begins at channel `first`. The channels after it
    /// remain.
    ///
    /// # Panics
    /// If these channels do not exist, or have been taken.
    pub(crate) fn take(&mut self, first: usize, panels: Range<usize>) -> ChannelsMut<'a> {
        let channels = first + panels.start * PANEL..first + panels.end * PANEL;
        let left = self.channels.clone();
        assert!(panels.start <= panels.end);
        assert!(left.start <= channels.start, "channel {} is taken", channels.start);
        assert!(channels.end <= left.end, "there are {} channels", left.end);
        let at = |channel: usize| self.start.wrapping_add(channel - left.start);
        let taken = ChannelsMut { start: at(channels.start), channels: channels.clone(), ..*self };
        self.start = at(channels.end);
        self.channels.start = channels.end;
        taken
    }

    /// The first channel of the first pixel, for a kernel that writes the first `panels` panels of the
    /// first `pixels` pixels, which lie `step` values apart.
    ///
    /// # Panics
    /// If the view does not hold these.
    pub(super) fn as_mut_ptr(&mut self, panels: usize, step: usize, pixels: usize) -> *mut f32 {
        assert!(step == self.step && pixels <= self.pixels, "an output does not fit");
        assert!(panels * PANEL <= self.channels.len(), "an output does not fit");
        self.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_hold_the_channels_that_they_were_asked_for() {
        let mut values = [0.0; 3 * 80];
        let first = values.as_ptr();
        let mut rest = ChannelsMut::new(&mut values, 80);
        let mut views = [rest.take(0, 0..1), rest.take(24, 0..1), rest.take(24, 1..3)];
        let starts = views.each_mut().map(|view| view.as_mut_ptr(1, 80, 3).addr() - first.addr());
        assert_eq!(starts, [0, 24 * 4, 40 * 4]);
        assert_eq!(views.map(|view| view.channels), [0..16, 24..40, 40..72]);
        assert_eq!(rest.channels, 72..80);
    }

    #[test]
    #[should_panic]
    fn panels_in_reverse_are_refused() {
        let mut values = [0.0; 80];
        let mut rest = ChannelsMut::new(&mut values, 80);
        rest.take(0, 0..3);
        #[expect(clippy::reversed_empty_ranges)]
        rest.take(0, 3..1);
    }

    #[test]
    #[should_panic = "channel 8 is taken"]
    fn channels_that_were_taken_are_refused() {
        let mut values = [0.0; 80];
        let mut rest = ChannelsMut::new(&mut values, 80);
        rest.take(0, 0..1);
        rest.take(8, 0..1);
    }
}

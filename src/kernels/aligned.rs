//! Memory in whole cache lines, and pixels in whole vectors, for activations and packed weights; what the values are is not known here.

/// Values that begin at a cache line: no vector load of 16 of them, from a multiple of 16, touches two lines, which would
/// cost as much as two loads.
#[derive(Clone, Default)]
pub(crate) struct AlignedBuf {
    lines: Vec<CacheLine>,
}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct CacheLine([f32; 16]);

impl AlignedBuf {
    /// Zeros: `len` values, rounded up to whole lines.
    pub(crate) fn zeros(len: usize) -> AlignedBuf {
        AlignedBuf { lines: vec![CacheLine([0.0; 16]); len.div_ceil(16)] }
    }

    /// Makes room for `len` values at least; what they are is not said.
    pub(crate) fn grow(&mut self, len: usize) {
        let more = len.div_ceil(16).saturating_sub(self.lines.len());
        // Not a line more than asked for: a sweep's memory is bounded by what it asks for.
        self.lines.reserve_exact(more);
        self.lines.resize(self.lines.len() + more, CacheLine([0.0; 16]));
    }
}

impl std::ops::Deref for AlignedBuf {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: a line is 16 values without padding, and lines of a `Vec` lie side by side.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.lines.len() * 16) }
    }
}

impl std::ops::DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above; borrowed mutably as a whole.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.lines.len() * 16) }
    }
}

/// Channels that a pixel of `channels` takes in memory: kernels store whole vectors of 16.
pub(crate) fn pitch(channels: usize) -> usize {
    channels.next_multiple_of(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_only_made_where_there_is_not_enough() {
        let mut lines = AlignedBuf::zeros(20);
        lines.grow(32);
        assert_eq!(lines.len(), 32);
        lines.grow(33);
        assert_eq!(lines.len(), 48);
        lines.grow(0);
        assert_eq!(lines.len(), 48);
    }

    #[test]
    fn lines_begin_at_cache_lines_and_hold_what_was_asked_for() {
        for len in [0, 1, 16, 17, 1000] {
            let mut lines = AlignedBuf::zeros(len);
            assert!(lines.len() >= len && lines.len() < len + 16);
            assert_eq!(lines.as_ptr().align_offset(64), 0);
            lines.iter_mut().for_each(|v| *v += 1.0);
            assert!(lines.iter().all(|&v| v == 1.0));
        }
    }
}

//! Buffers that begin at cache lines, for activations and packed weights, and the pitch of a pixel in them.

/// A buffer of `f32` that begins at a cache line. A vector load of 16 values from a multiple of 16
/// touches one line; a load that straddles two lines costs as much as two loads.
#[derive(Clone, Default)]
pub(crate) struct AlignedBuf {
    lines: Vec<CacheLine>,
}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct CacheLine([f32; 16]);

impl AlignedBuf {
    /// Allocates `len` zeros, rounded up to whole lines.
    pub(crate) fn zeros(len: usize) -> AlignedBuf {
        AlignedBuf { lines: vec![CacheLine([0.0; 16]); len.div_ceil(16)] }
    }

    /// Grows to at least `len` values; contents are unspecified.
    pub(crate) fn grow(&mut self, len: usize) {
        let more = len.div_ceil(16).saturating_sub(self.lines.len());
        // The reservation is exact because a sweep's memory is bounded by what it asks for.
        self.lines.reserve_exact(more);
        self.lines.resize(self.lines.len() + more, CacheLine([0.0; 16]));
    }
}

impl std::ops::Deref for AlignedBuf {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: a line is 16 values without padding, and the lines of a `Vec` are contiguous.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.lines.len() * 16) }
    }
}

impl std::ops::DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`; `self` is borrowed mutably as a whole.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.lines.len() * 16) }
    }
}

/// The values that a pixel of `channels` channels takes in memory. Kernels store whole vectors, so
/// this is a multiple of 16.
pub(crate) fn pitch(channels: usize) -> usize {
    channels.next_multiple_of(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_grows_only_where_it_is_too_short() {
        let mut lines = AlignedBuf::zeros(20);
        lines.grow(32);
        assert_eq!(lines.len(), 32);
        lines.grow(33);
        assert_eq!(lines.len(), 48);
        lines.grow(0);
        assert_eq!(lines.len(), 48);
    }

    #[test]
    fn a_buffer_begins_at_a_cache_line_and_holds_the_length_asked_for() {
        for len in [0, 1, 16, 17, 1000] {
            let mut lines = AlignedBuf::zeros(len);
            assert!(lines.len() >= len && lines.len() < len + 16);
            assert_eq!(lines.as_ptr().align_offset(64), 0);
            lines.iter_mut().for_each(|v| *v += 1.0);
            assert!(lines.iter().all(|&v| v == 1.0));
        }
    }
}

//! Buffers that begin at cache lines, for activations and packed weights, and the pitch of a pixel in them.

/// Values in a cache line.
pub(super) const LINE: usize = 16;

/// A buffer of `f32` that begins at a cache line. A vector load of 16 values from a multiple of 16
/// touches one line; a load that straddles two lines costs as much as two loads.
///
/// The memory has room for one more line, and the values begin at the first line in it. The system
/// could align the memory, but glibc before 2.38 does not reuse aligned memory that was freed: a
/// program that ran many sweeps took more and more.
#[derive(Default)]
pub(crate) struct AlignedBuf {
    memory: Vec<f32>,
    start: usize,
    len: usize,
}

impl AlignedBuf {
    /// Allocates `len` zeros, rounded up to whole lines.
    pub(crate) fn zeros(len: usize) -> AlignedBuf {
        let len = len.next_multiple_of(LINE);
        let memory = vec![0.0; len + LINE - 1];
        let start = memory.as_ptr().align_offset(LINE * size_of::<f32>());
        AlignedBuf { memory, start, len }
    }

    /// Grows to at least `len` values; contents are unspecified.
    pub(crate) fn grow(&mut self, len: usize) {
        if len > self.len {
            // Both buffers together could exceed the bound on a sweep's memory.
            *self = AlignedBuf::default();
            *self = AlignedBuf::zeros(len);
        }
    }
}

impl Clone for AlignedBuf {
    fn clone(&self) -> AlignedBuf {
        let mut copy = AlignedBuf::zeros(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl std::ops::Deref for AlignedBuf {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.memory[self.start..][..self.len]
    }
}

impl std::ops::DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory[self.start..][..self.len]
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
            let copy = lines.clone();
            assert_eq!(copy.as_ptr().align_offset(64), 0);
            assert!(lines.iter().chain(copy.iter()).all(|&v| v == 1.0));
        }
    }
}

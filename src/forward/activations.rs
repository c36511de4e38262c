//! Activations of one image, seen as pixels in rows, wherever they are kept: it borrows values and knows nothing of layers.

/// `pixel` values lie between neighbours, of which `channels` are the pixel's.
#[derive(Clone, Copy)]
pub(crate) struct BlobView<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) pixel: usize,
    pub(crate) channels: usize,
}

impl<'a> BlobView<'a> {
    pub(crate) fn at(&self, y: usize, x: usize) -> &'a [f32] {
        let start = (y * self.width + x) * self.pixel;
        &self.values[start..start + self.channels]
    }
}

//! Activations of one image, seen as pixels in rows, wherever they are kept: it borrows values and knows nothing of layers.

use super::Classification;
use crate::kernels::{AlignedBuf, pitch};
use crate::network::{INPUT_SIDE, Network};

/// Rows and columns of zeros stored around an input image: conv1's padding.
pub(crate) const IMAGE_PADDING: usize = 3;
/// Side of an input image with its padding.
pub(crate) const PADDED_SIDE: usize = INPUT_SIDE + 2 * IMAGE_PADDING;

/// All blobs of one image's pass, by [`GoogLeNet::forward`].
///
/// ```
/// use occlude::{GoogLeNet, Input, Weights};
///
/// let net = GoogLeNet::new(&Weights::seeded(1))?;
/// let activations = net.forward(&Input::from_nhwc_bgr(vec![20.0; 224 * 224 * 3])?);
/// // [56][56][64], after ReLU and pooling: channel 5 of the pixel in row 10 and column 20.
/// let pool1 = activations.blob("pool1/3x3_s2").unwrap();
/// assert_eq!(pool1.len(), 56 * 56 * 64);
/// assert!(pool1[(10 * 56 + 20) * 64 + 5] >= 0.0);
/// assert_eq!(activations.blob("loss3/classifier").unwrap(), activations.classification().logits);
/// # Ok::<(), occlude::Error>(())
/// ```
pub struct Activations {
    pub(crate) network: Network,
    /// `[y][x][channel]`, a pixel every `pitch(channels)` values; blob 0 is the image with its padding.
    pub(crate) blobs: Vec<AlignedBuf>,
}

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

/// Writes an [`Input`]'s values into the middle of a plane whose border stays zero, less the mean that this network wants.
pub(crate) fn pad_image(network: &Network, image: &[f32], padded: &mut [f32]) {
    let shift = network.input_shift();
    for (y, row) in image.chunks_exact(INPUT_SIDE * 3).enumerate() {
        let start = ((y + IMAGE_PADDING) * PADDED_SIDE + IMAGE_PADDING) * 3;
        for (to, from) in padded[start..start + row.len()].chunks_exact_mut(3).zip(row.chunks_exact(3)) {
            (0..3).for_each(|c| to[c] = from[c] + shift[c]);
        }
    }
}

impl Activations {
    /// The values of the blob of this name, `[side][side][channels]`; `None` when there is no such blob.
    /// The input image is `data`, minus the mean that this network wants; the logits have the last layer's name. All but these
    /// two are 0 or more.
    pub fn blob(&self, name: &str) -> Option<Vec<f32>> {
        let id = self.network.find(name)?;
        if id == 0 {
            let row = PADDED_SIDE * 3;
            let rows = self.blobs[0].chunks_exact(row).skip(IMAGE_PADDING).take(INPUT_SIDE);
            return Some(rows.flat_map(|r| &r[IMAGE_PADDING * 3..][..INPUT_SIDE * 3]).copied().collect());
        }
        let channels = self.network.blobs[id].channels;
        Some(self.blobs[id].chunks_exact(pitch(channels)).flat_map(|p| &p[..channels]).copied().collect())
    }

    /// The logits and probabilities.
    pub fn classification(&self) -> Classification {
        let logits = self.blobs.last().expect("the table ends with the logits");
        Classification::new(logits[..self.network.blobs.last().expect("as above").channels].to_vec())
    }

    pub(crate) fn plane(&self, blob: usize) -> BlobView<'_> {
        if blob == 0 {
            let (width, height) = (PADDED_SIDE, PADDED_SIDE);
            return BlobView { values: &self.blobs[0], width, height, pixel: 3, channels: 3 };
        }
        let shape = &self.network.blobs[blob];
        BlobView {
            values: &self.blobs[blob],
            width: shape.side,
            height: shape.side,
            pixel: pitch(shape.channels),
            channels: shape.channels,
        }
    }
}

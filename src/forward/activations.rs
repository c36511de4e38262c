//! The activations of one image in memory, with the padding of the input and views of single blobs.

use std::fmt;

use super::Classification;
use crate::kernels::{AlignedBuf, pitch};
use crate::network::{BlobId, INPUT_SIDE, Network};

/// Rows and columns of zeros that are stored on each side of an input image: the padding of conv1.
pub(crate) const IMAGE_PADDING: usize = 3;
/// Height and width of an input image with its padding, in pixels.
pub(crate) const PADDED_SIDE: usize = INPUT_SIDE + 2 * IMAGE_PADDING;

/// All blobs of one forward pass; see [`GoogLeNet::forward`](super::GoogLeNet::forward).
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
    /// `[y][x][channel]`, where consecutive pixels lie `pitch(channels)` values apart. Blob 0 is
    /// the image with its padding.
    pub(crate) blobs: Vec<AlignedBuf>,
}

/// A borrowed blob of one image: `height` rows of `width` pixels. Consecutive pixels lie `pixel`
/// values apart, and the first `channels` of these are the values of the pixel.
#[derive(Clone, Copy)]
pub(crate) struct BlobView<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) pixel: usize,
    pub(crate) channels: usize,
}

impl<'a> BlobView<'a> {
    /// The channels of the pixel in row `y` and column `x`.
    pub(crate) fn at(&self, y: usize, x: usize) -> &'a [f32] {
        let start = (y * self.width + x) * self.pixel;
        &self.values[start..start + self.channels]
    }
}

/// Copies the values of an [`Input`](crate::Input) into the middle of `padded`, whose border stays
/// zero, and shifts them to the mean that this network expects.
pub(crate) fn pad_image(network: &Network, image: &[f32], padded: &mut [f32]) {
    let shift = network.input_shift();
    for (y, row) in image.chunks_exact(INPUT_SIDE * 3).enumerate() {
        let start = ((y + IMAGE_PADDING) * PADDED_SIDE + IMAGE_PADDING) * 3;
        for (to, from) in padded[start..start + row.len()].chunks_exact_mut(3).zip(row.chunks_exact(3)) {
            (0..3).for_each(|c| to[c] = from[c] + shift[c]);
        }
    }
}

impl fmt::Debug for Activations {
    /// Shows the table's name and the number of blobs, not the values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Activations");
        debug.field("network", &self.network.name).field("blobs", &self.blobs.len()).finish_non_exhaustive()
    }
}

impl Activations {
    /// A copy of the blob with this name, `[side][side][channels]`; `None` if there is none.
    ///
    /// The blob `data` is the input image minus the mean of this network. The logits have the name
    /// of the last layer. All other blobs hold values of 0 or more.
    pub fn blob(&self, name: &str) -> Option<Vec<f32>> {
        let id = self.network.find(name)?;
        if id == BlobId::IMAGE {
            let row = PADDED_SIDE * 3;
            let rows = self.blobs[0].chunks_exact(row).skip(IMAGE_PADDING).take(INPUT_SIDE);
            return Some(rows.flat_map(|r| &r[IMAGE_PADDING * 3..][..INPUT_SIDE * 3]).copied().collect());
        }
        let channels = self.network.blobs[id].channels;
        Some(self.blobs[id].chunks_exact(pitch(channels)).flat_map(|p| &p[..channels]).copied().collect())
    }

    /// The logits and probabilities of the image.
    pub fn classification(&self) -> Classification {
        let logits = self.blobs.last().expect("the table ends with the logits");
        Classification::new(logits[..self.network.blobs.last().expect("as above").channels].to_vec())
    }

    /// A view of a blob. Blob 0 includes its padding.
    pub(crate) fn plane(&self, blob: BlobId) -> BlobView<'_> {
        if blob == BlobId::IMAGE {
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

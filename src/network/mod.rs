//! The network as data: one table of blobs and layers. The forward passes, the sweep, the receptive
//! fields, the count of multiply-adds and the check of weights files all read it
//! (`docs/03-pooling-lrn-inception.md`).
//!
//! The table holds the names and sizes of the layers, but no weights and no activations.
//!
//! GoogLeNet is published in two variants, which differ in this table only: BVLC GoogLeNet, after
//! Berkeley's `deploy.prototxt`, and torchvision's `googlenet`. Both follow Szegedy et al., "Going
//! deeper with convolutions" (2014), table 1.

pub mod geometry;
pub mod groups;
pub mod labels;
pub(crate) mod suggest;
mod table;

pub(crate) use table::LEVELS_MEAN_BGR;
pub(crate) use table::{FIRST_CHANNELS, is_width};

use std::ops::{Index, IndexMut, Range};

use crate::{Error, Result};
use geometry::{ReceptiveField, Window};
use suggest::suggest;

/// Height and width of the input image in pixels.
pub const INPUT_SIDE: usize = 224;
/// Number of classes of ImageNet (ILSVRC 2012), on which the published networks were trained: the
/// classifier's `num_output`.
pub const CLASSES: usize = 1000;
/// Largest number of classes that a network can have. (ImageNet-21k, the largest common collection,
/// has 21841.)
pub const MAX_CLASSES: usize = 32_768;
/// Per-channel ImageNet mean (B, G, R) in 0..=255, already subtracted from an
/// [`Input`](crate::Input). These are the `mean_value`s of BVLC GoogLeNet's `train_val.prototxt`.
pub const MEAN_BGR: [f32; 3] = [104.0, 117.0, 123.0];

/// Number of channels in a window of local response normalisation (LRN), the prototxt's
/// `local_size`. LRN replaces a value `x` by `x / t^0.75`, where `t = 1 + LRN_ALPHA / LRN_SIZE *
/// (sum of squares over the window)`.
pub const LRN_SIZE: usize = 5;
/// The factor `alpha` of LRN in the prototxt, which Caffe divides by [`LRN_SIZE`].
pub const LRN_ALPHA: f32 = 1e-4;

/// Index of a blob: in [`Network::blobs`], and in any other `Vec` with an element for each blob.
///
/// ```
/// use occlude::network::{BlobId, Network};
///
/// let network = Network::googlenet();
/// assert_eq!(network.blobs[BlobId::IMAGE].side, 224);
/// assert_eq!(network.blobs[network.layers[0].output].side, 112);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(pub usize);

impl BlobId {
    /// The input image, the first blob.
    pub const IMAGE: BlobId = BlobId(0);
}

impl<T> Index<BlobId> for Vec<T> {
    type Output = T;

    fn index(&self, id: BlobId) -> &T {
        &self[id.0]
    }
}

impl<T> IndexMut<BlobId> for Vec<T> {
    fn index_mut(&mut self, id: BlobId) -> &mut T {
        &mut self[id.0]
    }
}

/// A plane of activations: `side` x `side` pixels of `channels` values each, where the channels of
/// a pixel are contiguous (NHWC).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Blob {
    /// Name of the blob in the prototxt, or of the module in torchvision.
    pub name: String,
    /// Height and width in pixels.
    pub side: usize,
    /// Number of values of each pixel.
    pub channels: usize,
}

/// The operation of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Op {
    /// Convolution, bias and ReLU. The outputs are 0 or more.
    Convolution(Window),
    /// Maximum of each channel over the part of the window that lies in the plane.
    /// [`Window::output_side`] gives the size of the output.
    MaxPool(Window),
    /// Local response normalisation across the channels of a pixel; see [`LRN_SIZE`]. Krizhevsky et
    /// al. (2012), section 3.3, with Caffe's constants. Only BVLC GoogLeNet has it.
    Lrn,
    /// Mean of each channel over the whole plane. The output is one pixel.
    AveragePool,
    /// Fully connected layer with bias, without ReLU. The outputs are the logits.
    Classifier,
}

/// A layer, which reads the blob `input` and writes the channels `channel .. channel + channels` of
/// the blob `output`. Concatenation is that channel offset; no layer copies.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Layer {
    /// Name of the layer in the prototxt, or of the module in torchvision. A layer with weights has
    /// the tensors `<name>.weight` and `<name>.bias`.
    pub name: String,
    /// The operation.
    pub op: Op,
    /// The blob that it reads.
    pub input: BlobId,
    /// The blob that it writes to.
    pub output: BlobId,
    /// The first channel of `output` that it writes.
    pub channel: usize,
    /// The number of channels that it writes.
    pub channels: usize,
}

/// The table of a network: its layers in the order in which they run, and the blobs between them.
/// Blob 0 is the input image.
///
/// ```
/// use occlude::network::{BlobId, Network};
///
/// let network = Network::googlenet();
/// let shape = |blob: BlobId| (network.blobs[blob].side, network.blobs[blob].channels);
/// let mut multiply_adds = 0;
/// for layer in &network.layers {
///     let ((side, inputs), (output_side, outputs)) = (shape(layer.input), shape(layer.output));
///     println!("{}: {side}x{side}x{inputs} to {output_side}x{output_side}x{outputs}", layer.name);
///     multiply_adds += network.multiply_adds_per_pixel(layer) * output_side.pow(2);
/// }
/// assert_eq!(multiply_adds, 1_582_671_872);
///
/// // A branch of an inception block writes its channels of the block's output.
/// let branch = network.layers.iter().find(|layer| layer.name == "inception_3a/3x3").unwrap();
/// assert_eq!(network.blobs[branch.output].name, "inception_3a/output");
/// assert_eq!((branch.channel, branch.channels), (64, 128));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Network {
    /// Name of the table: "BVLC GoogLeNet", "torchvision googlenet" or "torchvision googlenet at
    /// half its width".
    pub name: String,
    /// Per-channel mean (B, G, R), in 0..=255, that is subtracted from images before the first
    /// layer. The zero padding of the first layer stands for this colour.
    pub mean_bgr: [f32; 3],
    /// All blobs; a [`BlobId`] is an index into them.
    pub blobs: Vec<Blob>,
    /// All layers. Each comes after the layers that write its input.
    pub layers: Vec<Layer>,
}

impl Network {
    /// The last layer of the table.
    pub(crate) fn classifier(&self) -> &Layer {
        self.layers.last().expect("a network has layers")
    }

    /// Number of classes, which is the number of channels of the last blob.
    pub fn classes(&self) -> usize {
        self.blobs.last().map_or(0, |logits| logits.channels)
    }

    /// The pixels of the image that an activation of this blob depends on. For the output of an
    /// inception block, the union of the branches' fields.
    ///
    /// # Panics
    /// If the table has no such blob.
    pub fn receptive_field(&self, blob: BlobId) -> ReceptiveField {
        let mut fields: Vec<Option<ReceptiveField>> = vec![None; self.blobs.len()];
        fields[0] = Some(ReceptiveField::PIXEL);
        for layer in &self.layers {
            let input = fields[layer.input].expect("layers come after those that they read from");
            let field = self.field_after(layer, input);
            let output = &mut fields[layer.output];
            *output = Some(output.map_or(field, |other| other.union(field)));
        }
        fields[blob].expect("every blob except the image is written")
    }

    /// The pixels of the image that an output of one layer depends on. For a branch of an inception
    /// block they can be fewer than those of its blob.
    pub fn receptive_field_of(&self, layer: &Layer) -> ReceptiveField {
        self.field_after(layer, self.receptive_field(layer.input))
    }

    fn field_after(&self, layer: &Layer, input: ReceptiveField) -> ReceptiveField {
        input.then(self.window(layer))
    }

    /// The window that an output pixel of a layer reads.
    pub(crate) fn window(&self, layer: &Layer) -> Window {
        match layer.op {
            Op::Convolution(window) | Op::MaxPool(window) => window,
            Op::Lrn | Op::Classifier => Window::convolution(1, 1, 0),
            Op::AveragePool => Window::pool(self.blobs[layer.input].side, 1, 0),
        }
    }

    /// The difference (B, G, R) between the values of an [`Input`](crate::Input) and those that the
    /// first layer expects. Adding it is exact for whole levels, except for torchvision's variant
    /// without `transform_input`, whose mean is not a multiple of 1/2: there the sum is rounded
    /// once.
    pub(crate) fn input_shift(&self) -> [f32; 3] {
        std::array::from_fn(|c| MEAN_BGR[c] - self.mean_bgr[c])
    }

    /// The input of the global average pooling, `[7][7][1024]` at full width.
    pub fn last_plane(&self) -> BlobId {
        let pool = self.layers.iter().find(|layer| layer.op == Op::AveragePool);
        pool.expect("both variants have one").input
    }

    /// The blobs through which every path from the image to the logits passes, in order: those
    /// between single layers, and the outputs of the inception blocks.
    pub fn trunk(&self) -> Vec<BlobId> {
        // The number of layers after which a blob is complete.
        let complete =
            |blob: BlobId| self.layers.iter().rposition(|layer| layer.output == blob).map_or(0, |at| at + 1);
        let is_passed_by = |blob: BlobId| {
            self.layers[complete(blob)..].iter().any(|layer| complete(layer.input) < complete(blob))
        };
        let mut trunk: Vec<BlobId> =
            (0..self.blobs.len()).map(BlobId).filter(|&blob| !is_passed_by(blob)).collect();
        trunk.sort_by_key(|&blob| complete(blob));
        trunk
    }

    /// The blob with this name, or `None`.
    pub fn find(&self, name: &str) -> Option<BlobId> {
        self.blobs.iter().position(|blob| blob.name == name).map(BlobId)
    }

    /// The output of a layer or of an inception block with this name: the blob and the range of its
    /// channels. Convolutions, the classifier and inception blocks can also be named as in the
    /// other variant.
    ///
    /// # Errors
    /// [`Error::UnknownLayer`], with all names of this network, if there is no such layer. The
    /// input image is not a layer.
    pub fn output(&self, name: &str) -> Result<(BlobId, Range<usize>)> {
        let other = [Network::googlenet(), Network::torchvision(CLASSES)];
        let name = other.iter().find_map(|other| self.counterpart(other, name)).unwrap_or(name);
        if let Some(layer) = self.layers.iter().find(|layer| layer.name == name) {
            return Ok((layer.output, layer.channel..layer.channel + layer.channels));
        }
        let blob = self.find(name).filter(|&blob| blob != BlobId::IMAGE);
        blob.map(|blob| (blob, 0..self.blobs[blob].channels)).ok_or_else(|| {
            let all = self.output_names();
            let similar = suggest(&name.to_lowercase(), all.iter().copied());
            let all = all.into_iter().map(str::to_string).collect();
            Error::UnknownLayer { name: name.to_string(), similar, all }
        })
    }

    /// The name in this table of a layer with weights, or of an inception block, that another
    /// variant calls `name`.
    fn counterpart(&self, other: &Network, name: &str) -> Option<&str> {
        fn named(network: &Network) -> Vec<&str> {
            let weighted = network.layers.iter().filter(|layer| network.weight_shape(layer).is_some());
            // Both variants list them in the same order.
            let blocks = network.blobs.iter().enumerate().filter(|&(id, _)| network.writers(BlobId(id)) > 1);
            weighted.map(|layer| &layer.name[..]).chain(blocks.map(|(_, blob)| &blob.name[..])).collect()
        }
        let at = named(other).iter().position(|other| *other == name)?;
        named(self).get(at).copied()
    }

    /// Number of layers that write to a blob.
    fn writers(&self, blob: BlobId) -> usize {
        self.layers.iter().filter(|layer| layer.output == blob).count()
    }

    /// All names that [`Network::output`] accepts from this table: the layers in their order, and
    /// the output of each inception block after its layers.
    fn output_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (at, layer) in self.layers.iter().enumerate() {
            names.push(&layer.name);
            let blob = &self.blobs[layer.output].name;
            let complete = self.layers[at + 1..].iter().all(|later| later.output != layer.output);
            if complete && *blob != layer.name {
                names.push(blob);
            }
        }
        names
    }

    /// Number of multiply-adds of a layer for each pixel of its output, including those with an
    /// activation of zero; 0 for layers without weights.
    pub fn multiply_adds_per_pixel(&self, layer: &Layer) -> usize {
        match self.weight_shape(layer) {
            Some(shape) => shape.iter().product(),
            None => 0,
        }
    }

    /// Shape of a layer's weight tensor: `[out, in, height, width]`, for the classifier `[out,
    /// in]`; `None` for layers without weights.
    pub fn weight_shape(&self, layer: &Layer) -> Option<Vec<usize>> {
        let inputs = self.blobs[layer.input].channels;
        match layer.op {
            Op::Convolution(w) => Some(vec![layer.channels, inputs, w.size, w.size]),
            Op::Classifier => Some(vec![layer.channels, inputs]),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;

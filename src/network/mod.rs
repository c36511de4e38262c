//! The network as data: one table of blobs and layers, read by both forward passes, the sweep, the receptive fields, the count of
//! multiply-adds and the check of the weights (`docs/03-pooling-lrn-inception.md`).
//!
//! Only here do layers get their names and sizes. The table holds no weight and no activation, and knows nothing of who reads it.
//!
//! GoogLeNet is published in two variants, which share all but this table: Berkeley's, after `deploy.prototxt` of BVLC
//! GoogLeNet, and torchvision's `googlenet`. Both follow Szegedy et al., "Going deeper with convolutions" (2014), table 1.

pub mod geometry;
pub mod labels;
pub(crate) mod suggest;
mod table;

pub(crate) use table::LEVELS_MEAN_BGR;
pub(crate) use table::{FIRST_CHANNELS, is_width};

use std::ops::Range;

use crate::{Error, Result};
use geometry::{ReceptiveField, Window};
use suggest::suggest;

/// Side of the square input image in pixels.
pub const INPUT_SIDE: usize = 224;
/// Classes of ImageNet (ILSVRC 2012), which the published networks are trained on: the classifier's `num_output`.
pub const CLASSES: usize = 1000;
/// Most classes that a network can have; the largest collection that such networks are trained on has 21841.
pub const MAX_CLASSES: usize = 32_768;
/// Mean blue, green and red of ImageNet's pictures, 0..=255, which an [`Input`](crate::Input) is without: the `mean_value`s of
/// BVLC GoogLeNet's `train_val.prototxt`.
pub const MEAN_BGR: [f32; 3] = [104.0, 117.0, 123.0];

/// Local response normalisation: channels in a window, the prototxt's `local_size`. A value `x` becomes `x / t^0.75`, where
/// `t = 1 + LRN_ALPHA / LRN_SIZE * (sum of squares in the window)`.
pub const LRN_SIZE: usize = 5;
/// Local response normalisation: the prototxt's `alpha`, which Caffe divides by [`LRN_SIZE`].
pub const LRN_ALPHA: f32 = 1e-4;

/// Index of a blob in [`Network::blobs`].
pub type BlobId = usize;

/// A plane of activations: `side` x `side` pixels of `channels` values each, channels contiguous (NHWC).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Blob {
    /// The prototxt's name, or that of torchvision's module.
    pub name: String,
    /// Height and width in pixels.
    pub side: usize,
    /// Values a pixel.
    pub channels: usize,
}

/// What a layer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Op {
    /// Convolution, bias, ReLU: 0 or more.
    Convolution(Window),
    /// The largest value of each channel in the window, as far as it lies in the plane; [`Window::output_side`] has the size.
    MaxPool(Window),
    /// Local response normalisation across the channels of a pixel: see [`LRN_SIZE`]. Krizhevsky et al. (2012), section 3.3, in
    /// Caffe's form. Berkeley's variant only.
    Lrn,
    /// The mean of each channel over the whole plane, which becomes one pixel.
    AveragePool,
    /// Fully connected, bias, no ReLU: the logits.
    Classifier,
}

/// One layer: reads the blob `input`, writes channels `channel .. channel + channels` of the blob `output`.
/// Concatenation is that channel offset; no layer copies.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Layer {
    /// The prototxt's name, or that of torchvision's module; a layer with weights has `<name>.weight` and `<name>.bias`.
    pub name: String,
    /// What it does.
    pub op: Op,
    /// Where it reads.
    pub input: BlobId,
    /// Where it writes.
    pub output: BlobId,
    /// First channel of `output` that it writes.
    pub channel: usize,
    /// Number of channels that it writes.
    pub channels: usize,
}

/// The table: layers in the order in which they run, and the blobs between them. Blob 0 is the input image.
///
/// ```
/// use occlude::network::Network;
///
/// let network = Network::googlenet();
/// let shape = |blob: usize| (network.blobs[blob].side, network.blobs[blob].channels);
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
    /// The table's name: "BVLC GoogLeNet", "torchvision googlenet", "torchvision googlenet at half its width".
    pub name: String,
    /// Mean that the first layer's images are without: blue, green, red, 0..=255. Its zero padding stands for this colour.
    pub mean_bgr: [f32; 3],
    /// All blobs.
    pub blobs: Vec<Blob>,
    /// All layers, each after those that it reads from.
    pub layers: Vec<Layer>,
}

impl Network {
    /// Number of classes: channels of the last blob, the logits.
    pub fn classes(&self) -> usize {
        self.blobs.last().map_or(0, |logits| logits.channels)
    }

    /// The pixels of the image that an activation of this blob depends on. With branches side by side, the union of theirs.
    ///
    /// # Panics
    /// If there is no such blob.
    pub fn receptive_field(&self, blob: BlobId) -> ReceptiveField {
        let mut fields: Vec<Option<ReceptiveField>> = vec![None; self.blobs.len()];
        fields[0] = Some(ReceptiveField::PIXEL);
        for layer in &self.layers {
            let input = fields[layer.input].expect("layers come after those that they read from");
            let field = self.field_after(layer, input);
            let output = &mut fields[layer.output];
            *output = Some(output.map_or(field, |other| other.union(field)));
        }
        fields[blob].expect("every blob but the image is written")
    }

    /// The same of what one layer of this table writes, which can be less than that of its whole blob.
    pub fn receptive_field_of(&self, layer: &Layer) -> ReceptiveField {
        self.field_after(layer, self.receptive_field(layer.input))
    }

    fn field_after(&self, layer: &Layer, input: ReceptiveField) -> ReceptiveField {
        input.then(self.window(layer))
    }

    /// What an output pixel of a layer reads.
    pub(crate) fn window(&self, layer: &Layer) -> Window {
        match layer.op {
            Op::Convolution(window) | Op::MaxPool(window) => window,
            Op::Lrn | Op::Classifier => Window::convolution(1, 1, 0),
            Op::AveragePool => Window::pool(self.blobs[layer.input].side, 1, 0),
        }
    }

    /// The shift from an [`Input`](crate::Input)'s values to the first layer's, blue, green, red. The sum is exact for whole
    /// levels, but for a network without `transform_input`, whose mean is no multiple of a half: there it is rounded once.
    pub(crate) fn input_shift(&self) -> [f32; 3] {
        std::array::from_fn(|c| MEAN_BGR[c] - self.mean_bgr[c])
    }

    /// The last blob that is a plane, `[7][7][1024]`, which the mean is taken of.
    pub fn last_plane(&self) -> BlobId {
        let pool = self.layers.iter().find(|layer| layer.op == Op::AveragePool);
        pool.expect("both variants have one").input
    }

    /// The blobs that everything on its way from the image to the logits passes through, in order: the single layers' and those
    /// where an inception block's branches meet.
    pub fn trunk(&self) -> Vec<BlobId> {
        // The number of layers after which a blob is there as a whole.
        let complete =
            |blob: BlobId| self.layers.iter().rposition(|layer| layer.output == blob).map_or(0, |at| at + 1);
        let is_passed_by = |blob: BlobId| {
            self.layers[complete(blob)..].iter().any(|layer| complete(layer.input) < complete(blob))
        };
        let mut trunk: Vec<BlobId> = (0..self.blobs.len()).filter(|&blob| !is_passed_by(blob)).collect();
        trunk.sort_by_key(|&blob| complete(blob));
        trunk
    }

    /// The blob of this name; `None` when there is none.
    pub fn find(&self, name: &str) -> Option<BlobId> {
        self.blobs.iter().position(|blob| blob.name == name)
    }

    /// The output of a layer or of a whole inception block, by name: the blob, and the range of its channels. A
    /// convolution, the classifier and an inception block are also known by the name that the other variant has for them.
    ///
    /// # Errors
    /// [`Error::UnknownLayer`], with all the names that there are; the input image's is none of them.
    pub fn output(&self, name: &str) -> Result<(BlobId, Range<usize>)> {
        let other = [Network::googlenet(), Network::torchvision(CLASSES)];
        let name = other.iter().find_map(|other| self.same_place(other, name)).unwrap_or(name);
        if let Some(layer) = self.layers.iter().find(|layer| layer.name == name) {
            return Ok((layer.output, layer.channel..layer.channel + layer.channels));
        }
        let blob = self.find(name).filter(|&blob| blob != 0);
        blob.map(|blob| (blob, 0..self.blobs[blob].channels)).ok_or_else(|| {
            let all = self.output_names();
            let similar = suggest(&name.to_lowercase(), all.iter().copied());
            let all = all.into_iter().map(str::to_string).collect();
            Error::UnknownLayer { name: name.to_string(), similar, all }
        })
    }

    /// The name here of what another variant's table has under `name`, if it is a layer with weights or an inception block.
    fn same_place(&self, other: &Network, name: &str) -> Option<&str> {
        fn named(network: &Network) -> Vec<&str> {
            let weighted = network.layers.iter().filter(|layer| network.weight_shape(layer).is_some());
            // Both variants have these in the same order.
            let blocks = network.blobs.iter().enumerate().filter(|&(id, _)| network.writers(id) > 1);
            weighted.map(|layer| &layer.name[..]).chain(blocks.map(|(_, blob)| &blob.name[..])).collect()
        }
        let at = named(other).iter().position(|other| *other == name)?;
        named(self).get(at).copied()
    }

    /// The number of layers that write to a blob.
    fn writers(&self, blob: BlobId) -> usize {
        self.layers.iter().filter(|layer| layer.output == blob).count()
    }

    /// The names that [`Network::output`] knows: the layers in their order, each inception block's output after its layers.
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

    /// Multiply-adds of a layer for each pixel of its output, zeros included; 0 for layers without weights.
    pub fn multiply_adds_per_pixel(&self, layer: &Layer) -> usize {
        match self.weight_shape(layer) {
            Some(shape) => shape.iter().product(),
            None => 0,
        }
    }

    /// Shape of a layer's weight tensor, `[out, in, height, width]` or `[out, in]` for the classifier; `None` for layers without.
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

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

/// Channels after the first layer of the published networks.
pub(crate) const FIRST_CHANNELS: usize = 64;

/// The colour that is 0 after `x / 127.5 - 1`.
pub(crate) const LEVELS_MEAN_BGR: [f32; 3] = [127.5; 3];

/// Channels after the first layer at half the width.
const HALF: usize = 32;

/// True if a network can have this many channels after its first layer: at other widths the last branch of a block would not
/// end with a whole vector of the kernels, which store no less.
pub(crate) fn is_width(first: usize) -> bool {
    [HALF, FIRST_CHANNELS].contains(&first)
}

/// Channels of an inception block's branches: 1x1, 3x3_reduce, 3x3, 5x5_reduce, 5x5, pool_proj.
const INCEPTION: [(&str, [usize; 6]); 9] = [
    ("3a", [64, 96, 128, 16, 32, 32]),
    ("3b", [128, 128, 192, 32, 96, 64]),
    ("4a", [192, 96, 208, 16, 48, 64]),
    ("4b", [160, 112, 224, 24, 64, 64]),
    ("4c", [128, 128, 256, 24, 64, 64]),
    ("4d", [112, 144, 288, 32, 64, 64]),
    ("4e", [256, 160, 320, 32, 128, 128]),
    ("5a", [256, 160, 320, 32, 128, 128]),
    ("5b", [384, 192, 384, 48, 128, 128]),
];

/// Names of an inception block's parts, after the block's own: output, 1x1, 3x3_reduce, 3x3, 5x5_reduce, 5x5, pool, pool_proj.
type Parts = [&'static str; 8];
const BVLC_PARTS: Parts =
    ["/output", "/1x1", "/3x3_reduce", "/3x3", "/5x5_reduce", "/5x5", "/pool", "/pool_proj"];
const TORCHVISION_PARTS: Parts =
    ["", ".branch1", ".branch2.0", ".branch2.1", ".branch3.0", ".branch3.1", ".branch4.0", ".branch4.1"];

impl Network {
    /// The published BVLC GoogLeNet: 1000 classes.
    pub fn googlenet() -> Network {
        Network::bvlc(CLASSES)
    }

    /// BVLC GoogLeNet with its classifier for so many classes, 1..=[`MAX_CLASSES`].
    pub fn bvlc(classes: usize) -> Network {
        let mut net = Network::new("BVLC GoogLeNet", MEAN_BGR);
        let mut x = net.blob("data", INPUT_SIDE, 3);
        x = net.layer("conv1/7x7_s2", convolution(7, 2, 3), x, FIRST_CHANNELS);
        x = net.pool("pool1/3x3_s2", max_pool(3, 2, 0), x);
        x = net.pool("pool1/norm1", Op::Lrn, x);
        x = net.layer("conv2/3x3_reduce", convolution(1, 1, 0), x, 64);
        x = net.layer("conv2/3x3", convolution(3, 1, 1), x, 192);
        x = net.pool("conv2/norm2", Op::Lrn, x);
        x = net.pool("pool2/3x3_s2", max_pool(3, 2, 0), x);
        for (block, channels) in INCEPTION {
            match block {
                "4a" => x = net.pool("pool3/3x3_s2", max_pool(3, 2, 0), x),
                "5a" => x = net.pool("pool4/3x3_s2", max_pool(3, 2, 0), x),
                _ => {}
            }
            x = net.inception(&format!("inception_{block}"), BVLC_PARTS, 5, channels, x);
        }
        x = net.pool("pool5/7x7_s1", Op::AveragePool, x);
        net.layer("loss3/classifier", Op::Classifier, x, classes);
        net
    }

    /// torchvision's `googlenet` with its classifier for so many classes, 1..=[`MAX_CLASSES`]. Batch normalisation is a part of
    /// the convolution before it; the branch that is called 5x5 in the paper has 3x3 windows, pool4 2x2; there is no LRN. Images
    /// are red first there, and divided by 127.5 minus 1 (`transform_input`): the first layer's weights have that here.
    pub fn torchvision(classes: usize) -> Network {
        Network::torchvision_of_width(FIRST_CHANNELS, classes)
    }

    /// torchvision's `googlenet` at half its width: each layer has half its channels, rounded to a multiple of 8, halves up. The
    /// built-in network is one.
    pub fn torchvision_half(classes: usize) -> Network {
        Network::torchvision_of_width(HALF, classes)
    }

    /// The table with `first` channels after the first layer, which is a width by [`is_width`].
    pub(crate) fn torchvision_of_width(first: usize, classes: usize) -> Network {
        debug_assert!(is_width(first));
        let scaled = |channels: usize| (channels * first / FIRST_CHANNELS).next_multiple_of(8);
        let name =
            if first == HALF { "torchvision googlenet at half its width" } else { "torchvision googlenet" };
        let mut net = Network::new(name, LEVELS_MEAN_BGR);
        let mut x = net.blob("data", INPUT_SIDE, 3);
        x = net.layer("conv1", convolution(7, 2, 3), x, first);
        x = net.pool("maxpool1", max_pool(3, 2, 0), x);
        x = net.layer("conv2", convolution(1, 1, 0), x, scaled(64));
        x = net.layer("conv3", convolution(3, 1, 1), x, scaled(192));
        x = net.pool("maxpool2", max_pool(3, 2, 0), x);
        for (block, channels) in INCEPTION {
            match block {
                "4a" => x = net.pool("maxpool3", max_pool(3, 2, 0), x),
                "5a" => x = net.pool("maxpool4", max_pool(2, 2, 0), x),
                _ => {}
            }
            let channels = channels.map(scaled);
            x = net.inception(&format!("inception{block}"), TORCHVISION_PARTS, 3, channels, x);
        }
        x = net.pool("avgpool", Op::AveragePool, x);
        net.layer("fc", Op::Classifier, x, classes);
        net
    }

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
            Op::Lrn | Op::Classifier => Window { size: 1, stride: 1, padding: 0 },
            Op::AveragePool => Window { size: self.blobs[layer.input].side, stride: 1, padding: 0 },
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

    fn new(name: &str, mean_bgr: [f32; 3]) -> Network {
        Network { name: name.to_string(), mean_bgr, blobs: Vec::new(), layers: Vec::new() }
    }

    fn blob(&mut self, name: &str, side: usize, channels: usize) -> BlobId {
        self.blobs.push(Blob { name: name.to_string(), side, channels });
        self.blobs.len() - 1
    }

    /// Adds a layer that has its output blob to itself.
    fn layer(&mut self, name: &str, op: Op, input: BlobId, channels: usize) -> BlobId {
        let side = match op {
            Op::Convolution(w) | Op::MaxPool(w) => w.output_side(self.blobs[input].side),
            Op::Lrn => self.blobs[input].side,
            Op::AveragePool | Op::Classifier => 1,
        };
        let output = self.blob(name, side, channels);
        self.layers.push(Layer { name: name.to_string(), op, input, output, channel: 0, channels });
        output
    }

    /// Adds a layer that keeps the number of channels.
    fn pool(&mut self, name: &str, op: Op, input: BlobId) -> BlobId {
        self.layer(name, op, input, self.blobs[input].channels)
    }

    /// Adds an inception block: four branches that write side by side into one output blob. The third one's windows have
    /// `wide` pixels a side.
    fn inception(
        &mut self,
        block: &str,
        parts: Parts,
        wide: usize,
        channels: [usize; 6],
        input: BlobId,
    ) -> BlobId {
        let [output, one, reduce3, three, reduce5, five, pool, proj] =
            parts.map(|part| format!("{block}{part}"));
        let [c1, r3, c3, r5, c5, c_proj] = channels;
        let output = self.blob(&output, self.blobs[input].side, c1 + c3 + c5 + c_proj);
        let reduce3 = self.layer(&reduce3, convolution(1, 1, 0), input, r3);
        let reduce5 = self.layer(&reduce5, convolution(1, 1, 0), input, r5);
        let pool = self.pool(&pool, max_pool(3, 1, 1), input);
        let mut channel = 0;
        for (name, op, input, channels) in [
            (one, convolution(1, 1, 0), input, c1),
            (three, convolution(3, 1, 1), reduce3, c3),
            (five, convolution(wide, 1, wide / 2), reduce5, c5),
            (proj, convolution(1, 1, 0), pool, c_proj),
        ] {
            self.layers.push(Layer { name, op, input, output, channel, channels });
            channel += channels;
        }
        output
    }
}

fn convolution(size: usize, stride: usize, padding: usize) -> Op {
    Op::Convolution(Window { size, stride, padding })
}

fn max_pool(size: usize, stride: usize, padding: usize) -> Op {
    Op::MaxPool(Window { size, stride, padding })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::geometry::Rect;

    #[test]
    fn every_layer_and_blob_is_found_by_its_name_and_listed() {
        for net in [Network::googlenet(), Network::torchvision(3)] {
            let names = net.output_names();
            assert_eq!(names.len(), net.layers.len() + 9, "{names:?}");
            assert_eq!(names.iter().collect::<std::collections::HashSet<_>>().len(), names.len());
            for name in names {
                let (blob, channels) = net.output(name).unwrap();
                assert!(!channels.is_empty() && channels.end <= net.blobs[blob].channels, "{name}");
            }
        }
        let net = Network::googlenet();
        let block = net.find("inception_4c/output").unwrap();
        assert_eq!(net.output("inception_4c/output").unwrap(), (block, 0..512));
        assert_eq!(net.output("inception_4c/5x5").unwrap(), (block, 384..448));
        // By torchvision's names, and the other way round at another width.
        assert_eq!(net.output("inception4c").unwrap(), (block, 0..512));
        assert_eq!(net.output("inception4c.branch3.1").unwrap(), (block, 384..448));
        assert_eq!(net.output("fc").unwrap(), net.output("loss3/classifier").unwrap());
        let narrow = Network::torchvision_half(7);
        assert_eq!(
            narrow.output("inception_4c/5x5").unwrap(),
            narrow.output("inception4c.branch3.1").unwrap()
        );
        assert_eq!(narrow.output("conv1/7x7_s2").unwrap(), (narrow.find("conv1").unwrap(), 0..32));
        assert_eq!(narrow.output("inception_3b/output").unwrap(), narrow.output("inception3b").unwrap());
    }

    #[test]
    fn an_unknown_layer_is_refused_with_the_names_that_there_are() {
        let net = Network::googlenet();
        let message = |name: &str| net.output(name).unwrap_err().to_string();
        let text = message("inception_4c/ouput");
        let begin = "no layer is called \"inception_4c/ouput\"; did you mean inception_4c/output";
        assert!(text.starts_with(begin), "{text}");
        assert!(text.contains("\nexpected one of conv1/7x7_s2, pool1/3x3_s2, "), "{text}");
        assert!(
            message("5B/OUTPUT").contains("did you mean inception_5b/output?"),
            "{}",
            message("5B/OUTPUT")
        );
        assert!(message("data").starts_with("no layer is called \"data\"\nexpected"), "{}", message("data"));
    }

    #[test]
    fn the_table_is_the_published_network() {
        let net = Network::googlenet();
        let weighted: Vec<_> = net.layers.iter().filter_map(|l| net.weight_shape(l)).collect();
        assert_eq!(weighted.len(), 58);
        let parameters: usize = weighted.iter().map(|s| s.iter().product::<usize>() + s[0]).sum();
        assert_eq!(parameters, 6_998_552);
        let side = |name: &str| net.blobs[net.find(name).unwrap()].side;
        assert_eq!(
            ["conv1/7x7_s2", "pool1/3x3_s2", "pool2/3x3_s2", "pool3/3x3_s2", "pool4/3x3_s2"].map(side),
            [112, 56, 28, 14, 7]
        );
        assert_eq!(net.blobs[net.find("inception_5b/output").unwrap()].channels, 1024);
    }

    #[test]
    fn the_trunk_has_all_but_what_lies_in_a_block() {
        let net = Network::googlenet();
        let names: Vec<_> = net.trunk().into_iter().map(|blob| &net.blobs[blob].name[..]).collect();
        assert_eq!(names.len(), 1 + 7 + 2 + 1 + 5 + 1 + 2 + 2);
        assert_eq!(names[..3], ["data", "conv1/7x7_s2", "pool1/3x3_s2"]);
        assert_eq!(names[8..11], ["inception_3a/output", "inception_3b/output", "pool3/3x3_s2"]);
        assert_eq!(names[20], "loss3/classifier");
    }

    #[test]
    fn torchvisions_table_is_the_published_one() {
        let net = Network::torchvision(CLASSES);
        let weighted: Vec<_> = net.layers.iter().filter_map(|l| net.weight_shape(l)).collect();
        // Of torchvision's 6,624,904 parameters without the auxiliary classifiers; each convolution has one bias here, in
        // place of a batch normalisation's scale and shift.
        let parameters: usize = weighted.iter().map(|s| s.iter().product::<usize>() + s[0]).sum();
        let shifts: usize = weighted[..57].iter().map(|s| s[0]).sum();
        assert_eq!(parameters + shifts, 6_624_904);
        let sides = ["conv1", "maxpool1", "maxpool2", "maxpool3", "maxpool4"];
        let side = |name: &str| net.blobs[net.find(name).unwrap()].side;
        assert_eq!(sides.map(side), [112, 56, 28, 14, 7]);
        assert_eq!(net.blobs[net.last_plane()].name, "inception5b");
        assert_eq!(Network::torchvision(7).classes(), 7);
    }

    #[test]
    fn a_narrow_table_has_the_channels_of_its_recipe() {
        let net = Network::torchvision_half(30);
        assert_eq!(net.name, "torchvision googlenet at half its width");
        let channels = |name: &str| {
            let (_, channels) = net.output(name).unwrap();
            channels.len()
        };
        // `scaled` of tools/train/net.py: 16 / 2 is 8, 24 / 2 is 12, which is rounded up, 208 / 2 is 104.
        assert_eq!(["conv1", "conv2", "conv3"].map(channels), [32, 32, 96]);
        assert_eq!(["inception3a.branch3.0", "inception4b.branch3.0"].map(channels), [8, 16]);
        assert_eq!(["inception4a.branch2.1", "inception5b", "fc"].map(channels), [104, 512, 30]);
        // What the kernels need: they take channels by 8 and store them by 16, over what the next branch writes later.
        for net in [net, Network::googlenet(), Network::torchvision(3)] {
            assert!(net.blobs[1..net.blobs.len() - 1].iter().all(|blob| blob.channels.is_multiple_of(8)));
            for layer in &net.layers {
                let (end, room) =
                    (layer.channel + layer.channels.next_multiple_of(16), net.blobs[layer.output].channels);
                assert!(end <= room.next_multiple_of(16), "{}: {}", net.name, layer.name);
            }
        }
    }

    #[test]
    fn what_an_activation_depends_on_ends_with_the_picture() {
        let network = Network::googlenet();
        let field = |name: &str| {
            let layer = network.layers.iter().find(|layer| layer.name == name).unwrap();
            network.receptive_field_of(layer)
        };
        assert_eq!(field("conv1/7x7_s2").pixels([0, 50], INPUT_SIDE), Rect { y0: 0, x0: 97, y1: 4, x1: 104 });
        assert_eq!(
            field("conv1/7x7_s2").pixels([111, 111], INPUT_SIDE),
            Rect { y0: 219, x0: 219, y1: 224, x1: 224 }
        );
        assert_eq!(field("loss3/classifier").pixels([0, 0], INPUT_SIDE), Rect::plane(INPUT_SIDE));
    }

    /// Forwards and backwards are the same relation: a column of pixels reaches those activations whose field holds it.
    #[test]
    fn receptive_fields_are_what_pixels_reach() {
        for net in [Network::googlenet(), Network::torchvision(9)] {
            for pixel in 0..INPUT_SIDE {
                let mut rects = vec![Rect::default(); net.blobs.len()];
                rects[0] = Rect { y0: 0, x0: pixel, y1: INPUT_SIDE, x1: pixel + 1 };
                for layer in &net.layers {
                    let side = net.blobs[layer.output].side;
                    let reached = match layer.op {
                        Op::Convolution(window) | Op::MaxPool(window) => {
                            rects[layer.input].through(window, side)
                        }
                        Op::Lrn => rects[layer.input],
                        Op::AveragePool | Op::Classifier => Rect::plane(side),
                    };
                    rects[layer.output] = rects[layer.output].union(&reached);
                }
                // From the logits on there is one activation, whose field is more than the image.
                for (id, blob) in net.blobs.iter().enumerate() {
                    let field = net.receptive_field(id);
                    for o in 0..blob.side {
                        let start = field.start + (o * field.step) as isize;
                        let holds = (start..start + field.size as isize).contains(&(pixel as isize));
                        let reached = (rects[id].x0..rects[id].x1).contains(&o);
                        assert_eq!(holds, reached, "{}: pixel {pixel}, activation {o}, {field:?}", blob.name);
                    }
                }
            }
        }
    }

    #[test]
    fn a_pass_is_1_58_g_multiply_adds() {
        let net = Network::googlenet();
        let total: usize =
            net.layers.iter().map(|l| net.multiply_adds_per_pixel(l) * net.blobs[l.output].side.pow(2)).sum();
        assert_eq!((total as f64 / 1e7).round(), 158.0);
    }
}

//! The network as data: one table of blobs and layers, read by the forward pass, the affected-rectangle
//! algebra, the multiply-add counter, the weights check and the docs.
//!
//! Source: BVLC GoogLeNet's `deploy.prototxt`; Szegedy et al., "Going deeper with convolutions" (2014), table 1.

use crate::rect::Window;

/// Side of the square input image in pixels.
pub const INPUT_SIDE: usize = 224;
/// Number of classes.
pub const CLASSES: usize = 1000;
/// What is subtracted from the image's channels, in the order blue, green, red.
pub const MEAN_BGR: [f32; 3] = [104.0, 117.0, 123.0];

/// Local response normalisation: channels in a window.
pub const LRN_SIZE: usize = 5;
/// Local response normalisation: alpha, which is divided by [`LRN_SIZE`].
pub const LRN_ALPHA: f32 = 1e-4;

/// Index of a blob in [`Network::blobs`].
pub type BlobId = usize;

/// A plane of activations: `side` x `side` pixels of `channels` values each, channels contiguous (NHWC).
#[derive(Clone, Debug)]
pub struct Blob {
    /// The prototxt's name.
    pub name: String,
    /// Height and width in pixels.
    pub side: usize,
    /// Values a pixel.
    pub channels: usize,
}

/// What a layer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Convolution, bias, ReLU.
    Convolution(Window),
    /// Maximum over the window clipped at the border; the output size is rounded up (ceil).
    MaxPool(Window),
    /// Local response normalisation across channels.
    Lrn,
    /// Mean over the whole plane.
    AveragePool,
    /// Fully connected, bias, no ReLU: the logits.
    Classifier,
}

/// One layer: reads the blob `input`, writes channels `channel .. channel + channels` of the blob `output`.
/// Concatenation is that channel offset; no layer copies.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The prototxt's name; a layer with weights has `<name>.weight` and `<name>.bias`.
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
#[derive(Clone, Debug)]
pub struct Network {
    /// All blobs.
    pub blobs: Vec<Blob>,
    /// All layers, each after those that it reads from.
    pub layers: Vec<Layer>,
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

impl Network {
    /// The BVLC GoogLeNet.
    pub fn googlenet() -> Network {
        let mut net = Network { blobs: Vec::new(), layers: Vec::new() };
        let mut x = net.blob("data", INPUT_SIDE, 3);
        x = net.layer("conv1/7x7_s2", convolution(7, 2, 3), x, 64);
        x = net.layer("pool1/3x3_s2", max_pool(2, 0), x, 64);
        x = net.layer("pool1/norm1", Op::Lrn, x, 64);
        x = net.layer("conv2/3x3_reduce", convolution(1, 1, 0), x, 64);
        x = net.layer("conv2/3x3", convolution(3, 1, 1), x, 192);
        x = net.layer("conv2/norm2", Op::Lrn, x, 192);
        x = net.layer("pool2/3x3_s2", max_pool(2, 0), x, 192);
        for (block, channels) in INCEPTION {
            match block {
                "4a" => x = net.layer("pool3/3x3_s2", max_pool(2, 0), x, 480),
                "5a" => x = net.layer("pool4/3x3_s2", max_pool(2, 0), x, 832),
                _ => {}
            }
            x = net.inception(block, channels, x);
        }
        x = net.layer("pool5/7x7_s1", Op::AveragePool, x, 1024);
        net.layer("loss3/classifier", Op::Classifier, x, CLASSES);
        net
    }

    /// The blob of this name.
    pub fn find(&self, name: &str) -> Option<BlobId> {
        self.blobs.iter().position(|blob| blob.name == name)
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

    /// Adds an inception block: four branches that write side by side into one output blob.
    fn inception(&mut self, block: &str, channels: [usize; 6], input: BlobId) -> BlobId {
        let name = |part: &str| format!("inception_{block}/{part}");
        let [c1, r3, c3, r5, c5, proj] = channels;
        let output = self.blob(&name("output"), self.blobs[input].side, c1 + c3 + c5 + proj);
        let reduce3 = self.layer(&name("3x3_reduce"), convolution(1, 1, 0), input, r3);
        let reduce5 = self.layer(&name("5x5_reduce"), convolution(1, 1, 0), input, r5);
        let pool = self.layer(&name("pool"), max_pool(1, 1), input, self.blobs[input].channels);
        let mut channel = 0;
        for (part, op, input, channels) in [
            ("1x1", convolution(1, 1, 0), input, c1),
            ("3x3", convolution(3, 1, 1), reduce3, c3),
            ("5x5", convolution(5, 1, 2), reduce5, c5),
            ("pool_proj", convolution(1, 1, 0), pool, proj),
        ] {
            self.layers.push(Layer { name: name(part), op, input, output, channel, channels });
            channel += channels;
        }
        output
    }
}

fn convolution(size: usize, stride: usize, padding: usize) -> Op {
    Op::Convolution(Window { size, stride, padding })
}

fn max_pool(stride: usize, padding: usize) -> Op {
    Op::MaxPool(Window { size: 3, stride, padding })
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_pass_is_1_58_g_multiply_adds() {
        let net = Network::googlenet();
        let total: usize =
            net.layers.iter().map(|l| net.multiply_adds_per_pixel(l) * net.blobs[l.output].side.pow(2)).sum();
        assert_eq!((total as f64 / 1e7).round(), 158.0);
    }
}

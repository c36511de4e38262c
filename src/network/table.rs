//! The tables of the two published variants, each for any number of classes.

use super::geometry::Window;
use super::{Blob, BlobId, CLASSES, INPUT_SIDE, Layer, MEAN_BGR, Network, Op};

/// Number of channels of the first layer in the published networks.
pub(crate) const FIRST_CHANNELS: usize = 64;

/// The level (B, G, R) that `x / 127.5 - 1` maps to 0.
pub(crate) const LEVELS_MEAN_BGR: [f32; 3] = [127.5; 3];

/// Number of channels of the first layer at half the width.
const HALF: usize = 32;

/// True if a network can have this number of channels in its first layer. At other widths, the last
/// branch of an inception block would not end with a whole vector, and the kernels store whole
/// vectors only.
pub(crate) fn is_width(first: usize) -> bool {
    [HALF, FIRST_CHANNELS].contains(&first)
}

/// Channels of the layers of each inception block: 1x1, 3x3_reduce, 3x3, 5x5_reduce, 5x5,
/// pool_proj.
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

/// Suffixes of the names in an inception block: output, 1x1, 3x3_reduce, 3x3, 5x5_reduce, 5x5,
/// pool, pool_proj.
type Parts = [&'static str; 8];
const BVLC_PARTS: Parts =
    ["/output", "/1x1", "/3x3_reduce", "/3x3", "/5x5_reduce", "/5x5", "/pool", "/pool_proj"];
const TORCHVISION_PARTS: Parts =
    ["", ".branch1", ".branch2.0", ".branch2.1", ".branch3.0", ".branch3.1", ".branch4.0", ".branch4.1"];

impl Network {
    /// BVLC GoogLeNet as published, with 1000 classes.
    pub fn googlenet() -> Network {
        Network::bvlc(CLASSES)
    }

    /// BVLC GoogLeNet with a classifier for `classes` classes,
    /// 1..=[`MAX_CLASSES`](super::MAX_CLASSES).
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

    /// torchvision's `googlenet` with a classifier for `classes` classes,
    /// 1..=[`MAX_CLASSES`](super::MAX_CLASSES).
    ///
    /// Each batch normalisation is folded into the convolution before it. The branch that the paper
    /// calls 5x5 has 3x3 windows, pool4 has 2x2 windows, and there is no LRN. torchvision expects
    /// red first and `x / 127.5 - 1` (`transform_input`); the first layer's weights are converted,
    /// so this table takes an [`Input`](crate::Input) as the other one does.
    pub fn torchvision(classes: usize) -> Network {
        Network::torchvision_of_width(FIRST_CHANNELS, classes)
    }

    /// torchvision's `googlenet` at half its width: each layer has half as many channels, rounded
    /// up to a multiple of 8. The built-in network is of this kind.
    pub fn torchvision_half(classes: usize) -> Network {
        Network::torchvision_of_width(HALF, classes)
    }

    /// torchvision's table with `first` channels in the first layer; `first` must satisfy
    /// [`is_width`].
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

    /// Changes the number of classes.
    pub(crate) fn set_classes(&mut self, classes: usize) {
        let layer = self.layers.last_mut().expect("a network has layers");
        layer.channels = classes;
        self.blobs[layer.output].channels = classes;
    }

    fn new(name: &str, mean_bgr: [f32; 3]) -> Network {
        Network { name: name.to_string(), mean_bgr, blobs: Vec::new(), layers: Vec::new() }
    }

    fn blob(&mut self, name: &str, side: usize, channels: usize) -> BlobId {
        self.blobs.push(Blob { name: name.to_string(), side, channels });
        BlobId(self.blobs.len() - 1)
    }

    /// Adds a layer and its output blob.
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

    /// Adds a layer whose output has the channels of its input.
    fn pool(&mut self, name: &str, op: Op, input: BlobId) -> BlobId {
        self.layer(name, op, input, self.blobs[input].channels)
    }

    /// Adds an inception block: four branches that write to different channels of one output blob.
    /// `wide` is the window size of the third branch.
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
    Op::Convolution(Window::convolution(size, stride, padding))
}

fn max_pool(size: usize, stride: usize, padding: usize) -> Op {
    Op::MaxPool(Window::pool(size, stride, padding))
}

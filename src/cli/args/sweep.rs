//! Options of a sweep, and the number of threads.

use std::path::PathBuf;

use clap::Args;
use occlude::network::geometry::Rect;
use occlude::parallel::MAX_THREADS;
use occlude::{Channel, Feature, MaskValue, Placement, Shape};

use super::score::ScoreOption;
use super::values::{Size, choice, count, feature, mask_value, memory, region, segments, size};
use crate::cli::masks::SegmentsChoice;

/// The option for the number of threads, for commands whose results do not depend on it.
#[derive(Args)]
pub struct Pool {
    /// Number of threads, 1 to 1024, of which at most four for each core are started; the results do
    /// not depend on it [default: one per core]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = |text: &str| count(text, MAX_THREADS))]
    pub threads: Option<usize>,
}

/// The options of a sweep.
#[derive(Clone, Args)]
#[command(next_help_heading = "Sweep")]
pub struct Sweep {
    /// Size of the mask in pixels of the 224x224 picture, 1 to 224: N or HxW (height x width); auto
    /// is 45 (20 % of 224)
    #[arg(long, value_name = "SIZE", default_value = "auto", allow_hyphen_values = true, value_parser = size)]
    pub mask_size: Size,

    /// Step between neighbouring mask positions in pixels of the 224x224 picture, 1 to 224: N or
    /// HxW (vertical x horizontal); auto is 22 (10 % of 224)
    #[arg(long, value_name = "SIZE", default_value = "auto", allow_hyphen_values = true, value_parser = size)]
    pub stride: Size,

    /// Content of the mask: auto (mean colour of this picture), mean (mean colour of the training
    /// images), V (a grey level) or R,G,B (a colour), each 0 to 255; blur or blur:S (this picture,
    /// blurred with a standard deviation of S pixels, 0.5 to 100; blur is blur:10); noise or
    /// noise:SEED (random pixels; noise is noise:1); patch (mean colour of the covered pixels
    /// themselves); inpaint (the picture continued from the border of the mask inwards)
    #[arg(long, value_name = "FILL", default_value = "auto", allow_hyphen_values = true, value_parser = mask_value)]
    pub mask_value: MaskValue,

    /// Fill masks with the same place of another picture, which is resized as the photograph is
    #[arg(long, value_name = "IMAGE", conflicts_with = "mask_value")]
    pub mask_picture: Option<PathBuf>,

    /// Form of the mask within its height and width: rectangle, ellipse, or gaussian (a soft border: it
    /// covers its middle wholly and its corners hardly; a quarter of its size is a standard deviation)
    #[arg(long, value_name = "FORM", default_value = "rectangle",
          value_parser = choice(&[("rectangle", Shape::Rectangle), ("ellipse", Shape::Ellipse), ("gaussian", Shape::Gaussian)]))]
    pub mask_shape: Shape,

    /// Cover one colour channel only: red, green or blue [default: all three]
    #[arg(long, value_name = "CHANNEL",
          value_parser = choice(&[("red", Channel::Red), ("green", Channel::Green), ("blue", Channel::Blue)]))]
    pub mask_channel: Option<Channel>,

    /// Cover everything except the mask: only the mask shows the picture, and the map is what the score
    /// gains by that, compared with a wholly covered picture. Each position takes a whole pass
    #[arg(long)]
    pub inverse: bool,

    /// Cover parts of the picture, one after the other, in place of a mask that slides: slic:N (about
    /// N superpixels, 2 to 1000; slic is slic:100), or a PNG file whose pixels have the number of their part
    /// as grey level or colour, in the size of the photograph or 224x224
    #[arg(long, value_name = "FILE|slic:N", value_parser = segments,
          conflicts_with_all = ["mask_size", "stride", "mask_shape", "mask_clipping", "region", "placement"])]
    pub segments: Option<SegmentsChoice>,

    /// on: the first mask is centred on the corner of the picture, and masks are clipped at its
    /// border; off: every mask lies completely inside the picture
    #[arg(long, value_name = "on|off", default_value = "on",
          action = clap::ArgAction::Set, value_parser = choice(&[("on", true), ("off", false)]))]
    pub mask_clipping: bool,

    /// Use only masks whose centre lies in this part of the 224x224 picture: from row y0 and column
    /// x0 on, before row y1 and column x1 [default: the whole picture]
    #[arg(long, value_name = "y0,x0,y1,x1", allow_hyphen_values = true, value_parser = region)]
    pub region: Option<Rect>,

    /// Also map a feature: the total activation of a channel of a layer, such as
    /// inception_4c/output:17; :strongest is the channel with the largest total for the uncovered
    /// picture. May be given several times
    #[arg(long, value_name = "LAYER:CHANNEL", value_parser = feature)]
    pub activation: Vec<Feature>,

    /// none: the map has one value per mask position; windows: the map has one value per pixel, the
    /// mean of the drops of all masks that cover the pixel, as in Captum
    #[arg(long, value_name = "none|windows", default_value = "none",
          value_parser = choice(&[("none", Aggregate::None), ("windows", Aggregate::Windows)]))]
    pub aggregate: Aggregate,

    /// Place of the values on the picture: centres draws each at the centre of its mask and
    /// interpolates between them; where no mask was centred, the map is constant and paler. stretch
    /// stretches the grid of values over the picture, as MATLAB does; a value is then drawn beside
    /// its mask. --faithfulness orders the pixels in the same way
    #[arg(long, value_name = "centres|stretch", default_value = "centres",
          value_parser = choice(&[("centres", Placement::Centres), ("stretch", Placement::Stretch)]))]
    pub placement: Placement,

    #[command(flatten)]
    pub score: ScoreOption,

    /// Recompute the whole network at each mask position, not only the activations that the mask
    /// changes; slower, with the same results to the bit
    #[arg(long)]
    pub exhaustive: bool,

    /// Limit the memory of the sweep: bytes, or a number with K, M or G, such as 500M. Fewer threads
    /// work, in smaller batches; the results are the same. It covers the activations and the memory
    /// of the threads, not the weights, the photographs and the figures [default: no limit]
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true, value_parser = memory)]
    pub max_memory: Option<usize>,
}

/// The combination of the drops at the mask positions into the map that is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aggregate {
    None,
    Windows,
}

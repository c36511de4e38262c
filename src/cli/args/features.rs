//! Options of `occlude features`.

use std::path::PathBuf;

use clap::Args;
use occlude::network::MAX_CLASSES;

use super::drawing::CanvasOption;
use super::sweep::Pool;
use super::values::{choice, count};
use crate::cli::render::colours::{COLOURS, Colours};

/// Draw the feature maps of a layer on one sheet
#[derive(Args)]
#[command(after_help = "\
A layer of GoogLeNet has up to 1024 channels. Each channel is a map that shows where a feature occurs in the picture.

<image>-<layer>-features.png is written to DIR; after an error, nothing is written. Each channel is a tile with its number
below it. All tiles share one colour scale, from 0 to the value that 1 % of the non-zero values exceed. If there are
negative values, which only the classifier has, the scale is symmetric around 0.

--json prints an object for each channel:
  channel             number of the channel
  total               sum over the map; --activation of `occlude explain` maps this sum
  maximum             largest value
  nonzero_share       share of the values that are not 0, from 0 to 1
  maximum_at          [row, column] of the maximum in the map; null if the channel is 0 everywhere
  maximum_depends_on  [y0, x0, y1, x1], ends excluded: the pixels of the 224x224 picture on which the maximum depends;
                      null if the channel is 0 everywhere

Examples:
  occlude features cat.jpg --layer conv1/7x7_s2
  occlude features cat.jpg --layer inception_4c/output --strongest 32 --out maps
  occlude features cat.jpg --layer inception_5b/5x5 --json > features.json")]
pub struct Features {
    /// The photograph: PNG, JPEG, WebP, BMP, GIF or TIFF; - is standard input
    pub image: PathBuf,

    /// A layer listed by `occlude layers`, or the output of an inception block, such as
    /// inception_4c/output
    #[arg(long, value_name = "LAYER")]
    pub layer: String,

    /// Draw only the K channels with the largest totals, in descending order [default: all
    /// channels, by number]
    #[arg(long, value_name = "K", allow_hyphen_values = true, value_parser = |text: &str| count(text, MAX_CLASSES))]
    pub strongest: Option<usize>,

    /// Colour map: viridis (lightness rises evenly from 0), diverging (white is 0, red is positive,
    /// blue is negative) or jet [default: viridis; diverging if there are negative values]
    #[arg(long, value_name = "COLOURS", value_parser = choice(&COLOURS))]
    pub colours: Option<Colours>,

    #[command(flatten)]
    pub canvas: CanvasOption,

    #[command(flatten)]
    pub pool: Pool,

    /// The folder for the figure; it is created if needed
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,

    /// Print only a JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

//! Options of `occlude features`.

use std::path::PathBuf;

use clap::Args;
use occlude::network::MAX_CLASSES;

use super::sweep::Pool;
use super::values::{choice, count};
use crate::cli::render::colours::{COLOURS, Colours};

/// Show a layer's feature maps: all its channels on one sheet
#[derive(Args)]
#[command(after_help = "\
A layer of GoogLeNet writes up to 1024 channels, each a map of where in the picture it found what it looks for. DIR receives
<image>-<layer>-features.png, in which each channel is a tile with its number below it. One scale holds for all tiles: from 0 to
the value that only 1 % of those that are not 0 exceed, or as far on either side of 0 where there are negative values, which are
those of the classifier only. On an error DIR receives nothing.

--json prints for each channel: channel (its number), total (the sum over its map, which --activation of `occlude explain` follows
while a mask slides), maximum, nonzero_share (0 to 1, of its values), maximum_at ([row, column] in the map) and maximum_depends_on
([y0, x0, y1, x1], ends excluded: the pixels of the 224x224 picture that the activation there was computed from). The last two are null
where a channel is 0 everywhere.

Examples:
  occlude features cat.jpg --layer conv1/7x7_s2
  occlude features cat.jpg --layer inception_4c/output --strongest 32 --out maps
  occlude features cat.jpg --layer inception_5b/5x5 --json > features.json")]
pub struct Features {
    /// A photograph: PNG, JPEG, WebP, BMP, GIF or TIFF
    pub image: PathBuf,

    /// A layer that `occlude layers` lists, or the whole output of an inception block, as in inception_4c/output
    #[arg(long, value_name = "LAYER")]
    pub layer: String,

    /// Only the K channels with the largest totals, in that order [default: all, by their numbers]
    #[arg(long, value_name = "K", allow_hyphen_values = true, value_parser = |text: &str| count(text, MAX_CLASSES))]
    pub strongest: Option<usize>,

    /// Colours: viridis (evenly lighter from 0 up), diverging (0 is white, red above it, blue below) or jet [default: viridis;
    /// diverging where there are negative values]
    #[arg(long, value_name = "COLOURS", value_parser = choice(&COLOURS))]
    pub colours: Option<Colours>,

    #[command(flatten)]
    pub pool: Pool,

    /// Where the picture goes; made if it does not exist
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,

    /// Print a JSON object on standard output, and nothing else there
    #[arg(long)]
    pub json: bool,
}

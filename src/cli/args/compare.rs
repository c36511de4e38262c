//! Options of `occlude compare`.

use std::path::PathBuf;

use clap::Args;

use super::drawing::Drawing;
use super::sweep::{Pool, Sweep};

/// Compare the evidence for several classes in one photograph, or for two photographs' classes in both
#[derive(Args)]
#[command(after_help = "\
One photograph: the maps of its classes side by side on one scale, and the difference of the first two: where the evidence is
for the one rather than for the other. Two photographs: each with the map of its own predicted class and of the other's, to
find out why one of them is taken for something else. A class that is very improbable has a flat map: --score logit shows
what speaks for it all the same.

DIR receives <image>-compare.png (or <image1>-<image2>-compare.png) and compare.json: images has map.json's object for each
photograph; contrasts has for each the first two classes, the difference of their maps [ny][nx], the maps' correlation (-1 to 1),
and the share of positions where the first class's score falls further.

Examples:
  occlude compare dog.jpg --classes top3
  occlude compare cat_dog.png --classes top2 --mask-size 30 --stride 10
  occlude compare poodle.jpg terrier.jpg --score logit --colours diverging --out study")]
pub struct Compare {
    /// One photograph or two: PNG, JPEG, WebP, BMP, GIF or TIFF
    #[arg(required = true, num_args = 1..=2, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,

    /// Classes to compare, at most 20, as for explain [default: of one photograph the three most probable, of two the prediction for each]
    #[arg(long, value_name = "LIST")]
    pub classes: Vec<String>,

    #[command(flatten)]
    pub pool: Pool,

    /// Where the picture and compare.json go; made if it does not exist
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,

    /// Print compare.json's object on standard output, and nothing else there
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub sweep: Sweep,

    #[command(flatten)]
    pub drawing: Drawing,
}

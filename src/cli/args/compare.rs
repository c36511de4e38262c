//! Options of `occlude compare`.

use std::path::PathBuf;

use clap::Args;

use super::drawing::Drawing;
use super::sweep::{Pool, Sweep};

/// Compare the maps of several classes of one photograph, of two photographs, or of two networks
#[derive(Args)]
#[command(after_help = "\
For one photograph, the figure shows the maps of the classes side by side on one scale, and the difference of the first two
maps. For two photographs, it shows in each the maps of both predicted classes; this helps to find out why a photograph
is misclassified. The map of a very improbable class is nearly flat, and a caution says so; use --score logit to see its
evidence. Differences have a scale and colours of their own: green is the first class's excess, purple the second's.

With --before and --after, the figure shows the maps of one photograph by two networks on one scale, for example before and
after `occlude learn`: did the evidence move to the right place? By default these are the maps of both networks' answers, as
far as a network has classes of these names.

Files written to DIR:
  <image>-compare.png             the figure; for two photographs, <image1>-<image2>-compare.png
  compare.json                    all numbers:
    images      for each photograph, the object of map.json
    contrasts   for each photograph, the first two classes, the difference of their maps [ny][nx], the correlation of the
                maps (-1 to 1; null if a map is constant), and the share of positions where the score of the first class
                falls further
  With --before and --after: <image>-before-after.png, and in compare.json the fields before and after, each the object of
  map.json, and moved: for each class that both networks map, the correlation of its maps

Examples:
  occlude compare dog.jpg --classes top3
  occlude compare cat_dog.png --classes top2 --mask-size 30 --stride 10
  occlude compare poodle.jpg terrier.jpg --score logit --out study
  occlude compare laika.jpg --before builtin --after dogs.safetensors")]
pub struct Compare {
    /// One or two photographs: PNG, JPEG, WebP, BMP, GIF or TIFF; - is standard input
    #[arg(required = true, num_args = 1..=2, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,

    /// Classes to compare, at most 20, as for `occlude explain` [default: the three most probable
    /// classes of one photograph, the predicted class of each of two photographs]
    #[arg(long, value_name = "LIST")]
    pub classes: Vec<String>,

    /// The network before: a weights file, or "builtin"; needs --after
    #[arg(long, value_name = "FILE", requires = "after", conflicts_with_all = ["weights", "labels"])]
    pub before: Option<PathBuf>,

    /// The network after; needs --before
    #[arg(long, value_name = "FILE", requires = "before")]
    pub after: Option<PathBuf>,

    #[command(flatten)]
    pub pool: Pool,

    /// The folder for the figure and compare.json; it is created if needed
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,

    /// Print only the contents of compare.json on standard output
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub sweep: Sweep,

    #[command(flatten)]
    pub drawing: Drawing,
}

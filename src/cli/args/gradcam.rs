//! Options of `occlude gradcam`.

use std::path::PathBuf;

use clap::Args;

use super::drawing::CanvasOption;
use super::sweep::Pool;

/// Map the evidence for a class with Grad-CAM, for comparison with `occlude explain`
#[derive(Args)]
#[command(after_help = "\
Grad-CAM (Selvaraju et al., 2017) weights each of the 1024 channels of inception_5b/output with the mean gradient of the
probability of the class and adds the channels. The sum shows in 7x7 cells where activations raise the probability;
negative sums are set to 0.

Differences from `occlude explain`:
  - Grad-CAM needs one forward and one backward pass; the sweep needs a pass per mask position.
  - A cell of the map has 32x32 pixels and depends on nearly the whole picture.
  - A gradient describes a very small change of the activations. The sweep measures how the score changes when a part
    of the picture is missing, for masks of any size, and shows evidence for and against the class.
  - If the network is certain of a class, the gradients are nearly 0. The map then shows the place of the evidence, not
    its amount.

Files written to DIR (after an error, nothing is written):
  <image>-<class>-gradcam.png  for each class, the photograph with its map over it
  gradcam.json                 all numbers

Examples:
  occlude gradcam cat.jpg
  occlude gradcam dog.jpg --classes top3 --out maps
  occlude gradcam cat.jpg --classes top2,7 --json > gradcam.json")]
pub struct Gradcam {
    /// The photograph: PNG, JPEG, WebP, BMP, GIF or TIFF; - is standard input
    pub image: PathBuf,

    /// Classes to map, as for `occlude explain`
    #[arg(long, value_name = "LIST", default_value = "top1")]
    pub classes: Vec<String>,

    #[command(flatten)]
    pub canvas: CanvasOption,

    #[command(flatten)]
    pub pool: Pool,

    /// The folder for the figures and gradcam.json; it is created if needed
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,

    /// Print only the contents of gradcam.json on standard output
    #[arg(long)]
    pub json: bool,
}

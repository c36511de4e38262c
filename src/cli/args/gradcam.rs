//! Options of `occlude gradcam`.

use std::path::PathBuf;

use clap::Args;

use super::sweep::Pool;

/// Map a class by the gradient at the last convolutions (Grad-CAM), to compare with what covering does
#[derive(Args)]
#[command(after_help = "\
Grad-CAM (Selvaraju et al., 2017): each of the 1024 channels of inception_5b/output counts as much as the mean gradient of the
class's probability says, and their sum shows in 7x7 cells where activations raise it. What lowers it is cut off at 0.

How it differs from `occlude explain`: it needs one pass instead of one for each position, has cells of 32x32 pixels, each of which
sees nearly the whole picture, and is a slope at one layer: what a very small change there would do. Covering a part measures
what its absence really does to the score, for and against the class, at any size. Where a class is certain, its slopes
are nearly 0: the map then says where, not how much.

DIR receives <image>-<class>-gradcam.png for each class, the photograph with its map over it, and gradcam.json with all
numbers; on an error it receives nothing.

Examples:
  occlude gradcam cat.jpg
  occlude gradcam dog.jpg --classes top3 --out maps
  occlude gradcam cat.jpg --classes top2,7 --json > gradcam.json")]
pub struct Gradcam {
    /// A photograph: PNG, JPEG, WebP, BMP, GIF or TIFF
    pub image: PathBuf,

    /// Classes to map, as for explain
    #[arg(long, value_name = "LIST", default_value = "top1")]
    pub classes: Vec<String>,

    #[command(flatten)]
    pub pool: Pool,

    /// Where the pictures and gradcam.json go; made if it does not exist
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,

    /// Print gradcam.json's object on standard output, and nothing else there
    #[arg(long)]
    pub json: bool,
}

//! Options of `occlude trace`.

use std::path::PathBuf;

use clap::Args;
use occlude::MaskValue;

use super::drawing::CanvasOption;
use super::sweep::Pool;
use super::values::{Size, mask_value, pixel, size};

/// Trace the effect of one mask through the layers
#[derive(Args)]
#[command(after_help = "\
Columns of the table:
  can change     width x height, and the first column and row, of the part of the layer's output that depends on masked
                 pixels, according to the receptive fields
  computed       share of the output pixels that must be recomputed because one of their inputs has changed
  changed        share of the output pixels whose value has changed
  non-zero       share of the recomputed activations that are not zero after ReLU
  multiply-adds  all M: of the whole layer, in millions; exec. M: executed for recomputed pixels and non-zero inputs, in millions;
                 saved: share that is not executed

Files written to DIR (after an error, nothing is written):
  <image>-trace.png  the change in each stage of the network, over the photograph
  <image>-trace.gif  the same as an animation, stage by stage
  trace.json         all numbers; for each layer the number of computed and of changed pixels, and difference,
                     [height][width], the Euclidean norm of the change over all channels

Examples:
  occlude trace cat.jpg --at 112,112
  occlude trace cat.jpg --at 90,130 --mask-size 15 --mask-value 0 --out story
  occlude trace cat.jpg --at 0,0 --json > trace.json")]
pub struct Trace {
    /// The photograph: PNG, JPEG, WebP, BMP, GIF or TIFF; - is standard input
    pub image: PathBuf,

    /// Centre of the mask: row and column in the 224x224 picture, 0 to 223. The mask is clipped at
    /// the border of the picture
    #[arg(long, value_name = "Y,X", allow_hyphen_values = true, value_parser = pixel)]
    pub at: [usize; 2],

    /// Size of the mask in pixels of the 224x224 picture, 1 to 224: N or HxW (height x width); auto
    /// is 45 (20 % of 224)
    #[arg(long, value_name = "SIZE", default_value = "auto", allow_hyphen_values = true, value_parser = size)]
    pub mask_size: Size,

    /// Content of the mask, as for `occlude explain`
    #[arg(long, value_name = "FILL", default_value = "auto", allow_hyphen_values = true, value_parser = mask_value)]
    pub mask_value: MaskValue,

    #[command(flatten)]
    pub canvas: CanvasOption,

    #[command(flatten)]
    pub pool: Pool,

    /// The folder for the figures and trace.json; it is created if needed
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,

    /// Print only the contents of trace.json on standard output
    #[arg(long)]
    pub json: bool,
}

//! Options of `occlude trace`.

use std::path::PathBuf;

use clap::Args;
use occlude::MaskValue;

use super::sweep::Pool;
use super::values::{Size, mask_value, pixel, size};

/// Follow one mask through the layers: what it can change, what it does change, what that takes to compute
#[derive(Args)]
#[command(after_help = "\
Columns of the table, a line a layer:
can change     rows x columns of the layer's output that the receptive fields let the mask change
computed       share of its pixels that have to be computed again: something that they read has changed
changed        share that came out different
non-zero       of the activations computed, the share that is not zero after ReLU: what the next layers multiply with
multiply-adds  of the whole layer in millions; those spent: of the pixels computed, where the input is not zero; and the share saved

DIR receives <image>-trace.png, the change in each stage of the network over the photograph; <image>-trace.gif, the same one after
the other; and trace.json, with the pixels of every layer: computed and changed (their numbers), and difference, [height][width],
the root of the summed squares of the change over all channels. On an error it receives nothing.

Examples:
  occlude trace cat.jpg --at 112,112
  occlude trace cat.jpg --at 90,130 --mask-size 15 --mask-value 0 --out story
  occlude trace cat.jpg --at 0,0 --json > trace.json")]
pub struct Trace {
    /// A photograph: PNG, JPEG, WebP, BMP, GIF or TIFF
    pub image: PathBuf,

    /// The pixel that the mask is centred on: row and column in the 224x224 picture, 0 to 223. It is clipped at the border
    #[arg(long, value_name = "Y,X", allow_hyphen_values = true, value_parser = pixel)]
    pub at: [usize; 2],

    /// Size of the mask in pixels of the 224x224 picture, 1 to 224: N, or HxW (height x width); auto is 45 (20 %)
    #[arg(long, value_name = "SIZE", default_value = "auto", allow_hyphen_values = true, value_parser = size)]
    pub mask_size: Size,

    /// What the mask is filled with, as for explain
    #[arg(long, value_name = "FILL", default_value = "auto", allow_hyphen_values = true, value_parser = mask_value)]
    pub mask_value: MaskValue,

    #[command(flatten)]
    pub pool: Pool,

    /// Where the pictures and trace.json go; made if it does not exist
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,

    /// Print trace.json's object on standard output, and nothing else there
    #[arg(long)]
    pub json: bool,
}

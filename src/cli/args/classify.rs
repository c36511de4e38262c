//! Options of `occlude classify`.

use std::path::PathBuf;

use clap::Args;
use occlude::network::MAX_CLASSES;

use super::values::count;

/// Print the most probable classes of a photograph
#[derive(Args)]
#[command(after_help = "\
One class a line: probability (0 to 1, after softmax over all classes), index (from 0 on), names.

Examples:
  occlude classify cat.jpg
  occlude classify cat.jpg --top 1 --json")]
pub struct Classify {
    /// A photograph: PNG, JPEG, WebP, BMP, GIF or TIFF
    pub image: PathBuf,

    /// Number of classes, at most as many as the network has [default: 5, or all of fewer]
    #[arg(long, value_name = "K", allow_hyphen_values = true,
          value_parser = |text: &str| count(text, MAX_CLASSES))]
    pub top: Option<usize>,

    /// Print a JSON object instead
    #[arg(long)]
    pub json: bool,
}

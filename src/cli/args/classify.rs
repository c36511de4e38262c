//! Options of `occlude classify`.

use std::path::PathBuf;

use clap::Args;
use occlude::network::MAX_CLASSES;

use super::values::count;

/// Print the most probable classes of a photograph
#[derive(Args)]
#[command(after_help = "\
Each line holds one class: probability (0 to 1, after softmax over all classes), index (from 0) and names.

Examples:
  occlude classify cat.jpg
  occlude classify cat.jpg --top 1 --json")]
pub struct Classify {
    /// The photograph: PNG, JPEG, WebP, BMP, GIF or TIFF; - is standard input
    pub image: PathBuf,

    /// Number of classes to print, from 1 to the number of classes of the network [default: 5, or
    /// all if the network has fewer]
    #[arg(long, value_name = "K", allow_hyphen_values = true,
          value_parser = |text: &str| count(text, MAX_CLASSES))]
    pub top: Option<usize>,

    /// Print a JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

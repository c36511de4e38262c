//! Options of `occlude profile`.

use std::path::PathBuf;

use clap::Args;

use super::sweep::MAX_THREADS;
use super::values::{Size, count, size};

/// Show where the multiply-adds and the time go, layer by layer, for one pass or for a sweep
#[derive(Args)]
#[command(after_help = "\
dense M    millions of multiply-adds that a dense engine carries out
affected   the share of them for pixels that a mask can have changed and did (all in a single pass)
executed   the share of them that is carried out: with an activation that is not zero in a kernel's columns
core ms    time of one core; in a single pass, the layer's time on all threads times their number
GFLOP/s    carried out, per core; of peak: against what a core of this machine is measured to do at most

Without --mask-size and --stride one forward pass is measured. Time outside layers is in the first line only.

Examples:
  occlude profile cat.jpg
  occlude profile cat.jpg --mask-size 15 --stride 10 --threads 1
  occlude profile cat.jpg --runs 25 --json")]
pub struct Profile {
    /// A photograph: PNG, JPEG, WebP, BMP, GIF or TIFF
    pub image: PathBuf,

    /// Measure a sweep with a mask of this size in pixels: N, HxW or auto (45)
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true, value_parser = size)]
    pub mask_size: Option<Size>,

    /// Measure a sweep with this step in pixels: N, HxW or auto (22)
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true, value_parser = size)]
    pub stride: Option<Size>,

    /// Threads, 1 to 1024 [default: one a core]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = |text: &str| count(text, MAX_THREADS))]
    pub threads: Option<usize>,

    /// Runs after one to warm up, 1 to 1000; the median is shown
    #[arg(long, value_name = "N", default_value = "5", allow_hyphen_values = true,
          value_parser = |text: &str| count(text, 1000))]
    pub runs: usize,

    /// Print a JSON object instead
    #[arg(long)]
    pub json: bool,
}

//! Options of `occlude profile`.

use std::path::PathBuf;

use clap::Args;
use occlude::parallel::MAX_THREADS;

use super::values::{Size, count, size};

/// Measure multiply-adds and time of each layer, for one pass or for a sweep
#[derive(Args)]
#[command(after_help = "\
Columns of the table:
  dense M   multiply-adds of a dense computation, in millions
  affected  share of them that belongs to pixels changed by a mask; 100 % in a single pass
  executed  share of them that is executed; products with activations that are zero are skipped
  core ms   time on one core: that of all threads together, without waiting for each other
  at peak   time on one core at the peak rate
  GFLOP/s   executed rate per core
  of peak   executed rate as a share of the peak rate measured on a core of this machine

Without --mask-size and --stride, one forward pass is measured. The total time in the first line includes the time outside
the layers.

Examples:
  occlude profile cat.jpg
  occlude profile cat.jpg --mask-size 15 --stride 10 --threads 1
  occlude profile cat.jpg --runs 25 --json")]
pub struct Profile {
    /// The photograph: PNG, JPEG, WebP, BMP, GIF or TIFF; - is standard input
    pub image: PathBuf,

    /// Measure a sweep with masks of this size in pixels, 1 to 224: N, HxW or auto (45)
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true, value_parser = size)]
    pub mask_size: Option<Size>,

    /// Measure a sweep with this step in pixels, 1 to 224: N, HxW or auto (22)
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true, value_parser = size)]
    pub stride: Option<Size>,

    /// Number of threads, 1 to 1024, of which at most four for each core are started [default: one per
    /// core]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = |text: &str| count(text, MAX_THREADS))]
    pub threads: Option<usize>,

    /// Number of measured runs, 1 to 1000, after one warm-up run; the median run is shown
    #[arg(long, value_name = "N", default_value = "5", allow_hyphen_values = true,
          value_parser = |text: &str| count(text, 1000))]
    pub runs: usize,

    /// Print a JSON object instead of the table
    #[arg(long)]
    pub json: bool,
}

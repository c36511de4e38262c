//! Options of `occlude region`.

use std::path::PathBuf;

use clap::Args;
use occlude::Threshold;
use occlude::network::INPUT_SIDE;

use super::sweep::{Pool, Sweep};
use super::values::{between, no_feature, threshold};

/// Find where the evidence for a class lies: its contours and boxes, and the smallest parts that
/// keep or lose the class
#[derive(Args)]
#[command(
    mut_arg("activation", |arg| arg.hide(true).value_parser(no_feature)),
    after_help = "\
Three regions are found for each class, all in pixels of the photograph:
  evidence  where the map of `occlude explain` is at least as large as the threshold: connected parts with their boxes and
            contours
  keeping   the smallest part with which the network predicts the class while everything else is covered
  losing    the smallest part without which the network predicts another class

The searches for the last two divide the 224x224 picture into tiles, in the order of the map. They add tiles until the
class is kept or lost, and then leave out again every tile without which it still is. Without any one of its tiles, a
part no longer does its work; a smaller part of other tiles may exist. All scores are computed by the network for exactly
these pixels. If no part keeps or loses the class, or if nothing needs to be shown or covered, the results say so.

Files written to DIR (after an error, nothing is written):
  <image>-<class>-region.png    a figure of the three regions
  <image>-<class>-evidence.png  the evidence as a mask of the size of the photograph: white on black
  <image>-<class>-keeping.png   the part that keeps the class, in the same form
  <image>-<class>-losing.png    the part that loses the class, in the same form
  <image>-<class>-crop.png      the photograph inside the box of the largest part of the evidence
  region.json                   all numbers
A region without pixels has no file.

Fields of region.json, beside those of map.json:
  photograph_size   [height, width]
  threshold, tile   the options
  classes           for each class, with its index, label and base_score (the score of the uncovered picture):
    evidence          level (the smallest drop that counts as evidence; null if there is none), share, parts
    keeping, losing   found (false if no part does it), classifications (the number that the search has needed);
                      if found, share, parts, picture_share (the part's share of the 224x224 picture; 0 if nothing
                      needs to be shown or covered), and alone and without: the scores with only the part uncovered,
                      and with only the part covered: score (of the class), predicted, label and predicted_score
  share is that of the photograph's pixels. A part has share, box [y0, x0, y1, x1], ends excluded, and contours: lists
  of corners [y, x], the outer contour first, then those of holes; [0, 0] is the upper left corner of the photograph.

Examples:
  occlude region cat.jpg
  occlude region cat_dog.png --classes top3 --threshold otsu --out regions
  occlude region dog.jpg --mask-size 30 --stride 10 --threshold 0.3 --tile 8
  occlude region dog.jpg --json > region.json"
)]
pub struct Region {
    /// The photograph: PNG, JPEG, WebP, BMP, GIF or TIFF; - is standard input
    pub image: PathBuf,

    /// Classes, at most 20, as for `occlude explain`
    #[arg(long, value_name = "LIST", default_value = "top1")]
    pub classes: Vec<String>,

    /// The smallest value of the map that counts as evidence: a share of its maximum, above 0 to 1,
    /// or otsu (Otsu's method: the division into small and large values with the largest variance
    /// between them)
    #[arg(long, value_name = "SHARE|otsu", default_value = "0.5", allow_hyphen_values = true, value_parser = threshold)]
    pub threshold: Threshold,

    /// Side of the tiles of the searched parts in pixels of the 224x224 picture, 4 to 224. Smaller
    /// tiles give smaller parts and take longer: half the side, four times as many classifications
    #[arg(long, value_name = "N", default_value = "16", allow_hyphen_values = true,
          value_parser = |text: &str| between(text, 4, INPUT_SIDE))]
    pub tile: usize,

    #[command(flatten)]
    pub pool: Pool,

    /// The folder for the pictures and region.json; it is created if needed
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,

    /// Print only the contents of region.json on standard output
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub sweep: Sweep,
}

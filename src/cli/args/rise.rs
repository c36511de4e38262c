//! Options of `occlude rise`.

use std::path::PathBuf;

use clap::Args;
use occlude::MaskValue;
use occlude::explain::rise::MAX_MASKS;

use super::drawing::CanvasOption;
use super::score::ScoreOption;
use super::sweep::Pool;
use super::values::{Size, between, mask_value, share, size};

/// Map the evidence for a class with RISE: random masks over the whole picture
#[derive(Args)]
#[command(after_help = "\
RISE (Petsiuk, Das and Saenko, 2018) classifies many copies of the picture under random masks. A mask is a small grid of
cells, each visible with a probability, which is enlarged to smooth blobs and shifted at random; where it is dark, the fill
replaces the picture. The map is, at each pixel,
  sum over all masks of (score of the masked picture x visibility of the pixel) / (number of masks x probability)
or about the mean score of the copies that show the pixel. The masks come from a seed, so a run can be repeated to the bit
with any number of threads.

The standard error of each value is estimated from the spread of its terms. The precision of a map is the root mean square
of these errors over the pixels, divided by the range of the map. Noise widens the range; what it may explain is estimated
and left out, so a map that is no more than noise has no precision. The precision is looked at after every 64 masks. Half of
the error takes four times as many masks.

Differences from `occlude explain`:
  - Every mask changes the whole picture, so computing only what a mask changes saves little; the summary has the numbers.
  - Values are means of scores, not drops: no value means \"no effect\", and there is no evidence against a class.
  - The map is an estimate; two seeds give two maps.

Files written to DIR (after an error, nothing is written):
  <image>-<class>-rise.png  for each class, the photograph with its map over it
  rise.json                 all numbers: for each class the map and the standard errors, [224][224]

Examples:
  occlude rise cat.jpg
  occlude rise dog.jpg --classes top3 --precision 0.05 --masks 8000 --out maps
  occlude rise cat.jpg --grid 10 --probability 0.3 --mask-value blur --seed 2
  occlude rise dog.jpg --score group:dog
  occlude rise cat.jpg --json > rise.json")]
pub struct Rise {
    /// The photograph: PNG, JPEG, WebP, BMP, GIF or TIFF; - is standard input
    pub image: PathBuf,

    /// Classes to map, at most 20, as for `occlude explain`. All classes share the masks
    #[arg(long, value_name = "LIST", default_value = "top1")]
    pub classes: Vec<String>,

    /// The largest number of masks, 2 to 1000000
    #[arg(long, value_name = "N", default_value = "1000", allow_hyphen_values = true,
          value_parser = |text: &str| between(text, 2, MAX_MASKS))]
    pub masks: usize,

    /// Stop as soon as the precision of all maps is this or better: the standard error as a share of the
    /// range of the map, above 0 to 1 [default: run all masks]
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true, value_parser = share)]
    pub precision: Option<f32>,

    /// Rows and columns of the cells of a mask, 1 to 112: N or HxW; auto is 7
    #[arg(long, value_name = "SIZE", default_value = "auto", allow_hyphen_values = true, value_parser = size)]
    pub grid: Size,

    /// Probability that a cell is visible, above 0 and below 1
    #[arg(long, value_name = "P", default_value = "0.5", allow_hyphen_values = true, value_parser = share)]
    pub probability: f32,

    /// Seed of the masks
    #[arg(long, value_name = "SEED", default_value = "1")]
    pub seed: u64,

    /// Fill of the dark parts of a mask, as --mask-value of `occlude explain`; mean is that of the authors'
    /// program
    #[arg(long, value_name = "FILL", default_value = "mean", allow_hyphen_values = true, value_parser = mask_value)]
    pub mask_value: MaskValue,

    #[command(flatten)]
    pub score: ScoreOption,

    #[command(flatten)]
    pub canvas: CanvasOption,

    #[command(flatten)]
    pub pool: Pool,

    /// The folder for the figures and rise.json; it is created if needed
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,

    /// Print only the contents of rise.json on standard output
    #[arg(long)]
    pub json: bool,
}

impl Rise {
    /// Rows and columns of the cells.
    pub fn cells(&self) -> [usize; 2] {
        match self.grid {
            Size::Auto => [7, 7],
            Size::Pixels(cells) => cells,
        }
    }
}

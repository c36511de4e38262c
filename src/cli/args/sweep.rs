//! Options of a sweep, and the number of threads.

use clap::Args;
use occlude::network::geometry::Rect;
use occlude::{Feature, MaskValue, Score};

use super::values::{Size, choice, count, feature, mask_value, region, size};

/// More threads than any machine that this runs on has cores.
pub const MAX_THREADS: usize = 1024;

/// What works side by side, in commands whose numbers do not depend on it.
#[derive(Args)]
pub struct Pool {
    /// Threads, 1 to 1024; the numbers do not depend on it [default: one a core]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = |text: &str| count(text, MAX_THREADS))]
    pub threads: Option<usize>,
}

/// The options of a sweep.
#[derive(Args)]
#[command(next_help_heading = "Sweep")]
pub struct Sweep {
    /// Size of the mask in pixels of the 224x224 picture, 1 to 224: N, or HxW (height x width); auto is 45 (20 %)
    #[arg(long, value_name = "SIZE", default_value = "auto", allow_hyphen_values = true, value_parser = size)]
    pub mask_size: Size,

    /// Step from one mask to the next in pixels, 1 to 224: N, or HxW (down x across); auto is 22 (10 %)
    #[arg(long, value_name = "SIZE", default_value = "auto", allow_hyphen_values = true, value_parser = size)]
    pub stride: Size,

    /// What the mask is filled with: auto (the mean colour of this picture), mean (that of the training pictures), V (grey) or
    /// R,G,B, each 0 to 255; blur or blur:S (this picture, blurred by S pixels, 0.5 to 100, else 10), noise or noise:SEED
    #[arg(long, value_name = "FILL", default_value = "auto", allow_hyphen_values = true, value_parser = mask_value)]
    pub mask_value: MaskValue,

    /// on: mask centres start at the picture's corner and masks are clipped at its border; off: every mask lies wholly
    /// inside
    #[arg(long, value_name = "on|off", default_value = "on",
          action = clap::ArgAction::Set, value_parser = choice(&[("on", true), ("off", false)]))]
    pub mask_clipping: bool,

    /// Only masks whose centre lies in rows y0 to y1 and columns x0 to x1 of the 224x224 picture, ends excluded
    #[arg(long, value_name = "y0,x0,y1,x1", allow_hyphen_values = true, value_parser = region)]
    pub region: Option<Rect>,

    /// Map a feature, too: the total activation of a layer's channel, as in inception_4c/output:17, or :strongest for the
    /// channel with the largest total on the whole picture; may be given several times
    #[arg(long, value_name = "LAYER:CHANNEL", value_parser = feature)]
    pub activation: Vec<Feature>,

    /// windows: give each pixel the mean of the drops under all masks that cover it, as Captum does, and draw that;
    /// none: one value a position
    #[arg(long, value_name = "none|windows", default_value = "none",
          value_parser = choice(&[("none", Aggregate::None), ("windows", Aggregate::Windows)]))]
    pub aggregate: Aggregate,

    /// What is compared: probability (0 to 1, after softmax) or logit (before it, unbounded)
    #[arg(long, value_name = "SCORE", default_value = "probability",
          value_parser = choice(&[("probability", Score::Probability), ("logit", Score::Logit)]))]
    pub score: Score,

    /// Recompute the whole network for each position instead of what the mask changes: same bits, slower
    #[arg(long)]
    pub exhaustive: bool,
}

/// What becomes of the drops at the positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aggregate {
    None,
    Windows,
}

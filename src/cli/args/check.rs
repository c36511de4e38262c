//! Options of `occlude check`.

use std::path::PathBuf;

use clap::Args;

use super::drawing::CanvasOption;
use super::sweep::{Aggregate, Pool, Sweep};
use super::values::{choice, no_feature};

/// Check whether a map explains the network: with shuffled layers, another class, and noise
#[derive(Args)]
#[command(
    mut_arg("activation", |arg| arg.hide(true).value_parser(no_feature)),
    mut_arg("aggregate", |arg| arg.hide(true).value_parser(choice(&[("none", Aggregate::None)]))),
    after_help = "\
A map can look convincing and show only the edges of the picture. Each check changes one thing, repeats the sweep, and
compares the two maps by Spearman's rank correlation (Pearson's is given, too): 1 is the same order of all positions, 0
is no relation.

  check                    what changes                                       passed if the correlation is
  shuffled layers          the weights of the last layer are permuted; then   between -0.5 and 0.5
                           also those of inception 5, 4, 3, and of the first
                           convolutions (Adebayo et al., \"Sanity checks for
                           saliency maps\", 2018)
  another class            the class                                         below 0.5
  noise                    each value of the picture by one grey level        at least 0.95
  other number of threads  nothing that may matter                            the same bits
From 0.8 on, a map that should change has not; below 0.8, a map that should stay has not. Between the two ends a check is
inconclusive, as it is for a constant map, which has no correlation. If a map of a probability is nearly constant (below
1e-6), the logits of both networks are compared. Neighbouring masks overlap, so two unrelated maps may correlate by chance; one
check alone proves little, and with less than 16 positions none does. A check that is not passed is a finding, not a
failure: the exit code is 0.

Files written to DIR (after an error, nothing is written):
  <image>-check.png  all maps side by side, each divided by its largest magnitude
  check.json         all numbers

Examples:
  occlude check cat.jpg
  occlude check dog.jpg --classes 'poodle,terrier' --mask-size 30 --score logit
  occlude check cat.jpg --json > check.json"
)]
pub struct Check {
    /// The photograph: PNG, JPEG, WebP, BMP, GIF or TIFF; - is standard input
    pub image: PathBuf,

    /// The class whose map is checked and the other class, as for `occlude explain`. Without a second
    /// class the other one is the most probable one of the rest
    #[arg(long, value_name = "LIST", default_value = "top1")]
    pub classes: Vec<String>,

    #[command(flatten)]
    pub canvas: CanvasOption,

    #[command(flatten)]
    pub pool: Pool,

    /// The folder for the figure and check.json; it is created if needed
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,

    /// Print only the contents of check.json on standard output
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub sweep: Sweep,
}

//! Options of `occlude evaluate`.

use std::path::PathBuf;

use clap::{Arg, Args};

use super::drawing::Figures;
use super::sweep::{Pool, Sweep};

/// Measure how often a network is right on photographs of known classes
#[derive(Args)]
#[command(
    mut_args(needs_explain_wrong),
    after_help = "\
PHOTOS is a folder with a subfolder for each class, whose name is the class and which holds its photographs at any depth;
or a CSV file with the columns path and class, whose paths are relative to the current folder. A class is named as for
--classes: by a name, an index or a WordNet id of the network; underscores may stand for spaces. Several folders may mean
one class.

The answer of the network is its most probable class; the answer is right if that is the class of the photograph. Intervals
hold the true share with a probability of 95 % (Wilson), if the photographs are a random sample. Calibration: the answers are
divided into ten bins by their probability; the expected calibration error is the mean distance of the share of right answers
from the mean probability in each bin, weighted by the number of answers.

Files written to DIR:
  evaluate.png   the calibration, and the answers to the photographs of each class
  evaluate.json  all numbers, with the answer to each photograph
  <name>/        with --explain-wrong, for each photograph with a wrong answer, the files of `occlude explain` for the right
                 class and for the answer

Exit codes:
  0              success
  1              failure, or some photographs failed; the others are counted
  130, 143, 129  interrupted

Examples:
  occlude evaluate test
  occlude evaluate test --weights dogs.safetensors --out dogs
  occlude evaluate labels.csv --explain-wrong"
)]
pub struct Evaluate {
    /// The photographs by class: a folder of folders, or a CSV file with the columns path and class
    #[arg(value_name = "PHOTOS")]
    pub photographs: PathBuf,

    /// The folder for the results; it is created if needed
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,

    /// Also explain each photograph with a wrong answer: map the right class and the answer, without the class that a
    /// --score contrast:CLASS compares with
    #[arg(long)]
    pub explain_wrong: bool,

    /// Print only the contents of evaluate.json on standard output
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub pool: Pool,

    #[command(flatten)]
    pub sweep: Sweep,

    #[command(flatten)]
    pub figures: Figures,
}

/// Refuses an option of the maps where none are made.
fn needs_explain_wrong(arg: Arg) -> Arg {
    match arg.get_help_heading() {
        Some("Sweep" | "Figures") => arg.requires("explain_wrong"),
        _ => arg,
    }
}

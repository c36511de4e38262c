//! The command line: options, their values and their help. One file holds the options of one
//! subcommand.
//!
//! These modules reject a value that is invalid whatever the network and the photograph. The code
//! that loads the network or the photograph rejects the rest.

pub mod arrays;
mod batch;
mod check;
pub mod classes;
mod classify;
mod compare;
mod completions;
pub mod drawing;
mod evaluate;
mod explain;
mod features;
mod gradcam;
mod layers;
mod learn;
mod profile;
mod region;
mod rise;
mod robust;
pub mod score;
#[cfg(feature = "serve")]
mod serve;
pub mod shard;
mod sweep;
mod trace;
pub mod values;
mod weights;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use occlude::Resize;

pub use arrays::{ArrayFile, Arrays};
pub use batch::{Batch, Merge};
pub use check::Check;
pub use classify::Classify;
pub use compare::Compare;
pub use completions::{Completions, Man};
pub use drawing::{Drawing, Figures, ScaleChoice, Show};
pub use evaluate::Evaluate;
pub use explain::Explain;
pub use features::Features;
pub use gradcam::Gradcam;
pub use layers::Layers;
pub use learn::Learn;
pub use profile::Profile;
pub use region::Region;
pub use rise::Rise;
pub use robust::Robust;
#[cfg(feature = "serve")]
pub use serve::Serve;
pub use sweep::{Aggregate, Pool, Sweep};
pub use trace::Trace;
pub use values::Size;
use values::choice;
pub use weights::{Fetch, FetchLimits, Import, Weights, WeightsAction};

/// The values of `--resize`.
pub const RESIZES: &[(&str, Resize)] = &[
    ("stretch", Resize::Stretch),
    ("center-crop", Resize::CenterCrop),
    ("pad", Resize::Pad),
    ("matlab", Resize::Matlab),
];

#[derive(Parser)]
#[command(
    name = "occlude",
    version,
    about = "Classify a photograph with GoogLeNet and map the evidence for the result",
    after_help = "\
Examples:
  occlude classify cat.jpg
  occlude explain cat.jpg --out out
  occlude compare poodle.jpg terrier.jpg
  occlude gradcam cat.jpg
  occlude rise cat.jpg
  occlude region cat.jpg
  occlude check cat.jpg
  occlude features cat.jpg --layer inception_4c/output
  occlude batch photos --out maps
  occlude learn dogs --out dogs.safetensors
  occlude evaluate test --weights dogs.safetensors
  occlude layers
  occlude trace cat.jpg --at 112,112
  occlude weights fetch
  occlude completions bash
  occlude man

Exit codes:
  0    success
  1    failure; standard error gives the reason
  2    invalid command line
  130  interrupted by Ctrl-C; no partial files are left behind
  143  interrupted by SIGTERM; no partial files are left behind
  129  interrupted by SIGHUP (closed terminal); no partial files are left behind"
)]
pub struct Arguments {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// The heading of the help for the options in [`Common`].
const GLOBAL: &str = "Global options";

/// The options of every subcommand.
#[derive(Args)]
pub struct Common {
    /// The network's weights: a safetensors file, a .pth file, a caffemodel or an ONNX model, or
    /// "builtin" for the network inside this program [default: $OCCLUDE_WEIGHTS if it is set,
    /// otherwise the first of these that exists: weights/bvlc_googlenet.safetensors;
    /// occlude/bvlc_googlenet.safetensors in the user's cache directory; torchvision's file in
    /// PyTorch's hub cache; builtin]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    pub weights: Option<PathBuf>,

    /// The names of the network's classes: a text file with one line per class, in the order of
    /// their indices [default: the names in the weights file, else those of ImageNet for 1000
    /// classes, else "class 0", "class 1" and so on]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    pub labels: Option<PathBuf>,

    /// Input normalization of a network in torchvision's form: "on" as in torchvision's published
    /// network, "off" for a network trained with transform_input=False [default: the value in the
    /// weights file, else on]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "on|off",
          value_parser = choice(&[("on", true), ("off", false)]))]
    pub transform_input: Option<bool>,

    /// Method that makes the 224x224 picture from the photograph: "stretch" resizes both sides to
    /// 224; "center-crop" resizes the shorter side to 256 and keeps the central 224x224; "pad"
    /// resizes the longer side to 224 and fills the rest with the mean colour of the photograph;
    /// "matlab" is "stretch" with the levels of MATLAB's imresize
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "METHOD", default_value = "stretch",
          value_parser = choice(RESIZES))]
    pub resize: Resize,
}

#[derive(Subcommand)]
pub enum Command {
    Classify(Classify),
    Explain(Box<Explain>),
    Compare(Box<Compare>),
    Gradcam(Gradcam),
    Rise(Rise),
    Region(Box<Region>),
    Check(Box<Check>),
    Features(Features),
    Batch(Box<Batch>),
    Merge(Merge),
    Learn(Learn),
    Evaluate(Box<Evaluate>),
    #[cfg(feature = "serve")]
    Serve(Serve),
    Profile(Profile),
    Layers(Layers),
    Trace(Trace),
    Weights(Weights),
    Completions(Completions),
    Man(Man),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_definition_is_valid() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }
}

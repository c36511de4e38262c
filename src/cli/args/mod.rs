//! The command line: options, their values and their help. What is wrong about an option by itself is refused here; what
//! depends on the network or the photograph is refused by who knows these.

mod batch;
pub mod classes;
mod classify;
mod compare;
mod completions;
mod drawing;
mod explain;
mod features;
mod gradcam;
mod layers;
mod profile;
pub mod shard;
mod sweep;
mod trace;
mod values;
mod weights;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use occlude::Resize;

pub use batch::{Batch, Merge};
pub use classify::Classify;
pub use compare::Compare;
pub use completions::{Completions, Man};
pub use drawing::{Drawing, Figures, Show};
pub use explain::Explain;
pub use features::Features;
pub use gradcam::Gradcam;
pub use layers::Layers;
pub use profile::Profile;
pub use sweep::{Aggregate, Sweep};
pub use trace::Trace;
use values::choice;
pub use values::{ArrayFile, Size};
pub use weights::{Fetch, FetchLimits, Import, Weights, WeightsAction};

#[derive(Parser)]
#[command(
    name = "occlude",
    version,
    about = "Classifies a photograph with GoogLeNet and maps what it was classified by",
    after_help = "\
Examples:
  occlude classify cat.jpg
  occlude explain cat.jpg --out out
  occlude compare poodle.jpg terrier.jpg
  occlude gradcam cat.jpg
  occlude features cat.jpg --layer inception_4c/output
  occlude batch photos --out maps
  occlude layers
  occlude trace cat.jpg --at 112,112
  occlude weights fetch
  occlude completions bash
  occlude man

Exit code: 0 done, 1 refused or failed (the reason is on standard error), 2 not a valid command line,
130 and 143 interrupted by Ctrl-C and SIGTERM: then no part of a file is left."
)]
pub struct Arguments {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// Where the help lists what every command takes.
const GLOBAL: &str = "Options of every command";

/// What every command takes.
#[derive(Args)]
pub struct Common {
    /// The network's weights: a safetensors file, a .pth file, a caffemodel or an ONNX model, or "builtin" for the network inside
    /// this program [default: $OCCLUDE_WEIGHTS, else weights/bvlc_googlenet.safetensors, else that file in occlude/ of the user's
    /// cache directory, else torchvision's in PyTorch's hub cache, else builtin]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    pub weights: Option<PathBuf>,

    /// The names of the network's classes: a text file with a line for each, in their order [default: those
    /// in the weights file, else ImageNet's for 1000 classes, else "class 0" and so on]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    pub labels: Option<PathBuf>,

    /// Preparation of pictures for a network in torchvision's form: "on" as for the published one, "off" as for those trained with
    /// transform_input=False [default: what the file says, else on]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "HOW",
          value_parser = choice(&[("on", true), ("off", false)]))]
    pub transform_input: Option<bool>,

    /// How a picture becomes 224x224: "stretch" both sides to 224, or scale the shorter side to 256 and take
    /// the central 224x224 ("center-crop")
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "HOW", default_value = "stretch",
          value_parser = choice(&[("stretch", Resize::Stretch), ("center-crop", Resize::CenterCrop)]))]
    pub resize: Resize,
}

#[derive(Subcommand)]
pub enum Command {
    Classify(Classify),
    Explain(Box<Explain>),
    Compare(Box<Compare>),
    Gradcam(Gradcam),
    Features(Features),
    Batch(Box<Batch>),
    Merge(Merge),
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
    fn the_definition_of_the_command_line_is_sound() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }
}

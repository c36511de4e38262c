//! Options of `occlude layers`.

use std::path::PathBuf;

use clap::Args;

/// Show the network: its layers as a table and as a diagram
#[derive(Args)]
#[command(after_help = "\
Columns of the table:
output        height x width x channels of what the layer writes
parameters    its weights and biases
multiply-adds millions for one picture, zeros included
field         receptive field: an activation depends on a square of so many pixels of the picture, and
step          its neighbour on one so many pixels further

The network is the one that the other commands use.

Examples:
  occlude layers
  occlude layers --diagram googlenet.svg
  occlude layers --weights torchvision_googlenet.safetensors --json")]
pub struct Layers {
    /// Also draw the network, to an SVG file
    #[arg(long, value_name = "FILE")]
    pub diagram: Option<PathBuf>,

    /// Print a JSON object instead
    #[arg(long)]
    pub json: bool,
}

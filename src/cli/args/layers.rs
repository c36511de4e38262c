//! Options of `occlude layers`.

use std::path::PathBuf;

use clap::Args;

/// List the layers of the network
#[derive(Args)]
#[command(after_help = "\
Columns of the table:
  output         height x width x channels of the layer's output
  parameters     number of weights and biases
  multiply-adds  number for one picture, in millions, including multiplications by zero
  RF             receptive field size: side of the square of input pixels on which one activation depends
  jump           step between the receptive fields of neighbouring activations, in input pixels

Examples:
  occlude layers
  occlude layers --diagram googlenet.svg
  occlude layers --diagram googlenet.png
  occlude layers --weights torchvision_googlenet.safetensors --json")]
pub struct Layers {
    /// Also draw the network as a diagram, in a file that ends in .svg or .png
    #[arg(long, value_name = "FILE")]
    pub diagram: Option<PathBuf>,

    /// Print a JSON object instead of the table
    #[arg(long)]
    pub json: bool,
}

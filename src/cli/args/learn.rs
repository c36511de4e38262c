//! Options of `occlude learn`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::sweep::Pool;

/// Train the last layer on photographs of your own classes
#[derive(Args)]
#[command(group(ArgGroup::new("names").arg("labels").requires("keep")), after_help = "\
PHOTOS is a folder with a subfolder for each class, whose name is the class and which holds its photographs at any depth;
or a CSV file with the columns path and class, whose paths are relative to the current folder. At least 2 classes and 3
photographs of each are needed; 20 or more give useful accuracies.

A photograph that cannot be read is reported and left out, and the exit code is then 1; copies are left out.

The convolutions stay as they are. Each photograph becomes the numbers that the last layer reads (1024, or 512 of the
built-in network), also mirrored and for four parts of it. The last layer is trained on these by logistic regression. Its
regularisation is chosen by cross-validation: the photographs are divided into up to five parts, each of which is classified
by a network that was trained without it. That also gives the accuracy that is printed, which is an estimate for other
photographs of the same kind. Photographs of one scene belong together: if they are in different parts, the estimate is too
high.

With --keep, the network keeps its classes, and the classes that it lacks are added. Its old weights do not change. The new
classes are trained against photographs of other things: those of folders that are named as a class of the network, and
those of --others.

Files written:
  NET.safetensors  the network with the names of its classes and the value of --resize; every command accepts it with
                   --weights
  NET-learn.json   beside it: the photographs with their checksums, the answer to each, the accuracy, the confusion table,
                   the regularisations that were tried, the checksums of both networks
All files depend only on the photographs, the weights, the options and the version of this program.

Examples:
  occlude learn dogs --out dogs.safetensors
  occlude learn dogs --keep --others holiday --out with-laika.safetensors
  occlude explain laika.jpg --weights dogs.safetensors
  occlude evaluate test --weights dogs.safetensors")]
pub struct Learn {
    /// The photographs by class: a folder of folders, or a CSV file with the columns path and class
    #[arg(value_name = "PHOTOS")]
    pub photographs: PathBuf,

    /// The file of the trained network; its folder is created if needed
    #[arg(long, value_name = "NET.safetensors")]
    pub out: PathBuf,

    /// Keep the classes of the network and add those that it lacks
    #[arg(long)]
    pub keep: bool,

    /// Photographs of anything but the new classes: folders, lists (@FILE), patterns or
    /// photographs, as for `occlude batch`; several may follow
    #[arg(long, value_name = "INPUT", requires = "keep", num_args = 1..)]
    pub others: Vec<PathBuf>,

    /// Replace an existing network and its record
    #[arg(long)]
    pub force: bool,

    /// Print only the contents of NET-learn.json on standard output
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub pool: Pool,
}

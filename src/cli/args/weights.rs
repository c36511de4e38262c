//! Options of `occlude weights`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::cli::checksum::Checksum;

/// Verify, download or convert weights files
#[derive(Args)]
#[command(after_help = "\
Without a subcommand, `occlude weights` verifies.

Examples:
  occlude weights
  occlude weights fetch
  occlude weights import bvlc_googlenet.caffemodel")]
pub struct Weights {
    #[command(subcommand)]
    pub action: Option<WeightsAction>,
}

#[derive(Subcommand)]
pub enum WeightsAction {
    /// Compare a weights file with the published network
    #[command(after_help = "\
Prints the file's SHA-256 and its origin. Compares the SHA-256 of the file and of each tensor with those of the
published network, which this program contains. The exit code is 1 if a tensor differs.

Examples:
  occlude weights verify
  occlude weights verify fine_tuned.safetensors")]
    Verify {
        /// The weights file [default: the file that the other commands would use]
        file: Option<PathBuf>,
    },
    Import(Import),
    Fetch(Fetch),
}

/// Convert a weights file to safetensors, which loads faster
#[derive(Args)]
#[command(after_help = "\
FILE has one of these formats, recognized by its first bytes:
  caffemodel   BVLC GoogLeNet as Berkeley published it, or fine-tuned for any number of classes
  ONNX model   the same network from the ONNX model zoo, or torchvision's with transform_input; the numbers must be
               in the file itself and have 16, 32 or 64 bits
  safetensors  either network; also the state dict of torchvision's googlenet
  .pth         that state dict as saved by PyTorch; code in the file is not run

The exit code is 1 if FILE holds another network; the message names the first layer that differs.

Examples:
  occlude weights import bvlc_googlenet.caffemodel
  occlude weights import googlenet-9.onnx --out googlenet.safetensors
  occlude weights import googlenet-1378be20.pth --out torchvision.safetensors")]
pub struct Import {
    /// The file to convert: a caffemodel, an ONNX model, a safetensors file or a .pth file
    pub file: PathBuf,

    /// The file to write; its folder is created if needed [default:
    /// weights/bvlc_googlenet.safetensors for the published network,
    /// weights/<name of FILE>.safetensors for another network]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Replace an existing file
    #[arg(long)]
    pub force: bool,
}

/// Download the published weights (28 to 53 MB), verify them and convert them (28 MB)
#[derive(Args)]
#[command(after_help = "\
Sources. Without --from and --torchvision, they are tried in this order until one delivers the file:
  openvino     storage.openvinotoolkit.org: the caffemodel as Berkeley published it
  onnx-9, onnx-12, onnx-7, onnx-6, onnx-3
               huggingface.co: the ONNX model zoo's conversions of it
  berkeley     dl.caffe.berkeleyvision.org: the caffemodel, over plain http
This source is used only when it is named:
  torchvision  download.pytorch.org: torchvision's googlenet, a different network

A file from one of these sources is installed only if it has the checksum of the published file. A file from another
address may have any format that `occlude weights import` reads; it is installed only if all its tensors equal those of
the published network, or if it has the checksum given with --checksum.

The program curl is required. A source is abandoned if the connection takes more than 8 seconds, if it sends less than
1 kB/s for 15 seconds, or after 15 minutes. The data of an interrupted download is kept next to the target as *.partial,
and the next download continues from it.

Examples:
  occlude weights fetch
  occlude weights fetch --from berkeley
  occlude weights fetch --torchvision
  occlude weights fetch --from https://mirror.example/googlenet-9.onnx --out weights/bvlc_googlenet.safetensors")]
pub struct Fetch {
    /// The only source to try: the name of a source below, or an http or https address [default:
    /// all sources below, in order]
    #[arg(long, value_name = "NAME|URL")]
    pub from: Option<String>,

    /// Download the weights of torchvision's googlenet, as --from torchvision does. They are
    /// written to torchvision_googlenet.safetensors; name that file with --weights to use them
    #[arg(long, conflicts_with = "from")]
    pub torchvision: bool,

    /// The file to write; its folder is created if needed [default:
    /// occlude/bvlc_googlenet.safetensors in the user's cache directory, where every command
    /// searches]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// The SHA-1, SHA-256 or SHA-384 of the file at the address, in hexadecimal. The file may then
    /// hold other weights than the published ones
    #[arg(long, value_name = "HEX", requires = "from", value_parser = Checksum::parse)]
    pub checksum: Option<Checksum>,

    /// Replace an existing file
    #[arg(long)]
    pub force: bool,

    /// A JSON file with a list of sources that replaces the list in the manifest. For tests. It
    /// allows nothing that --from with --checksum does not allow.
    #[arg(long, hide = true, value_name = "FILE")]
    pub sources: Option<PathBuf>,

    /// Limits that replace the defaults, in seconds, seconds and bytes. For tests, which cannot
    /// wait that long.
    #[arg(long, hide = true, value_name = "STALL,TOTAL,BYTES", default_value = "15,900,268435456",
          value_parser = fetch_limits)]
    pub limits: FetchLimits,
}

/// The limits at which a download is abandoned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FetchLimits {
    /// The longest time below the minimum speed.
    pub stall: Duration,
    /// The longest time for the whole download.
    pub total: Duration,
    /// The largest size of a file.
    pub bytes: u64,
}

fn fetch_limits(text: &str) -> Result<FetchLimits, String> {
    let seconds = |text: &str| Duration::try_from_secs_f64(text.parse().ok()?).ok();
    let limits = match text.split(',').collect::<Vec<_>>()[..] {
        [stall, total, bytes] => (seconds(stall), seconds(total), bytes.parse().ok()),
        _ => (None, None, None),
    };
    match limits {
        (Some(stall), Some(total), Some(bytes)) => Ok(FetchLimits { stall, total, bytes }),
        _ => Err("expected STALL,TOTAL,BYTES: two durations in seconds and a size in bytes".to_string()),
    }
}

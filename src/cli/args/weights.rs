//! Options of `occlude weights`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::cli::checksum::Checksum;

/// Say whether the weights are the published network's; download them, or convert a file of another form
#[derive(Args)]
#[command(after_help = "\
Without a command it verifies.

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
    /// Say which weights file is used, where it comes from, and whether its checksums match
    #[command(after_help = "\
Compares the file's SHA-256 and each tensor's with the published network's, which this program carries.
Exit code 1 when a tensor differs.

Examples:
  occlude weights verify
  occlude weights verify fine_tuned.safetensors")]
    Verify {
        /// The weights file [default: the one that the other commands would use]
        file: Option<PathBuf>,
    },
    Import(Import),
    Fetch(Fetch),
}

/// Make a safetensors file, which is smaller and read faster, of a weights file of any form
#[derive(Args)]
#[command(after_help = "\
FILE is one of these; its first bytes tell which:
  caffemodel   BVLC GoogLeNet as Berkeley published it, or fine-tuned for any number of classes
  ONNX model   the same network as in the ONNX model zoo, or torchvision's with transform_input, as other programs export
               them: numbers of 16, 32 or 64 bits in the file itself
  safetensors  either network; also the state dict of torchvision's googlenet
  .pth         that state dict as PyTorch saves it; no code of the file is run

Exit code 1 when FILE is refused: the reason names the layer that another network has in its place.

Examples:
  occlude weights import bvlc_googlenet.caffemodel
  occlude weights import googlenet-9.onnx --out googlenet.safetensors
  occlude weights import googlenet-1378be20.pth --out torchvision.safetensors")]
pub struct Import {
    /// A caffemodel, an ONNX model, a safetensors file, or a .pth file
    pub file: PathBuf,

    /// Where the weights go; its folder is made if it does not exist [default: weights/bvlc_googlenet.safetensors for the
    /// published network, weights/<name of FILE>.safetensors for another]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Replace other weights that are there
    #[arg(long)]
    pub force: bool,
}

/// Download the published weights (28 to 53 MB), check and convert them (28 MB)
#[derive(Args)]
#[command(after_help = "\
Sources, in the order in which they are tried until one has the file:
  openvino     storage.openvinotoolkit.org: the caffemodel as Berkeley published it
  onnx-9, onnx-12, onnx-7, onnx-6, onnx-3
               huggingface.co: the ONNX model zoo's conversions of it
  berkeley     dl.caffe.berkeleyvision.org: the caffemodel, over plain http
And only by its name:
  torchvision  download.pytorch.org: torchvision's googlenet, another network

Nothing is installed unless it is the published file, by its checksum. A file from another address is compared tensor by tensor
with the published network, so it may have any form that `occlude weights import` reads; --checksum accepts other weights.

Needs the program curl. A source that cannot be reached is given up after 8 seconds, one that sends less than 1 kB a second after
15, any after 15 minutes. What an interrupted download has brought is kept beside the target as *.partial, and the next one goes
on from there.

Examples:
  occlude weights fetch
  occlude weights fetch --from berkeley
  occlude weights fetch --torchvision
  occlude weights fetch --from https://mirror.example/googlenet-9.onnx --out weights/bvlc_googlenet.safetensors")]
pub struct Fetch {
    /// The only source to download from: one of those below by its name, or an address, http or https [default: the sources
    /// below, one after the other]
    #[arg(long, value_name = "NAME|URL")]
    pub from: Option<String>,

    /// The weights of torchvision's googlenet: the same as --from torchvision. They go to torchvision_googlenet.safetensors,
    /// which commands use when --weights names it
    #[arg(long, conflicts_with = "from")]
    pub torchvision: bool,

    /// Where the weights go; its folder is made if it does not exist [default: occlude/bvlc_googlenet.safetensors in the
    /// user's cache directory, where every command looks]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// SHA-1, SHA-256 or SHA-384 that the file from the address must have; then it may be other weights than the published
    #[arg(long, value_name = "HEX", requires = "from", value_parser = Checksum::parse)]
    pub checksum: Option<Checksum>,

    /// Replace other weights that are there
    #[arg(long)]
    pub force: bool,

    /// Sources in place of the manifest's: a JSON list of the same shape. For tests; whoever can give it could as well give an
    /// address and a checksum.
    #[arg(long, hide = true, value_name = "FILE")]
    pub sources: Option<PathBuf>,

    /// Limits in place of the usual ones. For tests, which cannot wait so long.
    #[arg(long, hide = true, value_name = "STALL,TOTAL,BYTES", default_value = "15,900,268435456",
          value_parser = fetch_limits)]
    pub limits: FetchLimits,
}

/// When a download is given up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FetchLimits {
    /// Longest time below the least speed.
    pub stall: Duration,
    /// Longest time in all.
    pub total: Duration,
    /// Of a file whose size is not known.
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
        _ => Err("expected two numbers of seconds and one of bytes".to_string()),
    }
}

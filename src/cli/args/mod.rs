//! The command line: options, their values and their help. What is wrong about an option by itself is refused here; what
//! depends on the network or the photograph is refused by who knows these.

pub mod classes;
pub mod shard;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use occlude::network::geometry::Rect;
use occlude::network::{INPUT_SIDE, MAX_CLASSES};
use occlude::{Feature, MaskValue, Resize, Score, Upsampling};

use crate::cli::checksum::Checksum;
use crate::cli::render::canvas::Format;
use crate::cli::render::colours::{COLOURS, Colours};
use shard::Shard;

/// More threads than any machine that this runs on has cores.
const MAX_THREADS: usize = 1024;

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

/// Print the most probable classes of a photograph
#[derive(Args)]
#[command(after_help = "\
One class a line: probability (0 to 1, after softmax over all classes), index (from 0 on), names.

Examples:
  occlude classify cat.jpg
  occlude classify cat.jpg --top 1 --json")]
pub struct Classify {
    /// A photograph: PNG, JPEG, WebP, BMP, GIF or TIFF
    pub image: PathBuf,

    /// Number of classes, at most as many as the network has [default: 5, or all of fewer]
    #[arg(long, value_name = "K", allow_hyphen_values = true,
          value_parser = |text: &str| count(text, MAX_CLASSES))]
    pub top: Option<usize>,

    /// Print a JSON object instead
    #[arg(long)]
    pub json: bool,
}

/// Map which parts of a photograph are evidence for a class, by covering them one after the other
#[derive(Args)]
#[command(after_help = "\
A mask slides over the 224x224 picture. Where covering it lowers the score of a class, there is evidence for the class:
map value = score of the whole picture - score of the covered one.

DIR receives <image>-<class>.png for each class, the photograph with its map over it, and map.json with all numbers; with
--show score <image>-<class>-score.png, with --show class <image>-most-probable.png, with --activation
<image>-<layer>-<channel>.png, with --faithfulness <image>-<class>-faithfulness.png. On an error it receives nothing, but
for the coarse pictures of --progressive.

The colours of drops are symmetric around zero: the middle (green of jet, white of diverging) is no effect, red evidence for
the class, blue evidence against it, and the map's largest magnitude reaches the end of the colours. So colours of two
pictures are not on one scale; the numbers at the colour bar and in map.json are, and so are maps of `occlude compare`.

The arrays of --arrays have the same numbers: maps and scores [class][ny][nx], base_scores and classes [class], argmax and
argmax_scores [ny][nx]; with --aggregate windows also attributions [class][224][224]; with --activation also activations
(the map) and activation_totals [feature][ny][nx], activation_base_totals and activation_channels [feature]. Classes and
channels are int64, all else float32. maps.safetensors has the options in its metadata, a JSON object under \"options\".

Examples:
  occlude explain cat.jpg
  occlude explain dog.jpg --classes top3 --mask-size 15 --stride 10 --out maps
  occlude explain cat.jpg --classes 'tabby, tabby cat,Egyptian cat,282' --score logit   # the published network's classes
  occlude explain cat.jpg --mask-size 30x12 --stride 25x31 --mask-value 124,117,104 --json > map.json
  occlude explain cat.jpg --arrays npz && python -c \"import numpy; print(numpy.load('out/maps.npz')['maps'].max())\"
  occlude explain cat.jpg --classes top5 --report cat.html
  occlude explain cat.jpg --show drop,class --colours diverging --mask-value blur --region 40,0,180,224
  occlude explain cat.jpg --activation inception_4c/output:strongest --faithfulness
  occlude explain cat.jpg --mask-size 15 --stride 5 --progressive")]
pub struct Explain {
    /// A photograph: PNG, JPEG, WebP, BMP, GIF or TIFF
    pub image: PathBuf,

    /// Classes to map, all in one sweep, separated by commas: topK (the K most probable), an index from 0 on, or a name in
    /// any case, which may hold commas itself ('tabby, tabby cat'); may be given several times
    #[arg(long, value_name = "LIST", default_value = "top1")]
    pub classes: Vec<String>,

    /// Also measure how faithful each map is: cover the picture's pixels in the map's order, and uncover them (deletion and
    /// insertion), and compare with Grad-CAM's order
    #[arg(long)]
    pub faithfulness: bool,

    /// Coarse to fine: pictures of the map appear after about a tenth of the time, and in a terminal a preview; the
    /// end is the same
    #[arg(long)]
    pub progressive: bool,

    #[command(flatten)]
    pub pool: Pool,

    /// Where the pictures and map.json go; made if it does not exist
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,

    /// Also write a page to look around in, one file for a browser: the map over the photograph, what each mask did, the
    /// most probable class at each position; of at most 20 classes
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// Print map.json's object on standard output, and nothing else there
    #[arg(long)]
    pub json: bool,

    /// Also write the numbers as arrays for other programs, separated by commas: npz (maps.npz, for numpy.load), npy
    /// (maps.npy, the maps alone), safetensors (maps.safetensors)
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = choice(&[
        ("npy", ArrayFile::Npy), ("npz", ArrayFile::Npz), ("safetensors", ArrayFile::Safetensors)]))]
    pub arrays: Vec<ArrayFile>,

    #[command(flatten)]
    pub sweep: Sweep,

    #[command(flatten)]
    pub pictures: Pictures,
}

/// Explain many photographs, resumably, in as many processes as there are
#[derive(Args)]
#[command(after_help = "\
An INPUT is
  a folder     the pictures in it, by their names: png, jpg, jpeg, webp, bmp, gif, tif and tiff in any case, not those
               that begin with a dot; with --recursive also those in the folders in it, but for folders of results
  @FILE        a list: one picture a line, relative to the current folder; empty lines and lines that begin with # do
               not count. (A picture whose name begins with @ is ./@..., one that begins with - comes after --.)
  a pattern    where there is no such file: *, ?, [a-z], and ** for any depth; quote it to keep the shell from it
  a file       a picture, whatever its name
Pictures are taken in the order of their paths, each once.

DIR receives
  <name>/                 for each picture, what `occlude explain` writes, and occlude-done.json. The name is the
                          picture's without its ending; where several have the same, with a hash of the path
  summary.csv             a line for each picture and mapped class; summary-i-of-n.csv for a shard
  summary.json            the same, an object a picture
The bytes of all of them depend only on the pictures, the weights, the options and this program's version. So map.json
lacks elapsed_seconds, threads and isa here.

Run the same command again after an interruption: a picture is skipped when its checksum, the weights', the options and
the checksums of all its results are what they were. A picture that fails is reported and left out; the others are done.

--shard i/n takes every n-th picture, so that n processes, also on several machines, do all; i counts from 0, as
SLURM_ARRAY_TASK_ID and JOB_COMPLETION_INDEX do. They may share DIR. All must see the same pictures; `occlude merge`
checks that, and makes of their summaries the one of a run without shards. Job files: tools/jobs/.

Exit code: 0 all done, 1 refused, or some pictures failed, 130 and 143 interrupted (a second Ctrl-C does not wait).

Examples:
  occlude batch photos --out maps
  occlude batch 'photos/**/*.jpg' more/cat.png @list.txt --out maps --classes top3
  occlude batch photos --out maps --shard 0/4 & occlude batch photos --out maps --shard 1/4 &")]
pub struct Batch {
    /// Folders, lists (@FILE), patterns or pictures
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,

    /// Also take the pictures in folders in the folders. Links to folders are not followed
    #[arg(long)]
    pub recursive: bool,

    /// Where the results go; made if it does not exist
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    /// Do only the i-th of n parts: 0/4, 1/4, 2/4, 3/4
    #[arg(long, value_name = "i/n", allow_hyphen_values = true)]
    pub shard: Option<Shard>,

    /// Classes to map for each picture, as of `occlude explain`; topK are the picture's own
    #[arg(long, value_name = "LIST", default_value = "top1")]
    pub classes: Vec<String>,

    /// Threads, 1 to 1024; the results do not depend on it [default: one a core]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = |text: &str| count(text, MAX_THREADS))]
    pub threads: Option<usize>,

    /// Also write the numbers as arrays, as of `occlude explain`: npz, npy, safetensors, separated by commas
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = choice(&[
        ("npy", ArrayFile::Npy), ("npz", ArrayFile::Npz), ("safetensors", ArrayFile::Safetensors)]))]
    pub arrays: Vec<ArrayFile>,

    #[command(flatten)]
    pub sweep: Sweep,

    #[command(flatten)]
    pub pictures: Pictures,
}

/// Make one summary of those of `occlude batch --shard`
#[derive(Args)]
#[command(after_help = "\
Writes summary.csv and summary.json, the same bytes as those of one `occlude batch` without --shard. Refused when a shard
is missing, or when the shards differ in pictures, options, weights or version.

Examples:
  occlude merge maps
  occlude merge a/summary-0-of-2.json b/summary-1-of-2.json --out all")]
pub struct Merge {
    /// The folder with the shards' summaries, or their files summary-i-of-n.json
    #[arg(required = true, value_name = "SUMMARY")]
    pub summaries: Vec<PathBuf>,

    /// Where the summary goes; made if it does not exist [default: where the shards' summaries are]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Compare the evidence for several classes in one photograph, or for two photographs' classes in both
#[derive(Args)]
#[command(after_help = "\
One photograph: the maps of its classes side by side on one scale, and the difference of the first two: where the evidence is
for the one rather than for the other. Two photographs: each with the map of its own predicted class and of the other's, to
find out why one of them is taken for something else. A class that is very improbable has a flat map: --score logit shows
what speaks for it all the same.

DIR receives <image>-compare.png (or <image1>-<image2>-compare.png) and compare.json: images has map.json's object for each
photograph; contrasts has for each the first two classes, the difference of their maps [ny][nx], the maps' correlation (-1 to 1),
and the share of positions where the first class's score falls further.

Examples:
  occlude compare dog.jpg --classes top3
  occlude compare cat_dog.png --classes top2 --mask-size 30 --stride 10
  occlude compare poodle.jpg terrier.jpg --score logit --colours diverging --out study")]
pub struct Compare {
    /// One photograph or two: PNG, JPEG, WebP, BMP, GIF or TIFF
    #[arg(required = true, num_args = 1..=2, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,

    /// Classes to compare, at most 20, as for explain [default: of one photograph the three most probable, of two the prediction for each]
    #[arg(long, value_name = "LIST")]
    pub classes: Vec<String>,

    #[command(flatten)]
    pub pool: Pool,

    /// Where the picture and compare.json go; made if it does not exist
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,

    /// Print compare.json's object on standard output, and nothing else there
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub sweep: Sweep,

    #[command(flatten)]
    pub drawing: Drawing,
}

/// Map a class by the gradient at the last convolutions (Grad-CAM), to compare with what covering does
#[derive(Args)]
#[command(after_help = "\
Grad-CAM (Selvaraju et al., 2017): each of the 1024 channels of inception_5b/output counts as much as the mean gradient of the
class's probability says, and their sum shows in 7x7 cells where activations raise it. What lowers it is cut off at 0.

How it differs from `occlude explain`: it needs one pass instead of one for each position, has cells of 32x32 pixels, each of which
sees nearly the whole picture, and is a slope at one layer: what a very small change there would do. Covering a part measures
what its absence really does to the score, for and against the class, at any size. Where a class is certain, its slopes
are nearly 0: the map then says where, not how much.

DIR receives <image>-<class>-gradcam.png for each class, the photograph with its map over it, and gradcam.json with all
numbers; on an error it receives nothing.

Examples:
  occlude gradcam cat.jpg
  occlude gradcam dog.jpg --classes top3 --out maps
  occlude gradcam cat.jpg --classes top2,7 --json > gradcam.json")]
pub struct Gradcam {
    /// A photograph: PNG, JPEG, WebP, BMP, GIF or TIFF
    pub image: PathBuf,

    /// Classes to map, as for explain
    #[arg(long, value_name = "LIST", default_value = "top1")]
    pub classes: Vec<String>,

    #[command(flatten)]
    pub pool: Pool,

    /// Where the pictures and gradcam.json go; made if it does not exist
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,

    /// Print gradcam.json's object on standard output, and nothing else there
    #[arg(long)]
    pub json: bool,
}

/// Show a layer's feature maps: all its channels on one sheet
#[derive(Args)]
#[command(after_help = "\
A layer of GoogLeNet writes up to 1024 channels, each a map of where in the picture it found what it looks for. DIR receives
<image>-<layer>-features.png, in which each channel is a tile with its number below it. One scale holds for all tiles: from 0 to
the value that only 1 % of those that are not 0 exceed, or as far on either side of 0 where there are negative values, which are
those of the classifier only. On an error DIR receives nothing.

--json prints for each channel: channel (its number), total (the sum over its map, which --activation of `occlude explain` follows
while a mask slides), maximum, nonzero_share (0 to 1, of its values), maximum_at ([row, column] in the map) and maximum_depends_on
([y0, x0, y1, x1], ends excluded: the pixels of the 224x224 picture that the activation there was computed from). The last two are null
where a channel is 0 everywhere.

Examples:
  occlude features cat.jpg --layer conv1/7x7_s2
  occlude features cat.jpg --layer inception_4c/output --strongest 32 --out maps
  occlude features cat.jpg --layer inception_5b/5x5 --json > features.json")]
pub struct Features {
    /// A photograph: PNG, JPEG, WebP, BMP, GIF or TIFF
    pub image: PathBuf,

    /// A layer that `occlude layers` lists, or the whole output of an inception block, as in inception_4c/output
    #[arg(long, value_name = "LAYER")]
    pub layer: String,

    /// Only the K channels with the largest totals, in that order [default: all, by their numbers]
    #[arg(long, value_name = "K", allow_hyphen_values = true, value_parser = |text: &str| count(text, MAX_CLASSES))]
    pub strongest: Option<usize>,

    /// Colours: viridis (evenly lighter from 0 up), diverging (0 is white, red above it, blue below) or jet [default: viridis;
    /// diverging where there are negative values]
    #[arg(long, value_name = "COLOURS", value_parser = choice(&COLOURS))]
    pub colours: Option<Colours>,

    #[command(flatten)]
    pub pool: Pool,

    /// Where the picture goes; made if it does not exist
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,

    /// Print a JSON object on standard output, and nothing else there
    #[arg(long)]
    pub json: bool,
}

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

/// Which pictures of a sweep are made, and how.
#[derive(Args)]
#[command(next_help_heading = "Pictures")]
pub struct Pictures {
    /// Which pictures, separated by commas: drop (how far the score falls when a place is covered), score (what it falls to),
    /// class (the most probable class with the mask at each place, with a legend)
    #[arg(long, value_name = "LIST", default_value = "drop", value_parser = shows)]
    pub show: Shows,

    #[command(flatten)]
    pub drawing: Drawing,
}

/// How pictures are drawn.
#[derive(Args)]
#[command(next_help_heading = "Pictures")]
pub struct Drawing {
    /// How the map is enlarged to 224x224 for the picture: bicubic, nearest, or none (each position a tile); map.json
    /// holds the map as it is, one value a position
    #[arg(long, value_name = "HOW", default_value = "bicubic",
          value_parser = choice(&[("bicubic", Upsampling::Bicubic), ("nearest", Upsampling::Nearest), ("none", Upsampling::None)]))]
    pub upsampling: Upsampling,

    /// Colours: jet (as in MATLAB's example), diverging (white is no effect, red evidence for, blue against; recommended for
    /// drops: jet's bright bands look like edges that are not there) or viridis (evenly lighter; recommended where there is no
    /// sign) [default: jet for drops, viridis for scores]
    #[arg(long, value_name = "COLOURS",
          value_parser = choice(&COLOURS))]
    pub colours: Option<Colours>,

    /// How opaque the map lies over the photograph, 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "0.5", allow_hyphen_values = true, value_parser = opacity)]
    pub opacity: f32,

    /// Whether a mask is outlined in the lower left corner, for its size
    #[arg(long, value_name = "on|off", default_value = "on",
          action = clap::ArgAction::Set, value_parser = choice(&[("on", true), ("off", false)]))]
    pub mark: bool,

    /// File format of the pictures: png or svg
    #[arg(long, value_name = "FORMAT", default_value = "png",
          value_parser = choice(&[("png", Format::Png), ("svg", Format::Svg)]))]
    pub format: Format,
}

/// Show where the multiply-adds and the time go, layer by layer, for one pass or for a sweep
#[derive(Args)]
#[command(after_help = "\
dense M    millions of multiply-adds that a dense engine carries out
affected   the share of them for pixels that a mask can have changed and did (all in a single pass)
executed   the share of them that is carried out: with an activation that is not zero in a kernel's columns
core ms    time of one core; in a single pass, the layer's time on all threads times their number
GFLOP/s    carried out, per core; of peak: against what a core of this machine is measured to do at most

Without --mask-size and --stride one forward pass is measured. Time outside layers is in the first line only.

Examples:
  occlude profile cat.jpg
  occlude profile cat.jpg --mask-size 15 --stride 10 --threads 1
  occlude profile cat.jpg --runs 25 --json")]
pub struct Profile {
    /// A photograph: PNG, JPEG, WebP, BMP, GIF or TIFF
    pub image: PathBuf,

    /// Measure a sweep with a mask of this size in pixels: N, HxW or auto (45)
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true, value_parser = size)]
    pub mask_size: Option<Size>,

    /// Measure a sweep with this step in pixels: N, HxW or auto (22)
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true, value_parser = size)]
    pub stride: Option<Size>,

    /// Threads, 1 to 1024 [default: one a core]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = |text: &str| count(text, MAX_THREADS))]
    pub threads: Option<usize>,

    /// Runs after one to warm up, 1 to 1000; the median is shown
    #[arg(long, value_name = "N", default_value = "5", allow_hyphen_values = true,
          value_parser = |text: &str| count(text, 1000))]
    pub runs: usize,

    /// Print a JSON object instead
    #[arg(long)]
    pub json: bool,
}

/// Follow one mask through the layers: what it can change, what it does change, what that takes to compute
#[derive(Args)]
#[command(after_help = "\
Columns of the table, a line a layer:
can change     rows x columns of the layer's output that the receptive fields let the mask change
computed       share of its pixels that have to be computed again: something that they read has changed
changed        share that came out different
non-zero       of the activations computed, the share that is not zero after ReLU: what the next layers multiply with
multiply-adds  of the whole layer in millions; those spent: of the pixels computed, where the input is not zero; and the share saved

DIR receives <image>-trace.png, the change in each stage of the network over the photograph; <image>-trace.gif, the same one after
the other; and trace.json, with the pixels of every layer: computed and changed (their numbers), and difference, [height][width],
the root of the summed squares of the change over all channels. On an error it receives nothing.

Examples:
  occlude trace cat.jpg --at 112,112
  occlude trace cat.jpg --at 90,130 --mask-size 15 --mask-value 0 --out story
  occlude trace cat.jpg --at 0,0 --json > trace.json")]
pub struct Trace {
    /// A photograph: PNG, JPEG, WebP, BMP, GIF or TIFF
    pub image: PathBuf,

    /// The pixel that the mask is centred on: row and column in the 224x224 picture, 0 to 223. It is clipped at the border
    #[arg(long, value_name = "Y,X", allow_hyphen_values = true, value_parser = pixel)]
    pub at: [usize; 2],

    /// Size of the mask in pixels of the 224x224 picture, 1 to 224: N, or HxW (height x width); auto is 45 (20 %)
    #[arg(long, value_name = "SIZE", default_value = "auto", allow_hyphen_values = true, value_parser = size)]
    pub mask_size: Size,

    /// What the mask is filled with, as for explain
    #[arg(long, value_name = "FILL", default_value = "auto", allow_hyphen_values = true, value_parser = mask_value)]
    pub mask_value: MaskValue,

    #[command(flatten)]
    pub pool: Pool,

    /// Where the pictures and trace.json go; made if it does not exist
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,

    /// Print trace.json's object on standard output, and nothing else there
    #[arg(long)]
    pub json: bool,
}

/// Print a script by which a shell completes subcommands, options and file names
#[derive(Args)]
#[command(after_help = "\
The script goes where the shell looks for it; a new shell then completes `occlude` after the tab key.
zsh looks in the folders of $fpath, so FOLDER below is one of these. PowerShell reads $PROFILE when it starts.

Examples:
  occlude completions bash > ~/.local/share/bash-completion/completions/occlude
  occlude completions zsh > FOLDER/_occlude
  occlude completions fish > ~/.config/fish/completions/occlude.fish
  occlude completions elvish >> ~/.config/elvish/rc.elv
  occlude completions powershell >> $PROFILE")]
pub struct Completions {
    /// The shell that the script is for
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Print the manual page: this help and that of every subcommand, as roff for the program man
#[derive(Args)]
#[command(after_help = "\
`man` looks for the page in the folders that `manpath` prints. The folder must exist.

Examples:
  occlude man | man -l -
  occlude man > ~/.local/share/man/man1/occlude.1")]
pub struct Man {}

/// A kind of file with arrays in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ArrayFile {
    /// The maps alone.
    Npy,
    Npz,
    Safetensors,
}

/// A height and width in pixels, or the default for them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Size {
    Auto,
    Pixels([usize; 2]),
}

/// What becomes of the drops at the positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aggregate {
    None,
    Windows,
}

/// A kind of picture of a sweep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Show {
    Drop,
    Score,
    Class,
}

/// Each at most once.
#[derive(Clone, Debug, PartialEq)]
pub struct Shows(pub Vec<Show>);

/// Reads one of a few words, each with what it stands for.
fn choice<T: Copy + Send + Sync>(
    choices: &'static [(&'static str, T)],
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync {
    move |text| match choices.iter().find(|(word, _)| *word == text) {
        Some((_, chosen)) => Ok(*chosen),
        None => {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            Err(format!("expected {}", words.join(" or ")))
        }
    }
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

fn count(text: &str, most: usize) -> Result<usize, String> {
    let value = text.parse().ok().filter(|value| (1..=most).contains(value));
    value.ok_or_else(|| format!("expected a whole number from 1 to {most}"))
}

fn size(text: &str) -> Result<Size, String> {
    if text == "auto" {
        return Ok(Size::Auto);
    }
    let (height, width) = text.split_once('x').unwrap_or((text, text));
    match (count(height, INPUT_SIDE), count(width, INPUT_SIDE)) {
        (Ok(height), Ok(width)) => Ok(Size::Pixels([height, width])),
        _ => Err(format!("expected auto, N or HxW, in whole pixels from 1 to {INPUT_SIDE}")),
    }
}

fn shows(text: &str) -> Result<Shows, String> {
    let mut shows = Vec::new();
    for word in text.split(',') {
        let show = match word.trim() {
            "drop" => Show::Drop,
            "score" => Show::Score,
            "class" => Show::Class,
            _ => return Err("expected drop, score or class, or several with commas".to_string()),
        };
        if !shows.contains(&show) {
            shows.push(show);
        }
    }
    Ok(Shows(shows))
}

fn opacity(text: &str) -> Result<f32, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "expected a number from 0 to 1".to_string())
}

fn pixel(text: &str) -> Result<[usize; 2], String> {
    let edge = |text: &str| text.trim().parse().ok().filter(|edge| (0..INPUT_SIDE).contains(edge));
    let at = text.split_once(',').and_then(|(y, x)| Some([edge(y)?, edge(x)?]));
    at.ok_or_else(|| format!("expected Y,X: a row and a column, whole numbers from 0 to {}", INPUT_SIDE - 1))
}

fn region(text: &str) -> Result<Rect, String> {
    let edge = |text: &str| text.trim().parse().ok().filter(|edge| (0..=INPUT_SIDE).contains(edge));
    let edges: Option<Vec<usize>> = text.split(',').map(edge).collect();
    match edges.as_deref() {
        Some(&[y0, x0, y1, x1]) if y0 < y1 && x0 < x1 => Ok(Rect { y0, x0, y1, x1 }),
        _ => Err(format!(
            "expected y0,x0,y1,x1, whole pixels of 0 to {INPUT_SIDE}, with y0 below y1 and x0 below x1"
        )),
    }
}

/// Whether there is such a layer, and such a channel in it, the library knows.
fn feature(text: &str) -> Result<Feature, String> {
    let (layer, channel) = text.rsplit_once(':').unwrap_or((text, ""));
    let channel = if channel == "strongest" { Some(None) } else { channel.parse().ok().map(Some) };
    let channel = channel.filter(|_| !layer.is_empty());
    let expected = "expected LAYER:CHANNEL, as in inception_4c/output:17 or inception_4c/output:strongest";
    channel.map(|channel| Feature { layer: layer.to_string(), channel }).ok_or_else(|| expected.to_string())
}

fn mask_value(text: &str) -> Result<MaskValue, String> {
    let (name, parameter) = text.split_once(':').map_or((text, None), |(name, value)| (name, Some(value)));
    match (name, parameter) {
        ("auto", None) => return Ok(MaskValue::Auto),
        ("mean", None) => return Ok(MaskValue::TrainingMean),
        ("blur", sigma) => {
            let sigma = sigma.unwrap_or("10").parse().ok().filter(|sigma| (0.5..=100.0).contains(sigma));
            let expected = "expected blur or blur:S with a standard deviation of 0.5 to 100 pixels";
            return sigma.map(MaskValue::Blur).ok_or_else(|| expected.to_string());
        }
        ("noise", seed) => {
            let seed = seed.unwrap_or("1").parse().ok();
            return seed
                .map(MaskValue::Noise)
                .ok_or_else(|| "expected noise or noise:SEED, a whole number".to_string());
        }
        _ => {}
    }
    let level = |text: &str| text.trim().parse().ok().filter(|level| (0.0..=255.0).contains(level));
    let levels: Option<Vec<f32>> = text.split(',').map(level).collect();
    match levels.as_deref() {
        Some(&[grey]) => Ok(MaskValue::Rgb([grey; 3])),
        Some(&[red, green, blue]) => Ok(MaskValue::Rgb([red, green, blue])),
        _ => Err("expected auto, mean, blur, noise, V or R,G,B, with numbers from 0 to 255".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn sizes() {
        assert_eq!(size("auto"), Ok(Size::Auto));
        assert_eq!(size("15"), Ok(Size::Pixels([15, 15])));
        assert_eq!(size("30x12"), Ok(Size::Pixels([30, 12])));
        assert_eq!(size("224"), Ok(Size::Pixels([224, 224])));
        for wrong in
            ["", "0", "225", "-1", "1.5", "x", "3x", "x3", "3x4x5", "0x5", "5x225", "99999999999999999999"]
        {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn regions() {
        assert_eq!(region("0,10, 20,224"), Ok(Rect { y0: 0, x0: 10, y1: 20, x1: 224 }));
        for wrong in ["", "1,2,3", "1,2,3,4,5", "5,0,5,9", "0,9,5,9", "0,0,225,9", "-1,0,5,5", "a,0,5,5"] {
            assert!(region(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pixels() {
        assert_eq!((pixel("0,223"), pixel(" 7, 8")), (Ok([0, 223]), Ok([7, 8])));
        for wrong in ["", "1", "1,2,3", "-1,0", "0,224", "a,b", "1.5,2"] {
            assert!(pixel(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pictures() {
        assert_eq!(shows("drop"), Ok(Shows(vec![Show::Drop])));
        assert_eq!(shows("class, score,class"), Ok(Shows(vec![Show::Class, Show::Score])));
        assert!(shows("").is_err() && shows("drop,all").is_err());
        assert_eq!((opacity("0"), opacity("0.25"), opacity("1")), (Ok(0.0), Ok(0.25), Ok(1.0)));
        assert!(["", "-0.1", "1.1", "NaN"].iter().all(|wrong| opacity(wrong).is_err()));
    }

    #[test]
    fn features() {
        let named = |layer: &str, channel| Ok(Feature { layer: layer.to_string(), channel });
        assert_eq!(feature("inception_4c/output:17"), named("inception_4c/output", Some(17)));
        assert_eq!(feature("conv2/3x3:strongest"), named("conv2/3x3", None));
        for wrong in ["", "inception_4c/output", ":3", "conv1/7x7_s2:", "conv1/7x7_s2:-1", "conv1/7x7_s2:one"]
        {
            assert!(feature(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn mask_values() {
        let rgb = |text: &str| match mask_value(text) {
            Ok(MaskValue::Rgb(rgb)) => Some(rgb),
            _ => None,
        };
        assert!(matches!(mask_value("auto"), Ok(MaskValue::Auto)));
        assert!(matches!(mask_value("mean"), Ok(MaskValue::TrainingMean)));
        assert_eq!(mask_value("blur"), Ok(MaskValue::Blur(10.0)));
        assert_eq!(mask_value("blur:2.5"), Ok(MaskValue::Blur(2.5)));
        assert_eq!(mask_value("noise"), Ok(MaskValue::Noise(1)));
        assert_eq!(mask_value("noise:77"), Ok(MaskValue::Noise(77)));
        assert_eq!(rgb("0"), Some([0.0; 3]));
        assert_eq!(rgb("1.5, 2,255"), Some([1.5, 2.0, 255.0]));
        for wrong in [
            "", "NaN", "inf", "-1", "256", "1,2", "1,2,3,4", "1,nan,3", "red", "blur:0.1", "blur:",
            "noise:-1", "auto:1",
        ] {
            assert!(mask_value(wrong).is_err(), "{wrong}");
        }
    }
}

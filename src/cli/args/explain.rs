//! Options of `occlude explain`.

use std::path::PathBuf;

use clap::Args;

use super::drawing::Figures;
use super::sweep::{Pool, Sweep};
use super::values::{ArrayFile, choice};

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
    pub figures: Figures,
}

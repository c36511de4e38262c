//! Options of `occlude explain`.

use std::path::PathBuf;

use clap::Args;
use occlude::{Error, MaskValue, Result, Shape};

use super::arrays::Arrays;
use super::drawing::Figures;
use super::robust::Robust;
use super::sweep::{Pool, Sweep};
use super::values::between;

/// Map which parts of a photograph are evidence for a class by sliding a mask over it
#[derive(Args)]
#[command(after_help = "\
A mask slides over the 224x224 picture. If the score of a class falls when the mask covers a part, that part is evidence
for the class:
  map value = score of the uncovered picture - score of the masked picture

Files written to DIR:
  <image>-<class>.png               the photograph with the map of a class over it
  <image>-<class>-score.png         with --show score: the score of the class at each mask position
  <image>-most-probable.png         with --show class: the most probable class at each mask position
  <image>-<layer>-<channel>.png     with --activation: the map of a feature
  <image>-<class>-faithfulness.png  with --faithfulness: the deletion and insertion curves
  <image>-<class>-pairs.png         with --pairs: the strongest places and the interactions of each two
  <image>-<class>-robust.png        with --robust: the mean of the maps with other masks, and where their signs agree
  map.json                          all numbers
  maps.npz, .npy, .safetensors      with --arrays: the same numbers as arrays
For several photographs, each has these files in a folder of its own, DIR/<image>, named as by `occlude batch`; the
results are written when all photographs are finished. For many photographs use `occlude batch`, which also resumes.
After an error nothing is written, except the coarse figures of --progressive.

Colours of a map of drops are symmetric around zero: red is evidence for the class, blue is evidence against it, and the
middle colour (white; green in jet) means no effect. The largest magnitude of each map has the colour at the
end of the scale. Colours of two figures are therefore not comparable, unless --scale shared or --scale VALUE gives them
one scale; the numbers beside the colour bars and in map.json are. The maps of `occlude compare` share one scale.
The map of a very improbable class has tiny differences in full colours; a caution on the figure says so. --score logit
shows the evidence for such a class.

Arrays of --arrays and their axes:
  maps, scores                                [class][ny][nx]
  base_scores, classes                        [class]
  argmax, argmax_scores                       [ny][nx]
  upsampled                                   [class][224][224], with --upsampled; with --region, [class] and its pixels
  attributions                                [class][224][224], with --aggregate windows
  activations (the map), activation_totals    [feature][ny][nx], with --activation
  activation_base_totals, activation_channels [feature], with --activation
  mask_size, stride, photo_size               [2], height and width in pixels; photo_size is that of the upright photograph
  centres_y, centres_x                        [ny], [nx], the centres of the masks on the 224x224 picture
  photo_centres_y, photo_centres_x            [ny], [nx], the same on the photograph
  extent, photo_extent                        [4], left, right, bottom and top edge of `upsampled` on the picture and on the
                                              photograph: the extent of matplotlib's imshow
  image, score_name, class_names              [], [], [class], texts, only in maps.npz
Places are distances in pixels from the upper left corner, so the middle of the first pixel lies at 0.5. Classes, channels
and sizes are int64; all other numbers are float32. The metadata of maps.safetensors holds the options, a JSON object under
the key \"options\".

Examples:
  occlude explain cat.jpg
  occlude explain dog.jpg --classes top3 --mask-size 15 --stride 10 --out maps
  occlude explain cat.jpg --classes 'tabby, tabby cat,Egyptian cat,282' --score logit   # the published network's classes
  occlude explain cat.jpg --mask-size 30x12 --stride 25x31 --mask-value 124,117,104 --json > map.json
  occlude explain cat.jpg --arrays npz && python -c \"import numpy; print(numpy.load('out/maps.npz')['maps'].max())\"
  occlude explain cat.jpg --classes top5 --report cat.html
  occlude explain cat.jpg --segments slic:60 --report cat.html
  occlude explain cat.jpg --show drop,class --colours jet --mask-value blur --region 40,0,180,224
  occlude explain cat.jpg --activation inception_4c/output:strongest --faithfulness
  occlude explain cat.jpg --mask-size 15 --stride 5 --progressive
  occlude explain cat.jpg --pairs 4 --score logit
  occlude explain cat.jpg --robust
  occlude explain cat.jpg --robust --robust-size 20 --robust-size 45 --robust-fill auto --robust-fill noise
  occlude explain poodle.jpg terrier.jpg --scale shared --out maps")]
pub struct Explain {
    /// The photographs: PNG, JPEG, WebP, BMP, GIF or TIFF; - is standard input
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,

    /// Classes to map, separated by commas: topK (the K most probable classes), all, an index (from
    /// 0), a WordNet id or a name (upper and lower case are equal; commas in a name are allowed:
    /// 'tabby, tabby cat'). May be given several times. All classes are mapped in one sweep
    #[arg(long, value_name = "LIST", default_value = "top1")]
    pub classes: Vec<String>,

    /// Also measure how faithful each map is: cover the pixels of the picture in the order of the
    /// map (deletion), uncover them in that order (insertion), and compare with the order of
    /// Grad-CAM
    #[arg(long)]
    pub faithfulness: bool,

    /// Also cover the K strongest places of each map together, 2 to 10, in every combination (2^K masked
    /// pictures for each class), and report for each pair what the sum of the single drops misses, and
    /// the Shapley-Taylor interaction index. Each class has its own places: the positions with the
    /// largest drops, chosen in this order, without those whose mask overlaps one chosen before
    #[arg(long, value_name = "K", allow_hyphen_values = true, value_parser = |text: &str| between(text, 2, 10))]
    pub pairs: Option<usize>,

    /// Sweep from coarse to fine: write a first figure after about a tenth of the time, refine it
    /// during the sweep, and show a preview in the terminal. The results are the same
    #[arg(long)]
    pub progressive: bool,

    #[command(flatten)]
    pub pool: Pool,

    /// The folder for the figures and map.json; it is created if needed
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,

    /// Also write an interactive report, one HTML file for a browser: the map over the photograph,
    /// the effect of each mask or part, the most probable class at each position, the links of --pairs, the
    /// maps of --robust, the curves of --faithfulness; of more than 20 classes the 20 most probable. Each of
    /// several photographs has the report in its folder
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// Print only the contents of map.json on standard output, one line per photograph
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub arrays: Arrays,

    #[command(flatten)]
    pub sweep: Sweep,

    #[command(flatten)]
    pub robust: Robust,

    #[command(flatten)]
    pub figures: Figures,
}

impl Explain {
    /// Refuses `--faithfulness`, `--pairs` and `--robust` with sweeps that they cannot follow.
    ///
    /// # Errors
    /// [`Error::Option`].
    pub fn check(&self) -> Result<()> {
        let refuse = |name, other: &str, expected: &str| {
            Err(Error::Option { name, found: format!("with {other}"), expected: expected.to_string() })
        };
        let sweep = &self.sweep;
        if self.faithfulness && sweep.mask_picture.is_some() {
            return refuse("--faithfulness", "--mask-picture", "a fill of --mask-value");
        }
        if self.faithfulness && sweep.score.choice.is_of_no_class() {
            let expected = "a score of a class, which Grad-CAM explains, too";
            return refuse("--faithfulness", "a score of no class", expected);
        }
        let is_local = matches!(sweep.mask_value, MaskValue::Patch | MaskValue::Inpaint);
        let others = [
            (sweep.inverse, "--inverse".to_string()),
            (sweep.segments.is_some(), "--segments".to_string()),
            (sweep.mask_channel.is_some(), "--mask-channel".to_string()),
            (sweep.mask_picture.is_some(), "--mask-picture".to_string()),
            (sweep.mask_shape != Shape::Rectangle, format!("--mask-shape {}", sweep.mask_shape)),
            (is_local, format!("--mask-value {}", sweep.mask_value)),
        ];
        if let Some((_, other)) = others.into_iter().find(|(is_asked, _)| *is_asked && self.pairs.is_some()) {
            let expected = "rectangles that are covered with a fill that is the same for all";
            return refuse("--pairs", &other, expected);
        }
        self.robust.masks(sweep).map(drop)
    }
}

//! Options of `occlude batch` and `occlude merge`.

use std::path::PathBuf;

use clap::Args;
use occlude::parallel::MAX_THREADS;

use super::arrays::Arrays;
use super::drawing::Figures;
use super::shard::{Shard, shard};
use super::sweep::Sweep;
use super::values::{count, tolerance};

/// Explain many photographs; can be resumed and split over several processes
#[derive(Args)]
#[command(after_help = "\
An INPUT is one of:
  a folder     all photographs in the folder: file names that end in png, apng, jpg, jpeg, jpe, jif, jfif, webp, bmp, dib,
               gif, tif or tiff (upper or lower case) and do not begin with a dot; with --recursive also those in its
               subfolders, except folders of results
  @FILE        a list with one path per line, relative to the current folder; empty lines and lines that begin with # are
               ignored; @- is standard input
  a pattern    all files that match, with *, ?, [a-z], and ** for any depth; quote it so that the shell does not expand it
  a file       one photograph with any name, also a pipe; - is standard input; write ./@... if the name begins with @, and
               put -- before another name that begins with -
Photographs are processed in the order of their paths, each once. In folders and patterns only regular files, and links to
them, are taken; standard error tells how many other files were passed over.

Files written to DIR:
  <name>/       for each photograph, the files of `occlude explain` and occlude-done.json. <name> is the file name without
                its extension; if several photographs have the same name, a hash of the path is added
  summary.csv   one line per photograph and mapped class; for a shard, summary-i-of-n.csv; text that begins with = + - @
                or an apostrophe has an apostrophe before it, so that no spreadsheet takes it for a formula
  summary.json  the same data, one object per photograph, and in passed_over the numbers of files that were passed over:
                pictures in other formats by their extension, streams (pipes, sockets, devices), others
All files depend only on the photographs, the weights, the options and the version of this program. Therefore map.json has
no elapsed_seconds, threads and isa here.

--metrics adds these columns to summary.csv, for the map (occlusion_...) and the Grad-CAM map of its class (gradcam_...):
  deletion, insertion    the areas under the curves of `occlude explain --faithfulness`, whose figure and numbers each
                         photograph gets, too
  sparseness             the Gini index of the magnitudes of the 224x224 pixels of the map, 0 (even) to 1 (one place)
  confidence_drop        the share of the class's probability that is lost when the picture is multiplied by the map, whose
                         values are divided by the largest one, negative ones 0: max(0, before - after) / before
  confidence_increase    1 if the probability is higher then, otherwise 0
--boxes adds, for classes that have boxes on the photograph (boxes is their number):
  pointing               1 if the largest pixel of the map lies in a box or within --tolerance of it, otherwise 0
  iou                    intersection over union of the box around the largest part of the evidence (as by `occlude region`,
                         threshold 0.5) with the best box
Edges in CSV files and COCO are distances from the upper left corner of the photograph; in VOC, pixels count from 1. A
photograph is named by its path or the end of it. At the end, the means over the photographs are printed with bootstrap
intervals, which contain the true mean with about 95 % (2000 resamples of the photographs); summary.json has them in means.
A photograph that has several maps counts once. Results are made again if boxes or classes have changed.

To resume after an interruption, run the same command again. A photograph is skipped if the checksums of the photograph,
of the weights and of all its results, and the options, are unchanged. A photograph that fails is reported; the others are
still processed.

--shard i/n processes every n-th photograph, so that n processes, on one or several machines, share the work. i counts from
0. With --shard auto it is the number of the task in SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX (Kubernetes) or PARALLEL_SEQ
(GNU parallel, from 1), and n is OCCLUDE_SHARDS or, under Slurm, the size of the array. An array of all shards may count from
1; some tasks of it, run again with OCCLUDE_SHARDS, count from 0. An empty variable is regarded as not set. All shards must
be given the same photographs and may share DIR. `occlude merge` checks this and combines their summaries. A batch may go on
with another number of shards: finished photographs are skipped, and the first shard removes the summaries of the earlier
number, or of the whole batch. Job files: tools/jobs/.
--report writes its page at the end, from the stored scores; a shard writes none. When all shards have ended, the same command
without --shard writes it; it runs no sweep again.
With --scale shared, the figures of drops are drawn at the end, from the stored scores: the scale is known when all maps are.
A shard draws none of them. When all shards have ended, the same command without --shard draws the figures and writes the
summary; it runs no sweep again. If the photographs change, all figures are drawn again on their new scale.
Apart from the shards of one batch, DIR is locked: another batch into it is refused while this one runs. If the program is killed, or ended by a
second signal, a file whose name begins with .occlude.lock may stay; it locks nothing, and the next batch removes it.

Exit codes:
  0              success
  1              failure, or some photographs failed
  130, 143, 129  interrupted; a second Ctrl-C ends the program at once

Examples:
  occlude batch photos --out maps
  occlude batch 'photos/**/*.jpg' more/cat.png @list.txt --out maps --classes top3
  occlude batch test --recursive --out maps --classes-from test --metrics
  occlude batch photos --out maps --report maps/index.html
  occlude batch VOC/JPEGImages --out maps --boxes VOC/Annotations --classes dog
  occlude batch photos --out maps --shard 0/4 & occlude batch photos --out maps --shard 1/4 &
  seq 4 | OCCLUDE_SHARDS=4 parallel -N0 occlude batch photos --out maps --shard auto")]
pub struct Batch {
    /// Folders, lists (@FILE), patterns or photographs
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,

    /// Also process the photographs in subfolders; symbolic links to folders are not followed
    #[arg(long)]
    pub recursive: bool,

    /// The folder for the results; it is created if needed
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    /// Process only part i of n parts; i counts from 0: 0/4, 1/4, 2/4, 3/4; or auto, the task of a
    /// scheduler
    #[arg(long, value_name = "i/n", allow_hyphen_values = true, value_parser = shard)]
    pub shard: Option<Shard>,

    /// Classes to map, as for `occlude explain`; topK are the most probable classes of each
    /// photograph
    #[arg(long, value_name = "LIST", default_value = "top1")]
    pub classes: Vec<String>,

    /// Map the class that each photograph should have, in place of --classes: a CSV file with the columns
    /// path and class, or a folder with a subfolder of photographs for each class
    #[arg(long, value_name = "FILE", conflicts_with = "classes")]
    pub classes_from: Option<PathBuf>,

    /// Measure each map and the Grad-CAM map of its class: deletion and insertion, sparseness, change of
    /// confidence
    #[arg(long, visible_alias = "faithfulness")]
    pub metrics: bool,

    /// Compare the maps with boxes of objects: a CSV file with the columns photo, class, x0, y0, x1, y1,
    /// a folder of XML files of PASCAL VOC, or a JSON file of COCO
    #[arg(long, value_name = "FILE|DIR")]
    pub boxes: Option<PathBuf>,

    /// The distance in pixels of the photograph at which the strongest place of a map counts as in a box
    #[arg(long, value_name = "N", default_value = "15", allow_hyphen_values = true, value_parser = tolerance,
          requires = "boxes")]
    pub tolerance: f64,

    /// Also write a page for a browser, one HTML file: a small map of each photograph, all on one scale,
    /// to be sorted and filtered; a click opens the photograph's report, report.html in its folder
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// Number of threads, 1 to 1024, of which at most four for each core are started; the results do
    /// not depend on it [default: one per core]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = |text: &str| count(text, MAX_THREADS))]
    pub threads: Option<usize>,

    #[command(flatten)]
    pub arrays: Arrays,

    #[command(flatten)]
    pub sweep: Sweep,

    #[command(flatten)]
    pub figures: Figures,
}

/// Combine the summaries of the shards of `occlude batch --shard`
#[derive(Args)]
#[command(after_help = "\
Writes summary.csv and summary.json, with the same bytes as `occlude batch` without --shard. Fails if a shard is missing or
if the shards differ in photographs, options, weights or version.

Examples:
  occlude merge maps
  occlude merge a/summary-0-of-2.json b/summary-1-of-2.json --out all")]
pub struct Merge {
    /// The folder with the summaries of the shards, or the files summary-i-of-n.json
    #[arg(required = true, value_name = "SUMMARY")]
    pub summaries: Vec<PathBuf>,

    /// The folder for the summary; it is created if needed [default: the folder of the shards'
    /// summaries]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

//! Options of `occlude batch` and `occlude merge`.

use std::path::PathBuf;

use clap::Args;

use super::drawing::Figures;
use super::shard::Shard;
use super::sweep::{MAX_THREADS, Sweep};
use super::values::{ArrayFile, choice, count};

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
    pub figures: Figures,
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

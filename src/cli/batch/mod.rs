//! `occlude batch`: many photographs explained, resumably, in as many processes as there are.

mod inputs;
pub mod merge;
mod record;
mod shard;
mod summary;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ArgMatches;
use occlude::{Error, Progress, Result};

use super::args::{Batch, Common};
use super::explanation::{Explanation, Session, Source};
use super::json;
use super::output::Output;
use super::progress::PicturesBar;
use inputs::Picture;
use record::{Recipe, Record};
pub use shard::Shard;
use summary::{All, Part, Row, Summary};

pub fn run(common: &Common, args: &Batch, matches: &ArgMatches) -> Result<ExitCode> {
    let output = Output::check(&args.out)?;
    let mut pictures = inputs::pictures(&args.inputs, args.recursive)?;
    let part = args.shard.map(|shard| Part { shard, all: All::new(&pictures) });
    if let Some(shard) = args.shard {
        pictures = shard.select(pictures);
    }
    let matches = matches.subcommand_matches("batch").expect("its arguments come from there");
    super::on_threads(args.threads, || {
        let session = Session::open(common)?;
        let recipe = Recipe::new(&session.weights_sha256, matches);
        let bar = PicturesBar::new(pictures.len());
        let job = Job { session: &session, recipe: &recipe, args, output: &output, bar: &bar };
        let rows = job.run(&pictures)?;
        drop(bar);
        let summary = Summary { recipe, part, pictures: rows };
        let [csv, json] = summary.write(&output)?;
        let (count, failed) = (summary.pictures.len(), summary.failed());
        super::print(&format!("wrote {}\nwrote {}\n", csv.display(), json.display()))?;
        if failed > 0 {
            super::complain(&format!("{failed} of {count} pictures failed; the others are done"));
            return Ok(ExitCode::FAILURE);
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// What is the same for all pictures.
struct Job<'a> {
    session: &'a Session,
    recipe: &'a Recipe,
    args: &'a Batch,
    output: &'a Output,
    bar: &'a PicturesBar,
}

/// A picture that need not be swept, or the photograph to sweep.
enum Prepared {
    Finished(Row),
    Read(Source),
}

impl Job<'_> {
    /// All pictures' rows, in their order.
    fn run(&self, pictures: &[Picture]) -> Result<Vec<Row>> {
        let ours: HashSet<&str> = pictures.iter().map(|picture| picture.folder.as_str()).collect();
        self.output.remove_leftovers(|name| ours.contains(name))?;
        let mut rows = Vec::new();
        for picture in pictures {
            let result = self.prepare(picture).and_then(|prepared| match prepared {
                Prepared::Finished(row) => Ok((row, "done before".to_string())),
                Prepared::Read(source) => self.finish(picture, self.sweep(source)?),
            });
            rows.push(self.report(picture, rows.len() + 1, pictures.len(), result));
        }
        Ok(rows)
    }

    fn folder(&self, picture: &Picture) -> PathBuf {
        self.args.out.join(&picture.folder)
    }

    fn prepare(&self, picture: &Picture) -> Result<Prepared> {
        let folder = self.folder(picture);
        match Record::read(&folder).filter(|record| record.holds(self.recipe, picture, &folder)) {
            Some(record) => Ok(Prepared::Finished(record.row)),
            None => open(&picture.path).map(Prepared::Read),
        }
    }

    fn sweep(&self, source: Source) -> Result<Explanation> {
        let progress = |progress: Progress| self.bar.show(progress.done, progress.total);
        self.session.sweep(source, &self.args.classes, &self.args.sweep, &progress, None)
    }

    /// Draws and writes; returns also what a person is told.
    fn finish(&self, picture: &Picture, explanation: Explanation) -> Result<(Row, String)> {
        let row = Row::done(picture, &explanation);
        let mut files = explanation.files(&self.args.drawing, &json::reproducible_maps(&explanation));
        files.push(Record::new(self.recipe, &files, &row).into_file());
        let earlier: Vec<String> = match Record::read(&self.folder(picture)) {
            Some(record) => record.names().cloned().collect(),
            None => Vec::new(),
        };
        self.output.write_folder(&picture.folder, &files, &earlier)?;
        let best = &row.top[0];
        let told = format!("{:.4} {}, {:.2} s", best.probability, best.label, explanation.elapsed_seconds);
        Ok((row, told))
    }

    /// Says how it went: the bar to a person, else a line a picture.
    fn report(&self, picture: &Picture, at: usize, count: usize, result: Result<(Row, String)>) -> Row {
        let row = match result {
            Ok((row, told)) => {
                if self.bar.is_hidden() {
                    // A log that cannot be written is no reason to stop.
                    let _ = super::print(&format!("[{at}/{count}] {}: {told}\n", picture.shown));
                }
                row
            }
            Err(error) => {
                let message = error.to_string();
                let name =
                    if message.contains(&picture.shown) { "" } else { &format!("{}: ", picture.shown) };
                self.bar.print(|| super::complain(&format!("{name}{message}")));
                Row::failed(picture, &error)
            }
        };
        self.bar.picture_done();
        row
    }
}

/// Decodes a picture. Files of any origin meet several decoders here, and a panic of one of them is that file's failure.
fn open(path: &Path) -> Result<Source> {
    catch_unwind(AssertUnwindSafe(|| Source::open(path))).unwrap_or_else(|_| {
        let problem = "its decoder panicked (see above); save the picture in another format".to_string();
        Err(Error::Image { name: path.display().to_string(), problem })
    })
}

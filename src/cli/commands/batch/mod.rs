//! `occlude batch`: many photographs explained, resumably, in as many processes as there are.

mod inputs;
pub mod merge;
mod photograph;
mod record;
mod row;
mod summary;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ArgMatches;
use occlude::{Error, Progress, Result};

use crate::cli::args::classes::Classes;
use crate::cli::args::{Batch, Common};
use crate::cli::checksum::file_sha256;
use crate::cli::explanation::{Explanation, LoadedPhotograph, Session};
use crate::cli::output::files::OutputFolder;
use crate::cli::output::{json, results};
use crate::cli::terminal::progress::PhotographsBar;
use crate::cli::terminal::threads::on_threads;
use crate::cli::terminal::{console, interrupt};
use photograph::PhotographFile;
use record::{Recipe, Record};
use row::SummaryRow;
use summary::{AllPhotographs, Part, Summary};

pub fn run(common: &Common, args: &Batch, matches: &ArgMatches) -> Result<ExitCode> {
    let output = OutputFolder::check(&args.out)?;
    let mut pictures = inputs::photographs(&args.inputs, args.recursive)?;
    let part = args.shard.map(|shard| Part { shard, all: AllPhotographs::new(&pictures) });
    if let Some(shard) = args.shard {
        pictures = shard.select(pictures);
    }
    let matches = matches.subcommand_matches("batch").expect("its arguments come from there");
    on_threads(args.threads, || {
        let session = Session::open(common)?;
        let classes = session.classes(&args.classes)?;
        let labels = common.labels.as_deref().map(file_sha256).transpose()?;
        let recipe = Recipe::new(&session, labels, matches);
        let bar = PhotographsBar::new(pictures.len());
        let job = BatchJob {
            session: &session,
            recipe: &recipe,
            classes: &classes,
            args,
            output: &output,
            bar: &bar,
        };
        // While there is a summary, it is of what is there.
        for name in summary::names(part.as_ref()) {
            output.remove_file(&name)?;
        }
        let rows = job.run(&pictures);
        drop(bar);
        let rows = match rows {
            Err(Error::Cancelled) => {
                console::print_error("interrupted; the same command goes on where this run ended");
                return Ok(interrupt::exit_code());
            }
            rows => rows?,
        };
        let summary = Summary { recipe, part, pictures: rows };
        let [csv, json] = summary.write(&output)?;
        let (count, failed) = (summary.pictures.len(), summary.failed());
        console::print(&format!("wrote {}\nwrote {}\n", csv.display(), json.display()))?;
        if failed > 0 {
            console::print_error(&format!("{failed} of {count} pictures failed; the others are done"));
            return Ok(ExitCode::FAILURE);
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// What is the same for all pictures.
struct BatchJob<'a> {
    session: &'a Session,
    recipe: &'a Recipe,
    classes: &'a Classes,
    args: &'a Batch,
    output: &'a OutputFolder,
    bar: &'a PhotographsBar,
}

/// A picture that need not be swept, or the photograph to sweep.
enum Prepared {
    Finished(SummaryRow),
    Read(LoadedPhotograph),
}

/// A picture that was not swept, or what came of the sweep.
enum Swept {
    Finished(SummaryRow),
    Explained(Box<Explanation>),
}

impl BatchJob<'_> {
    /// AllPhotographs pictures' rows, in their order.
    ///
    /// # Errors
    /// [`Error::Option`] and [`Error::UnknownLayer`], which no picture can help, and [`Error::Cancelled`]; any other of a picture
    /// is in its row.
    fn run(&self, pictures: &[PhotographFile]) -> Result<Vec<SummaryRow>> {
        let ours: HashSet<&str> = pictures.iter().map(|picture| picture.folder.as_str()).collect();
        self.output.remove_leftovers(|name| ours.contains(name))?;
        let mut rows = Vec::new();
        // A picture is read in one turn, swept in the next, finished in the one after that. Decoding and drawing have one
        // thread, and the sweep beside them has the others.
        let mut read: Option<(&PhotographFile, Result<Prepared>)> = None;
        let mut swept: Option<(&PhotographFile, Result<Swept>)> = None;
        for turn in 0..pictures.len() + 2 {
            let (to_sweep, to_finish) = (read.take(), swept.take());
            let sweep = || to_sweep.map(|(picture, read)| (picture, read.and_then(|read| self.sweep(read))));
            let beside = || {
                if let Some((picture, swept)) = to_finish {
                    let row = self.finish(picture, [rows.len() + 1, pictures.len()], swept);
                    rows.push(row);
                }
                pictures.get(turn).map(|picture| (picture, self.prepare(picture)))
            };
            (swept, read) = rayon::join(sweep, beside);
            let everyones = |error: &Error| {
                matches!(error, Error::Option { .. } | Error::UnknownLayer { .. } | Error::Cancelled)
            };
            if let Some((_, Err(error))) = swept.take_if(|(_, swept)| swept.as_ref().is_err_and(everyones)) {
                return Err(error);
            }
        }
        Ok(rows)
    }

    fn folder(&self, picture: &PhotographFile) -> PathBuf {
        self.args.out.join(&picture.folder)
    }

    fn prepare(&self, picture: &PhotographFile) -> Result<Prepared> {
        let folder = self.folder(picture);
        match Record::read(&folder).filter(|record| record.holds(self.recipe, picture, &folder)) {
            Some(record) => Ok(Prepared::Finished(record.row)),
            None => open(&picture.path).map(Prepared::Read),
        }
    }

    fn sweep(&self, prepared: Prepared) -> Result<Swept> {
        interrupt::check()?;
        let source = match prepared {
            Prepared::Finished(row) => return Ok(Swept::Finished(row)),
            Prepared::Read(source) => source,
        };
        let progress = |progress: Progress| self.bar.show(progress.done, progress.total);
        let explanation = self.session.sweep(source, self.classes, &self.args.sweep, &progress, None)?;
        Ok(Swept::Explained(Box::new(explanation)))
    }

    /// Draws, writes, and says how it went: the bar to a person, else a line a picture.
    fn finish(&self, picture: &PhotographFile, [at, count]: [usize; 2], swept: Result<Swept>) -> SummaryRow {
        let finished = swept.and_then(|swept| match swept {
            Swept::Finished(row) => Ok((row, "done before".to_string())),
            Swept::Explained(explanation) => {
                let row = self.write(picture, &explanation)?;
                let best = &row.top[0];
                let told =
                    format!("{:.4} {}, {:.2} s", best.probability, best.label, explanation.elapsed_seconds);
                Ok((row, told))
            }
        });
        let row = match finished {
            Ok((row, told)) => {
                if self.bar.is_hidden() {
                    // A log that cannot be written is no reason to stop.
                    let _ = console::print(&format!("[{at}/{count}] {}: {told}\n", picture.shown));
                }
                row
            }
            Err(error) => {
                let message = error.to_string();
                let name =
                    if message.contains(&picture.shown) { "" } else { &format!("{}: ", picture.shown) };
                self.bar.print(|| console::print_error(&format!("{name}{message}")));
                SummaryRow::failed(picture, &error)
            }
        };
        self.bar.photograph_done();
        row
    }

    fn write(&self, picture: &PhotographFile, explanation: &Explanation) -> Result<SummaryRow> {
        let row = SummaryRow::done(picture, explanation);
        let mut files = results::files(
            explanation,
            &self.args.figures,
            &self.args.arrays,
            &json::reproducible_maps(explanation),
        );
        files.push(Record::new(self.recipe, &files, &row).into_file());
        let earlier: Vec<String> = match Record::read(&self.folder(picture)) {
            Some(record) => record.names().cloned().collect(),
            None => Vec::new(),
        };
        self.output.write_folder(&picture.folder, &files, &earlier)?;
        Ok(row)
    }
}

/// Decodes a picture. Files of any origin meet several decoders here, and a panic of one of them is that file's failure.
fn open(path: &Path) -> Result<LoadedPhotograph> {
    catch_unwind(AssertUnwindSafe(|| LoadedPhotograph::open(path))).unwrap_or_else(|_| {
        let problem = "its decoder panicked (see above); save the picture in another format".to_string();
        Err(Error::Image { name: path.display().to_string(), problem })
    })
}

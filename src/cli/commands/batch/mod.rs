//! `occlude batch`: explains many photographs. A batch can be resumed and split over several
//! processes.

mod lock;
pub mod merge;
mod record;
mod row;
mod summary;

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::slice;

use clap::ArgMatches;
use occlude::text::{escaped, shown};
use occlude::{Error, Progress, Result};

use crate::cli::args::classes::Classes;
use crate::cli::args::{Batch, Common, ScaleChoice};
use crate::cli::explanation::{Explanation, LoadedPhotograph, Session};
use crate::cli::output::figures::drop_range;
use crate::cli::output::files::OutputFolder;
use crate::cli::output::{json, results};
use crate::cli::photographs::{self, PhotographFile};
use crate::cli::terminal::progress::PhotographsBar;
use crate::cli::terminal::threads::on_threads;
use crate::cli::terminal::{console, interrupt};
use record::{Recipe, Record};
use row::SummaryRow;
use summary::{AllPhotographs, Part, Summary};

pub fn run(common: &Common, args: &Batch, matches: &ArgMatches) -> Result<ExitCode> {
    let output = OutputFolder::check(&args.out)?;
    if args.figures.drawing.scale == ScaleChoice::Shared {
        return Err(Error::Option {
            name: "--scale",
            found: "shared".to_string(),
            expected:
                "auto or a number: the figures of a photograph are drawn before the maps of all others \
                       are known; summary.csv lists the smallest and the largest value of each map"
                    .to_string(),
        });
    }
    let (mut photographs, passed_over) = photographs::photographs(&args.inputs, args.recursive)?;
    let part = args
        .shard
        .map(|shard| Part { shard, all: AllPhotographs::new(photographs.iter().map(|file| &*file.shown)) });
    if let Some(shard) = args.shard {
        photographs = shard.select(photographs);
    }
    let _lock = lock::take(&args.out, part.as_ref())?;
    let matches = matches.subcommand_matches("batch").expect("its arguments come from there");
    on_threads(args.threads, || {
        let session = Session::open(common)?;
        if let Some(words) = passed_over.in_words() {
            console::print_note(&escaped(&words));
        }
        let classes = session.classes(&args.classes)?;
        let recipe = Recipe::new(&session, common.labels.is_some(), matches);
        let bar = PhotographsBar::new(photographs.len());
        let job = BatchJob {
            session: &session,
            recipe: &recipe,
            classes: &classes,
            args,
            output: &output,
            bar: &bar,
        };
        // A summary in the folder always describes its results, so an old one is removed first.
        for name in summary::earlier(&args.out, part.as_ref())? {
            output.remove_file(&name)?;
        }
        let rows = job.run(&photographs);
        drop(bar);
        let rows = match rows {
            Err(Error::Cancelled) => {
                console::print_error("interrupted; run the same command again to continue");
                return Ok(interrupt::exit_code());
            }
            rows => rows?,
        };
        let summary = Summary { recipe, part, passed_over, pictures: rows };
        let [csv, json] = summary.write(&output)?;
        let (count, failed) = (summary.pictures.len(), summary.failed());
        let [csv, json] = [csv, json].map(|path| console::shown_path(&path));
        console::print(&format!("wrote {csv}\nwrote {json}\n"))?;
        if failed > 0 {
            console::print_error(&format!("{failed} of {count} photographs failed; all others are complete"));
            return Ok(ExitCode::FAILURE);
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The data that all photographs of a batch share.
struct BatchJob<'a> {
    session: &'a Session,
    recipe: &'a Recipe,
    classes: &'a Classes,
    args: &'a Batch,
    output: &'a OutputFolder,
    bar: &'a PhotographsBar,
}

/// A photograph with complete results, or a loaded photograph for the sweep.
enum Prepared {
    Finished(SummaryRow),
    Read(LoadedPhotograph),
}

/// A photograph with complete results, or the result of its sweep.
enum Swept {
    Finished(SummaryRow),
    Explained(Box<Explanation>),
}

impl BatchJob<'_> {
    /// Processes all photographs and returns their rows of the summary, in the same order.
    ///
    /// # Errors
    /// [`Error::Option`] and [`Error::UnknownLayer`], which concern all photographs, and
    /// [`Error::Cancelled`]. Other errors are stored in the row of the photograph.
    fn run(&self, photographs: &[PhotographFile]) -> Result<Vec<SummaryRow>> {
        let ours: HashSet<&str> = photographs.iter().map(|file| file.folder.as_str()).collect();
        self.output.remove_leftovers(|name| ours.contains(name))?;
        let mut rows = Vec::new();
        // A pipeline of three steps: a photograph is loaded in one turn, swept in the next and
        // written in the third. One thread loads and writes while the other threads run the sweep.
        let mut read: Option<(&PhotographFile, Result<Prepared>)> = None;
        let mut swept: Option<(&PhotographFile, Result<Swept>)> = None;
        for turn in 0..photographs.len() + 2 {
            let (to_sweep, to_finish) = (read.take(), swept.take());
            let sweep = || to_sweep.map(|(file, read)| (file, read.and_then(|read| self.sweep(read))));
            let beside = || {
                if let Some((file, swept)) = to_finish {
                    let row = self.finish(file, [rows.len() + 1, photographs.len()], swept);
                    rows.push(row);
                }
                photographs.get(turn).map(|file| (file, self.prepare(file)))
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

    fn folder(&self, file: &PhotographFile) -> PathBuf {
        self.args.out.join(&file.folder)
    }

    fn prepare(&self, file: &PhotographFile) -> Result<Prepared> {
        let folder = self.folder(file);
        match Record::read(&folder).filter(|record| record.holds(self.recipe, file, &folder)) {
            Some(record) => Ok(Prepared::Finished(record.row)),
            None => LoadedPhotograph::read(&file.path).map(Prepared::Read),
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

    /// Writes the results of a photograph. Reports them by the progress bar on a terminal,
    /// otherwise by one line.
    fn finish(&self, file: &PhotographFile, [at, count]: [usize; 2], swept: Result<Swept>) -> SummaryRow {
        let finished = swept.and_then(|swept| match swept {
            Swept::Finished(row) => Ok((row, "already complete".to_string())),
            Swept::Explained(explanation) => {
                let row = self.write(file, &explanation)?;
                let best = &row.top[0];
                let (label, seconds) = (shown(&best.label), explanation.elapsed_seconds);
                let told = format!("{:.4} {label}, {seconds:.2} s", best.probability);
                Ok((row, told))
            }
        });
        let shown = escaped(&file.shown);
        let row = match finished {
            Ok((row, told)) => {
                if self.bar.is_hidden() {
                    // Errors of standard output do not stop the batch.
                    let _ = console::print(&format!("[{at}/{count}] {shown}: {told}\n"));
                }
                row
            }
            Err(error) => {
                let message = error.to_string();
                let name = if message.contains(&*shown) { "" } else { &format!("{shown}: ") };
                self.bar.print(|| console::print_error(&format!("{name}{message}")));
                SummaryRow::failed(file, &error)
            }
        };
        self.bar.photograph_done();
        row
    }

    fn write(&self, file: &PhotographFile, explanation: &Explanation) -> Result<SummaryRow> {
        let row = SummaryRow::done(file, explanation);
        let mut files = results::files(
            explanation,
            &self.args.figures,
            drop_range(slice::from_ref(explanation)),
            &self.args.arrays,
            &json::reproducible_maps(explanation),
        );
        files.push(Record::new(self.recipe, &files, &row).into_file());
        let earlier: Vec<String> = match Record::read(&self.folder(file)) {
            Some(record) => record.names().cloned().collect(),
            None => Vec::new(),
        };
        self.output.write_folder(&file.folder, &files, &earlier)?;
        Ok(row)
    }
}

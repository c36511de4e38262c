//! The work of a batch on its photographs: each is loaded, swept and written, unless its results are
//! complete.

use std::collections::HashSet;
use std::path::PathBuf;
use std::slice;

use occlude::text::{escaped, shown};
use occlude::{Error, Progress, Result};

use super::annotations::Annotations;
use super::measures::Wanted;
use super::record::{Recipe, Record, SharedScale};
use super::row::{Measures, SummaryRow};
use crate::cli::args::Batch;
use crate::cli::args::classes::Classes;
use crate::cli::explanation::{Explanation, LoadedPhotograph, Question, Session};
use crate::cli::output::figures::drop_range;
use crate::cli::output::files::OutputFolder;
use crate::cli::output::{json, results};
use crate::cli::photographs::PhotographFile;
use crate::cli::source;
use crate::cli::terminal::progress::PhotographsBar;
use crate::cli::terminal::{console, interrupt};

/// The data that all photographs of a batch share.
pub struct BatchJob<'a> {
    pub session: &'a Session,
    pub recipe: &'a Recipe,
    pub question: &'a Question<'a>,
    pub annotations: &'a Annotations,
    pub args: &'a Batch,
    pub output: &'a OutputFolder,
    pub bar: &'a PhotographsBar,
}

/// A photograph with complete results, or a loaded photograph for the sweep.
enum Prepared {
    Finished(SummaryRow),
    Read(LoadedPhotograph),
}

/// A photograph with complete results, or the result of its sweep.
enum Swept {
    Finished(SummaryRow),
    Explained(Box<Explanation>, Vec<Measures>),
}

impl BatchJob<'_> {
    /// Processes all photographs and returns their rows of the summary, in the same order.
    ///
    /// # Errors
    /// [`Error::Option`] and [`Error::UnknownLayer`], which concern all photographs, and
    /// [`Error::Cancelled`]. Other errors are stored in the row of the photograph.
    pub fn run(&self, photographs: &[PhotographFile]) -> Result<Vec<SummaryRow>> {
        let ours: HashSet<&str> = photographs.iter().map(|file| file.folder.as_str()).collect();
        self.output.remove_leftovers(|name| ours.contains(name))?;
        let mut rows = Vec::new();
        // A pipeline of three steps: a photograph is loaded in one turn, swept in the next and
        // written in the third. One thread loads and writes while the other threads run the sweep.
        let mut read: Option<(&PhotographFile, Result<Prepared>)> = None;
        let mut swept: Option<(&PhotographFile, Result<Swept>)> = None;
        for turn in 0..photographs.len() + 2 {
            let (to_sweep, to_finish) = (read.take(), swept.take());
            let sweep = || to_sweep.map(|(file, read)| (file, read.and_then(|read| self.sweep(file, read))));
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

    pub fn folder(&self, file: &PhotographFile) -> PathBuf {
        self.args.out.join(&file.folder)
    }

    fn prepare(&self, file: &PhotographFile) -> Result<Prepared> {
        let folder = self.folder(file);
        let twice = match (self.args.figures.wait_for_scale(), &self.args.report) {
            (true, _) => Some(("--scale shared reads each photograph twice", ", or give --scale a number")),
            (false, Some(_)) => Some(("--report reads each photograph twice", "")),
            (false, None) => None,
        };
        if let Some((reason, or)) = twice
            && source::is_stream(&file.path)
        {
            let problem = format!("is a stream: {reason}; store it in a file{or}");
            return Err(Error::Image { name: source::shown(&file.path), problem });
        }
        match Record::read(&folder).filter(|record| record.holds(self.recipe, file, &folder)) {
            Some(record) => Ok(Prepared::Finished(record.row)),
            None => LoadedPhotograph::read(&file.path).map(Prepared::Read),
        }
    }

    /// The question about a photograph, with its own class if there is one.
    pub fn question(&self, file: &PhotographFile) -> Question<'_> {
        let mut question = self.question.clone();
        if let Some(class) = self.annotations.class(file) {
            question.classes = Classes::of(vec![class]);
        }
        question
    }

    fn sweep(&self, file: &PhotographFile, prepared: Prepared) -> Result<Swept> {
        interrupt::check()?;
        let source = match prepared {
            Prepared::Finished(row) => return Ok(Swept::Finished(row)),
            Prepared::Read(source) => source,
        };
        let progress = |progress: Progress| self.bar.show(progress.done, progress.total);
        let question = self.question(file);
        let mut explanation = self.session.sweep(source, &question, &progress, None)?;
        let (session, args, boxes) = (self.session, self.args, self.annotations.boxes(file));
        let wanted = Wanted { session, args, question: &question, boxes };
        let measures = wanted.measure(&mut explanation, &progress)?;
        Ok(Swept::Explained(Box::new(explanation), measures))
    }

    /// Writes the results of a photograph. Reports them by the progress bar on a terminal,
    /// otherwise by one line.
    fn finish(&self, file: &PhotographFile, [at, count]: [usize; 2], swept: Result<Swept>) -> SummaryRow {
        let finished = swept.and_then(|swept| match swept {
            Swept::Finished(row) => Ok((row, "already complete".to_string())),
            Swept::Explained(explanation, measures) => {
                let row = self.write(file, &explanation, &measures)?;
                let best = &row.top[0];
                let (label, seconds) = (shown(&best.label), explanation.elapsed_seconds);
                let told = format!("{:.4} {label}, {seconds:.2} s", best.probability);
                Ok((row, told))
            }
        });
        let row = match finished {
            Ok((row, told)) => {
                if self.bar.is_hidden() {
                    // Errors of standard output do not stop the batch.
                    let _ = console::print(&format!("[{at}/{count}] {}: {told}\n", escaped(&file.shown)));
                }
                row
            }
            Err(error) => self.fail(file, &error),
        };
        self.bar.photograph_done();
        row
    }

    /// Reports an error of a photograph and returns its row.
    pub fn fail(&self, file: &PhotographFile, error: &Error) -> SummaryRow {
        self.bar.print(|| console::print_error(&file.error_in_words(error)));
        SummaryRow::failed(file, error)
    }

    fn write(
        &self,
        file: &PhotographFile,
        explanation: &Explanation,
        measures: &[Measures],
    ) -> Result<SummaryRow> {
        let row = SummaryRow::done(file, explanation, measures);
        let drops = drop_range(slice::from_ref(explanation));
        let figures = &self.args.figures;
        let [_, others] = figures.divided();
        let (figures, shared) = match figures.wait_for_scale() {
            true => (&others, Some(SharedScale { drops, drawn: None })),
            false => (figures, None),
        };
        let json = json::reproducible_maps(explanation);
        let files = results::files(explanation, figures, drops, &self.args.arrays, &json);
        self.store(file, files, &row, shared)?;
        Ok(row)
    }

    /// Writes the files of a photograph and their record in place of all earlier ones.
    pub fn store(
        &self,
        file: &PhotographFile,
        mut files: Vec<(String, Vec<u8>)>,
        row: &SummaryRow,
        shared: Option<SharedScale>,
    ) -> Result<()> {
        files.push(Record::new(self.recipe, &files, row, shared).into_file());
        let earlier: Vec<String> = match Record::read(&self.folder(file)) {
            Some(record) => record.names().cloned().collect(),
            None => Vec::new(),
        };
        self.output.write_folder(&file.folder, &files, &earlier)
    }
}

//! `occlude batch`: explains many photographs. A batch can be resumed and split over several
//! processes.

mod annotations;
mod job;
mod lock;
mod measures;
pub mod merge;
mod page;
mod record;
mod row;
mod shared_scale;
mod summary;

use std::process::ExitCode;

use clap::ArgMatches;
use occlude::text::escaped;
use occlude::{Error, Result};

use crate::cli::args::{Batch, Common};
use crate::cli::explanation::{Question, Session};
use crate::cli::output::files::OutputFolder;
use crate::cli::photographs;
use crate::cli::terminal::progress::PhotographsBar;
use crate::cli::terminal::threads::on_threads;
use crate::cli::terminal::{console, interrupt};
use annotations::Annotations;
use job::BatchJob;
use page::Page;
use record::Recipe;
use summary::{AllPhotographs, Part, Summary};

pub fn run(common: &Common, args: &Batch, matches: &ArgMatches) -> Result<ExitCode> {
    let output = OutputFolder::check(&args.out)?;
    let (mut photographs, passed_over) = photographs::photographs(&args.inputs, args.recursive)?;
    let part = args
        .shard
        .map(|shard| Part { shard, all: AllPhotographs::new(photographs.iter().map(|file| &*file.shown)) });
    let all = photographs.clone();
    if let Some(shard) = args.shard {
        photographs = shard.select(photographs);
    }
    if let Some(path) = &args.report {
        page::check(path, &photographs)?;
    }
    let _lock = lock::take(&args.out, part.as_ref())?;
    let matches = matches.subcommand_matches("batch").expect("its arguments come from there");
    on_threads(args.threads, || {
        let session = Session::open(common)?;
        if let Some(words) = passed_over.in_words() {
            console::print_note(&escaped(&words));
        }
        let question = session.question(session.classes(&args.classes)?, &args.sweep)?;
        let mut annotations = Annotations::read(args, &all, &session)?;
        refuse_without_class(args, &question)?;
        let recipe = Recipe::new(&session, &question, common.labels.is_some(), &annotations, matches);
        annotations.check_sizes(args.boxes.as_deref(), &photographs)?;
        let bar = PhotographsBar::new(photographs.len());
        let job = BatchJob {
            session: &session,
            recipe: &recipe,
            question: &question,
            annotations: &annotations,
            args,
            output: &output,
            bar: &bar,
        };
        // A summary in the folder always describes its results, so an old one is removed first.
        for name in summary::earlier(&args.out, part.as_ref())? {
            output.remove_file(&name)?;
        }
        let waits = args.figures.wait_for_scale();
        let rows = job.run(&photographs).and_then(|mut rows| {
            // Each shard knows its own maps only.
            if waits && part.is_none() {
                job.draw_on_shared_scale(&photographs, &mut rows)?;
            }
            if let Some(path) = args.report.as_deref().filter(|_| part.is_none()) {
                job.write_page(&Page { path, common }, &photographs, &mut rows)?;
            }
            Ok(rows)
        });
        drop(bar);
        let rows = match rows {
            Err(Error::Cancelled) => {
                console::print_error("interrupted; run the same command again to continue");
                return Ok(interrupt::exit_code());
            }
            rows => rows?,
        };
        let summary = Summary::new(recipe, part, passed_over, rows);
        let [csv, json] = summary.write(&output)?;
        let (count, failed) = (summary.pictures.len(), summary.failed());
        let [csv, json] = [csv, json].map(|path| console::shown_path(&path));
        console::print(&measures::in_words(&summary.recipe.options, &summary.means))?;
        console::print(&format!("wrote {csv}\nwrote {json}\n"))?;
        match &args.report {
            Some(path) if summary.part.is_none() => {
                console::print(&format!("wrote {}\n", console::shown_path(path)))?;
            }
            Some(_) => console::print_note(
                "the page is not written yet, because it shows the photographs of all shards: when all shards have \
                 ended, run the same command without --shard; it runs no sweep again",
            ),
            None => {}
        }
        if waits && summary.part.is_some() {
            console::print_note(
                "the figures of drops are not drawn yet, because their scale is shared with the other shards: when all \
                 shards have ended, run the same command without --shard; it runs no sweep again",
            );
        }
        if failed > 0 {
            console::print_error(&format!("{failed} of {count} photographs failed; all others are complete"));
            return Ok(ExitCode::FAILURE);
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Refuses options that are about a class, for a score that is the same for all classes.
fn refuse_without_class(args: &Batch, question: &Question) -> Result<()> {
    let options = [
        ("--metrics", args.metrics),
        ("--boxes", args.boxes.is_some()),
        ("--classes-from", args.classes_from.is_some()),
    ];
    match options.into_iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) if !question.score.is_of_class() => Err(Error::Option {
            name: "--score",
            found: question.score.to_string(),
            expected: format!("the score of a class with {option}"),
        }),
        _ => Ok(()),
    }
}

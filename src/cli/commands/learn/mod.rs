//! `occlude learn`: trains the last layer on photographs of other classes.

mod classes;
mod examples;
mod record;

use std::path::Path;
use std::process::ExitCode;

use occlude::learn::{CrossValidation, Fit, LinearClassifier, cross_validate};
use occlude::text::escaped;
use occlude::{Error, GoogLeNet, Photograph, Resize, Result};

use crate::cli::args::{Common, Learn};
use crate::cli::checksum::sha256;
use crate::cli::output::confusion::{Confusion, wrong_in_words};
use crate::cli::output::files::{self, OutputFolder};
use crate::cli::output::json;
use crate::cli::photographs::labelled::{labelled, refuse_inside};
use crate::cli::photographs::photographs;
use crate::cli::source;
use crate::cli::terminal::progress::Waiting;
use crate::cli::terminal::threads::on_threads;
use crate::cli::terminal::{console, interrupt};
use crate::cli::weights::write::safetensors;
use crate::cli::weights::{describe, open_and_hash};
use classes::{Answer, Classes};
use examples::Learned;
use record::LearnRecord;

pub fn run(common: &Common, args: &Learn) -> Result<ExitCode> {
    files::check_apart(&args.out)?;
    let (folder, record) = record_file(&args.out);
    for file in [&args.out, &folder.join(&record)] {
        if file.exists() && !args.force {
            let problem = "exists already: replace it with --force, or name another file with --out";
            return Err(Error::Weights { name: console::shown_path(file), problem: problem.to_string() });
        }
    }
    on_threads(args.pool.threads, || learn(common, args))
}

/// The folder of the network, and the name of the record beside it.
fn record_file(out: &Path) -> (&Path, String) {
    let stem = out.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    (files::folder_of(out), format!("{stem}-learn.json"))
}

fn learn(common: &Common, args: &Learn) -> Result<ExitCode> {
    refuse_inside(&args.photographs, &args.out)?;
    let found = labelled(&args.photographs)?;
    let (weights, (_, weights_sha256)) = open_and_hash(common)?;
    let input = source::shown(&args.photographs);
    let classes = Classes::new(&input, found.classes, &weights, args)?;
    let mut files = found.photographs;
    let mut passed_over = found.passed_over.in_words().into_iter().collect::<Vec<_>>();
    if let Some(others) = classes.others() {
        let (photographs, passed) = photographs(&args.others, true)?;
        files.extend(photographs.into_iter().map(|file| (file, others)));
        passed_over.extend(passed.in_words());
    }
    refuse_input(
        &args.out,
        files.iter().map(|(file, _)| file.path.as_path()).chain([args.photographs.as_path()]),
    )?;
    let asked = files.len();
    passed_over.iter().for_each(|words| console::print_note(&escaped(words)));
    let (examples, copies) = examples::distinct(files, &classes.names)?;
    classes.check_counts(&input, &examples)?;

    let net = GoogLeNet::new(&weights)?;
    let learned = examples::features(&net, common.resize, examples)?;
    classes.check_counts(&input, &learned.examples)?;
    let folds = examples::folds(&learned.examples, |class| classes.target(class));
    let (validation, classifier) = train(&classes, &learned, &folds)?;

    let (name, base) = (classes.network_name(&weights), describe(&weights));
    let trained = match args.keep {
        true => classifier.add_to(weights, classes.labels.clone(), &name)?,
        false => classifier.replace_in(weights, classes.labels.clone(), &name)?,
    };
    let trained = trained.with_resize(common.resize);
    let bytes = safetensors(&trained);
    let answers = answers(&classes, &learned, &validation);
    let places = learned.examples.iter().map(|example| example.class);
    let confusion =
        Confusion::new(classes.names.clone(), places.zip(answers.iter().map(|answer| answer.place)));
    let record = LearnRecord {
        classes: &classes,
        examples: &learned.examples,
        folds: &folds,
        answers: &answers,
        validation: &validation,
        classifier: &classifier,
        confusion: &confusion,
        base: (&base, &weights_sha256),
        trained: (&describe(&trained), &sha256(&bytes)),
        resize: common.resize,
    };
    let json = json::line(&record.contents());
    let (folder, record_name) = record_file(&args.out);
    let learn_json = (record_name, json.clone().into_bytes());
    let written = OutputFolder::check(folder)?.write_with(&[learn_json], Some((&args.out, &bytes)))?;
    if args.json {
        console::print(&json)?;
    } else {
        let mut text = summary(&record, &answers);
        for path in written {
            text += &format!("wrote {}\n", console::shown_path(&path));
        }
        // The network has learned from pictures that were prepared in this way.
        let resize = match common.resize {
            Resize::Stretch => String::new(),
            resize => format!(" --resize {resize}"),
        };
        text += &format!("to use it: --weights {}{resize}\n", console::shown_path(&args.out));
        console::print(&text)?;
    }
    let failed = asked - copies - learned.examples.len();
    if failed > 0 {
        console::print_error(&format!(
            "{failed} of {asked} photographs could not be read; the network has learned from the others"
        ));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// # Errors
/// [`Error::Io`] if the output would replace an input.
fn refuse_input<'a>(out: &Path, mut inputs: impl Iterator<Item = &'a Path>) -> Result<()> {
    let Ok(out_file) = out.canonicalize() else { return Ok(()) };
    if !inputs.any(|input| input.canonicalize().is_ok_and(|input| input == out_file)) {
        return Ok(());
    }
    Err(files::refuse(out, "it is one of the photographs or their list: name another file with --out"))
}

/// Chooses the regularisation by cross-validation, and trains on all photographs.
fn train(
    classes: &Classes,
    learned: &Learned,
    folds: &[usize],
) -> Result<(CrossValidation, LinearClassifier)> {
    let _waiting = Waiting::new(format!("training on {} photographs", learned.examples.len()));
    let rows: Vec<usize> = (0..learned.features.count()).collect();
    let targets: Vec<usize> =
        rows.iter().map(|row| classes.target(learned.examples[row / Photograph::VIEWS].class)).collect();
    let all: Vec<f64> = learned.before.iter().map(|before| before.all).collect();
    let fit = Fit {
        features: &learned.features,
        targets: &targets,
        classes: classes.new_count(),
        fixed: classes.keeps.then_some(&all[..]),
        l2: 1.0,
    };
    let validation = cross_validate(&fit, Photograph::VIEWS, folds, &mut |_, _| interrupt::check())?;
    let classifier = Fit { l2: validation.l2, ..fit }.run(&rows)?;
    Ok((validation, classifier))
}

/// The answers to the photographs by networks that were trained without them.
fn answers(classes: &Classes, learned: &Learned, validation: &CrossValidation) -> Vec<Answer> {
    let examples = learned.examples.iter().zip(&validation.logits).enumerate();
    examples
        .map(|(i, (example, logits))| {
            let before = &learned.before[i * Photograph::VIEWS];
            classes.answer(example.class, logits, before)
        })
        .collect()
}

fn summary(record: &LearnRecord, answers: &[Answer]) -> String {
    let (count, folds) = (record.examples.len(), 1 + record.folds.iter().max().unwrap_or(&0));
    let mut text = format!(
        "{count} photographs of {} classes\naccuracy on photographs that were left out ({folds}-fold cross-validation): {}\n\n{}",
        record.classes.names.len(),
        record.confusion.right().in_words(),
        record.confusion.in_words()
    );
    let wrong = record.examples.iter().zip(answers);
    let wrong = wrong.filter(|(example, answer)| answer.place != Some(example.class));
    let wrong = wrong.map(|(example, answer)| (&*example.file.shown, &*answer.label, answer.probability));
    text += &wrong_in_words(wrong.collect(), "the record");
    text + "\n"
}

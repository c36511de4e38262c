//! `occlude evaluate`: the accuracy and the calibration of a network on photographs of known classes.

mod record;

use std::process::ExitCode;
use std::slice;

use occlude::text::escaped;
use occlude::{Against, Error, Labels, Progress, Result, Score};

use crate::cli::args::classes::Classes;
use crate::cli::args::{Arrays, Common, Evaluate, ScaleChoice};
use crate::cli::explanation::{LoadedPhotograph, Question, Session, require_finite};
use crate::cli::output::confusion::wrong_in_words;
use crate::cli::output::figures::drop_range;
use crate::cli::output::files::OutputFolder;
use crate::cli::output::{json, results};
use crate::cli::photographs::PhotographFile;
use crate::cli::photographs::labelled::{classes_named, labelled, refuse_inside};
use crate::cli::photographs::work::for_each;
use crate::cli::render::answers::{self, AnswersFigure};
use crate::cli::render::canvas::{Canvas, Format};
use crate::cli::render::page::Texts;
use crate::cli::source;
use crate::cli::terminal::console;
use crate::cli::terminal::progress::PhotographsBar;
use crate::cli::terminal::threads::on_threads;
use record::{Answered, EvaluateRecord};

/// The number of answers among which the class of a photograph is searched.
const TOP: usize = 5;

pub fn run(common: &Common, args: &Evaluate) -> Result<ExitCode> {
    let output = OutputFolder::check(&args.out)?;
    if args.figures.drawing.scale == ScaleChoice::Shared {
        return Err(Error::Option {
            name: "--scale",
            found: "shared".to_string(),
            expected: "auto or a number: each photograph's maps are drawn before the next one is explained"
                .to_string(),
        });
    }
    refuse_inside(&args.photographs, &args.out)?;
    on_threads(args.pool.threads, || evaluate(common, args, &output))
}

fn evaluate(common: &Common, args: &Evaluate, output: &OutputFolder) -> Result<ExitCode> {
    let found = labelled(&args.photographs)?;
    let session = Session::open(common)?;
    // A score that this network does not have is refused before the photographs are read.
    let question = || session.question(Classes::of(Vec::new()), &args.sweep);
    let question = args.explain_wrong.then(question).transpose()?;
    let known =
        classes_named(&source::shown(&args.photographs), &found.classes, &session.labels, &session.network)?;
    if let Some(words) = found.passed_over.in_words() {
        console::print_note(&escaped(&words));
    }
    let files: Vec<&PhotographFile> = found.photographs.iter().map(|(file, _)| file).collect();
    let answered = for_each(&files, |i| {
        let source = LoadedPhotograph::read(&files[i].path)?;
        let said = session.classify(&source)?;
        require_finite(&said.logits)?;
        let class = known[found.photographs[i].1];
        Ok(Answered::new(files[i], class, source.sha256, &said, TOP))
    })?;
    let answered: Vec<Answered> = answered.into_iter().flatten().collect();
    if answered.is_empty() {
        return Err(Error::Image {
            name: source::shown(&args.photographs),
            problem: "has no photograph that can be read: expected at least one".to_string(),
        });
    }
    let record = EvaluateRecord::new(&session, common.resize, &answered, TOP, files.len() - answered.len());
    let json = json::line(&record.contents());
    let figure = draw(&record).encode(Format::Png);
    let numbers = ("evaluate.json".to_string(), json.clone().into_bytes());
    let mut written = output.write(&[("evaluate.png".to_string(), figure), numbers])?;
    if let Some(question) = question {
        explain_wrong(&session, args, &question, output, &answered)?;
        let wrong = answered.iter().filter(|answer| !answer.is_right());
        written.extend(wrong.map(|answer| args.out.join(&answer.file.folder)));
    }
    if args.json {
        console::print(&json)?;
    } else {
        let mut text = summary(&record);
        for path in written {
            text += &format!("wrote {}\n", console::shown_path(&path));
        }
        console::print(&text)?;
    }
    if record.failed > 0 {
        let (failed, count) = (record.failed, files.len());
        console::print_error(&format!("{failed} of {count} photographs failed; all others are counted"));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Explains the photographs with wrong answers: maps the right class and the answer.
fn explain_wrong(
    session: &Session,
    args: &Evaluate,
    question: &Question,
    output: &OutputFolder,
    answered: &[Answered],
) -> Result<()> {
    let wrong: Vec<&Answered> = answered.iter().filter(|answer| !answer.is_right()).collect();
    let bar = PhotographsBar::new(wrong.len());
    for answer in wrong {
        let source = LoadedPhotograph::read(&answer.file.path)?;
        let mut classes = vec![answer.class, answer.index];
        if let Score::Contrast(Against::Class(other)) | Score::LogitContrast(Against::Class(other)) =
            question.score
        {
            classes.retain(|class| *class != other);
        }
        let question = question.about(classes);
        let progress = |progress: Progress| bar.show(progress.done, progress.total);
        let explanation = session.sweep(source, &question, &progress, None)?;
        let run = drop_range(slice::from_ref(&explanation));
        let arrays = Arrays { arrays: Vec::new(), upsampled: false };
        let json = json::reproducible_maps(&explanation);
        let files = results::files(&explanation, &args.figures, run, &arrays, &json);
        output.write(&results::inside(answer.file.folder.as_ref(), files))?;
        bar.photograph_done();
    }
    Ok(())
}

fn draw(record: &EvaluateRecord) -> Canvas {
    let right = record.confusion.right();
    let [low, high] = right.interval;
    let note = format!(
        "{}; {} of {} photographs, 95 % interval {low:.3} to {high:.3}",
        record.session.network, right.hits, right.of
    );
    let error = format!(
        "expected calibration error {:.3}: on the line, answers are right as often as their probability says",
        record.calibration.expected_error
    );
    answers::draw(&AnswersFigure {
        texts: Texts {
            title: "Right answers",
            value: &format!("{:.3}", right.share),
            note: &note,
            caution: "",
            meaning: &[&error],
        },
        right: &record.calibration.bins.iter().map(|bin| bin.right).collect::<Vec<_>>(),
        classes: &record.confusion.classes,
        counts: &record.confusion.counts,
    })
}

fn summary(record: &EvaluateRecord) -> String {
    let labels: &Labels = &record.session.labels;
    let mut text = format!("right answers                {}\n", record.confusion.right().in_words());
    if record.top < labels.count() {
        text += &format!("right among the {} first       {}\n", record.top, record.among_top.in_words());
    }
    text += &format!("mean loss                    {:.4}\n", record.loss);
    text += &format!("expected calibration error   {:.4}\n\n", record.calibration.expected_error);
    text += &record.confusion.in_words();
    let wrong = record.answered.iter().filter(|answer| !answer.is_right());
    let wrong =
        wrong.map(|answer| (&*answer.file.shown, labels.short(answer.index), answer.probability.into()));
    text += &wrong_in_words(wrong.collect(), "evaluate.json");
    text + "\n"
}

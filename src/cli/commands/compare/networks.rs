//! One photograph and two networks: the maps before and after, on one scale.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use occlude::text::shown;
use occlude::{Classification, Error, Progress, Result};

use super::{
    ACROSS, class_lines, correlation_in_words, covered, faint_in_words, one_scale, subjects, uncovered, write,
};
use crate::cli::args::classes::{Classes, check_count};
use crate::cli::args::{Common, Compare, Drawing};
use crate::cli::explanation::{Explanation, LoadedPhotograph, Question, Session};
use crate::cli::output::contrast::correlation;
use crate::cli::output::earlier;
use crate::cli::output::figures::{drop_range, drop_scale, sizes};
use crate::cli::output::files::OutputFolder;
use crate::cli::output::json::{self, Moved};
use crate::cli::output::names::stem;
use crate::cli::output::subject::Subjects;
use crate::cli::render::backdrop::Backdrop;
use crate::cli::render::canvas::Canvas;
use crate::cli::render::panels::{self, Arrangement, PanelRow};
use crate::cli::render::scale::readable;
use crate::cli::terminal::console;
use crate::cli::terminal::progress::PositionsBar;

/// The networks in captions and messages.
const TIMES: [&str; 2] = ["before", "after"];

pub fn compare(
    common: &Common,
    args: &Compare,
    networks: [&PathBuf; 2],
    output: &OutputFolder,
) -> Result<ExitCode> {
    let open = |weights: &PathBuf| {
        let (weights, resize, transform_input) =
            (Some(weights.clone()), common.resize, common.transform_input);
        Session::open(&Common { weights, labels: None, transform_input, resize })
    };
    let sessions = [open(networks[0])?, open(networks[1])?];
    let question = |session: &Session| session.question(Classes::of(Vec::new()), &args.sweep);
    let questions = sessions.each_ref().map(question);
    let [before, after] = questions;
    let questions = [before?, after?];
    let image = &args.images[0];
    let source = LoadedPhotograph::open(image)?;
    earlier::tell(&args.out, "compare.json", &[&source]);
    source.tell_if_flat(args.drawing.canvas.shape);
    let said = [sessions[0].classify(&source)?, sessions[1].classify(&source)?];
    let classes = chosen(&args.classes, &sessions, &said)?;
    let [before, after] = classes;
    let questions = [questions[0].about(before), questions[1].about(after)];
    let bar = PositionsBar::new();
    let progress = |progress: Progress| bar.show(progress.done, progress.total);
    let explain =
        |i: usize, question: &Question| sessions[i].sweep(source.clone(), question, &progress, None);
    let explanations = [explain(0, &questions[0])?, explain(1, &questions[1])?];
    drop(bar);
    let moved = moved(&explanations);
    let stem = stem(image);
    let name = format!("{stem}-before-after.{}", args.drawing.format.ending());
    let json = json::networks(&explanations, &moved);
    let text = summary(&explanations, &moved, &args.drawing);
    write(args, output, [name, json, text], &draw(&explanations, &stem, &args.drawing))
}

/// The classes that each network maps: those of `asked` that it has, by default the answers of both
/// networks, as far as it has classes of these names.
fn chosen(asked: &[String], sessions: &[Session; 2], said: &[Classification; 2]) -> Result<[Vec<usize>; 2]> {
    let mut chosen = [Vec::new(), Vec::new()];
    if !asked.is_empty() {
        let [before, after] = sessions.each_ref().map(|session| Classes::parse_known(asked, &session.labels));
        let [(before, not_before), (after, not_after)] = [before?, after?];
        if let Some(name) = not_before.iter().find(|name| not_after.contains(name)) {
            return Err(Error::Option {
                name: "--classes",
                found: name.clone(),
                expected: "classes of one of the two networks, by a name, an index or a WordNet id"
                    .to_string(),
            });
        }
        for (unknown, time) in [not_before, not_after].iter().zip(TIMES) {
            if !unknown.is_empty() {
                let names = unknown.join(", ");
                console::print_note(&format!("the network {time} has no class {}", shown(&names)));
            }
        }
        chosen = [before.resolve(&said[0]), after.resolve(&said[1])];
    }
    if asked.is_empty() {
        // In one order, so that a class has the same place in both rows of the figure.
        for (answering, said) in sessions.iter().zip(said) {
            let words = answering.labels.words(said.best());
            for (session, chosen) in sessions.iter().zip(&mut chosen) {
                chosen.extend(session.labels.find(words).ok().filter(|class| !chosen.contains(class)));
            }
        }
    }
    // A network without any of the classes shows its answer.
    for (chosen, said) in chosen.iter_mut().zip(said) {
        if chosen.is_empty() {
            chosen.push(said.best());
        }
    }
    chosen.iter().try_for_each(|classes| check_count(classes))?;
    Ok(chosen)
}

/// The classes that both networks have and map.
fn moved(explanations: &[Explanation; 2]) -> Vec<Moved> {
    let [before, after] = explanations;
    let mut moved = Vec::new();
    for (k, &class) in before.maps.classes.iter().enumerate() {
        let words = before.labels.words(class).to_lowercase();
        let is_of_class = before.maps.score.is_of_class();
        let same = |other: &usize| !is_of_class || after.labels.words(*other).to_lowercase() == words;
        let Some(j) = after.maps.classes.iter().position(same) else { continue };
        moved.push(Moved {
            label: before.short_subject(k),
            classes: [class, after.maps.classes[j]],
            correlation: correlation(before.maps.map(k).values(), after.maps.map(j).values()),
        });
    }
    moved
}

fn draw(explanations: &[Explanation; 2], stem: &str, drawing: &Drawing) -> Canvas {
    let scale = one_scale(explanations, drawing);
    let [before, after] = explanations;
    let backdrop = Backdrop::panel(&before.photograph, before.resize, drawing.canvas.shape);
    let mut bar = Some(scale);
    let (mut rows, mut faint) = (Vec::new(), Vec::new());
    for (explanation, time) in explanations.iter().zip(TIMES) {
        let maps = &explanation.maps;
        let mut panels = vec![uncovered(explanation, time, &backdrop)];
        for (k, name) in subjects(explanation).into_iter().enumerate() {
            if panels.len() > ACROSS {
                let arrangement = Arrangement::Across;
                rows.push(PanelRow { panels: std::mem::take(&mut panels), scale: bar.take(), arrangement });
            }
            let (map, lattice) = explanation.drops(k);
            if let Some(most) = explanation.faint(&map, scale.limit()) {
                faint.push((most, format!("{name} {time}")));
            }
            let (caption, score) =
                ([name, explanation.score_name().to_string()], readable(maps.base_scores[k]));
            let map = (&map[..], lattice);
            panels.push(covered(
                &backdrop,
                caption,
                score,
                map,
                &scale,
                drawing,
                explanation.outlined(drawing),
            ));
        }
        rows.push(PanelRow { panels, scale: bar.take(), arrangement: Arrangement::Across });
    }
    let drops = before.drop_in_words();
    let notes = [
        format!("before: {}; after: {}", before.network, after.network),
        sizes(&before.maps, drawing.mark),
        format!("{drops}, on one scale for all maps{}", scale.clipped_in_words()),
        format!("{}{}", before.colours_in_words(&scale), before.pale_in_words()),
    ];
    panels::draw(
        &format!("Evidence in {stem} before and after"),
        &faint_in_words(before, faint),
        &rows,
        &notes.each_ref().map(String::as_str),
    )
}

fn summary(explanations: &[Explanation; 2], moved: &[Moved], drawing: &Drawing) -> String {
    let run = drop_range(explanations);
    let scale = drop_scale(drawing, &run, run);
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("writing to a string");
    for (explanation, time) in explanations.iter().zip(TIMES) {
        let (maps, labels) = (&explanation.maps, &explanation.labels);
        let best = maps.classification.best();
        let (name, probability) = (shown(labels.short(best)), maps.classification.probabilities[best]);
        line(format!("{time}: {name} {probability:.4}, by the {}", explanation.network));
        class_lines(explanation, &scale).into_iter().for_each(&mut line);
    }
    for Moved { label, correlation, .. } in moved {
        let correlation = correlation_in_words(*correlation);
        line(format!("{}: correlation of the maps before and after {correlation}", shown(label)));
    }
    if moved.is_empty() {
        line("no class is mapped by both networks".to_string());
    }
    line(String::new());
    text
}

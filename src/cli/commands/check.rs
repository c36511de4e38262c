//! `occlude check`: writes a figure of the checks of a map and `check.json`, and prints a summary.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use occlude::text::shown;
use occlude::{Result, Upsampling};

use crate::cli::args::{Check as Options, Common};
use crate::cli::checks::{self, Checked, Verdict};
use crate::cli::explanation::{LoadedPhotograph, Session};
use crate::cli::output::files::OutputFolder;
use crate::cli::output::names::stem;
use crate::cli::output::subject::Subjects;
use crate::cli::output::table::{LISTED, ascii, table};
use crate::cli::output::{earlier, figures};
use crate::cli::render::backdrop::Backdrop;
use crate::cli::render::canvas::{Canvas, Format};
use crate::cli::render::colours::Colours;
use crate::cli::render::map::Overlay;
use crate::cli::render::panels::{self, Arrangement, FigurePanel, PanelRow};
use crate::cli::render::scale::{ColourRange, Scale};
use crate::cli::terminal::progress::{PositionsBar, Waiting};
use crate::cli::terminal::threads::on_threads;
use crate::cli::terminal::{console, interrupt};
use crate::cli::weights;

/// Of so many independent positions, unrelated ranks correlate by 0.5 or more with a probability of 5 %; of
/// fewer, more often.
const FEWEST: usize = 16;

/// Panels beside each other.
const ACROSS: usize = 3;

pub fn run(common: &Common, args: &Options) -> Result<ExitCode> {
    let output = OutputFolder::check(&args.out)?;
    on_threads(args.pool.threads, || check(common, args, &output))
}

fn check(common: &Common, args: &Options, output: &OutputFolder) -> Result<ExitCode> {
    let (weights, found) = weights::open_and_hash(common)?;
    let session = Session::of(&weights, found, common.resize, interrupt::flag())?;
    let asked = session.classes(&args.classes)?;
    let source = LoadedPhotograph::open(&args.image)?;
    earlier::tell(&args.out, "check.json", &[&source]);
    source.tell_if_flat(args.canvas.shape);
    let question = session.question(asked, &args.sweep)?;
    let bar = PositionsBar::new();
    let progress = |done, total| bar.show(done, total);
    let checked = checks::check(&session, weights, source, &question, &progress)?;
    drop(bar);

    let drawing = Waiting::drawing(1);
    let json = checked.json();
    let figure = draw(&checked, args).encode(Format::Png);
    let files = [
        (format!("{}-check.png", stem(&args.image)), figure),
        ("check.json".to_string(), json.clone().into_bytes()),
    ];
    let written = output.write(&files)?;
    drop(drawing);
    console::print(&if args.json { json } else { summary(&checked, &written) })?;
    Ok(ExitCode::SUCCESS)
}

/// The summary on standard output.
fn summary(Checked { explanation, checks, .. }: &Checked, written: &[PathBuf]) -> String {
    let maps = &explanation.maps;
    let mut text = table(&maps.classification, &maps.classification.top(LISTED), &explanation.labels);
    let mut line = |line: String| writeln!(text, "{line}").expect("writing to a string");
    line(String::new());
    line(explanation.heading(0));
    let wide = checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    line(format!("  {:<wide$}  {:>13}  passed if {:<20}  verdict", "check", "correlation", ""));
    for check in checks {
        let verdict = check.verdict.in_words();
        let (name, found) = (shown(&check.name), check.found());
        line(format!("  {name:<wide$}  {found:>13}  {:<30}  {verdict}", check.passed_if));
    }
    // The meaning of each verdict, once for checks of the same kind.
    let mut meanings: Vec<String> = Vec::new();
    for check in checks {
        let meaning = format!("  {}: {}", check.verdict.in_words(), check.meaning);
        if !meanings.contains(&meaning) {
            meanings.push(meaning);
        }
    }
    meanings.into_iter().for_each(&mut line);
    let of_logits = checks.iter().filter(|check| check.score != maps.score.to_string());
    let of_logits: Vec<&str> = of_logits.map(|check| check.name.as_str()).collect();
    if !of_logits.is_empty() {
        let names = of_logits.join(", ");
        line(format!("  a map of the {} is nearly constant; the logits were compared: {names}", maps.score));
    }
    line(String::new());
    let count = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
    line(format!(
        "{} of {} checks passed, {} not passed, {} inconclusive; Spearman's rank correlation with the map over {} \
         positions",
        count(Verdict::Passed),
        checks.len(),
        count(Verdict::NotPassed),
        count(Verdict::Inconclusive),
        maps.argmax.len()
    ));
    if maps.argmax.len() < FEWEST {
        line(format!(
            "these are less than {FEWEST} positions, too few for a correlation: the verdicts mean little"
        ));
    }
    for path in written {
        line(format!("wrote {}", console::shown_path(path)));
    }
    ascii(&text)
}

/// Draws the map and those of the checks side by side.
fn draw(Checked { explanation, checks, .. }: &Checked, args: &Options) -> Canvas {
    let backdrop = Backdrop::panel(&explanation.photograph, explanation.resize, args.canvas.shape);
    let lattice = explanation.lattice();
    let scale = Scale::of_drops(Colours::OF_DROPS, ColourRange::Symmetric, &[1.0, -1.0]);
    let panel = |name: String, found: String, score: String, map: &[f32]| {
        let most = figures::magnitude(map);
        let shares: Vec<f32> = map.iter().map(|drop| if most > 0.0 { drop / most } else { 0.0 }).collect();
        let shares = explanation.maps.at_pixels(&shares);
        let overlay = Overlay { map: &shares, lattice, upsampling: Upsampling::Bicubic, opacity: 0.5 };
        FigurePanel {
            caption: [name, found],
            score,
            backdrop: &backdrop,
            pixels: overlay.over(&backdrop, &scale),
            area: lattice.area(),
            mark: None,
        }
    };
    let first =
        panel("the map".to_string(), explanation.subject(0), String::new(), explanation.maps.map(0).values());
    let changed = checks.iter().map(|check| {
        let map = check.map.concat();
        let found = check.found().replace('-', "−");
        panel(check.name.clone(), format!("{found}:"), check.verdict.in_words().to_string(), &map)
    });
    let mut all: Vec<FigurePanel> = std::iter::once(first).chain(changed).collect();
    let mut rows = Vec::new();
    while !all.is_empty() {
        let rest = all.split_off(all.len().min(ACROSS));
        rows.push(PanelRow { panels: all, scale: Some(scale), arrangement: Arrangement::Across });
        all = rest;
    }
    let [rows_of, columns] = explanation.maps.grid;
    panels::draw(
        &format!("Checks of the map of {}", explanation.subject(0)),
        "",
        &rows,
        &[
            "each map is divided by its largest magnitude; the number is Spearman's rank correlation with the first map",
            &format!(
                "{}; {rows_of}×{columns} positions; red is evidence for the class, blue is evidence against it",
                figures::sizes(&explanation.maps, false)
            ),
        ],
    )
}

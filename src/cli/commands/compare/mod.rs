//! `occlude compare`: compares the maps of several classes of one photograph, of two photographs, or of
//! two networks.

mod networks;

use std::fmt::Write;
use std::process::ExitCode;

use occlude::image::lattice::Lattice;
use occlude::network::INPUT_SIDE;
use occlude::network::geometry::Rect;
use occlude::text::shown;
use occlude::{Classification, Error, Labels, Progress, Result};

use crate::cli::args::classes::{Classes, check_count};
use crate::cli::args::{Common, Compare, Drawing};
use crate::cli::explanation::{Explanation, LoadedPhotograph, Session};
use crate::cli::output::contrast::{Contrast, difference};
use crate::cli::output::earlier;
use crate::cli::output::figures::{drop_range, drop_scale, sizes};
use crate::cli::output::files::OutputFolder;
use crate::cli::output::json;
use crate::cli::output::names::stem;
use crate::cli::output::subject::Subjects;
use crate::cli::output::table;
use crate::cli::render::backdrop::Backdrop;
use crate::cli::render::canvas::Canvas;
use crate::cli::render::colours::Colours;
use crate::cli::render::map::Overlay;
use crate::cli::render::panels::{self, Arrangement, FigurePanel, PanelRow};
use crate::cli::render::scale::{ColourRange, Scale, ScaleOrigin, readable};
use crate::cli::terminal::console;
use crate::cli::terminal::progress::PositionsBar;
use crate::cli::terminal::threads::on_threads;

/// The number of maps in a row of the figure, beside the photograph.
const ACROSS: usize = 3;

/// The quotient of the proportions of two photographs from which on one is called wide and the other
/// tall.
const MIXED: f64 = 3.0;

pub fn run(common: &Common, args: &Compare) -> Result<ExitCode> {
    let output = OutputFolder::check(&args.out)?;
    on_threads(args.pool.threads, || match (&args.before, &args.after) {
        (Some(before), Some(after)) => {
            if args.images.len() > 1 {
                return Err(Error::Option {
                    name: "IMAGE",
                    found: format!("with {} photographs", args.images.len()),
                    expected: "one photograph with --before and --after".to_string(),
                });
            }
            networks::compare(common, args, [before, after], &output)
        }
        _ => compare(common, args, &output),
    })
}

/// Writes the figure and compare.json, and prints.
fn write(
    args: &Compare,
    output: &OutputFolder,
    [name, json, mut text]: [String; 3],
    figure: &Canvas,
) -> Result<ExitCode> {
    let files =
        [(name, figure.encode(args.drawing.format)), ("compare.json".to_string(), json.clone().into_bytes())];
    for path in output.write(&files)? {
        writeln!(text, "wrote {}", console::shown_path(&path)).expect("writing to a string");
    }
    console::print(if args.json { &json } else { &text })?;
    Ok(ExitCode::SUCCESS)
}

fn compare(common: &Common, args: &Compare, output: &OutputFolder) -> Result<ExitCode> {
    let session = Session::open(common)?;
    let asked = if args.classes.is_empty() { None } else { Some(session.classes(&args.classes)?) };
    let named = asked.clone().unwrap_or(Classes::of(Vec::new()));
    let question = session.question(named, &args.sweep)?;
    let sources =
        args.images.iter().map(|image| LoadedPhotograph::open(image)).collect::<Result<Vec<_>>>()?;
    earlier::tell(&args.out, "compare.json", &sources.iter().collect::<Vec<_>>());
    sources.iter().for_each(|source| source.tell_if_flat(args.drawing.canvas.shape));
    let said: Vec<Classification> =
        sources.iter().map(|source| session.classify(source)).collect::<Result<_>>()?;
    let chosen = chosen(asked.as_ref(), &said);
    check_count(&chosen)?;
    let question = question.about(chosen);
    let bar = PositionsBar::new();
    let progress = |progress: Progress| bar.show(progress.done, progress.total);
    let sweep = |source| session.sweep(source, &question, &progress, None);
    let explanations = sources.into_iter().map(sweep).collect::<Result<Vec<_>>>()?;
    drop(bar);
    let contrasts: Vec<Contrast> = explanations.iter().filter_map(Contrast::new).collect();

    let stems: Vec<String> = args.images.iter().map(|image| stem(image)).collect();
    let name = format!("{}-compare.{}", stems.join("-"), args.drawing.format.ending());
    let figure = draw(&explanations, !contrasts.is_empty(), &stems, &args.drawing);
    let json = json::comparison(&explanations, &contrasts);
    let text = summary(&explanations, &contrasts, &stems, &args.drawing);
    write(args, output, [name, json, text], &figure)
}

/// The classes to compare.
///
/// `topK` in `asked` are the most probable classes of the first photograph. The default for one
/// photograph are its three most probable classes. The default for two photographs are the two
/// predicted classes or, if these are equal, the two most probable classes of the first photograph.
fn chosen(asked: Option<&Classes>, said: &[Classification]) -> Vec<usize> {
    match (asked, said) {
        (Some(asked), _) => asked.resolve(&said[0]),
        (None, [one]) => one.top(ACROSS),
        (None, _) => {
            let mut chosen = vec![said[0].best()];
            let others = said[1..].iter().map(Classification::best).chain(said[0].top(2));
            chosen.extend(others.filter(|&class| class != said[0].best()).take(1));
            chosen
        }
    }
}

/// The short names of the classes. The index is added if several classes have the same name.
fn names(classes: &[usize], labels: &Labels) -> Vec<String> {
    let short = |class| labels.short(class);
    let is_shared = |class| classes.iter().filter(|&&other| short(other) == short(class)).count() > 1;
    let name = |&class| {
        if is_shared(class) { format!("{} ({class})", short(class)) } else { short(class).to_string() }
    };
    classes.iter().map(name).collect()
}

/// The short names of the subjects of an explanation's maps.
fn subjects(explanation: &Explanation) -> Vec<String> {
    match explanation.maps.score.is_of_class() {
        true => names(&explanation.maps.classes, &explanation.labels),
        false => vec![explanation.subject(0)],
    }
}

fn draw(explanations: &[Explanation], has_contrast: bool, stems: &[String], drawing: &Drawing) -> Canvas {
    let maps = &explanations[0].maps;
    let names = subjects(&explanations[0]);
    let drops: Vec<_> = explanations
        .iter()
        .map(|explanation| (0..maps.classes.len()).map(|k| explanation.drops(k)).collect::<Vec<_>>())
        .collect();
    let scale = one_scale(explanations, drawing);
    // The differences of the maps that are drawn, per mask position or per pixel.
    let differences: Vec<Vec<f32>> = match has_contrast {
        true => drops.iter().map(|maps| difference(&maps[0].0, &maps[1].0)).collect(),
        false => Vec::new(),
    };
    let contrast_scale =
        Scale::of_drops(Colours::Contrast, ColourRange::Symmetric, differences.iter().flatten());
    let backdrops: Vec<Backdrop> = explanations
        .iter()
        .map(|explanation| Backdrop::panel(&explanation.photograph, explanation.resize, drawing.canvas.shape))
        .collect();

    let of_photograph = |i: usize| if stems.len() > 1 { format!(" in {}", stems[i]) } else { String::new() };
    let limit = scale.limit();
    let mut faint = Vec::new();
    // The maps share one bar, beside the first row.
    let mut bar = Some(scale);
    // The maps of a wide photograph are below each other if those of a tall one are beside them;
    // otherwise half of the page would be empty.
    let ratio = |backdrop: &Backdrop| backdrop.size[1] as f64 / backdrop.size[0] as f64;
    let is_wide = |backdrop: &Backdrop| ratio(backdrop) > 1.0;
    let is_mixed = match &backdrops[..] {
        [one, other] => (ratio(one) / ratio(other)).ln().abs() > MIXED.ln() && maps.classes.len() <= ACROSS,
        _ => false,
    };
    let mut rows = Vec::new();
    let mut last_row = Vec::new();
    for (i, (explanation, drops)) in explanations.iter().zip(&drops).enumerate() {
        let backdrop = &backdrops[i];
        let panel = |caption, score, map, scale: &Scale| {
            covered(backdrop, caption, score, map, scale, drawing, explanations[0].outlined(drawing))
        };
        let mut panels = vec![uncovered(explanation, &stems[i], backdrop)];
        let arrangement = match (is_mixed, is_wide(backdrop)) {
            (false, _) => Arrangement::Across,
            (true, true) if i == 0 => Arrangement::Down,
            (true, true) => Arrangement::DownBeside,
            (true, false) if i == 0 => Arrangement::Across,
            (true, false) => Arrangement::AcrossBeside,
        };
        for (k, (map, lattice)) in drops.iter().enumerate() {
            if panels.len() > ACROSS {
                rows.push(PanelRow { panels: std::mem::take(&mut panels), scale: bar.take(), arrangement });
            }
            let score = readable(explanation.maps.base_scores[k]);
            let caption = [names[k].clone(), explanation.score_name().to_string()];
            panels.push(panel(caption, score, (map, *lattice), &scale));
            if let Some(most) = explanation.faint(map, limit) {
                faint.push((most, names[k].clone() + &of_photograph(i)));
            }
        }
        // The bar of a column and the row beside it is at the right.
        let scale = if is_mixed && i == 0 { None } else { bar.take() };
        rows.push(PanelRow { panels, scale, arrangement });
        if let Some(difference) = differences.get(i) {
            let contrast = format!("{} − {}", names[0], names[1]);
            let caption = match stems {
                [_] => [contrast, "difference".to_string()],
                _ => [stems[i].clone(), contrast],
            };
            last_row.push(panel(caption, String::new(), (difference, drops[0].1), &contrast_scale));
        }
    }
    let mut notes = vec![
        sizes(maps, drawing.mark),
        format!(
            "{}, on one scale for all maps of classes{}",
            explanations[0].drop_in_words(),
            scale.clipped_in_words()
        ),
        format!("{}{}", explanations[0].colours_in_words(&scale), explanations[0].pale_in_words()),
    ];
    if has_contrast {
        let arrangement = if is_mixed { Arrangement::DownBeside } else { Arrangement::Across };
        rows.push(PanelRow { panels: last_row, scale: Some(contrast_scale), arrangement });
        notes.push(format!(
            "difference: {} − {}, on a scale of its own; {}",
            names[0],
            names[1],
            contrast_scale.meaning()
        ));
    }
    let title = format!("Evidence in {}", stems.join(" and "));
    let caution = faint_in_words(&explanations[0], faint);
    panels::draw(&title, &caution, &rows, &notes.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The scale of all maps. They have one in any case, and a note says so.
fn one_scale(explanations: &[Explanation], drawing: &Drawing) -> Scale {
    let run = drop_range(explanations);
    let mut scale = drop_scale(drawing, &run, run);
    if scale.origin == ScaleOrigin::Shared {
        scale.origin = ScaleOrigin::Own;
    }
    scale
}

/// The photograph with a map.
fn covered<'a>(
    backdrop: &'a Backdrop,
    caption: [String; 2],
    score: String,
    (map, lattice): (&[f32], Lattice),
    scale: &Scale,
    drawing: &Drawing,
    mark: Option<[usize; 2]>,
) -> FigurePanel<'a> {
    let (upsampling, opacity) = (drawing.upsampling, drawing.opacity);
    let pixels = Overlay { map, lattice, upsampling, opacity }.over(backdrop, scale);
    FigurePanel { caption, score, backdrop, pixels, area: lattice.area(), mark }
}

/// The classes of an explanation with their scores, evidence and notes, for the terminal.
fn class_lines(explanation: &Explanation, scale: &Scale) -> Vec<String> {
    let maps = &explanation.maps;
    let mut lines = Vec::new();
    for k in 0..maps.classes.len() {
        lines.push(format!("  {}", explanation.heading(k)));
        lines.extend(explanation.compared_in_words(k).map(|classes| format!("    {classes}")));
        let notes = explanation.notes(k, &explanation.drops(k).0, 0.0, scale);
        lines.extend(table::strongest(maps, k).into_iter().chain(notes).map(|line| format!("    {line}")));
    }
    lines
}

fn correlation_in_words(correlation: Option<f32>) -> String {
    match correlation {
        Some(correlation) => format!("{correlation:+.3}"),
        None => "not defined, because a map is constant".to_string(),
    }
}

/// A caution about maps that hardly differ from zero, each with its largest value and its name.
fn faint_in_words(explanation: &Explanation, faint: Vec<(f32, String)>) -> String {
    let Some(most) = faint.iter().map(|(most, _)| *most).reduce(f32::max) else { return String::new() };
    let Some(logits) = explanation.logit_form() else { return String::new() };
    let (differences, most) = (explanation.differences_in_words(), readable(most));
    let names: Vec<_> = faint.into_iter().map(|(_, name)| name).collect();
    format!("{differences} of at most {most}, --score {logits} shows the evidence: {}", names.join(", "))
}

/// The photograph without a map, captioned with its predicted class.
fn uncovered<'a>(explanation: &Explanation, stem: &str, backdrop: &'a Backdrop) -> FigurePanel<'a> {
    let said = &explanation.maps.classification;
    let best = said.best();
    let score = readable(said.probabilities[best]);
    FigurePanel {
        caption: [stem.to_string(), explanation.labels.short(best).to_string()],
        score,
        backdrop,
        pixels: backdrop.pixels.clone(),
        area: Rect::plane(INPUT_SIDE),
        mark: None,
    }
}

fn summary(
    explanations: &[Explanation],
    contrasts: &[Contrast],
    stems: &[String],
    drawing: &Drawing,
) -> String {
    let run = drop_range(explanations);
    let scale = drop_scale(drawing, &run, run);
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("writing to a string");
    for (i, explanation) in explanations.iter().enumerate() {
        let (maps, labels) = (&explanation.maps, &explanation.labels);
        let (best, names) = (maps.classification.best(), subjects(explanation));
        let (name, probability) = (shown(labels.short(best)), maps.classification.probabilities[best]);
        line(format!("{}: {name} {probability:.4}", stems[i]));
        class_lines(explanation, &scale).into_iter().for_each(&mut line);
        if let Some(contrast) = contrasts.get(i) {
            let (first, second) = (shown(&names[0]), shown(&names[1]));
            let correlation = correlation_in_words(contrast.correlation);
            let share = 100.0 * contrast.share;
            line(format!(
                "  {first} and {second}: correlation of the maps {correlation}; {first} falls further at {share:.0} % of the positions"
            ));
        }
    }
    line(String::new());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_the_same_name_have_their_index() {
        // 638 and 639 are both called "maillot".
        let names = |classes: &[usize]| names(classes, Labels::imagenet());
        assert_eq!(names(&[638, 285, 639]), ["maillot (638)", "Egyptian cat", "maillot (639)"]);
        assert_eq!(names(&[638, 285]), ["maillot", "Egyptian cat"]);
    }

    #[test]
    fn two_photographs_have_two_classes() {
        let said = |order: [usize; 3]| {
            let mut logits = vec![0.0; 1000];
            order.iter().zip([3.0, 2.0, 1.0]).for_each(|(&class, logit)| logits[class] = logit);
            Classification::new(logits)
        };
        assert_eq!(chosen(None, &[said([5, 6, 7])]), [5, 6, 7]);
        assert_eq!(chosen(None, &[said([5, 6, 7]), said([8, 5, 9])]), [5, 8]);
        assert_eq!(chosen(None, &[said([5, 6, 7]), said([5, 9, 8])]), [5, 6]);
        assert_eq!(chosen(Some(&Classes::of(vec![3, 4])), &[said([5, 6, 7]), said([5, 9, 8])]), [3, 4]);
    }
}

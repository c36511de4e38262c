//! `occlude explain`: runs one sweep for each photograph, writes a figure per class and `map.json`,
//! and prints a summary.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::slice;
use std::sync::Mutex;

use occlude::text::shown;
use occlude::{Error, Labels, Progress, Result};

use crate::cli::args::{Common, Drawing, Explain};
use crate::cli::explanation::{Explanation, LoadedPhotograph, Question, Session, masks_in_words};
use crate::cli::output::figures::{drop_range, drop_scale};
use crate::cli::output::files::{self, OutputFolder};
use crate::cli::output::names::folders;
use crate::cli::output::subject::Subjects;
use crate::cli::output::table::{LISTED, counted, score, strongest, table};
use crate::cli::output::{earlier, json, report, results};
use crate::cli::render::preview::Preview;
use crate::cli::source;
use crate::cli::terminal::console;
use crate::cli::terminal::progress::{PositionsBar, Waiting};
use crate::cli::terminal::threads::on_threads;

pub fn run(common: &Common, args: &Explain) -> Result<ExitCode> {
    // These checks come first, so that an error is reported before the sweep.
    let output = OutputFolder::check(&args.out)?;
    args.check()?;
    let images = different(&args.images);
    if let Some(report) = &args.report {
        if images.len() == 1 {
            files::check_apart(report)?;
        }
        images.iter().try_for_each(|image| refuse_to_replace(image, report))?;
        if images.len() > 1 && report.file_name() != Some(report.as_os_str()) {
            return Err(Error::Option {
                name: "--report",
                found: format!("{} with {} photographs", report.display(), images.len()),
                expected:
                    "a file name without folders: each photograph has its report in its own folder of --out"
                        .to_string(),
            });
        }
    }
    on_threads(args.pool.threads, || explain(common, args, &images, &output))
}

/// The photographs, each once.
fn different(images: &[PathBuf]) -> Vec<&Path> {
    let mut seen = HashSet::new();
    let is_new =
        |image: &&Path| seen.insert(std::path::absolute(image).unwrap_or_else(|_| image.to_path_buf()));
    images.iter().map(PathBuf::as_path).filter(is_new).collect()
}

fn explain(common: &Common, args: &Explain, images: &[&Path], output: &OutputFolder) -> Result<ExitCode> {
    let session = Session::open(common)?;
    let question = session.question(session.classes(&args.classes)?, &args.sweep)?;
    // One photograph has its results in the folder itself, several have a folder each.
    let folders = match images {
        [_] => vec![PathBuf::new()],
        several => folders(several.iter().copied()).into_iter().map(PathBuf::from).collect(),
    };
    let sources = images.iter().map(|image| LoadedPhotograph::open(image)).collect::<Result<Vec<_>>>()?;
    for (folder, source) in folders.iter().zip(&sources) {
        earlier::tell(&args.out.join(folder), "map.json", &[source]);
        source.tell_if_flat(args.figures.drawing.canvas.shape);
    }
    let swept = sources.into_iter().zip(&folders).map(|(source, folder)| {
        sweep(&session, args, &question, source, |explanation| {
            let run = drop_range(slice::from_ref(explanation));
            // Errors are ignored here: the final files are written to the same folder and report them.
            let _ = output.write(&results::inside(folder, explanation.figures(&args.figures, run)));
        })
    });
    let explanations = swept.collect::<Result<Vec<_>>>()?;
    let drawing =
        Waiting::drawing(explanations.iter().map(|explanation| explanation.maps.classes.len()).sum());
    let run = drop_range(&explanations);
    let jsons: Vec<String> = explanations.iter().map(json::maps).collect();
    let mut files = Vec::new();
    let mut counts = Vec::new();
    // The report of the only photograph has its own path; those of several are beside their maps.
    let mut apart = None;
    for ((explanation, folder), json) in explanations.iter().zip(&folders).zip(&jsons) {
        let mut results = results::files(explanation, &args.figures, run, &args.arrays, json);
        if let Some(name) = &args.report {
            let page =
                |paths: [&Path; 2]| report::page(&session, explanation, common, args, &question, run, paths);
            match images {
                [_] => apart = Some((name.as_path(), page([&args.out, name])?)),
                _ => {
                    let out = args.out.join(folder);
                    let page = page([&out, &out.join(name)])?;
                    results.push((name.to_string_lossy().into_owned(), page.into_bytes()));
                }
            }
        }
        counts.push(results.len());
        files.extend(results::inside(folder, results));
    }
    let apart = apart.as_ref().map(|(path, page)| (*path, page.as_bytes()));
    let mut written = output.write_with(&files, apart)?.into_iter();
    drop(drawing);
    if args.json {
        console::print(&jsons.concat())?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut texts = Vec::new();
    for (i, (explanation, count)) in explanations.iter().zip(counts).enumerate() {
        // The report, if there is one, comes after the files of the only photograph.
        let count = if i + 1 == explanations.len() { usize::MAX } else { count };
        let written: Vec<PathBuf> = written.by_ref().take(count).collect();
        let name = source::shown(&explanation.image);
        let heading = if explanations.len() > 1 { format!("{}:\n", shown(&name)) } else { String::new() };
        texts.push(heading + &summary(explanation, &args.figures.drawing, run, &written));
    }
    console::print(&texts.join("\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the sweep over one photograph with its progress on the terminal. `refined` receives the
/// intermediate results of `--progressive`.
fn sweep(
    session: &Session,
    args: &Explain,
    question: &Question,
    source: LoadedPhotograph,
    refined: impl Fn(&Explanation) + Sync,
) -> Result<Explanation> {
    let bar = PositionsBar::new();
    let progress = |progress: Progress| bar.show(progress.done, progress.total);
    let shape = args.figures.drawing.canvas.shape;
    let preview = args.progressive.then(|| Preview::new(&source.photograph, session.resize, shape)).flatten();
    let preview = Mutex::new(preview);
    let refined = |explanation: &Explanation| {
        refined(explanation);
        if let Some(preview) = &mut *preview.lock().expect("no panic while it is held") {
            bar.aside(|| show(preview, explanation));
        }
    };
    let refined: Option<&(dyn Fn(&Explanation) + Sync)> = args.progressive.then_some(&refined);
    let mut explanation = session.sweep(source, question, &progress, refined)?;
    session.go_on(&mut explanation, question, args, &|done, total| bar.show(done, total))?;
    drop(bar);
    if let Some(preview) = &mut *preview.lock().expect("as above") {
        show(preview, &explanation);
    }
    Ok(explanation)
}

/// Shows the map of the first class.
fn show(preview: &mut Preview, explanation: &Explanation) {
    preview.show(&explanation.maps.at_pixels(explanation.maps.map(0).values()), explanation.lattice());
}

/// Refuses to overwrite the photograph with the report.
fn refuse_to_replace(image: &Path, report: &Path) -> Result<()> {
    match files::is_same(image, report) {
        true => Err(Error::Option {
            name: "--report",
            found: report.display().to_string(),
            expected: "a file other than the photograph".to_string(),
        }),
        false => Ok(()),
    }
}

/// The summary on standard output.
fn summary(explanation: &Explanation, drawing: &Drawing, run: [f32; 2], written: &[PathBuf]) -> String {
    let (maps, labels, elapsed_seconds) =
        (&explanation.maps, &explanation.labels, explanation.elapsed_seconds);
    let mut text = table(&maps.classification, &maps.classification.top(LISTED), labels);
    let mut line = |line: String| writeln!(text, "{line}").expect("writing to a string");
    let [rows, columns] = maps.grid;
    let [height, width] = maps.mask_size;
    let [down, across] = maps.stride;
    let fill = masks_in_words(maps);
    let positions = rows * columns;
    let predicted = maps.classification.top(1)[0];

    line(String::new());
    let only = if maps.inverse { "only one shown at a time, " } else { "" };
    line(match maps.segments {
        Some(_) => {
            format!("{} of the picture, {only}{fill}; {elapsed_seconds:.2} s", counted(positions, "part"))
        }
        None => format!(
            "{positions} masks ({rows} rows of {columns}) of {height}x{width} pixels, stride {down}x{across}, \
             {only}{fill}; {elapsed_seconds:.2} s"
        ),
    });
    line(changes(&maps.argmax, explanation.mask_name(), predicted, labels));

    for k in 0..maps.classes.len() {
        line(String::new());
        line(explanation.heading(k));
        explanation.compared_in_words(k).into_iter().for_each(|classes| line(format!("  {classes}")));
        strongest(maps, k).into_iter().for_each(|evidence| line(format!("  {evidence}")));
        let (map, _) = explanation.drops(k);
        let scale = drop_scale(drawing, &map, run);
        let notes = explanation.notes(k, &map, scale.limit(), &scale);
        let texts = notes.into_iter().chain(explanation.pairs_in_words(k));
        texts.for_each(|text| line(format!("  {text}")));
        if let Some(survivors) = explanation.survivors_in_words(k) {
            line(format!("  {}", survivors.replace("; ", ";\n    ")));
        }
    }

    for feature in &maps.features {
        let totals = feature.totals.iter().copied();
        let least = totals.fold(f32::INFINITY, f32::min);
        let (layer, channel, base) = (&feature.layer, feature.channel, feature.base_total);
        line(String::new());
        line(format!(
            "{layer}, channel {channel}: total activation {base:.1} without a mask, minimum {least:.1} with a mask"
        ));
    }
    for (method, curves) in &explanation.faithfulness {
        let (deletion, insertion) = (curves.deletion_area(), curves.insertion_area());
        let (method, class) = (method.name(), shown(labels.short(curves.class)));
        line(format!(
            "faithfulness of {method} for {class}: deletion {}, insertion {}",
            score(deletion),
            score(insertion)
        ));
    }

    line(String::new());
    let place = match maps.segments {
        Some(_) => "x and y are the left and the upper edge of the part, after its width and height,",
        None => "x and y are the centre of the mask",
    };
    line(format!("{place} in pixels of the 224x224 picture, from the left and from the top"));
    for path in written {
        line(format!("wrote {}", console::shown_path(path)));
    }
    text
}

/// The number of masks that change the predicted class, and the class that most of them change it
/// to.
fn changes(argmax: &[usize], mask: &str, predicted: usize, labels: &Labels) -> String {
    let mut counts = BTreeMap::new();
    argmax
        .iter()
        .filter(|&&class| class != predicted)
        .for_each(|&class| *counts.entry(class).or_default() += 1);
    let (changed, positions) = (counts.values().sum::<usize>(), argmax.len());
    // The smallest index of equal counts.
    let most = counts.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)));
    let often = if counts.len() > 1 { "most often " } else { "" };
    let verb = if changed == 1 { "changes" } else { "change" };
    match most {
        None => format!("No {mask} changes the predicted class."),
        Some((&class, _)) => {
            let name = shown(labels.short(class));
            format!("{changed} of {positions} {mask}s {verb} the predicted class, {often}to {name}.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_the_masks_that_change_the_class() {
        let text = |argmax: &[usize]| changes(argmax, "mask", 285, Labels::imagenet());
        assert_eq!(text(&[285, 285]), "No mask changes the predicted class.");
        assert_eq!(text(&[285, 287, 285]), "1 of 3 masks changes the predicted class, to lynx.");
        assert_eq!(text(&[287, 287, 285]), "2 of 3 masks change the predicted class, to lynx.");
        let often = "4 of 4 masks change the predicted class, most often to tabby.";
        assert_eq!(text(&[287, 281, 281, 287]), often);
    }
}

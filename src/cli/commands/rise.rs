//! `occlude rise`: writes a RISE figure per class and `rise.json`, and prints a summary.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use occlude::image::lattice::Lattice;
use occlude::network::INPUT_SIDE;
use occlude::network::geometry::Rect;
use occlude::{Classification, Progress, Result, RiseMaps, Upsampling};
use serde::Serialize;

use crate::cli::args::{Common, Rise as Options};
use crate::cli::explanation::{LoadedPhotograph, Session, fill_in_words};
use crate::cli::output::earlier;
use crate::cli::output::files::OutputFolder;
use crate::cli::output::json::{Fill, MappedClass, Provenance, fill, line, mapped};
use crate::cli::output::names::stem;
use crate::cli::output::subject::{NamedRise, Subjects};
use crate::cli::output::table::{LISTED, ascii, score, table};
use crate::cli::render::backdrop::Backdrop;
use crate::cli::render::canvas::{Canvas, Format};
use crate::cli::render::colours::Colours;
use crate::cli::render::map::{self, MapFigure, Overlay};
use crate::cli::render::scale::{Scale, range, readable};
use crate::cli::terminal::console;
use crate::cli::terminal::progress::{PositionsBar, Waiting};
use crate::cli::terminal::threads::on_threads;

/// The object of `rise.json` and of `occlude rise --json`.
#[derive(Serialize)]
struct Record<'a> {
    #[serde(flatten)]
    origin: Provenance<'a>,
    input_size: [usize; 2],
    resize: String,
    score: String,
    mask_value: Fill,
    grid: [usize; 2],
    probability: f32,
    seed: u64,
    /// The number of masks in use, and the largest number.
    masks: usize,
    most_masks: usize,
    classes: Vec<Mapped<'a>>,
    elapsed_seconds: f64,
    multiply_adds: MultiplyAdds,
    threads: usize,
    isa: String,
}

#[derive(Serialize)]
struct Mapped<'a> {
    #[serde(flatten)]
    subject: MappedClass<'a>,
    /// Null for a map without a range beyond its noise.
    precision: Option<f32>,
    map: Vec<&'a [f32]>,
    standard_error: Vec<&'a [f32]>,
}

/// Of all masked copies: what a dense engine computes, what had to be computed because a mask changes
/// it, and what was carried out.
#[derive(Serialize)]
struct MultiplyAdds {
    dense: u64,
    affected: u64,
    executed: u64,
}

pub fn run(common: &Common, args: &Options) -> Result<ExitCode> {
    let output = OutputFolder::check(&args.out)?;
    on_threads(args.pool.threads, || rise(common, args, &output))
}

fn rise(common: &Common, args: &Options, output: &OutputFolder) -> Result<ExitCode> {
    let session = Session::open(common)?;
    let question = session.rise_question(args)?;
    let source = LoadedPhotograph::open(&args.image)?;
    earlier::tell(&args.out, "rise.json", &[&source]);
    source.tell_if_flat(args.canvas.shape);
    let bar = PositionsBar::new();
    let found = session.rise(question, &source, &|now: Progress| bar.show(now.done, now.total))?;
    drop(bar);

    let drawing = Waiting::drawing(found.maps.len());
    let maps = NamedRise { found: &found, labels: &session.labels };
    let json = line(&record(&session, &source, args, &maps));
    let backdrop = Backdrop::large(&source.photograph, session.resize, args.canvas.shape);
    let mut files = Vec::new();
    for (k, slug) in maps.slugs().iter().enumerate() {
        let name = format!("{}-{slug}-rise.png", stem(&source.image));
        files.push((name, draw(&backdrop, args, &maps, k).encode(Format::Png)));
    }
    files.push(("rise.json".to_string(), json.clone().into_bytes()));
    let written = output.write(&files)?;
    drop(drawing);
    console::print(&if args.json { json } else { summary(args, &maps, &written) })?;
    Ok(ExitCode::SUCCESS)
}

fn record<'a>(
    session: &'a Session,
    source: &'a LoadedPhotograph,
    args: &Options,
    maps: &'a NamedRise,
) -> Record<'a> {
    let found = maps.found;
    let rows = |map: &'a [f32]| map.chunks(INPUT_SIDE).collect();
    let of_map = |k: usize| Mapped {
        subject: mapped(maps, k),
        precision: Some(found.precisions[k]).filter(|precision| precision.is_finite()),
        map: rows(&found.maps[k]),
        standard_error: rows(&found.standard_errors[k]),
    };
    let total = found.profile.total();
    Record {
        origin: Provenance::of(session, source),
        input_size: [INPUT_SIDE; 2],
        resize: session.resize.to_string(),
        score: found.score.to_string(),
        mask_value: fill(found.mask_value),
        grid: args.cells(),
        probability: args.probability,
        seed: args.seed,
        masks: found.masks,
        most_masks: args.masks,
        classes: (0..found.maps.len()).map(of_map).collect(),
        multiply_adds: MultiplyAdds {
            dense: total.dense,
            affected: total.affected,
            executed: total.executed,
        },
        elapsed_seconds: found.profile.seconds,
        threads: rayon::current_num_threads(),
        isa: session.net.isa().to_string(),
    }
}

/// The precision of a map in words. A map without one shows no evidence.
fn precision(found: &RiseMaps, k: usize) -> String {
    match found.precisions[k] {
        precision if precision.is_finite() => {
            format!("standard error {:.1} % of the range of the map", 100.0 * precision)
        }
        _ => "the values differ by no more than noise explains: more masks are needed, if there is evidence"
            .to_string(),
    }
}

fn draw(backdrop: &Backdrop, args: &Options, maps: &NamedRise, k: usize) -> Canvas {
    let (found, map) = (maps.found, &maps.found.maps[k]);
    let ([rows, columns], kind) = (args.cells(), maps.score_in_words());
    let [low, high] = range(map).map(readable);
    map::draw(&MapFigure {
        backdrop,
        overlay: Overlay {
            map,
            lattice: Lattice::cells([INPUT_SIDE; 2], Rect::plane(INPUT_SIDE)),
            upsampling: Upsampling::Bicubic,
            opacity: 0.5,
        },
        scale: Scale::of_values(Colours::Viridis, map),
        title: &maps.subject(k),
        value: &format!("{} {}", maps.score_name(), readable(found.base_scores[k])),
        note: &format!(
            "RISE: {} random masks of {rows}×{columns} cells, visible with probability {}, over {}",
            found.masks,
            args.probability,
            fill_in_words(found.mask_value)
        ),
        caution: "",
        meaning: [
            &format!(
                "about the mean {kind} of the copies that show a pixel, from {low} to {high}; yellow is highest"
            ),
            &match found.precisions[k].is_finite() {
                true => format!("{}; the range, not the level, shows the evidence", precision(found, k)),
                false => precision(found, k),
            },
        ],
        mark: None,
        base: None,
        hatched: None,
    })
}

fn summary(args: &Options, maps: &NamedRise, written: &[PathBuf]) -> String {
    let found = maps.found;
    let said: &Classification = &found.classification;
    let mut text = table(said, &said.top(LISTED), maps.labels);
    let mut line = |line: String| writeln!(text, "{line}").expect("writing to a string");
    let [rows, columns] = args.cells();
    line(String::new());
    line(format!(
        "{} of at most {} masks of {rows}x{columns} cells, seed {}, {}; {:.2} s",
        found.masks,
        args.masks,
        args.seed,
        fill_in_words(found.mask_value),
        found.profile.seconds
    ));
    let total = found.profile.total();
    let share = |part: u64| 100.0 * part as f64 / total.dense as f64;
    line(format!(
        "every mask changes {:.1} % of the work of a dense engine, so locality saves {:.1} %; without products with 0, \
         {:.1} % of its multiply-adds were carried out",
        share(total.affected),
        100.0 - share(total.affected),
        share(total.executed)
    ));
    for (k, map) in found.maps.iter().enumerate() {
        let at = (0..map.len()).fold(0, |best, i| if map[i] > map[best] { i } else { best });
        let ends = range(map);
        let [low, high] = ends.map(score);
        line(String::new());
        line(maps.heading(k));
        maps.compared_in_words(k).into_iter().for_each(|classes| line(format!("  {classes}")));
        line(match ends[0] == ends[1] {
            true => format!("  {low} everywhere: the map says nothing about places"),
            false => {
                format!("  from {low} to {high}, largest at x {}, y {}", at % INPUT_SIDE, at / INPUT_SIDE)
            }
        });
        line(format!("  {}", precision(found, k)));
        if args.precision.is_some_and(|wanted| found.precisions[k] > wanted) {
            line("  the precision was not reached: --masks allows no more masks".to_string());
        }
    }
    line(String::new());
    line("x and y are pixels of the 224x224 picture, from the left and from the top".to_string());
    for path in written {
        line(format!("wrote {}", console::shown_path(path)));
    }
    ascii(&text)
}

//! `occlude trace`: traces the effect of one mask through the layers, as a table, figures and JSON.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use occlude::network::INPUT_SIDE;
use occlude::network::geometry::Rect;
use occlude::sweep::MASK_SIZE;
use occlude::text::shown;
use occlude::{Classification, Labels, LayerTrace, Result};
use serde::Serialize;

use crate::cli::args::{Common, Size, Trace};
use crate::cli::explanation::{LoadedPhotograph, Session, fill_in_words, require_finite};
use crate::cli::output::earlier;
use crate::cli::output::files::OutputFolder;
use crate::cli::output::json::{self, Fill, Provenance};
use crate::cli::output::names::stem;
use crate::cli::output::table::{box_in_cell, box_in_words};
use crate::cli::render::backdrop::{Backdrop, CanvasShape};
use crate::cli::render::canvas::Format;
use crate::cli::render::strip::{self, FRAME_SIDE, stage_side};
use crate::cli::terminal::console;
use crate::cli::terminal::threads::on_threads;

pub fn run(common: &Common, args: &Trace) -> Result<ExitCode> {
    let output = OutputFolder::check(&args.out)?;
    on_threads(args.pool.threads, || trace(common, args, &output))
}

fn trace(common: &Common, args: &Trace, output: &OutputFolder) -> Result<ExitCode> {
    let session = Session::open(common)?;
    let source = LoadedPhotograph::open(&args.image)?;
    earlier::tell(&args.out, "trace.json", &[&source]);
    source.tell_if_flat(args.canvas.shape);
    let input = source.photograph.picture(session.resize).input();
    let size = match args.mask_size {
        Size::Auto => MASK_SIZE,
        Size::Pixels(size) => size,
    };
    let trace = session.net.trace(&input, Rect::centred(args.at, size, INPUT_SIDE), args.mask_value)?;
    for said in [&trace.whole, &trace.covered] {
        require_finite(&said.logits)?;
    }
    let network = session.net.network();
    let json = as_json(&session, &source, args.at, size, &trace);

    let stages = strip::stages(network, &trace);
    let backdrop =
        |longest: usize| Backdrop::of_longest(&source.photograph, session.resize, args.canvas.shape, longest);
    let shape = [source.photograph.height(), source.photograph.width()];
    let longest = match args.canvas.shape {
        CanvasShape::Photo => stage_side(shape),
        CanvasShape::Network => stage_side([1, 1]),
    };
    let title = format!("{}: a mask at row {}, column {}", stem(&source.image), args.at[0], args.at[1]);
    let name = |ending: &str| format!("{}-trace.{ending}", stem(&source.image));
    let files = [
        (name("png"), strip::draw(&title, &stages, &backdrop(longest)).encode(Format::Png)),
        (name("gif"), strip::animation(&stages, &backdrop(FRAME_SIDE))),
        ("trace.json".to_string(), json.clone().into_bytes()),
    ];
    let written = output.write(&files)?;
    console::print(&if args.json { json } else { story(&trace, &session.labels, &written) })?;
    Ok(ExitCode::SUCCESS)
}

fn story(trace: &occlude::Trace, labels: &Labels, written: &[PathBuf]) -> String {
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("writing to a string");
    let fill = fill_in_words(trace.mask_value);
    let class = trace.whole.best();
    let [whole, covered] = [&trace.whole, &trace.covered].map(|said| said.probabilities[class]);
    line(format!(
        "The mask is {}, and covers {:.1} % of the 224x224 picture; content: {fill}",
        box_in_words(trace.mask),
        percent(trace.mask.area() as u64, (INPUT_SIDE * INPUT_SIDE) as u64),
    ));
    line(format!(
        "{} ({class}): probability {whole:.4} without the mask, {covered:.4} with the mask, drop {:+.4}",
        shown(labels.short(class)),
        whole - covered
    ));
    let other = trace.covered.best();
    let seen = trace.covered.probabilities[other];
    match other == class {
        true => line("The mask does not change the predicted class.".to_string()),
        false => line(format!(
            "The mask changes the predicted class to {} ({other}), probability {seen:.4}.",
            shown(labels.short(other))
        )),
    }
    line(String::new());
    table(&mut line, &trace.layers);
    line(String::new());
    for sentence in conclusions(trace) {
        line(sentence);
    }
    for path in written {
        line(format!("wrote {}", console::shown_path(path)));
    }
    text
}

fn table(line: &mut impl FnMut(String), layers: &[LayerTrace]) {
    let width = layers.iter().map(|layer| layer.name.len()).max().unwrap_or(0);
    line(format!("{:width$}  {:>11}  {:>23} {:>9} {:>8} {:>8}  multiply-adds", "", "", "", "", "", ""));
    line(format!(
        "{:<width$}  {:>11}  {:>23} {:>9} {:>8} {:>8}  {:>7} {:>7} {:>7}",
        "layer", "output", "can change", "computed", "changed", "non-zero", "all M", "exec. M", "saved"
    ));
    for layer in layers {
        let [height, width_, channels] = layer.shape;
        let pixels = (height * width_) as u64;
        let share = |part: usize| format!("{:.1} %", percent(part as u64, pixels));
        let spent = match layer.dense {
            0 => String::new(),
            dense => format!(
                "  {:>7.2} {:>7.2} {:>5.1} %",
                millions(dense),
                millions(layer.executed),
                percent(dense - layer.executed, dense)
            ),
        };
        line(format!(
            "{:<width$}  {:>11}  {:>23} {:>9} {:>8} {:>8}{spent}",
            layer.name,
            format!("{height}x{width_}x{channels}"),
            if layer.reached.is_empty() { "nothing".to_string() } else { box_in_cell(layer.reached) },
            share(layer.computed_pixels()),
            share(layer.changed_pixels()),
            format!("{:.1} %", 100.0 * layer.nonzero),
        ));
    }
}

/// The totals below the table.
fn conclusions(trace: &occlude::Trace) -> Vec<String> {
    let sum = |of: fn(&LayerTrace) -> u64| trace.layers.iter().map(of).sum::<u64>();
    let (dense, affected, executed) =
        (sum(|layer| layer.dense), sum(|layer| layer.affected), sum(|layer| layer.executed));
    let mut sentences = vec![
        format!("Multiply-adds of a complete pass: {:.1} M", millions(dense)),
        format!(
            "Multiply-adds of the recomputed pixels: {:.1} M ({:.1} %)",
            millions(affected),
            percent(affected, dense)
        ),
        format!(
            "Executed multiply-adds, without those of zero activations: {:.1} M ({:.1} %; {:.1} % are saved)",
            millions(executed),
            percent(executed, dense),
            percent(dense - executed, dense)
        ),
    ];
    let mut sides: Vec<usize> = trace.layers.iter().map(|layer| layer.shape[0]).collect();
    sides.dedup();
    for side in sides {
        let of_plane = trace.layers.iter().filter(|layer| layer.shape[0] == side);
        let (dense, spent) =
            of_plane.fold((0, 0), |(dense, spent), layer| (dense + layer.dense, spent + layer.executed));
        sentences.push(format!(
            "  {:>5.1} M of {:>5.1} M in planes of {side}x{side} ({:.1} % of the executed multiply-adds)",
            millions(spent),
            millions(dense),
            percent(spent, executed)
        ));
    }
    // The layers after the last plane with pixels that do not depend on the mask.
    let is_plane = |layer: &LayerTrace| layer.shape[0] > 1;
    let is_whole = |layer: &LayerTrace| layer.reached == Rect::plane(layer.shape[0]);
    let partly = trace.layers.iter().rposition(|layer| is_plane(layer) && !is_whole(layer));
    if let Some(layer) = trace.layers[partly.map_or(0, |at| at + 1)..].iter().find(|layer| is_plane(layer)) {
        sentences.push(format!(
            "From {} on, all pixels depend on masked pixels according to the receptive fields.",
            layer.name
        ));
    }
    sentences
}

fn millions(count: u64) -> f64 {
    1e-6 * count as f64
}

fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// The object of `trace.json`. A rectangle is [first row, first column, row after the last, column
/// after the last].
#[derive(Serialize)]
struct TraceObject<'a> {
    #[serde(flatten)]
    origin: Provenance<'a>,
    at: [usize; 2],
    mask_size: [usize; 2],
    mask: [usize; 4],
    mask_value: Fill,
    whole: Vec<ClassObject<'a>>,
    covered: Vec<ClassObject<'a>>,
    layers: Vec<LayerObject<'a>>,
}

#[derive(Serialize)]
struct ClassObject<'a> {
    index: usize,
    label: &'a str,
    probability: f32,
}

#[derive(Serialize)]
struct LayerObject<'a> {
    name: &'a str,
    shape: [usize; 3],
    reached: [usize; 4],
    computed: usize,
    changed: usize,
    nonzero: f64,
    dense_multiply_adds: u64,
    affected_multiply_adds: u64,
    executed_multiply_adds: u64,
    difference: Vec<&'a [f32]>,
}

fn corners(rect: Rect) -> [usize; 4] {
    [rect.y0, rect.x0, rect.y1, rect.x1]
}

impl LayerObject<'_> {
    fn of(layer: &LayerTrace) -> LayerObject<'_> {
        LayerObject {
            name: &layer.name,
            shape: layer.shape,
            reached: corners(layer.reached),
            computed: layer.computed_pixels(),
            changed: layer.changed_pixels(),
            nonzero: layer.nonzero,
            dense_multiply_adds: layer.dense,
            affected_multiply_adds: layer.affected,
            executed_multiply_adds: layer.executed,
            difference: layer.difference.chunks(layer.shape[1]).collect(),
        }
    }
}

fn as_json(
    session: &Session,
    source: &LoadedPhotograph,
    at: [usize; 2],
    mask_size: [usize; 2],
    trace: &occlude::Trace,
) -> String {
    // The predicted classes without and with the mask; one class if they are equal.
    let mut classes = vec![trace.whole.best(), trace.covered.best()];
    classes.dedup();
    let said = |said: &Classification| -> Vec<ClassObject> {
        let class = |&index: &usize| ClassObject {
            index,
            label: session.labels.words(index),
            probability: said.probabilities[index],
        };
        classes.iter().map(class).collect()
    };
    json::line(&TraceObject {
        origin: Provenance::of(session, source),
        at,
        mask_size,
        mask: corners(trace.mask),
        mask_value: json::fill(trace.mask_value),
        whole: said(&trace.whole),
        covered: said(&trace.covered),
        layers: trace.layers.iter().map(LayerObject::of).collect(),
    })
}

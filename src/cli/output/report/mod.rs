//! The interactive report: one HTML file with the photograph, the numbers and the script that draws
//! them. It loads no other files; its content security policy forbids that.

mod command;
pub mod escape;
mod sections;
pub mod template;
mod words;

use std::collections::BTreeMap;
use std::path::Path;

use occlude::text::shown;
use occlude::{GradCam, Placement, Result, Score, Shape, Upsampling};
use serde::Serialize;

use crate::cli::args::drawing::COLOUR_RANGES;
use crate::cli::args::values::word_of;
use crate::cli::args::{Common, Drawing, Explain};
use crate::cli::explanation::{Explanation, Question, Session};
use crate::cli::output::figures::{OTHER, UNCHANGED, drop_extent, drop_scale};
use crate::cli::output::json;
use crate::cli::output::subject::Subjects;
use crate::cli::render::backdrop::Backdrop;
use crate::cli::render::colours::{CATEGORIES, COLOURS, Colours};
use crate::cli::render::scale::ScaleOrigin;
use escape::{policy, script_data, text};
use template::filled;
use words::Words;

/// The number of colours in a table, that of `jet`.
const STEPS: usize = 256;

const TEMPLATE: &str = include_str!("report.html");
pub const STYLE: &str = include_str!("report.css");
const SCRIPT: &str =
    concat!(include_str!("common.js"), include_str!("drawing.js"), include_str!("report.js"));

/// The data that the page needs in addition to the object of map.json.
#[derive(Serialize)]
struct PageData<'a> {
    /// The most probable class of the uncovered picture.
    predicted: usize,
    /// The score in words.
    score: String,
    /// The name of the numbers that the score is made of, of which the most probable class has one.
    output: &'static str,
    /// The names of all classes on the page.
    labels: BTreeMap<usize, &'a str>,
    /// The part of the network's picture that the map covers: top, left, bottom, right.
    area: [usize; 4],
    /// The edges of the network's picture on the photograph of the page, in its pixels: top and
    /// bottom, left and right. They lie outside if the photograph was padded.
    framing: [[f64; 2]; 2],
    /// The words for what was covered at each position.
    words: Words,
    /// The parts of the picture, as runs of pixels in reading order: the index of the part, if there is
    /// one, and the number of pixels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<(Option<u16>, usize)>,
    /// For masks that are no rectangles, the pixels of a whole mask, in the same way: true if at least half of
    /// the pixel is covered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mask: Vec<(bool, usize)>,
    /// With `--robust`, one sentence for each class, and the words for each mask.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    survivors: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    masks: Vec<String>,
    /// True if a value lies at a point, and the outermost ones continue beyond it; false if it fills
    /// a cell.
    at_points: bool,
    /// The lines of the grid; none with parts.
    rows: Vec<GridLine>,
    columns: Vec<GridLine>,
    /// The number of mapped classes that are not in the report.
    left_out: usize,
    /// For each class, a warning about colours that could mislead; otherwise empty.
    cautions: Vec<String>,
    /// The Grad-CAM maps, `[class][7][7]`; none for a score that is of no class.
    gradcam: Vec<Vec<&'a [f32]>>,
    /// The colour maps by name.
    tables: BTreeMap<&'static str, ColourTable>,
    /// Colours of the predicted class, of the other classes by frequency, and of the remaining
    /// classes.
    class_colours: [&'static [[u8; 3]]; 3],
    /// The initial settings of the view.
    shown: InitialView,
}

#[derive(Serialize)]
struct ColourTable {
    /// True if the middle means zero.
    symmetric: bool,
    /// The colours, from the smallest to the largest value.
    colours: Vec<[u8; 3]>,
}

#[derive(Serialize)]
struct InitialView {
    colours: &'static str,
    opacity: f32,
    smooth: bool,
    /// `symmetric` or `minmax`; null for the default of the colours.
    colour_range: Option<&'static str>,
    /// The smallest and the largest value of the colour scale; null for those of each map.
    extent: Option<[f32; 2]>,
}

/// A row or column of mask positions.
#[derive(Serialize)]
struct GridLine {
    /// The row or column of the centres of its masks.
    centre: usize,
    /// The place at which its values are drawn, on the network's picture.
    place: f64,
    /// The first covered row or column, and the one after the last.
    pixels: [usize; 2],
}

/// The contents of the HTML file. `run` are the smallest and the largest drop of the run, then come the
/// folder of results and the file itself.
///
/// # Errors
/// The errors of [`occlude::GoogLeNet::grad_cam`]; none after a successful sweep.
pub fn page(
    session: &Session,
    explanation: &Explanation,
    common: &Common,
    args: &Explain,
    question: &Question,
    run: [f32; 2],
    [out, path]: [&Path; 2],
) -> Result<String> {
    let maps = &explanation.maps;
    let held = sections::held(maps);
    let classes: Vec<usize> = held.iter().map(|&k| maps.classes[k]).collect();
    let gradcam = match maps.score.is_of_class() {
        true => Some(session.net.grad_cam(&session.forward(&explanation.photograph)?, &classes)?),
        false => None,
    };
    let predicted = maps.classification.best();
    let drawing = &args.figures.drawing;
    let backdrop = Backdrop::large(&explanation.photograph, explanation.resize, drawing.canvas.shape);
    let [height, width] = backdrop.size;
    let image = explanation.image.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
    let subject = explanation.subject(held[0]);
    let (subject, label) = (shown(&subject), shown(explanation.labels.words(predicted)));
    let heading = match maps.score {
        Score::Entropy => "Uncertainty of the whole answer".to_string(),
        _ => format!("Evidence for “<span id=\"subject\">{}</span>”", text(&subject)),
    };
    let probability = maps.classification.probabilities[predicted];
    let words = Words::of(maps);
    let [before, covered, change] = words.columns;
    let meaning =
        |sign: usize| text(&format!("{}, so this part is {}", words.effects[sign], words.evidence[sign]));
    let place =
        words.place.iter().map(|(id, name)| format!("<div><dt>{name}</dt><dd id=\"{id}\"></dd></div>\n"));
    Ok(filled(
        TEMPLATE,
        &[
            ("policy", policy(STYLE, SCRIPT)),
            ("title", text(&format!("{subject} · {image} · occlude"))),
            ("style", STYLE.to_string()),
            ("heading", heading),
            (
                "subheading",
                text(&format!("{image}: GoogLeNet’s answer is “{label}”, probability {probability:.3}")),
            ),
            ("done", words.done.to_string()),
            ("positive", meaning(0)),
            ("negative", meaning(1)),
            ("cause", words.cause.to_string()),
            ("change", words.change.to_string()),
            ("scores", words.heading.to_string()),
            ("place", place.collect()),
            ("first-column", before.to_string()),
            ("second-column", covered.to_string()),
            ("third-column", change.to_string()),
            ("strongest", sections::strongest(maps, words.columns)),
            ("width", width.to_string()),
            ("height", height.to_string()),
            ("alt", text(&format!("The photograph {image}"))),
            ("photograph", sections::picture(backdrop.size, &backdrop.pixels)),
            ("top", sections::top(maps, &explanation.labels)),
            ("gradcam", sections::gradcam(maps)),
            ("robust", sections::robust(explanation)),
            ("pairs", sections::pairs(explanation, &held, drawing.canvas.shape)),
            ("faithfulness", sections::faithfulness(explanation, &held)),
            ("facts", sections::facts(explanation, question.sweep)),
            (
                "command",
                text(&command::line(
                    &session.weights_source,
                    common,
                    args,
                    question,
                    &explanation.image,
                    [out, path],
                )),
            ),
            ("map", script_data(&json::some_maps(explanation, &held))),
            (
                "more",
                script_data(&json::line(&more(
                    explanation,
                    &held,
                    &backdrop,
                    gradcam.as_ref(),
                    drawing,
                    run,
                    words,
                ))),
            ),
            ("script", SCRIPT.to_string()),
        ],
    ))
}

fn more<'a>(
    explanation: &'a Explanation,
    held: &[usize],
    backdrop: &Backdrop,
    gradcam: Option<&'a GradCam>,
    drawing: &Drawing,
    run: [f32; 2],
    words: Words,
) -> PageData<'a> {
    let Explanation { maps, labels, placement, .. } = explanation;
    let lattice = explanation.lattice();
    // The ends of the user's scale; otherwise each map has its own.
    let (extent, origin) = drop_extent(drawing, &[], run);
    let [rows, columns] = if maps.segments.is_some() { [0; 2] } else { maps.grid };
    let predicted = maps.classification.best();
    let occurring = held.iter().map(|&k| &maps.classes[k]).chain(&maps.argmax).chain([&predicted]);
    let area = lattice.area();
    let row = |row| {
        let rect = maps.mask_rect(row, 0);
        GridLine { centre: maps.centre(row, 0)[0], place: lattice.place(0, row), pixels: [rect.y0, rect.y1] }
    };
    let column = |column| {
        let rect = maps.mask_rect(0, column);
        let (centre, place) = (maps.centre(0, column)[1], lattice.place(1, column));
        GridLine { centre, place, pixels: [rect.x0, rect.x1] }
    };
    PageData {
        predicted,
        score: explanation.score_in_words(),
        output: if maps.score.is_of_logits() { "logit" } else { "probability" },
        labels: occurring.map(|&class| (class, labels.words(class))).collect(),
        area: [area.y0, area.x0, area.y1, area.x1],
        framing: [0, 1].map(|axis| backdrop.edges(axis)),
        words,
        parts: maps.segments.as_ref().map_or_else(Vec::new, |segments| runs(segments.of_pixel())),
        mask: match maps.shape {
            Shape::Rectangle => Vec::new(),
            shape => {
                let weights = shape.weights(maps.mask_size);
                runs(&weights.iter().map(|&weight| weight >= 0.5).collect::<Vec<bool>>())
            }
        },
        survivors: held
            .iter()
            .filter_map(|&k| explanation.survivors_in_words(k))
            .map(|words| sections::upper(&words))
            .collect(),
        masks: explanation.masks_of_robust(),
        at_points: *placement == Placement::Centres && maps.segments.is_none(),
        rows: (0..rows).map(row).collect(),
        columns: (0..columns).map(column).collect(),
        left_out: maps.classes.len() - held.len(),
        cautions: held
            .iter()
            .map(|&k| {
                let (map, _) = explanation.drops(k);
                let scale = drop_scale(drawing, &map, run);
                explanation.caution(k, &map, scale.limit())
            })
            .collect(),
        gradcam: gradcam.map_or_else(Vec::new, |gradcam| {
            let rows: Vec<_> = gradcam.maps.chunks(gradcam.grid[1]).collect();
            rows.chunks(gradcam.grid[0]).map(<[_]>::to_vec).collect()
        }),
        tables: COLOURS
            .iter()
            .map(|&(name, colours)| {
                let step = |i| colours.at(i as f32 / (STEPS - 1) as f32);
                let table = (0..STEPS).map(step).collect();
                (name, ColourTable { symmetric: colours.is_symmetric(), colours: table })
            })
            .collect(),
        class_colours: [&[UNCHANGED], &CATEGORIES, &[OTHER]],
        shown: InitialView {
            colours: word_of(&COLOURS, drawing.colours.unwrap_or(Colours::OF_DROPS)),
            opacity: drawing.opacity,
            smooth: drawing.upsampling == Upsampling::Bicubic,
            colour_range: drawing.colour_range.map(|range| word_of(COLOUR_RANGES, range)),
            extent: (origin != ScaleOrigin::Own).then_some(extent),
        },
    }
}

/// The values of pixels as runs of equal ones, each with its length.
fn runs<T: Copy + PartialEq>(pixels: &[T]) -> Vec<(T, usize)> {
    pixels.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect()
}

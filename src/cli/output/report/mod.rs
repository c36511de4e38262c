//! The interactive report: one HTML file with the photograph, the numbers and the script that draws
//! them. It loads no other files; its content security policy forbids that.

mod command;
pub mod template;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};
use occlude::network::INPUT_SIDE;
use occlude::network::geometry::Rect;
use occlude::text::{escaped, shown};
use occlude::{Error, GradCam, Labels, MaskValue, OcclusionMaps, Placement, Resize, Result, Upsampling};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::cli::args::drawing::COLOUR_RANGES;
use crate::cli::args::values::word_of;
use crate::cli::args::{Aggregate, Common, Drawing, Explain, Sweep};
use crate::cli::explanation::{Explanation, Question, Session, fill_in_words};
use crate::cli::output::figures::{OTHER, UNCHANGED, drop_extent, drop_scale};
use crate::cli::output::json;
use crate::cli::output::table::LISTED;
use crate::cli::render::backdrop::Backdrop;
use crate::cli::render::canvas::Format;
use crate::cli::render::colours::{CATEGORIES, COLOURS, Colours};
use crate::cli::render::scale::ScaleOrigin;
use crate::cli::source;
use template::filled;

/// The largest number of classes in a report. It limits the number of maps on the page and its
/// size.
pub const MOST_CLASSES: usize = 20;

/// JPEG quality, of 100. A lower quality shows blocks; a higher quality makes the file larger.
const JPEG_QUALITY: u8 = 92;

/// The number of colours in a table, that of `jet`.
const STEPS: usize = 256;

const TEMPLATE: &str = include_str!("report.html");
pub const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = concat!(include_str!("common.js"), include_str!("report.js"));

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
    /// True if a value lies at a point, and the outermost ones continue beyond it; false if it fills
    /// a cell.
    at_points: bool,
    rows: Vec<GridLine>,
    columns: Vec<GridLine>,
    /// The number of mapped classes that are not in the report.
    left_out: usize,
    /// For each class, a warning about colours that could mislead; otherwise empty.
    cautions: Vec<String>,
    /// The Grad-CAM maps, `[class][7][7]`.
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
    let held = &maps.classes[..maps.classes.len().min(MOST_CLASSES)];
    let gradcam = session.net.grad_cam(&session.forward(&explanation.photograph)?, held)?;
    let predicted = maps.classification.best();
    let drawing = &args.figures.drawing;
    let backdrop = Backdrop::large(&explanation.photograph, explanation.resize, drawing.canvas.shape);
    let [height, width] = backdrop.size;
    let image = explanation.image.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
    let label = shown(explanation.labels.words(predicted));
    let probability = maps.classification.probabilities[predicted];
    Ok(filled(
        TEMPLATE,
        &[
            ("policy", policy(STYLE, SCRIPT)),
            ("title", text(&format!("{label} · {image} · occlude"))),
            ("style", STYLE.to_string()),
            ("heading", text(&format!("Evidence for “{label}”"))),
            (
                "subheading",
                text(&format!("{image}: predicted class of GoogLeNet, probability {probability:.3}")),
            ),
            ("width", width.to_string()),
            ("height", height.to_string()),
            ("alt", text(&format!("The photograph {image}"))),
            ("photograph", photograph(&backdrop)),
            ("top", top(maps, &explanation.labels)),
            ("faithfulness", faithfulness(explanation)),
            ("facts", facts(explanation)),
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
            ("map", script_data(&json::first_maps(explanation, MOST_CLASSES))),
            ("more", script_data(&json::line(&more(explanation, &backdrop, &gradcam, drawing, run)))),
            ("script", SCRIPT.to_string()),
        ],
    ))
}

/// Refuses masks that have no place of their own on a report.
///
/// # Errors
/// [`Error::Option`].
pub fn check(sweep: &Sweep) -> Result<()> {
    if !sweep.inverse && sweep.segments.is_none() {
        return Ok(());
    }
    Err(Error::Option {
        name: "--report",
        found: format!("with {}", if sweep.inverse { "--inverse" } else { "--segments" }),
        expected: "masks that slide over the picture and cover it: a report has one place for each"
            .to_string(),
    })
}

/// The content security policy: only this style, this script and the images in the file.
pub fn policy(style: &str, script: &str) -> String {
    let hash = |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)));
    format!(
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src {}; script-src {}",
        hash(style),
        hash(script)
    )
}

fn photograph(backdrop: &Backdrop) -> String {
    let [height, width] = backdrop.size;
    let bytes = compress(&backdrop.pixels, width, height, PixelFormat::Rgb, JPEG_QUALITY, Subsampling::S444)
        .expect("RGB of this size is a JPEG, and memory can be written");
    format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(&bytes))
}

/// The rows of the table of the most probable classes: class, index, probability.
fn top(maps: &OcclusionMaps, labels: &Labels) -> String {
    let mut rows = String::new();
    for class in maps.classification.top(LISTED) {
        let label = text(&shown(labels.words(class)));
        let probability = maps.classification.probabilities[class];
        write!(
            rows,
            "<tr><th scope=\"row\">{label}</th><td class=\"number\">{class}</td>\
             <td class=\"number\"><data value=\"{probability}\">{probability:.4}</data></td></tr>"
        )
        .expect("writing to a string");
    }
    rows
}

/// The section with the curves of each class; empty without `--faithfulness`.
fn faithfulness(explanation: &Explanation) -> String {
    if explanation.faithfulness.is_empty() {
        return String::new();
    }
    let mut section = "<section aria-labelledby=\"faithfulness-title\">\n<h2 id=\"faithfulness-title\">Faithfulness</h2>\n\
        <p class=\"note\">The most important pixels are covered (deletion) or alone uncovered (insertion), in the order \
        of each map. A map is faithful if the score falls early in deletion and rises early in insertion.</p>\n"
        .to_string();
    for k in 0..explanation.maps.classes.len().min(MOST_CLASSES) {
        let name = text(&shown(&explanation.subject(k)));
        let plots = explanation.faithfulness_plots(k).map(|(kind, plot)| {
            let data = BASE64_STANDARD.encode(plot.encode(Format::Svg));
            let (width, height) = (plot.width, plot.height);
            format!(
                "<img width=\"{width}\" height=\"{height}\" alt=\"{kind} curves of {name}\" \
                 src=\"data:image/svg+xml;base64,{data}\">\n"
            )
        });
        writeln!(section, "<h3>{name}</h3>\n<div class=\"curves\">{}</div>", plots.concat())
            .expect("writing to a string");
    }
    section + "</section>\n\n"
}

/// The inputs and options needed to reproduce the results and to compare them.
fn facts(explanation: &Explanation) -> String {
    let (maps, photograph) = (&explanation.maps, &explanation.photograph);
    let [rows, columns] = maps.grid;
    let [mask_height, mask_width] = maps.mask_size;
    let [down, across] = maps.stride;
    let mask_value = match maps.mask_value {
        MaskValue::Rgb([red, green, blue]) => format!("red {red}, green {green}, blue {blue}"),
        other => fill_in_words(other),
    };
    let form = match maps.channel {
        Some(channel) => format!("{}, only {channel} is covered", maps.shape),
        None => maps.shape.to_string(),
    };
    let region = match maps.region {
        whole if whole == Rect::plane(INPUT_SIDE) => "whole picture".to_string(),
        Rect { y0, x0, y1, x1 } => format!("x {x0} to {}, y {y0} to {}", x1 - 1, y1 - 1),
    };
    let resize = match explanation.resize {
        Resize::Stretch => "both sides resized".to_string(),
        Resize::Matlab => "both sides resized as by MATLAB's imresize".to_string(),
        Resize::CenterCrop => "shorter side resized to 256, central square kept".to_string(),
        Resize::Pad => "longer side resized to 224, the rest filled with the mean colour".to_string(),
        other => other.to_string(),
    };
    let clipping = match maps.mask_clipping {
        true => "on: masks are clipped at the border of the picture",
        false => "off: all masks are completely inside the picture",
    };
    let map = match explanation.aggregate {
        Aggregate::None => "the drop at each mask position",
        Aggregate::Windows => "for each pixel, the mean drop of all masks that cover it",
    };
    let mut list = String::new();
    for (name, value) in [
        ("Photograph", source::shown(&explanation.image)),
        (
            "Size of the photograph",
            format!("{} × {} pixels (width × height)", photograph.width(), photograph.height()),
        ),
        ("SHA-256 of the photograph", explanation.image_sha256.clone()),
        ("Picture", format!("{INPUT_SIDE} × {INPUT_SIDE} pixels, {resize}")),
        ("Network", explanation.network.to_string()),
        ("SHA-256 of the weights", explanation.weights_sha256.clone()),
        ("Mask", format!("{mask_height} × {mask_width} pixels (height × width)")),
        ("Stride", format!("{down} × {across} pixels (vertical × horizontal)")),
        ("Mask content", mask_value),
        ("Form of the mask", form),
        ("Mask clipping", clipping.to_string()),
        ("Region", region),
        ("Mask positions", format!("{} ({rows} rows of {columns})", rows * columns)),
        ("Score", explanation.score_in_words()),
        ("Map", map.to_string()),
        ("Program", format!("occlude {}", env!("CARGO_PKG_VERSION"))),
    ] {
        writeln!(list, "<dt>{name}</dt><dd>{}</dd>", text(&value)).expect("writing to a string");
    }
    if explanation.was_swept() {
        let (isa, threads, seconds) = (&explanation.isa, explanation.threads, explanation.elapsed_seconds);
        write!(
            list,
            "<dt>Processor</dt><dd>{} instructions, {threads} threads</dd>\n<dt>Time of the sweep</dt><dd>{seconds:.2} s</dd>\n",
            text(isa)
        )
        .expect("writing to a string");
    }
    list
}

fn more<'a>(
    explanation: &'a Explanation,
    backdrop: &Backdrop,
    gradcam: &'a GradCam,
    drawing: &Drawing,
    run: [f32; 2],
) -> PageData<'a> {
    let Explanation { maps, labels, placement, .. } = explanation;
    let lattice = explanation.lattice();
    // The ends of the user's scale; otherwise each map has its own.
    let (extent, origin) = drop_extent(drawing, &[], run);
    let [rows, columns] = maps.grid;
    let predicted = maps.classification.best();
    let mapped = maps.classes.iter().take(MOST_CLASSES);
    let occurring = mapped.chain(&maps.argmax).chain([&predicted]);
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
        at_points: *placement == Placement::Centres,
        rows: (0..rows).map(row).collect(),
        columns: (0..columns).map(column).collect(),
        left_out: maps.classes.len().saturating_sub(MOST_CLASSES),
        cautions: (0..gradcam.classes.len())
            .map(|k| {
                let (map, _) = explanation.drops(k);
                let scale = drop_scale(drawing, &map, run);
                explanation.caution(k, &map, scale.limit())
            })
            .collect(),
        gradcam: (0..gradcam.classes.len())
            .map(|k| gradcam.maps.chunks(gradcam.grid[1]).skip(k * gradcam.grid[0]).take(gradcam.grid[0]))
            .map(Iterator::collect)
            .collect(),
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

/// Escapes text for an HTML element or a quoted attribute.
pub fn text(text: &str) -> String {
    let text = escaped(text);
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Escapes JSON for a script element: `</script>` or `<!--` in a string must not end the element.
pub fn script_data(json: &str) -> String {
    json.trim_end().replace('<', r"\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_rfc_4648s() {
        let texts =
            ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| BASE64_STANDARD.encode(text));
        assert_eq!(texts, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
        assert_eq!(BASE64_STANDARD.encode([0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn inserted_text_is_escaped() {
        assert_eq!(text("<b a=\"1\">&\n\u{202e}"), r"&lt;b a=&quot;1&quot;&gt;&amp;\n\u{202e}");
        assert_eq!(script_data("{\"a\":\"</script>\"}\n"), r#"{"a":"\u003c/script>"}"#);
    }
}

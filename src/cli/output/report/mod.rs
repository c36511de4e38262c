//! The page to look around in: one HTML file that holds the photograph, the numbers and what draws them. It loads nothing,
//! and its content security policy forbids it to.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use occlude::network::INPUT_SIDE;
use occlude::network::geometry::Rect;
use occlude::{Feature, GradCam, Labels, MaskValue, OcclusionMaps, Resize, Result, Upsampling};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::cli::args::classes::Classes;
use crate::cli::args::{Aggregate, Common, Drawing, Explain, Size, Sweep};
use crate::cli::explanation::{Explanation, Session};
use crate::cli::output::figures::{OTHER, UNCHANGED};
use crate::cli::output::json;
use crate::cli::output::table::LISTED;
use crate::cli::render::colours::{CATEGORIES, COLOURS, Colours};
use crate::cli::render::page::PHOTO_SIDE;

/// Classes that a report holds at most: what a page can show side by side, and a bound on its size.
pub const MOST_CLASSES: usize = 20;

/// Of 100; a compromise between a small file and one whose photograph shows no blocks.
const JPEG_QUALITY: u8 = 92;

/// Colours of a table, as many as `jet` has.
const STEPS: usize = 256;

const TEMPLATE: &str = include_str!("report.html");
const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// What the page needs besides map.json's object.
#[derive(Serialize)]
struct PageData<'a> {
    /// The most probable class of the whole picture.
    predicted: usize,
    /// Names of all classes that occur.
    labels: BTreeMap<usize, &'a str>,
    /// The part of the picture that the grid is enlarged to: top, left, bottom, right.
    area: [usize; 4],
    rows: Vec<GridLine>,
    columns: Vec<GridLine>,
    /// Mapped classes that the report does not hold.
    left_out: usize,
    /// `[class][7][7]`
    gradcam: Vec<Vec<&'a [f32]>>,
    /// Colours by name.
    tables: BTreeMap<&'static str, ColourTable>,
    /// Of the predicted class, of the others by how often they are seen, and of what remains.
    class_colours: [&'static [[u8; 3]]; 3],
    /// How the map is shown first.
    shown: InitialView,
}

#[derive(Serialize)]
struct ColourTable {
    /// Whether the middle stands for zero.
    symmetric: bool,
    /// From the smallest value's to the largest's.
    colours: Vec<[u8; 3]>,
}

#[derive(Serialize)]
struct InitialView {
    colours: &'static str,
    opacity: f32,
    smooth: bool,
}

/// A row or column of mask positions.
#[derive(Serialize)]
struct GridLine {
    /// The pixel that its masks are centred on.
    centre: usize,
    /// The first pixel that they cover, and one past the last.
    pixels: [usize; 2],
}

/// The file.
///
/// # Errors
/// None that the sweep has not met before.
pub fn page(
    session: &Session,
    explanation: &Explanation,
    common: &Common,
    args: &Explain,
    classes: &Classes,
    path: &Path,
) -> Result<String> {
    let maps = &explanation.maps;
    let held = &maps.classes[..maps.classes.len().min(MOST_CLASSES)];
    let input = explanation.photograph.picture(explanation.resize).input();
    let gradcam = session.net.grad_cam(&session.net.forward(&input), held)?;
    let predicted = maps.classification.best();
    let image = explanation.image.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
    let label = explanation.labels.words(predicted);
    let probability = maps.classification.probabilities[predicted];
    Ok(fill(&[
        ("policy", policy()),
        ("title", text(&format!("{label} · {image} · occlude"))),
        ("style", STYLE.to_string()),
        ("heading", text(&format!("What makes this “{label}”"))),
        ("subheading", text(&format!("{image}: GoogLeNet says so with probability {probability:.3}"))),
        ("side", PHOTO_SIDE.to_string()),
        ("alt", text(&format!("The photograph {image} as the network sees it"))),
        ("photograph", photograph(explanation)),
        ("top", top(maps, &explanation.labels)),
        ("facts", facts(explanation)),
        ("command", text(&command(common, args, classes, path))),
        ("map", script_data(&json::first_maps(explanation, MOST_CLASSES))),
        ("more", script_data(&json::line(&more(maps, &explanation.labels, &gradcam, &args.figures.drawing)))),
        ("script", SCRIPT.to_string()),
    ]))
}

/// The template with each `{{name}}` replaced. What has been put in is not looked at again.
fn fill(values: &[(&str, String)]) -> String {
    let (mut page, mut rest) = (String::new(), TEMPLATE);
    while let Some((before, (name, after))) =
        rest.split_once("{{").and_then(|(before, after)| Some((before, after.split_once("}}")?)))
    {
        let value = values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        page.push_str(before);
        page.push_str(value.expect("the template's names are these"));
        rest = after;
    }
    page + rest
}

/// Only this style and this script, and pictures that are in the file.
fn policy() -> String {
    let hash = |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)));
    format!(
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src {}; script-src {}",
        hash(STYLE),
        hash(SCRIPT)
    )
}

fn photograph(explanation: &Explanation) -> String {
    let rgb = explanation.photograph.square(PHOTO_SIDE, explanation.resize);
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY)
        .encode(&rgb, PHOTO_SIDE as u32, PHOTO_SIDE as u32, ExtendedColorType::Rgb8)
        .expect("RGB of this size is a JPEG, and memory can be written");
    format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(&bytes))
}

/// Rows of a table: class, index, probability.
fn top(maps: &OcclusionMaps, labels: &Labels) -> String {
    let mut rows = String::new();
    for class in maps.classification.top(LISTED) {
        let label = text(labels.words(class));
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

/// What it takes to compute the same again, and to know that it is the same.
fn facts(explanation: &Explanation) -> String {
    let (maps, photograph) = (&explanation.maps, &explanation.photograph);
    let [rows, columns] = maps.grid;
    let [mask_height, mask_width] = maps.mask_size;
    let [down, across] = maps.stride;
    let mask_value = match maps.mask_value {
        MaskValue::Rgb([red, green, blue]) => format!("red {red}, green {green}, blue {blue}"),
        other => other.to_string(),
    };
    let region = match maps.region {
        whole if whole == Rect::plane(INPUT_SIDE) => "whole picture".to_string(),
        Rect { y0, x0, y1, x1 } => format!("x {x0} to {}, y {y0} to {}", x1 - 1, y1 - 1),
    };
    let resize = match explanation.resize {
        Resize::Stretch => "both sides stretched".to_string(),
        Resize::CenterCrop => "shorter side to 256, centre cropped".to_string(),
        other => other.to_string(),
    };
    let clipping = match maps.mask_clipping {
        true => "on: clipped at the picture’s border",
        false => "off: whole masks only",
    };
    let map = match explanation.aggregate {
        Aggregate::None => "the drop at each position",
        Aggregate::Windows => "for each pixel the mean of the drops under all masks that cover it",
    };
    let mut list = String::new();
    for (name, value) in [
        ("Photograph", explanation.image.to_string_lossy().into_owned()),
        ("its size", format!("{} × {} pixels (width × height)", photograph.width(), photograph.height())),
        ("its SHA-256", explanation.image_sha256.clone()),
        ("Network’s picture", format!("{INPUT_SIDE} × {INPUT_SIDE} pixels, {resize}")),
        ("Network", explanation.network.to_string()),
        ("its weights’ SHA-256", explanation.weights_sha256.clone()),
        ("Mask", format!("{mask_height} × {mask_width} pixels (height × width)")),
        ("Stride", format!("{down} × {across} pixels (down × across)")),
        ("Mask value", mask_value),
        ("Mask clipping", clipping.to_string()),
        ("Region", region),
        ("Positions", format!("{} ({rows} rows of {columns})", rows * columns)),
        ("Score", maps.score.to_string()),
        ("Map", map.to_string()),
        ("Program", format!("occlude {}", env!("CARGO_PKG_VERSION"))),
        ("Computed by", format!("{} instructions on {} threads", explanation.isa, explanation.threads)),
        ("Time of the sweep", format!("{:.2} s", explanation.elapsed_seconds)),
    ] {
        writeln!(list, "<dt>{name}</dt><dd>{}</dd>", text(&value)).expect("writing to a string");
    }
    list
}

fn more<'a>(
    maps: &'a OcclusionMaps,
    labels: &'a Labels,
    gradcam: &'a GradCam,
    drawing: &Drawing,
) -> PageData<'a> {
    let [rows, columns] = maps.grid;
    let predicted = maps.classification.best();
    let mapped = maps.classes.iter().take(MOST_CLASSES);
    let occurring = mapped.chain(&maps.argmax).chain([&predicted]);
    let area = maps.area();
    let row = |row| {
        let rect = maps.mask_rect(row, 0);
        GridLine { centre: maps.centre(row, 0)[0], pixels: [rect.y0, rect.y1] }
    };
    let column = |column| {
        let rect = maps.mask_rect(0, column);
        GridLine { centre: maps.centre(0, column)[1], pixels: [rect.x0, rect.x1] }
    };
    PageData {
        predicted,
        labels: occurring.map(|&class| (class, labels.words(class))).collect(),
        area: [area.y0, area.x0, area.y1, area.x1],
        rows: (0..rows).map(row).collect(),
        columns: (0..columns).map(column).collect(),
        left_out: maps.classes.len().saturating_sub(MOST_CLASSES),
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
            colours: COLOURS
                .iter()
                .find(|(_, colours)| *colours == drawing.colours.unwrap_or(Colours::Jet))
                .map_or("jet", |(name, _)| name),
            opacity: drawing.opacity,
            smooth: drawing.upsampling == Upsampling::Bicubic,
        },
    }
}

/// The command line that comes to the same numbers, for a POSIX shell.
pub fn command(common: &Common, args: &Explain, classes: &Classes, report: &Path) -> String {
    // No `..`: an option that is added has to be written here, too.
    let Sweep {
        mask_size,
        stride,
        mask_value,
        mask_clipping,
        region,
        activation,
        aggregate,
        score,
        exhaustive,
    } = &args.sweep;
    let size = |size: &Size| match size {
        Size::Auto => "auto".to_string(),
        Size::Pixels([height, width]) => format!("{height}x{width}"),
    };
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let image = path(&args.image);
    // What begins with a hyphen would be an option.
    let image = if image.starts_with('-') { format!("./{image}") } else { image };
    let mut words = vec!["occlude".to_string(), "explain".to_string(), image];
    let mut option = |name: &str, value: String| {
        words.push(if value.starts_with('-') { format!("{name}={value}") } else { name.to_string() });
        if !value.starts_with('-') {
            words.push(value);
        }
    };
    if let Some(weights) = &common.weights {
        option("--weights", path(weights));
    }
    if let Some(labels) = &common.labels {
        option("--labels", path(labels));
    }
    option("--resize", common.resize.to_string());
    option("--classes", classes.to_string());
    option("--mask-size", size(mask_size));
    option("--stride", size(stride));
    option("--mask-value", mask_value.to_string());
    option("--mask-clipping", if *mask_clipping { "on" } else { "off" }.to_string());
    option("--score", score.to_string());
    if let Some(Rect { y0, x0, y1, x1 }) = region {
        option("--region", format!("{y0},{x0},{y1},{x1}"));
    }
    for Feature { layer, channel } in activation {
        let channel = channel.map_or("strongest".to_string(), |channel| channel.to_string());
        option("--activation", format!("{layer}:{channel}"));
    }
    if *aggregate == Aggregate::Windows {
        option("--aggregate", "windows".to_string());
    }
    option("--report", path(report));
    if args.faithfulness {
        words.push("--faithfulness".to_string());
    }
    if *exhaustive {
        words.push("--exhaustive".to_string());
    }
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A word as a POSIX shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_string();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Text for an element or a quoted attribute.
fn text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// JSON that no `</script>` or `<!--` in one of its strings can end.
fn script_data(json: &str) -> String {
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
    fn a_shell_reads_back_what_was_quoted() {
        assert_eq!(quoted("a/b-c_1.jpg"), "a/b-c_1.jpg");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quoted("ä b"), "'ä b'");
    }

    #[test]
    fn nothing_breaks_out_of_its_place() {
        assert_eq!(text(r#"<b a="1">&"#), "&lt;b a=&quot;1&quot;&gt;&amp;");
        assert_eq!(script_data("{\"a\":\"</script>\"}\n"), r#"{"a":"\u003c/script>"}"#);
    }
}

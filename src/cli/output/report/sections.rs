//! The sections of a report whose contents are written here, not by the script of the page.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};
use occlude::network::INPUT_SIDE;
use occlude::network::geometry::Rect;
use occlude::text::shown;
use occlude::{Labels, MaskValue, OcclusionMaps, Resize, Score};

use super::escape::text;
use crate::cli::args::Sweep;
use crate::cli::explanation::{Explanation, fill_in_words};
use crate::cli::masks::SegmentsChoice;
use crate::cli::output::pairs::links_in_words;
use crate::cli::output::subject::Subjects;
use crate::cli::output::table::{self, LISTED, counted};
use crate::cli::render::backdrop::{Backdrop, CanvasShape};
use crate::cli::render::canvas::Format;
use crate::cli::source;

/// The largest number of classes in a report. It limits the number of maps on the page and its
/// size.
const MOST_CLASSES: usize = 20;

/// JPEG quality, of 100. A lower quality shows blocks; a higher quality makes the file larger.
const JPEG_QUALITY: u8 = 92;

/// The longest side of the photograph below the links of pairs: that of the largest photograph on a page.
const LINKED: usize = 3 * INPUT_SIDE;

/// The places among the mapped classes of those that a report holds: all, or of more than [`MOST_CLASSES`]
/// the most probable, the most probable first.
pub fn held(maps: &OcclusionMaps) -> Vec<usize> {
    if maps.classes.len() <= MOST_CLASSES {
        return (0..maps.classes.len()).collect();
    }
    let ranked = maps.classification.top(maps.classification.probabilities.len()).into_iter();
    ranked.filter_map(|class| maps.classes.iter().position(|&c| c == class)).take(MOST_CLASSES).collect()
}

/// A picture, `[height][width][3]`, as an address that holds its file.
pub fn picture([height, width]: [usize; 2], pixels: &[u8]) -> String {
    let bytes = compress(pixels, width, height, PixelFormat::Rgb, JPEG_QUALITY, Subsampling::S444)
        .expect("RGB of this size is a JPEG, and memory can be written");
    format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(&bytes))
}

/// The rows of the table of the most probable classes: class, index, probability.
pub fn top(maps: &OcclusionMaps, labels: &Labels) -> String {
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

/// The section with the curves of the classes in `held`; empty without `--faithfulness`.
pub fn faithfulness(explanation: &Explanation, held: &[usize]) -> String {
    if explanation.faithfulness.is_empty() {
        return String::new();
    }
    let mut section = "<section aria-labelledby=\"faithfulness-title\">\n<h2 id=\"faithfulness-title\">Faithfulness</h2>\n\
        <p class=\"note\">The most important pixels are covered (deletion) or alone uncovered (insertion), in the order \
        of each map. A map is faithful if the score falls early in deletion and rises early in insertion.</p>\n"
        .to_string();
    for &k in held {
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
pub fn facts(explanation: &Explanation, sweep: &Sweep) -> String {
    let (maps, photograph) = (&explanation.maps, &explanation.photograph);
    let mask_value = match maps.mask_value {
        MaskValue::Rgb([red, green, blue]) => format!("red {red}, green {green}, blue {blue}"),
        other => fill_in_words(other),
    };
    let whole = if maps.segments.is_some() { "the part" } else { "the mask" };
    let covered = match maps.inverse {
        true => format!("everything except {whole}"),
        false => whole.to_string(),
    };
    let covered = match maps.channel {
        Some(channel) => format!("{covered}, only in {channel}"),
        None => covered,
    };
    let resize = match explanation.resize {
        Resize::Stretch => "both sides resized".to_string(),
        Resize::Matlab => "both sides resized as by MATLAB's imresize".to_string(),
        Resize::CenterCrop => "shorter side resized to 256, central square kept".to_string(),
        Resize::Pad => "longer side resized to 224, the rest filled with the mean colour".to_string(),
        other => other.to_string(),
    };
    let mut list = String::new();
    let mut facts = vec![
        ("Photograph", source::shown(&explanation.image)),
        (
            "Size of the photograph",
            format!("{} × {} pixels (width × height)", photograph.width(), photograph.height()),
        ),
        ("SHA-256 of the photograph", explanation.image_sha256.clone()),
        ("Picture", format!("{INPUT_SIDE} × {INPUT_SIDE} pixels, {resize}")),
        ("Network", explanation.network.to_string()),
        ("SHA-256 of the weights", explanation.weights_sha256.clone()),
    ];
    facts.extend(positions(maps, sweep.segments.as_ref()));
    facts.extend([
        ("Mask content", mask_value),
        ("Covered", covered),
        ("Score", explanation.score_in_words()),
        ("Map", explanation.drop_in_words()),
        ("Program", format!("occlude {}", env!("CARGO_PKG_VERSION"))),
    ]);
    for (name, value) in facts {
        writeln!(list, "<dt>{name}</dt><dd>{}</dd>", text(&value)).expect("writing to a string");
    }
    if explanation.was_swept() {
        let (isa, threads, seconds) = (&explanation.isa, explanation.threads, explanation.elapsed_seconds);
        write!(
            list,
            "<dt>Processor</dt><dd>{} instructions, {}</dd>\n<dt>Time of the sweep</dt><dd>{seconds:.2} s</dd>\n",
            text(isa),
            counted(threads, "thread")
        )
        .expect("writing to a string");
    }
    list
}

/// The facts about the masks that a sweep has one value for each: those of a grid, or the parts.
fn positions(maps: &OcclusionMaps, choice: Option<&SegmentsChoice>) -> Vec<(&'static str, String)> {
    let [rows, columns] = maps.grid;
    if let Some(choice) = choice {
        let parts = match choice {
            SegmentsChoice::Slic(_) => format!("{columns} superpixels"),
            SegmentsChoice::File(file) => format!("{columns}, by the numbers of {}", source::shown(file)),
        };
        return vec![("Parts", parts)];
    }
    let [mask_height, mask_width] = maps.mask_size;
    let [down, across] = maps.stride;
    let clipping = match maps.mask_clipping {
        true => "on: masks are clipped at the border of the picture",
        false => "off: all masks are completely inside the picture",
    };
    let region = match maps.region {
        whole if whole == Rect::plane(INPUT_SIDE) => "whole picture".to_string(),
        Rect { y0, x0, y1, x1 } => format!("x {x0} to {}, y {y0} to {}", x1 - 1, y1 - 1),
    };
    vec![
        ("Mask", format!("{mask_height} × {mask_width} pixels (height × width)")),
        ("Form of the mask", maps.shape.to_string()),
        ("Stride", format!("{down} × {across} pixels (vertical × horizontal)")),
        ("Mask clipping", clipping.to_string()),
        ("Region", region),
        ("Mask positions", format!("{} ({rows} rows of {columns})", rows * columns)),
    ]
}

/// The table that the script fills with the strongest parts; empty without parts.
pub fn strongest(maps: &OcclusionMaps, [_, covered, change]: [&str; 3]) -> String {
    if maps.segments.is_none() {
        return String::new();
    }
    format!(
        "<section class=\"scripted strongest\" aria-labelledby=\"strongest-title\" hidden>\n\
         <h2 id=\"strongest-title\">Strongest parts: <span id=\"strongest-class\"></span></h2>\n\
         <table>\n<thead><tr><th scope=\"col\">Part</th><th scope=\"col\" class=\"number\">Pixels</th>\
         <th scope=\"col\" class=\"number\">{covered}</th><th scope=\"col\" class=\"number\">{change}</th></tr></thead>\n\
         <tbody id=\"strongest\"></tbody>\n</table>\n</section>\n\n"
    )
}

/// The section with the Grad-CAM map of each class, which the script draws beside the map; empty for a score that
/// is of no class.
pub fn gradcam(maps: &OcclusionMaps) -> String {
    if !maps.score.is_of_class() {
        return String::new();
    }
    let other = match maps.score {
        Score::Probability => "",
        _ => " The map beside it is of another score.",
    };
    format!(
        "<section class=\"scripted\" aria-labelledby=\"gradcam-title\" hidden>\n\
         <h2 id=\"gradcam-title\">Comparison with Grad-CAM: <span id=\"pair-class\"></span></h2>\n\
         <p class=\"note\">Grad-CAM uses no mask. It computes the gradient of the probability at the last convolutions, \
         which have 7×7 positions, and shows only evidence for the class. The two maps have different scales.{other}</p>\n\
         <div class=\"multiples pair\">\n\
         <figure><canvas id=\"pair-occlusion\" role=\"img\"></canvas><figcaption>Occlusion</figcaption></figure>\n\
         <figure><canvas id=\"pair-gradcam\" role=\"img\"></canvas><figcaption id=\"gradcam-caption\"></figcaption></figure>\n\
         </div>\n</section>\n\n"
    )
}

/// The section with the interactions of the strongest places of the classes in `held`; empty without `--pairs`.
pub fn pairs(explanation: &Explanation, held: &[usize], shape: CanvasShape) -> String {
    if explanation.pairs.is_empty() {
        return String::new();
    }
    let backdrop = Backdrop::of_longest(&explanation.photograph, explanation.resize, shape, LINKED);
    let mut section = format!(
        "<section aria-labelledby=\"pairs-title\">\n<h2 id=\"pairs-title\">Pairs of places</h2>\n\
         <p class=\"note\">The strongest places of a map are covered in every combination. {}.</p>\n",
        links_in_words().map(|words| upper(&words)).join(". ")
    );
    for &k in held {
        let Some(table) = explanation.pairs_table(k) else { continue };
        let name = text(&shown(&explanation.subject(k)));
        let heading = upper(&table.heading);
        write!(section, "<h3>{name}</h3>\n<p>{heading}.</p>\n").expect("writing to a string");
        let Some(links) = explanation.links(&backdrop, k) else { continue };
        let [height, width] = backdrop.size;
        let picture = picture(backdrop.size, links.alone().pixels().as_raw());
        let places = table.places.iter().enumerate().map(|(i, ([y, x], single))| {
            format!("<tr><th scope=\"row\">{}</th><td>x {x}, y {y}</td>{}</tr>\n", i + 1, number(*single))
        });
        let pairs = table.pairs.iter().map(|([i, j], values)| {
            let cells: String = values.iter().map(|value| number(*value)).collect();
            format!("<tr><th scope=\"row\">{} and {}</th>{cells}</tr>\n", i + 1, j + 1)
        });
        write!(
            section,
            "<div class=\"linked\">\n<img width=\"{width}\" height=\"{height}\" \
             alt=\"The strongest places of {name} with links between them\" src=\"{picture}\">\n<div>\n\
             <table class=\"places\">\n<thead><tr><th scope=\"col\">Place</th><th scope=\"col\">Centre of the mask</th>\
             <th scope=\"col\" class=\"number\">Drop alone</th></tr></thead>\n<tbody>{}</tbody>\n</table>\n\
             <table class=\"pairs\">\n<thead><tr><th scope=\"col\">Pair</th><th scope=\"col\" class=\"number\">Drop of both</th>\
             <th scope=\"col\" class=\"number\">Missed by the sum</th><th scope=\"col\" class=\"number\">Shapley-Taylor index</th>\
             </tr></thead>\n<tbody>{}</tbody>\n</table>\n<p class=\"note\">{}.</p>\n</div>\n</div>\n",
            places.collect::<String>(),
            pairs.collect::<String>(),
            upper(&table.sums)
        )
        .expect("writing to a string");
    }
    section + "</section>\n\n"
}

/// A cell with a difference of scores, which keeps the exact value for programs.
fn number(value: f64) -> String {
    let text = table::drop(value as f32).replace('-', "−");
    format!("<td class=\"number\"><data value=\"{value}\">{text}</data></td>")
}

/// A text as the beginning of a sentence on the page.
pub fn upper(words: &str) -> String {
    let words = words.replace(" -", " −");
    words[..1].to_uppercase() + &words[1..]
}

/// The section with the mean of the maps with other masks, which the script draws; empty without
/// `--robust`.
pub fn robust(explanation: &Explanation) -> String {
    let Some(survey) = explanation.survey(0) else { return String::new() };
    let (all, hatched) = (explanation.robust.len(), explanation.hatched_in_words(&survey));
    format!(
        "<section class=\"scripted\" id=\"robust-section\" aria-labelledby=\"robust-title\" hidden>\n\
         <h2 id=\"robust-title\">With other masks: <span id=\"robust-class\"></span></h2>\n\
         <p id=\"survivors\"></p>\n\
         <div class=\"multiples pair\"><figure><canvas id=\"robust-mean\" role=\"img\"></canvas>\
         <figcaption>Mean of {all} maps, each divided by its largest magnitude; {hatched}</figcaption></figure></div>\n\
         <div class=\"bar\" id=\"robust-bar\"></div>\n\
         <h3>The {all} maps</h3>\n<p class=\"note\">Each has a scale of its own.</p>\n\
         <div class=\"multiples\" id=\"robust-maps\"></div>\n</section>\n\n"
    )
}

//! The page of a batch, `--report`: one HTML file with a small picture of each map, all on one scale,
//! which links to the reports of the photographs. It is made at the end, from the stored scores and rows.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Component, Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};
use occlude::text::shown;
use occlude::{Error, Result};
use serde::Serialize;

use super::job::BatchJob;
use super::measures::{self, Mean};
use super::record::Recipe;
use super::row::{Mapped, Status, SummaryRow};
use crate::cli::args::{Batch, Common, Drawing, Explain, Pool, Robust, ScaleChoice};
use crate::cli::explanation::Explanation;
use crate::cli::output::figures::drop_scale;
use crate::cli::output::files::{self, folder_of};
use crate::cli::output::json;
use crate::cli::output::report;
use crate::cli::output::report::escape::{policy, script_data, text};
use crate::cli::output::report::template::filled;
use crate::cli::photographs::PhotographFile;
use crate::cli::render::backdrop::Backdrop;
use crate::cli::render::map::Overlay;
use crate::cli::render::scale::{Scale, range, readable};
use crate::cli::terminal::interrupt;

/// The name of the report in the folder of a photograph.
const REPORT: &str = "report.html";

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = concat!(include_str!("../../output/report/common.js"), include_str!("page.js"));

/// The longest sides and the JPEG qualities of small pictures, the best first.
const FORMS: [(usize, u8); 6] = [(168, 75), (168, 60), (168, 45), (128, 45), (128, 30), (96, 25)];
/// The size of a small picture in bytes that decides, so that the page of 1000 photographs stays below
/// 10 MB. Base64 makes it a third larger.
const MOST_BYTES: usize = 4500;

/// Colours of the bar that shows the scale.
const STOPS: usize = 33;

/// A photograph on the page.
#[derive(Serialize)]
struct Row<'a> {
    answer: &'a str,
    /// True if the answer is not the class that `--classes-from` tells.
    wrong: bool,
    /// The values of the keys.
    values: Vec<Option<f32>>,
}

#[derive(Serialize)]
struct Data<'a> {
    /// The words of the numbers by which photographs are sorted.
    keys: Vec<String>,
    rows: Vec<Row<'a>>,
}

/// The place and the options of the page.
pub struct Page<'a> {
    pub path: &'a Path,
    pub common: &'a Common,
}

/// Refuses a path that is a photograph's.
///
/// # Errors
/// [`Error::Option`]; those of [`files::check_apart`].
pub fn check(path: &Path, photographs: &[PhotographFile]) -> Result<()> {
    files::check_apart(path)?;
    match path.exists() && photographs.iter().any(|file| files::is_same(path, &file.path)) {
        true => Err(Error::Option {
            name: "--report",
            found: path.display().to_string(),
            expected: "a file other than the photographs".to_string(),
        }),
        false => Ok(()),
    }
}

impl BatchJob<'_> {
    /// Writes the page, and the report of each photograph that has none yet. The row of a photograph that
    /// cannot be drawn becomes that of a failure.
    ///
    /// # Errors
    /// [`Error::Cancelled`]; [`Error::Io`] for the page.
    pub fn write_page(
        &self,
        page: &Page,
        photographs: &[PhotographFile],
        rows: &mut [SummaryRow],
    ) -> Result<()> {
        let ends: Vec<f32> =
            rows.iter().flat_map(|row| &row.classes).flat_map(|class| [class.min, class.max]).collect();
        let run = range(&ends);
        let drawing = &self.args.figures.drawing;
        let drawing = match drawing.scale {
            ScaleChoice::Value(_) => drawing.clone(),
            _ => Drawing { scale: ScaleChoice::Shared, ..drawing.clone() },
        };
        let scale = drop_scale(&drawing, &[], run);
        let has_classes = self.args.classes_from.is_some();
        let mut cards = String::new();
        let mut meaning = [String::new(), scale.meaning().to_string()];
        for (at, (file, row)) in photographs.iter().zip(&mut *rows).enumerate() {
            interrupt::check()?;
            self.bar.show_drawn(at, photographs.len());
            if row.status == Status::Failed {
                continue;
            }
            match self.drawn(page, file, run) {
                Ok(explanation) => {
                    let link = link(page.path, &self.folder(file).join(REPORT));
                    cards += &card(row, &link, &explanation, (&drawing, &scale), has_classes);
                    let pale = explanation.pale_in_words().replacen(';', ",", 1);
                    let drops = format!("{}{pale}", explanation.drop_in_words());
                    meaning = [drops, explanation.colours_in_words(&scale)];
                }
                Err(error) => *row = self.fail(file, &error),
            }
        }
        files::write_apart(page.path, self.html(rows, &cards, &meaning, &scale).as_bytes())
    }

    /// The explanation of a photograph, of which a report is written if there is none.
    fn drawn(&self, page: &Page, file: &PhotographFile, run: [f32; 2]) -> Result<Explanation> {
        let (record, mut contents, explanation) = self.restored(file)?;
        // On a shared scale, the report depends on the other photographs.
        let is_shared = self.args.figures.drawing.scale == ScaleChoice::Shared;
        if is_shared || !record.names().any(|name| name == REPORT) {
            let folder = self.folder(file);
            let question = self.question(file);
            let args = Explain {
                images: vec![file.path.clone()],
                classes: Vec::new(),
                faithfulness: false,
                pairs: None,
                robust: Robust { robust: false, robust_size: Vec::new(), robust_fill: Vec::new() },
                progressive: false,
                pool: Pool { threads: None },
                out: folder.clone(),
                report: None,
                json: false,
                arrays: self.args.arrays.clone(),
                sweep: self.args.sweep.clone(),
                figures: self.args.figures.clone(),
            };
            let paths = [folder.as_path(), &folder.join(REPORT)];
            let html = report::page(self.session, &explanation, page.common, &args, &question, run, paths)?;
            contents.retain(|(name, _)| name != REPORT);
            contents.push((REPORT.to_string(), html.into_bytes()));
            self.store(file, contents, &record.row, record.shared)?;
        }
        Ok(explanation)
    }

    /// The page. `meaning` are the meanings of the values and of the colours.
    fn html(
        &self,
        rows: &[SummaryRow],
        cards: &str,
        [meaning, colours]: &[String; 2],
        scale: &Scale,
    ) -> String {
        let done = || rows.iter().filter(|row| row.status == Status::Done);
        let style = report::STYLE.to_string() + STYLE;
        let count = done().count();
        let heading = if count == 1 { "1 photograph".to_string() } else { format!("{count} photographs") };
        let colours = colours[..1].to_uppercase() + &colours[1..];
        let data = data(self.recipe, done(), self.args);
        filled(
            TEMPLATE,
            &[
                ("policy", policy(&style, SCRIPT)),
                ("title", text(&format!("{heading} · occlude"))),
                ("style", style),
                ("heading", heading),
                ("network", text(&self.session.network)),
                ("meaning", text(meaning)),
                ("colours", text(&colours)),
                ("bar", bar(scale)),
                ("low", readable(scale.low)),
                ("high", readable(scale.high)),
                ("cards", cards.to_string()),
                ("failed", failed(rows)),
                ("means", means(&self.recipe.options, &measures::means(&self.recipe.options, rows))),
                ("data", script_data(&json::line(&data))),
                ("script", SCRIPT.to_string()),
            ],
        )
    }
}

fn data<'a>(recipe: &Recipe, rows: impl Iterator<Item = &'a SummaryRow>, args: &Batch) -> Data<'a> {
    let columns = measures::columns_in_words(&recipe.options);
    let has_classes = args.classes_from.is_some();
    let change = if args.sweep.inverse { "gain" } else { "drop" };
    let masks = if args.sweep.segments.is_some() { "parts" } else { "masks" };
    let mut keys = vec![
        format!("largest {change}"),
        "confidence of the answer".to_string(),
        format!("share of {masks} that change the answer"),
    ];
    keys.extend(columns.iter().map(|(_, words)| words.clone()));
    let row = |row: &'a SummaryRow| {
        let class = row.classes.first();
        let mut values = vec![class.map(|class| class.max), Some(row.top[0].probability), row.changed_share];
        values.extend(columns.iter().map(|(name, _)| class?.measures.get(name).copied()));
        Row { answer: &row.top[0].label, wrong: has_classes && is_wrong(row), values }
    };
    Data { keys, rows: rows.map(row).collect() }
}

/// True if the answer is not the first mapped class.
fn is_wrong(row: &SummaryRow) -> bool {
    row.classes.first().and_then(|class| class.index).is_some_and(|index| index != row.top[0].index)
}

/// The element of a photograph. With `has_classes`, the mapped class is the one that it should have.
fn card(
    row: &SummaryRow,
    link: &str,
    explanation: &Explanation,
    (drawing, scale): (&Drawing, &Scale),
    has_classes: bool,
) -> String {
    let (path, answer) = (text(&shown(&row.path)), &row.top[0]);
    let Mapped { label, max, .. } = &row.classes[0];
    let mapped = text(&shown(label));
    let (map, lattice) = explanation.drops(0);
    let overlay = Overlay { map: &map, lattice, upsampling: drawing.upsampling, opacity: drawing.opacity };
    let ([height, width], picture) = picture(explanation, drawing, &overlay, scale);
    let mut html = format!(
        "<li><a href=\"{link}\"><img width=\"{width}\" height=\"{height}\" loading=\"lazy\" decoding=\"async\" \
         alt=\"The map of {mapped}\" src=\"data:image/jpeg;base64,{picture}\"><span class=\"name\">{path}</span></a>"
    );
    let class = if has_classes && is_wrong(row) { "answer wrong" } else { "answer" };
    write!(html, "<span class=\"{class}\">{} {:.3}</span>", text(&shown(&answer.label)), answer.probability)
        .expect("writing to a string");
    if *label != answer.label {
        write!(html, "<span>map of {mapped}</span>").expect("writing to a string");
    }
    let changed = 100.0 * row.changed_share.unwrap_or(0.0);
    let change = if explanation.maps.inverse { "gain" } else { "drop" };
    let mask = explanation.mask_name();
    writeln!(
        html,
        "<span class=\"value\">{change} {}; {changed:.0} % of the {mask}s change the answer</span>\
         <span class=\"value more\"></span></li>",
        readable(*max)
    )
    .expect("writing to a string");
    html
}

/// A small picture with a map, its height and width, and its JPEG file in base64.
fn picture(
    explanation: &Explanation,
    drawing: &Drawing,
    overlay: &Overlay,
    scale: &Scale,
) -> ([usize; 2], String) {
    let (photograph, resize, shape) = (&explanation.photograph, explanation.resize, drawing.canvas.shape);
    let mut smallest = ([0; 2], Vec::new());
    for (longest, quality) in FORMS {
        let backdrop = Backdrop::of_longest(photograph, resize, shape, longest);
        let [height, width] = backdrop.size;
        let pixels = overlay.over(&backdrop, scale);
        let bytes = compress(&pixels, width, height, PixelFormat::Rgb, quality, Subsampling::S420)
            .expect("RGB of this size is a JPEG, and memory can be written");
        smallest = ([height, width], bytes);
        if smallest.1.len() <= MOST_BYTES {
            break;
        }
    }
    (smallest.0, BASE64_STANDARD.encode(&smallest.1))
}

/// The colours of the scale as the address of a picture.
fn bar(scale: &Scale) -> String {
    let stop = |i: usize| {
        let at = i as f32 / (STOPS - 1) as f32;
        let [red, green, blue] = scale.colours.at(at);
        format!("<stop offset=\"{at}\" stop-color=\"rgb({red},{green},{blue})\"/>")
    };
    let stops: String = (0..STOPS).map(stop).collect();
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"480\" height=\"14\" preserveAspectRatio=\"none\" viewBox=\"0 0 1 1\">\
         <linearGradient id=\"a\">{stops}</linearGradient><rect width=\"1\" height=\"1\" fill=\"url(#a)\"/></svg>"
    );
    format!("data:image/svg+xml;base64,{}", BASE64_STANDARD.encode(svg))
}

/// The photographs that failed; empty if there are none.
fn failed(rows: &[SummaryRow]) -> String {
    let failed = rows.iter().filter_map(|row| Some((&row.path, row.error.as_ref()?)));
    let items: String = failed
        .map(|(path, error)| format!("<li>{}: {}</li>\n", text(&shown(path)), text(&shown(error))))
        .collect();
    match items.is_empty() {
        true => items,
        false => format!(
            "<section>\n<h2>Photographs that failed</h2>\n<ul class=\"note\">\n{items}</ul>\n</section>\n"
        ),
    }
}

/// The table of the means; empty if there are none.
fn means(options: &BTreeMap<String, String>, means: &BTreeMap<String, Mean>) -> String {
    let rows = measures::table(options, means);
    let Some((head, rows)) = rows.split_first() else { return String::new() };
    let cells = |cells: &[String; 4], of: &str| -> String {
        let [name, numbers @ ..] = cells;
        let numbers = numbers.iter().map(|cell| format!("<{of} class=\"number\">{}</{of}>", text(cell)));
        format!("<tr><th scope=\"row\">{}</th>{}</tr>\n", text(name), numbers.collect::<String>())
    };
    let body: String = rows.iter().map(|row| cells(row, "td")).collect();
    format!(
        "<section>\n<h2>Means over the photographs</h2>\n<div class=\"scroll\"><table>\n<thead>{}</thead>\n<tbody>{body}</tbody>\n\
         </table></div>\n</section>\n",
        cells(head, "th")
    )
}

/// The address of a file on a page in another place: a relative path, if there is one.
fn link(page: &Path, to: &Path) -> String {
    let place = |path: &Path| {
        let folder = folder_of(path);
        let full = folder.canonicalize().or_else(|_| std::path::absolute(folder));
        full.unwrap_or_else(|_| folder.to_path_buf())
    };
    let (from, folder) = (place(page), place(to));
    let shared = from.components().zip(folder.components()).take_while(|(a, b)| a == b).count();
    let mut path: PathBuf = from.components().skip(shared).map(|_| Component::ParentDir).collect();
    path.extend(folder.components().skip(shared));
    path.push(to.file_name().unwrap_or_default());
    let encoded = |part: Component| -> String {
        let byte = |byte: &u8| match byte {
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) => char::from(*byte).to_string(),
            byte => format!("%{byte:02X}"),
        };
        part.as_os_str().as_encoded_bytes().iter().map(byte).collect()
    };
    path.components().map(encoded).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_relative_and_encoded() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for made in ["out/a b", "pages"] {
            std::fs::create_dir_all(at(made)).unwrap();
        }
        for (page, expected) in [
            ("out/index.html", "a%20b/report.html"),
            ("index.html", "out/a%20b/report.html"),
            ("pages/x.html", "../out/a%20b/report.html"),
            ("pages/../out/x.html", "a%20b/report.html"),
        ] {
            assert_eq!(link(&at(page), &at("out/a b/report.html")), expected, "{page}");
        }
    }
}

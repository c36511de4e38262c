//! The figure of one class: the evidence on the photograph, the part that keeps the class, and the
//! part that loses it, with the words for all outcomes.

use occlude::network::geometry::Rect;
use occlude::network::{INPUT_SIDE, MEAN_BGR};
use occlude::{Classification, Region as Pixels, RegionPart, Result, Threshold};

use super::{ClassRegions, Placed, Searched, percent};
use crate::cli::args::Region;
use crate::cli::explanation::{Explanation, fill_in_words};
use crate::cli::output::figures::sizes;
use crate::cli::output::subject::Subjects;
use crate::cli::output::table::counted;
use crate::cli::render::backdrop::Backdrop;
use crate::cli::render::canvas::Canvas;
use crate::cli::render::regions::{self, RegionPanel, panel_size};
use crate::cli::render::scale::readable;
use crate::cli::render::text::mix;

pub const NOT_KEPT: &str = "no part makes it the predicted class";
pub const KEPT_BY_NOTHING: &str = "predicted for the covered picture";
pub const NOT_LOST: &str = "predicted whatever is covered";
pub const LOST_ALREADY: &str = "not predicted for the whole picture";

/// Shade over the pixels without evidence.
const SHADE: [u8; 3] = [0; 3];
const SHADED: f32 = 0.4;

/// A photograph in the size of a panel, for the figures of all classes.
pub struct Panel {
    photograph: Backdrop,
    /// The covered picture in the same size; `None` for pixels that the network does not see.
    covered: Vec<Option<[u8; 3]>>,
}

impl Panel {
    /// # Errors
    /// The errors of [`occlude::MaskValue::covered`]; none after a successful sweep.
    pub fn new(explanation: &Explanation) -> Result<Panel> {
        let (photograph, resize) = (&explanation.photograph, explanation.resize);
        let size = panel_size([photograph.height(), photograph.width()]);
        let backdrop = Backdrop::of_size(photograph, resize, size);
        let covered = explanation.maps.mask_value.covered(&photograph.picture(resize).input())?;
        let inside = |&place: &f64| (0.0..INPUT_SIDE as f64).contains(&place).then_some(place as usize);
        let level = |y: usize, x: usize| {
            let pixel = &covered.values()[(y * INPUT_SIDE + x) * 3..][..3];
            std::array::from_fn(|c| (pixel[2 - c] + MEAN_BGR[2 - c]).round() as u8)
        };
        let [rows, columns] = [0, 1].map(|axis| backdrop.places(axis).iter().map(inside).collect::<Vec<_>>());
        let at = |row: &Option<usize>, column: &Option<usize>| row.zip(*column).map(|(y, x)| level(y, x));
        let covered = rows.iter().flat_map(|row| columns.iter().map(|column| at(row, column)));
        let covered = covered.collect();
        Ok(Panel { photograph: backdrop, covered })
    }

    /// The photograph with a colour for each pixel, by whether it is in the region.
    fn pixels(&self, region: &Pixels, colour: impl Fn(bool, [u8; 3], [u8; 3]) -> [u8; 3]) -> Vec<u8> {
        let width = region.size()[1];
        let places = each(self.photograph.size, region.size());
        let pixels = self.photograph.pixels.as_chunks::<3>().0.iter().zip(&self.covered).zip(places);
        pixels
            .flat_map(|((&pixel, covered), [y, x])| match covered {
                Some(covered) => colour(region.pixels()[y * width + x], pixel, *covered),
                None => pixel,
            })
            .collect()
    }
}

/// For each pixel of the panel, the pixel of the photograph at its middle.
fn each([height, width]: [usize; 2], photograph: [usize; 2]) -> impl Iterator<Item = [usize; 2]> {
    let at = move |axis: usize, at: usize| (2 * at + 1) * photograph[axis] / (2 * [height, width][axis]);
    (0..height).flat_map(move |y| (0..width).map(move |x| [at(0, y), at(1, x)]))
}

/// Draws the figure.
pub fn draw(explanation: &Explanation, panel: &Panel, regions: &ClassRegions, args: &Region) -> Canvas {
    let (maps, labels, class) = (&explanation.maps, &explanation.labels, regions.class);
    let said = |said: &Classification| {
        let scores = maps.score.outputs(said);
        let best = said.best();
        let scored = |class: usize| (labels.short(class).to_string(), readable(scores[class]));
        if best == class { vec![scored(class)] } else { vec![scored(best), scored(class)] }
    };
    // A line without a score.
    let words = |text: String| vec![(text, String::new())];
    let evidence = &regions.evidence;
    let first = RegionPanel {
        caption: "Evidence".to_string(),
        notes: match evidence.parts.first() {
            Some(part) => {
                let Rect { y0, x0, y1, x1 } = part.bounds;
                let share = percent(evidence.region.share());
                let boxed = if evidence.parts.len() == 1 { "box" } else { "largest" };
                [
                    words(format!("{share} of the photograph in {}", counted(evidence.parts.len(), "part"))),
                    words(format!("{boxed}: {}×{} px at x {x0}, y {y0}", x1 - x0, y1 - y0)),
                ]
            }
            None => [words("no evidence for the class".to_string()), Vec::new()],
        },
        pixels: panel.pixels(
            &evidence.region,
            |inside, pixel, _| {
                if inside { pixel } else { mix(pixel, SHADE, SHADED) }
            },
        ),
        contours: contours(evidence),
        boxes: evidence.parts.iter().map(|part| shares_of(part, &evidence.region)).collect(),
    };
    let searched = |found: &Option<Searched>, keeps: bool, none: &str, nothing: &str| {
        let does = if keeps { "keeps" } else { "loses" };
        let caption = format!("Smallest part that {does} the class");
        let Some(found) = found else {
            let caption = format!("No part {does} the class");
            let pixels = panel.photograph.pixels.clone();
            let notes = [words(none.to_string()), Vec::new()];
            return RegionPanel { caption, notes, pixels, contours: Vec::new(), boxes: Vec::new() };
        };
        let Searched { placed, part } = found;
        let answer = said(if keeps { &part.alone } else { &part.without });
        RegionPanel {
            caption,
            notes: match found.picture_share() == 0.0 {
                true => [words(nothing.to_string()), answer],
                false if keeps => [answer, words(format!("with only {}", found.size()))],
                false => [answer, words(format!("without {}", found.size()))],
            },
            pixels: panel.pixels(
                &placed.region,
                |inside, pixel, covered| {
                    if inside == keeps { pixel } else { covered }
                },
            ),
            contours: contours(placed),
            boxes: Vec::new(),
        }
    };
    let panels = [
        first,
        searched(&regions.keeping, true, NOT_KEPT, KEPT_BY_NOTHING),
        searched(&regions.losing, false, NOT_LOST, LOST_ALREADY),
    ];
    let level = match (regions.level, args.threshold) {
        (None, _) => "no mask lowers the score of the class".to_string(),
        (Some(level), threshold) => {
            let of = match threshold {
                Threshold::Share(share) => format!("{} of the maximum", percent(share).replace(".0 ", " ")),
                _ => "Otsu's threshold".to_string(),
            };
            format!("evidence: {} of at least {} ({of})", explanation.drop_in_words(), readable(level))
        }
    };
    let tile = args.tile;
    let fill = fill_in_words(maps.mask_value);
    let level = match panel.photograph.dark_in_words() {
        Some(dark) => format!("{level}; {dark}"),
        None => level,
    };
    regions::draw(
        labels.words(class),
        &format!("{} {}", explanation.score_name(), readable(regions.base_score)),
        &regions.caution,
        panel.photograph.on_page(),
        &panels,
        &[
            &level,
            &format!(
                "{}; parts of {tile}×{tile} such pixels, none of which can be left out; covered with {fill}",
                sizes(maps, false)
            ),
        ],
    )
}

/// The contours of all parts in shares of the width and the height.
fn contours(placed: &Placed) -> Vec<Vec<[f32; 2]>> {
    let [height, width] = placed.region.size();
    let share = |&[y, x]: &[usize; 2]| [x as f32 / width as f32, y as f32 / height as f32];
    let contours = placed.parts.iter().flat_map(|part| &part.contours);
    contours.map(|corners| corners.iter().map(share).collect()).collect()
}

/// The box of a part in shares of the width and the height.
fn shares_of(part: &RegionPart, region: &Pixels) -> [f32; 4] {
    let [height, width] = region.size().map(|length| length as f32);
    let Rect { y0, x0, y1, x1 } = part.bounds;
    [x0 as f32 / width, y0 as f32 / height, x1 as f32 / width, y1 as f32 / height]
}

//! The page of a figure: text styles, title, notes, and outlines on the photograph.
//!
//! The callers pass all contents as numbers and text. This module does not know the explanation.

use occlude::network::INPUT_SIDE;
use occlude::network::geometry::Rect;

use super::backdrop::Backdrop;
use super::canvas::{Area, Canvas};
use super::text::Style;

/// The smallest width of a page, which leaves room for its texts beside a narrow photograph.
const LEAST_WIDTH: u32 = 720;

/// Margin of the page, and distance between the photograph and the colour bar.
pub const MARGIN: u32 = 24;

/// Distance between a text and the object that it describes.
pub const GAP: u32 = 8;

/// The largest number of lines of the title.
pub const TITLE_LINES: usize = 3;

/// The largest number of lines of a note.
pub const NOTE_LINES: usize = 2;

pub const PAGE: [u8; 3] = [255; 3];
pub const INK: [u8; 3] = [25, 25, 30];
pub const FAINT_INK: [u8; 3] = [90, 90, 100];
const CAUTION_INK: [u8; 3] = [163, 44, 0];

pub fn title_style() -> Style {
    Style::bold(34, INK)
}

pub fn caption_style() -> Style {
    Style::bold(22, INK)
}

pub fn note_style() -> Style {
    Style::book(20, FAINT_INK)
}

pub fn caution_style() -> Style {
    Style::bold(20, CAUTION_INK)
}

pub fn tick_style() -> Style {
    Style::book(20, INK)
}

/// The texts of a page.
pub struct Texts<'a> {
    pub title: &'a str,
    /// Beside the title.
    pub value: &'a str,
    /// Below the title.
    pub note: &'a str,
    /// A warning below the note, if the colours could mislead; otherwise empty.
    pub caution: &'a str,
    /// Below the contents.
    pub meaning: &'a [&'a str],
}

/// Makes a page with texts and room for contents of `[width, height]`. Returns
/// it with the top of the contents, which begin at the left margin.
pub fn page(texts: &Texts, [width, height]: [u32; 2]) -> (Canvas, u32) {
    let Texts { title, value, note, caution, meaning } = *texts;
    let width = (width + 2 * MARGIN).max(LEAST_WIDTH);
    let value = title_style().shorten(value, 2 * width / 3);
    let value_width = title_style().width(&value);
    let lines = title_style().wrap(title, width - 3 * MARGIN - value_width, TITLE_LINES);
    let note_top = MARGIN + lines.len().max(1) as u32 * title_style().height + GAP;
    let caution = caution_style().wrap(caution, width - 2 * MARGIN, NOTE_LINES);
    let caution_top = note_top + note_style().height + GAP / 2;
    let photo_top = caution_top + caution.len() as u32 * caution_style().height + 3 * GAP / 2;
    let meaning_top = photo_top + height + GAP + GAP / 2;
    let meaning: Vec<String> =
        meaning.iter().flat_map(|text| note_style().wrap(text, width - 2 * MARGIN, NOTE_LINES)).collect();
    let height = meaning_top + meaning.len() as u32 * note_style().height + MARGIN;
    let mut figure = Canvas::new(width, height, PAGE);
    figure.lines(title_style(), MARGIN, MARGIN, &lines);
    figure.text_ending(title_style(), width - MARGIN, MARGIN, &value);
    figure.text(note_style(), MARGIN, note_top, &note_style().shorten(note, width - 2 * MARGIN));
    figure.lines(caution_style(), MARGIN, caution_top, &caution);
    figure.lines(note_style(), MARGIN, meaning_top, &meaning);
    (figure, photo_top)
}

/// Draws a white outline with dark edges, which is visible on any photograph.
pub fn ringed(figure: &mut Canvas, [x, y, width, height]: Area) {
    for (ring, colour) in [INK, PAGE, PAGE, INK].into_iter().enumerate() {
        let ring = ring as u32;
        if 2 * ring < height.min(width) {
            figure.outline([x + ring, y + ring, width - 2 * ring, height - 2 * ring], colour);
        }
    }
}

/// Outlines the part of the picture that has a map, unless it is the whole picture.
pub fn outline_area(figure: &mut Canvas, [left, top]: [u32; 2], area: Rect, backdrop: &Backdrop) {
    if area != Rect::plane(INPUT_SIDE) {
        let [x, y, width, height] = backdrop.area_of(area);
        ringed(figure, [left + x, top + y, width, height]);
    }
}

/// Outlines an area of the size and shape of the mask in the lower left corner of what the network
/// sees.
pub fn draw_mask_size(
    figure: &mut Canvas,
    [left, top]: [u32; 2],
    [mask_height, mask_width]: [usize; 2],
    backdrop: &Backdrop,
) {
    let [x, y, seen_width, seen_height] = backdrop.seen();
    let size = backdrop.size_of([mask_height, mask_width]);
    let [height, width] = [size[0].clamp(1, seen_height.max(1)), size[1].clamp(1, seen_width.max(1))];
    let inset = |size: u32, room: u32| GAP.min(room.saturating_sub(size) / 2);
    let bottom = y + seen_height - inset(height, seen_height);
    ringed(figure, [left + x + inset(width, seen_width), top + bottom.saturating_sub(height), width, height]);
}

/// A text that is too long for one line of any figure.
#[cfg(test)]
pub const LONG: &str =
    "a label, much longer than any that the network has, and with Llanfairpwllgwyngyllgogerychwyrndrobwll";

/// Asserts that nothing is drawn in the outer half of the margin.
#[cfg(test)]
pub fn assert_margins(figure: &Canvas, what: &str) {
    let image = figure.pixels();
    let (width, height) = image.dimensions();
    for (x, y, pixel) in image.enumerate_pixels() {
        let edge = MARGIN / 2;
        if x < edge || y < edge || x >= width - edge || y >= height - edge {
            assert_eq!(pixel.0, PAGE, "{what}: {x} {y}");
        }
    }
}

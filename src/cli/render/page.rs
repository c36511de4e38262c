//! The page of a figure: sizes, text styles, title, notes, and outlines on the photograph.
//!
//! The callers pass all contents as numbers and text. This module does not know the explanation.

use occlude::network::INPUT_SIDE;
use occlude::network::geometry::Rect;

use super::canvas::Canvas;
use super::text::Style;

/// Side of the photograph on a figure of one photograph, in pixels: three times the network's
/// input.
pub const PHOTO_SIDE: usize = 3 * INPUT_SIDE;

/// Side of each photograph on a figure of several photographs, in pixels.
pub const PANEL_SIDE: usize = 3 * INPUT_SIDE / 2;

pub const PHOTO: u32 = PHOTO_SIDE as u32;
pub const PANEL: u32 = PANEL_SIDE as u32;

/// Margin of the page, and distance between the photograph and the colour bar.
pub const MARGIN: u32 = 24;

/// Distance between a text and the object that it describes.
pub const GAP: u32 = 8;

/// The largest number of lines of the title.
pub const TITLE_LINES: usize = 2;

/// The largest number of lines of a note.
pub const NOTE_LINES: usize = 2;

pub const PAGE: [u8; 3] = [255; 3];
pub const INK: [u8; 3] = [25, 25, 30];
pub const FAINT_INK: [u8; 3] = [90, 90, 100];

pub fn title_style() -> Style {
    Style::bold(34, INK)
}

pub fn caption_style() -> Style {
    Style::bold(22, INK)
}

pub fn note_style() -> Style {
    Style::book(20, FAINT_INK)
}

pub fn tick_style() -> Style {
    Style::book(20, INK)
}

/// Makes a page with title, value, note and meaning. Returns it with the top of the photograph.
///
/// The page is as high as the number of lines of `meaning` requires.
pub fn page(title: &str, value: &str, note: &str, meaning: [&str; 2], width: u32) -> (Canvas, u32) {
    let value = title_style().shorten(value, width / 2);
    let value_width = title_style().width(&value);
    let lines = title_style().wrap(title, width - 3 * MARGIN - value_width, TITLE_LINES);
    let note_top = MARGIN + lines.len().max(1) as u32 * title_style().height + GAP;
    let photo_top = note_top + note_style().height + 2 * GAP;
    let meaning_top = photo_top + PHOTO + GAP + GAP / 2;
    let meaning: Vec<String> =
        meaning.iter().flat_map(|text| note_style().wrap(text, width - 2 * MARGIN, NOTE_LINES)).collect();
    let height = meaning_top + meaning.len() as u32 * note_style().height + MARGIN;
    let mut figure = Canvas::new(width, height, PAGE);
    for (line, y) in lines.iter().zip((MARGIN..).step_by(title_style().height as usize)) {
        figure.text(title_style(), MARGIN, y, line);
    }
    figure.text_ending(title_style(), width - MARGIN, MARGIN, &value);
    figure.text(note_style(), MARGIN, note_top, &note_style().shorten(note, width - 2 * MARGIN));
    for (line, y) in meaning.iter().zip((meaning_top..).step_by(note_style().height as usize)) {
        figure.text(note_style(), MARGIN, y, line);
    }
    (figure, photo_top)
}

/// Draws a white outline with dark edges, which is visible on any photograph.
pub fn ringed(figure: &mut Canvas, [x, y, width, height]: [u32; 4]) {
    for (ring, colour) in [INK, PAGE, PAGE, INK].into_iter().enumerate() {
        let ring = ring as u32;
        if 2 * ring < height.min(width) {
            figure.outline([x + ring, y + ring, width - 2 * ring, height - 2 * ring], colour);
        }
    }
}

/// Outlines the part of the picture that has a map, unless it is the whole picture.
pub fn outline_area(figure: &mut Canvas, [left, top]: [u32; 2], area: Rect, side: u32) {
    if area == Rect::plane(INPUT_SIDE) {
        return;
    }
    let place = |edge: usize| edge as u32 * side / INPUT_SIDE as u32;
    let (x, y) = (place(area.x0), place(area.y0));
    ringed(figure, [left + x, top + y, place(area.x1) - x, place(area.y1) - y]);
}

/// Outlines an area of the size of the mask in the lower left corner of the photograph.
pub fn draw_mask_size(figure: &mut Canvas, [left, top]: [u32; 2], mask_size: [usize; 2], side: u32) {
    let [height, width] = mask_size.map(|size| (size as u32 * side / INPUT_SIDE as u32).clamp(1, side));
    let inset = |size: u32| GAP.min((side - size) / 2);
    ringed(figure, [left + inset(width), top + side - inset(height) - height, width, height]);
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

//! The page of a figure: sizes, letters, title and notes, and outlines on the photograph. Everything on it comes as numbers and
//! words: which explanation it is about is not known here.

use occlude::network::INPUT_SIDE;
use occlude::network::geometry::Rect;

use super::canvas::Canvas;
use super::text::Style;

/// Side of the photograph on a figure of its own in pixels: the network's input, three times as large.
pub const PHOTO_SIDE: usize = 3 * INPUT_SIDE;

/// Side of the photograph on figures with several.
pub const PANEL_SIDE: usize = 3 * INPUT_SIDE / 2;

pub const PHOTO: u32 = PHOTO_SIDE as u32;
pub const PANEL: u32 = PANEL_SIDE as u32;

/// Around everything, and between the photograph and the colour bar.
pub const MARGIN: u32 = 24;

/// Between a text and what it belongs to.
pub const GAP: u32 = 8;
pub const TITLE_LINES: usize = 2;

/// Lines of a sentence in small print.
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

/// A page with title, note and meaning, which takes as many lines as it needs, and where the photograph goes.
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

/// White, edged dark to show on any picture.
pub fn ringed(figure: &mut Canvas, [x, y, width, height]: [u32; 4]) {
    for (ring, colour) in [INK, PAGE, PAGE, INK].into_iter().enumerate() {
        let ring = ring as u32;
        if 2 * ring < height.min(width) {
            figure.outline([x + ring, y + ring, width - 2 * ring, height - 2 * ring], colour);
        }
    }
}

/// The border of a part of the picture; nothing around the whole.
pub fn outline_area(figure: &mut Canvas, [left, top]: [u32; 2], area: Rect, side: u32) {
    if area == Rect::plane(INPUT_SIDE) {
        return;
    }
    let place = |edge: usize| edge as u32 * side / INPUT_SIDE as u32;
    let (x, y) = (place(area.x0), place(area.y0));
    ringed(figure, [left + x, top + y, place(area.x1) - x, place(area.y1) - y]);
}

/// An outline of the mask's size in the photograph's lower left corner.
pub fn draw_mask_size(figure: &mut Canvas, [left, top]: [u32; 2], mask_size: [usize; 2], side: u32) {
    let [height, width] = mask_size.map(|size| (size as u32 * side / INPUT_SIDE as u32).clamp(1, side));
    let inset = |size: u32| GAP.min((side - size) / 2);
    ringed(figure, [left + inset(width), top + side - inset(height) - height, width, height]);
}

/// A text that fits nowhere in one line.
#[cfg(test)]
pub const LONG: &str =
    "a label, much longer than any that the network has, and with Llanfairpwllgwyngyllgogerychwyrndrobwll";

/// Fails where something is drawn close to the edge of the page.
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

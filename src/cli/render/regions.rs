//! Figures of regions: copies of one photograph, of its own shape, with contours and boxes.

use super::backdrop::within;
use super::canvas::{Canvas, STROKE};
use super::page::{
    GAP, MARGIN, NOTE_LINES, PAGE, TITLE_LINES, caption_style, caution_style, note_style, ringed, title_style,
};

/// The longer side of each photograph, in pixels.
pub const LONGER_SIDE: u32 = 448;

/// The colour of contours.
const CONTOUR: [u8; 3] = [255, 196, 0];

/// Distance between a contour and its box, in pixels.
const BESIDE: u32 = 5;

/// The number of lines below a photograph.
const LINES: usize = 2;

/// A photograph with a region.
pub struct RegionPanel {
    pub caption: String,
    /// Below the photograph: names with their scores, or words with an empty score.
    pub notes: [Vec<(String, String)>; LINES],
    /// `[height][width][3]`.
    pub pixels: Vec<u8>,
    /// Closed lines, each a list of [x, y] in shares of the width and the height.
    pub contours: Vec<Vec<[f32; 2]>>,
    /// [x0, y0, x1, y1] in the same shares.
    pub boxes: Vec<[f32; 4]>,
}

/// Height and width, in pixels, in which a photograph of this height and width is drawn.
pub fn panel_size(size: [usize; 2]) -> [usize; 2] {
    within(size, LONGER_SIDE as usize)
}

/// Draws a title with a value, a caution, the photographs side by side, and notes.
pub fn draw(
    title: &str,
    value: &str,
    caution: &str,
    [height, width]: [u32; 2],
    panels: &[RegionPanel],
    notes: &[&str],
) -> Canvas {
    let column = LONGER_SIDE;
    let page_width = MARGIN + panels.len() as u32 * (column + MARGIN);
    let value = title_style().shorten(value, page_width / 2);
    let title_width = page_width - 3 * MARGIN - title_style().width(&value);
    let lines = title_style().wrap(title, title_width, TITLE_LINES);
    let notes: Vec<String> =
        notes.iter().flat_map(|note| note_style().wrap(note, page_width - 2 * MARGIN, NOTE_LINES)).collect();
    let caution = caution_style().wrap(caution, page_width - 2 * MARGIN, NOTE_LINES);
    let caution_top = MARGIN + lines.len().max(1) as u32 * title_style().height + GAP;
    let top = caution_top + caution.len() as u32 * caution_style().height + GAP;
    let photo_top = top + caption_style().height + GAP;
    let below = photo_top + height + GAP;
    let notes_top = below + LINES as u32 * note_style().height + 2 * GAP;
    let page_height = notes_top + notes.len() as u32 * note_style().height + MARGIN;
    let mut figure = Canvas::new(page_width, page_height, PAGE);
    figure.lines(title_style(), MARGIN, MARGIN, &lines);
    figure.text_ending(title_style(), page_width - MARGIN, MARGIN, &value);
    figure.lines(caution_style(), MARGIN, caution_top, &caution);
    for (panel, left) in panels.iter().zip((MARGIN..).step_by((column + MARGIN) as usize)) {
        figure.text(caption_style(), left, top, &caption_style().shorten(&panel.caption, column));
        figure.image([left, photo_top, width, height], panel.pixels.clone());
        let place = |[x, y]: [f32; 2]| [left as f32 + x * width as f32, photo_top as f32 + y * height as f32];
        for contour in &panel.contours {
            figure.curve(
                contour.iter().chain(contour.first()).map(|at| place(*at)).collect(),
                CONTOUR,
                STROKE,
            );
        }
        for &[x0, y0, x1, y1] in &panel.boxes {
            let ([x0, y0], [x1, y1]) = (place([x0, y0]), place([x1, y1]));
            let [x0, y0, x1, y1] = [x0, y0, x1, y1].map(|edge| edge.round() as u32);
            // Outside the contour, also where that touches the box.
            let around = |from: u32, to: u32| (from - BESIDE, to - from + 2 * BESIDE);
            let ((x, width), (y, height)) = (around(x0, x1), around(y0, y1));
            ringed(&mut figure, [x, y, width, height]);
        }
        for (note, y) in panel.notes.iter().zip((below..).step_by(note_style().height as usize)) {
            figure.text(note_style(), left, y, &note_style().scored(note, column));
        }
    }
    figure.lines(note_style(), MARGIN, notes_top, &notes);
    figure
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::render::page::{LONG, assert_margins};

    #[test]
    fn the_longer_side_is_fixed() {
        assert_eq!(panel_size([300, 451]), [298, 448]);
        assert_eq!(panel_size([4000, 1000]), [448, 112]);
        assert_eq!(panel_size([1, 100_000]), [1, 448]);
        assert_eq!(panel_size([7, 7]), [448, 448]);
    }

    #[test]
    fn nothing_touches_the_edge_of_the_page() {
        for size in [[448, 448], [1, 448], [448, 1]] {
            let panel = || RegionPanel {
                caption: LONG.into(),
                notes: [vec![(LONG.into(), String::new())], vec![(LONG.into(), "0.123".into()); 2]],
                pixels: vec![7; (size[0] * size[1] * 3) as usize],
                contours: vec![vec![[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], Vec::new()],
                boxes: vec![[0.0, 0.0, 1.0, 1.0], [0.5, 0.5, 0.5, 0.5]],
            };
            assert_margins(
                &draw(LONG, LONG, LONG, size, &[panel(), panel(), panel()], &[LONG, LONG]),
                "regions",
            );
        }
    }
}

//! Figures of several photographs in rows.

use occlude::network::geometry::Rect;

use super::canvas::Canvas;
use super::page::{
    GAP, MARGIN, NOTE_LINES, PAGE, PANEL, TITLE_LINES, caption_style, draw_mask_size, note_style,
    outline_area, title_style,
};
use super::scale::{BAR_ROOM, Scale, draw_bar};

/// One photograph on a figure of several, with or without a map.
pub struct FigurePanel {
    /// Two lines; the second is smaller.
    pub caption: [String; 2],
    /// `[PANEL_SIDE][PANEL_SIDE][3]`.
    pub pixels: Vec<u8>,
    /// The part that has a map, in pixels of the network's input; outlined unless it is the whole
    /// picture.
    pub area: Rect,
    /// Height and width of a mask, outlined to show its size.
    pub mark: Option<[usize; 2]>,
}

/// Photographs side by side, with one colour bar for their maps.
pub struct PanelRow {
    pub panels: Vec<FigurePanel>,
    pub scale: Option<Scale>,
}

/// Draws a title, rows of photographs and notes.
pub fn draw(title: &str, rows: &[PanelRow], notes: &[&str]) -> Canvas {
    let most = rows.iter().map(|row| row.panels.len()).max().unwrap_or(0) as u32;
    let width = MARGIN + most * (PANEL + MARGIN) + BAR_ROOM;
    let lines = title_style().wrap(title, width - 2 * MARGIN, TITLE_LINES);
    let notes: Vec<String> =
        notes.iter().flat_map(|note| note_style().wrap(note, width - 2 * MARGIN, NOTE_LINES)).collect();
    let head = caption_style().height + note_style().height + GAP;
    let row_height = head + PANEL + MARGIN;
    let first = MARGIN + lines.len() as u32 * title_style().height + 2 * GAP;
    let notes_top = first + rows.len() as u32 * row_height;
    let height = notes_top + notes.len() as u32 * note_style().height + MARGIN;
    let mut figure = Canvas::new(width, height, PAGE);
    for (line, y) in lines.iter().zip((MARGIN..).step_by(title_style().height as usize)) {
        figure.text(title_style(), MARGIN, y, line);
    }
    for (row, top) in rows.iter().zip((first..).step_by(row_height as usize)) {
        let mut left = MARGIN;
        for panel in &row.panels {
            figure.text(caption_style(), left, top, &caption_style().shorten(&panel.caption[0], PANEL));
            let small = note_style().shorten(&panel.caption[1], PANEL);
            figure.text(note_style(), left, top + caption_style().height, &small);
            figure.image([left, top + head, PANEL, PANEL], panel.pixels.clone());
            outline_area(&mut figure, [left, top + head], panel.area, PANEL);
            if let Some(size) = panel.mark {
                draw_mask_size(&mut figure, [left, top + head], size, PANEL);
            }
            left += PANEL + MARGIN;
        }
        if let Some(scale) = &row.scale {
            draw_bar(&mut figure, [left, top + head], PANEL, scale, None);
        }
    }
    for (note, y) in notes.iter().zip((notes_top..).step_by(note_style().height as usize)) {
        figure.text(note_style(), MARGIN, y, note);
    }
    figure
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::render::colours::Colours;
    use crate::cli::render::page::{INK, LONG, PANEL_SIDE, assert_margins};
    use occlude::network::INPUT_SIDE;

    #[test]
    fn a_panel_shows_the_part_that_has_a_map_and_a_mask() {
        let panel = |area, mark| {
            let pixels = vec![7; PANEL_SIDE * PANEL_SIDE * 3];
            let rows = [PanelRow {
                panels: vec![FigurePanel { caption: [String::new(), String::new()], pixels, area, mark }],
                scale: None,
            }];
            let pixels = draw("", &rows, &[]).pixels();
            pixels.pixels().filter(|pixel| pixel.0 == INK).count()
        };
        let whole = Rect::plane(INPUT_SIDE);
        // Two dark rings a border, three pixels apart: the outlined square is 1.5 times as large as
        // in network pixels.
        let dark = |side: usize| (4 * (side * 3 / 2) - 4) + (4 * (side * 3 / 2 - 6) - 4);
        assert_eq!(panel(whole, None), 0);
        assert_eq!(panel(Rect { y0: 20, x0: 40, y1: 120, x1: 140 }, None), dark(100));
        assert_eq!(panel(whole, Some([30, 30])), dark(30));
    }

    #[test]
    fn nothing_touches_the_edge_of_the_page() {
        let panel = || FigurePanel {
            caption: [LONG.into(), LONG.into()],
            pixels: vec![7; PANEL_SIDE * PANEL_SIDE * 3],
            area: Rect { y0: 3, x0: 100, y1: 4, x1: 224 },
            mark: Some([224, 1]),
        };
        let scale = Scale { colours: Colours::Jet, low: -1e-7, high: 1e-7 };
        let rows = [
            PanelRow { panels: vec![panel(), panel()], scale: Some(scale) },
            PanelRow { panels: vec![panel()], scale: None },
        ];
        assert_margins(&draw(LONG, &rows, &[LONG, LONG]), "panels");
    }
}

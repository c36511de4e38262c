//! Figures of several photographs in rows.

use occlude::network::geometry::Rect;

use super::backdrop::Backdrop;
use super::canvas::Canvas;
use super::page::{
    GAP, MARGIN, NOTE_LINES, PAGE, TITLE_LINES, caption_style, caution_style, draw_mask_size, note_style,
    outline_area, title_style,
};
use super::scale::{BAR_ROOM, LEAST_BAR, Scale, draw_bar};

/// The smallest width of the page, which leaves room for its title.
const LEAST_PAGE: u32 = 720;

/// The smallest width of a panel, which leaves room for its caption.
const LEAST_WIDTH: u32 = 224;

/// One photograph on a figure of several, with or without a map.
pub struct FigurePanel<'a> {
    /// Two lines; the second is smaller.
    pub caption: [String; 2],
    /// The number at the end of the second line, which is not shortened; may be empty.
    pub score: String,
    pub backdrop: &'a Backdrop,
    /// The picture with its map, as large as the backdrop.
    pub pixels: Vec<u8>,
    /// The part that has a map, in pixels of the network's input; outlined unless it is the whole
    /// picture.
    pub area: Rect,
    /// Height and width of a mask, outlined to show its size.
    pub mark: Option<[usize; 2]>,
}

/// Photographs side by side or below each other, with one colour bar for their maps.
pub struct PanelRow<'a> {
    pub panels: Vec<FigurePanel<'a>>,
    pub scale: Option<Scale>,
    pub arrangement: Arrangement,
}

/// The places of the photographs of a row, and of the row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrangement {
    /// Side by side, below all rows before.
    Across,
    /// Side by side, to the right of the row before.
    AcrossBeside,
    /// Below each other, below all rows before.
    Down,
    /// Below each other, to the right of the row before.
    DownBeside,
}

impl Arrangement {
    fn is_down(self) -> bool {
        matches!(self, Arrangement::Down | Arrangement::DownBeside)
    }

    fn is_beside(self) -> bool {
        matches!(self, Arrangement::AcrossBeside | Arrangement::DownBeside)
    }
}

/// Height of the two lines of a caption, with the distance to the photograph.
fn head() -> u32 {
    caption_style().height + note_style().height + GAP
}

impl FigurePanel<'_> {
    /// Height and width of the panel without its caption.
    fn size(&self) -> [u32; 2] {
        let [height, width] = self.backdrop.on_page();
        [height, width.max(LEAST_WIDTH)]
    }
}

impl PanelRow<'_> {
    /// Width and height with the captions, and with the distances to what follows.
    fn size(&self) -> [u32; 2] {
        let heights = self.panels.iter().map(|panel| head() + panel.size()[0] + MARGIN);
        let widths = self.panels.iter().map(|panel| panel.size()[1] + MARGIN);
        let bar = self.scale.map_or([0; 2], |_| [BAR_ROOM, head() + LEAST_BAR + MARGIN]);
        let [width, height] = match self.arrangement.is_down() {
            true => [widths.max().unwrap_or(0), heights.sum()],
            false => [widths.sum(), heights.max().unwrap_or(0)],
        };
        [width + bar[0], height.max(bar[1])]
    }
}

/// Draws a title, a caution, rows of photographs and notes.
pub fn draw(title: &str, caution: &str, rows: &[PanelRow<'_>], notes: &[&str]) -> Canvas {
    // The places of the rows, from the upper left corner of the first.
    let (mut places, mut right, mut bottom) = (Vec::<[u32; 4]>::new(), 0, 0);
    for row in rows {
        let at = match places.last() {
            Some(&[x, y, width, _]) if row.arrangement.is_beside() => [x + width, y],
            _ => [0, bottom],
        };
        let [width, height] = row.size();
        places.push([at[0], at[1], width, height]);
        (right, bottom) = (right.max(at[0] + width), bottom.max(at[1] + height));
    }
    let width = (MARGIN + right).max(LEAST_PAGE);
    let lines = title_style().wrap(title, width - 2 * MARGIN, TITLE_LINES);
    let caution = caution_style().wrap(caution, width - 2 * MARGIN, NOTE_LINES);
    let backdrops = rows.iter().flat_map(|row| &row.panels).map(|panel| panel.backdrop);
    let dark = backdrops.filter_map(Backdrop::dark_in_words).next();
    let notes: Vec<String> = notes
        .iter()
        .copied()
        .chain(dark)
        .flat_map(|note| note_style().wrap(note, width - 2 * MARGIN, NOTE_LINES))
        .collect();
    let caution_top = MARGIN + lines.len() as u32 * title_style().height + GAP;
    let first = caution_top + caution.len() as u32 * caution_style().height + GAP;
    let notes_top = first + bottom;
    let height = notes_top + notes.len() as u32 * note_style().height + MARGIN;
    let mut figure = Canvas::new(width, height, PAGE);
    figure.lines(title_style(), MARGIN, MARGIN, &lines);
    figure.lines(caution_style(), MARGIN, caution_top, &caution);
    for (row, [x, y, width, height]) in rows.iter().zip(places) {
        let [mut left, mut top] = [MARGIN + x, first + y];
        if let Some(scale) = &row.scale {
            let bar = [left + width - BAR_ROOM, top + head()];
            draw_bar(&mut figure, bar, height - head() - MARGIN, scale, None);
        }
        for panel in &row.panels {
            let [_, room] = panel.size();
            figure.text(caption_style(), left, top, &caption_style().shorten(&panel.caption[0], room));
            let small = (panel.caption[1].clone(), panel.score.clone());
            let small = note_style().scored(&[small], room);
            figure.text(note_style(), left, top + caption_style().height, &small);
            let [height, width] = panel.backdrop.on_page();
            let at = [left, top + head()];
            figure.image([at[0], at[1], width, height], panel.pixels.clone());
            outline_area(&mut figure, at, panel.area, panel.backdrop);
            if let Some(size) = panel.mark {
                draw_mask_size(&mut figure, at, size, panel.backdrop);
            }
            match row.arrangement.is_down() {
                true => top += head() + height + MARGIN,
                false => left += room + MARGIN,
            }
        }
    }
    figure.lines(note_style(), MARGIN, notes_top, &notes);
    figure
}

#[cfg(test)]
mod tests {
    use occlude::network::INPUT_SIDE;
    use occlude::{Photograph, Resize};

    use super::*;
    use crate::cli::render::backdrop::CanvasShape;
    use crate::cli::render::colours::Colours;
    use crate::cli::render::page::{INK, LONG, assert_margins};
    use crate::cli::render::scale::{ColourRange, Scale};

    fn backdrop(height: usize, width: usize) -> Backdrop {
        let photograph = Photograph::from_rgb(height, width, &vec![7; height * width * 3]).unwrap();
        Backdrop::panel(&photograph, Resize::Stretch, CanvasShape::Photo)
    }

    #[test]
    fn a_panel_shows_the_part_that_has_a_map_and_a_mask() {
        let backdrop = backdrop(50, 50);
        let panel = |area, mark| {
            let (caption, pixels) = ([String::new(), String::new()], backdrop.pixels.clone());
            let rows = [PanelRow {
                panels: vec![FigurePanel {
                    caption,
                    score: String::new(),
                    backdrop: &backdrop,
                    pixels,
                    area,
                    mark,
                }],
                scale: None,
                arrangement: Arrangement::Across,
            }];
            let pixels = draw("", "", &rows, &[]).pixels();
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
        let shapes = [backdrop(50, 50), backdrop(400, 1200), backdrop(900, 9)];
        let panel = |shape: usize| FigurePanel {
            caption: [LONG.into(), LONG.into()],
            score: "−1.23e−45".into(),
            backdrop: &shapes[shape],
            pixels: shapes[shape].pixels.clone(),
            area: Rect { y0: 3, x0: 100, y1: 4, x1: 224 },
            mark: Some([224, 1]),
        };
        let scale = Scale::of_drops(Colours::Jet, ColourRange::Symmetric, &[1e-7]);
        let row = |panels, scale, arrangement| PanelRow { panels, scale, arrangement };
        let rows = [
            row(vec![panel(0), panel(1)], Some(scale), Arrangement::Across),
            row(vec![panel(1)], Some(scale), Arrangement::Across),
            row(vec![panel(2)], None, Arrangement::Across),
            row(vec![panel(1), panel(1)], None, Arrangement::Down),
            row(vec![panel(2), panel(2)], Some(scale), Arrangement::AcrossBeside),
            row(vec![panel(1), panel(2)], Some(scale), Arrangement::DownBeside),
        ];
        assert_margins(&draw(LONG, LONG, &rows, &[LONG, LONG]), "panels");
    }
}

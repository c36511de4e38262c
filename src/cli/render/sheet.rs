//! A contact sheet: many small maps with their numbers, on one page and one scale. This module does
//! not know the meaning of the maps.

use super::backdrop::Backdrop;
use super::canvas::Canvas;
use super::page::{GAP, INK, MARGIN, PAGE, TITLE_LINES, note_style, title_style};
use super::scale::{BAR_ROOM, Scale, draw_bar};
use super::text::Style;

/// The longest side of the photograph.
pub const PHOTO_SIDE: usize = 224;
const PHOTO: u32 = PHOTO_SIDE as u32;
/// The smallest side of a tile with a map; coarse maps are enlarged to it.
const TILE: u32 = 56;
/// Side of a tile with a single value.
const SMALLEST_TILE: u32 = 28;
/// Distance between a tile with its number and the next tile.
const BETWEEN: u32 = 5;
/// The smallest width of the page, which leaves room for notes beside the colour bar.
const LEAST_WIDTH: u32 = MARGIN + PHOTO + BAR_ROOM + MARGIN + 360 + MARGIN;
/// The number of columns of many tiles is a multiple of this, so that rows begin with round numbers;
/// the square of a few has at most as many.
const COLUMNS: usize = 8;
/// The largest number of lines of a note.
const NOTE_LINES: usize = 5;
const EDGE: [u8; 3] = [200; 3];

fn number_style() -> Style {
    Style::book(14, INK)
}

/// A map and its number on the sheet.
pub struct Tile {
    pub number: usize,
    /// `[side][side]`.
    pub map: Vec<f32>,
}

/// The contents of a sheet.
pub struct Sheet<'a> {
    /// A picture of at most [`PHOTO_SIDE`] pixels in both directions.
    pub backdrop: &'a Backdrop,
    /// The part of the picture that the network sees, with this longest side; gives tiles their shape.
    pub seen: &'a dyn Fn(usize) -> Backdrop,
    pub tiles: &'a [Tile],
    /// Side of each map.
    pub side: usize,
    pub scale: Scale,
    pub title: &'a str,
    /// Text beside the photograph.
    pub notes: &'a [String],
}

/// The positions of the tiles.
#[derive(Debug, PartialEq)]
struct TileLayout {
    columns: u32,
    rows: u32,
    /// The longest side of a tile, a multiple of the side of the map.
    tile: u32,
    /// Horizontal and vertical distance between tiles.
    step: [u32; 2],
}

impl TileLayout {
    fn new(tiles: usize, side: usize, widest_number: u32) -> TileLayout {
        if tiles <= COLUMNS * COLUMNS && side > 1 {
            return TileLayout::of_few(tiles, side as u32, widest_number);
        }
        let columns = tiles.isqrt() + usize::from(tiles.isqrt().pow(2) < tiles);
        let columns = columns.next_multiple_of(COLUMNS).min(tiles).max(1) as u32;
        let side = side as u32;
        let tile = if side == 1 { SMALLEST_TILE } else { side * (TILE / side).max(1) };
        TileLayout::of(tiles as u32, columns, tile, widest_number)
    }

    /// The layout of a few maps that fills most of the width that the page has in any case.
    fn of_few(tiles: usize, side: u32, widest_number: u32) -> TileLayout {
        let (tiles, room) = (tiles as u32, LEAST_WIDTH - 2 * MARGIN + BETWEEN);
        let square = tiles.isqrt() + u32::from(tiles.isqrt().pow(2) < tiles);
        let layout = |columns: u32| {
            let widest = (room / columns - BETWEEN).min(PHOTO);
            TileLayout::of(tiles, columns, side * (widest / side).max(1), widest_number)
        };
        // The share of the sheet that the maps have, in millionths.
        let used = |layout: &TileLayout| {
            1_000_000 * u64::from(tiles * layout.tile.pow(2)) / u64::from(room * layout.rows * layout.step[1])
        };
        let columns = square.saturating_sub(1).max(1)..=(square + 2).min(tiles).min(COLUMNS as u32);
        columns.map(layout).max_by_key(used).expect("there is a tile")
    }

    fn of(tiles: u32, columns: u32, tile: u32, widest_number: u32) -> TileLayout {
        let step = [tile.max(widest_number) + BETWEEN, tile + number_style().height + BETWEEN];
        TileLayout { columns, rows: tiles.div_ceil(columns), tile, step }
    }

    /// The upper left corner of a tile, relative to the first tile.
    fn corner(&self, index: usize) -> [u32; 2] {
        let index = index as u32;
        [index % self.columns * self.step[0], index / self.columns * self.step[1]]
    }
}

/// Draws the photograph, the colour bar and the notes, and below them the tiles in rows.
pub fn draw(content: &Sheet) -> Canvas {
    let numbers: Vec<String> = content.tiles.iter().map(|tile| tile.number.to_string()).collect();
    let widest = numbers.iter().map(|number| number_style().width(number)).max().unwrap_or(0);
    let mut layout = TileLayout::new(content.tiles.len(), content.side, widest);
    let shape = (content.seen)(layout.tile as usize);
    // A single value has no shape.
    let [height, width] = if content.side == 1 { [layout.tile; 2] } else { shape.on_page() };
    layout.step[1] -= layout.tile - height;
    let cells = [0, 1].map(|axis| shape.cells(axis, content.side));
    let page_width = LEAST_WIDTH.max(2 * MARGIN + layout.columns * layout.step[0] - BETWEEN);
    let title = title_style().wrap(content.title, page_width - 2 * MARGIN, TITLE_LINES);
    let head = MARGIN + title.len() as u32 * title_style().height + 2 * GAP;
    let notes_left = MARGIN + PHOTO + BAR_ROOM + MARGIN;
    // Longer lines are hard to read.
    let notes_width = (page_width - MARGIN - notes_left).min(3 * PHOTO);
    let notes: Vec<Vec<String>> =
        content.notes.iter().map(|note| note_style().wrap(note, notes_width, NOTE_LINES)).collect();
    let notes_height = notes.iter().map(|lines| lines.len() as u32 * note_style().height + GAP).sum::<u32>();
    let top = head + PHOTO.max(notes_height) + MARGIN;

    let mut page = Canvas::new(page_width, top + layout.rows * layout.step[1] - BETWEEN + MARGIN, PAGE);
    page.lines(title_style(), MARGIN, MARGIN, &title);
    let [photo_height, photo_width] = content.backdrop.on_page();
    page.image([MARGIN, head, photo_width, photo_height], content.backdrop.pixels.clone());
    draw_bar(&mut page, [MARGIN + PHOTO + MARGIN, head], PHOTO, &content.scale, None);
    let mut y = head;
    for lines in notes {
        for line in lines {
            page.text(note_style(), notes_left, y, &line);
            y += note_style().height;
        }
        y += GAP;
    }
    for (index, (tile, number)) in content.tiles.iter().zip(&numbers).enumerate() {
        let [x, y] = layout.corner(index);
        let (x, y) = (MARGIN + x + (layout.tile - width) / 2, top + y);
        // The outline separates the tile from the page: 0 is white in some colour maps.
        page.outline([x - 1, y - 1, width + 2, height + 2], EDGE);
        let pixels = match tile.map[..] {
            [value] => content.scale.colour(value).repeat((width * height) as usize),
            _ => enlarged(&tile.map, content.side, &cells, &content.scale),
        };
        page.image([x, y, width, height], pixels);
        let number_left = (x + width / 2).saturating_sub(number_style().width(number) / 2);
        page.text(number_style(), number_left.max(MARGIN), y + height + 1, number);
    }
    page
}

/// The colours of the map, `[height][width][3]`, from the rows and columns of its values for each row and
/// column.
fn enlarged(map: &[f32], side: usize, [rows, columns]: &[Vec<Option<usize>>; 2], scale: &Scale) -> Vec<u8> {
    let inside = |cells: &[Option<usize>]| cells.iter().flatten().copied().collect::<Vec<_>>();
    let (rows, columns) = (inside(rows), inside(columns));
    rows.iter().flat_map(|y| columns.iter().flat_map(move |x| scale.colour(map[y * side + x]))).collect()
}

#[cfg(test)]
mod tests {
    use occlude::{Photograph, Resize};

    use super::*;
    use crate::cli::render::backdrop::CanvasShape;
    use crate::cli::render::colours::Colours;

    #[test]
    fn rows_are_about_as_many_as_columns_and_begin_with_round_numbers() {
        let grid = |tiles| {
            let layout = TileLayout::new(tiles, 14, 0);
            [layout.columns, layout.rows]
        };
        let found = [1, 5, 16, 64, 192, 256, 480, 512, 832, 1000, 1024].map(grid);
        let expected = [
            [1, 1],
            [5, 1],
            [4, 4],
            [8, 8],
            [16, 12],
            [16, 16],
            [24, 20],
            [24, 22],
            [32, 26],
            [32, 32],
            [32, 32],
        ];
        assert_eq!(found, expected);
        for tiles in 1..3000 {
            let [columns, rows] = grid(tiles).map(|count| count as usize);
            assert!(columns * rows >= tiles && columns * (rows - 1) < tiles, "{tiles}");
        }
    }

    #[test]
    fn tiles_are_whole_multiples_of_maps_and_do_not_overlap() {
        for (side, tile) in [(1, 28), (7, 56), (14, 56), (28, 56), (56, 56), (112, 112)] {
            for widest in [0, 40, 200] {
                let layout = TileLayout::new(100, side, widest);
                assert_eq!(layout.tile, tile);
                assert_eq!(layout.corner(0), [0, 0]);
                let [right, below] = [layout.corner(1)[0], layout.corner(layout.columns as usize)[1]];
                assert!(right >= tile.max(widest) + BETWEEN && below >= tile + number_style().height);
            }
        }
    }

    #[test]
    fn a_few_maps_are_larger() {
        let tile = |tiles, side| TileLayout::new(tiles, side, 0).tile;
        assert_eq!([tile(1, 7), tile(3, 14), tile(5, 28), tile(16, 7)], [224, 224, 140, 182]);
        assert_eq!([tile(2, 112), tile(9, 112), tile(3, 1), tile(64, 7)], [224, 224, 28, 84]);
        // Maps of 112 pixels in four columns would leave a third of the width empty.
        assert_eq!((tile(8, 112), TileLayout::new(8, 112, 0).columns), (224, 3));
        // The sheet is about as wide as the page, and no row is empty.
        for tiles in 6..=COLUMNS * COLUMNS {
            let layout = TileLayout::new(tiles, 7, 0);
            let used = layout.columns * layout.step[0] - BETWEEN;
            assert!(
                used > (LEAST_WIDTH - 2 * MARGIN) * 8 / 10 && used <= LEAST_WIDTH - 2 * MARGIN,
                "{layout:?}"
            );
            assert!(layout.columns * layout.rows - (tiles as u32) < layout.columns, "{tiles}: {layout:?}");
        }
    }

    #[test]
    fn each_value_is_a_square_of_its_colour() {
        let scale = Scale::of_values(Colours::Viridis, &[0.0, 2.0]);
        let photograph = Photograph::from_rgb(6, 6, &[7; 6 * 6 * 3]).unwrap();
        let backdrop = Backdrop::of_longest(&photograph, Resize::Stretch, CanvasShape::Photo, 6);
        let cells = [0, 1].map(|axis| backdrop.cells(axis, 2));
        let pixels = enlarged(&[0.0, 1.0, 2.0, 0.5], 2, &cells, &scale);
        assert_eq!(pixels.len(), 6 * 6 * 3);
        for (i, pixel) in pixels.chunks(3).enumerate() {
            let value = [0.0, 1.0, 2.0, 0.5][i / 6 / 3 * 2 + i % 6 / 3];
            assert_eq!(pixel, Colours::Viridis.at(value / 2.0), "{i}");
        }
    }

    #[test]
    fn nothing_touches_the_edge_of_the_page() {
        let photograph = Photograph::from_rgb(2, 3, &[7; 2 * 3 * 3]).unwrap();
        let seen = |longest| Backdrop::of_longest(&photograph, Resize::Stretch, CanvasShape::Photo, longest);
        let backdrop = seen(PHOTO_SIDE);
        let long = "a note of many words ".repeat(20);
        for (count, side, number) in [(1, 1, 32_767), (3, 7, 0), (65, 1, 31_000), (70, 28, 9)] {
            let tile = |i: usize| Tile { number: number + i, map: vec![i as f32; side * side] };
            let tiles: Vec<Tile> = (0..count).map(tile).collect();
            let scale = Scale::of_values(Colours::Diverging, &[-80.0, 80.0]);
            let notes = vec![long.clone(); 4];
            let content = Sheet {
                backdrop: &backdrop,
                seen: &seen,
                tiles: &tiles,
                side,
                scale,
                title: &long,
                notes: &notes,
            };
            let image = draw(&content).pixels();
            let (width, height) = image.dimensions();
            for (x, y, pixel) in image.enumerate_pixels() {
                let edge = MARGIN / 2;
                if x < edge || y < edge || x >= width - edge || y >= height - edge {
                    assert_eq!(pixel.0, PAGE, "{count} tiles: {x} {y}");
                }
            }
        }
    }
}

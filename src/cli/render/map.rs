//! Figures of one map over the photograph: a map of values with a colour bar, or a map of
//! categories with a legend.

use occlude::image::resize::{Upsampling, upsample};
use occlude::network::INPUT_SIDE;
use occlude::network::geometry::Rect;

use super::canvas::Canvas;
use super::page::{
    GAP, INK, MARGIN, PHOTO, PHOTO_SIDE, draw_mask_size, note_style, outline_area, page, tick_style,
};
use super::scale::{BAR_ROOM, Scale, draw_bar};
use super::text::mix;

const WIDTH: u32 = MARGIN + PHOTO + BAR_ROOM + MARGIN;

/// A map and the part of the picture that it covers.
#[derive(Clone, Copy)]
pub struct Overlay<'a> {
    /// `[ny][nx]`.
    pub map: &'a [f32],
    /// `[ny, nx]`.
    pub grid: [usize; 2],
    /// The covered part, in pixels of the network's input.
    pub area: Rect,
    /// Method that enlarges the map; [`Upsampling::None`] shows its cells as blocks.
    pub upsampling: Upsampling,
    /// Opacity of the map, 0..=1; 0.5 in MATLAB's example.
    pub opacity: f32,
}

impl Overlay<'_> {
    /// The values of the map at the size of the photograph, and the area that they cover on it.
    fn enlarged(&self, side: usize) -> (Vec<f32>, Rect) {
        let place = |edge: usize| edge * side / INPUT_SIDE;
        let Rect { y0, x0, y1, x1 } = self.area;
        let area = Rect { y0: place(y0), x0: place(x0), y1: place(y1), x1: place(x1) };
        let upsampling = match self.upsampling {
            Upsampling::Bicubic => Upsampling::Bicubic,
            _ => Upsampling::Nearest,
        };
        let [ny, nx] = self.grid;
        (upsample(self.map, ny, nx, area.height(), area.width(), upsampling), area)
    }

    /// The photograph, `[side][side][3]`, with the colours of the map over it.
    pub fn over(&self, photograph: &[u8], side: usize, scale: &Scale) -> Vec<u8> {
        let (values, area) = self.enlarged(side);
        self.paint(photograph, side, area, |i| scale.colour(values[i]))
    }

    fn paint(
        &self,
        photograph: &[u8],
        side: usize,
        area: Rect,
        colour: impl Fn(usize) -> [u8; 3],
    ) -> Vec<u8> {
        let mut pixels = photograph.to_vec();
        for (row, y) in (area.y0..area.y1).enumerate() {
            let pixels = &mut pixels.as_chunks_mut::<3>().0[y * side..][area.x0..area.x1];
            for (column, pixel) in pixels.iter_mut().enumerate() {
                *pixel = mix(*pixel, colour(row * area.width() + column), self.opacity);
            }
        }
        pixels
    }
}

/// The contents of a figure of one map.
pub struct MapFigure<'a> {
    /// The photograph as the network sees it, `[PHOTO_SIDE][PHOTO_SIDE][3]`; see
    /// [`occlude::Photograph::square`].
    pub photograph: &'a [u8],
    pub overlay: Overlay<'a>,
    pub scale: Scale,
    /// The name of the mapped class or feature.
    pub title: &'a str,
    /// The value for the uncovered picture, beside the title.
    pub value: &'a str,
    /// The parameters of the map, below the title.
    pub note: &'a str,
    /// The meaning of the colours, below the photograph.
    pub meaning: [&'a str; 2],
    /// Height and width of a mask, in pixels of the network's input; outlined to show its size.
    pub mark: Option<[usize; 2]>,
    /// The value of the uncovered picture, marked at the colour bar.
    pub base: Option<f32>,
}

/// Draws the photograph with the map over it, title, mask size and colour bar, on an opaque white
/// page.
///
/// # Panics
/// If the length of the photograph or of the map differs from its shape.
pub fn draw(content: &MapFigure) -> Canvas {
    let (mut figure, photo_top) = page(content.title, content.value, content.note, content.meaning, WIDTH);
    let pixels = content.overlay.over(content.photograph, PHOTO_SIDE, &content.scale);
    figure.image([MARGIN, photo_top, PHOTO, PHOTO], pixels);
    outline_area(&mut figure, [MARGIN, photo_top], content.overlay.area, PHOTO);
    if let Some(size) = content.mark {
        draw_mask_size(&mut figure, [MARGIN, photo_top], size, PHOTO);
    }
    draw_bar(&mut figure, [MARGIN + PHOTO + MARGIN, photo_top], PHOTO, &content.scale, content.base);
    figure
}

/// A category of tiles and its line of the legend.
pub struct LegendEntry {
    pub colour: [u8; 3],
    pub name: String,
    /// The number of tiles, as text.
    pub count: String,
}

/// The contents of a figure of categories.
pub struct TilesFigure<'a> {
    /// `[PHOTO_SIDE][PHOTO_SIDE][3]`.
    pub photograph: &'a [u8],
    /// The index in `legend` of the category at each position, `[ny][nx]`.
    pub tiles: &'a [usize],
    /// `[ny, nx]`.
    pub grid: [usize; 2],
    /// The part of the picture with tiles, in pixels of the network's input.
    pub area: Rect,
    pub opacity: f32,
    pub legend: &'a [LegendEntry],
    pub title: &'a str,
    pub note: &'a str,
    pub meaning: [&'a str; 2],
}

/// Width of the legend.
const LEGEND: u32 = 330;

/// Draws the photograph with a coloured tile at each position, and a legend beside it.
pub fn draw_tiles(content: &TilesFigure) -> Canvas {
    let width = MARGIN + PHOTO + MARGIN + LEGEND + MARGIN;
    let (mut figure, photo_top) = page(content.title, "", content.note, content.meaning, width);
    let tiles: Vec<f32> = content.tiles.iter().map(|&kind| kind as f32).collect();
    let overlay = Overlay {
        map: &tiles,
        grid: content.grid,
        area: content.area,
        upsampling: Upsampling::Nearest,
        opacity: content.opacity,
    };
    let (values, area) = overlay.enlarged(PHOTO_SIDE);
    let pixels =
        overlay.paint(content.photograph, PHOTO_SIDE, area, |i| content.legend[values[i] as usize].colour);
    figure.image([MARGIN, photo_top, PHOTO, PHOTO], pixels);
    outline_area(&mut figure, [MARGIN, photo_top], content.area, PHOTO);
    let (left, mut y) = (MARGIN + PHOTO + MARGIN, photo_top);
    for entry in content.legend {
        // The colour over a medium grey photograph.
        let swatch = tick_style().height;
        figure.fill([left, y, swatch, swatch], mix([128; 3], entry.colour, content.opacity.max(0.5)));
        figure.outline([left, y, swatch, swatch], INK);
        let (text_left, room) = (left + swatch + GAP, LEGEND - swatch - GAP);
        for line in tick_style().wrap(&entry.name, room, 2) {
            figure.text(tick_style(), text_left, y, &line);
            y += tick_style().height;
        }
        figure.text(note_style(), text_left, y, &note_style().shorten(&entry.count, room));
        y += note_style().height + GAP;
    }
    figure
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::render::canvas::Format;
    use crate::cli::render::colours::Colours;
    use crate::cli::render::page::{LONG, assert_margins};

    fn grey() -> Vec<u8> {
        vec![100; PHOTO_SIDE * PHOTO_SIDE * 3]
    }

    fn content<'a>(photograph: &'a [u8], map: &'a [f32], grid: [usize; 2]) -> MapFigure<'a> {
        MapFigure {
            photograph,
            overlay: Overlay {
                map,
                grid,
                area: Rect::plane(INPUT_SIDE),
                upsampling: Upsampling::Nearest,
                opacity: 0.5,
            },
            scale: Scale::of_drops(Colours::Jet, map),
            title: "Egyptian cat",
            value: "probability 0.574",
            note: "mask 45×45",
            meaning: ["red", "blue"],
            mark: Some([45, 45]),
            base: None,
        }
    }

    /// The top of the photograph on a page with one line of title.
    const PHOTO_TOP: u32 = MARGIN + 34 + GAP + 20 + 2 * GAP;

    #[test]
    fn the_map_lies_half_opaque_over_the_photograph_around_zero() {
        let photo = grey();
        for (values, ends) in
            [([1.0, -0.25], [1.0, -0.25]), ([0.5, -2.0], [0.25, -1.0]), ([0.0, 0.0], [0.0, 0.0])]
        {
            let figure = draw(&content(&photo, &values, [1, 2])).pixels();
            for (x, share) in [(0, ends[0]), (PHOTO - 1, ends[1])] {
                let colour = Colours::Jet.at((share + 1.0) / 2.0);
                assert_eq!(
                    figure.get_pixel(MARGIN + x, PHOTO_TOP + 5).0,
                    mix([100; 3], colour, 0.5),
                    "{values:?}"
                );
            }
        }
    }

    #[test]
    fn a_map_of_a_part_leaves_the_rest_of_the_photograph() {
        let photo = grey();
        let mut content = content(&photo, &[1.0, 1.0], [1, 2]);
        content.overlay.area = Rect { y0: 50, x0: 20, y1: 100, x1: 200 };
        content.mark = None;
        let figure = draw(&content).pixels();
        let at = |x: u32, y: u32| figure.get_pixel(MARGIN + 3 * x, PHOTO_TOP + 3 * y).0;
        let inside = mix([100; 3], Colours::Jet.at(1.0), 0.5);
        assert_eq!(
            (at(110, 75), at(110, 49), at(110, 101), at(19, 75)),
            (inside, [100; 3], [100; 3], [100; 3])
        );
        assert_eq!(at(20, 75), INK);
    }

    #[test]
    fn a_long_explanation_takes_a_second_line() {
        let photo = grey();
        let figure = draw(&MapFigure { meaning: [LONG, "short"], ..content(&photo, &[1.0], [1, 1]) });
        let svg = String::from_utf8(figure.encode(Format::Svg)).unwrap();
        assert!(
            svg.contains("Llanfairpwllgwyngyllgogerychwyrndrobwll</text>") && svg.contains(">short</text>")
        );
    }

    #[test]
    fn nothing_touches_the_edge_of_the_page() {
        let photo = grey();
        for (title, value, mark, size) in [
            ("tench", "probability 0.9", [1, 1], 1e-9),
            (LONG, "logit −1234.5", [224, 224], 1e-4),
            ("", "", [2, 224], 0.0299),
            (LONG, LONG, [224, 3], 0.5),
            ("tench", "logit 20", [45, 45], 19_999.0),
            ("tench", "logit 20", [45, 45], 3e38),
        ] {
            let values = [size, -size, 0.0, size / 3.0];
            let content = MapFigure {
                title,
                value,
                note: LONG,
                meaning: [LONG, ""],
                mark: Some(mark),
                base: Some(size),
                ..content(&photo, &values, [2, 2])
            };
            assert_margins(&draw(&content), title);
        }
        let kind = |i: usize| LegendEntry {
            colour: Colours::Jet.at(i as f32 / 8.0),
            name: LONG.into(),
            count: LONG.into(),
        };
        let figure = draw_tiles(&TilesFigure {
            photograph: &photo,
            tiles: &[0, 1, 2, 8],
            grid: [2, 2],
            area: Rect::plane(INPUT_SIDE),
            opacity: 0.6,
            legend: &(0..9).map(kind).collect::<Vec<_>>(),
            title: LONG,
            note: LONG,
            meaning: [LONG, LONG],
        });
        assert_margins(&figure, "kinds");
    }
}

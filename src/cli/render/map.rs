//! Figures of one map over the photograph: a map of values with a colour bar, or a map of
//! categories with a legend.

use occlude::image::lattice::Lattice;
use occlude::image::resize::Upsampling;

use super::backdrop::{Backdrop, grey};
use super::canvas::Canvas;
use super::page::{
    GAP, INK, MARGIN, PAGE, Texts, draw_mask_size, note_style, outline_area, page, tick_style,
};
use super::scale::{BAR_ROOM, LEAST_BAR, Scale, draw_bar};
use super::text::mix;

/// Share of the opacity of a map where no mask was centred, beyond the outermost mask centres.
const PALE: f32 = 0.5;

/// A map and its place on the network's picture.
#[derive(Clone, Copy)]
pub struct Overlay<'a> {
    /// `[ny][nx]`.
    pub map: &'a [f32],
    pub lattice: Lattice,
    /// Method that enlarges the map; [`Upsampling::None`] shows its cells as blocks.
    pub upsampling: Upsampling,
    /// Opacity of the map, 0..=1; 0.5 in MATLAB's example.
    pub opacity: f32,
}

impl Overlay<'_> {
    /// The picture with the colours of the map over it, `[height][width][3]`.
    pub fn over(&self, backdrop: &Backdrop, scale: &Scale) -> Vec<u8> {
        self.paint(backdrop, |pixel| pixel, |value| scale.colour(value))
    }

    /// The picture, with the colours of `under`, and over it those of the map.
    fn paint(
        &self,
        backdrop: &Backdrop,
        under: impl Fn([u8; 3]) -> [u8; 3],
        colour: impl Fn(f32) -> [u8; 3],
    ) -> Vec<u8> {
        let [x, y, width, height] = backdrop.area_of(self.lattice.area()).map(|length| length as usize);
        let rows = &backdrop.places(0)[y..y + height];
        let columns = &backdrop.places(1)[x..x + width];
        let values = self.lattice.values(self.map, rows, columns, self.upsampling);
        let spans = |axis, places: &[f64]| -> Vec<bool> {
            places.iter().map(|&at| self.lattice.spans(axis, at)).collect()
        };
        let [across, down] = [spans(1, columns), spans(0, rows)];
        let mut pixels = backdrop.pixels.clone();
        pixels.as_chunks_mut().0.iter_mut().for_each(|pixel| *pixel = under(*pixel));
        for (row, in_rows) in down.iter().enumerate() {
            let pixels = &mut pixels.as_chunks_mut::<3>().0[(y + row) * backdrop.size[1] + x..][..width];
            let values = &values[row * width..][..width];
            for ((pixel, &value), in_columns) in pixels.iter_mut().zip(values).zip(&across) {
                let pale = if *in_rows && *in_columns { 1.0 } else { PALE };
                *pixel = mix(*pixel, colour(value), pale * self.opacity);
            }
        }
        pixels
    }
}

/// The contents of a figure of one map.
pub struct MapFigure<'a> {
    pub backdrop: &'a Backdrop,
    pub overlay: Overlay<'a>,
    pub scale: Scale,
    /// The name of the mapped class or feature.
    pub title: &'a str,
    /// The value for the uncovered picture, beside the title.
    pub value: &'a str,
    /// The parameters of the map, below the title.
    pub note: &'a str,
    /// A warning, if the colours could mislead; otherwise empty.
    pub caution: &'a str,
    /// The meaning of the colours, below the photograph.
    pub meaning: [&'a str; 2],
    /// Height and width of a mask, in pixels of the network's input; outlined to show its size.
    pub mark: Option<[usize; 2]>,
    /// The value of the uncovered picture, marked at the colour bar.
    pub base: Option<f32>,
    /// The values of the map whose places are hatched, and the words for them below the colour bar.
    pub hatched: Option<(&'a [bool], [&'a str; 2])>,
}

/// Distance between the lines of a hatching, and their width.
const HATCH: [usize; 2] = [14, 2];

/// True for the pixels of the lines of a hatching.
fn is_hatched(y: usize, x: usize) -> bool {
    (y + x) % HATCH[0] < HATCH[1]
}

/// Draws the photograph with the map over it, title, mask size and colour bar, on an opaque white
/// page.
///
/// # Panics
/// If the length of the map differs from its shape.
pub fn draw(content: &MapFigure) -> Canvas {
    let [height, width] = content.backdrop.on_page();
    let words = 2 * tick_style().height + 2 * GAP;
    let legend = content.hatched.map_or(0, |_| words);
    let bar = height.max(LEAST_BAR + legend);
    let MapFigure { backdrop, title, value, note, caution, .. } = *content;
    let meaning: Vec<&str> = content.meaning.into_iter().chain(backdrop.dark_in_words()).collect();
    let texts = Texts { title, value, note, caution, meaning: &meaning };
    let (mut figure, top) = page(&texts, [width + BAR_ROOM, bar]);
    let mut pixels = content.overlay.over(content.backdrop, &content.scale);
    let left = MARGIN + width + MARGIN;
    if let Some((hatched, names)) = content.hatched {
        hatch(&mut pixels, &content.overlay, backdrop, hatched);
        let (side, y) = (2 * tick_style().height, top + bar - 2 * tick_style().height);
        let line = |i: usize| if is_hatched(i / side as usize, i % side as usize) { INK } else { PAGE };
        figure.image([left, y, side, side], (0..(side * side) as usize).flat_map(line).collect());
        figure.outline([left, y, side, side], INK);
        figure.lines(tick_style(), left + side + GAP, y, &names.map(str::to_string));
    }
    figure.image([MARGIN, top, width, height], pixels);
    outline_area(&mut figure, [MARGIN, top], content.overlay.lattice.area(), content.backdrop);
    if let Some(size) = content.mark {
        draw_mask_size(&mut figure, [MARGIN, top], size, content.backdrop);
    }
    draw_bar(&mut figure, [left, top], bar - legend, &content.scale, content.base);
    figure
}

/// Draws lines over the places of some values, of which each has the pixels that are nearest to it.
fn hatch(pixels: &mut [u8], overlay: &Overlay, backdrop: &Backdrop, hatched: &[bool]) {
    let [x, y, width, height] = backdrop.area_of(overlay.lattice.area()).map(|length| length as usize);
    let places = [0, 1].map(|axis| backdrop.places(axis));
    let cells: Vec<f32> = hatched.iter().map(|&is| f32::from(u8::from(is))).collect();
    let (rows, columns) = (&places[0][y..y + height], &places[1][x..x + width]);
    let values = overlay.lattice.values(&cells, rows, columns, Upsampling::Nearest);
    for (i, _) in values.iter().enumerate().filter(|(_, value)| **value > 0.0) {
        let [y, x] = [y + i / width, x + i % width];
        if is_hatched(y, x) {
            let pixel = &mut pixels.as_chunks_mut::<3>().0[y * backdrop.size[1] + x];
            *pixel = mix(*pixel, INK, 0.75);
        }
    }
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
    pub backdrop: &'a Backdrop,
    /// The index in `legend` of the category at each position, `[ny][nx]`.
    pub tiles: &'a [usize],
    pub lattice: Lattice,
    pub opacity: f32,
    pub legend: &'a [LegendEntry],
    pub title: &'a str,
    pub note: &'a str,
    pub meaning: [&'a str; 2],
}

/// Width of the legend.
const LEGEND: u32 = 330;

/// Draws the photograph in grey with a coloured tile at each position, and a legend beside it.
pub fn draw_tiles(content: &TilesFigure) -> Canvas {
    let [height, width] = content.backdrop.on_page();
    let swatch = tick_style().height;
    let names: Vec<Vec<String>> =
        content.legend.iter().map(|entry| tick_style().wrap(&entry.name, LEGEND - swatch - GAP, 2)).collect();
    let line_heights =
        names.iter().map(|lines| lines.len().max(1) as u32 * tick_style().height + note_style().height + GAP);
    let contents = [width + MARGIN + LEGEND, height.max(line_heights.sum())];
    let TilesFigure { backdrop, title, note, .. } = *content;
    let meaning: Vec<&str> = content.meaning.into_iter().chain(backdrop.dark_in_words()).collect();
    let (mut figure, top) = page(&Texts { title, value: "", note, caution: "", meaning: &meaning }, contents);
    let tiles: Vec<f32> = content.tiles.iter().map(|&kind| kind as f32).collect();
    let overlay = Overlay {
        map: &tiles,
        lattice: content.lattice,
        upsampling: Upsampling::Nearest,
        opacity: content.opacity,
    };
    // On grey, the colours are those of the legend.
    let pixels = overlay.paint(backdrop, grey, |kind| content.legend[kind as usize].colour);
    figure.image([MARGIN, top, width, height], pixels);
    outline_area(&mut figure, [MARGIN, top], content.lattice.area(), content.backdrop);
    let (left, mut y) = (MARGIN + width + MARGIN, top);
    for (entry, names) in content.legend.iter().zip(&names) {
        // The colour over a medium grey photograph.
        figure.fill([left, y, swatch, swatch], mix([128; 3], entry.colour, content.opacity.max(0.5)));
        figure.outline([left, y, swatch, swatch], INK);
        let (text_left, room) = (left + swatch + GAP, LEGEND - swatch - GAP);
        for line in names {
            figure.text(tick_style(), text_left, y, line);
            y += tick_style().height;
        }
        figure.text(note_style(), text_left, y, &note_style().shorten(&entry.count, room));
        y += note_style().height + GAP;
    }
    figure
}

#[cfg(test)]
mod tests {
    use occlude::network::INPUT_SIDE;
    use occlude::network::geometry::Rect;
    use occlude::{Photograph, Resize};

    use super::*;
    use crate::cli::render::backdrop::CanvasShape;
    use crate::cli::render::canvas::Format;
    use crate::cli::render::colours::Colours;
    use crate::cli::render::page::{LONG, assert_margins};
    use crate::cli::render::scale::ColourRange;

    /// The side of a square photograph on a figure.
    const PHOTO: u32 = 672;

    fn grey() -> Backdrop {
        shaped(224, 224)
    }

    fn shaped(height: usize, width: usize) -> Backdrop {
        let photograph = Photograph::from_rgb(height, width, &vec![100; height * width * 3]).unwrap();
        Backdrop::large(&photograph, Resize::Stretch, CanvasShape::Photo)
    }

    fn cells(grid: [usize; 2]) -> Lattice {
        Lattice::cells(grid, Rect::plane(INPUT_SIDE))
    }

    fn content<'a>(backdrop: &'a Backdrop, map: &'a [f32], grid: [usize; 2]) -> MapFigure<'a> {
        MapFigure {
            backdrop,
            overlay: Overlay { map, lattice: cells(grid), upsampling: Upsampling::Nearest, opacity: 0.5 },
            scale: Scale::of_drops(Colours::Jet, ColourRange::Symmetric, map),
            title: "Egyptian cat",
            value: "probability 0.574",
            note: "mask 45×45",
            caution: "",
            meaning: ["red", "blue"],
            mark: Some([45, 45]),
            base: None,
            hatched: None,
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
        content.overlay.lattice = Lattice::cells([1, 2], Rect { y0: 50, x0: 20, y1: 100, x1: 200 });
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
    fn a_map_is_paler_beyond_the_outermost_mask_centres() {
        let backdrop = grey();
        let values = [1.0; 4];
        let mut content = content(&backdrop, &values, [2, 2]);
        content.overlay.lattice = Lattice::points([2, 2], [20.0, 50.0], [100, 100], Rect::plane(INPUT_SIDE));
        content.mark = None;
        let figure = draw(&content).pixels();
        let at = |x: u32, y: u32| figure.get_pixel(MARGIN + 3 * x, PHOTO_TOP + 3 * y).0;
        let mixed = |opacity| mix([100; 3], Colours::Jet.at(1.0), opacity);
        assert_eq!([at(50, 20), at(100, 100), at(150, 120)], [0.5; 3].map(mixed));
        assert_eq!([at(49, 20), at(50, 19), at(151, 119), at(149, 121), at(0, 0)], [0.25; 5].map(mixed));
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
                caution: LONG,
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
        let legend: Vec<LegendEntry> = (0..9).map(kind).collect();
        // A panorama is lower than the legend and the colour bar; a strip is narrower than the texts.
        for backdrop in [&photo, &shaped(400, 1200), &shaped(2000, 10), &shaped(1, 3000)] {
            let figure = draw_tiles(&TilesFigure {
                backdrop,
                tiles: &[0, 1, 2, 8],
                lattice: cells([2, 2]),
                opacity: 0.6,
                legend: &legend,
                title: LONG,
                note: LONG,
                meaning: [LONG, LONG],
            });
            assert_margins(&figure, "kinds");
            let values = [1.0, -1.0];
            assert_margins(&draw(&content(backdrop, &values, [1, 2])), "shapes");
        }
    }
}

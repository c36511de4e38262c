//! Figures of places on a photograph and of links between them: numbered rectangles, and for each pair
//! a curve whose width and colour show a value.

use occlude::network::geometry::Rect;

use super::backdrop::{Backdrop, grey};
use super::canvas::Canvas;
use super::page::{GAP, INK, MARGIN, PAGE, Texts, caption_style, note_style, page, ringed, tick_style};
use super::scale::{BAR_ROOM, LEAST_BAR, Scale, draw_bar, readable};
use super::text::mix;

/// Width of the list of places.
const LIST: u32 = 200;

/// The share of white over the grey photograph, so that links stand out.
const WHITE: f32 = 0.35;

/// Width of a link whose value is 0, and of one whose value lies at an end of the scale.
const WIDTHS: [f32; 2] = [1.5, 12.0];

/// Width of the dark edge on each side of a link.
const EDGE: f32 = 1.5;

/// The distance of the middle of a link from the straight line, as a share of its length. Places lie on
/// a grid, and a straight link would cross others.
const BEND: f32 = 0.14;

/// Links whose values are below this share of the end of the scale are not drawn, because they would hide
/// the others.
pub const LEAST: f32 = 0.05;

/// The number of straight parts of a link.
const PARTS: usize = 24;

/// Places on a photograph and links between them.
pub struct Links<'a> {
    pub backdrop: &'a Backdrop,
    /// In pixels of the network's picture, with the value of each place.
    pub places: Vec<(Rect, f32)>,
    /// The two places of each link, and its value.
    pub links: Vec<([usize; 2], f32)>,
    pub scale: Scale,
}

/// The contents of a figure of links.
pub struct LinksFigure<'a> {
    pub links: &'a Links<'a>,
    pub title: &'a str,
    pub value: &'a str,
    pub note: &'a str,
    /// The heading of the list of places.
    pub listed: &'a str,
    pub meaning: [&'a str; 3],
}

/// Draws the photograph in pale grey with the places and links, a colour bar, and the list of the places.
pub fn draw(content: &LinksFigure) -> Canvas {
    let LinksFigure { links, title, value, note, .. } = *content;
    let [height, width] = links.backdrop.on_page();
    let line = tick_style().height + GAP / 2;
    let heading = note_style().wrap(content.listed, LIST, 4);
    let list = heading.len() as u32 * note_style().height + GAP + links.places.len() as u32 * line;
    let bar = height.max(LEAST_BAR).max(list);
    let meaning: Vec<&str> = content.meaning.into_iter().chain(links.backdrop.dark_in_words()).collect();
    let texts = Texts { title, value, note, caution: "", meaning: &meaning };
    let (mut figure, top) = page(&texts, [width + BAR_ROOM + LIST, bar]);
    links.draw_at(&mut figure, [MARGIN, top]);
    draw_bar(&mut figure, [MARGIN + width + MARGIN, top], bar, &links.scale, None);
    let left = MARGIN + width + BAR_ROOM;
    figure.lines(note_style(), left, top, &heading);
    let mut y = top + heading.len() as u32 * note_style().height + GAP;
    for (i, (_, value)) in links.places.iter().enumerate() {
        figure.text_ending(tick_style(), left + 32, y, &(i + 1).to_string());
        figure.text_ending(tick_style(), left + LIST - MARGIN, y, &readable(*value));
        y += line;
    }
    figure
}

impl Links<'_> {
    /// The photograph with the places and links alone.
    pub fn alone(&self) -> Canvas {
        let [height, width] = self.backdrop.on_page();
        let mut canvas = Canvas::new(width, height, PAGE);
        self.draw_at(&mut canvas, [0, 0]);
        canvas
    }

    /// Draws the photograph in pale grey with the places and links.
    fn draw_at(&self, figure: &mut Canvas, [left, top]: [u32; 2]) {
        let [height, width] = self.backdrop.on_page();
        let mut pixels = self.backdrop.pixels.clone();
        pixels
            .as_chunks_mut::<3>()
            .0
            .iter_mut()
            .for_each(|pixel| *pixel = mix(grey(*pixel), [255; 3], WHITE));
        figure.image([left, top, width, height], pixels);
        let areas: Vec<[u32; 4]> = self
            .places
            .iter()
            .map(|(rect, _)| self.backdrop.area_of(*rect))
            .map(|[x, y, width, height]| [left + x, top + y, width, height])
            .collect();
        for &area in &areas {
            ringed(figure, area);
        }
        let middle = |place: usize| {
            let [x, y, width, height] = areas[place].map(|length| length as f32);
            [x + width / 2.0, y + height / 2.0]
        };
        let share = |value: f32| value.abs() / self.scale.limit();
        // The strongest links lie on top.
        let mut links: Vec<_> = self.links.iter().filter(|(_, value)| share(*value) >= LEAST).collect();
        links.sort_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
        let centre = [left as f32 + width as f32 / 2.0, top as f32 + height as f32 / 2.0];
        for &&([from, to], value) in &links {
            let [least, most] = WIDTHS;
            let wide = least + (most - least) * share(value).min(1.0);
            let points = bent(middle(from), middle(to), centre);
            figure.curve(points.clone(), INK, wide + 2.0 * EDGE);
            figure.curve(points, self.scale.colour(value), wide);
        }
        for (i, area) in areas.iter().enumerate() {
            let number = (i + 1).to_string();
            let text = caption_style().width(&number);
            let side = caption_style().height + 2;
            let [x, y] = middle(i).map(|at| at as u32);
            let corner = [x.min(area[0] + area[2]).saturating_sub(side / 2), y.saturating_sub(side / 2)];
            figure.fill([corner[0], corner[1], side, side], PAGE);
            figure.outline([corner[0], corner[1], side, side], INK);
            figure.text(caption_style(), corner[0] + (side - text.min(side)) / 2, corner[1] + 1, &number);
        }
    }
}

/// A bow from one point to another, towards the centre of the photograph, so that it does not leave it.
fn bent([x0, y0]: [f32; 2], [x1, y1]: [f32; 2], centre: [f32; 2]) -> Vec<[f32; 2]> {
    let control = |bend: f32| [(x0 + x1) / 2.0 - (y1 - y0) * bend, (y0 + y1) / 2.0 + (x1 - x0) * bend];
    let distance = |[x, y]: [f32; 2]| (x - centre[0]).hypot(y - centre[1]);
    let [one, other] = [control(2.0 * BEND), control(-2.0 * BEND)];
    let control = if distance(other) < distance(one) { other } else { one };
    let at = |share: f32| {
        let [a, b, c] = [(1.0 - share).powi(2), 2.0 * share * (1.0 - share), share.powi(2)];
        [a * x0 + b * control[0] + c * x1, a * y0 + b * control[1] + c * y1]
    };
    (0..=PARTS).map(|i| at(i as f32 / PARTS as f32)).collect()
}

#[cfg(test)]
mod tests {
    use occlude::{Photograph, Resize};

    use super::*;
    use crate::cli::render::backdrop::CanvasShape;
    use crate::cli::render::canvas::Format;
    use crate::cli::render::colours::Colours;
    use crate::cli::render::page::{LONG, assert_margins};
    use crate::cli::render::scale::ColourRange;

    fn figure(size: [usize; 2], values: [f32; 3], text: &str) -> Canvas {
        let photograph = Photograph::from_rgb(size[0], size[1], &vec![100; size[0] * size[1] * 3]).unwrap();
        let backdrop = Backdrop::large(&photograph, Resize::Stretch, CanvasShape::Photo);
        let place = |y0: usize, x0: usize| Rect { y0, x0, y1: y0 + 45, x1: x0 + 45 };
        let links = Links {
            backdrop: &backdrop,
            places: vec![(place(0, 0), 0.5), (place(0, 170), 1e-7), (place(170, 60), -1234.0)],
            links: vec![([0, 1], values[0]), ([0, 2], values[1]), ([1, 2], values[2])],
            scale: Scale::of_drops(Colours::OF_DROPS, ColourRange::Symmetric, &values),
        };
        draw(&LinksFigure {
            links: &links,
            title: text,
            value: text,
            note: text,
            listed: text,
            meaning: [text; 3],
        })
    }

    #[test]
    fn links_have_the_colour_and_the_width_of_their_values() {
        let drawn = figure([224, 224], [0.2, 0.04, -0.2], "").pixels();
        let count = |share: f32| {
            let colour = Colours::OF_DROPS.at(share);
            drawn.enumerate_pixels().filter(|(x, _, pixel)| *x < 672 && pixel.0 == colour).count()
        };
        let [red, pink, blue] = [1.0, 0.6, 0.0].map(count);
        assert!(red > 2000 && blue > 2000 && pink > 100 && pink < 1500, "{red} {pink} {blue}");
        // A weaker link is left out, and without any value there is none.
        let links = |values| figure([224, 224], values, "").encode(Format::Svg);
        let count = |svg: Vec<u8>| String::from_utf8(svg).unwrap().matches("<polyline").count();
        assert_eq!([count(links([0.2, 0.009, -0.2])), count(links([0.0; 3]))], [4, 0]);
    }

    #[test]
    fn nothing_touches_the_edge_of_the_page() {
        for size in [[224, 224], [1, 900], [900, 1], [400, 1200]] {
            for values in [[0.0; 3], [1e-9, 3e38, -1.0]] {
                assert_margins(&figure(size, values, LONG), "links");
            }
        }
    }
}

//! The pictures that explain: photograph, map, title, colour bar, legend. Everything on them comes as numbers and words:
//! which explanation it is about is not known here.

use occlude::image::resize::{Upsampling, upsample};
use occlude::network::INPUT_SIDE;
use occlude::network::geometry::Rect;

use super::canvas::Canvas;
use super::colours::Colours;
use super::text::{Style, mix};

/// Side of the photograph on a figure of its own in pixels: the network's input, three times as large.
pub const PHOTO_SIDE: usize = 3 * INPUT_SIDE;

/// Side of the photograph on figures with several.
pub const PANEL_SIDE: usize = 3 * INPUT_SIDE / 2;

const PHOTO: u32 = PHOTO_SIDE as u32;
const PANEL: u32 = PANEL_SIDE as u32;
/// Around everything, and between the photograph and the colour bar.
pub const MARGIN: u32 = 24;
/// Between a text and what it belongs to.
pub const GAP: u32 = 8;
const BAR_WIDTH: u32 = 24;
/// Room for the colour bar's numbers.
const TICKS_WIDTH: u32 = 96;
pub const BAR_ROOM: u32 = MARGIN + BAR_WIDTH + GAP + TICKS_WIDTH;
const WIDTH: u32 = MARGIN + PHOTO + BAR_ROOM + MARGIN;
pub const TITLE_LINES: usize = 2;
/// Lines of a sentence in small print.
const NOTE_LINES: usize = 2;

pub const PAGE: [u8; 3] = [255; 3];
pub const INK: [u8; 3] = [25, 25, 30];
pub const FAINT_INK: [u8; 3] = [90, 90, 100];

pub fn title_style() -> Style {
    Style::bold(34, INK)
}

fn caption_style() -> Style {
    Style::bold(22, INK)
}

pub fn note_style() -> Style {
    Style::book(20, FAINT_INK)
}

fn tick_style() -> Style {
    Style::book(20, INK)
}

/// Least width of a scale, as a share of the values on it.
const NARROWEST: f32 = 1e-4;

/// The smallest value and the largest; 0 and 0 if there are none.
pub fn range<'v>(values: impl IntoIterator<Item = &'v f32>) -> [f32; 2] {
    let ends = |ends: Option<[f32; 2]>, &value: &f32| {
        Some(ends.map_or([value; 2], |[low, high]| [low.min(value), high.max(value)]))
    };
    values.into_iter().fold(None, ends).unwrap_or_default()
}

/// Which values the colours stand for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    pub colours: Colours,
    pub low: f32,
    pub high: f32,
}

impl Scale {
    /// For drops: symmetric around zero, so that the middle of the colours is "no effect" and the largest magnitude of either
    /// sign reaches an end; for colours without a middle, from the smallest value to the largest. MATLAB instead spreads
    /// the colours from the smallest value to the largest, where blue can mean "no effect" on one map and "evidence
    /// against" on the next.
    pub fn of_drops<'v>(colours: Colours, values: impl IntoIterator<Item = &'v f32>) -> Scale {
        let [low, high] = range(values);
        let limit = high.max(-low);
        if colours.is_symmetric() {
            Scale { colours, low: -limit, high: limit }
        } else {
            Scale::of_values(colours, [&low, &high])
        }
    }

    /// From the smallest value to the largest; where they are nearly the same, a little further, for otherwise the colours
    /// would show how numbers are rounded.
    pub fn of_values<'v>(colours: Colours, values: impl IntoIterator<Item = &'v f32>) -> Scale {
        let [low, high] = range(values);
        let [middle, half] = [(low / 2.0 + high / 2.0), (high / 2.0 - low / 2.0)];
        let least = middle.abs() * NARROWEST / 2.0;
        if half < least {
            return Scale { colours, low: middle - least, high: middle + least };
        }
        Scale { colours, low, high }
    }

    /// What stands for a value.
    pub fn colour(&self, value: f32) -> [u8; 3] {
        self.colours.at(self.share(value))
    }

    /// Where a value lies, 0..=1. A map without any effect is all in the middle.
    fn share(&self, value: f32) -> f32 {
        // In f64, where no difference of two f32 overflows.
        let [low, high, value] = [self.low, self.high, value].map(f64::from);
        if high > low { ((value - low) / (high - low)) as f32 } else { 0.5 }
    }
}

/// A map and the part of the picture that it lies on.
#[derive(Clone, Copy)]
pub struct Overlay<'a> {
    /// `[ny][nx]`.
    pub map: &'a [f32],
    /// `[ny, nx]`.
    pub grid: [usize; 2],
    /// In pixels of the network's input.
    pub area: Rect,
    /// How the map is enlarged; [`Upsampling::None`] shows its cells as blocks.
    pub upsampling: Upsampling,
    /// Share of the map's colour, 0..=1; MATLAB's example has 0.5.
    pub opacity: f32,
}

impl Overlay<'_> {
    /// The map's values at the photograph's size, and where they lie on it.
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

    /// The photograph, `[side][side][3]`, with the map's colours over it.
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

/// What a figure of one map shows.
pub struct MapFigure<'a> {
    /// What the network saw, at figure size, `[PHOTO_SIDE][PHOTO_SIDE][3]`: see [`occlude::Photograph::square`].
    pub photograph: &'a [u8],
    pub overlay: Overlay<'a>,
    pub scale: Scale,
    /// Of what.
    pub title: &'a str,
    /// Beside the title: what the whole picture has.
    pub value: &'a str,
    /// How it was made, below the title.
    pub note: &'a str,
    /// How to read it, below the photograph.
    pub meaning: [&'a str; 2],
    /// Height and width of a mask, in network pixels, to be outlined for its size.
    pub mark: Option<[usize; 2]>,
    /// A value to be marked at the colour bar: the whole picture's.
    pub base: Option<f32>,
}

/// Draws the photograph with the map over it, title, mask size and colour bar, on an opaque white page.
///
/// # Panics
/// When photograph or map has another length than its shape says.
pub fn map(content: &MapFigure) -> Canvas {
    let (mut figure, photo_top) = page(content.title, content.value, content.note, content.meaning, WIDTH);
    let pixels = content.overlay.over(content.photograph, PHOTO_SIDE, &content.scale);
    figure.picture([MARGIN, photo_top, PHOTO, PHOTO], pixels);
    outline_area(&mut figure, [MARGIN, photo_top], content.overlay.area, PHOTO);
    if let Some(size) = content.mark {
        draw_mask_size(&mut figure, [MARGIN, photo_top], size, PHOTO);
    }
    draw_bar(&mut figure, [MARGIN + PHOTO + MARGIN, photo_top], PHOTO, &content.scale, content.base);
    figure
}

/// A page with title, note and meaning, which takes as many lines as it needs, and where the photograph goes.
fn page(title: &str, value: &str, note: &str, meaning: [&str; 2], width: u32) -> (Canvas, u32) {
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
fn ringed(figure: &mut Canvas, [x, y, width, height]: [u32; 4]) {
    for (ring, colour) in [INK, PAGE, PAGE, INK].into_iter().enumerate() {
        let ring = ring as u32;
        if 2 * ring < height.min(width) {
            figure.outline([x + ring, y + ring, width - 2 * ring, height - 2 * ring], colour);
        }
    }
}

/// The border of a part of the picture; nothing around the whole.
fn outline_area(figure: &mut Canvas, [left, top]: [u32; 2], area: Rect, side: u32) {
    if area == Rect::plane(INPUT_SIDE) {
        return;
    }
    let place = |edge: usize| edge as u32 * side / INPUT_SIDE as u32;
    let (x, y) = (place(area.x0), place(area.y0));
    ringed(figure, [left + x, top + y, place(area.x1) - x, place(area.y1) - y]);
}

/// An outline of the mask's size in the photograph's lower left corner.
fn draw_mask_size(figure: &mut Canvas, [left, top]: [u32; 2], mask_size: [usize; 2], side: u32) {
    let [height, width] = mask_size.map(|size| (size as u32 * side / INPUT_SIDE as u32).clamp(1, side));
    let inset = |size: u32| GAP.min((side - size) / 2);
    ringed(figure, [left + inset(width), top + side - inset(height) - height, width, height]);
}

/// The colours from the highest value (top) to the lowest, with round numbers beside them; `base` is marked by a line across.
pub fn draw_bar(figure: &mut Canvas, [left, top]: [u32; 2], height: u32, scale: &Scale, base: Option<f32>) {
    let shares = (0..height).map(|y| 1.0 - (y as f32 + 0.5) / height as f32);
    let pixels = shares.flat_map(|share| scale.colours.at(share).repeat(BAR_WIDTH as usize)).collect();
    figure.picture([left, top, BAR_WIDTH, height], pixels);
    figure.outline([left, top, BAR_WIDTH, height], INK);
    let place =
        |value: f32| top + ((1.0 - scale.share(value).clamp(0.0, 1.0)) * (height - 1) as f32).round() as u32;
    for (value, text) in ticks(scale.low, scale.high) {
        let y = place(value);
        figure.fill([left + BAR_WIDTH, y, GAP / 2, 1], INK);
        let text_top = y.saturating_sub(tick_style().height / 2);
        figure.text(tick_style(), left + BAR_WIDTH + GAP, text_top, &text);
    }
    if let Some(base) = base {
        let y = place(base).clamp(top + 2, top + height - 3);
        figure.fill([left - GAP / 2, y - 2, BAR_WIDTH + GAP, 5], PAGE);
        figure.fill([left - GAP / 2, y - 1, BAR_WIDTH + GAP, 3], INK);
    }
}

/// Things that tiles of a figure can be, one a line of the legend.
pub struct Kind {
    pub colour: [u8; 3],
    pub name: String,
    /// How often.
    pub count: String,
}

/// What a figure of kinds shows.
pub struct KindsFigure<'a> {
    /// `[PHOTO_SIDE][PHOTO_SIDE][3]`.
    pub photograph: &'a [u8],
    /// Which of the kinds each position is, `[ny][nx]`.
    pub tiles: &'a [usize],
    /// `[ny, nx]`.
    pub grid: [usize; 2],
    /// In pixels of the network's input.
    pub area: Rect,
    pub opacity: f32,
    pub kinds: &'a [Kind],
    pub title: &'a str,
    pub note: &'a str,
    pub meaning: [&'a str; 2],
}

/// Width of the legend's column.
const LEGEND: u32 = 330;

/// Draws the photograph with a coloured tile at each position, and a legend beside it.
pub fn kinds(content: &KindsFigure) -> Canvas {
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
        overlay.paint(content.photograph, PHOTO_SIDE, area, |i| content.kinds[values[i] as usize].colour);
    figure.picture([MARGIN, photo_top, PHOTO, PHOTO], pixels);
    outline_area(&mut figure, [MARGIN, photo_top], content.area, PHOTO);
    let (left, mut y) = (MARGIN + PHOTO + MARGIN, photo_top);
    for kind in content.kinds {
        // As it looks over a photograph of middle grey.
        let swatch = tick_style().height;
        figure.fill([left, y, swatch, swatch], mix([128; 3], kind.colour, content.opacity.max(0.5)));
        figure.outline([left, y, swatch, swatch], INK);
        let (text_left, room) = (left + swatch + GAP, LEGEND - swatch - GAP);
        for line in tick_style().wrap(&kind.name, room, 2) {
            figure.text(tick_style(), text_left, y, &line);
            y += tick_style().height;
        }
        figure.text(note_style(), text_left, y, &note_style().shorten(&kind.count, room));
        y += note_style().height + GAP;
    }
    figure
}

/// One photograph of several.
pub struct Panel {
    /// Two lines, the second in small print.
    pub caption: [String; 2],
    /// `[PANEL_SIDE][PANEL_SIDE][3]`.
    pub pixels: Vec<u8>,
    /// The part that has a map, in pixels of the network's input; outlined if it is not the whole.
    pub area: Rect,
    /// As in [`MapFigure`].
    pub mark: Option<[usize; 2]>,
}

/// Photographs side by side, with one colour bar for those that have colours.
pub struct Row {
    pub panels: Vec<Panel>,
    pub scale: Option<Scale>,
}

/// Draws rows of photographs under a title, and notes below them.
pub fn panels(title: &str, rows: &[Row], notes: &[&str]) -> Canvas {
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
            figure.picture([left, top + head, PANEL, PANEL], panel.pixels.clone());
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

/// One line of a plot.
pub struct Line<'a> {
    pub colour: [u8; 3],
    /// For the legend.
    pub name: String,
    pub values: &'a [f32],
}

/// Draws plots side by side, each of (title, lines over the same `shares` of 0..=1), all on one vertical scale.
pub fn plots(
    title: &str,
    plots: &[(&str, Vec<Line>)],
    shares: &[f32],
    across: &str,
    notes: &[&str],
) -> Canvas {
    let side = PANEL + PANEL / 4;
    let (left_room, width) = (TICKS_WIDTH, MARGIN + plots.len() as u32 * (TICKS_WIDTH + side + MARGIN));
    let longest = plots.iter().map(|(_, lines)| lines.len()).max().unwrap_or(0) as u32;
    let lines = title_style().wrap(title, width - 2 * MARGIN, TITLE_LINES);
    let top = MARGIN + lines.len() as u32 * title_style().height + GAP;
    let plot_top = top + caption_style().height + GAP;
    let legend_top = plot_top + side + 2 * tick_style().height + 2 * GAP;
    let notes_top = legend_top + longest * (tick_style().height + GAP / 2) + GAP;
    let height = notes_top + notes.len() as u32 * note_style().height + MARGIN;
    let mut figure = Canvas::new(width, height, PAGE);
    for (line, y) in lines.iter().zip((MARGIN..).step_by(title_style().height as usize)) {
        figure.text(title_style(), MARGIN, y, line);
    }
    let values = plots.iter().flat_map(|(_, lines)| lines).flat_map(|line| line.values);
    let scale = Scale::of_values(Colours::Viridis, values.chain([&0.0]));
    for (i, (caption, lines)) in plots.iter().enumerate() {
        let left = MARGIN + left_room + i as u32 * (TICKS_WIDTH + side + MARGIN);
        figure.text(caption_style(), left, top, &caption_style().shorten(caption, side));
        let place = |share: f32, value: f32| {
            [left as f32 + share * side as f32, plot_top as f32 + (1.0 - scale.share(value)) * side as f32]
        };
        for (value, text) in ticks(scale.low, scale.high) {
            let y = place(0.0, value)[1] as u32;
            figure.fill([left, y.min(plot_top + side - 1), side, 1], [225; 3]);
            figure.text_ending(tick_style(), left - GAP, y.saturating_sub(tick_style().height / 2), &text);
        }
        for percent in [0, 25, 50, 75, 100] {
            let x = left + side * percent / 100;
            figure.fill([x.min(left + side - 1), plot_top, 1, side], [225; 3]);
            let text = format!("{percent} %");
            let (text_width, below) = (tick_style().width(&text), plot_top + side + GAP / 2);
            figure.text(tick_style(), (x - text_width / 2).min(left + side - text_width), below, &text);
        }
        figure.outline([left, plot_top, side, side], INK);
        figure.text(note_style(), left, plot_top + side + tick_style().height + GAP / 2, across);
        for (n, line) in lines.iter().enumerate() {
            figure.curve(shares.iter().zip(line.values).map(|(&x, &y)| place(x, y)).collect(), line.colour);
            let y = legend_top + n as u32 * (tick_style().height + GAP / 2);
            figure.fill([left, y + tick_style().height / 2 - 2, 3 * GAP, 4], line.colour);
            let name = tick_style().shorten(&line.name, side - 4 * GAP);
            figure.text(tick_style(), left + 4 * GAP, y, &name);
        }
    }
    for (note, y) in notes.iter().zip((notes_top..).step_by(note_style().height as usize)) {
        figure.text(note_style(), MARGIN, y, &note_style().shorten(note, width - 2 * MARGIN));
    }
    figure
}

/// Round values in `low..=high`, at most nine or so, with their texts; zero among them if it lies there.
fn ticks(low: f32, high: f32) -> Vec<(f32, String)> {
    let span = f64::from(high) - f64::from(low);
    if span <= 0.0 {
        return vec![(low, readable(low))];
    }
    // The step is the smallest of 1, 2 or 5 times a power of ten that leaves at most nine between the ends.
    let power = (span / 2.0).log10().floor() as i32;
    let (step, power) = [(5, power - 1), (1, power), (2, power)]
        .into_iter()
        .find(|&(step, power)| span / 2.0 / (f64::from(step) * 10f64.powi(power)) < 4.999)
        .unwrap_or((5, power));
    let unit = f64::from(step) * 10f64.powi(power);
    // A hair of room, because neither end nor step is exact.
    let first = (f64::from(low) / unit - 1e-6).ceil() as i64;
    let last = (f64::from(high) / unit + 1e-6).floor() as i64;
    let most =
        (first.unsigned_abs().max(last.unsigned_abs()) as f64 * f64::from(step)).log10() as i32 + power;
    (first..=last).map(|k| ((k as f64 * unit) as f32, tick_text(k * i64::from(step), power, most))).collect()
}

/// `count * 10^power`, in full where that is short or all differ in late decimals only, else with the exponent `most` of the largest tick, which all share.
fn tick_text(count: i64, power: i32, most: i32) -> String {
    let decimals = |power: i32| (-power).max(0) as usize;
    let text = match power {
        _ if count == 0 => "0".to_owned(),
        _ if power < 0 && (-2..=4).contains(&most) => {
            format!("{:.*}", decimals(power), count as f64 * 10f64.powi(power))
        }
        -4..=3 => format!("{:.*}", decimals(power), count as f64 * 10f64.powi(power)),
        _ => format!("{:.*}e{most}", decimals(power - most), count as f64 * 10f64.powi(power - most)),
    };
    text.replace('-', "−")
}

/// About three significant digits.
pub fn readable(value: f32) -> String {
    let size = value.abs();
    let text = if value == 0.0 {
        "0".to_owned()
    } else if (1e-3..1e4).contains(&size) {
        let decimals = (2 - size.log10().floor() as i32).clamp(0, 5) as usize;
        format!("{value:.decimals$}")
    } else {
        format!("{value:.1e}")
    };
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::render::canvas::Format;

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

    /// Where the photograph begins on a page whose title takes one line.
    const PHOTO_TOP: u32 = MARGIN + 34 + GAP + 20 + 2 * GAP;

    #[test]
    fn the_map_lies_half_opaque_over_the_photograph_around_zero() {
        let photo = grey();
        for (values, ends) in
            [([1.0, -0.25], [1.0, -0.25]), ([0.5, -2.0], [0.25, -1.0]), ([0.0, 0.0], [0.0, 0.0])]
        {
            let figure = map(&content(&photo, &values, [1, 2])).pixels();
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
        let figure = map(&content).pixels();
        let at = |x: u32, y: u32| figure.get_pixel(MARGIN + 3 * x, PHOTO_TOP + 3 * y).0;
        let inside = mix([100; 3], Colours::Jet.at(1.0), 0.5);
        assert_eq!(
            (at(110, 75), at(110, 49), at(110, 101), at(19, 75)),
            (inside, [100; 3], [100; 3], [100; 3])
        );
        assert_eq!(at(20, 75), INK);
    }

    #[test]
    fn scales_are_symmetric_where_the_colours_are() {
        let values = [0.25, -1.0, 0.5];
        assert_eq!(
            Scale::of_drops(Colours::Diverging, &values),
            Scale { colours: Colours::Diverging, low: -1.0, high: 1.0 }
        );
        assert_eq!(
            Scale::of_drops(Colours::Viridis, &values),
            Scale { colours: Colours::Viridis, low: -1.0, high: 0.5 }
        );
        assert_eq!(Scale::of_drops(Colours::Diverging, &[0.0]).share(0.0), 0.5);
    }

    #[test]
    fn a_panel_shows_the_part_that_has_a_map_and_a_mask() {
        let panel = |area, mark| {
            let pixels = vec![7; PANEL_SIDE * PANEL_SIDE * 3];
            let rows = [Row {
                panels: vec![Panel { caption: [String::new(), String::new()], pixels, area, mark }],
                scale: None,
            }];
            let pixels = panels("", &rows, &[]).pixels();
            pixels.pixels().filter(|pixel| pixel.0 == INK).count()
        };
        let whole = Rect::plane(INPUT_SIDE);
        // Two dark rings a border, three pixels apart: the outlined square is 1.5 times as large as in network pixels.
        let dark = |side: usize| (4 * (side * 3 / 2) - 4) + (4 * (side * 3 / 2 - 6) - 4);
        assert_eq!(panel(whole, None), 0);
        assert_eq!(panel(Rect { y0: 20, x0: 40, y1: 120, x1: 140 }, None), dark(100));
        assert_eq!(panel(whole, Some([30, 30])), dark(30));
    }

    #[test]
    fn a_long_explanation_takes_a_second_line() {
        let photo = grey();
        let figure = map(&MapFigure { meaning: [LONG, "short"], ..content(&photo, &[1.0], [1, 1]) });
        let svg = String::from_utf8(figure.encode(Format::Svg)).unwrap();
        assert!(
            svg.contains("Llanfairpwllgwyngyllgogerychwyrndrobwll</text>") && svg.contains(">short</text>")
        );
    }

    #[test]
    fn what_differs_by_rounding_only_has_one_colour() {
        for value in [0.5f32, 3e-9, -20.0] {
            let scale = Scale::of_values(Colours::Viridis, &[value, value * 1.000_001]);
            assert!((scale.share(value) - 0.5).abs() < 0.02, "{scale:?}");
        }
        let scale = Scale::of_values(Colours::Viridis, &[0.999, 1.0]);
        assert_eq!((scale.low, scale.high), (0.999, 1.0));
        // Twice the largest float is none.
        let scale = Scale::of_drops(Colours::Jet, &[f32::MAX, 0.0]);
        assert_eq!((scale.share(f32::MAX), scale.share(0.0), scale.share(-f32::MAX)), (1.0, 0.5, 0.0));
    }

    fn assert_margins(figure: &Canvas, what: &str) {
        let image = figure.pixels();
        let (width, height) = image.dimensions();
        for (x, y, pixel) in image.enumerate_pixels() {
            let edge = MARGIN / 2;
            if x < edge || y < edge || x >= width - edge || y >= height - edge {
                assert_eq!(pixel.0, PAGE, "{what}: {x} {y}");
            }
        }
    }

    const LONG: &str = "a label, much longer than any that the network has, and with Llanfairpwllgwyngyllgogerychwyrndrobwll";

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
            assert_margins(&map(&content), title);
        }
        let kind = |i: usize| Kind {
            colour: Colours::Jet.at(i as f32 / 8.0),
            name: LONG.into(),
            count: LONG.into(),
        };
        let figure = kinds(&KindsFigure {
            photograph: &photo,
            tiles: &[0, 1, 2, 8],
            grid: [2, 2],
            area: Rect::plane(INPUT_SIDE),
            opacity: 0.6,
            kinds: &(0..9).map(kind).collect::<Vec<_>>(),
            title: LONG,
            note: LONG,
            meaning: [LONG, LONG],
        });
        assert_margins(&figure, "kinds");
        let panel = || Panel {
            caption: [LONG.into(), LONG.into()],
            pixels: vec![7; PANEL_SIDE * PANEL_SIDE * 3],
            area: Rect { y0: 3, x0: 100, y1: 4, x1: 224 },
            mark: Some([224, 1]),
        };
        let scale = Scale { colours: Colours::Jet, low: -1e-7, high: 1e-7 };
        let rows = [
            Row { panels: vec![panel(), panel()], scale: Some(scale) },
            Row { panels: vec![panel()], scale: None },
        ];
        assert_margins(&panels(LONG, &rows, &[LONG, LONG]), "panels");
        let lines = || vec![Line { colour: [0; 3], name: LONG.into(), values: &[1e-5, -0.3, 0.9] }];
        assert_margins(
            &plots(LONG, &[(LONG, lines()), ("b", lines())], &[0.0, 0.5, 1.0], "share", &[LONG]),
            "plots",
        );
    }

    #[test]
    fn ticks_are_round_few_and_fit() {
        let texts = |low, high| ticks(low, high).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        let around = |limit: f32| texts(-limit, limit);
        assert_eq!(around(0.0), ["0"]);
        assert_eq!(around(0.43), ["−0.4", "−0.3", "−0.2", "−0.1", "0", "0.1", "0.2", "0.3", "0.4"]);
        assert_eq!(around(1.0), ["−1.0", "−0.5", "0", "0.5", "1.0"]);
        assert_eq!(around(7.0), ["−6", "−4", "−2", "0", "2", "4", "6"]);
        assert_eq!(around(3e-7), ["−3e−7", "−2e−7", "−1e−7", "0", "1e−7", "2e−7", "3e−7"]);
        assert_eq!(
            texts(4e-9, 4.6e-8),
            ["0.5e−8", "1.0e−8", "1.5e−8", "2.0e−8", "2.5e−8", "3.0e−8", "3.5e−8", "4.0e−8", "4.5e−8"]
        );
        assert_eq!(texts(0.99995, 1.0)[..2], ["0.99995", "0.99996"]);
        assert_eq!(texts(0.9841, 0.9863)[..2], ["0.9845", "0.9850"]);
        assert_eq!(texts(-20.0015, -20.0)[..2], ["−20.0014", "−20.0012"]);
        assert_eq!(texts(0.21, 0.574), ["0.25", "0.30", "0.35", "0.40", "0.45", "0.50", "0.55"]);
        assert_eq!(texts(0.0, 1.0), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        for exponent in -350..=380 {
            let limit = 10f32.powf(exponent as f32 / 10.0);
            for (low, high) in [(-limit, limit), (0.0, limit), (-0.3 * limit, limit)] {
                let ticks = ticks(low, high);
                assert!((3..=10).contains(&ticks.len()), "{limit}: {ticks:?}");
                let room = 1e-5 * (high - low);
                assert!(
                    ticks.iter().all(|(v, _)| *v >= low - room && *v <= high + room),
                    "{limit}: {ticks:?}"
                );
                assert!(
                    ticks.iter().all(|(_, text)| tick_style().width(text) <= TICKS_WIDTH),
                    "{limit}: {ticks:?}"
                );
            }
        }
    }

    #[test]
    fn numbers_have_three_digits() {
        let texts = [0.0, 0.57412, 1.0, 17.4321, -0.0339, 0.000_42, -1234.5, 123_456.0].map(readable);
        assert_eq!(texts, ["0", "0.574", "1.00", "17.4", "−0.0339", "4.2e−4", "−1234", "1.2e5"]);
    }
}

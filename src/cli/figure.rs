//! The picture that explains: photograph, map, title, colour bar.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};

use super::text::{Style, mix};
use occlude::network::INPUT_SIDE;
use occlude::resize::{Upsampling, upsample};

/// Side of the photograph on a figure in pixels: the network's input, three times as large.
pub const PHOTO_SIDE: usize = 3 * INPUT_SIDE;

/// Share of the map's colour in the overlay, as in MATLAB's example.
const OPACITY: f32 = 0.5;

const PHOTO: u32 = PHOTO_SIDE as u32;
/// Around everything, and between the photograph and the colour bar.
const MARGIN: u32 = 24;
/// Between a text and what it belongs to.
const GAP: u32 = 8;
const BAR_WIDTH: u32 = 24;
/// Room for the colour bar's numbers.
const TICKS_WIDTH: u32 = 84;
const WIDTH: u32 = MARGIN + PHOTO + MARGIN + BAR_WIDTH + GAP + TICKS_WIDTH + MARGIN;
const TITLE_LINES: usize = 2;

const PAGE: [u8; 3] = [255; 3];
const INK: [u8; 3] = [25, 25, 30];
const FAINT_INK: [u8; 3] = [90, 90, 100];

fn title_style() -> Style {
    Style::bold(34, INK)
}

fn note_style() -> Style {
    Style::book(20, FAINT_INK)
}

fn tick_style() -> Style {
    Style::book(20, INK)
}

/// What one figure shows.
pub struct Explanation<'a> {
    /// What the network saw, at figure size, `[PHOTO_SIDE][PHOTO_SIDE][3]`: see [`occlude::Photograph::square`].
    pub photograph: &'a [u8],
    /// Score of the unoccluded picture minus score of the occluded one, `[ny][nx]`.
    pub map: &'a [f32],
    /// `[ny, nx]`.
    pub grid: [usize; 2],
    /// How the map is enlarged to the photograph; [`Upsampling::None`] shows its cells as blocks.
    pub upsampling: Upsampling,
    /// Name of the class.
    pub label: &'a str,
    /// What the map is a drop in, as in "probability".
    pub score_name: &'a str,
    /// The unoccluded picture's score.
    pub score: f32,
    /// Height and width of the mask in network pixels.
    pub mask_size: [usize; 2],
    /// Step of the mask in network pixels, down and across.
    pub stride: [usize; 2],
}

/// Draws the photograph with the map over it in jet at half opacity, title, mask size and colour bar, on an opaque white
/// page.
///
/// The colours are symmetric around zero: green is no effect, towards red the score drops when that place is covered
/// (evidence for the class), towards blue it rises (evidence against it). The largest magnitude on the map, of either
/// sign, reaches the end of the colours. MATLAB instead spreads the colours from the smallest value to the largest, where
/// blue can mean "no effect" on one map and "evidence against" on the next.
///
/// # Panics
/// When `photograph` or `map` has another length than its shape says.
pub fn explanation(content: &Explanation) -> RgbImage {
    assert_eq!(content.photograph.len(), PHOTO_SIDE * PHOTO_SIDE * 3, "the photograph has the figure's size");
    let score = format!("{} {}", content.score_name, readable(content.score));
    let score = title_style().shorten(&score, WIDTH / 2);
    let score_width = title_style().width(&score);
    let title = title_style().wrap(content.label, WIDTH - 3 * MARGIN - score_width, TITLE_LINES);

    let notes_top = MARGIN + title.len().max(1) as u32 * title_style().height + GAP;
    let photo_top = notes_top + note_style().height + 2 * GAP;
    let scale_top = photo_top + PHOTO + GAP + GAP / 2;
    let height = scale_top + 2 * note_style().height + MARGIN;
    let mut figure = RgbImage::from_pixel(WIDTH, height, Rgb(PAGE));

    for (line, y) in title.iter().zip((MARGIN..).step_by(title_style().height as usize)) {
        title_style().draw(&mut figure, MARGIN, y, line);
    }
    title_style().draw_ending(&mut figure, WIDTH - MARGIN, MARGIN, &score);
    let [mask_height, mask_width] = content.mask_size;
    let [down, across] = content.stride;
    let sizes = format!(
        "mask {mask_height}×{mask_width} (white outline), stride {down}×{across}, in network pixels ({INPUT_SIDE}×{INPUT_SIDE})"
    );
    draw_note(&mut figure, notes_top, &sizes);

    let map = enlarged(content);
    let limit = map.iter().fold(0.0f32, |limit, value| limit.max(value.abs()));
    draw_overlay(&mut figure, photo_top, content.photograph, &map, limit);
    draw_mask_size(&mut figure, photo_top, content.mask_size);
    draw_bar(&mut figure, photo_top, limit);

    let meaning =
        format!("drop in {} when covered: red is evidence for the class, blue against", content.score_name);
    draw_note(&mut figure, scale_top, &meaning);
    let (low, high) =
        content.map.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
    let range = format!("colours symmetric around 0; measured from {} to {}", readable(low), readable(high));
    draw_note(&mut figure, scale_top + note_style().height, &range);
    figure
}

/// One line in small print, across the figure at most.
fn draw_note(figure: &mut RgbImage, top: u32, text: &str) {
    note_style().draw(figure, MARGIN, top, &note_style().shorten(text, WIDTH - 2 * MARGIN));
}

/// The map at the photograph's size.
fn enlarged(content: &Explanation) -> Vec<f32> {
    let [ny, nx] = content.grid;
    let upsampling = match content.upsampling {
        Upsampling::Bicubic => Upsampling::Bicubic,
        Upsampling::Nearest | Upsampling::None => Upsampling::Nearest,
    };
    upsample(content.map, ny, nx, PHOTO_SIDE, PHOTO_SIDE, upsampling)
}

/// The colour of a map value when `-limit..=limit` spans the colours. A map without any effect is all "zero".
pub fn symmetric(value: f32, limit: f32) -> [u8; 3] {
    if limit > 0.0 { jet((value / limit + 1.0) / 2.0) } else { jet(0.5) }
}

fn draw_overlay(figure: &mut RgbImage, top: u32, photograph: &[u8], map: &[f32], limit: f32) {
    let (pixels, _) = photograph.as_chunks::<3>();
    for (at, (pixel, value)) in pixels.iter().zip(map).enumerate() {
        let (y, x) = ((at / PHOTO_SIDE) as u32, (at % PHOTO_SIDE) as u32);
        figure.put_pixel(MARGIN + x, top + y, Rgb(mix(*pixel, symmetric(*value, limit), OPACITY)));
    }
}

/// An outline of the mask's size in the photograph's lower left corner: white, edged dark to show on any picture.
fn draw_mask_size(figure: &mut RgbImage, top: u32, mask_size: [usize; 2]) {
    let [height, width] = mask_size.map(|side| (side * PHOTO_SIDE / INPUT_SIDE) as u32);
    let inset = |side: u32| GAP.min((PHOTO - side.min(PHOTO)) / 2);
    let (left, bottom) = (MARGIN + inset(width), top + PHOTO - inset(height));
    let [height, width] = [height, width].map(|side| side.min(PHOTO));
    for (ring, colour) in [INK, PAGE, PAGE, INK].into_iter().enumerate() {
        let ring = ring as u32;
        if 2 * ring < height.min(width) {
            outline(
                figure,
                [left + ring, bottom - height + ring],
                [width - 2 * ring, height - 2 * ring],
                colour,
            );
        }
    }
}

/// A rectangle's border pixels; `corner` is `[x, y]`, `size` is `[width, height]`.
fn outline(figure: &mut RgbImage, corner: [u32; 2], size: [u32; 2], colour: [u8; 3]) {
    let ([x0, y0], [width, height]) = (corner, size);
    for x in x0..x0 + width {
        figure.put_pixel(x, y0, Rgb(colour));
        figure.put_pixel(x, y0 + height - 1, Rgb(colour));
    }
    for y in y0..y0 + height {
        figure.put_pixel(x0, y, Rgb(colour));
        figure.put_pixel(x0 + width - 1, y, Rgb(colour));
    }
}

/// The colours from `limit` (top) to `-limit`, as tall as the photograph, with round numbers beside them.
fn draw_bar(figure: &mut RgbImage, top: u32, limit: f32) {
    let left = MARGIN + PHOTO + MARGIN;
    for y in 0..PHOTO {
        let colour = jet(1.0 - (y as f32 + 0.5) / PHOTO as f32);
        for x in 0..BAR_WIDTH {
            figure.put_pixel(left + x, top + y, Rgb(colour));
        }
    }
    outline(figure, [left, top], [BAR_WIDTH, PHOTO], INK);
    for (value, text) in ticks(limit) {
        let share = if limit > 0.0 { (1.0 - value / limit) / 2.0 } else { 0.5 };
        let y = top + (share * (PHOTO - 1) as f32).round() as u32;
        for x in left + BAR_WIDTH..left + BAR_WIDTH + GAP / 2 {
            figure.put_pixel(x, y, Rgb(INK));
        }
        let text_top = y.saturating_sub(tick_style().height / 2);
        tick_style().draw(figure, left + BAR_WIDTH + GAP, text_top, &text);
    }
}

/// Round values in `-limit..=limit`, at most nine, zero among them, with their texts.
fn ticks(limit: f32) -> Vec<(f32, String)> {
    if limit <= 0.0 {
        return vec![(0.0, "0".to_owned())];
    }
    // The step is the smallest of 1, 2 or 5 times a power of ten that leaves at most four ticks a side.
    let power = f64::from(limit).log10().floor() as i32;
    let (step, power) = [(5, power - 1), (1, power), (2, power)]
        .into_iter()
        .find(|&(step, power)| f64::from(limit) / (f64::from(step) * 10f64.powi(power)) < 5.0)
        .unwrap_or((5, power));
    let unit = 10f64.powi(power);
    let steps = (f64::from(limit) / (f64::from(step) * unit)).floor() as i32;
    (-steps..=steps).map(|k| ((f64::from(k * step) * unit) as f32, tick_text(k * step, power))).collect()
}

/// `count * 10^power`, in full where that is short.
fn tick_text(count: i32, power: i32) -> String {
    let text = match power {
        _ if count == 0 => "0".to_owned(),
        -4..=3 => format!("{:.*}", (-power).max(0) as usize, f64::from(count) * 10f64.powi(power)),
        _ if count % 10 == 0 => format!("{}e{}", count / 10, power + 1),
        _ => format!("{count}e{power}"),
    };
    text.replace('-', "−")
}

/// About three significant digits.
fn readable(value: f32) -> String {
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

/// MATLAB's `jet(256)`: dark blue, blue, cyan, green, yellow, red, dark red over 0..=1 (clipped), in 256 steps.
pub fn jet(value: f32) -> [u8; 3] {
    let row = (value * 256.0).clamp(0.0, 255.0) as i32 + 1;
    // Each channel rises over 64 rows, stays at 1 for 64 and falls over 64; they differ in where they begin.
    let channel = |begin: i32| {
        let at = row - begin;
        let share = at.min(192 - at).clamp(0, 64);
        (share as f32 / 64.0 * 255.0).round() as u8
    };
    [channel(96), channel(32), channel(-32)]
}

/// A figure as the bytes of a PNG file.
pub fn png(figure: &RgbImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    figure
        .write_to(&mut bytes, ImageFormat::Png)
        .expect("RGB of this size is a PNG, and memory can be written");
    bytes.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content<'a>(photograph: &'a [u8], map: &'a [f32], grid: [usize; 2]) -> Explanation<'a> {
        Explanation {
            photograph,
            map,
            grid,
            upsampling: Upsampling::Bicubic,
            label: "Egyptian cat",
            score_name: "probability",
            score: 0.574,
            mask_size: [45, 45],
            stride: [22, 22],
        }
    }

    fn grey() -> Vec<u8> {
        vec![100; PHOTO_SIDE * PHOTO_SIDE * 3]
    }

    /// `jet.m`, statement by statement, for m = 256.
    #[test]
    fn jet_is_matlabs() {
        let (m, n) = (256i32, 64i32);
        let u: Vec<f32> = (1..=n)
            .map(|i| i as f32 / 64.0)
            .chain((1..n).map(|_| 1.0))
            .chain((1..=n).rev().map(|i| i as f32 / 64.0))
            .collect();
        let g: Vec<i32> = (1..=u.len() as i32).map(|i| n / 2 + i).collect();
        let r: Vec<i32> = g.iter().map(|g| g + n).filter(|&r| r <= m).collect();
        let b: Vec<i32> = g.iter().map(|g| g - n).filter(|&b| b >= 1).collect();
        let mut expected = [[0.0; 3]; 256];
        for (&row, value) in r.iter().zip(&u) {
            expected[row as usize - 1][0] = *value;
        }
        for (&row, value) in g.iter().zip(&u) {
            expected[row as usize - 1][1] = *value;
        }
        for (&row, value) in b.iter().zip(&u[u.len() - b.len()..]) {
            expected[row as usize - 1][2] = *value;
        }
        // The ends as MATLAB prints them.
        assert_eq!((expected[0], expected[255]), ([0.0, 0.0, 0.515625], [0.5, 0.0, 0.0]));
        for (row, expected) in expected.iter().enumerate() {
            assert_eq!(
                jet((row as f32 + 0.5) / 256.0),
                expected.map(|share| (share * 255.0).round() as u8),
                "{row}"
            );
        }
        assert_eq!(
            (jet(-3.0), jet(0.0), jet(1.0), jet(3.0)),
            ([0, 0, 131], [0, 0, 131], [128, 0, 0], [128, 0, 0])
        );
    }

    #[test]
    fn the_map_lies_half_opaque_over_the_photograph_around_zero() {
        let photo = grey();
        for (map, ends) in
            [([1.0, -0.25], [1.0, -0.25]), ([0.5, -2.0], [0.25, -1.0]), ([0.0, 0.0], [0.0, 0.0])]
        {
            let mut content = content(&photo, &map, [1, 2]);
            content.upsampling = Upsampling::None;
            let figure = explanation(&content);
            let top = figure.height() - MARGIN - 2 * note_style().height - GAP - GAP / 2 - PHOTO;
            for (x, share) in [(0, ends[0]), (PHOTO - 1, ends[1])] {
                let colour = jet((share + 1.0) / 2.0);
                assert_eq!(figure.get_pixel(MARGIN + x, top + 5).0, mix([100; 3], colour, 0.5), "{map:?}");
            }
        }
    }

    #[test]
    fn nothing_touches_the_edge_of_the_page() {
        let photo = grey();
        let long = "a label, much longer than any that the network has, and with Llanfairpwllgwyngyllgogerychwyrndrobwll";
        for (label, score_name, score, mask_size, size) in [
            ("tench", "probability", 0.9, [1, 1], 1e-9),
            (long, "logit", -1234.5, [224, 224], 1e-4),
            ("", "probability", 0.0, [2, 224], 0.0299),
            (long, "activation of a layer with quite a long name", 1e30, [224, 3], 0.5),
            ("tench", "logit", 20.0, [45, 45], 19_999.0),
            ("tench", "logit", 20.0, [45, 45], 3e38),
        ] {
            let map = [size, -size, 0.0, size / 3.0];
            let figure = explanation(&Explanation {
                label,
                score_name,
                score,
                mask_size,
                ..content(&photo, &map, [2, 2])
            });
            let (width, height) = figure.dimensions();
            for (x, y, pixel) in figure.enumerate_pixels() {
                let edge = MARGIN / 2;
                if x < edge || y < edge || x >= width - edge || y >= height - edge {
                    assert_eq!(pixel.0, PAGE, "{label} {score_name} {size}: {x} {y}");
                }
            }
        }
    }

    #[test]
    fn ticks_are_round_few_and_fit() {
        let texts = |limit| ticks(limit).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        assert_eq!(texts(0.0), ["0"]);
        assert_eq!(texts(0.43), ["−0.4", "−0.3", "−0.2", "−0.1", "0", "0.1", "0.2", "0.3", "0.4"]);
        assert_eq!(texts(1.0), ["−1.0", "−0.5", "0", "0.5", "1.0"]);
        assert_eq!(texts(7.0), ["−6", "−4", "−2", "0", "2", "4", "6"]);
        assert_eq!(texts(3e-7), ["−3e−7", "−2e−7", "−1e−7", "0", "1e−7", "2e−7", "3e−7"]);
        for exponent in -350..=380 {
            let limit = 10f32.powf(exponent as f32 / 10.0);
            let ticks = ticks(limit);
            assert!((3..=9).contains(&ticks.len()), "{limit}: {ticks:?}");
            assert!(ticks.iter().all(|(value, _)| value.abs() <= limit * 1.000_001), "{limit}: {ticks:?}");
            assert!(
                ticks.iter().all(|(_, text)| tick_style().width(text) <= TICKS_WIDTH),
                "{limit}: {ticks:?}"
            );
        }
    }

    #[test]
    fn numbers_have_three_digits() {
        let texts = [0.0, 0.57412, 1.0, 17.4321, -0.0339, 0.000_42, -1234.5, 123_456.0].map(readable);
        assert_eq!(texts, ["0", "0.574", "1.00", "17.4", "−0.0339", "4.2e−4", "−1234", "1.2e5"]);
    }

    #[test]
    fn a_saved_figure_is_read_back() {
        let figure = RgbImage::from_fn(7, 5, |x, y| Rgb([x as u8 * 9, y as u8 * 30, 77]));
        assert_eq!(image::load_from_memory(&png(&figure)).unwrap().into_rgb8(), figure);
    }
}

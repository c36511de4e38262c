//! A figure as a list of shapes, and its two file formats, PNG and SVG. This module knows shapes
//! and text, but not their meaning.

use std::fmt::Write;
use std::io::Cursor;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage, codecs::png};
use occlude::text::is_control;

use super::text::{Style, mix};

/// The file format of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Png,
    Svg,
}

impl Format {
    /// The extension of file names.
    pub fn ending(self) -> &'static str {
        match self {
            Format::Png => "png",
            Format::Svg => "svg",
        }
    }
}

/// Usual width of curves, in pixels.
pub const STROKE: f32 = 3.0;

/// An opaque page and the shapes on it. Later shapes cover earlier ones. Coordinates are in pixels
/// from the upper left corner.
pub struct Canvas {
    pub width: u32,
    pub height: u32,
    paper: [u8; 3],
    shapes: Vec<Shape>,
}

/// `[x, y, width, height]`.
pub type Area = [u32; 4];

enum Shape {
    Filled(Area, [u8; 3]),
    Outline(Area, [u8; 3]),
    /// `[height][width][3]`.
    Image(Area, Vec<u8>),
    Text {
        style: Style,
        x: u32,
        y: u32,
        text: String,
    },
    /// With the width of the line.
    Curve(Vec<[f32; 2]>, [u8; 3], f32),
}

impl Canvas {
    pub fn new(width: u32, height: u32, paper: [u8; 3]) -> Canvas {
        Canvas { width, height, paper, shapes: Vec::new() }
    }

    pub fn fill(&mut self, area: Area, colour: [u8; 3]) {
        self.shapes.push(Shape::Filled(area, colour));
    }

    /// Draws a border of one pixel inside the area.
    pub fn outline(&mut self, area: Area, colour: [u8; 3]) {
        self.shapes.push(Shape::Outline(area, colour));
    }

    /// Draws pixels, `[height][width][3]`.
    pub fn image(&mut self, area: Area, rgb: Vec<u8>) {
        assert_eq!(rgb.len(), (area[2] * area[3] * 3) as usize);
        self.shapes.push(Shape::Image(area, rgb));
    }

    /// Draws one line of text with its upper left corner at (`x`, `y`). Characters that control text
    /// become U+FFFD.
    pub fn text(&mut self, style: Style, x: u32, y: u32, text: &str) {
        if !text.is_empty() {
            self.shapes.push(Shape::Text { style, x, y, text: text.replace(is_control, "\u{FFFD}") });
        }
    }

    /// Draws lines of text below each other.
    pub fn lines(&mut self, style: Style, x: u32, y: u32, lines: &[String]) {
        for (line, y) in lines.iter().zip((y..).step_by(style.height as usize)) {
            self.text(style, x, y, line);
        }
    }

    /// Draws one line of text that ends at `right`.
    pub fn text_ending(&mut self, style: Style, right: u32, y: u32, text: &str) {
        self.text(style, right.saturating_sub(style.width(text)), y, text);
    }

    /// Draws straight lines of this width from point to point.
    pub fn curve(&mut self, points: Vec<[f32; 2]>, colour: [u8; 3], width: f32) {
        self.shapes.push(Shape::Curve(points, colour, width));
    }

    /// The contents of a file in the given format.
    pub fn encode(&self, format: Format) -> Vec<u8> {
        match format {
            Format::Png => encode_png(self.width, self.height, &self.pixels(), ExtendedColorType::Rgb8),
            Format::Svg => self.svg().into_bytes(),
        }
    }

    /// Renders the page to pixels. Parts of shapes outside the page are not drawn.
    pub fn pixels(&self) -> RgbImage {
        let mut image = RgbImage::from_pixel(self.width, self.height, Rgb(self.paper));
        for shape in &self.shapes {
            match shape {
                Shape::Filled(area, colour) => each_pixel(&mut image, *area, |_| *colour),
                Shape::Outline([x, y, width, height], colour) => {
                    let (right, bottom) = (x + width.saturating_sub(1), y + height.saturating_sub(1));
                    for area in [
                        [*x, *y, *width, 1],
                        [*x, bottom, *width, 1],
                        [*x, *y, 1, *height],
                        [right, *y, 1, *height],
                    ] {
                        each_pixel(&mut image, area, |_| *colour);
                    }
                }
                Shape::Image(area, rgb) => each_pixel(&mut image, *area, |at| rgb.as_chunks().0[at]),
                Shape::Text { style, x, y, text } => style.draw(&mut image, *x, *y, text),
                Shape::Curve(points, colour, width) => {
                    for ends in points.windows(2) {
                        draw_line(&mut image, ends[0], ends[1], *colour, *width);
                    }
                }
            }
        }
        image
    }

    /// Renders the page to SVG. Text stays text, stretched to its measured width with any font.
    fn svg(&self) -> String {
        let (width, height) = (self.width, self.height);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             font-family=\"DejaVu Sans, Verdana, sans-serif\">\n"
        );
        let mut line = |line: String| writeln!(svg, "{line}").expect("writing to a string");
        line(format!("<rect width=\"{width}\" height=\"{height}\" fill=\"{}\"/>", hex(self.paper)));
        for shape in &self.shapes {
            line(match shape {
                Shape::Filled([x, y, w, h], colour) => {
                    format!(
                        "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" fill=\"{}\"/>",
                        hex(*colour)
                    )
                }
                Shape::Outline([x, y, w, h], colour) => format!(
                    "<rect x=\"{x}.5\" y=\"{y}.5\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"{}\"/>",
                    w.saturating_sub(1),
                    h.saturating_sub(1),
                    hex(*colour)
                ),
                Shape::Image([x, y, w, h], rgb) => {
                    let data = BASE64_STANDARD.encode(encode_png(*w, *h, rgb, ExtendedColorType::Rgb8));
                    format!(
                        "<image x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" href=\"data:image/png;base64,{data}\"/>"
                    )
                }
                Shape::Text { style, x, y, text } => format!(
                    "<text x=\"{x}\" y=\"{:.1}\" font-size=\"{:.2}\" font-weight=\"{}\" fill=\"{}\" textLength=\"{}\" \
                     lengthAdjust=\"spacingAndGlyphs\">{}</text>",
                    *y as f32 + style.ascent(),
                    style.em(),
                    if style.is_bold() { "bold" } else { "normal" },
                    hex(style.colour),
                    style.width(text),
                    escape(text)
                ),
                Shape::Curve(points, colour, width) => {
                    let points: Vec<String> = points.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
                    format!(
                        "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"/>",
                        points.join(" "),
                        hex(*colour)
                    )
                }
            });
        }
        svg + "</svg>\n"
    }
}

fn each_pixel(image: &mut RgbImage, [x0, y0, width, height]: Area, colour: impl Fn(usize) -> [u8; 3]) {
    for y in 0..height {
        for x in 0..width {
            if let Some(pixel) = image.get_pixel_mut_checked(x0 + x, y0 + y) {
                pixel.0 = colour((y * width + x) as usize);
            }
        }
    }
}

/// Draws a line. The distance of each pixel from the line gives its coverage.
fn draw_line(image: &mut RgbImage, a: [f32; 2], b: [f32; 2], colour: [u8; 3], width: f32) {
    let reach = width / 2.0 + 1.0;
    let range = |axis: usize, limit: u32| {
        let low = (a[axis].min(b[axis]) - reach).max(0.0) as u32;
        low..((a[axis].max(b[axis]) + reach) as u32 + 1).min(limit)
    };
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    let square = (dx * dx + dy * dy).max(f32::MIN_POSITIVE);
    for y in range(1, image.height()) {
        for x in range(0, image.width()) {
            let (px, py) = (x as f32 + 0.5 - a[0], y as f32 + 0.5 - a[1]);
            let along = ((px * dx + py * dy) / square).clamp(0.0, 1.0);
            let distance = (px - along * dx).hypot(py - along * dy);
            let cover = (width / 2.0 + 0.5 - distance).clamp(0.0, 1.0);
            let pixel = image.get_pixel_mut(x, y);
            pixel.0 = mix(pixel.0, colour, cover);
        }
    }
}

/// A PNG file of these pixels.
///
/// # Panics
/// If there are not as many bytes as the size and the kind of the pixels say.
pub fn encode_png(width: u32, height: u32, pixels: &[u8], kind: ExtendedColorType) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    // The fastest compression: slower ones hardly make figures with photographs smaller.
    let encoder =
        png::PngEncoder::new_with_quality(&mut bytes, png::CompressionType::Fast, png::FilterType::Adaptive);
    encoder
        .write_image(pixels, width, height, kind)
        .expect("pixels of this size are a PNG, and memory can be written");
    bytes.into_inner()
}

fn hex([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Escapes text for XML. The two characters that XML does not allow, but names do, become U+FFFD.
fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace(['\u{FFFE}', '\u{FFFF}'], "\u{FFFD}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canvas() -> Canvas {
        let mut canvas = Canvas::new(60, 40, [250; 3]);
        canvas.fill([2, 3, 10, 5], [1, 2, 3]);
        canvas.outline([20, 3, 6, 4], [9, 9, 9]);
        canvas.image([30, 3, 2, 2], vec![10, 0, 0, 20, 0, 0, 30, 0, 0, 40, 0, 0]);
        canvas.text(Style::book(14, [0; 3]), 2, 20, "a < b & \"c\"\u{1}\u{202e}");
        canvas.text(Style::book(14, [0; 3]), 2, 20, "");
        canvas.curve(vec![[50.0, 5.0], [50.0, 30.0]], [0, 99, 0], STROKE);
        canvas
    }

    #[test]
    fn pixels_are_where_they_belong() {
        let image = canvas().pixels();
        let at = |x, y| image.get_pixel(x, y).0;
        assert_eq!((at(1, 3), at(2, 3), at(11, 7), at(12, 7)), ([250; 3], [1, 2, 3], [1, 2, 3], [250; 3]));
        assert_eq!((at(20, 3), at(25, 6), at(22, 4), at(26, 6)), ([9; 3], [9; 3], [250; 3], [250; 3]));
        assert_eq!((at(30, 3), at(31, 4)), ([10, 0, 0], [40, 0, 0]));
        assert_eq!((at(50, 15), at(49, 15), at(53, 15)), ([0, 99, 0], [0, 99, 0], [250; 3]));
        assert_eq!(image::load_from_memory(&canvas().encode(Format::Png)).unwrap().into_rgb8(), image);
    }

    #[test]
    fn shapes_outside_the_page_are_not_drawn() {
        let mut canvas = Canvas::new(10, 10, [0; 3]);
        canvas.fill([5, 5, 100, 100], [7; 3]);
        canvas.curve(vec![[-50.0, -50.0], [50.0, 50.0]], [8; 3], STROKE);
        assert_eq!(canvas.pixels().dimensions(), (10, 10));
    }

    #[test]
    fn svg_has_the_same_shapes_and_escaped_text() {
        let svg = String::from_utf8(canvas().encode(Format::Svg)).unwrap();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        for part in [
            "<rect x=\"2\" y=\"3\" width=\"10\" height=\"5\" fill=\"#010203\"/>",
            ">a &lt; b &amp; \"c\"\u{FFFD}\u{FFFD}</text>",
            "<polyline points=\"50.0,5.0 50.0,30.0\"",
        ] {
            assert!(svg.contains(part), "{svg}");
        }
        assert_eq!(svg.matches("<text").count(), 1, "what is empty is not written");
        let data = svg.split("base64,").nth(1).unwrap().split('"').next().unwrap();
        let decoded = image::load_from_memory(&BASE64_STANDARD.decode(data).unwrap()).unwrap().into_rgb8();
        assert_eq!(decoded.into_raw(), [10, 0, 0, 20, 0, 0, 30, 0, 0, 40, 0, 0]);
    }
}

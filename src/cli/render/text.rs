//! Measuring, wrapping and drawing text on figures, with the font inside the program.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use image::RgbImage;

static BOOK: LazyLock<FontRef> = LazyLock::new(|| font(include_bytes!("font/DejaVuSans-subset.ttf")));
static BOLD: LazyLock<FontRef> = LazyLock::new(|| font(include_bytes!("font/DejaVuSans-Bold-subset.ttf")));

fn font(bytes: &'static [u8]) -> FontRef<'static> {
    FontRef::try_from_slice(bytes).expect("the committed font is well formed")
}

/// The largest number of characters of a line that are measured. No figure has room for as many; a
/// name from a file can have millions.
const LONGEST: usize = 1000;

/// The weight, size and colour of text. The font has Latin-1, the minus sign, the ellipsis, an
/// arrow to the right, and the signs of "at most" and "at least".
#[derive(Clone, Copy)]
pub struct Style {
    font: &'static FontRef<'static>,
    /// Distance from the highest ascender to the lowest descender, in pixels.
    pub height: u32,
    pub colour: [u8; 3],
}

impl Style {
    pub fn book(height: u32, colour: [u8; 3]) -> Style {
        Style { font: &BOOK, height, colour }
    }

    pub fn bold(height: u32, colour: [u8; 3]) -> Style {
        Style { font: &BOLD, height, colour }
    }

    /// The advance width of a text, in pixels.
    pub fn width(&self, text: &str) -> u32 {
        self.place(text, |_, _| {}).ceil() as u32
    }

    /// Draws text with its upper left corner at (`x`, `y`). Parts outside the image are not drawn.
    pub fn draw(&self, image: &mut RgbImage, x: u32, y: u32, text: &str) {
        let scale = self.scale();
        let baseline = y as f32 + self.font.as_scaled(scale).ascent();
        self.place(text, |glyph, pen| {
            let placed = glyph.with_scale_and_position(scale, point(x as f32 + pen, baseline));
            let Some(outline) = self.font.outline_glyph(placed) else {
                return;
            };
            let corner = outline.px_bounds().min;
            outline.draw(|gx, gy, coverage| {
                let (px, py) = (corner.x as i64 + i64::from(gx), corner.y as i64 + i64::from(gy));
                let (Ok(px), Ok(py)) = (u32::try_from(px), u32::try_from(py)) else {
                    return;
                };
                if let Some(pixel) = image.get_pixel_mut_checked(px, py) {
                    pixel.0 = mix(pixel.0, self.colour, coverage);
                }
            });
        });
    }

    /// Distance from the top to the baseline, in pixels.
    pub fn ascent(&self) -> f32 {
        self.font.as_scaled(self.scale()).ascent()
    }

    /// The size for `font-size` in CSS.
    pub fn em(&self) -> f32 {
        let units = self.font.units_per_em().expect("the committed font has an em");
        self.height as f32 * units / self.font.height_unscaled()
    }

    pub fn is_bold(&self) -> bool {
        std::ptr::eq(self.font, &*BOLD)
    }

    /// Breaks text between words into at most `lines` lines of at most `width` pixels. A line that
    /// does not fit is shortened and ends in "…".
    pub fn wrap(&self, text: &str, width: u32, lines: usize) -> Vec<String> {
        let mut wrapped: Vec<String> = Vec::new();
        for word in first(text, lines * LONGEST).split_whitespace() {
            let longer = wrapped.last().map(|line| format!("{line} {word}"));
            match longer {
                Some(longer) if wrapped.len() == lines || self.width(&longer) <= width => {
                    *wrapped.last_mut().expect("longer came from it") = longer;
                }
                _ => wrapped.push(word.to_owned()),
            }
        }
        wrapped.iter().map(|line| self.shorten(line, width)).collect()
    }

    /// The text, shortened to `width` pixels with "…" at its end if it is too long.
    pub fn shorten(&self, text: &str, width: u32) -> String {
        if self.width(text) <= width {
            return text.to_owned();
        }
        let shortened = |end| format!("{}…", text[..end].trim_end());
        first(text, LONGEST)
            .char_indices()
            .rev()
            .map(|(end, _)| shortened(end))
            .find(|line| self.width(line) <= width)
            .unwrap_or_default()
    }

    /// Names with their scores, "tabby 0.31; lynx 0.20", in `width` pixels. Names that are too long are
    /// shortened; scores are not.
    pub fn scored(&self, parts: &[(String, String)], width: u32) -> String {
        let joined = |names: &[String]| {
            let with_score = |(name, (_, score)): (&String, &(String, String))| match score.as_str() {
                "" => name.clone(),
                score => format!("{name} {score}"),
            };
            names.iter().zip(parts).map(with_score).collect::<Vec<_>>().join("; ")
        };
        let mut names: Vec<String> = parts.iter().map(|(name, _)| first(name, LONGEST).to_string()).collect();
        // The longest name is shortened first.
        let mut room = width;
        while self.width(&joined(&names)) > width && room > 0 {
            room -= room.min(self.height / 2);
            names.iter_mut().for_each(|name| *name = self.shorten(name, room));
        }
        joined(&names)
    }

    fn scale(&self) -> PxScale {
        PxScale::from(self.height as f32)
    }

    /// Calls `each` with each glyph and its horizontal position. Returns the position after the
    /// last.
    fn place(&self, text: &str, mut each: impl FnMut(ab_glyph::GlyphId, f32)) -> f32 {
        let font = self.font.as_scaled(self.scale());
        let (mut pen, mut previous) = (0.0, None);
        for letter in text.chars() {
            let glyph = font.glyph_id(letter);
            pen += previous.map_or(0.0, |previous| font.kern(previous, glyph));
            each(glyph, pen);
            pen += font.h_advance(glyph);
            previous = Some(glyph);
        }
        pen
    }
}

/// The first `count` characters.
fn first(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).map_or(text, |(end, _)| &text[..end])
}

/// Mixes two colours, with the share (0..=1) of `over`.
pub fn mix(under: [u8; 3], over: [u8; 3], share: f32) -> [u8; 3] {
    std::array::from_fn(|c| {
        let (under, over) = (f32::from(under[c]), f32::from(over[c]));
        (under + (over - under) * share).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    const STYLE: fn() -> Style = || Style::book(20, [0; 3]);

    #[test]
    fn short_text_is_one_line() {
        assert_eq!(STYLE().wrap("Egyptian cat", 300, 2), ["Egyptian cat"]);
    }

    #[test]
    fn long_text_wraps_and_then_ends_in_an_ellipsis() {
        let text = "bookshop, bookstore, bookstall, and a good deal more than two lines can hold";
        let lines = STYLE().wrap(text, 200, 2);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], "bookshop, bookstore,");
        assert!(lines[1].starts_with("bookstall, and") && lines[1].ends_with('…'), "{lines:?}");
        assert!(lines.iter().all(|line| STYLE().width(line) <= 200));
    }

    #[test]
    fn a_word_longer_than_a_line_is_shortened() {
        let lines = STYLE().wrap("Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch", 150, 2);
        assert!(lines.len() == 1 && lines[0].starts_with("Llanf") && lines[0].ends_with('…'), "{lines:?}");
        assert!(STYLE().width(&lines[0]) <= 150);
    }

    #[test]
    fn names_are_shortened_before_scores() {
        let parts = [
            ("a very long name of a class".to_string(), "0.574".to_string()),
            ("lynx".into(), "1e−7".into()),
        ];
        assert_eq!(STYLE().scored(&parts, 500), "a very long name of a class 0.574; lynx 1e−7");
        let line = STYLE().scored(&parts, 250);
        assert!(line.starts_with("a very") && line.ends_with("… 0.574; lynx 1e−7"), "{line}");
        assert!(STYLE().width(&line) <= 250);
        assert_eq!(STYLE().scored(&[("a note".into(), String::new())], 250), "a note");
        assert_eq!(STYLE().scored(&parts, 20), " 0.574;  1e−7");
    }

    #[test]
    fn drawing_stays_inside_its_measure_and_the_image() {
        let style = STYLE();
        let mut image = RgbImage::from_pixel(200, 40, Rgb([255; 3]));
        style.draw(&mut image, 10, 10, "Ågyp −1.5 …");
        let right = 10 + style.width("Ågyp −1.5 …");
        let inked = image.enumerate_pixels().filter(|(_, _, pixel)| pixel.0 != [255; 3]);
        let mut count = 0;
        for (x, y, _) in inked {
            count += 1;
            assert!((9..=right).contains(&x) && (9..=10 + style.height).contains(&y), "{x} {y}");
        }
        assert!(count > 100);
        style.draw(&mut image, 190, 35, "cut off, not a panic");
    }

    #[test]
    fn every_promised_character_has_a_glyph() {
        for letter in (' '..='~').chain('\u{A1}'..='\u{FF}').chain(['−', '…', '→', '≤', '≥']) {
            assert_ne!(BOOK.glyph_id(letter).0, 0, "{letter}");
            assert_ne!(BOLD.glyph_id(letter).0, 0, "{letter}");
        }
    }
}

//! A preview of a map in the terminal, on standard error. Each character shows two pixels: the
//! upper one as its foreground colour, the lower one as its background colour.

use std::io::{self, IsTerminal, Write};

use occlude::image::lattice::Lattice;
use occlude::{Photograph, Resize, Upsampling};

use super::backdrop::{Backdrop, CanvasShape};
use super::colours::Colours;
use super::map::Overlay;
use super::scale::{ColourRange, Scale};

/// The longest side in columns, or in half lines: a character is about twice as high as wide.
const SIDE: usize = 48;

/// The colours that a terminal can show.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Depth {
    /// 24 bits.
    True,
    /// A palette of 6x6x6 colours.
    Palette,
}

/// Draws on standard error, each time over the previous drawing.
pub struct Preview {
    backdrop: Backdrop,
    depth: Depth,
    drawn: bool,
}

impl Preview {
    /// Returns `None` unless standard error is a terminal that shows colours.
    pub fn new(photograph: &Photograph, resize: Resize, shape: CanvasShape) -> Option<Preview> {
        let variable = |name| std::env::var(name).unwrap_or_default();
        let shows =
            io::stderr().is_terminal() && variable("TERM") != "dumb" && variable("NO_COLOR").is_empty();
        let depth = depth(&variable("COLORTERM"));
        let backdrop = || Backdrop::of_longest(photograph, resize, shape, SIDE);
        shows.then(|| Preview { backdrop: backdrop(), depth, drawn: false })
    }

    /// Shows a map, `[ny][nx]`. Errors of the terminal are ignored.
    pub fn show(&mut self, map: &[f32], lattice: Lattice) {
        let lines = self.backdrop.size[0].div_ceil(2);
        let up = if self.drawn { format!("\x1b[{lines}A") } else { String::new() };
        self.drawn = true;
        let text = up + &draw(&self.backdrop, map, lattice, self.depth);
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }
}

fn depth(colorterm: &str) -> Depth {
    if matches!(colorterm, "truecolor" | "24bit") { Depth::True } else { Depth::Palette }
}

fn draw(backdrop: &Backdrop, map: &[f32], lattice: Lattice, depth: Depth) -> String {
    let overlay = Overlay { map, lattice, upsampling: Upsampling::Bicubic, opacity: 0.5 };
    let pixels = overlay.over(backdrop, &Scale::of_drops(Colours::OF_DROPS, ColourRange::Symmetric, map));
    let (pixels, _) = pixels.as_chunks::<3>();
    let width = backdrop.size[1];
    let mut text = String::new();
    for rows in pixels.chunks(2 * width) {
        let (upper, lower) = rows.split_at(width);
        for (column, &upper) in upper.iter().enumerate() {
            // The last line of an odd number of rows has no lower half.
            text += &match lower.get(column) {
                Some(&lower) => format!("\x1b[38;{};48;{}m▀", code(upper, depth), code(lower, depth)),
                None => format!("\x1b[0;38;{}m▀", code(upper, depth)),
            };
        }
        text += "\x1b[0m\n";
    }
    text
}

/// The part of the escape sequence after `38;` or `48;`.
fn code([red, green, blue]: [u8; 3], depth: Depth) -> String {
    match depth {
        Depth::True => format!("2;{red};{green};{blue}"),
        Depth::Palette => {
            let level = |value: u8| (u32::from(value) * 5 + 127) / 255;
            format!("5;{}", 16 + 36 * level(red) + 6 * level(green) + level(blue))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_of_the_terminal() {
        assert_eq!(
            (depth("truecolor"), depth("24bit"), depth("")),
            (Depth::True, Depth::True, Depth::Palette)
        );
        assert_eq!(code([255, 0, 128], Depth::True), "2;255;0;128");
        assert_eq!(code([255, 0, 128], Depth::Palette), "5;199");
        assert_eq!(code([0; 3], Depth::Palette), "5;16");
        assert_eq!(code([255; 3], Depth::Palette), "5;231");
    }
}

//! Tests of GIF files whose first picture does not cover the canvas.

use occlude::Photograph;

/// The palettes of the file and of the picture.
const GLOBAL: [[u8; 3]; 4] = [[10, 20, 30], [200, 0, 0], [0, 200, 0], [0, 0, 200]];
const LOCAL: [[u8; 3]; 4] = [[1, 2, 3], [4, 5, 6], [7, 8, 9], [100, 110, 120]];

/// A GIF file with a canvas of 4x3 pixels.
struct Gif {
    /// Left, top, width and height of the first picture.
    place: [u16; 4],
    local: bool,
    background: u8,
    transparent: Option<u8>,
}

const SMALL: Gif = Gif { place: [1, 1, 2, 1], local: false, background: 0, transparent: None };

impl Gif {
    fn bytes(&self) -> Vec<u8> {
        // The flags announce a palette of 4 colours.
        let mut bytes = [b"GIF89a\x04\0\x03\0\x81", &[self.background, 0][..], &GLOBAL.concat()].concat();
        if let Some(index) = self.transparent {
            bytes.extend([0x21, 0xF9, 4, 1, 0, 0, index, 0]);
        }
        // A comment, which contains the byte that begins a picture.
        bytes.extend(b"\x21\xFE\x03a,b\0,");
        bytes.extend(self.place.iter().flat_map(|number| number.to_le_bytes()));
        bytes.push(if self.local { 0x81 } else { 0 });
        bytes.extend(if self.local { LOCAL.concat() } else { Vec::new() });
        // Codes of 3 bits: 4 clears the table, so that they stay as long; 5 is the end.
        let [_, _, width, height] = self.place;
        let mut codes = Vec::new();
        for at in 0..width * height {
            codes.extend((at % 2 == 0).then_some(4));
            codes.push(at % 3 + 1);
        }
        codes.push(5);
        let bits: Vec<u16> = codes.iter().flat_map(|code| (0..3).map(move |bit| code >> bit & 1)).collect();
        let packed: Vec<u8> = bits
            .chunks(8)
            .map(|bits| bits.iter().rev().fold(0, |byte, bit| byte << 1 | *bit as u8))
            .collect();
        bytes.extend([2, packed.len() as u8]);
        bytes.extend(packed);
        bytes.extend(b"\0;");
        bytes
    }
}

fn pixels(gif: &Gif) -> Vec<[u8; 3]> {
    let photograph = Photograph::from_bytes("a.gif", &gif.bytes()).unwrap();
    assert_eq!((photograph.height(), photograph.width()), (3, 4));
    photograph.rgb().as_chunks().0.to_vec()
}

/// The canvas around the picture has the transparent colour, else the first of the palette. All pixels
/// are those of Pillow 13, `Image.open(..).convert("RGB")`.
#[test]
fn the_canvas_around_the_first_picture_has_a_colour_of_its_palette() {
    for (gif, palette, around) in [
        (SMALL, GLOBAL, GLOBAL[0]),
        (Gif { background: 3, ..SMALL }, GLOBAL, GLOBAL[0]),
        (Gif { transparent: Some(2), background: 3, ..SMALL }, GLOBAL, GLOBAL[2]),
        (Gif { local: true, ..SMALL }, LOCAL, LOCAL[0]),
        (Gif { local: true, transparent: Some(3), ..SMALL }, LOCAL, LOCAL[3]),
        (Gif { place: [0, 1, 4, 1], ..SMALL }, GLOBAL, GLOBAL[0]),
        (Gif { place: [0, 0, 4, 3], transparent: Some(1), ..SMALL }, GLOBAL, GLOBAL[1]),
    ] {
        let [left, top, width, height] = gif.place.map(usize::from);
        let mut expected = vec![around; 12];
        for at in 0..width * height {
            expected[(top + at / width) * 4 + left + at % width] = palette[at % 3 + 1];
        }
        assert_eq!(pixels(&gif), expected, "{:?}, {:?}", gif.place, gif.transparent);
    }
}

/// Programs disagree whether such a picture enlarges the canvas.
#[test]
fn a_first_picture_past_the_canvas_is_refused() {
    for (place, expected) in [
        (
            [2, 1, 3, 1],
            "unsupported kind (its first picture, 3x1 pixels at 2,1, extends past its canvas of 4x3)",
        ),
        ([0, 0, 4, 4], "4x4 pixels at 0,0, extends past its canvas of 4x3"),
        ([65_535, 65_535, 2, 2], "2x2 pixels at 65535,65535, extends past"),
        ([0, 0, 0, 0], "truncated GIF picture (its first picture has no pixels: 0x0)"),
    ] {
        let message =
            Photograph::from_bytes("a.gif", &Gif { place, ..SMALL }.bytes()).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

//! The first picture of a GIF file on its canvas. The crate `image` decodes the pixels.

use image::ImageFormat;

use super::{Decoded, Problem, decode_with_image};

/// Decodes the first picture of a GIF file on its canvas.
///
/// # Errors
/// [`Problem`].
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, Problem> {
    let frame = FirstFrame::find(bytes)?;
    let mut decoded = decode_with_image(ImageFormat::Gif, bytes)?;
    if let Some(frame) = frame {
        frame.fill_around(&mut decoded.rgb, decoded.width);
    }
    Ok(decoded)
}

/// The place of the first picture on the canvas, and the colour of the canvas around it.
struct FirstFrame {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    around: [u8; 3],
}

impl FirstFrame {
    /// Finds the first picture, or `None` if the file ends before it.
    ///
    /// # Errors
    /// [`Problem`] if the picture has no pixels or extends past the canvas.
    fn find(gif: &[u8]) -> Result<Option<FirstFrame>, Problem> {
        let Some(frame) = FirstFrame::read(gif) else { return Ok(None) };
        let FirstFrame { left, top, width, height, .. } = frame;
        if width * height == 0 {
            return Err(Problem::Damaged(format!("its first picture has no pixels: {width}x{height}")));
        }
        let [canvas_width, canvas_height] = [6, 8].map(|at| short(&gif[at..]).unwrap_or(0));
        if left + width > canvas_width || top + height > canvas_height {
            return Err(Problem::Unsupported(format!(
                "its first picture, {width}x{height} pixels at {left},{top}, extends past its canvas of \
                 {canvas_width}x{canvas_height}"
            )));
        }
        Ok(Some(frame))
    }

    fn read(gif: &[u8]) -> Option<FirstFrame> {
        // Signature, canvas, flags, background, aspect ratio, palette.
        let (palette, mut rest) = split_palette(*gif.get(10)?, gif.get(13..)?)?;
        let mut transparent = None;
        loop {
            match *rest {
                [0x21, label, ref blocks @ ..] => {
                    if let (0xF9, [4, flags, _, _, index, ..]) = (label, blocks) {
                        transparent = (flags & 1 == 1).then_some(*index);
                    }
                    rest = after_blocks(blocks)?;
                }
                [0x2C, ref frame @ ..] => {
                    let [left, top, width, height] = [0, 2, 4, 6].map(|at| frame.get(at..).and_then(short));
                    let (own, _) = split_palette(*frame.get(8)?, frame.get(9..)?)?;
                    let palette = if own.is_empty() { palette } else { own };
                    let around = palette.get(usize::from(transparent.unwrap_or(0))).copied();
                    return Some(FirstFrame {
                        left: left?,
                        top: top?,
                        width: width?,
                        height: height?,
                        around: around.unwrap_or_default(),
                    });
                }
                _ => return None,
            }
        }
    }

    /// Fills the canvas around the picture. The standard leaves its colour open; it is the transparent
    /// one, else the first of the palette, as in Pillow.
    fn fill_around(&self, rgb: &mut [u8], canvas_width: usize) {
        let (pixels, _) = rgb.as_chunks_mut::<3>();
        for (y, row) in pixels.chunks_mut(canvas_width).enumerate() {
            for (x, pixel) in row.iter_mut().enumerate() {
                let is_inside = (self.left..self.left + self.width).contains(&x)
                    && (self.top..self.top + self.height).contains(&y);
                if !is_inside {
                    *pixel = self.around;
                }
            }
        }
    }
}

fn short(bytes: &[u8]) -> Option<usize> {
    bytes.first_chunk().map(|bytes| u16::from_le_bytes(*bytes).into())
}

/// Splits off the palette that the flags announce; it is empty if they announce none.
fn split_palette(flags: u8, bytes: &[u8]) -> Option<(&[[u8; 3]], &[u8])> {
    let colours = if flags & 0x80 == 0 { 0 } else { 2 << (flags & 7) };
    let (palette, rest) = bytes.split_at_checked(3 * colours)?;
    Some((palette.as_chunks().0, rest))
}

/// Skips blocks, each after its length; the last has length 0.
fn after_blocks(mut blocks: &[u8]) -> Option<&[u8]> {
    loop {
        let (length, rest) = blocks.split_first()?;
        blocks = rest.get(usize::from(*length)..)?;
        if *length == 0 {
            return Some(blocks);
        }
    }
}

//! Views of a photograph: pictures of it from which a class can be learned as well as from itself.

use crate::image::{Photograph, Picture, Resize};
use crate::network::INPUT_SIDE;

/// Side of the square from which parts are cut. Krizhevsky et al. (2012), section 4.1, do the same.
const LARGER: usize = 256;

impl Photograph {
    /// The number of [`views`](Self::views).
    pub const VIEWS: usize = 6;

    /// Pictures for training: the [picture](Self::picture) of the photograph; its mirror image; and the
    /// four corners, of 224x224 pixels, of the same part of the photograph at 256x256 pixels. The upper
    /// right and the lower left one are mirrored.
    pub fn views(&self, resize: Resize) -> [Picture; Photograph::VIEWS] {
        let whole = self.picture(resize);
        let larger = self.square(LARGER, resize);
        let corner = |y: usize, x: usize| {
            let rows = larger.chunks_exact(3 * LARGER).skip(y).take(INPUT_SIDE);
            Picture { rgb: rows.flat_map(|row| &row[3 * x..3 * (x + INPUT_SIDE)]).copied().collect() }
        };
        let far = LARGER - INPUT_SIDE;
        let mirrored = mirror(&whole);
        [whole, mirrored, corner(0, 0), mirror(&corner(0, far)), mirror(&corner(far, 0)), corner(far, far)]
    }
}

/// The mirror image: left and right are exchanged.
fn mirror(picture: &Picture) -> Picture {
    let rows = picture.rgb().chunks_exact(3 * INPUT_SIDE);
    Picture { rgb: rows.flat_map(|row| row.as_chunks::<3>().0.iter().rev().flatten()).copied().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_parts_of_the_photograph() {
        // Red tells the column, green the row.
        let side = LARGER;
        let rgb: Vec<u8> = (0..side * side).flat_map(|i| [(i % side) as u8, (i / side) as u8, 7]).collect();
        let photograph = Photograph::from_rgb(side, side, &rgb).unwrap();
        for resize in [Resize::Stretch, Resize::Matlab, Resize::Pad] {
            let views = photograph.views(resize);
            assert_eq!(views[0], photograph.picture(resize));
            // Columns and rows of the corners of each view: upper left, then lower right.
            let corners: Vec<[u8; 4]> = views
                .iter()
                .map(|view| {
                    let rgb = view.rgb();
                    let last = rgb.len() - 3;
                    [rgb[0], rgb[1], rgb[last], rgb[last + 1]]
                })
                .collect();
            assert_eq!(
                corners[2..],
                [[0, 0, 223, 223], [255, 0, 32, 223], [223, 32, 0, 255], [32, 32, 255, 255]]
            );
            let mirrored: Vec<_> = views[1].rgb().chunks(3).take(224).rev().collect();
            assert!(mirrored.into_iter().eq(views[0].rgb().chunks(3).take(224)));
        }
    }
}

//! Colour maps.
//!
//! - *Diverging* is the default for maps of drops. Its middle is white and means zero, red is
//!   evidence for the class, blue is evidence against it, and equal magnitudes are equally dark. It
//!   is ColorBrewer's RdBu (Cynthia Brewer, Apache 2.0): eleven colours with linear interpolation.
//! - *Viridis* is recommended for values without a sign. Its lightness rises evenly, so equal steps
//!   of the value look equally large, also in grey print and to colour-blind readers. It is
//!   matplotlib's table (Stéfan van der Walt and Nathaniel Smith, CC0): 33 of its 256 colours with
//!   linear interpolation, which differs from the table by at most two levels.
//! - *Jet* is the look of MATLAB's example. Its lightness rises and falls: the bright bands of cyan and
//!   yellow look like edges that are not in the data.
//! - *Contrast* is for the difference of two maps, so that red always means evidence for a class. Green
//!   is the first map's excess, purple the second's. It is ColorBrewer's PRGn.

use super::text::mix;

/// A colour map over 0..=1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    Jet,
    Viridis,
    Diverging,
    Contrast,
}

/// The colour maps by their names on the command line and in the report.
pub const COLOURS: [(&str, Colours); 3] =
    [("diverging", Colours::Diverging), ("viridis", Colours::Viridis), ("jet", Colours::Jet)];

impl Colours {
    /// The colours of maps of drops, unless the user chooses others.
    pub const OF_DROPS: Colours = Colours::Diverging;

    /// The colour at a position in 0..=1. A position outside has the colour of the nearer end.
    pub fn at(self, share: f32) -> [u8; 3] {
        match self {
            Colours::Jet => jet(share),
            Colours::Viridis => between(&VIRIDIS, share),
            Colours::Diverging => between(&RED_BLUE, share),
            Colours::Contrast => between(&PURPLE_GREEN, share),
        }
    }

    /// True if the middle of the colour map means zero.
    pub fn is_symmetric(self) -> bool {
        self != Colours::Viridis
    }
}

/// Colours for categories: those of Okabe and Ito, "Color universal design" (2008), without black.
/// Colour-blind readers can distinguish them.
pub const CATEGORIES: [[u8; 3]; 7] = [
    [230, 159, 0],
    [86, 180, 233],
    [0, 158, 115],
    [240, 228, 66],
    [0, 114, 178],
    [213, 94, 0],
    [204, 121, 167],
];

fn between(colours: &[[u8; 3]], share: f32) -> [u8; 3] {
    let place = share.clamp(0.0, 1.0) * (colours.len() - 1) as f32;
    let before = (place as usize).min(colours.len() - 2);
    mix(colours[before], colours[before + 1], place - before as f32)
}

const RED_BLUE: [[u8; 3]; 11] = [
    [5, 48, 97],
    [33, 102, 172],
    [67, 147, 195],
    [146, 197, 222],
    [209, 229, 240],
    [247, 247, 247],
    [253, 219, 199],
    [244, 165, 130],
    [214, 96, 77],
    [178, 24, 43],
    [103, 0, 31],
];

const PURPLE_GREEN: [[u8; 3]; 11] = [
    [64, 0, 75],
    [118, 42, 131],
    [153, 112, 171],
    [194, 165, 207],
    [231, 212, 232],
    [247, 247, 247],
    [217, 240, 211],
    [166, 219, 160],
    [90, 174, 97],
    [27, 120, 55],
    [0, 68, 27],
];

/// Rows `round(i * 255 / 32)` of matplotlib's table.
#[rustfmt::skip]
const VIRIDIS: [[u8; 3]; 33] = [
    [68, 1, 84], [71, 13, 96], [72, 24, 106], [72, 35, 116], [71, 45, 123], [69, 55, 129], [66, 64, 134],
    [62, 73, 137], [59, 82, 139], [55, 91, 141], [51, 99, 141], [47, 107, 142], [44, 114, 142], [41, 122, 142],
    [38, 130, 142], [35, 137, 142], [33, 145, 140], [31, 151, 139], [31, 159, 136], [33, 166, 133], [39, 173, 129],
    [49, 181, 123], [61, 188, 116], [76, 194, 108], [92, 200, 99], [110, 206, 88], [129, 211, 77], [149, 216, 64],
    [170, 220, 50], [192, 223, 37], [213, 226, 26], [234, 229, 26], [253, 231, 37],
];

/// MATLAB's `jet(256)`: dark blue, blue, cyan, green, yellow, red and dark red over 0..=1, in 256
/// steps.
fn jet(value: f32) -> [u8; 3] {
    let row = (value * 256.0).clamp(0.0, 255.0) as i32 + 1;
    // Each channel rises over 64 rows, stays at 1 for 64 rows and falls over 64 rows.
    let channel = |begin: i32| {
        let at = row - begin;
        let share = at.min(192 - at).clamp(0, 64);
        (share as f32 / 64.0 * 255.0).round() as u8
    };
    [channel(96), channel(32), channel(-32)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CIE L*, 0..=100, of an sRGB colour.
    fn lightness(colour: [u8; 3]) -> f32 {
        let linear = colour.map(|level| {
            let level = f32::from(level) / 255.0;
            if level <= 0.04045 { level / 12.92 } else { ((level + 0.055) / 1.055).powf(2.4) }
        });
        let y = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
        if y <= 0.008856 { 903.3 * y } else { 116.0 * y.cbrt() - 16.0 }
    }

    #[test]
    fn viridis_becomes_lighter_evenly() {
        let steps: Vec<f32> = (0..=20).map(|i| lightness(Colours::Viridis.at(i as f32 / 20.0))).collect();
        for pair in steps.windows(2) {
            assert!((2.0..6.0).contains(&(pair[1] - pair[0])), "{steps:?}");
        }
        assert_eq!(Colours::Viridis.at(0.0), [68, 1, 84]);
        assert_eq!(Colours::Viridis.at(1.0), [253, 231, 37]);
    }

    #[test]
    fn diverging_is_neutral_at_zero_and_as_dark_on_both_sides() {
        for (colours, tolerance) in [(Colours::Diverging, 6.0), (Colours::Contrast, 15.0)] {
            let [red, green, blue] = colours.at(0.5);
            assert!(red == green && green == blue && red > 240);
            for i in 0..=50 {
                let [below, above] = [0.5 - i as f32 / 100.0, 0.5 + i as f32 / 100.0].map(|x| colours.at(x));
                assert!((lightness(below) - lightness(above)).abs() < tolerance, "{i}: {below:?} {above:?}");
                match colours {
                    Colours::Contrast => assert!(below[2] >= below[1] && above[1] >= above[2]),
                    _ => assert!(below[2] >= below[0] && above[0] >= above[2]),
                }
            }
        }
    }

    #[test]
    fn values_beyond_the_scale_have_the_colour_of_its_end() {
        for colours in [Colours::Jet, Colours::Viridis, Colours::Diverging, Colours::Contrast] {
            assert_eq!((colours.at(-3.0), colours.at(7.0)), (colours.at(0.0), colours.at(1.0)));
        }
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
}

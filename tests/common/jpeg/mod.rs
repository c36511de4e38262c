//! JPEG pictures made of known coefficients. `encode` writes them as files with any scan script,
//! and `pixels` computes the levels that a decoder must find in each of these files.

mod encode;
mod pixels;

use std::fmt;

pub use encode::{File, Restart, Scan, progressive, sequential};

/// 64 quantised coefficients, in zigzag order.
type Block = [i32; 64];

/// The colours of the components, and the marker that says so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Colours {
    Grey,
    YCbCr,
    /// Adobe's marker with transform 0.
    Rgb,
    /// Adobe's marker with transform 0: inverted levels, so that 0 is full ink.
    Cmyk,
    /// Adobe's marker with transform 2: the inks of [`Colours::Cmyk`] as Y, Cb and Cr, and black.
    Ycck,
}

impl Colours {
    pub fn components(self) -> usize {
        match self {
            Colours::Grey => 1,
            Colours::YCbCr | Colours::Rgb => 3,
            Colours::Cmyk | Colours::Ycck => 4,
        }
    }
}

/// Sampling factors of a component: horizontal and vertical.
pub type Factors = (usize, usize);

struct Component {
    factors: Factors,
    /// Size in samples: that of the picture, scaled by the factors and rounded up.
    width: usize,
    height: usize,
    /// Number of blocks in a row that an interleaved scan has. Some may be right of the picture.
    blocks_per_row: usize,
    blocks: Vec<Block>,
}

pub struct Jpeg {
    pub colours: Colours,
    pub width: usize,
    pub height: usize,
    /// The largest factors of all components.
    largest: Factors,
    components: Vec<Component>,
}

/// The quantisation table of a component in zigzag order. Luma and the others have different ones.
fn steps(component: usize) -> [i32; 64] {
    std::array::from_fn(|k| if component == 0 { 8 + k as i32 / 4 } else { 8 + k as i32 / 3 })
}

impl Jpeg {
    /// A picture of random coefficients. Any two blocks differ, and the unused blocks of incomplete
    /// MCUs also contain numbers, so that nothing can be taken for another part unnoticed.
    pub fn random(colours: Colours, (width, height): (usize, usize), factors: &[Factors]) -> Jpeg {
        assert_eq!(factors.len(), colours.components());
        let largest =
            (factors.iter().map(|f| f.0).max().unwrap(), factors.iter().map(|f| f.1).max().unwrap());
        let mut random = Random((width * 1000 + height) as u64 + 1);
        let component = |&factors: &Factors| {
            let blocks_per_row = width.div_ceil(8 * largest.0) * factors.0;
            let blocks = blocks_per_row * height.div_ceil(8 * largest.1) * factors.1;
            Component {
                factors,
                width: (width * factors.0).div_ceil(largest.0),
                height: (height * factors.1).div_ceil(largest.1),
                blocks_per_row,
                blocks: (0..blocks).map(|_| random.block()).collect(),
            }
        };
        let components = factors.iter().map(component).collect();
        Jpeg { colours, width, height, largest, components }
    }
}

impl fmt::Display for Jpeg {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let factors: Vec<Factors> = self.components.iter().map(|component| component.factors).collect();
        write!(f, "{}x{} {:?} {factors:?}", self.width, self.height, self.colours)
    }
}

/// A xorshift generator.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> i32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % limit) as i32
    }

    fn between(&mut self, least: i32, most: i32) -> i32 {
        least + self.below((most - least + 1) as u64)
    }

    /// A block of any mean, with up to twelve other coefficients. Many blocks have none, so that
    /// progressive files have long runs of them. Few have large ones, which cause levels outside
    /// 0..=255.
    fn block(&mut self) -> Block {
        let mut block = [0; 64];
        block[0] = self.between(-110, 110);
        let (count, largest) = match self.below(8) {
            0..4 => (0, 0),
            4 => (12, 40),
            5 => (1, 9),
            _ => (6, 5),
        };
        for _ in 0..count {
            let at = self.between(1, 63) as usize;
            block[at] = self.between(-largest, largest);
        }
        block
    }
}

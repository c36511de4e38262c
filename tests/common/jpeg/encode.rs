//! Files with any scan script. All Huffman codes have a fixed length, so a symbol is its own code.

use super::{Block, Colours, Jpeg, steps};

/// Numbers of the markers.
const START_OF_IMAGE: u8 = 0xD8;
const END_OF_IMAGE: u8 = 0xD9;
const BASELINE_FRAME: u8 = 0xC0;
const PROGRESSIVE_FRAME: u8 = 0xC2;
const HUFFMAN_TABLES: u8 = 0xC4;
const RESTART: u8 = 0xD0;
const START_OF_SCAN: u8 = 0xDA;
const QUANTISATION_TABLES: u8 = 0xDB;
const RESTART_INTERVAL: u8 = 0xDD;
const ADOBE: u8 = 0xEE;

/// Length in bits of the codes of DC symbols and of AC symbols. A code of ones only is not allowed.
const DC_LENGTH: u32 = 4;
const AC_LENGTH: u32 = 8;

#[derive(Clone, Debug)]
pub struct Scan {
    pub components: Vec<usize>,
    /// First and last coefficient.
    pub band: (usize, usize),
    /// Number of low bits that the scans before this one left out, or 0 if there were none.
    pub high: u32,
    /// Number of low bits that this scan leaves out.
    pub low: u32,
}

#[derive(Clone, Copy, Debug)]
pub enum Restart {
    Never,
    /// Number of MCUs.
    Every(usize),
    EachRow,
}

/// Scans of whole coefficients, one for each group of components.
pub fn sequential(groups: &[Vec<usize>]) -> Vec<Scan> {
    scans(groups, (0, 63), 0, 0)
}

/// Scans of DC for each group of components and of AC for each component, in two bands. The lowest
/// bit of DC and the two lowest bits of AC follow in scans of their own.
pub fn progressive(groups: &[Vec<usize>]) -> Vec<Scan> {
    let components: Vec<Vec<usize>> = groups.concat().into_iter().map(|component| vec![component]).collect();
    [
        scans(groups, (0, 0), 0, 1),
        scans(&components, (1, 5), 0, 2),
        scans(&components, (6, 63), 0, 2),
        scans(&components, (1, 63), 2, 1),
        scans(groups, (0, 0), 1, 0),
        scans(&components, (1, 63), 1, 0),
    ]
    .concat()
}

fn scans(groups: &[Vec<usize>], band: (usize, usize), high: u32, low: u32) -> Vec<Scan> {
    groups.iter().map(|group| Scan { components: group.clone(), band, high, low }).collect()
}

pub struct File {
    pub bytes: Vec<u8>,
    /// For each scan: the position of its first coded byte, of the byte in which its last MCU
    /// begins, and of the marker after it.
    pub data: Vec<[usize; 3]>,
}

impl Jpeg {
    /// True if a scan of these components has at most ten blocks in an MCU, as the standard wants.
    pub fn allows(&self, scan: &Scan) -> bool {
        let blocks = |&at: &usize| self.components[at].factors.0 * self.components[at].factors.1;
        scan.components.len() == 1 || scan.components.iter().map(blocks).sum::<usize>() <= 10
    }

    pub fn file(&self, scans: &[Scan], restart: Restart) -> File {
        let mut bytes = vec![0xFF, START_OF_IMAGE];
        let adobe = match self.colours {
            Colours::Grey | Colours::YCbCr => None,
            Colours::Rgb | Colours::Cmyk => Some(0),
            Colours::Ycck => Some(2),
        };
        if let Some(transform) = adobe {
            segment(&mut bytes, ADOBE, &[b"Adobe\0\x64\0\0\0\0".as_slice(), &[transform]].concat());
        }
        for table in 0..self.components.len().min(2) {
            let steps = steps(table).map(|step| step as u8);
            segment(&mut bytes, QUANTISATION_TABLES, &[&[table as u8], &steps[..]].concat());
        }
        let is_sequential = scans.iter().all(|scan| scan.band == (0, 63));
        let frame = if is_sequential { BASELINE_FRAME } else { PROGRESSIVE_FRAME };
        segment(&mut bytes, frame, &self.frame());
        for (class, length) in [(0, DC_LENGTH), (1, AC_LENGTH)] {
            let symbols: Vec<u8> = (0..u8::MAX >> (8 - length)).collect();
            let mut lengths = [0; 16];
            lengths[length as usize - 1] = symbols.len() as u8;
            segment(&mut bytes, HUFFMAN_TABLES, &[&[class << 4], &lengths[..], &symbols].concat());
        }
        let mut interval = 0;
        let mut data = Vec::new();
        for scan in scans {
            assert!(self.allows(scan), "the MCU is too large");
            let (mcus, per_row) = self.mcus(&scan.components);
            let before = interval;
            interval = match restart {
                Restart::Never => 0,
                Restart::Every(interval) => interval,
                Restart::EachRow => per_row,
            };
            if interval != before {
                segment(&mut bytes, RESTART_INTERVAL, &(interval as u16).to_be_bytes());
            }
            segment(&mut bytes, START_OF_SCAN, &header(scan));
            let start = bytes.len();
            let last = self.code(scan, &mcus, interval, &mut bytes);
            data.push([start, last, bytes.len()]);
        }
        bytes.extend([0xFF, END_OF_IMAGE]);
        File { bytes, data }
    }

    fn frame(&self) -> Vec<u8> {
        let (height, width) = ((self.height as u16).to_be_bytes(), (self.width as u16).to_be_bytes());
        let mut frame = vec![8, height[0], height[1], width[0], width[1], self.components.len() as u8];
        for (at, component) in self.components.iter().enumerate() {
            let factors = component.factors.0 << 4 | component.factors.1;
            frame.extend([at as u8 + 1, factors as u8, at.min(1) as u8]);
        }
        frame
    }

    /// The MCUs of a scan, each a list of components and blocks, and the number of MCUs in a row.
    /// An MCU of a single component is one block, and has no block outside of the component.
    fn mcus(&self, components: &[usize]) -> (Vec<Vec<(usize, usize)>>, usize) {
        if let &[at] = components {
            let component = &self.components[at];
            let (per_row, rows) = (component.width.div_ceil(8), component.height.div_ceil(8));
            let block = |mcu| vec![(at, mcu / per_row * component.blocks_per_row + mcu % per_row)];
            return ((0..rows * per_row).map(block).collect(), per_row);
        }
        let per_row = self.width.div_ceil(8 * self.largest.0);
        let rows = self.height.div_ceil(8 * self.largest.1);
        let blocks = |mcu: usize| {
            let mut blocks = Vec::new();
            for &at in components {
                let component = &self.components[at];
                let (across, down) = component.factors;
                for y in (0..down).map(|y| mcu / per_row * down + y) {
                    let first = y * component.blocks_per_row + mcu % per_row * across;
                    blocks.extend((first..first + across).map(|block| (at, block)));
                }
            }
            blocks
        };
        ((0..rows * per_row).map(blocks).collect(), per_row)
    }

    /// Appends the coded data of a scan, and returns the position of its last MCU.
    fn code(&self, scan: &Scan, mcus: &[Vec<(usize, usize)>], interval: usize, bytes: &mut Vec<u8>) -> usize {
        let mut last = bytes.len();
        let mut coder = Coder { scan, bits: Bits::new(bytes), means: [0; 4], run: 0, owed: Vec::new() };
        for (at, mcu) in mcus.iter().enumerate() {
            if interval > 0 && at > 0 && at % interval == 0 {
                coder.end();
                coder.bits.bytes.extend([0xFF, RESTART + (at / interval - 1) as u8 % 8]);
            }
            last = coder.bits.bytes.len();
            for &(component, block) in mcu {
                coder.block(component, &self.components[component].blocks[block]);
            }
        }
        coder.end();
        last
    }
}

fn segment(bytes: &mut Vec<u8>, marker: u8, content: &[u8]) {
    bytes.extend([0xFF, marker]);
    bytes.extend((content.len() as u16 + 2).to_be_bytes());
    bytes.extend(content);
}

fn header(scan: &Scan) -> Vec<u8> {
    let mut header = vec![scan.components.len() as u8];
    for &component in &scan.components {
        // The tables of all components are those with the number 0.
        header.extend([component as u8 + 1, 0]);
    }
    header.extend([scan.band.0 as u8, scan.band.1 as u8, (scan.high << 4 | scan.low) as u8]);
    header
}

/// Writes bits, the highest first. A byte of ones is followed by a zero byte, so that it does not
/// begin a marker.
struct Bits<'b> {
    bytes: &'b mut Vec<u8>,
    pending: u32,
    count: u32,
}

impl<'b> Bits<'b> {
    fn new(bytes: &'b mut Vec<u8>) -> Bits<'b> {
        Bits { bytes, pending: 0, count: 0 }
    }

    fn put(&mut self, value: u32, length: u32) {
        for at in (0..length).rev() {
            self.pending = self.pending << 1 | value >> at & 1;
            self.count += 1;
            if self.count == 8 {
                self.bytes.push(self.pending as u8);
                if self.pending == 0xFF {
                    self.bytes.push(0);
                }
                (self.pending, self.count) = (0, 0);
            }
        }
    }

    /// Fills the last byte with ones.
    fn align(&mut self) {
        self.put(0xFF, (8 - self.count) % 8);
    }
}

/// Codes the blocks of a scan (ITU T.81, sections F.1.2 and G.1.2).
struct Coder<'b> {
    scan: &'b Scan,
    bits: Bits<'b>,
    /// The last DC coefficient of each component.
    means: [i32; 4],
    /// Number of blocks without further new coefficients that are not coded yet.
    run: u32,
    /// Corrections of these blocks.
    owed: Vec<u32>,
}

impl Coder<'_> {
    fn block(&mut self, component: usize, block: &Block) {
        let &Scan { band: (first, end), high, low, .. } = self.scan;
        if first == 0 {
            let mean = block[0] >> low;
            if high == 0 {
                self.number(0, DC_LENGTH, mean - self.means[component]);
                self.means[component] = mean;
            } else {
                self.bits.put(mean as u32 & 1, 1);
            }
        }
        if end > 0 {
            self.coefficients(&block[first.max(1)..=end], high > 0, low);
            if first == 0 {
                // Sequential files have no runs over several blocks.
                self.end_run();
            }
        }
    }

    /// Codes new coefficients. A refinement also corrects those that the scans before it contain.
    fn coefficients(&mut self, coefficients: &[i32], refines: bool, low: u32) {
        let levels: Vec<i32> = coefficients.iter().map(|c| c.signum() * (c.abs() >> low)).collect();
        let is_new = |level: i32| level != 0 && (!refines || level.abs() == 1);
        let last_new = levels.iter().rposition(|&level| is_new(level));
        let mut zeros = 0;
        let mut corrections = Vec::new();
        for (at, &level) in levels.iter().enumerate() {
            if level == 0 {
                zeros += 1;
                continue;
            }
            while zeros > 15 && Some(at) <= last_new {
                self.end_run();
                self.bits.put(0xF0, AC_LENGTH);
                self.correct(&mut corrections);
                zeros -= 16;
            }
            if is_new(level) {
                self.end_run();
                self.number(zeros << 4, AC_LENGTH, level);
                self.correct(&mut corrections);
                zeros = 0;
            } else {
                corrections.push(level.unsigned_abs() & 1);
            }
        }
        if zeros > 0 || !corrections.is_empty() {
            self.run += 1;
            self.owed.append(&mut corrections);
        }
    }

    /// Codes the size of a number in the low bits of a symbol, then the number.
    fn number(&mut self, symbol: u32, length: u32, number: i32) {
        let size = i32::BITS - number.abs().leading_zeros();
        self.bits.put(symbol | size, length);
        self.bits.put((number - i32::from(number < 0)) as u32, size);
    }

    fn correct(&mut self, corrections: &mut Vec<u32>) {
        for correction in corrections.drain(..) {
            self.bits.put(correction, 1);
        }
    }

    fn end_run(&mut self) {
        if self.run > 0 {
            let size = self.run.ilog2();
            self.bits.put(size << 4, AC_LENGTH);
            self.bits.put(self.run, size);
            let mut owed = std::mem::take(&mut self.owed);
            self.correct(&mut owed);
            self.run = 0;
        }
    }

    /// Ends the data before a marker.
    fn end(&mut self) {
        self.end_run();
        self.bits.align();
        self.means = [0; 4];
    }
}

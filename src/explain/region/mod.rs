//! Regions: sets of pixels, such as those where a map shows evidence, with their connected parts,
//! bounding boxes and contours.
//!
//! A [`Threshold`] tells how large a value of a map counts as evidence. [`Framing::region_above`]
//! and [`Framing::region_of`] carry a map or a part of the network's picture over to the pixels
//! of the photograph. This module runs no layer.

use std::cell::Cell;

use crate::image::Framing;
use crate::network::INPUT_SIDE;
use crate::network::geometry::Rect;
use crate::{Error, Result};

const PIXELS: usize = INPUT_SIDE * INPUT_SIDE;

/// The values of a map that count as evidence.
///
/// ```
/// use occlude::Threshold;
///
/// let map = [-0.4, 0.0, 0.1, 0.1, 0.5, 0.6];
/// assert_eq!(Threshold::Share(0.5).level(&map)?, Some(0.3));
/// assert_eq!(Threshold::Otsu.level(&map)?, Some(0.5));
/// assert_eq!(Threshold::Otsu.level(&[-0.4, 0.0])?, None);
/// # Ok::<(), occlude::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Threshold {
    /// Values of at least this share of the map's maximum, above 0 and at most 1.
    Share(f32),
    /// Otsu's method: of all divisions of the values into small and large ones, the one with the
    /// largest variance between both groups. Negative values, which are evidence against the class,
    /// count as 0. The method divides the values themselves and needs no histogram. After Otsu, "A
    /// threshold selection method from gray-level histograms" (1979).
    Otsu,
}

impl Default for Threshold {
    /// Half of the maximum.
    fn default() -> Threshold {
        Threshold::Share(0.5)
    }
}

impl Threshold {
    /// The smallest value that counts as evidence, above 0; `None` if no value of the map is above 0.
    ///
    /// # Errors
    /// [`Error::Option`] for a share outside its range.
    pub fn level(self, map: &[f32]) -> Result<Option<f32>> {
        if let Threshold::Share(share) = self
            && !(share > 0.0 && share <= 1.0)
        {
            let expected = "a share of the maximum above 0, at most 1";
            return Err(Error::Option {
                name: "threshold",
                found: share.to_string(),
                expected: expected.into(),
            });
        }
        let most = map.iter().copied().fold(0.0, f32::max);
        Ok(match self {
            _ if most == 0.0 => None,
            // A product that is too small for an f32 is not a level: 0 counts as evidence nowhere.
            Threshold::Share(share) => Some((share * most).max(f32::MIN_POSITIVE)),
            Threshold::Otsu => Some(otsu(map)),
        })
    }
}

/// The smallest value of the upper group of Otsu's division. Some value must be above 0.
fn otsu(map: &[f32]) -> f32 {
    let mut values: Vec<f32> = map.iter().map(|value| value.max(0.0)).collect();
    values.sort_by(f32::total_cmp);
    let total: f64 = values.iter().map(|&value| f64::from(value)).sum();
    let (mut sum, mut best) = (0.0, (0.0, values[values.len() - 1]));
    for (below, pair) in (1..).zip(values.windows(2)) {
        sum += f64::from(pair[0]);
        let (count, above) = (f64::from(below), values.len() as f64 - f64::from(below));
        let between = count * above * ((total - sum) / above - sum / count).powi(2);
        if pair[0] < pair[1] && between > best.0 {
            best = (between, pair[1]);
        }
    }
    best.1
}

/// A set of pixels of a picture.
///
/// ```
/// use occlude::Region;
/// use occlude::network::geometry::Rect;
///
/// #[rustfmt::skip]
/// let pixels = [
///     true, true,  false, false,
///     true, true,  false, true,
/// ];
/// let region = Region::new([2, 4], pixels.into());
/// assert_eq!((region.area(), region.share()), (5, 0.625));
/// let parts = region.parts();
/// assert_eq!(parts.len(), 2);
/// assert_eq!(parts[0].bounds, Rect { y0: 0, x0: 0, y1: 2, x1: 2 });
/// assert_eq!(parts[0].contours, [[[0, 0], [0, 2], [2, 2], [2, 0]]]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    size: [usize; 2],
    pixels: Vec<bool>,
}

/// A connected part of a region: pixels that share edges with each other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegionPart {
    /// The smallest rectangle that holds the part, in pixels.
    pub bounds: Rect,
    /// The number of pixels.
    pub area: usize,
    /// The closed lines around the part: the outer one first, clockwise, then those around its
    /// holes, counterclockwise. A line is a list of its corners, each `[y, x]`; they lie between the
    /// pixels, so `[0, 0]` is the upper left corner of the picture and `[height, width]` the lower
    /// right one. The last corner is connected to the first.
    pub contours: Vec<Vec<[usize; 2]>>,
}

impl Region {
    /// Makes a region of a picture of `[height, width]` from `[height][width]` flags.
    ///
    /// # Panics
    /// If the number of flags is not `height * width`.
    pub fn new(size: [usize; 2], pixels: Vec<bool>) -> Region {
        assert_eq!(pixels.len(), size[0] * size[1], "one flag for each pixel of {size:?}");
        Region { size, pixels }
    }

    /// Height and width of the picture.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// For each pixel of the picture, `[height][width]`, true if it belongs to the region.
    pub fn pixels(&self) -> &[bool] {
        &self.pixels
    }

    /// The number of pixels of the region.
    pub fn area(&self) -> usize {
        self.pixels.iter().filter(|inside| **inside).count()
    }

    /// The region's share of the picture, 0..=1; 0 for an empty picture.
    pub fn share(&self) -> f32 {
        (self.area() as f64 / self.pixels.len().max(1) as f64) as f32
    }

    /// The smallest rectangle that holds the region; `None` if the region is empty.
    pub fn bounds(&self) -> Option<Rect> {
        let bounds = self.runs().fold(Rect::default(), |bounds, run| bounds.union(&run));
        (!bounds.is_empty()).then_some(bounds)
    }

    /// The connected parts, the largest first. Of equally large ones, the one whose first pixel, row
    /// by row, comes earlier is first. Pixels that only touch at a corner are not connected.
    pub fn parts(&self) -> Vec<RegionPart> {
        let runs: Vec<Rect> = self.runs().collect();
        let roots = connected(&runs);
        let mut parts: Vec<RegionPart> = Vec::new();
        let mut part_of = vec![0; runs.len()];
        for (i, run) in runs.iter().enumerate() {
            if roots[i] == i {
                part_of[i] = parts.len();
                parts.push(RegionPart { bounds: *run, area: 0, contours: Vec::new() });
            }
            part_of[i] = part_of[roots[i]];
            let part = &mut parts[part_of[i]];
            part.bounds = part.bounds.union(run);
            part.area += run.area();
        }
        // Every contour has an upper edge. The first that is found of a part lies on its outer contour.
        let mut seen = vec![false; self.pixels.len()];
        for (run, &part) in runs.iter().zip(&part_of) {
            for x in run.x0..run.x1 {
                let is_upper_edge = !self.has(run.y0, x, [-1, 0]);
                if is_upper_edge && !seen[run.y0 * self.size[1] + x] {
                    parts[part].contours.push(self.contour([run.y0, x], &mut seen));
                }
            }
        }
        parts.sort_by_key(|part| std::cmp::Reverse(part.area));
        parts
    }

    /// The runs of the region's pixels, row by row: rectangles of one row.
    fn runs(&self) -> impl Iterator<Item = Rect> {
        self.pixels.chunks(self.size[1].max(1)).enumerate().flat_map(|(y, row)| {
            let mut x0 = 0;
            let runs = row.chunk_by(|a, b| a == b).map(move |run| {
                let x = x0;
                x0 += run.len();
                (run[0], Rect { y0: y, x0: x, y1: y + 1, x1: x + run.len() })
            });
            runs.filter(|(inside, _)| *inside).map(|(_, run)| run)
        })
    }

    /// True if the pixel at this distance from (`y`, `x`) belongs to the region.
    fn has(&self, y: usize, x: usize, [down, right]: [isize; 2]) -> bool {
        let (y, x) = (y.wrapping_add_signed(down), x.wrapping_add_signed(right));
        y < self.size[0] && x < self.size[1] && self.pixels[y * self.size[1] + x]
    }

    /// Follows the contour that begins with the upper edge of a pixel, with the region on its right,
    /// and notes in `seen` the pixels whose upper edges belong to it.
    fn contour(&self, [row, column]: [usize; 2], seen: &mut [bool]) -> Vec<[usize; 2]> {
        // East, south, west, north. The pixels ahead on the right and on the left of a corner, seen
        // from the pixel below and right of it.
        const STEPS: [[isize; 2]; 4] = [[0, 1], [1, 0], [0, -1], [-1, 0]];
        const RIGHT: [[isize; 2]; 4] = [[0, 0], [0, -1], [-1, -1], [-1, 0]];
        const LEFT: [[isize; 2]; 4] = [[-1, 0], [0, 0], [0, -1], [-1, -1]];
        let (mut y, mut x, mut heading) = (row, column, 0);
        let mut corners = vec![[y, x]];
        loop {
            if heading == 0 {
                seen[y * self.size[1] + x] = true;
            }
            let [down, right] = STEPS[heading];
            (y, x) = (y.wrapping_add_signed(down), x.wrapping_add_signed(right));
            let next = match (self.has(y, x, RIGHT[heading]), self.has(y, x, LEFT[heading])) {
                // To the right also where two pixels touch at the corner: they are not connected.
                (false, _) => (heading + 1) % 4,
                (true, true) => (heading + 3) % 4,
                (true, false) => heading,
            };
            if [y, x] == [row, column] && next == 0 {
                return corners;
            }
            if next != heading {
                corners.push([y, x]);
            }
            heading = next;
        }
    }
}

/// For each run, the first run of its connected part. Runs are in reading order.
fn connected(runs: &[Rect]) -> Vec<usize> {
    fn root(of: &mut [usize], mut run: usize) -> usize {
        while of[run] != run {
            of[run] = of[of[run]];
            run = of[run];
        }
        run
    }
    let mut of: Vec<usize> = (0..runs.len()).collect();
    let mut above = 0;
    for (i, run) in runs.iter().enumerate() {
        while runs[above].y1 < run.y0 || (runs[above].y1 == run.y0 && runs[above].x1 <= run.x0) {
            above += 1;
        }
        let touching = (above..i).take_while(|&j| runs[j].y1 == run.y0 && runs[j].x0 < run.x1);
        for j in touching {
            let (a, b) = (root(&mut of, i), root(&mut of, j));
            // The smaller one, so that the root is the first run.
            of[a.max(b)] = a.min(b);
        }
    }
    (0..runs.len()).map(|run| root(&mut of, run)).collect()
}

/// These methods convert places in the network's picture of 224x224 pixels to the photograph.
impl Framing {
    /// The pixels of the photograph at which a map is at least `level`. The map is `[224][224]`, one
    /// value for each pixel of [`Photograph::picture`](crate::Photograph::picture); between the middles of its pixels, values are
    /// interpolated linearly. Pixels outside the picture do not belong to the region. If the map reaches
    /// `level` only between the middles of the photograph's pixels, the region is the pixels with the
    /// largest value, unless that is 0 or less.
    ///
    /// # Panics
    /// If the map does not have 224x224 values.
    pub fn region_above(&self, map: &[f32], level: f32) -> Region {
        assert_eq!(map.len(), PIXELS, "a map has 224x224 values");
        // Two neighbours and the share of the second; both are the same at the border.
        let between = |place: f64| -> Option<([usize; 2], f64)> {
            let last = (INPUT_SIDE - 1) as f64;
            let inside = (0.0..INPUT_SIDE as f64).contains(&place);
            let place = (place - 0.5).clamp(0.0, last);
            let first = place as usize;
            inside.then_some(([first, (first + 1).min(INPUT_SIDE - 1)], place - first as f64))
        };
        let value = |&([above, below], down): &([usize; 2], f64),
                     &([left, right], across): &([usize; 2], f64)| {
            let along = |row: usize| {
                let [a, b] = [left, right].map(|x| f64::from(map[row * INPUT_SIDE + x]));
                a + (b - a) * across
            };
            let (above, below) = (along(above), along(below));
            above + (below - above) * down
        };
        let at_least = |level: f64| self.region(between, |y, x| value(y, x) >= level);
        let region = at_least(f64::from(level));
        if region.pixels.contains(&true) || map.iter().all(|&value| value < level) {
            return region;
        }
        let most = Cell::new(0.0f64);
        self.region(between, |y, x| {
            most.set(most.get().max(value(y, x)));
            false
        });
        if most.get() > 0.0 { at_least(most.get()) } else { region }
    }

    /// The pixels of the photograph whose middles lie in the given pixels, `[224][224]`, of
    /// [`Photograph::picture`](crate::Photograph::picture).
    ///
    /// # Panics
    /// If there are not 224x224 flags.
    pub fn region_of(&self, pixels: &[bool]) -> Region {
        assert_eq!(pixels.len(), PIXELS, "one flag for each of 224x224 pixels");
        let pixel = |place: f64| (0.0..INPUT_SIDE as f64).contains(&place).then_some(place as usize);
        self.region(pixel, |y, x| pixels[y * INPUT_SIDE + x])
    }

    /// The pixels for which `is_inside` is true. It gets what `at` makes of the places of their row
    /// and their column, unless that is `None`.
    fn region<P>(&self, at: impl Fn(f64) -> Option<P>, is_inside: impl Fn(&P, &P) -> bool) -> Region {
        let size = self.photograph;
        let [rows, columns] = [0, 1].map(|axis| -> Vec<Option<P>> {
            (0..size[axis]).map(|line| at(self.to_network(axis, line as f64 + 0.5))).collect()
        });
        let inside = |row: &Option<P>, column: &Option<P>| {
            row.as_ref().zip(column.as_ref()).is_some_and(|(row, column)| is_inside(row, column))
        };
        let pixels = rows.iter().flat_map(|row| columns.iter().map(|column| inside(row, column)));
        Region { size, pixels: pixels.collect() }
    }
}

#[cfg(test)]
mod tests;

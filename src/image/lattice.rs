//! The places of a map's values on the picture, and the interpolation between them
//! (`docs/05-occlusion-map.md`).

use std::fmt;

use super::resize::{MapTaps, Upsampling, cubic, interpolate, mirrored_taps, nearest_taps};
use crate::network::geometry::Rect;

/// The places at which the values of an occlusion map are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Placement {
    /// Each value at the centre of its mask.
    #[default]
    Centres,
    /// The values in equal cells that fill the picture, as MATLAB's `occlusionSensitivity` resizes
    /// its map. A value is then drawn beside its mask, at the defaults up to 10 pixels away.
    Stretch,
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Placement::Centres => "centres",
            Placement::Stretch => "stretch",
        })
    }
}

/// The places of a map's values on the 224x224 picture, at equal distances on each axis, and the
/// part of the picture that the map covers. Coordinates are in pixels from the upper left corner;
/// the middle of the first pixel lies at 0.5.
///
/// [`OcclusionMaps::lattice`](crate::OcclusionMaps::lattice) makes the one of a sweep.
///
/// ```
/// use occlude::Upsampling;
/// use occlude::image::lattice::Lattice;
/// use occlude::network::geometry::Rect;
///
/// // One row of two values, in the two halves of a picture of 4 pixels.
/// let halves = Lattice::cells([1, 2], Rect { y0: 0, x0: 0, y1: 1, x1: 4 });
/// let values = halves.values(&[1.0, 3.0], &[0.5], &[0.5, 1.5, 2.5, 3.5], Upsampling::Nearest);
/// assert_eq!(values, [1.0, 1.0, 3.0, 3.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lattice {
    /// Down and across.
    axes: [Axis; 2],
    area: Rect,
    /// True if the values lie at single points; false if they fill cells.
    at_points: bool,
}

/// The places along an axis: the middles of cells of equal size.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Axis {
    start: f64,
    length: f64,
    count: usize,
}

impl Axis {
    /// The index of a place; between two values it is not a whole number.
    fn index(&self, at: f64) -> f64 {
        (at - self.start) * self.count as f64 / self.length - 0.5
    }
}

impl Lattice {
    /// The places of `[ny, nx]` values, each of which fills one of the equal cells of an area. The
    /// map continues as its mirror image beyond the area, as in MATLAB's `imresize`.
    pub fn cells(grid: [usize; 2], area: Rect) -> Lattice {
        let axis =
            |start: usize, length: usize, count| Axis { start: start as f64, length: length as f64, count };
        let axes = [axis(area.y0, area.height(), grid[0]), axis(area.x0, area.width(), grid[1])];
        Lattice { axes, area, at_points: false }
    }

    /// The places of `[ny, nx]` values, each at a point: `first` is the point of the first value,
    /// and `step` the distance of neighbours, each down and across. Beyond the outermost points the
    /// outermost values continue.
    pub fn points(grid: [usize; 2], first: [f64; 2], step: [usize; 2], area: Rect) -> Lattice {
        let axes = std::array::from_fn(|axis| Axis {
            start: first[axis] - step[axis] as f64 / 2.0,
            length: (grid[axis] * step[axis]) as f64,
            count: grid[axis],
        });
        Lattice { axes, area, at_points: true }
    }

    /// The part of the picture that the map covers, in whole pixels.
    pub fn area(&self) -> Rect {
        self.area
    }

    /// The place of the `i`-th value of an axis, 0 down and 1 across.
    pub fn place(&self, axis: usize, i: usize) -> f64 {
        let Axis { start, length, count } = self.axes[axis];
        start + (i as f64 + 0.5) * length / count as f64
    }

    /// True if the place lies in the pixel of the first or the last value of an axis, 0 down and 1
    /// across, or between them, so that its value is interpolated. Cells fill their area, so it is
    /// true for all places of cells.
    pub fn spans(&self, axis: usize, at: f64) -> bool {
        let [first, last] = [0, self.axes[axis].count - 1].map(|i| self.place(axis, i).floor());
        !self.at_points || (first..last + 1.0).contains(&at)
    }

    /// The values of a map, `[ny][nx]`, at these rows and columns, `[rows][columns]`.
    ///
    /// [`Upsampling::Bicubic`] is Keys' cubic convolution. For points, the border condition is
    /// Keys', too, a parabola through the three outermost values; the values of parabolas are
    /// therefore exact between the outermost points. The result may overshoot the values of the
    /// map. The other methods take the nearest value.
    ///
    /// # Panics
    /// If the map has another number of values.
    pub fn values(&self, map: &[f32], rows: &[f64], columns: &[f64], upsampling: Upsampling) -> Vec<f32> {
        let [down, across] = self.axes;
        assert_eq!(map.len(), down.count * across.count, "a map has ny x nx values");
        let taps = |axis: Axis, places: &[f64]| -> Vec<MapTaps> {
            let taps = match upsampling {
                Upsampling::Bicubic if self.at_points => held_taps,
                Upsampling::Bicubic => mirrored_taps,
                _ => nearest_taps,
            };
            places.iter().map(|&at| taps(axis.index(at), axis.count)).collect()
        };
        interpolate(map, across.count, &taps(down, rows), &taps(across, columns))
    }
}

/// The middles of the pixels `start..end`.
pub fn middles(start: usize, end: usize) -> Vec<f64> {
    (start..end).map(|pixel| pixel as f64 + 0.5).collect()
}

/// The taps of a place in a line of points at 0, 1, 2 and so on. Beyond its ends, the outermost
/// value continues.
fn held_taps(at: f64, cells: usize) -> MapTaps {
    if cells == 1 {
        return nearest_taps(at, cells);
    }
    let at = at.clamp(0.0, (cells - 1) as f64);
    // The two points around the place are `before` and `before + 1`.
    let before = (at.floor() as usize).min(cells - 2);
    // All taps lie in four neighbouring cells.
    let first = before.saturating_sub(1).min(cells.saturating_sub(4));
    let mut taps: MapTaps = std::array::from_fn(|k| ((first + k).min(cells - 1), 0.0));
    let mut add = |cell: usize, weight: f64| taps[cell - first].1 += weight;
    // Keys, equations 19 and 25: the value beyond an end is `3 a - 3 b + c` of the outermost three,
    // `2 a - b` if there are two.
    let [a, b, c] = if cells > 2 { [3.0, -3.0, 1.0] } else { [2.0, -1.0, 0.0] };
    for k in 0..4 {
        let weight = cubic((before + k) as f64 - 1.0 - at);
        match (before + k).checked_sub(1) {
            Some(cell) if cell < cells => add(cell, weight),
            outside => {
                let outermost = |i: usize| if outside.is_none() { i } else { cells - 1 - i };
                add(outermost(0), a * weight);
                add(outermost(1), b * weight);
                if cells > 2 {
                    add(outermost(2), c * weight);
                }
            }
        }
    }
    taps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::image::resize::upsample;

    fn line(count: usize, first: f64, step: usize) -> Lattice {
        Lattice::points([1, count], [0.5, first], [1, step], Rect { y0: 0, x0: 0, y1: 1, x1: 224 })
    }

    proptest! {
        #[test]
        fn values_are_exact_at_their_points_and_constant_beyond_the_outermost(
            values in prop::collection::vec(-1.0f32..1.0, 1..12),
            first in 0usize..30,
            step in 1usize..30,
        ) {
            let lattice = line(values.len(), first as f64, step);
            let points: Vec<f64> = (0..values.len()).map(|i| (first + i * step) as f64).collect();
            for upsampling in [Upsampling::Bicubic, Upsampling::Nearest] {
                let found = lattice.values(&values, &[0.5], &points, upsampling);
                prop_assert_eq!(&found, &values);
                let last = points[points.len() - 1];
                let beyond = lattice.values(&values, &[0.5], &[-7.0, points[0] - 0.1, last + 0.1, 500.0], upsampling);
                let ends = [values[0], values[values.len() - 1]];
                prop_assert_eq!(beyond, [ends[0], ends[0], ends[1], ends[1]]);
            }
            let last = points[points.len() - 1];
            prop_assert!(lattice.spans(1, points[0]) && lattice.spans(1, last + 0.9));
            prop_assert!(!lattice.spans(1, points[0] - 0.1) && !lattice.spans(1, last + 1.1));
        }

        /// A parabola comes back at every place between the outermost points.
        #[test]
        fn parabolas_are_exact(count in 3usize..12, step in 1usize..30, a in -1.0f64..1.0, b in -1.0f64..1.0) {
            let value = |index: f64| a * index * index / 100.0 + b * index / 10.0 + 0.3;
            let values: Vec<f32> = (0..count).map(|i| value(i as f64) as f32).collect();
            let places: Vec<f64> = (0..=50).map(|i| 2.5 + i as f64 / 50.0 * ((count - 1) * step) as f64).collect();
            let found = line(count, 2.5, step).values(&values, &[0.5], &places, Upsampling::Bicubic);
            for (found, place) in found.iter().zip(&places) {
                let expected = value((place - 2.5) / step as f64);
                prop_assert!((f64::from(*found) - expected).abs() < 1e-6, "{} is not {}", found, expected);
            }
        }

        /// Two values give a straight line.
        #[test]
        fn two_values_are_joined_by_a_line(a in -1.0f32..1.0, b in -1.0f32..1.0, share in 0.0f64..1.0) {
            let found = line(2, 10.0, 20).values(&[a, b], &[0.5], &[10.0 + 20.0 * share], Upsampling::Bicubic)[0];
            prop_assert!((f64::from(found) - f64::from(a) - share * f64::from(b - a)).abs() < 1e-6);
        }

        /// Cells that fill a picture are enlarged as by `upsample`.
        #[test]
        fn cells_are_those_of_imresize(
            (ny, nx) in (1usize..9, 1usize..9),
            (height, width) in (1usize..40, 1usize..40),
            seed in 0u32..1000,
        ) {
            let map: Vec<f32> = (0..ny * nx).map(|i| ((i as u32 * 37 + seed) % 101) as f32 / 50.0 - 1.0).collect();
            let lattice = Lattice::cells([ny, nx], Rect { y0: 3, x0: 5, y1: 3 + height, x1: 5 + width });
            let (rows, columns) = (middles(3, 3 + height), middles(5, 5 + width));
            for upsampling in [Upsampling::Bicubic, Upsampling::Nearest] {
                let found = lattice.values(&map, &rows, &columns, upsampling);
                prop_assert_eq!(found, upsample(&map, ny, nx, height, width, upsampling));
            }
            prop_assert!(lattice.spans(0, 0.0) && lattice.spans(1, 224.0));
        }
    }
}

//! The result of a sweep: scores at each mask position, and the maps that follow from them.

use std::borrow::Cow;

use super::fill::MaskValue;
use super::grid::Grid;
use super::{Channel, Score, Segments, Shape, Target};
use crate::forward::Classification;
use crate::image::lattice::{Lattice, Placement, middles};
use crate::image::resize::Upsampling;
use crate::network::INPUT_SIDE;
use crate::network::geometry::Rect;

/// The result of a sweep. Grids are stored row by row: the element of class `k` at (row, column)
/// has index `(k * ny + row) * nx + column`.
///
/// ```
/// use occlude::network::geometry::Rect;
/// use occlude::{GoogLeNet, Input, OcclusionSensitivity, Weights};
///
/// let net = GoogLeNet::new(&Weights::seeded(1))?;
/// let values = (0..224 * 224 * 3).map(|i| (i % 241) as f32 - 110.0).collect();
/// let maps = OcclusionSensitivity::new(&net)
///     .classes([285, 7])
///     .mask_size([60, 60])
///     .stride([112, 112])
///     .run(&Input::from_nhwc_bgr(values)?)?;
/// let [ny, nx] = maps.grid;
/// assert_eq!([ny, nx], [2, 2]);
/// // The second class, with the mask at the second row and the first column of the grid.
/// let (k, row, column) = (1, 1, 0);
/// assert_eq!(maps.mask_rect(row, column), Rect { y0: 82, x0: 0, y1: 142, x1: 30 });
/// let score = maps.scores[(k * ny + row) * nx + column];
/// assert_eq!(maps.map(k).get(row, column), maps.base_scores[k] - score);
/// # Ok::<(), occlude::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OcclusionMaps {
    /// Height and width of the mask in pixels; 0 with segments.
    pub mask_size: [usize; 2],
    /// Step down and across in pixels; 0 with segments.
    pub stride: [usize; 2],
    /// The fill of the mask; a mean is given as the colour that it was.
    pub mask_value: MaskValue,
    /// Form of the mask within its rectangle.
    pub shape: Shape,
    /// True if everything except the mask was covered.
    pub inverse: bool,
    /// The only channel that was covered, if it was one.
    pub channel: Option<Channel>,
    /// The segments that were covered in place of a mask that slides.
    pub segments: Option<Segments>,
    /// True if masks are centred on the grid and clipped at the border.
    pub mask_clipping: bool,
    /// The part of the image, in pixels, in which the masks have their centres.
    pub region: Rect,
    /// The kind of the scores.
    pub score: Score,
    /// Rows and columns of mask positions, `[ny, nx]`.
    pub grid: [usize; 2],
    /// Row and column of the first position in the grid of the whole image: `[0, 0]` without a
    /// region.
    pub first: [usize; 2],
    /// The requested classes, in that order; the predicted class if none was requested.
    pub classes: Vec<usize>,
    /// For each class, its score with the classes that it compares with.
    pub targets: Vec<Target>,
    /// For each class, its score on the unoccluded image.
    pub base_scores: Vec<f32>,
    /// For each class, its score on the completely covered image; empty unless `inverse`.
    pub covered_scores: Vec<f32>,
    /// For each class, its score on the occluded image, `[class][ny][nx]`.
    pub scores: Vec<f32>,
    /// The most probable class at each position, `[ny][nx]`.
    pub argmax: Vec<usize>,
    /// The probability of that class, or its logit if the score is made of logits, `[ny][nx]`.
    pub argmax_scores: Vec<f32>,
    /// The requested features, in that order.
    pub features: Vec<FeatureMap>,
    /// The classification of the unoccluded image.
    pub classification: Classification,
}

/// A feature's total activation at each position.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FeatureMap {
    /// The layer's name as it was given.
    pub layer: String,
    /// The channel; the strongest channel if none was given.
    pub channel: usize,
    /// The sum of the channel's activations over the plane on the unoccluded image; not negative,
    /// except for logits.
    pub base_total: f32,
    /// The same sum on the occluded image, `[ny][nx]`.
    pub totals: Vec<f32>,
}

/// A map: one value for each position of a grid, row by row.
///
/// ```
/// use occlude::Map;
///
/// let map = Map::new([2, 3], vec![0.1, 0.0, 0.3, -0.2, 0.3, 0.1]);
/// assert_eq!(map.get(1, 0), -0.2);
/// assert_eq!(map.max_position(), [0, 2]);
/// assert_eq!(map.min_position(), [1, 0]);
/// assert_eq!(map.iter().filter(|value| **value > 0.0).count(), 4);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Map<'m> {
    grid: [usize; 2],
    values: Cow<'m, [f32]>,
}

impl<'m> Map<'m> {
    /// Makes a map of a grid of `[rows, columns]`.
    ///
    /// # Panics
    /// If the grid is empty or has another number of positions than there are values.
    pub fn new(grid: [usize; 2], values: impl Into<Cow<'m, [f32]>>) -> Map<'m> {
        let values = values.into();
        assert!(
            !values.is_empty() && values.len() == grid[0] * grid[1],
            "{} values for {grid:?}",
            values.len()
        );
        Map { grid, values }
    }

    /// Rows and columns.
    pub fn grid(&self) -> [usize; 2] {
        self.grid
    }

    /// The value at a position.
    ///
    /// # Panics
    /// If the position is outside the grid.
    pub fn get(&self, row: usize, column: usize) -> f32 {
        assert!(row < self.grid[0] && column < self.grid[1], "[{row}, {column}] is outside {:?}", self.grid);
        self.values[row * self.grid[1] + column]
    }

    /// All values, row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All values, row by row.
    pub fn iter(&self) -> std::slice::Iter<'_, f32> {
        self.values.iter()
    }

    /// Row and column of the largest value; of equal ones, the first.
    pub fn max_position(&self) -> [usize; 2] {
        self.first(|value, best| value > best)
    }

    /// Row and column of the smallest value; of equal ones, the first.
    pub fn min_position(&self) -> [usize; 2] {
        self.first(|value, best| value < best)
    }

    /// The largest value.
    pub fn max(&self) -> f32 {
        let [row, column] = self.max_position();
        self.get(row, column)
    }

    /// The smallest value.
    pub fn min(&self) -> f32 {
        let [row, column] = self.min_position();
        self.get(row, column)
    }

    fn first(&self, is_better: impl Fn(f32, f32) -> bool) -> [usize; 2] {
        let values = &self.values;
        let best =
            (0..values.len()).fold(0, |best, i| if is_better(values[i], values[best]) { i } else { best });
        [best / self.grid[1], best % self.grid[1]]
    }
}

impl<'a> IntoIterator for &'a Map<'_> {
    type Item = &'a f32;
    type IntoIter = std::slice::Iter<'a, f32>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl OcclusionMaps {
    /// The map of the `k`-th requested class: `score(unoccluded) - score(occluded)` at each
    /// position. With [`inverse`](crate::OcclusionSensitivity::inverse) it is `score(only the mask shows the
    /// image) - score(completely covered)`. Both are positive where the image holds evidence for the class.
    ///
    /// # Panics
    /// If `k` is not below the number of classes.
    pub fn map(&self, k: usize) -> Map<'static> {
        let count = self.grid[0] * self.grid[1];
        let scores = self.scores[k * count..(k + 1) * count].iter();
        let values = match self.covered_scores.get(k) {
            Some(covered) => scores.map(|score| score - covered).collect(),
            None => scores.map(|score| self.base_scores[k] - score).collect::<Vec<_>>(),
        };
        Map::new(self.grid, values)
    }

    /// The map of the `f`-th requested feature: `total(unoccluded) - total(occluded)` at each
    /// position.
    ///
    /// # Panics
    /// If `f` is not below the number of features.
    pub fn feature_map(&self, f: usize) -> Map<'static> {
        let FeatureMap { base_total, totals, .. } = &self.features[f];
        Map::new(self.grid, Vec::from_iter(totals.iter().map(|total| base_total - total)))
    }

    /// The map of the `k`-th requested class at the pixels of its [`area`](Self::area),
    /// `[height][width]`: 224x224 without a region. Between mask centres it is interpolated, beyond
    /// the outermost ones it is constant ([`Lattice`]). Or the grid itself, `[ny][nx]`, for
    /// [`Upsampling::None`].
    ///
    /// MATLAB stretches the grid over the picture instead, as
    /// [`upsample`](crate::image::resize::upsample) does.
    ///
    /// # Panics
    /// If `k` is not below the number of classes.
    pub fn upsampled(&self, k: usize, upsampling: Upsampling) -> Vec<f32> {
        let map = self.map(k);
        if let (Some(segments), true) = (&self.segments, upsampling != Upsampling::None) {
            return segments.spread(map.values());
        }
        let lattice = self.lattice(Placement::Centres);
        let Rect { y0, x0, y1, x1 } = lattice.area();
        match upsampling {
            Upsampling::None => map.values().to_vec(),
            _ => lattice.values(map.values(), &middles(y0, y1), &middles(x0, x1), upsampling),
        }
    }

    /// The part of the image that the grid represents: all of it without a region, otherwise the
    /// pixels that are nearer to a mask centre of the region than to any other of the whole grid.
    pub fn area(&self) -> Rect {
        self.lattice(Placement::Centres).area()
    }

    /// The places of the grid's values on the image; with segments, those of the values of
    /// [`at_pixels`](Self::at_pixels).
    pub fn lattice(&self, placement: Placement) -> Lattice {
        match self.segments {
            Some(_) => Lattice::cells([INPUT_SIDE; 2], Rect::plane(INPUT_SIDE)),
            None => self.positions().lattice(self.first, self.grid, placement),
        }
    }

    /// One value for each position as the values of the [`lattice`](Self::lattice): as they are, or, with
    /// segments, one for each pixel, `[224][224]`, and the default where there is no segment.
    pub fn at_pixels<T: Copy + Default>(&self, values: &[T]) -> Vec<T> {
        self.segments.as_ref().map_or_else(|| values.to_vec(), |segments| segments.spread(values))
    }

    /// The drops of the `k`-th requested class spread over the pixels, `[224][224]`: each pixel
    /// gets the mean drop of all masks that cover it, and 0 if none does. Captum's `Occlusion`,
    /// whose windows are those of [`mask_clipping`](crate::OcclusionSensitivity::mask_clipping) off
    /// where the stride divides 224 minus the mask's size.
    ///
    /// # Panics
    /// If `k` is not below the number of classes.
    pub fn attributions(&self, k: usize) -> Vec<f32> {
        if let Some(segments) = &self.segments {
            return segments.spread(self.map(k).values());
        }
        let mut sums = vec![(0.0f64, 0u32); INPUT_SIDE * INPUT_SIDE];
        for (i, &drop) in self.map(k).iter().enumerate() {
            let rect = self.mask_rect(i / self.grid[1], i % self.grid[1]);
            for y in rect.y0..rect.y1 {
                for (sum, count) in &mut sums[y * INPUT_SIDE..][rect.x0..rect.x1] {
                    *sum += f64::from(drop);
                    *count += 1;
                }
            }
        }
        sums.into_iter().map(|(sum, count)| (sum / f64::from(count.max(1))) as f32).collect()
    }

    /// Row and column of the pixel that the mask at a grid position is centred on: `floor(size /
    /// 2)` from its first row and column, clipped or not. Of a segment, the same in its rectangle.
    pub fn centre(&self, row: usize, column: usize) -> [usize; 2] {
        if let Some(segments) = &self.segments {
            let Rect { y0, x0, y1, x1 } = segments.bounds(column);
            return [y0 + (y1 - y0) / 2, x0 + (x1 - x0) / 2];
        }
        let at = [row, column];
        std::array::from_fn(|axis| self.positions().centre(axis, self.first[axis] + at[axis]))
    }

    /// The rectangle of the mask at a grid position, or of the segment.
    pub fn mask_rect(&self, row: usize, column: usize) -> Rect {
        if let Some(segments) = &self.segments {
            return segments.bounds(column);
        }
        Rect::centred(self.centre(row, column), self.mask_size, INPUT_SIDE)
    }

    fn positions(&self) -> Grid {
        Grid { mask_size: self.mask_size, stride: self.stride, clipping: self.mask_clipping }
    }

    pub(super) fn record(&mut self, position: usize, result: &Classification, totals: &[f32]) {
        let count = self.grid[0] * self.grid[1];
        for (k, target) in self.targets.iter().enumerate() {
            self.scores[k * count + position] = target.of(result);
        }
        let best = result.best();
        self.argmax[position] = best;
        self.argmax_scores[position] = self.score.outputs(result)[best];
        for (feature, &total) in self.features.iter_mut().zip(totals) {
            feature.totals[position] = total;
        }
    }

    /// A copy in which each position has the values of the nearest one among every `step`-th row
    /// and column.
    pub(super) fn with_neighbours(&self, step: usize) -> OcclusionMaps {
        let [ny, nx] = self.grid;
        let nearest = |at: usize, n: usize| ((at + step / 2) / step).min((n - 1) / step) * step;
        let from = |i: usize| nearest(i / nx, ny) * nx + nearest(i % nx, nx);
        let count = ny * nx;
        let spread =
            |values: &[f32]| (0..values.len()).map(|i| values[i / count * count + from(i % count)]).collect();
        let mut maps = self.clone();
        maps.scores = spread(&self.scores);
        maps.argmax = (0..count).map(|i| self.argmax[from(i)]).collect();
        maps.argmax_scores = spread(&self.argmax_scores);
        for feature in &mut maps.features {
            feature.totals = spread(&feature.totals);
        }
        maps
    }
}

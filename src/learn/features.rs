//! Features of several images, and the two products of matrices that training needs.

use crate::error::{Error, Result};
use crate::memory;
use crate::parallel;

/// Rows that go through a product together, so that a loaded weight serves all of them.
const ROWS: usize = 4;
/// Columns of an accumulator tile: classes of a product of scores, features of a gradient.
const LANES: usize = 4;
/// Rows of which a gradient sums a block of features while they are in the first-level cache, in f64.
const CHUNK: usize = 16;
/// Features that one task sums in a gradient: long pieces of each row, so that the next lines are
/// fetched ahead.
const BLOCK: usize = 128;

/// The [features](crate::GoogLeNet::features) of images: a matrix with a row for each image,
/// `[count][width]`.
///
/// ```
/// use occlude::learn::Features;
///
/// let mut features = Features::new(3)?;
/// features.push(&[0.5, 0.0, 2.0])?;
/// assert_eq!((features.count(), features.width()), (1, 3));
/// assert_eq!(features.row(0), [0.5, 0.0, 2.0]);
/// # Ok::<(), occlude::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    width: usize,
    values: Vec<f32>,
}

impl Features {
    /// An empty matrix with rows of `width` numbers.
    ///
    /// # Errors
    /// [`Error::Option`] if `width` is 0.
    pub fn new(width: usize) -> Result<Features> {
        if width == 0 {
            return Err(Error::option("number of features", width, "at least 1"));
        }
        Ok(Features { width, values: Vec::new() })
    }

    /// Adds the features of an image.
    ///
    /// # Errors
    /// [`Error::Option`] if their number is not [`width`](Self::width), or if one is infinite or NaN;
    /// [`Error::Memory`].
    pub fn push(&mut self, row: &[f32]) -> Result<()> {
        if row.len() != self.width {
            return Err(Error::option("number of features", row.len(), self.width.to_string()));
        }
        if let Some(value) = row.iter().find(|value| !value.is_finite()) {
            return Err(Error::option("feature", value, "a finite number"));
        }
        if self.values.try_reserve(self.width).is_err() {
            return Err(memory::lacking("the features", 4 * (self.values.len() + self.width)));
        }
        self.values.extend(row);
        Ok(())
    }

    /// Number of images.
    pub fn count(&self) -> usize {
        self.values.len() / self.width
    }

    /// Number of features of an image.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The features of an image.
    ///
    /// # Panics
    /// If there are not so many images.
    pub fn row(&self, image: usize) -> &[f32] {
        &self.values[image * self.width..][..self.width]
    }

    /// The mean of each feature over some rows.
    pub(super) fn mean(&self, rows: &[usize]) -> Vec<f64> {
        let mut mean = vec![0.0; self.width];
        for &row in rows {
            mean.iter_mut().zip(self.row(row)).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        mean.iter_mut().for_each(|sum| *sum /= rows.len() as f64);
        mean
    }

    /// Multiplies some rows by weights `[classes][width]`: for each row, a score for each class,
    /// `[rows][classes]`. Each score is one sum in the order of the features.
    pub(super) fn scores(&self, rows: &[usize], weights: &[f64]) -> Vec<f64> {
        let (width, classes) = (self.width, weights.len() / self.width);
        let packed = packed(classes, width, |class, feature| weights[class * width + feature]);
        let mut scores = vec![0.0; rows.len() * classes];
        // A few dozen rows for each task, and whole groups of rows.
        parallel::map_chunks(&mut scores, 8 * ROWS * classes, |task, scores| {
            for (group, scores) in scores.chunks_mut(ROWS * classes).enumerate() {
                let first = (8 * task + group) * ROWS;
                // The last group repeats its last row.
                let inputs: [&[f32]; ROWS] =
                    std::array::from_fn(|i| self.row(rows[(first + i).min(rows.len() - 1)]));
                for (block, weights) in packed.chunks_exact(width).enumerate() {
                    let sums = dot(inputs, weights);
                    for (scores, sums) in scores.chunks_exact_mut(classes).zip(sums) {
                        let scores = &mut scores[block * LANES..];
                        let lanes = scores.len().min(LANES);
                        scores[..lanes].copy_from_slice(&sums[..lanes]);
                    }
                }
            }
        });
        scores
    }

    /// Multiplies factors `[rows][classes]` by the features of some rows, `[classes][width]`: each
    /// value is one sum in the order of the rows.
    pub(super) fn weighted(&self, rows: &[usize], factors: &[f64], classes: usize) -> Vec<f64> {
        let groups = classes.div_ceil(LANES);
        let packed = packed(classes, rows.len(), |class, row| factors[row * classes + class]);
        let blocks = self.width.div_ceil(BLOCK);
        let sums = parallel::map(blocks, |block| {
            let first = block * BLOCK;
            let width = BLOCK.min(self.width - first);
            let mut sums = vec![[[[0.0; LANES]; LANES]; BLOCK / LANES]; groups];
            let mut values = [[[0.0; LANES]; BLOCK / LANES]; CHUNK];
            for (chunk, rows_here) in rows.chunks(CHUNK).enumerate() {
                for (values, &row) in values.iter_mut().zip(rows_here) {
                    let row = &self.row(row)[first..first + width];
                    values
                        .as_flattened_mut()
                        .iter_mut()
                        .zip(row)
                        .for_each(|(to, &value)| *to = f64::from(value));
                }
                for (group, sums) in sums.iter_mut().enumerate() {
                    let factors = &packed[group * rows.len() + chunk * CHUNK..][..rows_here.len()];
                    for (tile, sums) in sums.iter_mut().enumerate() {
                        add_outer(&values, factors, tile, sums);
                    }
                }
            }
            sums
        });
        let mut weighted = vec![0.0; classes * self.width];
        for (class, weighted) in weighted.chunks_exact_mut(self.width).enumerate() {
            for (feature, value) in weighted.iter_mut().enumerate() {
                let tiles = &sums[feature / BLOCK][class / LANES];
                *value = tiles[feature % BLOCK / LANES][class % LANES][feature % LANES];
            }
        }
        weighted
    }
}

/// Packs `count` values of each class, `[class / LANES][count][class % LANES]`, so that a load has those
/// of several classes.
fn packed(classes: usize, count: usize, value: impl Fn(usize, usize) -> f64) -> Vec<[f64; LANES]> {
    let mut packed = vec![[0.0; LANES]; classes.div_ceil(LANES) * count];
    for class in 0..classes {
        for (i, lanes) in packed[class / LANES * count..][..count].iter_mut().enumerate() {
            lanes[class % LANES] = value(class, i);
        }
    }
    packed
}

/// Adds the products of the rows' factors and of their features in one tile of a block.
fn add_outer(
    values: &[[[f64; LANES]; BLOCK / LANES]; CHUNK],
    factors: &[[f64; LANES]],
    tile: usize,
    sums: &mut [[f64; LANES]; LANES],
) {
    let mut inside = *sums;
    for (values, factors) in values.iter().zip(factors) {
        let values = &values[tile];
        for (sums, factor) in inside.iter_mut().zip(factors) {
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += factor * value;
            }
        }
    }
    *sums = inside;
}

/// The products of rows and of packed weights of several classes.
fn dot(rows: [&[f32]; ROWS], weights: &[[f64; LANES]]) -> [[f64; LANES]; ROWS] {
    let rows = rows.map(|row| &row[..weights.len()]);
    let mut sums = [[0.0; LANES]; ROWS];
    for (feature, weights) in weights.iter().enumerate() {
        for (sums, row) in sums.iter_mut().zip(rows) {
            let value = f64::from(row[feature]);
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum += value * weight;
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Both products have the bits of plain loops, for shapes that fill no tile.
        #[test]
        fn the_products_are_plain_sums(
            width in 1usize..150,
            count in 1usize..90,
            classes in 1usize..11,
            seed in any::<u64>(),
        ) {
            let mut random = crate::weights::splitmix64(seed).map(|bits| (bits >> 40) as f32 / 1e5 - 80.0);
            let mut next = || random.next().unwrap();
            let mut features = Features::new(width).unwrap();
            (0..count + 2).for_each(|_| {
                let row: Vec<f32> = (0..width).map(|_| next()).collect();
                features.push(&row).unwrap();
            });
            let rows: Vec<usize> = (0..count).map(|i| (i * 7 + 1) % (count + 2)).collect();
            let weights: Vec<f64> = (0..classes * width).map(|_| f64::from(next())).collect();
            let scores = features.scores(&rows, &weights);
            for (i, &row) in rows.iter().enumerate() {
                for class in 0..classes {
                    let plain = (0..width).fold(0.0, |sum, feature| {
                        sum + f64::from(features.row(row)[feature]) * weights[class * width + feature]
                    });
                    prop_assert_eq!(scores[i * classes + class].to_bits(), plain.to_bits());
                }
            }
            let factors: Vec<f64> = (0..count * classes).map(|_| f64::from(next())).collect();
            let weighted = features.weighted(&rows, &factors, classes);
            for class in 0..classes {
                for feature in 0..width {
                    let plain = rows.iter().enumerate().fold(0.0, |sum, (i, &row)| {
                        sum + factors[i * classes + class] * f64::from(features.row(row)[feature])
                    });
                    prop_assert_eq!(weighted[class * width + feature].to_bits(), plain.to_bits());
                }
            }
        }
    }

    #[test]
    fn rows_of_other_lengths_and_no_numbers_are_refused() {
        let mut features = Features::new(2).unwrap();
        for (row, message) in [
            (&[1.0][..], "number of features 1 is not possible: expected 2"),
            (&[1.0, f32::NAN], "feature NaN is not possible: expected a finite number"),
        ] {
            assert_eq!(features.push(row).unwrap_err().to_string(), message);
        }
        assert_eq!(features.count(), 0);
        assert!(Features::new(0).is_err());
    }
}

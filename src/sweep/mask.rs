//! Masks: the pixels that are covered, with the values that they take (`docs/05-occlusion-map.md`). `coverage`
//! says which pixels and how far, `fill` has the values.
//!
//! This module changes images only. The sweep (`src/sweep/mod.rs`) says where masks go.

use std::fmt;
use std::ops::Range;

use super::coverage::Coverage;
use super::fill::{self, MaskValue};
use super::inpaint::inpaint;
use crate::Input;
use crate::forward::{IMAGE_PADDING, PADDED_SIDE};
use crate::kernels::AlignedBuf;
use crate::network::geometry::Rect;
use crate::network::{INPUT_SIDE, Network};

/// A colour channel of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Channel {
    /// Red.
    Red,
    /// Green.
    Green,
    /// Blue.
    Blue,
}

impl Channel {
    /// Its place in a pixel of an [`Input`].
    fn index(self) -> usize {
        match self {
            Channel::Blue => 0,
            Channel::Green => 1,
            Channel::Red => 2,
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Channel::Red => "red",
            Channel::Green => "green",
            Channel::Blue => "blue",
        })
    }
}

/// Makes masks of one image: covers its pixels with a fill.
pub(crate) struct Masks<'a> {
    image: &'a Input,
    fill: MaskValue,
    /// The completely covered image, `[224][224][3]`.
    covered: Vec<f32>,
    channel: Option<Channel>,
    /// The difference of an [`Input`] from the network's first blob.
    shift: [f32; 3],
}

impl<'a> Masks<'a> {
    /// `picture` is that of [`MaskValue::Picture`].
    pub(crate) fn new(
        network: &Network,
        image: &'a Input,
        fill: MaskValue,
        picture: Option<&Input>,
        channel: Option<Channel>,
    ) -> Masks<'a> {
        let covered = picture.map_or_else(|| fill.values(image), |picture| picture.values().to_vec());
        Masks { image, fill, covered, channel, shift: network.input_shift() }
    }

    /// The completely covered image in the form of the network's first blob, padded.
    pub(crate) fn cover(&self, network: &Network) -> AlignedBuf {
        fill::padded(network, &self.covered)
    }

    pub(crate) fn mask(&self, coverage: &Coverage) -> Mask {
        let width = coverage.bounds.width();
        let mut mask = Mask { spans: Vec::new(), bounds: coverage.bounds, values: None };
        for (y, row) in (coverage.bounds.y0..).zip(coverage.weights.chunks_exact(width)) {
            mask.spans.extend(runs(row, |weight| *weight > 0.0, coverage.bounds.x0).map(|run| (y, run)));
        }
        let is_copied = coverage.weights.iter().all(|weight| *weight == 0.0 || *weight == 1.0);
        if !is_copied || self.fill.is_local() || self.channel.is_some() {
            let patch = self.patch(coverage).into_iter().zip(self.shift.iter().cycle());
            mask.values = Some(patch.map(|(value, shift)| value + shift).collect());
        }
        mask
    }

    /// The image with a mask, `[224][224][3]`.
    pub(crate) fn masked(&self, coverage: &Coverage) -> Vec<f32> {
        let mut image = self.image.values().to_vec();
        let row = coverage.bounds.width() * 3;
        for (y, values) in (coverage.bounds.y0..).zip(self.patch(coverage).chunks_exact(row)) {
            image[(y * INPUT_SIDE + coverage.bounds.x0) * 3..][..row].copy_from_slice(values);
        }
        image
    }

    /// The pixels of a coverage's rectangle as they are with the mask, `[height][width][3]`.
    fn patch(&self, coverage: &Coverage) -> Vec<f32> {
        let image = self.image.values();
        let own = match self.fill {
            MaskValue::Patch => Some(patch_mean(image, coverage).repeat(coverage.weights.len())),
            MaskValue::Inpaint => Some(inpaint(image, coverage)),
            _ => None,
        };
        let mut patch = Vec::with_capacity(coverage.weights.len() * 3);
        for (i, ((y, x), &weight)) in coverage.bounds.pixels().zip(&coverage.weights).enumerate() {
            let at = (y * INPUT_SIDE + x) * 3;
            for c in 0..3 {
                let (value, fill) =
                    (image[at + c], own.as_ref().map_or(self.covered[at + c], |own| own[i * 3 + c]));
                let is_kept = self.channel.is_some_and(|channel| channel.index() != c);
                patch.push(if is_kept || weight == 0.0 {
                    value
                } else if weight == 1.0 {
                    fill
                } else {
                    let (value, fill) = (f64::from(value), f64::from(fill));
                    (value + (fill - value) * f64::from(weight)) as f32
                });
            }
        }
        patch
    }
}

/// The mean of each channel over covered pixels, each of which counts as far as it is covered; 0 if there
/// are none.
fn patch_mean(image: &[f32], coverage: &Coverage) -> [f32; 3] {
    let (mut sums, mut total) = ([0.0; 3], 0.0);
    for ((y, x), &weight) in coverage.bounds.pixels().zip(&coverage.weights) {
        let at = (y * INPUT_SIDE + x) * 3;
        (0..3).for_each(|c| sums[c] += f64::from(image[at + c]) * f64::from(weight));
        total += f64::from(weight);
    }
    sums.map(|sum| if total > 0.0 { (sum / total) as f32 } else { 0.0 })
}

/// The covered pixels of the image: runs within rows, ascending.
pub(crate) struct Mask {
    spans: Vec<(usize, Range<usize>)>,
    /// A rectangle that holds them.
    pub(crate) bounds: Rect,
    /// The values of all pixels of `bounds` in the form of the first blob, `[height][width][3]`. Without
    /// them, covered pixels have those of a completely covered image.
    values: Option<Vec<f32>>,
}

impl Mask {
    pub(crate) fn rectangle(rect: Rect) -> Mask {
        let spans = (rect.y0..rect.y1).map(|y| (y, rect.x0..rect.x1)).collect();
        Mask { spans, bounds: rect, values: None }
    }

    /// The pixels for which `covered`, `[224][224]`, is true.
    pub(crate) fn pixels(covered: &[bool]) -> Mask {
        let mut mask = Mask { spans: Vec::new(), bounds: Rect::default(), values: None };
        for (y, row) in covered.chunks_exact(INPUT_SIDE).enumerate() {
            for run in runs(row, |covered| *covered, 0) {
                mask.bounds = mask.bounds.union(&Rect { y0: y, x0: run.start, y1: y + 1, x1: run.end });
                mask.spans.push((y, run));
            }
        }
        mask
    }

    /// The pixels of some rectangles.
    pub(crate) fn rectangles<'t>(rects: impl IntoIterator<Item = &'t Rect>) -> Mask {
        Mask::pixels(&pixels(rects))
    }

    /// Covers the pixels of a padded image, with the values of the padded image `cover` unless the mask has
    /// its own.
    pub(crate) fn cover(&self, cover: &[f32], image: &mut [f32]) {
        let Some(values) = &self.values else { return self.copy(cover, image) };
        let (Rect { y0, x0, .. }, width) = (self.bounds, self.bounds.width());
        for (y, columns) in &self.spans {
            let from = ((y - y0) * width + columns.start - x0) * 3..((y - y0) * width + columns.end - x0) * 3;
            let start = padded(*y, columns.start);
            image[start..start + from.len()].copy_from_slice(&values[from]);
        }
    }

    /// Copies the masked pixels of one padded image into another.
    pub(crate) fn copy(&self, from: &[f32], to: &mut [f32]) {
        for (y, columns) in &self.spans {
            let values = padded(*y, columns.start)..padded(*y, columns.end);
            to[values.clone()].copy_from_slice(&from[values]);
        }
    }
}

/// For each pixel of the image, `[224][224]`, true if it lies in one of the rectangles.
pub(crate) fn pixels<'t>(rects: impl IntoIterator<Item = &'t Rect>) -> Vec<bool> {
    let mut pixels = vec![false; INPUT_SIDE * INPUT_SIDE];
    for rect in rects {
        for y in rect.y0..rect.y1 {
            pixels[y * INPUT_SIDE..][rect.x0..rect.x1].fill(true);
        }
    }
    pixels
}

/// The runs of covered values in a row whose first value lies in column `first`.
fn runs<T>(row: &[T], is_covered: impl Fn(&T) -> bool, first: usize) -> impl Iterator<Item = Range<usize>> {
    let mut start = first;
    let mut runs = Vec::new();
    for run in row.chunk_by(|a, b| is_covered(a) == is_covered(b)) {
        let end = start + run.len();
        if is_covered(&run[0]) {
            runs.push(start..end);
        }
        start = end;
    }
    runs.into_iter()
}

/// The index of a pixel's first value in a padded image.
fn padded(y: usize, x: usize) -> usize {
    ((y + IMAGE_PADDING) * PADDED_SIDE + IMAGE_PADDING + x) * 3
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Copying a mask's pixels changes those and no others.
        #[test]
        fn masks_hold_their_pixels(
            rects in prop::collection::vec((0usize..224, 0usize..224, 1usize..90, 1usize..90), 0..4),
        ) {
            let mut wanted = vec![false; INPUT_SIDE * INPUT_SIDE];
            for (y, x, h, w) in rects {
                for y in y..(y + h).min(INPUT_SIDE) {
                    wanted[y * INPUT_SIDE..][x..(x + w).min(INPUT_SIDE)].fill(true);
                }
            }
            let mask = Mask::pixels(&wanted);
            let mut image = vec![0.0; PADDED_SIDE * PADDED_SIDE * 3];
            mask.copy(&vec![1.0; image.len()], &mut image);
            for (i, wanted) in wanted.iter().enumerate() {
                let (y, x) = (i / INPUT_SIDE, i % INPUT_SIDE);
                let at = ((y + IMAGE_PADDING) * PADDED_SIDE + x + IMAGE_PADDING) * 3;
                prop_assert_eq!(&image[at..at + 3], &[f32::from(u8::from(*wanted)); 3]);
                let Rect { y0, x0, y1, x1 } = mask.bounds;
                prop_assert!(!wanted || (y0..y1).contains(&y) && (x0..x1).contains(&x));
            }
            prop_assert_eq!(image.iter().filter(|v| **v != 0.0).count(), 3 * wanted.iter().filter(|w| **w).count());
        }
    }
}

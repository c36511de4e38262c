//! The values that covered pixels take (`docs/05-occlusion-map.md`). `mask` says which pixels are covered.

use std::fmt;

use crate::forward::exp;
use crate::forward::{PADDED_SIDE, pad_image};
use crate::image::resize::mirrored;
use crate::kernels::AlignedBuf;
use crate::network::{INPUT_SIDE, MEAN_BGR, Network};
use crate::weights::splitmix64;
use crate::{Error, Input, Result};

/// The fill of a mask; MATLAB's `MaskValue`.
///
/// ```
/// use occlude::{GoogLeNet, Input, MaskValue, OcclusionSensitivity, Weights};
///
/// let net = GoogLeNet::new(&Weights::seeded(1))?;
/// let input = Input::from_nhwc_bgr([0.0, 10.0, -23.0].repeat(224 * 224))?;
/// let sweep = OcclusionSensitivity::new(&net).stride([224, 224]);
/// // This image has one colour, which is also its mean, so that covering it changes nothing.
/// let maps = sweep.clone().mask_value(MaskValue::Auto).run(&input)?;
/// assert_eq!(maps.mask_value, MaskValue::Rgb([100.0, 127.0, 104.0]));
/// assert_eq!(maps.map(0).values(), [0.0]);
/// let maps = sweep.mask_value(MaskValue::Noise(7)).run(&input)?;
/// assert_ne!(maps.map(0).values(), [0.0]);
/// # Ok::<(), occlude::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum MaskValue {
    /// The mean of each channel over the image that is explained. The default.
    #[default]
    Auto,
    /// Per-channel ImageNet mean, [`MEAN_BGR`](crate::network::MEAN_BGR): 0 in an [`Input`].
    TrainingMean,
    /// Red, green, blue on the image's scale of 0..=255; any finite value is accepted.
    Rgb([f32; 3]),
    /// The image, blurred by a Gaussian with this standard deviation in pixels, 0.5..=100, and
    /// mirrored at its borders. A blur removes detail without adding edges, whereas a patch of one
    /// colour can itself look like an object.
    Blur(f32),
    /// Uniform noise in 0..=255 for each pixel and channel, from a generator with this seed. A
    /// pixel has the same noise in all masks.
    Noise(u64),
    /// The mean of each channel over the covered pixels themselves: it removes their structure and keeps
    /// their colour. Of a mask over the whole image, it is the image's mean.
    Patch,
    /// The image continued from the border of the mask inwards: each covered pixel is the mean of its
    /// neighbours (diffusion, the solution of Laplace's equation). A mask over the whole image has the
    /// image's mean.
    Inpaint,
    /// Another picture, that of [`mask_picture`](crate::OcclusionSensitivity::mask_picture).
    Picture,
}

impl MaskValue {
    pub(crate) fn check(self) -> Result<()> {
        let (found, expected) = match self {
            MaskValue::Rgb(rgb) if !rgb.iter().all(|v| v.is_finite()) => {
                (format!("{rgb:?}"), "finite numbers, usually 0 to 255")
            }
            MaskValue::Blur(sigma) if !(0.5..=100.0).contains(&sigma) => {
                (self.to_string(), "a standard deviation of 0.5 to 100 pixels")
            }
            _ => return Ok(()),
        };
        Err(Error::Option { name: "mask value", found, expected: expected.to_string() })
    }

    /// Checks a fill of pixels that are no single mask, or of several masks at once: it must not depend on
    /// the mask.
    pub(crate) fn check_fixed(self) -> Result<()> {
        if self.is_local() || self == MaskValue::Picture {
            let expected = "a fill that is the same for all masks: auto, mean, a colour, blur or noise";
            return Err(Error::option("mask value", self, expected));
        }
        self.check()
    }

    /// True if the fill depends on the pixels that are covered.
    pub(super) fn is_local(self) -> bool {
        matches!(self, MaskValue::Patch | MaskValue::Inpaint)
    }

    /// Replaces the two means by the colours that they are.
    pub(crate) fn resolve(self, input: &Input) -> MaskValue {
        match self {
            MaskValue::Auto => MaskValue::Rgb(mean_rgb(input)),
            MaskValue::TrainingMean => MaskValue::Rgb(std::array::from_fn(|c| MEAN_BGR[2 - c])),
            value => value,
        }
    }

    /// The image when all of it is covered.
    ///
    /// # Errors
    /// [`Error::Option`] for a colour that is not finite, for a blur outside its range, and for
    /// [`MaskValue::Picture`], whose picture is not known here.
    pub fn covered(self, input: &Input) -> Result<Input> {
        if self == MaskValue::Picture {
            self.check_fixed()?;
        }
        self.check()?;
        Input::from_nhwc_bgr(self.values(input))
    }

    /// The completely covered image in the form of the network's first blob, padded.
    pub(crate) fn cover(self, network: &Network, input: &Input) -> AlignedBuf {
        padded(network, &self.values(input))
    }

    /// The completely covered image, `[224][224][3]`, blue first, minus the mean.
    pub(super) fn values(self, input: &Input) -> Vec<f32> {
        match self.resolve(input) {
            MaskValue::Rgb(rgb) => {
                let pixel: [f32; 3] = std::array::from_fn(|c| rgb[2 - c] - MEAN_BGR[c]);
                pixel.repeat(INPUT_SIDE * INPUT_SIDE)
            }
            MaskValue::Patch | MaskValue::Inpaint => MaskValue::Auto.values(input),
            MaskValue::Blur(sigma) => blur(input.values(), f64::from(sigma)),
            MaskValue::Noise(seed) => splitmix64(seed)
                .take(INPUT_SIDE * INPUT_SIDE * 3)
                .zip(MEAN_BGR.iter().cycle())
                // 24 bits are exact in f32.
                .map(|(bits, mean)| (bits >> 40) as f32 * (255.0 / (1 << 24) as f32) - mean)
                .collect(),
            MaskValue::Auto | MaskValue::TrainingMean => unreachable!("resolve makes colours of them"),
            MaskValue::Picture => unreachable!("the sweep has the picture"),
        }
    }
}

/// An image `[224][224][3]` in the form of the network's first blob, padded.
pub(super) fn padded(network: &Network, image: &[f32]) -> AlignedBuf {
    let mut padded = AlignedBuf::zeros(PADDED_SIDE * PADDED_SIDE * 3);
    pad_image(network, image, &mut padded);
    padded
}

impl fmt::Display for MaskValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MaskValue::Auto => f.write_str("auto"),
            MaskValue::TrainingMean => f.write_str("mean"),
            MaskValue::Rgb([red, green, blue]) => write!(f, "{red},{green},{blue}"),
            MaskValue::Blur(sigma) => write!(f, "blur:{sigma}"),
            MaskValue::Noise(seed) => write!(f, "noise:{seed}"),
            MaskValue::Patch => f.write_str("patch"),
            MaskValue::Inpaint => f.write_str("inpaint"),
            MaskValue::Picture => f.write_str("picture"),
        }
    }
}

/// The mean of each channel over the image: red, green, blue, 0..=255.
fn mean_rgb(input: &Input) -> [f32; 3] {
    std::array::from_fn(|c| {
        let channel = 2 - c;
        let sum: f64 = input.values().iter().skip(channel).step_by(3).map(|&v| f64::from(v)).sum();
        (sum / (INPUT_SIDE * INPUT_SIDE) as f64 + f64::from(MEAN_BGR[channel])) as f32
    })
}

/// Gaussian blur, one pass along each axis in f64; four standard deviations each way, mirrored at
/// the borders.
fn blur(values: &[f32], sigma: f64) -> Vec<f32> {
    let radius = (4.0 * sigma).ceil() as i64;
    let weights: Vec<f64> =
        (-radius..=radius).map(|d| exp(-0.5 * (d * d) as f64 / (sigma * sigma))).collect();
    let sum: f64 = weights.iter().sum();
    // For each row or column, the rows or columns that its mean is taken over.
    let around = |at: i64| (at - radius..=at + radius).map(|at| mirrored(at, INPUT_SIDE)).collect();
    let neighbours: Vec<Vec<usize>> = (0..INPUT_SIDE as i64).map(around).collect();
    let row = INPUT_SIDE * 3;
    let mut wide = vec![0.0; values.len()];
    for (i, mean) in wide.iter_mut().enumerate() {
        let first = i / row * row + i % 3;
        let along = neighbours[i % row / 3].iter().zip(&weights);
        *mean = along.map(|(x, weight)| f64::from(values[first + x * 3]) * weight).sum::<f64>() / sum;
    }
    let mut both = Vec::with_capacity(values.len());
    for along in &neighbours {
        let mut sums = vec![0.0; row];
        for (y, weight) in along.iter().zip(&weights) {
            for (sum, value) in sums.iter_mut().zip(&wide[y * row..]) {
                *sum += value * weight;
            }
        }
        both.extend(sums.iter().map(|weighted| (weighted / sum) as f32));
    }
    both
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::IMAGE_PADDING;

    fn input() -> Input {
        let values = (0..INPUT_SIDE * INPUT_SIDE * 3).map(|i| (i * i % 251) as f32 - 100.0).collect();
        Input::from_nhwc_bgr(values).unwrap()
    }

    /// Without padding.
    fn covered(value: MaskValue) -> Vec<f32> {
        let padded = value.cover(&Network::googlenet(), &input());
        let rows = padded.chunks_exact(PADDED_SIDE * 3).skip(IMAGE_PADDING).take(INPUT_SIDE);
        rows.flat_map(|row| row[IMAGE_PADDING * 3..][..INPUT_SIDE * 3].to_vec()).collect()
    }

    #[test]
    fn colours_are_blue_first_without_the_mean() {
        assert_eq!(covered(MaskValue::Rgb([10.0, 200.0, 90.5]))[300..303], [-13.5, 83.0, -113.0]);
        assert!(covered(MaskValue::TrainingMean).iter().all(|v| *v == 0.0));
        let mean = covered(MaskValue::Auto);
        let green: f64 = input().values().iter().skip(1).step_by(3).map(|v| f64::from(*v)).sum();
        assert!((f64::from(mean[1]) - green / (224.0 * 224.0)).abs() < 1e-4);
    }

    /// Against the definition in two dimensions at some pixels, corners among them.
    #[test]
    fn blur_is_gaussian() {
        let input = input();
        let value = |y: i64, x: i64, c: usize| {
            let fold = |at: i64| {
                if at < 0 {
                    -1 - at
                } else if at >= 224 {
                    447 - at
                } else {
                    at
                }
            };
            f64::from(input.values()[((fold(y) * 224 + fold(x)) * 3) as usize + c])
        };
        let blurred = covered(MaskValue::Blur(2.5));
        for (y, x, c) in [(0, 0, 0), (3, 223, 1), (120, 77, 2), (223, 100, 0)] {
            let (mut sum, mut weights) = (0.0, 0.0);
            for dy in -10i64..=10 {
                for dx in -10i64..=10 {
                    let weight = (-((dy * dy + dx * dx) as f64) / 12.5).exp();
                    sum += weight * value(y + dy, x + dx, c);
                    weights += weight;
                }
            }
            let found = blurred[((y * 224 + x) * 3) as usize + c];
            assert!((f64::from(found) - sum / weights).abs() < 1e-5, "{y} {x}: {found}, {}", sum / weights);
        }
        // Wider than the image.
        assert!(covered(MaskValue::Blur(100.0)).iter().all(|v| v.is_finite()));
    }

    #[test]
    fn noise_covers_all_levels_alike_and_follows_its_seed() {
        let noise = covered(MaskValue::Noise(1));
        assert_eq!(noise, covered(MaskValue::Noise(1)));
        assert_ne!(noise, covered(MaskValue::Noise(2)));
        let mut counts = [0; 8];
        for (value, mean) in noise.iter().zip(MEAN_BGR.iter().cycle()) {
            let level = value + mean;
            assert!((-0.001..=255.001).contains(&level), "{level}");
            counts[(level / 32.0).clamp(0.0, 7.0) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (18_000..19_600).contains(count)), "{counts:?}");
    }
}

//! Grad-CAM: a map of the cells of the last convolutions' output that raise a class's probability,
//! by the gradient there.
//!
//! The method is that of Selvaraju et al., "Grad-CAM: visual explanations from deep networks via
//! gradient-based localization" (2017), for the probability after softmax, at the last
//! convolutions' output. With `A` that blob, `[7][7][1024]`, and `p` the probabilities, the map of
//! class `c` is
//!
//! ```text
//! alpha_k   = mean over y, x of dp_c / dA_k(y, x)
//! map(y, x) = max(0, sum over k of alpha_k A_k(y, x))
//! ```
//!
//! Behind this blob the network is only a mean and a fully connected layer, `l = W mean(A) + b`, `p
//! = softmax(l)`, so the gradient needs no backward pass: it is the same at every pixel,
//!
//! ```text
//! dp_c / dA_k(y, x) = alpha_k = p_c / 49 * sum over j of p_j (W_ck - W_jk)
//! ```
//!
//! (`docs/09-grad-cam.md` derives it). Everything is evaluated in f64 by additions and
//! multiplications alone, each sum in the order of its index, and rounded once to f32, so that the
//! bits are the same on every machine and for any number of threads.
//!
//! This module reads the activations of a forward pass and the classifier's weights. It runs no
//! layer.

use crate::forward::softmax_f64;
use crate::parallel;
use crate::sweep::{Map, check_classes};
use crate::{Activations, GoogLeNet, Result};

/// A Grad-CAM for each class; see [`GoogLeNet::grad_cam`].
///
/// ```
/// use occlude::{GoogLeNet, Input, Weights};
///
/// let net = GoogLeNet::new(&Weights::seeded(1))?;
/// let values = (0..224 * 224 * 3).map(|i| (i % 241) as f32 - 110.0).collect();
/// let activations = net.forward(&Input::from_nhwc_bgr(values)?);
/// let top = activations.classification().top(2);
/// let maps = net.grad_cam(&activations, &top)?;
/// assert_eq!((maps.layer.as_str(), maps.grid), ("inception_5b/output", [7, 7]));
/// assert!(maps.map(1).iter().all(|&value| value >= 0.0));
/// # Ok::<(), occlude::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GradCam {
    /// The blob whose gradient was taken, the last one with a plane: 7x7 pixels of 1024 channels,
    /// `inception_5b/output` or torchvision's `inception5b`.
    pub layer: String,
    /// Rows and columns of a map: `[7, 7]`, as in the blob. A cell stands for a 32x32 block of the
    /// image.
    pub grid: [usize; 2],
    /// The requested classes, in that order.
    pub classes: Vec<usize>,
    /// `[class][7][7]`, not negative: the first-order effect of a cell's channels on the class's
    /// probability. A cell that lowers the probability has 0.
    pub maps: Vec<f32>,
}

impl GradCam {
    /// The map of the `k`-th requested class.
    ///
    /// # Panics
    /// If `k` is not below the number of classes.
    pub fn map(&self, k: usize) -> Map<'_> {
        let cells = self.grid[0] * self.grid[1];
        Map::new(self.grid, &self.maps[k * cells..(k + 1) * cells])
    }
}

impl GoogLeNet {
    /// The Grad-CAM of each of `classes`, from the activations of [`forward`](GoogLeNet::forward).
    /// Each class costs as much as the classifier; classes run in parallel on the current rayon
    /// pool. The activations must be this network's own: those of another network are not detected
    /// and give a meaningless map.
    ///
    /// # Errors
    /// [`Error::Option`](crate::Error::Option) for a class that the network does not have.
    pub fn grad_cam(&self, activations: &Activations, classes: &[usize]) -> Result<GradCam> {
        check_classes(classes, &self.network)?;
        let blob = self.network.last_plane();
        let plane = activations.plane(blob);
        let classifier = self.weights(self.network.layers.len() - 1);
        // Unpacked once, because every class reads all rows.
        let rows: Vec<Vec<f32>> =
            (0..self.network.classes()).map(|output| classifier.weights_of(output).collect()).collect();
        let logits = activations.classification().logits;
        let probabilities = softmax_f64(&logits.into_iter().map(f64::from).collect::<Vec<_>>());

        let pixels: Vec<&[f32]> =
            (0..plane.height).flat_map(|y| (0..plane.width).map(move |x| plane.at(y, x))).collect();
        let map = |k: usize| -> Vec<f32> {
            let class = classes[k];
            let mut alpha = vec![0.0; plane.channels];
            for (row, p) in rows.iter().zip(&probabilities) {
                // Differences first: where one class has nearly all of the probability, W_ck -
                // sum_j p_j W_jk is the difference of nearly equal numbers.
                for ((alpha, &own), &other) in alpha.iter_mut().zip(&rows[class]).zip(row) {
                    *alpha += p * (f64::from(own) - f64::from(other));
                }
            }
            let scale = probabilities[class] / pixels.len() as f64;
            let value = |pixel: &&[f32]| {
                let sum = pixel.iter().zip(&alpha).fold(0.0, |sum, (&a, alpha)| sum + alpha * f64::from(a));
                // Not `max`, which may return either of two zeros.
                if sum > 0.0 { (scale * sum) as f32 } else { 0.0 }
            };
            pixels.iter().map(value).collect()
        };
        let maps = parallel::map(classes.len(), map).concat();
        let layer = self.network.blobs[blob].name.clone();
        Ok(GradCam { layer, grid: [plane.height, plane.width], classes: classes.to_vec(), maps })
    }
}

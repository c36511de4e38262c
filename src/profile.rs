//! Multiply-adds and time of each layer in a pass or a sweep (`docs/07-zeros-and-bits.md`). The
//! code that runs the layers measures them; this module adds up the costs and names them.

use std::ops::AddAssign;

use crate::network::Network;

/// The accumulated cost of a layer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// Multiply-adds of the computed pixels, including those with an activation of zero.
    pub(crate) affected: u64,
    /// Multiply-adds that were carried out.
    pub(crate) executed: u64,
    /// Time in seconds, summed over the threads.
    pub(crate) seconds: f64,
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Cost) {
        self.affected += other.affected;
        self.executed += other.executed;
        self.seconds += other.seconds;
    }
}

/// Adds up the costs of several threads, layer by layer.
pub(crate) fn sum(threads: Vec<Vec<Cost>>) -> Vec<Cost> {
    let mut threads = threads.into_iter();
    let mut total = threads.next().unwrap_or_default();
    for costs in threads {
        for (total, cost) in total.iter_mut().zip(costs) {
            *total += cost;
        }
    }
    total
}

/// The cost of one layer in a pass or a sweep. Multiply-adds are summed over all images; layers
/// without weights have none.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LayerProfile {
    /// Name of the layer in the table.
    pub name: String,
    /// Height, width and channels of the layer's output.
    pub shape: [usize; 3],
    /// Multiply-adds of a dense engine, which computes every pixel of every image.
    pub dense: u64,
    /// Multiply-adds of the pixels that have to be computed, because a value in their window
    /// differs from the unmasked image. In a single pass these are all pixels.
    pub affected: u64,
    /// Multiply-adds that were carried out. The kernels skip an input that is zero in all columns
    /// that they compute together: up to eight mask positions in a sweep, or two neighbouring
    /// pixels in a single pass.
    pub executed: u64,
    /// Time in seconds, summed over the threads that worked on the layer, without the time in which
    /// they waited for each other. The first of several layers that read the same activations bears the
    /// time to leave out their zeros.
    pub seconds: f64,
}

impl LayerProfile {
    /// Billions of floating-point operations per second and thread; a multiply-add counts as two.
    /// Infinite or NaN for a layer without measurable time.
    pub fn gflops(&self) -> f64 {
        2e-9 * self.executed as f64 / self.seconds
    }
}

/// The costs of a pass or a sweep, from [`GoogLeNet::profile`](crate::GoogLeNet::profile) or
/// [`OcclusionSensitivity::profile`](crate::OcclusionSensitivity::profile).
///
/// ```
/// use occlude::{GoogLeNet, Input, Weights};
///
/// let net = GoogLeNet::new(&Weights::seeded(1))?;
/// let profile = net.profile(&Input::from_nhwc_bgr(vec![20.0; 224 * 224 * 3])?);
/// let total = profile.total();
/// assert_eq!(total.dense, 1_582_671_872);
/// assert!(total.executed < total.dense, "multiply-adds with zero are skipped");
/// let slowest = profile.layers.iter().max_by(|a, b| a.seconds.total_cmp(&b.seconds)).unwrap();
/// println!("{}: {:.1} ms, {:.0} Gflop/s", slowest.name, 1e3 * slowest.seconds, slowest.gflops());
/// # Ok::<(), occlude::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Profile {
    /// The layers in the order in which they run.
    pub layers: Vec<LayerProfile>,
    /// Number of images: 1 for a pass, the number of mask positions for a sweep.
    pub images: usize,
    /// Elapsed time in seconds. For a sweep it includes the pass over the unmasked image.
    pub seconds: f64,
}

impl Profile {
    pub(crate) fn new(network: &Network, images: usize, seconds: f64, costs: Vec<Cost>) -> Profile {
        let layer = |(layer, cost): (&crate::network::Layer, Cost)| {
            let side = network.blobs[layer.output].side;
            LayerProfile {
                name: layer.name.clone(),
                shape: [side, side, layer.channels],
                dense: (network.multiply_adds_per_pixel(layer) * side * side * images) as u64,
                affected: cost.affected,
                executed: cost.executed,
                seconds: cost.seconds,
            }
        };
        Profile { layers: network.layers.iter().zip(costs).map(layer).collect(), images, seconds }
    }

    /// Returns the sums over all layers, named "total", with a shape of `[0, 0, 0]`.
    pub fn total(&self) -> LayerProfile {
        let sum = |f: fn(&LayerProfile) -> u64| self.layers.iter().map(f).sum();
        LayerProfile {
            name: "total".to_string(),
            shape: [0; 3],
            dense: sum(|l| l.dense),
            affected: sum(|l| l.affected),
            executed: sum(|l| l.executed),
            seconds: self.layers.iter().map(|l| l.seconds).sum(),
        }
    }
}

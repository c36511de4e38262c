//! Where the multiply-adds and the time of a pass or a sweep go, layer by layer (`docs/07-zeros-and-bits.md`). Who runs layers
//! measures; here the numbers are added up and named.

use std::ops::AddAssign;

use crate::network::Network;

/// What a layer has cost so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// Multiply-adds of the pixels that were computed, zeros included.
    pub(crate) affected: u64,
    /// Multiply-adds that were carried out.
    pub(crate) executed: u64,
    /// Time of one core.
    pub(crate) seconds: f64,
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Cost) {
        self.affected += other.affected;
        self.executed += other.executed;
        self.seconds += other.seconds;
    }
}

/// The costs of several threads together, layer by layer.
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

/// What one layer costs in a pass or a sweep. Multiply-adds are counted over all images together; layers without
/// weights have none.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LayerProfile {
    /// The layer's name in the table.
    pub name: String,
    /// Height, width and channels of what the layer writes.
    pub shape: [usize; 3],
    /// Multiply-adds that a dense engine carries out.
    pub dense: u64,
    /// Those of them for pixels whose window holds a changed value: all, in a single pass.
    pub affected: u64,
    /// Those of them that were carried out: with an activation that is not zero in the kernel's columns, which are up to eight
    /// mask positions, or two neighbouring pixels in a single pass.
    pub executed: u64,
    /// Time of one core in seconds; in a single pass, the time of the layer on all threads times their number.
    pub seconds: f64,
}

impl LayerProfile {
    /// Billions of floating-point operations a second and core that were carried out, a multiply-add being two. Not a number, or
    /// infinite, for a layer that took no measurable time.
    pub fn gflops(&self) -> f64 {
        2e-9 * self.executed as f64 / self.seconds
    }
}

/// What a pass or a sweep costs, by [`GoogLeNet::profile`](crate::GoogLeNet::profile) and
/// [`OcclusionSensitivity::profile`](crate::OcclusionSensitivity::profile).
///
/// ```
/// use occlude::{GoogLeNet, Input, Weights};
///
/// let net = GoogLeNet::new(&Weights::seeded(1))?;
/// let profile = net.profile(&Input::from_nhwc_bgr(vec![20.0; 224 * 224 * 3])?);
/// let total = profile.total();
/// assert_eq!(total.dense, 1_582_671_872);
/// assert!(total.executed < total.dense, "products with zero are left out");
/// let slowest = profile.layers.iter().max_by(|a, b| a.seconds.total_cmp(&b.seconds)).unwrap();
/// println!("{}: {:.1} ms, {:.0} Gflop/s", slowest.name, 1e3 * slowest.seconds, slowest.gflops());
/// # Ok::<(), occlude::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Profile {
    /// In the order in which they run.
    pub layers: Vec<LayerProfile>,
    /// Number of images: 1, or the mask positions.
    pub images: usize,
    /// Time from start to end in seconds; of a sweep, the unoccluded pass included.
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

    /// All layers as one, called "total", without a shape.
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

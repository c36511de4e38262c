//! A picture whose unmasked activations are kept for several sweeps.

use std::fmt;

use crate::forward::{Activations, Classification, GoogLeNet};
use crate::{Input, Result};

/// A picture with its unmasked activations in a network, about 25 MB. Sweeps with
/// [`run_prepared`](super::OcclusionSensitivity::run_prepared) share them.
///
/// ```
/// use occlude::network::geometry::Rect;
/// use occlude::{GoogLeNet, Input, OcclusionSensitivity, Prepared, Weights};
///
/// let net = GoogLeNet::new(&Weights::seeded(1))?;
/// let input = Input::from_nhwc_bgr((0..224 * 224 * 3).map(|i| (i % 241) as f32 - 110.0).collect())?;
/// let picture = Prepared::new(&net, input.clone())?;
/// // A single mask, centred at row 100 and column 60.
/// let mask = OcclusionSensitivity::new(&net).stride([1, 1]).region(Rect { y0: 100, x0: 60, y1: 101, x1: 61 });
/// let maps = mask.run_prepared(&picture)?;
/// assert_eq!(maps.grid, [1, 1]);
/// assert_eq!(maps.scores, mask.run(&input)?.scores);
/// # Ok::<(), occlude::Error>(())
/// ```
pub struct Prepared<'n> {
    pub(super) net: &'n GoogLeNet,
    pub(super) input: Input,
    pub(super) activations: Activations,
}

impl<'n> Prepared<'n> {
    /// Runs the picture through the network.
    ///
    /// # Errors
    /// [`Error::Memory`](crate::Error::Memory) when the system lacks the memory for the pass.
    pub fn new(net: &'n GoogLeNet, input: Input) -> Result<Prepared<'n>> {
        net.check_memory()?;
        let activations = net.forward(&input);
        Ok(Prepared { net, input, activations })
    }

    /// The classification of the unmasked picture.
    pub fn classification(&self) -> Classification {
        self.activations.classification()
    }
}

impl fmt::Debug for Prepared<'_> {
    /// Shows the network, not the values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("network", &self.net.network().name).finish_non_exhaustive()
    }
}

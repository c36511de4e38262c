//! The sum of one channel of a layer's output over its plane: a measure of how strongly the image
//! shows a feature.
//!
//! Zeiler and Fergus, "Visualizing and understanding convolutional networks" (2014), fig. 7b,
//! follow the strongest feature map of a layer in this way while a mask slides over the image.
//!
//! This module finds the channel in the table of layers and sums activations that the forward pass
//! or a batch has computed.

use super::plan::{LayerId, Plan};
use crate::forward::{Activations, GoogLeNet};
use crate::network::geometry::{Rect, Window};
use crate::network::{BlobId, Network, Op};
use crate::{Error, Result};

/// A channel of a layer's output whose activations a sweep sums over the plane at each position
/// ([`OcclusionSensitivity::features`](crate::OcclusionSensitivity::features)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// A layer's name (`inception_4c/3x3`) or that of an inception block's output
    /// (`inception_4c/output`).
    pub layer: String,
    /// A channel of that output; `None` for the channel with the largest sum on the unoccluded
    /// image (of equal ones, the first).
    pub channel: Option<usize>,
}

/// The place in a batch's blobs where a feature's channel is found.
pub(crate) struct ChannelSum {
    /// The blob that is summed; the input of the pool, if the feature is the output of a pool that
    /// is not stored.
    pub(crate) source: BlobId,
    /// The layer after which the source is complete.
    pub(crate) last_writer: LayerId,
    /// The channel of the source.
    pub(crate) channel: usize,
    pool: Option<Window>,
    side: usize,
    /// The blob of the feature itself, and the number of the channel in the result.
    blob: BlobId,
    named: usize,
}

/// Finds a feature in the table: its blob, and the first and the number of its layer's channels
/// there.
fn find(network: &Network, feature: &Feature) -> Result<(BlobId, usize, usize)> {
    let name = &feature.layer;
    let (blob, range) = network.output(name)?;
    let (first, channels) = (range.start, range.len());
    match feature.channel {
        Some(channel) if channel >= channels => Err(Error::Option {
            name: "activation",
            found: format!("channel {channel} of {name}"),
            expected: format!("a channel of 0 to {}", channels - 1),
        }),
        _ => Ok((blob, first, channels)),
    }
}

impl Feature {
    pub(crate) fn check(&self, network: &Network) -> Result<()> {
        find(network, self).map(drop)
    }
}

impl ChannelSum {
    pub(crate) fn new(net: &GoogLeNet, base: &Activations, feature: &Feature) -> Result<ChannelSum> {
        let network = &net.network;
        let (blob, first, channels) = find(network, feature)?;
        let side = network.blobs[blob].side;
        let steps = Plan::new(network).steps;
        let pools = steps.iter().filter_map(|step| step.pool).map(|pool| &network.layers[pool.0]);
        let pool = pools.into_iter().find(|pool| pool.output == blob);
        let source = pool.map_or(blob, |pool| pool.input);
        let writes = steps.iter().rfind(|step| step.output == source);
        let last_writer = writes.expect("every blob except the image is written").layer;
        let window = pool.map(|pool| match pool.op {
            Op::MaxPool(window) => window,
            _ => unreachable!("a step has no other pool"),
        });
        let watch = |named: usize| ChannelSum {
            source,
            last_writer,
            channel: first + named,
            pool: window,
            side,
            blob,
            named,
        };
        let named = feature.channel.unwrap_or_else(|| {
            let totals: Vec<f32> = (0..channels).map(|named| watch(named).unoccluded(base)).collect();
            (0..channels).fold(0, |best, c| if totals[c] > totals[best] { c } else { best })
        });
        Ok(watch(named))
    }

    /// The channel's number in the named layer.
    pub(crate) fn named_channel(&self) -> usize {
        self.named
    }

    /// The total on the unoccluded image.
    pub(crate) fn unoccluded(&self, base: &Activations) -> f32 {
        let plane = base.plane(self.blob);
        sum(Rect::plane(self.side).pixels().map(|(y, x)| plane.at(y, x)[self.channel]))
    }

    /// The total, given the source's channel, `[side][side]`.
    pub(crate) fn total(&self, source: &[f32]) -> f32 {
        let Some(window) = self.pool else { return sum(source.iter().copied()) };
        sum(Rect::plane(self.side).pixels().map(|(y, x)| {
            let mut most = f32::NEG_INFINITY;
            window.taps(y, x, self.side, |y, x| most = most.max(source[y * self.side + x]));
            most
        }))
    }
}

/// Sums row by row in f64 and rounds once.
fn sum(values: impl Iterator<Item = f32>) -> f32 {
    values.map(f64::from).sum::<f64>() as f32
}

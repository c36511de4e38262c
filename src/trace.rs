//! One mask followed through the layers: what it can have changed, what it did change, and what it takes to compute that.
//!
//! It is found out in the plainest way, by comparing the activations of two whole passes. The sweep comes to the same sets of
//! pixels on its way (`src/sweep/batch/mod.rs`) without the second pass. What the sweep multiplies is a little more than what is counted
//! here: eight positions share a list of channels, which keeps what is zero for some of them.

use crate::forward::{Activations, Classification, GoogLeNet};
use crate::kernels::AlignedBuf;
use crate::network::geometry::{Rect, Window};
use crate::network::{INPUT_SIDE, Layer};
use crate::sweep::mask::{Mask, MaskValue};
use crate::{Error, Input, Result};

/// A mask's way through the network; see [`GoogLeNet::trace`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Trace {
    /// The pixels of the image that were covered.
    pub mask: Rect,
    /// What they became; [`MaskValue::Auto`] and [`MaskValue::TrainingMean`] as the colour that they were.
    pub mask_value: MaskValue,
    /// What the network says about the whole image.
    pub whole: Classification,
    /// What it says about the covered one.
    pub covered: Classification,
    /// One a layer of the table.
    pub layers: Vec<LayerTrace>,
}

/// What a mask does to one layer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LayerTrace {
    /// The layer's name.
    pub name: String,
    /// Height, width and channels of its output.
    pub shape: [usize; 3],
    /// The pixels of the output that the mask can have changed, by the receptive fields.
    pub reached: Rect,
    /// The pixels that have to be computed, `[height][width]`: their window holds an input that did change.
    pub computed: Vec<bool>,
    /// The pixels that came out different in some channel, `[height][width]`.
    pub changed: Vec<bool>,
    /// How far they did, `[height][width]`: the root of the sum over all channels of the squared difference, 0 or more.
    pub difference: Vec<f32>,
    /// Share of the activations of the pixels to compute that are not zero, 0..=1; 0 if there are none.
    pub nonzero: f64,
    /// Multiply-adds of the whole layer; 0 for layers without weights, as the two below.
    pub dense: u64,
    /// Those of the pixels to compute.
    pub affected: u64,
    /// Those of them whose activation is not zero.
    pub executed: u64,
}

impl LayerTrace {
    /// How many pixels have to be computed.
    pub fn computed_pixels(&self) -> usize {
        count(&self.computed)
    }

    /// How many pixels came out different.
    pub fn changed_pixels(&self) -> usize {
        count(&self.changed)
    }
}

fn count(pixels: &[bool]) -> usize {
    pixels.iter().filter(|is| **is).count()
}

impl GoogLeNet {
    /// Covers a rectangle of the image and follows the change through all layers. Two passes, on the threads of the current
    /// rayon pool.
    ///
    /// # Errors
    /// [`Error::Option`] for a rectangle that is empty or not inside the 224x224 pixels, or an impossible mask value.
    pub fn trace(&self, input: &Input, mask: Rect, mask_value: MaskValue) -> Result<Trace> {
        mask_value.check()?;
        if mask.is_empty() || mask.y1 > INPUT_SIDE || mask.x1 > INPUT_SIDE {
            let Rect { y0, x0, y1, x1 } = mask;
            let expected = "a rectangle that is not empty and lies inside the 224x224 pixels";
            return Err(Error::option("mask", format!("{y0},{x0},{y1},{x1}"), expected));
        }
        let mask_value = mask_value.resolve(input);
        let whole = self.forward(input);
        let mut image: AlignedBuf = whole.blobs[0].clone();
        Mask::rectangle(mask).copy(&mask_value.cover(self.network(), input), &mut image);
        let covered = self.forward_padded(&image);

        let network = self.network();
        let mut reached = vec![Rect::default(); network.blobs.len()];
        let mut changed: Vec<Vec<bool>> =
            network.blobs.iter().map(|blob| vec![false; blob.side * blob.side]).collect();
        reached[0] = mask;
        for (y, x) in mask.pixels() {
            changed[0][y * INPUT_SIDE + x] = true;
        }
        let mut layers = Vec::new();
        for layer in &network.layers {
            let side = network.blobs[layer.output].side;
            let window = network.window(layer);
            let own_reached = reached[layer.input].through(window, side);
            reached[layer.output] = reached[layer.output].union(&own_reached);
            let own = self.follow(layer, window, own_reached, &changed[layer.input], [&whole, &covered]);
            for (blob, own) in changed[layer.output].iter_mut().zip(&own.changed) {
                *blob |= own;
            }
            layers.push(own);
        }
        Ok(Trace {
            mask,
            mask_value,
            whole: whole.classification(),
            covered: covered.classification(),
            layers,
        })
    }

    /// One layer, given which pixels of its input did change.
    fn follow(
        &self,
        layer: &Layer,
        window: Window,
        reached: Rect,
        changed_input: &[bool],
        [whole, covered]: [&Activations; 2],
    ) -> LayerTrace {
        let network = self.network();
        let (input, output) = (&network.blobs[layer.input], &network.blobs[layer.output]);
        let channels = layer.channel..layer.channel + layer.channels;
        let (before, after) = (whole.plane(layer.output), covered.plane(layer.output));
        let read = covered.plane(layer.input);
        let mut trace = LayerTrace {
            name: layer.name.clone(),
            shape: [output.side, output.side, layer.channels],
            reached,
            computed: vec![false; output.side * output.side],
            changed: vec![false; output.side * output.side],
            difference: vec![0.0; output.side * output.side],
            nonzero: 0.0,
            dense: (output.side.pow(2) * network.multiply_adds_per_pixel(layer)) as u64,
            affected: 0,
            executed: 0,
        };
        let mut nonzero = 0;
        for (y, x) in reached.pixels() {
            let (mut is_affected, mut inputs) = (false, 0);
            window.taps(y, x, input.side, |y, x| {
                is_affected |= changed_input[y * input.side + x];
                // Blob 0 is stored with its padding, and an image has no zeros to leave out.
                if layer.input != 0 {
                    inputs += read.at(y, x).iter().filter(|value| **value != 0.0).count();
                }
            });
            if !is_affected {
                continue;
            }
            let at = y * output.side + x;
            let (before, after) = (&before.at(y, x)[channels.clone()], &after.at(y, x)[channels.clone()]);
            trace.computed[at] = true;
            trace.changed[at] = before.iter().zip(after).any(|(a, b)| a.to_bits() != b.to_bits());
            let squares = before.iter().zip(after).map(|(&a, &b)| (f64::from(b) - f64::from(a)).powi(2));
            trace.difference[at] = squares.sum::<f64>().sqrt() as f32;
            nonzero += after.iter().filter(|value| **value != 0.0).count();
            let dense = network.multiply_adds_per_pixel(layer);
            trace.affected += dense as u64;
            trace.executed += match (dense, layer.input) {
                (0, _) => 0,
                (dense, 0) => dense as u64,
                _ => (inputs * layer.channels) as u64,
            };
        }
        let activations = trace.computed_pixels() * layer.channels;
        trace.nonzero = if activations == 0 { 0.0 } else { nonzero as f64 / activations as f64 };
        trace
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Weights;
    use crate::network::Network;

    fn input() -> Input {
        let values = (0..INPUT_SIDE * INPUT_SIDE * 3).map(|i| (i * i % 241) as f32 - 110.0).collect();
        Input::from_nhwc_bgr(values).unwrap()
    }

    #[test]
    fn what_changed_was_computed_and_what_was_computed_was_reached() {
        for network in [Network::googlenet(), Network::torchvision(11)] {
            let net = GoogLeNet::new(&Weights::seeded_for(network, 1)).unwrap();
            let mask = Rect { y0: 90, x0: 0, y1: 104, x1: 9 };
            let trace = net.trace(&input(), mask, MaskValue::Auto).unwrap();
            assert_eq!(trace.layers.len(), net.network().layers.len());
            assert_ne!(trace.whole, trace.covered);
            for layer in &trace.layers {
                let [height, width, _] = layer.shape;
                for (y, x) in Rect::plane(height).pixels() {
                    let at = y * width + x;
                    let is_reached = (layer.reached.y0..layer.reached.y1).contains(&y)
                        && (layer.reached.x0..layer.reached.x1).contains(&x);
                    assert!(layer.changed[at] <= layer.computed[at], "{}", layer.name);
                    assert!(layer.computed[at] <= is_reached, "{}", layer.name);
                    assert_eq!(layer.difference[at] > 0.0, layer.changed[at], "{}", layer.name);
                }
                assert!(layer.executed <= layer.affected && layer.affected <= layer.dense, "{}", layer.name);
                assert!((0.0..=1.0).contains(&layer.nonzero));
            }
            // 14x9 pixels: rows 45 to 52 of conv1's 112 read rows 2y - 3 .. 2y + 4 of them.
            let first = &trace.layers[0];
            assert_eq!(first.reached, Rect { y0: 44, x0: 0, y1: 54, x1: 6 });
            assert_eq!((first.computed_pixels(), first.executed), (60, 60 * 64 * 147));
            // Not everything is reached before the last blocks.
            assert!(trace.layers[..20].iter().all(|layer| layer.affected * 2 <= layer.dense));
        }
    }

    /// Pixels that were not computed are those of the whole image: the scores can be made without them.
    #[test]
    fn what_was_not_computed_is_as_before() {
        let net = GoogLeNet::new(&Weights::seeded(2)).unwrap();
        let mask = Rect { y0: 100, x0: 100, y1: 110, x1: 130 };
        let trace = net.trace(&input(), mask, MaskValue::TrainingMean).unwrap();
        let whole = net.forward(&input());
        let mut values = input().values().to_vec();
        for (y, x) in mask.pixels() {
            values[(y * INPUT_SIDE + x) * 3..][..3].fill(0.0);
        }
        let covered = net.forward(&Input::from_nhwc_bgr(values).unwrap());
        assert_eq!(trace.covered, covered.classification());
        for (layer, trace) in net.network().layers.iter().zip(&trace.layers) {
            let (a, b) = (whole.plane(layer.output), covered.plane(layer.output));
            let channels = layer.channel..layer.channel + layer.channels;
            for (y, x) in Rect::plane(trace.shape[0]).pixels() {
                let same = a.at(y, x)[channels.clone()] == b.at(y, x)[channels.clone()];
                assert_eq!(same, !trace.changed[y * trace.shape[1] + x], "{}", layer.name);
            }
        }
    }

    #[test]
    fn a_mask_outside_the_image_is_refused() {
        let net = GoogLeNet::new(&Weights::seeded(1)).unwrap();
        for mask in
            [Rect::default(), Rect { y0: 0, x0: 0, y1: 225, x1: 1 }, Rect { y0: 5, x0: 5, y1: 5, x1: 9 }]
        {
            assert!(net.trace(&input(), mask, MaskValue::Auto).is_err());
        }
    }
}

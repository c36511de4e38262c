//! Follows one mask through the layers: for each layer, the pixels that the mask can change, those
//! that it does change, and the multiply-adds that an update needs.
//!
//! The trace compares the activations of two complete passes. The sweep (`src/sweep/batch/mod.rs`)
//! finds the same sets of pixels without the second pass. It carries out slightly more
//! multiply-adds than counted here, because the positions of a batch share one list of nonzero
//! channels.

use crate::forward::{Activations, Classification, GoogLeNet};
use crate::kernels::AlignedBuf;
use crate::network::geometry::{Rect, Window};
use crate::network::{BlobId, INPUT_SIDE, Layer};
use crate::sweep::MaskValue;
use crate::sweep::mask::Mask;
use crate::{Error, Input, Result};

/// The effect of one mask on every layer; see [`GoogLeNet::trace`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Trace {
    /// The masked pixels of the image.
    pub mask: Rect,
    /// The value that replaced them. [`MaskValue::Auto`] and [`MaskValue::TrainingMean`] are given
    /// as the colour that was used.
    pub mask_value: MaskValue,
    /// The classification of the unmasked image.
    pub whole: Classification,
    /// The classification of the masked image.
    pub covered: Classification,
    /// One entry for each layer, in the order of the table.
    pub layers: Vec<LayerTrace>,
}

/// The effect of a mask on one layer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LayerTrace {
    /// Name of the layer.
    pub name: String,
    /// Height, width and channels of the layer's output.
    pub shape: [usize; 3],
    /// The output pixels that the mask can change, by the geometry of the windows.
    pub reached: Rect,
    /// True for the output pixels that an update has to compute, `[height][width]`: those whose
    /// window holds a changed input.
    pub computed: Vec<bool>,
    /// True for the output pixels of which at least one channel changed, `[height][width]`.
    pub changed: Vec<bool>,
    /// Size of the change, `[height][width]`: the Euclidean norm over the channels of the
    /// difference, 0 or more.
    pub difference: Vec<f32>,
    /// Fraction of nonzero activations in the computed pixels, in 0..=1; 0 if there are no such
    /// pixels.
    pub nonzero: f64,
    /// Multiply-adds of the whole layer. Like the two fields below, 0 for layers without weights.
    pub dense: u64,
    /// Multiply-adds of the computed pixels.
    pub affected: u64,
    /// Multiply-adds of the computed pixels whose input is not zero.
    pub executed: u64,
}

impl LayerTrace {
    /// Number of pixels that an update has to compute.
    pub fn computed_pixels(&self) -> usize {
        count(&self.computed)
    }

    /// Number of pixels that changed.
    pub fn changed_pixels(&self) -> usize {
        count(&self.changed)
    }
}

fn count(pixels: &[bool]) -> usize {
    pixels.iter().filter(|is| **is).count()
}

impl GoogLeNet {
    /// Masks a rectangle of the image and compares all layers with those of the unmasked image.
    /// Takes the time of two passes, on the threads of the current rayon pool.
    ///
    /// # Errors
    /// [`Error::Option`] if the rectangle is empty or not inside the 224x224 pixels, or if the mask
    /// value is out of range; [`Error::Memory`].
    pub fn trace(&self, input: &Input, mask: Rect, mask_value: MaskValue) -> Result<Trace> {
        mask_value.check_fixed()?;
        if mask.is_empty() || mask.y1 > INPUT_SIDE || mask.x1 > INPUT_SIDE {
            let Rect { y0, x0, y1, x1 } = mask;
            let expected = "a rectangle that is not empty and lies inside the 224x224 pixels";
            return Err(Error::option("mask", format!("{y0},{x0},{y1},{x1}"), expected));
        }
        let mask_value = mask_value.resolve(input);
        self.check_memory()?;
        let whole = self.forward(input);
        self.check_memory()?;
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

    /// Traces one layer, given the changed pixels of its input.
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
                // Blob 0 is stored with its padding, and no value of an image is skipped.
                if layer.input != BlobId::IMAGE {
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
                (dense, BlobId::IMAGE) => dense as u64,
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
            // The mask has 14x9 pixels. Rows 44 to 53 of conv1 read rows 2y - 3 .. 2y + 4.
            let first = &trace.layers[0];
            assert_eq!(first.reached, Rect { y0: 44, x0: 0, y1: 54, x1: 6 });
            assert_eq!((first.computed_pixels(), first.executed), (60, 60 * 64 * 147));
            // Before the last blocks the mask reaches only a part of each layer.
            assert!(trace.layers[..20].iter().all(|layer| layer.affected * 2 <= layer.dense));
        }
    }

    /// Pixels outside `computed` have the activations of the unmasked image.
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

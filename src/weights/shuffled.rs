//! Networks that have forgotten what some of their layers have learned, for checks of explanations.

use super::{Weights, splitmix64};

impl Weights {
    /// The network with the weights of these layers in random order: the values of each tensor, weights
    /// and biases, are permuted among themselves. They keep their mean and their spread, but what the
    /// layer has learned is lost. A seed gives the same bits on every machine.
    ///
    /// A map that hardly changes does not explain this network: Adebayo et al., "Sanity checks for saliency
    /// maps" (2018).
    ///
    /// ```
    /// use occlude::Weights;
    ///
    /// let weights = Weights::seeded(1);
    /// let shuffled = weights.clone().shuffled(&["loss3/classifier"], 7);
    /// assert_ne!(shuffled.weight("loss3/classifier"), weights.weight("loss3/classifier"));
    /// assert_eq!(shuffled.weight("conv1/7x7_s2"), weights.weight("conv1/7x7_s2"));
    /// ```
    ///
    /// # Panics
    /// If the network has no layer of one of these names with weights.
    #[must_use]
    pub fn shuffled(mut self, layers: &[&str], seed: u64) -> Weights {
        let mut seeds = splitmix64(seed);
        for layer in layers {
            for part in ["weight", "bias"] {
                let name = format!("{layer}.{part}");
                let values = self.tensors.get_mut(&name);
                let values =
                    values.unwrap_or_else(|| panic!("the network has no layer \"{layer}\" with weights"));
                shuffle(values, seeds.next().expect("endless"));
            }
        }
        self
    }
}

/// Permutes values by the method of Fisher and Yates.
fn shuffle(values: &mut [f32], seed: u64) {
    for (last, random) in (1..values.len()).rev().zip(splitmix64(seed)) {
        // The upper half of the product is a number of 0 to `last`.
        let other = (u128::from(random) * (last as u128 + 1)) >> 64;
        values.swap(last, other as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_permuted_and_every_order_occurs() {
        let mut orders = std::collections::HashMap::<Vec<u32>, usize>::new();
        for seed in 0..6000 {
            let mut values = [1.0, 2.0, 3.0];
            shuffle(&mut values, seed);
            *orders.entry(values.map(|value| value as u32).to_vec()).or_default() += 1;
        }
        assert_eq!(orders.len(), 6);
        assert!(orders.values().all(|count| (880..1120).contains(count)), "{orders:?}");
    }

    #[test]
    fn only_the_named_layers_change_and_they_keep_their_values() {
        let before = Weights::seeded(1);
        let layers = ["inception_5b/1x1", "loss3/classifier"];
        let after = before.clone().shuffled(&layers, 3);
        let again = before.clone().shuffled(&layers, 3);
        let sorted = |values: &[f32]| {
            let mut bits: Vec<u32> = values.iter().map(|value| value.to_bits()).collect();
            bits.sort_unstable();
            bits
        };
        for ((name, _, old), ((_, _, new), (_, _, same))) in
            before.tensors().zip(after.tensors().zip(again.tensors()))
        {
            let is_named = layers.iter().any(|layer| name.starts_with(layer));
            assert_eq!(old != new, is_named, "{name}");
            assert_eq!(sorted(old), sorted(new), "{name}");
            assert_eq!(new, same, "{name}");
        }
        assert_ne!(before.clone().shuffled(&layers, 4).weight(layers[0]), after.weight(layers[0]));
    }
}

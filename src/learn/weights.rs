//! Networks with a trained last layer.

use super::LinearClassifier;
use crate::error::Result;
use crate::forward::GoogLeNet;
use crate::network::labels::Labels;
use crate::weights::Weights;

impl LinearClassifier {
    /// The network with this classifier as its last layer. `labels` has the names of its classes, and
    /// `name` is the network's new name.
    ///
    /// # Errors
    /// As [`Weights::with_last_layer`].
    pub fn replace_in(&self, weights: Weights, labels: Labels, name: &str) -> Result<Weights> {
        self.after(&[], &[], weights, labels, name)
    }

    /// The network with the classes of this classifier after its own, which stay as they are. `labels`
    /// has the names of all classes.
    ///
    /// # Errors
    /// As [`Weights::with_last_layer`].
    pub fn add_to(&self, weights: Weights, labels: Labels, name: &str) -> Result<Weights> {
        let (before, biases) = weights.last_layer();
        let (before, biases) = (before.to_vec(), biases.to_vec());
        self.after(&before, &biases, weights, labels, name)
    }

    /// A copy of a loaded network with this classifier as its last layer.
    ///
    /// # Errors
    /// As [`GoogLeNet::with_last_layer`].
    pub fn replace_in_network(&self, net: &GoogLeNet) -> Result<GoogLeNet> {
        let [weights, biases] = [&self.weights, &self.biases]
            .map(|values| values.iter().map(|&value| value as f32).collect::<Vec<f32>>());
        net.with_last_layer(&weights, &biases)
    }

    fn after(
        &self,
        before: &[f32],
        biases: &[f32],
        weights: Weights,
        labels: Labels,
        name: &str,
    ) -> Result<Weights> {
        let joined = |before: &[f32], values: &[f64]| -> Vec<f32> {
            before.iter().copied().chain(values.iter().map(|&value| value as f32)).collect()
        };
        let layer = [joined(before, &self.weights), joined(biases, &self.biases)];
        weights.with_last_layer(layer, labels, name)
    }
}

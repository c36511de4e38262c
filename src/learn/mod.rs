//! Training of the last layer on photographs of other classes (`docs/11-teaching.md`).
//!
//! The convolutions stay as they are: a photograph becomes the [`Features`] that the last layer reads.
//! [`Fit`] finds the weights and biases of a [`LinearClassifier`] on them, by logistic regression.
//! [`cross_validate`] chooses its regularisation and estimates its accuracy.
//! [`LinearClassifier::replace_in`] and [`LinearClassifier::add_to`] put the result into a network.
//!
//! All arithmetic is in f64 and in a fixed order, so the bits of a result do not depend on the machine
//! and the number of threads.

mod classifier;
mod features;
mod lbfgs;
mod validation;
mod views;
mod weights;

pub use classifier::{Fit, LinearClassifier};
pub use features::Features;
pub use validation::{CrossValidation, Tried, cross_validate, stratified_folds, wilson_interval};

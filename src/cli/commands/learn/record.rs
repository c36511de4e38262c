//! The record of a training, a file beside the network.

use occlude::learn::{CrossValidation, LinearClassifier};
use occlude::{Photograph, Resize};
use serde::Serialize;

use super::classes::{Answer, Classes};
use super::examples::Example;
use crate::cli::output::confusion::{Confusion, Share};

/// All that the record tells.
pub struct LearnRecord<'a> {
    pub classes: &'a Classes,
    pub examples: &'a [Example],
    pub folds: &'a [usize],
    pub answers: &'a [Answer],
    pub validation: &'a CrossValidation,
    pub classifier: &'a LinearClassifier,
    pub confusion: &'a Confusion,
    /// The network before, in words, and the checksum of its file.
    pub base: (&'a str, &'a str),
    /// The trained network, in words, and the checksum of its file.
    pub trained: (&'a str, &'a str),
    pub resize: Resize,
}

#[derive(Serialize)]
pub struct Contents<'a> {
    version: &'static str,
    network: &'a str,
    weights_sha256: &'a str,
    base_network: &'a str,
    base_weights_sha256: &'a str,
    resize: String,
    views: usize,
    keeps_classes: bool,
    classes: Vec<ClassOfPhotographs<'a>>,
    cross_validation: Validation<'a>,
    l2: f64,
    objective: f64,
    steps: usize,
    photographs: Vec<OfPhotograph<'a>>,
}

#[derive(Serialize)]
struct ClassOfPhotographs<'a> {
    name: &'a str,
    photographs: usize,
    right: Share,
}

#[derive(Serialize)]
struct Validation<'a> {
    folds: usize,
    tried: Vec<Strength>,
    accuracy: Share,
    /// `[class][answer]`; the last answer is any other class.
    confusion: &'a [Vec<usize>],
}

#[derive(Serialize)]
struct Strength {
    l2: f64,
    loss: f64,
}

#[derive(Serialize)]
struct OfPhotograph<'a> {
    path: &'a str,
    sha256: &'a str,
    class: &'a str,
    fold: usize,
    answer: OfAnswer<'a>,
    is_right: bool,
}

#[derive(Serialize)]
struct OfAnswer<'a> {
    index: usize,
    label: &'a str,
    probability: f64,
}

impl<'a> LearnRecord<'a> {
    pub fn contents(&self) -> Contents<'a> {
        let classes = self.classes.names.iter().enumerate().map(|(class, name)| {
            let right = self.confusion.right_of(class);
            ClassOfPhotographs { name, photographs: right.of, right }
        });
        let photographs = self.examples.iter().zip(self.folds).zip(self.answers);
        let photographs = photographs.map(|((example, &fold), answer)| OfPhotograph {
            path: &example.file.shown,
            sha256: &example.sha256,
            class: &self.classes.names[example.class],
            fold,
            answer: OfAnswer { index: answer.index, label: &answer.label, probability: answer.probability },
            is_right: answer.place == Some(example.class),
        });
        let tried = self.validation.tried.iter();
        Contents {
            version: env!("CARGO_PKG_VERSION"),
            network: self.trained.0,
            weights_sha256: self.trained.1,
            base_network: self.base.0,
            base_weights_sha256: self.base.1,
            resize: self.resize.to_string(),
            views: Photograph::VIEWS,
            keeps_classes: self.classes.keeps,
            classes: classes.collect(),
            cross_validation: Validation {
                folds: 1 + self.folds.iter().max().copied().unwrap_or(0),
                tried: tried.map(|tried| Strength { l2: tried.l2, loss: tried.loss }).collect(),
                accuracy: self.confusion.right(),
                confusion: &self.confusion.counts,
            },
            l2: self.validation.l2,
            objective: self.classifier.objective,
            steps: self.classifier.steps,
            photographs: photographs.collect(),
        }
    }
}

//! Measures of the maps of a class: faithfulness, sparseness, change of confidence, and agreement with
//! boxes; and their means over the photographs.

use std::collections::BTreeMap;

use occlude::explain::metrics::bootstrap_interval;
use occlude::{Progress, Result};
use serde::{Deserialize, Serialize};

use super::annotations::ObjectBox;
use super::row::{Measures, SummaryRow};
use crate::cli::args::Batch;
use crate::cli::explanation::{Explanation, Method, Question, Session};
use crate::cli::repeats::agreement;

/// The measures of `--metrics` for a method, with words for people.
const OF_METRICS: [(&str, &str); 5] = [
    ("deletion", "deletion area (low is better)"),
    ("insertion", "insertion area (high is better)"),
    ("sparseness", "sparseness, 0 to 1"),
    ("confidence_drop", "average drop (low is better)"),
    ("confidence_increase", "increase in confidence (high is better)"),
];

/// The measures of `--boxes` for a method.
const OF_BOXES: [(&str, &str); 2] =
    [("pointing", "pointing game (high is better)"), ("iou", "IoU of the boxes (high is better)")];

/// The number of boxes of the class.
const BOXES: &str = "boxes";

const METHODS: [Method; 2] = [Method::Occlusion, Method::GradCam];

fn column(method: Method, measure: &str) -> String {
    let method = match method {
        Method::Occlusion => "occlusion",
        Method::GradCam => "gradcam",
    };
    format!("{method}_{measure}")
}

/// The measures that a batch with these options asks for, with their words.
fn asked(options: &BTreeMap<String, String>) -> impl Iterator<Item = (&'static str, &'static str)> {
    let metrics = options.get("metrics").is_some_and(|on| on == "true");
    let boxes = options.contains_key("boxes");
    let metrics = OF_METRICS.into_iter().filter(move |_| metrics);
    metrics.chain(OF_BOXES.into_iter().filter(move |_| boxes))
}

/// The names of the columns of a batch with these options.
pub fn columns(options: &BTreeMap<String, String>) -> Vec<String> {
    let measures: Vec<_> = asked(options).collect();
    let boxes = options.contains_key("boxes").then(|| BOXES.to_string());
    let of =
        METHODS.into_iter().flat_map(|method| measures.iter().map(move |(name, _)| column(method, name)));
    of.chain(boxes).collect()
}

/// The columns of a batch with these options, with words for people.
pub fn columns_in_words(options: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let measures: Vec<_> = asked(options).collect();
    let named = [(Method::Occlusion, "map"), (Method::GradCam, "Grad-CAM")].into_iter();
    let of = named.flat_map(|(method, of)| {
        measures.iter().map(move |(name, words)| (column(method, name), format!("{of}: {words}")))
    });
    of.collect()
}

/// The options and the boxes of measures.
pub struct Wanted<'a> {
    pub session: &'a Session,
    pub args: &'a Batch,
    pub question: &'a Question<'a>,
    /// The boxes on the photograph; `None` without `--boxes`.
    pub boxes: Option<&'a [ObjectBox]>,
}

impl Wanted<'_> {
    /// Measures the maps of each class of an explanation.
    ///
    /// # Errors
    /// Those of [`Session::measure`]; [`Error::Memory`].
    pub fn measure(
        &self,
        explanation: &mut Explanation,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Vec<Measures>> {
        let mut measures = vec![Measures::new(); explanation.maps.classes.len()];
        let maps = match (self.args.metrics, self.boxes) {
            (true, _) => self.session.measure(explanation, self.question, progress)?,
            (false, Some(_)) => self.session.pixel_maps(explanation)?,
            (false, None) => return Ok(measures),
        };
        for (i, map) in maps.iter().enumerate() {
            // Two maps of each class.
            let k = i / METHODS.len();
            let of = &mut measures[k];
            let mut set = |name: &str, value: f32| of.insert(column(map.method, name), value);
            if self.args.metrics {
                let curves = &explanation.faithfulness[i].1;
                set("deletion", curves.deletion_area());
                set("insertion", curves.insertion_area());
                let (sparseness, change) = self.session.concentration(explanation, map)?;
                set("sparseness", sparseness);
                set("confidence_drop", change.drop);
                set("confidence_increase", f32::from(u8::from(change.rises)));
            }
            if let Some(boxes) = self.boxes {
                let boxes = boxes.iter().filter(|object| object.class == map.class);
                let boxes: Vec<[f64; 4]> = boxes.map(|object| object.bounds).collect();
                if !boxes.is_empty() {
                    let (points, overlap) = agreement(explanation, map, &boxes, self.args.tolerance)?;
                    set("pointing", f32::from(u8::from(points)));
                    set("iou", overlap);
                }
                of.insert(BOXES.to_string(), boxes.len() as f32);
            }
        }
        Ok(measures)
    }
}

/// The mean of a measure over the photographs that have it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    pub mean: f64,
    /// The interval that contains the mean of the population with a probability of about 95 %.
    pub interval: [f64; 2],
    pub photographs: usize,
}

/// The means of all measures. A photograph with several maps counts once, with their mean.
pub fn means(options: &BTreeMap<String, String>, rows: &[SummaryRow]) -> BTreeMap<String, Mean> {
    let mut means = BTreeMap::new();
    for name in columns(options).into_iter().filter(|name| name != BOXES) {
        let of_row = |row: &SummaryRow| {
            let values = row.classes.iter().filter_map(|class| class.measures.get(&name));
            let values: Vec<f64> = values.map(|&value| f64::from(value)).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        let values: Vec<f64> = rows.iter().filter_map(of_row).collect();
        if let Some(interval) = bootstrap_interval(&values) {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            means.insert(name, Mean { mean, interval, photographs: values.len() });
        }
    }
    means
}

/// The table of the means, with its head: a measure, its means of both methods with their intervals, and
/// the number of photographs. Empty if there are none.
pub fn table(options: &BTreeMap<String, String>, means: &BTreeMap<String, Mean>) -> Vec<[String; 4]> {
    let mut rows = Vec::new();
    if !means.is_empty() {
        rows.push(
            ["means, 95 % bootstrap intervals", "occlusion", "Grad-CAM", "photographs"].map(String::from),
        );
    }
    for (measure, words) in asked(options) {
        let [occlusion, gradcam] = METHODS.map(|method| means.get(&column(method, measure)));
        let (Some(occlusion), Some(gradcam)) = (occlusion, gradcam) else { continue };
        let [a, b] = [occlusion, gradcam]
            .map(|Mean { mean, interval: [low, high], .. }| format!("{mean:.3} ({low:.3} to {high:.3})"));
        rows.push([words.to_string(), a, b, occlusion.photographs.to_string()]);
    }
    rows
}

/// [`table`] for the terminal.
pub fn in_words(options: &BTreeMap<String, String>, means: &BTreeMap<String, Mean>) -> String {
    let line = |[name, occlusion, gradcam, count]: [String; 4]| {
        format!("{name:<40} {occlusion:<25} {gradcam:<25} {count}\n")
    };
    table(options, means).into_iter().map(line).collect()
}

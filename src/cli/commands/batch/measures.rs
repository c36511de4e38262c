//! Measures of the maps of a class: faithfulness, sparseness, change of confidence, and agreement with
//! boxes; and their means over the photographs.

use std::collections::BTreeMap;

use occlude::explain::metrics::{bootstrap_interval, dimmed, sparseness};
use occlude::{Input, Progress, Result, Threshold, memory};
use serde::{Deserialize, Serialize};

use super::annotations::ObjectBox;
use super::row::{Measures, SummaryRow};
use crate::cli::args::Batch;
use crate::cli::explanation::{Explanation, Method, PixelMap, Question, Session};

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
        let input = explanation.photograph.picture(self.session.resize).input();
        for (i, map) in maps.iter().enumerate() {
            // Two maps of each class.
            let k = i / METHODS.len();
            let of = &mut measures[k];
            let mut set = |name: &str, value: f32| of.insert(column(map.method, name), value);
            if self.args.metrics {
                let curves = &explanation.faithfulness[i].1;
                set("deletion", curves.deletion_area());
                set("insertion", curves.insertion_area());
                let pixels = inside(map);
                set("sparseness", sparseness(&pixels) as f32);
                let [drop, increase] = self.confidence(
                    &explanation.maps.classification.probabilities,
                    &input,
                    map.class,
                    &pixels,
                )?;
                set("confidence_drop", drop);
                set("confidence_increase", increase);
            }
            if let Some(boxes) = self.boxes {
                let boxes: Vec<&ObjectBox> =
                    boxes.iter().filter(|object| object.class == map.class).collect();
                if !boxes.is_empty() {
                    let evidence = match map.method {
                        Method::Occlusion => explanation.evidence(k),
                        Method::GradCam => map.pixels.clone(),
                    };
                    let [pointing, iou] = self.agreement(explanation, map, &evidence, &boxes)?;
                    set("pointing", pointing);
                    set("iou", iou);
                }
                of.insert(BOXES.to_string(), boxes.len() as f32);
            }
        }
        Ok(measures)
    }

    /// The share of the probability that is lost where only the evidence is seen, at least 0; and 1 if
    /// the probability is larger there, else 0.
    fn confidence(&self, before: &[f32], input: &Input, class: usize, pixels: &[f32]) -> Result<[f32; 2]> {
        self.session.net.check_memory()?;
        let after = self.session.net.classify(&dimmed(input, pixels)?).probabilities[class];
        let before = before[class];
        let drop = if before > 0.0 { ((before - after) / before).max(0.0) } else { 0.0 };
        Ok([drop, f32::from(u8::from(after > before))])
    }

    /// 1 if the largest value of a map lies in a box or near it, else 0; and the intersection over union
    /// of the box around the evidence with the best box. 0 and 0 for a map without evidence.
    fn agreement(
        &self,
        explanation: &Explanation,
        map: &PixelMap,
        evidence: &[f32],
        boxes: &[&ObjectBox],
    ) -> Result<[f32; 2]> {
        let Some(level) = Threshold::default().level(evidence)? else { return Ok([0.0; 2]) };
        let photograph = &explanation.photograph;
        let framing = photograph.framing(self.session.resize);
        let largest = largest(&map.pixels);
        let side = occlude::network::INPUT_SIDE;
        let [y, x] = [(0, largest / side), (1, largest % side)]
            .map(|(axis, at)| framing.to_photograph(axis, at as f64 + 0.5));
        let near = boxes.iter().any(|object| distance([x, y], object.bounds) <= self.args.tolerance);
        let bytes = photograph.height().saturating_mul(photograph.width()).saturating_mul(8);
        memory::require("a region of the photograph", bytes)?;
        let parts = framing.region_above(evidence, level).parts();
        let iou = parts.first().map_or(0.0, |part| {
            let around = part.bounds;
            let around = [around.x0, around.y0, around.x1, around.y1].map(|edge| edge as f64);
            boxes.iter().map(|object| overlap(around, object.bounds)).fold(0.0, f64::max)
        });
        Ok([f32::from(u8::from(near)), iou as f32])
    }
}

/// The pixels of a map, without those outside of the region of mask centres.
fn inside(map: &PixelMap) -> Vec<f32> {
    map.pixels.iter().map(|&value| if value == f32::MIN { 0.0 } else { value }).collect()
}

/// The index of the largest value, the first of several.
fn largest(map: &[f32]) -> usize {
    (0..map.len()).fold(0, |best, i| if map[i] > map[best] { i } else { best })
}

/// The distance of a point from a box, in pixels; 0 inside.
fn distance([x, y]: [f64; 2], [x0, y0, x1, y1]: [f64; 4]) -> f64 {
    let outside = |at: f64, start: f64, end: f64| (start - at).max(at - end).max(0.0);
    let (across, down) = (outside(x, x0, x1), outside(y, y0, y1));
    (across * across + down * down).sqrt()
}

/// The area of the intersection of two boxes over that of their union.
fn overlap(a: [f64; 4], b: [f64; 4]) -> f64 {
    let area = |[x0, y0, x1, y1]: [f64; 4]| (x1 - x0).max(0.0) * (y1 - y0).max(0.0);
    let both = area([a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    both / (area(a) + area(b) - both)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_compared_by_distance_and_overlap() {
        let object = [10.0, 20.0, 30.0, 25.0];
        for (point, expected) in [
            ([12.0, 21.0], 0.0),
            ([30.0, 25.0], 0.0),
            ([7.0, 22.0], 3.0),
            ([34.0, 28.0], 5.0),
            ([20.0, 0.0], 20.0),
        ] {
            assert_eq!(distance(point, object), expected);
        }
        assert_eq!(overlap(object, object), 1.0);
        assert_eq!(overlap(object, [20.0, 20.0, 40.0, 25.0]), 50.0 / 150.0);
        assert_eq!(overlap(object, [30.0, 20.0, 40.0, 25.0]), 0.0);
        assert_eq!(largest(&[-1.0, 3.0, 3.0, 2.0]), 1);
    }
}

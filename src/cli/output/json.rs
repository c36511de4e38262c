//! The JSON output of the commands: one struct for each kind of object. Numbers are written with as
//! many digits as are needed to read the same `f32` again.

use std::fmt::Write;
use std::ops::Not;
use std::path::Path;

use occlude::network::INPUT_SIDE;
use occlude::network::geometry::Rect;
use occlude::text::is_control;
use occlude::{Classification, GradCam, Labels, MaskValue, OcclusionMaps, Score, Segments, Shape};
use serde::Serialize;

use super::contrast::Contrast;
use super::pairs::pairs;
use super::subject::Subjects;
use crate::cli::args::Aggregate;
use crate::cli::explanation::{Explanation, LoadedPhotograph, PlacePairs, Session};
use crate::cli::source::shown;

/// The photograph and the network from which the numbers of an object were computed.
#[derive(Serialize)]
pub struct Provenance<'a> {
    image: String,
    image_sha256: &'a str,
    /// For example "built-in network of 30 classes".
    network: &'a str,
    weights_sha256: &'a str,
}

impl<'a> Provenance<'a> {
    pub fn of(session: &'a Session, source: &'a LoadedPhotograph) -> Provenance<'a> {
        Provenance {
            image: shown(&source.image),
            image_sha256: &source.sha256,
            network: &session.network,
            weights_sha256: &session.weights_sha256,
        }
    }
}

impl Explanation {
    /// The photograph and the network of this explanation.
    pub fn provenance(&self) -> Provenance<'_> {
        Provenance {
            image: shown(&self.image),
            image_sha256: &self.image_sha256,
            network: &self.network,
            weights_sha256: &self.weights_sha256,
        }
    }

    /// The options of this explanation's sweep.
    pub fn sweep_options(&self) -> SweepOptions {
        let maps = &self.maps;
        SweepOptions {
            input_size: [INPUT_SIDE; 2],
            mask_size: maps.mask_size,
            stride: maps.stride,
            mask_value: fill(maps.mask_value),
            mask_shape: (maps.shape != Shape::Rectangle).then(|| maps.shape.to_string()),
            mask_channel: maps.channel.map(|channel| channel.to_string()),
            inverse: maps.inverse,
            mask_clipping: maps.mask_clipping,
            region: [maps.region.y0, maps.region.x0, maps.region.y1, maps.region.x1],
            resize: self.resize.to_string(),
            placement: self.placement.to_string(),
            score: maps.score.to_string(),
        }
    }

    /// The facts about the run of this explanation.
    pub fn run_info(&self) -> RunInfo<'_> {
        RunInfo { elapsed_seconds: self.elapsed_seconds, threads: self.threads, isa: &self.isa }
    }
}

/// The options of a sweep that determine its numbers.
#[derive(Serialize)]
pub struct SweepOptions {
    input_size: [usize; 2],
    mask_size: [usize; 2],
    stride: [usize; 2],
    mask_value: Fill,
    #[serde(skip_serializing_if = "Option::is_none")]
    mask_shape: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mask_channel: Option<String>,
    #[serde(skip_serializing_if = "Not::not")]
    inverse: bool,
    mask_clipping: bool,
    region: [usize; 4],
    resize: String,
    placement: String,
    score: String,
}

/// The object of `map.json` and of `occlude explain --json`.
#[derive(Serialize)]
struct MapsObject<'a> {
    #[serde(flatten)]
    origin: Provenance<'a>,
    #[serde(flatten)]
    sweep: SweepOptions,
    grid: [usize; 2],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    segments: Vec<SegmentObject>,
    classes: Vec<MappedClass<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    covered_scores: Vec<f32>,
    scores: Vec<Vec<&'a [f32]>>,
    maps: Vec<Vec<Vec<f32>>>,
    argmax: Vec<&'a [usize]>,
    argmax_scores: Vec<&'a [f32]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    activations: Vec<Activation<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributions: Vec<Vec<Vec<f32>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faithfulness: Vec<Faithful<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pairs: Vec<Interacting<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    robust: Vec<Repeated>,
    positions: usize,
    #[serde(flatten)]
    run: Option<RunInfo<'a>>,
}

/// Facts about the run that do not influence the results.
#[derive(Serialize)]
pub struct RunInfo<'a> {
    elapsed_seconds: f64,
    threads: usize,
    isa: &'a str,
}

/// The content of a mask: a colour (RGB), or the name of a content that is not uniform.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Fill {
    Colour([f32; 3]),
    Image(String),
}

/// The subject of a map.
#[derive(Serialize)]
pub struct MappedClass<'a> {
    /// None if the score has no class.
    index: Option<usize>,
    label: String,
    base_score: f32,
    /// The classes of a contrast.
    #[serde(skip_serializing_if = "<[usize]>::is_empty")]
    against: &'a [usize],
    /// The classes of a group.
    #[serde(skip_serializing_if = "<[usize]>::is_empty")]
    members: &'a [usize],
}

/// A part of the picture that was covered, the mask of a column of the grid.
#[derive(Serialize)]
struct SegmentObject {
    number: u32,
    pixels: usize,
    r#box: [usize; 4],
}

/// The map of a feature.
#[derive(Serialize)]
struct Activation<'a> {
    layer: &'a str,
    channel: usize,
    base_total: f32,
    totals: Vec<&'a [f32]>,
    map: Vec<Vec<f32>>,
}

#[derive(Serialize)]
struct Faithful<'a> {
    method: &'static str,
    class: usize,
    deletion_area: f32,
    insertion_area: f32,
    shares: &'a [f32],
    deletion: &'a [f32],
    insertion: &'a [f32],
}

/// The maps of a class with other masks, combined.
#[derive(Serialize)]
pub struct Repeated {
    class: usize,
    /// Of the maps, each divided by its largest magnitude.
    mean: Vec<Vec<f32>>,
    /// The number of maps with the sign of the mean at each position.
    agreeing: Vec<Vec<usize>>,
    /// The least number that counts as agreement, and the share of positions that have it.
    needed: usize,
    agreement: f32,
    /// The largest value of the mean, if it is positive.
    strongest: Option<Strongest>,
    maps: Vec<Repetition>,
}

#[derive(Serialize)]
struct Strongest {
    x: usize,
    y: usize,
    /// The number of maps in which it is among the strongest tenth of the positions.
    among: usize,
}

/// One of the maps.
#[derive(Serialize)]
struct Repetition {
    mask_size: [usize; 2],
    mask_value: Fill,
    grid: [usize; 2],
    largest: f32,
    /// With the mean.
    correlation: Option<f32>,
    map: Vec<Vec<f32>>,
}

/// The strongest places of a class and their interactions.
#[derive(Serialize)]
pub struct Interacting<'a> {
    class: usize,
    places: Vec<Place>,
    /// For each coalition, the score with its places covered; empty without a pair.
    scores: &'a [f32],
    pairs: Vec<Pair>,
}

/// A place: the centre of its mask, the covered rows and columns, and the drop.
#[derive(Serialize)]
struct Place {
    x: usize,
    y: usize,
    covered: [usize; 4],
    drop: f32,
}

#[derive(Serialize)]
struct Pair {
    /// Their indices in `places`.
    places: [usize; 2],
    missed: f64,
    index: f64,
}

/// The object of `compare.json`.
#[derive(Serialize)]
struct ComparisonObject<'a> {
    images: Vec<MapsObject<'a>>,
    contrasts: Vec<Contrasted>,
}

/// The comparison of the first two classes of a photograph.
#[derive(Serialize)]
struct Contrasted {
    classes: [usize; 2],
    difference: Vec<Vec<f32>>,
    correlation: Option<f32>,
    share: f32,
}

/// The object of `compare.json` for two networks.
#[derive(Serialize)]
struct NetworksObject<'a> {
    before: MapsObject<'a>,
    after: MapsObject<'a>,
    moved: &'a [Moved],
}

/// A class that both networks map.
#[derive(Serialize)]
pub struct Moved {
    pub label: String,
    /// The index in each network.
    pub classes: [usize; 2],
    /// Pearson's correlation of the two maps; `None` if one of them is constant.
    pub correlation: Option<f32>,
}

/// The object of `gradcam.json` and of `occlude gradcam --json`.
#[derive(Serialize)]
struct GradCamsObject<'a> {
    #[serde(flatten)]
    origin: Provenance<'a>,
    input_size: [usize; 2],
    resize: String,
    layer: &'a str,
    score: String,
    grid: [usize; 2],
    classes: Vec<MappedClass<'a>>,
    maps: Vec<Vec<Vec<f32>>>,
    threads: usize,
    isa: String,
}

/// The object of `occlude classify --json`.
#[derive(Serialize)]
struct ClassesObject<'a> {
    image: String,
    network: String,
    classes: Vec<RankedClass<'a>>,
}

#[derive(Serialize)]
struct RankedClass<'a> {
    index: usize,
    synset: &'a str,
    label: &'a str,
    probability: f32,
    logit: f32,
}

/// The object of `map.json`, in one line with a line end.
pub fn maps(explanation: &Explanation) -> String {
    line(&with_run(explanation))
}

/// The object of [`maps`] with those of its classes whose places are `held`, in this order; without the facts
/// about the run if the explanation was made from stored results, and without a value for each pixel if those
/// of the parts say the same.
pub fn some_maps(explanation: &Explanation, held: &[usize]) -> String {
    fn keep<T>(values: &mut Vec<T>, held: &[usize]) {
        let mut all: Vec<_> = std::mem::take(values).into_iter().map(Some).collect();
        // Without values there are none to keep.
        values.extend(held.iter().filter_map(|&k| all.get_mut(k)?.take()));
    }
    let mut object = if explanation.was_swept() { with_run(explanation) } else { result(explanation) };
    keep(&mut object.classes, held);
    keep(&mut object.covered_scores, held);
    keep(&mut object.scores, held);
    keep(&mut object.maps, held);
    object.faithfulness.retain(|curves| held.iter().any(|&k| explanation.maps.classes[k] == curves.class));
    keep(&mut object.pairs, held);
    keep(&mut object.robust, held);
    keep(&mut object.attributions, if object.segments.is_empty() { held } else { &[] });
    line(&object)
}

/// The object of [`maps`] without `elapsed_seconds`, `threads` and `isa`. Its bytes are the same on
/// every machine and in every run.
pub fn reproducible_maps(explanation: &Explanation) -> String {
    line(&result(explanation))
}

/// The object of `compare.json`, in one line with a line end.
pub fn comparison(explanations: &[Explanation], contrasts: &[Contrast]) -> String {
    let columns = explanations[0].maps.grid[1];
    let contrast = |contrast: &Contrast| Contrasted {
        classes: contrast.classes,
        difference: nested(&contrast.difference, columns),
        correlation: contrast.correlation,
        share: contrast.share,
    };
    line(&ComparisonObject {
        images: explanations.iter().map(with_run).collect(),
        contrasts: contrasts.iter().map(contrast).collect(),
    })
}

/// The object of `compare.json` for two networks, in one line with a line end.
pub fn networks([before, after]: &[Explanation; 2], moved: &[Moved]) -> String {
    line(&NetworksObject { before: with_run(before), after: with_run(after), moved })
}

fn with_run(explanation: &Explanation) -> MapsObject<'_> {
    MapsObject { run: Some(explanation.run_info()), ..result(explanation) }
}

fn result(explanation: &Explanation) -> MapsObject<'_> {
    let maps = &explanation.maps;
    let [rows, columns] = maps.grid;
    MapsObject {
        origin: explanation.provenance(),
        sweep: explanation.sweep_options(),
        grid: maps.grid,
        segments: maps.segments.as_ref().map_or_else(Vec::new, segments),
        classes: (0..maps.classes.len()).map(|k| mapped(explanation, k)).collect(),
        covered_scores: maps.covered_scores.clone(),
        scores: maps.scores.chunks(rows * columns).map(|map| map.chunks(columns).collect()).collect(),
        maps: (0..maps.classes.len()).map(|class| nested(maps.map(class).values(), columns)).collect(),
        argmax: maps.argmax.chunks(columns).collect(),
        argmax_scores: maps.argmax_scores.chunks(columns).collect(),
        activations: maps
            .features
            .iter()
            .enumerate()
            .map(|(f, feature)| Activation {
                layer: &feature.layer,
                channel: feature.channel,
                base_total: feature.base_total,
                totals: feature.totals.chunks(columns).collect(),
                map: nested(maps.feature_map(f).values(), columns),
            })
            .collect(),
        attributions: match explanation.aggregate {
            Aggregate::None => Vec::new(),
            Aggregate::Windows => {
                (0..maps.classes.len()).map(|class| nested(&maps.attributions(class), INPUT_SIDE)).collect()
            }
        },
        faithfulness: explanation
            .faithfulness
            .iter()
            .map(|(method, curves)| Faithful {
                method: method.name(),
                class: curves.class,
                deletion_area: curves.deletion_area(),
                insertion_area: curves.insertion_area(),
                shares: &curves.shares,
                deletion: &curves.deletion,
                insertion: &curves.insertion,
            })
            .collect(),
        pairs: interactions(explanation),
        robust: repetitions(explanation),
        positions: rows * columns,
        run: None,
    }
}

/// The field `pairs` of `map.json`.
pub fn interactions(explanation: &Explanation) -> Vec<Interacting<'_>> {
    let found = explanation.pairs.iter().zip(0..);
    found.map(|(found, k)| interacting(&explanation.maps, k, found)).collect()
}

/// The field `robust` of `map.json`.
pub fn repetitions(explanation: &Explanation) -> Vec<Repeated> {
    (0..explanation.maps.classes.len()).filter_map(|k| repeated(explanation, k)).collect()
}

fn repeated(explanation: &Explanation, k: usize) -> Option<Repeated> {
    let survey = explanation.survey(k)?;
    let (maps, columns) = (&explanation.maps, explanation.maps.grid[1]);
    let repetition = |(m, maps): (usize, &OcclusionMaps)| Repetition {
        mask_size: maps.mask_size,
        mask_value: fill(maps.mask_value),
        grid: maps.grid,
        largest: survey.largest[m],
        correlation: survey.correlations[m],
        map: nested(maps.map(k).values(), columns),
    };
    let strongest = |([row, column], among): ([usize; 2], usize)| {
        let [y, x] = maps.centre(row, column);
        Strongest { x, y, among }
    };
    Some(Repeated {
        class: maps.classes[k],
        mean: nested(survey.mean.values(), columns),
        agreeing: survey.agreeing.chunks(columns).map(<[usize]>::to_vec).collect(),
        needed: survey.needed,
        agreement: survey.agreement(),
        strongest: survey.strongest.map(strongest),
        maps: explanation.robust.iter().enumerate().map(repetition).collect(),
    })
}

fn interacting<'a>(maps: &OcclusionMaps, k: usize, found: &'a PlacePairs) -> Interacting<'a> {
    let place = |&[row, column]: &[usize; 2]| {
        let [y, x] = maps.centre(row, column);
        let Rect { y0, x0, y1, x1 } = maps.mask_rect(row, column);
        Place { x, y, covered: [y0, x0, y1, x1], drop: maps.map(k).get(row, column) }
    };
    let measured = found.measured.as_ref();
    let pair = |places @ [i, j]: [usize; 2]| {
        let measured = measured?;
        Some(Pair { places, missed: measured.missed(i, j), index: measured.index(i, j) })
    };
    Interacting {
        class: maps.classes[k],
        places: found.positions.iter().map(place).collect(),
        scores: measured.map_or(&[], |measured| &measured.scores),
        pairs: pairs(found.positions.len()).filter_map(pair).collect(),
    }
}

/// The object of `gradcam.json`, in one line with a line end.
pub fn gradcams(
    session: &Session,
    source: &LoadedPhotograph,
    said: &Classification,
    maps: &GradCam,
) -> String {
    let [_, columns] = maps.grid;
    line(&GradCamsObject {
        origin: Provenance::of(session, source),
        input_size: [INPUT_SIDE; 2],
        resize: session.resize.to_string(),
        layer: &maps.layer,
        score: Score::Probability.to_string(),
        grid: maps.grid,
        classes: maps
            .classes
            .iter()
            .map(|&class| MappedClass {
                index: Some(class),
                label: session.labels.words(class).to_string(),
                base_score: said.probabilities[class],
                against: &[],
                members: &[],
            })
            .collect(),
        maps: (0..maps.classes.len()).map(|k| nested(maps.map(k).values(), columns)).collect(),
        threads: rayon::current_num_threads(),
        isa: session.net.isa().to_string(),
    })
}

fn segments(segments: &Segments) -> Vec<SegmentObject> {
    let object = |(index, &number): (usize, &u32)| {
        let Rect { y0, x0, y1, x1 } = segments.bounds(index);
        SegmentObject { number, pixels: segments.pixels(index), r#box: [y0, x0, y1, x1] }
    };
    segments.numbers().iter().enumerate().map(object).collect()
}

/// The subject of the `k`-th map.
pub fn mapped(maps: &impl Subjects, k: usize) -> MappedClass<'_> {
    let is_of_class = maps.score().is_of_class();
    let target = &maps.targets()[k];
    let classes = &target.against[..];
    let (against, members) = if is_of_class { (classes, &[][..]) } else { (&[][..], classes) };
    MappedClass {
        index: is_of_class.then_some(target.class),
        label: maps.subject(k),
        base_score: maps.base_scores()[k],
        against,
        members,
    }
}

fn nested(map: &[f32], columns: usize) -> Vec<Vec<f32>> {
    map.chunks(columns).map(<[f32]>::to_vec).collect()
}

pub fn fill(value: MaskValue) -> Fill {
    match value {
        MaskValue::Rgb(rgb) => Fill::Colour(rgb),
        other => Fill::Image(other.to_string()),
    }
}

/// The object of `occlude classify --json`, in one line with a line end.
pub fn classes(
    image: &Path,
    network: String,
    classification: &Classification,
    top: &[usize],
    labels: &Labels,
) -> String {
    let ranked = |&index: &usize| RankedClass {
        index,
        synset: labels.get(index).map_or("", |label| &label.synset),
        label: labels.words(index),
        probability: classification.probabilities[index],
        logit: classification.logits[index],
    };
    line(&ClassesObject { image: shown(image), network, classes: top.iter().map(ranked).collect() })
}

/// An object as JSON, in one line with a line end. Characters that messages escape (see
/// [`is_control`]) have JSON's own escapes, also those that JSON allows in strings, so that the line
/// can be printed on a terminal.
pub fn line(object: &impl Serialize) -> String {
    let text = serde_json::to_string(object).expect("strings, numbers and lists of them");
    if !text.contains(is_control) {
        return text + "\n";
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match is_control(c) {
            true => write!(escaped, "\\u{:04x}", u32::from(c)).expect("writing to a string"),
            false => escaped.push(c),
        }
    }
    escaped + "\n"
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_line_is_printable_json_with_the_same_text() {
        let text = "a\nb\u{7f}\u{9b}31m\u{202e}\u{2028}\u{200b}\u{feff}\"\\ \u{200d}ä";
        let line = super::line(&text);
        assert!(!line.trim_end_matches('\n').contains(occlude::text::is_control), "{line}");
        assert!(line.contains("\\u202e") && line.contains("\u{200d}ä"), "{line}");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    }

    #[test]
    fn floats_come_back_as_the_same_bits() {
        // Most readers read f64. The step 0x9e3779b9 reaches all exponents.
        let mut bits = 1u32;
        for _ in 0..100_000 {
            bits = bits.wrapping_add(0x9e37_79b9);
            let value = f32::from_bits(bits);
            if value.is_finite() {
                let text = serde_json::to_string(&value).unwrap();
                assert_eq!((text.parse::<f64>().unwrap() as f32).to_bits(), bits, "{text}");
            }
        }
    }
}

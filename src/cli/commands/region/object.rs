//! The object of `region.json`.

use occlude::network::INPUT_SIDE;
use occlude::{Classification, RegionPart, Threshold};
use serde::Serialize;

use super::{ClassRegions, Placed, Searched, scores};
use crate::cli::args::Region;
use crate::cli::explanation::Explanation;
use crate::cli::output::json::{self, Fill, Provenance};

#[derive(Serialize)]
struct RegionsObject<'a> {
    #[serde(flatten)]
    origin: Provenance<'a>,
    photograph_size: [usize; 2],
    input_size: [usize; 2],
    mask_size: [usize; 2],
    stride: [usize; 2],
    mask_value: Fill,
    mask_clipping: bool,
    region: [usize; 4],
    resize: String,
    placement: String,
    score: String,
    threshold: Level,
    tile: usize,
    classes: Vec<ClassObject<'a>>,
    elapsed_seconds: f64,
    threads: usize,
    isa: &'a str,
}

/// A share of the maximum, or the name of a method.
#[derive(Serialize)]
#[serde(untagged)]
enum Level {
    Share(f32),
    Method(&'static str),
}

#[derive(Serialize)]
struct ClassObject<'a> {
    index: usize,
    label: &'a str,
    base_score: f32,
    evidence: EvidenceObject,
    keeping: SearchObject<'a>,
    losing: SearchObject<'a>,
}

#[derive(Serialize)]
struct EvidenceObject {
    level: Option<f32>,
    #[serde(flatten)]
    place: PlaceObject,
}

#[derive(Serialize)]
struct SearchObject<'a> {
    found: bool,
    classifications: usize,
    #[serde(flatten)]
    part: Option<FoundObject<'a>>,
}

#[derive(Serialize)]
struct FoundObject<'a> {
    #[serde(flatten)]
    place: PlaceObject,
    picture_share: f32,
    alone: ScoresObject<'a>,
    without: ScoresObject<'a>,
}

#[derive(Serialize)]
struct PlaceObject {
    share: f32,
    parts: Vec<PartObject>,
}

#[derive(Serialize)]
struct PartObject {
    share: f32,
    r#box: [usize; 4],
    contours: Vec<Vec<[usize; 2]>>,
}

#[derive(Serialize)]
struct ScoresObject<'a> {
    score: f32,
    predicted: usize,
    label: &'a str,
    predicted_score: f32,
}

/// The object in one line with a line end.
pub fn json(explanation: &Explanation, regions: &[ClassRegions], args: &Region) -> String {
    let maps = &explanation.maps;
    let photograph = &explanation.photograph;
    let scored = |class: usize, said: &Classification| {
        let (scores, predicted) = (scores(said, maps.score), said.best());
        ScoresObject {
            score: scores[class],
            predicted,
            label: explanation.labels.words(predicted),
            predicted_score: scores[predicted],
        }
    };
    let searched = |class: usize, found: &Option<Searched>, classifications: usize| SearchObject {
        found: found.is_some(),
        classifications,
        part: found.as_ref().map(|found| FoundObject {
            place: place(&found.placed),
            picture_share: found.picture_share(),
            alone: scored(class, &found.part.alone),
            without: scored(class, &found.part.without),
        }),
    };
    let of_class = |regions: &ClassRegions| {
        let (class, [to_keep, to_lose]) = (regions.class, regions.classifications);
        ClassObject {
            index: class,
            label: explanation.labels.words(class),
            base_score: regions.base_score,
            evidence: EvidenceObject { level: regions.level, place: place(&regions.evidence) },
            keeping: searched(class, &regions.keeping, to_keep),
            losing: searched(class, &regions.losing, to_lose),
        }
    };
    json::line(&RegionsObject {
        origin: explanation.provenance(),
        photograph_size: [photograph.height(), photograph.width()],
        input_size: [INPUT_SIDE; 2],
        mask_size: maps.mask_size,
        stride: maps.stride,
        mask_value: json::fill(maps.mask_value),
        mask_clipping: maps.mask_clipping,
        region: [maps.region.y0, maps.region.x0, maps.region.y1, maps.region.x1],
        resize: explanation.resize.to_string(),
        placement: explanation.placement.to_string(),
        score: maps.score.to_string(),
        threshold: match args.threshold {
            Threshold::Share(share) => Level::Share(share),
            _ => Level::Method("otsu"),
        },
        tile: args.tile,
        classes: regions.iter().map(of_class).collect(),
        elapsed_seconds: explanation.elapsed_seconds,
        threads: explanation.threads,
        isa: &explanation.isa,
    })
}

fn place(placed: &Placed) -> PlaceObject {
    let [height, width] = placed.region.size();
    let part = |part: &RegionPart| PartObject {
        share: (part.area as f64 / (height * width) as f64) as f32,
        r#box: [part.bounds.y0, part.bounds.x0, part.bounds.y1, part.bounds.x1],
        contours: part.contours.clone(),
    };
    PlaceObject { share: placed.region.share(), parts: placed.parts.iter().map(part).collect() }
}

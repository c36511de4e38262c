//! The object of `region.json`.

use occlude::{Classification, RegionPart, Threshold};
use serde::Serialize;

use super::{ClassRegions, Placed, Searched};
use crate::cli::args::Region;
use crate::cli::explanation::Explanation;
use crate::cli::output::json::{self, Provenance, RunInfo, SweepOptions};

#[derive(Serialize)]
struct RegionsObject<'a> {
    #[serde(flatten)]
    origin: Provenance<'a>,
    photograph_size: [usize; 2],
    #[serde(flatten)]
    sweep: SweepOptions,
    threshold: Level,
    tile: usize,
    classes: Vec<ClassObject<'a>>,
    #[serde(flatten)]
    run: RunInfo<'a>,
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
        let (scores, predicted) = (maps.score.outputs(said), said.best());
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
        sweep: explanation.sweep_options(),
        threshold: match args.threshold {
            Threshold::Share(share) => Level::Share(share),
            _ => Level::Method("otsu"),
        },
        tile: args.tile,
        classes: regions.iter().map(of_class).collect(),
        run: explanation.run_info(),
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

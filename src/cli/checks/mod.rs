//! The checks of a map: repetitions under changes after which it must differ, or must not, and what
//! follows.
//!
//! This module writes no files and draws no figures.

mod verdict;

use occlude::network::{MEAN_BGR, Network, Op};
use occlude::{GoogLeNet, Input, MaskValue, OcclusionMaps, Progress, Result, Score, Weights};
use serde::Serialize;

use crate::cli::explanation::{Explanation, LoadedPhotograph, Question, Session};
use crate::cli::output::json::{Provenance, RunInfo, SweepOptions, line};
use crate::cli::output::subject::Subjects;
use crate::cli::output::table::counted;
use crate::cli::repeats::Changed;
use crate::cli::terminal::threads::another_pool;
pub use verdict::Verdict;
use verdict::{Expected, Relation, is_flat, rule};

/// The seed of the shuffled layers and of the noise.
const SEED: u64 = 1;

/// The blocks whose layers are shuffled, from the last to the first: the name in the output, and the
/// beginning of the names of their layers, without the underscores of BVLC's. Each stage keeps what the
/// stages before have shuffled.
const STAGES: [(&str, Option<&str>); 5] = [
    ("last layer", None),
    ("inception 5", Some("inception5")),
    ("inception 4", Some("inception4")),
    ("inception 3", Some("inception3")),
    ("first convolutions", Some("conv")),
];

/// A check and its result.
#[derive(Serialize)]
pub struct Check {
    pub name: String,
    #[serde(skip)]
    expected: Expected,
    /// The kind of the scores of both maps.
    pub score: String,
    spearman: Option<f32>,
    pearson: Option<f32>,
    pub passed_if: String,
    pub verdict: Verdict,
    pub meaning: &'static str,
    pub map: Vec<Vec<f32>>,
}

impl Check {
    fn new(name: String, expected: Expected, before: &Swept, after: &Swept) -> Check {
        let (before, map) = (&before.drops, &after.drops);
        let relation = Relation::of(before, map);
        // The correlation of rounding errors means nothing.
        let is_defined = expected == Expected::Identical || !is_flat(before) && !is_flat(map);
        let relation = match is_defined {
            true => relation,
            false => Relation { spearman: None, pearson: None, ..relation },
        };
        let verdict = relation.verdict(expected);
        Check {
            name,
            expected,
            score: after.score.to_string(),
            spearman: relation.spearman,
            pearson: relation.pearson,
            passed_if: rule(expected),
            verdict,
            meaning: meaning(expected, verdict, is_defined),
            map: map.chunks(after.columns).map(<[f32]>::to_vec).collect(),
        }
    }

    /// The result in a few words.
    pub fn found(&self) -> String {
        match (self.expected, self.spearman) {
            (Expected::Identical, _) => match self.verdict {
                Verdict::Passed => "the same bits".to_string(),
                _ => "other bits".to_string(),
            },
            (_, Some(spearman)) => format!("{spearman:.2}"),
            (_, None) => "undefined".to_string(),
        }
    }
}

/// The meaning of a verdict for the map.
fn meaning(expected: Expected, verdict: Verdict, is_defined: bool) -> &'static str {
    match (expected, verdict) {
        (_, Verdict::Inconclusive) if !is_defined => {
            "a map is nearly constant, or has one position, so that its correlation means nothing"
        }
        (Expected::Unrelated, Verdict::Passed) => "the map depends on what these layers have learned",
        (Expected::Unrelated, Verdict::NotPassed) => {
            "the map hardly depends on what these layers have learned: it may show the picture, not the reason"
        }
        (Expected::Unrelated, Verdict::Inconclusive) => {
            "a part of the map remains without what these layers have learned"
        }
        (Expected::Other, Verdict::Passed) => "the map is about its class",
        (Expected::Other, Verdict::NotPassed) => {
            "both classes have the same map: it shows what they have in common, or the object, not the difference"
        }
        (Expected::Other, Verdict::Inconclusive) => "the classes share a part of their evidence",
        (Expected::Same, Verdict::Passed) => "the map does not hang on invisible details of the picture",
        (Expected::Same, Verdict::NotPassed) => {
            "an invisible change of the picture changes the map: do not trust it"
        }
        (Expected::Same, Verdict::Inconclusive) => {
            "an invisible change of the picture changes weak parts of the map"
        }
        (Expected::Identical, Verdict::Passed) => "the map can be reproduced",
        (Expected::Identical, _) => "the map cannot be reproduced; please report this as an error",
    }
}

/// The map of one class.
struct Swept {
    drops: Vec<f32>,
    columns: usize,
    score: Score,
}

impl Swept {
    fn of(maps: &OcclusionMaps, k: usize) -> Swept {
        Swept { drops: maps.map(k).values().to_vec(), columns: maps.grid[1], score: maps.score.clone() }
    }
}

/// A map and its checks.
pub struct Checked {
    pub explanation: Explanation,
    /// The class beside the first one, if the score compares no classes by itself.
    other: Option<usize>,
    pub checks: Vec<Check>,
}

/// The object of `check.json` and of `occlude check --json`.
#[derive(Serialize)]
struct Record<'a> {
    #[serde(flatten)]
    origin: Provenance<'a>,
    #[serde(flatten)]
    sweep: SweepOptions,
    grid: [usize; 2],
    class: Option<usize>,
    label: String,
    base_score: f32,
    other_class: Option<usize>,
    seed: u64,
    map: Vec<Vec<f32>>,
    checks: &'a [Check],
    #[serde(flatten)]
    run: RunInfo<'a>,
}

impl Checked {
    /// The contents of `check.json`.
    pub fn json(&self) -> String {
        let Checked { explanation, other, checks } = self;
        let maps = &explanation.maps;
        line(&Record {
            origin: explanation.provenance(),
            sweep: explanation.sweep_options(),
            grid: maps.grid,
            class: maps.score.is_of_class().then_some(maps.classes[0]),
            label: explanation.subject(0),
            base_score: maps.base_scores[0],
            other_class: *other,
            seed: SEED,
            map: maps.map(0).values().chunks(maps.grid[1]).map(<[f32]>::to_vec).collect(),
            checks,
            run: explanation.run_info(),
        })
    }
}

/// Checks the map of the first class of a question. `shuffled` are the weights of the session;
/// `progress` receives the positions that are done and all positions.
pub fn check(
    session: &Session,
    mut shuffled: Weights,
    source: LoadedPhotograph,
    question: &Question,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Checked> {
    let input = source.photograph.picture(session.resize).input();
    // The first sweep, one for each stage, the other class, noise, and threads.
    let sweeps = STAGES.len() + 4;
    let show = |before: usize, now: Progress| progress(before * now.total + now.done, sweeps * now.total);
    let explanation = session.sweep(source, question, &|now| show(0, now), None)?;
    let maps = &explanation.maps;
    let class = maps.classes[0];
    let mut done = 0;
    let own = &maps.score;
    let mut sweep = |net: &GoogLeNet, input: &Input, score: &Score, class: usize| {
        done += 1;
        let before = done.min(sweeps - 1);
        let classes = if score.is_of_class() { vec![class] } else { Vec::new() };
        let segments = maps.segments.as_ref();
        let changed = Changed { net, input, score: score.clone(), classes, segments };
        Ok(Swept::of(&session.sweep_with(question, changed, &|now| show(before, now))?, 0))
    };
    let before = Swept::of(maps, 0);
    let mut before_logits = None;
    let mut checks = Vec::new();
    for (i, (name, prefix)) in STAGES.into_iter().enumerate() {
        let layers = layers(session.net.network(), prefix);
        shuffled = shuffled.shuffled(&layers.iter().map(String::as_str).collect::<Vec<_>>(), SEED);
        let net = GoogLeNet::new(&shuffled)?;
        let name = if i == 0 { format!("{name} shuffled") } else { format!("and {name} shuffled") };
        let after = sweep(&net, &input, own, class)?;
        let is_constant = is_flat(&before.drops) || is_flat(&after.drops);
        if !is_constant || own.is_of_logits() || !own.is_of_class() {
            checks.push(Check::new(name, Expected::Unrelated, &before, &after));
            continue;
        }
        let before = match before_logits.take() {
            Some(before) => before,
            None => sweep(&session.net, &input, &Score::Logit, class)?,
        };
        let after = sweep(&net, &input, &Score::Logit, class)?;
        checks.push(Check::new(name, Expected::Unrelated, &before, &after));
        before_logits = Some(before);
    }
    let against = &maps.targets[0].against;
    let is_other = |other: &usize| *other != class && !against.contains(other);
    let all = maps.classification.top(session.labels.count());
    let other = maps.classes.get(1).copied().or_else(|| all.into_iter().find(is_other));
    // The map of a contrast or a margin for a near class is the first one with the other sign, whatever the map
    // is worth.
    let other = other.filter(|_| matches!(own, Score::Probability | Score::Logit));
    if let Some(other) = other {
        let after = match maps.classes.len() {
            1 => sweep(&session.net, &input, own, other)?,
            _ => Swept::of(maps, 1),
        };
        let name = format!("another class: {}", session.labels.short(other));
        checks.push(Check::new(name, Expected::Other, &before, &after));
    }
    let after = sweep(&session.net, &noisy(&input)?, own, class)?;
    checks.push(Check::new("noise of one grey level".to_string(), Expected::Same, &before, &after));
    // With little memory, the map is computed again on the threads that there are.
    let other_pool = another_pool();
    let (threads, after) = match &other_pool {
        Some(pool) => (pool.current_num_threads(), pool.install(|| sweep(&session.net, &input, own, class))?),
        None => (rayon::current_num_threads(), sweep(&session.net, &input, own, class)?),
    };
    let name = format!("again on {}", counted(threads, "thread"));
    checks.push(Check::new(name, Expected::Identical, &before, &after));
    Ok(Checked { explanation, other, checks })
}

/// The layers with weights whose names begin in this way; the last layer for none.
fn layers(network: &Network, prefix: Option<&str>) -> Vec<String> {
    let layers = network.layers.iter().filter(|layer| network.weight_shape(layer).is_some());
    let belong = layers.filter(|layer| match prefix {
        None => layer.op == Op::Classifier,
        Some(prefix) => layer.name.replace('_', "").starts_with(prefix),
    });
    belong.map(|layer| layer.name.clone()).collect()
}

/// The picture with one grey level more or less in each value, at random, within 0..=255.
fn noisy(input: &Input) -> Result<Input> {
    let noise = MaskValue::Noise(SEED).covered(input)?;
    let levels = input.values().iter().zip(noise.values()).zip(MEAN_BGR.iter().cycle());
    let changed = levels.map(|((value, noise), mean)| {
        let step = if noise + mean < 127.5 { -1.0 } else { 1.0 };
        (value + mean + step).clamp(0.0, 255.0) - mean
    });
    Input::from_nhwc_bgr(changed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_layer_with_weights_is_shuffled_in_one_stage() {
        for network in [Network::googlenet(), Network::torchvision(1000)] {
            let all = network.layers.iter().filter(|layer| network.weight_shape(layer).is_some());
            let mut all: Vec<String> = all.map(|layer| layer.name.clone()).collect();
            let stages = STAGES.map(|(_, prefix)| layers(&network, prefix));
            assert!(stages.iter().all(|layers| !layers.is_empty()), "{}: {stages:?}", network.name);
            let mut shuffled = stages.concat();
            all.sort();
            shuffled.sort();
            assert_eq!(shuffled, all, "{}", network.name);
        }
    }
}

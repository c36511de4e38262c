//! Further questions about an explanation: repetitions of its sweep with changes, the interactions of the
//! strongest places, measures of its maps; and RISE.
//!
//! This module writes no files and draws no figures.

use occlude::explain::metrics::{ConfidenceChange, box_overlap, confidence_change, points_at, sparseness};
use occlude::network::geometry::Rect;
use occlude::{
    GoogLeNet, Input, Interactions, MaskValue, OcclusionMaps, Places, Prepared, Progress, Result, Rise,
    RiseMaps, Score, Segments, Threshold,
};

use crate::cli::args;
use crate::cli::args::classes::{Classes, check_count};
use crate::cli::explanation::{
    Explanation, LoadedPhotograph, Method, PixelMap, PlacePairs, Question, Session, named_as_here, options,
    require_finite,
};

/// The changes of a sweep that repeats another one.
pub struct Changed<'c> {
    pub net: &'c GoogLeNet,
    pub input: &'c Input,
    pub score: Score,
    pub classes: Vec<usize>,
    /// Those of the other sweep, if it has some.
    pub segments: Option<&'c Segments>,
}

/// The question that RISE answers: the options of the command line, with the classes and the score of one
/// network.
pub struct RiseQuestion<'a> {
    classes: Classes,
    score: Score,
    rise: Rise<'a>,
}

impl Session {
    /// Answers the further questions of the options of `occlude explain`: `--faithfulness`, `--pairs` and
    /// `--robust`. `progress` receives what is done and all that is to do.
    pub fn go_on(
        &self,
        explanation: &mut Explanation,
        question: &Question,
        args: &args::Explain,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<()> {
        let of_masks = |now: Progress| progress(now.done, now.total);
        if args.faithfulness {
            self.measure(explanation, question, &of_masks)?;
        }
        if let Some(count) = args.pairs {
            self.interact(explanation, question, count, &of_masks)?;
        }
        let masks = args.robust.masks(&args.sweep)?;
        match masks.is_empty() {
            true => Ok(()),
            false => self.repeat(explanation, question, &masks, progress),
        }
    }

    /// Runs the sweep of a question again with some changes.
    pub fn sweep_with(
        &self,
        question: &Question,
        Changed { net, input, score, classes, segments }: Changed,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<OcclusionMaps> {
        let progress = |done| {
            progress(done);
            self.control_flow()
        };
        let options = options(net, question, segments).features([]).classes(classes).score(score);
        let options = options.cancel(&self.cancel).on_progress(&progress);
        let maps = options.run(input).map_err(named_as_here)?;
        require_finite(&maps.scores)?;
        Ok(maps)
    }

    /// Measures the interactions of the strongest places of the map of each class, at most `count`.
    fn interact(
        &self,
        explanation: &mut Explanation,
        question: &Question,
        count: usize,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<()> {
        let maps = &explanation.maps;
        let rect = |&[row, column]: &[usize; 2]| maps.mask_rect(row, column);
        let chosen: Vec<Vec<[usize; 2]>> =
            (0..maps.classes.len()).map(|k| maps.strongest_places(k, count)).collect();
        let rects: Vec<Vec<Rect>> =
            chosen.iter().map(|positions| positions.iter().map(rect).collect()).collect();
        let asked = maps.classes.iter().zip(&rects).filter(|(_, rects)| rects.len() > 1);
        let asked: Vec<Places> = asked.map(|(class, rects)| (*class, &rects[..])).collect();
        let on_progress = |done| {
            progress(done);
            self.control_flow()
        };
        let sweep = question.sweep;
        let measurement =
            Interactions::new(&self.net).mask_value(sweep.mask_value).exhaustive(sweep.exhaustive);
        let measurement = measurement.score(question.score.clone()).on_progress(&on_progress);
        let input = explanation.photograph.picture(self.resize).input();
        let measured = measurement.run(&input, &asked)?;
        measured.iter().try_for_each(|found| require_finite(&found.scores))?;
        let mut measured = measured.into_iter();
        let pairs = |positions: Vec<[usize; 2]>| {
            let measured = if positions.len() > 1 { measured.next() } else { None };
            PlacePairs { asked: count, positions, measured }
        };
        explanation.pairs = chosen.into_iter().map(pairs).collect();
        Ok(())
    }

    /// Repeats the sweep for the same classes with masks of other sizes and fills. `progress` receives the
    /// positions that are done and all positions.
    fn repeat(
        &self,
        explanation: &mut Explanation,
        question: &Question,
        masks: &[([usize; 2], MaskValue)],
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<()> {
        let picture = Prepared::new(&self.net, explanation.photograph.picture(self.resize).input())?;
        let own = &explanation.maps;
        let classes = if own.score.is_of_class() { own.classes.clone() } else { Vec::new() };
        let count = own.argmax.len();
        let mut found = Vec::new();
        for (done, (size, fill)) in masks.iter().enumerate() {
            let is_own = *size == own.mask_size && *fill == question.sweep.mask_value;
            let on_progress = |now: Progress| {
                progress(done * count + now.done, masks.len() * count);
                self.control_flow()
            };
            let options = options(&self.net, question, None).features([]).classes(classes.clone());
            let options = options.mask_size(*size).mask_value(*fill).cancel(&self.cancel);
            let maps = match is_own {
                true => own.clone(),
                false => options.on_progress(&on_progress).run_prepared(&picture).map_err(named_as_here)?,
            };
            require_finite(&maps.scores)?;
            found.push(maps);
        }
        explanation.robust = found;
        Ok(())
    }

    /// The sparseness of a map, and the change of the probability of its class where only its evidence is seen.
    pub fn concentration(
        &self,
        explanation: &Explanation,
        map: &PixelMap,
    ) -> Result<(f32, ConfidenceChange)> {
        // Pixels outside of the region of mask centres have no evidence.
        let inside = |&value: &f32| if value == f32::MIN { 0.0 } else { value };
        let pixels: Vec<f32> = map.pixels.iter().map(inside).collect();
        let input = explanation.photograph.picture(self.resize).input();
        let unchanged = &explanation.maps.classification;
        let change = confidence_change(&self.net, &input, unchanged, (map.class, &pixels))?;
        Ok((sparseness(&pixels) as f32, change))
    }

    /// The question of RISE with the options of the command line, checked.
    pub fn rise_question(&self, args: &args::Rise) -> Result<RiseQuestion<'_>> {
        let classes = self.classes(&args.classes)?;
        let score = self.score(&classes, &args.score)?;
        let rise = Rise::new(&self.net).grid(args.cells()).probability(args.probability).masks(args.masks);
        let rise = rise.precision(args.precision).seed(args.seed).mask_value(args.mask_value);
        let rise = rise.score(score.clone());
        rise.check().map_err(named_as_here)?;
        Ok(RiseQuestion { classes, score, rise })
    }

    /// Runs RISE over a photograph.
    pub fn rise(
        &self,
        RiseQuestion { classes, score, rise }: RiseQuestion,
        source: &LoadedPhotograph,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<RiseMaps> {
        let classes = classes.resolve(&self.classify(source)?);
        check_count(&classes)?;
        let on_progress = |now| {
            progress(now);
            self.control_flow()
        };
        let input = source.photograph.picture(self.resize).input();
        let found = rise.on_progress(&on_progress).run(&input, &classes);
        let found = found.map_err(|error| self.contrasted(error, source, &score))?;
        require_finite(&found.classification.logits)?;
        found.maps.iter().chain(&found.standard_errors).try_for_each(|map| require_finite(map))?;
        Ok(found)
    }
}

/// Finds if the largest value of a map lies in a box of its class or near it, and the intersection over union
/// of the box around its evidence with the best box. False and 0 for a map without evidence.
pub fn agreement(
    explanation: &Explanation,
    map: &PixelMap,
    boxes: &[[f64; 4]],
    tolerance: f64,
) -> Result<(bool, f32)> {
    let evidence = match map.method {
        Method::Occlusion => {
            let k = explanation.maps.classes.iter().position(|class| *class == map.class);
            explanation.evidence(k.expect("a class of the explanation"))
        }
        Method::GradCam => map.pixels.clone(),
    };
    if evidence.iter().all(|value| *value <= 0.0) {
        return Ok((false, 0.0));
    }
    let framing = explanation.photograph.framing(explanation.resize);
    let points = points_at(&framing, &map.pixels, boxes, tolerance)?;
    Ok((points, box_overlap(&framing, &evidence, boxes, Threshold::default())?))
}

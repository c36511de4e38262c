//! Further questions about an explanation: repetitions of its sweep with changes, the interactions of the
//! strongest places, and RISE.
//!
//! This module writes no files and draws no figures.

use occlude::network::geometry::Rect;
use occlude::{
    GoogLeNet, Input, Interactions, MaskValue, OcclusionMaps, Places, Prepared, Progress, Result, Rise,
    Score, Segments,
};

use crate::cli::args;
use crate::cli::explanation::{
    Explanation, PlacePairs, Question, Session, named_as_here, options, require_finite,
};

/// The changes of a sweep that repeats another one.
pub struct Changed<'c> {
    pub net: &'c GoogLeNet,
    pub input: &'c Input,
    pub score: Score,
    pub classes: Vec<usize>,
    /// Those of the other sweep, if it has some.
    pub segments: Option<&'c Segments>,
    /// Threads of a pool of the sweep's own; 0 for the current one.
    pub threads: usize,
}

impl Session {
    /// Runs the sweep of a question again with some changes.
    pub fn sweep_with(
        &self,
        question: &Question,
        Changed { net, input, score, classes, segments, threads }: Changed,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<OcclusionMaps> {
        let progress = |done| {
            progress(done);
            self.control_flow()
        };
        let options = options(net, question, segments).features([]).classes(classes).score(score);
        let options = options.threads(threads).cancel(&self.cancel).on_progress(&progress);
        let maps = options.run(input).map_err(named_as_here)?;
        require_finite(&maps.scores)?;
        Ok(maps)
    }

    /// Measures the interactions of the strongest places of the map of each class, at most `count`.
    pub fn interact(
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
    pub fn repeat(
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

    /// RISE with the options of the command line.
    pub fn rise(&self, args: &args::Rise) -> Rise<'_> {
        let rise = Rise::new(&self.net).grid(args.cells()).probability(args.probability).masks(args.masks);
        rise.precision(args.precision).seed(args.seed).mask_value(args.mask_value).score(args.score())
    }
}

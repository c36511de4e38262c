//! Occlusion sensitivity: the change of a class's score when a mask covers a part of the image.
//!
//! Semantics and defaults are those of MATLAB's `occlusionSensitivity`; the idea is Zeiler and
//! Fergus, "Visualizing and understanding convolutional networks" (2014), section 4.2. The value at
//! a mask position is `score(unoccluded) - score(occluded)`: positive where the image holds
//! evidence for the class. The chapter is `docs/05-occlusion-map.md`.
//!
//! This file has the options and the run. `grid` or `segments` place the masks, `coverage` has their form, `mask` and
//! `fill` cover the
//! image with them, `runner`
//! gives batches of positions to the threads, `batch` computes one batch by the steps that `plan`
//! lists, `score` makes a number of each answer, `maps` holds the result.

pub(crate) mod batch;
pub(crate) mod channel_sum;
pub(crate) mod coverage;
pub(crate) mod fill;
mod grid;
mod inpaint;
mod maps;
pub(crate) mod mask;
pub(crate) mod plan;
mod prepared;
pub(crate) mod runner;
mod score;
mod segments;

pub use channel_sum::Feature;
pub use coverage::Shape;
pub use fill::MaskValue;
pub use maps::{FeatureMap, Map, OcclusionMaps};
pub use mask::Channel;
pub use prepared::Prepared;
pub use score::{Against, Score, Target};
pub use segments::{MAX_SEGMENTS, Segments};

use std::fmt;
use std::iter::once;
use std::ops::{ControlFlow, Range};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::forward::{Activations, Classification, GoogLeNet};
use crate::image::lattice::{Lattice, Placement};
use crate::network::geometry::Rect;
use crate::network::{INPUT_SIDE, Network};
use crate::parallel;
use crate::profile::{Cost, Profile};
use crate::stopwatch::Stopwatch;
use crate::{Error, Input, Result};
use batch::WorkspaceSize;
use channel_sum::ChannelSum;
use coverage::Coverage;
use grid::{Grid, serpentine};
use mask::{Mask, Masks};
use runner::{BatchRunner, too_low};

/// Chooses classes by the classification of the unoccluded image.
pub type Choose<'a> = dyn Fn(&Classification) -> Vec<usize> + Sync + 'a;

/// Called from a sweep's threads.
pub type OnProgress<'a> = dyn Fn(Progress) -> ControlFlow<()> + Sync + 'a;

/// Called between a sweep's refinements.
pub type OnRefinement<'a> = dyn Fn(&Refinement) -> ControlFlow<()> + Sync + 'a;

/// Progress of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Mask positions that are done.
    pub done: usize,
    /// Mask positions in all.
    pub total: usize,
}

/// The options of an occlusion sweep on a network, and [`run`](OcclusionSensitivity::run). A run
/// refuses options that are outside their range; [`check`](OcclusionSensitivity::check) refuses
/// them earlier.
///
/// ```
/// use occlude::{GoogLeNet, OcclusionSensitivity, Weights};
///
/// let net = GoogLeNet::new(&Weights::seeded(1))?;
/// let sweep = OcclusionSensitivity::new(&net).mask_size([30, 30]).stride([15, 15]);
/// assert!(sweep.check().is_ok());
/// let error = sweep.stride([0, 15]).check().unwrap_err();
/// assert_eq!(error.to_string(), "stride 0x15 is not possible: expected height and width of 1 to 224 pixels");
/// # Ok::<(), occlude::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing runs before `run`"]
pub struct OcclusionSensitivity<'a> {
    net: &'a GoogLeNet,
    mask_size: [usize; 2],
    stride: [usize; 2],
    mask_value: MaskValue,
    picture: Option<&'a Input>,
    shape: Shape,
    inverse: bool,
    channel: Option<Channel>,
    segments: Option<&'a Segments>,
    mask_clipping: bool,
    region: Rect,
    classes: Vec<usize>,
    choose: Option<&'a Choose<'a>>,
    features: Vec<Feature>,
    score: Score,
    exhaustive: bool,
    threads: usize,
    cancel: Option<&'a AtomicBool>,
    max_memory: usize,
    on_progress: Option<&'a OnProgress<'a>>,
    on_refinement: Option<&'a OnRefinement<'a>>,
}

/// The intermediate result of a sweep: a map of the whole grid in which some positions have the
/// values of neighbours.
#[derive(Debug)]
#[non_exhaustive]
pub struct Refinement<'m> {
    /// The maps; a position that has not been computed has the values of the nearest one that has.
    pub maps: &'m OcclusionMaps,
    /// Every `step`-th row and column of the grid has been computed.
    pub step: usize,
    /// Progress of the sweep.
    pub progress: Progress,
}

/// Default height and width of the mask: a fifth of the image.
pub const MASK_SIZE: [usize; 2] = [45, 45];

/// Steps through the grid, coarse to fine; each visits the positions that those before have left
/// out. The first visits a sixteenth.
const REFINEMENTS: [usize; 3] = [4, 2, 1];

impl fmt::Debug for OcclusionSensitivity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OcclusionSensitivity")
            .field("mask_size", &self.mask_size)
            .field("stride", &self.stride)
            .field("mask_value", &self.mask_value)
            .field("shape", &self.shape)
            .field("inverse", &self.inverse)
            .field("channel", &self.channel)
            .field("segments", &self.segments.map(Segments::count))
            .field("mask_clipping", &self.mask_clipping)
            .field("region", &self.region)
            .field("classes", &self.classes)
            .field("features", &self.features)
            .field("score", &self.score)
            .field("exhaustive", &self.exhaustive)
            .field("threads", &self.threads)
            .field("max_memory", &self.max_memory)
            .finish_non_exhaustive()
    }
}

impl<'a> OcclusionSensitivity<'a> {
    /// The default sweep: a mask of 45x45 pixels (20 % of the image's side) filled with the image's
    /// mean, moved by 22 pixels, clipped at the border, for the probability of the predicted class.
    pub fn new(net: &'a GoogLeNet) -> Self {
        OcclusionSensitivity {
            net,
            mask_size: MASK_SIZE,
            stride: [22, 22],
            mask_value: MaskValue::Auto,
            picture: None,
            shape: Shape::Rectangle,
            inverse: false,
            channel: None,
            segments: None,
            mask_clipping: true,
            region: Rect::plane(INPUT_SIDE),
            classes: Vec::new(),
            choose: None,
            features: Vec::new(),
            score: Score::Probability,
            exhaustive: false,
            threads: 0,
            cancel: None,
            max_memory: usize::MAX,
            on_progress: None,
            on_refinement: None,
        }
    }

    /// Height and width of the mask in pixels, each 1..=224; MATLAB's `MaskSize`.
    pub fn mask_size(self, mask_size: [usize; 2]) -> Self {
        OcclusionSensitivity { mask_size, ..self }
    }

    /// Step between masks, down and across, in pixels, each 1..=224; MATLAB's `Stride`.
    pub fn stride(self, stride: [usize; 2]) -> Self {
        OcclusionSensitivity { stride, ..self }
    }

    /// Fill of the mask; [`MaskValue`] has the ranges.
    pub fn mask_value(self, mask_value: MaskValue) -> Self {
        OcclusionSensitivity { mask_value, picture: None, ..self }
    }

    /// Fills masks with the same place of another picture.
    pub fn mask_picture(self, picture: &'a Input) -> Self {
        OcclusionSensitivity { mask_value: MaskValue::Picture, picture: Some(picture), ..self }
    }

    /// Form of the mask within its rectangle: all of it (the default), an ellipse, or a Gaussian.
    pub fn shape(self, shape: Shape) -> Self {
        OcclusionSensitivity { shape, ..self }
    }

    /// On: covers everything except the mask, so that only the mask shows the image. The map of a class is
    /// then what its score gains by that, compared with a completely covered image. Everything changes at
    /// every position, so that the sweep takes about the time of an exhaustive one. Off (the default).
    pub fn inverse(self, inverse: bool) -> Self {
        OcclusionSensitivity { inverse, ..self }
    }

    /// Covers one colour channel alone; `None` (the default) for all three.
    pub fn channel(self, channel: Option<Channel>) -> Self {
        OcclusionSensitivity { channel, ..self }
    }

    /// Covers segments of the image, one after the other, in place of a mask that slides: mask size, stride,
    /// shape, mask clipping and region have no effect. The results have a grid of one row, in which
    /// the columns are the segments. Captum's `FeatureAblation`.
    pub fn segments(self, segments: &'a Segments) -> Self {
        OcclusionSensitivity { segments: Some(segments), ..self }
    }

    /// On (the default): masks are centred at 0, stride, 2 stride, ..., and clipped at the border.
    /// Off: the first mask lies in the image's corner, and every mask lies wholly inside the image.
    /// MATLAB's `MaskClipping`.
    pub fn mask_clipping(self, mask_clipping: bool) -> Self {
        OcclusionSensitivity { mask_clipping, ..self }
    }

    /// Restricts the sweep to masks whose centre lies in this part of the image, in pixels, at most
    /// 224x224 (the default). The results are those of the whole sweep at these positions. MONAI's
    /// `b_box`.
    pub fn region(self, region: Rect) -> Self {
        OcclusionSensitivity { region, ..self }
    }

    /// The classes to map, each below the network's number of classes; none (the default) for the
    /// predicted class. Further classes cost nothing.
    pub fn classes(self, classes: impl Into<Vec<usize>>) -> Self {
        OcclusionSensitivity { classes: classes.into(), choose: None, ..self }
    }

    /// Chooses the classes to map once the unoccluded image has been classified:
    /// `&|classification| classification.top(3)`.
    pub fn choose_classes(self, choose: &'a Choose<'a>) -> Self {
        OcclusionSensitivity { choose: Some(choose), ..self }
    }

    /// Features to map beside the classes, by their total activation.
    pub fn features(self, features: impl Into<Vec<Feature>>) -> Self {
        OcclusionSensitivity { features: features.into(), ..self }
    }

    /// The score to map: the probability (the default), the logit, or a number made of several classes.
    pub fn score(self, score: Score) -> Self {
        OcclusionSensitivity { score, ..self }
    }

    /// Recomputes the whole network at each position instead of what the mask can have changed: the
    /// same bits, slower.
    pub fn exhaustive(self, exhaustive: bool) -> Self {
        OcclusionSensitivity { exhaustive, ..self }
    }

    /// Number of threads in a pool of the sweep's own, at most
    /// [`MAX_THREADS`](crate::parallel::MAX_THREADS); 0 (the default) uses the current rayon pool.
    /// At most four for each core are started, and no more work than there are batches of positions.
    pub fn threads(self, threads: usize) -> Self {
        OcclusionSensitivity { threads, ..self }
    }

    /// A flag that stops the sweep when any thread sets it: within a few milliseconds, except
    /// during the pass over the unoccluded image. [`run`](Self::run) then returns
    /// [`Error::Cancelled`].
    pub fn cancel(self, cancel: &'a AtomicBool) -> Self {
        OcclusionSensitivity { cancel: Some(cancel), ..self }
    }

    /// Limits the memory that the sweep takes while it runs, in bytes. Where it would take more,
    /// batches are smaller and fewer threads work. The limit covers the activations of the
    /// unoccluded image and each thread's workspace, but not the network (28 MB of weights for 1000
    /// classes) and the result. The numbers do not depend on it.
    pub fn max_memory(self, max_memory: usize) -> Self {
        OcclusionSensitivity { max_memory, ..self }
    }

    /// Calls `f` after every few positions, from the sweep's threads; `ControlFlow::Break` stops
    /// the sweep.
    pub fn on_progress(self, f: &'a OnProgress<'a>) -> Self {
        OcclusionSensitivity { on_progress: Some(f), ..self }
    }

    /// Runs the sweep coarse to fine and calls `f` when every fourth row and column of the grid has
    /// been computed, which takes about a tenth of the time, and again at every second one;
    /// `ControlFlow::Break` stops the sweep. The result has the same bits.
    pub fn on_refinement(self, f: &'a OnRefinement<'a>) -> Self {
        OcclusionSensitivity { on_refinement: Some(f), ..self }
    }

    /// The places of the values of a map on the image, which a run does not change; for a program that
    /// draws before or without one.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn lattice(&self, placement: Placement) -> Result<Lattice> {
        self.check()?;
        if self.segments.is_some() {
            return Ok(Lattice::cells([INPUT_SIDE; 2], Rect::plane(INPUT_SIDE)));
        }
        let [rows, columns] = self.positions();
        let first = [rows.start, columns.start];
        Ok(self.grid().lattice(first, [rows.len(), columns.len()], placement))
    }

    /// The image as the network sees it with the mask at a row and a column of the results' grid.
    ///
    /// # Errors
    /// As [`check`](Self::check); [`Error::Option`] if the position is outside the grid.
    pub fn masked(&self, input: &Input, [row, column]: [usize; 2]) -> Result<Input> {
        self.check()?;
        let [rows, columns] = self.positions();
        if row >= rows.len() || column >= columns.len() {
            let expected = format!("a row below {} and a column below {}", rows.len(), columns.len());
            return Err(Error::option("position", format!("{row},{column}"), expected));
        }
        let masks = self.masks(input);
        Input::from_nhwc_bgr(masks.masked(&self.coverage([rows.start + row, columns.start + column])))
    }

    /// Runs the sweep.
    ///
    /// # Errors
    /// [`Error::Option`] for an option outside its range, before anything is computed, and for a
    /// class that was chosen and does not exist; [`Error::Cancelled`] when the flag of
    /// [`cancel`](Self::cancel) was set or a callback stopped the sweep; [`Error::Memory`] when not even
    /// one thread has the memory that it needs.
    pub fn run(&self, input: &Input) -> Result<OcclusionMaps> {
        self.check()?;
        parallel::in_pool(self.threads, || Ok(self.sweep(input)?.0))
    }

    /// Runs the sweep on a picture whose unmasked activations are known already, with the same bits.
    /// It saves the pass that each [`run`](Self::run) begins with, most of the time for few positions.
    ///
    /// # Errors
    /// As [`run`](Self::run), and [`Error::Option`] if the picture was prepared for another network.
    pub fn run_prepared(&self, picture: &Prepared) -> Result<OcclusionMaps> {
        self.check_prepared(picture)?;
        self.check_bound()?;
        parallel::in_pool(self.threads, || Ok(self.sweep_over(&picture.input, &picture.activations)?.0))
    }

    /// Makes the maps of a picture as they are before any position has run: the numbers of the positions,
    /// `scores`, `argmax`, `argmax_scores` and the features' `totals`, are 0. A program that has stored
    /// those of a run with the same options puts them back here.
    ///
    /// # Errors
    /// [`Error::Option`] as for [`run_prepared`](Self::run_prepared).
    pub fn blank_maps(&self, picture: &Prepared) -> Result<OcclusionMaps> {
        self.check_prepared(picture)?;
        let (input, base) = (&picture.input, &picture.activations);
        let classification = base.classification();
        let classes = self.chosen_classes(&classification)?;
        self.maps_before(input, base, classification, classes, &self.channel_sums(base)?)
    }

    /// Runs the sweep and returns the cost of each layer instead of the maps.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn profile(&self, input: &Input) -> Result<Profile> {
        self.check()?;
        let start = Stopwatch::start();
        let (maps, costs) = parallel::in_pool(self.threads, || self.sweep(input))?;
        let positions = maps.grid[0] * maps.grid[1];
        Ok(Profile::new(self.net.network(), positions, start.seconds(), costs))
    }

    /// Checks the options without an image, for a program that takes them from its own input before
    /// it has the photograph. [`run`](Self::run) begins with this check.
    ///
    /// # Errors
    /// [`Error::Option`] for the first option outside its range. Only a run can tell whether the
    /// classes of [`choose_classes`](Self::choose_classes) exist and whether the system can start
    /// so many [`threads`](Self::threads).
    pub fn check(&self) -> Result<()> {
        let refuse = |name, found: String, expected: &str| {
            Err(Error::Option { name, found, expected: expected.to_string() })
        };
        for (name, [h, w]) in [("mask size", self.mask_size), ("stride", self.stride)] {
            if !(1..=INPUT_SIDE).contains(&h) || !(1..=INPUT_SIDE).contains(&w) {
                return refuse(name, format!("{h}x{w}"), "height and width of 1 to 224 pixels");
            }
        }
        self.mask_value.check()?;
        if self.mask_value == MaskValue::Picture && self.picture.is_none() {
            return refuse(
                "mask value",
                "picture".to_string(),
                "mask_picture in its place, with the picture",
            );
        }
        parallel::check_threads("number of threads", self.threads)?;
        let Rect { y0, x0, y1, x1 } = self.region;
        let found = format!("{y0},{x0},{y1},{x1}");
        if self.region.is_empty() || y1 > INPUT_SIDE || x1 > INPUT_SIDE {
            return refuse("region", found, "y0,x0,y1,x1 within 0 to 224, with y0 < y1 and x0 < x1");
        }
        if self.positions().iter().any(Range::is_empty) {
            return refuse("region", found, "a part of the image that holds the centre of at least one mask");
        }
        self.features.iter().try_for_each(|feature| feature.check(self.net.network()))?;
        self.score.check(self.net.network())?;
        self.score.check_mapped(&self.classes)?;
        check_classes(&self.classes, self.net.network())
    }

    /// Checks the options, and that a picture belongs to the same network.
    fn check_prepared(&self, picture: &Prepared) -> Result<()> {
        self.check()?;
        if !std::ptr::eq(self.net, picture.net) {
            return Err(Error::option("prepared picture of", "another network", "the network of the sweep"));
        }
        Ok(())
    }

    fn sweep(&self, input: &Input) -> Result<(OcclusionMaps, Vec<Cost>)> {
        self.check_bound()?;
        if self.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
            return Err(Error::Cancelled);
        }
        self.net.check_memory()?;
        self.sweep_over(input, &self.net.forward(input))
    }

    /// Refuses a bound on memory that the pass before the sweep exceeds, and says what is enough.
    fn check_bound(&self) -> Result<()> {
        let fixed_memory = self.net.pass_memory();
        if fixed_memory > self.max_memory {
            let [rows, columns] = self.positions();
            let positions = rows.flat_map(|y| columns.clone().map(move |x| [y, x]));
            let masks = positions.map(|at| once(self.bounds(at)));
            let worker = WorkspaceSize::of(self.net.network(), masks, &[], self.exhaustive).bytes();
            return Err(too_low(self.max_memory, fixed_memory + worker));
        }
        Ok(())
    }

    fn sweep_over(&self, input: &Input, base: &Activations) -> Result<(OcclusionMaps, Vec<Cost>)> {
        let classification = base.classification();
        let classes = self.chosen_classes(&classification)?;
        let channel_sums = self.channel_sums(base)?;
        let masks = self.masks(input);
        let cover = masks.cover(self.net.network());
        let copies = BatchRunner {
            channel_sums: &channel_sums,
            exhaustive: self.exhaustive,
            cancel: self.cancel,
            max_memory: self.max_memory,
            fixed_memory: self.net.pass_memory(),
            ..BatchRunner::new(self.net, base, &cover)
        };
        let mut maps = self.maps_before(input, base, classification, classes, &channel_sums)?;
        let progress = self.on_progress.unwrap_or(&|_| ControlFlow::Continue(()));
        let costs = match self.on_refinement {
            // Every fourth segment says nothing of those between.
            Some(refined) if self.segments.is_none() => {
                self.fill_coarse_to_fine(&mut maps, &copies, &masks, progress, refined)?
            }
            _ => {
                let order = serpentine(maps.grid, 1, None);
                self.fill(&mut maps, &copies, &masks, &order, 0, progress)?
            }
        };
        Ok((maps, costs))
    }

    /// The classification of the completely covered image.
    fn covered(&self, input: &Input) -> Result<Classification> {
        self.net.check_memory()?;
        let cover = self.masks(input).cover(self.net.network());
        Ok(self.net.forward_padded(&cover).classification())
    }

    fn masks<'i>(&self, input: &'i Input) -> Masks<'i> {
        Masks::new(self.net.network(), input, self.mask_value, self.picture, self.channel)
    }

    /// The pixels that the mask at a row and a column of the whole image's grid covers.
    fn coverage(&self, [row, column]: [usize; 2]) -> Coverage {
        let coverage = match self.segments {
            Some(segments) => segments.coverage(column),
            None => Coverage::centred(self.shape, self.mask_size, self.centre([row, column])),
        };
        if self.inverse { coverage.inverse() } else { coverage }
    }

    /// A rectangle that holds these pixels.
    fn bounds(&self, [row, column]: [usize; 2]) -> Rect {
        match self.segments {
            _ if self.inverse => Rect::plane(INPUT_SIDE),
            Some(segments) => segments.bounds(column),
            None => Rect::centred(self.centre([row, column]), self.mask_size, INPUT_SIDE),
        }
    }

    fn centre(&self, at: [usize; 2]) -> [usize; 2] {
        std::array::from_fn(|axis| self.grid().centre(axis, at[axis]))
    }

    /// True if the masks are copies of whole rectangles of the covered image.
    fn is_plain(&self) -> bool {
        let is_rectangle = self.segments.is_none() && self.shape == Shape::Rectangle;
        is_rectangle && !self.mask_value.is_local() && !self.inverse && self.channel.is_none()
    }

    fn chosen_classes(&self, classification: &Classification) -> Result<Vec<usize>> {
        let mut classes = self.choose.map_or_else(|| self.classes.clone(), |choose| choose(classification));
        check_classes(&classes, self.net.network())?;
        if classes.is_empty() {
            classes.push(classification.best());
        }
        self.score.check_mapped(&classes)?;
        Ok(classes)
    }

    fn channel_sums(&self, base: &Activations) -> Result<Vec<ChannelSum>> {
        self.features.iter().map(|feature| ChannelSum::new(self.net, base, feature)).collect()
    }

    /// Makes the maps before any position has run.
    fn maps_before(
        &self,
        input: &Input,
        base: &Activations,
        classification: Classification,
        classes: Vec<usize>,
        channel_sums: &[ChannelSum],
    ) -> Result<OcclusionMaps> {
        let [rows, columns] = self.positions();
        let count = rows.len() * columns.len();
        let feature_map = |(feature, watch): (&Feature, &ChannelSum)| FeatureMap {
            layer: feature.layer.clone(),
            channel: watch.named_channel(),
            base_total: watch.unoccluded(base),
            totals: vec![0.0; count],
        };
        let is_sliding = self.segments.is_none();
        let targets = self.score.targets(&classes, &classification);
        let covered = if self.inverse { Some(self.covered(input)?) } else { None };
        let covered_scores =
            covered.map(|covered| targets.iter().map(|target| target.of(&covered)).collect());
        Ok(OcclusionMaps {
            mask_size: if is_sliding { self.mask_size } else { [0; 2] },
            stride: if is_sliding { self.stride } else { [0; 2] },
            mask_value: self.mask_value.resolve(input),
            shape: self.shape,
            inverse: self.inverse,
            channel: self.channel,
            segments: self.segments.cloned(),
            mask_clipping: self.mask_clipping,
            region: self.region,
            score: self.score.clone(),
            grid: [rows.len(), columns.len()],
            first: [rows.start, columns.start],
            base_scores: targets.iter().map(|target| target.of(&classification)).collect(),
            covered_scores: covered_scores.unwrap_or_default(),
            scores: vec![0.0; classes.len() * count],
            argmax: vec![0; count],
            argmax_scores: vec![0.0; count],
            features: self.features.iter().zip(channel_sums).map(feature_map).collect(),
            classes,
            targets,
            classification,
        })
    }

    /// The rows and columns of positions whose centres lie in the region.
    fn positions(&self) -> [Range<usize>; 2] {
        if let Some(segments) = self.segments {
            return [0..1, 0..segments.count()];
        }
        [0, 1].map(|axis| self.grid().within(self.region, axis))
    }

    fn grid(&self) -> Grid {
        Grid { mask_size: self.mask_size, stride: self.stride, clipping: self.mask_clipping }
    }

    /// Runs some positions and writes their scores into the maps; `before` positions have run already.
    /// Returns the cost of each layer since the first of them.
    fn fill(
        &self,
        maps: &mut OcclusionMaps,
        copies: &BatchRunner,
        masks: &Masks,
        order: &[usize],
        before: usize,
        progress: &OnProgress,
    ) -> Result<Vec<Cost>> {
        let ([ny, nx], [first_row, first_column]) = (maps.grid, maps.first);
        let place = |i: usize| [first_row + i / nx, first_column + i % nx];
        let done = AtomicUsize::new(before);
        let shared = Mutex::new(maps);
        copies.run(
            order,
            |i| self.bounds(place(i)),
            |i| match self.is_plain() {
                true => Mask::rectangle(self.bounds(place(i))),
                false => masks.mask(&self.coverage(place(i))),
            },
            |positions, answers| {
                let mut maps = shared.lock().expect("no panic while it is held");
                for (&i, (classification, totals)) in positions.iter().zip(&answers) {
                    maps.record(i, classification, totals);
                }
                drop(maps);
                let done = done.fetch_add(positions.len(), Ordering::Relaxed) + positions.len();
                progress(Progress { done, total: ny * nx })
            },
        )
    }

    /// Runs all positions, those of the coarsest grid first. After each step except the last, `refined`
    /// receives the maps so far.
    fn fill_coarse_to_fine(
        &self,
        maps: &mut OcclusionMaps,
        copies: &BatchRunner,
        masks: &Masks,
        progress: &OnProgress,
        refined: &OnRefinement,
    ) -> Result<Vec<Cost>> {
        let total = maps.grid[0] * maps.grid[1];
        let (mut done, mut costs) = (0, Vec::new());
        for (i, &step) in REFINEMENTS.iter().enumerate() {
            let order = serpentine(maps.grid, step, i.checked_sub(1).map(|before| REFINEMENTS[before]));
            costs = self.fill(maps, copies, masks, &order, done, progress)?;
            done += order.len();
            if step > 1 {
                let maps = &maps.with_neighbours(step);
                let progress = Progress { done, total };
                if refined(&Refinement { maps, step, progress }).is_break() {
                    return Err(Error::Cancelled);
                }
            }
        }
        Ok(costs)
    }
}

pub(crate) fn check_classes(classes: &[usize], network: &Network) -> Result<()> {
    match classes.iter().find(|&&class| class >= network.classes()) {
        Some(class) => Err(Error::Option {
            name: "class",
            found: class.to_string(),
            expected: format!("an index of 0 to {}", network.classes() - 1),
        }),
        None => Ok(()),
    }
}

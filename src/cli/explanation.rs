//! The explanation of one photograph: the loaded network, the loaded photograph, the sweep with the
//! options of the command line, and its results.
//!
//! All sweeps for maps are started here. This module writes no files and draws no figures.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use occlude::image::lattice::{Lattice, middles};
use occlude::image::resize::upsample;
use occlude::network::INPUT_SIDE;
use occlude::network::geometry::Rect;
use occlude::text::shown;
use occlude::weights::Source;
use occlude::{
    Activations, Against, ClassInteractions, ClassParts, Classification, Curves, Error, Faithfulness,
    GoogLeNet, Input, Labels, MaskValue, OcclusionMaps, OcclusionSensitivity, Photograph, Placement,
    Prepared, Progress, Ranking, Refinement, Resize, Result, Score, Segments, Shape, SmallestParts,
    Upsampling, Weights,
};
use serde::Deserialize;

use crate::cli::args::classes::Classes;
use crate::cli::args::score::ScoreOption;
use crate::cli::args::{Aggregate, Common, Size, Sweep};
use crate::cli::checksum;
use crate::cli::masks::Segmentation;
use crate::cli::render::backdrop::CanvasShape;
use crate::cli::render::scale::range;
use crate::cli::source;
use crate::cli::terminal::progress::Waiting;
use crate::cli::terminal::{console, interrupt, panics};
use crate::cli::weights;

/// A loaded network and the data that identifies it.
#[derive(Clone)]
pub struct Session {
    pub net: Arc<GoogLeNet>,
    pub labels: Arc<Labels>,
    /// The network in words, for example "built-in network of 30 classes".
    pub network: String,
    pub weights_source: Source,
    pub weights_sha256: String,
    pub resize: Resize,
    /// Ends the sweeps and searches of this session when it is set.
    pub cancel: Arc<AtomicBool>,
}

/// The question that a sweep answers: the options of the command line, with the classes and the score of
/// one network.
#[derive(Clone)]
pub struct Question<'a> {
    pub classes: Classes,
    pub score: Score,
    pub sweep: &'a Sweep,
    /// The picture that fills the masks, if it is another one.
    picture: Option<Input>,
    segmentation: Option<Arc<Segmentation>>,
}

/// A loaded photograph and the data that identifies it.
#[derive(Clone)]
pub struct LoadedPhotograph {
    /// The file, as it was named; "-" is standard input.
    pub image: PathBuf,
    pub sha256: String,
    pub photograph: Arc<Photograph>,
}

/// A photograph and the results of the sweep over it.
#[derive(Clone)]
pub struct Explanation {
    /// The file, as it was named; "-" is standard input.
    pub image: PathBuf,
    pub image_sha256: String,
    pub photograph: Arc<Photograph>,
    pub resize: Resize,
    pub maps: OcclusionMaps,
    pub elapsed_seconds: f64,
    pub threads: usize,
    pub isa: String,
    /// The network in words.
    pub network: String,
    pub labels: Arc<Labels>,
    pub weights_sha256: String,
    /// The combination of the drops into the map that is drawn.
    pub aggregate: Aggregate,
    /// The places at which the values of the mask positions are drawn.
    pub placement: Placement,
    /// The curves of each method for each class; empty unless requested.
    pub faithfulness: Vec<(Method, Curves)>,
    /// The interactions of the strongest places of each class; empty unless requested.
    pub pairs: Vec<PlacePairs>,
    /// The maps of the same classes with other masks, at the same centres; empty unless requested.
    pub robust: Vec<OcclusionMaps>,
}

/// The fields of `map.json` from which an explanation is made again.
#[derive(Deserialize)]
pub struct Stored {
    scores: Vec<Vec<Vec<f32>>>,
    argmax: Vec<Vec<usize>>,
    argmax_scores: Vec<Vec<f32>>,
}

/// The strongest places of one class's map and their interactions.
#[derive(Clone)]
pub struct PlacePairs {
    /// The number of places that were asked for; there may be fewer.
    pub asked: usize,
    /// Rows and columns of the grid.
    pub positions: Vec<[usize; 2]>,
    /// `None` if there are less than two places.
    pub measured: Option<ClassInteractions>,
}

impl Session {
    /// Finds, checks and packs the weights.
    pub fn open(common: &Common) -> Result<Session> {
        let (weights, found) = weights::open_and_hash(common)?;
        Session::of(&weights, found, common.resize, interrupt::flag())
    }

    /// Packs weights that were found at `weights_source` and have this checksum.
    pub fn of(
        weights: &Weights,
        (weights_source, weights_sha256): (Source, String),
        resize: Resize,
        cancel: Arc<AtomicBool>,
    ) -> Result<Session> {
        Ok(Session {
            net: Arc::new(GoogLeNet::new(weights)?),
            labels: Arc::new(weights.labels()),
            network: weights::describe(weights),
            weights_source,
            weights_sha256,
            resize,
            cancel,
        })
    }

    /// The return value for callbacks of sweeps and searches.
    pub fn control_flow(&self) -> ControlFlow<()> {
        if self.cancel.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Parses the values of `--classes`.
    pub fn classes(&self, lists: &[String]) -> Result<Classes> {
        Classes::parse(lists, &self.labels).map_err(|error| elsewhere(error, &self.labels))
    }

    /// The score of these classes with the options of the command line.
    ///
    /// # Errors
    /// Those of [`ScoreChoice::resolve`](crate::cli::args::score::ScoreChoice::resolve); [`Error::Option`] if
    /// classes were named for a score that depends on none.
    pub fn score(&self, classes: &Classes, option: &ScoreOption) -> Result<Score> {
        let score = option.choice.resolve(&self.labels, option.groups.as_deref());
        let score = score.map_err(|error| elsewhere(error, &self.labels))?;
        if score.is_of_class() || classes.is_default() {
            return Ok(score);
        }
        Err(Error::Option {
            name: "--classes",
            found: classes.to_string(),
            expected: format!("no classes, because the score {score} is the same for all"),
        })
    }

    /// Makes the question of a sweep for these classes; none for the predicted class.
    ///
    /// # Errors
    /// Those of [`score`](Session::score), and of the files among the options.
    pub fn question<'a>(&self, classes: Classes, sweep: &'a Sweep) -> Result<Question<'a>> {
        let score = self.score(&classes, &sweep.score)?;
        let picture = sweep.mask_picture.as_deref().map(LoadedPhotograph::read).transpose()?;
        let picture = picture.map(|loaded| loaded.photograph.picture(self.resize).input());
        let segmentation = sweep.segments.as_ref().map(Segmentation::open).transpose()?.map(Arc::new);
        Ok(Question { classes, score, sweep, picture, segmentation })
    }

    /// Classifies a photograph.
    pub fn classify(&self, source: &LoadedPhotograph) -> Result<Classification> {
        self.net.check_memory()?;
        Ok(self.net.classify(&source.photograph.picture(self.resize).input()))
    }

    /// Runs a photograph through all layers.
    pub fn forward(&self, photograph: &Photograph) -> Result<Activations> {
        self.net.check_memory()?;
        Ok(self.net.forward(&photograph.picture(self.resize).input()))
    }

    /// The error of a photograph whose answer is the class that it is contrasted with. It concerns this
    /// photograph alone.
    pub fn contrasted(&self, error: Error, source: &LoadedPhotograph, score: &Score) -> Error {
        match (error, score) {
            (
                Error::Option { name: "classes", .. },
                Score::Contrast(Against::Class(other)) | Score::LogitContrast(Against::Class(other)),
            ) => {
                let other = self.labels.short(*other);
                let problem = format!(
                    "{other} is among the classes to map, and the score is a contrast with {other}: name other classes \
                     with --classes"
                );
                Error::Image { name: source::shown(&source.image), problem }
            }
            (error, _) => named_as_here(error),
        }
    }

    /// Runs the sweep over a photograph, on the threads of the current rayon pool. With `refined`,
    /// the sweep runs from coarse to fine and passes intermediate results to it.
    pub fn sweep(
        &self,
        source: LoadedPhotograph,
        question: &Question,
        progress: &(dyn Fn(Progress) + Sync),
        refined: Option<&(dyn Fn(&Explanation) + Sync)>,
    ) -> Result<Explanation> {
        let input = source.photograph.picture(self.resize).input();
        let choose = |classification: &Classification| question.classes.resolve(classification);
        let segments = question.segments(&source.photograph, self.resize)?;
        let options = options(&self.net, question, segments.as_ref());
        let options = options.choose_classes(&choose).cancel(&self.cancel);
        let start = Instant::now();
        let explanation =
            |maps| self.explanation(&source, question.sweep, maps, start.elapsed().as_secs_f64());
        let progress = |done| {
            progress(done);
            self.control_flow()
        };
        let on_refinement = |refinement: &Refinement| {
            if let Some(refined) = refined {
                refined(&explanation(refinement.maps.clone()));
            }
            self.control_flow()
        };
        let mut options = options.on_progress(&progress);
        if refined.is_some() {
            options = options.on_refinement(&on_refinement);
        }
        let maps = options.run(&input).map_err(|error| self.contrasted(error, &source, &question.score))?;
        require_finite(&maps.classification.logits)?;
        require_finite(&maps.scores)?;
        maps.features.iter().try_for_each(|feature| require_finite(&feature.totals))?;
        Ok(explanation(maps))
    }

    /// Makes the explanation of a photograph again from the results of an earlier sweep with the same
    /// options, without its features.
    ///
    /// # Errors
    /// [`Error::Image`] if there are not as many numbers as the sweep has, or classes that the network has not.
    pub fn restore(
        &self,
        source: &LoadedPhotograph,
        question: &Question,
        stored: Stored,
    ) -> Result<Explanation> {
        let picture = Prepared::new(&self.net, source.photograph.picture(self.resize).input())?;
        let choose = |classification: &Classification| question.classes.resolve(classification);
        let segments = question.segments(&source.photograph, self.resize)?;
        let options = options(&self.net, question, segments.as_ref()).features([]).choose_classes(&choose);
        let mut maps = options.blank_maps(&picture)?;
        let (scores, count) = (stored.scores.concat().concat(), maps.argmax.len());
        let (argmax, argmax_scores) = (stored.argmax.concat(), stored.argmax_scores.concat());
        let is_known = argmax.iter().all(|class| *class < maps.classification.probabilities.len());
        if [scores.len(), argmax.len(), argmax_scores.len()] != [maps.scores.len(), count, count] || !is_known
        {
            return Err(Error::Image {
                name: source::shown(&source.image),
                problem: format!(
                    "has {} stored scores and {} answers, expected {} and {count}, of classes that the network has: remove \
                     its results and run the command again",
                    scores.len(),
                    argmax.len(),
                    maps.scores.len()
                ),
            });
        }
        require_finite(&scores)?;
        require_finite(&argmax_scores)?;
        (maps.scores, maps.argmax, maps.argmax_scores) = (scores, argmax, argmax_scores);
        Ok(self.explanation(source, question.sweep, maps, 0.0))
    }

    fn explanation(
        &self,
        source: &LoadedPhotograph,
        sweep: &Sweep,
        maps: OcclusionMaps,
        elapsed_seconds: f64,
    ) -> Explanation {
        Explanation {
            image: source.image.clone(),
            image_sha256: source.sha256.clone(),
            photograph: source.photograph.clone(),
            resize: self.resize,
            maps,
            elapsed_seconds,
            threads: rayon::current_num_threads(),
            isa: self.net.isa().to_string(),
            network: self.network.clone(),
            labels: self.labels.clone(),
            weights_sha256: self.weights_sha256.clone(),
            aggregate: if sweep.segments.is_some() { Aggregate::Windows } else { sweep.aggregate },
            placement: sweep.placement,
            faithfulness: Vec::new(),
            pairs: Vec::new(),
            robust: Vec::new(),
        }
    }

    /// Searches the smallest parts of the photograph that keep and lose each class; `maps` are the
    /// importances of the pixels for the classes.
    pub fn smallest_parts(
        &self,
        explanation: &Explanation,
        maps: &[Vec<f32>],
        sweep: &Sweep,
        tile: usize,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<ClassParts>> {
        let input = explanation.photograph.picture(self.resize).input();
        let classes = explanation.maps.classes.iter().copied();
        let asked: Vec<Ranking> = classes.zip(maps.iter().map(Vec::as_slice)).collect();
        let on_progress = |done| {
            progress(done);
            self.control_flow()
        };
        let search = SmallestParts::new(&self.net).mask_value(sweep.mask_value).exhaustive(sweep.exhaustive);
        let found = search.tile(tile).on_progress(&on_progress).run(&input, &asked)?;
        for part in found.iter().flat_map(|parts| [&parts.keeping, &parts.losing]).flatten() {
            require_finite(&part.alone.logits)?;
            require_finite(&part.without.logits)?;
        }
        Ok(found)
    }

    /// The map of each class and its Grad-CAM map, as the importance of each pixel.
    pub fn pixel_maps(&self, explanation: &Explanation) -> Result<Vec<PixelMap>> {
        let input = explanation.photograph.picture(self.resize).input();
        let classes = &explanation.maps.classes;
        self.net.check_memory()?;
        let cam = self.net.grad_cam(&self.net.forward(&input), classes)?;
        let [rows, columns] = cam.grid;
        let mut maps = Vec::new();
        for (k, &class) in classes.iter().enumerate() {
            maps.push(PixelMap { method: Method::Occlusion, class, pixels: explanation.importance(k) });
            let pixels =
                upsample(cam.map(k).values(), rows, columns, INPUT_SIDE, INPUT_SIDE, Upsampling::Bicubic);
            maps.push(PixelMap { method: Method::GradCam, class, pixels });
        }
        Ok(maps)
    }

    /// Measures deletion and insertion for the map of each class and for its Grad-CAM map; also returns
    /// these maps.
    pub fn measure(
        &self,
        explanation: &mut Explanation,
        question: &Question,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Vec<PixelMap>> {
        let input = explanation.photograph.picture(self.resize).input();
        let maps = self.pixel_maps(explanation)?;
        let asked: Vec<Ranking> = maps.iter().map(|map| (map.class, &map.pixels[..])).collect();
        let on_progress = |done| {
            progress(done);
            self.control_flow()
        };
        let test = Faithfulness::new(&self.net).mask_value(question.sweep.mask_value);
        let test = test.score(question.score.clone());
        let curves = test.cancel(&self.cancel).on_progress(&on_progress).run(&input, &asked)?;
        explanation.faithfulness = maps.iter().map(|map| map.method).zip(curves).collect();
        Ok(maps)
    }
}

/// Adds to the error of an unknown class name the network that has this class, if there is one.
fn elsewhere(mut error: Error, labels: &Labels) -> Error {
    if let Error::UnknownClass { name, elsewhere, .. } = &mut error {
        let has = |others: &Labels| others != labels && others.find(name).is_ok();
        if has(Labels::imagenet()) {
            *elsewhere = Some(
                "the published network has this class; download it with `occlude weights fetch`".to_string(),
            );
        } else if has(&Weights::builtin().labels()) {
            *elsewhere =
                Some("the built-in network has this class; use it with --weights builtin".to_string());
        }
    }
    error
}

/// The error with the name of the option on the command line.
pub fn named_as_here(mut error: Error) -> Error {
    if let Error::Option { name, .. } = &mut error {
        *name = match *name {
            "max memory" => "--max-memory",
            "score" => "--score",
            "classes" => "--classes",
            other => other,
        };
    }
    error
}

/// The content and the form of masks in words, for example "gaussian, colour 148,111,87".
pub fn masks_in_words(maps: &OcclusionMaps) -> String {
    let mut words = Vec::new();
    if maps.shape != Shape::Rectangle {
        words.push(maps.shape.to_string());
    }
    words.extend(maps.channel.map(|channel| format!("only {channel}")));
    words.push(fill_in_words(maps.mask_value));
    words.join(", ")
}

/// The content of a mask in words, for example "colour 148,111,87".
pub fn fill_in_words(value: MaskValue) -> String {
    match value {
        MaskValue::Rgb([red, green, blue]) => format!("colour {red:.0},{green:.0},{blue:.0}"),
        MaskValue::Picture => "another picture".to_string(),
        MaskValue::Patch => "mean colour of the patch".to_string(),
        MaskValue::Inpaint => "continued from its border".to_string(),
        other => other.to_string(),
    }
}

/// The importance of each pixel for a class by one method, `[224][224]`.
pub struct PixelMap {
    pub method: Method,
    pub class: usize,
    pub pixels: Vec<f32>,
}

/// The method that gives the order of the pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    Occlusion,
    GradCam,
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Method::Occlusion => "occlusion",
            Method::GradCam => "grad-cam",
        }
    }
}

impl Question<'_> {
    /// The same question about other classes; about none, if the score is the same for all.
    pub fn about(&self, classes: Vec<usize>) -> Self {
        let classes = if self.score.is_of_class() { classes } else { Vec::new() };
        Question { classes: Classes::of(classes), ..self.clone() }
    }

    /// Replaces the names of files among options by what they hold, because a file may change, and may be a
    /// pipe.
    pub fn identify(&self, options: &mut BTreeMap<String, String>) {
        if let Score::Group { classes, .. } = &self.score {
            options.insert("groups".to_string(), format!("{classes:?}"));
        }
        if let Some(picture) = &self.picture {
            let bytes: Vec<u8> = picture.values().iter().flat_map(|value| value.to_le_bytes()).collect();
            options.insert("mask-picture".to_string(), checksum::sha256(&bytes));
        }
        if let Some(Segmentation::Numbers(numbers)) = self.segmentation.as_deref() {
            options.insert("segments".to_string(), numbers.checksum());
        }
    }

    /// The segments of a photograph, if they are asked for.
    fn segments(&self, photograph: &Photograph, resize: Resize) -> Result<Option<Segments>> {
        self.segmentation.as_ref().map(|way| way.segments(photograph, resize)).transpose()
    }
}

/// The proportion of a photograph's sides from which on a figure in its shape shows little.
const FLAT: usize = 8;

impl LoadedPhotograph {
    /// Tells the user of a very oblong photograph about `--canvas network`.
    pub fn tell_if_flat(&self, canvas: CanvasShape) {
        let (height, width) = (self.photograph.height(), self.photograph.width());
        let [least, most] = [height.min(width), height.max(width)];
        if canvas == CanvasShape::Photo && most >= FLAT * least {
            let [long, short] = if width > height { ["wide", "high"] } else { ["high", "wide"] };
            console::print_note(&format!(
                "{} is {} times as {long} as {short}, so its figures show little; --canvas network draws the 224x224 picture \
                 of the network",
                shown(&source::shown(&self.image)),
                most / least
            ));
        }
    }

    /// Reads and decodes a file, or standard input. After a second, a line on the terminal says so.
    pub fn open(image: &Path) -> Result<LoadedPhotograph> {
        let _waiting = Waiting::new(format!("reading {}", source::shown(image)));
        LoadedPhotograph::read(image)
    }

    /// Reads and decodes a file, or standard input. The checksum is computed from the decoded bytes.
    pub fn read(image: &Path) -> Result<LoadedPhotograph> {
        let bytes = source::read_photograph(image)?;
        let decode = || Photograph::from_bytes(&source::shown(image), &bytes);
        let photograph = panics::without_message(decode)?;
        let sha256 = checksum::sha256(&bytes);
        Ok(LoadedPhotograph { image: image.to_path_buf(), sha256, photograph: Arc::new(photograph) })
    }
}

/// The library's sweep with the options of the command line, without the classes.
pub fn options<'n>(
    net: &'n GoogLeNet,
    question: &'n Question,
    segments: Option<&'n Segments>,
) -> OcclusionSensitivity<'n> {
    let sweep = question.sweep;
    let mut options = OcclusionSensitivity::new(net)
        .mask_value(sweep.mask_value)
        .mask_clipping(sweep.mask_clipping)
        .score(question.score.clone())
        .shape(sweep.mask_shape)
        .channel(sweep.mask_channel)
        .inverse(sweep.inverse)
        .features(sweep.activation.clone())
        .exhaustive(sweep.exhaustive);
    if let Some(picture) = &question.picture {
        options = options.mask_picture(picture);
    }
    if let Some(segments) = segments {
        options = options.segments(segments);
    }
    if let Some(region) = sweep.region {
        options = options.region(region);
    }
    if let Size::Pixels(size) = sweep.mask_size {
        options = options.mask_size(size);
    }
    if let Size::Pixels(size) = sweep.stride {
        options = options.stride(size);
    }
    if let Some(bytes) = sweep.max_memory {
        options = options.max_memory(bytes);
    }
    options
}

impl Explanation {
    /// The places of the values of the mask positions on the network's picture.
    pub fn lattice(&self) -> Lattice {
        self.maps.lattice(self.placement)
    }

    /// The map of a class that is drawn, and the places of its values: one value per mask position
    /// or, with `--aggregate windows`, per pixel.
    pub fn drops(&self, k: usize) -> (Vec<f32>, Lattice) {
        match self.aggregate {
            Aggregate::None => (self.maps.map(k).values().to_vec(), self.lattice()),
            Aggregate::Windows => {
                let pixels = Lattice::cells([INPUT_SIDE; 2], Rect::plane(INPUT_SIDE));
                (self.maps.attributions(k), pixels)
            }
        }
    }

    /// The importance of each pixel for the `k`-th class, at most the largest drop: cubic interpolation
    /// exceeds it, and a threshold on the map means measured drops.
    pub fn evidence(&self, k: usize) -> Vec<f32> {
        let most = range(&self.drops(k).0)[1];
        self.importance(k).into_iter().map(|value| value.min(most)).collect()
    }

    /// The importance of each pixel for the `k`-th class, `[224][224]`. Pixels outside the region
    /// have the lowest importance.
    pub fn importance(&self, k: usize) -> Vec<f32> {
        let (map, lattice) = self.drops(k);
        let Rect { y0, x0, y1, x1 } = lattice.area();
        let values = lattice.values(&map, &middles(y0, y1), &middles(x0, x1), Upsampling::Bicubic);
        let mut pixels = vec![f32::MIN; INPUT_SIDE * INPUT_SIDE];
        for (row, y) in values.chunks(x1 - x0).zip(y0..) {
            pixels[y * INPUT_SIDE..][x0..x1].copy_from_slice(row);
        }
        pixels
    }
}

/// Checks that scores are finite, because JSON has no NaN and no infinity. Very large weights,
/// although finite, can cause an overflow in the layers.
///
/// # Errors
/// [`Error::Weights`] if a value is not finite.
pub fn require_finite(values: &[f32]) -> Result<()> {
    if values.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(Error::Weights {
        name: "the weights".to_string(),
        problem: "the scores of the network overflow: these are not the weights of a trained network"
            .to_string(),
    })
}

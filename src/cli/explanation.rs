//! One photograph explained: the network and the photograph, the sweep by the command line's options, and what came of it.
//! The only place where the command starts a sweep for its maps. Knows nothing of files to be written and pictures to be
//! drawn.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use occlude::image::resize::upsample;
use occlude::network::INPUT_SIDE;
use occlude::{
    Classification, Curves, Error, Faithfulness, GoogLeNet, Labels, MaskValue, OcclusionMaps,
    OcclusionSensitivity, Photograph, Progress, Ranking, Refinement, Resize, Result, Upsampling, Weights,
};

use crate::cli::args::classes::Classes;
use crate::cli::args::{Aggregate, Common, Size, Sweep};
use crate::cli::checksum;
use crate::cli::terminal::interrupt;
use crate::cli::weights;

/// A network, ready, and what identifies it.
pub struct Session {
    pub net: GoogLeNet,
    pub labels: Arc<Labels>,
    /// The network in words, for example "built-in network of 30 classes".
    pub network: String,
    pub weights_sha256: String,
    pub resize: Resize,
}

/// A photograph that has been read.
pub struct LoadedPhotograph {
    /// The file, as it was named.
    pub image: PathBuf,
    pub sha256: String,
    pub photograph: Arc<Photograph>,
}

/// A photograph and what the sweep over it has come to.
pub struct Explanation {
    /// The file, as it was named.
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
    /// What becomes of the drops.
    pub aggregate: Aggregate,
    /// For each class one by each method, if asked for.
    pub faithfulness: Vec<(Method, Curves)>,
}

impl Session {
    /// Finds, checks and packs the weights.
    pub fn open(common: &Common) -> Result<Session> {
        let (weights, weights_sha256) = weights::open_and_hash(common)?;
        Ok(Session {
            net: GoogLeNet::new(&weights)?,
            labels: Arc::new(weights.labels()),
            network: weights::describe(&weights),
            weights_sha256,
            resize: common.resize,
        })
    }

    /// What `--classes` names.
    pub fn classes(&self, lists: &[String]) -> Result<Classes> {
        Classes::parse(lists, &self.labels).map_err(|error| elsewhere(error, &self.labels))
    }

    /// What the network says about a photograph.
    pub fn classify(&self, source: &LoadedPhotograph) -> Classification {
        self.net.classify(&source.photograph.picture(self.resize).input())
    }

    /// Runs the sweep over a photograph, on the threads of the current rayon pool. With `refined`, coarse to fine: it is
    /// shown what there is before the end.
    pub fn sweep(
        &self,
        source: LoadedPhotograph,
        classes: &Classes,
        sweep: &Sweep,
        progress: &(dyn Fn(Progress) + Sync),
        refined: Option<&(dyn Fn(&Explanation) + Sync)>,
    ) -> Result<Explanation> {
        let input = source.photograph.picture(self.resize).input();
        let choose = |classification: &Classification| classes.resolve(classification);
        let options = options(&self.net, sweep).choose_classes(&choose);
        let start = Instant::now();
        let explanation = |maps: OcclusionMaps| Explanation {
            image: source.image.clone(),
            image_sha256: source.sha256.clone(),
            photograph: source.photograph.clone(),
            resize: self.resize,
            maps,
            elapsed_seconds: start.elapsed().as_secs_f64(),
            threads: rayon::current_num_threads(),
            isa: self.net.isa().to_string(),
            network: self.network.clone(),
            labels: self.labels.clone(),
            weights_sha256: self.weights_sha256.clone(),
            aggregate: sweep.aggregate,
            faithfulness: Vec::new(),
        };
        let progress = |done| {
            progress(done);
            interrupt::control_flow()
        };
        let on_refinement = |refinement: &Refinement| {
            if let Some(refined) = refined {
                refined(&explanation(refinement.maps.clone()));
            }
            interrupt::control_flow()
        };
        let mut options = options.on_progress(&progress);
        if refined.is_some() {
            options = options.on_refinement(&on_refinement);
        }
        let maps = options.run(&input)?;
        require_finite(&maps.classification.logits)?;
        require_finite(&maps.scores)?;
        maps.features.iter().try_for_each(|feature| require_finite(&feature.totals))?;
        Ok(explanation(maps))
    }

    /// Deletion and insertion for each class's map, and for Grad-CAM's of the same class.
    pub fn measure(
        &self,
        explanation: &mut Explanation,
        sweep: &Sweep,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<()> {
        let input = explanation.photograph.picture(self.resize).input();
        let maps = &explanation.maps;
        let cam = self.net.grad_cam(&self.net.forward(&input), &maps.classes)?;
        let [rows, columns] = cam.grid;
        let mut rankings = Vec::new();
        for (k, &class) in maps.classes.iter().enumerate() {
            rankings.push((Method::Occlusion, class, explanation.importance(k)));
            let enlarged =
                upsample(cam.map(k).values(), rows, columns, INPUT_SIDE, INPUT_SIDE, Upsampling::Bicubic);
            rankings.push((Method::GradCam, class, enlarged));
        }
        let asked: Vec<Ranking> = rankings.iter().map(|(_, class, pixels)| (*class, &pixels[..])).collect();
        let on_progress = |done| {
            progress(done);
            interrupt::control_flow()
        };
        let test = Faithfulness::new(&self.net).mask_value(sweep.mask_value).score(sweep.score);
        let curves = test.on_progress(&on_progress).run(&input, &asked)?;
        explanation.faithfulness = rankings.iter().map(|(method, ..)| *method).zip(curves).collect();
        Ok(())
    }
}

/// Adds to the refusal of a class's name which other network has that class, if one does.
fn elsewhere(mut error: Error, labels: &Labels) -> Error {
    if let Error::UnknownClass { name, elsewhere, .. } = &mut error {
        let has = |others: &Labels| others != labels && others.find(name).is_ok();
        if has(Labels::imagenet()) {
            *elsewhere = Some("the published network has it: `occlude weights fetch` gets that".to_string());
        } else if has(&Weights::builtin().labels()) {
            *elsewhere = Some("the built-in network has it: --weights builtin".to_string());
        }
    }
    error
}

/// "colour 148,111,87", or what else a mask is filled with.
pub fn fill_in_words(value: MaskValue) -> String {
    match value {
        MaskValue::Rgb([red, green, blue]) => format!("colour {red:.0},{green:.0},{blue:.0}"),
        other => other.to_string(),
    }
}

/// What has ordered the pixels.
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

impl LoadedPhotograph {
    /// Reads and decodes a file; the checksum is of exactly the bytes that were decoded.
    pub fn open(image: &Path) -> Result<LoadedPhotograph> {
        let bytes = Photograph::read(image)?;
        let photograph = Photograph::from_bytes(&image.display().to_string(), &bytes)?;
        let sha256 = checksum::sha256(&bytes);
        Ok(LoadedPhotograph { image: image.to_path_buf(), sha256, photograph: Arc::new(photograph) })
    }
}

/// The library's sweep for the command line's options; the classes are missing.
fn options<'n>(net: &'n GoogLeNet, sweep: &Sweep) -> OcclusionSensitivity<'n> {
    let mut options = OcclusionSensitivity::new(net)
        .mask_value(sweep.mask_value)
        .mask_clipping(sweep.mask_clipping)
        .score(sweep.score)
        .features(sweep.activation.clone())
        .exhaustive(sweep.exhaustive);
    if let Some(region) = sweep.region {
        options = options.region(region);
    }
    if let Size::Pixels(size) = sweep.mask_size {
        options = options.mask_size(size);
    }
    if let Size::Pixels(size) = sweep.stride {
        options = options.stride(size);
    }
    options
}

impl Explanation {
    /// How important each pixel is by the `k`-th class's map, `[224][224]`. Pixels outside the region come last.
    fn importance(&self, k: usize) -> Vec<f32> {
        if self.aggregate == Aggregate::Windows {
            return self.maps.attributions(k);
        }
        let mut pixels = vec![f32::MIN; INPUT_SIDE * INPUT_SIDE];
        let area = self.maps.area();
        let map = self.maps.upsampled(k, Upsampling::Bicubic);
        for (row, y) in map.chunks(area.width()).zip(area.y0..) {
            pixels[y * INPUT_SIDE..][area.x0..area.x1].copy_from_slice(row);
        }
        pixels
    }
}

/// JSON has no NaN and no infinity. Weights are checked to be finite, yet huge ones still overflow on their way through the
/// layers.
///
/// # Errors
/// [`Error::Weights`] when a value is not finite.
pub fn require_finite(values: &[f32]) -> Result<()> {
    if values.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    Err(Error::Weights {
        name: "the weights".to_string(),
        problem: "the network's scores overflow, so these are not a trained network's weights".to_string(),
    })
}

//! One photograph explained: the sweep, and what the commands make of it.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use occlude::{
    Classification, GoogLeNet, OcclusionMaps, OcclusionSensitivity, Photograph, Resize, Result, labels,
};

use super::args::{Common, Drawing, Size, Sweep};
use super::classes::{self, Classes};
use super::progress::Bar;
use super::{figure, json, weights};

/// A network, ready, and what identifies it.
pub struct Session {
    pub net: GoogLeNet,
    pub weights_sha256: String,
    pub resize: Resize,
}

/// A photograph and what the sweep over it has come to.
pub struct Explanation {
    /// The file, as it was named.
    pub image: PathBuf,
    pub image_sha256: String,
    pub photograph: Photograph,
    pub resize: Resize,
    pub maps: OcclusionMaps,
    pub elapsed_seconds: f64,
    pub threads: usize,
    pub isa: String,
    pub weights_sha256: String,
}

impl Session {
    /// Finds, checks and packs the weights.
    pub fn open(common: &Common) -> Result<Session> {
        let path = occlude::weights::find(common.weights.as_deref())?;
        let (weights, weights_sha256) = weights::load_and_hash(&path)?;
        Ok(Session { net: GoogLeNet::new(&weights)?, weights_sha256, resize: common.resize })
    }

    /// Runs the sweep over one photograph, on the threads of the current rayon pool.
    pub fn explain(&self, image: &Path, classes: &[Classes], sweep: &Sweep) -> Result<Explanation> {
        let photograph = Photograph::open(image)?;
        let image_sha256 = weights::file_sha256(image)?;
        let input = photograph.picture(self.resize).input();
        let choose = |classification: &Classification| classes::resolve(classes, classification);
        let options = options(&self.net, sweep).choose_classes(&choose);
        let bar = Bar::new();
        let start = Instant::now();
        let maps = options.run_with_progress(&input, &|progress| {
            bar.show(progress.done, progress.total);
            ControlFlow::Continue(())
        })?;
        let elapsed_seconds = start.elapsed().as_secs_f64();
        json::require_finite(&maps.classification.logits)?;
        json::require_finite(&maps.scores)?;
        Ok(Explanation {
            image: image.to_path_buf(),
            image_sha256,
            photograph,
            resize: self.resize,
            maps,
            elapsed_seconds,
            threads: rayon::current_num_threads(),
            isa: self.net.isa().to_string(),
            weights_sha256: self.weights_sha256.clone(),
        })
    }
}

/// The library's sweep for the command line's options; the classes are missing.
fn options<'n>(net: &'n GoogLeNet, sweep: &Sweep) -> OcclusionSensitivity<'n> {
    let mut options = OcclusionSensitivity::new(net)
        .mask_value(sweep.mask_value)
        .mask_clipping(sweep.mask_clipping)
        .score(sweep.score)
        .exhaustive(sweep.exhaustive);
    if let Size::Pixels(size) = sweep.mask_size {
        options = options.mask_size(size);
    }
    if let Size::Pixels(size) = sweep.stride {
        options = options.stride(size);
    }
    options
}

impl Explanation {
    /// (name, contents) of a picture for each class.
    pub fn pictures(&self, drawing: &Drawing) -> Vec<(String, Vec<u8>)> {
        let maps = &self.maps;
        let backdrop = self.photograph.square(figure::PHOTO_SIDE, self.resize);
        let mut files = Vec::new();
        for (k, slug) in slugs(&maps.classes).iter().enumerate() {
            let figure = figure::explanation(&figure::Explanation {
                photograph: &backdrop,
                map: &maps.map(k),
                grid: maps.grid,
                upsampling: drawing.upsampling,
                label: labels::label(maps.classes[k]).map_or("", |label| label.words),
                score_name: &maps.score.to_string(),
                score: maps.base_scores[k],
                mask_size: maps.mask_size,
                stride: maps.stride,
            });
            files.push((format!("{}-{slug}.png", stem(&self.image)), figure::png(&figure)));
        }
        files
    }
}

/// The picture's file name without its ending.
pub fn stem(image: &Path) -> String {
    image.file_stem().map_or_else(|| "image".to_string(), |stem| stem.to_string_lossy().into_owned())
}

/// One a class: its short name in letters, digits and hyphens; with its index where several classes have the same.
pub fn slugs(classes: &[usize]) -> Vec<String> {
    let slug = |class: usize| {
        let name = labels::label(class).map_or("", |label| label.short()).to_lowercase();
        let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        words.collect::<Vec<_>>().join("-")
    };
    let mut taken = HashSet::new();
    classes
        .iter()
        .map(|&class| {
            let slug = slug(class);
            if taken.insert(slug.clone()) { slug } else { format!("{slug}-{class}") }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_plain_and_differ() {
        // 134 and 517 are both called "crane".
        assert_eq!(slugs(&[285, 134, 517]), ["egyptian-cat", "crane", "crane-517"]);
        let all = slugs(&(0..1000).collect::<Vec<_>>());
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 1000);
        assert!(all.iter().all(|slug| slug.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')));
    }

    #[test]
    fn stems() {
        assert_eq!(stem(Path::new("a/chelsea.png")), "chelsea");
        assert_eq!(stem(Path::new("chelsea")), "chelsea");
    }
}

//! The smallest parts of an image that keep a class or lose it, by search.
//!
//! The image is divided into square tiles, in the order of a map's mean over each, the most
//! important first. The search begins with the first tiles of this order: as many as make the
//! network predict the class while everything else is covered, or another class while they are
//! covered. Then it leaves out tiles again, the least important first, until no tile can be left
//! out. The part is therefore smallest in this sense: without any one of its tiles it
//! does not do its work. A smaller part of other tiles may exist. The chapter is
//! `docs/10-regions.md`.
//!
//! Most copies of the image differ from one that has been classified in a few tiles, and
//! `src/sweep/runner.rs` recomputes only what these change. Every answer, and so every score of a
//! result, is that of exactly the pixels that are covered.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use super::faithfulness::{Ranking, check_maps, descending};
use crate::forward::{Activations, Classification, GoogLeNet};
use crate::kernels::AlignedBuf;
use crate::network::INPUT_SIDE;
use crate::network::geometry::Rect;
use crate::sweep::MaskValue;
use crate::sweep::batch::Workspace;
use crate::sweep::mask::{Mask, pixels};
use crate::sweep::runner::BatchRunner;
use crate::{Error, Input, Result};

/// The most copies that run between two decisions. The number is fixed, so that the number of
/// classifications does not depend on the threads.
const ROUND: usize = 16;

/// True if a part whose classification this is does its work.
type Works<'w> = dyn Fn(&Classification) -> bool + 'w;

/// The options of the search for the smallest parts, and [`run`](SmallestParts::run).
///
/// ```
/// use occlude::{GoogLeNet, Input, SmallestParts, Weights};
///
/// let net = GoogLeNet::new(&Weights::seeded(1))?;
/// let values = (0..224 * 224 * 3).map(|i| (i % 241) as f32 - 110.0).collect();
/// let input = Input::from_nhwc_bgr(values)?;
/// let class = net.classify(&input).best();
/// // A map whose importance falls from the top down.
/// let map: Vec<f32> = (0..224 * 224).map(|i| -(i as f32)).collect();
/// let parts = SmallestParts::new(&net).tile(112).run(&input, &[(class, &map)])?;
/// // Some of the four tiles keep the class, at the latest all of them.
/// let keeping = parts[0].keeping.as_ref().unwrap();
/// assert_eq!(keeping.alone.best(), class);
/// # Ok::<(), occlude::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing runs before `run`"]
pub struct SmallestParts<'a> {
    net: &'a GoogLeNet,
    mask_value: MaskValue,
    tile: usize,
    exhaustive: bool,
    on_progress: Option<&'a OnSearch<'a>>,
}

/// Called from the threads of a search with the number of classifications so far.
pub type OnSearch<'a> = dyn Fn(usize) -> ControlFlow<()> + Sync + 'a;

/// The results of both searches for one class.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ClassParts {
    /// The class.
    pub class: usize,
    /// The smallest part with which the network predicts the class while everything else is covered.
    /// It has no pixels if the network predicts the class for the covered image. `None` if no number
    /// of tiles, in the order of the map, makes the network predict the class.
    pub keeping: Option<SmallestPart>,
    /// The smallest part without which the network predicts another class. It has no pixels if the
    /// network predicts another class for the whole image. `None` if the network predicts the class
    /// with any number of tiles covered, in the order of the map, all of them included.
    pub losing: Option<SmallestPart>,
    /// The number of classifications that the search for each of the two parts has needed.
    pub classifications: [usize; 2],
}

/// A part of the image, and what the network says with it and without it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SmallestPart {
    /// For each pixel of the image, `[224][224]`, true if it belongs to the part.
    pub pixels: Vec<bool>,
    /// The classification of the image with everything covered except the part.
    pub alone: Classification,
    /// The classification of the image with only the part covered.
    pub without: Classification,
}

impl fmt::Debug for SmallestParts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmallestParts")
            .field("mask_value", &self.mask_value)
            .field("tile", &self.tile)
            .field("exhaustive", &self.exhaustive)
            .finish_non_exhaustive()
    }
}

impl<'a> SmallestParts<'a> {
    /// The default search: tiles of 16x16 pixels, covered with the image's mean.
    pub fn new(net: &'a GoogLeNet) -> Self {
        SmallestParts { net, mask_value: MaskValue::Auto, tile: 16, exhaustive: false, on_progress: None }
    }

    /// Fill of covered pixels: the image's mean (the default), or as [`MaskValue`] describes.
    pub fn mask_value(self, mask_value: MaskValue) -> Self {
        SmallestParts { mask_value, ..self }
    }

    /// Side of the tiles in pixels, 4..=224; those at the right and lower border are narrower if it
    /// does not divide 224. Smaller tiles give smaller parts and take longer.
    pub fn tile(self, tile: usize) -> Self {
        SmallestParts { tile, ..self }
    }

    /// Recomputes the whole network for each copy instead of what has changed: the same bits, slower.
    pub fn exhaustive(self, exhaustive: bool) -> Self {
        SmallestParts { exhaustive, ..self }
    }

    /// Calls `f` after every few classifications, from several threads; `ControlFlow::Break` stops
    /// the search.
    pub fn on_progress(self, f: &'a OnSearch<'a>) -> Self {
        SmallestParts { on_progress: Some(f), ..self }
    }

    /// Searches both parts for each map's class, on the threads of the current rayon pool. The
    /// results do not depend on the number of threads. Equally important tiles are in reading order.
    ///
    /// # Errors
    /// [`Error::Option`] for an option, a class or a map outside its range; [`Error::Cancelled`] when
    /// the callback stops the search; [`Error::Memory`].
    pub fn run(&self, input: &Input, maps: &[Ranking]) -> Result<Vec<ClassParts>> {
        self.check()?;
        check_maps(maps, self.net.network())?;
        let cover = self.mask_value.cover(self.net.network(), input);
        self.net.check_memory()?;
        let whole = self.net.forward(input);
        self.net.check_memory()?;
        let covered = self.net.forward_padded(&cover);
        let (done, spare) = (AtomicUsize::new(0), Mutex::default());
        let [uncovering, covering] = [(&covered, &whole), (&whole, &covered)].map(|(from, to)| Search {
            options: self,
            from,
            to: &to.blobs[0],
            done: &done,
            spare: &spare,
        });
        let parts = |&(class, map): &Ranking| {
            let tiles = self.tiles(map);
            let is_class = |said: &Classification| said.best() == class;
            let found = |search: &Search, works: &Works| {
                let before = done.load(Ordering::Relaxed);
                let part = match search.smallest(&tiles, works)? {
                    Some(tiles) => Some(SmallestPart {
                        pixels: pixels(&tiles),
                        alone: uncovering.image(&tiles)?.classification(),
                        without: covering.image(&tiles)?.classification(),
                    }),
                    None => None,
                };
                Ok((part, done.load(Ordering::Relaxed) - before))
            };
            let (keeping, to_keep) = found(&uncovering, &is_class)?;
            let (losing, to_lose) = found(&covering, &|said| !is_class(said))?;
            Ok(ClassParts { class, keeping, losing, classifications: [to_keep, to_lose] })
        };
        maps.iter().map(parts).collect()
    }

    /// Checks the options without an image; [`run`](Self::run) begins with it.
    ///
    /// # Errors
    /// [`Error::Option`] for the first option outside its range.
    pub fn check(&self) -> Result<()> {
        self.mask_value.check_fixed()?;
        if !(4..=INPUT_SIDE).contains(&self.tile) {
            return Err(Error::option("tile", self.tile.to_string(), "a side of 4 to 224 pixels"));
        }
        Ok(())
    }

    /// The tiles of the image, the largest mean of the map first.
    fn tiles(&self, map: &[f32]) -> Vec<Rect> {
        let starts = || (0..INPUT_SIDE).step_by(self.tile);
        let end = |start: usize| (start + self.tile).min(INPUT_SIDE);
        let tile = |y0, x0| Rect { y0, x0, y1: end(y0), x1: end(x0) };
        let tiles: Vec<Rect> = starts().flat_map(|y0| starts().map(move |x0| tile(y0, x0))).collect();
        let mean = |tile: &Rect| {
            let rows = (tile.y0..tile.y1).map(|y| &map[y * INPUT_SIDE..][tile.x0..tile.x1]);
            (rows.flatten().map(|&value| f64::from(value)).sum::<f64>() / tile.area() as f64) as f32
        };
        let means: Vec<f32> = tiles.iter().map(mean).collect();
        descending(&means).into_iter().map(|at| tiles[at]).collect()
    }
}

/// A search among images in which some tiles of one image come from another one.
struct Search<'s> {
    options: &'s SmallestParts<'s>,
    /// The image without any tile of the other.
    from: &'s Activations,
    /// The other image, in the form of blob 0.
    to: &'s [f32],
    /// The number of classifications so far, of all searches.
    done: &'s AtomicUsize,
    spare: &'s Mutex<Vec<Workspace>>,
}

impl Search<'_> {
    /// Some of these tiles, from the first on, whose classification `works`, but not without any one
    /// of them; `None` if no number of tiles works.
    fn smallest(&self, tiles: &[Rect], works: &Works) -> Result<Option<Vec<Rect>>> {
        if works(&self.from.classification()) {
            return Ok(Some(Vec::new()));
        }
        let Some(fewest) = self.fewest(tiles, works)? else { return Ok(None) };
        let mut part = tiles[..fewest].to_vec();
        let mut image = self.image(&part)?;
        loop {
            let before = part.len();
            // Each tile is tried once. Rounds grow while no tile can be left out, because the copies
            // that a round tries after the one that works are in vain.
            let (mut end, mut round) = (part.len(), 1);
            while end > 0 {
                let start = end.saturating_sub(round);
                let left_out: Vec<&[Rect]> = part[start..end].chunks(1).rev().collect();
                let said = self.classify(&image, &self.from.blobs[0], &left_out)?;
                match said.iter().position(works) {
                    Some(at) => {
                        end -= at + 1;
                        part.remove(end);
                        image = self.image(&part)?;
                        round = 1;
                    }
                    None => {
                        end = start;
                        round = (2 * round).min(ROUND);
                    }
                }
            }
            // A tile that was necessary beside others may have become unnecessary.
            if part.len() == before {
                return Ok(Some(part));
            }
        }
    }

    /// The smallest number of tiles, from the first on, that works; `None` if no number does. All
    /// are tried, from one on: a score that rises with each tile could be bisected, but scores do not
    /// always rise.
    fn fewest(&self, tiles: &[Rect], works: &Works) -> Result<Option<usize>> {
        for start in (0..tiles.len()).step_by(ROUND) {
            let (before, next) = tiles.split_at(start);
            let added: Vec<&[Rect]> = (1..=next.len().min(ROUND)).map(|count| &next[..count]).collect();
            let said = self.classify(&self.image(before)?, self.to, &added)?;
            if let Some(at) = said.iter().position(works) {
                return Ok(Some(start + at + 1));
            }
        }
        Ok(None)
    }

    /// The image with these tiles of the other one.
    fn image(&self, tiles: &[Rect]) -> Result<Activations> {
        let net = self.options.net;
        net.check_memory()?;
        let mut image = AlignedBuf::zeros(self.to.len());
        image.copy_from_slice(&self.from.blobs[0]);
        Mask::rectangles(tiles).copy(self.to, &mut image);
        if self.note(1).is_break() {
            return Err(Error::Cancelled);
        }
        Ok(net.forward_padded(&image))
    }

    /// Classifies a copy of an image for each set of tiles, which is not empty and takes its values
    /// from `cover`.
    fn classify(&self, image: &Activations, cover: &[f32], sets: &[&[Rect]]) -> Result<Vec<Classification>> {
        let runner = BatchRunner {
            exhaustive: self.options.exhaustive,
            spare: Mutex::new(std::mem::take(&mut *self.spare())),
            ..BatchRunner::new(self.options.net, image, cover)
        };
        let said = Mutex::new(vec![None; sets.len()]);
        runner.run(
            &(0..sets.len()).collect::<Vec<_>>(),
            |i| sets[i].iter().fold(Rect::default(), |bounds, tile| bounds.union(tile)),
            |i| Mask::rectangles(sets[i]),
            |numbers, answers| {
                let mut said = said.lock().expect("no panic while it is held");
                numbers.iter().zip(answers).for_each(|(&i, (answer, _))| said[i] = Some(answer));
                drop(said);
                self.note(numbers.len())
            },
        )?;
        *self.spare() = runner.spare.into_inner().expect("no panic while it was held");
        let said = said.into_inner().expect("no panic while it was held");
        Ok(said.into_iter().map(|said| said.expect("a run that was not stopped answers all")).collect())
    }

    /// Counts classifications, and asks the caller of the search whether it goes on.
    fn note(&self, classifications: usize) -> ControlFlow<()> {
        let done = self.done.fetch_add(classifications, Ordering::Relaxed) + classifications;
        self.options.on_progress.map_or(ControlFlow::Continue(()), |progress| progress(done))
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Workspace>> {
        self.spare.lock().expect("no panic while it is held")
    }
}

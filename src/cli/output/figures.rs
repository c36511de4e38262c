//! The figures of an explanation: their titles, texts and maps. `render` draws them.

use std::collections::HashSet;

use occlude::image::lattice::Lattice;
use occlude::network::INPUT_SIDE;
use occlude::{Curves, OcclusionMaps, Placement, Score, Shape};

use super::names::{layer_slug, stem};
use super::subject::Subjects;
use super::table::ascii;
use crate::cli::args::{Aggregate, Drawing, Figures, ScaleChoice, Show};
use crate::cli::explanation::{Explanation, Method, masks_in_words};
use crate::cli::render::backdrop::Backdrop;
use crate::cli::render::canvas::Canvas;
use crate::cli::render::colours::{CATEGORIES, Colours};
use crate::cli::render::map::{self, LegendEntry, MapFigure, Overlay, TilesFigure};
use crate::cli::render::plots::{self, Curve};
use crate::cli::render::scale::{ColourRange, Scale, ScaleOrigin, range, readable};

/// The horizontal axis of the plots of faithfulness.
const ACROSS: &str = "share of the pixels, most important first";

/// The largest number of named classes in a legend: one for each category colour, and the predicted
/// class.
const NAMED: usize = CATEGORIES.len() + 1;

/// The colour of positions with an unchanged prediction, and of positions with one of the remaining
/// classes.
pub const UNCHANGED: [u8; 3] = [235; 3];
pub const OTHER: [u8; 3] = [60; 3];

/// Values of a map of a probability below this hardly matter, although the colours show them in full
/// strength.
const TINY: f32 = 1e-3;
/// The same for values below this share of the end of a scale that other maps have, too.
const FLAT: f32 = 0.02;
/// A class with a probability below this is called improbable.
const IMPROBABLE: f32 = 0.01;

impl Explanation {
    /// The requested figures as (name, contents). `run` are the smallest and the largest drop of the
    /// run, for `--scale shared`.
    pub fn figures(&self, asked: &Figures, run: [f32; 2]) -> Vec<(String, Vec<u8>)> {
        let drawing = &asked.drawing;
        let backdrop = Backdrop::large(&self.photograph, self.resize, drawing.canvas.shape);
        let mut files = Vec::new();
        let mut add = |name: &str, canvas: Canvas| {
            let name = format!("{}-{name}.{}", stem(&self.image), drawing.format.ending());
            files.push((name, canvas.encode(drawing.format)));
        };
        let slugs = self.slugs();
        for show in &asked.show.0 {
            match show {
                Show::Drop => {
                    for (k, slug) in slugs.iter().enumerate() {
                        add(slug, self.drop_figure(&backdrop, k, drawing, run));
                    }
                }
                Show::Score => {
                    for (k, slug) in slugs.iter().enumerate() {
                        add(&format!("{slug}-score"), self.score_figure(&backdrop, k, drawing));
                    }
                }
                Show::Class => add("most-probable", self.class_figure(&backdrop, drawing)),
            }
        }
        for (f, feature) in self.maps.features.iter().enumerate() {
            let layer = layer_slug(&feature.layer);
            add(&format!("{layer}-{}", feature.channel), self.feature_figure(&backdrop, f, drawing));
        }
        if !self.faithfulness.is_empty() {
            for (k, slug) in slugs.iter().enumerate() {
                add(&format!("{slug}-faithfulness"), self.faithfulness_figure(k));
            }
        }
        for (k, slug) in slugs.iter().enumerate() {
            if let Some(figure) = self.pairs_figure(&backdrop, k) {
                add(&format!("{slug}-pairs"), figure);
            }
            if let Some(figure) = self.robust_figure(&backdrop, k, drawing) {
                add(&format!("{slug}-robust"), figure);
            }
        }
        files
    }

    /// The meaning of the values of [`Explanation::drops`], in words.
    pub fn drop_in_words(&self) -> String {
        let score = self.score_in_words();
        match self.aggregate {
            _ if self.maps.inverse => {
                format!("gain in {score} where only the {} shows the picture", self.mask_name())
            }
            _ if self.maps.segments.is_some() => format!("drop in {score} without the part"),
            Aggregate::None => format!("drop in {score} under the mask"),
            Aggregate::Windows => format!("mean drop in {score} under all masks that cover a pixel"),
        }
    }

    /// The name of what covers the picture at each position.
    pub fn mask_name(&self) -> &'static str {
        if self.maps.segments.is_some() { "part" } else { "mask" }
    }

    /// The meaning of the colours of a map of drops.
    pub fn colours_in_words(&self, scale: &Scale) -> String {
        let meaning = scale.meaning();
        match &self.maps.score {
            Score::Group { name, .. } => meaning.replace("the class", name),
            Score::Entropy => {
                let (positive, negative) = match self.maps.inverse {
                    true => (
                        "where the answer is less certain than without the picture",
                        "where it is more certain",
                    ),
                    false => ("where a mask makes the answer more certain", "where it makes it less certain"),
                };
                meaning
                    .replace("the strongest evidence for the class", positive)
                    .replace("evidence for the class", positive)
                    .replace("evidence against it", negative)
            }
            _ => meaning.to_string(),
        }
    }

    /// The reason for the paler parts of a map of drops, as the end of a sentence.
    pub fn pale_in_words(&self) -> &'static str {
        match self.aggregate {
            Aggregate::None => self.pale_positions_in_words(),
            Aggregate::Windows => "",
        }
    }

    /// The same for a map with one value for each mask position, whatever `--aggregate` is.
    pub fn pale_positions_in_words(&self) -> &'static str {
        match self.placement {
            Placement::Centres if self.maps.segments.is_none() => "; paler where no mask was centred",
            _ => "",
        }
    }

    /// The largest magnitude of the map of the `k`-th class, if the colours mislead: full strength for
    /// tiny differences of a probability, or no colour on a scale that ends at `limit` (0 for the
    /// map's own scale).
    pub fn faint(&self, map: &[f32], limit: f32) -> Option<f32> {
        let most = magnitude(map);
        let is_faint = most > 0.0 && most < TINY.max(FLAT * limit);
        (self.logit_form().is_some() && is_faint).then_some(most)
    }

    /// The score of logits in place of one of probabilities, if there is one.
    pub fn logit_form(&self) -> Option<Score> {
        match &self.maps.score {
            Score::Probability => Some(Score::Logit),
            Score::Contrast(against) => Some(Score::LogitContrast(against.clone())),
            Score::Margin => Some(Score::LogitMargin),
            _ => None,
        }
    }

    /// A caution for such a map; otherwise empty.
    pub fn caution(&self, k: usize, map: &[f32], limit: f32) -> String {
        let probability = self.maps.classification.probabilities[self.maps.classes[k]];
        let class = improbable_in_words(probability);
        match (self.faint(map, limit), self.logit_form()) {
            (Some(most), Some(logits)) => format!(
                "{class}{} of at most {}: --score {logits} shows the evidence",
                self.differences_in_words(),
                readable(most)
            ),
            _ => String::new(),
        }
    }

    /// Lines for the terminal about the colours of the map of the `k`-th class, as far as they could
    /// mislead; `limit` is that of [`Explanation::caution`].
    pub fn notes(&self, k: usize, map: &[f32], limit: f32, scale: &Scale) -> Vec<String> {
        let notes = [ascii(&self.caution(k, map, limit)), beyond_in_words(map, scale)];
        notes.into_iter().filter(|note| !note.is_empty()).collect()
    }

    /// The name of the values of [`Explanation::drops`] in cautions.
    pub fn differences_in_words(&self) -> &'static str {
        match self.aggregate {
            Aggregate::Windows if self.maps.segments.is_none() => "mean differences per pixel",
            _ => "differences",
        }
    }

    /// The size of the mask that is outlined on figures; segments have none.
    pub fn outlined(&self, drawing: &Drawing) -> Option<[usize; 2]> {
        (drawing.mark && self.maps.segments.is_none()).then_some(self.maps.mask_size)
    }

    fn drop_figure(&self, backdrop: &Backdrop, k: usize, drawing: &Drawing, run: [f32; 2]) -> Canvas {
        let maps = &self.maps;
        let (map, lattice) = self.drops(k);
        let scale = drop_scale(drawing, &map, run);
        let meaning = match magnitude(&map) {
            0.0 => [format!("no {} changes the {}", self.mask_name(), self.score_in_words()), String::new()],
            _ => [
                format!("{}, {}", self.drop_in_words(), measured(&scale, map.iter())),
                format!("{}{}", self.colours_in_words(&scale), self.pale_in_words()),
            ],
        };
        map::draw(&MapFigure {
            backdrop,
            overlay: overlay(&map, lattice, drawing),
            scale,
            title: &self.subject(k),
            value: &format!("{} {}", self.score_name(), readable(maps.base_scores[k])),
            note: &sizes(maps, self.outlined(drawing).is_some()),
            caution: &self.caution(k, &map, scale.limit()),
            meaning: meaning.each_ref().map(String::as_str),
            mark: self.outlined(drawing),
            base: None,
            hatched: None,
        })
    }

    fn score_figure(&self, backdrop: &Backdrop, k: usize, drawing: &Drawing) -> Canvas {
        let maps = &self.maps;
        let count = maps.argmax.len();
        let scores = &maps.scores[k * count..(k + 1) * count];
        let base = maps.base_scores[k];
        let colours = drawing.colours.unwrap_or(Colours::Viridis);
        map::draw(&MapFigure {
            backdrop,
            overlay: overlay(&maps.at_pixels(scores), self.lattice(), drawing),
            scale: Scale::of_values(colours, scores.iter().chain([&base])),
            title: &self.subject(k),
            value: &format!("{} {}", self.score_name(), readable(base)),
            note: &sizes(maps, self.outlined(drawing).is_some()),
            caution: &self.caution(k, maps.map(k).values(), 0.0),
            meaning: [
                &format!("{} at each mask position{}", self.score_of_class(), self.pale_positions_in_words()),
                &format!(
                    "the mark at the colour bar is the {} without a mask, {}",
                    self.score_in_words(),
                    readable(base)
                ),
            ],
            mark: self.outlined(drawing),
            base: Some(base),
            hatched: None,
        })
    }

    fn feature_figure(&self, backdrop: &Backdrop, f: usize, drawing: &Drawing) -> Canvas {
        let maps = &self.maps;
        let feature = &maps.features[f];
        let map = maps.feature_map(f);
        let map = map.values();
        let colours = drawing.colours.unwrap_or(Colours::OF_DROPS);
        let scale = Scale::of_drops(colours, drawing.colour_range.unwrap_or(ColourRange::of(colours)), map);
        let meaning = match scale.colours {
            Colours::Viridis => "yellow is where the feature occurs",
            _ if !scale.is_symmetric() => scale.meaning(),
            _ => "red is where the feature occurs, blue is where it is inhibited",
        };
        map::draw(&MapFigure {
            backdrop,
            overlay: overlay(&maps.at_pixels(map), self.lattice(), drawing),
            scale,
            title: &format!("{}, channel {}", feature.layer, feature.channel),
            value: &format!("total {}", readable(feature.base_total)),
            note: &sizes(maps, self.outlined(drawing).is_some()),
            caution: "",
            meaning: [
                &format!("drop in the total activation under the mask, {}", measured(&scale, map.iter())),
                &format!("{meaning}{}", self.pale_positions_in_words()),
            ],
            mark: self.outlined(drawing),
            base: None,
            hatched: None,
        })
    }

    fn class_figure(&self, backdrop: &Backdrop, drawing: &Drawing) -> Canvas {
        let maps = &self.maps;
        let positions = maps.argmax.len();
        // The predicted class of the uncovered picture, then the others by frequency.
        let whole = maps.classification.best();
        let count = |class: usize| maps.argmax.iter().filter(|&&c| c == class).count();
        let others: HashSet<usize> = maps.argmax.iter().copied().filter(|&class| class != whole).collect();
        let mut others: Vec<usize> = others.into_iter().collect();
        others.sort_by_key(|&class| (positions - count(class), class));
        let mut shown = vec![whole];
        shown.extend(others.iter().take(NAMED - 1));
        let mut entries: Vec<LegendEntry> = shown
            .iter()
            .enumerate()
            .map(|(i, &class)| LegendEntry {
                colour: i.checked_sub(1).map_or(UNCHANGED, |i| CATEGORIES[i]),
                name: self.labels.words(class).to_string(),
                count: match i {
                    0 => format!("{} of {positions} (predicted class)", count(class)),
                    _ => format!("{} of {positions}", count(class)),
                },
            })
            .collect();
        let rest = &others[others.len().min(NAMED - 1)..];
        if !rest.is_empty() {
            let seen: usize = rest.iter().map(|&class| count(class)).sum();
            let name = format!("{} other class{}", rest.len(), if rest.len() == 1 { "" } else { "es" });
            entries.push(LegendEntry { colour: OTHER, name, count: format!("{seen} of {positions}") });
        }
        let kind = |class: &usize| shown.iter().position(|shown| shown == class).unwrap_or(shown.len());
        let kinds: Vec<usize> = maps.argmax.iter().map(kind).collect();
        // Pixels of no part are never covered, so there the answer is the predicted class, the first kind.
        let tiles = maps.at_pixels(&kinds);
        map::draw_tiles(&TilesFigure {
            backdrop,
            tiles: &tiles,
            lattice: self.lattice(),
            opacity: drawing.opacity,
            legend: &entries,
            title: "Most probable class at each mask position",
            note: &sizes(maps, false),
            meaning: [
                &format!(
                    "each tile is a mask position and shows the class that is most probable with the mask there{}",
                    self.pale_positions_in_words()
                ),
                if others.is_empty() {
                    "the answer never changes: no mask changes the predicted class"
                } else {
                    ""
                },
            ],
        })
    }

    /// "probability of the class"; a score without a class, or of several, is named alone.
    fn score_of_class(&self) -> String {
        let score = self.score_in_words();
        match self.maps.score {
            Score::Probability | Score::Logit => format!("{score} of the class"),
            _ => score,
        }
    }

    fn faithfulness_figure(&self, k: usize) -> Canvas {
        let score = self.score_in_words();
        plots::draw(
            &format!("{}: faithfulness of the maps", self.subject(k)),
            &self.faithfulness_curves(k),
            self.faithfulness_shares(),
            [ACROSS, &self.score_of_class()],
            &[
                &format!("{score} with the most important pixels covered (deletion) and with only the most"),
                "important pixels uncovered (insertion), in the order of each map",
            ],
        )
    }

    /// The plots of a class, each by itself, with "deletion" or "insertion".
    pub fn faithfulness_plots(&self, k: usize) -> [(&'static str, Canvas); 2] {
        let up = self.score_of_class();
        let plot = |(caption, curves)| {
            plots::draw("", &[(caption, curves)], self.faithfulness_shares(), [ACROSS, &up], &[])
        };
        let [deletion, insertion] = self.faithfulness_curves(k).map(plot);
        [("deletion", deletion), ("insertion", insertion)]
    }

    /// The shares of the pixels, which all curves have.
    fn faithfulness_shares(&self) -> &[f32] {
        &self.faithfulness[0].1.shares
    }

    /// The captions and the curves of deletion and insertion for the `k`-th class.
    fn faithfulness_curves(&self, k: usize) -> [(&'static str, Vec<Curve<'_>>); 2] {
        let class = self.maps.classes[k];
        let measured: Vec<_> = self.faithfulness.iter().filter(|(_, curves)| curves.class == class).collect();
        let colour = |method: Method| match method {
            Method::Occlusion => CATEGORIES[5],
            Method::GradCam => CATEGORIES[4],
        };
        let lines = |curve: fn(&Curves) -> (&[f32], f32)| -> Vec<Curve<'_>> {
            let of = measured.iter().map(|(method, curves)| (*method, curve(curves)));
            of.map(|(method, (values, area))| {
                let name = format!("{}: area {}", method.name(), readable(area));
                Curve { colour: colour(method), name, values }
            })
            .collect()
        };
        let deletion = lines(|curves| (&curves.deletion, curves.deletion_area()));
        let insertion = lines(|curves| (&curves.insertion, curves.insertion_area()));
        [("deletion: lower is better", deletion), ("insertion: higher is better", insertion)]
    }
}

fn overlay<'a>(map: &'a [f32], lattice: Lattice, drawing: &Drawing) -> Overlay<'a> {
    Overlay { map, lattice, upsampling: drawing.upsampling, opacity: drawing.opacity }
}

/// The beginning of a caution about a class of this probability.
fn improbable_in_words(probability: f32) -> &'static str {
    if probability < IMPROBABLE { "improbable class, " } else { "" }
}

/// The largest magnitude.
pub fn magnitude(map: &[f32]) -> f32 {
    map.iter().fold(0.0, |most, value| most.max(value.abs()))
}

/// A caution for a Grad-CAM map whose values are tiny or all 0; otherwise empty.
pub fn gradcam_caution(probability: f32, map: &[f32]) -> String {
    let class = improbable_in_words(probability);
    match magnitude(map) {
        0.0 => format!("{class}no cell raises the probability"),
        most if most < TINY => {
            let most = readable(most);
            format!("{class}values of at most {most}; `occlude explain --score logit` shows more")
        }
        _ => String::new(),
    }
}

/// The smallest and the largest drop of all maps that are drawn.
pub fn drop_range(explanations: &[Explanation]) -> [f32; 2] {
    let ends = explanations.iter().flat_map(|explanation| {
        (0..explanation.maps.classes.len()).flat_map(|k| range(&explanation.drops(k).0))
    });
    range(&ends.collect::<Vec<f32>>())
}

/// The smallest and the largest value on the scale of a map of drops, and its origin. `run` are
/// those of the run, for `--scale shared`.
pub fn drop_extent(drawing: &Drawing, map: &[f32], run: [f32; 2]) -> ([f32; 2], ScaleOrigin) {
    match drawing.scale {
        ScaleChoice::Auto => (range(map), ScaleOrigin::Own),
        ScaleChoice::Value(limit) => ([0.0, limit], ScaleOrigin::Fixed),
        ScaleChoice::Shared => (run, ScaleOrigin::Shared),
    }
}

/// The scale of a map of drops.
pub fn drop_scale(drawing: &Drawing, map: &[f32], run: [f32; 2]) -> Scale {
    let colours = drawing.colours.unwrap_or(Colours::OF_DROPS);
    let (extent, origin) = drop_extent(drawing, map, run);
    let colour_range = drawing.colour_range.unwrap_or(ColourRange::of(colours));
    let scale = Scale::of_drops(colours, colour_range, &extent);
    let [low, high] = range(map);
    Scale { origin, clips: [low < scale.low, high > scale.high], ..scale }
}

/// The number of values of a map beyond its scale, in words; empty if there are none.
fn beyond_in_words(map: &[f32], scale: &Scale) -> String {
    match map.iter().filter(|value| !(scale.low..=scale.high).contains(value)).count() {
        0 => String::new(),
        beyond => {
            format!("{beyond} of {} values lie beyond the scale and have the colour of its end", map.len())
        }
    }
}

/// The parameters of the sweep in one line.
pub fn sizes(maps: &OcclusionMaps, is_outlined: bool) -> String {
    let fill = masks_in_words(maps);
    if let Some(segments) = &maps.segments {
        return format!("{} parts of the picture, {fill}", segments.count());
    }
    let [mask_height, mask_width] = maps.mask_size;
    let [down, across] = maps.stride;
    let outline = match (is_outlined, maps.shape) {
        (false, _) => "",
        (true, Shape::Rectangle) => " (white outline)",
        (true, _) => " (within the white outline)",
    };
    let mask = format!("mask {mask_height}×{mask_width}{outline}");
    match (maps.shape, maps.channel) {
        (Shape::Rectangle, None) => {
            format!("{mask}, stride {down}×{across}, in pixels of the {INPUT_SIDE}×{INPUT_SIDE} picture")
        }
        _ => format!("{mask}, {fill}, stride {down}×{across}"),
    }
}

/// The range of the colours and the range of the values, in words.
fn measured<'v>(scale: &Scale, values: impl Iterator<Item = &'v f32>) -> String {
    let [low, high] = range(values);
    let symmetric = if scale.is_symmetric() { " (scale symmetric around 0)" } else { "" };
    format!("from {} to {}{symmetric}{}", readable(low), readable(high), scale.clipped_in_words())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grad_cam_of_tiny_values_has_a_caution() {
        let text = |probability, most| gradcam_caution(probability, &[0.0, most]);
        assert_eq!(text(1e-8, 0.0), "improbable class, no cell raises the probability");
        assert_eq!(text(0.2, 0.0), "no cell raises the probability");
        assert!(text(1e-4, 1e-5).starts_with("improbable class, values of at most 1.0e−5; "));
        assert!(text(0.2, 1e-4).starts_with("values of at most 1.0e−4; "));
        assert_eq!(text(1e-4, 0.1), "");
    }
}

//! The figures of an explanation: their titles, texts and maps. `render` draws them.

use std::collections::HashSet;

use occlude::network::INPUT_SIDE;
use occlude::network::geometry::Rect;
use occlude::{Curves, OcclusionMaps};

use super::names::{layer_slug, slugs, stem};
use crate::cli::args::{Aggregate, Drawing, Figures, Show};
use crate::cli::explanation::{Explanation, Method};
use crate::cli::render::canvas::Canvas;
use crate::cli::render::colours::{CATEGORIES, Colours};
use crate::cli::render::map::{self, LegendEntry, MapFigure, Overlay, TilesFigure};
use crate::cli::render::page::PHOTO_SIDE;
use crate::cli::render::plots::{self, Curve};
use crate::cli::render::scale::{Scale, range, readable};

/// The largest number of named classes in a legend: one for each category colour, and the predicted
/// class.
const NAMED: usize = CATEGORIES.len() + 1;

/// The colour of positions with an unchanged prediction, and of positions with one of the remaining
/// classes.
pub const UNCHANGED: [u8; 3] = [235; 3];
pub const OTHER: [u8; 3] = [60; 3];

impl Explanation {
    /// The requested figures as (name, contents).
    pub fn figures(&self, asked: &Figures) -> Vec<(String, Vec<u8>)> {
        let drawing = &asked.drawing;
        let photograph = self.photograph.square(PHOTO_SIDE, self.resize);
        let mut files = Vec::new();
        let mut add = |name: &str, canvas: Canvas| {
            let name = format!("{}-{name}.{}", stem(&self.image), drawing.format.ending());
            files.push((name, canvas.encode(drawing.format)));
        };
        let slugs = slugs(&self.maps.classes, &self.labels);
        for show in &asked.show.0 {
            match show {
                Show::Drop => {
                    for (k, slug) in slugs.iter().enumerate() {
                        add(slug, self.drop_figure(&photograph, k, drawing));
                    }
                }
                Show::Score => {
                    for (k, slug) in slugs.iter().enumerate() {
                        add(&format!("{slug}-score"), self.score_figure(&photograph, k, drawing));
                    }
                }
                Show::Class => add("most-probable", self.class_figure(&photograph, drawing)),
            }
        }
        for (f, feature) in self.maps.features.iter().enumerate() {
            let layer = layer_slug(&feature.layer);
            add(&format!("{layer}-{}", feature.channel), self.feature_figure(&photograph, f, drawing));
        }
        if !self.faithfulness.is_empty() {
            for (k, slug) in slugs.iter().enumerate() {
                add(&format!("{slug}-faithfulness"), self.faithfulness_figure(k));
            }
        }
        files
    }

    /// The map of a class that is drawn, with its grid and area: one value per mask position or,
    /// with `--aggregate windows`, per pixel.
    pub fn drops(&self, k: usize) -> (Vec<f32>, [usize; 2], Rect) {
        match self.aggregate {
            Aggregate::None => (self.maps.map(k).values().to_vec(), self.maps.grid, self.maps.area()),
            Aggregate::Windows => (self.maps.attributions(k), [INPUT_SIDE; 2], Rect::plane(INPUT_SIDE)),
        }
    }

    /// The meaning of the values of [`Explanation::drops`], in words.
    pub fn drop_in_words(&self) -> String {
        match self.aggregate {
            Aggregate::None => format!("drop in {} under the mask", self.maps.score),
            Aggregate::Windows => {
                format!("mean drop in {} under all masks that cover a pixel", self.maps.score)
            }
        }
    }

    fn drop_figure(&self, photograph: &[u8], k: usize, drawing: &Drawing) -> Canvas {
        let maps = &self.maps;
        let (map, grid, area) = self.drops(k);
        let scale = Scale::of_drops(drawing.colours.unwrap_or(Colours::Jet), &map);
        map::draw(&MapFigure {
            photograph,
            overlay: overlay(&map, grid, area, drawing),
            scale,
            title: self.labels.words(maps.classes[k]),
            value: &format!("{} {}", maps.score, readable(maps.base_scores[k])),
            note: &sizes(maps, drawing.mark),
            meaning: [
                &format!("{}, {}", self.drop_in_words(), measured(&scale, map.iter())),
                scale.colours.meaning(),
            ],
            mark: drawing.mark.then_some(maps.mask_size),
            base: None,
        })
    }

    fn score_figure(&self, photograph: &[u8], k: usize, drawing: &Drawing) -> Canvas {
        let maps = &self.maps;
        let count = maps.argmax.len();
        let scores = &maps.scores[k * count..(k + 1) * count];
        let base = maps.base_scores[k];
        let colours = drawing.colours.unwrap_or(Colours::Viridis);
        map::draw(&MapFigure {
            photograph,
            overlay: overlay(scores, maps.grid, maps.area(), drawing),
            scale: Scale::of_values(colours, scores.iter().chain([&base])),
            title: self.labels.words(maps.classes[k]),
            value: &format!("{} {}", maps.score, readable(base)),
            note: &sizes(maps, drawing.mark),
            meaning: [
                &format!("{} of the class at each mask position", maps.score),
                &format!(
                    "the mark at the colour bar is the {} without a mask, {}",
                    maps.score,
                    readable(base)
                ),
            ],
            mark: drawing.mark.then_some(maps.mask_size),
            base: Some(base),
        })
    }

    fn feature_figure(&self, photograph: &[u8], f: usize, drawing: &Drawing) -> Canvas {
        let maps = &self.maps;
        let feature = &maps.features[f];
        let map = maps.feature_map(f);
        let map = map.values();
        let scale = Scale::of_drops(drawing.colours.unwrap_or(Colours::Jet), map);
        let meaning = match scale.colours {
            Colours::Viridis => "yellow is where the feature occurs",
            _ => "red is where the feature occurs, blue is where it is inhibited",
        };
        map::draw(&MapFigure {
            photograph,
            overlay: overlay(map, maps.grid, maps.area(), drawing),
            scale,
            title: &format!("{}, channel {}", feature.layer, feature.channel),
            value: &format!("total {}", readable(feature.base_total)),
            note: &sizes(maps, drawing.mark),
            meaning: [
                &format!("drop in the total activation under the mask, {}", measured(&scale, map.iter())),
                meaning,
            ],
            mark: drawing.mark.then_some(maps.mask_size),
            base: None,
        })
    }

    fn class_figure(&self, photograph: &[u8], drawing: &Drawing) -> Canvas {
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
        let tiles: Vec<usize> = maps.argmax.iter().map(kind).collect();
        map::draw_tiles(&TilesFigure {
            photograph,
            tiles: &tiles,
            grid: maps.grid,
            area: maps.area(),
            opacity: drawing.opacity,
            legend: &entries,
            title: "Most probable class at each mask position",
            note: &sizes(maps, false),
            meaning: [
                "each tile is a mask position and shows the class that is most probable with the mask there",
                "",
            ],
        })
    }

    fn faithfulness_figure(&self, k: usize) -> Canvas {
        let class = self.maps.classes[k];
        let measured: Vec<_> = self.faithfulness.iter().filter(|(_, curves)| curves.class == class).collect();
        let colour = |method: Method| match method {
            Method::Occlusion => CATEGORIES[5],
            Method::GradCam => CATEGORIES[4],
        };
        let lines = |curve: for<'c> fn(&'c Curves) -> (&'c [f32], f32)| -> Vec<Curve> {
            let of = measured.iter().map(|(method, curves)| (*method, curve(curves)));
            of.map(|(method, (values, area))| {
                let name = format!("{}: area {}", method.name(), readable(area));
                Curve { colour: colour(method), name, values }
            })
            .collect()
        };
        let deletion = lines(|curves| (&curves.deletion, curves.deletion_area()));
        let insertion = lines(|curves| (&curves.insertion, curves.insertion_area()));
        let score = self.maps.score;
        plots::draw(
            &format!("{}: faithfulness of the maps", self.labels.words(class)),
            &[("deletion: lower is better", deletion), ("insertion: higher is better", insertion)],
            &measured[0].1.shares,
            "share of the pixels, most important first",
            &[
                &format!("{score} with the most important pixels covered (deletion) and with only the most"),
                "important pixels uncovered (insertion), in the order of each map",
            ],
        )
    }
}

fn overlay<'a>(map: &'a [f32], grid: [usize; 2], area: Rect, drawing: &Drawing) -> Overlay<'a> {
    Overlay { map, grid, area, upsampling: drawing.upsampling, opacity: drawing.opacity }
}

/// The parameters of the sweep in one line.
pub fn sizes(maps: &OcclusionMaps, is_outlined: bool) -> String {
    let [mask_height, mask_width] = maps.mask_size;
    let [down, across] = maps.stride;
    let outline = if is_outlined { " (white outline)" } else { "" };
    format!(
        "mask {mask_height}×{mask_width}{outline}, stride {down}×{across}, in pixels of the {INPUT_SIDE}×{INPUT_SIDE} picture"
    )
}

/// The range of the colours and the range of the values, in words.
fn measured<'v>(scale: &Scale, values: impl Iterator<Item = &'v f32>) -> String {
    let [low, high] = range(values);
    let symmetric = if scale.colours.is_symmetric() { " (scale symmetric around 0)" } else { "" };
    format!("from {} to {}{symmetric}", readable(low), readable(high))
}

//! The interactions of a map's strongest places: the lines of the summary and the figure.

use occlude::ClassInteractions;

use super::table::{ascii, drop, score};
use crate::cli::explanation::{Explanation, PlacePairs};
use crate::cli::render::backdrop::Backdrop;
use crate::cli::render::canvas::Canvas;
use crate::cli::render::colours::Colours;
use crate::cli::render::links::{self, LinksFigure};
use crate::cli::render::scale::{ColourRange, Scale, range, readable};

/// The pairs of `count` places.
pub fn pairs(count: usize) -> impl Iterator<Item = [usize; 2]> {
    (0..count).flat_map(move |i| (i + 1..count).map(move |j| [i, j]))
}

impl Explanation {
    /// The places and the pairs of the `k`-th class as a table, if `--pairs` asked for them.
    pub fn pairs_in_words(&self, k: usize) -> Vec<String> {
        let Some(PlacePairs { asked, positions, measured }) = self.pairs.get(k) else { return Vec::new() };
        let Some(measured) = measured else {
            let found = if positions.is_empty() { "no place" } else { "only one place" };
            return vec![format!(
                "no pairs: {found} with evidence for the class has room without an overlap"
            )];
        };
        let count = positions.len();
        let fewer = if count < *asked { ", all that have room" } else { "" };
        let mut lines = vec![
            format!("the {count} strongest places that do not overlap{fewer}:"),
            "  place  centre of the mask  drop when covered alone".to_string(),
        ];
        for (i, &[row, column]) in positions.iter().enumerate() {
            let [y, x] = self.maps.centre(row, column);
            let single = drop(measured.drop(1 << i) as f32);
            lines.push(format!("  {:>5}  {:<18}  {single}", i + 1, format!("x {x}, y {y}")));
        }
        lines.push("  pair      drop of both  the single drops miss  Shapley-Taylor index".to_string());
        for [i, j] in pairs(count) {
            let both = drop(measured.drop(1 << i | 1 << j) as f32);
            let [missed, index] = [measured.missed(i, j), measured.index(i, j)].map(|v| drop(v as f32));
            lines.push(format!(
                "  {:<8}  {both:<12}  {missed:<21}  {index}",
                format!("{} and {}", i + 1, j + 1)
            ));
        }
        let [singles, indices] = sums(measured).map(|sum| score(sum as f32));
        let all = score(measured.drop(measured.scores.len() - 1) as f32);
        lines.push(format!(
            "  the single drops add up to {singles}, the indices to {indices}; both together are the drop \
             with all {count} covered, {all}"
        ));
        lines.into_iter().map(|line| ascii(&line)).collect()
    }

    /// The figure of the interactions of the `k`-th class; `None` if there is no pair.
    pub fn pairs_figure(&self, backdrop: &Backdrop, k: usize) -> Option<Canvas> {
        let measured = self.pairs.get(k)?.measured.as_ref()?;
        let maps = &self.maps;
        let single = |i: usize| measured.drop(1 << i) as f32;
        let places: Vec<_> = measured.places.iter().enumerate().map(|(i, rect)| (*rect, single(i))).collect();
        let links: Vec<_> = pairs(places.len()).map(|[i, j]| ([i, j], measured.index(i, j) as f32)).collect();
        let values: Vec<f32> = links.iter().map(|(_, value)| *value).collect();
        let [least, most] = range(&values).map(readable);
        let [height, width] = maps.mask_size;
        let count = places.len();
        Some(links::draw(&LinksFigure {
            backdrop,
            places: &places,
            links: &links,
            scale: Scale::of_drops(Colours::OF_DROPS, ColourRange::Symmetric, &values),
            title: &self.subject(k),
            value: &format!("{} {}", self.score_in_words(), readable(maps.base_scores[k])),
            note: &format!(
                "the {count} strongest places that do not overlap, each of {height}×{width} pixels"
            ),
            listed: &format!("place, and its drop in {} when covered alone", self.score_in_words()),
            meaning: [
                &format!(
                    "colour and width of a link: what covering both places adds to the single drops, from {least} to \
                     {most} (Shapley-Taylor index)"
                ),
                "red: more is lost together than alone, as when each can stand in for the other",
                &format!(
                    "blue: less is lost together, as when covering one already loses what both contribute; links below {:.0} % \
                     of the strongest are left out",
                    100.0 * links::LEAST
                ),
            ],
        }))
    }
}

/// The sums of the single drops and of the indices of all pairs.
pub fn sums(measured: &ClassInteractions) -> [f64; 2] {
    let count = measured.places.len();
    [(0..count).map(|i| measured.drop(1 << i)).sum(), pairs(count).map(|[i, j]| measured.index(i, j)).sum()]
}

//! The interactions of a map's strongest places: the lines of the summary and the figure.

use occlude::ClassInteractions;

use super::subject::Subjects;
use super::table::{ascii, drop, score};
use crate::cli::explanation::{Explanation, PlacePairs};
use crate::cli::render::backdrop::Backdrop;
use crate::cli::render::canvas::Canvas;
use crate::cli::render::colours::Colours;
use crate::cli::render::links::{self, Links, LinksFigure};
use crate::cli::render::scale::{ColourRange, Scale, range, readable};

/// The places and the pairs of a class's map, for a list.
pub struct PairsTable {
    /// Says what they are, or why there are none.
    pub heading: String,
    /// For each place, row and column of its centre, and the drop when it is covered alone.
    pub places: Vec<([usize; 2], f64)>,
    /// For each pair, the indices of its places, the drop of both, what the single drops miss, and the
    /// Shapley-Taylor index.
    pub pairs: Vec<([usize; 2], [f64; 3])>,
    /// The sums; empty without pairs.
    pub sums: String,
}

/// The pairs of `count` places.
pub fn pairs(count: usize) -> impl Iterator<Item = [usize; 2]> {
    (0..count).flat_map(move |i| (i + 1..count).map(move |j| [i, j]))
}

impl Explanation {
    /// The places and the pairs of the `k`-th class, if `--pairs` asked for them.
    pub fn pairs_table(&self, k: usize) -> Option<PairsTable> {
        let PlacePairs { asked, positions, measured } = self.pairs.get(k)?;
        let Some(measured) = measured else {
            let found = if positions.is_empty() { "no place" } else { "only one place" };
            let heading =
                format!("no pairs: {found} with evidence for the class has room without an overlap");
            return Some(PairsTable { heading, places: Vec::new(), pairs: Vec::new(), sums: String::new() });
        };
        let count = positions.len();
        let fewer = if count < *asked { ", all that have room" } else { "" };
        let place = |(i, &[row, column]): (usize, &[usize; 2])| {
            (self.maps.centre(row, column), measured.drop(1 << i))
        };
        let pair = |[i, j]: [usize; 2]| {
            ([i, j], [measured.drop(1 << i | 1 << j), measured.missed(i, j), measured.index(i, j)])
        };
        let [singles, indices] = sums(measured).map(|sum| score(sum as f32));
        let all = score(measured.drop(measured.scores.len() - 1) as f32);
        Some(PairsTable {
            heading: format!("the {count} strongest places that do not overlap{fewer}"),
            places: positions.iter().enumerate().map(place).collect(),
            pairs: pairs(count).map(pair).collect(),
            sums: format!(
                "the single drops add up to {singles}, the indices to {indices}; both together are the drop \
                 with all {count} covered, {all}"
            ),
        })
    }

    /// The same as lines of the summary.
    pub fn pairs_in_words(&self, k: usize) -> Vec<String> {
        let Some(PairsTable { heading, places, pairs, sums }) = self.pairs_table(k) else {
            return Vec::new();
        };
        if pairs.is_empty() {
            return vec![heading];
        }
        let mut lines =
            vec![format!("{heading}:"), "  place  centre of the mask  drop when covered alone".to_string()];
        for (i, ([y, x], single)) in places.into_iter().enumerate() {
            let single = drop(single as f32);
            lines.push(format!("  {:>5}  {:<18}  {single}", i + 1, format!("x {x}, y {y}")));
        }
        lines.push("  pair      drop of both  the single drops miss  Shapley-Taylor index".to_string());
        for ([i, j], values) in pairs {
            let [both, missed, index] = values.map(|value| drop(value as f32));
            lines.push(format!(
                "  {:<8}  {both:<12}  {missed:<21}  {index}",
                format!("{} and {}", i + 1, j + 1)
            ));
        }
        lines.push(format!("  {sums}"));
        lines.into_iter().map(|line| ascii(&line)).collect()
    }

    /// The links between the places of the `k`-th class; `None` if there is no pair.
    pub fn links<'a>(&self, backdrop: &'a Backdrop, k: usize) -> Option<Links<'a>> {
        let measured = self.pairs.get(k)?.measured.as_ref()?;
        let single = |i: usize| measured.drop(1 << i) as f32;
        let places: Vec<_> = measured.places.iter().enumerate().map(|(i, rect)| (*rect, single(i))).collect();
        let links: Vec<_> = pairs(places.len()).map(|[i, j]| ([i, j], measured.index(i, j) as f32)).collect();
        let scale =
            Scale::of_drops(Colours::OF_DROPS, ColourRange::Symmetric, links.iter().map(|(_, value)| value));
        Some(Links { backdrop, places, links, scale })
    }

    /// The figure of the interactions of the `k`-th class; `None` if there is no pair.
    pub fn pairs_figure(&self, backdrop: &Backdrop, k: usize) -> Option<Canvas> {
        let links = self.links(backdrop, k)?;
        let maps = &self.maps;
        let [least, most] = range(links.links.iter().map(|(_, value)| value)).map(readable);
        let [height, width] = maps.mask_size;
        let count = links.places.len();
        let [link, red, blue] = links_in_words();
        Some(links::draw(&LinksFigure {
            links: &links,
            title: &self.subject(k),
            value: &format!("{} {}", self.score_in_words(), readable(maps.base_scores[k])),
            note: &format!(
                "the {count} strongest places that do not overlap, each of {height}×{width} pixels"
            ),
            listed: &format!("place, and its drop in {} when covered alone", self.score_in_words()),
            meaning: [&format!("{link}, from {least} to {most}"), &red, &blue],
        }))
    }
}

/// The meaning of the links, of red ones, and of blue ones.
pub fn links_in_words() -> [String; 3] {
    [
        "colour and width of a link: what covering both places adds to the single drops (Shapley-Taylor index)"
            .to_string(),
        "red: more is lost together than alone, as when each can stand in for the other".to_string(),
        format!(
            "blue: less is lost together, as when covering one already loses what both contribute; links below {:.0} % \
             of the strongest are left out",
            100.0 * links::LEAST
        ),
    ]
}

/// The sums of the single drops and of the indices of all pairs.
pub fn sums(measured: &ClassInteractions) -> [f64; 2] {
    let count = measured.places.len();
    [(0..count).map(|i| measured.drop(1 << i)).sum(), pairs(count).map(|[i, j]| measured.index(i, j)).sum()]
}

//! Combines a map with its repetitions with other masks (`--robust`): the mean map, the agreement of
//! the signs, a sentence, the figure.
//!
//! The maps have the same mask centres, so they are combined position by position. A larger mask has
//! larger drops, and a fill that looks like an object changes more than a blur; each map is therefore
//! divided by its largest magnitude before the mean is taken. The threshold of four fifths for the
//! agreement of signs is that of the IPCC's maps of climate models, which are hatched in the same way
//! (Sixth Assessment Report, Working Group I, cross-chapter box Atlas.1, "simple approach").

use occlude::{Map, OcclusionMaps};

use super::contrast::correlation;
use super::subject::Subjects;
use super::table::ascii;
use crate::cli::args::Drawing;
use crate::cli::explanation::{Explanation, fill_in_words};
use crate::cli::render::backdrop::Backdrop;
use crate::cli::render::canvas::Canvas;
use crate::cli::render::colours::Colours;
use crate::cli::render::map::{self, MapFigure, Overlay};
use crate::cli::render::scale::{ColourRange, Scale, range, readable};

/// The maps of one class with several masks, combined.
pub struct Survey {
    /// The mean of the maps, each divided by its largest magnitude, `[ny][nx]`, -1..=1.
    pub mean: Map<'static>,
    /// The number of maps that have the sign of the mean, `[ny][nx]`; 0 where the mean is 0.
    pub agreeing: Vec<usize>,
    /// The least number of maps that counts as agreement.
    pub needed: usize,
    /// The largest magnitude of each map.
    pub largest: Vec<f32>,
    /// Pearson's correlation of each map with the mean; `None` if one of them is constant.
    pub correlations: Vec<Option<f32>>,
    /// Row and column of the largest value of the mean, if it is positive, and the number of maps in
    /// which less than a tenth of the positions have a larger value than this one.
    pub strongest: Option<([usize; 2], usize)>,
}

impl Survey {
    /// Combines the maps of the `k`-th class.
    pub fn of(maps: &[OcclusionMaps], k: usize) -> Survey {
        Survey::new(&maps.iter().map(|maps| maps.map(k)).collect::<Vec<_>>())
    }

    /// Combines maps of the same grid.
    fn new(maps: &[Map]) -> Survey {
        let positions = maps[0].values().len();
        let largest: Vec<f32> = maps.iter().map(|map| map.max().max(-map.min())).collect();
        let share = |m: usize, i: usize| match largest[m] {
            0.0 => 0.0,
            largest => f64::from(maps[m].values()[i]) / f64::from(largest),
        };
        let mean = |i: usize| {
            let sum: f64 = (0..maps.len()).map(|m| share(m, i)).sum();
            (sum / maps.len() as f64) as f32
        };
        let mean: Vec<f32> = (0..positions).map(mean).collect();
        let has_sign = |value: f32, mean: f32| value > 0.0 && mean > 0.0 || value < 0.0 && mean < 0.0;
        let agreeing =
            (0..positions).map(|i| maps.iter().filter(|map| has_sign(map.values()[i], mean[i])).count());
        let agreeing = agreeing.collect();
        let correlations = maps.iter().map(|map| correlation(map.values(), &mean)).collect();
        let mean = Map::new(maps[0].grid(), mean);
        let at = mean.max_position();
        let is_strong = |map: &&Map| {
            let own = map.get(at[0], at[1]);
            own > 0.0 && 10 * map.iter().filter(|value| **value > own).count() < positions
        };
        let strongest = (mean.max() > 0.0).then(|| (at, maps.iter().filter(is_strong).count()));
        let needed = (4 * maps.len()).div_ceil(5);
        Survey { mean, agreeing, needed, largest, correlations, strongest }
    }

    /// The share of positions at which the signs agree.
    pub fn agreement(&self) -> f32 {
        self.agreeing.iter().filter(|count| **count >= self.needed).count() as f32
            / self.agreeing.len() as f32
    }
}

impl Explanation {
    /// The combined maps of the `k`-th class, if `--robust` asked for them.
    pub fn survey(&self, k: usize) -> Option<Survey> {
        (!self.robust.is_empty()).then(|| Survey::of(&self.robust, k))
    }

    /// One sentence on what survives in all maps.
    pub fn survivors_in_words(&self, k: usize) -> Option<String> {
        let survey = self.survey(k)?;
        let all = self.robust.len();
        let place = match survey.strongest {
            Some(([row, column], among)) => {
                let [y, x] = self.maps.centre(row, column);
                format!(
                    "the strongest place of the mean map, x {x}, y {y}, is among the strongest tenth in {among} of {all} \
                     maps"
                )
            }
            None => "the mean map has no evidence for the class".to_string(),
        };
        let defined: Vec<f32> = survey.correlations.iter().flatten().copied().collect();
        let alike = match (&defined[..], range(&defined)) {
            ([], _) => "no map has a correlation with the mean, because all are constant".to_string(),
            (_, [low, high]) => format!("the maps correlate with their mean by {low:.2} to {high:.2}"),
        };
        Some(ascii(&format!(
            "with other masks: {place}; at least {} of {all} maps have the same sign at {:.0} % of the positions; {alike}",
            survey.needed,
            100.0 * survey.agreement()
        )))
    }

    /// The figure of the mean map of the `k`-th class; `None` unless `--robust` asked for it.
    pub fn robust_figure(&self, backdrop: &Backdrop, k: usize, drawing: &Drawing) -> Option<Canvas> {
        let survey = self.survey(k)?;
        let all = self.robust.len();
        let hatched: Vec<bool> = survey.agreeing.iter().map(|count| *count < survey.needed).collect();
        let map = survey.mean.values();
        let colours = drawing.colours.unwrap_or(Colours::OF_DROPS);
        let colour_range = drawing.colour_range.unwrap_or(ColourRange::of(colours));
        let scale = Scale::of_drops(colours, colour_range, map);
        let [low, high] = range(map).map(readable);
        Some(map::draw(&MapFigure {
            backdrop,
            overlay: Overlay {
                map,
                lattice: self.lattice(),
                upsampling: drawing.upsampling,
                opacity: drawing.opacity,
            },
            scale,
            title: &self.subject(k),
            value: &format!("{} {}", self.score_in_words(), readable(self.maps.base_scores[k])),
            note: &self.masks_in_words(),
            caution: "",
            meaning: [
                &format!(
                    "mean of {all} maps, each divided by its largest magnitude; from {low} to {high}; {}{}",
                    self.colours_in_words(&scale),
                    self.pale_positions_in_words()
                ),
                &self.hatched_in_words(&survey),
            ],
            mark: None,
            base: None,
            hatched: Some((&hatched, ["signs", "differ"])),
        }))
    }

    /// The meaning of the hatching.
    pub fn hatched_in_words(&self, survey: &Survey) -> String {
        format!(
            "hatched: less than {} of {} maps have the sign of the mean, so it may be due to the mask",
            survey.needed,
            self.robust.len()
        )
    }

    /// The size and the fill of each mask of `--robust`.
    pub fn masks_of_robust(&self) -> Vec<String> {
        let mask = |maps: &OcclusionMaps| {
            let [height, width] = maps.mask_size;
            format!("{height}×{width}, {}", fill_in_words(maps.mask_value))
        };
        self.robust.iter().map(mask).collect()
    }

    /// The sizes and the fills of the masks of `--robust`.
    fn masks_in_words(&self) -> String {
        let different = |words: &mut dyn Iterator<Item = String>| {
            let mut all: Vec<String> = Vec::new();
            words.for_each(|word| all.extend((!all.contains(&word)).then_some(word)));
            all
        };
        let size = |maps: &OcclusionMaps| match maps.mask_size {
            [height, width] if height == width => height.to_string(),
            [height, width] => format!("{height}×{width}"),
        };
        let fill = |maps: &OcclusionMaps| fill_in_words(maps.mask_value);
        let sizes = different(&mut self.robust.iter().map(size)).join(", ");
        let fills = different(&mut self.robust.iter().map(fill)).join("; ");
        format!("masks of {sizes} pixels; {fills}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_combined_position_by_position() {
        // The second map is twice the first, the third has other signs, the fourth is empty.
        let values: [[f32; 4]; 4] =
            [[0.1, -0.2, 0.0, 0.4], [0.2, -0.4, 0.0, 0.8], [3.0, 1.5, -0.75, 0.3], [0.0; 4]];
        let maps: Vec<Map> = values.iter().map(|values| Map::new([2, 2], values.to_vec())).collect();
        let survey = Survey::new(&maps);
        assert_eq!(survey.largest, [0.4, 0.8, 3.0, 0.0]);
        assert_eq!(survey.needed, 4);
        for i in 0..4 {
            let mut sum = 0.0;
            for (values, largest) in values.iter().zip([0.4, 0.8, 3.0, 1.0]) {
                sum += values[i] / largest;
            }
            assert!((survey.mean.values()[i] - sum / 4.0).abs() < 1e-6);
        }
        assert_eq!(survey.agreeing, [3, 2, 1, 3]);
        assert_eq!(survey.agreement(), 0.0);
        assert!(survey.correlations[3].is_none() && survey.correlations[0] == survey.correlations[1]);
        // The last position is the largest of two maps; an empty map has no strong position.
        assert_eq!(survey.strongest, Some(([1, 1], 2)));
        let negative = Survey::new(&[Map::new([1, 2], vec![-1.0, 0.0]), Map::new([1, 2], vec![-2.0, -1.0])]);
        assert_eq!((negative.strongest, negative.agreeing), (None, vec![2, 1]));
    }
}

//! The relation between values and colours in a figure, and the colour bar that shows it.

use super::canvas::Canvas;
use super::colours::Colours;
use super::page::{GAP, INK, MARGIN, PAGE, tick_style};

const BAR_WIDTH: u32 = 24;

/// Width of the numbers beside the colour bar.
pub const TICKS_WIDTH: u32 = 96;
/// Width of the colour bar with its numbers and the distance to the photograph.
pub const BAR_ROOM: u32 = MARGIN + BAR_WIDTH + GAP + TICKS_WIDTH;

/// The smallest width of a scale, relative to the values on it.
const NARROWEST: f32 = 1e-4;

/// The smallest and the largest value; 0 and 0 if there are no values.
pub fn range<'v>(values: impl IntoIterator<Item = &'v f32>) -> [f32; 2] {
    let ends = |ends: Option<[f32; 2]>, &value: &f32| {
        Some(ends.map_or([value; 2], |[low, high]| [low.min(value), high.max(value)]))
    };
    values.into_iter().fold(None, ends).unwrap_or_default()
}

/// A colour map and the values at its two ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    pub colours: Colours,
    pub low: f32,
    pub high: f32,
    pub origin: ScaleOrigin,
    /// True for an end, low or high, if values lie beyond it; they have its colour.
    pub clips: [bool; 2],
}

/// The reason for the ends of a scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ScaleOrigin {
    /// The values of the figure.
    Own,
    /// The values of several figures.
    Shared,
    /// The user's choice.
    Fixed,
}

/// The ends of a scale of drops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ColourRange {
    /// As far below zero as above it.
    Symmetric,
    /// The smallest and the largest value.
    MinMax,
}

impl ColourRange {
    /// The range for colours whose middle means zero, or for others.
    pub fn of(colours: Colours) -> ColourRange {
        if colours.is_symmetric() { ColourRange::Symmetric } else { ColourRange::MinMax }
    }
}

impl Scale {
    fn new(colours: Colours, low: f32, high: f32) -> Scale {
        Scale { colours, low, high, origin: ScaleOrigin::Own, clips: [false; 2] }
    }

    /// Makes a scale for drops.
    ///
    /// On a symmetric scale the middle of the colour map means "no effect", and the largest
    /// magnitude has the colour at an end. MATLAB's example extends from the smallest to the largest
    /// value, so its blue can mean "no effect" on one map and "evidence against the class" on
    /// another.
    pub fn of_drops<'v>(
        colours: Colours,
        colour_range: ColourRange,
        values: impl IntoIterator<Item = &'v f32>,
    ) -> Scale {
        let [low, high] = range(values);
        let limit = high.max(-low);
        match colour_range {
            ColourRange::Symmetric => Scale::new(colours, -limit, limit),
            ColourRange::MinMax => Scale::of_values(colours, [&low, &high]),
        }
    }

    /// Makes a scale from the smallest to the largest value.
    ///
    /// If they are nearly equal, the scale is made wider. Otherwise the colours would show rounding
    /// errors.
    pub fn of_values<'v>(colours: Colours, values: impl IntoIterator<Item = &'v f32>) -> Scale {
        let [low, high] = range(values);
        let [middle, half] = [(low / 2.0 + high / 2.0), (high / 2.0 - low / 2.0)];
        let least = middle.abs() * NARROWEST / 2.0;
        if half < least {
            return Scale::new(colours, middle - least, middle + least);
        }
        Scale::new(colours, low, high)
    }

    /// The largest magnitude of an end.
    pub fn limit(&self) -> f32 {
        self.high.max(-self.low)
    }

    /// True if zero has the middle colour.
    pub fn is_symmetric(&self) -> bool {
        self.low == -self.high
    }

    /// The reason for values in the colour of an end, as the end of a sentence.
    pub fn clipped_in_words(&self) -> &'static str {
        match self.clips {
            [false, false] => "",
            _ => "; values beyond the scale have the colour of its end",
        }
    }

    /// The meaning of the colours on a map of drops, for figures.
    pub fn meaning(&self) -> &'static str {
        match self.colours {
            Colours::Viridis => "yellow is the strongest evidence for the class",
            Colours::Contrast => {
                "green is the first class's excess, purple the second's, white is no difference"
            }
            Colours::Jet | Colours::Diverging if !self.is_symmetric() => {
                "red is the upper end of the scale, blue the lower; no effect has the colour at 0 on the colour bar"
            }
            Colours::Jet => "red is evidence for the class, blue is evidence against it, green is no effect",
            Colours::Diverging => {
                "red is evidence for the class, blue is evidence against it, white is no effect"
            }
        }
    }

    /// The colour of a value.
    pub fn colour(&self, value: f32) -> [u8; 3] {
        self.colours.at(self.share(value))
    }

    /// The position of a value on the scale, 0..=1. If all values are zero, it is the middle of colours
    /// whose middle means zero, and otherwise the lower end.
    pub fn share(&self, value: f32) -> f32 {
        // In f64, the difference of two f32 does not overflow.
        let [low, high, value] = [self.low, self.high, value].map(f64::from);
        match high > low {
            true => ((value - low) / (high - low)) as f32,
            false if self.colours.is_symmetric() => 0.5,
            false => 0.0,
        }
    }
}

/// The smallest height of a colour bar, with room for all numbers beside it.
pub const LEAST_BAR: u32 = 224;

/// Draws the colour bar, the highest value at the top, with round numbers beside it, and below it the
/// origin of a scale that is not the figure's own. An end that values lie beyond has its number with ≥
/// or ≤. A line across the bar marks `base`.
pub fn draw_bar(figure: &mut Canvas, [left, top]: [u32; 2], height: u32, scale: &Scale, base: Option<f32>) {
    let origin = match scale.origin {
        ScaleOrigin::Own => None,
        ScaleOrigin::Shared => Some("shared scale"),
        ScaleOrigin::Fixed => Some("fixed scale"),
    };
    let height = height.max(LEAST_BAR) - origin.map_or(0, |_| tick_style().height + GAP);
    if let Some(origin) = origin {
        figure.text(tick_style(), left, top + height + GAP, origin);
    }
    let shares = (0..height).map(|y| 1.0 - (y as f32 + 0.5) / height as f32);
    let pixels = shares.flat_map(|share| scale.colours.at(share).repeat(BAR_WIDTH as usize)).collect();
    figure.image([left, top, BAR_WIDTH, height], pixels);
    figure.outline([left, top, BAR_WIDTH, height], INK);
    let place =
        |value: f32| top + ((1.0 - scale.share(value).clamp(0.0, 1.0)) * (height - 1) as f32).round() as u32;
    let ends = [(scale.low, "≤"), (scale.high, "≥")].into_iter().zip(scale.clips);
    let clipped: Vec<_> = ends.filter(|(_, clips)| *clips).map(|(end, _)| end).collect();
    let is_free =
        |value: f32| clipped.iter().all(|(end, _)| place(value).abs_diff(place(*end)) >= tick_style().height);
    let inside = ticks(scale.low, scale.high).into_iter().filter(|(value, _)| is_free(*value));
    let beyond = clipped.iter().map(|(end, sign)| (*end, format!("{sign} {}", readable(*end))));
    for (value, text) in inside.chain(beyond) {
        let y = place(value);
        figure.fill([left + BAR_WIDTH, y, GAP / 2, 1], INK);
        let text_top = y.saturating_sub(tick_style().height / 2);
        figure.text(tick_style(), left + BAR_WIDTH + GAP, text_top, &text);
    }
    if let Some(base) = base {
        let y = place(base).clamp(top + 2, top + height - 3);
        figure.fill([left - GAP / 2, y - 2, BAR_WIDTH + GAP, 5], PAGE);
        figure.fill([left - GAP / 2, y - 1, BAR_WIDTH + GAP, 3], INK);
    }
}

/// About nine round values in `low..=high`, with their texts. Zero is one of them if it is in the
/// range.
pub fn ticks(low: f32, high: f32) -> Vec<(f32, String)> {
    let span = f64::from(high) - f64::from(low);
    if span <= 0.0 {
        return vec![(low, readable(low))];
    }
    // The step is 1, 2 or 5 times a power of ten, the smallest that gives at most nine values.
    let power = (span / 2.0).log10().floor() as i32;
    let (step, power) = [(5, power - 1), (1, power), (2, power)]
        .into_iter()
        .find(|&(step, power)| span / 2.0 / (f64::from(step) * 10f64.powi(power)) < 4.999)
        .unwrap_or((5, power));
    let unit = f64::from(step) * 10f64.powi(power);
    // The tolerance is needed because the ends and the step are rounded.
    let first = (f64::from(low) / unit - 1e-6).ceil() as i64;
    let last = (f64::from(high) / unit + 1e-6).floor() as i64;
    let most =
        (first.unsigned_abs().max(last.unsigned_abs()) as f64 * f64::from(step)).log10() as i32 + power;
    (first..=last).map(|k| ((k as f64 * unit) as f32, tick_text(k * i64::from(step), power, most))).collect()
}

/// The text of `count * 10^power`.
///
/// The number is written in full if it is short or if the ticks differ only in late decimals.
/// Otherwise it has the exponent `most`, that of the largest tick, which all ticks share.
fn tick_text(count: i64, power: i32, most: i32) -> String {
    let decimals = |power: i32| (-power).max(0) as usize;
    let text = match power {
        _ if count == 0 => "0".to_owned(),
        _ if power < 0 && (-2..=4).contains(&most) => {
            format!("{:.*}", decimals(power), count as f64 * 10f64.powi(power))
        }
        -4..=3 => format!("{:.*}", decimals(power), count as f64 * 10f64.powi(power)),
        _ => format!("{:.*}e{most}", decimals(power - most), count as f64 * 10f64.powi(power - most)),
    };
    text.replace('-', "−")
}

/// The text of a value with about three significant digits.
pub fn readable(value: f32) -> String {
    let size = value.abs();
    let text = if value == 0.0 {
        "0".to_owned()
    } else if (1e-3..1e4).contains(&size) {
        let decimals = (2 - size.log10().floor() as i32).clamp(0, 5) as usize;
        format!("{value:.decimals$}")
    } else {
        format!("{value:.1e}")
    };
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_symmetric_where_the_colours_are() {
        let ends = |colours, values: &[f32]| {
            let scale = Scale::of_drops(colours, ColourRange::of(colours), values);
            [scale.low, scale.high]
        };
        let values = [0.25, -1.0, 0.5];
        assert_eq!(ends(Colours::Diverging, &values), [-1.0, 1.0]);
        assert_eq!(ends(Colours::Viridis, &values), [-1.0, 0.5]);
        // As MATLAB's imagesc.
        let scale = Scale::of_drops(Colours::Jet, ColourRange::MinMax, &values);
        assert_eq!((scale.low, scale.high), (-1.0, 0.5));
        assert!(scale.meaning().contains("upper end") && !scale.is_symmetric());
        let symmetric = Scale::of_drops(Colours::Viridis, ColourRange::Symmetric, &values);
        assert_eq!((symmetric.low, symmetric.high), (-1.0, 1.0));
        assert_eq!(Scale::of_drops(Colours::Diverging, ColourRange::Symmetric, &[0.0]).share(0.0), 0.5);
        assert_eq!(Scale::of_values(Colours::Viridis, &[0.0, 0.0]).share(0.0), 0.0);
    }

    #[test]
    fn values_that_differ_only_by_rounding_have_one_colour() {
        for value in [0.5f32, 3e-9, -20.0] {
            let scale = Scale::of_values(Colours::Viridis, &[value, value * 1.000_001]);
            assert!((scale.share(value) - 0.5).abs() < 0.02, "{scale:?}");
        }
        let scale = Scale::of_values(Colours::Viridis, &[0.999, 1.0]);
        assert_eq!((scale.low, scale.high), (0.999, 1.0));
        // Twice the largest f32 is not an f32.
        let scale = Scale::of_drops(Colours::Jet, ColourRange::Symmetric, &[f32::MAX, 0.0]);
        assert_eq!((scale.share(f32::MAX), scale.share(0.0), scale.share(-f32::MAX)), (1.0, 0.5, 0.0));
    }

    #[test]
    fn ticks_are_round_few_and_fit() {
        let texts = |low, high| ticks(low, high).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        let around = |limit: f32| texts(-limit, limit);
        assert_eq!(around(0.0), ["0"]);
        assert_eq!(around(0.43), ["−0.4", "−0.3", "−0.2", "−0.1", "0", "0.1", "0.2", "0.3", "0.4"]);
        assert_eq!(around(1.0), ["−1.0", "−0.5", "0", "0.5", "1.0"]);
        assert_eq!(around(7.0), ["−6", "−4", "−2", "0", "2", "4", "6"]);
        assert_eq!(around(3e-7), ["−3e−7", "−2e−7", "−1e−7", "0", "1e−7", "2e−7", "3e−7"]);
        assert_eq!(
            texts(4e-9, 4.6e-8),
            ["0.5e−8", "1.0e−8", "1.5e−8", "2.0e−8", "2.5e−8", "3.0e−8", "3.5e−8", "4.0e−8", "4.5e−8"]
        );
        assert_eq!(texts(0.99995, 1.0)[..2], ["0.99995", "0.99996"]);
        assert_eq!(texts(0.9841, 0.9863)[..2], ["0.9845", "0.9850"]);
        assert_eq!(texts(-20.0015, -20.0)[..2], ["−20.0014", "−20.0012"]);
        assert_eq!(texts(0.21, 0.574), ["0.25", "0.30", "0.35", "0.40", "0.45", "0.50", "0.55"]);
        assert_eq!(texts(0.0, 1.0), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        for exponent in -350..=380 {
            let limit = 10f32.powf(exponent as f32 / 10.0);
            for (low, high) in [(-limit, limit), (0.0, limit), (-0.3 * limit, limit)] {
                let ticks = ticks(low, high);
                assert!((3..=10).contains(&ticks.len()), "{limit}: {ticks:?}");
                let room = 1e-5 * (high - low);
                assert!(
                    ticks.iter().all(|(v, _)| *v >= low - room && *v <= high + room),
                    "{limit}: {ticks:?}"
                );
                assert!(
                    ticks.iter().all(|(_, text)| tick_style().width(text) <= TICKS_WIDTH),
                    "{limit}: {ticks:?}"
                );
            }
        }
    }

    #[test]
    fn numbers_have_three_digits() {
        let texts = [0.0, 0.57412, 1.0, 17.4321, -0.0339, 0.000_42, -1234.5, 123_456.0].map(readable);
        assert_eq!(texts, ["0", "0.574", "1.00", "17.4", "−0.0339", "4.2e−4", "−1234", "1.2e5"]);
    }
}

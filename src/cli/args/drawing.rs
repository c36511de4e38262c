//! Options of figures.

use clap::Args;
use occlude::Upsampling;

use super::values::{EMPTY_NAME, choice};
use crate::cli::render::backdrop::CanvasShape;
use crate::cli::render::canvas::Format;
use crate::cli::render::colours::{COLOURS, Colours};
use crate::cli::render::scale::ColourRange;

/// The words of options and their values.
pub const SHOWS: &[(&str, Show)] = &[("drop", Show::Drop), ("score", Show::Score), ("class", Show::Class)];
pub const UPSAMPLINGS: &[(&str, Upsampling)] =
    &[("bicubic", Upsampling::Bicubic), ("nearest", Upsampling::Nearest), ("none", Upsampling::None)];
pub const COLOUR_RANGES: &[(&str, ColourRange)] =
    &[("symmetric", ColourRange::Symmetric), ("minmax", ColourRange::MinMax)];
pub const CANVASES: &[(&str, CanvasShape)] =
    &[("photo", CanvasShape::Photo), ("network", CanvasShape::Network)];
pub const FORMATS: &[(&str, Format)] = &[("png", Format::Png), ("svg", Format::Svg)];

/// The choice of the figures of a sweep, and how they are drawn.
#[derive(Clone, Args)]
#[command(next_help_heading = "Figures")]
pub struct Figures {
    /// Figures to draw, separated by commas: drop (the fall of the score at each mask position),
    /// score (the score at each mask position), class (the most probable class at each mask
    /// position, with a legend)
    #[arg(long, value_name = "LIST", default_value = "drop", value_parser = shows)]
    pub show: Shows,

    #[command(flatten)]
    pub drawing: Drawing,
}

impl Figures {
    /// True if the scale of some figures is known only at the end of a run.
    pub fn wait_for_scale(&self) -> bool {
        self.drawing.scale == ScaleChoice::Shared && self.show.0.contains(&Show::Drop)
    }

    /// These figures, divided into those of drops and all others.
    pub fn divided(&self) -> [Figures; 2] {
        let (drops, others) = self.show.0.iter().partition(|show| **show == Show::Drop);
        [drops, others].map(|shows| Figures { show: Shows(shows), drawing: self.drawing.clone() })
    }
}

/// Options of drawing.
#[derive(Clone, Args)]
#[command(next_help_heading = "Figures")]
pub struct Drawing {
    /// Method that enlarges the map for the figure: bicubic, nearest, or none (one tile per mask
    /// position). map.json holds the map before it is enlarged
    #[arg(long, value_name = "METHOD", default_value = "bicubic",
          value_parser = choice(UPSAMPLINGS))]
    pub upsampling: Upsampling,

    /// Colour map: diverging (white is no effect, red is evidence for the class, blue is evidence
    /// against it), viridis (lightness rises evenly; recommended for values without a sign) or jet
    /// (the look of MATLAB's example; its bright bands look like edges that are not in the data)
    /// [default: diverging for drops, viridis for scores]
    #[arg(long, value_name = "COLOURS",
          value_parser = choice(&COLOURS))]
    pub colours: Option<Colours>,

    /// Ends of the colours on a map of drops: auto (the values of the figure), a number (from -VALUE
    /// to VALUE, so that figures of several runs can be compared) or shared (the values of all
    /// classes and photographs of this run). Scores and features keep a scale of their own
    #[arg(long, value_name = "auto|VALUE|shared", default_value = "auto", allow_hyphen_values = true,
          value_parser = scale_choice)]
    pub scale: ScaleChoice,

    /// symmetric: the middle colour is zero; minmax: the colours extend from the smallest to the
    /// largest value, as with MATLAB's imagesc, and with --scale VALUE from 0 to VALUE [default:
    /// symmetric; minmax for viridis, which has no middle]
    #[arg(long, value_name = "symmetric|minmax",
          value_parser = choice(COLOUR_RANGES))]
    pub colour_range: Option<ColourRange>,

    #[command(flatten)]
    pub canvas: CanvasOption,

    /// Opacity of the map over the photograph, 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "0.5", allow_hyphen_values = true, value_parser = opacity)]
    pub opacity: f32,

    /// Outline of a mask in the lower left corner of the photograph, to show its size
    #[arg(long, value_name = "on|off", default_value = "on",
          action = clap::ArgAction::Set, value_parser = choice(&[("on", true), ("off", false)]))]
    pub mark: bool,

    /// File format of the figures: png or svg
    #[arg(long, value_name = "FORMAT", default_value = "png",
          value_parser = choice(FORMATS))]
    pub format: Format,
}

/// The shape of the picture under a map, for all commands that draw maps.
#[derive(Clone, Args)]
pub struct CanvasOption {
    /// Picture under the map: photo (the photograph in its own shape; what the network does not see is
    /// dark) or network (the 224x224 picture of the network, enlarged)
    #[arg(id = "canvas", long = "canvas", value_name = "photo|network", default_value = "photo",
          help_heading = "Figures",
          value_parser = choice(CANVASES))]
    pub shape: CanvasShape,
}

/// The value of `--scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ScaleChoice {
    Auto,
    /// The largest magnitude.
    Value(f32),
    Shared,
}

fn scale_choice(text: &str) -> Result<ScaleChoice, String> {
    match text {
        "auto" => Ok(ScaleChoice::Auto),
        "shared" => Ok(ScaleChoice::Shared),
        _ => {
            let value = text.parse().ok().filter(|value: &f32| *value > 0.0 && value.is_finite());
            value
                .map(ScaleChoice::Value)
                .ok_or_else(|| "expected auto, shared or a number greater than 0".to_string())
        }
    }
}

/// A kind of figure of a sweep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Show {
    Drop,
    Score,
    Class,
}

/// The kinds of figures to draw, each at most once.
#[derive(Clone, Debug, PartialEq)]
pub struct Shows(pub Vec<Show>);

fn shows(text: &str) -> Result<Shows, String> {
    let mut shows = Vec::new();
    for word in text.split(',') {
        let word = word.trim();
        let show = match SHOWS.iter().find(|(known, _)| *known == word) {
            Some((_, show)) => *show,
            None => {
                let expected = "expected drop, score or class, or several of them separated by commas";
                let is_between = word.is_empty() && text.contains(',');
                return Err(if is_between {
                    format!("{EMPTY_NAME}: {expected}")
                } else {
                    expected.to_string()
                });
            }
        };
        if !shows.contains(&show) {
            shows.push(show);
        }
    }
    Ok(Shows(shows))
}

fn opacity(text: &str) -> Result<f32, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "expected a number from 0 to 1".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales() {
        assert_eq!(scale_choice("auto"), Ok(ScaleChoice::Auto));
        assert_eq!(scale_choice("shared"), Ok(ScaleChoice::Shared));
        assert_eq!(scale_choice("0.25"), Ok(ScaleChoice::Value(0.25)));
        assert!(
            ["", "0", "-1", "NaN", "inf", "1e39", "own"].iter().all(|wrong| scale_choice(wrong).is_err())
        );
    }

    #[test]
    fn figures() {
        assert_eq!(shows("drop"), Ok(Shows(vec![Show::Drop])));
        assert_eq!(shows("class, score,class"), Ok(Shows(vec![Show::Class, Show::Score])));
        let message = |text: &str| shows(text).unwrap_err();
        assert!(message("").starts_with("expected drop") && message("drop,all").starts_with("expected drop"));
        for nothing in ["drop,,class", "drop,", ",drop", "drop, ,class"] {
            assert!(
                message(nothing).starts_with("a name between commas is empty: expected drop"),
                "{nothing}"
            );
        }
        assert_eq!((opacity("0"), opacity("0.25"), opacity("1")), (Ok(0.0), Ok(0.25), Ok(1.0)));
        assert!(["", "-0.1", "1.1", "NaN"].iter().all(|wrong| opacity(wrong).is_err()));
    }
}

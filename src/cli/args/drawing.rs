//! Options of figures.

use clap::Args;
use occlude::Upsampling;

use super::values::{EMPTY_NAME, choice};
use crate::cli::render::canvas::Format;
use crate::cli::render::colours::{COLOURS, Colours};

/// The choice of the figures of a sweep, and how they are drawn.
#[derive(Args)]
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

/// Options of drawing.
#[derive(Args)]
#[command(next_help_heading = "Figures")]
pub struct Drawing {
    /// Method that enlarges the map for the figure: bicubic, nearest, or none (one tile per mask
    /// position). map.json holds the map before it is enlarged
    #[arg(long, value_name = "METHOD", default_value = "bicubic",
          value_parser = choice(&[("bicubic", Upsampling::Bicubic), ("nearest", Upsampling::Nearest), ("none", Upsampling::None)]))]
    pub upsampling: Upsampling,

    /// Colour map: jet (as in MATLAB's example), diverging (white is no effect, red is evidence for
    /// the class, blue is evidence against it; recommended for drops, because the bright bands of
    /// jet look like edges) or viridis (lightness rises evenly; recommended for values without a
    /// sign) [default: jet for drops, viridis for scores]
    #[arg(long, value_name = "COLOURS",
          value_parser = choice(&COLOURS))]
    pub colours: Option<Colours>,

    /// Opacity of the map over the photograph, 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "0.5", allow_hyphen_values = true, value_parser = opacity)]
    pub opacity: f32,

    /// Outline of a mask in the lower left corner of the photograph, to show its size
    #[arg(long, value_name = "on|off", default_value = "on",
          action = clap::ArgAction::Set, value_parser = choice(&[("on", true), ("off", false)]))]
    pub mark: bool,

    /// File format of the figures: png or svg
    #[arg(long, value_name = "FORMAT", default_value = "png",
          value_parser = choice(&[("png", Format::Png), ("svg", Format::Svg)]))]
    pub format: Format,
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
        let show = match word.trim() {
            "drop" => Show::Drop,
            "score" => Show::Score,
            "class" => Show::Class,
            word => {
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

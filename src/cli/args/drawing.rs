//! Options of what is drawn.

use clap::Args;
use occlude::Upsampling;

use super::values::choice;
use crate::cli::render::canvas::Format;
use crate::cli::render::colours::{COLOURS, Colours};

/// Which pictures of a sweep are made, and how.
#[derive(Args)]
#[command(next_help_heading = "Pictures")]
pub struct Figures {
    /// Which pictures, separated by commas: drop (how far the score falls when a place is covered), score (what it falls to),
    /// class (the most probable class with the mask at each place, with a legend)
    #[arg(long, value_name = "LIST", default_value = "drop", value_parser = shows)]
    pub show: Shows,

    #[command(flatten)]
    pub drawing: Drawing,
}

/// How pictures are drawn.
#[derive(Args)]
#[command(next_help_heading = "Pictures")]
pub struct Drawing {
    /// How the map is enlarged to 224x224 for the picture: bicubic, nearest, or none (each position a tile); map.json
    /// holds the map as it is, one value a position
    #[arg(long, value_name = "HOW", default_value = "bicubic",
          value_parser = choice(&[("bicubic", Upsampling::Bicubic), ("nearest", Upsampling::Nearest), ("none", Upsampling::None)]))]
    pub upsampling: Upsampling,

    /// Colours: jet (as in MATLAB's example), diverging (white is no effect, red evidence for, blue against; recommended for
    /// drops: jet's bright bands look like edges that are not there) or viridis (evenly lighter; recommended where there is no
    /// sign) [default: jet for drops, viridis for scores]
    #[arg(long, value_name = "COLOURS",
          value_parser = choice(&COLOURS))]
    pub colours: Option<Colours>,

    /// How opaque the map lies over the photograph, 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "0.5", allow_hyphen_values = true, value_parser = opacity)]
    pub opacity: f32,

    /// Whether a mask is outlined in the lower left corner, for its size
    #[arg(long, value_name = "on|off", default_value = "on",
          action = clap::ArgAction::Set, value_parser = choice(&[("on", true), ("off", false)]))]
    pub mark: bool,

    /// File format of the pictures: png or svg
    #[arg(long, value_name = "FORMAT", default_value = "png",
          value_parser = choice(&[("png", Format::Png), ("svg", Format::Svg)]))]
    pub format: Format,
}

/// A kind of picture of a sweep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Show {
    Drop,
    Score,
    Class,
}

/// Each at most once.
#[derive(Clone, Debug, PartialEq)]
pub struct Shows(pub Vec<Show>);

fn shows(text: &str) -> Result<Shows, String> {
    let mut shows = Vec::new();
    for word in text.split(',') {
        let show = match word.trim() {
            "drop" => Show::Drop,
            "score" => Show::Score,
            "class" => Show::Class,
            _ => return Err("expected drop, score or class, or several with commas".to_string()),
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
    fn pictures() {
        assert_eq!(shows("drop"), Ok(Shows(vec![Show::Drop])));
        assert_eq!(shows("class, score,class"), Ok(Shows(vec![Show::Class, Show::Score])));
        assert!(shows("").is_err() && shows("drop,all").is_err());
        assert_eq!((opacity("0"), opacity("0.25"), opacity("1")), (Ok(0.0), Ok(0.25), Ok(1.0)));
        assert!(["", "-0.1", "1.1", "NaN"].iter().all(|wrong| opacity(wrong).is_err()));
    }
}

//! Types and parsers of the values of options.

use occlude::network::INPUT_SIDE;
use occlude::network::geometry::Rect;
use occlude::{Feature, MaskValue, Threshold};

use crate::cli::masks::SegmentsChoice;

/// A height and a width in pixels, or the default size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Size {
    Auto,
    Pixels([usize; 2]),
}

/// Returns a parser that accepts one of several words and returns its value.
pub fn choice<T: Copy + Send + Sync>(
    choices: &'static [(&'static str, T)],
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync {
    move |text| match choices.iter().find(|(word, _)| *word == text) {
        Some((_, chosen)) => Ok(*chosen),
        None => {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            Err(format!("expected {}", words.join(" or ")))
        }
    }
}

/// The word of a value of [`choice`].
///
/// # Panics
/// If the value is not one of them.
pub fn word_of<T: Copy + PartialEq>(choices: &[(&'static str, T)], value: T) -> &'static str {
    choices.iter().find(|(_, known)| *known == value).expect("the user chooses from these").0
}

/// The problem with a list that has nothing between two commas, or after the last one.
pub const EMPTY_NAME: &str = "a name between commas is empty";

/// Returns a parser of one item of a list separated by commas, as [`choice`].
pub fn listed_choice<T: Copy + Send + Sync>(
    choices: &'static [(&'static str, T)],
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync {
    let named = choice(choices);
    move |text| {
        named(text)
            .map_err(|expected| if text.is_empty() { format!("{EMPTY_NAME}: {expected}") } else { expected })
    }
}

pub fn count(text: &str, most: usize) -> Result<usize, String> {
    between(text, 1, most)
}

pub fn between(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let value = text.parse().ok().filter(|value| (least..=most).contains(value));
    value.ok_or_else(|| format!("expected a whole number from {least} to {most}"))
}

/// Parses a share above 0 and at most 1.
pub fn share(text: &str) -> Result<f32, String> {
    let share = text.parse().ok().filter(|share| *share > 0.0 && *share <= 1.0);
    share.ok_or_else(|| "expected a number above 0 and at most 1".to_string())
}

pub fn threshold(text: &str) -> Result<Threshold, String> {
    if text == "otsu" {
        return Ok(Threshold::Otsu);
    }
    let expected = |_| "expected a share of the maximum, above 0 and at most 1, or otsu".to_string();
    share(text).map(Threshold::Share).map_err(expected)
}

/// Parses an amount of memory: "2G", "1.5 GiB", "500M", or bytes without a unit.
pub fn memory(text: &str) -> Result<usize, String> {
    let end = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit.trim_start().to_ascii_uppercase().as_str() {
        "" | "B" => Some(1.0),
        "K" | "KB" | "KIB" => Some(1024.0),
        "M" | "MB" | "MIB" => Some(1024.0 * 1024.0),
        "G" | "GB" | "GIB" => Some(1024.0 * 1024.0 * 1024.0),
        _ => None,
    };
    let bytes = number.parse().ok().zip(factor).map(|(number, factor): (f64, f64)| number * factor);
    // A conversion from a float saturates.
    bytes.filter(|bytes| *bytes >= 1.0).map(|bytes| bytes as usize).ok_or_else(|| {
        "expected an amount of memory such as 500M or 2G: a number, and K, M or G for powers of 1024 bytes"
            .to_string()
    })
}

pub fn size(text: &str) -> Result<Size, String> {
    if text == "auto" {
        return Ok(Size::Auto);
    }
    let (height, width) = text.split_once('x').unwrap_or((text, text));
    match (count(height, INPUT_SIDE), count(width, INPUT_SIDE)) {
        (Ok(height), Ok(width)) => Ok(Size::Pixels([height, width])),
        _ => Err(format!("expected auto, N or HxW, in whole pixels from 1 to {INPUT_SIDE}")),
    }
}

pub fn pixel(text: &str) -> Result<[usize; 2], String> {
    let edge = |text: &str| text.trim().parse().ok().filter(|edge| (0..INPUT_SIDE).contains(edge));
    let at = text.split_once(',').and_then(|(y, x)| Some([edge(y)?, edge(x)?]));
    at.ok_or_else(|| format!("expected Y,X: a row and a column, whole numbers from 0 to {}", INPUT_SIDE - 1))
}

pub fn region(text: &str) -> Result<Rect, String> {
    let edge = |text: &str| text.trim().parse().ok().filter(|edge| (0..=INPUT_SIDE).contains(edge));
    let edges: Option<Vec<usize>> = text.split(',').map(edge).collect();
    match edges.as_deref() {
        Some(&[y0, x0, y1, x1]) if y0 < y1 && x0 < x1 => Ok(Rect { y0, x0, y1, x1 }),
        _ => Err(format!(
            "expected y0,x0,y1,x1: whole numbers from 0 to {INPUT_SIDE}, with y0 < y1 and x0 < x1"
        )),
    }
}

/// Parses `LAYER:CHANNEL`. The library checks that the layer and the channel exist.
pub fn feature(text: &str) -> Result<Feature, String> {
    let (layer, channel) = text.rsplit_once(':').unwrap_or((text, ""));
    let channel = if channel == "strongest" { Some(None) } else { channel.parse().ok().map(Some) };
    let channel = channel.filter(|_| !layer.is_empty());
    let expected = "expected LAYER:CHANNEL, such as inception_4c/output:17 or inception_4c/output:strongest";
    channel.map(|channel| Feature { layer: layer.to_string(), channel }).ok_or_else(|| expected.to_string())
}

/// Refuses the features of a sweep, for a command that maps none.
pub fn no_feature(_: &str) -> Result<Feature, String> {
    Err("this command maps classes only; `occlude explain` also maps features".to_string())
}

/// Parses `slic`, `slic:N` or the name of a file; one that is called `slic` can be given as `./slic`.
pub fn segments(text: &str) -> Result<SegmentsChoice, String> {
    match text.strip_prefix("slic") {
        Some("") => Ok(SegmentsChoice::Slic(100)),
        Some(rest) if rest.starts_with(':') => Ok(SegmentsChoice::Slic(
            between(&rest[1..], 2, 1000).map_err(|error| format!("slic:N: {error}"))?,
        )),
        _ if text.is_empty() => Err("expected slic, slic:N or a PNG file".to_string()),
        _ => Ok(SegmentsChoice::File(text.into())),
    }
}

pub fn mask_value(text: &str) -> Result<MaskValue, String> {
    let (name, parameter) = text.split_once(':').map_or((text, None), |(name, value)| (name, Some(value)));
    match (name, parameter) {
        ("auto", None) => return Ok(MaskValue::Auto),
        ("mean", None) => return Ok(MaskValue::TrainingMean),
        ("patch", None) => return Ok(MaskValue::Patch),
        ("inpaint", None) => return Ok(MaskValue::Inpaint),
        ("blur", sigma) => {
            let sigma = sigma.unwrap_or("10").parse().ok().filter(|sigma| (0.5..=100.0).contains(sigma));
            let expected = "expected blur or blur:S with a standard deviation of 0.5 to 100 pixels";
            return sigma.map(MaskValue::Blur).ok_or_else(|| expected.to_string());
        }
        ("noise", seed) => {
            let seed = seed.unwrap_or("1").parse().ok();
            return seed
                .map(MaskValue::Noise)
                .ok_or_else(|| "expected noise or noise:SEED, a whole number".to_string());
        }
        _ => {}
    }
    let level = |text: &str| text.trim().parse().ok().filter(|level| (0.0..=255.0).contains(level));
    let levels: Option<Vec<f32>> = text.split(',').map(level).collect();
    match levels.as_deref() {
        Some(&[grey]) => Ok(MaskValue::Rgb([grey; 3])),
        Some(&[red, green, blue]) => Ok(MaskValue::Rgb([red, green, blue])),
        _ => Err("expected auto, mean, blur, noise, V or R,G,B, with numbers from 0 to 255".to_string()),
    }
}

/// Parses a distance in pixels.
pub fn tolerance(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(pixels) if (0.0..=1e6).contains(&pixels) => Ok(pixels),
        _ => Err("expected a number of pixels, 0 or more".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size("auto"), Ok(Size::Auto));
        assert_eq!(size("15"), Ok(Size::Pixels([15, 15])));
        assert_eq!(size("30x12"), Ok(Size::Pixels([30, 12])));
        assert_eq!(size("224"), Ok(Size::Pixels([224, 224])));
        for wrong in
            ["", "0", "225", "-1", "1.5", "x", "3x", "x3", "3x4x5", "0x5", "5x225", "99999999999999999999"]
        {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn amounts_of_memory() {
        for (text, bytes) in [
            ("1", 1),
            ("500M", 500 << 20),
            ("2g", 2 << 30),
            ("1.5GiB", 3 << 29),
            ("64 kB", 64 << 10),
            ("700b", 700),
        ] {
            assert_eq!(memory(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "0", "M", "-1", "1e9", "2T", "1.2.3", "NaN", "inf", "2 G G", "٤G"] {
            assert!(memory(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn thresholds() {
        assert_eq!((threshold("otsu"), threshold("0.5")), (Ok(Threshold::Otsu), Ok(Threshold::Share(0.5))));
        assert_eq!(
            (threshold("1"), threshold("1e-3")),
            (Ok(Threshold::Share(1.0)), Ok(Threshold::Share(1e-3)))
        );
        for wrong in ["", "0", "-0.5", "1.01", "NaN", "inf", "Otsu", "50%", "0,5"] {
            assert!(threshold(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn regions() {
        assert_eq!(region("0,10, 20,224"), Ok(Rect { y0: 0, x0: 10, y1: 20, x1: 224 }));
        for wrong in ["", "1,2,3", "1,2,3,4,5", "5,0,5,9", "0,9,5,9", "0,0,225,9", "-1,0,5,5", "a,0,5,5"] {
            assert!(region(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pixels() {
        assert_eq!((pixel("0,223"), pixel(" 7, 8")), (Ok([0, 223]), Ok([7, 8])));
        for wrong in ["", "1", "1,2,3", "-1,0", "0,224", "a,b", "1.5,2"] {
            assert!(pixel(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn features() {
        let named = |layer: &str, channel| Ok(Feature { layer: layer.to_string(), channel });
        assert_eq!(feature("inception_4c/output:17"), named("inception_4c/output", Some(17)));
        assert_eq!(feature("conv2/3x3:strongest"), named("conv2/3x3", None));
        for wrong in ["", "inception_4c/output", ":3", "conv1/7x7_s2:", "conv1/7x7_s2:-1", "conv1/7x7_s2:one"]
        {
            assert!(feature(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn parts() {
        assert_eq!(segments("slic"), Ok(SegmentsChoice::Slic(100)));
        assert_eq!(segments("slic:20"), Ok(SegmentsChoice::Slic(20)));
        assert_eq!(segments("slic.png"), Ok(SegmentsChoice::File("slic.png".into())));
        for wrong in ["", "slic:", "slic:1", "slic:1001", "slic:-5"] {
            assert!(segments(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn mask_values() {
        let rgb = |text: &str| match mask_value(text) {
            Ok(MaskValue::Rgb(rgb)) => Some(rgb),
            _ => None,
        };
        assert!(matches!(mask_value("auto"), Ok(MaskValue::Auto)));
        assert!(matches!(mask_value("mean"), Ok(MaskValue::TrainingMean)));
        assert_eq!(mask_value("blur"), Ok(MaskValue::Blur(10.0)));
        assert_eq!(mask_value("blur:2.5"), Ok(MaskValue::Blur(2.5)));
        assert_eq!(mask_value("noise"), Ok(MaskValue::Noise(1)));
        assert_eq!(mask_value("noise:77"), Ok(MaskValue::Noise(77)));
        assert_eq!(mask_value("patch"), Ok(MaskValue::Patch));
        assert_eq!(mask_value("inpaint"), Ok(MaskValue::Inpaint));
        assert_eq!(rgb("0"), Some([0.0; 3]));
        assert_eq!(rgb("1.5, 2,255"), Some([1.5, 2.0, 255.0]));
        for wrong in [
            "",
            "NaN",
            "inf",
            "-1",
            "256",
            "1,2",
            "1,2,3,4",
            "1,nan,3",
            "red",
            "blur:0.1",
            "blur:",
            "noise:-1",
            "auto:1",
            "patch:1",
            "inpaint:2",
            "picture",
        ] {
            assert!(mask_value(wrong).is_err(), "{wrong}");
        }
    }
}

//! The command line on the page that reproduces the results.

use std::path::Path;

use occlude::network::geometry::Rect;
use occlude::text::is_control;
use occlude::weights::Source;
use occlude::{Feature, Shape, Upsampling};

use crate::cli::args::arrays::{ARRAY_FILES, Arrays};
use crate::cli::args::drawing::{CANVASES, COLOUR_RANGES, FORMATS, SHOWS, Shows, UPSAMPLINGS};
use crate::cli::args::score::ScoreOption;
use crate::cli::args::values::word_of;
use crate::cli::args::{
    Aggregate, Common, Drawing, Explain, Figures, Robust, ScaleChoice, Show, Size, Sweep,
};
use crate::cli::explanation::Question;
use crate::cli::render::backdrop::CanvasShape;
use crate::cli::render::canvas::Format;
use crate::cli::render::colours::COLOURS;

/// The command line that reproduces the results, for a POSIX shell. It names the network, so that the
/// environment does not choose another one.
pub fn line(
    weights: &Source,
    common: &Common,
    args: &Explain,
    question: &Question,
    image: &Path,
    [out, report]: [&Path; 2],
) -> String {
    // Without `..`, the compiler reports an option that is missing here.
    let Explain {
        images: _,
        classes: _,
        faithfulness,
        pairs,
        progressive: _,
        pool: _,
        out: _,
        report: _,
        json: _,
        arrays: Arrays { arrays, upsampled },
        sweep,
        robust: Robust { robust, robust_size, robust_fill },
        figures: Figures { show, drawing },
    } = args;
    let Sweep {
        mask_size,
        stride,
        mask_value,
        mask_picture,
        mask_shape,
        mask_channel,
        inverse,
        segments,
        mask_clipping,
        region,
        activation,
        aggregate,
        placement,
        score: ScoreOption { choice: _, groups },
        exhaustive,
        max_memory: _,
    } = sweep;
    let size = |size: &Size| match size {
        Size::Auto => "auto".to_string(),
        Size::Pixels([height, width]) => format!("{height}x{width}"),
    };
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let image = path(image);
    // A name that begins with a hyphen would be read as an option.
    let image = if image.starts_with('-') && image != "-" { format!("./{image}") } else { image };
    let mut words = vec!["occlude".to_string(), "explain".to_string(), image];
    let mut option = |name: &str, value: String| {
        words.push(if value.starts_with('-') { format!("{name}={value}") } else { name.to_string() });
        if !value.starts_with('-') {
            words.push(value);
        }
    };
    let network = match weights {
        Source::File(file) => path(file),
        _ => "builtin".to_string(),
    };
    option("--weights", network);
    if let Some(labels) = &common.labels {
        option("--labels", path(labels));
    }
    if let Some(transform_input) = common.transform_input {
        option("--transform-input", if transform_input { "on" } else { "off" }.to_string());
    }
    option("--resize", common.resize.to_string());
    if question.score.is_of_class() {
        option("--classes", question.classes.to_string());
    }
    match segments {
        // Parts have no size, stride, form, clipping, region and placement.
        Some(segments) => option("--segments", segments.to_string()),
        None => {
            option("--mask-size", size(mask_size));
            option("--stride", size(stride));
            if *mask_shape != Shape::Rectangle {
                option("--mask-shape", mask_shape.to_string());
            }
            option("--mask-clipping", if *mask_clipping { "on" } else { "off" }.to_string());
            if let Some(Rect { y0, x0, y1, x1 }) = region {
                option("--region", format!("{y0},{x0},{y1},{x1}"));
            }
            option("--placement", placement.to_string());
        }
    }
    match mask_picture {
        Some(picture) => option("--mask-picture", path(picture)),
        None => option("--mask-value", mask_value.to_string()),
    }
    if let Some(channel) = mask_channel {
        option("--mask-channel", channel.to_string());
    }
    option("--score", question.score.to_string());
    if let Some(groups) = groups {
        option("--groups", path(groups));
    }
    for Feature { layer, channel } in activation {
        let channel = channel.map_or("strongest".to_string(), |channel| channel.to_string());
        option("--activation", format!("{layer}:{channel}"));
    }
    if *aggregate == Aggregate::Windows {
        option("--aggregate", "windows".to_string());
    }
    for (name, value) in figure_options(show, drawing) {
        option(name, value);
    }
    if !arrays.is_empty() {
        let words: Vec<_> = arrays.iter().map(|file| word_of(ARRAY_FILES, *file)).collect();
        option("--arrays", words.join(","));
    }
    if let Some(count) = pairs {
        option("--pairs", count.to_string());
    }
    option("--out", path(out));
    option("--report", path(report));
    if *upsampled {
        words.push("--upsampled".to_string());
    }
    if *faithfulness {
        words.push("--faithfulness".to_string());
    }
    if *robust {
        words.push("--robust".to_string());
        words.extend(robust_size.iter().map(|found| format!("--robust-size={}", size(found))));
        words.extend(robust_fill.iter().map(|fill| format!("--robust-fill={fill}")));
    }
    if *inverse {
        words.push("--inverse".to_string());
    }
    if *exhaustive {
        words.push("--exhaustive".to_string());
    }
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// The options of figures that are not the default, with their values.
fn figure_options(show: &Shows, drawing: &Drawing) -> Vec<(&'static str, String)> {
    // Without `..`, the compiler reports an option that is missing here.
    let Drawing { upsampling, colours, scale, colour_range, canvas, opacity, mark, format } = drawing;
    let shows: Vec<_> = show.0.iter().map(|show| word_of(SHOWS, *show)).collect();
    let scale = match scale {
        ScaleChoice::Auto => None,
        ScaleChoice::Value(limit) => Some(limit.to_string()),
        ScaleChoice::Shared => Some("shared".to_string()),
    };
    let chosen = |is_default: bool, value: &str| (!is_default).then(|| value.to_string());
    let options = [
        ("--show", chosen(show.0 == [Show::Drop], &shows.join(","))),
        ("--upsampling", chosen(*upsampling == Upsampling::Bicubic, word_of(UPSAMPLINGS, *upsampling))),
        ("--colours", colours.map(|colours| word_of(&COLOURS, colours).to_string())),
        ("--scale", scale),
        ("--colour-range", colour_range.map(|range| word_of(COLOUR_RANGES, range).to_string())),
        ("--canvas", chosen(canvas.shape == CanvasShape::Photo, word_of(CANVASES, canvas.shape))),
        ("--opacity", chosen(*opacity == 0.5, &opacity.to_string())),
        ("--mark", chosen(*mark, "off")),
        ("--format", chosen(*format == Format::Png, word_of(FORMATS, *format))),
    ];
    options.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Quotes a word for a POSIX shell. The page must show all of it, so control characters are written
/// by their bytes in octal digits.
fn quoted(word: &str) -> String {
    if word.contains(is_control) {
        let byte = |byte: u8| match byte {
            b' '..=b'~' if byte != b'\'' && byte != b'\\' => char::from(byte).to_string(),
            _ => format!("\\{byte:03o}"),
        };
        return format!("$'{}'", word.bytes().map(byte).collect::<String>());
    }

    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_string();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_words_are_read_back_by_a_shell() {
        assert_eq!(quoted("a/b-c_1.jpg"), "a/b-c_1.jpg");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quoted("ä b"), "'ä b'");
        assert_eq!(quoted("a\n'\\\u{202e}"), r"$'a\012\047\134\342\200\256'");
    }
}

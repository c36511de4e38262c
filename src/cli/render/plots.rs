//! Figures of curves.

use super::canvas::{Canvas, STROKE};
use super::colours::Colours;
use super::page::{GAP, INK, MARGIN, PAGE, TITLE_LINES, caption_style, note_style, tick_style, title_style};
use super::scale::{Scale, TICKS_WIDTH, range, ticks};

/// Side of a plot, in pixels.
const SIDE: u32 = 420;

/// One curve of a plot.
pub struct Curve<'a> {
    pub colour: [u8; 3],
    /// The name in the legend.
    pub name: String,
    pub values: &'a [f32],
}

/// Draws plots side by side on one vertical scale. Each plot has a title and curves over the same
/// `shares`, which lie in 0..=1. `across` and `up` name the axes.
pub fn draw(
    title: &str,
    plots: &[(&str, Vec<Curve>)],
    shares: &[f32],
    [across, up]: [&str; 2],
    notes: &[&str],
) -> Canvas {
    let side = SIDE;
    let (left_room, width) = (TICKS_WIDTH, MARGIN + plots.len() as u32 * (TICKS_WIDTH + side + MARGIN));
    let longest = plots.iter().map(|(_, lines)| lines.len()).max().unwrap_or(0) as u32;
    let lines = title_style().wrap(title, width - 2 * MARGIN, TITLE_LINES);
    let top = MARGIN + lines.len() as u32 * title_style().height + GAP;
    let plot_top = top + caption_style().height + note_style().height + GAP;
    let legend_top = plot_top + side + 2 * tick_style().height + 2 * GAP;
    let notes_top = legend_top + longest * (tick_style().height + GAP / 2) + GAP;
    let height = notes_top + notes.len() as u32 * note_style().height + MARGIN;
    let mut figure = Canvas::new(width, height, PAGE);
    figure.lines(title_style(), MARGIN, MARGIN, &lines);
    let values = plots.iter().flat_map(|(_, lines)| lines).flat_map(|line| line.values);
    let (scale, marks) = axis(range(values.chain([&0.0])));
    for (i, (caption, lines)) in plots.iter().enumerate() {
        let left = MARGIN + left_room + i as u32 * (TICKS_WIDTH + side + MARGIN);
        figure.text(caption_style(), left, top, &caption_style().shorten(caption, side));
        let up = note_style().shorten(up, side);
        figure.text(note_style(), left, top + caption_style().height, &up);
        let place = |share: f32, value: f32| {
            [left as f32 + share * side as f32, plot_top as f32 + (1.0 - scale.share(value)) * side as f32]
        };
        for (value, text) in &marks {
            let y = place(0.0, *value)[1] as u32;
            figure.fill([left, y.min(plot_top + side - 1), side, 1], [225; 3]);
            figure.text_ending(tick_style(), left - GAP, y.saturating_sub(tick_style().height / 2), text);
        }
        for percent in [0, 25, 50, 75, 100] {
            let x = left + side * percent / 100;
            figure.fill([x.min(left + side - 1), plot_top, 1, side], [225; 3]);
            let text = format!("{percent} %");
            let (text_width, below) = (tick_style().width(&text), plot_top + side + GAP / 2);
            figure.text(tick_style(), (x - text_width / 2).min(left + side - text_width), below, &text);
        }
        figure.outline([left, plot_top, side, side], INK);
        figure.text(note_style(), left, plot_top + side + tick_style().height + GAP / 2, across);
        for (n, line) in lines.iter().enumerate() {
            figure.curve(
                shares.iter().zip(line.values).map(|(&x, &y)| place(x, y)).collect(),
                line.colour,
                STROKE,
            );
            let y = legend_top + n as u32 * (tick_style().height + GAP / 2);
            figure.fill([left, y + tick_style().height / 2 - 2, 3 * GAP, 4], line.colour);
            let name = tick_style().shorten(&line.name, side - 4 * GAP);
            figure.text(tick_style(), left + 4 * GAP, y, &name);
        }
    }
    for (note, y) in notes.iter().zip((notes_top..).step_by(note_style().height as usize)) {
        figure.text(note_style(), MARGIN, y, &note_style().shorten(note, width - 2 * MARGIN));
    }
    figure
}

/// Room between a curve and the frame, as a share of the height.
const ROOM: f32 = 0.04;

/// A vertical axis from the round number at or below the smallest value to that at or above the
/// largest one, with room for the curves beyond both, and the round numbers.
fn axis([low, high]: [f32; 2]) -> (Scale, Vec<(f32, String)>) {
    let steps = ticks(low, high);
    let [first, .., last] = &steps[..] else {
        return (Scale::of_values(Colours::Viridis, &[low, high]), steps);
    };
    let step = (last.0 - first.0) / (steps.len() - 1) as f32;
    // The tolerance is needed because the values are rounded.
    let low = if low < first.0 - step * 1e-3 { first.0 - step } else { first.0 };
    let high = if high > last.0 + step * 1e-3 { last.0 + step } else { last.0 };
    let room = ROOM * (high - low);
    (Scale::of_values(Colours::Viridis, &[low - room, high + room]), ticks(low, high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::render::page::{LONG, assert_margins};

    #[test]
    fn an_axis_ends_in_labels_and_has_room_for_the_curves() {
        for values in [[0.0, 0.574], [0.0, 1.0], [-3.2, 17.9], [0.0, 3e-7], [-8.0, 0.0]] {
            let (scale, marks) = axis(values);
            let (first, last) = (marks[0].0, marks[marks.len() - 1].0);
            assert!(first <= values[0] && last >= values[1] * 0.999, "{values:?}: {marks:?}");
            assert!(scale.low < first && scale.high > last, "{values:?}: {scale:?}");
            assert!((2..=12).contains(&marks.len()), "{values:?}: {marks:?}");
            // No more room than needed.
            assert!(scale.high - scale.low < 1.8 * (values[1] - values[0]), "{values:?}: {scale:?}");
        }
        // Curves without any value but zero lie on the axis.
        let (scale, marks) = axis([0.0, 0.0]);
        assert!(marks.len() == 1 && scale.share(0.0) == 0.0);
    }

    #[test]
    fn nothing_touches_the_edge_of_the_page() {
        let lines = || vec![Curve { colour: [0; 3], name: LONG.into(), values: &[1e-5, -0.3, 0.9] }];
        assert_margins(
            &draw(LONG, &[(LONG, lines()), ("b", lines())], &[0.0, 0.5, 1.0], ["share", LONG], &[LONG]),
            "plots",
        );
    }
}

//! The figure of the answers to photographs of known classes: calibration, and a table of the classes.

use super::canvas::{Area, Canvas, STROKE};
use super::page::{FAINT_INK, GAP, INK, MARGIN, PAGE, Texts, caption_style, note_style, page, tick_style};
use super::text::{Style, mix};

/// Side of the plot of the calibration, in pixels.
const SIDE: u32 = 420;
/// Side of a cell of the table with its count, in pixels.
const CELL: u32 = 34;
/// The largest side of a table of so many classes that the counts do not fit.
const MOST: u32 = 900;
/// The longest name of a class, in pixels.
const NAME: u32 = 220;
/// The note above the table.
const ROWS_AND_COLUMNS: &str = "row: the class of the photograph; column: the answer";
/// The room for labels of an axis.
const LABELS: u32 = 64;
/// The darkest colour of a cell and the colour of the bars.
const FULL: [u8; 3] = [23, 79, 139];
/// The colour of the line on which probabilities are shares.
const EXACT: [u8; 3] = [200, 90, 20];

/// The contents of the figure.
pub struct AnswersFigure<'a> {
    pub texts: Texts<'a>,
    /// The share of right answers among those whose probability lies in each of several bins of the same
    /// width from 0 to 1; `None` without any answer.
    pub right: &'a [Option<f64>],
    pub classes: &'a [String],
    /// `[class][answer]`; the last answer is any other class.
    pub counts: &'a [Vec<usize>],
}

/// Draws the calibration, and beside it the table: a row for each class of the photographs, a column for
/// each answer.
pub fn draw(figure: &AnswersFigure) -> Canvas {
    let rows = figure.classes.len() as u32;
    let columns = columns(figure) as u32;
    let cell = (MOST / columns).clamp(2, CELL);
    let has_texts = cell == CELL;
    let names = if has_texts { NAME } else { 0 };
    let left_part = LABELS + SIDE + 2 * MARGIN;
    let table = [names + columns * cell, rows * cell];
    let head = caption_style().height + note_style().height + GAP;
    let height = head + (SIDE + 2 * tick_style().height + GAP).max(table[1] + cell);
    let (mut canvas, top) =
        page(&figure.texts, [left_part + table[0].max(note_style().width(ROWS_AND_COLUMNS)), height]);
    calibration(&mut canvas, [MARGIN, top], figure.right);
    let left = MARGIN + left_part;
    canvas.text(caption_style(), left, top, "Answers");
    canvas.text(note_style(), left, top + caption_style().height, ROWS_AND_COLUMNS);
    cells(&mut canvas, [left, top + head], [names, cell], figure);
    canvas
}

/// Draws the share of right answers in each bin, with its bottom left corner in the frame of the axes.
fn calibration(canvas: &mut Canvas, [left, top]: [u32; 2], bins: &[Option<f64>]) {
    canvas.text(caption_style(), left, top, "Calibration");
    canvas.text(note_style(), left, top + caption_style().height, "share of right answers");
    let (left, top) = (left + LABELS, top + caption_style().height + note_style().height + GAP);
    for quarter in 0..=4 {
        let (text, at) = (format!("{}", f64::from(quarter) / 4.0), SIDE * quarter / 4);
        canvas.fill([left, (top + SIDE - at).min(top + SIDE - 1), SIDE, 1], [225; 3]);
        canvas.text_ending(tick_style(), left - GAP, top + SIDE - at - tick_style().height / 2, &text);
        let width = tick_style().width(&text);
        canvas.text(tick_style(), (left + at).saturating_sub(width / 2), top + SIDE + GAP / 2, &text);
    }
    let count = bins.len() as u32;
    for (i, right) in (0..).zip(bins) {
        let Some(right) = right else { continue };
        let height = (f64::from(SIDE) * right).round() as u32;
        let (from, to) = (SIDE * i / count, SIDE * (i + 1) / count);
        // A bin without a right answer has a line on the axis.
        let height = height.max(2);
        canvas.fill([left + from + 2, top + SIDE - height, to - from - 4, height], FULL);
    }
    let end = |at: u32| [(left + at) as f32, (top + SIDE - at) as f32];
    canvas.curve(vec![end(0), end(SIDE)], EXACT, STROKE);
    canvas.outline([left, top, SIDE, SIDE], INK);
    let below = top + SIDE + tick_style().height + GAP / 2;
    canvas.text(note_style(), left, below, "probability of the answer");
}

/// The number of columns of the table. Answers that are no class of the photographs have one if there are
/// any.
fn columns(figure: &AnswersFigure) -> usize {
    let others = figure.classes.len();
    others + usize::from(figure.counts.iter().any(|row| row[others] > 0))
}

/// Draws the cells of the table, with names and counts if there are few.
fn cells(canvas: &mut Canvas, [left, top]: [u32; 2], [names, cell]: [u32; 2], figure: &AnswersFigure) {
    let small = |colour: [u8; 3]| Style::book(18, colour);
    let columns = columns(figure);
    for (y, (class, row)) in (0..).zip(figure.classes.iter().zip(figure.counts)) {
        let total = row.iter().sum::<usize>().max(1);
        let label = top + y * cell + cell.saturating_sub(small(INK).height) / 2;
        if names > 0 {
            let number = format!("{}", y + 1);
            let name = small(INK).shorten(class, names - CELL - 2 * GAP);
            canvas.text(small(INK), left, label, &name);
            canvas.text_ending(small(FAINT_INK), left + names - GAP, label, &number);
        }
        for (x, &count) in (0..).zip(&row[..columns]) {
            let area: Area = [left + names + x * cell, top + y * cell, cell, cell];
            let share = (count as f32 / total as f32).sqrt();
            canvas.fill(area, mix(PAGE, FULL, share));
            let text = count.to_string();
            let ink = if share > 0.6 { PAGE } else { INK };
            if names > 0 && count > 0 && small(ink).width(&text) + 2 <= cell {
                let inset = (cell - small(ink).width(&text)) / 2;
                canvas.text(small(ink), area[0] + inset, label, &text);
            }
        }
    }
    let (columns, rows) = (columns as u32, figure.classes.len() as u32);
    canvas.outline([left + names, top, columns * cell, rows * cell], INK);
    if columns > rows {
        // The other answers are apart.
        canvas.fill([left + names + rows * cell, top, 1, rows * cell], INK);
    }
    if names > 0 {
        for x in 0..columns {
            let text = if x == rows { "…".to_string() } else { format!("{}", x + 1) };
            let inset = cell.saturating_sub(small(INK).width(&text)) / 2;
            canvas.text(
                small(FAINT_INK),
                left + names + x * cell + inset,
                top + rows * cell + GAP / 2,
                &text,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::render::page::{LONG, assert_margins};

    #[test]
    fn nothing_touches_the_edge_of_the_page() {
        let right: Vec<Option<f64>> = (0..10).map(|i| (i > 2).then_some(f64::from(i) / 9.0)).collect();
        for classes in [1, 3, 20, 26, 400] {
            let counts: Vec<Vec<usize>> = (0..classes)
                .map(|y| (0..=classes).map(|x| if x == y { 99_999 } else { x % 3 }).collect())
                .collect();
            let names = vec![LONG.to_string(); classes];
            let texts = Texts { title: LONG, value: "0.9", note: LONG, caution: "", meaning: &[LONG] };
            let drawn = draw(&AnswersFigure { texts, right: &right, classes: &names, counts: &counts });
            assert!(drawn.width < 2000 && drawn.height < 2000, "{} {}", drawn.width, drawn.height);
            assert_margins(&drawn, "answers");
        }
    }

    #[test]
    fn other_answers_have_a_column_if_there_are_any() {
        let names = ["a", "b"].map(String::from);
        let count = |other| {
            let texts = Texts { title: "", value: "", note: "", caution: "", meaning: &[] };
            let counts = [vec![1, 2, 0], vec![0, 3, other]];
            columns(&AnswersFigure { texts, right: &[], classes: &names, counts: &counts })
        };
        assert_eq!([count(1), count(0)], [3, 2]);
    }
}

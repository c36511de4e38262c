//! `occlude layers`: prints the layers of the network as a table and draws them as a diagram.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use occlude::network::{Layer, Network, Op};
use occlude::{Error, Result};
use serde_json::json;

use crate::cli::args::{Common, Layers};
use crate::cli::output::files;
use crate::cli::render::canvas::{Canvas, Format, STROKE};
use crate::cli::render::page::{FAINT_INK, INK, MARGIN, PAGE};
use crate::cli::render::text::Style;
use crate::cli::terminal::console;
use crate::cli::weights;

pub fn run(common: &Common, args: &Layers) -> Result<ExitCode> {
    let diagram = args.diagram.as_deref().map(|path| Ok((path, format_of(path)?))).transpose()?;
    if let Some((path, _)) = diagram {
        files::check_apart(path)?;
    }
    let weights = weights::open(common)?;
    let network = weights.network();
    let mut text = if args.json { as_json(network) } else { table(network) };
    if let Some((path, format)) = diagram {
        let figure = draw(network).encode(format);
        files::write_apart(path, &figure)?;
        if !args.json {
            writeln!(text, "wrote {}", console::shown_path(path)).expect("writing to a string");
        }
    }
    console::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The format that the extension of a file names.
fn format_of(path: &Path) -> Result<Format> {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let format = [Format::Svg, Format::Png].into_iter().find(|format| format.ending() == extension);
    format.ok_or_else(|| Error::Option {
        name: "--diagram",
        found: path.display().to_string(),
        expected: "a file name that ends in .svg or .png; other programs convert SVG to other formats"
            .to_string(),
    })
}

/// "convolution 7x7, step 2, padding 3".
fn kind(op: Op) -> String {
    match op {
        Op::Convolution(w) | Op::MaxPool(w) => {
            let name = if matches!(op, Op::MaxPool(_)) { "maximum" } else { "convolution" };
            let step = if w.stride > 1 { format!(", step {}", w.stride) } else { String::new() };
            let padding = if w.padding > 0 { format!(", padding {}", w.padding) } else { String::new() };
            format!("{name} {0}x{0}{step}{padding}", w.size)
        }
        Op::Lrn => "response normalisation".to_string(),
        Op::AveragePool => "mean".to_string(),
        Op::Classifier => "fully connected".to_string(),
        other => format!("{other:?}"),
    }
}

fn parameters(network: &Network, layer: &Layer) -> usize {
    network.weight_shape(layer).map_or(0, |shape| shape.iter().product::<usize>() + shape[0])
}

fn multiply_adds(network: &Network, layer: &Layer) -> usize {
    network.multiply_adds_per_pixel(layer) * network.blobs[layer.output].side.pow(2)
}

/// The shape of the output of a layer, which may be a part of the channels of its blob.
fn shape(network: &Network, layer: &Layer) -> String {
    let side = network.blobs[layer.output].side;
    format!("{side}x{side}x{}", layer.channels)
}

fn table(network: &Network) -> String {
    let mut text = String::new();
    let line = "writing to a string";
    writeln!(text, "{}, {} classes\n", network.name, network.classes()).expect(line);
    let name_width = network.layers.iter().map(|layer| layer.name.len()).max().unwrap_or(0);
    writeln!(
        text,
        "{:<name_width$}  {:<33} {:>11} {:>10} {:>13} {:>5} {:>4}",
        "layer", "computes", "output", "parameters", "multiply-adds", "RF", "jump"
    )
    .expect(line);
    for layer in &network.layers {
        let field = network.receptive_field_of(layer);
        let number = |number: usize| if number == 0 { String::new() } else { number.to_string() };
        let millions = multiply_adds(network, layer) as f64 / 1e6;
        let millions = if millions == 0.0 { String::new() } else { format!("{millions:.1} M") };
        writeln!(
            text,
            "{:<name_width$}  {:<33} {:>11} {:>10} {millions:>13} {:>5} {:>4}",
            layer.name,
            kind(layer.op),
            shape(network, layer),
            number(parameters(network, layer)),
            field.size,
            field.step,
        )
        .expect(line);
    }
    let sum =
        |of: fn(&Network, &Layer) -> usize| network.layers.iter().map(|l| of(network, l)).sum::<usize>();
    let (parameters, millions) = (sum(parameters), sum(multiply_adds) as f64 / 1e6);
    let total = format!("{millions:.1} M");
    writeln!(text, "{:<name_width$}  {:<33} {:>11} {parameters:>10} {total:>13}", "all", "", "").expect(line);
    text
}

fn as_json(network: &Network) -> String {
    let layer = |layer: &Layer| {
        let field = network.receptive_field_of(layer);
        json!({
            "name": layer.name,
            "computes": kind(layer.op),
            "input": network.blobs[layer.input].name,
            "output": network.blobs[layer.output].name,
            "first_channel": layer.channel,
            "shape": [network.blobs[layer.output].side, network.blobs[layer.output].side, layer.channels],
            "parameters": parameters(network, layer),
            "multiply_adds": multiply_adds(network, layer),
            "receptive_field": { "size": field.size, "step": field.step, "start": field.start },
        })
    };
    let object = json!({
        "network": network.name,
        "classes": network.classes(),
        "layers": network.layers.iter().map(layer).collect::<Vec<_>>(),
    });
    format!("{object:#}\n")
}

/// Width and height of a box.
const BOX: [u32; 2] = [236, 50];
/// Horizontal and vertical distance between boxes.
const STEP: [u32; 2] = [256, 74];
/// Height of the title.
const TITLE: u32 = 56;
/// The number of branches side by side.
const ACROSS: u32 = 4;

/// The position of a box in the diagram. The column is in half steps, because the trunk runs
/// between the branches.
#[derive(Clone, Copy)]
struct BoxPosition {
    half: u32,
    row: u32,
}

impl BoxPosition {
    fn corner(self) -> [u32; 2] {
        [MARGIN + self.half * STEP[0] / 2, MARGIN + TITLE + self.row * STEP[1]]
    }
}

/// A box of the diagram: a layer, or the concatenation of the branches of a block.
struct DiagramBox {
    name: String,
    what: String,
    colour: [u8; 3],
    position: BoxPosition,
    /// The boxes that it reads.
    reads: Vec<usize>,
}

/// The boxes of the diagram. The branches of a block are side by side. A layer that is read only by
/// one branch is above it.
fn boxes(network: &Network) -> Vec<DiagramBox> {
    let is_branch = |layer: &Layer| layer.channels < network.blobs[layer.output].channels;
    let branch_after = |layer: &Layer| {
        let mut readers = network.layers.iter().filter(|reader| reader.input == layer.output);
        readers.next().filter(|reader| is_branch(reader) && readers.next().is_none())
    };
    let half_of = |branch: &Layer| {
        let branches = network.layers.iter().filter(|layer| layer.output == branch.output);
        2 * branches.take_while(|layer| layer.channel < branch.channel).count() as u32
    };
    let trunk = ACROSS - 1;
    let mut boxes: Vec<DiagramBox> = Vec::new();
    // For each blob, the block that has all of it.
    let mut box_of = vec![None; network.blobs.len()];
    let mut next_row = 0;
    for (at, layer) in network.layers.iter().enumerate() {
        let position = match branch_after(layer) {
            _ if is_branch(layer) => BoxPosition { half: half_of(layer), row: next_row + 1 },
            Some(branch) => BoxPosition { half: half_of(branch), row: next_row },
            None => BoxPosition { half: trunk, row: next_row },
        };
        next_row += u32::from(position.half == trunk);
        box_of[layer.output] = Some(boxes.len());
        boxes.push(DiagramBox {
            name: layer.name.clone(),
            what: format!("{} → {}", short_kind(layer.op), shape(network, layer).replace('x', "×")),
            colour: match layer.op {
                Op::Convolution(_) => [222, 235, 247],
                Op::MaxPool(_) => [253, 231, 213],
                Op::Classifier => [226, 240, 217],
                _ => [238, 232, 245],
            },
            position,
            reads: box_of[layer.input].into_iter().collect(),
        });
        let blob = &network.blobs[layer.output];
        if is_branch(layer) && network.layers.get(at + 1).is_none_or(|next| next.output != layer.output) {
            let first = network.layers[..at]
                .iter()
                .rposition(|other| other.output != layer.output)
                .map_or(0, |i| i + 1);
            // The branches are consecutive in the table and are the last layers of the block.
            let branches = at - first + 1;
            let reads = boxes.len() - branches..boxes.len();
            box_of[layer.output] = Some(boxes.len());
            boxes.push(DiagramBox {
                name: blob.name.clone(),
                what: format!("concatenation → {0}×{0}×{1}", blob.side, blob.channels),
                colour: [245; 3],
                position: BoxPosition { half: trunk, row: next_row + 2 },
                reads: reads.collect(),
            });
            next_row += 3;
        }
    }
    boxes
}

fn draw(network: &Network) -> Canvas {
    let boxes = boxes(network);
    let rows = boxes.iter().map(|block| block.position.row).max().unwrap_or(0) + 1;
    let width = 2 * MARGIN + (ACROSS - 1) * STEP[0] + BOX[0];
    let height = 2 * MARGIN + TITLE + (rows - 1) * STEP[1] + BOX[1];
    let line = [150, 150, 160];
    let mut canvas = Canvas::new(width, height, PAGE);
    let title = format!("{}, {} classes", network.name, network.classes());
    canvas.text(Style::bold(30, INK), MARGIN, MARGIN, &title);
    let middle = |block: &DiagramBox, down: u32| {
        let [x, y] = block.position.corner();
        [(x + BOX[0] / 2) as f32, (y + down) as f32]
    };
    for block in &boxes {
        for &read in &block.reads {
            let (from, to) = (middle(&boxes[read], BOX[1]), middle(block, 0));
            // The line runs through the gap between two rows of boxes.
            let bend = match boxes[read].position.half == ACROSS - 1 {
                true => from[1] + (STEP[1] - BOX[1]) as f32 / 2.0,
                false => to[1] - (STEP[1] - BOX[1]) as f32 / 2.0,
            };
            canvas.curve(vec![from, [from[0], bend], [to[0], bend], to], line, STROKE);
        }
    }
    for block in &boxes {
        let [x, y] = block.position.corner();
        canvas.fill([x, y, BOX[0], BOX[1]], block.colour);
        canvas.outline([x, y, BOX[0], BOX[1]], line);
        let (name, small) = (Style::bold(17, INK), Style::book(15, FAINT_INK));
        canvas.text(name, x + 8, y + 5, &name.shorten(&block.name, BOX[0] - 16));
        canvas.text(small, x + 8, y + 28, &small.shorten(&block.what, BOX[0] - 16));
    }
    canvas
}

/// The operation of a layer, short enough for a box: "conv 7×7/2".
fn short_kind(op: Op) -> String {
    match op {
        Op::Convolution(w) | Op::MaxPool(w) => {
            let name = if matches!(op, Op::MaxPool(_)) { "max" } else { "conv" };
            let step = if w.stride > 1 { format!("/{}", w.stride) } else { String::new() };
            format!("{name} {0}×{0}{step}", w.size)
        }
        Op::Lrn => "LRN".to_string(),
        other => kind(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn boxes_do_not_overlap_and_come_after_their_inputs() {
        for network in [Network::googlenet(), Network::torchvision(5)] {
            let boxes = boxes(&network);
            let taken: HashSet<_> =
                boxes.iter().map(|block| (block.position.row, block.position.half)).collect();
            // Each of the nine blocks has a box in addition to those of its layers.
            assert_eq!((taken.len(), boxes.len()), (boxes.len(), network.layers.len() + 9));
            for (i, block) in boxes.iter().enumerate() {
                let is_output = i >= 3 && boxes[i].what.starts_with("concatenation");
                assert_eq!(
                    block.reads.len(),
                    if i == 0 {
                        0
                    } else if is_output {
                        4
                    } else {
                        1
                    },
                    "{}",
                    block.name
                );
                assert!(
                    block.reads.iter().all(|&read| boxes[read].position.row < block.position.row),
                    "{}",
                    block.name
                );
            }
        }
    }

    #[test]
    fn the_table_has_the_published_totals() {
        let text = table(&Network::googlenet());
        assert!(text.contains("conv1/7x7_s2"), "{text}");
        let total: Vec<&str> = text.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(total, ["all", "6998552", "1582.7", "M"]);
    }
}

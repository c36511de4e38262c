//! Figures of a trace: the effect of a mask at each stage of the network, side by side (PNG) and as
//! an animation (GIF).

use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, DynamicImage, Frame};
use occlude::Trace;
use occlude::network::geometry::Rect;
use occlude::network::{INPUT_SIDE, Network};

use super::backdrop::{Backdrop, grey};
use super::canvas::{Area, Canvas};
use super::colours::{CATEGORIES, Colours};
use super::page::{FAINT_INK, GAP, INK, MARGIN, PAGE, note_style, title_style};
use super::text::{Style, mix};

/// Colour of the frame around the pixels that the mask can change; not a colour of viridis.
const REACHED: [u8; 3] = CATEGORIES[5];

/// Side of a square picture in the strip, in pixels; the smallest width of a stage.
const STAGE_SIDE: u32 = 224;
/// The longest side of the picture in the animation.
pub const FRAME_SIDE: usize = 448;
/// Square stages per row of the strip; GoogLeNet has three rows of them.
const ACROSS: u32 = 7;
/// Opacity of the colours over the photograph.
const OPACITY: f32 = 0.8;
/// Duration of a stage in the animation, in milliseconds.
const SHOWN: u32 = 900;

/// A stage of the network: a blob of its trunk, and the layers between the previous stage and this
/// blob.
pub struct Stage {
    pub name: String,
    /// True for the picture, the first stage, which is not computed.
    pub is_picture: bool,
    /// Height and width of the blob.
    pub side: usize,
    pub channels: usize,
    pub reached: Rect,
    /// `[side][side]`, as in [`occlude::LayerTrace`].
    pub computed: Vec<bool>,
    pub difference: Vec<f32>,
    /// Multiply-adds of the layers, and those that are executed.
    pub dense: u64,
    pub executed: u64,
}

/// The stages that are planes: the picture with the mask, then all stages except the pooled mean
/// and the logits.
pub fn stages(network: &Network, trace: &Trace) -> Vec<Stage> {
    let picture = network.blobs[0].side;
    let is_masked = |i: usize| {
        let rows = trace.mask.y0..trace.mask.y1;
        rows.contains(&(i / picture)) && (trace.mask.x0..trace.mask.x1).contains(&(i % picture))
    };
    let mut stages = vec![Stage {
        name: "the mask".to_string(),
        is_picture: true,
        side: picture,
        channels: network.blobs[0].channels,
        reached: trace.mask,
        computed: (0..picture * picture).map(is_masked).collect(),
        difference: vec![0.0; picture * picture],
        dense: 0,
        executed: 0,
    }];
    // The table has the layers in the order of computation. A stage has the layers up to the last
    // one that writes its blob.
    let mut before = 0;
    for &id in network.trunk()[1..].iter().filter(|&&id| network.blobs[id].side > 1) {
        let blob = &network.blobs[id];
        let mut stage = Stage {
            name: blob.name.clone(),
            is_picture: false,
            side: blob.side,
            channels: blob.channels,
            reached: Rect::default(),
            computed: vec![false; blob.side * blob.side],
            difference: vec![0.0; blob.side * blob.side],
            dense: 0,
            executed: 0,
        };
        let last = network.layers.iter().rposition(|layer| layer.output == id).expect("a layer writes it");
        for (layer, found) in network.layers.iter().zip(&trace.layers).take(last + 1).skip(before) {
            stage.dense += found.dense;
            stage.executed += found.executed;
            if layer.output == id {
                stage.reached = stage.reached.union(&found.reached);
                stage.computed.iter_mut().zip(&found.computed).for_each(|(all, own)| *all |= own);
                // The parts belong to one vector, so their squares are added.
                let parts = stage.difference.iter_mut().zip(&found.difference);
                parts.for_each(|(all, own)| *all = (*all * *all + own * own).sqrt());
            }
        }
        before = last + 1;
        stages.push(stage);
    }
    stages
}

impl Stage {
    /// The picture in grey, `[height][width][3]`, with the change in colours at the recomputed pixels.
    fn over(&self, backdrop: &Backdrop) -> Vec<u8> {
        let largest = self.difference.iter().copied().fold(0.0, f32::max);
        let [rows, columns] = [0, 1].map(|axis| backdrop.cells(axis, self.side));
        let pixels = backdrop.pixels.as_chunks::<3>().0.iter().enumerate();
        let pixels = pixels.map(|(i, &[red, green, blue])| {
            let grey = grey([red, green, blue]);
            let at = rows[i / backdrop.size[1]].zip(columns[i % backdrop.size[1]]);
            let at = at.map(|(row, column)| row * self.side + column);
            let Some(at) = at.filter(|&at| self.computed[at]) else { return grey };
            let share = if largest > 0.0 { self.difference[at] / largest } else { 0.0 };
            mix(grey, Colours::Viridis.at(share), OPACITY)
        });
        pixels.flatten().collect()
    }

    /// Draws the stage with its frame on a page.
    fn draw(&self, canvas: &mut Canvas, [left, top]: [u32; 2], backdrop: &Backdrop) {
        let [height, width] = backdrop.on_page();
        canvas.image([left, top, width, height], self.over(backdrop));
        let Rect { y0, x0, y1, x1 } = self.reached;
        let place = |edge: usize| (edge * INPUT_SIDE) as f64 / self.side as f64;
        let [x, y, width, height] = backdrop.area([y0, x0, y1, x1].map(place));
        let frame: Area = [left + x, top + y, width, height];
        for inset in 0..2 {
            let size = |length: u32| length.saturating_sub(2 * inset).max(1);
            canvas.outline([frame[0] + inset, frame[1] + inset, size(frame[2]), size(frame[3])], REACHED);
        }
    }

    /// "28×28×256, 40 % computed".
    fn in_words(&self) -> String {
        let computed = self.computed.iter().filter(|is| **is).count();
        let share = 100.0 * computed as f64 / self.computed.len() as f64;
        let what = if self.is_picture { "covered" } else { "computed" };
        format!("{0}×{0}×{1}, {share:.0} % {what}", self.side, self.channels)
    }

    /// "executed 12.3 of 123.4 M".
    fn cost(&self) -> String {
        match self.dense {
            0 => String::new(),
            dense => {
                format!("executed {:.1} of {:.1} M", 1e-6 * self.executed as f64, 1e-6 * dense as f64)
            }
        }
    }
}

/// The legend of the strip.
const LEGEND: [&str; 4] = [
    "orange frame: pixels that depend on masked pixels according to the receptive fields",
    "colours: recomputed pixels, from violet (unchanged) to yellow (largest change of the stage)",
    "grey: pixels that are not recomputed, because none of their inputs has changed",
    "executed: multiply-adds since the previous stage, of those of a complete pass, in millions",
];

/// The longest side of the picture in the strip, for a photograph of `[height, width]`. An oblong
/// picture has about the area of a square one, and at most twice its side.
pub fn stage_side(size: [usize; 2]) -> usize {
    let [least, most] = [size[0].min(size[1]), size[0].max(size[1])].map(|length| length as f64);
    (f64::from(STAGE_SIDE) * (most / least).sqrt().min(2.0)).round() as usize
}

/// Draws all stages in rows, over a picture of [`stage_side`].
pub fn draw(title: &str, stages: &[Stage], backdrop: &Backdrop) -> Canvas {
    let (heading, note) = (title_style(), note_style());
    let (name, small) = (Style::bold(18, INK), Style::book(16, FAINT_INK));
    let [picture, panel] = backdrop.on_page();
    let panel = panel.max(STAGE_SIDE);
    let across = (ACROSS * (STAGE_SIDE + MARGIN) / (panel + MARGIN)) as usize;
    let head = name.height + 2 * small.height + GAP;
    let rows = stages.len().div_ceil(across) as u32;
    let width = MARGIN + across.min(stages.len()) as u32 * (panel + MARGIN);
    let first = MARGIN + heading.height + GAP;
    let notes = first + rows * (head + picture + MARGIN);
    let legend = LEGEND.into_iter().chain(backdrop.dark_in_words());
    let height = notes + legend.clone().count() as u32 * note.height + MARGIN;
    let mut canvas = Canvas::new(width, height, PAGE);
    canvas.text(heading, MARGIN, MARGIN, &heading.shorten(title, width - 2 * MARGIN));
    for (i, stage) in stages.iter().enumerate() {
        let (row, column) = ((i / across) as u32, (i % across) as u32);
        let (left, top) = (MARGIN + column * (panel + MARGIN), first + row * (head + picture + MARGIN));
        canvas.text(name, left, top, &name.shorten(&stage.name, panel));
        canvas.text(small, left, top + name.height, &small.shorten(&stage.in_words(), panel));
        let cost = small.shorten(&stage.cost(), panel);
        canvas.text(small, left, top + name.height + small.height, &cost);
        stage.draw(&mut canvas, [left, top + head], backdrop);
    }
    for (line, text) in legend.enumerate() {
        canvas.text(note, MARGIN, notes + line as u32 * note.height, text);
    }
    canvas
}

/// Draws the stages over a picture of at most [`FRAME_SIDE`] pixels in both directions, as a GIF that
/// repeats without end.
pub fn animation(stages: &[Stage], backdrop: &Backdrop) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, 30);
    let in_memory = "memory can be written, and the frame's size is a GIF's";
    encoder.set_repeat(Repeat::Infinite).expect(in_memory);
    for (i, stage) in stages.iter().enumerate() {
        let page = frame(stage, &format!("{} of {}", i + 1, stages.len()), backdrop);
        let pixels = DynamicImage::ImageRgb8(page.pixels()).into_rgba8();
        let delay = Delay::from_numer_denom_ms(SHOWN, 1);
        encoder.encode_frame(Frame::from_parts(pixels, 0, 0, delay)).expect(in_memory);
    }
    drop(encoder);
    bytes
}

fn frame(stage: &Stage, count: &str, backdrop: &Backdrop) -> Canvas {
    let (name, small) = (Style::bold(24, INK), Style::book(18, FAINT_INK));
    let side = FRAME_SIDE as u32;
    let top = MARGIN + name.height + small.height + GAP;
    let width = side + 2 * MARGIN;
    let [picture, _] = backdrop.on_page();
    let mut canvas = Canvas::new(width, top + picture + GAP + small.height + MARGIN, PAGE);
    canvas.text(name, MARGIN, MARGIN, &name.shorten(&stage.name, side - small.width(count) - GAP));
    canvas.text_ending(small, width - MARGIN, MARGIN, count);
    canvas.text(small, MARGIN, MARGIN + name.height, &stage.in_words());
    stage.draw(&mut canvas, [MARGIN, top], backdrop);
    if stage.dense > 0 {
        canvas.text(small, MARGIN, top + picture + GAP, &format!("{} multiply-adds", stage.cost()));
    }
    canvas
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::render::backdrop::CanvasShape;
    use occlude::{GoogLeNet, Input, MaskValue, Photograph, Resize, Weights};

    /// The multiply-adds of each layer are counted in a stage, and the difference of a block
    /// combines all its branches.
    #[test]
    fn stages_contain_all_layers() {
        for network in [Network::googlenet(), Network::torchvision(7)] {
            let net = GoogLeNet::new(&Weights::seeded_for(network.clone(), 3)).unwrap();
            let values = (0..224 * 224 * 3_i64).map(|i| (i * i % 241) as f32 - 110.0).collect();
            let input = Input::from_nhwc_bgr(values).unwrap();
            let mask = Rect::centred([100, 40], [30, 20], 224);
            let trace = net.trace(&input, mask, MaskValue::TrainingMean).unwrap();
            let stages = stages(&network, &trace);
            assert_eq!(stages.len(), network.trunk().len() - 2);
            let planes = &trace.layers[..trace.layers.len() - 2];
            assert_eq!(
                stages.iter().map(|s| s.dense).sum::<u64>(),
                planes.iter().map(|l| l.dense).sum::<u64>()
            );
            assert_eq!(
                stages.iter().map(|s| s.executed).sum::<u64>(),
                planes.iter().map(|l| l.executed).sum::<u64>()
            );
            let block = stages.iter().find(|stage| stage.name.contains("4b")).unwrap();
            let branches: Vec<_> = network
                .layers
                .iter()
                .zip(&trace.layers)
                .filter(|(layer, _)| network.blobs[layer.output].name == block.name)
                .collect();
            assert_eq!(branches.len(), 4);
            for (at, difference) in block.difference.iter().enumerate() {
                let squares: f32 = branches.iter().map(|(_, found)| found.difference[at].powi(2)).sum();
                assert!((difference - squares.sqrt()).abs() <= 1e-5 * squares.sqrt());
                assert_eq!(block.computed[at], branches.iter().any(|(_, found)| found.computed[at]));
            }
        }
    }

    #[test]
    fn only_recomputed_pixels_are_coloured() {
        let mut stage = Stage {
            name: String::new(),
            is_picture: false,
            side: 2,
            channels: 1,
            reached: Rect { y0: 0, x0: 0, y1: 1, x1: 2 },
            computed: vec![true, true, false, false],
            difference: vec![2.0, 0.0, 0.0, 0.0],
            dense: 0,
            executed: 0,
        };
        let photograph = Photograph::from_rgb(4, 4, &[200, 100, 50].repeat(16)).unwrap();
        let backdrop = Backdrop::of_longest(&photograph, Resize::Stretch, CanvasShape::Photo, 4);
        let pixels = stage.over(&backdrop);
        let at = |y: usize, x: usize| pixels.as_chunks::<3>().0[y * 4 + x];
        let grey = [(200 * 299 + 100 * 587 + 50 * 114) / 1000; 3].map(|luma| luma as u8);
        assert_eq!((at(3, 0), at(2, 3)), (grey, grey));
        assert_eq!((at(0, 0), at(1, 1)), (mix(grey, Colours::Viridis.at(1.0), OPACITY), at(0, 0)));
        assert_eq!(at(0, 2), mix(grey, Colours::Viridis.at(0.0), OPACITY));
        // Without any change, there is no division by zero.
        stage.difference = vec![0.0; 4];
        assert_eq!(stage.over(&backdrop)[..3], mix(grey, Colours::Viridis.at(0.0), OPACITY));
    }
}

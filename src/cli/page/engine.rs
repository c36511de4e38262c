//! A photograph in a network: its classification, the maps of its sweeps, and their pictures.

use std::ops::{ControlFlow, Range};
use std::sync::atomic::AtomicBool;

use super::colours::{CATEGORIES, Colours};
use occlude::image::Framing;
use occlude::image::lattice::Placement;
use occlude::network::INPUT_SIDE;
use occlude::network::geometry::Rect;
use occlude::{
    Classification, Error, GoogLeNet, MaskValue, OcclusionMaps, OcclusionSensitivity, Photograph, Prepared,
    Refinement, Resize, Result, Score, Upsampling, memory,
};

/// The most probable classes that have a map.
const TOP: usize = 5;

/// Share of a map's opacity where no mask was centred.
const PALE: f32 = 0.5;

/// The colour of categories after those that have one.
const OTHER: [u8; 3] = [128; 3];

/// Receives a map so far as [`Opened::explain`] returns it, the number of positions that are done, and
/// the number of all.
pub type Refined<'a> = dyn Fn(&[f32], usize, usize) + Sync + 'a;

/// A photograph as the network sees it.
pub struct Opened {
    net: &'static GoogLeNet,
    photograph: Photograph,
    framing: Framing,
    picture: Prepared<'static>,
}

/// The options of a sweep with square masks.
#[derive(Clone)]
pub struct Options {
    pub mask_size: usize,
    pub stride: usize,
    pub value: MaskValue,
    pub score: Score,
    /// A class beside the most probable ones.
    pub class: Option<usize>,
}

/// The way to paint a map of all positions.
pub struct Painted {
    pub mask_size: usize,
    pub stride: usize,
    /// Height and width of the picture.
    pub canvas: [usize; 2],
    /// The value of the last colour; its negative is that of the first.
    pub limit: f32,
    /// None for categories, whose values are numbers of a category.
    pub colours: Option<Colours>,
    pub upsampling: Upsampling,
}

impl Opened {
    /// Classifies a photograph: a file, or pixels of `[height, width]` with four bytes each, of which the
    /// fourth is ignored.
    pub fn new(
        net: &'static GoogLeNet,
        data: &[u8],
        size: Option<[usize; 2]>,
        resize: Resize,
    ) -> Result<Opened> {
        let photograph = match size {
            None => Photograph::from_bytes("the photograph", data)?,
            Some([height, width]) => {
                let pixels = data.as_chunks::<4>().0;
                memory::require("the photograph", 6 * pixels.len())?;
                let mut rgb = Vec::with_capacity(3 * pixels.len());
                rgb.extend(pixels.iter().flat_map(|&[red, green, blue, _]| [red, green, blue]));
                Photograph::from_rgb(height, width, &rgb)?
            }
        };
        let picture = Prepared::new(net, photograph.picture(resize).input())?;
        let framing = photograph.framing(resize);
        Ok(Opened { net, photograph, framing, picture })
    }

    /// Width and height; for each of the most probable classes, its index and its probability.
    pub fn answer(&self) -> Vec<f32> {
        let classification = self.picture.classification();
        let mut numbers = vec![self.photograph.width() as f32, self.photograph.height() as f32];
        for class in top(&classification) {
            numbers.extend([class as f32, classification.probabilities[class]]);
        }
        numbers
    }

    /// The photograph's pixels, upright: red, green, blue and 255 for each.
    pub fn pixels(&self) -> Result<Vec<u8>> {
        let rgb = self.photograph.rgb().as_chunks::<3>().0;
        memory::require("the photograph", 4 * rgb.len())?;
        let mut pixels = Vec::with_capacity(4 * rgb.len());
        pixels.extend(rgb.iter().flat_map(|&[red, green, blue]| [red, green, blue, 255]));
        Ok(pixels)
    }

    /// Runs a sweep over some rows of positions, coarse to fine, until `cancel` is set. Returns rows,
    /// columns, classes; for each class its index and its score; for each class its score at each position;
    /// for each position the most probable class; for each position the score of that class.
    pub fn explain(
        &self,
        options: Options,
        rows: Range<usize>,
        cancel: &AtomicBool,
        refined: &Refined,
    ) -> Result<Vec<f32>> {
        let class = options.class;
        let first = |row: usize| row.saturating_mul(options.stride);
        let end = first(rows.end.max(1) - 1).saturating_add(1).min(INPUT_SIDE);
        let region = Rect { y0: first(rows.start), x0: 0, y1: end, x1: INPUT_SIDE };
        let choose = |classification: &Classification| classes(classification, class);
        let on_refinement = |now: &Refinement| {
            refined(&numbers(now.maps), now.progress.done, now.progress.total);
            ControlFlow::Continue(())
        };
        let sweep = self.sweep(options, region).choose_classes(&choose).cancel(cancel);
        Ok(numbers(&sweep.on_refinement(&on_refinement).run_prepared(&self.picture)?))
    }

    /// Covers the photograph with one mask, centred at the pixel of the network's picture that is nearest
    /// to a place on the photograph. Returns numbers as [`Opened::explain`] does, for one position; then the
    /// edges of the mask in pixels of the photograph: top, left, bottom, right; its centre on the network's
    /// picture: y, x; its colour: red, green, blue, or less than 0 if it is not of one colour.
    pub fn cover(&self, at: [f64; 2], options: Options) -> Result<Vec<f32>> {
        let framing = self.framing;
        let [y, x] =
            [0, 1].map(|axis| (framing.to_network(axis, at[axis]).max(0.0) as usize).min(INPUT_SIDE - 1));
        // A region of one pixel has one position.
        let region = Rect { y0: y, x0: x, y1: y + 1, x1: x + 1 };
        let class = options.class;
        let choose = |classification: &Classification| classes(classification, class);
        let sweep = self.sweep(Options { stride: 1, ..options }, region).choose_classes(&choose);
        let maps = sweep.run_prepared(&self.picture)?;
        let Rect { y0, x0, y1, x1 } = maps.mask_rect(0, 0);
        let edges = [(0, y0), (1, x0), (0, y1), (1, x1)];
        let edges = edges.map(|(axis, edge)| framing.to_photograph(axis, edge as f64) as f32);
        let colour = match maps.mask_value {
            MaskValue::Rgb(rgb) => rgb,
            _ => [-1.0; 3],
        };
        let mut numbers = numbers(&maps);
        numbers.extend(edges);
        numbers.extend([y, x].map(|place| place as f32));
        numbers.extend(colour);
        Ok(numbers)
    }

    fn sweep(&self, options: Options, region: Rect) -> OcclusionSensitivity<'_> {
        OcclusionSensitivity::new(self.net)
            .mask_size([options.mask_size; 2])
            .stride([options.stride; 2])
            .mask_value(options.value)
            .score(options.score)
            .region(region)
    }

    /// Paints a map of all positions on the whole photograph. Returns red, green, blue, and the opacity of
    /// each pixel, less where no mask was centred.
    pub fn paint(&self, values: &[f32], painted: &Painted) -> Result<Vec<u8>> {
        let &Painted { mask_size, stride, canvas, limit, colours, upsampling } = painted;
        let sweep = OcclusionSensitivity::new(self.net).mask_size([mask_size; 2]).stride([stride; 2]);
        let lattice = sweep.lattice(Placement::Centres)?;
        let positions = INPUT_SIDE.div_ceil(stride).pow(2);
        if values.len() != positions {
            return Err(Error::Option {
                name: "map",
                found: format!("of {} values", values.len()),
                expected: format!("{positions}, one for each position of the mask"),
            });
        }
        let size = [self.photograph.height(), self.photograph.width()];
        let framing = self.framing;
        let places = |axis: usize| -> Vec<f64> {
            let scale = size[axis] as f64 / canvas[axis] as f64;
            (0..canvas[axis]).map(|i| framing.to_network(axis, (i as f64 + 0.5) * scale)).collect()
        };
        let [down, across] = [places(0), places(1)];
        let enlarged = lattice.values(values, &down, &across, upsampling);
        let inside = |at: f64| (0.0..INPUT_SIDE as f64).contains(&at);
        let mut pixels = Vec::with_capacity(4 * enlarged.len());
        for (row, values) in down.iter().zip(enlarged.chunks_exact(across.len())) {
            for (column, &value) in across.iter().zip(values) {
                let spans = lattice.spans(0, *row) && lattice.spans(1, *column);
                let opacity = if !inside(*row) || !inside(*column) {
                    0.0
                } else if spans {
                    1.0
                } else {
                    PALE
                };
                let (rgb, opacity) = colour(value, limit, colours, opacity);
                pixels.extend([rgb[0], rgb[1], rgb[2], (opacity * 255.0) as u8]);
            }
        }
        Ok(pixels)
    }
}

/// The most probable classes, the most probable one first.
fn top(classification: &Classification) -> Vec<usize> {
    classification.top(TOP.min(classification.logits.len()))
}

/// The most probable classes, and another one.
fn classes(classification: &Classification, other: Option<usize>) -> Vec<usize> {
    let mut classes = top(classification);
    classes.extend(other.filter(|class| !classes.contains(class)));
    classes
}

/// The colour and the opacity of a value. Category 0, the class without a mask, is transparent.
fn colour(value: f32, limit: f32, colours: Option<Colours>, opacity: f32) -> ([u8; 3], f32) {
    let share = if limit > 0.0 { (value / limit + 1.0) / 2.0 } else { 0.5 };
    match colours {
        Some(colours) => (colours.at(share), opacity),
        None if value < 1.0 => ([0; 3], 0.0),
        None => (CATEGORIES.get(value as usize - 1).copied().unwrap_or(OTHER), opacity),
    }
}

/// The colours of a map from its lowest to its highest value, or those of the categories from 1 on: red,
/// green, blue and 255 for each.
pub fn colour_bar(colours: Option<Colours>) -> Vec<u8> {
    let values: Vec<f32> = match colours {
        None => (1..=CATEGORIES.len()).map(|category| category as f32).collect(),
        Some(_) => (0..256).map(|step| step as f32 / 127.5 - 1.0).collect(),
    };
    let rgba = |value| {
        let ([red, green, blue], _) = colour(value, 1.0, colours, 1.0);
        [red, green, blue, 255]
    };
    values.into_iter().flat_map(rgba).collect()
}

/// Maps as [`Opened::explain`] returns them.
fn numbers(maps: &OcclusionMaps) -> Vec<f32> {
    let mut numbers = vec![maps.grid[0] as f32, maps.grid[1] as f32, maps.classes.len() as f32];
    for (&class, &score) in maps.classes.iter().zip(&maps.base_scores) {
        numbers.extend([class as f32, score]);
    }
    numbers.extend(&maps.scores);
    numbers.extend(maps.argmax.iter().map(|&class| class as f32));
    numbers.extend(&maps.argmax_scores);
    numbers
}

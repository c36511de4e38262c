//! One network, one photograph, and the maps of its sweeps.

use std::ops::{ControlFlow, Range};

use crate::render::colours::{CATEGORIES, Colours};
use occlude::image::Framing;
use occlude::image::lattice::Placement;
use occlude::network::geometry::Rect;
use occlude::{
    Classification, Error, GoogLeNet, Isa, MaskValue, OcclusionMaps, OcclusionSensitivity, Photograph,
    Prepared, Refinement, Resize, Result, Score, Upsampling, Weights,
};

/// Height and width of the network's picture.
const SIDE: usize = 224;

/// The most probable classes that have a map.
const TOP: usize = 5;

/// Share of a map's opacity where no mask was centred.
const PALE: f32 = 0.5;

/// The colour of categories after those that have one.
const OTHER: [u8; 3] = [128; 3];

/// The state of a worker.
#[derive(Default)]
pub struct Engine {
    /// A worker that gets another network is replaced, so this one is never freed.
    net: Option<&'static GoogLeNet>,
    opened: Option<Opened>,
}

/// A photograph as the network sees it.
struct Opened {
    photograph: Photograph,
    framing: Framing,
    picture: Prepared<'static>,
}

/// The options of a sweep with square masks.
#[derive(Clone, Copy)]
pub struct Options {
    pub mask_size: usize,
    pub stride: usize,
    pub value: MaskValue,
    pub score: Score,
    /// A class beside the most probable ones.
    pub class: Option<usize>,
}

/// A map to paint; see `paint` in `lib.rs`.
pub struct Painted {
    pub mask_size: usize,
    pub stride: usize,
    pub canvas: [usize; 2],
    pub limit: f32,
    pub colours: u32,
    pub smooth: bool,
}

impl Engine {
    /// Loads a network and returns its name, the instruction set, and the names of the classes, as lines.
    pub fn load(&mut self, file: &[u8], exact: bool) -> Result<String> {
        let weights = Weights::from_bytes("the network", file)?;
        let net = GoogLeNet::new(&weights)?;
        // Without an instruction for it, exact multiply-adds take twelve times as long.
        let emulated = net.isa().to_string() == "wasm";
        let net = if emulated && !exact { net.with_isa("wasm-unfused".parse::<Isa>()?) } else { net };
        let labels = weights.labels();
        let names: Vec<&str> = (0..labels.count()).map(|class| labels.words(class)).collect();
        let lines = format!("{}\n{}\n{}", weights.name(), net.isa(), names.join("\n"));
        *self = Engine { net: Some(Box::leak(Box::new(net))), opened: None };
        Ok(lines)
    }

    /// Opens a photograph, a file or pixels of `[height, width]`, and classifies it.
    pub fn open(&mut self, data: &[u8], size: Option<[usize; 2]>, resize: Resize) -> Result<Vec<f32>> {
        let net = self.net()?;
        let photograph = match size {
            None => Photograph::from_bytes("the photograph", data)?,
            Some([height, width]) => {
                let rgb: Vec<u8> =
                    data.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
                Photograph::from_rgb(height, width, &rgb)?
            }
        };
        let prepared = Prepared::new(net, photograph.picture(resize).input())?;
        let classification = prepared.classification();
        let mut numbers = vec![photograph.width() as f32, photograph.height() as f32];
        for class in classification.top(TOP.min(classification.logits.len())) {
            numbers.extend([class as f32, classification.probabilities[class]]);
        }
        let framing = photograph.framing(resize);
        self.opened = Some(Opened { photograph, framing, picture: prepared });
        Ok(numbers)
    }

    /// The photograph's pixels, four bytes each.
    pub fn pixels(&self) -> Result<Vec<u8>> {
        Ok(self
            .opened()?
            .photograph
            .rgb()
            .chunks_exact(3)
            .flat_map(|rgb| [rgb[0], rgb[1], rgb[2], 255])
            .collect())
    }

    /// Runs a sweep over some rows of positions; see `explain` in `lib.rs`.
    pub fn explain(
        &self,
        options: Options,
        rows: Range<usize>,
        on_refinement: &(dyn Fn(&[f32], usize, usize) -> ControlFlow<()> + Sync),
    ) -> Result<Vec<f32>> {
        let first = |row: usize| row.saturating_mul(options.stride);
        let end = first(rows.end.max(1) - 1).saturating_add(1).min(SIDE);
        let region = Rect { y0: first(rows.start), x0: 0, y1: end, x1: SIDE };
        let refined =
            |now: &Refinement| on_refinement(&numbers(now.maps), now.progress.done, now.progress.total);
        Ok(numbers(&self.sweep(options, region, Some(&refined))?))
    }

    /// Covers the photograph with one mask; see `cover` in `lib.rs`.
    pub fn cover(&self, at: [f64; 2], options: Options) -> Result<Vec<f32>> {
        let framing = self.opened()?.framing;
        let [y, x] = [0, 1].map(|axis| (framing.to_network(axis, at[axis]).max(0.0) as usize).min(SIDE - 1));
        // A region of one pixel has one position.
        let region = Rect { y0: y, x0: x, y1: y + 1, x1: x + 1 };
        let maps = self.sweep(Options { stride: 1, ..options }, region, None)?;
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

    fn sweep(
        &self,
        options: Options,
        region: Rect,
        refined: Option<&(dyn Fn(&Refinement) -> ControlFlow<()> + Sync)>,
    ) -> Result<OcclusionMaps> {
        let choose = |classification: &Classification| {
            let mut classes = classification.top(TOP.min(classification.logits.len()));
            classes.extend(options.class.filter(|class| !classes.contains(class)));
            classes
        };
        let mut sweep = OcclusionSensitivity::new(self.net()?)
            .mask_size([options.mask_size; 2])
            .stride([options.stride; 2])
            .mask_value(options.value)
            .score(options.score)
            .region(region)
            .choose_classes(&choose);
        if let Some(refined) = refined {
            sweep = sweep.on_refinement(refined);
        }
        sweep.run_prepared(&self.opened()?.picture)
    }

    /// Paints a map of all positions; see `paint` in `lib.rs`.
    pub fn paint(&self, values: &[f32], painted: &Painted) -> Result<Vec<u8>> {
        let opened = self.opened()?;
        let &Painted { mask_size, stride, canvas, limit, colours, smooth } = painted;
        let sweep = OcclusionSensitivity::new(self.net()?).mask_size([mask_size; 2]).stride([stride; 2]);
        let lattice = sweep.lattice(Placement::Centres)?;
        let size = [opened.photograph.height(), opened.photograph.width()];
        let framing = opened.framing;
        let places = |axis: usize| -> Vec<f64> {
            let scale = size[axis] as f64 / canvas[axis] as f64;
            (0..canvas[axis]).map(|i| framing.to_network(axis, (i as f64 + 0.5) * scale)).collect()
        };
        let [down, across] = [places(0), places(1)];
        let upsampling = if smooth { Upsampling::Bicubic } else { Upsampling::Nearest };
        let enlarged = lattice.values(values, &down, &across, upsampling);
        let inside = |at: f64| (0.0..SIDE as f64).contains(&at);
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

    fn net(&self) -> Result<&'static GoogLeNet> {
        self.net.ok_or_else(|| no("network"))
    }

    fn opened(&self) -> Result<&Opened> {
        self.opened.as_ref().ok_or_else(|| no("photograph"))
    }
}

fn no(what: &'static str) -> Error {
    Error::Option {
        name: what,
        found: "nothing".to_string(),
        expected: format!("a {what} that was opened before"),
    }
}

/// The colour and the opacity of a value. Category 0, the class without a mask, is transparent.
fn colour(value: f32, limit: f32, colours: u32, opacity: f32) -> ([u8; 3], f32) {
    let share = if limit > 0.0 { (value / limit + 1.0) / 2.0 } else { 0.5 };
    match colours {
        1 => (Colours::Viridis.at(share), opacity),
        2 => (Colours::Jet.at(share), opacity),
        3 if value < 1.0 => ([0; 3], 0.0),
        3 => (CATEGORIES.get(value as usize - 1).copied().unwrap_or(OTHER), opacity),
        _ => (Colours::Diverging.at(share), opacity),
    }
}

/// The colours from the lowest to the highest value of a map; see `colour_bar` in `lib.rs`.
pub fn colour_bar(colours: u32) -> Vec<u8> {
    let values: Vec<f32> = match colours {
        3 => (1..=CATEGORIES.len()).map(|category| category as f32).collect(),
        _ => (0..256).map(|step| step as f32 / 127.5 - 1.0).collect(),
    };
    let rgba = |value| {
        let ([red, green, blue], _) = colour(value, 1.0, colours, 1.0);
        [red, green, blue, 255]
    };
    values.into_iter().flat_map(rgba).collect()
}

/// Maps as numbers; see `explain` in `lib.rs`.
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

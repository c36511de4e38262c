//! `occlude features`: draws the feature maps of a layer on one sheet and prints facts about them.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use occlude::network::geometry::{ReceptiveField, Rect};
use occlude::network::{self, INPUT_SIDE, Network};
use occlude::{Activations, Error, Resize, Result};
use serde::Serialize;

use crate::cli::args::{Common, Features};
use crate::cli::explanation::{LoadedPhotograph, Session, require_finite};
use crate::cli::output::files::OutputFolder;
use crate::cli::output::json::{self, Provenance};
use crate::cli::output::names::{layer_slug, stem};
use crate::cli::output::table::box_in_cell;
use crate::cli::render::backdrop::{Backdrop, CanvasShape};
use crate::cli::render::canvas::Format;
use crate::cli::render::colours::Colours;
use crate::cli::render::scale::{ColourRange, Scale, range};
use crate::cli::render::sheet::{self, PHOTO_SIDE, Sheet, Tile};
use crate::cli::terminal::console;
use crate::cli::terminal::threads::on_threads;

/// Share of the non-zero values that lie beyond the end of the colour scale.
const BEYOND: f64 = 0.01;
/// The number of channels in the summary.
const LISTED: usize = 5;

pub fn run(common: &Common, args: &Features) -> Result<ExitCode> {
    let output = OutputFolder::check(&args.out)?;
    on_threads(args.pool.threads, || features(common, args, &output))
}

fn features(common: &Common, args: &Features, output: &OutputFolder) -> Result<ExitCode> {
    let session = Session::open(common)?;
    let (_, channels) = session.net.network().output(&args.layer)?;
    check_strongest(args, channels.len())?;
    let source = LoadedPhotograph::open(&args.image)?;
    source.tell_if_flat(args.canvas.shape);
    let activations = session.forward(&source.photograph)?;
    let layer = LayerMaps::of(session.net.network(), &activations, &args.layer)?;
    for channel in &layer.channels {
        require_finite(&channel.map)?;
        require_finite(&[channel.total])?;
    }

    let by_strength = layer.by_strength();
    let shown = match args.strongest {
        Some(count) => by_strength[..count].to_vec(),
        None => (0..layer.channels.len()).collect(),
    };
    let backdrop = Backdrop::of_longest(&source.photograph, session.resize, args.canvas.shape, PHOTO_SIDE);
    // The square that a crop shows is the network's picture.
    let shape = if session.resize == Resize::CenterCrop { CanvasShape::Network } else { args.canvas.shape };
    let seen = |longest| Backdrop::of_longest(&source.photograph, session.resize, shape, longest);
    let tile = |&c: &usize| Tile { number: c, map: layer.channels[c].map.clone() };
    let mut notes = layer.notes(args.strongest);
    notes.extend(backdrop.dark_in_words().map(|dark| format!("In the photograph, {dark}.")));
    let figure = sheet::draw(&Sheet {
        backdrop: &backdrop,
        seen: &seen,
        tiles: &shown.iter().map(tile).collect::<Vec<_>>(),
        side: layer.side,
        scale: layer.scale(args.colours),
        title: &layer.title("×"),
        notes: &notes,
    });
    let name = format!("{}-{}-features.png", stem(&source.image), layer_slug(layer.name));
    let written = output.write(&[(name, figure.encode(Format::Png))])?;
    console::print(&if args.json {
        layer.json(&session, &source, &shown)
    } else {
        layer.summary(&by_strength, &written)
    })?;
    Ok(ExitCode::SUCCESS)
}

fn check_strongest(args: &Features, channels: usize) -> Result<()> {
    match args.strongest {
        Some(count) if count > channels => Err(Error::Option {
            name: "--strongest",
            found: count.to_string(),
            expected: format!("at most {channels}, the number of channels of {}", args.layer),
        }),
        _ => Ok(()),
    }
}

/// The output of a layer for a picture.
struct LayerMaps<'a> {
    name: &'a str,
    /// Height and width of each map.
    side: usize,
    /// The receptive field of all channels together.
    field: ReceptiveField,
    /// For the output of a block, its concatenated layers and the last channel of each; otherwise
    /// empty.
    branches: Vec<(String, usize)>,
    channels: Vec<ChannelMap>,
}

/// The map of a channel and its statistics.
struct ChannelMap {
    /// `[side][side]`.
    map: Vec<f32>,
    total: f32,
    maximum: f32,
    nonzero_share: f32,
    /// The position of the first maximum; `None` if all values are 0.
    peak: Option<Peak>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Peak {
    /// Row and column in the map.
    at: [usize; 2],
    /// The pixels of the picture on which the maximum depends.
    depends_on: Rect,
}

impl ChannelMap {
    fn new(map: Vec<f32>, side: usize, field: ReceptiveField) -> ChannelMap {
        let first = (0..map.len()).fold(0, |best, i| if map[i] > map[best] { i } else { best });
        let nonzero = map.iter().filter(|&&value| value != 0.0).count();
        let at = [first / side, first % side];
        ChannelMap {
            // In f64 with one rounding, as in the library.
            total: map.iter().copied().map(f64::from).sum::<f64>() as f32,
            maximum: map[first],
            nonzero_share: (nonzero as f64 / map.len() as f64) as f32,
            peak: (nonzero > 0).then(|| Peak { at, depends_on: field.pixels(at, INPUT_SIDE) }),
            map,
        }
    }
}

impl<'a> LayerMaps<'a> {
    fn of(network: &Network, activations: &Activations, name: &'a str) -> Result<LayerMaps<'a>> {
        let (id, channels) = network.output(name)?;
        let blob = &network.blobs[id];
        let values = activations.blob(&blob.name).expect("the pass is of this network");
        let end = |writer: &network::Layer| writer.channel + writer.channels;
        let is_part = |layer: &&network::Layer| layer.output == id && channels.contains(&layer.channel);
        let mut writers: Vec<_> = network.layers.iter().filter(is_part).collect();
        writers.sort_by_key(|writer| writer.channel);
        // The branches of a block have receptive fields of different sizes.
        let fields: Vec<_> = writers.iter().map(|writer| network.receptive_field_of(writer)).collect();
        let mut channels = Vec::new();
        for (writer, &field) in writers.iter().zip(&fields) {
            for c in writer.channel..end(writer) {
                let map = values.iter().skip(c).step_by(blob.channels).copied().collect();
                channels.push(ChannelMap::new(map, blob.side, field));
            }
        }
        let is_block = writers.len() > 1;
        let branches = writers.iter().filter(|_| is_block).map(|w| (w.name.clone(), end(w) - 1)).collect();
        let field = fields.into_iter().reduce(ReceptiveField::union).expect("a layer writes it");
        Ok(LayerMaps { name, side: blob.side, field, branches, channels })
    }

    /// The channels in descending order of their totals; equal totals in the order of the channels.
    fn by_strength(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.channels.len()).collect();
        let total = |c: usize| self.channels[c].total;
        order.sort_by(|&a, &b| total(b).total_cmp(&total(a)).then(a.cmp(&b)));
        order
    }

    /// The colour scale of all channels of the layer.
    ///
    /// A few activations are much larger than the others. If the scale reached the largest one,
    /// most of the sheet would be dark. Therefore the share [`BEYOND`] of the values lies beyond
    /// its end.
    fn scale(&self, colours: Option<Colours>) -> Scale {
        let values = || self.channels.iter().flat_map(|channel| &channel.map);
        let mut sizes: Vec<f32> = values().map(|value| value.abs()).filter(|size| *size > 0.0).collect();
        sizes.sort_by(f32::total_cmp);
        let most = sizes.len().saturating_sub(1 + (sizes.len() as f64 * BEYOND) as usize);
        let limit = sizes.get(most).copied().unwrap_or(0.0);
        let [low, high] = range(values()).map(|end| end.clamp(-limit, limit));
        let default = if low < 0.0 { Colours::Diverging } else { Colours::Viridis };
        let colours = colours.unwrap_or(default);
        // The middle of the diverging colours is 0, even without negative values.
        if low < 0.0 || colours == Colours::Diverging {
            Scale::of_drops(colours, ColourRange::of(colours), &[low, high])
        } else {
            Scale { low: 0.0, ..Scale::of_values(colours, &[0.0, high]) }
        }
    }

    fn title(&self, times: &str) -> String {
        let (name, side) = (self.name, self.side);
        format!("{name}: {side}{times}{side}{times}{}", self.channels.len())
    }

    fn density(&self) -> String {
        let all = self.channels.len();
        let share =
            self.channels.iter().map(|channel| f64::from(channel.nonzero_share)).sum::<f64>() / all as f64;
        let dead = self.channels.iter().filter(|channel| channel.peak.is_none()).count();
        let dead = match dead {
            0 => "no channel is 0 everywhere".to_string(),
            1 => "1 channel is 0 everywhere".to_string(),
            dead => format!("{dead} channels are 0 everywhere"),
        };
        format!("{:.1} % of the values are not 0; {dead}", 100.0 * share)
    }

    fn notes(&self, strongest: Option<usize>) -> Vec<String> {
        let all = self.channels.len();
        let which = match strongest {
            Some(count) => {
                format!("The {count} of {all} channels with the largest totals, in descending order")
            }
            None => format!("All {all} channels"),
        };
        let what = if self.side == 1 { "a single value" } else { "a map over the whole picture" };
        let (size, step) = (self.field.size, self.field.step);
        let depends = match self.side {
            1 => "A value depends on the whole picture.".to_string(),
            _ if size >= INPUT_SIDE => format!(
                "Receptive field: up to {size}×{size} pixels, which is most of the picture or all of it; \
                 jump between neighbouring values: {step} pixels."
            ),
            _ => format!(
                "Receptive field: up to {size}×{size} pixels of the picture on the left; jump between neighbouring \
                 values: {step} pixels."
            ),
        };
        let mut notes = vec![
            format!(
                "{which}. Each tile is {what}, with the number of the channel below it. All tiles share one scale."
            ),
            depends,
            format!("{}.", self.density()),
            format!(
                "The largest {:.0} % of the non-zero values have the colour at the end of the scale.",
                100.0 * BEYOND
            ),
        ];
        if !self.branches.is_empty() {
            let branch = |(name, last): &(String, usize)| format!("{name} up to {last}");
            let branches: Vec<String> = self.branches.iter().map(branch).collect();
            notes.push(format!("Channels of {}.", branches.join(", ")));
        }
        notes
    }

    /// The summary on standard output: a table of the strongest channels, and the written file.
    fn summary(&self, by_strength: &[usize], written: &[PathBuf]) -> String {
        let mut text = format!("{}\n{}\n", self.title("x"), self.density());
        let mut line = |line: String| writeln!(text, "{line}").expect("writing to a string");
        line(String::new());
        line("channels with the largest totals".to_string());
        line("channel       total     maximum    not 0  maximum at    pixels of the 224x224 picture on which it depends".into());
        let listed = &by_strength[..by_strength.len().min(LISTED)];
        let largest = listed.iter().map(|&c| self.channels[c].total.abs()).fold(0.0, f32::max);
        // The same number of decimals for all, so that the largest has four digits.
        let decimals = (3 - largest.max(f32::MIN_POSITIVE).log10().floor() as i32).clamp(1, 6) as usize;
        for &c in listed {
            let ChannelMap { total, maximum, nonzero_share, peak, .. } = &self.channels[c];
            let place = |Peak { at: [row, column], depends_on }| {
                format!("{:<12}  {}", format!("x {column}, y {row}"), box_in_cell(depends_on))
            };
            let (place, share) = (peak.map_or("none".to_string(), place), 100.0 * nonzero_share);
            line(format!("{c:>7} {total:>11.decimals$} {maximum:>11.decimals$} {share:>6.1} %  {place}"));
        }
        line(String::new());
        for path in written {
            line(format!("wrote {}", console::shown_path(path)));
        }
        text
    }

    /// The object of `--json`, in one line with a line end.
    fn json(&self, session: &Session, source: &LoadedPhotograph, shown: &[usize]) -> String {
        let channel = |&c: &usize| {
            let ChannelMap { total, maximum, nonzero_share, peak, .. } = self.channels[c];
            let depends_on = |Peak { depends_on: Rect { y0, x0, y1, x1 }, .. }| [y0, x0, y1, x1];
            let (maximum_at, maximum_depends_on) = (peak.map(|peak| peak.at), peak.map(depends_on));
            ChannelObject { channel: c, total, maximum, nonzero_share, maximum_at, maximum_depends_on }
        };
        json::line(&FeaturesObject {
            origin: Provenance::of(session, source),
            input_size: [INPUT_SIDE; 2],
            resize: session.resize.to_string(),
            layer: self.name,
            shape: [self.side, self.side, self.channels.len()],
            channels: shown.iter().map(channel).collect(),
            threads: rayon::current_num_threads(),
            isa: session.net.isa().to_string(),
        })
    }
}

/// The object of `occlude features --json`.
#[derive(Serialize)]
struct FeaturesObject<'a> {
    #[serde(flatten)]
    origin: Provenance<'a>,
    input_size: [usize; 2],
    resize: String,
    layer: &'a str,
    shape: [usize; 3],
    channels: Vec<ChannelObject>,
    threads: usize,
    isa: String,
}

#[derive(Serialize)]
struct ChannelObject {
    channel: usize,
    total: f32,
    maximum: f32,
    nonzero_share: f32,
    maximum_at: Option<[usize; 2]>,
    maximum_depends_on: Option<[usize; 4]>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use occlude::{GoogLeNet, Input, Weights};

    fn layer(maps: &[[f32; 4]]) -> LayerMaps<'static> {
        let field = ReceptiveField { size: 11, step: 4, start: -3 };
        let channels = maps.iter().map(|map| ChannelMap::new(map.to_vec(), 2, field)).collect();
        LayerMaps { name: "a/b", side: 2, field, branches: Vec::new(), channels }
    }

    #[test]
    fn a_channel_has_its_statistics() {
        let layer = layer(&[[0.0, 1.0, 3.0, 3.0], [0.0; 4], [-1.0, -0.5, -2.0, 0.0]]);
        let [first, dead, negative] = &layer.channels[..] else { panic!("three channels") };
        assert_eq!((first.total, first.maximum, first.nonzero_share), (7.0, 3.0, 0.75));
        // Row 1, column 0: rows -3 + 4 on, columns -3 on, 11 of each, as far as they are in the
        // picture.
        let depends_on = Rect { y0: 1, x0: 0, y1: 12, x1: 8 };
        assert_eq!(first.peak, Some(Peak { at: [1, 0], depends_on }));
        assert_eq!((dead.total, dead.maximum, dead.nonzero_share, dead.peak), (0.0, 0.0, 0.0, None));
        assert_eq!((negative.total, negative.maximum), (-3.5, 0.0));
        assert_eq!(layer.density(), "50.0 % of the values are not 0; 1 channel is 0 everywhere");
    }

    #[test]
    fn a_single_branch_is_not_a_block() {
        let net = GoogLeNet::new(&Weights::seeded(1)).unwrap();
        let values = (0..INPUT_SIDE * INPUT_SIDE * 3).map(|i| (i % 241) as f32 - 110.0).collect();
        let activations = net.forward(&Input::from_nhwc_bgr(values).unwrap());
        let layer = |name| LayerMaps::of(net.network(), &activations, name).unwrap();
        let (block, branch) = (layer("inception_3a/output"), layer("inception_3a/3x3"));
        let names: Vec<_> = block.branches.iter().map(|(name, last)| (&name[13..], *last)).collect();
        assert_eq!(names, [("1x1", 63), ("3x3", 191), ("5x5", 223), ("pool_proj", 255)]);
        assert_eq!((branch.branches.len(), branch.channels.len()), (0, 128));
        assert_eq!((block.field.size, branch.field.size), (59, 43));
        assert_eq!(branch.channels[5].map, block.channels[64 + 5].map);
    }

    #[test]
    fn the_strongest_come_first_and_equal_ones_by_number() {
        let layer = layer(&[[1.0; 4], [0.0, 0.0, 0.0, 9.0], [4.0, 0.0, 0.0, 0.0], [-1.0; 4]]);
        assert_eq!(layer.by_strength(), [1, 0, 2, 3]);
    }

    #[test]
    fn scales_begin_at_zero_or_lie_around_it() {
        let scale = |maps: &[[f32; 4]], colours| {
            let Scale { colours, low, high, .. } = layer(maps).scale(colours);
            (colours, low, high)
        };
        let (above, below) = ([[2.0, 3.0, 8.0, 4.0]], [[1.0, 2.0, -5.0, 0.0]]);
        assert_eq!(scale(&above, None), (Colours::Viridis, 0.0, 8.0));
        assert_eq!(scale(&above, Some(Colours::Jet)), (Colours::Jet, 0.0, 8.0));
        assert_eq!(scale(&above, Some(Colours::Diverging)), (Colours::Diverging, -8.0, 8.0));
        assert_eq!(scale(&below, None), (Colours::Diverging, -5.0, 5.0));
        assert_eq!(scale(&below, Some(Colours::Viridis)), (Colours::Viridis, -5.0, 2.0));
        // One percent of the 200 non-zero values lies beyond the end of the scale.
        let mut rising = vec![[0.0; 4]];
        rising.extend((0..50).map(|i| std::array::from_fn(|k| (4 * i + k + 1) as f32)));
        assert_eq!(scale(&rising, None), (Colours::Viridis, 0.0, 198.0));
    }
}

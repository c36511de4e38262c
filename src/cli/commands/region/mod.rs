//! `occlude region`: finds the evidence for each class and the smallest parts that keep and lose it,
//! writes a figure, masks and a crop per class and `region.json`, and prints a summary.

mod figure;
mod object;

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use image::ExtendedColorType;
use occlude::network::INPUT_SIDE;
use occlude::network::geometry::Rect;
use occlude::text::shown;
use occlude::{
    ClassParts, Classification, Error, Progress, Region as Pixels, RegionPart, Result, SmallestPart, memory,
};

use crate::cli::args::classes::check_count;
use crate::cli::args::{Common, Region};
use crate::cli::explanation::{Explanation, LoadedPhotograph, Session};
use crate::cli::output::earlier;
use crate::cli::output::files::OutputFolder;
use crate::cli::output::names::stem;
use crate::cli::output::subject::Subjects;
use crate::cli::output::table::{LISTED, ascii, box_in_words, counted, score, table};
use crate::cli::render::canvas::{Format, encode_png};
use crate::cli::terminal::console;
use crate::cli::terminal::progress::{PositionsBar, SearchLine};
use crate::cli::terminal::threads::on_threads;

/// Bytes that drawing a figure takes, beside copies of the photograph.
const DRAWING: usize = 16 << 20;

/// The regions of one class, in pixels of the photograph.
struct ClassRegions<'a> {
    class: usize,
    /// About tiny differences; may be empty.
    caution: String,
    /// On the uncovered picture.
    base_score: f32,
    /// The smallest drop that counts as evidence; `None` if there is no evidence.
    level: Option<f32>,
    evidence: Placed,
    keeping: Option<Searched<'a>>,
    losing: Option<Searched<'a>>,
    /// The numbers of classifications of both searches.
    classifications: [usize; 2],
}

/// A region and its connected parts.
struct Placed {
    region: Pixels,
    parts: Vec<RegionPart>,
}

/// A part that was found, and its place in the photograph.
struct Searched<'a> {
    placed: Placed,
    part: &'a SmallestPart,
}

impl Searched<'_> {
    /// The part's share of the 224x224 picture; 0 if nothing needs to be shown or covered.
    fn picture_share(&self) -> f32 {
        let count = self.part.pixels.iter().filter(|inside| **inside).count();
        count as f32 / self.part.pixels.len() as f32
    }

    /// The size of the part in words.
    fn size(&self) -> String {
        // A tile may lie between the middles of a small photograph's pixels, or in the padding.
        if self.placed.is_empty() {
            return "less than a pixel of the photograph".to_string();
        }
        format!("{} of the photograph", percent(self.placed.region.share()))
    }
}

impl Placed {
    fn new(region: Pixels) -> Placed {
        Placed { parts: region.parts(), region }
    }

    fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

impl<'a> ClassRegions<'a> {
    /// The regions of the `k`-th class.
    fn new(explanation: &Explanation, k: usize, found: &'a ClassParts, args: &Region) -> Result<Self> {
        let framing = explanation.photograph.framing(explanation.resize);
        let map = explanation.evidence(k);
        let level = args.threshold.level(&map)?;
        // Without evidence, no value of the map is as large.
        let evidence = framing.region_above(&map, level.unwrap_or(f32::INFINITY));
        let placed =
            |part: &'a SmallestPart| Searched { placed: Placed::new(framing.region_of(&part.pixels)), part };
        Ok(ClassRegions {
            class: found.class,
            caution: explanation.caution(k, &explanation.drops(k).0, 0.0),
            base_score: explanation.maps.base_scores[k],
            level,
            evidence: Placed::new(evidence),
            keeping: found.keeping.as_ref().map(placed),
            losing: found.losing.as_ref().map(placed),
            classifications: found.classifications,
        })
    }
}

pub fn run(common: &Common, args: &Region) -> Result<ExitCode> {
    let output = OutputFolder::check(&args.out)?;
    if args.sweep.score.choice.is_of_no_class() {
        return Err(Error::Option {
            name: "--score",
            found: "of no class".to_string(),
            expected: "a score of a class, for which parts are searched".to_string(),
        });
    }
    on_threads(args.pool.threads, || region(common, args, &output))
}

fn region(common: &Common, args: &Region, output: &OutputFolder) -> Result<ExitCode> {
    let session = Session::open(common)?;
    let question = session.question(session.classes(&args.classes)?, &args.sweep)?;
    let source = LoadedPhotograph::open(&args.image)?;
    earlier::tell(&args.out, "region.json", &[&source]);
    check_count(&question.classes.resolve(&session.classify(&source)?))?;
    let bar = PositionsBar::new();
    let progress = |progress: Progress| bar.show(progress.done, progress.total);
    let explanation = session.sweep(source, &question, &progress, None)?;
    drop(bar);
    let tiles = INPUT_SIDE.div_ceil(args.tile).pow(2);
    let line = SearchLine::new("searching the smallest parts", explanation.maps.classes.len() * 4 * tiles);
    let maps: Vec<Vec<f32>> =
        (0..explanation.maps.classes.len()).map(|k| explanation.importance(k)).collect();
    let progress = |done| line.show(done);
    let found = session.smallest_parts(&explanation, &maps, &args.sweep, args.tile, &progress)?;
    drop(line);

    let pixels = explanation.photograph.height() * explanation.photograph.width();
    memory::require("the regions of the photograph", pixels.saturating_mul(8).saturating_add(DRAWING))?;
    let slugs = explanation.slugs();
    let panel = figure::Panel::new(&explanation)?;
    let mut regions = Vec::new();
    let mut files = Vec::new();
    for (k, (found, slug)) in found.iter().zip(&slugs).enumerate() {
        let of_class = ClassRegions::new(&explanation, k, found, args)?;
        let name = |kind: &str| format!("{}-{slug}-{kind}.png", stem(&args.image));
        files.push((name("region"), figure::draw(&explanation, &panel, &of_class, args).encode(Format::Png)));
        files.extend(masks(&of_class).map(|(kind, contents)| (name(kind), contents)));
        if let Some(part) = of_class.evidence.parts.first() {
            files.push((name("crop"), crop(&explanation, part.bounds)));
        }
        regions.push(of_class);
    }
    let json = object::json(&explanation, &regions, args);
    files.push(("region.json".to_string(), json.clone().into_bytes()));
    let written = output.write(&files)?;
    console::print(&if args.json { json } else { summary(&explanation, &regions, &written) })?;
    Ok(ExitCode::SUCCESS)
}

/// The masks of the regions that have pixels, each with its name.
fn masks(regions: &ClassRegions) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let searched = |searched: &Option<Searched>| searched.as_ref().map(|found| mask(&found.placed));
    let evidence = Some(mask(&regions.evidence));
    let all = [
        ("evidence", evidence),
        ("keeping", searched(&regions.keeping)),
        ("losing", searched(&regions.losing)),
    ];
    all.into_iter().filter_map(|(kind, contents)| Some((kind, contents.flatten()?)))
}

/// A grey picture of the size of the photograph, white inside the region; `None` without pixels.
fn mask(placed: &Placed) -> Option<Vec<u8>> {
    if placed.is_empty() {
        return None;
    }
    let [height, width] = placed.region.size();
    let levels: Vec<u8> = placed.region.pixels().iter().map(|inside| u8::from(*inside) * 255).collect();
    Some(encode_png(width as u32, height as u32, &levels, ExtendedColorType::L8))
}

/// The photograph inside a box.
fn crop(explanation: &Explanation, bounds: Rect) -> Vec<u8> {
    let rows = explanation.photograph.rgb().chunks(explanation.photograph.width() * 3);
    let rows = rows.skip(bounds.y0).take(bounds.height());
    let pixels: Vec<u8> = rows.flat_map(|row| &row[bounds.x0 * 3..bounds.x1 * 3]).copied().collect();
    encode_png(bounds.width() as u32, bounds.height() as u32, &pixels, ExtendedColorType::Rgb8)
}

/// A share of the photograph in words.
fn percent(share: f32) -> String {
    format!("{:.1} %", share * 100.0)
}

fn summary(explanation: &Explanation, regions: &[ClassRegions], written: &[PathBuf]) -> String {
    let (maps, labels) = (&explanation.maps, &explanation.labels);
    let mut text = table(&maps.classification, &maps.classification.top(LISTED), labels);
    let mut line = |line: String| writeln!(text, "{line}").expect("writing to a string");
    let said = |said: &Classification, class: usize| {
        let scores = maps.score.outputs(said);
        let best = said.best();
        let own = format!("{} {}", shown(labels.short(class)), score(scores[class]));
        let other = || format!("{} {}, {own}", shown(labels.short(best)), score(scores[best]));
        if best == class { own } else { other() }
    };
    for (k, of_class) in regions.iter().enumerate() {
        let class = of_class.class;
        line(String::new());
        line(explanation.heading(k));
        if !of_class.caution.is_empty() {
            line(format!("  {}", ascii(&of_class.caution)));
        }
        line(match of_class.evidence.parts.first() {
            Some(largest) => {
                format!(
                    "  evidence  {} of the photograph in {}; {} {}",
                    percent(of_class.evidence.region.share()),
                    counted(of_class.evidence.parts.len(), "part"),
                    if of_class.evidence.parts.len() == 1 { "box" } else { "box of the largest" },
                    box_in_words(largest.bounds)
                )
            }
            None => "  evidence  none".to_string(),
        });
        let searched = |name: &str, searched: &Option<Searched>, none: &str, nothing: &str| match searched {
            None => format!("  {name}  {none}"),
            Some(found) if found.picture_share() == 0.0 => format!("  {name}  {nothing}"),
            Some(found) => format!(
                "  {name}  {}; alone: {}; without it: {}",
                found.size(),
                said(&found.part.alone, class),
                said(&found.part.without, class)
            ),
        };
        line(searched("keeping ", &of_class.keeping, figure::NOT_KEPT, figure::KEPT_BY_NOTHING));
        line(searched("losing  ", &of_class.losing, figure::NOT_LOST, figure::LOST_ALREADY));
    }
    line(String::new());
    line("x and y are pixels of the photograph, from the left and from the top".to_string());
    for path in written {
        line(format!("wrote {}", console::shown_path(path)));
    }
    text
}

//! `occlude gradcam`: writes a Grad-CAM figure per class and `gradcam.json`, and prints a summary.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use occlude::image::lattice::Lattice;
use occlude::network::INPUT_SIDE;
use occlude::network::geometry::Rect;
use occlude::text::shown;
use occlude::{Classification, GradCam, Labels, Result, Upsampling, memory};

use crate::cli::args::{Common, Gradcam};
use crate::cli::explanation::{LoadedPhotograph, Session, require_finite};
use crate::cli::output::figures::gradcam_caution;
use crate::cli::output::files::OutputFolder;
use crate::cli::output::names::{slugs, stem};
use crate::cli::output::table::{LISTED, ascii, score, table};
use crate::cli::output::{earlier, json};
use crate::cli::render::backdrop::Backdrop;
use crate::cli::render::canvas::{Canvas, Format};
use crate::cli::render::colours::Colours;
use crate::cli::render::map::{self, MapFigure, Overlay};
use crate::cli::render::scale::{Scale, readable};
use crate::cli::terminal::console;
use crate::cli::terminal::progress::Waiting;
use crate::cli::terminal::threads::on_threads;

/// Bytes that drawing a figure takes: the map is enlarged to the photograph's size, in several copies.
const DRAWING: usize = 32 << 20;

pub fn run(common: &Common, args: &Gradcam) -> Result<ExitCode> {
    let output = OutputFolder::check(&args.out)?;
    on_threads(args.pool.threads, || gradcam(common, args, &output))
}

fn gradcam(common: &Common, args: &Gradcam, output: &OutputFolder) -> Result<ExitCode> {
    let session = Session::open(common)?;
    let source = LoadedPhotograph::open(&args.image)?;
    earlier::tell(&args.out, "gradcam.json", &[&source]);
    source.tell_if_flat(args.canvas.shape);
    let activations = session.forward(&source.photograph)?;
    let said = activations.classification();
    require_finite(&said.logits)?;
    let maps = session.net.grad_cam(&activations, &session.classes(&args.classes)?.resolve(&said))?;
    // Activations of earlier layers may overflow although the logits do not.
    require_finite(&maps.maps)?;

    memory::require("drawing a figure", DRAWING)?;
    let drawing = Waiting::drawing(maps.classes.len());
    let json = json::gradcams(&session, &source, &said, &maps);
    let backdrop = Backdrop::large(&source.photograph, session.resize, args.canvas.shape);
    let mut files = Vec::new();
    for (k, slug) in slugs(&maps.classes, &session.labels).iter().enumerate() {
        let name = format!("{}-{slug}-gradcam.png", stem(&source.image));
        files.push((name, draw(&backdrop, &said, &maps, k, &session.labels).encode(Format::Png)));
    }
    files.push(("gradcam.json".to_string(), json.clone().into_bytes()));
    let written = output.write(&files)?;
    drop(drawing);
    console::print(&if args.json { json } else { summary(&said, &maps, &written, &session.labels) })?;
    Ok(ExitCode::SUCCESS)
}

fn draw(backdrop: &Backdrop, said: &Classification, maps: &GradCam, k: usize, labels: &Labels) -> Canvas {
    let (class, [ny, nx]) = (maps.classes[k], maps.grid);
    let map = maps.map(k);
    // Interpolated values below 0, which Grad-CAM does not have, have the colour of 0.
    let scale = Scale::of_values(Colours::Viridis, map.iter().chain([&0.0]));
    let most = map.max();
    map::draw(&MapFigure {
        backdrop,
        overlay: Overlay {
            map: map.values(),
            lattice: Lattice::cells(maps.grid, Rect::plane(INPUT_SIDE)),
            upsampling: Upsampling::Bicubic,
            opacity: 0.5,
        },
        scale,
        title: labels.words(class),
        value: &format!("probability {}", readable(said.probabilities[class])),
        caution: &gradcam_caution(said.probabilities[class], map.values()),
        note: &format!("Grad-CAM at {}: {ny}×{nx} cells, computed without a mask", maps.layer),
        meaning: [
            "activations times the mean gradient of the probability; negative values are set to 0",
            &format!(
                "yellow raises the probability, violet is no effect; values from 0 to {}",
                readable(most)
            ),
        ],
        mark: None,
        base: None,
        hatched: None,
    })
}

fn summary(said: &Classification, maps: &GradCam, written: &[PathBuf], labels: &Labels) -> String {
    let mut text = table(said, &said.top(LISTED), labels);
    let mut line = |line: String| writeln!(text, "{line}").expect("writing to a string");
    let [rows, columns] = maps.grid;
    let [height, width] = maps.grid.map(|cells| INPUT_SIDE / cells);
    line(String::new());
    line(format!(
        "Grad-CAM at {}: {rows}x{columns} cells of {height}x{width} pixels, computed without a mask",
        maps.layer
    ));
    for (k, &class) in maps.classes.iter().enumerate() {
        let map = maps.map(k);
        let raising = map.iter().filter(|&&value| value > 0.0).count();
        let name = shown(labels.short(class));
        line(String::new());
        line(format!("{name} ({class}): probability {}", score(said.probabilities[class])));
        let caution = gradcam_caution(said.probabilities[class], map.values());
        if !caution.is_empty() {
            line(format!("  {}", ascii(&caution)));
        }
        // The caution says that there is none.
        if raising > 0 {
            let [row, column] = map.max_position();
            let (y, x) = (row * height + height / 2, column * width + width / 2);
            line(format!("  strongest at x {x}, y {y}: {:.2e}", map.max()));
            let verb = if raising == 1 { "raises" } else { "raise" };
            line(format!("  {raising} of {} cells {verb} the probability", rows * columns));
        }
    }
    line(String::new());
    line(
        "x and y are the centre of the cell in pixels of the 224x224 picture, from the left and from the top"
            .to_string(),
    );
    for path in written {
        line(format!("wrote {}", console::shown_path(path)));
    }
    text
}

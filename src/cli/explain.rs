//! `occlude explain`: one sweep of the mask, a picture a class, `map.json`, and a summary in words.

use std::collections::HashSet;
use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use occlude::{
    Classification, GoogLeNet, Input, OcclusionMaps, OcclusionSensitivity, Photograph, Result, labels,
};

use super::args::{Common, Explain, Size};
use super::output::Output;
use super::progress::Bar;
use super::{classes, classify, figure, json, weights};

/// Classes in the list that the summary begins with.
const LISTED: usize = 5;

pub fn run(common: &Common, args: &Explain) -> Result<ExitCode> {
    // What can be refused at once is refused before the work.
    let output = Output::check(&args.out)?;
    super::on_threads(args.threads, || explain(common, args, &output))
}

fn explain(common: &Common, args: &Explain, output: &Output) -> Result<ExitCode> {
    let weights = occlude::weights::find(common.weights.as_deref())?;
    let photograph = Photograph::open(&args.image)?;
    let (weights, weights_sha256) = weights::load_and_hash(&weights)?;
    let net = GoogLeNet::new(&weights)?;
    drop(weights);

    let input = photograph.picture(common.resize).input();
    let start = Instant::now();
    let maps = sweep(&net, &input, args)?;
    let elapsed_seconds = start.elapsed().as_secs_f64();
    json::require_finite(&maps.classification.logits)?;
    json::require_finite(&maps.scores)?;

    let threads = rayon::current_num_threads();
    let run = json::Run { image: &args.image, weights_sha256: &weights_sha256, elapsed_seconds, threads };
    let json = json::maps(&run, &net, &maps);

    let backdrop = photograph.square(figure::PHOTO_SIDE, common.resize);
    let mut files = Vec::new();
    for (k, slug) in slugs(&maps.classes).iter().enumerate() {
        let figure = figure::explanation(&figure::Explanation {
            photograph: &backdrop,
            map: &maps.map(k),
            grid: maps.grid,
            upsampling: args.upsampling,
            label: labels::label(maps.classes[k]).map_or("", |label| label.words),
            score_name: &maps.score.to_string(),
            score: maps.base_scores[k],
            mask_size: maps.mask_size,
            stride: maps.stride,
        });
        files.push((format!("{}-{slug}.png", stem(&args.image)), figure::png(&figure)));
    }
    files.push(("map.json".to_string(), json.clone().into_bytes()));
    let written = output.write(&files)?;

    super::print(&if args.json { json } else { summary(&maps, &written, elapsed_seconds) })?;
    Ok(ExitCode::SUCCESS)
}

fn sweep(net: &GoogLeNet, input: &Input, args: &Explain) -> Result<OcclusionMaps> {
    let choose = |classification: &Classification| classes::resolve(&args.classes, classification);
    let mut sweep = OcclusionSensitivity::new(net)
        .mask_value(args.mask_value)
        .mask_clipping(args.mask_clipping)
        .score(args.score)
        .exhaustive(args.exhaustive)
        .choose_classes(&choose);
    if let Size::Pixels(size) = args.mask_size {
        sweep = sweep.mask_size(size);
    }
    if let Size::Pixels(size) = args.stride {
        sweep = sweep.stride(size);
    }
    let bar = Bar::new();
    sweep.run_with_progress(input, &|progress| {
        bar.show(progress.done, progress.total);
        ControlFlow::Continue(())
    })
}

/// The picture's file name without its ending.
fn stem(image: &Path) -> String {
    image.file_stem().map_or_else(|| "image".to_string(), |stem| stem.to_string_lossy().into_owned())
}

/// One a class: its short name in letters, digits and hyphens; with its index where several classes have the same.
fn slugs(classes: &[usize]) -> Vec<String> {
    let slug = |class: usize| {
        let name = labels::label(class).map_or("", |label| label.short()).to_lowercase();
        let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        words.collect::<Vec<_>>().join("-")
    };
    let mut taken = HashSet::new();
    classes
        .iter()
        .map(|&class| {
            let slug = slug(class);
            if taken.insert(slug.clone()) { slug } else { format!("{slug}-{class}") }
        })
        .collect()
}

/// What a person wants to know first.
fn summary(maps: &OcclusionMaps, written: &[PathBuf], elapsed_seconds: f64) -> String {
    let mut text = classify::table(&maps.classification, &maps.classification.top(LISTED));
    let mut line = |line: String| writeln!(text, "{line}").expect("writing to a string");
    let [rows, columns] = maps.grid;
    let [height, width] = maps.mask_size;
    let [down, across] = maps.stride;
    let [red, green, blue] = maps.mask_rgb;
    let positions = rows * columns;
    let predicted = maps.classification.top(1)[0];
    let name = |class: usize| labels::label(class).map_or("", |label| label.short());

    line(String::new());
    line(format!(
        "{positions} masks ({rows} rows of {columns}) of {height}x{width} pixels, every {down}x{across}, \
         colour {red:.0},{green:.0},{blue:.0}; {elapsed_seconds:.2} s"
    ));
    let changed = maps.argmax.iter().filter(|&&class| class != predicted).count();
    line(format!("{changed} of them make it something else than {}", name(predicted)));

    for (k, &class) in maps.classes.iter().enumerate() {
        let map = maps.map(k);
        let place = |at: usize| {
            let [y, x] = maps.centre(at / columns, at % columns);
            format!("{:+.4} under the mask at x {x}, y {y}", map[at])
        };
        let best = (0..positions).max_by(|&a, &b| map[a].total_cmp(&map[b]));
        let worst = (0..positions).min_by(|&a, &b| map[a].total_cmp(&map[b]));
        line(String::new());
        line(format!("{} ({class}): {} {:.4}", name(class), maps.score, maps.base_scores[k]));
        match best.filter(|&at| map[at] > 0.0) {
            Some(at) => line(format!("  strongest evidence for      {}", place(at))),
            None => line("  no evidence for it at any position".to_string()),
        }
        match worst.filter(|&at| map[at] < 0.0) {
            Some(at) => line(format!("  strongest evidence against  {}", place(at))),
            None => line("  no evidence against it at any position".to_string()),
        }
    }

    line(String::new());
    line(
        "x and y: the mask's centre in pixels of the 224x224 picture, from the left and from the top"
            .to_string(),
    );
    for path in written {
        line(format!("wrote {}", path.display()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_plain_and_differ() {
        // 134 and 517 are both called "crane".
        assert_eq!(slugs(&[285, 134, 517]), ["egyptian-cat", "crane", "crane-517"]);
        let all = slugs(&(0..1000).collect::<Vec<_>>());
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 1000);
        assert!(all.iter().all(|slug| slug.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')));
    }

    #[test]
    fn stems() {
        assert_eq!(stem(Path::new("a/chelsea.png")), "chelsea");
        assert_eq!(stem(Path::new("chelsea")), "chelsea");
    }
}

//! Several pictures with one network and one thread pool. The network is immutable and shared, and each sweep uses the whole
//! pool. If a picture fails, the example reports it and continues.
//!
//! `cargo run --release --example many_images [PICTURE..]`

use occlude::{GoogLeNet, OcclusionSensitivity, Photograph, Resize, Weights, weights};
use rayon::prelude::*;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let weights = weights::find(None).and_then(|source| source.load()).unwrap_or_else(|error| {
        eprintln!("{error}\n\nSo the weights are random: everything works, and means nothing.");
        Weights::seeded(1)
    });
    let net = GoogLeNet::new(&weights)?;
    let named: Vec<String> = std::env::args().skip(1).collect();
    let pictures = if named.is_empty() {
        ["tests/data/chelsea.png", "tests/data/pictures/cmyk.jpg", "tests/data/README.md"]
            .map(String::from)
            .to_vec()
    } else {
        named
    };

    // A separate pool leaves the other threads to the rest of the program. Without `install`, the sweeps use rayon's global pool.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build()?;
    let start = Instant::now();
    let results: Vec<_> = pool.install(|| {
        // Each picture is decoded on one thread. The sweeps run one after another, each on all threads; parallel sweeps would
        // compete for the caches.
        let decoded: Vec<_> = pictures.par_iter().map(Photograph::open).collect();
        let map = |photograph: Photograph| {
            let input = photograph.picture(Resize::CenterCrop).input();
            OcclusionSensitivity::new(&net).mask_size([75, 75]).stride([75, 75]).run(&input)
        };
        decoded.into_iter().map(|photograph| photograph.and_then(map)).collect()
    });
    for (picture, result) in pictures.iter().zip(&results) {
        match result {
            Ok(maps) => {
                let [row, column] = maps.map(0).max_position();
                let [y, x] = maps.centre(row, column);
                println!("{picture}: class {}, most important around row {y}, column {x}", maps.classes[0]);
            }
            Err(error) => println!("failed: {error}"),
        }
    }
    let done = results.iter().filter(|result| result.is_ok()).count();
    println!("{done} of {} pictures in {:.1} s", pictures.len(), start.elapsed().as_secs_f64());
    Ok(())
}

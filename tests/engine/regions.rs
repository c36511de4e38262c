//! Tests of regions: the searched parts do what they promise, with scores of exactly their pixels,
//! and evidence lies where the object is. They use the built-in network and, for a photograph with a
//! cat and a dog, the published one.

use crate::common::shared;
use occlude::network::INPUT_SIDE;
use occlude::{
    Classification, GoogLeNet, Input, MaskValue, OcclusionSensitivity, Photograph, Region, Resize,
    SmallestPart, SmallestParts, Threshold, Upsampling, Weights,
};
use rayon::ThreadPoolBuilder;
use std::ops::ControlFlow;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

const CHELSEA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/chelsea.png");
const PIXELS: usize = INPUT_SIDE * INPUT_SIDE;

static NET: LazyLock<GoogLeNet> = LazyLock::new(|| GoogLeNet::new(&Weights::builtin()).unwrap());

fn chelsea() -> Input {
    Photograph::open(CHELSEA).unwrap().picture(Resize::Stretch).input()
}

/// The maps of classes, each enlarged to `[224][224]`.
fn maps(net: &GoogLeNet, input: &Input, classes: &[usize]) -> Vec<Vec<f32>> {
    let maps = OcclusionSensitivity::new(net).classes(classes).run(input).unwrap();
    (0..classes.len()).map(|k| maps.upsampled(k, Upsampling::Bicubic)).collect()
}

/// The image in which the pixels are covered for which `is_covered` is true.
fn covered(input: &Input, cover: &Input, is_covered: impl Fn(usize) -> bool) -> Input {
    let values = (0..PIXELS * 3).map(|i| if is_covered(i / 3) { cover } else { input }.values()[i]);
    Input::from_nhwc_bgr(values.collect()).unwrap()
}

/// The parts, each with true if it keeps its class, and its class.
fn searched(parts: &[occlude::ClassParts]) -> impl Iterator<Item = (&SmallestPart, bool, usize)> {
    parts.iter().flat_map(|parts| {
        let (keeping, losing) = (parts.keeping.as_ref(), parts.losing.as_ref());
        let keeping = keeping.map(|part| (part, true, parts.class));
        [keeping, losing.map(|part| (part, false, parts.class))].into_iter().flatten()
    })
}

#[test]
fn parts_keep_and_lose_the_class_and_no_tile_can_be_left_out() {
    let input = chelsea();
    let classes = NET.classify(&input).top(2);
    let maps = maps(&NET, &input, &classes);
    let asked = [(classes[0], &maps[0][..]), (classes[1], &maps[1])];
    let mut sizes = Vec::new();
    for (mask_value, tile) in [(MaskValue::Auto, 32), (MaskValue::Blur(8.0), 50), (MaskValue::Noise(3), 32)] {
        let cover = mask_value.covered(&input).unwrap();
        let search = SmallestParts::new(&NET).mask_value(mask_value).tile(tile);
        let parts = search.run(&input, &asked).unwrap();
        for (part, keeps, class) in searched(&parts) {
            // The scores are those of images that are put together here.
            let alone = |pixels: &[bool]| NET.classify(&covered(&input, &cover, |at| !pixels[at]));
            let without = |pixels: &[bool]| NET.classify(&covered(&input, &cover, |at| pixels[at]));
            assert_eq!(part.alone, alone(&part.pixels), "{mask_value}");
            assert_eq!(part.without, without(&part.pixels), "{mask_value}");
            let works = |pixels: &[bool]| {
                if keeps { alone(pixels).best() == class } else { without(pixels).best() != class }
            };
            assert!(works(&part.pixels), "{mask_value} {class} {keeps}");
            let mut tiles = 0;
            for (y0, x0) in (0..PIXELS)
                .step_by(INPUT_SIDE * tile)
                .flat_map(|y| (0..INPUT_SIDE).step_by(tile).map(move |x| (y / INPUT_SIDE, x)))
            {
                let in_tile = |at: usize| {
                    let (y, x) = (at / INPUT_SIDE, at % INPUT_SIDE);
                    (y0..y0 + tile).contains(&y) && (x0..x0 + tile).contains(&x)
                };
                let held = (0..PIXELS).filter(|&at| in_tile(at) && part.pixels[at]).count();
                assert!(held == 0 || held == (0..PIXELS).filter(|&at| in_tile(at)).count(), "whole tiles");
                if held > 0 {
                    tiles += 1;
                    let fewer: Vec<bool> = (0..PIXELS).map(|at| part.pixels[at] && !in_tile(at)).collect();
                    assert!(!works(&fewer), "{mask_value} {class}: the tile at {y0}, {x0} can be left out");
                }
            }
            sizes.push(tiles);
        }
        // The predicted class is kept, at the latest by all tiles, and lost unless covering them all
        // does not lose it. The other class is not predicted, so that it is lost already.
        assert!(parts[0].keeping.is_some());
        assert!(parts[0].losing.is_some() || NET.classify(&cover).best() == classes[0]);
        assert!(!parts[1].losing.as_ref().unwrap().pixels.contains(&true));
        assert_eq!(parts[1].losing.as_ref().unwrap().without, NET.classify(&input));
    }
    assert!(sizes.iter().filter(|tiles| **tiles > 1).count() > 1, "{sizes:?}");
}

#[test]
fn a_search_has_the_same_bits_on_any_number_of_threads() {
    let input = chelsea();
    let class = NET.classify(&input).best();
    let map = maps(&NET, &input, &[class]).remove(0);
    let search = SmallestParts::new(&NET).tile(28);
    let run = |search: &SmallestParts, threads: usize| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| search.run(&input, &[(class, &map)]).unwrap())
    };
    let found = run(&search, 1);
    assert!(found[0].classifications.iter().all(|count| *count > 2));
    assert_eq!(found, run(&search, 3));
    assert_eq!(found, run(&search.clone().exhaustive(true), 2));
    // The most important tile comes first: upside down, the order gives other parts.
    let reversed: Vec<f32> = map.iter().map(|value| -value).collect();
    assert_ne!(found, search.run(&input, &[(class, &reversed)]).unwrap());
}

#[test]
fn what_cannot_be_kept_or_lost_is_a_result() {
    // An image of its mean colour alone: covering changes nothing.
    let input = Input::from_nhwc_bgr([20.0, -3.0, 40.0].repeat(PIXELS)).unwrap();
    let class = NET.classify(&input).best();
    let other = usize::from(class == 0);
    let map = vec![0.0; PIXELS];
    let found = SmallestParts::new(&NET).tile(56).run(&input, &[(class, &map), (other, &map)]).unwrap();
    let none = |part: &Option<SmallestPart>| part.as_ref().is_some_and(|part| !part.pixels.contains(&true));
    assert!(none(&found[0].keeping) && found[0].losing.is_none(), "{class}");
    assert!(found[1].keeping.is_none() && none(&found[1].losing), "{other}");
    // Each of the 16 tiles was tried.
    assert!(found[0].classifications[1] >= 16 && found[1].classifications[0] >= 16);
}

#[test]
fn wrong_options_are_refused_and_a_search_can_be_stopped() {
    let (input, map) = (chelsea(), vec![0.0; PIXELS]);
    let search = || SmallestParts::new(&NET);
    let message = |search: SmallestParts, class: usize, map: &[f32]| {
        search.run(&input, &[(class, map)]).unwrap_err().to_string()
    };
    assert!(
        message(search().tile(3), 0, &map).contains("tile 3 is not possible: expected a side of 4 to 224")
    );
    assert!(message(search().tile(225), 0, &map).contains("tile 225"));
    assert!(message(search(), 28, &map).contains("class 28 is not possible: expected an index of 0 to 27"));
    assert!(message(search(), 0, &map[1..]).contains("map 50175 values"));
    assert!(message(search(), 0, &vec![f32::NAN; PIXELS]).contains("a finite value"));
    assert!(message(search().mask_value(MaskValue::Blur(0.1)), 0, &map).contains("mask value"));
    let calls = AtomicUsize::new(0);
    let stop = |done: usize| {
        assert!(done > 0);
        if calls.fetch_add(1, Ordering::Relaxed) == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let stopped = search().tile(56).on_progress(&stop).run(&input, &[(0, &map)]);
    assert!(matches!(stopped, Err(occlude::Error::Cancelled)), "{stopped:?}");
}

/// The share of the smaller of two regions that belongs to both.
fn overlap(a: &Region, b: &Region) -> f64 {
    assert_eq!(a.size(), b.size());
    let both = a.pixels().iter().zip(b.pixels()).filter(|(a, b)| **a && **b).count();
    both as f64 / a.area().min(b.area()) as f64
}

/// The evidence for a class at half of the maximum, and the smallest part that keeps the class.
fn regions(net: &GoogLeNet, photograph: &Photograph, class: usize) -> [Region; 2] {
    let input = photograph.picture(Resize::Stretch).input();
    let map = maps(net, &input, &[class]).remove(0);
    let level = Threshold::default().level(&map).unwrap().unwrap();
    let parts = SmallestParts::new(net).run(&input, &[(class, &map)]).unwrap();
    let keeping = &parts[0].keeping.as_ref().unwrap().pixels;
    let framing = photograph.framing(Resize::Stretch);
    [framing.region_above(&map, level), framing.region_of(keeping)]
}

/// The photograph beside a grey area of the same size, on its left or on its right.
fn beside_grey(on_the_left: bool) -> Photograph {
    let cat = Photograph::open(CHELSEA).unwrap();
    let rows = cat.rgb().chunks(cat.width() * 3);
    let grey = vec![128; cat.width() * 3];
    let rgb: Vec<u8> =
        rows.flat_map(|row| if on_the_left { [row, &grey] } else { [&grey, row] }.concat()).collect();
    Photograph::from_rgb(cat.height(), 2 * cat.width(), &rgb).unwrap()
}

#[test]
fn regions_lie_on_the_cat() {
    let cat = 0;
    let photographs = [true, false].map(beside_grey);
    let [left, right] = photographs.each_ref().map(|photograph| regions(&NET, photograph, cat));
    for (left, right) in left.iter().zip(&right) {
        let width = left.size()[1];
        let shares = [left, right].map(|region| {
            let on_the_left =
                (0..region.pixels().len()).filter(|&at| region.pixels()[at] && at % width < width / 2);
            on_the_left.count() as f64 / region.area() as f64
        });
        assert!(shares[0] >= 0.8 && shares[1] <= 0.2, "on the left: {shares:?}");
        assert!(overlap(left, right) <= 0.2, "{}", overlap(left, right));
    }
}

#[test]
fn regions_of_the_cat_and_of_the_dog_do_not_overlap() {
    let Some(weights) = shared("weights/bvlc_googlenet.safetensors") else { return };
    let Some(picture) = shared("images/cat_dog.png") else { return };
    let (net, photograph) = (GoogLeNet::load(weights).unwrap(), Photograph::open(picture).unwrap());
    let said: Classification = net.classify(&photograph.picture(Resize::Stretch).input());
    // Tiger cat, tabby, bull mastiff, boxer.
    assert_eq!(said.top(4), [282, 281, 243, 242]);
    let [cats, dogs] =
        [[282, 281], [243, 242]].map(|classes| classes.map(|class| regions(&net, &photograph, class)));
    for cat in &cats {
        for dog in &dogs {
            for (kind, (cat, dog)) in ["evidence", "keeping"].iter().zip(cat.iter().zip(dog)) {
                assert!(overlap(cat, dog) <= 0.2, "{kind}: {}", overlap(cat, dog));
            }
        }
    }
}

//! Tests of interactions of places: each score is that of the plainly masked image.

use crate::common::{SEED, picture_input};
use occlude::network::Network;
use occlude::network::geometry::Rect;
use occlude::{Error, GoogLeNet, Input, Interactions, MaskValue, OcclusionSensitivity, Score, Weights};
use proptest::prelude::*;
use std::ops::ControlFlow;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A small network: torchvision's at half its width.
static NET: LazyLock<GoogLeNet> =
    LazyLock::new(|| GoogLeNet::new(&Weights::seeded_for(Network::torchvision_half(20), SEED)).unwrap());
static INPUT: LazyLock<Input> = LazyLock::new(|| Input::from_nhwc_bgr(picture_input()).unwrap());

fn contains(rect: &Rect, y: usize, x: usize) -> bool {
    (rect.y0..rect.y1).contains(&y) && (rect.x0..rect.x1).contains(&x)
}

/// The image with the places of a coalition covered, pixel by pixel.
fn covered(value: MaskValue, places: &[Rect], coalition: usize) -> Input {
    let cover = value.covered(&INPUT).unwrap();
    let is_covered = |y: usize, x: usize| {
        places.iter().enumerate().any(|(i, rect)| coalition >> i & 1 == 1 && contains(rect, y, x))
    };
    let value =
        |i: usize| if is_covered(i / 3 / 224, i / 3 % 224) { cover.values() } else { INPUT.values() }[i];
    Input::from_nhwc_bgr((0..224 * 224 * 3).map(value).collect()).unwrap()
}

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

fn place() -> impl Strategy<Value = Rect> {
    // Places may overlap, and may be as small as a pixel or as wide as the image.
    (0usize..224, 0usize..224, 1usize..=224, 1usize..=90).prop_map(|(y0, x0, height, width)| Rect {
        y0,
        x0,
        y1: (y0 + height).min(224),
        x1: (x0 + width).min(224),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]
    #[test]
    fn scores_are_those_of_the_plainly_masked_image(
        first in prop::collection::vec(place(), 2..=3),
        second in prop::collection::vec(place(), 2..=2),
        value in prop_oneof![Just(MaskValue::Auto), Just(MaskValue::Blur(6.0)), any::<u64>().prop_map(MaskValue::Noise)],
        logits: bool,
        class in 0usize..20,
    ) {
        let score = if logits { Score::Logit } else { Score::Probability };
        let measurement = Interactions::new(&NET).mask_value(value).score(score);
        let asked = [(class, &first[..]), (19 - class, &second[..])];
        let found = on_threads(2, || measurement.run(&INPUT, &asked)).unwrap();
        prop_assert_eq!(&found, &on_threads(1, || measurement.run(&INPUT, &asked)).unwrap());
        for (of_class, (class, places)) in found.iter().zip(asked) {
            prop_assert_eq!((of_class.class, &of_class.places[..]), (class, places));
            prop_assert_eq!(of_class.scores.len(), 1 << places.len());
            for (coalition, found) in of_class.scores.iter().enumerate() {
                let plain = NET.classify(&covered(value, places, coalition));
                let all = if logits { &plain.logits } else { &plain.probabilities };
                prop_assert_eq!(found.to_bits(), all[class].to_bits(), "coalition {}", coalition);
            }
        }
    }
}

#[test]
fn the_strongest_places_do_not_overlap_and_their_single_drops_are_the_maps() {
    let maps = OcclusionSensitivity::new(&NET).classes([7]).stride([37, 41]).run(&INPUT).unwrap();
    let (map, places) = (maps.map(0), maps.strongest_places(0, 4));
    let drop = |at: [usize; 2]| map.get(at[0], at[1]);
    assert!((2..=4).contains(&places.len()));
    assert_eq!(places[0], map.max_position());
    let rects: Vec<Rect> = places.iter().map(|&[row, column]| maps.mask_rect(row, column)).collect();
    let overlaps =
        |a: &Rect, b: &Rect| (0..224).any(|y| (0..224).any(|x| contains(a, y, x) && contains(b, y, x)));
    // A position that was not chosen is weaker than all chosen ones, or overlaps a stronger chosen one.
    for row in 0..maps.grid[0] {
        for column in 0..maps.grid[1] {
            let (at, rect) = ([row, column], maps.mask_rect(row, column));
            let stronger =
                places.iter().zip(&rects).filter(|(place, _)| drop(**place) >= drop(at) && **place != at);
            let is_beside = stronger.clone().all(|(_, other)| !overlaps(&rect, other));
            assert_eq!(places.contains(&at), is_beside && stronger.count() < 4 && drop(at) > 0.0, "{at:?}");
        }
    }
    let found = Interactions::new(&NET).run(&INPUT, &[(7, &rects)]).unwrap();
    for (i, &place) in places.iter().enumerate() {
        assert_eq!((found[0].scores[0] - found[0].scores[1 << i]).to_bits(), drop(place).to_bits());
    }
    // Fewer places have room than were asked for; no place has evidence.
    let wide = OcclusionSensitivity::new(&NET).classes([7]).mask_size([224, 224]).stride([112, 112]);
    assert!(wide.run(&INPUT).unwrap().strongest_places(0, 4).len() <= 1);
}

#[test]
fn wrong_places_are_refused_and_a_measurement_can_be_stopped() {
    let whole = Rect::plane(224);
    let outside = Rect { y1: 225, ..whole };
    let refused = |measurement: &Interactions, class, places: &[Rect], text: &str| {
        let error = measurement.run(&INPUT, &[(7, &[whole; 2]), (class, places)]).unwrap_err().to_string();
        assert!(error.starts_with(text), "{error}");
    };
    let measurement = Interactions::new(&NET);
    refused(&measurement, 7, &[whole], "number of places 1 is not possible: expected 2 to 10");
    refused(&measurement, 7, &[whole; 11], "number of places 11");
    refused(&measurement, 7, &[whole, outside], "place 0,0,225,224");
    refused(&measurement, 7, &[whole, Rect::default()], "place 0,0,0,0");
    refused(&measurement, 20, &[whole; 2], "class 20");
    refused(&measurement.clone().mask_value(MaskValue::Blur(0.1)), 7, &[whole; 2], "mask value");

    let asked = [(7, &[Rect { y0: 0, x0: 0, y1: 9, x1: 9 }, Rect { y0: 50, x0: 50, y1: 60, x1: 60 }][..])];
    let done = AtomicUsize::new(0);
    let count = |progress: occlude::Progress| {
        assert_eq!(progress.total, 3);
        done.fetch_max(progress.done, Ordering::Relaxed);
        ControlFlow::Continue(())
    };
    measurement.clone().on_progress(&count).run(&INPUT, &asked).unwrap();
    assert_eq!(done.into_inner(), 3);
    let stopped = measurement.on_progress(&|_| ControlFlow::Break(())).run(&INPUT, &asked);
    assert!(matches!(stopped, Err(Error::Cancelled)));
}

//! Tests that the sweep keeps its memory limit, measured by the actual allocations, and that the
//! limit changes no bit.

use crate::common::{SEED, picture_input};
use crate::{MEMORY, alone};
use occlude::{Error, Feature, GoogLeNet, Input, OcclusionSensitivity, Refinement, Score, Weights};
use std::ops::ControlFlow;

/// More bytes than rayon takes for a thread.
const THREAD: usize = 50_000;

/// The largest amount of memory that `run` allocates, in addition to the memory already in use.
fn most<T>(run: impl FnOnce() -> T) -> (T, usize) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let result = run();
    (result, MEMORY.peak_usage().saturating_sub(before))
}

/// The amount of memory that would be enough according to an error.
fn least(error: &Error) -> usize {
    let text = error.to_string();
    let words = text.split_once("expected").expect("an error with an expected value").1;
    let bytes = words.split_once(" bytes").and_then(|(before, _)| before.rsplit_once('(')?.1.parse().ok());
    bytes.unwrap_or_else(|| panic!("no number in {text}"))
}

#[test]
fn a_sweep_takes_no_more_than_it_may_and_says_what_would_do() {
    let _alone = alone();
    let net = GoogLeNet::new(&Weights::seeded(SEED)).unwrap();
    let input = Input::from_nhwc_bgr(picture_input()).unwrap();
    let feature = Feature { layer: "inception_3b/output".to_string(), channel: None };
    for (mask, stride, exhaustive, features) in [
        ([45, 45], [30, 40], false, vec![]),
        ([10, 200], [70, 60], false, vec![feature]),
        ([224, 224], [75, 75], false, vec![]),
        ([3, 3], [112, 75], true, vec![]),
    ] {
        let has_features = !features.is_empty();
        let sweep = OcclusionSensitivity::new(&net)
            .mask_size(mask)
            .stride(stride)
            .exhaustive(exhaustive)
            .features(features)
            .score(Score::Logit);
        let free = sweep.run(&input).unwrap();
        assert!(least(&sweep.clone().max_memory(1000).run(&input).unwrap_err()) > 10_000_000);
        // Without features, the first message names what is enough.
        let first = least(&sweep.clone().max_memory(0).run(&input).unwrap_err());
        let least = match sweep.clone().max_memory(first).run(&input) {
            Err(error) if has_features => least(&error),
            maps => maps.map(|_| first).unwrap(),
        };
        assert!(sweep.clone().max_memory(least - 1).run(&input).is_err());
        let mut used = Vec::new();
        for (bytes, threads) in [(least, 3), (2 * least, 2), (8 * least, 3)] {
            let sweep = sweep.clone().max_memory(bytes).threads(threads);
            let (maps, most) = most(|| sweep.run(&input).unwrap());
            assert!(most <= bytes, "{mask:?}: {most} bytes, allowed {bytes}, {threads} threads");
            assert_eq!(maps, free, "{mask:?}, {bytes} bytes");
            used.push(most);
        }
        println!("mask {mask:?}, exhaustive {exhaustive}: at least {least} bytes, used {used:?}");
        assert!(
            used.iter().max() > used.iter().min(),
            "the sweep must use more memory under a higher limit: {used:?}"
        );
        let progressive = sweep.max_memory(least).threads(1);
        let run = || {
            let refined = |_: &Refinement| ControlFlow::Continue(());
            progressive.clone().on_refinement(&refined).run(&input).unwrap()
        };
        let (maps, most) = most(run);
        assert!(most <= least && maps == free, "{mask:?}, coarse to fine: {most} bytes, allowed {least}");
    }
}

/// On a machine of many cores, and with many threads, a small sweep is small.
#[test]
fn memory_grows_with_the_positions_and_not_with_the_threads() {
    let _alone = alone();
    let net = GoogLeNet::new(&Weights::seeded(SEED)).unwrap();
    let input = Input::from_nhwc_bgr(picture_input()).unwrap();
    let sweep = OcclusionSensitivity::new(&net).stride([75, 75]);
    let least = least(&sweep.clone().max_memory(0).run(&input).unwrap_err());
    let (_, fixed) = most(|| net.forward(&input));
    let few = sweep.run(&input).unwrap();
    assert_eq!(few.grid, [3, 3]);
    let (many, most) = most(|| sweep.clone().threads(200).run(&input).unwrap());
    let bound = fixed + 9 * (least - fixed) + 200 * THREAD;
    assert!(most <= bound, "{most} bytes on 200 threads, expected at most {bound} for 9 positions");
    assert_eq!(many, few);
}

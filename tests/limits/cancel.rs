//! Tests of cancellation: a sweep stops at any stage when the caller asks for it, and a panic in
//! the caller's code reaches the caller. Neither leaves anything behind in the network.

use crate::alone;
use crate::common::{SEED, picture_input};
use occlude::{
    Classification, Error, Faithfulness, GoogLeNet, Input, MaskValue, OcclusionMaps, OcclusionSensitivity,
    Progress, Refinement, Weights,
};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

static NET: LazyLock<GoogLeNet> = LazyLock::new(|| GoogLeNet::new(&Weights::seeded(SEED)).unwrap());
static INPUT: LazyLock<Input> = LazyLock::new(|| Input::from_nhwc_bgr(picture_input()).unwrap());

/// The maps of a small sweep.
fn maps() -> OcclusionMaps {
    OcclusionSensitivity::new(&NET).stride([80, 80]).run(&INPUT).unwrap()
}

/// Sets the flag when `run` has reported its progress this many times, and returns the time until
/// `run` returned. The interval between two looks at the number of reports varies, so the flag is
/// not always set directly after a report.
fn latency(
    reports: usize,
    run: impl FnOnce(&AtomicBool, &(dyn Fn(Progress) -> ControlFlow<()> + Sync)) -> Result<(), Error>,
) -> Duration {
    let (cancel, count, ended) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let setter = scope.spawn(|| {
            while count.load(Ordering::Relaxed) < reports && !ended.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(1 + 5 * reports as u64));
            }
            cancel.store(true, Ordering::Relaxed);
            Instant::now()
        });
        let report = |_| {
            count.fetch_add(1, Ordering::Relaxed);
            ControlFlow::Continue(())
        };
        let result = run(&cancel, &report);
        let back = Instant::now();
        ended.store(true, Ordering::Relaxed);
        assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
        back - setter.join().unwrap()
    })
}

/// The documented limit is 50 ms on a machine without other load. The bound here allows for a
/// loaded machine and for one without vector units.
#[test]
fn a_flag_stops_a_sweep_at_any_moment() {
    let _alone = alone();
    let before = maps();
    let bound = Duration::from_secs(if cfg!(target_arch = "x86_64") { 2 } else { 20 });
    let mut worst = Duration::ZERO;
    for reports in 0..8 {
        let sweep = OcclusionSensitivity::new(&NET).mask_size([45, 224]).stride([2, 2]);
        for sweep in [sweep.clone().threads(1), sweep.clone().threads(2), sweep.threads(1).exhaustive(true)] {
            worst = worst.max(latency(reports, |cancel, report| {
                sweep.clone().cancel(cancel).on_progress(report).run(&INPUT).map(drop)
            }));
        }
    }
    let sweep = OcclusionSensitivity::new(&NET).stride([3, 3]);
    let go = |_: &Refinement| ControlFlow::Continue(());
    worst = worst.max(latency(5, |cancel, report| {
        sweep.clone().cancel(cancel).on_progress(report).on_refinement(&go).run(&INPUT).map(drop)
    }));
    let ranking: Vec<f32> = (0..224 * 224).map(|i| (i % 1009) as f32).collect();
    worst = worst.max(latency(3, |cancel, report| {
        let test = Faithfulness::new(&NET).steps(5000).mask_value(MaskValue::TrainingMean).cancel(cancel);
        test.on_progress(report).run(&INPUT, &[(0, &ranking)]).map(drop)
    }));
    println!("the slowest of 26: {worst:?}");
    assert!(worst < bound, "{worst:?}");
    assert_eq!(maps(), before);
}

#[test]
fn a_flag_that_is_set_already_stops_at_once_and_one_that_is_taken_back_stops_all_the_same() {
    let _alone = alone();
    let cancel = AtomicBool::new(true);
    let sweep = OcclusionSensitivity::new(&NET).stride([20, 20]).cancel(&cancel);
    assert!(matches!(sweep.run(&INPUT), Err(Error::Cancelled)));
    cancel.store(false, Ordering::Relaxed);
    let done = AtomicUsize::new(0);
    // The flag is set only for a moment. The positions that the sweep skips in this time would be
    // missing from the result.
    let blink = |progress: Progress| {
        done.store(progress.done, Ordering::Relaxed);
        cancel.store(progress.done < 20, Ordering::Relaxed);
        ControlFlow::Continue(())
    };
    let result = sweep.on_progress(&blink).run(&INPUT);
    let is_right = match result {
        Err(Error::Cancelled) => true,
        // The flag was cleared before the sweep read it.
        Ok(maps) => maps == OcclusionSensitivity::new(&NET).stride([20, 20]).run(&INPUT).unwrap(),
        Err(_) => false,
    };
    assert!(is_right && done.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_panic_in_a_callback_reaches_the_caller_and_leaves_the_network_usable() {
    let _alone = alone();
    let before = maps();
    let sweep = OcclusionSensitivity::new(&NET).stride([10, 10]);
    let message = |run: &dyn Fn()| {
        let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("the panic reaches the caller");
        *panic.downcast::<&str>().expect("an unchanged panic")
    };
    let calls = AtomicUsize::new(0);
    let in_progress = message(&|| {
        let fail = |_| {
            if calls.fetch_add(1, Ordering::Relaxed) == 3 {
                panic!("in progress");
            }
            ControlFlow::Continue(())
        };
        let _ = sweep.clone().on_progress(&fail).run(&INPUT);
    });
    assert_eq!(in_progress, "in progress");
    // The other threads stop after their groups, not at the end of the sweep. Only a few of the 67
    // groups have run.
    assert!(calls.load(Ordering::Relaxed) < 40, "{calls:?}");
    let choose = |_: &Classification| -> Vec<usize> { panic!("in choose") };
    let chosen = message(&|| drop(OcclusionSensitivity::new(&NET).choose_classes(&choose).run(&INPUT)));
    assert_eq!(chosen, "in choose");
    let refined = message(&|| drop(sweep.clone().on_refinement(&|_| panic!("in refined")).run(&INPUT)));
    assert_eq!(refined, "in refined");
    assert_eq!(maps(), before);
    assert_eq!(NET.classify(&INPUT), before.classification);
}

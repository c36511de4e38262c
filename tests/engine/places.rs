//! Tests of the places of a map's values on the picture.

use std::sync::LazyLock;

use occlude::image::lattice::{Lattice, middles};
use occlude::image::resize::upsample;
use occlude::network::geometry::Rect;
use occlude::{GoogLeNet, Input, OcclusionMaps, OcclusionSensitivity, Placement, Upsampling, Weights};
use proptest::prelude::*;

use crate::common::{SEED, picture_input};

static NET: LazyLock<GoogLeNet> = LazyLock::new(|| GoogLeNet::new(&Weights::seeded(SEED)).unwrap());
static INPUT: LazyLock<Input> = LazyLock::new(|| Input::from_nhwc_bgr(picture_input()).unwrap());

/// A sweep whose scores are replaced by those of a synthetic class, which depends on one spot: the
/// score is 1 without a mask, and the drop falls off as a Gaussian of the distance between the spot
/// and the middle of the mask, with a standard deviation of `width` strides. (A spot that is smaller
/// than the stride would give the same drops for many places of it: no interpolation can tell them
/// apart.)
fn spotted(swept: &OcclusionMaps, mask: [usize; 2], stride: [usize; 2], clipping: bool) -> OcclusionMaps {
    let mut maps = swept.clone();
    (maps.mask_size, maps.stride, maps.mask_clipping, maps.first) = (mask, stride, clipping, [0, 0]);
    maps.grid = std::array::from_fn(|axis| {
        if clipping { 224usize.div_ceil(stride[axis]) } else { (225 - mask[axis]).div_ceil(stride[axis]) }
    });
    maps.base_scores = vec![1.0];
    maps
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The maximum is drawn within a quarter of the stride of the spot, and half a pixel, because
    /// pixels are drawn; within half of the stride where an outermost mask is the nearest, because
    /// there is no mask on its other side. The stretched grid of MATLAB does not have this property
    /// (see the next test).
    #[test]
    fn the_maximum_of_a_map_is_drawn_at_the_spot(
        mask in prop::array::uniform2(1usize..60),
        stride in prop::array::uniform2(4usize..30),
        clipping in any::<bool>(),
        at in prop::array::uniform2(0.0f64..1.0),
        width in 0.65f64..2.5,
    ) {
        static SWEPT: LazyLock<OcclusionMaps> = LazyLock::new(|| {
            OcclusionSensitivity::new(&NET).stride([224, 224]).classes([0]).run(&INPUT).unwrap()
        });
        let mut maps = spotted(&SWEPT, mask, stride, clipping);
        let [ny, nx] = maps.grid;
        prop_assume!(ny > 2 && nx > 2);
        // The definition in README, not the program's own function: the pixels of a whole mask.
        let middle = |axis: usize, i: usize| {
            let centre = i * stride[axis] + if clipping { 0 } else { mask[axis] / 2 };
            centre as f64 - (mask[axis] / 2) as f64 + mask[axis] as f64 / 2.0
        };
        let spot: [f64; 2] = std::array::from_fn(|axis| {
            let (first, last) = (middle(axis, 0), middle(axis, maps.grid[axis] - 1));
            first + at[axis] * (last - first)
        });
        let drop = |axis: usize, i: usize| {
            let distance = (middle(axis, i) - spot[axis]) / (width * stride[axis] as f64);
            (-0.5 * distance * distance).exp()
        };
        maps.scores = (0..ny * nx).map(|i| 1.0 - (drop(0, i / nx) * drop(1, i % nx)) as f32).collect();
        let drawn = maps.upsampled(0, Upsampling::Bicubic);
        let most = drawn.iter().copied().fold(f32::MIN, f32::max);
        // The distance from the spot that is allowed on each axis.
        let reach: [f64; 2] = std::array::from_fn(|axis| {
            let ends = [middle(axis, 0), middle(axis, maps.grid[axis] - 1)];
            let stride = stride[axis] as f64;
            let is_outermost = ends.iter().any(|end| (spot[axis] - end).abs() < stride);
            if is_outermost { stride / 2.0 + 0.5 } else { stride / 4.0 + 0.5 }
        });
        let is_near = |i: usize| {
            let at = [i / 224, i % 224].map(|pixel| pixel as f64 + 0.5);
            (0..2).all(|axis| (at[axis] - spot[axis]).abs() <= reach[axis])
        };
        // Beyond the outermost centres the map is constant, so several pixels may have the maximum.
        prop_assert!((0..224 * 224).any(|i| drawn[i] == most && is_near(i)), "{spot:?}");
    }
}

/// At the defaults the stretched grid is off by half of the stride, and the true places are not.
#[test]
fn a_stretched_map_is_drawn_beside_its_masks() {
    let maps = OcclusionSensitivity::new(&NET).run(&INPUT).unwrap();
    let [stretched, true_places] =
        [Placement::Stretch, Placement::Centres].map(|placement| maps.lattice(placement));
    let off = |lattice: Lattice| {
        let distances = (0..11).map(|i| (lattice.place(0, i) - (22 * i) as f64 - 0.5).abs());
        distances.fold(0.0f64, f64::max)
    };
    assert_eq!(off(true_places), 0.0);
    assert!((9.0..11.0).contains(&off(stretched)), "{}", off(stretched));
    assert_eq!([0.0, 0.4, 220.9].map(|at| true_places.spans(0, at)), [true; 3]);
    assert!(!true_places.spans(0, 221.1) && stretched.spans(0, 224.0));
}

/// MATLAB's map is its small map, resized.
#[test]
fn a_stretched_map_is_that_of_matlab() {
    let maps = OcclusionSensitivity::new(&NET).stride([56, 80]).run(&INPUT).unwrap();
    let (stretched, map) = (maps.lattice(Placement::Stretch), maps.map(0));
    assert_eq!(stretched.area(), Rect::plane(224));
    let pixels = middles(0, 224);
    assert_eq!(
        stretched.values(map.values(), &pixels, &pixels, Upsampling::Bicubic),
        upsample(map.values(), 4, 3, 224, 224, Upsampling::Bicubic)
    );
}

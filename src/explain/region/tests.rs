//! Tests of regions: parts and contours against a flood fill, thresholds against their definition.

use proptest::prelude::*;

use super::*;
use crate::{Photograph, Resize};

fn region(rows: &[&str]) -> Region {
    let pixels = rows.iter().flat_map(|row| row.bytes().map(|pixel| pixel == b'#')).collect();
    Region::new([rows.len(), rows[0].len()], pixels)
}

#[test]
fn a_part_with_a_hole_has_two_contours() {
    let region = region(&[".####", ".#..#", ".####", "#...."]);
    let parts = region.parts();
    assert_eq!(region.bounds(), Some(Rect { y0: 0, x0: 0, y1: 4, x1: 5 }));
    assert_eq!(parts.len(), 2, "pixels that only touch at a corner are not connected");
    assert_eq!((parts[0].area, parts[1].area), (10, 1));
    let (outer, hole) = ([[0, 1], [0, 5], [3, 5], [3, 1]], [[2, 2], [2, 4], [1, 4], [1, 2]]);
    assert_eq!(parts[0].contours, [outer, hole]);
    assert_eq!(parts[1].contours, [[[3, 0], [3, 1], [4, 1], [4, 0]]]);
}

#[test]
fn an_empty_region_has_no_parts() {
    for size in [[2, 3], [0, 3], [3, 0]] {
        let region = Region::new(size, vec![false; size[0] * size[1]]);
        assert_eq!((region.bounds(), region.parts(), region.share()), (None, Vec::new(), 0.0));
    }
}

/// The number of the part of each pixel by flood fill, and the areas.
fn flooded(region: &Region) -> (Vec<Option<usize>>, Vec<usize>) {
    let [height, width] = region.size;
    let (mut numbers, mut areas) = (vec![None; height * width], Vec::new());
    for start in 0..height * width {
        if !region.pixels[start] || numbers[start].is_some() {
            continue;
        }
        let mut open = vec![start];
        areas.push(0);
        while let Some(at) = open.pop() {
            if !region.pixels[at] || numbers[at].is_some() {
                continue;
            }
            numbers[at] = Some(areas.len() - 1);
            areas[numbers[at].unwrap()] += 1;
            let (y, x) = (at / width, at % width);
            let neighbours = [(y.wrapping_sub(1), x), (y + 1, x), (y, x.wrapping_sub(1)), (y, x + 1)];
            let inside = neighbours.iter().filter(|(y, x)| *y < height && *x < width);
            open.extend(inside.map(|(y, x)| y * width + x));
        }
    }
    (numbers, areas)
}

/// True if a line from the middle of the pixel to the left crosses the contours an odd number of
/// times.
fn surrounds(contours: &[Vec<[usize; 2]>], y: usize, x: usize) -> bool {
    let edges = contours.iter().flat_map(|corners| corners.iter().zip(corners.iter().cycle().skip(1)));
    let crossed = |([ay, ax], [by, bx]): &(&[usize; 2], &[usize; 2])| {
        ax == bx && *ax <= x && (*ay.min(by)..*ay.max(by)).contains(&y)
    };
    edges.filter(crossed).count() % 2 == 1
}

proptest! {
    #[test]
    fn contours_surround_exactly_the_pixels_of_a_part(
        (height, width) in (1usize..13, 1usize..13),
        flags in prop::collection::vec(0..5, 144),
        dense in 1..5,
    ) {
        let region =
            Region::new([height, width], flags[..height * width].iter().map(|flag| *flag < dense).collect());
        let parts = region.parts();
        let (numbers, mut areas) = flooded(&region);
        let number_at = |part: &RegionPart| {
            let [y, x] = part.contours[0][0];
            numbers[y * width + x]
        };
        for part in &parts {
            let pixels = (0..height * width).filter(|&at| surrounds(&part.contours, at / width, at % width));
            let pixels: Vec<usize> = pixels.collect();
            prop_assert!(pixels.iter().all(|&at| numbers[at] == number_at(part)));
            prop_assert_eq!((pixels.len(), areas[number_at(part).unwrap()]), (part.area, part.area));
            let bounds = |corners: &[[usize; 2]]| {
                let range = |axis: usize| {
                    let edges = || corners.iter().map(|corner| corner[axis]);
                    (edges().min().unwrap(), edges().max().unwrap())
                };
                let ((y0, y1), (x0, x1)) = (range(0), range(1));
                Rect { y0, x0, y1, x1 }
            };
            prop_assert_eq!(bounds(&part.contours[0]), part.bounds);
            // Twice the signed area: positive for the outer contour alone.
            let turned = |corners: &Vec<[usize; 2]>| {
                let next = corners.iter().cycle().skip(1);
                let area = |([ay, ax], [by, bx]): (&[usize; 2], &[usize; 2])| (ax * by) as i64 - (bx * ay) as i64;
                corners.iter().zip(next).map(area).sum::<i64>()
            };
            prop_assert!(turned(&part.contours[0]) > 0);
            prop_assert!(part.contours[1..].iter().all(|hole| turned(hole) < 0));
        }
        areas.sort_by_key(|area| std::cmp::Reverse(*area));
        prop_assert_eq!(parts.iter().map(|part| part.area).collect::<Vec<_>>(), areas);
        prop_assert_eq!(region.area(), parts.iter().map(|part| part.area).sum::<usize>());
    }

    /// The sum of squared distances from the mean of the own group is least, which is the same as
    /// the largest variance between the groups.
    #[test]
    fn otsus_level_divides_the_values_best(map in prop::collection::vec(-20i32..60, 1..40)) {
        let map: Vec<f32> = map.into_iter().map(|value| value as f32 / 8.0).collect();
        let scatter = |level: f32| -> f64 {
            let group = |inside: &dyn Fn(f32) -> bool| -> f64 {
                let values = map.iter().map(|value| value.max(0.0)).filter(|value| inside(*value));
                let values: Vec<f64> = values.map(f64::from).collect();
                let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
                values.iter().map(|value| (value - mean).powi(2)).sum()
            };
            group(&|value| value >= level) + group(&|value| value < level)
        };
        match Threshold::Otsu.level(&map).unwrap() {
            None => prop_assert!(map.iter().all(|value| *value <= 0.0)),
            Some(level) => {
                prop_assert!(level > 0.0 && map.contains(&level));
                let best = map.iter().map(|&level| scatter(level)).fold(f64::INFINITY, f64::min);
                prop_assert!(scatter(level) <= best + 1e-9, "{level}: {} above {best}", scatter(level));
            }
        }
    }
}

#[test]
fn a_share_is_one_of_the_maximum() {
    for wrong in [0.0, -0.1, 1.01, f32::NAN, f32::INFINITY] {
        let error = Threshold::Share(wrong).level(&[1.0]).unwrap_err().to_string();
        assert!(error.contains("expected a share of the maximum above 0, at most 1"), "{error}");
    }
    assert_eq!(Threshold::Share(1.0).level(&[0.25, -3.0]).unwrap(), Some(0.25));
    assert_eq!(Threshold::Share(0.5).level(&[-0.25, 0.0]).unwrap(), None);
}

/// A map that rises by one from column to column.
fn ramp() -> Vec<f32> {
    (0..PIXELS).map(|at| (at % INPUT_SIDE) as f32).collect()
}

#[test]
fn regions_lie_where_the_picture_shows_the_photograph() {
    let photograph =
        |height, width| Photograph::from_rgb(height, width, &vec![0; height * width * 3]).unwrap();
    let left = |region: &Region| {
        let bounds = region.bounds().unwrap();
        assert_eq!(region.area(), bounds.area());
        bounds
    };
    let right_half: Vec<bool> = ramp().iter().map(|value| *value >= 112.0).collect();
    let rect = |y0, x0, y1, x1| Rect { y0, x0, y1, x1 };
    // The same size; larger by three down and two across; smaller.
    for (height, width) in [(224, 224), (672, 448), (40, 20)] {
        let photograph = photograph(height, width);
        let half = rect(0, width / 2, height, width);
        assert_eq!(left(&photograph.framing(Resize::Stretch).region_of(&right_half)), half);
        // Column 112 begins in the middle, and has its value half a pixel later.
        assert_eq!(left(&photograph.framing(Resize::Stretch).region_above(&ramp(), 111.5)), half);
    }
    let wide = photograph(100, 448);
    // The square in the middle: 256 of the 1146 columns to which 448 become, less the margin.
    let crop = left(&wide.framing(Resize::CenterCrop).region_of(&vec![true; PIXELS]));
    assert_eq!(crop, rect(6, 180, 94, 268));
    let half = left(&wide.framing(Resize::CenterCrop).region_of(&right_half));
    assert_eq!(half, rect(6, 224, 94, 268));
    assert_eq!(left(&wide.framing(Resize::CenterCrop).region_above(&ramp(), 111.5)), half);
    // A padded photograph lies in the middle of the picture, and all of it is in the picture.
    assert_eq!(wide.framing(Resize::Pad).region_of(&vec![true; PIXELS]).share(), 1.0);
    assert_eq!(left(&wide.framing(Resize::Pad).region_of(&right_half)), rect(0, 224, 100, 448));
    let lower_half: Vec<bool> = (0..PIXELS).map(|at| at >= PIXELS / 2).collect();
    assert_eq!(left(&wide.framing(Resize::Pad).region_of(&lower_half)), rect(50, 0, 100, 448));
    // The value of the outermost pixels continues to the border.
    assert_eq!(photograph(448, 448).framing(Resize::Stretch).region_above(&ramp(), 0.0).share(), 1.0);
    // A maximum between the middles of the photograph's pixels is in the nearest one.
    let mut peak = vec![0.0; PIXELS];
    peak[100 * INPUT_SIDE + 33] = 1.0;
    let above = |level| photograph(223, 300).framing(Resize::Stretch).region_above(&peak, level);
    let nearest = rect(100, 44, 101, 45);
    assert_eq!((left(&above(1.0)), above(1.1).area()), (nearest, 0));
}

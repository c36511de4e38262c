//! Superpixels by SLIC: k-means of colour and place, in which each centre looks only at the pixels near it.

use crate::forward::{exp, ln};
use crate::network::INPUT_SIDE;

const ITERATIONS: usize = 10;
/// The weight of the distance in pixels against that of colours.
const COMPACTNESS: f64 = 10.0;

/// A centre, or a pixel: lightness, green to red, blue to yellow, row, column.
type Point = [f64; 5];

/// Numbers the superpixels of a picture `[224][224][3]`, about `count` of them, each connected.
pub(super) fn superpixels(rgb: &[u8], count: usize) -> Vec<u32> {
    let side = INPUT_SIDE;
    let lab = lab(rgb);
    let point = |at: usize| {
        let [l, a, b] = lab[at];
        [l, a, b, (at / side) as f64, (at % side) as f64]
    };
    // A grid of cells that are nearly square.
    let rows = ((count as f64).sqrt().round() as usize).max(1);
    let step = (side * side) as f64 / count as f64;
    let step = step.sqrt();
    let per_row = |row: usize| (count * (row + 1)) / rows - (count * row) / rows;
    let mut centres: Vec<Point> = Vec::with_capacity(count);
    for row in 0..rows {
        let columns = per_row(row);
        for column in 0..columns {
            let y = (2 * row + 1) * side / (2 * rows);
            let x = (2 * column + 1) * side / (2 * columns);
            centres.push(point(calmest(&lab, y, x)));
        }
    }
    let mut labels = vec![0u32; side * side];
    let reach = (2.0 * step).ceil() as usize;
    let weight = (COMPACTNESS / step).powi(2);
    for _ in 0..ITERATIONS {
        let mut nearest = vec![f64::INFINITY; side * side];
        for (label, centre) in (0..).zip(&centres) {
            let range = |at: f64| (at as usize).saturating_sub(reach)..(at as usize + reach + 1).min(side);
            for y in range(centre[3]) {
                for x in range(centre[4]) {
                    let at = y * side + x;
                    let point = point(at);
                    let squared = |axes: std::ops::Range<usize>| {
                        axes.map(|i| (point[i] - centre[i]) * (point[i] - centre[i])).sum::<f64>()
                    };
                    let distance = squared(0..3) + squared(3..5) * weight;
                    if distance < nearest[at] {
                        (nearest[at], labels[at]) = (distance, label);
                    }
                }
            }
        }
        let mut sums = vec![([0.0; 5], 0.0); centres.len()];
        for (at, &label) in labels.iter().enumerate() {
            let (sum, members) = &mut sums[label as usize];
            let point = point(at);
            (0..5).for_each(|i| sum[i] += point[i]);
            *members += 1.0;
        }
        for (centre, (sum, members)) in centres.iter_mut().zip(sums) {
            if members > 0.0 {
                *centre = sum.map(|sum| sum / members);
            }
        }
    }
    connect(&labels, (step * step / 4.0) as usize)
}

/// Gives each connected part of a label a number of its own, in the order of their first pixels. A part of
/// fewer than `least` pixels joins the part before its first pixel.
fn connect(labels: &[u32], least: usize) -> Vec<u32> {
    let side = INPUT_SIDE;
    let mut parts = vec![u32::MAX; labels.len()];
    let mut next = 0;
    for first in 0..labels.len() {
        if parts[first] != u32::MAX {
            continue;
        }
        parts[first] = next;
        let mut members = vec![first];
        let mut at = 0;
        while at < members.len() {
            let (y, x) = (members[at] / side, members[at] % side);
            let around = [(y.wrapping_sub(1), x), (y, x.wrapping_sub(1)), (y, x + 1), (y + 1, x)];
            for (y, x) in around.into_iter().filter(|&(y, x)| y < side && x < side) {
                let other = y * side + x;
                if parts[other] == u32::MAX && labels[other] == labels[first] {
                    parts[other] = next;
                    members.push(other);
                }
            }
            at += 1;
        }
        // The pixel to the left or above belongs to a part that is complete.
        let before = if first % side > 0 { first.checked_sub(1) } else { first.checked_sub(side) };
        match before {
            Some(before) if members.len() < least => {
                let part = parts[before];
                members.into_iter().for_each(|member| parts[member] = part);
            }
            _ => next += 1,
        }
    }
    parts
}

/// The pixel with the least change of colour among the nine around a place, so that a centre does not begin
/// on an edge.
fn calmest(lab: &[[f64; 3]], y: usize, x: usize) -> usize {
    let at = |y: usize, x: usize| y.min(INPUT_SIDE - 1) * INPUT_SIDE + x.min(INPUT_SIDE - 1);
    let difference =
        |a: usize, b: usize| (0..3).map(|c| (lab[a][c] - lab[b][c]) * (lab[a][c] - lab[b][c])).sum::<f64>();
    let change = |y: usize, x: usize| {
        let (up, left) = (y.saturating_sub(1), x.saturating_sub(1));
        difference(at(up, x), at(y + 1, x)) + difference(at(y, left), at(y, x + 1))
    };
    let around =
        (y.saturating_sub(1)..=y + 1).flat_map(|y| (x.saturating_sub(1)..=x + 1).map(move |x| (y, x)));
    let calmest =
        around.reduce(|best, next| if change(next.0, next.1) < change(best.0, best.1) { next } else { best });
    let (y, x) = calmest.expect("nine places");
    at(y, x)
}

/// The colours of sRGB pixels in CIELAB, with the white of D65.
fn lab(rgb: &[u8]) -> Vec<[f64; 3]> {
    let power = |base: f64, exponent: f64| exp(-exponent * ln(1.0 / base));
    let linear: Vec<f64> = (0..256)
        .map(|level| f64::from(level) / 255.0)
        .map(|v| if v <= 0.04045 { v / 12.92 } else { power((v + 0.055) / 1.055, 2.4) })
        .collect();
    let f = |t: f64| {
        let t = t.min(1.0);
        if t > 216.0 / 24389.0 { power(t, 1.0 / 3.0) } else { (24389.0 / 27.0 * t + 16.0) / 116.0 }
    };
    let colours = rgb.chunks_exact(3).map(|pixel| {
        let [r, g, b] = [0, 1, 2].map(|c| linear[usize::from(pixel[c])]);
        let x = f((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047);
        let y = f(0.2126729 * r + 0.7151522 * g + 0.0721750 * b);
        let z = f((0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883);
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    });
    colours.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of skimage.color.rgb2lab.
    #[test]
    fn colours_are_cielab() {
        let pixels = [255, 255, 255, 0, 0, 0, 255, 0, 0, 10, 200, 90, 3, 4, 250];
        let wanted = [
            [100.0, -0.0025, 0.0047],
            [0.0, 0.0, 0.0],
            [53.2406, 80.0923, 67.2028],
            [70.9458, -64.9003, 43.0517],
            [31.8191, 77.4015, -105.8431],
        ];
        for (found, wanted) in lab(&pixels).iter().zip(wanted) {
            for c in 0..3 {
                assert!((found[c] - wanted[c]).abs() < 0.02, "{found:?}, {wanted:?}");
            }
        }
    }

    /// Two colours that meet in an oblique line: no superpixel crosses it. Each is connected.
    #[test]
    fn superpixels_follow_edges_and_are_connected() {
        let is_left = |at: usize| at % INPUT_SIDE < 70 + at / INPUT_SIDE / 3;
        let rgb: Vec<u8> = (0..INPUT_SIDE * INPUT_SIDE)
            .flat_map(|at| if is_left(at) { [200, 30, 40] } else { [20, 60, 180] })
            .collect();
        for count in [2, 20, 100, 1000] {
            let labels = superpixels(&rgb, count);
            let found = *labels.iter().max().unwrap() as usize + 1;
            assert!((count / 2..=count * 3 / 2 + 1).contains(&found), "{found} of {count}");
            if count >= 20 {
                let mut sides = vec![[0, 0]; found];
                labels
                    .iter()
                    .enumerate()
                    .for_each(|(at, &l)| sides[l as usize][usize::from(is_left(at))] += 1);
                let crossing: usize = sides.iter().map(|[a, b]| a.min(b)).sum();
                assert!(crossing * 200 < INPUT_SIDE * INPUT_SIDE, "{crossing} pixels beyond the line");
            }
            // Connected parts keep their numbers.
            assert_eq!(connect(&labels, 0), labels, "{count}");
        }
    }
}

use super::*;
use crate::kernels::test;
use proptest::prelude::*;

/// A row of pixels, `[pixel][position][channel]`.
type Row = Vec<Vec<Vec<f32>>>;

/// A row of pixels of which most values are zero, as activations are.
fn row(channels: usize, positions: usize, pixels: usize, seed: u32) -> Row {
    let mut values = test::values(seed);
    let mut value = || if values() < 0.66 { 0.0 } else { values() + 1.01 };
    let mut position = || (0..channels).map(|_| value()).collect();
    let mut pixel = || (0..positions).map(|_| position()).collect();
    (0..pixels).map(|_| pixel()).collect()
}

fn pixels(count: Range<usize>) -> impl Strategy<Value = (usize, Row)> {
    (1usize..100, 1usize..=8, count, any::<u32>())
        .prop_map(|(channels, positions, pixels, seed)| (channels, row(channels, positions, pixels, seed)))
}

/// An empty pixel, then those of the row.
fn fill(isa: Isa, channels: usize, row: &[Vec<Vec<f32>>]) -> SparseActivations {
    let mut filled = SparseActivations::default();
    filled.clear(row[0].len());
    filled.push_empty();
    for (x, pixel) in row.iter().enumerate() {
        let positions: Vec<&[f32]> = pixel.iter().map(|position| position.as_slice()).collect();
        filled.push_pixel(isa, x * channels, &positions);
    }
    filled
}

fn assert_keeps_what_is_not_zero_in_all_positions(channels: usize, row: &Row) {
    for isa in Isa::all_available() {
        let filled = fill(isa, channels, row);
        assert!(filled.run(&(0..1)).0.is_empty());
        let (entries, values) = filled.run(&(0..row.len() + 1));
        let mut at = 0;
        for (x, pixel) in row.iter().enumerate() {
            for channel in 0..channels {
                let is_kept = pixel.iter().any(|position| position[channel] != 0.0);
                let byte = filled.kept_of(x + 1)[channel / 8];
                assert_eq!(byte >> (channel % 8) & 1 != 0, is_kept, "{isa}");
                if is_kept {
                    assert_eq!(entries[at] as usize, (x * channels + channel) * PANEL, "{isa}");
                    for (p, position) in pixel.iter().enumerate() {
                        assert_eq!(values[at].0[p], position[channel], "{isa}");
                    }
                    at += 1;
                }
            }
        }
        assert_eq!((at, at), (entries.len(), values.len()));
    }
}

fn assert_a_pixel_may_be_added_in_parts(channels: usize, row: &Row) {
    let positions: Vec<&[f32]> = row[0].iter().map(|position| position.as_slice()).collect();
    let split = channels / 2 / 8 * 8;
    let parts =
        [0..split, split..channels].map(|range| positions.iter().map(|p| &p[range.clone()]).collect());
    let [low, high]: [Vec<&[f32]>; 2] = parts;
    for isa in Isa::all_available() {
        let whole = fill(isa, channels, &row[..1]);
        let mut store = SparseActivations::default();
        store.clear(positions.len());
        store.push_pixel(isa, split, &high);
        let mut parts = SparseActivations::default();
        parts.clear(positions.len());
        parts.append(isa, 100, &low);
        parts.append_from(isa, &store, 0, 100);
        parts.finish_pixel();
        let ((got, got_values), (want, want_values)) = (parts.run(&(0..1)), whole.run(&(1..2)));
        assert!(
            got.iter().eq(want.iter().map(|entry| entry + 100 * PANEL as u32).collect::<Vec<_>>().iter())
        );
        assert_eq!(got_values, want_values);
        assert_eq!(parts.kept_of(0), whole.kept_of(1));
    }
}

/// Takes the pixels as a plane of up to three rows and slides windows over it that are clipped at its
/// border. `order` mixes the order of the windows.
fn assert_the_maxima_are_those_of_the_dense_pixels(channels: usize, row: &Row, order: usize) {
    let rows = row.len().min(3);
    let side = row.len() / rows;
    let pixels = &row[..rows * side];
    for isa in Isa::all_available() {
        let mut from = SparseActivations::default();
        from.clear(row[0].len());
        for (i, pixel) in pixels.iter().enumerate() {
            let positions: Vec<&[f32]> = pixel.iter().map(|position| position.as_slice()).collect();
            from.push_pixel(isa, i % side * channels, &positions);
        }
        let mut maxima = WindowMaxima::default();
        let mut into = SparseActivations::default();
        into.clear(row[0].len());
        for i in 0..2 * pixels.len() {
            let (y, x) = (i * order % pixels.len() / side, i * order % pixels.len() % side);
            let (ys, xs) = (y.saturating_sub(1)..rows.min(y + 2), x.saturating_sub(1)..side.min(x + 2));
            let window: Vec<WindowRow> = ys
                .map(|y| WindowRow { row: 0, pixels: y * side + xs.start..y * side + xs.end, k_shift: 0 })
                .collect();
            maxima.push(isa, &from, &window, channels, &mut into);
            let read: Vec<_> = window.iter().flat_map(|row| row.pixels.clone()).map(|i| &pixels[i]).collect();
            let most =
                |p: usize, channel: usize| read.iter().map(|pixel| pixel[p][channel]).fold(0.0, f32::max);
            let positions: Vec<Vec<f32>> =
                (0..row[0].len()).map(|p| (0..channels).map(|channel| most(p, channel)).collect()).collect();
            let expected = fill(isa, channels, &[positions]);
            let (got, got_values) = into.run(&(i..i + 1));
            let (want, want_values) = expected.run(&(1..2));
            assert_eq!(got, want, "{isa}");
            assert_eq!(got_values, want_values, "{isa}");
            assert_eq!(into.kept_of(i), expected.kept_of(1));
        }
    }
}

fn assert_the_mean_is_that_of_the_dense_pixels(channels: usize, row: &Row) {
    let mean = |position: usize, channel: usize| {
        row.iter().fold(0.0, |sum, pixel| sum + pixel[position][channel]) / (row.len() + 1) as f32
    };
    for isa in Isa::all_available() {
        let mut means = vec![[9.0; BATCH]; 3];
        // The empty pixel counts as one of zeros.
        fill(isa, channels, row).mean(isa, channels, &mut means);
        assert_eq!(means.len(), channels);
        for (channel, means) in means.iter().enumerate() {
            for (position, got) in means[..row[0].len()].iter().enumerate() {
                let want: f32 = mean(position, channel);
                assert_eq!(got.to_bits(), want.to_bits(), "{isa}");
            }
        }
    }
}

fn assert_positions_differ_where_their_bits_do(channels: usize, row: &Row, like: usize, at: usize) {
    let pixel = &row[0];
    let mut unoccluded = pixel[like % pixel.len()].clone();
    for change in [None, Some(0.0), Some(3.0)] {
        if let Some(value) = change {
            unoccluded[at % channels] = value;
        }
        let bit = |position: &Vec<f32>| u8::from(*position != unoccluded);
        let expected = pixel.iter().rev().fold(0, |bits, position| bits << 1 | bit(position));
        for isa in Isa::all_available() {
            let filled = fill(isa, channels, std::slice::from_ref(pixel));
            assert_eq!(filled.differing(isa, 1, &unoccluded), expected, "{isa}");
        }
    }
}

// Miri would interpret the properties for hours; the edges below take each path of the kernels on
// small shapes.
#[cfg(not(miri))]
proptest! {
    #[test]
    fn keeps_what_is_not_zero_in_all_positions((channels, row) in pixels(1..5)) {
        assert_keeps_what_is_not_zero_in_all_positions(channels, &row);
    }

    #[test]
    fn a_pixel_may_be_added_in_parts((channels, row) in pixels(1..5)) {
        assert_a_pixel_may_be_added_in_parts(channels, &row);
    }

    #[test]
    fn the_maxima_are_those_of_the_dense_pixels((channels, row) in pixels(1..16), order in 1usize..12) {
        assert_the_maxima_are_those_of_the_dense_pixels(channels, &row, order);
    }

    #[test]
    fn the_mean_is_that_of_the_dense_pixels((channels, row) in pixels(1..5)) {
        assert_the_mean_is_that_of_the_dense_pixels(channels, &row);
    }

    #[test]
    fn positions_differ_where_their_bits_do((channels, row) in pixels(1..5), like in 0usize..8, at in 0usize..100) {
        assert_positions_differ_where_their_bits_do(channels, &row, like, at);
    }
}

/// Takes numbers of channels around the eight that are looked at together, and each number of
/// positions.
#[test]
fn pixels_are_right_at_the_edges_of_eight_channels_and_positions() {
    for (positions, channels) in (1..=BATCH).zip([1, 7, 8, 9, 15, 16, 17, 33]) {
        let row = row(channels, positions, 3, 5);
        assert_keeps_what_is_not_zero_in_all_positions(channels, &row);
        assert_a_pixel_may_be_added_in_parts(channels, &row);
        assert_the_maxima_are_those_of_the_dense_pixels(channels, &row, 1);
        assert_the_mean_is_that_of_the_dense_pixels(channels, &row);
        assert_positions_differ_where_their_bits_do(channels, &row, 1, channels - 1);
    }
}

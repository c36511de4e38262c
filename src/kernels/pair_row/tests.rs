use super::*;
use crate::kernels::{ChannelsMut, pitch, test};
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Case {
    /// Rows, pairs of each row, channels of each pixel.
    shape: [usize; 3],
    window: usize,
    outputs: usize,
    seed: u32,
    /// The row and pair at which each window begins, and whether there is a second pixel.
    pixels: Vec<(isize, isize, bool)>,
}

fn case() -> impl Strategy<Value = Case> {
    let shape = (1usize..5, 1usize..6, 1usize..12);
    (shape, 1usize..4, 1usize..300, any::<u32>()).prop_flat_map(
        |((rows, pairs, eighths), window, outputs, seed)| {
            let pixel = (-2isize..=rows as isize + 1, -2isize..=pairs as isize + 1, any::<bool>());
            let shape = [rows, pairs, 8 * eighths];
            prop::collection::vec(pixel, 0..12).prop_map(move |pixels| Case {
                shape,
                window,
                outputs,
                seed,
                pixels,
            })
        },
    )
}

fn assert_sums_all_products_in_order(case: &Case) {
    let [height, pairs, channels] = case.shape;
    let mut value = test::values(case.seed);
    // The order is [row][pair][pixel][channel].
    let values: Vec<f32> =
        (0..height * pairs * 2 * channels).map(|_| if value() < 0.3 { 0.0 } else { value() }).collect();
    let pixel = |y: usize, pair: usize, pixel: usize| {
        &values[((y * pairs + pair) * 2 + pixel) * channels..][..channels]
    };
    let k = case.window * case.window * channels;
    // These weights are in the kernel's order, which is that of a 1x1 window with as many inputs.
    let filters: Vec<f32> = (0..case.outputs * k).map(|_| value()).collect();
    let bias: Vec<f32> = (0..case.outputs).map(|_| value()).collect();
    let weights = PackedWeights::new(&filters, &bias, k, 1);
    let step = pitch(case.outputs) + 3;
    let outputs: Vec<OutputPair> = case
        .pixels
        .iter()
        .enumerate()
        .map(|(i, &(y, pair, both))| OutputPair { y, pair, pixel: 2 * i, both })
        .collect();
    for isa in Isa::all_available() {
        let mut rows: Vec<PairRow> = Vec::new();
        for y in 0..height {
            let mut row = PairRow::default();
            row.clear();
            for pair in 0..pairs {
                row.push(isa, [pixel(y, pair, 0), pixel(y, pair, 1)]);
            }
            rows.push(row);
        }
        let input = PairRows { rows: &rows, pairs, channels };
        let mut convolution = Convolution::of_pairs(isa, &weights, &input, case.window, step);
        outputs.iter().for_each(|output| convolution.push(&input, output));
        let mut out = vec![-7.0; 2 * outputs.len() * step];
        // Blocks of outputs may be computed at the same time.
        let mut rest = ChannelsMut::new(&mut out, step);
        let tasks: Vec<_> = convolution.blocks().map(|p| (p.clone(), rest.take(0, p))).collect();
        let convolution = &convolution;
        std::thread::scope(|scope| {
            for (panels, mut out) in tasks {
                scope.spawn(move || convolution.run_pairs(panels, &mut out));
            }
        });
        let mut nonzero = 0;
        for (i, output) in outputs.iter().enumerate() {
            for p in 0..2 {
                let out = &out[(2 * i + p) * step..][..step];
                if p == 1 && !output.both {
                    assert!(out.iter().all(|&v| v == -7.0), "{isa}");
                    continue;
                }
                assert!(out[pitch(case.outputs)..].iter().all(|&v| v == -7.0), "{isa}");
                let mut expected = bias.clone();
                for row in 0..case.window {
                    for tap in 0..case.window {
                        let (y, pair) = (output.y + row as isize, output.pair + tap as isize);
                        if !(0..height as isize).contains(&y) || !(0..pairs as isize).contains(&pair) {
                            continue;
                        }
                        let (y, pair) = (y as usize, pair as usize);
                        for channel in 0..channels {
                            let both = [0, 1].map(|p| pixel(y, pair, p)[channel]);
                            nonzero += u64::from(both != [0.0, 0.0]);
                            let at = (row * case.window + tap) * channels + channel;
                            for (output, sum) in expected.iter_mut().enumerate() {
                                *sum = both[p].mul_add(filters[output * k + at], *sum);
                            }
                        }
                    }
                }
                for (got, want) in out.iter().zip(&expected) {
                    assert_eq!(got.to_bits(), want.max(0.0).to_bits(), "{isa}");
                }
            }
        }
        assert_eq!(convolution.macs(), nonzero * case.outputs as u64);
    }
}

// Miri would interpret the property for hours; the edges below take each path of the kernel on small
// shapes.
#[cfg(not(miri))]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn every_instruction_set_sums_all_products_in_order(case in case()) {
        assert_sums_all_products_in_order(&case);
    }
}

/// Takes each number of panels that a block has, and windows that begin before the rows and end after them.
#[test]
fn sums_are_right_at_the_edges_of_vectors_panels_and_rows() {
    let outputs = [1, 15, 16, 17, 33, 48, 49, 64, 80, 96, 97, 112, 128, 144, 160, 208];
    for (i, outputs) in outputs.into_iter().enumerate() {
        // Miri takes a thousand times as long and sees the larger window with a few outputs.
        let window = if cfg!(miri) { 1 + usize::from(i % 5 == 2) } else { 1 + i % 2 };
        let pixels = vec![(-1, -1, true), (0, 0, false), (0, 1, true), (1, 1, false), (2, 2, true)];
        assert_sums_all_products_in_order(&Case { shape: [2, 2, 8], window, outputs, seed: 3, pixels });
    }
}

/// Convolves a pair of pixels of eight channels, with 20 outputs each, into two pixels of 32 values.
/// There is a view of `panels` panels.
fn convolve_a_pair(window: usize, pixel: usize, panels: usize) {
    let weights = PackedWeights::new(&[1.0; 20 * 8], &[1.0; 20], 8, 1);
    let mut row = PairRow::default();
    row.clear();
    row.push(Isa::SCALAR, [&[1.0; 8], &[1.0; 8]]);
    let rows = [row];
    let input = PairRows { rows: &rows, pairs: 1, channels: 8 };
    let mut convolution = Convolution::of_pairs(Isa::detect(), &weights, &input, window, 32);
    convolution.push(&input, &OutputPair { y: 0, pair: 0, pixel, both: true });
    let mut out = [0.0; 64];
    let mut channels = ChannelsMut::new(&mut out, 32);
    convolution.run_pairs(0..2, &mut channels.take(0, 0..panels));
}

#[test]
fn an_output_that_fits_is_written() {
    convolve_a_pair(1, 0, 2);
}

#[test]
#[should_panic = "an output does not fit"]
fn pixels_that_do_not_fit_are_refused() {
    convolve_a_pair(1, 1, 2);
}

#[test]
#[should_panic = "an output does not fit"]
fn panels_that_do_not_fit_are_refused() {
    convolve_a_pair(1, 0, 1);
}

#[test]
#[should_panic = "there are 32 channels"]
fn panels_that_do_not_exist_are_not_taken() {
    convolve_a_pair(1, 0, 3);
}

#[test]
#[should_panic]
fn weights_of_another_window_are_refused() {
    convolve_a_pair(3, 0, 2);
}

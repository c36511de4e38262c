//! The kernel against the definition of a convolution, for the positions of a batch.

use super::*;
use crate::kernels::{SparseActivations, WindowRow, test};
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Case {
    /// Rows of the window and taps of each row.
    rows: usize,
    width: usize,
    channels: usize,
    outputs: usize,
    /// The positions to compute.
    bits: u8,
    /// The most products of a chunk.
    chunk: usize,
    /// The pixel of its row at which the window begins.
    first_pixel: usize,
    seed: u32,
}

fn case() -> impl Strategy<Value = Case> {
    // The outputs are around the widths of panels and vectors.
    let shape = (1usize..200, 1usize..40, 1usize..4, 1usize..4);
    (shape, 1u8.., 1usize..150, 0usize..3, any::<u32>()).prop_map(
        |((outputs, channels, rows, width), bits, chunk, first_pixel, seed)| Case {
            rows,
            width,
            channels,
            outputs,
            bits,
            chunk,
            first_pixel,
            seed,
        },
    )
}

/// Compares with the definition: one fused multiply-add after the other, zeros included.
fn assert_sums_all_products_in_order(case: &Case, sum: Sum) {
    let Case { rows, width, channels, outputs, first_pixel, .. } = *case;
    let mut values = test::values(case.seed);
    let k = rows * width * channels;
    // The order is [row][pixel][position][channel]. Most values are zero, as activations are.
    let activations: Vec<f32> =
        (0..k * BATCH).map(|_| if values() < 0.3 { 0.0 } else { values() + 1.01 }).collect();
    let activations =
        |pixel: usize, position: usize| &activations[(pixel * BATCH + position) * channels..][..channels];
    // These weights are in the kernel's order already, which is that of a 1x1 window with as many
    // inputs.
    let weights: Vec<f32> = (0..outputs * k).map(|_| values()).collect();
    let bias: Vec<f32> = (0..outputs).map(|_| values()).collect();
    let packed = PackedWeights::new(&weights, &bias, k, 1);
    let step = pitch(outputs) + 1;
    // A window need not begin where its row begins.
    let window: Vec<WindowRow> = (0..rows)
        .map(|row| WindowRow {
            row,
            pixels: row * width..(row + 1) * width,
            k_shift: (row * width) as isize * channels as isize - (first_pixel * channels) as isize,
        })
        .collect();
    for isa in Isa::all_available() {
        let mut input = SparseActivations::default();
        input.clear(BATCH);
        for pixel in 0..rows * width {
            let positions: [&[f32]; BATCH] = std::array::from_fn(|p| activations(pixel, p));
            input.push_pixel(isa, (first_pixel + pixel % width) * channels, &positions);
        }
        let mut convolution =
            Convolution::with_chunks(isa, &packed, vec![input.list()], rows, step, case.chunk);
        // The same pixel twice: first without the window's first row, which lies outside of the plane.
        for (start, bits) in [(1, 1), (0, case.bits)] {
            convolution.push(&input, &window[start.min(rows - 1)..], bits, 3 + (1 - start) * BATCH * step);
        }
        let mut out = vec![7.0; 3 + 2 * BATCH * step];
        convolution.run(0..packed.panels(), sum, &mut out);
        for (start, bits) in [(1, 1u8), (0, case.bits)] {
            let first = &window[start.min(rows - 1)];
            for position in 0..BATCH {
                let out = &out[3 + ((1 - start) * BATCH + position) * step..][..step];
                if bits >> position & 1 == 0 {
                    assert!(out.iter().all(|&v| v == 7.0), "{isa} {case:?}");
                    continue;
                }
                assert_eq!(out[pitch(outputs)..], [7.0], "{isa}");
                for output in 0..outputs {
                    let mut parts: Vec<f32> = Vec::new();
                    let inputs =
                        (0..rows * width).flat_map(|pixel| activations(pixel, position).to_vec()).enumerate();
                    for (at, x) in inputs {
                        let (row, in_row) = (at / (width * channels), at % (width * channels));
                        let length = convolution.chunks[0].len();
                        let part = row * convolution.chunks_of_row + in_row / length;
                        if parts.len() == part {
                            let begins = part == 0 || sum == Sum::Relu;
                            let before = if part == 0 { bias[output] } else { parts[part - 1] };
                            parts.push(if begins { before } else { 0.0 });
                        }
                        if row >= first.row {
                            parts[part] = x.mul_add(weights[output * k + at], parts[part]);
                        }
                    }
                    let want = match sum {
                        Sum::Relu => parts.last().unwrap().max(0.0),
                        Sum::Parts => parts.iter().copied().reduce(|all, part| all + part).unwrap(),
                    };
                    let got = out[output];
                    assert_eq!(got.to_bits(), want.to_bits(), "{isa} {position} {output} of {case:?}");
                }
            }
        }
    }
}

// Miri would interpret the property for hours; the edges below take each path of the kernel on
// small shapes.
#[cfg(not(miri))]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn every_instruction_set_sums_all_products_in_order(
        case in case(),
        sum in prop::sample::select(vec![Sum::Relu, Sum::Parts]),
    ) {
        assert_sums_all_products_in_order(&case, sum);
    }
}

/// Takes each number of panels that a block has, full and with room left over, each number of
/// positions, and numbers of channels around the eight that are looked at together.
#[test]
fn sums_are_right_at_the_edges_of_vectors_panels_and_positions() {
    for (i, outputs) in [1, 15, 16, 17, 33, 49, 65, 96, 97, 128, 144, 145, 192].into_iter().enumerate() {
        // Miri takes a thousand times as long and sees two numbers of positions for each.
        for count in (1..=BATCH).filter(|count| !cfg!(miri) || (count + 3 * i).is_multiple_of(4)) {
            let i = i + count;
            let sum = [Sum::Relu, Sum::Parts][i % 2];
            let shape = Case {
                rows: 1 + i % 2,
                width: 2,
                channels: [1, 7, 8, 9][i % 4],
                outputs,
                bits: 0xff << (BATCH - count),
                chunk: [8, 100][i / 2 % 2],
                first_pixel: i % 3,
                seed: 9,
            };
            assert_sums_all_products_in_order(&shape, sum);
        }
    }
}

/// Four ones in one position, and a window over them.
fn ones() -> (SparseActivations, WindowRow) {
    let mut input = SparseActivations::default();
    input.clear(1);
    input.push_pixel(Isa::SCALAR, 0, &[&[1.0; 4]]);
    (input, WindowRow { row: 0, pixels: 0..1, k_shift: 0 })
}

#[test]
fn only_the_asked_panels_are_written() {
    let packed = PackedWeights::new(&[1.0; 100 * 4], &[1.0; 100], 4, 1);
    let (input, row) = ones();
    for isa in Isa::all_available() {
        let mut out = vec![-1.0; 3 + pitch(100) + 5];
        let mut convolution = Convolution::new(isa, &packed, &input, 1, pitch(100));
        convolution.push(&input, std::slice::from_ref(&row), 1, 3);
        convolution.run(3..5, Sum::Relu, &mut out);
        assert_eq!(packed.channels(3..5), 48..80);
        assert!(out[..3 + 48].iter().chain(&out[3 + 80..]).all(|&v| v == -1.0), "{isa}");
        assert!(out[3 + 48..3 + 80].iter().all(|&v| v == 5.0), "{isa}");
        assert_eq!(convolution.macs(), 4 * 100);
    }
}

/// Convolves the ones for the positions in `bits`, with outputs from `out` on in 32 values.
fn convolve_ones(bits: u8, out: usize, window: impl FnOnce(WindowRow) -> WindowRow) {
    let packed = PackedWeights::new(&[1.0; 80], &[1.0; 20], 4, 1);
    let (input, row) = ones();
    let mut convolution = Convolution::new(Isa::detect(), &packed, &input, 1, 32);
    convolution.push(&input, &[window(row)], bits, out);
    convolution.run(0..2, Sum::Relu, &mut [0.0; 32]);
}

#[test]
fn ones_are_summed() {
    convolve_ones(1, 0, |row| row);
}

#[test]
#[should_panic = "an output does not fit"]
fn a_position_whose_outputs_do_not_fit_is_refused() {
    convolve_ones(1, 1, |row| row);
}

#[test]
#[should_panic = "there are 1 positions"]
fn a_position_that_does_not_exist_is_refused() {
    convolve_ones(2, 0, |row| row);
}

#[test]
#[should_panic = "k_of"]
fn products_that_do_not_exist_are_refused() {
    convolve_ones(1, 0, |row| WindowRow { k_shift: 1, ..row });
}

#[test]
#[should_panic = "the window has 1 rows"]
fn rows_that_do_not_exist_are_refused() {
    convolve_ones(1, 0, |row| WindowRow { row: 1, ..row });
}

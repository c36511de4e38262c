//! Exercises for the chapters of `docs/`. Replace each `todo!()` of an exercise by your answer. The
//! lines after it compare the answer with the library. This command checks exercise 1.1:
//! `cargo test --release --example exercises exercise_1_1`. Most exercises use the random network
//! of `Weights::seeded`. Solutions are in `tests/engine/exercises.rs`.
#![allow(unused, unreachable_code, clippy::diverging_sub_expression, reason = "the blanks")]

use occlude::forward::softmax;
use occlude::learn::{Features, Fit};
use occlude::network::geometry::{Rect, Window};
use occlude::network::{BlobId, Layer, Network, Op};
use occlude::{
    Activations, GoogLeNet, Input, MaskValue, OcclusionSensitivity, Photograph, Picture, Resize, Score,
    Threshold, Weights, reference,
};
use std::path::Path;
use std::sync::LazyLock;

static WEIGHTS: LazyLock<Weights> = LazyLock::new(|| Weights::seeded(1));
static NET: LazyLock<GoogLeNet> = LazyLock::new(|| GoogLeNet::new(&WEIGHTS).unwrap());
static INPUT: LazyLock<Input> =
    LazyLock::new(|| Picture::from_rgb(224, 224, &picture(), Resize::Stretch).unwrap().input());
/// The activations of one pass for the picture.
static PASS: LazyLock<Activations> = LazyLock::new(|| NET.forward(&INPUT));
/// All blobs of the same picture, computed by the reference path.
static BLOBS: LazyLock<Vec<Vec<f32>>> = LazyLock::new(|| reference::forward(&WEIGHTS, INPUT.values()));

/// A picture by formula, `[224][224][3]` in RGB order: rings, a saddle and a chequered pattern.
fn picture() -> Vec<u8> {
    let level = |y: usize, x: usize| {
        let red = (x * x + y * y) / 64;
        let green = (x.abs_diff(150).pow(2) + y.abs_diff(90).pow(2)) / 37;
        let blue = (x ^ y) + (x / 32 + y / 32) % 2 * 24;
        [red, green, blue].map(|level| (level % 256) as u8)
    };
    (0..224 * 224).flat_map(|pixel| level(pixel / 224, pixel % 224)).collect()
}

fn layer(name: &str) -> &'static Layer {
    NET.network().layers.iter().find(|layer| layer.name == name).unwrap()
}

fn window(name: &str) -> Window {
    match layer(name).op {
        Op::Convolution(window) | Op::MaxPool(window) => window,
        op => panic!("{op:?} has no window"),
    }
}

/// The values, the side and the channels of a blob of the reference pass.
fn blob(name: &str) -> (&'static [f32], usize, usize) {
    let id = NET.network().find(name).unwrap();
    let shape = &NET.network().blobs[id];
    (&BLOBS[id], shape.side, shape.channels)
}

/// Asserts that numbers agree within rounding, relative to the largest one.
fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= 1e-5 * largest, "value {i}: {found}, not {expected}");
    }
}

// Chapter 1: from a pixel to the tensor.

/// Given: the pixel in row 10 and column 20 of a 224x224 picture is orange: red 255, green 128,
/// blue 0. Find the three numbers that the network reads for it, their order, and their index in
/// the tensor.
#[test]
fn exercise_1_1_a_pixel_becomes_three_numbers() {
    let mut rgb = vec![90; 224 * 224 * 3];
    rgb[(10 * 224 + 20) * 3..][..3].copy_from_slice(&[255, 128, 0]);

    let orange: [f32; 3] = todo!();
    let at: usize = todo!();

    let input = Picture::from_rgb(224, 224, &rgb, Resize::Stretch).unwrap().input();
    assert_eq!(input.values()[at..at + 3], orange);
    // No other pixel is orange.
    assert_eq!(input.values().chunks(3).filter(|pixel| *pixel == orange).count(), 1);
}

/// Given: a tensor. Recover the picture.
#[test]
fn exercise_1_2_the_tensor_is_the_picture() {
    let tensor: &[f32] = INPUT.values();
    let rgb: Vec<u8> = todo!();

    assert_eq!(rgb, picture());
}

// Chapter 2: convolution.

/// A convolution with loops only, with bias and ReLU. `x` has the shape `[side][side][inputs]`, and
/// `weights` has the shape `[outputs][inputs][size][size]`.
fn convolve(x: &[f32], side: usize, weights: &[f32], bias: &[f32], window: Window) -> Vec<f32> {
    todo!()
}

/// Given: the input and the weights of conv1. Compute its output with loops only, including bias
/// and ReLU. The blank is above.
#[test]
fn exercise_2_1_a_convolution_with_loops() {
    let (weights, bias) = (WEIGHTS.weight("conv1/7x7_s2"), WEIGHTS.bias("conv1/7x7_s2"));
    let y = convolve(INPUT.values(), 224, weights, bias, Window::convolution(7, 2, 3));

    let (expected, side, channels) = blob("conv1/7x7_s2");
    assert_eq!((side, channels), (112, 64));
    assert_close(&y, expected);
    assert_close(&y, &PASS.blob("conv1/7x7_s2").unwrap());
}

/// Given: the shapes of all layers. Find the number of multiply-adds of conv1, the layer with the
/// most multiply-adds, and its share of a pass. Count zeros as well.
#[test]
fn exercise_2_2_multiply_adds_are_counted_from_shapes() {
    let conv1: usize = todo!();
    let (most_expensive, its_count): (&str, usize) = todo!();
    let percent: usize = todo!();

    let network = NET.network();
    let count =
        |layer: &Layer| network.multiply_adds_per_pixel(layer) * network.blobs[layer.output].side.pow(2);
    assert_eq!(count(layer("conv1/7x7_s2")), conv1);
    let largest = network.layers.iter().max_by_key(|layer| count(layer)).unwrap();
    assert_eq!((largest.name.as_str(), count(largest)), (most_expensive, its_count));
    let total: usize = network.layers.iter().map(count).sum();
    assert_eq!(its_count / (total / 100), percent);
}

/// Given: a 3x3 layer of the second-last inception block. Compute it as a matrix product: the
/// im2col matrix, with one row for each output pixel, times the weights, with one row for each
/// output channel. Does the result equal that of the loops of exercise 2.1 bit for bit?
#[test]
fn exercise_2_3_a_convolution_is_a_matrix_product() {
    let name = "inception_5a/3x3";
    let (x, side, inputs) = blob("inception_5a/3x3_reduce");
    let (weights, bias) = (WEIGHTS.weight(name), WEIGHTS.bias(name));
    let depth = inputs * 3 * 3;
    let patches: Vec<f32> = todo!();
    let mut y = Vec::new();
    for patch in patches.chunks(depth) {
        for (filter, bias) in weights.chunks(depth).zip(bias) {
            let sum: f32 = patch.iter().zip(filter).map(|(value, weight)| value * weight).sum();
            y.push((sum + bias).max(0.0));
        }
    }

    // If both add the terms in the same order, the bits are equal. A term with padding adds a zero,
    // which changes nothing.
    let equal_bits: bool = todo!();

    assert_eq!(y == convolve(x, side, weights, bias, window(name)), equal_bits);
    // In the block's output these channels follow those of the 1x1 branch.
    let (output, _, channels) = blob("inception_5a/output");
    let first = layer(name).channel;
    let own: Vec<f32> =
        output.chunks(channels).flat_map(|pixel| &pixel[first..first + bias.len()]).copied().collect();
    assert_close(&y, &own);
}

// Chapter 3: pooling, LRN, inception.

/// Given: the first four pools, with 3x3 windows, stride 2 and no padding, on planes of 112, 56,
/// 28 and 14 pixels per side. Find the sides of their outputs. How many values does the window of
/// the last pixel of pool1 have? Compute the output there for channel 7.
#[test]
fn exercise_3_1_a_window_may_hang_over_the_border() {
    fn output_side(side: usize) -> usize {
        todo!()
    }
    let (conv1, ..) = blob("conv1/7x7_s2");
    let value = |y: usize, x: usize| conv1[(y * 112 + x) * 64 + 7];
    let largest: f32 = todo!();

    for name in ["pool1/3x3_s2", "pool2/3x3_s2", "pool3/3x3_s2", "pool4/3x3_s2"] {
        let from = NET.network().blobs[layer(name).input].side;
        assert_eq!(blob(name).1, output_side(from), "{name}");
        assert_eq!(window(name).output_side(from), output_side(from), "{name}");
    }
    assert_eq!(blob("pool1/3x3_s2").0[(55 * 56 + 55) * 64 + 7], largest);
}

/// Given: the activations of one pixel of pool1. Local response normalisation divides an
/// activation by `(1 + alpha / 5 * s)^0.75`, with alpha = 0.0001. Here `s` is the sum of the
/// squares of five neighbouring channels, two on each side. Compute it for the pixel. Which
/// channels does the sum of the first channel cover?
#[test]
fn exercise_3_2_normalisation_is_across_channels() {
    let (pool1, ..) = blob("pool1/3x3_s2");
    let at = (30 * 56 + 17) * 64;
    let pixel = &pool1[at..at + 64];
    fn normalise(pixel: &[f32], channel: usize) -> f32 {
        todo!()
    }
    let normalised: Vec<f32> = (0..64).map(|channel| normalise(pixel, channel)).collect();

    assert_close(&normalised, &blob("pool1/norm1").0[at..at + 64]);
}

/// Given: inception block 3a reads 192 channels of 28x28 pixels. A 1x1 convolution reduces them
/// to 16 channels, and a 5x5 convolution computes 32 outputs from these. How many multiply-adds
/// does the reduction save? Which channel of the block's output is channel 3 of the 5x5
/// convolution?
#[test]
fn exercise_3_3_reducing_first_is_cheaper() {
    let direct: usize = todo!();
    let detour: usize = todo!();
    let channel: usize = todo!();

    let network = NET.network();
    let count = |name: &str| network.multiply_adds_per_pixel(layer(name)) * 28 * 28;
    assert_eq!(count("inception_3a/5x5_reduce") + count("inception_3a/5x5"), detour);
    assert_eq!(count("inception_3a/5x5") / 16 * 192, direct);
    assert_eq!(layer("inception_3a/5x5").channel + 3, channel);
}

// Chapter 4: scores.

/// Given: the logits 2, 1 and 0. Compute their probabilities by the definition. Repeat this for
/// 1002, 1001 and 1000 in `f32`. What does softmax subtract to give the same result?
#[test]
fn exercise_4_1_softmax_of_large_logits() {
    fn by_definition(logits: [f32; 3]) -> [f32; 3] {
        todo!()
    }
    let small = by_definition([2.0, 1.0, 0.0]);
    // e^1002 overflows f32, and infinity divided by infinity is not a number.
    assert!(by_definition([1002.0, 1001.0, 1000.0]).iter().all(|p| p.is_nan()));
    let subtracted: f32 = todo!();
    let large = by_definition([1002.0, 1001.0, 1000.0].map(|logit| logit - subtracted));
    assert_close(&large, &small);

    assert_close(&softmax(&[2.0, 1.0, 0.0]), &small);
    assert_eq!(softmax(&[1002.0, 1001.0, 1000.0]), softmax(&[2.0, 1.0, 0.0]));
}

/// Given: the logits of the picture. Find the five most probable classes without computing a
/// probability. Compute the probability of the first class from differences of logits alone.
#[test]
fn exercise_4_2_the_order_of_classes_is_that_of_logits() {
    let logits = PASS.blob("loss3/classifier").unwrap();
    let five: Vec<usize> = todo!();
    let first = five[0];
    let probability: f64 = todo!();

    let classification = NET.classify(&INPUT);
    assert_eq!(classification.top(5), five);
    assert!((f64::from(classification.probabilities[first]) - probability).abs() < 1e-6);
}

// Chapter 5: the occlusion map.

/// The picture with a rectangle of one colour over it. The colour has the form of the tensor.
fn covered(rect: Rect, bgr: [f32; 3]) -> Input {
    let mut values = INPUT.values().to_vec();
    for y in rect.y0..rect.y1 {
        for x in rect.x0..rect.x1 {
            values[(y * 224 + x) * 3..][..3].copy_from_slice(&bgr);
        }
    }
    Input::from_nhwc_bgr(values).unwrap()
}

/// Given: a picture of 224x224 pixels and a mask size and stride. How many positions does a sweep
/// have with a mask of 45 pixels and stride 22, clipped at the border? How many with 15 and 10?
/// How many with whole masks only (`mask_clipping` off)?
#[test]
fn exercise_5_1_positions_are_counted_along_each_axis() {
    fn clipped(stride: usize) -> usize {
        todo!()
    }
    fn whole(size: usize, stride: usize) -> usize {
        todo!()
    }
    let of_45_and_22: [usize; 2] = todo!();
    let of_15_and_10: [usize; 2] = todo!();
    assert_eq!([clipped(22), whole(45, 22)].map(|n| n * n), of_45_and_22);
    assert_eq!([clipped(10), whole(15, 10)].map(|n| n * n), of_15_and_10);

    let sweep = OcclusionSensitivity::new(&NET).mask_size([60, 100]).stride([90, 120]);
    let grid = |sweep: OcclusionSensitivity| sweep.run(&INPUT).unwrap().grid;
    assert_eq!(grid(sweep.clone()), [clipped(90), clipped(120)]);
    assert_eq!(grid(sweep.mask_clipping(false)), [whole(60, 90), whole(100, 120)]);
}

/// Given: a function that classifies. Compute an occlusion map with it: the masks are 60x60
/// pixels of the ImageNet mean, centred at rows and columns 0 and 112 and clipped, and each value
/// is the drop of the predicted class's probability.
#[test]
fn exercise_5_2_a_map_is_a_difference_of_scores() {
    let whole = NET.classify(&INPUT);
    let class = whole.best();
    let mut map = Vec::new();
    for y in [0usize, 112] {
        for x in [0usize, 112] {
            let rect = Rect { y0: y.saturating_sub(30), x0: x.saturating_sub(30), y1: y + 30, x1: x + 30 };
            let drop: f32 = todo!();
            map.push(drop);
        }
    }

    let maps = OcclusionSensitivity::new(&NET)
        .mask_size([60, 60])
        .stride([112, 112])
        .mask_value(MaskValue::TrainingMean)
        .run(&INPUT)
        .unwrap();
    assert_eq!(maps.classes, [class]);
    assert_eq!(maps.map(0).values(), map);
}

// Chapter 6: receptive fields.

/// Given: a 3x3 pool with stride 2 and no padding, whose output row `o` reads the input rows
/// `2o`, `2o + 1` and `2o + 2`. The input rows `a` to `b - 1` of 112 change. Find the output
/// rows, of 56, that can change.
#[test]
fn exercise_6_1_a_rectangle_through_a_pool() {
    let pool = Window::pool(3, 2, 0);
    for a in 0usize..112 {
        for b in a + 1..=112 {
            let (first, last): (usize, usize) = todo!();

            let reached = Rect { y0: a, x0: 0, y1: b, x1: 112 }.through(pool, 56);
            assert_eq!((reached.y0, reached.y1), (first, last + 1), "{a} to {b}");
            assert_eq!((reached.x0, reached.x1), (0, 56));
        }
    }
}

/// Given: the table of layers. Find a recursion, from the picture on, for the size of the
/// receptive field and for the jump. Apply it to every blob of both published networks.
#[test]
fn exercise_6_2_receptive_fields_by_recursion() {
    for network in [Network::googlenet(), Network::torchvision(1000)] {
        // The receptive field of a pixel of the picture is the pixel itself, and the jump is 1.
        let mut fields = vec![(1, 1); network.blobs.len()];
        for layer in &network.layers {
            let (size, stride) = match layer.op {
                Op::Convolution(window) | Op::MaxPool(window) => (window.size, window.stride),
                Op::AveragePool => (7, 1),
                _ => (1, 1),
            };
            let (width, step): (usize, usize) = fields[layer.input];
            let field: (usize, usize) = todo!();
            // The branches of an inception block have the same centre, so the widest field contains
            // the others.
            fields[layer.output] = fields[layer.output].max(field);
        }

        for (id, blob) in network.blobs.iter().enumerate() {
            let field = network.receptive_field(BlobId(id));
            assert_eq!(fields[id], (field.size, field.step), "{}", blob.name);
        }
    }
}

/// Given: a mask of 14x9 pixels at row 90 and column 100. Find the part of the first inception
/// block's 5x5 branch that it can change, by a formula for each layer. Do all activations of this
/// part change?
#[test]
fn exercise_6_3_the_reach_of_a_mask() {
    let mask = Rect { y0: 90, x0: 100, y1: 104, x1: 109 };
    // The outputs that can change, if the inputs `a` to `b - 1` do.
    fn along((a, b): (usize, usize), size: usize, stride: usize, padding: usize) -> (usize, usize) {
        todo!()
    }
    let through_all = |mut range: (usize, usize)| {
        // conv1, pool1, conv2/3x3, pool2, 5x5. LRN and 1x1 convolutions keep the rectangle.
        for (size, stride, padding) in [(7, 2, 3), (3, 2, 0), (3, 1, 1), (3, 2, 0), (5, 1, 2)] {
            range = along(range, size, stride, padding);
        }
        range
    };
    let ((y0, y1), (x0, x1)) = (through_all((90, 104)), through_all((100, 109)));

    let trace = NET.trace(&INPUT, mask, MaskValue::Auto).unwrap();
    let branch = trace.layers.iter().find(|layer| layer.name == "inception_3a/5x5").unwrap();
    assert_eq!(branch.reached, Rect { y0, x0, y1, x1 });
    // A maximum or ReLU may hide a change.
    assert!(branch.changed_pixels() <= branch.reached.area() && branch.changed_pixels() > 0);
}

// Chapter 7: zeros and bits.

/// The sums of a 1x1 convolution for one pixel. Each adds the terms in the order of `channels`
/// and rounds once per term.
fn fused_sums(pixel: &[f32], weights: &[f32], bias: &[f32], channels: &[usize]) -> Vec<f32> {
    todo!()
}

/// Given: one input pixel of inception_4a/3x3_reduce from the library's pass, and the layer's
/// weights. Compute the outputs with fused multiply-adds (`f32::mul_add`), from the bias on,
/// channel by channel. Show that the bits are the library's, also without the channels that are
/// zero, but not in reverse order. Which weight would make it wrong to skip zeros?
#[test]
fn exercise_7_1_zeros_may_be_left_out_but_the_order_counts() {
    let name = "inception_4a/3x3_reduce";
    let (weights, bias) = (WEIGHTS.weight(name), WEIGHTS.bias(name));
    let (input, output) = (PASS.blob("pool3/3x3_s2").unwrap(), PASS.blob(name).unwrap());
    let (inputs, outputs, at) = (480, bias.len(), 3 * 14 + 5);
    let pixel = &input[at * inputs..(at + 1) * inputs];
    let all: Vec<usize> = (0..inputs).collect();
    let nonzero: Vec<usize> = all.iter().copied().filter(|&channel| pixel[channel] != 0.0).collect();
    let backwards: Vec<usize> = all.iter().rev().copied().collect();

    let bits = |channels: &[usize]| -> Vec<u32> {
        fused_sums(pixel, weights, bias, channels).into_iter().map(|sum| sum.max(0.0).to_bits()).collect()
    };
    let library: Vec<u32> =
        output[at * outputs..(at + 1) * outputs].iter().map(|value| value.to_bits()).collect();
    assert_eq!(bits(&all), library);
    assert_eq!(bits(&nonzero), library);
    assert!((1..inputs).contains(&nonzero.len()), "{} are not zero", nonzero.len());
    assert_ne!(bits(&backwards), library);
    let harmful_weight: f32 = todo!();
    assert!((0.0 * harmful_weight).is_nan());
}

/// Find three `f32` numbers whose sum depends on the order.
#[test]
fn exercise_7_2_additions_are_rounded() {
    let [a, b, c]: [f32; 3] = todo!();

    assert_ne!((a + b) + c, (a + c) + b);
}

// Chapter 8: reading a map.

/// Given: the probabilities of the fifty most probable classes at each position. Find the
/// positions where the predicted class certainly stays the most probable, and those where it
/// certainly does not.
#[test]
fn exercise_8_1_a_margin_tells_where_the_class_stays() {
    let top = NET.classify(&INPUT).top(50);
    let sweep = OcclusionSensitivity::new(&NET).classes(top.clone()).mask_size([60, 60]).stride([75, 75]);
    let maps = sweep.run(&INPUT).unwrap();
    let count = maps.grid[0] * maps.grid[1];
    let (mut stays, mut goes) = (0, 0);
    for (position, &most_probable) in maps.argmax.iter().enumerate() {
        let known: Vec<f32> = (0..50).map(|k| maps.scores[k * count + position]).collect();
        let (certainly_stays, certainly_goes): (bool, bool) = todo!();
        if certainly_stays {
            assert_eq!(most_probable, top[0]);
            stays += 1;
        } else if certainly_goes {
            assert_ne!(most_probable, top[0]);
            goes += 1;
        }
    }
    // At the other positions the fifty classes do not decide it.
    assert!(stays > 0 && goes > 0 && stays + goes < count, "{stays} and {goes} of {count}");
}

/// Given: a map that is zero at a position. Does this mean that the network does not need the
/// covered part? Find a mask that the network cannot see at a blue square, although the square
/// affects the scores.
#[test]
fn exercise_8_2_a_mask_that_the_network_cannot_see() {
    // The picture with a square of one colour that affects the scores.
    let square = Rect { y0: 82, x0: 82, y1: 142, x1: 142 };
    let input = covered(square, [151.0, -117.0, -123.0]); // blue
    let unseen: MaskValue = todo!();
    let sweep = OcclusionSensitivity::new(&NET).mask_size([60, 60]).stride([112, 112]).score(Score::Logit);
    let map = |value: MaskValue| sweep.clone().mask_value(value).run(&input).unwrap().map(0);

    // The fourth position covers the square.
    let (same, other) = (map(unseen), map(MaskValue::TrainingMean));
    assert_eq!(same.get(1, 1), 0.0);
    assert!(other.get(1, 1).abs() > 0.01 && same.get(0, 0).abs() > 0.01, "{same:?}, {other:?}");
    let trace = NET.trace(&input, square, unseen).unwrap();
    assert!(trace.layers.iter().all(|layer| layer.changed_pixels() == 0 && !layer.reached.is_empty()));
}

/// Given: a mask over the left half of the picture, one over the right half, and one over both.
/// Is the drop under the last mask the sum of the other two drops?
#[test]
fn exercise_8_3_two_masks_and_their_union() {
    let [left, right, all] = [(0, 112), (112, 224), (0, 224)].map(|(x0, x1)| Rect { y0: 0, x0, y1: 224, x1 });
    let whole = NET.classify(&INPUT);
    let class = whole.best();
    let drop = |rect: Rect| whole.logits[class] - NET.classify(&covered(rect, [0.0; 3])).logits[class];
    let adds_up: bool = todo!();

    let (sum, both) = (drop(left) + drop(right), drop(all));
    assert_eq!((sum - both).abs() < 0.1 * both.abs(), adds_up, "{sum} and {both}");
}

// Chapter 9: Grad-CAM.

/// A value for each of the 49 pixels of the last plane.
fn class_activation_map(class: usize) -> Vec<f64> {
    let plane: Vec<f32> = PASS.blob("inception_5b/output").unwrap();
    let weights: &[f32] = &WEIGHTS.weight("loss3/classifier")[class * 1024..][..1024];
    todo!()
}

/// Given: the activations of the last plane and the classifier's weights. The classifier reads
/// the mean of each channel over the 49 pixels: `l_c = sum over k of W_ck mean(A_k) + b_c`.
/// Exchange the two sums, and find the map whose mean is the logit without its bias. (It is the
/// class activation map of Zhou et al., 2016.) The blank is above.
#[test]
fn exercise_9_1_a_logit_is_the_mean_of_a_map() {
    let bias = WEIGHTS.bias("loss3/classifier");
    let mean = |class: usize| class_activation_map(class).iter().sum::<f64>() / 49.0;
    let logits: Vec<f32> = (0..1000).map(|class| mean(class) as f32 + bias[class]).collect();

    assert_close(&logits, &PASS.classification().logits);
}

/// Given: one activation of the last plane. Measure how much the probability of the predicted
/// class rises when the activation rises a little, by running the last layers. Compare with the
/// formula `p_c / 49 * (W_ck - sum over j of p_j W_jk)`. Does the location matter?
#[test]
fn exercise_9_2_a_gradient_is_a_quotient_of_small_differences() {
    let plane: Vec<f64> = PASS.blob("inception_5b/output").unwrap().into_iter().map(f64::from).collect();
    let (weights, bias) = (WEIGHTS.weight("loss3/classifier"), WEIGHTS.bias("loss3/classifier"));
    let weight = |class: usize, channel: usize| f64::from(weights[class * 1024 + channel]);
    let probabilities = |plane: &[f64]| -> Vec<f64> {
        let mean = |k: usize| plane.iter().skip(k).step_by(1024).sum::<f64>() / 49.0;
        let means: Vec<f64> = (0..1024).map(mean).collect();
        let logit = |j: usize| (0..1024).map(|k| weight(j, k) * means[k]).sum::<f64>() + f64::from(bias[j]);
        let powers: Vec<f64> = (0..1000).map(|j| logit(j).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(|power| power / sum).collect()
    };
    let p = probabilities(&plane);
    let class = PASS.classification().best();
    for (pixel, channel) in [(0, 3), (24, 3), (24, 700), (48, 1023)] {
        let moved = |by: f64| {
            let mut plane = plane.clone();
            plane[pixel * 1024 + channel] += by;
            probabilities(&plane)[class]
        };
        let measured = (moved(0.01) - moved(-0.01)) / 0.02;
        let formula: f64 = todo!();
        assert!((measured - formula).abs() < 1e-4 * formula.abs(), "{measured} is not {formula}");
    }
}

/// Given: class activation maps and probabilities. Compute Grad-CAM of a class from them.
#[test]
fn exercise_9_3_grad_cam_is_a_difference_of_class_activation_maps() {
    let classification = NET.classify(&INPUT);
    let (class, probabilities) = (classification.best(), &classification.probabilities);
    let map: Vec<f32> = todo!();

    assert_close(&map, NET.grad_cam(&PASS, &[class]).unwrap().map(0).values());
    assert!(map.iter().any(|&value| value > 0.0));
}

// Chapter 10: regions.

/// Given: the values of a map. Compute Otsu's threshold in one pass over the sorted values.
#[test]
fn exercise_10_1_otsus_threshold_needs_one_pass() {
    let map: Vec<f32> =
        (0..500).map(|i| ((i * i % 83) as f32 - 20.0) / if i % 3 == 0 { 9.0 } else { 70.0 }).collect();
    let mut values: Vec<f32> = map.iter().map(|value| value.max(0.0)).collect();
    values.sort_by(f32::total_cmp);
    let threshold: f32 = todo!();

    assert_eq!(Threshold::Otsu.level(&map).unwrap(), Some(threshold));
}

// Chapter 11: teaching.

/// Given: the features, the classes and a trained classifier. Compute the gradient of loss and price by
/// each weight, and see that it is zero.
#[test]
fn exercise_11_1_the_gradient_is_zero_at_the_lowest_point() {
    let (count, width, classes, l2) = (30, 6, 3, 0.05);
    let mut features = Features::new(width).unwrap();
    for row in 0..count {
        let level = |column: usize| ((row * 7 + column * row * 5) % 11) as f32 / 11.0;
        features.push(&(0..width).map(level).collect::<Vec<_>>()).unwrap();
    }
    let targets: Vec<usize> = (0..count).map(|row| row % classes).collect();
    let fit = Fit { features: &features, targets: &targets, classes, fixed: None, l2 };
    let classifier = fit.run(&(0..count).collect::<Vec<_>>()).unwrap();
    let probabilities = |row: usize| -> Vec<f64> {
        let powers: Vec<f64> = classifier.logits(features.row(row)).iter().map(|logit| logit.exp()).collect();
        powers.iter().map(|power| power / powers.iter().sum::<f64>()).collect()
    };
    for class in 0..classes {
        for column in 0..width {
            let gradient: f64 = todo!();
            assert!(gradient.abs() < 1e-4, "class {class}, feature {column}: {gradient}");
        }
    }
}

/// Given: the built-in network, taught with six views of a cat and six of a pattern; its map of the
/// cat; and a box around the cat, beside which there is only the room. On what does the map rest? Compute
/// the share of its positive drops that are at mask centres in the box. (The chapter asks the same about
/// photographs of your own.)
#[cfg(feature = "builtin")]
#[test]
fn exercise_11_2_the_map_of_a_taught_network_rests_on_the_cat() {
    let net = GoogLeNet::new(&Weights::builtin()).unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/chelsea.png");
    let photographs = [Photograph::open(file).unwrap(), Photograph::from_rgb(224, 224, &picture()).unwrap()];
    let mut features = Features::new(net.features_len()).unwrap();
    for view in photographs.iter().flat_map(|photograph| photograph.views(Resize::Stretch)) {
        features.push(&net.features(&view.input())).unwrap();
    }
    let targets: Vec<usize> = (0..12).map(|row| row / 6).collect();
    let fit = Fit { features: &features, targets: &targets, classes: 2, fixed: None, l2: 0.01 };
    let taught = fit.run(&(0..12).collect::<Vec<_>>()).unwrap().replace_in_network(&net).unwrap();

    let cat = photographs[0].picture(Resize::Stretch).input();
    let maps = OcclusionSensitivity::new(&taught).classes([0]).score(Score::Logit).run(&cat).unwrap();
    let box_of_cat = Rect { y0: 0, x0: 0, y1: 224, x1: 188 };
    let [rows, columns] = maps.grid;
    let is_inside = |row: usize, column: usize| {
        let [y, x] = maps.centre(row, column);
        (box_of_cat.y0..box_of_cat.y1).contains(&y) && (box_of_cat.x0..box_of_cat.x1).contains(&x)
    };
    let drop = |row: usize, column: usize| maps.map(0).get(row, column).max(0.0);
    let share: f32 = todo!();

    // The cat has more of the evidence than of the picture.
    let of_picture = (box_of_cat.height() * box_of_cat.width()) as f32 / (224.0 * 224.0);
    assert!(share > of_picture && share < 1.0, "{share} of the evidence, {of_picture} of the picture");
}

fn main() {
    println!("cargo test --release --example exercises exercise_1_1");
}

//! Exercises to the chapters of `docs/`, with solutions. The comment above a test is the exercise, its body a solution; the last
//! lines compare with what the library says. Everything runs on the random network of `Weights::seeded`, without a file:
//! `cargo test --release --test engine exercises::`.

use crate::common::{SEED, picture};
use occlude::forward::softmax;
use occlude::network::geometry::{Rect, Window};
use occlude::network::{Layer, Network, Op};
use occlude::{
    Activations, Error, GoogLeNet, Input, MaskValue, OcclusionSensitivity, Picture, Resize, Score, Weights,
    reference,
};
use std::sync::LazyLock;

static WEIGHTS: LazyLock<Weights> = LazyLock::new(|| Weights::seeded(SEED));
static NET: LazyLock<GoogLeNet> = LazyLock::new(|| GoogLeNet::new(&WEIGHTS).unwrap());
static INPUT: LazyLock<Input> =
    LazyLock::new(|| Picture::from_rgb(224, 224, &picture(), Resize::Stretch).unwrap().input());
/// One pass over the picture.
static PASS: LazyLock<Activations> = LazyLock::new(|| NET.forward(&INPUT));
/// All blobs of the same pass by the reference path.
static BLOBS: LazyLock<Vec<Vec<f32>>> = LazyLock::new(|| reference::forward(&WEIGHTS, INPUT.values()));

fn layer(name: &str) -> &'static Layer {
    NET.network().layers.iter().find(|layer| layer.name == name).unwrap()
}

fn window(name: &str) -> Window {
    match layer(name).op {
        Op::Convolution(window) | Op::MaxPool(window) => window,
        op => panic!("{op:?} has no window"),
    }
}

/// The blob of this name of the reference pass: its values, its side and its channels.
fn blob(name: &str) -> (&'static [f32], usize, usize) {
    let id = NET.network().find(name).unwrap();
    let shape = &NET.network().blobs[id];
    (&BLOBS[id], shape.side, shape.channels)
}

/// Whether numbers agree within rounding: some 1e-6 of the largest one.
fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= 1e-5 * largest, "value {i}: {found}, not {expected}");
    }
}

// Chapter 1: from a pixel to the tensor.

/// The pixel in row 10 and column 20 of a 224x224 picture is orange: red 255, green 128, blue 0. Which three numbers does the
/// network read for it, in which order, and where in the tensor do they stand?
#[test]
fn exercise_1_1_a_pixel_becomes_three_numbers() {
    let mut rgb = vec![90; 224 * 224 * 3];
    rgb[(10 * 224 + 20) * 3..][..3].copy_from_slice(&[255, 128, 0]);

    // Blue first, each minus the mean of ImageNet's pictures: 104, 117, 123.
    let orange = [0.0 - 104.0, 128.0 - 117.0, 255.0 - 123.0];
    // [224][224][3]: 10 rows of 224 pixels and 20 more pixels come before, three values each.
    let at = 6780;

    let input = Picture::from_rgb(224, 224, &rgb, Resize::Stretch).unwrap().input();
    assert_eq!(input.values()[at..at + 3], orange);
    // No other pixel is orange.
    assert_eq!(input.values().chunks(3).filter(|pixel| *pixel == orange).count(), 1);
}

/// Turn the tensor back into the picture that it came from.
#[test]
fn exercise_1_2_the_tensor_is_the_picture() {
    let rgb: Vec<u8> = INPUT
        .values()
        .chunks(3)
        .flat_map(|pixel| [pixel[2] + 123.0, pixel[1] + 117.0, pixel[0] + 104.0])
        .map(|level| level as u8)
        .collect();

    assert_eq!(rgb, picture());
}

// Chapter 2: convolution.

/// A convolution with six loops: over the rows, columns and channels of the output, and over channels, rows and columns of the
/// window. `x` is `[side][side][inputs]`, `weights` are `[outputs][inputs][size][size]`.
fn convolve(x: &[f32], side: usize, weights: &[f32], bias: &[f32], window: Window) -> Vec<f32> {
    let Window { size, stride, padding, .. } = window;
    let (inputs, outputs) = (x.len() / side / side, bias.len());
    let output_side = (side + 2 * padding - size) / stride + 1;
    let mut y = vec![0.0; output_side * output_side * outputs];
    for oy in 0..output_side {
        for ox in 0..output_side {
            for output in 0..outputs {
                let mut sum = 0.0;
                for input in 0..inputs {
                    for ky in 0..size {
                        for kx in 0..size {
                            // In the padded plane; outside of the plane itself there are zeros.
                            let (py, px) = (oy * stride + ky, ox * stride + kx);
                            let inside = padding..side + padding;
                            if inside.contains(&py) && inside.contains(&px) {
                                let pixel = (py - padding) * side + px - padding;
                                let weight = ((output * inputs + input) * size + ky) * size + kx;
                                sum += x[pixel * inputs + input] * weights[weight];
                            }
                        }
                    }
                }
                y[(oy * output_side + ox) * outputs + output] = (sum + bias[output]).max(0.0);
            }
        }
    }
    y
}

/// Write a convolution as nothing but loops, with bias and ReLU, and compute conv1 with it.
#[test]
fn exercise_2_1_a_convolution_is_six_loops() {
    let (weights, bias) = (WEIGHTS.weight("conv1/7x7_s2"), WEIGHTS.bias("conv1/7x7_s2"));
    let y = convolve(INPUT.values(), 224, weights, bias, Window::convolution(7, 2, 3));

    let (expected, side, channels) = blob("conv1/7x7_s2");
    assert_eq!((side, channels), (112, 64));
    assert_close(&y, expected);
    assert_close(&y, &PASS.blob("conv1/7x7_s2").unwrap());
}

/// How many multiply-adds does conv1 take? Which layer takes the most, and what share of the pass? Zeros count.
#[test]
fn exercise_2_2_multiply_adds_are_counted_from_shapes() {
    // An output takes a product for each place of the window in each channel.
    let conv1 = 112 * 112 * 64 * (7 * 7 * 3);
    // The largest one has a large plane and many channels on both sides.
    let conv2 = 56 * 56 * 192 * (3 * 3 * 64);

    let network = NET.network();
    let count =
        |layer: &Layer| network.multiply_adds_per_pixel(layer) * network.blobs[layer.output].side.pow(2);
    assert_eq!(count(layer("conv1/7x7_s2")), conv1);
    let largest = network.layers.iter().max_by_key(|layer| count(layer)).unwrap();
    assert_eq!((largest.name.as_str(), count(largest)), ("conv2/3x3", conv2));
    let total: usize = network.layers.iter().map(count).sum();
    assert_eq!(100 * conv2 / total, 21);
}

/// Write a convolution as a matrix product: im2col, a row a pixel of the output, times the weights, a row an output channel.
/// Compute a layer of the last inception block but one with it. Are its sums those of the loops, bit for bit? (They are, if the
/// products are added in the same order: then a product with padding adds a zero, which changes nothing.)
#[test]
fn exercise_2_3_a_convolution_is_a_matrix_product() {
    let name = "inception_5a/3x3";
    let (x, side, inputs) = blob("inception_5a/3x3_reduce");
    let (weights, bias) = (WEIGHTS.weight(name), WEIGHTS.bias(name));
    let depth = inputs * 3 * 3;
    let mut patches = vec![0.0; side * side * depth];
    for (pixel, patch) in patches.chunks_mut(depth).enumerate() {
        for (k, value) in patch.iter_mut().enumerate() {
            // In the order of a filter's weights: channel, row, column. The window is padded by one.
            let (input, ky, kx) = (k / 9, k / 3 % 3, k % 3);
            let (py, px) = (pixel / side + ky, pixel % side + kx);
            if (1..=side).contains(&py) && (1..=side).contains(&px) {
                *value = x[((py - 1) * side + px - 1) * inputs + input];
            }
        }
    }
    let mut y = Vec::new();
    for patch in patches.chunks(depth) {
        for (filter, bias) in weights.chunks(depth).zip(bias) {
            let sum: f32 = patch.iter().zip(filter).map(|(value, weight)| value * weight).sum();
            y.push((sum + bias).max(0.0));
        }
    }

    assert_eq!(y, convolve(x, side, weights, bias, window(name)));
    // In the block's output, these channels stand after those of the 1x1 branch.
    let (output, _, channels) = blob("inception_5a/output");
    let first = layer(name).channel;
    let own: Vec<f32> =
        output.chunks(channels).flat_map(|pixel| &pixel[first..first + bias.len()]).copied().collect();
    assert_close(&y, &own);
}

// Chapter 3: pooling, LRN, inception.

/// The first four pools take 3x3 windows with stride 2, without padding, of planes of 112, 56, 28 and 14 pixels a side. How large
/// are their outputs? Compute channel 7 of the last pixel of pool1: how many values does its window have?
#[test]
fn exercise_3_1_a_window_may_hang_over_the_border() {
    // Caffe rounds up: a window that begins in the plane is taken, as far as it goes. (Rounding down gives 55, 27, 13 and 6.)
    let side = |side: usize| (side - 3).div_ceil(2) + 1;
    assert_eq!([112, 56, 28, 14].map(side), [56, 28, 14, 7]);
    // Pixel 55 reads rows and columns 110, 111 and 112, the last of which are not there: four values.
    let (conv1, ..) = blob("conv1/7x7_s2");
    let value = |y: usize, x: usize| conv1[(y * 112 + x) * 64 + 7];
    let largest = value(110, 110).max(value(110, 111)).max(value(111, 110)).max(value(111, 111));

    for name in ["pool1/3x3_s2", "pool2/3x3_s2", "pool3/3x3_s2", "pool4/3x3_s2"] {
        let from = NET.network().blobs[layer(name).input].side;
        assert_eq!(blob(name).1, side(from), "{name}");
        assert_eq!(window(name).output_side(from), side(from), "{name}");
    }
    assert_eq!(blob("pool1/3x3_s2").0[(55 * 56 + 55) * 64 + 7], largest);
}

/// Local response normalisation divides a value by `(1 + alpha / 5 * s)^0.75`, alpha = 0.0001, where `s` is the sum of the
/// squares of the values in five neighbouring channels, two on each side. Compute it for one pixel of pool1. What of the first
/// channel?
#[test]
fn exercise_3_2_normalisation_is_across_channels() {
    let (pool1, ..) = blob("pool1/3x3_s2");
    let at = (30 * 56 + 17) * 64;
    let pixel = &pool1[at..at + 64];
    let normalised: Vec<f32> = (0..64)
        .map(|channel: usize| {
            // The first channel has none before it, the last none after: zeros, as it were.
            let around = &pixel[channel.saturating_sub(2)..(channel + 3).min(64)];
            let squares: f64 = around.iter().map(|&value| f64::from(value).powi(2)).sum();
            (f64::from(pixel[channel]) / (1.0 + 0.0001 / 5.0 * squares).powf(0.75)) as f32
        })
        .collect();

    assert_close(&normalised, &blob("pool1/norm1").0[at..at + 64]);
}

/// Inception block 3a reads 192 channels of 28x28 pixels. Its 5x5 convolution has 32 outputs and reads not these but 16 channels,
/// which a 1x1 convolution makes of them. How many multiply-adds does this detour save? Which channel of the block's output is
/// channel 3 of the 5x5 convolution?
#[test]
fn exercise_3_3_reducing_first_is_cheaper() {
    let direct = 28 * 28 * 32 * (5 * 5 * 192);
    let detour = 28 * 28 * 16 * 192 + 28 * 28 * 32 * (5 * 5 * 16);
    assert_eq!((direct, detour), (120_422_400, 12_443_648)); // nearly a tenth
    // 64 channels of the 1x1 branch and 128 of the 3x3 branch come before.
    let channel = 64 + 128 + 3;

    let network = NET.network();
    let count = |name: &str| network.multiply_adds_per_pixel(layer(name)) * 28 * 28;
    assert_eq!(count("inception_3a/5x5_reduce") + count("inception_3a/5x5"), detour);
    assert_eq!(layer("inception_3a/5x5").channel + 3, channel);
}

// Chapter 4: scores.

/// Compute the probabilities of the logits 2, 1 and 0 by the definition. What do you get for 1002, 1001 and 1000, in `f32`, and
/// what does softmax subtract so that it does not matter?
#[test]
fn exercise_4_1_adding_a_constant_to_all_logits_changes_nothing() {
    fn by_definition(logits: [f32; 3]) -> [f32; 3] {
        let powers = logits.map(f32::exp);
        powers.map(|power| power / powers.iter().sum::<f32>())
    }
    let small = by_definition([2.0, 1.0, 0.0]);
    // e^1002 is no f32: infinity by infinity.
    assert!(by_definition([1002.0, 1001.0, 1000.0]).iter().all(|p| p.is_nan()));
    // exp(l + a) / sum of exp(l_j + a) = exp(a) exp(l) / (exp(a) sum of exp(l_j)): the constant cancels, so take the largest
    // logit away.
    let large = by_definition([1002.0, 1001.0, 1000.0].map(|logit| logit - 1002.0));
    assert_close(&large, &small);

    assert_close(&softmax(&[2.0, 1.0, 0.0]), &small);
    assert_eq!(softmax(&[1002.0, 1001.0, 1000.0]), softmax(&[2.0, 1.0, 0.0]));
}

/// Which are the five most probable classes of the picture? Find them without computing a probability, and then say what the
/// probability of the first is, from the differences of the logits alone.
#[test]
fn exercise_4_2_the_order_of_classes_is_that_of_logits() {
    let logits = PASS.blob("loss3/classifier").unwrap();
    let mut classes: Vec<usize> = (0..logits.len()).collect();
    classes.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
    let first = classes[0];
    let probability = 1.0 / logits.iter().map(|&logit| f64::from(logit - logits[first]).exp()).sum::<f64>();

    let classification = NET.classify(&INPUT);
    assert_eq!(classification.top(5), classes[..5]);
    assert!((f64::from(classification.probabilities[first]) - probability).abs() < 1e-6);
}

// Chapter 5: the occlusion map.

/// The picture with a rectangle of one colour over it; the colour as the tensor has it.
fn covered(rect: Rect, bgr: [f32; 3]) -> Input {
    let mut values = INPUT.values().to_vec();
    for y in rect.y0..rect.y1 {
        for x in rect.x0..rect.x1 {
            values[(y * 224 + x) * 3..][..3].copy_from_slice(&bgr);
        }
    }
    Input::from_nhwc_bgr(values).unwrap()
}

/// How many positions has a sweep with a mask of 45 pixels every 22 pixels, clipped at the border, over 224 pixels? One of 15
/// every 10? And with whole masks only (`mask_clipping` off)?
#[test]
fn exercise_5_1_positions_are_counted_along_each_axis() {
    // Clipped, centres are at 0, stride, 2 stride, .. below 224, whatever the mask's size.
    let clipped = |stride: usize| 224usize.div_ceil(stride);
    assert_eq!((clipped(22).pow(2), clipped(10).pow(2)), (121, 529));
    // Whole, the first pixels are at 0, stride, .. as long as the mask ends in the image.
    let whole = |size: usize, stride: usize| (224 - size) / stride + 1;
    assert_eq!((whole(45, 22).pow(2), whole(15, 10).pow(2)), (81, 441));

    let sweep = OcclusionSensitivity::new(&NET).mask_size([60, 100]).stride([90, 120]);
    let grid = |sweep: OcclusionSensitivity| sweep.run(&INPUT).unwrap().grid;
    assert_eq!(grid(sweep.clone()), [clipped(90), clipped(120)]);
    assert_eq!(grid(sweep.mask_clipping(false)), [whole(60, 90), whole(100, 120)]);
}

/// Make an occlusion map yourself: 60x60 pixels of the training mean, centred at rows and columns 0 and 112, clipped; for each
/// the drop of the predicted class's probability.
#[test]
fn exercise_5_2_a_map_is_a_difference_of_scores() {
    let whole = NET.classify(&INPUT);
    let class = whole.best();
    let mut map = Vec::new();
    for y in [0usize, 112] {
        for x in [0usize, 112] {
            let rect = Rect { y0: y.saturating_sub(30), x0: x.saturating_sub(30), y1: y + 30, x1: x + 30 };
            // The training mean is what the tensor is without: zero.
            let occluded = NET.classify(&covered(rect, [0.0; 3]));
            map.push(whole.probabilities[class] - occluded.probabilities[class]);
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

/// A 3x3 pool with stride 2 and without padding reads rows `2o`, `2o + 1` and `2o + 2` for its row `o`. Which of its 56 rows can
/// change when rows `a` to `b - 1` of the 112 do?
#[test]
fn exercise_6_1_a_rectangle_through_a_pool() {
    let pool = Window::pool(3, 2, 0);
    for a in 0usize..112 {
        for b in a + 1..=112 {
            // The first row o whose last one, 2o + 2, is not before a; the last row o whose first one, 2o, is before b.
            let (first, last) = (a.saturating_sub(1) / 2, (b - 1) / 2);

            let reached = Rect { y0: a, x0: 0, y1: b, x1: 112 }.through(pool, 56);
            assert_eq!((reached.y0, reached.y1), (first, last + 1), "{a} to {b}");
            assert_eq!((reached.x0, reached.x1), (0, 56));
        }
    }
}

/// How many pixels wide is the part of the image that an activation depends on, and how far apart are the parts of two
/// neighbours? Find a recursion over the table, from the image on, and apply it to every blob of both published networks.
#[test]
fn exercise_6_2_receptive_fields_by_recursion() {
    for network in [Network::googlenet(), Network::torchvision(1000)] {
        // A pixel of the image depends on itself, and the next one is one further.
        let mut fields = vec![(1, 1); network.blobs.len()];
        for layer in &network.layers {
            let (size, stride) = match layer.op {
                Op::Convolution(window) | Op::MaxPool(window) => (window.size, window.stride),
                Op::AveragePool => (7, 1),
                _ => (1, 1),
            };
            // It reads `size` neighbours, each of which is `width` pixels wide and `step` pixels from the next.
            let (width, step) = fields[layer.input];
            let field = (width + (size - 1) * step, step * stride);
            // Of an inception block's branches the widest counts: they have the same middle.
            fields[layer.output] = fields[layer.output].max(field);
        }

        for (id, blob) in network.blobs.iter().enumerate() {
            let field = network.receptive_field(id);
            assert_eq!(fields[id], (field.size, field.step), "{}", blob.name);
        }
    }
}

/// Cover 14x9 pixels at row 90 and column 100. Which part of the plane can change in the first inception block's 5x5 branch?
/// Follow the rectangle through the layers by a formula. Does all of it change?
#[test]
fn exercise_6_3_the_reach_of_a_mask() {
    let mask = Rect { y0: 90, x0: 100, y1: 104, x1: 109 };
    // o reads o * stride - padding .. o * stride - padding + size.
    let along = |(a, b): (usize, usize), size: usize, stride: usize, padding: usize| {
        ((a + padding + 1).saturating_sub(size).div_ceil(stride), (b - 1 + padding) / stride + 1)
    };
    let through_all = |mut range: (usize, usize)| {
        // conv1, pool1, conv2/3x3, pool2, 5x5; LRN and 1x1 convolutions pass a rectangle on as it is.
        for (size, stride, padding) in [(7, 2, 3), (3, 2, 0), (3, 1, 1), (3, 2, 0), (5, 1, 2)] {
            range = along(range, size, stride, padding);
        }
        range
    };
    let ((y0, y1), (x0, x1)) = (through_all((90, 104)), through_all((100, 109)));

    let trace = NET.trace(&INPUT, mask, MaskValue::Auto).unwrap();
    let branch = trace.layers.iter().find(|layer| layer.name == "inception_3a/5x5").unwrap();
    assert_eq!(branch.reached, Rect { y0, x0, y1, x1 });
    // A maximum or a ReLU may hide a change on the way.
    assert!(branch.changed_pixels() <= branch.reached.area() && branch.changed_pixels() > 0);
}

// Chapter 7: zeros and bits.

/// The sums of a 1x1 convolution for one pixel, product by product in the order of `channels`, each rounded once.
fn fused_sums(pixel: &[f32], weights: &[f32], bias: &[f32], channels: &[usize]) -> Vec<f32> {
    let filters = weights.chunks(pixel.len()).zip(bias);
    let sum = |(filter, &bias): (&[f32], &f32)| {
        channels.iter().fold(bias, |sum, &channel| pixel[channel].mul_add(filter[channel], sum))
    };
    filters.map(sum).collect()
}

/// Compute one pixel of inception_4a/3x3_reduce from the library's own pass with fused multiply-adds (`f32::mul_add`), from the
/// bias on and channel after channel: you get the library's bits. Leave out the channels that are zero: the bits stay. How many
/// are they? Go through the channels backwards: now they do not. Which weights would make it wrong to leave out zeros?
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
    // Zero times infinity is not a number, so a product with zero would not be zero. `Weights` refuses such weights.
    assert!((0.0 * f32::INFINITY).is_nan());
    let mut file = crate::common::seeded_tensors();
    file[1].bytes[..4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    let refused = Weights::from_bytes("infinite", &crate::common::safetensors(&file));
    assert!(matches!(refused, Err(Error::Weights { .. })));
}

/// Find three numbers whose sum in `f32` depends on the order. Which order has the right sum?
#[test]
fn exercise_7_2_additions_are_rounded() {
    // Next to 1e8, f32 has only every eighth number.
    let [large, one] = [1e8f32, 1.0];
    assert_eq!((large + one) - large, 0.0);
    assert_eq!((large - large) + one, 1.0);
}

// Chapter 8: reading a map.

/// A sweep follows the fifty most probable classes, and of these alone you know the probability at each position. Where is it
/// certain that the predicted class stays the most probable one, and where that it does not?
#[test]
fn exercise_8_1_a_margin_tells_where_the_class_stays() {
    let top = NET.classify(&INPUT).top(50);
    let sweep = OcclusionSensitivity::new(&NET).classes(top.clone()).mask_size([60, 60]).stride([75, 75]);
    let maps = sweep.run(&INPUT).unwrap();
    let count = maps.grid[0] * maps.grid[1];
    let (mut stays, mut goes) = (0, 0);
    for (position, &most_probable) in maps.argmax.iter().enumerate() {
        let known: Vec<f32> = (0..50).map(|k| maps.scores[k * count + position]).collect();
        let best_other = known[1..].iter().copied().fold(0.0, f32::max);
        // All classes that are not known have this together, and one of them may have all of it.
        let rest = 1.0 - known.iter().sum::<f32>();
        if known[0] > best_other.max(rest) + 1e-6 {
            assert_eq!(most_probable, top[0]);
            stays += 1;
        } else if known[0] < best_other {
            assert_ne!(most_probable, top[0]);
            goes += 1;
        }
    }
    // At the others, the fifty classes are too few to know.
    assert!(stays > 0 && goes > 0 && stays + goes < count, "{stays} and {goes} of {count}");
}

/// A map is zero at a position. Does the network not need what is there? Give the mask the colour of what it covers, and say what
/// changes: in the scores, and in each layer.
#[test]
fn exercise_8_2_covering_with_the_same_colour_changes_nothing() {
    // The picture with a square of one colour, which matters.
    let square = Rect { y0: 82, x0: 82, y1: 142, x1: 142 };
    let input = covered(square, [151.0, -117.0, -123.0]); // blue
    let blue = MaskValue::Rgb([0.0, 0.0, 255.0]);
    let sweep = OcclusionSensitivity::new(&NET).mask_size([60, 60]).stride([112, 112]).score(Score::Logit);
    let map = |value: MaskValue| sweep.clone().mask_value(value).run(&input).unwrap().map(0);

    // The square is the fourth of the positions.
    let (same, other) = (map(blue), map(MaskValue::TrainingMean));
    assert_eq!(same.get(1, 1), 0.0);
    assert!(other.get(1, 1).abs() > 0.01 && same.get(0, 0).abs() > 0.01, "{same:?}, {other:?}");
    let trace = NET.trace(&input, square, blue).unwrap();
    assert!(trace.layers.iter().all(|layer| layer.changed_pixels() == 0 && !layer.reached.is_empty()));
}

/// Cover the left half of the picture, the right half, and both. Is the drop of both the sum of the two drops?
#[test]
fn exercise_8_3_drops_do_not_add_up() {
    let [left, right, all] = [(0, 112), (112, 224), (0, 224)].map(|(x0, x1)| Rect { y0: 0, x0, y1: 224, x1 });
    let whole = NET.classify(&INPUT);
    let class = whole.best();
    let drop = |rect: Rect| whole.logits[class] - NET.classify(&covered(rect, [0.0; 3])).logits[class];

    let (sum, both) = (drop(left) + drop(right), drop(all));
    assert!((sum - both).abs() > 0.1 * both.abs(), "{sum} and {both}");
}

// Chapter 9: Grad-CAM.

/// The sum of a class's weights times the 1024 channels, at each of the 49 places of the last plane.
fn class_activation_map(class: usize) -> Vec<f64> {
    let plane = PASS.blob("inception_5b/output").unwrap();
    let weights = &WEIGHTS.weight("loss3/classifier")[class * 1024..][..1024];
    let value = |pixel: &[f32]| pixel.iter().zip(weights).map(|(&a, &w)| f64::from(a) * f64::from(w)).sum();
    plane.chunks(1024).map(value).collect()
}

/// The classifier reads the mean of each channel over the 49 places of the last plane:
/// `l_c = sum over k of W_ck mean(A_k) + b_c`. Exchange the sums: which map has the logit, but for the bias, as its mean? (It is
/// the class activation map of Zhou et al., 2016.)
#[test]
fn exercise_9_1_a_logit_is_the_mean_of_a_map() {
    let bias = WEIGHTS.bias("loss3/classifier");
    let mean = |class: usize| class_activation_map(class).iter().sum::<f64>() / 49.0;
    let logits: Vec<f32> = (0..1000).map(|class| mean(class) as f32 + bias[class]).collect();

    assert_close(&logits, &PASS.classification().logits);
}

/// How much does the probability of the predicted class rise when one channel of the last plane rises a little at one place?
/// Measure it for a few, by running what comes behind, and compare with the formula `p_c / 49 * (W_ck - sum over j of p_j W_jk)`.
/// Does the place matter?
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
    for (place, channel) in [(0, 3), (24, 3), (24, 700), (48, 1023)] {
        let moved = |by: f64| {
            let mut plane = plane.clone();
            plane[place * 1024 + channel] += by;
            probabilities(&plane)[class]
        };
        let measured = (moved(0.01) - moved(-0.01)) / 0.02;
        let expected_weight: f64 = (0..1000).map(|j| p[j] * weight(j, channel)).sum();
        let formula = p[class] / 49.0 * (weight(class, channel) - expected_weight);
        assert!((measured - formula).abs() < 1e-4 * formula.abs(), "{measured} is not {formula}");
    }
}

/// Put both together: Grad-CAM of a class, from class activation maps and probabilities alone.
#[test]
fn exercise_9_3_grad_cam_is_a_difference_of_class_activation_maps() {
    // The sum over k of A_k times the formula of the exercise before, and only what is positive.
    let classification = NET.classify(&INPUT);
    let (class, probabilities) = (classification.best(), &classification.probabilities);
    let own = class_activation_map(class);
    let mut expected = vec![0.0; 49];
    for (other, &p) in probabilities.iter().enumerate() {
        for (sum, value) in expected.iter_mut().zip(class_activation_map(other)) {
            *sum += f64::from(p) * value;
        }
    }
    let scale = f64::from(probabilities[class]) / 49.0;
    let map: Vec<f32> =
        own.iter().zip(&expected).map(|(own, expected)| (scale * (own - expected)).max(0.0) as f32).collect();

    assert_close(&map, NET.grad_cam(&PASS, &[class]).unwrap().map(0).values());
    assert!(map.iter().any(|&value| value > 0.0));
}

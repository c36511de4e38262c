//! Compares the trained network with the reference outputs of an independent float64
//! implementation.

use crate::common::shared;
use occlude::network::geometry::Rect;
use occlude::{GoogLeNet, Input, MaskValue, OcclusionSensitivity};
use safetensors::SafeTensors;
use std::path::PathBuf;

/// A file of reference outputs.
struct Expected(Vec<u8>);

impl Expected {
    fn floats(&self, name: &str) -> Option<Vec<f32>> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = tensors.tensor(name).ok()?;
        Some(tensor.data().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect())
    }

    fn integers(&self, name: &str) -> Vec<usize> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = tensors.tensor(name).unwrap();
        tensor.data().as_chunks().0.iter().map(|&b| i64::from_le_bytes(b) as usize).collect()
    }

    /// The network's input, `[224][224][3]`. The file stores planes.
    fn input(&self) -> Input {
        let planes = self.floats("input").unwrap();
        let pixels = planes.len() / 3;
        let values =
            (0..pixels).flat_map(|i| (0..3).map(move |c| c * pixels + i)).map(|i| planes[i]).collect();
        Input::from_nhwc_bgr(values).unwrap()
    }
}

/// The trained network and the reference outputs of these images. Returns `None` with a report if
/// they are missing.
fn trained<const N: usize>(images: [&str; N]) -> Option<(GoogLeNet, [Expected; N])> {
    let weights: PathBuf = shared("weights/bvlc_googlenet.safetensors")?;
    let files = images.map(|image| shared(&format!("reference/{image}.safetensors")));
    if files.iter().any(Option::is_none) {
        return None;
    }
    let expected = files.map(|file| Expected(std::fs::read(file.unwrap()).unwrap()));
    Some((GoogLeNet::load(weights).unwrap(), expected))
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn every_blob_is_within_1e_5() {
    let Some((net, [chelsea])) = trained(["chelsea"]) else { return };
    let activations = net.forward(&chelsea.input());
    let mut compared = 0;
    for blob in &net.network().blobs {
        let Some(want) = chelsea.floats(&format!("blob:{}", blob.name)) else { continue };
        let got = activations.blob(&blob.name).unwrap();
        let pixels = blob.side * blob.side;
        let planes: Vec<f32> =
            (0..want.len()).map(|i| got[i % pixels * blob.channels + i / pixels]).collect();
        let largest = want.iter().copied().map(f32::abs).fold(0.0, f32::max);
        let error = largest_difference(&planes, &want) / largest;
        assert!(error <= 1e-5, "{}: {error:e}", blob.name);
        compared += 1;
    }
    assert_eq!(compared, 20);
}

#[test]
fn probabilities_are_within_5e_6() {
    let images = ["chelsea", "miniature_poodle", "tibetan_terrier", "cat_dog"];
    let Some((net, expected)) = trained(images) else { return };
    for (image, expected) in images.iter().zip(&expected) {
        let got = net.classify(&expected.input());
        let error = largest_difference(&got.probabilities, &expected.floats("prob").unwrap());
        assert!(error <= 5e-6, "{image}: {error:e}");
        assert_eq!(got.top(3), expected.integers("top3"), "{image}");
    }
}

#[test]
fn grad_cams_are_within_1e_5() {
    let images = ["chelsea", "miniature_poodle", "tibetan_terrier", "cat_dog"];
    let Some((net, expected)) = trained(images) else { return };
    for (image, expected) in images.iter().zip(&expected) {
        let found = net.grad_cam(&net.forward(&expected.input()), &expected.integers("top3")).unwrap();
        let want = expected.floats("gradcam").unwrap();
        assert_eq!((found.grid, found.maps.len()), ([7, 7], want.len()));
        for (k, want) in want.chunks(49).enumerate() {
            // The map of the Tibetan terrier's third class is all zeros.
            let largest = want.iter().copied().fold(0.0, f32::max);
            let error = largest_difference(found.map(k).values(), want);
            assert!(error <= 1e-5 * largest, "{image} {k}: {:e} of the largest", error / largest);
            // Small values are the remainder after positive and negative channels cancel, and they
            // contain the whole error of the blob. With the reference's blob their error would be
            // 1e-6.
            for (found, want) in found.map(k).iter().zip(want).filter(|(_, want)| **want > 1e-3 * largest) {
                assert!((found - want).abs() <= 2e-4 * want, "{image} {k}: {found}, not {want}");
            }
        }
    }
}

#[test]
fn sweeps_are_within_5e_6_and_equal_to_exhaustive_ones() {
    let images = ["chelsea", "miniature_poodle", "tibetan_terrier", "cat_dog"];
    let Some((net, expected)) = trained(images) else { return };
    for (image, expected) in images.iter().zip(&expected) {
        let (input, top3) = (expected.input(), expected.integers("top3"));
        for (tag, size, stride, value) in [
            ("m45_s22_auto", [45, 45], [22, 22], MaskValue::Auto),
            ("m15_s10_auto", [15, 15], [10, 10], MaskValue::Auto),
            ("m30x12_s25x31_zero", [30, 12], [25, 31], MaskValue::TrainingMean),
        ] {
            let sweep = OcclusionSensitivity::new(&net)
                .mask_size(size)
                .stride(stride)
                .mask_value(value)
                .classes(top3.clone());
            let maps = sweep.run(&input).unwrap();
            let error = largest_difference(
                &maps.scores,
                &expected.floats(&format!("sweep:{tag}:prob_top3")).unwrap(),
            );
            assert!(error <= 5e-6, "{image} {tag}: scores off by {error:e}");
            let drops: Vec<f32> = (0..3).flat_map(|k| maps.map(k).values().to_vec()).collect();
            let error =
                largest_difference(&drops, &expected.floats(&format!("sweep:{tag}:drop_top3")).unwrap());
            assert!(error <= 5e-6, "{image} {tag}: map off by {error:e}");
            assert_eq!(maps.argmax, expected.integers(&format!("sweep:{tag}:argmax")), "{image} {tag}");
            // A region in the middle, where masks affect most activations. A whole sweep takes long
            // if it skips nothing.
            let middle = sweep.region(Rect { y0: 90, x0: 90, y1: 140, x1: 140 });
            let maps = middle.run(&input).unwrap();
            assert_eq!(maps, middle.clone().threads(1).run(&input).unwrap(), "{image} {tag}");
            assert_eq!(maps, middle.exhaustive(true).run(&input).unwrap(), "{image} {tag}");
        }
    }
}

//! Helpers that several tests use: files of `../shared`, the formula picture, and the committed
//! reference outputs for it.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::fs;
#[cfg(feature = "cli")]
pub mod command;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::process::Command;
use std::sync::OnceLock;

use occlude::network::{INPUT_SIDE, MEAN_BGR};
use occlude::{GoogLeNet, Input, MaskValue, OcclusionSensitivity, Weights, reference};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use tempfile::NamedTempFile;

/// A file of the folder that contains `weights/bvlc_googlenet.safetensors` (the published network),
/// photographs and reference outputs. `$OCCLUDE_WEIGHTS` names the weights file. Without it the
/// test reports this and passes; with `OCCLUDE_REQUIRE_WEIGHTS=1` it fails.
pub fn shared(path: &str) -> Option<PathBuf> {
    let weights = std::env::var_os("OCCLUDE_WEIGHTS").map(PathBuf::from);
    let folder = weights.as_deref().and_then(Path::parent).and_then(Path::parent);
    // Tests run the command in other folders, so the path must be absolute.
    let found = folder.and_then(|folder| folder.join(path).canonicalize().ok());
    if found.is_none() {
        assert!(
            std::env::var("OCCLUDE_REQUIRE_WEIGHTS").is_err(),
            "{path} is required in the folder above that of $OCCLUDE_WEIGHTS, but does not exist"
        );
        // The test harness hides the output of `eprintln!` while tests pass.
        let _ = writeln!(
            io::stderr(),
            "SKIPPED: this test needs {path} beside the published network, which $OCCLUDE_WEIGHTS does not name"
        );
    }
    found
}

/// The command in a process that can start no thread. The limit does not hold for root, so root's
/// process becomes another user, who must be allowed to read the program and its files. Without the
/// program `setpriv` for this the test reports it and passes.
#[cfg(unix)]
pub fn without_threads(command: &Command) -> Option<Command> {
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let user = if is_root { "setpriv --reuid 65533 --regid 65533 --clear-groups" } else { "" };
    if is_root && Command::new("setpriv").arg("--version").output().is_err() {
        let _ = writeln!(io::stderr(), "SKIPPED: as root this test needs the program setpriv");
        return None;
    }
    let mut limited = Command::new("sh");
    // bash and others call the option -u, dash calls it -p.
    let line = format!("ulimit -u 1 2>/dev/null || ulimit -p 1; exec {user} \"$@\"");
    limited.args(["-c", &line, "sh"]).arg(command.get_program()).args(command.get_args());
    Some(limited)
}

/// One tensor of a weights file.
pub struct Tensor {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

/// The tensors of the random network, which every machine can compute.
pub fn seeded_tensors() -> Vec<Tensor> {
    let tensor = |(name, shape, values): (String, Vec<usize>, &[f32])| {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Tensor { name, dtype: Dtype::F32, shape, bytes }
    };
    Weights::seeded(1).tensors().map(tensor).collect()
}

/// The bytes of a weights file.
pub fn safetensors(tensors: &[Tensor]) -> Vec<u8> {
    let views = tensors.iter().map(|t| {
        let view = TensorView::new(t.dtype, t.shape.clone(), &t.bytes).unwrap();
        (t.name.as_str(), view)
    });
    safetensors::serialize(views, None).unwrap()
}

/// The weights file of [`seeded_tensors`].
pub fn seeded_weights() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        // Another test program that runs at the same time uses the same file. It never sees a
        // partial file.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let (file, whole) = (folder.join("seeded.safetensors"), NamedTempFile::new_in(folder).unwrap());
        fs::write(&whole, safetensors(&seeded_tensors())).unwrap();
        whole.persist(&file).unwrap();
        file
    })
}

/// The first outputs of splitmix64 as integers in -2^23 .. 2^23: `integers()` of
/// `tools/seeded.py`.
pub fn integers(mut seed: u64, count: usize) -> Vec<i64> {
    let mut next = || {
        seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    (0..count).map(|_| (next() >> 40) as i64 - (1 << 23)).collect()
}

/// The seed of the network that [`Reference::seeded`] describes.
pub const SEED: u64 = 1;

/// A picture by formula, `[224][224][3]` in RGB order: rings, a saddle and a chequered xor pattern.
/// It equals `picture()` of `tools/seeded.py`.
pub fn picture() -> Vec<u8> {
    let mut rgb = Vec::new();
    for y in 0..INPUT_SIDE {
        for x in 0..INPUT_SIDE {
            let red = (x * x + y * y) / 64;
            let green = (x.abs_diff(150).pow(2) + y.abs_diff(90).pow(2)) / 37;
            let blue = (x ^ y) + (x / 32 + y / 32) % 2 * 24;
            rgb.extend([red, green, blue].map(|level| (level % 256) as u8));
        }
    }
    rgb
}

/// The picture as the network's input, `[224][224][3]`: blue, green and red minus the training
/// mean.
pub fn picture_input() -> Vec<f32> {
    let bgr = |pixel: &[u8; 3]| std::array::from_fn::<_, 3, _>(|c| f32::from(pixel[2 - c]) - MEAN_BGR[c]);
    picture().as_chunks().0.iter().flat_map(bgr).collect()
}

/// The contents of `seeded.safetensors`, `torchvision.safetensors` or `builtin.safetensors` in
/// `tests/data`.
pub struct Reference {
    /// The 64 most probable classes in descending order, with their logits and probabilities.
    pub classes: Vec<usize>,
    pub logits: Vec<f32>,
    pub prob: Vec<f32>,
    pub blobs: Vec<BlobReference>,
    /// A sweep with mask 60, stride 56, clipped masks, and the training mean as the mask value.
    /// `[2][4][4]`: the drop of the probability of the first two of `classes`. `[4][4]`: the most
    /// probable class.
    pub sweep_drop: Vec<f32>,
    pub sweep_argmax: Vec<usize>,
    /// Grad-CAM of the first two of `classes`, `[2][7][7]`.
    pub gradcam: Vec<f32>,
    /// The logits of `classes` for pictures that are prepared without `transform_input`. Only one
    /// file contains them.
    pub logits_without_transform_input: Vec<f32>,
}

/// A blob: its mean, its largest absolute value, and some of its values by their flat index in
/// `[side][side][channels]`.
pub struct BlobReference {
    pub name: String,
    pub mean: f32,
    pub max_abs: f32,
    pub samples: Vec<(usize, f32)>,
}

const PLAIN_LOGITS: &str = "logits_without_transform_input";

impl Reference {
    /// The reference outputs of the seeded network.
    pub fn seeded() -> Reference {
        Reference::read("seeded.safetensors")
    }

    /// Reads a file of `tests/data`.
    pub fn read(file: &str) -> Reference {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file);
        let bytes = std::fs::read(path).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let words = |name: &str, dtype| {
            let tensor = tensors.tensor(name).unwrap();
            assert_eq!(tensor.dtype(), dtype, "{name}");
            tensor.data().as_chunks().0.to_vec()
        };
        let floats =
            |name| -> Vec<f32> { words(name, Dtype::F32).into_iter().map(f32::from_le_bytes).collect() };
        let indices = |name| -> Vec<usize> {
            words(name, Dtype::U32).into_iter().map(|word| u32::from_le_bytes(word) as usize).collect()
        };

        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let names = &header.metadata().as_ref().unwrap()["blobs"];
        let names: Vec<String> = serde_json::from_str(names).unwrap();
        let (mean, max_abs) = (floats("blob_mean"), floats("blob_max_abs"));
        let samples: Vec<_> = indices("sample_index").into_iter().zip(floats("sample")).collect();
        assert_eq!(samples.len(), 8 * names.len());
        let blobs = names.into_iter().enumerate().map(|(i, name)| BlobReference {
            name,
            mean: mean[i],
            max_abs: max_abs[i],
            samples: samples[8 * i..][..8].to_vec(),
        });
        Reference {
            blobs: blobs.collect(),
            classes: indices("classes"),
            logits: floats("logits"),
            prob: floats("prob"),
            sweep_drop: floats("sweep_drop"),
            sweep_argmax: indices("sweep_argmax"),
            gradcam: floats("gradcam"),
            logits_without_transform_input: match tensors.tensor(PLAIN_LOGITS) {
                Ok(_) => floats(PLAIN_LOGITS),
                Err(_) => Vec::new(),
            },
        }
    }
}

/// The largest accepted error: relative to the largest value for blobs, absolute for probabilities
/// and drops.
pub const TOLERANCE: f32 = 2e-5;

impl Reference {
    /// Compares every blob of both forward passes.
    pub fn check_blobs(&self, weights: &Weights, net: &GoogLeNet, input: &Input) {
        let plain = reference::forward(weights, input.values());
        let fast = net.forward(input);
        // All blobs except the image.
        assert_eq!(self.blobs.len() + 1, net.network().blobs.len());
        for blob in &self.blobs {
            let name = &blob.name;
            let id = net.network().find(name).unwrap_or_else(|| panic!("the table lacks {name}"));
            for values in [&plain[id], &fast.blob(name).unwrap()] {
                let off = |found: f32, wanted: f32| (found - wanted).abs() / blob.max_abs;
                for &(index, sample) in &blob.samples {
                    let error = off(values[index], sample);
                    assert!(
                        error <= TOLERANCE,
                        "{name}[{index}] is {}, not {sample}: {error:e}",
                        values[index]
                    );
                }
                let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
                assert!(off(mean as f32, blob.mean) <= TOLERANCE, "{name}: mean {mean}, not {}", blob.mean);
            }
        }
    }

    /// Compares the scores, the sweep and the Grad-CAM of a network in torchvision's form.
    pub fn check_scores(&self, net: &GoogLeNet, input: &Input) {
        let swept = self.classes[..2].to_vec();
        let sweep = OcclusionSensitivity::new(net)
            .mask_size([60, 60])
            .stride([56, 56])
            .mask_value(MaskValue::TrainingMean)
            .classes(swept.clone());
        let maps = sweep.run(input).unwrap();
        let said = &maps.classification;
        assert_eq!(said.logits.len(), self.classes.len());
        assert_eq!(said.top(8), self.classes[..8]);
        for (i, &class) in self.classes.iter().enumerate() {
            assert!((said.logits[class] - self.logits[i]).abs() <= TOLERANCE * self.logits[0].abs());
            assert!((said.probabilities[class] - self.prob[i]).abs() <= TOLERANCE);
        }
        let drops = [maps.map(0).values(), maps.map(1).values()].concat();
        for (found, wanted) in drops.iter().zip(&self.sweep_drop) {
            assert!((found - wanted).abs() <= TOLERANCE, "{found}, not {wanted}");
        }
        assert_eq!(maps.argmax, self.sweep_argmax);

        let cam = net.grad_cam(&net.forward(input), &swept).unwrap();
        assert_eq!((cam.layer.as_str(), cam.grid), ("inception5b", [7, 7]));
        for (found, wanted) in cam.maps.chunks(49).zip(self.gradcam.chunks(49)) {
            let largest = wanted.iter().copied().fold(0.0, f32::max);
            assert!(largest > 0.0);
            for (found, wanted) in found.iter().zip(wanted) {
                assert!((found - wanted).abs() <= TOLERANCE * largest, "{found}, not {wanted}");
            }
        }
    }
}

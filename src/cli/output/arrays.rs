//! The numbers of an explanation as arrays in the formats `.npy`, `.npz` (NumPy) and safetensors.
//! The bytes of the files depend only on the numbers and the options.

use std::collections::HashMap;
use std::io::{Cursor, Write};
use std::iter;

use occlude::network::INPUT_SIDE;
use occlude::network::geometry::Rect;
use occlude::{Placement, Upsampling};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::json;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::cli::args::{Aggregate, ArrayFile, Arrays};
use crate::cli::explanation::Explanation;
use crate::cli::output::subject::Subjects;

/// Little-endian values in row-major order.
struct Array {
    name: &'static str,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Array {
    fn floats(name: &'static str, shape: &[usize], values: &[f32]) -> Array {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Array { name, dtype: Dtype::F32, shape: shape.to_vec(), bytes }
    }

    fn indices(name: &'static str, shape: &[usize], values: &[usize]) -> Array {
        Array::integers(name, shape, values.iter().map(|&value| value as i64))
    }

    fn integers(name: &'static str, shape: &[usize], values: impl Iterator<Item = i64>) -> Array {
        let bytes = values.flat_map(i64::to_le_bytes).collect();
        Array { name, dtype: Dtype::I64, shape: shape.to_vec(), bytes }
    }

    fn places(name: &'static str, places: impl Iterator<Item = f64>) -> Array {
        let values: Vec<f32> = places.map(|place| place as f32).collect();
        Array::floats(name, &[values.len()], &values)
    }

    fn npy(&self) -> Vec<u8> {
        let dtype = match self.dtype {
            Dtype::F32 => "<f4",
            _ => "<i8",
        };
        npy(dtype, &self.shape, &self.bytes)
    }
}

/// A `.npy` file in format version 1.0, as specified by `numpy.lib.format`.
fn npy(dtype: &str, shape: &[usize], bytes: &[u8]) -> Vec<u8> {
    // In Python, a tuple of one element has a trailing comma.
    let shape: String = shape.iter().map(|length| format!("{length}, ")).collect();
    let header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({}), }}", shape.trim_end());
    // Padding lets the values begin at a multiple of 64 bytes. Magic, version and length have 10.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((length as u16).to_le_bytes());
    file.extend(format!("{header:<0$}\n", length - 1).into_bytes());
    file.extend(bytes);
    file
}

/// A `.npy` file of texts: each has as many characters of 32 bits as the longest.
fn npy_texts(shape: &[usize], texts: &[&str]) -> Vec<u8> {
    let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or_default().max(1);
    let padded =
        |text: &&str| text.chars().map(u32::from).chain(iter::repeat(0)).take(longest).collect::<Vec<_>>();
    let bytes: Vec<u8> = texts.iter().flat_map(padded).flat_map(u32::to_le_bytes).collect();
    npy(&format!("<U{longest}"), shape, &bytes)
}

/// All arrays of an explanation, the maps first.
fn arrays(explanation: &Explanation, upsampled: bool) -> Vec<Array> {
    let maps = &explanation.maps;
    let ([ny, nx], classes, features) = (maps.grid, maps.classes.len(), &maps.features);
    let of_classes = |map: &dyn Fn(usize) -> Vec<f32>| (0..classes).flat_map(map).collect::<Vec<f32>>();
    let mut arrays = vec![
        Array::floats("maps", &[classes, ny, nx], &of_classes(&|k| maps.map(k).values().to_vec())),
        Array::floats("scores", &[classes, ny, nx], &maps.scores),
        Array::floats("base_scores", &[classes], &maps.base_scores),
        Array::indices("classes", &[classes], &maps.classes),
        Array::indices("argmax", &[ny, nx], &maps.argmax),
        Array::floats("argmax_scores", &[ny, nx], &maps.argmax_scores),
    ];
    arrays.extend(geometry(explanation));
    if upsampled {
        let area = maps.area();
        let pixels = of_classes(&|k| maps.upsampled(k, Upsampling::Bicubic));
        arrays.push(Array::floats("upsampled", &[classes, area.height(), area.width()], &pixels));
    }
    if explanation.aggregate == Aggregate::Windows {
        let shape = [classes, INPUT_SIDE, INPUT_SIDE];
        arrays.push(Array::floats("attributions", &shape, &of_classes(&|k| maps.attributions(k))));
    }
    if !features.is_empty() {
        let grids = [features.len(), ny, nx];
        let drops: Vec<f32> =
            (0..features.len()).flat_map(|f| maps.feature_map(f).values().to_vec()).collect();
        let totals: Vec<f32> = features.iter().flat_map(|feature| &feature.totals).copied().collect();
        let base_totals: Vec<f32> = features.iter().map(|feature| feature.base_total).collect();
        let channels: Vec<usize> = features.iter().map(|feature| feature.channel).collect();
        arrays.push(Array::floats("activations", &grids, &drops));
        arrays.push(Array::floats("activation_totals", &grids, &totals));
        arrays.push(Array::floats("activation_base_totals", &[features.len()], &base_totals));
        arrays.push(Array::indices("activation_channels", &[features.len()], &channels));
    }
    arrays
}

/// The numbers that lay the maps over the network's picture and the photograph.
fn geometry(explanation: &Explanation) -> Vec<Array> {
    let maps = &explanation.maps;
    let (Rect { y0, x0, y1, x1 }, lattice) = (maps.area(), maps.lattice(Placement::Centres));
    let framing = explanation.photograph.framing(explanation.resize);
    let size = [explanation.photograph.height(), explanation.photograph.width()];
    let centres = |axis: usize| (0..maps.grid[axis]).map(move |i| lattice.place(axis, i));
    let on_photograph = |axis: usize| centres(axis).map(move |at| framing.to_photograph(axis, at));
    // In matplotlib's order.
    let edges = [(1, x0), (1, x1), (0, y1), (0, y0)];
    let mut arrays = match &maps.segments {
        Some(segments) => vec![
            Array::integers(
                "segment_numbers",
                &[segments.count()],
                segments.numbers().iter().map(|&number| i64::from(number)),
            ),
            Array::integers(
                "segments",
                &[INPUT_SIDE; 2],
                segments.of_pixel().iter().map(|segment| segment.map_or(-1, i64::from)),
            ),
            Array::indices("photo_size", &[2], &size),
        ],
        None => vec![
            Array::indices("mask_size", &[2], &maps.mask_size),
            Array::indices("stride", &[2], &maps.stride),
            Array::indices("photo_size", &[2], &size),
            Array::places("centres_y", centres(0)),
            Array::places("centres_x", centres(1)),
            Array::places("photo_centres_y", on_photograph(0)),
            Array::places("photo_centres_x", on_photograph(1)),
        ],
    };
    arrays.extend([
        Array::places("extent", edges.iter().map(|&(_, edge)| edge as f64)),
        Array::places(
            "photo_extent",
            edges.iter().map(|&(axis, edge)| framing.to_photograph(axis, edge as f64)),
        ),
    ]);
    arrays
}

/// The requested files as (name, contents).
pub fn files(explanation: &Explanation, asked: &Arrays) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    if asked.arrays.is_empty() {
        return files;
    }
    let arrays = arrays(explanation, asked.upsampled);
    let mut add = |file, name: &str, contents: &dyn Fn() -> Vec<u8>| {
        if asked.arrays.contains(&file) {
            files.push((name.to_string(), contents()));
        }
    };
    add(ArrayFile::Npy, "maps.npy", &|| arrays[0].npy());
    add(ArrayFile::Npz, "maps.npz", &|| npz(&arrays, explanation));
    add(ArrayFile::Safetensors, "maps.safetensors", &|| safetensors(&arrays, options(explanation)));
    files
}

fn npz(arrays: &[Array], explanation: &Explanation) -> Vec<u8> {
    let maps = &explanation.maps;
    let names: Vec<String> = (0..maps.classes.len()).map(|k| explanation.subject(k)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut files: Vec<(&str, Vec<u8>)> = arrays.iter().map(|array| (array.name, array.npy())).collect();
    files.push(("image", npy_texts(&[], &[&explanation.image.to_string_lossy()])));
    files.push(("class_names", npy_texts(&[names.len()], &names)));
    files.push(("score_name", npy_texts(&[], &[&maps.score.to_string()])));
    // A constant date, so that equal numbers give equal files.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, contents) in files {
        let written = zip.start_file(format!("{name}.npy"), options);
        written.expect("names differ, and memory can be written");
        zip.write_all(&contents).expect("far below the 4 GB of a file in a zip");
    }
    zip.finish().expect("memory can be written").into_inner()
}

fn safetensors(arrays: &[Array], options: String) -> Vec<u8> {
    let views = arrays.iter().map(|array| {
        let view = TensorView::new(array.dtype, array.shape.clone(), &array.bytes);
        (array.name, view.expect("as many values as the shape says"))
    });
    // One entry only: the order of several entries would be random.
    let metadata = HashMap::from([("options".to_string(), options)]);
    safetensors::serialize(views, Some(metadata)).expect("names differ, and the header is small")
}

/// The inputs and options of the run, as a JSON object of strings in the syntax of the options.
fn options(explanation: &Explanation) -> String {
    let maps = &explanation.maps;
    let size = |[height, width]: [usize; 2]| format!("{height}x{width}");
    let region = &maps.region;
    let features = maps.features.iter().map(|feature| format!("{}:{}", feature.layer, feature.channel));
    let options = json!({
        "image": explanation.image.to_string_lossy(),
        "image_sha256": explanation.image_sha256,
        "network": explanation.network,
        "weights_sha256": explanation.weights_sha256,
        "resize": explanation.resize.to_string(),
        "mask_size": size(maps.mask_size),
        "stride": size(maps.stride),
        "mask_value": maps.mask_value.to_string(),
        "mask_clipping": if maps.mask_clipping { "on" } else { "off" },
        "region": format!("{},{},{},{}", region.y0, region.x0, region.y1, region.x1),
        "score": maps.score.to_string(),
        "aggregate": match explanation.aggregate {
            Aggregate::None => "none",
            Aggregate::Windows => "windows",
        },
        "activation": features.collect::<Vec<_>>().join(","),
    });
    options.to_string()
}

//! The safetensors file of a network.

use std::collections::BTreeMap;
use std::fmt::Write;

use occlude::Weights;
use serde::Serialize;

/// The entry of a tensor in the header of a safetensors file, with the fields in the order of the
/// published file.
#[derive(Serialize)]
struct TensorInfo<'a> {
    dtype: &'static str,
    shape: &'a [usize],
    data_offsets: [usize; 2],
}

/// The bytes of a safetensors file with the tensors in the order of their names.
pub fn safetensors(weights: &Weights) -> Vec<u8> {
    safetensors_with(weights, &BTreeMap::from_iter(weights.metadata()))
}

/// [`safetensors`] with other metadata than that of the weights.
pub fn safetensors_with(weights: &Weights, metadata: &impl Serialize) -> Vec<u8> {
    let mut tensors: Vec<_> = weights.tensors().collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));

    let metadata = json(metadata);
    let mut header = format!("{{\"__metadata__\":{metadata}");
    let mut offset = 0;
    for (name, shape, values) in &tensors {
        let end = offset + 4 * values.len();
        let info = TensorInfo { dtype: "F32", shape, data_offsets: [offset, end] };
        write!(header, ",{}:{}", json(name), json(&info)).expect("writing to a string");
        offset = end;
    }
    header.push('}');
    // The numbers are aligned to 8 bytes.
    header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));

    let mut bytes = Vec::with_capacity(8 + header.len() + offset);
    bytes.extend((header.len() as u64).to_le_bytes());
    bytes.extend(header.bytes());
    for (_, _, values) in tensors {
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
    bytes
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data")
}

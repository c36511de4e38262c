//! A reader for safetensors files: a header in JSON, then the numbers of all tensors.
//!
//! The header is read first and compared with the network's table (`Layout`). Numbers are read only
//! after that.

use std::collections::HashMap;
use std::io::{self, Read};
use std::ops::Range;

use ::safetensors::{Dtype, SafeTensorError, SafeTensors};

use super::number::Number;
use super::tensor::Tensor;
use crate::error::{Error, Result};
use crate::memory::room;
use crate::text::shown;

/// Largest header in bytes. The header of the published file has 11 kB, that of torchvision's twice
/// as much, and the names of 32768 classes add a few MB. A larger first number is not the length of
/// a header.
const MAX_HEADER: u64 = 1 << 22;

/// Largest number of values in the header. The crate `safetensors` takes many times the memory of a
/// short value. GoogLeNet's header has 3000 values.
const MAX_VALUES: usize = 1 << 16;

/// Number of bytes that are read at once. They stay in the second-level cache until they are
/// converted.
const CHUNK: usize = 1 << 18;

/// The entry of one tensor in the header.
pub(super) struct Entry {
    pub name: String,
    pub shape: Vec<usize>,
    dtype: Dtype,
    /// Position of its numbers in bytes after the end of the header.
    bytes: Range<usize>,
}

/// The header of a file.
pub(super) struct Header {
    /// Sorted by the position of their numbers in the file, which has no gaps between them.
    pub entries: Vec<Entry>,
    /// Free text, by key.
    pub metadata: HashMap<String, String>,
}

/// Reads the header of a file of `size` bytes.
pub(super) fn read_header(name: &str, size: u64, reader: &mut dyn Read) -> Result<Header> {
    let refuse = |problem: String| Error::weights(name, problem);
    let mut length = [0; 8];
    fill(name, size, reader, &mut length)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER {
        return Err(refuse(format!(
            "not a safetensors file of this network: its first 8 bytes claim a header of {length} bytes, expected at most {MAX_HEADER}"
        )));
    }
    if length > size - 8 {
        return Err(refuse(format!(
            "truncated: {size} bytes, but its header alone claims {length}; fetch the file again"
        )));
    }
    // The buffer has the length of the file, because the crate `safetensors` compares it with the
    // header. Only the header is filled in; zeroed pages that are never written take no memory.
    // Memory for it is asked for first, because the zeroed pages end the program where there is none.
    let missing = |problem| Error::Memory { purpose: "reading the weights", problem };
    drop(room::<u8>(size as usize).map_err(missing)?);
    let mut head = vec![0; size as usize];
    head[..8].copy_from_slice(&length.to_le_bytes());
    fill(name, size, reader, &mut head[8..8 + length as usize])?;
    let values = commas(&head[8..8 + length as usize]);
    if values > MAX_VALUES {
        return Err(refuse(format!(
            "not a safetensors file of this network: its header has {values} values, expected at most {MAX_VALUES}"
        )));
    }
    let (_, header) = SafeTensors::read_metadata(&head).map_err(|error| match error {
        SafeTensorError::MetadataIncompleteBuffer => refuse(format!(
            "{size} bytes, but its header describes another number of them: truncated, or with something after its last \
             tensor; fetch the file again"
        )),
        // The name in this error depends on the order of a hash table.
        SafeTensorError::InvalidOffset(_) => refuse(
            "not a safetensors file: its header is damaged (the bytes of tensors overlap, or there is a gap between them)"
                .to_string(),
        ),
        SafeTensorError::TensorInvalidInfo | SafeTensorError::ValidationOverflow => refuse(
            "not a safetensors file: its header is damaged (a tensor has another number of bytes than its shape)"
                .to_string(),
        ),
        _ => refuse(
            "not a safetensors file: its header is damaged (it is not the JSON text of such a file); fetch the file again"
                .to_string(),
        ),
    })?;
    drop(head);
    let entry = |(name, info): (String, &::safetensors::tensor::TensorInfo)| Entry {
        name,
        shape: info.shape.clone(),
        dtype: info.dtype,
        bytes: info.data_offsets.0..info.data_offsets.1,
    };
    let mut entries: Vec<Entry> = header.tensors().into_iter().map(entry).collect();
    // Empty tensors are sorted by name, so that messages do not depend on the order of a hash
    // table.
    entries.sort_by(|a, b| (a.bytes.start, a.bytes.end, &a.name).cmp(&(b.bytes.start, b.bytes.end, &b.name)));
    Ok(Header { entries, metadata: header.metadata().clone().unwrap_or_default() })
}

/// The number of commas in JSON outside of strings.
fn commas(json: &[u8]) -> usize {
    let (mut is_string, mut is_escaped, mut count) = (false, false, 0);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_string,
            b'"' => is_string = !is_string,
            b',' => count += usize::from(!is_string),
            _ => {}
        }
    }
    count
}

/// Refuses tensors of an unsupported number type; the message names the first of them by name.
pub(super) fn check_types<'a>(entries: impl Iterator<Item = &'a Entry>) -> std::result::Result<(), String> {
    match entries.filter(|entry| number(entry.dtype).is_none()).min_by_key(|entry| &entry.name) {
        Some(Entry { name, dtype, .. }) => Err(format!(
            "tensor {} has dtype {dtype:?}, expected F32, F16, BF16 or F64; save it after `.float()`",
            shown(name)
        )),
        None => Ok(()),
    }
}

/// Reads the tensors of a file of `size` bytes after its header. `keep` returns the name of a
/// tensor, or `None` to skip it.
pub(super) fn read_tensors(
    name: &str,
    size: u64,
    reader: &mut dyn Read,
    entries: Vec<Entry>,
    keep: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Tensor>> {
    let missing = |problem| Error::Memory { purpose: "reading the weights", problem };
    let mut tensors = Vec::new();
    let mut chunk = vec![0; CHUNK];
    for entry in entries {
        let kept = keep(&entry.name).zip(number(entry.dtype));
        let mut values = Vec::new();
        if let Some((_, number)) = kept {
            let count = entry.bytes.len() / number.size();
            values = room(count).map_err(missing)?;
        }
        let mut left = entry.bytes.len();
        while left > 0 {
            let bytes = &mut chunk[..CHUNK.min(left)];
            fill(name, size, reader, bytes)?;
            left -= bytes.len();
            if let Some((_, number)) = kept {
                number.extend(&mut values, bytes);
            }
        }
        if let Some((name, _)) = kept {
            tensors.push(Tensor { name, shape: entry.shape, values });
        }
    }
    Ok(tensors)
}

/// The number type of a dtype; `None` for integers and floats of 8 bits.
fn number(dtype: Dtype) -> Option<Number> {
    match dtype {
        Dtype::F16 => Some(Number::F16),
        Dtype::BF16 => Some(Number::Bf16),
        Dtype::F32 => Some(Number::F32),
        Dtype::F64 => Some(Number::F64),
        _ => None,
    }
}

/// Fills `bytes` from a stream that should have `size` bytes in total.
fn fill(name: &str, size: u64, reader: &mut dyn Read, bytes: &mut [u8]) -> Result<()> {
    reader.read_exact(bytes).map_err(|source| match source.kind() {
        io::ErrorKind::UnexpectedEof => {
            Error::weights(name, format!("ended before its {size} bytes were read"))
        }
        _ => Error::io(name, "read")(source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_strings_do_not_count() {
        for (json, count) in
            [("{\"a\":[1,2],\"b\":3}", 2), ("[\"a,b\\\",c\\\\\",\"d,\"]", 1), ("\"a,", 0), ("\\,,", 2)]
        {
            assert_eq!(commas(json.as_bytes()), count, "{json}");
        }
    }
}

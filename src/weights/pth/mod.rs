//! A reader for PyTorch files: the output of `torch.save` for a state dict, or for a checkpoint
//! that contains one.
//!
//! A pickle lists the tensors and the part of a storage that each of them uses. Since PyTorch 1.6,
//! the pickle and the storages are entries of a ZIP archive; older files hold a sequence of
//! pickles, followed by the storages. The module `machine` runs the pickle and refuses every
//! function call that a state dict does not need.

mod machine;
mod pickle;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Cursor};

use zip::{CompressionMethod, ZipArchive};

use super::number::Number;
use super::tensor::Tensor;
use crate::memory::room;
use machine::load;
use pickle::{ElementType, Object, Pickle, SAVE, Storage, TensorView, Value, quoted};

/// The first number in a file of PyTorch before 1.6, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// The version of the old form; no other exists.
const VERSION: i64 = 1001;

/// The usual names of the state dict in a checkpoint.
const STATE_DICTS: [&str; 3] = ["state_dict", "model_state_dict", "model"];

/// Largest number of entries of an archive, because its directory takes memory for each. A state
/// dict of GoogLeNet has 500.
const MAX_ENTRIES: usize = 10_000;

/// The bytes of each storage, by key.
type Storages<'a> = HashMap<&'a str, &'a [u8]>;

/// Reads all floating-point tensors of the state dict. Integer tensors, which count batches, are
/// checked and skipped.
///
/// # Errors
/// If the file is damaged or holds no state dict. The message says what to do.
pub(super) fn tensors(bytes: &[u8]) -> Result<Vec<Tensor>, String> {
    if bytes.starts_with(b"PK\x03\x04") { of_archive(bytes) } else { of_pickles(bytes) }
}

/// Reads a file of PyTorch 1.6 or later.
fn of_archive(bytes: &[u8]) -> Result<Vec<Tensor>, String> {
    let mut archive = Archive::open(bytes)?;
    let root = archive.root()?;
    // Older files have no such entry.
    if let Some(order) = archive.find(&format!("{root}/byteorder"))?
        && order != b"little"
    {
        let order = quoted(&String::from_utf8_lossy(order));
        return Err(format!(
            "has numbers in the byte order {order}, expected \"little\"; save it on another machine"
        ));
    }
    let program = archive.get(&format!("{root}/data.pkl"))?;
    let pickle = load(program, &mut 0)?;
    let mut storages = Storages::new();
    for key in described(&pickle)?.into_keys() {
        storages.insert(key, archive.get(&format!("{root}/data/{key}"))?);
    }
    select(&pickle, &storages, bytes.len())
}

/// A ZIP archive with uncompressed entries, which are therefore slices of the file.
struct Archive<'a> {
    bytes: &'a [u8],
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// Total size in bytes of the entries that were read.
    taken: usize,
}

impl<'a> Archive<'a> {
    fn open(bytes: &'a [u8]) -> Result<Archive<'a>, String> {
        // The signature of each entry in the directory.
        let entries = bytes.windows(4).filter(|&run| run == b"PK\x01\x02").count();
        if entries > MAX_ENTRIES {
            return Err(format!("a ZIP archive of {entries} entries, expected at most {MAX_ENTRIES}"));
        }
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|_| {
            "a ZIP archive that is damaged or not complete; fetch or save the file again".to_string()
        })?;
        Ok(Archive { bytes, zip, taken: 0 })
    }

    /// The folder that contains PyTorch's entries.
    fn root(&self) -> Result<String, String> {
        let names: Vec<&str> =
            self.zip.file_names_raw().filter_map(|name| std::str::from_utf8(name).ok()).collect();
        let Some(root) = names.iter().find_map(|name| name.strip_suffix("/data.pkl")) else {
            let what = if names.iter().any(|name| name.ends_with(".npy")) {
                "an archive of NumPy arrays (.npz)".to_string()
            } else {
                let first = names.first().map_or("nothing".to_string(), |name| quoted(name));
                format!("a ZIP archive that begins with {first}")
            };
            return Err(format!("{what}, expected a PyTorch file, which has data.pkl in a folder; {SAVE}"));
        };
        let is_of_script = |name: &str| name == "constants.pkl" || name.starts_with("code/");
        let mut inside = names.iter().filter_map(|name| name.strip_prefix(root)?.strip_prefix('/'));
        if inside.any(is_of_script) {
            return Err(format!(
                "a TorchScript archive, which holds a program, expected a state dict; {SAVE}"
            ));
        }
        Ok(root.to_string())
    }

    fn get(&mut self, name: &str) -> Result<&'a [u8], String> {
        self.find(name)?.ok_or_else(|| format!("has no entry {}; fetch or save the file again", quoted(name)))
    }

    /// The bytes of an entry, or `None` if there is no entry of this name.
    fn find(&mut self, name: &str) -> Result<Option<&'a [u8]>, String> {
        let Some(index) = self.zip.index_for_name_raw(name.as_bytes()) else { return Ok(None) };
        let refuse = |what: &str| format!("its entry {} {what}", quoted(name));
        let damaged = |what: &str| refuse(&format!("{what}; fetch or save the file again"));
        let mut entry = self.zip.by_index(index).map_err(|_| damaged("has a damaged header"))?;
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Err(refuse("is compressed or encrypted, which PyTorch never does; save the file again"));
        }
        let bytes = entry
            .data_start()
            .and_then(|start| self.bytes.get(usize::try_from(start).ok()?..))
            .and_then(|rest| rest.get(..usize::try_from(entry.size()).ok()?))
            .filter(|_| entry.size() == entry.compressed_size())
            .ok_or_else(|| damaged("is longer than the file"))?;
        // Overlapping entries would allow a small file to demand unlimited work.
        self.taken += bytes.len();
        if self.taken > self.bytes.len() {
            return Err(damaged("overlaps others"));
        }
        // Reading to the end compares the checksum.
        let read = io::copy(&mut entry, &mut io::sink())
            .map_err(|_| damaged("has another checksum than its directory"))?;
        if read != bytes.len() as u64 {
            return Err(damaged("ends early"));
        }
        Ok(Some(bytes))
    }
}

/// Reads a file of PyTorch before 1.6.
fn of_pickles(bytes: &[u8]) -> Result<Vec<Tensor>, String> {
    let mut at = 0;
    if load(bytes, &mut at)?.root != Value::Long(&MAGIC) {
        return Err(format!("a Python pickle that torch.save did not write; {SAVE}"));
    }
    match load(bytes, &mut at)?.root {
        Value::Int(VERSION) => {}
        other => return Err(format!("is of version {other:?}, expected {VERSION}; {SAVE}")),
    }
    let machine = load(bytes, &mut at)?;
    let endian = (Value::Text("little_endian"), Value::Bool(true));
    if !machine.dict(machine.root).is_some_and(|entries| entries.contains(&endian)) {
        return Err("does not say that its numbers are little-endian; save it on another machine".to_string());
    }
    let pickle = load(bytes, &mut at)?;
    let described = described(&pickle)?;
    let keys = load(bytes, &mut at)?;
    let Some(Object::List(items)) = keys.object(keys.root) else {
        return Err(format!(
            "has {} in place of its list of storages; fetch or save the file again",
            keys.describe(keys.root)
        ));
    };
    let mut storages = Storages::new();
    let mut rest = &bytes[at..];
    for &item in items {
        let storage = match item {
            Value::Text(key) => described.get(key),
            _ => None,
        };
        let Some(storage) = storage else {
            return Err("lists a storage that no tensor is on; fetch or save the file again".to_string());
        };
        let name = quoted(storage.key);
        let truncated = || format!("truncated: it ends in storage {name}; fetch or save the file again");
        let (count, after) = rest.split_first_chunk().ok_or_else(truncated)?;
        let count = u64::from_le_bytes(*count);
        if count != storage.count as u64 {
            return Err(format!("storage {name} has {count} numbers, its pickle says {}", storage.count));
        }
        let length = storage.count.checked_mul(storage.element.size()).ok_or_else(truncated)?;
        let (numbers, after) = after.split_at_checked(length).ok_or_else(truncated)?;
        storages.insert(storage.key, numbers);
        rest = after;
    }
    select(&pickle, &storages, bytes.len())
}

/// Collects the storages that a pickle refers to, by key, and checks that all descriptions of a
/// storage agree.
fn described<'a>(pickle: &Pickle<'a>) -> Result<BTreeMap<&'a str, Storage<'a>>, String> {
    let mut found = BTreeMap::new();
    for object in &pickle.objects {
        if let Object::Storage(storage) = object
            && *found.entry(storage.key).or_insert(*storage) != *storage
        {
            return Err(format!(
                "storage {} has two types or lengths; fetch or save the file again",
                quoted(storage.key)
            ));
        }
    }
    Ok(found)
}

/// Finds the state dict and reads its tensors from a file of `size` bytes.
fn select(pickle: &Pickle, storages: &Storages, size: usize) -> Result<Vec<Tensor>, String> {
    let is_tensor = |value| matches!(pickle.object(value), Some(Object::Tensor(_)));
    let Some(top) = pickle.dict(pickle.root) else {
        return Err(format!("holds {}, expected a state dict; {SAVE}", pickle.describe(pickle.root)));
    };
    // A checkpoint can contain single tensors beside its state dict, such as the best accuracy. In
    // that case the state dict must have one of the usual names.
    let has_tensors = top.iter().any(|&(_, value)| is_tensor(value));
    let nested: Vec<_> = top
        .iter()
        .filter_map(|&(key, value)| {
            let Value::Text(name) = key else { return None };
            let entries = pickle.dict(value)?;
            let is_usual = STATE_DICTS.contains(&name) || !has_tensors;
            (is_usual && entries.iter().any(|&(_, value)| is_tensor(value))).then_some((name, entries))
        })
        .collect();
    let entries = match nested[..] {
        [] => top,
        [(_, entries)] => entries,
        [(one, _), (other, _), ..] => {
            return Err(format!(
                "a checkpoint with a state dict under {} and one under {}; {SAVE}",
                quoted(one),
                quoted(other)
            ));
        }
    };
    let mut names = HashSet::new();
    let (mut tensors, mut numbers) = (Vec::new(), 0);
    for &(key, value) in entries {
        let Some(Object::Tensor(view)) = pickle.object(value) else { continue };
        let Value::Text(name) = key else {
            return Err(format!("has a tensor under {}, expected text; {SAVE}", pickle.describe(key)));
        };
        let refuse = |problem: String| format!("tensor {} {problem}", quoted(name));
        if !names.insert(name) {
            return Err(refuse("is there twice; fetch or save the file again".to_string()));
        }
        let Object::Storage(storage) = pickle.objects[view.storage] else {
            unreachable!("the pickle machine has looked at it");
        };
        let problem = || format!("lies on storage {}, which the file does not have", quoted(storage.key));
        let stored = storages.get(storage.key).ok_or_else(|| refuse(problem()))?;
        let extent = extent(view, &storage, stored).map_err(&refuse)?;
        let ElementType::Float(number) = storage.element else { continue };
        // Tensors can share numbers, but in total they may not have more numbers than the file has
        // bytes.
        numbers += extent.count;
        if numbers > size {
            return Err(refuse(format!("shares numbers with too many others; {SAVE}")));
        }
        tensors.push(Tensor {
            name: name.to_string(),
            shape: view.shape.clone(),
            values: gather(view, &extent, number, stored).map_err(refuse)?,
        });
    }
    if tensors.is_empty() {
        let keys: Vec<String> = top
            .iter()
            .filter_map(|(key, _)| match key {
                Value::Text(key) => Some(quoted(key)),
                _ => None,
            })
            .take(5)
            .collect();
        return Err(format!(
            "has no floating-point tensors (the first keys are [{}]); {SAVE}",
            keys.join(", ")
        ));
    }
    Ok(tensors)
}

/// The numbers of a tensor that was found to lie in its storage.
struct Extent {
    /// Number of elements.
    count: usize,
    /// True if the elements are contiguous in C order.
    contiguous: bool,
}

/// Checks that a tensor lies in its storage and uses no number twice.
fn extent(view: &TensorView, storage: &Storage, stored: &[u8]) -> Result<Extent, String> {
    let TensorView { offset, shape, strides, .. } = view;
    if storage.count.checked_mul(storage.element.size()) != Some(stored.len()) {
        return Err(format!(
            "lies on storage {} of {} bytes, expected {} numbers of {} bytes; fetch or save the file again",
            quoted(storage.key),
            stored.len(),
            storage.count,
            storage.element.size()
        ));
    }
    let outside = || {
        format!(
            "has shape {shape:?}, strides {strides:?} and offset {offset}, which lie outside of its storage of {} numbers; \
             fetch or save the file again",
            storage.count
        )
    };
    // A product of sizes that overflows is refused even if one size is 0.
    shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size.max(1))).ok_or_else(outside)?;
    let count = shape.iter().product();
    // Dimensions of size 1 can have any stride.
    let mut dimensions: Vec<(usize, usize)> =
        strides.iter().copied().zip(shape.iter().copied()).filter(|&(_, size)| size > 1).collect();
    let c_order = dimensions.iter().rev().try_fold(1, |expected, &(stride, size)| {
        // No overflow: the product of all sizes has none.
        (stride == expected).then(|| expected * size)
    });
    if count == 0 {
        return if *offset <= storage.count {
            Ok(Extent { count, contiguous: true })
        } else {
            Err(outside())
        };
    }
    // Distance between the first and the last number in the dimensions with smaller strides.
    let mut span = 0usize;
    dimensions.sort_unstable();
    for (stride, size) in dimensions {
        if stride <= span {
            return Err(format!(
                "has shape {shape:?} and strides {strides:?}, by which its numbers overlap; save it after `.contiguous()`"
            ));
        }
        let reach = stride.checked_mul(size - 1).and_then(|reach| reach.checked_add(span));
        span = reach.ok_or_else(outside)?;
    }
    match span.checked_add(*offset) {
        Some(last) if last < storage.count => Ok(Extent { count, contiguous: c_order.is_some() }),
        _ => Err(outside()),
    }
}

/// Copies the numbers of a tensor in C order.
fn gather(view: &TensorView, extent: &Extent, number: Number, stored: &[u8]) -> Result<Vec<f32>, String> {
    let size = number.size();
    let numbers = |from: usize, count: usize| &stored[from * size..(from + count) * size];
    let mut values = room(extent.count)?;
    if extent.contiguous {
        number.extend(&mut values, numbers(view.offset, extent.count));
        return Ok(values);
    }
    let mut index = vec![0; view.shape.len()];
    let mut at = view.offset;
    for _ in 0..extent.count {
        number.extend(&mut values, numbers(at, 1));
        // Dimensions of size 1 can have any stride.
        for dimension in (0..index.len()).rev().filter(|&dimension| view.shape[dimension] > 1) {
            index[dimension] += 1;
            at += view.strides[dimension];
            if index[dimension] < view.shape[dimension] {
                break;
            }
            at -= view.strides[dimension] * index[dimension];
            index[dimension] = 0;
        }
    }
    Ok(values)
}

#[cfg(test)]
#[path = "../../../tests/common/pth.rs"]
mod tests;

//! A tensor of a weights file of any form, and the checks that all readers share.

use super::number::Number;
use super::protobuf::{each_integer, each_run, fields};
use crate::memory::room;

/// A named tensor with its values in C order. Names and shapes are those of the network's table
/// (`<layer>.weight`, `<layer>.bias`).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tensor {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// Removes leading ones from `found` that exceed a shape of `rank` dimensions. Caffe's first files
/// store four dimensions for every blob; those of a bias are `[1, 1, 1, n]`.
pub(crate) fn squeeze(found: &[usize], rank: usize) -> &[usize] {
    let ones = found.iter().take_while(|&&size| size == 1).count();
    &found[ones.min(found.len().saturating_sub(rank))..]
}

/// The encoding of numbers in a field of a protocol buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Packing {
    /// By their bytes, little-endian.
    Bytes,
    /// Numbers of 16 bits as integers.
    Integers,
}

/// Reads the numbers of a tensor of this shape from the given fields of a message. They are counted
/// before memory is taken: an integer of one byte in the file is a number of 4 bytes in memory.
pub(crate) fn numbers(
    message: &[u8],
    sources: &[(u64, Packing)],
    number: Number,
    shape: &[usize],
) -> Result<Vec<f32>, String> {
    let count = count(message, sources, number)?;
    // The product can be larger than any memory.
    let expected = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    if expected != Some(count) || count == 0 {
        return Err(format!("holds {count} numbers, expected as many as its shape {shape:?} says"));
    }
    let mut values = room(count)?;
    each_number(message, sources, number, |bytes| number.extend(&mut values, bytes))?;
    Ok(values)
}

/// Counts the numbers in the given fields of a message.
pub(crate) fn count(message: &[u8], sources: &[(u64, Packing)], number: Number) -> Result<usize, String> {
    let mut count = 0;
    each_number(message, sources, number, |bytes| count += bytes.len() / number.size())?;
    Ok(count)
}

/// Calls `found` with the bytes of one or more numbers at a time.
fn each_number(
    message: &[u8],
    sources: &[(u64, Packing)],
    number: Number,
    mut found: impl FnMut(&[u8]),
) -> Result<(), String> {
    for field in fields(message) {
        let (field, value) = field?;
        match sources.iter().find(|(source, _)| *source == field) {
            Some((_, Packing::Bytes)) => each_run(value, number.size(), &mut found)?,
            Some((_, Packing::Integers)) => {
                each_integer(value, |bits| found(&(bits as u16).to_le_bytes()))?;
            }
            None => {}
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::weights::encode::{Layer, Message};
    use crate::weights::protobuf::{FieldValue, fields};
    use proptest::prelude::*;

    #[test]
    fn only_leading_ones_that_are_too_many_are_left_out() {
        assert_eq!(squeeze(&[1, 1, 1, 64], 1), [64]);
        assert_eq!(squeeze(&[1, 1, 5, 1024], 2), [5, 1024]);
        assert_eq!(squeeze(&[1, 1, 1, 1024], 2), [1, 1024]);
        assert_eq!(squeeze(&[64, 1, 1, 1], 1), [64, 1, 1, 1]);
        assert_eq!(squeeze(&[1, 2, 1, 4], 1), [2, 1, 4]);
        assert_eq!(squeeze(&[64, 3], 4), [64, 3]);
        assert_eq!(squeeze(&[], 2), [0; 0]);
    }

    #[test]
    fn numbers_are_counted_before_they_are_read() {
        let six = Message::default().bytes(5, [0; 24]).0;
        let read = |shape: &[usize]| numbers(&six, &[(5, Packing::Bytes)], Number::F32, shape);
        assert_eq!(read(&[2, 3]).unwrap(), [0.0; 6]);
        // Also shapes beyond every machine.
        for shape in [&[2, 2][..], &[usize::MAX, 2, 3], &[usize::MAX / 16 + 1; 2], &[0, 6]] {
            assert!(read(shape).unwrap_err().contains("holds 6 numbers"), "{shape:?}");
        }
        assert!(numbers(&six, &[(6, Packing::Bytes)], Number::F32, &[0, 6]).is_err());
        // 1.0, -2.0 and 0.5 in 16 bits, by their bytes and as integers, packed or not.
        let halves = Message::default().packed(5, &[0x3c00, 0xc000]).varint(5, 0x3800);
        let halves = halves.bytes(9, [0, 0x3c, 0, 0xc0]).0;
        let sources = [(5, Packing::Integers), (9, Packing::Bytes)];
        assert_eq!(numbers(&halves, &sources, Number::F16, &[5]).unwrap(), [1.0, -2.0, 0.5, 1.0, -2.0]);
    }

    /// The tensors that a file of these layers must give.
    pub fn expected(layers: &[Layer]) -> Vec<Tensor> {
        let tensors = |layer: &Layer| {
            let tensor = |part: &str, shape: &[usize], values: &[f32]| Tensor {
                name: format!("{}.{part}", layer.name),
                shape: shape.to_vec(),
                values: values.to_vec(),
            };
            [tensor("bias", &layer.shape[..1], &layer.bias), tensor("weight", &layer.shape, &layer.weight)]
        };
        layers.iter().flat_map(tensors).collect()
    }

    /// Damage to a file of protocol buffers.
    #[derive(Clone, Debug)]
    pub struct Damage {
        /// The end of the file, as a fraction of its length, or (if true) of the positions outside
        /// long runs.
        cut: Option<(bool, f64)>,
        /// Flipped bits: the position, as a fraction of those outside long runs, and the bit.
        flips: Vec<(f64, u8)>,
    }

    pub fn mangle() -> impl Strategy<Value = Damage> {
        let cut = proptest::option::of((any::<bool>(), 0.0..1.0));
        let flips = proptest::collection::vec((0.0..1.0, 0..8u8), 0..4);
        (cut, flips).prop_map(|(cut, flips)| Damage { cut, flips })
    }

    impl Damage {
        /// Returns the damaged file, and whether it was truncated only.
        pub fn apply(&self, file: &[u8], positions: &[usize]) -> (Vec<u8>, bool) {
            let position = |part: f64| positions[(part * positions.len() as f64) as usize];
            let length = match self.cut {
                None => file.len(),
                Some((true, part)) => position(part),
                Some((false, part)) => (part * file.len() as f64) as usize,
            };
            let mut bytes = file[..length].to_vec();
            for &(part, bit) in &self.flips {
                if let Some(byte) = bytes.get_mut(position(part)) {
                    *byte ^= 1 << bit;
                }
            }
            (bytes, length < file.len() && self.flips.is_empty())
        }
    }

    /// The positions of all bytes that are not numbers of a long run.
    pub fn structure(file: &[u8]) -> Vec<usize> {
        fn long_runs(message: &[u8], file: &[u8], found: &mut Vec<std::ops::Range<usize>>) {
            for (_, value) in fields(message).map_while(Result::ok) {
                let FieldValue::Bytes(bytes) = value else { continue };
                let whole_message = fields(bytes).all(|field| field.is_ok());
                if whole_message {
                    long_runs(bytes, file, found);
                } else if bytes.len() > 64 {
                    let start = bytes.as_ptr().addr() - file.as_ptr().addr();
                    found.push(start..start + bytes.len());
                }
            }
        }
        let mut runs = Vec::new();
        long_runs(file, file, &mut runs);
        let mut positions = Vec::new();
        let mut at = 0;
        for run in runs {
            positions.extend(at..run.start);
            at = run.end;
        }
        positions.extend(at..file.len());
        positions
    }
}

//! A tensor of a weights file of any form, and the checks that all readers share.

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

/// Checks that the number of values is the product of `shape`, which can be larger than any memory.
pub(crate) fn require_count(values: &[f32], shape: &[usize]) -> Result<(), String> {
    let expected = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    if expected == Some(values.len()) && !values.is_empty() {
        return Ok(());
    }
    Err(format!("holds {} numbers, expected as many as its shape {shape:?} says", values.len()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::weights::encode::Layer;
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
    fn a_shape_beyond_every_machine_has_no_values() {
        assert!(require_count(&[0.0; 6], &[2, 3]).is_ok());
        for shape in [&[2, 2][..], &[usize::MAX, 2, 3], &[1 << 60, 1 << 60], &[0, 6]] {
            assert!(require_count(&[0.0; 6], shape).is_err(), "{shape:?}");
        }
        assert!(require_count(&[], &[0, 6]).is_err());
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

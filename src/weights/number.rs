//! The number types of weights files. All are read as `f32`: F16 and BF16 exactly, F64 rounded to
//! the nearest.

/// A floating-point type, stored in little-endian order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    F16,
    Bf16,
    F32,
    F64,
}

impl Number {
    /// Size of a number in bytes.
    pub fn size(self) -> usize {
        match self {
            Number::F16 | Number::Bf16 => 2,
            Number::F32 => 4,
            Number::F64 => 8,
        }
    }

    /// Converts the numbers in `bytes` and appends them to `values`. The length of `bytes` must be
    /// a multiple of [`Number::size`].
    pub fn extend(self, values: &mut Vec<f32>, bytes: &[u8]) {
        debug_assert_eq!(bytes.len() % self.size(), 0);
        match self {
            Number::F16 => values.extend(bytes.as_chunks().0.iter().map(|&b| half(u16::from_le_bytes(b)))),
            Number::Bf16 => values.extend(bytes.as_chunks().0.iter().map(|&[low, high]| bfloat(low, high))),
            Number::F32 => values.extend(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b))),
            Number::F64 => values.extend(bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32)),
        }
    }
}

/// Converts an IEEE 754 number of 16 bits: sign, 5 bits of exponent, 10 bits of mantissa.
pub(crate) fn half(bits: u16) -> f32 {
    let (exponent, mantissa) = (u32::from(bits >> 10 & 0x1f), u32::from(bits & 0x3ff));
    let magnitude = match exponent {
        // Subnormal numbers are multiples of 2^-24.
        0 => mantissa as f32 / (1 << 24) as f32,
        31 => f32::from_bits(0x7f80_0000 | mantissa << 13),
        _ => f32::from_bits((exponent + 127 - 15) << 23 | mantissa << 13),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

/// Converts a BF16 number, which is the upper half of an `f32`.
fn bfloat(low: u8, high: u8) -> f32 {
    f32::from_le_bytes([0, 0, low, high])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(number: Number, bytes: &[u8]) -> Vec<f32> {
        let mut values = Vec::new();
        number.extend(&mut values, bytes);
        values
    }

    /// Compares all 65536 values with the standard's definition in `f64`, where every step is
    /// exact.
    #[test]
    fn every_f16_is_read_exactly() {
        for bits in 0..=u16::MAX {
            let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
            let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023) / 1024.0);
            let expected = sign
                * match exponent {
                    0 => fraction * 2f64.powi(-14),
                    31 if fraction == 0.0 => f64::INFINITY,
                    31 => f64::NAN,
                    _ => (1.0 + fraction) * 2f64.powi(exponent - 15),
                };
            let found = f64::from(read(Number::F16, &bits.to_le_bytes())[0]);
            let same = found == expected && found.is_sign_negative() == expected.is_sign_negative();
            assert!(same || found.is_nan() && expected.is_nan(), "{bits:#06x}: {found}, not {expected}");
        }
    }

    #[test]
    fn every_bf16_is_the_upper_half_of_an_f32() {
        for bits in 0..=u16::MAX {
            let found = read(Number::Bf16, &bits.to_le_bytes())[0];
            assert_eq!(found.to_bits(), u32::from(bits) << 16);
        }
    }

    #[test]
    fn f64_is_rounded_to_the_nearest_and_f32_stays() {
        let doubles = [0.1, -1.0 - 2f64.powi(-25), 1e300, 1e-300];
        let bytes: Vec<u8> = doubles.iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(read(Number::F64, &bytes), [0.1, -1.0, f32::INFINITY, 0.0]);
        assert_eq!(read(Number::F32, &(-0.1f32).to_le_bytes()), [-0.1]);
    }
}

//! A reader for the wire format of protocol buffers, which Caffe and ONNX use. A message is a
//! sequence of numbered fields; the modules of the two forms give the numbers their meaning.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>. The reader borrows from the message
//! and allocates nothing. It compares every length with the remaining bytes, and reads a nested
//! message only when its fields are requested.

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum FieldValue<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    /// A string, a nested message, or packed numbers.
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
}

/// The number of a field and its value.
pub(crate) type Field<'a> = (u64, FieldValue<'a>);

/// Iterates over the fields of a message in the order of its bytes. Nothing follows an error.
pub(crate) fn fields(message: &[u8]) -> impl Iterator<Item = Result<Field<'_>, String>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        let at = message.len() - rest.len();
        let read = (!rest.is_empty()).then(|| field(&mut rest))?;
        Some(read.map_err(|problem| {
            rest = &[];
            format!("{problem} (byte {at} of a message of {} bytes)", message.len())
        }))
    })
}

/// Reads one field and removes it from `rest`.
fn field<'a>(rest: &mut &'a [u8]) -> Result<Field<'a>, String> {
    let key = varint(rest).ok_or("a field's number is cut off or too long")?;
    let (number, wire) = (key >> 3, key & 7);
    let cut_off = || format!("field {number} is cut off or too long");
    let value = match wire {
        0 => FieldValue::Varint(varint(rest).ok_or_else(cut_off)?),
        1 => FieldValue::Fixed64(chunk(rest).ok_or_else(cut_off)?),
        2 => {
            let length = varint(rest).ok_or_else(cut_off)?;
            let bytes = usize::try_from(length).ok().and_then(|length| rest.split_off(..length));
            FieldValue::Bytes(
                bytes.ok_or_else(|| format!("field {number} claims {length} bytes of {}", rest.len()))?,
            )
        }
        5 => FieldValue::Fixed32(chunk(rest).ok_or_else(cut_off)?),
        // Wire types 3 and 4 are groups, which neither format uses.
        _ => return Err(format!("field {number} is of wire type {wire}, expected 0, 1, 2 or 5")),
    };
    Ok((number, value))
}

/// Reads `N` bytes and removes them from `rest`.
fn chunk<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*taken)
}

/// Reads a number of 1 to 10 bytes and removes it from `rest`. Each byte holds 7 bits, the lowest
/// first; its upper bit is set if another byte follows.
pub(crate) fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for (i, &byte) in rest.iter().take(10).enumerate() {
        // Only one bit of the tenth byte fits. The others are dropped, as in Google's reader.
        number |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            *rest = &rest[i + 1..];
            return Some(number);
        }
    }
    None
}

/// Calls `found` with each number of a repeated integer field, packed or not.
pub(crate) fn each_integer(value: FieldValue, mut found: impl FnMut(u64)) -> Result<(), String> {
    match value {
        FieldValue::Varint(number) => found(number),
        FieldValue::Bytes(mut packed) => {
            while !packed.is_empty() {
                found(varint(&mut packed).ok_or("a packed number is cut off or too long")?);
            }
        }
        _ => return Err("a number is not a varint".to_string()),
    }
    Ok(())
}

/// Calls `found` with the bytes of the numbers of a repeated field of floats of `size` bytes: with all
/// numbers of a packed value, or with the one of an unpacked value.
pub(crate) fn each_run(value: FieldValue, size: usize, mut found: impl FnMut(&[u8])) -> Result<(), String> {
    let bytes = match &value {
        FieldValue::Bytes(packed) => packed,
        FieldValue::Fixed32(number) => &number[..],
        FieldValue::Fixed64(number) => &number[..],
        FieldValue::Varint(_) => return Err(format!("a varint where numbers of {size} bytes should be")),
    };
    if !bytes.len().is_multiple_of(size) {
        return Err(format!("{} bytes of numbers of {size} bytes each", bytes.len()));
    }
    found(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(message: &[u8]) -> Result<Vec<Field<'_>>, String> {
        fields(message).collect()
    }

    #[test]
    fn each_kind_of_field_is_read() {
        // Examples of the encoding guide: 150, and "testing".
        assert_eq!(all(&[0x08, 0x96, 0x01]).unwrap(), [(1, FieldValue::Varint(150))]);
        let testing = [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67];
        assert_eq!(all(&testing).unwrap(), [(2, FieldValue::Bytes(b"testing"))]);
        let numbers = [&[0x1d][..], &1.5f32.to_le_bytes(), &[0x21], &2.5f64.to_le_bytes()].concat();
        assert_eq!(
            all(&numbers).unwrap(),
            [(3, FieldValue::Fixed32(1.5f32.to_le_bytes())), (4, FieldValue::Fixed64(2.5f64.to_le_bytes()))]
        );
        // -1 takes all ten bytes; field 100 takes two for its number.
        let minus_one = [&[0x08][..], &[0xff; 9], &[0x01]].concat();
        assert_eq!(all(&minus_one).unwrap(), [(1, FieldValue::Varint(u64::MAX))]);
        assert_eq!(all(&[0xa2, 0x06, 0x00]).unwrap(), [(100, FieldValue::Bytes(b""))]);
        assert_eq!(all(&[]).unwrap(), []);
    }

    #[test]
    fn what_is_cut_off_or_claims_more_than_there_is_is_refused() {
        let huge = [&[0x12][..], &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10], b"abc"].concat();
        let cases: [(&[u8], &str); 9] = [
            (&[0x80], "number is cut off"),
            (&[0xff; 11], "number is cut off or too long"),
            (&[0x08], "field 1 is cut off"),
            (&[0x08, 0x80], "field 1 is cut off"),
            (&[0x12], "field 2 is cut off"),
            (&[0x12, 0x03, 0x61], "field 2 claims 3 bytes of 1 (byte 0 of a message of 3 bytes)"),
            (&huge, "field 2 claims 1152921504606846976 bytes of 3"),
            (&[0x0d, 1, 2, 3], "field 1 is cut off"),
            (&[0x0b, 0x0c], "wire type 3"),
        ];
        for (bytes, expected) in cases {
            let problem = all(bytes).unwrap_err();
            assert!(problem.contains(expected), "{bytes:x?}: {problem}");
        }
    }

    #[test]
    fn nothing_follows_an_error() {
        let mut read = fields(&[0x08, 0x01, 0x07, 0x08, 0x01]);
        assert!(read.next().unwrap().is_ok());
        assert!(read.next().unwrap().is_err());
        assert!(read.next().is_none());
    }

    #[test]
    fn integers_are_read_packed_or_not() {
        let collect = |value| {
            let mut all = Vec::new();
            each_integer(value, |n| all.push(n)).map(|()| all)
        };
        assert_eq!(collect(FieldValue::Varint(7)).unwrap(), [7]);
        assert_eq!(collect(FieldValue::Bytes(&[64, 0x80, 0x08])).unwrap(), [64, 1024]);
        assert!(collect(FieldValue::Bytes(&[64, 0x80])).is_err());
        assert!(collect(FieldValue::Fixed32([0; 4])).is_err());
    }

    #[test]
    fn floats_are_read_packed_or_not() {
        let run = |value| {
            let mut all = Vec::new();
            let floats =
                |bytes: &[u8]| all.extend(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)));
            each_run(value, 4, floats).map(|()| all)
        };
        let packed: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(run(FieldValue::Bytes(&packed)).unwrap(), [1.5, -2.0]);
        assert_eq!(run(FieldValue::Fixed32(0.5f32.to_le_bytes())).unwrap(), [0.5]);
        assert!(run(FieldValue::Bytes(&packed[..7])).unwrap_err().contains("7 bytes of numbers of 4 bytes"));
        assert!(run(FieldValue::Varint(1)).is_err());
    }

    proptest! {
        /// For any bytes, the reader ends, and its values lie inside the message.
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let read: Vec<_> = fields(&bytes).collect();
            prop_assert!(read.len() <= bytes.len());
            let held: usize = read.iter().map(|field| match field {
                Ok((_, FieldValue::Bytes(held))) => held.len(),
                _ => 0,
            }).sum();
            prop_assert!(held <= bytes.len());
        }
    }
}

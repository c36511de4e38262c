//! Tests of PyTorch files through the library's public interface: the messages about them, and the
//! memory that files with large claims take.

use crate::{MEMORY, alone};
use occlude::Weights;

const MB: usize = 1 << 20;

/// The beginning of a file from before PyTorch 1.6: the magic number, the version and the byte
/// order.
const HEAD: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\
    \x80\x02}X\x0d\0\0\0little_endian\x88s.";

/// Asserts that the bytes are refused by a message with these words, and that reading them takes at
/// most this much memory in addition to a copy of the file.
#[track_caller]
fn refuse(bytes: &[u8], most: usize, words: &str) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let message = Weights::from_bytes("the file", bytes).expect_err("accepted").to_string();
    let peak = MEMORY.peak_usage().saturating_sub(before);
    assert!(message.starts_with("the file: ") && message.contains(words), "no \"{words}\" in: {message}");
    // A growing copy can take twice its size for a moment while it is read.
    assert!(peak <= 3 * bytes.len() + most, "\"{words}\" took {peak} bytes for {}", bytes.len());
}

#[test]
fn what_is_not_googlenet_is_refused_after_reading() {
    let _alone = alone();
    let file = include_bytes!("../data/pth/model.pth");
    refuse(file, MB, "no code of a file is ever run");
    for file in
        [&include_bytes!("../data/pth/state_zip.pth")[..], include_bytes!("../data/pth/state_legacy.pth")]
    {
        refuse(file, MB, "");
    }
}

#[test]
fn pickles_that_ask_for_much_take_little() {
    let _alone = alone();
    let pickle = |opcodes: &[u8]| [HEAD, b"\x80\x02", opcodes].concat();
    let many = 4 * MB;
    // Objects, values and marks; memorised objects; objects that each contain the previous one.
    for opcodes in [
        &b"]"[..],
        b"}",
        b")",
        b"N",
        b"(",
        b"]\x94",
        b")\x85",
        b"]N",
        b"G12345678",
        b"ccollections\nOrderedDict\n)R",
    ] {
        let bytes = pickle(&opcodes.repeat(many / opcodes.len()));
        refuse(&bytes, 40 * MB, "more than 262144 steps");
    }
    // Lengths without the data that they claim.
    for opcodes in
        [&b"X\xff\xff\xff\xff"[..], b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x8b\xff\xff\xff\xff"]
    {
        refuse(&pickle(opcodes), MB, "truncated");
    }
    // 2^31 dimensions without data, 2^62 numbers, indices at the end of the memo.
    let far = [&b"N"[..], &[b'r', 0xff, 0xff, 0xff, 0xff].repeat(100)].concat();
    refuse(&pickle(&far), MB, "truncated");
    let tensor = b"}X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu\
        \x8a\x08\0\0\0\0\0\0\0\x40NtQK\0\x8a\x08\0\0\0\0\0\0\0\x40\x85K\x01\x85\x89NtRs.\
        \x80\x02]X\x01\0\0\x000a.\0\0\0\0\0\0\0\x40";
    refuse(&pickle(tensor), MB, "truncated: it ends in storage \"0\"");
}

#[test]
fn archives_that_ask_for_much_take_little() {
    let _alone = alone();
    let end = |entries: u16, size: u32, at: u32| {
        let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
        end.extend([entries.to_le_bytes(), entries.to_le_bytes()].concat());
        end.extend([size.to_le_bytes(), at.to_le_bytes()].concat());
        end.extend([0, 0]);
        end
    };
    let local = b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0a";
    // A directory entry that claims 4 GB, and a name and a comment without the data that they
    // claim.
    let mut header = b"PK\x01\x02\x14\0\x14\0".to_vec();
    header.resize(46, 0);
    for (name, claim) in [(1u16, 0u16), (0xffff, 0xffff)] {
        let mut header = header.clone();
        header[20..28].fill(0xfe);
        header[28..30].copy_from_slice(&name.to_le_bytes());
        header[32..34].copy_from_slice(&claim.to_le_bytes());
        header.push(b'a');
        for entries in [1, 0xffff] {
            let end = end(entries, header.len() as u32, local.len() as u32);
            refuse(&[&local[..], &header, &end].concat(), MB, "ZIP archive");
        }
    }
    // The largest number of entries that fits, and the largest number of end records that fits.
    header[28] = 1;
    header.push(b'a');
    let directory = header.repeat(4 * MB / header.len());
    let end_of_all = end(0xffff, directory.len() as u32, local.len() as u32);
    refuse(&[&local[..], &directory, &end_of_all].concat(), MB, "entries, expected at most 10000");
    let few = header.repeat(9_000);
    let ends = end(9_001, few.len() as u32, local.len() as u32).repeat(4000);
    refuse(&[&local[..], &few, &ends].concat(), 16 * MB, "damaged");
    refuse(&[&local[..], &b"PK\x05\x06".repeat(MB)].concat(), MB, "damaged");
    refuse(
        &[&local[..], &b"PK\x06\x07PK\x06\x06".repeat(MB / 2), &end(0xffff, !0, !0)].concat(),
        64 * MB,
        "damaged",
    );
}

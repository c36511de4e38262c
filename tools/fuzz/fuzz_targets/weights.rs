//! Fuzzes weights files with arbitrary bytes. Also uses the bytes as a header, with its length
//! before it and zeros after it, because no mutation produces the 28 MB of data.
#![no_main]

use std::io::{self, Read};

use libfuzzer_sys::fuzz_target;
use occlude::Weights;

/// More bytes than any file of this network has.
const MOST_ZEROS: u32 = 1 << 26;

fuzz_target!(|bytes: &[u8]| {
    check(Weights::from_bytes("fuzz", bytes));
    // The first four bytes are the number of zeros.
    let Some((zeros, header)) = bytes.split_first_chunk::<4>() else { return };
    // Files in other formats have no such header. For them, megabytes of zeros only take time.
    if header.first() != Some(&b'{') {
        return;
    }
    let zeros = u64::from(u32::from_le_bytes(*zeros) % MOST_ZEROS);
    let length = header.len() as u64;
    let file = length.to_le_bytes();
    let file = file.chain(header).chain(io::repeat(0));
    check(Weights::from_reader("fuzz", 8 + length + zeros, file, None));
});

fn check(read: occlude::Result<Weights>) {
    match read {
        Ok(weights) => assert!(weights.network().classes() > 0),
        Err(error) => assert!(error.to_string().contains("fuzz")),
    }
}

//! Tests with hostile or damaged files, options and names. Each causes an error soon. The error
//! names the input and the problem, and the program does not allocate the memory that the input
//! claims.
#![cfg(feature = "cli")]

mod common;
#[path = "common/encode.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod encode;

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use common::command::{folder, occlude, refuse, seeded, succeed};
use common::{safetensors, seeded_tensors};
use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};
use occlude::{Error, Labels, Photograph, Resize, Weights};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const MB: usize = 1 << 20;

/// The largest amount of memory that a call takes, in addition to the memory already in use. Only
/// one call runs at a time, so that the memory of others is not counted.
fn peak<T>(call: impl FnOnce() -> T) -> (T, usize) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let result = call();
    (result, MEMORY.peak_usage().saturating_sub(before))
}

/// The result of a call, and the memory that it takes, if that is at most `most` bytes; otherwise the
/// least of several measurements. They include the memory of other tests of this program that run at
/// the same time.
fn least_peak<T>(most: usize, call: impl Fn() -> T) -> (T, usize) {
    let (mut result, mut least) = peak(&call);
    for _ in 0..20 {
        if least <= most {
            break;
        }
        let (again, taken) = peak(&call);
        (result, least) = (again, least.min(taken));
    }
    (result, least)
}

/// Asserts that the bytes are refused as weights by a message with these words, and that the call
/// takes little memory.
fn refuse_weights(bytes: &[u8], most: usize, words: &[&str]) {
    let (read, peak) = least_peak(most, || Weights::from_bytes("the file", bytes));
    let message = read.expect_err("accepted").to_string();
    assert!(message.starts_with("the file: "), "{message}");
    for word in words {
        assert!(message.contains(word), "no \"{word}\" in: {message}");
    }
    assert!(peak <= most, "{words:?} took {peak} bytes");
}

/// A safetensors file: the length of the header, the header, the data.
fn with_header(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn tensor(name: &str, dtype: &str, shape: &str, offsets: &str) -> String {
    format!(r#""{name}":{{"dtype":"{dtype}","shape":[{shape}],"data_offsets":[{offsets}]}}"#)
}

#[test]
fn headers_of_weights_that_promise_anything() {
    let bias = |offsets: &str| tensor("conv1/7x7_s2.bias", "F32", "64", offsets);
    let one = |tensor: String, data: usize| with_header(&format!("{{{tensor}}}"), data);
    let classifier = |classes: &str| one(tensor("loss3/classifier.weight", "F32", classes, "0,8"), 8);
    for (bytes, words) in [
        (Vec::new(), &["an empty file"][..]),
        (vec![0; 8], &["not a weights file"]),
        (b"{\"a\":1}".to_vec(), &["JSON"]),
        ([&(1u64 << 63).to_le_bytes()[..], b"{}"].concat(), &["not a weights file"]),
        ([&u64::MAX.to_le_bytes()[..], b"{}"].concat(), &["not a weights file"]),
        ([&0xFFFF_FFFFu64.to_le_bytes()[..], b"{}"].concat(), &["claim a header of 4294967295 bytes"]),
        ([&100u64.to_le_bytes()[..], b"{}"].concat(), &["truncated", "header alone claims 100"]),
        (with_header("{}", 0), &["has no tensor"]),
        (with_header("{}", 100), &["another number"]),
        (with_header("{\"a\":", 0), &["its header is damaged"]),
        (with_header(&"[".repeat(100_000), 0), &["not a weights file"]),
        (with_header(&format!("{{\"a\":{}", "[".repeat(100_000)), 0), &["its header is damaged"]),
        // 2^60 elements, as one length and as a product, and a product that overflows.
        (classifier("1152921504606846976"), &["its header is damaged"]),
        (classifier("1073741824,1073741824"), &["its header is damaged"]),
        (classifier("18446744073709551615,18446744073709551615"), &["its header is damaged"]),
        // Consistent headers with no tensor, no bytes, or any number of classes.
        (one(tensor("loss3/classifier.weight", "F32", "1152921504606846976,0", "0,0"), 0), &["classes"]),
        (one(bias("0,-256"), 256), &["its header is damaged"]),
        (one(bias("256,0"), 256), &["its header is damaged"]),
        (one(bias("4,260"), 260), &["its header is damaged"]),
        (one(bias("0,18446744073709551615"), 256), &["its header is damaged"]),
        (one(bias("0,256") + "," + &tensor("b", "F32", "64", "128,384"), 384), &["its header is damaged"]),
        (one(bias("0,256") + "," + &tensor("b", "F32", "64", "512,768"), 768), &["its header is damaged"]),
        (one(tensor("conv1/7x7_s2.bias", "F99", "64", "0,256"), 256), &["its header is damaged"]),
        (one(tensor("a\\u0000\\u001b[2J", "F32", "64", "0,256"), 256), &["not this network"]),
    ] {
        refuse_weights(&bytes, MB + 2 * bytes.len(), words);
    }
}

#[test]
fn whole_files_of_weights_with_something_wrong() {
    let whole = safetensors(&seeded_tensors());
    let most = 2 * whole.len() + MB;
    assert!(Weights::from_bytes("the file", &whole).is_ok());
    let length = u64::from_le_bytes(*whole.first_chunk().unwrap()) as usize;
    let (header, data) =
        (str::from_utf8(&whole[8..8 + length]).unwrap().trim_end().to_string(), &whole[8 + length..]);
    let edited = |from: &str, to: &str| {
        assert!(header.contains(from), "{from}");
        let mut bytes = with_header(&header.replacen(from, to, 1), 0);
        bytes.extend(data);
        bytes
    };
    let dtype = edited(r#""dtype":"F32""#, r#""dtype":"I32""#);
    refuse_weights(&dtype, most, &["tensor ", "has dtype I32, expected F32"]);
    let name = edited("conv1/7x7_s2.bias", "conv1/7x7_s3.bias");
    refuse_weights(&name, most, &["has no tensor conv1/7x7_s2.bias", "but tensor conv1/7x7_s3.bias"]);
    refuse_weights(&edited("[64]", "[8,8]"), most, &["has shape [8, 8], expected [64]"]);
    // The same name appears twice. One of the two tensors is lost, and then there is a gap or a
    // missing tensor.
    let twice = edited("conv2/3x3.bias", "conv2/3x3.weight");
    assert!(Weights::from_bytes("the file", &twice).is_err());

    // Many tensors at the same place: the message is always the same.
    let same: Vec<String> = (0..40).map(|i| tensor(&format!("t{i}"), "F32", "64", "0,256")).collect();
    let same = with_header(&format!("{{{}}}", same.join(",")), 256);
    for _ in 0..20 {
        let message = Weights::from_bytes("w", &same).unwrap_err().to_string();
        let expected = "w: not a safetensors file: its header is damaged (the bytes of tensors overlap, or there is a gap between them)";
        assert_eq!(message, expected);
    }

    let mut bytes = whole.clone();
    let last = bytes.len() - 4;
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        bytes[last..].copy_from_slice(&value.to_le_bytes());
        refuse_weights(&bytes, most, &["tensor ", &value.to_string(), "expected finite values"]);
    }
    for (length, word) in [(last + 3, "truncated"), (whole.len() / 2, "truncated"), (8 + length, "truncated")]
    {
        refuse_weights(&whole[..length], most, &[word]);
    }
    refuse_weights(&[&whole[..], b"\0"].concat(), most, &["something after its last tensor"]);
}

/// A small number in a file can be a large one in memory. Every reader counts before it takes memory:
/// at most a small multiple of the file.
#[test]
fn weights_that_grow_in_memory() {
    let layers = encode::layers(2);
    let many = vec![0; 16 * MB];
    let message = encode::Message::default;
    // ONNX: numbers of 16 bits as integers of one byte, for the last layer; and 64 bits each.
    for (kind, field) in [(10, 5), (16, 5), (11, 10), (1, 4)] {
        let weight = message().varint(1, 2).varint(1, 1024).varint(2, kind).bytes(field, &many);
        let graph = message().message(5, &weight.bytes(8, "loss3/classifier_w_0"));
        let bias = encode::ZOO.tensor(&[2], &[0.0; 2]).bytes(8, "loss3/classifier_b_0");
        let bytes =
            [encode::ZOO.file(&layers[..57]), message().message(7, &graph.message(5, &bias)).0].concat();
        refuse_weights(&bytes, 2 * bytes.len(), &["layer loss3/classifier", " numbers, expected as many"]);
    }
    // Caffe: two kinds of numbers in one blob, of which only one is used.
    let shape = message().packed(1, &[64, 3, 7, 7]);
    let blob = message().message(7, &shape).bytes(5, &many).bytes(8, &many);
    let blobs = [blob, encode::PUBLISHED.blob(&[64], &[0.0; 64])];
    let bytes = encode::PUBLISHED.add_with(message(), "conv1/7x7_s2", false, &blobs).0;
    refuse_weights(&bytes, bytes.len() + 2 * MB, &["layer conv1/7x7_s2, weights: holds 2097152 numbers"]);
    // Safetensors: millions of dimensions, and more labels than the network has classes.
    let zeros = format!("{}0", "0,".repeat(MB));
    let bytes = with_header(&format!("{{{}}}", tensor("conv1.weight", "F32", &zeros, "0,0")), 0);
    refuse_weights(&bytes, 2 * bytes.len(), &["its header has 1048579 values, expected at most 65536"]);
    let mut tensors = String::new();
    let mut end = 0;
    for (name, shape, values) in Weights::seeded(1).tensors() {
        let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
        let start = end;
        end += 4 * values.len();
        tensors += &format!(",{}", tensor(&name, "F32", &shape.join(","), &format!("{start},{end}")));
    }
    let header = format!(r#"{{"__metadata__":{{"labels":"{}"}}{tensors}}}"#, "a\\n".repeat(MB));
    let bytes = with_header(&header, end);
    refuse_weights(&bytes, 2 * bytes.len() + 16 * MB, &["has 1048576 lines, expected at most 32768"]);
}

/// Passes paths to the command that are not regular files with weights or pictures.
#[cfg(unix)]
#[test]
fn what_is_not_even_a_file() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    std::os::unix::fs::symlink("loop", path("loop")).unwrap();
    std::os::unix::fs::symlink("nowhere", path("dangling")).unwrap();
    fs::create_dir(path("empty")).unwrap();
    fs::write(path("nothing"), b"").unwrap();
    let (long, control) = ("n".repeat(300), "a\u{1b}[2Jb");
    let mut cases = vec![
        ("loop", "loop"),
        ("dangling", "dangling"),
        ("empty", "directory"),
        ("nothing", "empty"),
        ("picture.png/below", "picture.png/below"),
        (&long, "nnn"),
        (control, "a\\u{1b}[2Jb"),
    ];
    if cfg!(target_os = "linux") {
        cases.extend([
            ("/dev/null", "/dev/null"),
            ("/dev/zero", "/dev/zero"),
            ("/proc/self/mem", "/proc/self/mem"),
        ]);
    }
    for (name, word) in cases {
        refuse(&folder, seeded(&folder, &["classify", name]), 1, &[word]);
        refuse(&folder, occlude(&folder, &["classify", "picture.png", "--weights", name]), 1, &[word]);
        refuse(&folder, seeded(&folder, &["classify", "picture.png", "--labels", name]), 1, &[word]);
    }
}

/// If the user is a superuser, who can read everything, the test reports that it is skipped.
#[cfg(unix)]
#[test]
fn files_that_may_not_be_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let locked = folder.path().join("locked.png");
    fs::copy(folder.path().join("picture.png"), &locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&locked).is_ok() {
        eprintln!("SKIPPED: this user can read every file");
        return;
    }
    refuse(&folder, seeded(&folder, &["classify", "locked.png"]), 1, &["cannot read locked.png"]);
    let weights = occlude(&folder, &["classify", "picture.png", "--weights", "locked.png"]);
    refuse(&folder, weights, 1, &["cannot read locked.png"]);
}

/// The command reads a pipe once, and hashes the bytes that it read.
#[cfg(target_os = "linux")]
#[test]
fn a_picture_may_come_by_a_pipe() {
    let folder = folder();
    let mkfifo = std::process::Command::new("mkfifo").arg(folder.path().join("pipe")).status();
    assert!(mkfifo.is_ok_and(|status| status.success()), "mkfifo");
    let (pipe, picture) = (folder.path().join("pipe"), folder.path().join("picture.png"));
    let writer = std::thread::spawn(move || fs::write(pipe, fs::read(picture).unwrap()));
    let explain = |image| ["explain", image, "--stride", "224", "--json", "--out", "out"];
    let piped: serde_json::Value = serde_json::from_str(&succeed(seeded(&folder, &explain("pipe")))).unwrap();
    writer.join().unwrap().unwrap();
    let read: serde_json::Value =
        serde_json::from_str(&succeed(seeded(&folder, &explain("picture.png")))).unwrap();
    assert_eq!(piped["image_sha256"], read["image_sha256"]);
    assert_eq!(piped["maps"], read["maps"]);
}

/// Asserts that the bytes are refused as a picture with these words, and that the call takes at
/// most this much memory.
fn refuse_picture(name: &str, bytes: &[u8], most: usize, word: &str) {
    let (read, peak) = least_peak(most + 2 * bytes.len(), || Photograph::from_bytes(name, bytes));
    let message = match read {
        Err(error @ Error::Image { .. }) => error.to_string(),
        other => panic!("{name}: {other:?}"),
    };
    assert!(
        message.starts_with(&format!("{name}: ")) && message.contains(word),
        "no \"{word}\" in: {message}"
    );
    assert!(peak <= most + 2 * bytes.len(), "{name} took {peak} bytes");
}

/// A PNG with these chunks.
fn png(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in chunks {
        bytes.extend((data.len() as u32).to_be_bytes());
        let checked = [&name[..], data].concat();
        bytes.extend(&checked);
        bytes.extend(crc(&checked).to_be_bytes());
    }
    bytes
}

/// The CRC of the PNG specification, annex D, with a table, because the tests have megabytes of
/// data.
fn crc(bytes: &[u8]) -> u32 {
    let table: Vec<u32> = (0..256)
        .map(|n| (0..8).fold(n, |crc, _| if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 }))
        .collect();
    !bytes.iter().fold(!0, |crc, &byte| table[(crc as u8 ^ byte) as usize] ^ (crc >> 8))
}

fn header(width: u32, height: u32, depth: u8, colour: u8) -> Vec<u8> {
    [&width.to_be_bytes()[..], &height.to_be_bytes(), &[depth, colour, 0, 0, 0]].concat()
}

/// A zlib stream of at least `length` zeros in a 158th of that size: a zero, and then many copies
/// of "258 times the previous byte".
fn zeros(length: usize) -> Vec<u8> {
    let mut bytes = vec![0x78, 0x01];
    let (mut bits, mut count) = (0u32, 0);
    // Huffman codes begin with their most significant bit, and all other values with the least
    // significant bit.
    let mut put = |value: u32, width: u32, bytes: &mut Vec<u8>| {
        bits |= value << count;
        count += width;
        while count >= 8 {
            bytes.push(bits as u8);
            bits >>= 8;
            count -= 8;
        }
    };
    let code = |value: u32, width: u32| value.reverse_bits() >> (32 - width);
    // The last block, with the fixed codes: the literal 0, then length 258 (code 285) with distance
    // 1 (code 0).
    put(0b011, 3, &mut bytes);
    put(code(0x30, 8), 8, &mut bytes);
    for _ in 0..length / 258 + 1 {
        put(code(0xC5, 8), 8, &mut bytes);
        put(0, 5, &mut bytes);
    }
    put(0, 7, &mut bytes);
    put(0, 7, &mut bytes);
    // A checksum that no decoder checks.
    bytes.extend([0; 4]);
    bytes
}

#[test]
fn pngs_that_unpack_to_more_than_they_say() {
    let bomb = zeros(400 * MB);
    assert!(bomb.len() < 3 * MB);
    let (size, end) = (header(8, 8, 8, 2), (b"IEND", &b""[..]));
    // The decoder ignores data after the last row. The result is a picture or an error, but does
    // not take 400 MB.
    let (read, taken) =
        peak(|| Photograph::from_bytes("pixels", &png(&[(b"IHDR", &size), (b"IDAT", &bomb), end])));
    assert!(taken < 16 * MB + 2 * bomb.len(), "{taken} bytes for {read:?}");

    let small = zeros(8 * (1 + 8 * 3));
    let profile = [b"name\0\0", &bomb[..]].concat();
    let text = [b"name\0\0", &bomb[..]].concat();
    let long_text = [b"name\0\x01\0\0\0", &bomb[..]].concat();
    for (kind, data) in [(b"iCCP", profile), (b"zTXt", text), (b"iTXt", long_text)] {
        let bytes = png(&[(b"IHDR", &size), (kind, &data), (b"IDAT", &small), end]);
        let (read, taken) = peak(|| Photograph::from_bytes("profile", &bytes));
        assert!(taken < 150 * MB + 4 * bytes.len(), "{taken} bytes for {read:?}");
    }
    // Thousands of text chunks.
    let mut chunks = vec![(b"IHDR", &size[..])];
    chunks.extend((0..2000).map(|_| (b"tEXt", &bomb[..100_000])));
    let bytes = png(&chunks);
    let (read, taken) = peak(|| Photograph::from_bytes("texts", &bytes));
    assert!(read.is_err());
    assert!(taken < 150 * MB, "{taken} bytes");
}

/// A TIFF with these entries (tag, type, count, value) in one directory.
fn tiff(entries: &[(u16, u16, u32, u32)], next: u32) -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    bytes.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend(next.to_le_bytes());
    bytes
}

const SHORT: u16 = 3;
const LONG: u16 = 4;

/// A grey TIFF of 8 bits. Later entries replace earlier ones with the same tag.
fn grey_tiff(width: u32, height: u32, others: &[(u16, u16, u32, u32)]) -> Vec<u8> {
    let mut entries = vec![
        (256, LONG, 1, width),
        (257, LONG, 1, height),
        (258, SHORT, 1, 8),
        (259, SHORT, 1, 1),
        (262, SHORT, 1, 1),
        (273, LONG, 1, 8),
        (277, SHORT, 1, 1),
        (278, LONG, 1, height),
        (279, LONG, 1, width.saturating_mul(height)),
    ];
    for other in others {
        entries.retain(|entry| entry.0 != other.0);
        entries.push(*other);
    }
    entries.sort();
    tiff(&entries, 0)
}

/// A WebP with these chunks.
fn webp(chunks: &[(&[u8; 4], u32, &[u8])]) -> Vec<u8> {
    let mut body = b"WEBP".to_vec();
    for (name, size, data) in chunks {
        body.extend(*name);
        body.extend(size.to_le_bytes());
        body.extend(*data);
    }
    [b"RIFF", &(body.len() as u32).to_le_bytes()[..], &body].concat()
}

fn gif(canvas: [u16; 2], frame: [u16; 2], data: &[u8]) -> Vec<u8> {
    let mut bytes = b"GIF89a".to_vec();
    bytes.extend(canvas.iter().flat_map(|side| side.to_le_bytes()));
    bytes.extend(b"\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0");
    bytes.extend(frame.iter().flat_map(|side| side.to_le_bytes()));
    bytes.extend(b"\0\x02");
    bytes.extend(data);
    bytes
}

fn bmp(width: i32, height: i32, bits: u16, compression: u32) -> Vec<u8> {
    let mut bytes = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    bytes.extend(width.to_le_bytes());
    bytes.extend(height.to_le_bytes());
    bytes.extend(1u16.to_le_bytes());
    bytes.extend(bits.to_le_bytes());
    bytes.extend(compression.to_le_bytes());
    bytes.extend([0; 20]);
    bytes.extend([0; 64]);
    bytes
}

#[test]
fn headers_of_pictures_that_promise_anything() {
    let most = 4 * MB;
    let large = "announces";
    let end: (&[u8; 4], &[u8]) = (b"IEND", b"");
    for side in [65_535, 100_000, u32::MAX >> 1] {
        let bytes = png(&[(b"IHDR", &header(side, side, 16, 6)), (b"IDAT", &zeros(100)), end]);
        refuse_picture("huge.png", &bytes, most, large);
        refuse_picture("huge.tif", &grey_tiff(side, side, &[]), most, large);
        refuse_picture("huge.bmp", &bmp(side as i32, side as i32, 24, 0), most, "65535");
    }
    refuse_picture("huge.gif", &gif([65_535; 2], [65_535; 2], b""), most, large);
    refuse_picture("frame.gif", &gif([1; 2], [65_535; 2], b"\x02\x4c\x01\0;"), most, "");
    // A JPEG of a single colour, so that it has almost no data.
    let jpeg = |marker: u8, side: u16, components: u8| {
        let [high, low] = side.to_be_bytes();
        let mut bytes =
            vec![0xFF, 0xD8, 0xFF, marker, 0, 8 + 3 * components, 8, high, low, high, low, components];
        bytes.extend((1..=components).flat_map(|c| [c, 0x11, 0]));
        bytes.extend(b"\xff\xda\0\x08\x01\x01\0\0\x3f\0\xff\xd9");
        bytes
    };
    refuse_picture("huge.jpg", &jpeg(0xC0, 65_535, 3), most, large);
    refuse_picture("huge-progressive.jpg", &jpeg(0xC2, 65_535, 1), most, large);
    refuse_picture("flat.jpg", &jpeg(0xC0, 0, 3), most, "");
    // The 24-bit sides of WebP at their maximum, and the 14-bit sides just below it. (The decoder
    // reads the maximum 14-bit sides as 0.)
    let canvas = [&[0u8, 0, 0, 0][..], &[0xFF; 6]].concat();
    let lossless = b"\x2f\xfe\xbf\xff\x0f\0\0";
    refuse_picture("huge.webp", &webp(&[(b"VP8X", 10, &canvas), (b"VP8L", 7, lossless)]), most, "");
    refuse_picture(
        "huge-lossless.webp",
        &webp(&[(b"VP8L", 8, &[&lossless[..], &[0]].concat())]),
        most,
        large,
    );

    for bytes in [
        png(&[(b"IHDR", &header(0, 0, 8, 2)), (b"IDAT", &zeros(100)), end]),
        grey_tiff(0, 0, &[]),
        bmp(0, 0, 24, 0),
        gif([0; 2], [0; 2], b""),
        jpeg(0xC0, 0, 1),
        bmp(-5, 5, 24, 0),
        bmp(5, i32::MIN, 24, 0),
    ] {
        refuse_picture("nothing", &bytes, most, "");
    }
}

#[test]
fn parts_of_pictures_that_promise_anything() {
    let most = 4 * MB;
    for (tag, kind, count, value) in [
        // Strips that lie beyond the end, that are huge, or that number in billions.
        (273, LONG, 1, u32::MAX),
        (279, LONG, 1, u32::MAX),
        (273, LONG, u32::MAX, 8),
        (279, LONG, u32::MAX, 8),
        (278, LONG, 1, 0),
        // Tiles of zero size and of any size; invalid numbers of bits, samples and predictors.
        (322, LONG, 1, 0),
        (258, SHORT, 1, 65_535),
        (277, SHORT, 1, 65_535),
        (258, SHORT, 65_535, 8),
        (317, SHORT, 1, 65_535),
        (259, SHORT, 1, 65_535),
        (339, SHORT, 1, 9),
        (256, SHORT, u32::MAX, 0),
    ] {
        let (read, taken) =
            peak(|| Photograph::from_bytes("tiff", &grey_tiff(8, 8, &[(tag, kind, count, value)])));
        assert!(taken <= most, "{tag} of {count} times {value} took {taken} bytes: {read:?}");
    }
    // The unchanged file is valid, so only these entries are wrong.
    let whole = grey_tiff(8, 8, &[]);
    Photograph::from_bytes("whole.tif", &whole).unwrap();
    // A directory that is its own successor.
    let (mut again, end) = (whole.clone(), whole.len() - 4);
    again[end..].copy_from_slice(&8u32.to_le_bytes());
    let (_, taken) = peak(|| Photograph::from_bytes("loop.tif", &again).is_ok());
    assert!(taken <= most);
    refuse_picture("no-directory.tif", b"II*\0\xff\xff\xff\xff", most, "");

    // A WebP that claims 4 GB of EXIF data. The fuzzer found it: a file of 160 bytes took 4 GB of
    // memory.
    let lossless = b"\x2f\x07\xc0\x01\0\x88\x88\x08\x88\x88";
    for chunk in [b"EXIF", b"ICCP", b"XMP "] {
        for size in [0xFFFF_FFF0, 1 << 30, 5] {
            let canvas = b"\x2c\0\0\0\x07\0\0\x07\0\0";
            let bytes = webp(&[(b"VP8X", 10, canvas), (b"VP8L", 10, lossless), (chunk, size, b"1234")]);
            refuse_picture("chunk.webp", &bytes, most, "its end is missing");
        }
    }
}

#[test]
fn orientations_that_are_none() {
    let folder = folder();
    let picture = image::open(folder.path().join("picture.png")).unwrap().to_rgb8();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let jpeg = compress(&picture, width, height, PixelFormat::Rgb, 80, Subsampling::S420).unwrap();
    let plain = Photograph::from_bytes("plain", &jpeg).unwrap();
    let with_exif = |exif: &[u8]| {
        let length = (exif.len() as u16 + 8).to_be_bytes();
        [&jpeg[..2], b"\xff\xe1", &length, b"Exif\0\0", exif, &jpeg[2..]].concat()
    };
    let tag = |kind: u16, count: u32, value: u32| tiff(&[(274, kind, count, value)], 8);
    for exif in [
        Vec::new(),
        b"MM\0*\xff\xff\xff\xff".to_vec(),
        b"II*\0\x08\0\0\0\xff\xff".to_vec(),
        b"XX*\0\x08\0\0\0".to_vec(),
        tag(3, 1, 0),
        tag(3, 1, 9),
        tag(4, u32::MAX, 6),
        tag(2, 1, 0xFFFF_FFFF),
        tag(3, 1, 6)[..14].to_vec(),
    ] {
        assert_eq!(Photograph::from_bytes("exif", &with_exif(&exif)).unwrap(), plain, "{exif:?}");
    }
    // A valid orientation changes the picture, so the test would detect one.
    assert_ne!(Photograph::from_bytes("exif", &with_exif(&tag(3, 1, 6))).unwrap(), plain);
}

#[test]
fn lists_of_pictures() {
    let folder = folder();
    let list = |contents: &[u8]| fs::write(folder.path().join("list"), contents).unwrap();
    let batch = |input: &str| seeded(&folder, &["batch", input, "--out", "out", "--stride", "224"]);
    for (contents, words) in [
        (&b""[..], "list: no photographs"),
        (b"\n\n# nothing\n", "list: no photographs"),
        (b"picture.png\n\xff\xfe\n", "line 2 is not UTF-8"),
        (b"\x89PNG\r\n\x1a\n", "line 1 is not UTF-8"),
        (b"P\0i\0c\0t\0", "NUL"),
    ] {
        list(contents);
        refuse(&folder, batch("@list"), 1, &["list", words]);
    }
    list(&[b'x'; 3 * MB]);
    refuse(&folder, batch("@list"), 1, &["list: line 1 has", "bytes"]);
    if cfg!(target_os = "linux") {
        refuse(&folder, batch("@/dev/zero"), 1, &["/dev/zero"]);
    }
    refuse(&folder, batch("@picture.png"), 1, &["picture.png: line 1 is not UTF-8"]);
    refuse(&folder, batch("[a-.png"), 1, &["[a-.png"]);
    refuse(&folder, batch("***"), 1, &["***"]);
}

#[test]
fn files_of_labels() {
    let long = "n".repeat(5000);
    for (contents, words) in [
        (&b""[..], "is empty"),
        (b"a\n\nb", "line 2 is empty"),
        (b"a\n\xff", "line 2 is not UTF-8"),
        (&[b'x'; 17 * MB], "larger than"),
    ] {
        let message = Labels::parse("labels", contents).unwrap_err().to_string();
        assert!(message.contains("labels") && message.contains(words), "{message}");
    }
    // Each label takes many times the memory of its line.
    let many = "a\n".repeat(8 * MB - 1);
    let (read, taken) = least_peak(MB, || Labels::parse("labels", many.as_bytes()));
    let message = read.unwrap_err().to_string();
    assert!(message.contains("has 8388607 lines, expected at most 32768"), "{message}");
    assert!(taken < MB, "{taken} bytes");
    for wanted in ["", " ", "٢٨٥", "-1", "1e3", "99999999999999999999", "0x10"] {
        let message = Labels::imagenet().find(wanted).unwrap_err().to_string();
        assert!(message.contains(wanted.trim()), "{message}");
    }
    for (wanted, shown) in
        [("\0", "\"\\u{0}\""), ("\u{1b}[2J", "\"\\u{1b}[2J\""), (&long, "n (5000 characters)")]
    {
        let message = Labels::imagenet().find(wanted).unwrap_err().to_string();
        assert!(message.contains(shown), "{message}");
    }
}

#[test]
fn options_that_are_no_numbers_or_too_large() {
    let folder = folder();
    let wrong = [
        "",
        " ",
        "-1",
        "0",
        "225",
        "1e3",
        "0x10",
        "NaN",
        "inf",
        "-0",
        "٤٥",
        "４５",
        "4 5",
        "45x",
        "x45",
        "4,5",
        "18446744073709551616",
        "99999999999999999999999999999999999999",
        "\u{200b}45",
        "45\u{0}",
    ];
    for option in ["--mask-size", "--stride", "--threads", "--region", "--shard"] {
        for value in wrong {
            // The system accepts no NUL in an argument, and more than 224 threads are valid.
            if value.contains('\0') || (option == "--threads" && value == "225") {
                continue;
            }
            let command = if option == "--shard" { "batch" } else { "explain" };
            // The command has no weights; it would look for them next.
            let arguments = [command, "picture.png", "--out", "out", &format!("{option}={value}")];
            refuse(&folder, occlude(&folder, &arguments), 2, &[option, "expected"]);
        }
    }
    for (option, values) in [
        ("--opacity", &["", "NaN", "inf", "-0.1", "1.0001", "½", "1,0"][..]),
        (
            "--mask-value",
            &[
                "",
                "NaN",
                "inf",
                "256",
                "-1",
                "1,2",
                "1,2,3,4",
                "blur:NaN",
                "blur:1e9",
                "noise:-1",
                "noise:1.5",
            ],
        ),
        ("--activation", &["", ":", "a", ":strongest", "a:-1", "a:18446744073709551616"]),
    ] {
        for value in values {
            let arguments = ["explain", "picture.png", &format!("{option}={value}")];
            refuse(&folder, occlude(&folder, &arguments), 2, &[option, "expected"]);
        }
    }
    for value in ["", "top0", "top1001", "top-1", "1000", "-1", "285,,", ",", "٢٨٥", &"9".repeat(1000)] {
        let arguments = ["explain", "picture.png", &format!("--classes={value}")];
        refuse(&folder, seeded(&folder, &arguments), 1, &[]);
    }
}

/// The names of results come from the names of pictures, even from unusual names.
#[cfg(target_os = "linux")]
#[test]
fn names_of_any_kind() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = folder();
    let long = [&"ä".repeat(125)[..], ".png"].concat();
    let names: [&[u8]; 7] = [
        b"new\nline.png",
        b"bell\x07\x1b[31m.png",
        b"caf\xe9.png",
        b"\xff\xfe\xfd.png",
        &[b'a'; 251],
        long.as_bytes(),
        b"..png",
    ];
    let photos = folder.path().join("photos");
    fs::create_dir(&photos).unwrap();
    for name in names {
        let mut to = photos.join(OsStr::from_bytes(name));
        if to.extension().is_none() {
            to.as_mut_os_string().push(".png");
        }
        fs::copy(folder.path().join("picture.png"), &to).unwrap();
        for command in [&["explain"][..], &["gradcam"], &["compare"], &["compare", "picture.png"]] {
            let mut run = seeded(&folder, command);
            run.arg(&to).args(["--out", "out"]);
            if command[0] != "gradcam" {
                run.args(["--stride", "224"]);
            }
            let printed = succeed(run);
            assert!(!printed.contains(|c: char| c.is_control() && c != '\n'), "{printed:?}");
            for entry in fs::read_dir(folder.path().join("out")).unwrap() {
                let name = entry.unwrap().file_name().into_string().expect("in UTF-8");
                assert!(!name.contains(char::is_control) && !name.starts_with(".occlude"), "{name:?}");
            }
            fs::remove_dir_all(folder.path().join("out")).unwrap();
        }
    }
    // The last name begins with a dot, so the file is hidden.
    let batch = seeded(&folder, &["batch", "photos", "--out", "out", "--stride", "224"]);
    assert!(succeed(batch).contains("[6/6] "));
    let again = succeed(seeded(&folder, &["batch", "photos", "--out", "out", "--stride", "224"]));
    assert_eq!(again.matches("already complete").count(), 6, "{again}");
}

/// Runs the initial inputs of the fuzzers in tools/fuzz through the same functions.
#[test]
fn the_corpus_of_the_fuzzers() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/fuzz/corpus");
    let files = |target: &str| {
        let entries = fs::read_dir(corpus.join(target)).unwrap().map(|entry| entry.unwrap().path());
        let files: Vec<_> = entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        assert!(!files.is_empty(), "{target}");
        files
    };
    let mut pictures = 0;
    for (path, bytes) in files("photograph") {
        let (read, taken) = least_peak(100 * MB, || Photograph::from_bytes("corpus", &bytes));
        assert!(taken < 100 * MB, "{}: {taken} bytes", path.display());
        if let Ok(photograph) = read {
            assert_eq!(photograph.picture(Resize::Stretch).rgb().len(), 224 * 224 * 3);
            pictures += 1;
        }
    }
    assert!(pictures > 30, "only {pictures} files are pictures");
    for (path, bytes) in files("weights") {
        let (_, taken) = least_peak(4 * MB, || Weights::from_bytes("corpus", &bytes).is_ok());
        assert!(taken < 4 * MB, "{}: {taken} bytes", path.display());
        if let Some((zeros, header)) = bytes.split_first_chunk::<4>() {
            let zeros = (u32::from_le_bytes(*zeros) % (1 << 26)) as usize;
            let _ = Weights::from_bytes("corpus", &with_header(&String::from_utf8_lossy(header), zeros));
        }
    }
    for (_, bytes) in files("labels") {
        let (text, file) = bytes.split_at(bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len()));
        let text = String::from_utf8_lossy(text);
        let _ = Labels::imagenet().find(&text);
        let _ = Labels::parse("corpus", file.get(1..).unwrap_or_default())
            .map(|labels| labels.find(&text).is_ok());
    }
    let folder = folder();
    for (path, bytes) in files("command_line") {
        let lines = String::from_utf8_lossy(&bytes).into_owned();
        let arguments: Vec<&str> = lines.split('\n').map(|line| line.trim_matches('\0')).collect();
        // There are no weights, and the named files do not exist, so no command runs for long.
        let output = occlude(&folder, &arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code().is_some() && !text.contains("panicked"), "{}: {text}", path.display());
    }
}
